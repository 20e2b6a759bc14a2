//! A form for models without one of their own, and for those that write code badly inside of JSON: fenced blocks, which
//! every model knows. It is taught by the prompt, and code needs no escapes in it.
//!
//! ````text
//! ```tool read path=src/main.rs start=10
//! ```
//!
//! ```tool write path=notes.txt
//! as many lines as there are
//! ```
//!
//! ```tool edit path=src/main.rs
//! <<<<<<< SEARCH
//! the text that stands
//! =======
//! the new text
//! >>>>>>> REPLACE
//! ```
//! ````
//!
//! The opening line has the tool and its short arguments: strings bare, or in JSON's quotes where they are empty or have
//! white space or quotes; everything else as JSON. Long texts ([`schema::long_text`]) stand in the body: one of them alone,
//! two of them between conflict markers whose labels are the properties' `x-label`s. A third one goes into the opening line.
//! Where a text has lines that look like the end of the block, fence or markers are written longer.

mod constrain;
mod read;
#[cfg(test)]
mod tests;
mod write;

use std::sync::Arc;

use serde_json::Value;

use super::grammar::{self, Lark};
use super::hermes;
use super::reasoning::Splitter;
use super::scan::{Form, Scanner};
use super::schema::{self, LongText};
use super::template::Template;
use super::{Dialect, DialectError, Grammar, Message, Parser, Prompt, RenderOptions, Role, ToolSpec};

/// What begins a call.
const OPEN: &str = "```tool ";
/// The word behind the fence.
const WORD: &str = "tool";
/// Stands below text whose last line does not end, as in a patch.
const NO_NEWLINE: &str = "\\ No newline at end of file\n";

/// A model that is taught to call tools by fenced blocks.
#[derive(Debug)]
pub struct Fenced {
    template: Template,
    /// Whether the template has a place for a system message.
    has_system: bool,
}

impl Fenced {
    /// The dialect of a model with this template, whatever the template knows of tools.
    pub fn new(template: Template) -> Self {
        let probe = [Message::new(Role::System, "probe-of-system"), Message::new(Role::User, "probe")];
        let shown = template.render(&probe, &[], &RenderOptions::default());
        let has_system = shown.is_ok_and(|text| text.contains("probe-of-system"));
        Self { template, has_system }
    }

    /// The conversation in plain messages: calls and answers as text, the tools described in the system message, no two
    /// messages of the user in a row (many templates refuse them).
    fn plain(&self, messages: &[Message], tools: &[ToolSpec]) -> Vec<Message> {
        let mut plain: Vec<Message> = Vec::new();
        let mut system = String::new();
        for message in messages {
            match message.role {
                Role::System => join(&mut system, &message.content),
                Role::Assistant => plain.push(Message {
                    content: write::assistant(message, tools),
                    reasoning: message.reasoning.clone(),
                    ..Message::new(Role::Assistant, "")
                }),
                Role::User | Role::Tool => {
                    let text = match (message.role, &message.name) {
                        (Role::Tool, Some(name)) => format!("Result of {name}:\n{}", message.content),
                        (Role::Tool, None) => format!("Result:\n{}", message.content),
                        _ => message.content.clone(),
                    };
                    match plain.last_mut() {
                        Some(last) if last.role == Role::User => join(&mut last.content, &text),
                        _ => plain.push(Message::new(Role::User, text)),
                    }
                }
            }
        }
        if !tools.is_empty() {
            join(&mut system, &write::manual(tools));
        }
        match plain.first_mut() {
            _ if system.is_empty() => {}
            None if !self.has_system => plain.push(Message::new(Role::User, system)),
            Some(first) if !self.has_system && first.role == Role::User => {
                join(&mut system, &first.content);
                first.content = system;
            }
            _ => plain.insert(0, Message::new(Role::System, system)),
        }
        plain
    }
}

/// Adds a paragraph.
fn join(text: &mut String, more: &str) {
    if !text.is_empty() {
        text.push_str("\n\n");
    }
    text.push_str(more);
}

impl Dialect for Fenced {
    fn name(&self) -> &str {
        "fenced"
    }

    fn render(
        &self,
        messages: &[Message],
        tools: &[ToolSpec],
        options: &RenderOptions,
    ) -> Result<Prompt, DialectError> {
        Ok(Prompt { text: self.template.render(&self.plain(messages, tools), &[], options)? })
    }

    fn grammar(&self, tools: &[ToolSpec], required: bool) -> Result<Grammar, DialectError> {
        let mut lark = Lark::default();
        let variants = grammar::variants(tools)?;
        let calls: Vec<_> = variants.iter().map(|variant| constrain::call(&mut lark, variant)).collect();
        Ok(lark.finish(&calls, OPEN, required))
    }

    fn parser(&self, tools: &[ToolSpec]) -> Box<dyn Parser> {
        let tools: Arc<[ToolSpec]> = tools.into();
        let mut forms: Vec<Box<dyn Form>> = vec![Box::new(read::Block { tools: tools.clone() })];
        forms.extend(hermes::forms(tools));
        Box::new(Splitter::new(OPEN, Box::new(Scanner::new(forms))))
    }

    fn call_opening(&self) -> &'static str {
        OPEN
    }
}

/// A long text of the body.
#[derive(Debug, Clone)]
struct Long {
    name: String,
    kind: LongText,
    label: String,
}

/// The properties that stand in the body: the first two long ones.
fn body<'a>(properties: impl Iterator<Item = (&'a str, &'a Value)>) -> Vec<Long> {
    properties
        .filter_map(|(name, property)| {
            let label = property.get("x-label").and_then(Value::as_str);
            let label = label.map_or_else(|| name.to_uppercase(), str::to_owned);
            Some(Long { name: name.to_owned(), kind: schema::long_text(property)?, label })
        })
        .take(2)
        .collect()
}
