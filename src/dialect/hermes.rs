//! The form of Hermes, Qwen2.5, Qwen3 and many fine-tunes:
//!
//! ```text
//! <tool_call>
//! {"name": "read", "arguments": {"path": "src/main.rs"}}
//! </tool_call>
//! ```
//!
//! The template teaches it, and shows past calls and the tools' answers.

use std::sync::Arc;

use super::grammar::{self, Lark};
use super::json_calls::{self, BareJson, CLOSERS, FencedJson, Found, OPENERS, read_calls};
use super::reasoning::Thoughts;
use super::repair;
use super::scan::{Form, Open, Place, Read, Scanner, skip_space};
use super::template::Template;
use super::wait::Wait;
use super::{Dialect, DialectError, Grammar, Message, Parser, Prompt, RenderOptions, ToolSpec, Unfinished};

/// What begins a call.
pub(super) const OPEN: &str = "<tool_call>";
const CLOSE: &str = "</tool_call>";

/// A model whose template knows this form.
#[derive(Debug)]
pub struct Hermes {
    template: Template,
    thoughts: Thoughts,
}

impl Hermes {
    /// The dialect of a model with this template.
    pub fn new(template: Template) -> Self {
        let thoughts = super::probe::thoughts(&template);
        Self { template, thoughts }
    }
}

impl Dialect for Hermes {
    fn name(&self) -> &str {
        "hermes"
    }

    fn render(
        &self,
        messages: &[Message],
        tools: &[ToolSpec],
        options: &RenderOptions,
    ) -> Result<Prompt, DialectError> {
        // The white space between an answer and its calls belongs to the form; templates write it themselves.
        let messages: Vec<_> = messages
            .iter()
            .map(|message| match message.calls.is_empty() {
                true => message.clone(),
                false => Message { content: message.content.trim_end().into(), ..message.clone() },
            })
            .collect();
        Ok(Prompt { text: self.template.render(&messages, tools, options)? })
    }

    fn grammar(&self, tools: &[ToolSpec], required: bool) -> Result<Grammar, DialectError> {
        let mut lark = Lark::default();
        let mut calls = Vec::new();
        for variant in grammar::variants(tools)? {
            let name = serde_json::Value::from(variant.name.as_str());
            let head = format!("\n{{\"name\": {name}, \"arguments\": ");
            let arguments = grammar::json_object(&mut lark, &variant, false);
            calls.push(format!("{} {arguments} {}", grammar::quote(&head), grammar::quote(&format!("}}\n{CLOSE}"))));
        }
        Ok(lark.finish(&calls, OPEN, required))
    }

    fn parser_after(&self, tools: &[ToolSpec], prompt: &Prompt) -> Box<dyn Parser> {
        Box::new(Scanner::new(forms(tools.into()), self.thoughts.clone(), vec![OPEN.into()], prompt))
    }

    fn reasoning(&self) -> Option<(&str, &str)> {
        Some((&self.thoughts.open, &self.thoughts.close))
    }

    fn call_opening(&self) -> &str {
        OPEN
    }
}

/// This form and the ways in which models miss it.
pub(super) fn forms(tools: Arc<[ToolSpec]>) -> Vec<Box<dyn Form>> {
    vec![
        Box::new(Tagged { tools: tools.clone() }),
        Box::new(FencedJson { tools: tools.clone() }),
        Box::new(BareJson { tools }),
    ]
}

/// JSON within tags. Other tags than the right one count where JSON follows.
pub(super) struct Tagged {
    pub tools: Arc<[ToolSpec]>,
}

impl Tagged {
    /// Text that cannot be read up to where it should: up to the closing tag it may still be a call that lacks a bracket.
    fn broken(&self, rest: &str, start: usize, reason: &str, ended: bool) -> Read {
        let closer =
            CLOSERS.iter().filter_map(|closer| Some((start + rest[start..].find(closer)?, closer.len()))).min();
        let Some((at, len)) = closer else {
            return if ended { json_calls::malformed(rest, reason) } else { Read::More(Wait::first(CLOSERS)) };
        };
        match read_calls(&rest[start..at], &self.tools, true) {
            Found::Calls { len: read, items } if skip_space(rest, start + read) >= at => {
                json_calls::whole(&rest[..at + len], items)
            }
            _ => json_calls::malformed(&rest[..at + len], reason),
        }
    }
}

impl Form for Tagged {
    fn starts(&self) -> &[char] {
        &['<']
    }

    fn open(&self, rest: &str, place: Place, ended: bool) -> Open {
        let unsure = if ended { Open::No } else { Open::Unsure };
        let Some(tag) = OPENERS.iter().find(|tag| rest.starts_with(**tag)) else {
            return if OPENERS.iter().any(|tag| tag.starts_with(rest)) { unsure } else { Open::No };
        };
        match rest[tag.len()..].trim_start().chars().next() {
            // On a line of its own the right tag can only be meant as a call.
            _ if *tag == OPEN && place.line_blank => Open::Yes,
            Some('{') if *tag == OPEN => Open::Yes,
            Some('{' | '[') => match repair::looks_like_call(&rest[tag.len()..], &self.tools) {
                Some(true) => Open::Yes,
                Some(false) => Open::No,
                None => unsure,
            },
            None => unsure,
            Some(_) => Open::No,
        }
    }

    fn read(&self, rest: &str, ended: bool) -> Read {
        let start = OPENERS.iter().find(|tag| rest.starts_with(**tag)).map_or(0, |tag| tag.len());
        if rest[start..].trim_start().is_empty() && !ended {
            return Read::MORE;
        }
        let (len, items) = match read_calls(&rest[start..], &self.tools, ended) {
            Found::More(wait) => return Read::More(wait),
            Found::Calls { len, items } => (start + len, items),
            Found::Other(_) => return self.broken(rest, start, "it lacks `name` or `arguments`", ended),
            Found::Broken(reason) => return self.broken(rest, start, &reason, ended),
        };
        // A bracket too many is common and harmless.
        let mut end = skip_space(rest, len);
        while rest[end..].starts_with(['}', ']']) {
            end = skip_space(rest, end + 1);
        }
        let tail = &rest[end..];
        match CLOSERS.iter().find(|closer| tail.starts_with(**closer)) {
            Some(closer) => json_calls::whole(&rest[..end + closer.len()], items),
            None if !ended && CLOSERS.iter().any(|closer| closer.starts_with(tail)) => Read::MORE,
            None => json_calls::whole(&rest[..len], items),
        }
    }

    fn unfinished(&self, rest: &str) -> Option<Unfinished> {
        json_calls::unfinished(rest, &[])
    }
}
