//! What of it reaches the model and the user, through the session's door.

use std::fs;
use std::sync::Arc;

use moru::dialect::Call;
use moru::engine::Delta;
use moru::engine::scripted::Scripted;
use moru::permission::{Mode, Policy};
use moru::session::{Event, Outcome};
use moru::tool::Detail;
use serde_json::json;
use tempfile::TempDir;

use crate::conversation::{ask, session};
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
    let engine = Arc::new(Scripted::new(8000, script).with_parameters(parameters));
    let mut session = session(engine.clone(), &stage.root, state.path());
    session.policy = Policy::new(Mode::Edits);
    session.settings.servers = Arc::new(servers);
    let mut handle = session.start();
    let events = ask(&mut handle, "let f in a.py return x").await;
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
