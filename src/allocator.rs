//! Where memory comes from. A syntax tree is hundreds of thousands of small pieces; with mimalloc in place of the C library's
//! allocator a repository is indexed in four fifths of the time. llama.cpp, whose pieces are few and large, keeps the latter.

use libmimalloc_sys::{mi_calloc, mi_free, mi_malloc, mi_realloc};
use mimalloc::MiMalloc;
use tree_sitter::Allocator;

#[global_allocator]
static ALLOCATOR: MiMalloc = MiMalloc;

/// Gives tree-sitter the program's allocator. To be called before anything else, while there is one thread.
pub fn share() {
    let allocator = Allocator { malloc: mi_malloc, calloc: mi_calloc, realloc: mi_realloc, free: mi_free };
    // SAFETY: no thread but this one runs, and tree-sitter has allocated nothing that it would free with another function.
    unsafe { tree_sitter::set_allocator(Some(allocator)) };
}
