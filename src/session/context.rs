//! Keeps the conversation within the context: what is oldest and bulkiest is left out first, the requests never.

use crate::dialect::{Message, Role, ToolSpec};
use crate::engine::{Engine, EngineError};

/// Shares of the context, in per cent: above the first, room is made until the second is reached.
const FULL: usize = 80;
const ROOMY: usize = 50;
/// Messages at the end that are never touched.
const RECENT: usize = 4;

/// What was left out.
#[derive(Debug, PartialEq, Eq)]
pub struct Compacted {
    /// Messages that are gone from the front.
    pub drained: usize,
    /// Tokens of the prompt before and after.
    pub before: usize,
    pub after: usize,
}

/// Makes room where the conversation fills the context. `request` is the index of the newest request. The answers of tools go first, oldest first, each replaced by `stub`;
/// then whole exchanges, but never the system prompt, the newest request, and what came after it.
///
/// # Errors
/// The conversation cannot be rendered.
pub fn compact(
    messages: &mut Vec<Message>,
    request: usize,
    tools: &[ToolSpec],
    engine: &dyn Engine,
    stub: &str,
) -> Result<Option<Compacted>, EngineError> {
    let limit = |share: usize| engine.info().context * share / 100;
    let before = engine.count_prompt(messages, tools)?;
    if before <= limit(FULL) {
        return Ok(None);
    }
    let mut after = before;
    for index in 0..messages.len().saturating_sub(RECENT) {
        if after <= limit(ROOMY) {
            break;
        }
        let message = &mut messages[index];
        if message.role == Role::Tool && message.content.len() > stub.len() {
            stub.clone_into(&mut message.content);
            after = engine.count_prompt(messages, tools)?;
        }
    }
    let first = usize::from(messages.first().is_some_and(|m| m.role == Role::System));
    let mut newest = request;
    let length = messages.len();
    while after > limit(ROOMY) && newest > first {
        // A whole exchange: up to the next request.
        let next = (first + 1..=newest).find(|&i| messages[i].role == Role::User).unwrap_or(newest);
        messages.drain(first..next);
        newest -= next - first;
        after = engine.count_prompt(messages, tools)?;
    }
    Ok((after < before).then_some(Compacted { drained: length - messages.len(), before, after }))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::engine::scripted::Scripted;

    fn words(n: usize) -> String {
        "word ".repeat(n)
    }

    #[test]
    fn bulk_goes_first_and_the_request_stays() {
        let engine = Scripted::new(1000, Vec::new());
        let mut messages = vec![
            Message::new(Role::System, words(10)),
            Message::new(Role::User, "first request"),
            Message::new(Role::Tool, words(600)),
            Message::new(Role::Assistant, words(100)),
            Message::new(Role::User, "second request"),
            Message::new(Role::Assistant, words(100)),
            Message::new(Role::Tool, words(100)),
        ];
        let done = compact(&mut messages, 4, &[], &engine, "left out").unwrap().unwrap();
        assert!(done.before > 800 && done.after <= 500, "{done:?}");
        assert_eq!(messages[2].content, "left out");
        assert_eq!(messages.len(), 7);
    }

    #[test]
    fn whole_exchanges_follow_and_nothing_is_done_without_need() {
        let engine = Scripted::new(1000, Vec::new());
        let mut messages = vec![
            Message::new(Role::System, words(10)),
            Message::new(Role::User, words(500)),
            Message::new(Role::Assistant, words(200)),
            Message::new(Role::User, words(200)),
        ];
        compact(&mut messages, 3, &[], &engine, "left out").unwrap().unwrap();
        assert_eq!(messages.len(), 2);
        assert_eq!((messages[0].role, messages[1].role), (Role::System, Role::User));
        assert_eq!(compact(&mut messages, 1, &[], &engine, "left out").unwrap(), None);
    }
}
