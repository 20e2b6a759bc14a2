//! What cannot work ends with one clear sentence and a non-zero exit.

use std::fs;

use crate::world::{REQUEST, World};

#[test]
fn no_model() {
    let world = World::without_model();
    world.moru(&["exec", REQUEST]).refused(1, &["qwen2.5-coder-1.5b", "moru model pull"]);
    world.moru(&["exec", "--model", "qwen2.5-codr-1.5b", REQUEST]).refused(1, &["qwen2.5-coder-1.5b"]);
    world.moru(&["exec", "--model", "./none.gguf", REQUEST]).refused(1, &["none.gguf"]);
}

#[test]
fn a_file_that_is_no_model() {
    let world = World::without_model();
    world.write("text.gguf", "hello");
    world.moru(&["exec", "--model", "./text.gguf", REQUEST]).refused(1, &["text.gguf"]);
}

#[test]
fn a_model_that_is_cut_short() {
    let Some(world) = World::with_model() else { return };
    let models = std::env::var_os("MORU_TEST_MODELS").map(std::path::PathBuf::from).unwrap();
    let whole = fs::File::open(models.join("qwen2.5-coder-0.5b.gguf")).unwrap();
    let mut part = fs::File::create(world.folder.join("cut.gguf")).unwrap();
    std::io::copy(&mut std::io::Read::take(whole, 50_000_000), &mut part).unwrap();
    world.moru(&["exec", "--model", "./cut.gguf", REQUEST]).refused(1, &["cut.gguf"]);
}

#[test]
fn a_prompt_that_is_empty() {
    let world = World::without_model();
    world.moru(&["exec", "  \n"]).refused(2, &["the prompt is empty"]);
    world.moru(&["exec", "-"]).refused(2, &["the prompt is empty"]);
}

#[test]
fn a_prompt_longer_than_the_context() {
    let Some(world) = World::with_model() else { return };
    world.write("long.txt", "one two three four five six seven\n".repeat(4000));
    let prompt = world.read("long.txt");
    world.moru(&["exec", "--context", "4096", &prompt[..100_000]]).refused(1, &["tokens", "4096"]);
}

#[test]
fn a_binary_file_named_in_the_request() {
    let Some(world) = World::with_model() else { return };
    world.write("data.bin", [0_u8, 1, 2, 0, 255]);
    world.moru(&["exec", "What does data.bin hold?"]).refused(1, &["data.bin"]);
}

#[test]
fn a_folder_that_is_not_there() {
    let world = World::without_model();
    world.moru(&["exec", "--cwd", "nowhere", REQUEST]).refused(1, &["nowhere"]);
}

#[test]
fn a_context_that_memory_cannot_hold() {
    let Some(world) = World::with_model() else { return };
    // A file whose header is that of a model, and which claims to be larger than any memory: sparse, so it costs nothing.
    let models = std::env::var_os("MORU_TEST_MODELS").map(std::path::PathBuf::from).unwrap();
    let path = world.folder.join("huge.gguf");
    fs::copy(models.join("qwen2.5-coder-0.5b.gguf"), &path).unwrap();
    fs::OpenOptions::new().write(true).open(&path).unwrap().set_len(1 << 42).unwrap();
    world.moru(&["exec", "--model", "./huge.gguf", REQUEST]).refused(1, &["memory"]);
}
