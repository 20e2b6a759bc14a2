//! A session with nobody at the terminal, and a request to it.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use moru::dialect::{Message, Role};
use moru::engine::Engine;
use moru::permission::{Mode, Policy};
use moru::sandbox::Sandbox;
use moru::session::{Event, Handle, Input, Log, Profile, Session, Settings};
use moru::tool::{self, Registry};
use moru::workspace::{Options, Workspace};

/// A session in `folder`, whose record is kept in `state`: all is allowed, and there is no check.
pub fn session(engine: Arc<dyn Engine>, folder: &Path, state: &Path) -> Session {
    let options = Options { state: state.to_owned(), dry_run: false };
    let workspace = Arc::new(Workspace::open(folder, options).unwrap());
    Session {
        profile: Profile::of(engine.info()),
        engine,
        log: Log::create(state, workspace.root()).unwrap(),
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
    }
}

/// Sends a request; all that happens until its turn is over.
pub async fn ask(handle: &mut Handle, text: &str) -> Vec<Event> {
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
