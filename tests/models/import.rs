//! `--from FILE`, listing and removing.

use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::PathBuf;

use moru::model::store::State;
use moru::model::{Catalog, ModelError};

use crate::fixture::{NAME, World};

fn import(world: &World, name: &str, bytes: &[u8]) -> Result<PathBuf, ModelError> {
    let file = world.root.path().join("given.gguf");
    fs::write(&file, bytes).unwrap();
    let catalog = Catalog::load(&world.dirs.config).unwrap();
    world.store().import(name, catalog.get(name), &file, &mut |_| ())
}

#[test]
fn a_file_is_linked_in() {
    let world = World::new();
    let path = import(&world, NAME, &world.model).unwrap();
    world.assert_whole(&path);
    let given = world.root.path().join("given.gguf");
    assert_eq!(fs::metadata(&path).unwrap().ino(), fs::metadata(&given).unwrap().ino());
    fs::remove_file(given).unwrap();
    world.assert_whole(&path);
}

#[test]
fn another_file_is_refused() {
    let world = World::new();
    let mut wrong = world.model.clone();
    *wrong.last_mut().unwrap() ^= 1;
    assert!(matches!(import(&world, NAME, &wrong), Err(ModelError::WrongFile { .. })));
    assert!(matches!(import(&world, NAME, b"a text"), Err(ModelError::Gguf { .. })));
    assert!(matches!(import(&world, NAME, &world.model[..5000]), Err(ModelError::Gguf { .. })));
    assert_eq!(world.files(), [""; 0]);
}

#[test]
fn a_file_may_come_under_a_name_of_its_own() {
    let world = World::new();
    let path = import(&world, "mine", &world.model).unwrap();
    let resolved = moru::model::resolve("mine", &world.dirs).unwrap();
    assert_eq!((resolved.path, resolved.entry), (path, None));
    let listed = world.store().list(&Catalog::load(&world.dirs.config).unwrap()).unwrap();
    let mine = listed.last().unwrap();
    let needed = moru::model::catalog::memory_needed(world.model.len() as u64);
    assert_eq!((mine.name.as_str(), mine.memory_needed), ("mine", Some(needed)));
}

#[test]
fn removing_frees_what_is_there() {
    let world = World::new();
    assert!(matches!(world.store().remove(NAME), Err(ModelError::NotPulled { .. })));
    import(&world, NAME, &world.model).unwrap();
    assert_eq!(world.store().remove(NAME).unwrap(), world.model.len() as u64);
    assert_eq!(world.store().state(NAME), State::Absent);
    fs::write(world.part(), b"half").unwrap();
    assert_eq!(world.store().state(NAME), State::Partial { bytes: 4 });
    assert_eq!(world.store().remove(NAME).unwrap(), 4);
    assert_eq!(world.files(), [""; 0]);
}
