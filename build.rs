//! On Linux the linker puts functions of `src/engine/local/buffers.rs` in the place of some of llama.cpp's. A program
//! of another package that uses the library must be linked in the same way.

fn main() {
    println!("cargo:rerun-if-changed=build.rs");
    if std::env::var("CARGO_CFG_TARGET_OS").is_ok_and(|system| system == "linux") {
        for name in ["ggml_backend_buffer_clear", "ggml_backend_tensor_set"] {
            println!("cargo:rustc-link-arg=-Wl,--wrap={name}");
        }
    }
}
