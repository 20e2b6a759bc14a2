//! The guided workflow, with a scripted model that is small enough to be led.

use super::*;

pub fn small(session: &mut Session) {
    session.profile = Profile::of(&crate::engine::ModelInfo::default());
}

#[tokio::test]
async fn a_small_model_is_led_to_write_the_file_before_it_anew() {
    let mut stage = stage(vec![text("change"), text("two\n```")], small);
    let events = stage.ask("a.txt is wrong", Decision::Once).await;
    assert_eq!(end(&events), (Outcome::Done, "1 file was changed: a.txt".into()));
    assert_eq!(stage.file(), "two\n");
    let requests = stage.engine.requests();
    assert!(matches!(&requests[0].constraint, Constraint::OneOf(_)));
    let question = &requests[0].messages.last().unwrap().content;
    assert!(question.contains("a.txt is wrong\n\n") && question.ends_with("change, command or answer."), "{question}");
    assert_eq!((requests[1].prefix.as_str(), &requests[1].stop[..]), ("```txt\n", &["\n```".to_owned()][..]));
}

#[tokio::test]
async fn a_try_that_fails_the_check_is_taken_back_and_drawn_anew() {
    // What was written before is not checked again.
    let script = vec![text("change"), text("bad\n```"), text("bad\n```"), text("good\n```")];
    let change = |s: &mut Session| {
        small(s);
        s.settings.check = Some("echo the reason; grep good a.txt".into());
    };
    let mut stage = stage(script, change);
    let events = stage.ask("a.txt should be good", Decision::Once).await;
    assert_eq!(end(&events), (Outcome::Done, "1 file was changed: a.txt; the check passes".into()));
    assert_eq!(stage.file(), "good\n");
    let undone = events.iter().filter(|e| matches!(e, Event::Edited { change: Change::Undo, .. })).count();
    let checked = events.iter().filter(|e| matches!(e, Event::Checked { .. })).count();
    assert_eq!((undone, checked), (1, 3));
    let last = stage.engine.requests().pop().unwrap();
    assert!(last.sampling.temperature > 0.0);
    assert!(last.messages.iter().all(|m| !m.content.contains("bad")), "the failed try is not shown again");
    assert!(last.messages.iter().any(|m| m.content.contains("the reason")), "what the check gave is");
}

#[tokio::test]
async fn a_change_that_uses_what_nothing_defines_is_drawn_anew_twice_at_most() {
    let body = |name: &str| text(&format!("def f(x):\n    return {name}(x)\n```"));
    for (drawn, kept) in [(&["total", "sum"][..], "sum"), (&["total", "whole", "whole_of"], "whole_of")] {
        let script = [text("change")].into_iter().chain(drawn.iter().map(|name| body(name))).collect();
        let mut stage = stage(script, small);
        fs::write(stage.folder.path().join("calc.py"), "def f(x):\n    return max(x)\n").unwrap();
        let events = stage.ask("calc.py should give the sum", Decision::Once).await;
        assert_eq!(end(&events), (Outcome::Done, "1 file was changed: calc.py".into()));
        let file = fs::read_to_string(stage.folder.path().join("calc.py")).unwrap();
        assert_eq!(file, format!("def f(x):\n    return {kept}(x)\n"));
        let told = |event: &&Event| matches!(event, Event::CallFinished { output, .. } if output.ends_with("`total` is not defined"));
        assert_eq!(events.iter().filter(told).count(), 1);
    }
}

#[tokio::test]
async fn an_import_that_was_forgotten_is_put_in() {
    let body = "def f(x):\n    return math.floor(x)\n";
    let mut stage = stage(vec![text("change"), text(&format!("{body}```"))], small);
    fs::write(stage.folder.path().join("calc.py"), "def f(x):\n    return max(x)\n").unwrap();
    let events = stage.ask("calc.py should round down", Decision::Once).await;
    assert_eq!(end(&events), (Outcome::Done, "1 file was changed: calc.py".into()));
    let file = fs::read_to_string(stage.folder.path().join("calc.py")).unwrap();
    assert_eq!(file, format!("import math\n\n{body}"));
}

#[tokio::test]
async fn a_change_that_loses_what_was_defined_is_drawn_anew_twice_at_most() {
    let (kept, lost) = ("def f():\n    return 2\n\ndef g():\n    return 1\n", "def f():\n    return 2\n");
    let request = "calc.py should have an f that returns 2";
    for (asked, drawn, left, told) in [
        (request, &[lost, kept][..], kept, 0),
        (request, &[lost, lost, lost], lost, 1),
        ("rewrite calc.py without g", &[lost], lost, 1),
    ] {
        let script = drawn.iter().map(|body| text(&format!("{body}```")));
        let intent = (asked == request).then(|| text("change"));
        let mut stage = stage(intent.into_iter().chain(script).collect(), small);
        fs::write(stage.folder.path().join("calc.py"), "def f():\n    return 1\n\ndef g():\n    return 1\n").unwrap();
        let events = stage.ask(asked, Decision::Once).await;
        assert_eq!(end(&events), (Outcome::Done, "1 file was changed: calc.py".into()), "{asked}");
        assert_eq!(fs::read_to_string(stage.folder.path().join("calc.py")).unwrap(), left, "{asked}");
        let notices =
            events.iter().filter(|e| matches!(e, Event::Notice { text } if text == "calc.py no longer has g"));
        assert_eq!(notices.count(), told, "{asked}");
    }
}

#[tokio::test]
async fn a_function_to_be_added_is_written_alone() {
    let calc = "class Calc:\n    def half(self, n):\n        return n // 2\n\n\ndef name():\n    return 'calc'\n";
    let new = calc.replace("n // 2\n", "n // 2\n\n    def double(self, n):\n        return 2 * n\n");
    let request = "Add a method double(n) to Calc in calc.py";
    let whole = format!("{new}```");
    for (drawn, prefix) in [
        // Behind the head that it is given.
        (&["):\n        return 2 * n\n```"][..], "```python\n    def double(self, n"),
        // Something else, then with what stands around it.
        (
            &[
                "): pass\n\ndef (",
                "class Calc:\n    # ... existing methods\n    def double(self, n):\n        return 2 * n\n```",
            ],
            "```python\n",
        ),
        // The whole file in the end.
        (&["", "def triple(self): pass\n```", &whole], "```python\n"),
    ] {
        let mut stage = stage(drawn.iter().map(|drawn| text(drawn)).collect(), small);
        fs::write(stage.folder.path().join("calc.py"), calc).unwrap();
        let events = stage.ask(request, Decision::Once).await;
        assert_eq!(end(&events), (Outcome::Done, "1 file was changed: calc.py".into()), "{drawn:?}");
        assert_eq!(fs::read_to_string(stage.folder.path().join("calc.py")).unwrap(), new, "{drawn:?}");
        let last = stage.engine.requests().pop().unwrap();
        assert_eq!(last.prefix, prefix, "{drawn:?}");
        let is_whole = last.messages.last().unwrap().content.contains("whole corrected");
        assert_eq!(is_whole, drawn.len() > 2, "{drawn:?}");
    }
}

/// A file that is too long to be written anew, with a mistake in `half`, and its test.
fn long_calc(stage: &Stage) -> String {
    let others: String = (0..150).map(|i| format!("def f{i}(n):\n    return n + {i}\n\n\n")).collect();
    let calc = format!(
        "{others}class Calc:\n    def half(self, n):\n        return n // 3\n\n    def name(self):\n        return 'calc'\n"
    );
    fs::write(stage.folder.path().join("calc.py"), &calc).unwrap();
    let test = "import unittest\nfrom calc import Calc, f1\n\nclass T(unittest.TestCase):\n    def test_half(self):\n        \
                self.assertEqual(Calc().half(4), 2)\n\n    def test_others(self):\n        \
                self.assertEqual((f1(2), Calc().name()), (3, 'calc'))\n";
    fs::write(stage.folder.path().join("test_calc.py"), test).unwrap();
    calc
}

const MEND: &str = "Fix the mistake: `python3 -m unittest -q test_calc.py` fails.";

#[tokio::test]
async fn of_a_long_file_the_function_that_the_failing_test_runs_is_written_anew() {
    // Without the class around it, and at another indentation.
    let mut stage = stage(vec![text("def half(self, n):\n    return n // 2\n```")], small);
    let calc = long_calc(&stage);
    let events = stage.ask(MEND, Decision::Once).await;
    assert_eq!(end(&events), (Outcome::Done, "1 file was changed: calc.py; the check passes".into()));
    let file = fs::read_to_string(stage.folder.path().join("calc.py")).unwrap();
    assert_eq!(file, calc.replace("n // 3", "n // 2"));
    let request = stage.engine.requests().pop().unwrap();
    let asked = &request.messages.last().unwrap().content;
    assert!(asked.starts_with("calc.py:602-603 Calc.half\n```python\n    def half(self, n):"), "{asked}");
    assert_eq!(request.copy_from, ["    def half(self, n):\n        return n // 3\n"]);
    let edit = events.iter().find_map(|event| match event {
        Event::CallProposed { call, .. } => Some(call.clone()),
        _ => None,
    });
    let edit = edit.unwrap();
    assert_eq!((edit.name.as_str(), &edit.arguments["old"]), ("edit", &json!("        return n // 3\n")));
}

#[tokio::test]
async fn where_one_function_was_not_at_fault_the_next_is_written_anew() {
    let name = text("    def name(self):\n        return 'sums'\n```");
    let half = text("    def half(self, n):\n        return n // 2\n```");
    let change = |s: &mut Session| {
        small(s);
        s.profile.lines = false;
    };
    let mut stage = stage(vec![text("Calc.name"), name, half], change);
    let calc = long_calc(&stage);
    let test = stage.folder.path().join("test_calc.py");
    let both =
        fs::read_to_string(&test).unwrap().replace("Calc().half(4), 2", "(Calc().half(4), Calc().name()), (2, 'calc')");
    fs::write(&test, both.split("    def test_others").next().unwrap()).unwrap();
    let events = stage.ask(MEND, Decision::Once).await;
    assert_eq!(end(&events), (Outcome::Done, "1 file was changed: calc.py; the check passes".into()));
    assert_eq!(fs::read_to_string(stage.folder.path().join("calc.py")).unwrap(), calc.replace("n // 3", "n // 2"));
    let requests = stage.engine.requests();
    assert!(
        matches!(&requests[0].constraint, Constraint::OneOf(names) if names.len() == 2),
        "{:?}",
        requests[0].constraint
    );
    let asked = |request: &Request| request.messages.last().unwrap().content.clone();
    assert!(asked(&requests[1]).contains("`Calc.name`") && asked(&requests[2]).contains("`Calc.half`"));
}

#[tokio::test]
async fn of_a_long_file_the_lines_that_the_failing_test_runs_are_drawn() {
    let tries = [text("def half(self, n):\n    return n // 4\n```")];
    let lines = (0..15).map(|i| text(&format!("        return n // {}", 3 - i % 2)));
    let change = |s: &mut Session| {
        small(s);
        s.settings.check_attempts = 11;
    };
    let mut stage = stage(tries.into_iter().chain(lines).collect(), change);
    let calc = long_calc(&stage);
    let events = stage.ask(MEND, Decision::Once).await;
    assert_eq!(end(&events), (Outcome::Done, "1 file was changed: calc.py; the check passes".into()));
    let file = fs::read_to_string(stage.folder.path().join("calc.py")).unwrap();
    assert_eq!(file, calc.replace("n // 3", "n // 2"));
    // The one line that only the failing test runs, again and again.
    assert_eq!(stage.engine.requests().iter().filter(|request| request.infill.is_some()).count(), 15);
}

#[tokio::test]
async fn what_is_no_mistake_is_not_looked_for_in_one_function() {
    let edit = call("edit", json!({ "path": "calc.py", "old": "return 'calc'", "new": "return 'sums'" }));
    let mut stage = stage(vec![text("change"), edit], small);
    long_calc(&stage);
    let request = "Calc.name should be sums in calc.py, for `python3 -m unittest -q test_calc.py`";
    let events = stage.ask(request, Decision::Once).await;
    assert!(!events.iter().any(|event| matches!(event, Event::Notice { text } if text.contains("once more"))));
    assert!(matches!(stage.engine.requests()[1].constraint, Constraint::MustCall(_)), "an edit anywhere is demanded");
}

#[tokio::test]
async fn what_a_check_runs_is_no_part_of_the_change() {
    let edit = call("edit", json!({ "path": "b.txt", "old": "one", "new": "two" }));
    let mut stage = stage(vec![text("change"), edit], |session| {
        small(session);
        session.profile.form = super::super::profile::Form::Part;
        session.settings.check = Some("grep two b.txt".into());
    });
    fs::write(stage.folder.path().join("b.txt"), "one\n").unwrap();
    fs::write(stage.folder.path().join("test_b.py"), "one\n").unwrap();
    stage.ask("test_b.py is not happy with b.txt", Decision::Once).await;
    let request = stage.engine.requests().pop().unwrap();
    let Constraint::MustCall(specs) = &request.constraint else { panic!("an edit is demanded") };
    let paths: Vec<_> = specs.iter().map(|spec| &spec.parameters["properties"]["path"]["enum"]).collect();
    assert_eq!(paths, [&json!(["b.txt"])]);
}

#[tokio::test]
async fn after_failed_tries_single_lines_are_drawn() {
    // After one where there is a mistake to be found, else after two.
    for (request, failed) in [("a.txt should be good", 2), ("a.txt is wrong", 1)] {
        // Tries of the whole file, then five draws of its only line, mostly as it stands there.
        let tries = ["a", "b"].into_iter().take(failed).map(|content| text(&format!("{content}\n```")));
        let lines = ["one", "good", "one", "bad", "one"].map(text);
        let script = [text("change")].into_iter().chain(tries).chain(lines).collect();
        let change = |s: &mut Session| {
            small(s);
            s.settings.check = Some("cat a.txt; grep good a.txt".into());
            s.settings.check_attempts = 11;
        };
        let mut stage = stage(script, change);
        let events = stage.ask(request, Decision::Once).await;
        assert_eq!(end(&events), (Outcome::Done, "1 file was changed: a.txt; the check passes".into()), "{request}");
        assert_eq!(stage.file(), "good\n");
        let drawn = stage.engine.requests().split_off(1 + failed);
        assert!(drawn.iter().all(|request| request.infill.is_some() && request.stop == ["\n"]));
        assert_eq!(drawn.iter().map(|request| request.slot).collect::<Vec<_>>(), [1, 2, 3, 4, 5]);
        // The tries are gone: what is undone is the whole change.
        stage.handle.inputs.send(Input::Undo(1)).unwrap();
        while !matches!(stage.handle.events.recv().await, Some(Event::Edited { change: Change::Undo, .. })) {}
        assert_eq!(stage.file(), "one\n");
    }
}

#[tokio::test]
async fn behind_a_failed_try_several_are_drawn_side_by_side() {
    let tries = ["bad", "worse", "two\nthree", "good", "never read"].map(|content| text(&format!("{content}\n```")));
    let change = |s: &mut Session| {
        small(s);
        s.profile.candidates = Some(4);
        s.settings.check = Some("cat a.txt; grep good a.txt".into());
    };
    let mut stage = stage([text("change")].into_iter().chain(tries).collect(), change);
    let events = stage.ask("a.txt should be good", Decision::Once).await;
    assert_eq!(end(&events), (Outcome::Done, "1 file was changed: a.txt; the check passes".into()));
    assert_eq!(stage.file(), "good\n");
    let requests = stage.engine.requests();
    assert_eq!(requests.iter().map(|request| request.slot).collect::<Vec<_>>(), [0, 0, 1, 2, 3, 4]);
    let drawn = &requests[2..];
    let mut seeds: Vec<u32> = drawn.iter().map(|request| request.sampling.seed).collect();
    seeds.dedup();
    assert_eq!(seeds.len(), 4);
    assert!(drawn.iter().all(|request| request.messages == requests[1].messages && request.prefix == "```txt\n"));
    // What failed leaves nothing behind: what is undone is the whole change.
    stage.handle.inputs.send(Input::Undo(1)).unwrap();
    while !matches!(stage.handle.events.recv().await, Some(Event::Edited { change: Change::Undo, .. })) {}
    assert_eq!(stage.file(), "one\n");
}

#[tokio::test]
async fn the_best_of_several_is_mended_or_stays() {
    let tries =
        ["bad", "good", "good 2", "bad 3", "bad 4", "good 5", "good 6"].map(|content| text(&format!("{content}\n```")));
    let change = |s: &mut Session| {
        small(s);
        s.profile.candidates = Some(2);
        s.profile.lines = false;
        s.settings.check = Some("grep -q good a.txt && echo 1 passed; false".into());
        s.settings.check_attempts = 2;
    };
    let mut stage = stage([text("change")].into_iter().chain(tries).collect(), change);
    let events = stage.ask("a.txt should be good", Decision::Once).await;
    assert_eq!(end(&events).0, Outcome::NotDone);
    // Of equal ones the first.
    assert_eq!(stage.file(), "good\n");
    let requests = stage.engine.requests();
    assert_eq!(requests.iter().map(|request| request.slot).collect::<Vec<_>>(), [0, 0, 1, 2, 0, 1, 2, 0]);
    let shows = |request: &Request, text: &str| request.messages.iter().any(|message| message.content.contains(text));
    assert!(shows(&requests[4], "still fails") && !shows(&requests[5], "still fails"));
}

#[tokio::test]
async fn a_small_model_is_shown_the_file_that_a_request_is_about() {
    let mut stage = stage(vec![text("change"), text("colour = blue\n```")], small);
    fs::write(stage.folder.path().join("a.txt"), "colour = red\n").unwrap();
    stage.ask("the colour should be blue", Decision::Once).await;
    assert_eq!(stage.file(), "colour = blue\n");
    let shown = &stage.engine.requests()[1].messages;
    assert!(shown.iter().any(|m| m.content.starts_with("a.txt\n```txt\ncolour = red\n```")), "{shown:?}");
}

#[tokio::test]
async fn a_small_model_looks_for_itself_where_nothing_is_found() {
    let read = call("read", json!({ "path": "a.txt" }));
    let mut stage = stage(vec![text("change"), read, text("two\n```")], small);
    stage.ask("translate it", Decision::Once).await;
    assert_eq!(stage.file(), "two\n");
    let Constraint::MustCall(specs) = &stage.engine.requests()[1].constraint else { panic!("a look is demanded") };
    let read = specs.iter().find(|spec| spec.name == "read").unwrap();
    assert_eq!(read.parameters["properties"]["path"]["enum"], json!(["a.txt"]));
}

#[tokio::test]
async fn a_small_model_runs_what_is_named_and_writes_what_came_of_it_once() {
    let write = |text: &str| call("write", json!({ "path": "b.txt", "content": text }));
    let script = vec![
        call("run", json!({ "command": "echo two" })),
        text("change"),
        text("two\n```"),
        text("change"),
        write("two\n+1 -1\n"),
        text("It is written."),
    ];
    let mut stage = stage(script, small);
    let events = stage.ask("Run `echo two`, then write what it printed to b.txt.", Decision::Once).await;
    assert_eq!(end(&events).0, Outcome::Done);
    assert_eq!(fs::read_to_string(stage.folder.path().join("b.txt")).unwrap(), "two\n");
    // Only what the request quotes can be run, and only the file that it names be written.
    let requests = stage.engine.requests();
    let Constraint::MustCall(specs) = &requests[0].constraint else { panic!() };
    assert_eq!(specs.len(), 1);
    assert_eq!(specs[0].parameters["properties"]["command"]["enum"], json!(["echo two"]));
    assert_eq!(requests[2].prefix, "```txt\n");
    assert_eq!(requests.last().unwrap().constraint, Constraint::Free);
}

#[tokio::test]
async fn a_small_model_writes_the_new_files_that_are_named_and_no_other() {
    let mut stage = stage(vec![text("two\n```"), text("two\n```")], small);
    let events = stage.ask("Write \"two\" into b.txt and into c.txt, as it is in a.txt.", Decision::Once).await;
    assert_eq!(end(&events), (Outcome::Done, "2 files were changed: b.txt, c.txt".into()));
    let read = |name: &str| fs::read_to_string(stage.folder.path().join(name)).unwrap();
    assert_eq!((read("a.txt"), read("b.txt"), read("c.txt")), ("one\n".into(), "two\n".into(), "two\n".into()));
    for (request, path) in stage.engine.requests().iter().zip(["b.txt", "c.txt"]) {
        assert_eq!(request.prefix, "```txt\n");
        assert!(request.messages.last().unwrap().content.contains(path));
    }
}

#[tokio::test]
async fn what_gives_to_a_file_is_changed_with_it() {
    // The other file may be there already or not, and need not change.
    for (there, gives) in [(false, "x = 2\n"), (true, "x = 2\n"), (false, "x = 1\n")] {
        let mut stage = stage(vec![text("y = 1\n```"), text(&format!("{gives}```"))], small);
        let path = |name: &str| stage.folder.path().join(name);
        let (from, to) = (path("from.py"), path("to.py"));
        fs::write(&from, "x = 1\n").unwrap();
        if there {
            fs::write(&to, "z = 1\n").unwrap();
        }
        let events = stage.ask("Move y from from.py into to.py.", Decision::Once).await;
        let report =
            if gives == "x = 1\n" { "1 file was changed: to.py" } else { "2 files were changed: to.py, from.py" };
        assert_eq!(end(&events), (Outcome::Done, report.into()));
        assert_eq!(
            (fs::read_to_string(from).unwrap().as_str(), fs::read_to_string(to).unwrap().as_str()),
            (gives, "y = 1\n")
        );
    }
}

#[tokio::test]
async fn a_new_file_may_be_empty_or_hold_fences() {
    for (answer, content) in [("```", ""), ("a\n```sh\nb\n```\nc\n```", "a\n```sh\nb\n```\nc\n")] {
        let mut stage = stage(vec![text(answer)], small);
        let name = if content.is_empty() { "__init__.py" } else { "b.md" };
        let events = stage.ask(&format!("Create {name}"), Decision::Once).await;
        assert_eq!(end(&events).0, Outcome::Done);
        assert_eq!(fs::read_to_string(stage.folder.path().join(name)).unwrap(), content);
    }
}

#[tokio::test]
async fn what_a_command_gave_goes_into_the_file_that_is_named() {
    let run = || call("run", json!({ "command": "echo two" }));
    // Without an end it is drawn anew, and given up at last.
    let mut stage = stage([vec![run(), text("change")], vec![text("no end"); 4]].concat(), small);
    let events = stage.ask("Run `echo two`, then write what it printed to b.txt.", Decision::Once).await;
    assert_eq!((end(&events).0, stage.engine.requests().len()), (Outcome::NotDone, 6));
    assert!(!stage.folder.path().join("b.txt").exists());
    // One that is there is bound by its name.
    let write = call("write", json!({ "path": "a.txt", "content": "two\n" }));
    let mut stage = self::stage(vec![run(), text("change"), write, text("answer"), text("Done.")], small);
    stage.ask("Run `echo two`, then write what it printed to a.txt.", Decision::Once).await;
    let Constraint::MustCall(specs) = &stage.engine.requests()[2].constraint else { panic!() };
    assert!(!specs.is_empty());
    assert!(specs.iter().all(|spec| spec.parameters["properties"]["path"]["enum"] == json!(["a.txt"])), "{specs:?}");
    assert_eq!(stage.file(), "two\n");
}

#[tokio::test]
async fn where_no_try_passes_the_examples_the_first_one_stays() {
    let example = |body: &str| format!("def f():\n    \"\"\"\n    >>> f()\n    1\n    \"\"\"\n    return {body}\n");
    // The second try is the first one over again, until the steps are used up.
    let tries = std::iter::repeat_n(text(&format!("{}```", example("2"))), 10);
    let change = |s: &mut Session| {
        small(s);
        s.settings.max_steps = 3;
    };
    let mut stage = stage(std::iter::once(text("change")).chain(tries).collect(), change);
    let path = stage.folder.path().join("f.py");
    fs::write(&path, example("None")).unwrap();
    let events = stage.ask("let f.py return one", Decision::Once).await;
    assert_eq!(end(&events).0, Outcome::NotDone);
    assert_eq!(fs::read_to_string(path).unwrap(), example("2"));
}

#[tokio::test]
async fn where_nothing_can_tell_the_version_is_taken_in_which_made_up_calls_hold() {
    if !crate::sandbox::ability().files.enforced {
        println!("skipped: nothing keeps a command from writing here");
        return;
    }
    let file = |body: &str| format!("def f(x):\n    return {body}\n");
    // The file anew, two lists of tests, five draws of each of the two lines.
    let tests = ["1) == 2\nassert f(2) == 3\n```", "5) == 6\nassert f(6) == 99\n```"].map(text);
    let drawn = ["def f(x):", "    return x + 1"].map(|line| vec![text(line); 5]).concat();
    let script = [text(&format!("{}```", file("x * 2")))].into_iter().chain(tests).chain(drawn).collect();
    let change = |s: &mut Session| {
        small(s);
        s.settings.check_attempts = 11;
        let sandbox = Sandbox::new(s.workspace.root(), &crate::sandbox::Places::default(), false);
        s.settings.sandbox = Arc::new(sandbox);
    };
    let mut stage = stage(script, change);
    fs::write(stage.folder.path().join("calc.py"), file("x - 1")).unwrap();
    let events = stage.ask("Fix @calc.py", Decision::Once).await;
    assert_eq!(end(&events), (Outcome::Done, "1 file was changed: calc.py".into()));
    assert_eq!(fs::read_to_string(stage.folder.path().join("calc.py")).unwrap(), file("x + 1"));
    let asked = &stage.engine.requests()[1..3];
    let told: Vec<bool> = asked.iter().map(|r| r.messages.iter().any(|m| m.content.contains("return x - 1"))).collect();
    assert_eq!(told, [true, false]);
    assert!(asked.iter().all(|request| request.prefix == "```python\nassert f("));
}

#[tokio::test]
async fn examples_that_cannot_be_run_are_no_check() {
    let file = |body: &str| format!("def f(x):\n    \"\"\"f(x) => the next one\"\"\"\n    return {body}\n");
    let mut stage = stage(vec![text(&format!("{}```", file("x + 1")))], small);
    fs::write(stage.folder.path().join("calc.py"), file("x")).unwrap();
    let events = stage.ask("Change @calc.py so that f adds one", Decision::Once).await;
    assert_eq!(end(&events), (Outcome::Done, "1 file was changed: calc.py".into()));
    assert!(!events.iter().any(|event| matches!(event, Event::Checked { .. })));
}
