//! How long the first token takes: cold, with a snapshot, in the next turn of a long conversation, and when that is resumed.

use serde::Serialize;

use super::cases::{self, Answer, median};
use crate::cli::{Error, setup};
use crate::config::{Config, Dirs};
use crate::dialect::{Message, Role};
use crate::engine::local::LocalEngine;
use crate::engine::{Engine, Request};

/// Megabytes that the KV caches may take on disk meanwhile.
const SNAPSHOTS: u64 = 16_384;

/// Milliseconds to the first token of a request; medians.
#[derive(Debug, Clone, Copy, Serialize)]
pub struct FirstToken {
    /// Nothing of it has been read before.
    pub cold: f64,
    /// The first request after a start that finds the system prompt on disk.
    pub snapshot: f64,
    /// A later request of a long conversation.
    pub next_turn: f64,
    /// What reading that request's new tokens takes by itself.
    pub only_new: f64,
    /// The next request behind a restart, with the conversation on disk.
    pub resumed: f64,
    /// Tokens that the conversation held.
    pub history: usize,
}

/// Measures, in a folder of its own for what goes on disk.
///
/// # Errors
/// The model cannot be loaded or decoded with, or there is no room on disk.
pub async fn measure(config: &Config, dirs: &Dirs, history: usize, repeat: usize) -> Result<FirstToken, Error> {
    let failed = |e: std::io::Error| Error::Other(format!("there is no room for temporary files: {e}"));
    let config = Config { snapshots: SNAPSHOTS, ..config.clone() };
    let (mut cold, mut snapshot) = (Vec::new(), Vec::new());
    let mut folder = tempfile::tempdir().map_err(failed)?;
    for round in 0..repeat.max(1) {
        if round > 0 {
            folder = tempfile::tempdir().map_err(failed)?;
        }
        let own = Dirs { cache: folder.path().to_owned(), ..dirs.clone() };
        cold.push(opening(&setup::engine(&config, &own)?).await?);
        snapshot.push(opening(&setup::engine(&config, &own)?).await?);
    }
    let own = Dirs { cache: folder.path().to_owned(), ..dirs.clone() };
    let engine = setup::engine(&config, &own)?;
    let lines = lines(&engine, history);
    let (mut next_turn, mut only_new) = (Vec::new(), Vec::new());
    let held = cases::ask(&engine, turn(lines, 0)).await?.usage.prompt;
    let rounds = repeat.max(1);
    let mut said = String::new();
    for round in 1..=rounds {
        let Answer { text, usage, first_ms, .. } = cases::ask(&engine, turn(lines, round)).await?;
        said = text;
        next_turn.push(first_ms);
        only_new.push(engine.reading(usage.prompt - usage.cached).await? * 1000.0);
    }
    engine.close().await;
    drop(engine);
    let mut resumed = Vec::new();
    let mut resuming = turn(lines, rounds);
    let ask = "Say it in other words, and name the three functions that matter least for how fast it is.";
    resuming.messages.extend([Message::new(Role::Assistant, said), Message::new(Role::User, ask)]);
    for _ in 0..rounds {
        resumed.push(cases::ask(&setup::engine(&config, &own)?, resuming.clone()).await?.first_ms);
    }
    let [cold, snapshot, next_turn, only_new, resumed] = [cold, snapshot, next_turn, only_new, resumed].map(median);
    Ok(FirstToken { cold, snapshot, next_turn, only_new, resumed, history: held })
}

/// Milliseconds to the first token of a session's first request.
async fn opening(engine: &LocalEngine) -> Result<f64, Error> {
    let request = cases::session(vec![Message::new(Role::User, "What is an anvil?")]);
    Ok(cases::ask(engine, request).await?.first_ms)
}

/// How many lines make up so many tokens.
fn lines(engine: &LocalEngine, tokens: usize) -> usize {
    const SAMPLE: usize = 400;
    let of_sample = engine.count(&cases::shown(0, SAMPLE).content);
    tokens * SAMPLE / of_sample.max(1)
}

/// The request of one turn of a conversation that began with so many lines.
fn turn(lines: usize, number: usize) -> Request {
    let mut said = vec![cases::shown(0, lines)];
    if number > 0 {
        let ask =
            format!("Say it in {number} words, and name the three functions that matter most for how fast it is.");
        said.extend([Message::new(Role::Assistant, "Code."), Message::new(Role::User, ask)]);
    }
    cases::session(said)
}
