//! The model's context and what is known of its KV cache: one slot a conversation, all in one cache. Owned by one thread, which
//! [`super::scheduler`] runs.

use std::cell::Cell;
use std::io;
use std::time::{Duration, Instant};

use llama_cpp_2::DecodeError;
use llama_cpp_2::context::LlamaContext;
use llama_cpp_2::llama_batch::LlamaBatch;
use llama_cpp_2::model::LlamaModel;
use llama_cpp_2::token::LlamaToken;

use super::checkpoint::Checkpoints;
use super::draft_model::DraftModel;
use super::handle::{Handle, Watch};
use super::kv::{Kept, Slot, Token};
use super::pace::Pace;
use super::sample::Grammars;
use super::snapshot::{Found, Snapshots};
use super::threads::{System, Threads};
use crate::engine::EngineError;

/// Conversations that can be in the KV cache at a time.
pub const SLOTS: usize = 16;

/// What `llama_decode` returns where the watch stopped it.
pub const STOPPED: i32 = 2;

/// Nodes of the graph between two looks at whether a token hangs.
const NODES: usize = 16;

/// How long a look at what else is running holds while a prompt is read: what ran for a moment at its beginning must not slow
/// all of it.
const LOOK_AGAIN: Duration = Duration::from_secs(1);

/// The fewest tokens that are read at a time beside other programs; with fewer it would take longer for each.
const FEWEST: usize = 64;

/// So often one token is begun again with another number of threads.
const MOST_RESTARTS: usize = 4;

/// One token of a batch.
#[derive(Debug, Clone, Copy)]
pub struct Row {
    pub token: LlamaToken,
    pub slot: usize,
    pub position: usize,
    pub logits: bool,
}

/// A prompt, part of which a slot holds.
#[derive(Debug)]
pub struct Brought {
    /// Tokens that the slot holds.
    pub kept: usize,
    /// Those behind them.
    pub rest: Vec<LlamaToken>,
    /// How many of these belong to what other prompts begin with too.
    pub stable: usize,
}

/// Why a batch was not decoded.
#[derive(Debug)]
pub enum Failure {
    /// The KV cache has no room for it; it is as it was before.
    Full,
    /// It was stopped on the way; the KV cache is as it was before.
    Stopped,
    /// The slots in the batch are emptied.
    Broken(EngineError),
}

/// The context and what is known of its KV cache.
pub struct Worker<'m> {
    pub model: &'m LlamaModel,
    pub context: LlamaContext<'m>,
    handle: Handle,
    threads: Threads,
    /// When it was last looked at what else is running.
    looked: Instant,
    /// What the KV cache holds of each conversation.
    pub slots: Vec<Slot>,
    /// Where each can go back to, where the memory cannot be cut.
    checkpoints: Vec<Checkpoints>,
    batch: LlamaBatch<'static>,
    /// Tokens decoded at a time while reading: what a cancellation waits for.
    pub chunk: usize,
    pub grammars: Grammars,
    pub pace: Pace,
    /// Guesses where there is nothing to copy.
    pub draft_model: Option<DraftModel<'m>>,
    /// Only one generation runs.
    pub alone: bool,
    /// Layers are on a GPU.
    on_gpu: bool,
    /// Tokens a second of the last batch of reading.
    reading: f64,
    snapshots: Option<Snapshots>,
}

impl<'m> Worker<'m> {
    pub fn new(
        model: &'m LlamaModel,
        context: LlamaContext<'m>,
        threads: usize,
        chunk: usize,
        grammars: Grammars,
        snapshots: Option<Snapshots>,
        gpu: bool,
    ) -> Self {
        Self {
            model,
            handle: Handle::of(&context),
            context,
            threads: Threads::new(threads),
            looked: Instant::now(),
            slots: vec![Slot::default(); SLOTS],
            checkpoints: vec![Checkpoints::default(); SLOTS],
            batch: LlamaBatch::new(chunk, 1),
            chunk,
            grammars,
            pace: Pace::expected(gpu),
            draft_model: None,
            alone: true,
            on_gpu: gpu,
            reading: 0.0,
            snapshots,
        }
    }

    /// Tokens that the context holds.
    pub fn capacity(&self) -> usize {
        self.context.n_ctx() as usize
    }

    /// As [`can_cut`].
    pub fn can_cut(&self) -> bool {
        can_cut(self.model)
    }

    /// The logits behind a row of the last batch.
    pub fn logits(&self, row: usize) -> &[f32] {
        self.context.get_logits_ith(i32::try_from(row).unwrap_or(-1))
    }

    /// The bytes of a token, control tokens by their name.
    pub fn piece(&self, token: LlamaToken) -> Vec<u8> {
        self.model.vocab().token_to_piece(token, true, None)
    }

    /// Notes tokens that were decoded.
    pub fn push(&mut self, slot: usize, tokens: &[LlamaToken]) {
        for &token in tokens {
            let piece = self.piece(token);
            self.slots[slot].push(token.0, &piece, self.model.vocab().is_control(token));
        }
    }

    /// Settles how many threads to begin with, or to go on with between two batches.
    pub fn look_around(&mut self) {
        // Of llama.cpp's threads only this one runs now. What is still done for a start is over soon, and the first prompt is long.
        let own = 1 + usize::from(self.grammars.is_being_made());
        self.threads.begin(&System { own });
        self.looked = Instant::now();
    }

    /// Tokens to read at a time now: beside other programs no more than until the next look around, so that it is soon seen
    /// when these have ended.
    pub fn portion(&self) -> usize {
        let until_look = (self.reading * LOOK_AGAIN.as_secs_f64()) as usize;
        if self.threads.is_crowded() && !self.on_gpu { until_look.max(FEWEST).min(self.chunk) } else { self.chunk }
    }

    /// Brings a slot to as much of `prompt` as can be had without decoding: of what it holds itself, of what another slot
    /// holds, or of a snapshot. Returns what it holds then and what is left to read; other prompts begin with the
    /// first `stable` bytes of this one too.
    pub fn bring(&mut self, slot: usize, prompt: &[u8], stable: usize) -> Brought {
        let kept = self.find(slot, prompt);
        let mut brought = self.split(prompt, kept, stable);
        // The last token that text shares need not be the last that tokens do: the rest, split as it will be read, may begin with
        // what is held already.
        let held = &self.slots[slot].tokens()[kept.tokens..];
        let most = brought.rest.len().saturating_sub(1);
        let same = held.iter().zip(&brought.rest).take(most).take_while(|(held, token)| **held == token.0).count();
        let wanted = kept.tokens + same;
        if self.cut(slot, wanted) < wanted {
            // A checkpoint stands behind a control token, or there is nothing left.
            let slot = &self.slots[slot];
            return self.split(prompt, Kept { tokens: slot.len(), offset: slot.text().len() }, stable);
        }
        brought.kept += same;
        brought.stable = brought.stable.saturating_sub(same);
        brought.rest.drain(..same);
        brought
    }

    /// Splits what a slot lacks of a prompt into tokens.
    fn split(&self, prompt: &[u8], kept: Kept, stable: usize) -> Brought {
        let vocab = self.model.vocab();
        // Nothing merges across a control token, so that both parts split as the whole would.
        let stable = stable.max(kept.offset);
        let mut rest = vocab.tokenize(&prompt[kept.offset..stable], false, true);
        let first = rest.len();
        rest.extend(vocab.tokenize(&prompt[stable..], false, true));
        Brought { kept: kept.tokens, rest, stable: first }
    }

    /// Finds what can serve a prompt and puts it into the slot, as a whole: what is too much of it is still to be cut.
    fn find(&mut self, slot: usize, prompt: &[u8]) -> Kept {
        self.check(slot);
        let mut kept = self.slots[slot].keep(prompt);
        let others = (0..SLOTS).filter(|&other| other != slot).map(|other| (self.slots[other].keep(prompt), other));
        if let Some((more, from)) = others.max_by_key(|(kept, _)| kept.tokens)
            && more.tokens > kept.tokens
            && (self.can_cut() || more.tokens == self.slots[from].len() || self.checkpoints[from].reach(more.tokens))
            && self.fork(from, slot)
        {
            kept = more;
        }
        // What is too much of it is cut off, where that can be done.
        let shared = |tokens: &[Token]| if self.can_cut() { self.shared(tokens, prompt) } else { 0 };
        let others = (0..SLOTS).filter(|&other| other != slot).map(|other| self.slots[other].len());
        let room = self.capacity().saturating_sub(others.sum());
        let stored = self.snapshots.as_ref().and_then(|snapshots| snapshots.best(prompt, kept.offset, room, shared));
        if let Some(found) = stored {
            self.load(slot, &found);
            kept = self.slots[slot].keep(prompt);
        }
        kept
    }

    /// How many bytes of a prompt `tokens` give: up to the last control token that both share, as [`Slot::keep`] has it.
    fn shared(&self, tokens: &[Token], prompt: &[u8]) -> usize {
        let (mut end, mut seam) = (0, 0);
        for token in tokens.iter().map(|&token| LlamaToken(token)) {
            // llama.cpp takes no other number for a token.
            let piece = if (0..self.model.n_vocab()).contains(&token.0) { self.piece(token) } else { break };
            if !prompt[end..].starts_with(&piece) {
                break;
            }
            end += piece.len();
            if self.model.vocab().is_control(token) && end < prompt.len() {
                seam = end;
            }
        }
        seam
    }

    /// Empties a slot in which llama.cpp holds more or fewer tokens than were noted: better read twice than wrong once.
    fn check(&mut self, slot: usize) {
        let (noted, held) = (self.slots[slot].len(), self.context.kv_cache_seq_pos_max(id(slot)) + 1);
        if usize::try_from(held) != Ok(noted) {
            tracing::error!(slot, noted, held, "the KV cache is not as it was noted");
            self.empty(slot);
        }
    }

    /// Makes `to` a copy of `from`, which shares its cells.
    fn fork(&mut self, from: usize, to: usize) -> bool {
        self.empty(to);
        if self.context.kv_cache_seq_cp(id(from), id(to), None, None).is_err() {
            return false;
        }
        self.slots[to] = self.slots[from].clone();
        self.checkpoints[to] = self.checkpoints[from].clone();
        true
    }

    /// Cuts a slot back to its first `len` tokens. Where the memory cannot be cut it goes back to the checkpoint before that, or
    /// is emptied. Returns how many tokens it holds then.
    fn cut(&mut self, slot: usize, len: usize) -> usize {
        if len == self.slots[slot].len() {
            return len;
        }
        self.go_back(slot, len)
    }

    /// Takes back from the KV cache what was decoded and not noted: a draft that was wrong.
    pub fn trim(&mut self, slot: usize) {
        self.go_back(slot, self.slots[slot].len());
    }

    fn go_back(&mut self, slot: usize, len: usize) -> usize {
        let from = u32::try_from(len).ok();
        if len > 0 && self.context.kv_cache_seq_rm(id(slot), from, None).is_ok() {
            self.slots[slot].truncate(len);
            self.checkpoints[slot].truncate(len);
            return len;
        }
        let Some(len) = self.checkpoints[slot].restore(&mut self.context, id(slot), len) else {
            self.empty(slot);
            return 0;
        };
        self.slots[slot].truncate(len);
        len
    }

    /// Makes a checkpoint of a slot, where one is needed to go back.
    pub fn checkpoint(&mut self, slot: usize) {
        if !self.can_cut() {
            self.checkpoints[slot].take(&self.context, id(slot), self.slots[slot].len());
        }
    }

    /// Where in `rest`, which follows what a slot holds, a checkpoint is worth its time: in front of what the model will write,
    /// which the next prompt may word differently. `None` where none is needed.
    pub fn border(&self, rest: &[LlamaToken]) -> Option<usize> {
        let vocab = self.model.vocab();
        let last = || rest.iter().rposition(|&token| vocab.is_control(token));
        // Its last token is read again in any case, for the logits behind it.
        if self.can_cut() { None } else { last().map(|at| (at + 1).min(rest.len() - 1)).filter(|&at| at > 0) }
    }

    /// Empties a slot.
    pub fn empty(&mut self, slot: usize) {
        // Removing a whole sequence works with every kind of memory.
        if let Err(error) = self.context.kv_cache_seq_rm(id(slot), None, None) {
            tracing::warn!(%error, slot, "a slot of the KV cache cannot be emptied");
        }
        self.slots[slot] = Slot::default();
        self.checkpoints[slot] = Checkpoints::default();
    }

    /// Decodes a batch, until `watch` says to stop.
    ///
    /// # Errors
    /// There is no room, it was stopped, or llama.cpp could not decode.
    pub fn decode(&mut self, rows: &[Row], watch: Watch<'_>) -> Result<(), Failure> {
        let broken = |e: &dyn std::fmt::Display| Failure::Broken(EngineError::Decode(e.to_string()));
        let reads = rows.iter().any(|row| !row.logits);
        if reads && self.looked.elapsed() >= LOOK_AGAIN {
            self.look_around();
        }
        self.batch.clear();
        for row in rows {
            let position = i32::try_from(row.position).map_err(|e| broken(&e))?;
            self.batch.add(row.token, position, &[id(row.slot)], row.logits).map_err(|e| broken(&e))?;
        }
        let start = Instant::now();
        let computed = if let [row] = rows { self.compute_token(row, watch) } else { self.compute(watch) };
        if reads {
            self.reading = rows.len() as f64 / start.elapsed().as_secs_f64().max(1e-9);
        }
        match computed {
            Ok(()) => Ok(()),
            Err(DecodeError::NoKvCacheSlot) => Err(Failure::Full),
            Err(DecodeError::Unknown(STOPPED)) => {
                // Of a batch in several parts some may have been taken in.
                let mut slots: Vec<usize> = rows.iter().map(|row| row.slot).collect();
                slots.dedup();
                slots.iter().for_each(|&slot| self.trim(slot));
                Err(Failure::Stopped)
            }
            Err(error) => {
                // What the batch left behind is unknown.
                rows.iter().for_each(|row| self.empty(row.slot));
                Err(broken(&error))
            }
        }
    }

    /// Computes a batch of one token, and learns from how long it takes with how many threads. One that hangs, since other
    /// programs have taken a core, is begun again with fewer.
    fn compute_token(&mut self, row: &Row, watch: Watch<'_>) -> Result<(), DecodeError> {
        // What is cut off behind it must be this token alone.
        let can_restart = self.can_cut() && row.position == self.slots[row.slot].len();
        for _ in 0..MOST_RESTARTS {
            let (system, start, nodes) = (System { own: self.threads.now() }, Instant::now(), Cell::new(0));
            let limit = self.threads.limit().filter(|_| can_restart);
            let result = self.compute(&|| {
                nodes.set(nodes.get() + 1);
                let look = nodes.get() % NODES == 0;
                watch() || limit.is_some_and(|limit| look && limit.is_over(start.elapsed(), &system))
            });
            let hung = matches!(result, Err(DecodeError::Unknown(STOPPED))) && !watch();
            if hung || result.is_ok() {
                self.threads.note(start.elapsed().as_secs_f64(), &system);
            }
            if !hung {
                return result;
            }
            self.trim(row.slot);
        }
        self.compute(watch)
    }

    /// What the draft model expects behind what a slot holds and `next`, where at most `left` tokens are still to come.
    pub fn guess(&mut self, slot: usize, next: LlamaToken, left: usize, watch: Watch<'_>) -> Vec<LlamaToken> {
        let Some(model) = &mut self.draft_model else { return Vec::new() };
        model.set_threads(self.threads.now());
        model.draft(self.slots[slot].tokens(), next.0, left, &self.pace, watch)
    }

    /// Waits until what was handed to a GPU is computed, for whoever takes the time.
    pub fn wait(&self) {
        self.handle.wait();
    }

    fn compute(&mut self, watch: Watch<'_>) -> Result<(), DecodeError> {
        self.handle.set_threads(self.threads.now());
        self.handle.watched(watch, || self.context.decode(&mut self.batch))
    }

    /// Puts what a slot holds on disk, for a later start.
    pub fn save(&mut self, slot: usize) {
        let (Some(snapshots), slot_id) = (&self.snapshots, id(slot)) else { return };
        let slot = &self.slots[slot];
        if slot.len() == 0 {
            return;
        }
        let start = Instant::now();
        let tokens: Vec<LlamaToken> = slot.tokens().iter().map(|&token| LlamaToken(token)).collect();
        let saved = snapshots.save(slot.text(), |path| {
            self.context.state_seq_save_file(path, slot_id, &tokens).map(drop).map_err(io::Error::other)
        });
        match saved {
            Ok(()) => tracing::debug!(tokens = tokens.len(), took = ?start.elapsed(), "snapshot saved"),
            Err(error) => tracing::warn!(%error, "no snapshot of the KV cache could be saved"),
        }
    }

    /// Fills a slot with a snapshot; one that cannot be used is removed.
    fn load(&mut self, slot: usize, found: &Found) {
        if !Snapshots::is_whole(found) {
            return;
        }
        let start = Instant::now();
        self.empty(slot);
        match self.context.state_seq_load_file(&found.path, id(slot), self.capacity()) {
            Ok((tokens, _)) => {
                self.push(slot, &tokens);
                self.checkpoint(slot);
                tracing::debug!(tokens = tokens.len(), took = ?start.elapsed(), "snapshot loaded");
            }
            Err(error) => {
                // Part of it may have been taken in.
                self.empty(slot);
                Snapshots::remove(found, &error.to_string());
            }
        }
    }
}

/// Whether the memory of a model can be cut back to any token, as that of attention can and a recurrent state cannot.
pub fn can_cut(model: &LlamaModel) -> bool {
    !model.is_recurrent() && !model.is_hybrid()
}

fn id(slot: usize) -> i32 {
    i32::try_from(slot).unwrap_or(0)
}
