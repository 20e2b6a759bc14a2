//! Picks the next token from the logits, within a grammar where one is in force.

use std::panic::AssertUnwindSafe;
use std::sync::{Arc, OnceLock};
use std::thread::JoinHandle;

use llama_cpp_2::model::LlamaModel;
use llama_cpp_2::sampling::LlamaSampler;
use llama_cpp_2::token::LlamaToken;
use llama_cpp_2::token::data::LlamaTokenData;
use llama_cpp_2::token::data_array::LlamaTokenDataArray;
use llguidance::api::TopLevelGrammar;
use llguidance::toktrie::SimpleVob;
use llguidance::{Matcher, ParserFactory};

use super::largest::{argmax, top};
use super::vocabulary;
use crate::engine::{EngineError, Sampling};

/// Over how many generated tokens the repetition penalty looks back.
const PENALTY_WINDOW: u8 = 64;

/// Makes matchers. The trie over the whole vocabulary is built once a model, in the background, since it takes some tenths of
/// a second.
pub struct Grammars {
    factory: Arc<OnceLock<Result<ParserFactory, String>>>,
    /// Builds the trie, and holds the model meanwhile.
    builder: Option<JoinHandle<()>>,
}

impl Drop for Grammars {
    /// Waits for the trie, so that the model does not outlive its engine: see `LocalEngine`'s own end.
    fn drop(&mut self) {
        if let Some(builder) = self.builder.take() {
            let _ = builder.join();
        }
    }
}

impl Grammars {
    pub fn new(model: &Arc<LlamaModel>) -> Self {
        let cell = Arc::new(OnceLock::new());
        let (background, model) = (cell.clone(), model.clone());
        let build = move || {
            background.get_or_init(|| {
                // Whoever waits for the result must get one, whatever a strange vocabulary does to these libraries.
                std::panic::catch_unwind(AssertUnwindSafe(|| {
                    let env = vocabulary::env(&model);
                    let mut factory = ParserFactory::new_simple(&env).map_err(|e| e.to_string())?;
                    factory.quiet();
                    Ok(factory)
                }))
                .unwrap_or_else(|_| Err("the model's vocabulary cannot be read".into()))
            });
        };
        // Where no thread can be had the first matcher would wait for ever, so build here.
        let builder = std::thread::Builder::new().name("vocabulary".into()).spawn(build.clone());
        if let Err(error) = &builder {
            tracing::warn!(%error, "the vocabulary is read in the foreground");
            build();
        }
        Self { factory: cell, builder: builder.ok() }
    }

    /// A thread is still busy with the vocabulary.
    pub fn is_being_made(&self) -> bool {
        self.builder.as_ref().is_some_and(|builder| !builder.is_finished())
    }

    /// A matcher for `lark`.
    ///
    /// # Errors
    /// The grammar does not compile.
    pub fn matcher(&self, lark: &str) -> Result<Matcher, EngineError> {
        let failed =
            |reason: &str| EngineError::Prompt(format!("the grammar of the tool calls does not compile: {reason}"));
        let factory = self.factory.wait().as_ref().map_err(|e| failed(e))?;
        let mut matcher = Matcher::new(factory.create_parser(TopLevelGrammar::from_lark(lark.to_owned())));
        match matcher.get_error() {
            Some(error) => Err(failed(&error)),
            None => {
                for warning in matcher.grammar_warnings() {
                    tracing::debug!(warning, "grammar");
                }
                Ok(matcher)
            }
        }
    }
}

/// Picks tokens for one generation.
pub struct Sampler {
    /// `None` is plain greedy, which needs no copy of the logits.
    chain: Option<LlamaSampler>,
    /// More than so many of the likeliest tokens the chain has no use for; `None` where it may need all.
    enough: Option<usize>,
    candidates: Vec<LlamaTokenData>,
}

impl Sampler {
    pub fn new(sampling: &Sampling, vocabulary: i32) -> Self {
        let greedy = sampling.temperature <= 0.0;
        if greedy && sampling.repeat_penalty == 1.0 {
            return Self { chain: None, enough: None, candidates: Vec::new() };
        }
        let mut steps = Vec::new();
        if sampling.repeat_penalty != 1.0 {
            steps.push(LlamaSampler::penalties(vocabulary, PENALTY_WINDOW.into(), sampling.repeat_penalty, 0.0, 0.0));
        }
        if greedy {
            steps.push(LlamaSampler::greedy());
        } else {
            steps.push(LlamaSampler::top_k(sampling.top_k));
            steps.push(LlamaSampler::top_p(sampling.top_p, 1));
            steps.push(LlamaSampler::min_p(sampling.min_p, 1));
            steps.push(LlamaSampler::temp(sampling.temperature));
            steps.push(LlamaSampler::dist(sampling.seed));
        }
        // Penalties make tokens of their window less likely, so that as many others come up.
        let kept = if greedy { 1 } else { usize::try_from(sampling.top_k).unwrap_or(0) };
        let enough = (kept > 0 && sampling.repeat_penalty >= 1.0).then_some(kept + usize::from(PENALTY_WINDOW));
        Self { chain: Some(LlamaSampler::chain_simple(steps)), enough, candidates: Vec::new() }
    }

    /// The next token. `matcher` rules out what its grammar does not allow.
    ///
    /// # Errors
    /// The matcher failed (a grammar that outgrew its limits).
    pub fn pick(&mut self, logits: &[f32], matcher: Option<&mut Matcher>) -> Result<LlamaToken, EngineError> {
        Ok(match (&mut self.chain, matcher) {
            (None, None) => token(argmax(logits)),
            (None, Some(matcher)) => {
                // The model's own choice is allowed most of the time, and asking for one token costs far less than a mask.
                let free = token(argmax(logits));
                if matcher.validate_tokens(&[free.0.cast_unsigned()]).map_err(constraint_error)? == 1 {
                    free
                } else {
                    best(logits, &matcher.compute_mask_or_eos().map_err(constraint_error)?).ok_or_else(no_token)?
                }
            }
            (Some(_), matcher) => {
                self.fill(logits, matcher)?;
                let mut array = LlamaTokenDataArray::new(std::mem::take(&mut self.candidates), false);
                if let Some(chain) = &mut self.chain {
                    chain.apply(&mut array);
                }
                let picked = array.selected_token().or_else(|| array.data.first().map(LlamaTokenData::id));
                self.candidates = array.data;
                picked.ok_or_else(no_token)?
            }
        })
    }

    /// Tells the penalties what was taken.
    pub fn accept(&mut self, token: LlamaToken) {
        if let Some(chain) = &mut self.chain {
            chain.accept(token);
        }
    }

    /// Lists what the chain chooses from.
    fn fill(&mut self, logits: &[f32], matcher: Option<&mut Matcher>) -> Result<(), EngineError> {
        self.candidates.clear();
        let candidate = |(at, logit): (usize, f32)| LlamaTokenData::new(token(at), logit, 0.0);
        let mask = matcher.map(Matcher::compute_mask_or_eos).transpose().map_err(constraint_error)?;
        let allowed = |at: &usize| mask.as_ref().is_none_or(|mask| mask.get(*at));
        if let Some(enough) = self.enough {
            // A grammar may take some of them.
            let likely = top(logits, if mask.is_some() { enough * 2 } else { enough });
            self.candidates.extend(likely.into_iter().filter(|(at, _)| allowed(at)).map(candidate));
            if self.candidates.len() >= enough {
                return Ok(());
            }
            self.candidates.clear();
        }
        let all = logits.iter().copied().enumerate();
        self.candidates.extend(all.filter(|(at, _)| allowed(at)).map(candidate));
        Ok(())
    }
}

/// The likeliest token that the grammar allows. Most of the time these are few.
fn best(logits: &[f32], mask: &SimpleVob) -> Option<LlamaToken> {
    let mut best: Option<(usize, f32)> = None;
    mask.iter_set_entries(|at| {
        if let Some(&logit) = logits.get(at)
            && best.is_none_or(|(_, most)| logit > most)
        {
            best = Some((at, logit));
        }
    });
    best.map(|(at, _)| token(at))
}

fn token(at: usize) -> LlamaToken {
    LlamaToken(i32::try_from(at).unwrap_or(0))
}

/// The log-probability of `token`: its logit less the logarithm of the sum of all exponentials.
pub fn logprob(logits: &[f32], token: LlamaToken) -> f64 {
    let max = logits.iter().copied().fold(f32::NEG_INFINITY, f32::max);
    let sum: f64 = logits.iter().map(|&l| f64::from(l - max).exp()).sum();
    let own = usize::try_from(token.0).ok().and_then(|i| logits.get(i)).copied().unwrap_or(f32::NEG_INFINITY);
    f64::from(own - max) - sum.ln()
}

fn constraint_error(error: impl std::fmt::Display) -> EngineError {
    EngineError::Decode(format!("the grammar of the tool calls failed ({error})"))
}

fn no_token() -> EngineError {
    EngineError::Decode("the grammar of the tool calls allows no token".into())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn logprob_is_that_of_a_softmax() {
        let logits = [1.0, 2.0, 3.0];
        let sum: f64 = (0..3).map(|i| logprob(&logits, LlamaToken(i)).exp()).sum();
        assert!((sum - 1.0).abs() < 1e-6);
        assert!((logprob(&logits, LlamaToken(2)) - -0.407_605_96).abs() < 1e-6);
    }
}
