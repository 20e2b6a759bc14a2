//! A small model of the same vocabulary that guesses what the large one is about to write, where there is nothing to copy
//! (speculative decoding, arXiv 2211.17192). Its guesses are verified like any draft, so that they change how fast text comes
//! and not which. Whether it is asked, and for how much, is a matter of [`super::guesses`].

use std::path::PathBuf;
use std::time::Instant;

use llama_cpp_2::DecodeError;
use llama_cpp_2::context::LlamaContext;
use llama_cpp_2::llama_backend::LlamaBackend;
use llama_cpp_2::llama_batch::LlamaBatch;
use llama_cpp_2::model::LlamaModel;
use llama_cpp_2::model::params::LlamaModelParams;
use llama_cpp_2::token::LlamaToken;

use super::guesses::{Guesses, MOST};
use super::handle::{Handle, Watch};
use super::kv::Token;
use super::largest::likeliest;
use super::pace::Pace;
use super::worker::{STOPPED, can_cut};
use crate::engine::EngineError;
use crate::model::fit::KvType;

/// Tokens that are read at a time.
const CHUNK: usize = 512;
/// Tokens by which vocabularies of one family differ: control tokens that were added later.
const MOST_FOREIGN: usize = 128;
/// Tokens by which one vocabulary may be longer than the other: padding to a multiple of some power of two.
const MOST_PADDING: i32 = 1024;

/// Which model drafts, and how it is loaded.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DraftOptions {
    /// A sound GGUF.
    pub path: PathBuf,
    /// Tokens of its context. Of a longer conversation it sees the end.
    pub context: usize,
    /// The precision of its KV cache.
    pub kv_type: KvType,
    /// As [`super::Options::gpu_layers`].
    pub gpu_layers: u32,
    /// It guesses whether that pays or not: to see what guesses do to the text.
    pub always: bool,
}

/// The model, and what its KV cache holds.
pub struct DraftModel<'m> {
    model: &'m LlamaModel,
    context: LlamaContext<'m>,
    handle: Handle,
    batch: LlamaBatch<'static>,
    /// Tokens that both models know.
    vocabulary: Token,
    held: Held,
    guesses: Guesses,
    /// llama.cpp cannot decode with it.
    broken: bool,
}

impl<'m> DraftModel<'m> {
    /// Drafts for `target`.
    pub fn new(model: &'m LlamaModel, context: LlamaContext<'m>, target: &LlamaModel, options: &DraftOptions) -> Self {
        let size = model.size() as f64 / target.size().max(1) as f64;
        Self {
            model,
            handle: Handle::of(&context),
            held: Held { capacity: context.n_ctx() as usize, ..Held::default() },
            context,
            batch: LlamaBatch::new(CHUNK, 1),
            vocabulary: model.n_vocab().min(target.n_vocab()),
            guesses: Guesses::expected(size, options.gpu_layers > 0, options.always),
            broken: false,
        }
    }

    /// From now on so many threads guess.
    pub fn set_threads(&self, threads: usize) {
        self.handle.set_threads(threads);
    }

    /// What comes behind `conversation` and `next`, as far as guessing pays where `left` tokens are still to come. Nothing,
    /// where `watch` says to stop.
    pub fn draft(
        &mut self,
        conversation: &[Token],
        next: Token,
        left: usize,
        pace: &Pace,
        watch: Watch<'_>,
    ) -> Vec<LlamaToken> {
        let (start, kept) = self.held.shared(conversation);
        let unread = conversation.len() - start - kept;
        if self.broken || left == 0 || !self.guesses.pays_to_begin((conversation, next), unread, left, pace) {
            return Vec::new();
        }
        let mut rest = conversation[start + kept..].to_vec();
        rest.push(next);
        // What was read before it was stopped stays.
        let cut = self.cut(start, kept);
        cut.and_then(|()| self.guess(rest, left.min(MOST), pace, watch)).unwrap_or_default()
    }

    /// Learns how many of the last draft's tokens were right, and whether the one behind them was `wrong`: it may as well not
    /// have been looked at.
    pub fn note(&mut self, right: usize, wrong: bool) {
        self.guesses.note(right, wrong);
    }

    fn guess(&mut self, mut unread: Vec<Token>, most: usize, pace: &Pace, watch: Watch<'_>) -> Option<Vec<LlamaToken>> {
        let mut draft: Vec<LlamaToken> = Vec::new();
        loop {
            self.read(&unread, watch)?;
            let (token, sure) = likeliest(self.context.get_logits_ith(self.batch.n_tokens() - 1));
            let token = Token::try_from(token).ok()?;
            // The end is the large model's to see, and what it does not know it cannot verify.
            let known = token < self.vocabulary && !self.model.vocab().is_eog(LlamaToken(token));
            if !known || !self.guesses.take(token, sure, pace) {
                return Some(draft);
            }
            draft.push(LlamaToken(token));
            if draft.len() == most || watch() || !self.guesses.pays(pace) {
                return Some(draft);
            }
            unread = vec![token];
        }
    }

    /// Brings what is held to the first `kept` tokens of what it holds from `start` on.
    fn cut(&mut self, start: usize, kept: usize) -> Option<()> {
        if kept < self.held.tokens.len() {
            let from = u32::try_from(kept).ok().filter(|&from| from > 0);
            if let Err(error) = self.context.kv_cache_seq_rm(0, from, None) {
                return self.give_up(&error);
            }
        }
        self.held.tokens.truncate(kept);
        self.held.start = start;
        Some(())
    }

    /// Decodes tokens, with the logits behind the last. `None`: it was stopped, or llama.cpp could not decode.
    fn read(&mut self, tokens: &[Token], watch: Watch<'_>) -> Option<()> {
        let start = Instant::now();
        let last = self.held.tokens.len() + tokens.len() - 1;
        for chunk in tokens.chunks(CHUNK) {
            if watch() {
                return None;
            }
            self.batch.clear();
            for (at, &token) in (self.held.tokens.len()..).zip(chunk) {
                // What only the large model has are late control tokens: any other will do.
                let known = if token < self.vocabulary { token } else { 0 };
                self.batch.add(LlamaToken(known), i32::try_from(at).ok()?, &[0], at == last).ok()?;
            }
            match self.handle.watched(watch, || self.context.decode(&mut self.batch)) {
                Ok(()) => self.held.tokens.extend_from_slice(chunk),
                Err(DecodeError::Unknown(STOPPED)) => {
                    let (start, kept) = (self.held.start, self.held.tokens.len());
                    // Of a chunk in several parts some may have been taken in.
                    self.held.tokens.extend_from_slice(chunk);
                    self.cut(start, kept)?;
                    return None;
                }
                Err(error) => return self.give_up(&error),
            }
        }
        self.handle.wait();
        self.guesses.took(tokens.len(), start.elapsed().as_secs_f64());
        Some(())
    }

    fn give_up<T>(&mut self, error: &dyn std::fmt::Display) -> Option<T> {
        tracing::warn!(%error, "the draft model fails; going on without it");
        self.broken = true;
        None
    }
}

/// What the KV cache holds: a part of a conversation.
#[derive(Debug, Default)]
struct Held {
    /// Where in the conversation it begins.
    start: usize,
    tokens: Vec<Token>,
    capacity: usize,
}

impl Held {
    /// Where what is held of a conversation is to begin, and how many tokens of it are held already: the whole conversation
    /// where it fits with a draft behind it, else its end, moved on by half of what there is room for.
    fn shared(&self, conversation: &[Token]) -> (usize, usize) {
        let fits = |start: usize| conversation.len() - start + MOST < self.capacity;
        let rest = conversation.get(self.start..).unwrap_or_default();
        let same = rest.iter().zip(&self.tokens).take_while(|(a, b)| a == b).count();
        match () {
            () if same > 0 && fits(self.start) => (self.start, same),
            () if fits(0) => (0, 0),
            () => (conversation.len().saturating_sub(self.capacity / 2), 0),
        }
    }
}

/// Whether what one model writes the other can read: but for a few, the same tokens have the same numbers.
fn share_vocabulary(a: &LlamaModel, b: &LlamaModel) -> bool {
    let (short, long) = (a.n_vocab().min(b.n_vocab()), a.n_vocab().max(b.n_vocab()));
    let piece = |model: &LlamaModel, token| model.vocab().token_to_piece(LlamaToken(token), true, None);
    let foreign = (0..short).filter(|&token| piece(a, token) != piece(b, token)).take(MOST_FOREIGN + 1).count();
    foreign <= MOST_FOREIGN && long - short <= MOST_PADDING
}

/// Loads the model for [`DraftModel`].
///
/// # Errors
/// llama.cpp cannot load the file, or the model cannot draft for `target`.
pub fn load(options: &DraftOptions, backend: &LlamaBackend, target: &LlamaModel) -> Result<LlamaModel, EngineError> {
    let params = LlamaModelParams::default().with_n_gpu_layers(options.gpu_layers);
    let model = super::read(backend, &options.path, &params).map_err(can_do_without)?;
    let reason = match () {
        () if !can_cut(&model) || !can_cut(target) => "one of them keeps a state that cannot go back by single tokens",
        () if !share_vocabulary(&model, target) => "they do not share a vocabulary",
        () => return Ok(model),
    };
    let path = options.path.display();
    Err(EngineError::Draft(format!(
        "{path} cannot draft for this model: {reason}; take a smaller one of the same family"
    )))
}

/// The same of a draft model: the session goes on without it.
pub fn can_do_without(error: EngineError) -> EngineError {
    EngineError::Draft(error.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_long_conversation_is_seen_from_further_on() {
        let conversation: Vec<Token> = (0..1000).collect();
        let mut held = Held { capacity: 256, ..Held::default() };
        assert_eq!(held.shared(&conversation[..100]), (0, 0));
        held.tokens = conversation[..100].to_vec();
        assert_eq!(held.shared(&conversation[..130]), (0, 100));
        // Taken back, and gone on with in another way.
        assert_eq!(held.shared(&conversation[..60]), (0, 60));
        assert_eq!(held.shared(&[0, 1, 2, 7, 7]), (0, 3));
        assert_eq!(held.shared(&[7; 200]), (0, 0));
        // What no longer fits makes room for as much again.
        assert_eq!(held.shared(&conversation[..250]), (250 - 128, 0));
        held = Held { start: 122, tokens: conversation[122..250].to_vec(), ..held };
        assert_eq!(held.shared(&conversation[..260]), (122, 128));
        assert_eq!(held.shared(&conversation[..360]), (122, 128));
        assert_eq!(held.shared(&conversation[..370]), (370 - 128, 0));
        assert_eq!(held.shared(&conversation[..90]), (0, 0));
    }
}
