//! The loop through its door, with a scripted model and real files: asserted is what the model would see next.

mod guided;
mod located;
mod new_tests;

use std::fs;
use std::sync::Arc;
use std::time::Duration;

use serde_json::json;
use tempfile::TempDir;

use super::*;
use crate::dialect::{Call, Role};
use crate::engine::scripted::Scripted;
use crate::engine::{Constraint, Delta, Request};
use crate::tool;
use crate::workspace::Options;

/// A folder, a session on it, and the engine that plays the script.
struct Stage {
    folder: TempDir,
    state: TempDir,
    engine: Arc<Scripted>,
    handle: Handle,
}

fn text(text: &str) -> Vec<Delta> {
    vec![Delta::Text(text.into())]
}

fn call(name: &str, arguments: serde_json::Value) -> Vec<Delta> {
    let arguments = arguments.as_object().unwrap().clone();
    vec![Delta::Call(Call { id: String::new(), name: name.into(), arguments })]
}

fn edit() -> Vec<Delta> {
    call("edit", json!({ "path": "a.txt", "old": "one", "new": "two" }))
}

/// A session of a large model (so a free one) that is allowed everything; `change` adjusts it.
fn stage(script: Vec<Vec<Delta>>, change: impl FnOnce(&mut Session)) -> Stage {
    let (folder, state) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    fs::write(folder.path().join("a.txt"), "one\n").unwrap();
    stage_in(folder, state, script, change)
}

/// The same in a folder that is there.
fn stage_in(folder: TempDir, state: TempDir, script: Vec<Vec<Delta>>, change: impl FnOnce(&mut Session)) -> Stage {
    let options = Options { state: state.path().to_owned(), dry_run: false };
    let workspace = Arc::new(Workspace::open(folder.path(), options).unwrap());
    let engine = Arc::new(Scripted::new(8000, script).with_parameters(32_000_000_000));
    let profile = Profile::of(engine.info());
    let mut session = Session {
        engine: engine.clone(),
        log: Log::create(state.path(), workspace.root()).unwrap(),
        workspace,
        tools: Registry::new(tool::builtin()),
        settings: Settings {
            interactive: true,
            check: None,
            trust_check: true,
            check_attempts: 2,
            budget: Duration::from_secs(200),
            max_steps: 8,
            command_timeout: Duration::from_secs(20),
            sandbox: Arc::new(Sandbox::off()),
            index: Arc::default(),
            servers: Arc::default(),
        },
        profile,
        policy: Policy::new(Mode::Yes),
        transcript: vec![Message::new(Role::System, "system")],
        news: Vec::new(),
        turn: 1,
        requests: Vec::new(),
    };
    change(&mut session);
    Stage { folder, state, engine, handle: session.start() }
}

impl Stage {
    /// Sends a request and collects its events; `answer` answers questions.
    async fn ask(&mut self, prompt: &str, answer: Decision) -> Vec<Event> {
        self.handle.inputs.send(Input::Prompt(prompt.into())).unwrap();
        let mut events = Vec::new();
        while let Some(event) = self.handle.events.recv().await {
            if let Event::PermissionAsked { id, .. } = &event {
                self.handle.inputs.send(Input::Answer { id: id.clone(), decision: answer.clone() }).unwrap();
            }
            let ended = matches!(event, Event::TurnEnded { .. });
            events.push(event);
            if ended {
                break;
            }
        }
        events
    }

    fn file(&self) -> String {
        fs::read_to_string(self.folder.path().join("a.txt")).unwrap()
    }

    /// The last message that the model was shown in its last request.
    fn last_seen(&self) -> Message {
        self.engine.requests().last().unwrap().messages.last().unwrap().clone()
    }
}

fn end(events: &[Event]) -> (Outcome, String) {
    match events.last() {
        Some(Event::TurnEnded { outcome, report, .. }) => (*outcome, report.clone()),
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn a_call_is_done_and_its_result_shown_to_the_model() {
    let mut stage = stage(vec![edit(), text("Done.")], |_| {});
    let events = stage.ask("a.txt is wrong", Decision::Once).await;
    assert_eq!(stage.file(), "two\n");
    assert_eq!(end(&events), (Outcome::Done, "1 file was changed: a.txt".into()));
    assert_eq!(stage.last_seen().role, Role::Tool);
    let first = &stage.engine.requests()[0].messages;
    assert!(first[1].content.contains("a.txt\n```txt\none\n```"), "the named file stands in the request");
}

#[tokio::test]
async fn a_file_that_a_text_under_way_names_is_read_ahead() {
    let mut stage = stage(vec![Vec::new(), text("It counts.")], |_| {});
    for draft in ["what", "what is @a.txt", "what is @a.txt ", "what is @a.txt f"] {
        stage.handle.inputs.send(Input::Draft(draft.into())).unwrap();
    }
    stage.ask("what is @a.txt for?", Decision::Once).await;
    let requests = stage.engine.requests();
    let [begun, named, asked] = requests.as_slice() else { panic!("{requests:?}") };
    assert!(begun.max_tokens == Some(0) && named.max_tokens == Some(0) && asked.max_tokens != Some(0));
    let last = |request: &Request| request.messages.last().unwrap().content.clone();
    assert_eq!((last(begun).as_str(), last(named).as_str()), ("", "a.txt\n```txt\none\n```\n\n"));
    assert!(last(asked).starts_with(&last(named)));
    assert_eq!(named.messages.len(), asked.messages.len());
}

#[tokio::test]
async fn what_the_model_claims_is_no_report() {
    let mut stage = stage(vec![text("I have changed a.txt.")], |_| {});
    let events = stage.ask("change it", Decision::Once).await;
    assert_eq!(end(&events), (Outcome::Done, "no file was changed".into()));
}

#[tokio::test]
async fn a_no_keeps_the_file_and_the_model_hears_why() {
    let mut stage = stage(vec![edit(), text("All right.")], |s| s.policy = Policy::new(Mode::Ask));
    let events = stage.ask("a.txt is wrong", Decision::No("keep it".into())).await;
    assert_eq!(stage.file(), "one\n");
    assert!(stage.last_seen().content.contains("keep it"));
    assert_eq!(end(&events).1, "no file was changed");
}

#[tokio::test]
async fn where_nobody_can_be_asked_it_is_refused() {
    let change = |s: &mut Session| {
        s.policy = Policy::new(Mode::Ask);
        s.settings.interactive = false;
    };
    let mut stage = stage(vec![edit(), text("All right.")], change);
    stage.ask("a.txt is wrong", Decision::Once).await;
    assert_eq!(stage.file(), "one\n");
    assert!(stage.last_seen().content.contains("--yes"));
}

#[tokio::test]
async fn a_failed_check_goes_back_to_the_model_and_a_passed_one_ends_the_turn() {
    let better = call("edit", json!({ "path": "a.txt", "old": "two", "new": "three" }));
    let script = vec![edit(), text("Done."), better, text("Done.")];
    let mut stage = stage(script, |s| s.settings.check = Some("grep three a.txt".into()));
    let events = stage.ask("a.txt is wrong", Decision::Once).await;
    let passed: Vec<bool> = events
        .iter()
        .filter_map(|e| if let Event::Checked { passed, .. } = e { Some(*passed) } else { None })
        .collect();
    assert_eq!(passed, [false, true]);
    assert_eq!(end(&events), (Outcome::Done, "1 file was changed: a.txt; the check passes".into()));
}

#[tokio::test]
async fn a_check_that_keeps_failing_is_not_done() {
    let script = vec![edit(), text("Done."), text("It is right."), text("It is right.")];
    let mut stage = stage(script, |s| s.settings.check = Some("false".into()));
    let events = stage.ask("a.txt is wrong", Decision::Once).await;
    assert_eq!(end(&events), (Outcome::NotDone, "1 file was changed: a.txt; the check still fails".into()));
}

#[tokio::test]
async fn the_same_call_with_the_same_result_ends_the_turn() {
    let read = || call("read", json!({ "path": "a.txt" }));
    let mut stage = stage(vec![read(), read(), read(), read()], |_| {});
    let events = stage.ask("look", Decision::Once).await;
    assert_eq!(end(&events).0, Outcome::NotDone);
    assert_eq!(stage.engine.requests().len(), 3);
    assert!(stage.last_seen().content.contains("this very call before"));
}

#[tokio::test]
async fn a_malformed_call_is_answered_with_its_error() {
    let malformed = vec![Delta::Malformed { text: "```tool".into(), error: "no such tool".into() }];
    let mut stage = stage(vec![malformed, text("Sorry.")], |_| {});
    stage.ask("look", Decision::Once).await;
    assert!(stage.last_seen().content.contains("no such tool"));
}

#[tokio::test]
async fn undo_and_redo_wait_for_the_turn_and_are_events() {
    let mut stage = stage(vec![edit(), text("Done.")], |_| {});
    stage.ask("a.txt is wrong", Decision::Once).await;
    for (input, change, content) in [(Input::Undo(1), Change::Undo, "one\n"), (Input::Redo(1), Change::Redo, "two\n")] {
        stage.handle.inputs.send(input).unwrap();
        let event = stage.handle.events.recv().await.unwrap();
        assert!(matches!(event, Event::Edited { change: c, .. } if c == change), "{event:?}");
        assert_eq!(stage.file(), content);
    }
}

#[tokio::test]
async fn a_note_is_kept_in_the_project_and_told_at_once() {
    let mut stage = stage(vec![text("Yes.")], |_| {});
    stage.handle.inputs.send(Input::Note("Use tabs.".into())).unwrap();
    let event = stage.handle.events.recv().await.unwrap();
    assert!(matches!(event, Event::Edited { change: Change::Note, .. }), "{event:?}");
    assert_eq!(fs::read_to_string(stage.folder.path().join("AGENTS.md")).unwrap(), "- Use tabs.\n");
    stage.ask("Understood?", Decision::Once).await;
    assert_eq!(stage.last_seen().content, "(The user wants this kept in mind: Use tabs.)\n\nUnderstood?");
    stage.handle.inputs.send(Input::Note("Long. ".repeat(2000))).unwrap();
    stage.handle.events.recv().await;
    let event = stage.handle.events.recv().await.unwrap();
    assert!(matches!(&event, Event::Notice { text } if text.contains("shorten it")), "{event:?}");
}

#[tokio::test]
async fn what_the_user_takes_out_of_the_context_is_gone() {
    let script = vec![call("read", json!({ "path": "a.txt" })), text("It says one."), text("Two."), text("Three.")];
    let mut stage = stage(script, |_| {});
    stage.ask("What does a.txt say?", Decision::Once).await;
    stage.ask("And then?", Decision::Once).await;
    let mut say = async |input: Input| {
        stage.handle.inputs.send(input).unwrap();
        stage.handle.events.recv().await.unwrap()
    };
    let Event::Window { parts, .. } = say(Input::Context).await else { panic!() };
    let what: Vec<&str> = parts.iter().map(|part| part.what.as_str()).collect();
    assert_eq!(what, ["request", "answer", "read", "answer", "request", "answer"]);
    assert_eq!(parts[3].begins, "It says one.");
    // The output of a tool leaves a word, a request goes with what came of it, and an answer cannot go alone.
    let refused = say(Input::LeaveOut(4)).await;
    assert_eq!(refused, Event::Notice { text: "that goes with its request: /context drop 1".into() });
    let left = say(Input::LeaveOut(3)).await;
    assert!(matches!(left, Event::LeftOut { behind: 3, messages: 1, instead: Some(_) }), "{left:?}");
    let Some(Event::Window { parts, .. }) = stage.handle.events.recv().await else { panic!() };
    assert!(parts[2].begins.starts_with('('), "{parts:?}");
    stage.handle.inputs.send(Input::LeaveOut(5)).unwrap();
    assert_eq!(stage.handle.events.recv().await, Some(Event::LeftOut { behind: 0, messages: 2, instead: None }));
    stage.handle.events.recv().await;
    stage.ask("Go on.", Decision::Once).await;
    let seen = stage.engine.requests().last().unwrap().messages.clone();
    assert_eq!(seen.len(), 6);
    assert_eq!(seen.last().unwrap().content, "Go on.");
}

#[tokio::test]
async fn an_interrupt_while_asked_ends_the_turn_and_the_next_one_works() {
    let mut stage = stage(vec![edit(), text("Hello.")], |s| s.policy = Policy::new(Mode::Ask));
    stage.handle.inputs.send(Input::Prompt("a.txt is wrong".into())).unwrap();
    while let Some(event) = stage.handle.events.recv().await {
        match event {
            Event::PermissionAsked { .. } => stage.handle.inputs.send(Input::Interrupt).unwrap(),
            Event::TurnEnded { outcome, .. } => {
                assert_eq!(outcome, Outcome::Interrupted);
                break;
            }
            _ => {}
        }
    }
    let events = stage.ask("hello", Decision::Once).await;
    assert_eq!(end(&events).0, Outcome::Done);
    assert_eq!(stage.file(), "one\n");
}

#[tokio::test]
async fn a_folder_that_vanishes_is_one_sentence() {
    let mut stage = stage(vec![edit()], |_| {});
    fs::remove_dir_all(stage.folder.path()).unwrap();
    let events = stage.ask("a.txt is wrong", Decision::Once).await;
    assert!(events.iter().any(|e| matches!(e, Event::Failed { message } if message.contains("gone"))), "{events:?}");
    assert_eq!(end(&events).0, Outcome::NotDone);
}

#[tokio::test]
async fn what_can_be_replaced_is_what_stands_in_a_file_that_was_seen() {
    let mut stage = stage(vec![edit(), text("Done.")], |_| {});
    stage.ask("a.txt is wrong", Decision::Once).await;
    let Constraint::Call(specs) = &stage.engine.requests()[0].constraint else { panic!("a free model may call") };
    let edit = specs.iter().find(|spec| spec.name == "edit").unwrap();
    assert_eq!(edit.parameters["properties"]["path"]["enum"], json!(["a.txt"]));
    assert_eq!(edit.parameters["properties"]["old"]["x-substring-of"], "one\n");
}

#[tokio::test]
async fn an_interrupt_reaches_a_request_that_has_not_begun() {
    let mut stage = stage(vec![text("Hello."), text("Hello.")], |_| {});
    stage.handle.inputs.send(Input::Prompt("hello".into())).unwrap();
    stage.handle.inputs.send(Input::Interrupt).unwrap();
    let mut outcomes = Vec::new();
    while outcomes.is_empty() {
        if let Event::TurnEnded { outcome, .. } = stage.handle.events.recv().await.unwrap() {
            outcomes.push(outcome);
        }
    }
    assert_eq!(outcomes, [Outcome::Interrupted]);
    // And none after it.
    assert_eq!(end(&stage.ask("hello", Decision::Once).await).0, Outcome::Done);
}

#[tokio::test]
async fn an_argument_that_repeats_its_description_is_not_taken_for_a_value() {
    let script = vec![call("write", json!({ "path": "a.txt", "content": "the file\n" })), text("Done.")];
    let mut stage = stage(script, |_| {});
    stage.ask("Write two to a.txt.", Decision::Once).await;
    assert_eq!(stage.file(), "one\n");
    assert_eq!(stage.last_seen().content, "`content` only says what that argument is (the file); give the text itself");
}
