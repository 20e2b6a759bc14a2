//! One generation, from prompt to usage.

use std::time::Instant;

use llama_cpp_2::token::LlamaToken;
use llguidance::Matcher;
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

use super::kv::Token;
use super::output::{Utf8, is_loop};
use super::sample::{Sampler, logprob};
use super::worker::{Read, Worker};
use crate::dialect::{Grammar, Parsed, Parser};
use crate::engine::{Delta, EngineError, Sampling, Stop, Usage};

/// Tokens that must be left for an answer.
const ROOM: usize = 64;
/// Every how many tokens the output is looked through for loops.
const LOOP_CHECK: usize = 16;

/// What is to be generated.
pub struct Job {
    /// The rendered prompt, with its beginning-of-sequence token.
    pub prompt: String,
    pub grammar: Option<Grammar>,
    pub parser: Box<dyn Parser>,
    pub stop: Vec<String>,
    pub sampling: Sampling,
    pub max_tokens: Option<usize>,
    pub logprobs: bool,
    pub cancel: CancellationToken,
    pub deltas: mpsc::UnboundedSender<Result<Delta, EngineError>>,
}

impl Job {
    fn is_cancelled(&self) -> bool {
        self.cancel.is_cancelled() || self.deltas.is_closed()
    }

    fn send(&self, delta: Delta) {
        // A receiver that is gone is a cancellation, seen at the next step.
        let _ = self.deltas.send(Ok(delta));
    }
}

/// Runs `job`; its end, good or bad, is the last thing sent.
pub fn generate(worker: &mut Worker<'_>, mut job: Job) {
    let last = run(worker, &mut job).map(Delta::Usage);
    let _ = job.deltas.send(last);
}

fn run(worker: &mut Worker<'_>, job: &mut Job) -> Result<Usage, EngineError> {
    let mut usage = Usage::default();
    let start = Instant::now();
    let read = read_prompt(worker, job, &mut usage)?;
    usage.prefill_seconds = start.elapsed().as_secs_f64();
    if read == Read::Cancelled {
        return Ok(Usage { stop: Stop::Cancelled, ..usage });
    }
    let start = Instant::now();
    let mut generation = Generation::new(worker, job)?;
    usage.stop = generation.run()?;
    usage.generated = generation.tokens.len();
    usage.logprob = generation.mean_logprob();
    usage.decode_seconds = start.elapsed().as_secs_f64();
    tracing::debug!(?usage, "generated");
    Ok(usage)
}

/// Brings the KV cache to the prompt, decoding only what it does not hold.
fn read_prompt(worker: &mut Worker<'_>, job: &Job, usage: &mut Usage) -> Result<Read, EngineError> {
    let prompt = job.prompt.as_bytes();
    let kept = worker.slot.keep(prompt);
    let held = worker.slot.len();
    let tokens = worker.cut(kept.tokens);
    let offset = if tokens == kept.tokens { kept.offset } else { 0 };
    let rest = worker.model.vocab().tokenize(&prompt[offset..], false, true);
    usage.prompt = tokens + rest.len();
    usage.cached = tokens;
    tracing::debug!(held, kept = tokens, read = rest.len(), "prompt");
    if usage.prompt + ROOM > worker.capacity() {
        return Err(EngineError::TooLong { prompt: usage.prompt, context: worker.capacity() });
    }
    let read = worker.read(&rest, |done| {
        job.send(Delta::Prefill { done, total: rest.len() });
        !job.is_cancelled()
    })?;
    worker.slot.prompt_ends();
    Ok(read)
}

struct Generation<'a, 'm> {
    worker: &'a mut Worker<'m>,
    job: &'a mut Job,
    sampler: Sampler,
    matcher: Option<Matcher>,
    utf8: Utf8,
    /// The end of the text so far, as far as a trigger may reach back.
    tail: String,
    /// The same for stop texts.
    end: String,
    reached_stop: bool,
    tokens: Vec<Token>,
    logprobs: f64,
}

impl<'a, 'm> Generation<'a, 'm> {
    fn new(worker: &'a mut Worker<'m>, job: &'a mut Job) -> Result<Self, EngineError> {
        let sampler = Sampler::new(&job.sampling, worker.model.n_vocab());
        let matcher = match &job.grammar {
            Some(grammar) if grammar.trigger.is_none() => Some(worker.grammars.matcher(&grammar.lark)?),
            _ => None,
        };
        let (utf8, tail, end) = (Utf8::default(), String::new(), String::new());
        Ok(Self {
            worker,
            job,
            sampler,
            matcher,
            utf8,
            tail,
            end,
            reached_stop: false,
            tokens: Vec::new(),
            logprobs: 0.0,
        })
    }

    fn run(&mut self) -> Result<Stop, EngineError> {
        let room = self.worker.capacity() - self.worker.slot.len();
        let limit = self.job.max_tokens.unwrap_or(room).min(room);
        let stop = loop {
            if self.job.is_cancelled() {
                break Stop::Cancelled;
            }
            if self.tokens.len() >= limit {
                break Stop::Length;
            }
            let token = self.sampler.pick(self.worker.logits(), self.matcher.as_mut())?;
            if self.worker.model.vocab().is_eog(token) {
                break Stop::End;
            }
            let complete = self.take(token)?;
            let stopped = self.reached_stop;
            // Decoded even where the output ends here: the next prompt holds this token too.
            self.worker.step(token)?;
            if stopped {
                break Stop::End;
            }
            if complete {
                break Stop::Call;
            }
            if self.tokens.len().is_multiple_of(LOOP_CHECK) && is_loop(&self.tokens) {
                break Stop::Loop;
            }
        };
        let rest = self.utf8.finish();
        let mut parsed = self.job.parser.push(&rest);
        parsed.extend(self.job.parser.finish());
        let called = self.publish(parsed);
        Ok(if called && stop == Stop::End { Stop::Call } else { stop })
    }

    /// Takes in a sampled token: the sampler's and the grammar's state, the text, the parser. Returns whether the output is
    /// complete with it.
    fn take(&mut self, token: LlamaToken) -> Result<bool, EngineError> {
        if self.job.logprobs {
            self.logprobs += logprob(self.worker.logits(), token);
        }
        self.tokens.push(token.0);
        self.sampler.accept(token);
        let mut stopped = false;
        if let Some(matcher) = &mut self.matcher {
            matcher.consume_token(token.0.cast_unsigned()).map_err(|e| EngineError::Decode(e.to_string()))?;
            stopped = matcher.is_stopped();
        }
        let text = self.utf8.push(&self.worker.piece(token));
        if self.matcher.is_none() {
            self.watch_for_trigger(&text)?;
        }
        self.watch_for_stop(&text);
        let parsed = self.job.parser.push(&text);
        Ok(self.publish(parsed) || stopped)
    }

    /// Puts the grammar in force once the text contains its trigger.
    fn watch_for_trigger(&mut self, text: &str) -> Result<(), EngineError> {
        let Some(Grammar { lark, trigger: Some(trigger) }) = &self.job.grammar else { return Ok(()) };
        self.tail.push_str(text);
        let Some(at) = self.tail.find(trigger.as_str()) else {
            let keep = self.tail.floor_char_boundary(self.tail.len().saturating_sub(trigger.len()));
            self.tail.drain(..keep);
            return Ok(());
        };
        let mut matcher = self.worker.grammars.matcher(lark)?;
        // The token that completed the trigger may reach beyond it.
        let beyond = &self.tail[at + trigger.len()..];
        let tokens = self.worker.model.vocab().tokenize(beyond.as_bytes(), false, false);
        let ids: Vec<u32> = tokens.iter().map(|t| t.0.cast_unsigned()).collect();
        if matcher.validate_tokens(&ids).is_ok_and(|valid| valid == ids.len()) && matcher.consume_tokens(&ids).is_ok() {
            self.matcher = Some(matcher);
        } else {
            tracing::warn!(beyond, "what follows the trigger fits no call; going on without the constraint");
        }
        self.tail.clear();
        Ok(())
    }

    /// Notes when the text contains a stop text.
    fn watch_for_stop(&mut self, text: &str) {
        let Some(longest) = self.job.stop.iter().map(String::len).max() else { return };
        self.end.push_str(text);
        self.reached_stop |= self.job.stop.iter().any(|stop| self.end.contains(stop.as_str()));
        let keep = self.end.floor_char_boundary(self.end.len().saturating_sub(longest));
        self.end.drain(..keep);
    }

    /// Sends what was parsed; returns whether a call is complete, or one is beyond mending.
    fn publish(&self, parsed: Vec<Parsed>) -> bool {
        let mut complete = false;
        for item in parsed {
            let delta = match item {
                Parsed::Reasoning(text) => Delta::Reasoning(text),
                Parsed::Text(text) => Delta::Text(text),
                Parsed::Call(call) => Delta::Call(call),
                Parsed::Malformed { text, error } => Delta::Malformed { text, error },
            };
            complete |= matches!(delta, Delta::Call(_) | Delta::Malformed { .. });
            self.job.send(delta);
        }
        complete
    }

    fn mean_logprob(&self) -> Option<f64> {
        (self.job.logprobs && !self.tokens.is_empty()).then(|| self.logprobs / self.tokens.len() as f64)
    }
}
