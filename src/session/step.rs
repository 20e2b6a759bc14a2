//! One generation of a turn: deltas to events, and what they add up to.

use futures_util::StreamExt;
use futures_util::stream::BoxStream;
use tokio_util::sync::CancellationToken;

use super::driver::Door;
use super::list::ends_in_list;
use super::{Channel, Event, Session};
use crate::dialect::{Call, Message, Role};
use crate::engine::{Constraint, Delta, EngineError, Request, Sampling, Stop, Usage};

/// What one generation gave.
#[derive(Debug, Default)]
pub(super) struct Step {
    pub text: String,
    pub reasoning: String,
    pub calls: Vec<Call>,
    /// How the model wrote the call, where that was no call: see [`Message::written`].
    pub written: Option<String>,
    /// What was to be a call and is none: its text, and a sentence for the model.
    pub malformed: Option<(String, String)>,
    /// It was ended since it went on with lines of one shape.
    pub is_list: bool,
    pub usage: Usage,
}

impl Step {
    /// The assistant's message that it adds to the transcript.
    pub fn message(&self) -> Message {
        let mut message = Message::new(Role::Assistant, self.text.trim_end());
        if let Some((text, _)) = &self.malformed {
            message.content.push_str(text);
        }
        message.reasoning = Some(self.reasoning.clone()).filter(|r| !r.is_empty());
        message.calls.clone_from(&self.calls);
        message.written.clone_from(&self.written);
        message
    }
}

/// Where an answer begins and ends, and whom it is for.
#[derive(Debug, Clone, Default)]
pub(super) struct Limits {
    pub prefix: String,
    pub stop: Vec<String>,
    pub max_tokens: Option<usize>,
    /// What it will likely repeat.
    pub copy_from: Vec<String>,
    /// What is written is a file's text, and no answer.
    pub draft: bool,
    /// It ends where too many lines of one shape follow each other, which a table may do and a list of cases does when the model
    /// knows no end.
    pub no_lists: bool,
}

/// Asks the engine to go on behind the transcript, and publishes what comes.
///
/// # Errors
/// The engine cannot go on.
pub(super) async fn generate(
    session: &mut Session,
    door: &Door,
    constraint: Constraint,
    sampling: Sampling,
    limits: Limits,
    cancel: &CancellationToken,
) -> Result<Step, EngineError> {
    let Limits { prefix, stop, max_tokens, copy_from, draft, no_lists } = limits;
    let request = Request {
        messages: session.transcript.clone(),
        tools: session.specs(),
        constraint,
        prefix,
        stop,
        sampling,
        max_tokens,
        copy_from,
        ..Request::default()
    };
    let enough = cancel.child_token();
    let mut deltas = session.engine.generate(request, enough.clone());
    let mut step = Step::default();
    let mut last = None;
    while let Some(delta) = deltas.next().await {
        match delta? {
            Delta::Reasoning(text) => {
                step.reasoning.push_str(&text);
                door.publish(Event::Delta { channel: Channel::Reasoning, text });
            }
            Delta::Text(text) => {
                step.text.push_str(&text);
                if no_lists && text.contains('\n') && ends_in_list(&step.text) {
                    enough.cancel();
                }
                let channel = if draft { Channel::Draft } else { Channel::Text };
                door.publish(Event::Delta { channel, text });
            }
            Delta::Call(call) => step.calls.push(call),
            Delta::Malformed { text, error } => step.malformed = Some((text, error)),
            Delta::Prefill { done, total } => door.publish(Event::Reading { done, total }),
            Delta::Usage(usage) => last = Some(usage),
        }
    }
    step.usage = last.ok_or_else(|| EngineError::Decode("its thread has ended".into()))?;
    if step.usage.stop == Stop::Cancelled && enough.is_cancelled() && !cancel.is_cancelled() {
        (step.usage.stop, step.is_list) = (Stop::Loop, true);
    }
    if step.usage.stop == Stop::Cancelled {
        // It will not be made, so it must not stand in the transcript without an answer.
        step.calls.clear();
    }
    session.publish(door, Event::Generated { usage: step.usage });
    Ok(step)
}

/// Has the model pick one of `choices` as the answer to `question`, which leaves no trace in the transcript.
///
/// # Errors
/// The engine cannot go on.
pub(super) async fn choose(
    session: &Session,
    question: String,
    choices: &[&str],
    cancel: &CancellationToken,
) -> Result<String, EngineError> {
    let mut messages = session.transcript.clone();
    // In a turn of its own the question drew words that fit it, whatever the request before it was. (Where calls are taught, the
    // user's messages are joined anyway.)
    match messages.last_mut() {
        Some(last) if last.role == Role::User => last.content.push_str(&format!("\n\n{question}")),
        _ => messages.push(Message::new(Role::User, question)),
    }
    let choices = choices.iter().map(|&c| c.to_owned()).collect();
    let request =
        Request { messages, tools: session.specs(), constraint: Constraint::OneOf(choices), ..Request::default() };
    write(session, request, cancel).await.map(|(answer, _)| answer)
}

/// The text of a generation that leaves no trace in the transcript, and what it took.
///
/// # Errors
/// The engine cannot go on.
pub(super) async fn write(
    session: &Session,
    request: Request,
    cancel: &CancellationToken,
) -> Result<(String, Usage), EngineError> {
    collect(session.engine.generate(request, cancel.clone())).await
}

/// The text of a generation, and what it took.
///
/// # Errors
/// The engine cannot go on.
pub(super) async fn collect(
    mut deltas: BoxStream<'static, Result<Delta, EngineError>>,
) -> Result<(String, Usage), EngineError> {
    let (mut text, mut usage) = (String::new(), Usage::default());
    while let Some(delta) = deltas.next().await {
        match delta? {
            Delta::Text(piece) => text.push_str(&piece),
            Delta::Usage(used) => usage = used,
            _ => {}
        }
    }
    Ok((text, usage))
}
