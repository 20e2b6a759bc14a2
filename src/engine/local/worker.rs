//! The thread that owns the model's context. The rest of the program holds a handle; commands go in by channel, deltas come
//! back by channel, and dropping the receiving end cancels.

use std::time::{Duration, Instant};

use llama_cpp_2::context::LlamaContext;
use llama_cpp_2::llama_batch::LlamaBatch;
use llama_cpp_2::model::LlamaModel;
use llama_cpp_2::token::LlamaToken;
use tokio::sync::{mpsc, oneshot};

use super::generate::{Job, generate};
use super::kv::{Slot, Token};
use super::sample::{Grammars, Sampler};
use crate::engine::{EngineError, Sampling};

/// What the thread is asked for.
pub enum Command {
    Generate(Box<Job>),
    /// Reads `prompt` random tokens behind `depth` others and generates `generate` more.
    Measure {
        depth: usize,
        prompt: usize,
        generate: usize,
        reply: oneshot::Sender<Result<Speed, EngineError>>,
    },
}

/// Measured speed.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Speed {
    /// Tokens read and generated a second.
    pub prefill: f64,
    pub decode: f64,
}

/// The context and what is known of its KV cache.
pub struct Worker<'m> {
    pub model: &'m LlamaModel,
    context: LlamaContext<'m>,
    pub slot: Slot,
    batch: LlamaBatch<'static>,
    /// Tokens decoded at a time while reading: what a cancellation waits for.
    chunk: usize,
    pub grammars: Grammars,
}

/// How far reading came.
#[derive(Debug, PartialEq, Eq)]
pub enum Read {
    Done,
    Cancelled,
}

impl<'m> Worker<'m> {
    pub fn new(model: &'m LlamaModel, context: LlamaContext<'m>, chunk: usize, grammars: Grammars) -> Self {
        Self { model, context, slot: Slot::default(), batch: LlamaBatch::new(chunk, 1), chunk, grammars }
    }

    /// Serves until all senders are gone.
    pub fn serve(mut self, mut commands: mpsc::UnboundedReceiver<Command>) {
        while let Some(command) = commands.blocking_recv() {
            match command {
                Command::Generate(job) => generate(&mut self, *job),
                Command::Measure { depth, prompt, generate, reply } => {
                    let _ = reply.send(self.measure(depth, prompt, generate));
                }
            }
        }
    }

    /// Tokens that the context holds.
    pub fn capacity(&self) -> usize {
        self.context.n_ctx() as usize
    }

    /// The logits behind the last decoded token.
    pub fn logits(&self) -> &[f32] {
        self.context.get_logits_ith(self.batch.n_tokens() - 1)
    }

    /// The bytes of a token, control tokens by their name.
    pub fn piece(&self, token: LlamaToken) -> Vec<u8> {
        self.model.vocab().token_to_piece(token, true, None)
    }

    /// Cuts the KV cache back to its first `len` tokens. Where a model's memory cannot be cut, it is emptied; returns what
    /// is left.
    pub fn cut(&mut self, len: usize) -> usize {
        if len == self.slot.len() {
            return len;
        }
        let from = u32::try_from(len).ok();
        let kept = if len > 0 && self.context.kv_cache_seq_rm(0, from, None).is_ok() { len } else { 0 };
        if kept == 0 {
            self.context.clear_kv_cache();
        }
        self.slot.truncate(kept);
        kept
    }

    /// Decodes `tokens` behind what the cache holds, a chunk at a time. `progress` hears how many are done and answers whether
    /// to go on.
    ///
    /// # Errors
    /// llama.cpp could not decode.
    pub fn read(
        &mut self,
        tokens: &[LlamaToken],
        mut progress: impl FnMut(usize) -> bool,
    ) -> Result<Read, EngineError> {
        let mut done = 0;
        for chunk in tokens.chunks(self.chunk) {
            if !progress(done) {
                return Ok(Read::Cancelled);
            }
            self.decode(chunk)?;
            done += chunk.len();
        }
        Ok(Read::Done)
    }

    /// Decodes one batch; the logits are those behind its last token.
    fn decode(&mut self, tokens: &[LlamaToken]) -> Result<(), EngineError> {
        let failed = |e: &dyn std::fmt::Display| EngineError::Decode(e.to_string());
        self.batch.clear();
        for (i, &token) in tokens.iter().enumerate() {
            let position = i32::try_from(self.slot.len() + i).map_err(|e| failed(&e))?;
            self.batch.add(token, position, &[0], i + 1 == tokens.len()).map_err(|e| failed(&e))?;
        }
        if let Err(error) = self.context.decode(&mut self.batch) {
            // What the failed batch left behind is unknown: start from an empty cache next time.
            self.context.clear_kv_cache();
            self.slot.truncate(0);
            return Err(failed(&error));
        }
        for &token in tokens {
            let piece = self.piece(token);
            self.slot.push(token.0, &piece, self.model.vocab().is_control(token));
        }
        Ok(())
    }

    /// Decodes one generated token.
    ///
    /// # Errors
    /// llama.cpp could not decode.
    pub fn step(&mut self, token: LlamaToken) -> Result<(), EngineError> {
        self.decode(&[token])
    }

    fn measure(&mut self, depth: usize, prompt: usize, generate: usize) -> Result<Speed, EngineError> {
        self.cut(0);
        let tokens = random_tokens(depth + prompt, self.model.n_vocab());
        self.read(&tokens[..depth], |_| true)?;
        let start = Instant::now();
        self.read(&tokens[depth..], |_| true)?;
        let read = start.elapsed();
        // Generating is measured behind the same depth as reading is.
        if self.cut(depth) < depth {
            self.read(&tokens[..depth], |_| true)?;
        }
        self.step(tokens.last().copied().unwrap_or(LlamaToken(0)))?;
        let mut sampler = Sampler::new(&Sampling::default(), self.model.n_vocab());
        let start = Instant::now();
        for _ in 0..generate {
            let token = sampler.pick(self.logits(), None)?;
            self.step(token)?;
        }
        let rate = |n: usize, time: Duration| n as f64 / time.as_secs_f64().max(1e-9);
        let speed = Speed { prefill: rate(prompt, read), decode: rate(generate, start.elapsed()) };
        self.cut(0);
        Ok(speed)
    }
}

/// Tokens without order, as llama-bench reads them: a linear congruential generator with the constants of Knuth's MMIX.
fn random_tokens(n: usize, vocabulary: i32) -> Vec<LlamaToken> {
    let mut state = 42_u64;
    let mut next = || {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        let below = u64::from(vocabulary.unsigned_abs().max(1));
        LlamaToken(Token::try_from((state >> 33) % below).unwrap_or(0))
    };
    (0..n).map(|_| next()).collect()
}
