//! A task of two calls, written in the model's own form, in another family's and in the one that a prompt teaches.

use crate::world::{World, of_type};

#[test]
fn two_calls_are_made_in_every_form() {
    let Some(world) = World::with_model() else { return };
    for form in ["hermes", "qwen-xml", "fenced"] {
        world.write("names.txt", "pear\napple\nfig\n");
        world.write("sorted.txt", "");
        let request = "Run `sort names.txt`, then write what it printed to the file sorted.txt.";
        let (ran, events) = world.exec(&["--yes", "--dialect", form, request]);
        let calls: Vec<&str> =
            of_type(&events, "CallProposed").iter().filter_map(|event| event["call"]["name"].as_str()).collect();
        assert_eq!(ran.code, Some(0), "{form}: {calls:?} {ran:?}");
        assert_eq!(calls.first(), Some(&"run"), "{form}: {calls:?}");
        let names: Vec<String> = world.read("sorted.txt").split_whitespace().map(str::to_owned).collect();
        assert_eq!(names, ["apple", "fig", "pear"], "{form}: {calls:?}");
    }
}
