//! A session whose server dies in the middle of a turn.

use std::sync::Arc;

use moru::session::{Event, Outcome};
use serde_json::json;

use crate::conversation::{ask, session};
use crate::fake::{Fake, Play, delta, events, finish, says, usage};

fn end(events: &[Event]) -> (Outcome, String) {
    match events.last() {
        Some(Event::TurnEnded { outcome, report, .. }) => (*outcome, report.clone()),
        other => panic!("{other:?}"),
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_session_says_so_and_goes_on() {
    let (folder, state) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    std::fs::write(folder.path().join("a.txt"), "one\n").unwrap();
    let edit = json!({"path": "a.txt", "old": "one", "new": "two"}).to_string();
    let part = json!({"tool_calls": [{"index": 0, "id": "x", "function": {"name": "edit", "arguments": edit}}]});
    let call = [events(&[delta(part), finish("tool_calls")]), usage()].concat();
    let dying = events(&[delta(json!({"content": "I have"}))]);
    let fake =
        Fake::new("vllm", vec![Play::Stream(call), Play::Break(dying), Play::Stream(says("All is done."))]).await;
    let engine = Arc::new(fake.engine().await);
    let mut handle = session(engine, folder.path(), state.path()).start();
    let events = ask(&mut handle, "say two in a.txt").await;
    let failed =
        events.iter().find_map(|event| if let Event::Failed { message } = event { Some(message) } else { None });
    assert!(failed.is_some_and(|message| message.contains("stopped in the middle of an answer")), "{events:?}");
    assert_eq!(end(&events), (Outcome::NotDone, "1 file was changed: a.txt".into()));
    assert_eq!(std::fs::read_to_string(folder.path().join("a.txt")).unwrap(), "two\n");
    let events = ask(&mut handle, "go on").await;
    assert_eq!(end(&events).0, Outcome::Done);
    let last = fake.asked().pop().unwrap().body["messages"].clone();
    let seen = last.to_string();
    assert!(seen.contains("say two") && seen.contains("go on") && seen.contains("tool_call_id"), "{seen}");
}
