//! `moru exec` with a real model.

use std::io::{BufRead, BufReader};
use std::process::Stdio;

use crate::world::{BUGGY, REQUEST, World, of_type};

#[test]
fn a_bug_is_fixed_undone_and_fixed_again() {
    let Some(world) = World::with_model() else { return };
    let before = world.hash();
    assert!(!world.is_fixed());

    let (ran, events) = world.exec(&["--yes", REQUEST]);
    assert_eq!(ran.code, Some(0), "{ran:?}");
    assert_eq!(events[0]["type"], "TurnStarted");
    let tokens = events[0]["system_prompt_tokens"].as_u64().unwrap();
    assert!(tokens <= 900, "{tokens} tokens of system prompt and tools");
    let end = of_type(&events, "TurnEnded")[0];
    assert_eq!(end["files"], serde_json::json!(["calc.py"]));
    assert!(end["report"].as_str().unwrap().contains("1 file was changed: calc.py"));
    assert!(of_type(&events, "CallFinished").iter().all(|e| e["output"].as_str().is_some()));
    assert!(world.is_fixed(), "{}", world.read("calc.py"));
    let fixed = world.hash();

    let undone = world.moru(&["undo"]);
    assert_eq!(undone.code, Some(0), "{undone:?}");
    assert_eq!(world.hash(), before);
    assert_eq!(world.moru(&["redo"]).code, Some(0));
    assert_eq!(world.hash(), fixed);
    assert!(world.moru(&["log"]).stdout.contains("calc.py"));
    assert!(world.moru(&["diff"]).stdout.contains("+++ b/calc.py"));

    // What stands teaches something else than what was taken back.
    let exported = |world: &World| {
        let lines = world.moru(&["export", "--out", "-"]).stdout;
        lines.lines().map(|line| serde_json::from_str::<serde_json::Value>(line).unwrap()).collect::<Vec<_>>()
    };
    let stands = exported(&world).pop().unwrap();
    assert_eq!((&stands["label"], &stands["why"]), (&true.into(), &"stands".into()));
    assert!(stands["messages"].as_array().unwrap().iter().any(|message| message["weight"] == 1));
    assert_eq!(world.moru(&["undo"]).code, Some(0));
    assert_eq!(exported(&world).pop().unwrap()["why"], "undone");
    assert!(world.moru(&["export"]).stdout.contains("Nothing was written"));
}

#[test]
fn the_check_decides_and_the_index_is_left_alone() {
    let Some(world) = World::with_model() else { return };
    world.write("test_calc.py", crate::world::HIDDEN_TEST);
    world.git(&["add", "-A"]);
    let index = std::fs::read(world.folder.join(".git/index")).unwrap();
    let check = "python3 -m pytest -q -p no:cacheprovider test_calc.py";
    let (ran, events) = world.exec(&["--yes", "--check", check, REQUEST]);
    assert_eq!(ran.code, Some(0), "{ran:?}");
    let checked = of_type(&events, "Checked");
    assert_eq!(checked.first().unwrap()["passed"], false);
    assert_eq!(checked.last().unwrap()["passed"], true);
    assert_eq!(std::fs::read(world.folder.join(".git/index")).unwrap(), index);
}

#[test]
fn without_permission_nothing_changes_and_a_dry_run_only_shows() {
    let Some(world) = World::with_model() else { return };
    let before = world.hash();
    let (ran, events) = world.exec(&["--max-steps", "2", REQUEST]);
    assert_eq!(ran.code, Some(1), "{ran:?}");
    assert!(of_type(&events, "CallFinished").iter().any(|e| e["ok"] == false));
    assert!(of_type(&events, "TurnEnded")[0]["report"].as_str().unwrap().starts_with("no file was changed"));
    assert_eq!(world.hash(), before);

    let ran = world.moru(&["exec", "--dry-run", REQUEST]);
    assert_eq!(ran.code, Some(0), "{ran:?}");
    assert!(ran.stdout.contains("+++ b/calc.py"), "{ran:?}");
    assert_eq!(world.hash(), before);
}

#[test]
fn a_question_is_answered_and_a_session_goes_on_after_a_kill() {
    let Some(world) = World::with_model() else { return };
    let (ran, events) = world.exec(&["What does the function in calc.py compute? Answer in one sentence."]);
    assert_eq!(ran.code, Some(0), "{ran:?}");
    let end = of_type(&events, "TurnEnded")[0];
    assert!(!end["answer"].as_str().unwrap().is_empty());
    assert_eq!(world.read("calc.py"), BUGGY);

    // A second turn, killed while the model writes.
    let mut child = world
        .command(&["exec", "--json", "--resume", "last", "Explain the history of the arithmetic mean in a long essay."])
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let lines = BufReader::new(child.stdout.take().unwrap()).lines();
    let wrote = lines.map_while(Result::ok).find(|line| line.contains(r#""type":"Delta""#));
    assert!(wrote.is_some());
    child.kill().unwrap();
    child.wait().unwrap();

    let (ran, events) = world.exec(&["--resume", "last", "What was my first question about? Answer in a few words."]);
    assert_eq!(ran.code, Some(0), "{ran:?}");
    assert_eq!(events[0]["turn"], 3);
    assert_eq!(world.moru(&["sessions"]).stdout.lines().count(), 1);
}

#[test]
fn an_interrupt_ends_the_turn() {
    let Some(world) = World::with_model() else { return };
    let mut child = world
        .command(&["exec", "--json", "Explain the history of the arithmetic mean in a long essay."])
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let mut lines = BufReader::new(child.stdout.take().unwrap()).lines().map_while(Result::ok);
    assert!(lines.any(|line| line.contains(r#""type":"Delta""#)));
    let id = rustix::process::Pid::from_child(&child);
    rustix::process::kill_process(id, rustix::process::Signal::INT).unwrap();
    let end = lines.find(|line| line.contains(r#""type":"TurnEnded""#)).unwrap();
    assert!(end.contains(r#""outcome":"interrupted""#), "{end}");
    assert_eq!(child.wait().unwrap().code(), Some(130));
}
