//! The first use of a model: can it write a tool call when nothing makes it? One question, whose answer is kept beside the
//! sessions, decides whether the profile's workflow may trust the model to call by itself.

use std::path::{Path, PathBuf};

use futures_util::StreamExt;
use serde::{Deserialize, Serialize};
use tokio_util::sync::CancellationToken;

use crate::dialect::{Message, Role, ToolSpec};
use crate::engine::{Constraint, Delta, Engine, EngineError, Request, Stop};

/// Tokens that a call of one argument never needs, with some thought before it.
const LIMIT: usize = 1500;
/// Bytes of text after which no call will come: whoever begins with so much of it would go on for a minute on a CPU.
const TEXT: usize = 400;

/// What the test found.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SelfTest {
    /// The model called the right tool with the right argument.
    pub calls: bool,
    /// What it wrote, where it did not.
    #[serde(default)]
    pub wrote: String,
}

/// The result for this model: from `state`, or found now, after `first` was told, and kept there.
///
/// # Errors
/// The engine cannot go on.
pub async fn run(
    engine: &dyn Engine,
    state: &Path,
    specs: &[ToolSpec],
    first: impl FnOnce(),
) -> Result<SelfTest, EngineError> {
    let kept = path(engine, state);
    if let Some(known) = std::fs::read(&kept).ok().and_then(|bytes| serde_json::from_slice(&bytes).ok()) {
        return Ok(known);
    }
    first();
    let (found, is_telling) = ask(engine, specs).await?;
    tracing::info!(?found, is_telling, "self-test");
    if !is_telling {
        return Ok(SelfTest { calls: true, ..found });
    }
    let saved = serde_json::to_vec(&found).map_err(std::io::Error::from).and_then(|bytes| {
        kept.parent().map_or(Ok(()), std::fs::create_dir_all)?;
        std::fs::write(&kept, bytes)
    });
    if let Err(error) = saved {
        tracing::warn!(%error, "the self-test's result is not kept");
    }
    Ok(found)
}

fn path(engine: &dyn Engine, state: &Path) -> PathBuf {
    let info = engine.info();
    let plain = |c: char| if c.is_ascii_alphanumeric() || c == '.' || c == '-' { c } else { '_' };
    let name: String = info.name.chars().map(plain).collect();
    let version = env!("CARGO_PKG_VERSION");
    state.join("selftest").join(format!("{version}-{name}-{}-{}.json", info.size, info.dialect))
}

/// What the model did, and whether that tells anything.
async fn ask(engine: &dyn Engine, specs: &[ToolSpec]) -> Result<(SelfTest, bool), EngineError> {
    let request = Request {
        messages: vec![
            Message::new(Role::System, "You work on files through tools."),
            Message::new(Role::User, "Read the file notes.txt."),
        ],
        tools: specs.to_vec(),
        constraint: Constraint::Call(specs.to_vec()),
        sampling: engine.info().sampling.clone().unwrap_or_default(),
        max_tokens: Some(LIMIT),
        ..Request::default()
    };
    let mut deltas = engine.generate(request, CancellationToken::new());
    let (mut found, mut is_telling) = (SelfTest { calls: false, wrote: String::new() }, true);
    while let Some(delta) = deltas.next().await {
        match delta? {
            Delta::Call(call) => {
                let path = call.arguments.get("path").and_then(|path| path.as_str()).unwrap_or_default();
                found.calls = call.name == "read" && path.trim_start_matches("./") == "notes.txt";
            }
            Delta::Text(text) | Delta::Malformed { text, .. } => {
                found.wrote.push_str(&text);
                if found.wrote.len() > TEXT {
                    break;
                }
            }
            // Whoever was still thinking has shown nothing yet.
            Delta::Usage(usage) => is_telling = usage.stop != Stop::Length,
            Delta::Reasoning(_) | Delta::Prefill { .. } => {}
        }
    }
    Ok((found, is_telling))
}
