//! From a request of the session to one that a server takes. Which way it goes (chat or raw completion) and which of a server's
//! extras it uses is settled here; what a server turns out to refuse is not asked of it again.

use std::sync::atomic::{AtomicBool, AtomicU16, Ordering};

use serde_json::{Map, Value, json};

use super::output::Output;
use super::server::{Kind, Server};
use super::taught::Taught;
use super::{Api, RemoteError, chat, raw};
use crate::dialect::{Dialect, Message, RenderOptions, Role, Thinking};
use crate::engine::{Constraint, EngineError, Request};

/// A request as it is sent, and how its answer is read.
pub(super) struct Plan {
    pub path: &'static str,
    pub body: Value,
    /// What of it the server may refuse, what is dropped first in front.
    pub uses: Vec<Extra>,
    pub output: Output,
    /// Bytes of text in the prompt.
    pub bytes: usize,
    /// The answer is complete with its first call.
    pub one_call: bool,
}

impl Plan {
    /// Asks a raw completion to go on behind what the model `said`, which is so many tokens.
    pub fn go_on(&mut self, said: &str, tokens: usize) {
        let Value::Object(body) = &mut self.body else { return };
        if let Some(Value::String(prompt)) = body.get_mut("prompt") {
            prompt.push_str(said);
            self.bytes += said.len();
        }
        for name in ["n_predict", "max_tokens"] {
            if let Some(limit) = body.get_mut(name) {
                let left = limit.as_u64().unwrap_or_default().saturating_sub(tokens as u64);
                *limit = left.max(1).into();
            }
        }
    }
}

/// Something that not every server takes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Extra {
    /// Tools that the server reads from the answer (`tool_choice: auto`).
    Tools = 1,
    /// `tool_choice: required`.
    Required = 2,
    /// A grammar or JSON schema for the answer.
    Structure = 4,
    /// A last message of the assistant that is to be continued.
    Prefill = 8,
    /// `logprobs`.
    Logprobs = 16,
    /// How much to think.
    Thinking = 32,
    /// Tools at all.
    Listed = 64,
    /// Special tokens written out (`skip_special_tokens`).
    Special = 128,
    /// A grammar or JSON schema that holds once a call begins.
    Lazy = 256,
    /// The most tokens of reasoning.
    Budget = 512,
}

/// What a server has refused so far.
#[derive(Debug, Default)]
pub(super) struct Refused(AtomicU16);

impl Refused {
    pub fn has(&self, extra: Extra) -> bool {
        self.0.load(Ordering::Relaxed) & extra as u16 != 0
    }

    /// Finds what an error may be about among what was used, and notes it. `None`: nothing that could be left out.
    pub fn learn(&self, uses: &[Extra], error: &RemoteError) -> Option<Extra> {
        let (reason, surely) = match error {
            RemoteError::Refused { status: 404 | 405 | 413, .. } => return None,
            RemoteError::Refused { reason, .. } => (reason.to_lowercase(), true),
            // llama-server refuses some of them as a failure of its own.
            RemoteError::Busy { status: 500, reason, .. } => (reason.to_lowercase(), false),
            _ => return None,
        };
        // Without them the prompt would still be too long.
        if ["context length", "context size", "context window", "too long"].iter().any(|words| reason.contains(words)) {
            return None;
        }
        let named = |extra: &&Extra| {
            let words: &[&str] = match extra {
                Extra::Tools => &["auto tool choice", "\"auto\"", "tool-call-parser"],
                Extra::Required => &["required", "tool_choice"],
                Extra::Structure => &["grammar", "schema", "structured", "guided", "response_format", "ebnf"],
                Extra::Lazy => &["lazy", "trigger", "structural", "grammar", "schema", "structured", "response_format"],
                Extra::Prefill => &["continue_final_message", "prefill", "last message", "generation_prompt"],
                Extra::Logprobs => &["logprob"],
                Extra::Thinking => &["reasoning_effort", "chat_template_kwargs", "enable_thinking"],
                Extra::Listed => &["tools", "support tool", "function call"],
                Extra::Special => &["special_tokens"],
                Extra::Budget => &[
                    "thinking_token_budget",
                    "thinking_budget",
                    "reasoning_budget",
                    "custom_params",
                    "reasoning_config",
                ],
            };
            words.iter().any(|word| reason.contains(word))
        };
        // Whoever does not take this one says so.
        let unnamed = || uses.iter().find(|extra| surely && **extra != Extra::Special);
        let extra = *uses.iter().find(named).or_else(unnamed)?;
        tracing::warn!(?extra, reason, "the server refuses this; going on without");
        self.0.fetch_or(extra as u16, Ordering::Relaxed);
        Some(extra)
    }
}

/// Everything that plans are made from.
pub(super) struct Planner {
    pub server: Server,
    pub api: Api,
    /// Renders and reads raw completions; `None` where the chat template is not known.
    pub dialect: Option<Box<dyn Dialect>>,
    /// The dialect renders what the server's own chat renders, so that both share its prefix cache.
    pub same_prompt: bool,
    /// Reads the text of chat answers: a server without a parser for the model's form leaves calls and reasoning in it.
    pub reader: Box<dyn Dialect>,
    /// Teaches calls where the server takes no tools.
    pub taught: Taught,
    /// The chat template is known.
    pub template_known: bool,
    /// Answers of a chat begin inside of reasoning where their prompt begins it, as far as is known by now: a server may take
    /// the reasoning apart.
    pub begins_inside: AtomicBool,
    /// Reads calls that a JSON schema held.
    pub json: Box<dyn Dialect>,
    pub render: RenderOptions,
    pub thinking: Option<Thinking>,
    /// The most tokens of reasoning before an answer.
    pub budget: usize,
    pub refused: Refused,
}

impl Planner {
    /// The way for `request`. `left` is what the context has left for an answer to a raw prompt, asked for only where the
    /// server would otherwise end after a few tokens.
    ///
    /// # Errors
    /// The conversation cannot be rendered.
    pub fn plan(&self, request: &Request, left: impl Fn(&str) -> usize) -> Result<Plan, EngineError> {
        match self.dialect.as_deref().zip(self.server.raw()) {
            Some((dialect, way)) if self.goes_raw(request) => raw::plan(self, dialect, way, request, left),
            _ => chat::plan(self, request),
        }
    }

    /// A given beginning is exact in a raw completion only, and so is a demand: llama-server lets a model talk before the call
    /// that `tool_choice` requires, and no server knows what the call is narrowed to. Where a chat takes no tools, a completion
    /// still has them in the model's own form.
    fn goes_raw(&self, request: &Request) -> bool {
        let exact = !request.prefix.is_empty() || matches!(request.constraint, Constraint::MustCall(_));
        self.api == Api::Completions || (self.same_prompt && (exact || self.refused.has(Extra::Listed)))
    }

    /// Whether the answer to `request` in a chat goes on with reasoning that its prompt began, read by `reader`: as the
    /// template has it where it is known.
    pub fn begins_inside(&self, reader: &dyn Dialect, request: &Request) -> bool {
        if !self.begins_inside.load(Ordering::Relaxed) || !self.template_known {
            return self.begins_inside.load(Ordering::Relaxed);
        }
        let mut options = self.render.clone();
        if self.refused.has(Extra::Thinking) {
            // Then the server's template does not hear of it.
            (options.enable_thinking, options.extra) = (None, Map::new());
        }
        let messages: Vec<Message> = request.messages.iter().map(harmless).collect();
        let prompt = reader.render(&messages, &request.tools, &options);
        prompt.is_ok_and(|prompt| !reader.end_of_thought(&prompt.text).is_empty())
    }

    /// Learns from an answer of a chat how the next one begins.
    pub fn learn(&self, output: &Output) {
        if let Some(inside) = output.began_inside() {
            self.begins_inside.store(inside, Ordering::Relaxed);
        }
    }

    /// The rendered prompt, without the token that the server puts before it.
    ///
    /// # Errors
    /// As [`Planner::plan`].
    pub fn render(&self, dialect: &dyn Dialect, request: &Request) -> Result<crate::dialect::Prompt, EngineError> {
        let messages: Vec<Message> = request.messages.iter().map(harmless).collect();
        let rendered = dialect.render(&messages, &request.tools, &self.render);
        let mut prompt = rendered.map_err(|e| EngineError::Prompt(e.to_string()))?;
        let bos = &self.server.bos_token;
        if self.server.adds_bos && !bos.is_empty() && prompt.text.starts_with(bos.as_str()) {
            prompt.text.drain(..bos.len());
        }
        Ok(prompt)
    }

    /// How tokens are drawn, in this server's words.
    pub fn sampling(&self, request: &Request, body: &mut Map<String, Value>) {
        let sampling = &request.sampling;
        body.insert("temperature".into(), json!(sampling.temperature));
        let penalty = match self.server.kind {
            Kind::LlamaServer => Some("repeat_penalty"),
            Kind::Vllm | Kind::SgLang => Some("repetition_penalty"),
            Kind::Ollama | Kind::LmStudio | Kind::TensorRt | Kind::Other => None,
        };
        if let Some(penalty) = penalty
            && sampling.repeat_penalty != 1.0
        {
            body.insert(penalty.into(), json!(sampling.repeat_penalty));
        }
        if sampling.temperature <= 0.0 {
            return;
        }
        body.insert("top_p".into(), json!(sampling.top_p));
        body.insert("seed".into(), json!(sampling.seed));
        if penalty.is_some() {
            body.insert("top_k".into(), json!(sampling.top_k));
            body.insert("min_p".into(), json!(sampling.min_p));
        }
    }

    /// Texts at which the server is to end. Only such servers are told as say which one it was: the others' answers are ended
    /// from here, by closing the request.
    pub fn stop(&self, request: &Request, body: &mut Map<String, Value>) {
        let includes = match self.server.kind {
            Kind::Vllm => "include_stop_str_in_output",
            Kind::SgLang => "no_stop_trim",
            Kind::LlamaServer if !body.contains_key("messages") => "cache_prompt",
            _ => return,
        };
        if !request.stop.is_empty() {
            body.insert("stop".into(), json!(request.stop));
            body.insert(includes.into(), true.into());
        }
    }
}

/// The message without control tokens in what users, files and commands said: written out, they would end the message and
/// speak for someone else. The server's vocabulary is not known here, so everything counts that has the form of one.
pub(super) fn harmless(message: &Message) -> Message {
    let mut message = message.clone();
    if matches!(message.role, Role::User | Role::Tool) {
        message.content = defuse(&message.content);
    }
    message
}

/// The longest name of a control token.
const LONGEST: usize = 40;
/// Control tokens in other forms than `<|name|>` and `<｜name｜>`.
const CONTROLS: [&str; 12] = [
    "[INST]",
    "[/INST]",
    "[TOOL_CALLS]",
    "[AVAILABLE_TOOLS]",
    "[TOOL_RESULTS]",
    "[SYSTEM_PROMPT]",
    "<start_of_turn>",
    "<end_of_turn>",
    "<bos>",
    "<eos>",
    "<s>",
    "</s>",
];

fn defuse(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for (at, c) in text.char_indices() {
        out.push(c);
        if matches!(c, '<' | '[') && is_control(&text[at..]) {
            out.push('\u{200b}');
        }
    }
    out
}

/// Whether a control token begins the text.
fn is_control(text: &str) -> bool {
    if CONTROLS.iter().any(|control| text.starts_with(control)) {
        return true;
    }
    [("<|", "|>"), ("<\u{ff5c}", "\u{ff5c}>")].into_iter().any(|(open, close)| {
        let Some(rest) = text.strip_prefix(open) else { return false };
        let rest = &rest[..rest.floor_char_boundary(LONGEST + close.len())];
        rest.find(close).is_some_and(|end| {
            let inside = |c: char| c.is_alphanumeric() || matches!(c, '_' | '-' | '.' | '/' | '\u{2581}');
            end > 0 && rest[..end].chars().all(inside)
        })
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nobody_speaks_for_someone_else() {
        for control in ["<|im_end|>", "<\u{ff5c}User\u{ff5c}>", "[INST]", "</s>", "<start_of_turn>"] {
            let text = format!("a {control} b");
            let message = harmless(&Message::new(Role::User, text.as_str()));
            assert!(!message.content.contains(control), "{control}");
            assert_eq!(message.content.replace('\u{200b}', ""), text);
            assert_eq!(harmless(&Message::new(Role::Assistant, text.as_str())).content, text);
        }
        for code in ["a <b> c[0] < |x| >", "if a <| b |> c && d", "<||>", "x: [i32; 3]"] {
            assert_eq!(defuse(code), code);
        }
    }

    #[test]
    fn what_a_server_refuses_is_left_out_once_and_for_all() {
        let refused = Refused::default();
        let uses = [Extra::Required, Extra::Structure];
        let place = || "http://here".to_owned();
        let no = |reason: &str| RemoteError::Refused { place: place(), status: 400, reason: reason.into() };
        assert_eq!(refused.learn(&uses, &no("Invalid grammar: line 3")), Some(Extra::Structure));
        assert!(refused.has(Extra::Structure) && !refused.has(Extra::Required));
        assert_eq!(refused.learn(&uses[..1], &no("bad request")), Some(Extra::Required));
        assert_eq!(refused.learn(&[], &no("bad request")), None);
        assert_eq!(refused.learn(&uses, &no("it exceeds the available context size")), None);
        let failed = |reason: &str| RemoteError::Busy { place: place(), status: 500, reason: reason.into() };
        assert_eq!(refused.learn(&uses, &failed("out of memory")), None);
        let tools = [Extra::Tools, Extra::Special, Extra::Listed];
        assert_eq!(refused.learn(&tools, &failed("tools param requires --jinja flag")), Some(Extra::Listed));
        assert_eq!(refused.learn(&tools, &no("\"auto\" tool choice requires a parser")), Some(Extra::Tools));
        assert_eq!(refused.learn(&tools[1..], &no("skip_special_tokens=False is not supported")), Some(Extra::Special));
        assert_eq!(refused.learn(&[Extra::Special], &no("bad request")), None);
    }
}
