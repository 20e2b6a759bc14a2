//! Screens as snapshots.

use super::*;

#[test]
fn an_empty_conversation() {
    insta::assert_snapshot!(User::at(80, 24).sees());
}

#[test]
fn a_turn_from_request_to_report() {
    insta::assert_snapshot!(User::at(80, 40).hears(a_turn()).sees());
}

#[test]
fn details_unfolded() {
    insta::assert_snapshot!(User::at(80, 50).hears(a_turn()).ctrl('o').sees());
}

#[test]
fn a_model_at_work() {
    let mut user = User::at(80, 16);
    user.hears([started("why?"), Event::Reading { done: 1_200, total: 3_000 }]);
    let reading = user.wait(3_000).sees();
    user.hears([reasoning("hm"), reasoning("m")]);
    let thinking = user.wait(2_000).sees();
    user.hears([text("Because of\n\n- one"), text("\n- two and `th")]);
    let writing = user.wait(1_000).sees();
    user.hears([proposed("1", "run cargo test")]);
    let running = user.wait(70_000).sees();
    insta::assert_snapshot!([reading, thinking, writing, running].join("----\n"));
}

#[test]
fn a_file_is_seen_while_it_is_written_and_then_its_diff() {
    let mut user = User::at(80, 16);
    let draft = |text: String| Event::Delta { channel: Channel::Draft, text };
    user.hears([started("fix it"), Event::Reading { done: 9, total: 9 }]);
    user.hears((1..=12).map(|i| draft(format!("line {i}\n"))));
    let written = user.sees();
    assert!(written.contains("writing · 12 lines") && written.contains("line 12\n"), "{written}");
    assert!(!written.contains("line 6\n"), "{written}");
    let whole = user.ctrl('o').sees();
    assert!(whole.contains("line 6\n"), "{whole}");
    user.hears([generated(), proposed("1", "write a.txt")]);
    let called = user.sees();
    assert!(!called.contains("line 12") && called.contains("write a.txt"), "{called}");
}

#[test]
fn a_long_prompt_says_how_long_it_will_take() {
    let mut user = User::at(80, 16);
    user.hears([started("why?"), Event::Reading { done: 0, total: 3_000 }]);
    user.wait(2_000).hears([Event::Reading { done: 1_000, total: 3_000 }]);
    let screen = user.sees();
    assert!(screen.contains("reading 1000/3000, 4 s left"), "{screen}");
}

#[test]
fn questions() {
    let mut user = User::at(80, 24);
    user.hears([
        started("fix it"),
        proposed("1", "edit src/stats.py"),
        asked("1", Class::Edit, "edit src/stats.py", Some(DIFF)),
    ]);
    let edit = user.wait(500).sees();
    let mut user = User::at(80, 14);
    let command =
        "run for f in *.py; do python -m py_compile \"$f\" && echo \"$f is fine\" || echo \"$f is broken\"; done";
    user.hears([started("fix it"), proposed("1", command), asked("1", Class::Run, command, None)]);
    let run = user.wait(500).sees();
    let reason = user.types("nuse make").sees();
    insta::assert_snapshot!([edit, run, reason].join("----\n"));
}

#[test]
fn a_long_diff_scrolls_in_its_question() {
    let body: String = (1..=60).map(|i| format!("+line {i}\n")).collect();
    let diff = format!(
        "diff --git a/new.txt b/new.txt\nnew file mode 100644\n--- /dev/null\n+++ b/new.txt\n@@ -0,0 +1,60 @@\n{body}"
    );
    let mut user = User::at(60, 18);
    user.hears([started("write"), asked("1", Class::Edit, "write new.txt", Some(&diff))]).wait(500);
    let top = user.sees();
    let down = user.press(KeyCode::PageDown).press(KeyCode::Down).sees();
    let end = user.press(KeyCode::End).sees();
    insta::assert_snapshot!([top, down, end].join("----\n"));
}

#[test]
fn messages_wait_while_the_model_works() {
    let mut user = User::at(60, 16);
    user.hears([started("first"), text("working on it")]);
    for message in ["second", "third\nwith two lines", "fourth", "fifth"] {
        user.paste(message).press(KeyCode::Enter);
    }
    insta::assert_snapshot!(user.types("and one more").sees());
}

#[test]
fn a_view_that_was_scrolled_up_stays() {
    let mut user = User::at(60, 14);
    let long: String = (1..=40).map(|i| format!("{i}. item\n")).collect();
    user.hears([started("count"), text(&long)]).sees();
    let up = user.press(KeyCode::PageUp).sees();
    let stays = user.hears([text("41. item\n"), text("42. item\n")]).sees();
    let end = user.press(KeyCode::End).sees();
    insta::assert_snapshot!([up, stays, end].join("----\n"));
}

#[test]
fn suggestions() {
    let mut user = User::at(60, 14);
    let commands = user.types("/").sees();
    user.press(KeyCode::Backspace).types("see @");
    assert_eq!(user.asked(), [Effect::ListFiles]);
    update::files(&mut user.app, ["README.md", "src/stats.py", "tests/test_stats.py"].map(String::from).into());
    let files = user.types("st").press(KeyCode::Down).sees();
    let taken = user.press(KeyCode::Tab).sees();
    insta::assert_snapshot!([commands, files, taken].join("----\n"));
}

#[test]
fn the_context_is_listed_with_what_each_message_takes() {
    let mut user = User::at(60, 12);
    user.types("/context").press(KeyCode::Enter);
    assert_eq!(user.asked(), [Effect::Send(Input::Context)]);
    let part =
        |number, what: &str, begins: &str, tokens| Part { number, what: what.into(), begins: begins.into(), tokens };
    let parts = vec![
        part(1, "request", "Fix the mean, which is wrong where there is one value", 40),
        part(2, "read", "1| def mean(values):", 1_812),
        part(3, "answer", "The mean is right now.", 120),
    ];
    user.hears([Event::Window { opening: 302, parts, used: 2_290, context: 32_768 }]);
    let listed = user.sees();
    user.types("/context drop 2").press(KeyCode::Enter);
    assert_eq!(user.asked(), [Effect::Send(Input::LeaveOut(2))]);
    insta::assert_snapshot!(listed);
}

#[test]
fn help() {
    let wide = User::at(100, 60).press(KeyCode::F(1)).sees();
    let narrow = User::at(30, 12).press(KeyCode::F(1)).press(KeyCode::PageDown).sees();
    insta::assert_snapshot!([wide, narrow].join("----\n"));
}

#[test]
fn a_small_terminal() {
    let mut user = User::at(20, 5);
    let empty = user.sees();
    let turn = user.hears(a_turn()).types("hello").sees();
    user.hears([asked("9", Class::Edit, "edit src/stats.py", Some(DIFF))]).wait(2_000);
    let question = user.sees();
    insta::assert_snapshot!([empty, turn, question].join("----\n"));
}

#[test]
fn endings() {
    let mut user = User::at(70, 22);
    user.hears([
        started("one"),
        text("Half an ans"),
        proposed("1", "run sleep 100"),
        ended(Outcome::Interrupted, "no file was changed"),
    ]);
    user.hears([started("two"), ended(Outcome::NotDone, "the check still fails after 3 attempts")]);
    user.hears([
        started("three"),
        Event::Failed { message: "the model stopped: out of memory; start again with a smaller --context".into() },
    ]);
    fold::session_ended(&mut user.app);
    insta::assert_snapshot!(user.sees());
}

#[test]
fn undo_and_redo_show_what_they_did() {
    let mut user = User::at(70, 26);
    user.hears([edited(Change::Undo), edited(Change::Redo)]);
    user.hears([
        Event::Compacted { before: 30_100, after: 12_000 },
        Event::Notice { text: "AGENTS.md is read".into() },
    ]);
    insta::assert_snapshot!(user.sees());
}

#[test]
fn a_resumed_session_looks_as_it_did() {
    let mut live = User::at(80, 40);
    live.hears(a_turn());
    // A log need not keep deltas; the messages say the same.
    let past = a_turn().into_iter().map(|event| match event {
        Event::Delta { channel: Channel::Text, text } => said(&text),
        event => event,
    });
    let resumed = User::resuming(80, 40, past.collect()).sees();
    let timeless = |screen: String| screen.replace("thought for 0.0 s", "thought");
    assert_eq!(timeless(live.sees()), timeless(resumed));
}

#[test]
fn a_session_that_was_killed_runs_nothing_when_resumed() {
    let past = vec![
        started("go"),
        proposed("1", "run sleep 100"),
        proposed("2", "run x"),
        asked("2", Class::Run, "run x", None),
    ];
    insta::assert_snapshot!(User::resuming(60, 12, past).sees());
}
