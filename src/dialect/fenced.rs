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
use super::reasoning::Thoughts;
use super::scan::{Form, Scanner};
use super::schema::{self, LongText};
use super::template::Template;
use super::{Dialect, DialectError, Grammar, Message, Parser, Prompt, RenderOptions, ToolSpec, taught};

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
    thoughts: Thoughts,
}

impl Fenced {
    /// The dialect of a model with this template, whatever the template knows of tools.
    pub fn new(template: Template) -> Self {
        let has_system = taught::has_system(&template);
        let thoughts = super::probe::thoughts(&template);
        Self { template, has_system, thoughts }
    }
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
        let manual = if tools.is_empty() { String::new() } else { write::manual(tools) };
        let messages = taught::plain(messages, &manual, self.has_system, |message| write::assistant(message, tools));
        Ok(Prompt { text: self.template.render(&messages, &[], options)? })
    }

    fn grammar(&self, tools: &[ToolSpec], required: bool) -> Result<Grammar, DialectError> {
        let mut lark = Lark::default();
        let variants = grammar::variants(tools)?;
        let calls: Vec<_> = variants.iter().map(|variant| constrain::call(&mut lark, variant)).collect();
        Ok(lark.finish(&calls, OPEN, required))
    }

    fn parser_after(&self, tools: &[ToolSpec], prompt: &Prompt) -> Box<dyn Parser> {
        let tools: Arc<[ToolSpec]> = tools.into();
        let mut forms: Vec<Box<dyn Form>> = vec![Box::new(read::Block { tools: tools.clone() })];
        forms.extend(hermes::forms(tools));
        Box::new(Scanner::new(forms, self.thoughts.clone(), vec![OPEN.into()], prompt))
    }

    fn reasoning(&self) -> Option<(&str, &str)> {
        Some((&self.thoughts.open, &self.thoughts.close))
    }

    fn call_opening(&self) -> &str {
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
