//! Tests that a guided model writes.

use super::guided::small;
use super::*;

const WRONG: &str = "from calc import double\n\n\ndef test_double():\n    assert double(2) == 5\n";
const RIGHT: &str = "from calc import double\n\n\ndef test_double():\n    assert double(2) == 4\n";
const IDLE: &str = "from calc import double\n\n\ndef test_double():\n    return double(2)\n";
const REQUEST: &str = "Write tests for double in calc.py into test_double.py";

/// Whether tests can be run here; says so where not.
fn can_run() -> bool {
    let can = which::which("pytest").is_ok();
    if !can {
        eprintln!("skipped: there is no pytest");
    }
    can
}

/// A session in which the model writes these texts, in a folder with a function to test.
fn writing(texts: &[&str]) -> Stage {
    let script = texts.iter().map(|body| text(&format!("{body}```"))).collect();
    let stage = stage(script, small);
    fs::write(stage.folder.path().join("calc.py"), "def double(x):\n    return 2 * x\n").unwrap();
    stage
}

fn written(stage: &Stage) -> String {
    fs::read_to_string(stage.folder.path().join("test_double.py")).unwrap()
}

fn notices(events: &[Event]) -> usize {
    events
        .iter()
        .filter(|event| matches!(event, Event::Notice { text } if text.contains("look at what it expects")))
        .count()
}

#[tokio::test]
async fn new_tests_are_run_and_mended_by_what_they_gave() {
    if !can_run() {
        return;
    }
    let mut stage = writing(&[WRONG, IDLE, RIGHT]);
    let events = stage.ask(REQUEST, Decision::Once).await;
    assert_eq!(end(&events), (Outcome::Done, "1 file was changed: test_double.py; the check passes".into()));
    assert_eq!((written(&stage).as_str(), notices(&events)), (RIGHT, 1));
    let mending = &stage.engine.requests()[1].messages;
    assert!(mending.iter().any(|message| message.content.contains("assert 4 == 5")), "{mending:?}");
}

#[tokio::test]
async fn new_tests_that_pass_are_left_as_they_are() {
    if !can_run() {
        return;
    }
    let mut stage = writing(&[RIGHT]);
    let events = stage.ask(REQUEST, Decision::Once).await;
    assert_eq!(end(&events), (Outcome::Done, "1 file was changed: test_double.py; the check passes".into()));
    assert_eq!((written(&stage).as_str(), notices(&events)), (RIGHT, 0));
}

#[tokio::test]
async fn code_that_is_named_by_its_function_alone_is_found_for_its_tests() {
    if !can_run() {
        return;
    }
    let mut stage = writing(&[RIGHT]);
    let events = stage.ask("Write tests for double into test_double.py", Decision::Once).await;
    assert_eq!(end(&events), (Outcome::Done, "1 file was changed: test_double.py; the check passes".into()));
    let seen = stage.engine.requests()[0].messages.clone();
    assert!(seen.iter().any(|message| message.content.contains("return 2 * x")), "{seen:?}");
}

#[tokio::test]
async fn new_tests_that_go_on_failing_stay_and_are_said_to() {
    if !can_run() {
        return;
    }
    let others: Vec<String> = (6..20).map(|n| WRONG.replace("5", &n.to_string())).collect();
    let texts: Vec<&str> = [WRONG].into_iter().chain(others.iter().map(String::as_str)).collect();
    let mut stage = writing(&texts);
    let events = stage.ask(REQUEST, Decision::Once).await;
    assert_eq!(end(&events), (Outcome::NotDone, "1 file was changed: test_double.py; the check still fails".into()));
    assert_eq!(written(&stage), WRONG);
}

#[tokio::test]
async fn what_is_to_fail_or_holds_no_tests_is_not_judged() {
    if !can_run() {
        return;
    }
    let helper = "def numbers():\n    return [1, 2]\n";
    for (request, wrote) in [
        ("Write a test that reproduces the wrong result of double in calc.py into test_double.py", WRONG),
        ("Write numbers for tests of double in calc.py into test_double.py", helper),
    ] {
        let mut stage = writing(&[wrote, wrote, wrote, wrote]);
        let events = stage.ask(request, Decision::Once).await;
        let end = end(&events);
        assert_eq!(end, (Outcome::Done, "1 file was changed: test_double.py".into()), "{request}");
        assert_eq!((written(&stage).as_str(), notices(&events)), (wrote, 0));
    }
}

#[tokio::test]
async fn tests_that_an_earlier_session_wrote_are_an_example_for_new_ones() {
    let mut stage = writing(&[RIGHT]);
    stage.ask(REQUEST, Decision::Once).await;
    let Stage { folder, state, handle, .. } = stage;
    handle.close().await;
    // The user has them otherwise.
    let own = RIGHT.replace("double(2) == 4", "double(-2) == -4");
    fs::write(folder.path().join("test_double.py"), &own).unwrap();
    let next = "Write tests for double in calc.py into test_more.py";
    let mut stage = stage_in(folder, state, vec![text(&format!("{RIGHT}```"))], small);
    stage.ask(next, Decision::Once).await;
    let shown = &stage.engine.requests()[0].messages;
    let example = format!("{REQUEST}\"), and was kept:\n\ntest_double.py\n```python\n{own}```");
    assert!(shown.last().unwrap().content.contains(&example), "{shown:?}");
    // What was taken back is none.
    stage.handle.inputs.send(Input::Undo(2)).unwrap();
    let Stage { folder, state, handle, .. } = stage;
    handle.close().await;
    let mut stage = stage_in(folder, state, vec![text(&format!("{RIGHT}```"))], small);
    stage.ask(next, Decision::Once).await;
    let shown = &stage.engine.requests()[0].messages;
    assert!(!shown.last().unwrap().content.contains("was kept"), "{shown:?}");
}

#[tokio::test]
async fn what_was_written_before_is_what_tests_of_it_test() {
    if !can_run() {
        return;
    }
    let mut stage = writing(&["def double(x):\n    return x + x\n", RIGHT]);
    fs::write(stage.folder.path().join("other.py"), "def write_tests():\n    return 1\n").unwrap();
    stage.ask("Change calc.py: double adds", Decision::Once).await;
    let events = stage.ask("Now write tests for it into test_double.py", Decision::Once).await;
    assert_eq!(super::end(&events), (Outcome::Done, "1 file was changed: test_double.py; the check passes".into()));
    let seen = stage.engine.requests()[1].messages.clone();
    assert!(seen.iter().all(|message| !message.content.contains("return 1")), "{seen:?}");
}

#[tokio::test]
async fn a_table_without_end_is_closed_and_gone_on_behind() {
    if !can_run() {
        return;
    }
    let begin = "import pytest\nfrom calc import double\n\n\n@pytest.mark.parametrize(\"x, y\", [\n";
    let rows = |count: usize| -> String { (0..count).map(|n| format!("    ({n}, {}),\n", 2 * n)).collect() };
    let end = "def test_double(x, y):\n    assert double(x) == y\n";
    let script = vec![text(&(begin.to_owned() + &rows(30))), text(&format!("{end}```"))];
    let mut stage = stage(script, small);
    fs::write(stage.folder.path().join("calc.py"), "def double(x):\n    return 2 * x\n").unwrap();
    let events = stage.ask(REQUEST, Decision::Once).await;
    assert_eq!(super::end(&events), (Outcome::Done, "1 file was changed: test_double.py; the check passes".into()));
    assert_eq!(written(&stage), format!("{begin}{}])\n{end}", rows(8)));
    assert!(stage.engine.requests()[1].prefix.ends_with("    (7, 14),\n])\n"));
}
