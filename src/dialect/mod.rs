//! How a model family writes: its chat template, the wire form of its tool calls and reasoning, and the grammar that makes
//! an invalid call impossible. Everything here is text in, text out; nothing here knows an engine, a tool or a file.

pub mod detect;
pub mod fenced;
pub mod harmony;
pub mod hermes;
pub mod marked;
pub mod message;
pub mod schema;
pub mod template;

mod answer;
mod forms;
mod gemma;
mod grammar;
mod json_calls;
mod literal;
mod mark;
mod marks;
mod probe;
mod python;
mod reasoning;
mod repair;
mod scan;
mod taught;
mod thinking;
mod trigger;
mod typed;
mod wait;

use serde_json::Value;

pub use answer::Answer;
pub use detect::{Detection, explain, for_template, names};
pub use message::{Call, Message, Role, ToolSpec};
pub use thinking::Thinking;
pub use trigger::Trigger;

/// What a template needs besides the messages. Serialised into the template's context under the names that Hugging Face
/// transformers uses.
#[derive(Debug, Clone, Default)]
pub struct RenderOptions {
    /// Text of the beginning-of-sequence token, as the template's `bos_token`.
    pub bos_token: String,
    /// Text of the end-of-sequence token, as the template's `eos_token`.
    pub eos_token: String,
    /// `enable_thinking`, for templates that know it; absent where `None`.
    pub enable_thinking: Option<bool>,
    /// What `strftime_now` shows; the moment of rendering where `None`.
    pub now: Option<jiff::civil::DateTime>,
    /// Further variables for the template (`reasoning_effort`, …).
    pub extra: serde_json::Map<String, Value>,
}

/// A rendered prompt, ready to be tokenised with special tokens parsed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Prompt {
    /// The whole prompt, ending where the model is to go on.
    pub text: String,
}

/// What constrains the sampler.
///
/// Sampling is free until the output contains `trigger`; what follows it must match `lark`, after which sampling is free
/// again. Without a trigger the output is constrained from its first byte and generation ends where the grammar does.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Grammar {
    /// A grammar in llguidance's Lark dialect (its `docs/syntax.md`), with a rule `start`.
    pub lark: String,
    /// The text that begins a call.
    pub trigger: Option<String>,
}

impl Grammar {
    /// Compiles the grammar, for a vocabulary of single bytes.
    ///
    /// # Errors
    /// It does not compile; the text says why.
    pub fn check(&self) -> Result<(), String> {
        let bytes = llguidance::toktrie::ApproximateTokEnv::single_byte_env();
        let mut factory = llguidance::ParserFactory::new_simple(&bytes).map_err(|e| e.to_string())?;
        factory.quiet();
        let grammar = llguidance::api::TopLevelGrammar::from_lark(self.lark.clone());
        let error = llguidance::Matcher::new(factory.create_parser(grammar)).get_error();
        error.map_or(Ok(()), Err)
    }
}

/// What a parser makes of a model's output.
#[derive(Debug, Clone, PartialEq)]
pub enum Parsed {
    /// Thinking, not to be shown as the answer.
    Reasoning(String),
    /// Part of the answer.
    Text(String),
    /// A whole call.
    Call(Call),
    /// Output that began like a call and is none: the text as written, and a sentence that helps the model to mend it.
    Malformed { text: String, error: String },
}

/// An incremental parser of one output. Fed in pieces of any size, it gives the same as fed whole; no byte is lost: what is
/// not reasoning or a call comes out as text or as [`Parsed::Malformed`].
pub trait Parser: Send {
    /// Reads the next piece and returns what is certain by now.
    fn push(&mut self, piece: &str) -> Vec<Parsed>;
    /// The output has ended; returns what was held back.
    fn finish(&mut self) -> Vec<Parsed>;
    /// Whether the output is inside of reasoning, as far as is certain.
    fn is_thinking(&self) -> bool {
        false
    }
    /// The call that has begun and not ended, once its name is complete.
    fn unfinished(&self) -> Option<Unfinished> {
        None
    }
}

/// A call of which the model has written a part.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Unfinished {
    pub name: String,
    /// The arguments so far, as the beginning of a JSON object.
    pub arguments: String,
}

/// One way of writing prompts and calls.
pub trait Dialect: Send + Sync {
    /// The wire form's name, as `--dialect` and the catalog spell it (`hermes`, `fenced`, …).
    fn name(&self) -> &str;

    /// Renders the conversation, ending with what asks the model to go on.
    ///
    /// # Errors
    /// The template refuses the messages, is broken, or exceeds its budget of time or output.
    fn render(&self, messages: &[Message], tools: &[ToolSpec], options: &RenderOptions)
    -> Result<Prompt, DialectError>;

    /// The grammar of one call of one of `tools`. With `required`, the output must be a call from its first byte on (the
    /// grammar has no trigger and includes the call's opening).
    ///
    /// # Errors
    /// A tool's schema cannot be expressed.
    fn grammar(&self, tools: &[ToolSpec], required: bool) -> Result<Grammar, DialectError>;

    /// A fresh parser for an output that begins with the answer. `tools` tells the types of arguments where the wire form
    /// does not.
    fn parser(&self, tools: &[ToolSpec]) -> Box<dyn Parser> {
        self.parser_after(tools, &Prompt { text: String::new() })
    }

    /// A fresh parser for what follows `prompt`, which may end inside of reasoning that it began.
    fn parser_after(&self, tools: &[ToolSpec], prompt: &Prompt) -> Box<dyn Parser>;

    /// The text that begins a call, where there is one text for all of them.
    fn call_opening(&self) -> &str;

    /// The marks before and behind reasoning, where the form has such.
    fn reasoning(&self) -> Option<(&str, &str)> {
        None
    }

    /// What stands between the mark behind reasoning and the answer.
    fn after_reasoning(&self) -> &str {
        "\n\n"
    }

    /// What may stand between two parts of one answer: a turn does not end there.
    fn between_parts(&self) -> &str {
        ""
    }

    /// What ends reasoning, up to where the answer begins; `None` where the form has no marks for it.
    fn closing(&self) -> Option<String> {
        self.reasoning().map(|(_, close)| format!("{close}{}", self.after_reasoning()))
    }

    /// What ends reasoning that a prompt begins, up to where the answer does; empty where it begins none.
    fn end_of_thought(&self, prompt: &str) -> String {
        let begun = self.reasoning().is_some_and(|(open, _)| prompt.trim_end().ends_with(open));
        self.closing().filter(|_| begun).unwrap_or_default()
    }

    /// Texts that end the model's turn, besides the tokens that its vocabulary names for that.
    fn stops(&self) -> &[String] {
        &[]
    }
}

/// Why a prompt could not be rendered or a grammar not be made. One sentence each.
#[derive(Debug, thiserror::Error)]
pub enum DialectError {
    /// The template raised an error of its own (`raise_exception`).
    #[error("the model's chat template refuses this conversation: {0}")]
    Refused(String),
    /// The template does not parse, fails while rendering, or runs out of its budget.
    #[error("the model's chat template is broken: {0}")]
    Template(String),
    /// A schema that the grammar cannot express.
    #[error("the arguments of tool `{tool}` cannot be constrained: {reason}")]
    Schema { tool: String, reason: String },
    /// A wire form that is not there.
    #[error("there is no dialect `{name}`; choose one of: {known}")]
    Unknown { name: String, known: String },
}
