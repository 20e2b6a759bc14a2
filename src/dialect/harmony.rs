//! gpt-oss: every message names its channel, and a call its recipient.
//!
//! ```text
//! <|channel|>analysis<|message|>…<|end|><|start|>assistant<|channel|>commentary to=functions.read <|constrain|>json<|message|>{"path": "src/main.rs"}<|call|>
//! <|channel|>final<|message|>…<|return|>
//! ```
//!
//! What is said on `analysis` is reasoning; `final`, and `commentary` without a recipient (a preamble), is text.

mod read;

use super::grammar::{self, Lark, quote};
use super::marks::{Arguments, Marks};
use super::template::Template;
use super::{Dialect, DialectError, Grammar, Message, Parser, Prompt, RenderOptions, ToolSpec};

/// What names the recipient of a call.
const TO: &str = " to=functions.";

/// A model that writes on channels.
#[derive(Debug)]
pub struct Harmony {
    template: Template,
    stops: Vec<String>,
}

/// Whether the marks around a call are those of this form.
pub(super) fn is(marks: &Marks) -> bool {
    marks.arguments == Arguments::Json
        && marks.open.trim_end().ends_with(TO.trim())
        && marks.name_end.contains("<|channel|>")
}

impl Harmony {
    /// The dialect of a model with this template.
    pub fn new(template: Template) -> Self {
        Self { template, stops: ["<|return|>", "<|call|>"].map(str::to_owned).into() }
    }
}

impl Dialect for Harmony {
    fn name(&self) -> &str {
        "harmony"
    }

    fn render(
        &self,
        messages: &[Message],
        tools: &[ToolSpec],
        options: &RenderOptions,
    ) -> Result<Prompt, DialectError> {
        // The template takes an answer beside calls for reasoning, and refuses both; the preamble is the lesser loss.
        let messages: Vec<_> = messages
            .iter()
            .map(|message| match (&message.reasoning, message.calls.is_empty()) {
                (Some(_), false) => Message { content: String::new(), ..message.clone() },
                _ => message.clone(),
            })
            .collect();
        Ok(Prompt { text: self.template.render(&messages, tools, options)? })
    }

    fn grammar(&self, tools: &[ToolSpec], required: bool) -> Result<Grammar, DialectError> {
        let mut lark = Lark::default();
        let head = r#"/<\|channel\|>(commentary|analysis)/? /[ ]?(<\|constrain\|>)?json/? "<|message|>""#;
        let mut calls = Vec::new();
        for variant in grammar::variants(tools)? {
            let arguments = grammar::json_object(&mut lark, &variant, true);
            calls.push(format!("{} {head} {arguments}", quote(&variant.name)));
        }
        let call = lark.choice("call", &calls);
        Ok(match required {
            true => lark.whole(&format!("\"<|channel|>commentary\"? {} {call}", quote(TO)), None),
            false => lark.whole(&call, Some(TO.to_owned())),
        })
    }

    fn parser_after(&self, tools: &[ToolSpec], _: &Prompt) -> Box<dyn Parser> {
        Box::new(read::Reader::new(tools))
    }

    fn reasoning(&self) -> Option<(&str, &str)> {
        Some(("<|channel|>analysis<|message|>", "<|end|>"))
    }

    fn after_reasoning(&self) -> &str {
        "<|start|>assistant"
    }

    fn between_parts(&self) -> &str {
        self.after_reasoning()
    }

    fn call_opening(&self) -> &str {
        TO
    }

    fn stops(&self) -> &[String] {
        &self.stops
    }
}
