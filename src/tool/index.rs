//! The workspace's index, made when it is first asked for and brought up to date before every answer.

use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};

use crate::code::Index;
use crate::workspace::{Workspace, folder_key};

/// Files that are indexed; a larger tree is known as far as they go.
const INDEXED: usize = 200_000;

/// An index that is shared by the tools of a session.
#[derive(Default)]
pub struct CodeIndex {
    /// Where it is kept between sessions; `None` keeps it in memory.
    store: Option<PathBuf>,
    index: Mutex<Option<Index>>,
}

impl CodeIndex {
    /// An index that is kept in the file `store`.
    pub fn new(store: PathBuf) -> Self {
        Self { store: Some(store), index: Mutex::new(None) }
    }

    /// Asks the index of `workspace`, as its files are now. Waits for the disk.
    pub fn ask<T>(&self, workspace: &Workspace, question: impl FnOnce(&Index) -> T) -> T {
        let mut index = self.index.lock().unwrap_or_else(PoisonError::into_inner);
        let index = index.get_or_insert_with(|| Index::open(workspace.root(), self.store.clone()));
        refresh(index, workspace);
        question(index)
    }
}

impl std::fmt::Debug for CodeIndex {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("CodeIndex").field("store", &self.store).finish_non_exhaustive()
    }
}

/// Brings an index up to date with the files of its workspace, those of a dry run included.
pub fn refresh(index: &mut Index, workspace: &Workspace) {
    index.refresh(&workspace.files(INDEXED));
    for path in workspace.unwritten() {
        if let Ok(file) = workspace.read(&path) {
            index.update(path.as_str(), &file.text);
        }
    }
}

/// Where the index of a workspace is kept in the cache folder.
pub fn index_file(cache: &Path, workspace: &Workspace) -> PathBuf {
    cache.join("index").join(format!("{}.redb", folder_key(workspace.root())))
}
