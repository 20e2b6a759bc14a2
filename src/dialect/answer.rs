//! A whole output, read.

use serde::Serialize;
use serde_json::{Value, json};

use super::{Parsed, Parser};

/// What an output means.
#[derive(Debug, Clone, PartialEq, Default, Serialize)]
pub struct Answer {
    pub reasoning: String,
    pub content: String,
    /// `{"name": …, "arguments": {…}}` each; a call that the output breaks off has the text of its arguments so far.
    pub calls: Vec<Value>,
    /// What began like a call and is none, and why.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub malformed: Vec<Value>,
}

impl Answer {
    /// Reads an output that arrives in `pieces`. A `partial` one goes on somewhere else: nothing is made of what could still
    /// become a mark.
    pub fn read<'a>(mut parser: Box<dyn Parser>, pieces: impl IntoIterator<Item = &'a str>, partial: bool) -> Self {
        let mut answer = Self::default();
        for piece in pieces {
            parser.push(piece).into_iter().for_each(|item| answer.add(item));
        }
        if !partial {
            parser.finish().into_iter().for_each(|item| answer.add(item));
        } else if let Some(call) = parser.unfinished() {
            answer.calls.push(json!({"name": call.name, "arguments": call.arguments}));
        }
        answer
    }

    /// The same, with an answer that is but one fenced block of JSON as that JSON: models asked for JSON alone put it into a
    /// fence. For outputs of a model that was offered no tools.
    pub fn unfenced(self) -> Self {
        let inside = || {
            let (language, rest) = self.content.trim().strip_prefix("```")?.split_once('\n')?;
            let text = rest.strip_suffix("```")?.trim();
            let json = matches!(language.trim(), "json" | "") && serde_json::from_str::<Value>(text).is_ok();
            json.then(|| text.to_owned())
        };
        match inside() {
            Some(content) => Self { content, ..self },
            None => self,
        }
    }

    fn add(&mut self, item: Parsed) {
        match item {
            Parsed::Reasoning(text) => self.reasoning.push_str(&text),
            Parsed::Text(text) => self.content.push_str(&text),
            Parsed::Call(call) => self.calls.push(json!({"name": call.name, "arguments": call.arguments})),
            Parsed::Malformed { text, error } => self.malformed.push(json!({"text": text, "error": error})),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_fence_around_nothing_but_json_is_taken_off() {
        let unfenced = |content: &str| Answer { content: content.into(), ..Answer::default() }.unfenced().content;
        assert_eq!(unfenced("```json\n{\"a\": 1}\n```"), "{\"a\": 1}");
        for text in ["See:\n```json\n{}\n```", "```json\n{\n```", "```rust\nfn f() {}\n```", "{\"a\": 1}"] {
            assert_eq!(unfenced(text), text);
        }
    }
}
