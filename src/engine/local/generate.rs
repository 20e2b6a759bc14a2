//! One generation, from prompt to usage: a state machine that the scheduler gives a part of each batch.

use std::time::Instant;

use llama_cpp_2::token::LlamaToken;
use llguidance::Matcher;
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

use super::output::{Utf8, is_loop};
use super::pace::Pace;
use super::sample::{Sampler, logprob};
use super::speculate::Drafter;
use super::worker::{Brought, Worker};
use crate::dialect::{Grammar, Parsed, Parser, Trigger};
use crate::engine::thinking::Allowance;
use crate::engine::{Delta, EngineError, Sampling, Stop, Usage};

/// Tokens that must be left for an answer.
const ROOM: usize = 64;
/// Every how many tokens the output is looked through for loops.
const LOOP_CHECK: usize = 16;
/// Forced tokens are verified like a draft, at most so many at once.
const MOST_FORCED: usize = 15;

/// What is to be generated.
pub struct Job {
    /// The rendered prompt, with its beginning-of-sequence token.
    pub prompt: String,
    /// Bytes of the prompt that other conversations with the same tools begin with too; ends behind a control token.
    pub stable: usize,
    /// The conversation whose KV cache to continue.
    pub slot: usize,
    pub grammar: Option<Grammar>,
    pub parser: Box<dyn Parser>,
    pub stop: Vec<String>,
    pub sampling: Sampling,
    pub max_tokens: Option<usize>,
    pub logprobs: bool,
    /// Texts to draft from; `None` drafts nothing.
    pub copy_from: Option<Vec<String>>,
    /// How long the model may reason before it answers; `None` where its form has no marks for that.
    pub thinking: Option<Allowance<LlamaToken>>,
    /// What the next message of somebody else would begin with: who writes it has ended, with or without a word of it.
    pub opener: Option<LlamaToken>,
    pub cancel: CancellationToken,
    pub deltas: mpsc::UnboundedSender<Result<Delta, EngineError>>,
}

impl Job {
    pub fn is_cancelled(&self) -> bool {
        self.cancel.is_cancelled() || self.deltas.is_closed()
    }

    fn send(&self, delta: Delta) {
        // A receiver that is gone is a cancellation, seen at the next step.
        let _ = self.deltas.send(Ok(delta));
    }
}

/// A generation under way in its slot.
pub struct Generation {
    job: Job,
    phase: Phase,
    usage: Usage,
    /// When the phase began.
    since: Instant,
    written: Written,
}

enum Phase {
    /// The prompt's rest, and how many of its tokens are decoded. Where to pause: to put what other prompts share on disk, and
    /// to make a checkpoint; in tokens that the slot holds then.
    Reading { rest: Vec<LlamaToken>, done: usize, snapshot_at: Option<usize>, checkpoint_at: Option<usize> },
    /// The last token, which is still to be decoded, with a draft of what comes after it; `guessed` by the draft model.
    Writing { next: Vec<LlamaToken>, guessed: bool },
    /// Only the last token is still to be decoded: the next prompt holds it too.
    Ending { last: LlamaToken, stop: Stop },
}

/// What comes behind the tokens that were just taken in.
enum After {
    /// A token, which is still to be decoded.
    Next(LlamaToken),
    /// The end, perhaps with a last token that is still to be decoded.
    Over(Option<LlamaToken>, Stop),
}

/// The output's state.
struct Written {
    sampler: Sampler,
    matcher: Option<Matcher>,
    /// Guesses what comes next, where that is asked for.
    drafter: Option<Drafter>,
    utf8: Utf8,
    /// Watches for what puts the grammar in force.
    trigger: Option<Trigger>,
    /// The end of the text so far, as far as a stop text may reach back.
    tail: String,
    reached_stop: bool,
    /// What was parsed last, but for blanks, is reasoning, whether or not that has ended.
    thought: bool,
    tokens: Vec<i32>,
    logprobs: f64,
    limit: usize,
}

impl Written {
    /// Nothing yet.
    fn new(sampler: Sampler) -> Self {
        Self {
            sampler,
            matcher: None,
            drafter: None,
            utf8: Utf8::default(),
            trigger: None,
            tail: String::new(),
            reached_stop: false,
            thought: false,
            tokens: Vec::new(),
            logprobs: 0.0,
            limit: 0,
        }
    }
}

impl Generation {
    /// Brings the slot to what it shares with the job's prompt and settles what is left to read. `None`: the prompt cannot be
    /// read, and the job has been told why.
    pub fn begin(worker: &mut Worker<'_>, job: Job) -> Option<Self> {
        let since = Instant::now();
        let prompt = job.prompt.as_bytes();
        let Brought { kept, rest, stable } = worker.bring(job.slot, prompt, job.stable);
        let snapshot_at = (stable > 0).then_some(kept + stable);
        let checkpoint_at = worker.border(&rest).map(|at| kept + at);
        let usage = Usage { prompt: kept + rest.len(), cached: kept, ..Usage::default() };
        tracing::debug!(slot = job.slot, kept, read = rest.len(), "prompt");
        let unreadable = if rest.is_empty() {
            Some(EngineError::Prompt("the prompt has no text that this model knows".into()))
        } else if usage.prompt + ROOM > worker.capacity() {
            Some(EngineError::TooLong { prompt: usage.prompt, context: worker.capacity() })
        } else {
            None
        };
        if let Some(error) = unreadable {
            let _ = job.deltas.send(Err(error));
            return None;
        }
        let phase = Phase::Reading { rest, done: 0, snapshot_at, checkpoint_at };
        let written = Written::new(Sampler::new(&job.sampling, worker.model.n_vocab()));
        Some(Self { job, phase, usage, since, written })
    }

    pub fn slot(&self) -> usize {
        self.job.slot
    }

    pub fn is_reading(&self) -> bool {
        matches!(self.phase, Phase::Reading { .. })
    }

    /// Nobody waits for it: it reads what may be asked for later.
    pub fn reads_ahead(&self) -> bool {
        self.job.max_tokens == Some(0)
    }

    pub fn is_cancelled(&self) -> bool {
        self.job.is_cancelled()
    }

    /// Tells how far reading is: what is decoded, and `more` tokens of the batch under way.
    pub fn tell(&self, more: usize) {
        if let Phase::Reading { rest, done, .. } = &self.phase {
            self.job.send(Delta::Prefill { done: (done + more).min(rest.len()), total: rest.len() });
        }
    }

    /// The tokens for the next batch, at most `most`, and whether the logits behind each are wanted or just the last's.
    pub fn tokens(&self, worker: &Worker<'_>, most: usize) -> (&[LlamaToken], bool) {
        match &self.phase {
            Phase::Reading { rest, done, snapshot_at, checkpoint_at } => {
                self.tell(0);
                let held = worker.slots[self.job.slot].len();
                let pauses = snapshot_at.iter().chain(checkpoint_at).filter_map(|at| at.checked_sub(held));
                let until = pauses.filter(|&n| n > 0).min().unwrap_or(most);
                let end = rest.len().min(done + most.min(until));
                (&rest[*done..end], false)
            }
            Phase::Writing { next, .. } => (next, true),
            Phase::Ending { last, .. } => (std::slice::from_ref(last), false),
        }
    }

    /// Takes in that `count` tokens were decoded, the first of them in row `first` of the batch. Returns whether the
    /// generation is over.
    ///
    /// # Errors
    /// The grammar failed.
    pub fn decoded(&mut self, worker: &mut Worker<'_>, first: usize, count: usize) -> Result<bool, EngineError> {
        match &mut self.phase {
            Phase::Reading { rest, done, snapshot_at, checkpoint_at } => {
                worker.push(self.job.slot, &rest[*done..*done + count]);
                *done += count;
                let held = Some(worker.slots[self.job.slot].len());
                if *snapshot_at == held {
                    worker.save(self.job.slot);
                }
                if *snapshot_at == held || *checkpoint_at == held {
                    worker.checkpoint(self.job.slot);
                }
                if *done < rest.len() {
                    return Ok(false);
                }
                self.begin_to_write(worker)?;
                if self.written.limit == 0 {
                    self.finish(worker, Stop::Length);
                    return Ok(true);
                }
                self.write(worker, first + count - 1, &[], false)
            }
            Phase::Writing { next, guessed } => {
                let (next, guessed) = (std::mem::take(next), *guessed);
                worker.push(self.job.slot, &next[..1]);
                self.write(worker, first, &next[1..], guessed)
            }
            Phase::Ending { last, stop } => {
                let (last, stop) = (*last, *stop);
                worker.push(self.job.slot, &[last]);
                self.finish(worker, stop);
                Ok(true)
            }
        }
    }

    fn begin_to_write(&mut self, worker: &mut Worker<'_>) -> Result<(), EngineError> {
        worker.slots[self.job.slot].prompt_ends();
        let slot = &worker.slots[self.job.slot];
        if let Some(Grammar { lark, trigger }) = &self.job.grammar {
            match trigger {
                Some(text) => self.written.trigger = Some(Trigger::new(text)),
                None => self.written.matcher = Some(worker.grammars.matcher(lark)?),
            }
        }
        let vocab = worker.model.vocab();
        self.written.drafter = self.job.copy_from.as_ref().filter(|_| worker.can_cut()).map(|texts| {
            let ids = |text: &String| vocab.tokenize(text.as_bytes(), false, false).iter().map(|t| t.0).collect();
            Drafter::new(&texts.iter().map(ids).collect::<Vec<_>>(), slot.tokens())
        });
        let room = worker.capacity() - slot.len();
        self.written.limit = self.job.max_tokens.unwrap_or(room).min(room);
        self.usage.prefill_seconds = self.since.elapsed().as_secs_f64();
        self.since = Instant::now();
        Ok(())
    }

    /// Samples behind row `first` and, as long as what is sampled is what was drafted, behind the rows after it. Returns
    /// whether the generation is over.
    fn write(
        &mut self,
        worker: &mut Worker<'_>,
        first: usize,
        drafted: &[LlamaToken],
        guessed: bool,
    ) -> Result<bool, EngineError> {
        self.usage.drafted += drafted.len();
        let mut accepted = 0;
        let (after, wrong) = loop {
            let row = first + accepted;
            let written = &mut self.written;
            let forced = self.job.thinking.as_mut().and_then(Allowance::forced);
            let token = match forced {
                Some(token) => token,
                None => written.sampler.pick(worker.logits(row), written.matcher.as_mut())?,
            };
            let expected = drafted.get(accepted);
            let right = expected == Some(&token);
            let wrong = expected.is_some() && !right;
            // Behind reasoning alone the answer begins, as a turn of its own in some families.
            let next_turn = self.job.opener == Some(token) && !self.written.thought;
            if worker.model.vocab().is_eog(token) || next_turn {
                break (After::Over(None, Stop::End), wrong);
            }
            let complete = self.take(worker, token, row)?;
            if right {
                worker.push(self.job.slot, &[token]);
                accepted += 1;
            }
            if let Some(stop) = self.ended(complete) {
                break (After::Over((!right).then_some(token), stop), wrong);
            }
            if !right {
                break (After::Next(token), wrong);
            }
        };
        self.usage.accepted += accepted;
        if accepted < drafted.len() {
            worker.trim(self.job.slot);
        }
        if guessed && let Some(model) = &mut worker.draft_model {
            model.note(accepted, wrong);
        }
        match after {
            After::Next(token) => {
                self.phase = self.next(worker, token);
                Ok(false)
            }
            After::Over(Some(last), stop) => {
                self.phase = Phase::Ending { last, stop };
                Ok(false)
            }
            After::Over(None, stop) => {
                self.finish(worker, stop);
                Ok(true)
            }
        }
    }

    /// What the next batch decodes: `token`, and what the grammar forces, the drafter expects or the draft model guesses behind
    /// it.
    fn next(&mut self, worker: &mut Worker<'_>, token: LlamaToken) -> Phase {
        let mut next = vec![token];
        let left = self.written.limit - self.written.tokens.len();
        let closing = self.job.thinking.as_ref().map(Allowance::closing).unwrap_or_default();
        if !closing.is_empty() {
            next.extend(closing.iter().take(left.min(MOST_FORCED)));
            return Phase::Writing { next, guessed: false };
        }
        let Written { matcher, drafter: Some(drafter), .. } = &mut self.written else {
            return Phase::Writing { next, guessed: false };
        };
        if !worker.alone {
            // The batch is full of what others write already.
            return Phase::Writing { next, guessed: false };
        }
        let most = left.min(Pace::LONGEST - 1);
        let forced = matcher.as_mut().map(Matcher::compute_ff_tokens).unwrap_or_default();
        if forced.is_empty() {
            next.extend(drafter.draft(most, &worker.pace).iter().map(|&t| LlamaToken(t)));
        } else {
            next.extend(forced.iter().take(most.min(MOST_FORCED)).map(|t| LlamaToken(t.cast_signed())));
        }
        let guessed = next.len() == 1;
        if guessed {
            next.extend(worker.guess(self.job.slot, token, left, &|| self.job.is_cancelled()));
        }
        Phase::Writing { next, guessed }
    }

    /// Why the output ends behind the token that was taken in last.
    fn ended(&mut self, complete: bool) -> Option<Stop> {
        let tokens = &self.written.tokens;
        match () {
            () if self.written.reached_stop => Some(Stop::End),
            () if complete => Some(Stop::Call),
            () if tokens.len() >= self.written.limit => Some(Stop::Length),
            () if tokens.len().is_multiple_of(LOOP_CHECK) && is_loop(tokens) => {
                // Whoever goes round in circles while reasoning may still know the answer.
                let cut = self.job.thinking.as_mut().is_some_and(Allowance::cut);
                (!cut).then_some(Stop::Loop)
            }
            () => None,
        }
    }

    /// Ends the generation: what is held back is published, then what it took.
    pub fn finish(&mut self, worker: &mut Worker<'_>, stop: Stop) {
        worker.trim(self.job.slot);
        let mut usage = self.usage;
        usage.stop = stop;
        let elapsed = self.since.elapsed().as_secs_f64();
        if self.is_reading() {
            usage.prefill_seconds = elapsed;
        } else {
            let rest = self.written.utf8.finish();
            let mut parsed = self.job.parser.push(&rest);
            parsed.extend(self.job.parser.finish());
            if self.publish(parsed) && stop == Stop::End {
                usage.stop = Stop::Call;
            }
            usage.generated = self.written.tokens.len();
            usage.logprob = self.mean_logprob();
            usage.decode_seconds = elapsed;
        }
        tracing::debug!(?usage, pace = ?worker.pace, "generated");
        self.job.send(Delta::Usage(usage));
    }

    /// Ends the generation with an error.
    pub fn fail(&mut self, worker: &mut Worker<'_>, error: EngineError) {
        worker.trim(self.job.slot);
        let _ = self.job.deltas.send(Err(error));
    }

    /// Takes in a sampled token: the sampler's and the grammar's state, the text, the parser. Returns whether the output is
    /// complete with it.
    fn take(&mut self, worker: &Worker<'_>, token: LlamaToken, row: usize) -> Result<bool, EngineError> {
        if self.job.logprobs {
            self.written.logprobs += logprob(worker.logits(row), token);
        }
        self.written.tokens.push(token.0);
        self.written.sampler.accept(token);
        if let Some(drafter) = &mut self.written.drafter {
            drafter.push(token.0);
        }
        let text = self.written.utf8.push(&worker.piece(token));
        let mut stopped = false;
        if let Some(matcher) = &mut self.written.matcher {
            matcher.consume_token(token.0.cast_unsigned()).map_err(|e| EngineError::Decode(e.to_string()))?;
            stopped = matcher.is_stopped();
        }
        self.watch_for_stop(&text);
        let parsed = self.job.parser.push(&text);
        let is_blank = |item: &&Parsed| matches!(item, Parsed::Text(text) if text.trim().is_empty());
        if let Some(last) = parsed.iter().rfind(|item| !is_blank(item)) {
            self.written.thought = matches!(last, Parsed::Reasoning(_));
        }
        let inside = self.job.parser.is_thinking();
        if let Some(thinking) = &mut self.job.thinking {
            thinking.note(inside);
        }
        let begun = self.written.trigger.as_mut().and_then(|trigger| trigger.push(&text, inside));
        if let Some(behind) = begun {
            self.constrain(worker, &behind)?;
        }
        Ok(self.publish(parsed) || stopped)
    }

    /// Puts the grammar in force. `behind` is what the token that completed its trigger wrote beyond it.
    fn constrain(&mut self, worker: &Worker<'_>, behind: &str) -> Result<(), EngineError> {
        let Some(Grammar { lark, .. }) = &self.job.grammar else { return Ok(()) };
        let mut matcher = worker.grammars.matcher(lark)?;
        let tokens = worker.model.vocab().tokenize(behind.as_bytes(), false, false);
        let ids: Vec<u32> = tokens.iter().map(|t| t.0.cast_unsigned()).collect();
        if matcher.validate_tokens(&ids).is_ok_and(|valid| valid == ids.len()) && matcher.consume_tokens(&ids).is_ok() {
            self.written.trigger = None;
            self.written.matcher = Some(matcher);
        } else {
            tracing::warn!(behind, "what follows the trigger fits no call; going on without the constraint");
        }
        Ok(())
    }

    /// Notes when the text contains a stop text.
    fn watch_for_stop(&mut self, text: &str) {
        let Some(longest) = self.job.stop.iter().map(String::len).max() else { return };
        let written = &mut self.written;
        written.tail.push_str(text);
        written.reached_stop |= self.job.stop.iter().any(|stop| written.tail.contains(stop.as_str()));
        let keep = written.tail.floor_char_boundary(written.tail.len().saturating_sub(longest));
        written.tail.drain(..keep);
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
        (self.job.logprobs && !self.written.tokens.is_empty())
            .then(|| self.written.logprobs / self.written.tokens.len() as f64)
    }
}
