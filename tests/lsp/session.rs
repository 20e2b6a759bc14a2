//! What of it reaches the model and the user, through the session's door.

use std::fs;
use std::sync::Arc;
use std::time::Duration;

use moru::dialect::{Call, Message, Role};
use moru::engine::scripted::Scripted;
use moru::engine::{Delta, Engine, ModelInfo};
use moru::permission::{Mode, Policy};
use moru::sandbox::Sandbox;
use moru::session::{Event, Input, Log, Outcome, Profile, Session, Settings};
use moru::tool::{self, Detail, Registry};
use moru::workspace::{Options, Workspace};
use serde_json::json;
use tempfile::TempDir;

use crate::stage::Stage;

const BEFORE: &str = "wrong = 1\n\n\ndef f():\n    return 1\n";

fn text(text: &str) -> Vec<Delta> {
    vec![Delta::Text(text.into())]
}

fn call(name: &str, arguments: serde_json::Value) -> Vec<Delta> {
    let arguments = arguments.as_object().unwrap().clone();
    vec![Delta::Call(Call { id: String::new(), name: name.into(), arguments })]
}

/// A request about `a.py` to its end: the events, the engine that played `script`, and what the file says then.
async fn play(script: Vec<Vec<Delta>>, parameters: u64) -> (Vec<Event>, Arc<Scripted>, String) {
    let state = TempDir::new().unwrap();
    let stage = Stage::new("push");
    stage.ready().await;
    let (servers, stage) = stage.part();
    fs::write(stage.root.join("a.py"), BEFORE).unwrap();
    let options = Options { state: state.path().to_owned(), dry_run: false };
    let workspace = Arc::new(Workspace::open(&stage.root, options).unwrap());
    let engine = Arc::new(Scripted::new(8000, script).with_parameters(parameters));
    let session = Session {
        profile: Profile::of(&ModelInfo { parameters, ..engine.info().clone() }),
        engine: engine.clone(),
        log: Log::create(state.path(), workspace.root()).unwrap(),
        workspace,
        tools: Registry::new(tool::builtin()),
        settings: Settings {
            interactive: false,
            check: None,
            trust_check: false,
            check_attempts: 0,
            budget: Duration::from_secs(60),
            max_steps: 8,
            command_timeout: Duration::from_secs(20),
            sandbox: Arc::new(Sandbox::off()),
            index: Arc::default(),
            servers: Arc::new(servers),
        },
        policy: Policy::new(Mode::Edits),
        transcript: vec![Message::new(Role::System, "system")],
        news: Vec::new(),
        turn: 1,
        requests: Vec::new(),
    };
    let mut handle = session.start();
    handle.inputs.send(Input::Prompt("let f in a.py return x".into())).unwrap();
    let mut events = Vec::new();
    while let Some(event) = handle.events.recv().await {
        let ended = matches!(event, Event::TurnEnded { .. });
        events.push(event);
        if ended {
            break;
        }
    }
    handle.close().await;
    stage.wait_for_the_end().await;
    (events, engine, fs::read_to_string(stage.root.join("a.py")).unwrap())
}

fn outcome(events: &[Event]) -> Outcome {
    match events.last() {
        Some(Event::TurnEnded { outcome, .. }) => *outcome,
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn a_free_model_is_told_and_mends_it() {
    let edit = |old: &str, new: &str| call("edit", json!({ "path": "a.py", "old": old, "new": new }));
    let script = vec![edit("return 1", "return wrong"), edit("return wrong", "return x"), text("Done.")];
    let (events, engine, file) = play(script, 32_000_000_000).await;
    assert_eq!((outcome(&events), file), (Outcome::Done, BEFORE.replace("return 1", "return x")));
    let told = engine.requests()[1].messages.last().unwrap().content.clone();
    assert!(told.starts_with("Edited a.py (+1 -1 lines).\nThis brought in an error that pylsp finds."), "{told}");
    assert!(told.ends_with("\na.py:5: this is wrong and more"), "{told}");
    let found: Vec<_> = events
        .iter()
        .filter_map(|event| match event {
            Event::CallFinished { detail: Detail::Change { errors, diagnostics, .. }, .. } => {
                Some((*errors, *diagnostics))
            }
            _ => None,
        })
        .collect();
    assert_eq!(found, [(0, 1), (0, 0)]);
}

#[tokio::test]
async fn what_a_small_model_wrote_stays_and_the_user_sees_what_is_wrong() {
    let written = BEFORE.replace("return 1", "return wrong");
    let (events, _, file) = play(vec![text("change"), text(&format!("{written}```"))], 500_000_000).await;
    assert_eq!((outcome(&events), file), (Outcome::Done, written));
    let told = |event: &Event| matches!(event, Event::CallFinished { output, .. } if output.contains("\na.py:5: this is wrong"));
    assert!(events.iter().any(told), "{events:?}");
}
