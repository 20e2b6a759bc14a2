//! What is measured beyond plain reading and writing: requests, and what drafts, grammars and company bring or cost.

use std::time::Instant;

use futures_util::StreamExt;
use futures_util::future::try_join_all;
use serde::Serialize;
use tokio_util::sync::CancellationToken;

use crate::cli::Error;
use crate::dialect::{Message, Role};
use crate::engine::local::LocalEngine;
use crate::engine::{Constraint, Delta, Engine, Request, Sampling, Usage};
use crate::tool;

/// Tokens of context that the cases take.
pub const CONTEXT: usize = 8192;
/// Tokens of prose, or of a call, that are written.
const WRITTEN: usize = 120;
/// The text that is copied: a file of this program.
const FILE: &str = include_str!("../../engine/local/worker.rs");
const LINES: usize = 200;
/// Lines of it that a conversation begins with.
const SHOWN: usize = 120;

/// Writing with drafts against writing without, in the same run.
#[derive(Debug, Clone, Copy, Serialize)]
pub struct Copying {
    /// A file is rewritten with a small change.
    pub copy_speedup: f64,
    /// A text in which nothing repeats.
    pub prose_ratio: f64,
    /// A tool call that the grammar holds to its form, against free text, both without drafts.
    pub constrained_ratio: f64,
    /// The share of the drafted tokens that stand in the copy, a draft model's guesses among them.
    pub acceptance: f64,
    /// Both ways wrote the same copies, and the same prose. llama.cpp computes batches of other sizes in another order, so that
    /// choices between tokens of about the same logit can differ.
    pub identical: bool,
    pub identical_prose: bool,
}

/// Answers that are written side by side, and the tokens of each.
const SIDE_BY_SIDE: u32 = 8;
const EACH: usize = 128;

/// What came of a request.
pub struct Answer {
    pub text: String,
    pub usage: Usage,
    /// Milliseconds to its first token, and to its last.
    pub first_ms: f64,
    last_ms: f64,
}

impl Answer {
    /// Tokens a second, as the engine counts.
    fn decode_rate(&self) -> f64 {
        self.usage.generated as f64 / self.usage.decode_seconds.max(1e-9)
    }

    /// Tokens a second behind the first, by the clock of whoever waits.
    pub fn rate(&self) -> f64 {
        let tokens = self.usage.generated.saturating_sub(1) as f64;
        tokens * 1000.0 / (self.last_ms - self.first_ms).max(1e-6)
    }
}

/// Measures both kinds of writing, alternating; so many tokens of the copy.
///
/// # Errors
/// The engine cannot go on.
pub async fn copying(engine: &LocalEngine, tokens: usize, repeat: usize) -> Result<Copying, Error> {
    let (mut copies, mut proses, mut acceptance) = (Vec::new(), Vec::new(), Vec::new());
    let (mut identical, mut identical_prose) = (true, true);
    let mut constrained = Vec::new();
    for _ in 0..repeat.max(1) {
        let (drafted, plain) = both_ways(engine, copy(tokens)).await?;
        copies.push(drafted.decode_rate() / plain.decode_rate());
        acceptance.push(drafted.usage.accepted as f64 / drafted.usage.drafted.max(1) as f64);
        identical &= drafted.text == plain.text;
        let (drafted, plain) = both_ways(engine, prose()).await?;
        proses.push(drafted.decode_rate() / plain.decode_rate());
        identical_prose &= drafted.text == plain.text;
        constrained.push(ask(engine, call()).await?.decode_rate() / plain.decode_rate());
    }
    Ok(Copying {
        copy_speedup: median(copies),
        prose_ratio: median(proses),
        constrained_ratio: median(constrained),
        acceptance: median(acceptance),
        identical,
        identical_prose,
    })
}

/// What is written with drafts, and without.
async fn both_ways(engine: &LocalEngine, request: Request) -> Result<(Answer, Answer), Error> {
    let drafted = ask(engine, request.clone()).await?;
    Ok((drafted, ask(engine, Request { no_draft: true, ..request }).await?))
}

/// A file of 200 lines is written anew with a small change, as far as so many tokens reach.
pub fn copy(tokens: usize) -> Request {
    let file = head(LINES);
    let ask = format!(
        "```rust\n{file}```\n\nWrite this file anew with the field `chunk` of `Worker` renamed to `batch_size`. Change \
         nothing else."
    );
    Request {
        messages: vec![Message::new(Role::User, ask)],
        copy_from: vec![file],
        prefix: "```rust\n".into(),
        stop: vec!["\n```".into()],
        max_tokens: Some(tokens),
        ..Request::default()
    }
}

/// A text in which nothing repeats.
pub fn prose() -> Request {
    let ask = "Tell the story of a blacksmith's anvil, from the mine to the museum.";
    Request { messages: vec![Message::new(Role::User, ask)], max_tokens: Some(WRITTEN), ..Request::default() }
}

/// The same as a tool call, written to a file.
fn call() -> Request {
    let ask = "Write the story of a blacksmith's anvil, from the mine to the museum, to the file anvil.md.";
    let mut request = session(vec![Message::new(Role::User, ask)]);
    request.constraint =
        Constraint::MustCall(request.tools.iter().filter(|tool| tool.name == "write").cloned().collect());
    Request { no_draft: true, max_tokens: Some(WRITTEN), ..request }
}

/// How many times as fast several answers to one prompt are written at a time as one after the other.
///
/// # Errors
/// The engine cannot go on.
pub async fn side_by_side(engine: &LocalEngine, repeat: usize) -> Result<f64, Error> {
    // The prompt is read once.
    ask(engine, candidate(0, 1)).await?;
    let mut speedups = Vec::new();
    for _ in 0..repeat.max(1) {
        let start = Instant::now();
        let mut alone = 0;
        for number in 0..SIDE_BY_SIDE {
            alone += ask(engine, candidate(number, EACH)).await?.usage.generated;
        }
        let alone = alone as f64 / start.elapsed().as_secs_f64();
        let start = Instant::now();
        let all = (0..SIDE_BY_SIDE).map(|number| ask(engine, candidate(number, EACH)));
        let together: usize = try_join_all(all).await?.iter().map(|answer| answer.usage.generated).sum();
        speedups.push(together as f64 / start.elapsed().as_secs_f64() / alone);
    }
    Ok(median(speedups))
}

/// One of several answers to the same prompt.
fn candidate(number: u32, max_tokens: usize) -> Request {
    let ask = format!("{}\n\nExplain this in great detail, line by line.", head(LINES));
    Request {
        messages: vec![Message::new(Role::User, ask)],
        slot: 1 + number,
        sampling: Sampling { temperature: 0.8, seed: number, ..Sampling::default() },
        no_draft: true,
        max_tokens: Some(max_tokens),
        ..Request::default()
    }
}

fn head(lines: usize) -> String {
    FILE.split_inclusive('\n').take(lines).collect()
}

/// A request with a file, which begins as none of another number does.
pub fn unread(number: usize) -> Request {
    session(vec![shown(number, SHOWN)])
}

/// Lines of a file, over and over, and a question.
pub fn shown(number: usize, lines: usize) -> Message {
    let file: String = FILE.split_inclusive('\n').cycle().take(lines).collect();
    Message::new(Role::User, format!("{number}\n{file}\n\nWhat is this?"))
}

/// A second request behind that.
pub fn followed_up(number: usize) -> Request {
    let mut request = unread(number);
    let said = [Message::new(Role::Assistant, "Code."), Message::new(Role::User, "Say it in one word.")];
    request.messages.extend(said);
    request
}

/// A request as a session makes it: a system prompt and the tools come first.
pub fn session(said: Vec<Message>) -> Request {
    let mut messages = vec![Message::new(Role::System, include_str!("../../../prompts/system.md"))];
    messages.extend(said);
    let tools = tool::builtin().iter().map(|tool| tool.spec().to_spec()).collect();
    Request { messages, tools, max_tokens: Some(16), ..Request::default() }
}

/// Asks, and takes the time.
///
/// # Errors
/// The engine cannot go on.
pub async fn ask(engine: &dyn Engine, request: Request) -> Result<Answer, Error> {
    let start = Instant::now();
    let mut deltas = engine.generate(request, CancellationToken::new());
    let mut answer = Answer { text: String::new(), usage: Usage::default(), first_ms: 0.0, last_ms: 0.0 };
    while let Some(delta) = deltas.next().await {
        match delta? {
            Delta::Prefill { .. } => {}
            Delta::Usage(usage) => answer.usage = usage,
            delta => {
                answer.last_ms = start.elapsed().as_secs_f64() * 1000.0;
                if answer.first_ms == 0.0 {
                    answer.first_ms = answer.last_ms;
                }
                if let Delta::Text(text) = delta {
                    answer.text.push_str(&text);
                }
            }
        }
    }
    Ok(answer)
}

/// The middle one of some measured values.
pub fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    values.get(values.len() / 2).copied().unwrap_or_default()
}
