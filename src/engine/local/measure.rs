//! What the model is measured with: how fast it reads and writes, and what it expects behind a given text.

use std::time::{Duration, Instant};

use llama_cpp_2::token::LlamaToken;

use super::kv::Token;
use super::sample::Sampler;
use super::worker::{Failure, Row, SLOTS, Worker};
use crate::engine::{EngineError, Sampling};

/// Measured speed.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Speed {
    /// Tokens read and generated a second.
    pub prefill: f64,
    pub decode: f64,
}

impl Worker<'_> {
    /// The likeliest token behind each of `tokens`; empties all slots.
    pub fn choices(&mut self, tokens: &[LlamaToken]) -> Result<Vec<Token>, EngineError> {
        (0..SLOTS).for_each(|slot| self.empty(slot));
        let row = |(position, &token)| Row { token, slot: 0, position, logits: true };
        self.decode_alone(&tokens.iter().enumerate().map(row).collect::<Vec<_>>())?;
        let mut sampler = Sampler::new(&Sampling::default(), self.model.n_vocab());
        let choices = (0..tokens.len()).map(|row| Ok(sampler.pick(self.logits(row), None)?.0)).collect();
        self.empty(0);
        choices
    }

    /// Reads `prompt` random tokens behind `depth` others and generates `generate` more; empties all slots.
    pub fn measure(&mut self, depth: usize, prompt: usize, generate: usize) -> Result<Speed, EngineError> {
        (0..SLOTS).for_each(|slot| self.empty(slot));
        self.look_around();
        let tokens = random_tokens(depth + prompt, self.model.n_vocab());
        self.read(&tokens[..depth], 0)?;
        let start = Instant::now();
        self.read(&tokens[depth..], depth)?;
        let read = start.elapsed();
        // Generating is measured behind the same depth as reading is.
        let from = u32::try_from(depth).ok();
        if self.context.kv_cache_seq_rm(0, from, None).is_err() {
            self.empty(0);
            self.read(&tokens[..depth], 0)?;
        }
        self.read(&tokens[tokens.len().saturating_sub(1)..], depth)?;
        let mut sampler = Sampler::new(&Sampling::default(), self.model.n_vocab());
        let start = Instant::now();
        for i in 0..generate {
            let token = sampler.pick(self.logits(0), None)?;
            self.read(&[token], depth + 1 + i)?;
        }
        let rate = |n: usize, time: Duration| n as f64 / time.as_secs_f64().max(1e-9);
        let speed = Speed { prefill: rate(prompt, read), decode: rate(generate, start.elapsed()) };
        self.empty(0);
        Ok(speed)
    }

    /// Seconds that reading so many random tokens takes behind what the first slot holds, which stays as it is where its memory
    /// can be cut.
    pub fn reading(&mut self, tokens: usize) -> Result<f64, EngineError> {
        let tokens = random_tokens(tokens, self.model.n_vocab());
        self.look_around();
        let start = Instant::now();
        self.read(&tokens, self.slots[0].len())?;
        let seconds = start.elapsed().as_secs_f64();
        self.trim(0);
        Ok(seconds)
    }

    fn read(&mut self, tokens: &[LlamaToken], at: usize) -> Result<(), EngineError> {
        let row =
            |(i, &token): (usize, &LlamaToken)| Row { token, slot: 0, position: at + i, logits: i + 1 == tokens.len() };
        let rows: Vec<Row> = tokens.iter().enumerate().map(row).collect();
        rows.chunks(self.chunk).try_for_each(|chunk| self.decode_alone(chunk))
    }

    pub fn decode_alone(&mut self, rows: &[Row]) -> Result<(), EngineError> {
        let (prompt, context) = (rows.last().map_or(0, |row| row.position + 1), self.capacity());
        self.decode(rows, &|| false).map_err(|failure| match failure {
            Failure::Full | Failure::Stopped => EngineError::TooLong { prompt, context },
            Failure::Broken(error) => error,
        })
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
