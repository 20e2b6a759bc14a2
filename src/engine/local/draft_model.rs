//! A small model of the same vocabulary that guesses what the large one is about to write, where there is nothing to copy
//! (speculative decoding, arXiv 2211.17192). Its guesses are verified like any draft, so that they change how fast text comes
//! and not which.
//!
//! A guess costs a token of the small model and a longer batch of the large one, and saves a token of the large one as often as
//! it is right. All three are measured as it runs, the last by how sure the small model was, and each further token is guessed
//! only where it saves more than it costs. Where that never is, the small model is not even given the conversation to read.

use std::path::PathBuf;
use std::time::Instant;

use llama_cpp_2::context::LlamaContext;
use llama_cpp_2::llama_backend::LlamaBackend;
use llama_cpp_2::llama_batch::LlamaBatch;
use llama_cpp_2::model::LlamaModel;
use llama_cpp_2::model::params::LlamaModelParams;
use llama_cpp_2::token::LlamaToken;

use super::handle::{Handle, Watch};
use super::kv::Token;
use super::largest::likeliest;
use super::pace::Pace;
use crate::engine::EngineError;

/// The most tokens that are guessed at a time.
const MOST: usize = 15;
/// Tokens that are read at a time.
const CHUNK: usize = 512;
/// Tokens by which vocabularies of one family differ: control tokens that were added later, and padding.
const MOST_FOREIGN: usize = 128;
/// How much one token counts for a rate of hits, and for the time that a token takes.
const WEIGHT: f64 = 0.06;
/// By how much guesses may seem too dear to be tried all the same: so many to learn what they are worth, and one now and then.
const HOPE: f64 = 1.25;
const TRIALS: usize = 8;
/// What the small model may read for these first, as tokens that the large one could have written in that time.
const TRIAL_READING: f64 = 16.0;
/// The share of the time that a try now and then may take.
const SLACK: f64 = 0.02;
/// Tokens that an answer has still to come, as far as the reading for it goes.
const EXPECTED: f64 = 100.0;

/// Which model drafts, and how it is loaded.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DraftOptions {
    /// A sound GGUF.
    pub path: PathBuf,
    /// Tokens of its context. Of a longer conversation it sees the end.
    pub context: usize,
    /// As [`super::Options::gpu_layers`].
    pub gpu_layers: u32,
    /// It guesses whether that pays or not: to see what guesses do to the text.
    pub always: bool,
}

/// The model, and what its KV cache holds.
pub struct DraftModel<'m> {
    context: LlamaContext<'m>,
    handle: Option<Handle>,
    batch: LlamaBatch<'static>,
    vocabulary: Token,
    /// Where in the conversation what it holds begins.
    start: usize,
    held: Vec<Token>,
    guesses: Guesses,
}

impl<'m> DraftModel<'m> {
    /// `size` is how large the model is beside the one that it drafts for.
    pub fn new(model: &'m LlamaModel, context: LlamaContext<'m>, size: f64, options: &DraftOptions) -> Self {
        Self {
            handle: Handle::of(&context),
            context,
            batch: LlamaBatch::new(CHUNK, 1),
            vocabulary: model.n_vocab(),
            start: 0,
            held: Vec::new(),
            guesses: Guesses { always: options.always, ..Guesses::expected(size, options.gpu_layers > 0) },
        }
    }

    /// What comes behind `conversation` and `next`, at most `most` tokens, as far as guessing pays. Nothing, where `watch` says
    /// to stop.
    pub fn draft(
        &mut self,
        conversation: &[Token],
        next: Token,
        most: usize,
        pace: &Pace,
        threads: usize,
        watch: Watch<'_>,
    ) -> Vec<LlamaToken> {
        self.guesses.pending.clear();
        let unread = self.unread(conversation);
        if most == 0 || !self.guesses.pays_to_begin(unread, pace) {
            return Vec::new();
        }
        if let Some(handle) = &self.handle {
            handle.set_threads(i32::try_from(threads).unwrap_or(1));
        }
        self.guess(conversation, next, most.min(MOST), pace, watch).unwrap_or_else(|| {
            self.forget();
            Vec::new()
        })
    }

    /// Learns how many of the last draft's tokens were right.
    pub fn note(&mut self, right: usize) {
        self.guesses.note(right);
    }

    /// `None`: it was stopped, or llama.cpp could not decode, and what is held is unknown.
    fn guess(
        &mut self,
        conversation: &[Token],
        next: Token,
        most: usize,
        pace: &Pace,
        watch: Watch<'_>,
    ) -> Option<Vec<LlamaToken>> {
        self.follow(conversation, most)?;
        let mut unread = conversation[self.start + self.held.len()..].to_vec();
        unread.push(next);
        let mut draft: Vec<LlamaToken> = Vec::new();
        loop {
            self.read(&unread, watch)?;
            let (token, sure) = likeliest(self.context.get_logits_ith(self.batch.n_tokens() - 1));
            let token = Token::try_from(token).ok()?;
            if !self.guesses.take(sure, draft.len(), pace) {
                return Some(draft);
            }
            draft.push(LlamaToken(token));
            if draft.len() == most || !self.guesses.pays(draft.len(), pace) {
                return Some(draft);
            }
            unread = vec![token];
        }
    }

    /// Tokens of the conversation that are to be read before it can be gone on with.
    fn unread(&self, conversation: &[Token]) -> usize {
        let rest = conversation.get(self.start..).unwrap_or_default();
        let same = rest.iter().zip(&self.held).take_while(|(a, b)| a == b).count();
        (conversation.len() - same).min(self.capacity())
    }

    /// Cuts what is held back to what the conversation begins with, and moves on where so many more would not fit.
    fn follow(&mut self, conversation: &[Token], more: usize) -> Option<()> {
        let rest = conversation.get(self.start..).unwrap_or_default();
        let same = rest.iter().zip(&self.held).take_while(|(a, b)| a == b).count();
        if same == 0 || rest.len() + more + 1 > self.capacity() {
            self.forget();
            let fits = conversation.len() + more < self.capacity();
            self.start = if fits { 0 } else { conversation.len().saturating_sub(self.capacity() / 2) };
        } else if same < self.held.len() {
            self.context.kv_cache_seq_rm(0, u32::try_from(same).ok(), None).ok()?;
            self.held.truncate(same);
        }
        Some(())
    }

    fn forget(&mut self) {
        if let Err(error) = self.context.kv_cache_seq_rm(0, None, None) {
            tracing::warn!(%error, "the draft model's KV cache cannot be emptied");
        }
        self.held.clear();
        self.start = 0;
    }

    fn capacity(&self) -> usize {
        self.context.n_ctx() as usize
    }

    /// Decodes tokens, with the logits behind the last.
    fn read(&mut self, tokens: &[Token], watch: Watch<'_>) -> Option<()> {
        let start = Instant::now();
        let count = tokens.len();
        let last = self.held.len() + count - 1;
        for chunk in tokens.chunks(CHUNK) {
            self.batch.clear();
            for &token in chunk {
                let at = self.held.len();
                self.held.push(token);
                // Tokens that only the large model has are padding and late control tokens: any other will do.
                let known = if token < self.vocabulary { token } else { 0 };
                self.batch.add(LlamaToken(known), i32::try_from(at).ok()?, &[0], at == last).ok()?;
            }
            let Self { context, handle, batch, .. } = self;
            let decoded = match handle {
                Some(handle) => handle.watched(watch, || context.decode(batch)),
                None => context.decode(batch),
            };
            decoded.ok()?;
        }
        if let Some(handle) = &self.handle {
            handle.wait();
        }
        self.guesses.took(count, start.elapsed().as_secs_f64());
        Some(())
    }
}

/// What guesses are worth, learned while writing. Pure: times and hits in, decisions out.
#[derive(Debug)]
struct Guesses {
    /// How often one is right if those before it are, by how sure the model was.
    hits: [f64; 5],
    /// The same of a draft's first, before it is known how sure the model will be.
    first: f64,
    /// Seconds that a token takes to write and to read, as far as they were measured.
    write: Option<f64>,
    read: Option<f64>,
    /// What to expect before: writing beside a token of the large model, reading beside writing.
    expected: (f64, f64),
    /// Drafts that were verified.
    tried: usize,
    /// Tokens of the large model since the last guess.
    idle: f64,
    always: bool,
    /// The guess under way is a try.
    hopeful: bool,
    /// The draft under way, as classes of `hits`.
    pending: Vec<usize>,
}

impl Guesses {
    fn expected(size: f64, gpu: bool) -> Self {
        // On a GPU the smallest model takes the time of starting its kernels.
        let expected = if gpu { (size.max(0.05), 0.05) } else { (size, 0.3) };
        Self {
            hits: [0.3, 0.5, 0.65, 0.8, 0.92],
            first: 0.92,
            write: None,
            read: None,
            expected,
            tried: 0,
            idle: 0.0,
            always: false,
            hopeful: false,
            pending: Vec::new(),
        }
    }

    /// Whether to ask the small model, which has to read `unread` tokens before.
    fn pays_to_begin(&mut self, unread: usize, pace: &Pace) -> bool {
        if self.always {
            return true;
        }
        let Some(token) = pace.token() else { return false };
        self.idle += 1.0;
        let write = self.write.unwrap_or(self.expected.0 * token);
        let read = self.read.unwrap_or(self.expected.1 * write) * unread as f64;
        let (cost, saved) = (write + pace.one_more(1), self.first * token);
        self.hopeful = saved <= cost && saved * HOPE > cost;
        let affordable = match () {
            () if saved > cost => (saved - cost) * EXPECTED,
            () if !self.hopeful => return false,
            () if self.tried < TRIALS => TRIAL_READING * token,
            () => SLACK * self.idle * token - write,
        };
        let pays = read <= affordable;
        if pays {
            self.idle = 0.0;
        }
        pays
    }

    /// Whether a guess of which the model is so sure, behind a draft of `drafted`, is worth its place in the batch.
    fn take(&mut self, sure: f32, drafted: usize, pace: &Pace) -> bool {
        let class = class(sure);
        if drafted == 0 {
            self.first += WEIGHT * (self.hits[class] - self.first);
        }
        let taken = self.worth(self.hits[class], pace) > pace.one_more(drafted + 1);
        if taken {
            self.pending.push(class);
        }
        taken
    }

    /// Whether it pays to guess one more behind a draft of `drafted`.
    fn pays(&self, drafted: usize, pace: &Pace) -> bool {
        self.worth(self.first, pace) > self.write.unwrap_or_default() + pace.one_more(drafted + 1)
    }

    /// Seconds that a further guess saves, which is right so often.
    fn worth(&self, rate: f64, pace: &Pace) -> f64 {
        if self.always {
            return f64::INFINITY;
        }
        let so_far: f64 = self.pending.iter().map(|&class| self.hits[class]).product();
        so_far * rate * pace.token().unwrap_or_default() * if self.hopeful { HOPE } else { 1.0 }
    }

    fn note(&mut self, right: usize) {
        for (at, &class) in self.pending.iter().enumerate().take(right + 1) {
            self.hits[class] += WEIGHT * (f64::from(u8::from(at < right)) - self.hits[class]);
        }
        self.tried += usize::from(!self.pending.is_empty());
        self.pending.clear();
    }

    /// Notes that `count` tokens took so many seconds.
    fn took(&mut self, count: usize, seconds: f64) {
        let known = match count {
            1 => &mut self.write,
            32.. => &mut self.read,
            _ => return,
        };
        let each = seconds / count as f64;
        *known = Some(match *known {
            None => each,
            // A pause of the whole machine must not count for long.
            Some(usual) => usual + WEIGHT * (each.min(usual * 3.0) - usual),
        });
    }
}

fn class(sure: f32) -> usize {
    [0.4, 0.6, 0.8, 0.95].iter().filter(|&&border| sure >= border).count()
}

/// Whether what one model writes the other can read: but for a few, the same tokens have the same numbers.
fn share_vocabulary(a: &LlamaModel, b: &LlamaModel) -> bool {
    let (short, long) = (a.n_vocab().min(b.n_vocab()), a.n_vocab().max(b.n_vocab()));
    let piece = |model: &LlamaModel, token| model.vocab().token_to_piece(LlamaToken(token), true, None);
    let foreign = (0..short).filter(|&token| piece(a, token) != piece(b, token)).take(MOST_FOREIGN + 1).count();
    // The longer one is padded to a multiple of some power of two.
    foreign <= MOST_FOREIGN && long - short <= 1024
}

/// Loads the model for [`DraftModel`].
///
/// # Errors
/// llama.cpp cannot load the file, or the model cannot draft for `target`.
pub fn load(options: &DraftOptions, backend: &LlamaBackend, target: &LlamaModel) -> Result<LlamaModel, EngineError> {
    let params = LlamaModelParams::default().with_n_gpu_layers(options.gpu_layers);
    let path = options.path.display();
    let model = LlamaModel::load_from_file(backend, &options.path, &params).map_err(|error| {
        EngineError::NoRoom(format!("llama.cpp cannot load {path}: {error}; see the log for its reasons"))
    })?;
    let cut = |model: &LlamaModel| !model.is_recurrent() && !model.is_hybrid();
    let reason = match () {
        () if !cut(&model) || !cut(target) => "one of them keeps a state that cannot go back by single tokens",
        () if !share_vocabulary(&model, target) => "they do not share a vocabulary",
        () => return Ok(model),
    };
    Err(EngineError::Load(format!(
        "{path} cannot draft for this model: {reason}; take a smaller model of the same family, or none"
    )))
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    /// A machine on which a token of the large model takes so many milliseconds, and a batch hardly longer if it has a GPU.
    fn pace(milliseconds: u64, gpu: bool) -> Pace {
        let mut pace = Pace::expected(gpu);
        pace.note(1, Duration::from_millis(milliseconds));
        pace
    }

    /// Lets guesses of which the model is so sure, and which are right so often, go on for `rounds`; returns in how many of the
    /// last hundred it guessed, and how many tokens at a time.
    fn run(guesses: &mut Guesses, pace: &Pace, rounds: usize, sure: f32, right: usize, seconds: f64) -> (usize, f64) {
        let (mut asked, mut drafted) = (0, 0);
        for round in 0..rounds {
            if !guesses.pays_to_begin(1, pace) {
                continue;
            }
            let mut count = 0;
            loop {
                guesses.took(1, seconds);
                if !guesses.take(sure, count, pace) {
                    break;
                }
                count += 1;
                if count == MOST || !guesses.pays(count, pace) {
                    break;
                }
            }
            guesses.note(right.min(count));
            if round + 100 >= rounds {
                asked += 1;
                drafted += count;
            }
        }
        (asked, drafted as f64 / asked.max(1) as f64)
    }

    #[test]
    fn a_small_model_on_a_gpu_guesses_many_tokens() {
        let (asked, drafted) = run(&mut Guesses::expected(0.02, true), &pace(25, true), 400, 0.99, MOST, 0.002);
        assert_eq!(asked, 100);
        assert!(drafted > 8.0, "{drafted}");
    }

    #[test]
    fn guesses_that_fail_become_rare() {
        let mut guesses = Guesses::expected(0.1, false);
        let before = run(&mut guesses, &pace(80, false), 8, 0.99, 0, 0.03);
        assert!(before.0 > 0);
        let (asked, _) = run(&mut guesses, &pace(80, false), 600, 0.99, 0, 0.03);
        assert!(asked < 5, "{asked}");
    }

    #[test]
    fn what_cannot_pay_is_given_up_after_a_few_tries() {
        // A third of the size, on a CPU: each guess would cost more than it saves, if it were always right.
        let mut guesses = Guesses::expected(0.44, false);
        run(&mut guesses, &pace(80, false), 20, 0.99, MOST, 0.04);
        let tried = guesses.tried;
        assert!((1..=TRIALS + 1).contains(&tried), "{tried}");
        let (asked, _) = run(&mut guesses, &pace(80, false), 600, 0.99, MOST, 0.04);
        assert!(asked < 5, "{asked}");
        // Nor is a long conversation read for it.
        let mut guesses = Guesses::expected(0.44, false);
        assert!(!guesses.pays_to_begin(2000, &pace(80, false)));
        assert!(Guesses::expected(0.02, true).pays_to_begin(8000, &pace(25, true)));
    }

    #[test]
    fn what_the_model_is_unsure_of_is_not_drafted() {
        let (asked, drafted) = run(&mut Guesses::expected(0.1, false), &pace(80, false), 50, 0.2, 0, 0.008);
        assert!(asked > 0);
        assert!(drafted < 0.1, "{drafted}");
    }
}
