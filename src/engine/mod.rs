//! What continues a conversation: a model in this process ([`local`]), a server that the user owns ([`remote`]), or a scripted
//! one for tests of the loop ([`scripted`]). An engine takes messages and gives deltas; rendering and parsing happen inside, through a
//! [`crate::dialect::Dialect`], so that an engine which drives a server may leave both to the server.

pub mod local;
pub mod remote;
pub mod scripted;
mod thinking;

use std::ops::Range;

use futures_util::FutureExt;
use futures_util::future::BoxFuture;
use futures_util::stream::BoxStream;
use serde::{Deserialize, Serialize};
use tokio_util::sync::CancellationToken;

use crate::dialect::{Call, Message, ToolSpec};

/// What continues a conversation.
pub trait Engine: Send + Sync {
    /// The model behind this engine.
    fn info(&self) -> &ModelInfo;

    /// Number of tokens of `text` in the model's own vocabulary.
    fn count(&self, text: &str) -> usize;

    /// Number of tokens of the prompt that `messages` and `tools` render to.
    ///
    /// # Errors
    /// The conversation cannot be rendered.
    fn count_prompt(&self, messages: &[Message], tools: &[ToolSpec]) -> Result<usize, EngineError>;

    /// Continues the conversation. The stream ends with [`Delta::Usage`] or an error. Cancelling ends it within one decode
    /// step, with what was generated so far accounted for; so does dropping it.
    fn generate(&self, request: Request, cancel: CancellationToken) -> BoxStream<'static, Result<Delta, EngineError>>;

    /// Whether a prompt that is read before it is asked for serves later, at no cost but time.
    fn reads_ahead(&self) -> bool {
        false
    }

    /// How many answers to the same prompt are best written at a time, in slots of their own: what they share is read once, and the
    /// model's weights are read once for all of them.
    fn side_by_side(&self) -> u32 {
        1
    }

    /// Scores each token of a text behind another, without writing anything. `None` where this engine cannot tell, there is nothing
    /// before it, or it was cancelled.
    fn score<'a>(
        &'a self,
        _before: &str,
        _text: &str,
        _cancel: CancellationToken,
    ) -> BoxFuture<'a, Result<Option<Vec<Scored>>, EngineError>> {
        std::future::ready(Ok(None)).boxed()
    }

    /// A session ends: puts away what makes a later start faster.
    fn close(&self) -> BoxFuture<'_, ()> {
        std::future::ready(()).boxed()
    }
}

/// One generation.
#[derive(Debug, Clone, Default)]
pub struct Request {
    pub messages: Vec<Message>,
    /// The tools that the prompt names. Kept the same through a session, since they stand in its prefix.
    pub tools: Vec<ToolSpec>,
    pub constraint: Constraint,
    pub sampling: Sampling,
    /// Texts that the output will likely repeat (the file under edit); a local engine drafts from them.
    pub copy_from: Vec<String>,
    /// Generate token by token: the measure of what drafting brings.
    pub no_draft: bool,
    /// Upper bound of generated tokens; what the context has left where `None`. With 0 the prompt is read and nothing written.
    pub max_tokens: Option<usize>,
    /// What the answer begins with. It is read as part of the prompt, and what follows is taken as plain text.
    pub prefix: String,
    /// Write what belongs between two texts instead of an answer; messages, tools and prefix count for nothing then. For
    /// engines whose [`ModelInfo::infill`] says so.
    pub infill: Option<Infill>,
    /// Generation ends behind the first of these texts; it is part of the output.
    pub stop: Vec<String>,
    /// Report the log-probability of what was sampled.
    pub logprobs: bool,
    /// Which conversation's KV cache to continue. 0 is the one that the user waits for and goes first; what other slots share
    /// with it, or with each other, is not read again.
    pub slot: u32,
}

impl Request {
    /// The answer is bound from its first byte on, so that nothing can be thought before it.
    pub fn is_bound(&self) -> bool {
        !self.prefix.is_empty() || matches!(self.constraint, Constraint::MustCall(_) | Constraint::OneOf(_))
    }
}

/// A token of a text that is there already, as the model sees it behind all that comes before it.
#[derive(Debug, Clone, PartialEq)]
pub struct Scored {
    /// The bytes of the text that it stands for.
    pub range: Range<usize>,
    /// Its log-probability.
    pub logprob: f64,
    /// What the model would rather have written in its place, or nearly so, with its log-probability; the likeliest first.
    pub others: Vec<(String, f64)>,
}

/// A gap in a text, which a model that was trained for it fills (FIM, arXiv 2207.14255).
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Infill {
    pub before: String,
    pub after: String,
}

/// What the sampler may write.
#[derive(Debug, Clone, Default, PartialEq)]
pub enum Constraint {
    /// Anything.
    #[default]
    Free,
    /// Free text, but a call that is begun must be a valid call of one of these. The specs may be narrower than those in the
    /// prompt (a path as an enumeration of what exists). Generation ends after the call.
    Call(Vec<ToolSpec>),
    /// A valid call of one of these and nothing else.
    MustCall(Vec<ToolSpec>),
    /// One of these texts and nothing else.
    OneOf(Vec<String>),
}

/// How tokens are drawn. The default is greedy.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Sampling {
    /// 0 is greedy.
    pub temperature: f32,
    pub top_k: i32,
    pub top_p: f32,
    pub min_p: f32,
    /// 1 is none. Over the last 64 generated tokens.
    pub repeat_penalty: f32,
    pub seed: u32,
}

impl Default for Sampling {
    fn default() -> Self {
        Self { temperature: 0.0, top_k: 40, top_p: 0.95, min_p: 0.05, repeat_penalty: 1.0, seed: 0 }
    }
}

/// A piece of a generation.
#[derive(Debug, Clone, PartialEq)]
pub enum Delta {
    Reasoning(String),
    Text(String),
    Call(Call),
    /// Something that began like a call and is none; `error` is a sentence for the model.
    Malformed {
        text: String,
        error: String,
    },
    /// How far the prompt has been read: tokens done, tokens in all. Not counting what was cached.
    Prefill {
        done: usize,
        total: usize,
    },
    /// The last delta.
    Usage(Usage),
}

/// What a generation took.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize, Deserialize)]
pub struct Usage {
    /// Tokens of the prompt.
    pub prompt: usize,
    /// Of these, how many were in the KV cache already.
    pub cached: usize,
    /// Tokens generated.
    pub generated: usize,
    /// Tokens that were drafted, and how many of these stand in the output.
    #[serde(default)]
    pub drafted: usize,
    #[serde(default)]
    pub accepted: usize,
    pub prefill_seconds: f64,
    pub decode_seconds: f64,
    /// Mean log-probability of the generated tokens, where asked for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub logprob: Option<f64>,
    pub stop: Stop,
}

/// Why a generation ended.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Stop {
    /// The model ended its turn.
    #[default]
    End,
    /// A call was complete.
    Call,
    /// `max_tokens` or the context was reached.
    Length,
    /// The output had begun to repeat itself without end.
    Loop,
    Cancelled,
}

/// A loaded model, as clients show it and profiles choose by it.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct ModelInfo {
    /// The catalog's name, or the file's stem.
    pub name: String,
    /// `general.architecture` of the GGUF (`qwen2`, …).
    pub architecture: String,
    pub parameters: u64,
    /// Bytes of the weights.
    pub size: u64,
    /// Tokens that the context holds.
    pub context: usize,
    /// The wire form in use.
    pub dialect: String,
    /// Where the layers are (`CPU`, `CUDA0`, …).
    pub device: String,
    /// It fills gaps: see [`Request::infill`].
    pub infill: bool,
    /// How its authors sample from it, where that is known.
    pub sampling: Option<Sampling>,
}

/// Why an engine could not go on. Each is one sentence with the next step.
#[derive(Debug, Clone, thiserror::Error)]
pub enum EngineError {
    /// The model's file cannot be used.
    #[error("{0}")]
    Load(String),
    /// llama.cpp could not lay the model out, or make its context: with less of it, or elsewhere, it may.
    #[error("{0}")]
    NoRoom(String),
    /// The draft model cannot draft for this one, which can do without.
    #[error("{0}")]
    Draft(String),
    /// The prompt does not fit.
    #[error(
        "the conversation has {prompt} tokens and the context holds {context}; shorten the request or start with a larger --context"
    )]
    TooLong { prompt: usize, context: usize },
    /// The conversation cannot be rendered or the constraint not be compiled.
    #[error("{0}")]
    Prompt(String),
    /// llama.cpp failed while decoding.
    #[error("the model stopped: {0}; start again, with a smaller --context if memory is short")]
    Decode(String),
    /// A server cannot be used, or failed; the session may go on.
    #[error(transparent)]
    Remote(#[from] remote::RemoteError),
}
