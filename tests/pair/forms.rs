//! A task of two calls, written in the models' own form, in another family's and in the one that a prompt teaches.

use crate::world::{World, of_type};

#[test]
fn two_calls_are_made_in_every_form() {
    let Some(world) = World::with_model() else { return };
    let small = std::env::var("MORU_TEST_MODELS").unwrap() + "/qwen2.5-coder-0.5b.gguf";
    let forms = ["hermes", "qwen-xml", "fenced"];
    let of_small = forms.map(|form| (small.as_str(), form));
    let of_default = forms.map(|form| ("qwen2.5-coder-1.5b", form));
    for (model, form) in of_default.into_iter().chain(of_small) {
        world.write("names.txt", "pear\napple\nfig\n");
        world.write("sorted.txt", "");
        let request = "Run `sort names.txt`, then write what it printed to the file sorted.txt.";
        let (ran, events) = world.exec(&["--yes", "--model", model, "--dialect", form, request]);
        let calls: Vec<&str> =
            of_type(&events, "CallProposed").iter().filter_map(|event| event["call"]["name"].as_str()).collect();
        assert_eq!(ran.code, Some(0), "{model} {form}: {calls:?} {ran:?}");
        assert_eq!(calls.first(), Some(&"run"), "{model} {form}: {calls:?}");
        let names: Vec<String> = world.read("sorted.txt").split_whitespace().map(str::to_owned).collect();
        assert_eq!(names, ["apple", "fig", "pear"], "{model} {form}: {calls:?}");
    }
}
