//! A session whose server dies in the middle of a turn.

use std::sync::Arc;
use std::time::Duration;

use moru::dialect::{Message, Role};
use moru::engine::Engine;
use moru::permission::{Mode, Policy};
use moru::sandbox::Sandbox;
use moru::session::{Event, Handle, Input, Log, Outcome, Profile, Session, Settings};
use moru::tool::{self, Registry};
use moru::workspace::{Options, Workspace};
use serde_json::json;

use crate::fake::{Fake, Play, delta, events, finish, says, usage};

async fn ask(handle: &mut Handle, text: &str) -> Vec<Event> {
    handle.inputs.send(Input::Prompt(text.into())).unwrap();
    let mut events = Vec::new();
    while let Some(event) = handle.events.recv().await {
        let ended = matches!(event, Event::TurnEnded { .. });
        events.push(event);
        if ended {
            break;
        }
    }
    events
}

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
    let workspace = Options { state: state.path().to_owned(), dry_run: false };
    let workspace = Arc::new(Workspace::open(folder.path(), workspace).unwrap());
    let session = Session {
        profile: Profile::of(engine.info()),
        engine,
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
            servers: Arc::default(),
        },
        policy: Policy::new(Mode::Yes),
        transcript: vec![Message::new(Role::System, "system")],
        news: Vec::new(),
        requests: Vec::new(),
        turn: 1,
    };
    let mut handle = session.start();
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
