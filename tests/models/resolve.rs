//! What `--model` may be.

use std::fs;

use moru::model::resolve;

use crate::fixture::{NAME, World};

fn error(value: &str, world: &World) -> String {
    resolve(value, &world.dirs).unwrap_err().to_string()
}

#[test]
fn names_and_paths_are_found() {
    let world = World::new();
    let file = world.root.path().join("given.gguf");
    fs::write(&file, &world.model).unwrap();
    let by_path = resolve(file.to_str().unwrap(), &world.dirs).unwrap();
    assert_eq!((by_path.name.as_str(), by_path.entry), ("given", None));
    assert_eq!(by_path.gguf.architecture, "qwen2");
    fs::create_dir_all(world.store().folder()).unwrap();
    fs::copy(&file, world.store().path(NAME)).unwrap();
    let by_name = resolve(NAME, &world.dirs).unwrap();
    assert_eq!(by_name.entry.unwrap().licence, "MIT");
}

#[test]
fn whatever_is_wrong_is_one_sentence_with_the_next_step() {
    let world = World::new();
    assert!(error("tinyy", &world).contains("did you mean `tiny`"));
    assert!(error(NAME, &world).contains("`moru model pull tiny`"));
    assert!(error("./absent.gguf", &world).contains("does not exist"));
    let path = |name: &str, bytes: &[u8]| {
        let path = world.root.path().join(name);
        fs::write(&path, bytes).unwrap();
        path.to_str().unwrap().to_owned()
    };
    assert!(error(&path("text.gguf", b"This is no model.\n"), &world).contains("no GGUF file (it is a text)"));
    assert!(error(&path("empty.gguf", b""), &world).contains("it is empty"));
    let cut = &world.model[..world.model.len() - 1];
    assert!(error(&path("cut.gguf", cut), &world).contains("download it again"));
    assert!(error(&path("head.gguf", &world.model[..60]), &world).contains("ends within its header"));
    assert!(error(world.root.path().to_str().unwrap(), &world).contains("folder"));
}
