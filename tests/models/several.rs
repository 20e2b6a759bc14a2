//! Models that are spread over several files.

use std::fs;
use std::path::PathBuf;

use moru::model::pull::Progress;
use moru::model::store::State;
use moru::model::{Catalog, Gguf, ModelError, resolve};

use crate::fixture::{Faults, HUB, Hub, NAME, World, gguf_in_three, sha256};

const SOURCE: &str =
    "[[model.source]]\nkind = \"hub\"\nrepo = \"some/tiny\"\nfile = \"F32/Tiny-F32-00001-of-00003.gguf\"\n";

fn ending(number: usize) -> String {
    format!("-{number:05}-of-00003.gguf")
}

fn stored(number: usize) -> String {
    NAME.to_owned() + &ending(number)
}

fn hub(files: &[Vec<u8>], faults: Faults) -> Hub {
    let name = |index: usize| format!("/F32/Tiny-F32{}", ending(index + 1));
    Hub::serve_files(files.iter().enumerate().map(|(index, bytes)| (name(index), bytes.clone())).collect(), faults)
}

fn request(method: &str, number: usize) -> String {
    format!("{method} /some/tiny/resolve/main/F32/Tiny-F32{}", ending(number))
}

fn world(hub: &Hub, facts: &str) -> World {
    let mut world = World::bare();
    world.options.hub_endpoint = Some(hub.url.clone());
    world.catalog(facts, &[SOURCE]);
    world
}

fn total(files: &[Vec<u8>]) -> u64 {
    files.iter().map(|file| file.len() as u64).sum()
}

fn assert_whole(world: &World, files: &[Vec<u8>]) {
    assert_eq!(world.files(), [stored(1), stored(2), stored(3)]);
    for (index, bytes) in files.iter().enumerate() {
        assert!(fs::read(world.store().folder().join(stored(index + 1))).unwrap() == *bytes, "file {}", index + 1);
    }
    assert_eq!(world.store().path(NAME), world.store().folder().join(stored(1)));
    assert_eq!(world.store().state(NAME), State::Here { bytes: total(files) });
}

#[test]
fn all_files_come() {
    let files = gguf_in_three();
    let hub = hub(&files, Faults::default());
    let mut world = world(&hub, &format!("size = {}\n", total(&files)));
    let path = world.pull().unwrap();
    assert_whole(&world, &files);
    let resolved = resolve(NAME, &world.dirs).unwrap();
    assert_eq!((resolved.path, resolved.gguf.split_count, resolved.gguf.size), (path, 3, total(&files)));
    let asked: Vec<_> = ["HEAD", "GET"].iter().flat_map(|method| (1..=3).map(|n| request(method, n))).collect();
    assert_eq!(hub.requests(), asked);
    // Progress is that of all files together.
    let sizes: Vec<_> = world.reports.iter().filter(|report| matches!(report, Progress::Size { .. })).collect();
    let before = |count: usize| Progress::Size { done: total(&files[..count]), total: Some(total(&files)) };
    assert_eq!(sizes, [&before(0), &before(1), &before(2)]);
    assert_eq!(world.reports.iter().filter(|report| matches!(report, Progress::Verifying(_))).count(), 3);
    // The second time there is nothing to do.
    world.pull().unwrap();
    assert_eq!(hub.requests().len(), 6);
}

#[test]
fn a_pull_that_broke_off_goes_on_in_the_second_file() {
    let files = gguf_in_three();
    // Three questions, the first file, and a part of the second.
    let broken = hub(&files, Faults { cut: Some(150_000), requests: Some(5), ..Faults::default() });
    let mut world = world(&broken, "");
    let error = world.pull().unwrap_err().to_string();
    assert!(error.contains("file 2 of 3: it answered with HTTP status 503"), "{error}");
    assert_eq!(world.files(), [stored(1), stored(2) + ".part"]);
    let received = files[0].len() as u64 + 150_000;
    assert_eq!(world.store().state(NAME), State::Partial { bytes: received });
    assert!(matches!(resolve(NAME, &world.dirs), Err(ModelError::NotPulled { .. })));
    let whole = hub(&files, Faults::default());
    world.options.hub_endpoint = Some(whole.url.clone());
    world.reports.clear();
    world.pull().unwrap();
    assert_whole(&world, &files);
    assert_eq!(whole.requests()[3..], [request("GET", 2) + " 150000", request("GET", 3)]);
    assert!(world.reports.contains(&Progress::Size { done: received, total: Some(total(&files)) }));
}

#[test]
fn wrong_bytes_are_discarded_and_what_is_finished_stays() {
    let files = gguf_in_three();
    let mut served = files.clone();
    *served[1].last_mut().unwrap() ^= 1;
    // The hub states the hash of what its file should be.
    let wrong = hub(&served, Faults { states: Some(sha256(&files[1])), ..Faults::default() });
    let mut world = world(&wrong, "");
    fs::create_dir_all(world.store().folder()).unwrap();
    fs::write(world.store().folder().join(stored(1)), &files[0]).unwrap();
    let error = world.pull().unwrap_err().to_string();
    assert!(error.contains("file 2 of 3: what it served has the SHA-256"), "{error}");
    assert!(error.contains(&sha256(&served[1])), "{error}");
    assert_eq!(world.files(), [stored(1)]);
    let right = hub(&files, Faults::default());
    world.options.hub_endpoint = Some(right.url.clone());
    world.pull().unwrap();
    assert_whole(&world, &files);
    assert_eq!(right.requests()[3..], [request("GET", 2), request("GET", 3)]);
}

#[test]
fn a_finished_file_that_the_hub_has_no_more_is_fetched_anew() {
    let files = gguf_in_three();
    let mut of_the_same_size = files[0].clone();
    *of_the_same_size.last_mut().unwrap() ^= 1;
    for old in [&files[0][..1000], &of_the_same_size] {
        let hub = hub(&files, Faults::default());
        let mut world = world(&hub, "");
        fs::create_dir_all(world.store().folder()).unwrap();
        fs::write(world.store().folder().join(stored(1)), old).unwrap();
        world.pull().unwrap();
        assert_whole(&world, &files);
    }
}

#[test]
fn what_does_not_make_the_model_is_refused() {
    let mut files = gguf_in_three();
    let served = hub(&files, Faults::default());
    let error = world(&served, "size = 1000\n").pull().unwrap_err().to_string();
    assert!(error.contains("the catalog of 1000"), "{error}");
    let served = hub(&files[..2], Faults::default());
    let error = world(&served, "").pull().unwrap_err().to_string();
    assert!(error.contains("file 3 of 3: it does not have this file"), "{error}");
    files.swap(0, 1);
    let served = hub(&files, Faults::default());
    let world = &mut world(&served, "");
    let error = world.pull().unwrap_err().to_string();
    assert!(error.contains("file 1 of 3: the file is not part 1 of 3"), "{error}");
    assert_eq!(world.files(), [""; 0]);
}

#[test]
fn another_source_may_have_it_in_one_file() {
    let files = gguf_in_three();
    let broken = hub(&files, Faults { requests: Some(4), ..Faults::default() });
    let mut world = world(&broken, "");
    world.pull().unwrap_err();
    assert_eq!(world.files(), [stored(1)]);
    let model = world.model.clone();
    let single = Hub::serve_files(vec![("/tiny.gguf".into(), model)], Faults::default());
    world.options.hub_endpoint = Some(single.url.clone());
    world.catalog("", &[SOURCE, HUB]);
    // What is left of the first source goes once the model is here.
    let path = world.pull().unwrap();
    world.assert_whole(&path);
    world.store().remove(NAME).unwrap();
    fs::write(world.part(), &world.model[..1000]).unwrap();
    let whole = hub(&files, Faults::default());
    world.options.hub_endpoint = Some(whole.url.clone());
    world.pull().unwrap();
    assert_whole(&world, &files);
}

#[test]
fn one_pull_of_a_model_at_a_time() {
    let hub = hub(&gguf_in_three(), Faults::default());
    let mut world = world(&hub, "");
    fs::create_dir_all(world.store().folder()).unwrap();
    fs::write(world.store().folder().join(stored(1)), b"x").unwrap();
    let other = fs::File::create(world.part()).unwrap();
    other.lock().unwrap();
    assert!(matches!(world.pull(), Err(ModelError::Busy { .. })));
    assert!(matches!(world.store().remove(NAME), Err(ModelError::Busy { .. })));
}

/// Puts the files of a model beside each other, under a name that is not the catalog's.
fn given(world: &World, files: &[Vec<u8>]) -> PathBuf {
    let path = |index: usize| world.root.path().join(format!("Given{}", ending(index + 1)));
    files.iter().enumerate().for_each(|(index, bytes)| fs::write(path(index), bytes).unwrap());
    path(0)
}

fn import(world: &World, name: &str, file: &std::path::Path) -> Result<PathBuf, ModelError> {
    let catalog = Catalog::load(&world.dirs.config).unwrap();
    world.store().import(name, catalog.get(name), file, &mut |_| ())
}

#[test]
fn the_other_files_are_imported_with_the_first() {
    let (world, files) = (World::bare(), gguf_in_three());
    world.catalog("", &[SOURCE]);
    let first = given(&world, &files);
    // As the hub's own cache has them: links to files of other names.
    let cache = world.root.path().join("cache");
    fs::create_dir_all(&cache).unwrap();
    for number in 1..=3 {
        let link = cache.join(format!("Linked{}", ending(number)));
        std::os::unix::fs::symlink(first.with_file_name(format!("Given{}", ending(number))), link).unwrap();
    }
    import(&world, NAME, &cache.join(format!("Linked{}", ending(1)))).unwrap();
    assert_whole(&world, &files);
    // A model in one file takes the place of one in several, and the other way round.
    let single = world.root.path().join("single.gguf");
    fs::write(&single, &world.model).unwrap();
    let path = import(&world, NAME, &single).unwrap();
    world.assert_whole(&path);
    import(&world, NAME, &first).unwrap();
    assert_whole(&world, &files);
}

#[test]
fn a_missing_file_is_named() {
    let (world, files) = (World::bare(), gguf_in_three());
    let first = given(&world, &files);
    let third = first.with_file_name(format!("Given{}", ending(3)));
    fs::rename(&third, third.with_extension("away")).unwrap();
    let error = import(&world, "mine", &first).unwrap_err().to_string();
    assert!(error.contains(&format!("Given{}: this part of the model is missing", ending(3))), "{error}");
    assert_eq!(world.files(), [""; 0]);
    fs::rename(third.with_extension("away"), &third).unwrap();
    let path = import(&world, "mine", &first).unwrap();
    assert_eq!(resolve("mine", &world.dirs).unwrap().path, path);
    fs::remove_file(world.store().folder().join(format!("mine{}", ending(2)))).unwrap();
    let error = resolve("mine", &world.dirs).unwrap_err().to_string();
    assert!(error.contains(&format!("mine{} does not exist", ending(2))), "{error}");
    // It is one model, of which so much is left.
    let listed = world.store().list(&Catalog::load(&world.dirs.config).unwrap()).unwrap();
    let mine: Vec<_> = listed.iter().filter(|listed| listed.entry.is_none()).collect();
    let left = (files[0].len() + files[2].len()) as u64;
    assert_eq!((mine.len(), mine[0].name.as_str(), mine[0].state), (1, "mine", State::Partial { bytes: left }));
    assert_eq!(mine[0].memory_needed, None);
}

#[test]
fn removing_takes_all_files_and_what_a_pull_left() {
    let (world, files) = (World::bare(), gguf_in_three());
    import(&world, "mine", &given(&world, &files)).unwrap();
    import(&world, "mine-too", &given(&world, &files)).unwrap();
    assert_eq!(world.store().remove("mine").unwrap(), total(&files));
    assert_eq!(world.store().state("mine"), State::Absent);
    assert!(Gguf::open(&world.store().path("mine-too")).is_ok());
    world.store().remove("mine-too").unwrap();
    let part = |number| world.store().folder().join(stored(number));
    fs::write(part(1), b"whole").unwrap();
    fs::write(part(2).with_added_extension("part"), b"half").unwrap();
    fs::write(world.part(), b"").unwrap();
    assert_eq!(world.store().state(NAME), State::Partial { bytes: 9 });
    assert_eq!(world.store().remove(NAME).unwrap(), 9);
    assert_eq!(world.files(), [""; 0]);
}
