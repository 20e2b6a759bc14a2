//! The thread that owns the context, and what it decodes next. Commands come in by channel, deltas go out by channel, and
//! dropping the receiving end cancels. All that is under way shares each batch; the conversation that the user waits for reads
//! before all others.

use std::cell::Cell;
use std::collections::VecDeque;
use std::time::{Duration, Instant};

use tokio::sync::{mpsc, oneshot};

use super::generate::{Generation, Job};
use super::worker::{Failure, Row, SLOTS, Worker};
use crate::engine::{Delta, EngineError, Stop, Usage};

/// The slot of the conversation that the user waits for.
const FIRST: usize = 0;

/// How often the progress of reading is told.
const TELL: Duration = Duration::from_millis(200);

/// What is done with the context while nothing else is.
pub type Work = Box<dyn FnOnce(Result<&mut Worker<'_>, EngineError>) + Send>;

/// What the thread is asked for.
pub enum Command {
    Generate(Box<Job>),
    /// Work on the whole context, which gets an error while conversations are under way.
    Alone(Work),
    /// Puts the first conversation on disk for a later start.
    Save(oneshot::Sender<()>),
}

/// What waits and what runs.
pub struct Scheduler<'m> {
    worker: Worker<'m>,
    waiting: VecDeque<Job>,
    running: Vec<Generation>,
    /// Nodes of the graph that a batch of reading has.
    nodes: usize,
}

/// A generation's share of a batch.
struct Part {
    generation: usize,
    first: usize,
    count: usize,
}

impl<'m> Scheduler<'m> {
    pub fn new(worker: Worker<'m>) -> Self {
        Self { worker, waiting: VecDeque::new(), running: Vec::new(), nodes: 0 }
    }

    /// Serves until all senders are gone.
    pub fn serve(mut self, mut commands: mpsc::UnboundedReceiver<Command>) {
        loop {
            if self.running.is_empty() && self.waiting.is_empty() {
                let Some(command) = commands.blocking_recv() else { return };
                self.take(command);
            }
            while let Ok(command) = commands.try_recv() {
                self.take(command);
            }
            self.drop_cancelled();
            self.admit();
            self.round();
        }
    }

    fn take(&mut self, command: Command) {
        match command {
            Command::Generate(job) => self.waiting.push_back(*job),
            Command::Alone(work) if self.running.is_empty() => work(Ok(&mut self.worker)),
            Command::Alone(work) => work(Err(EngineError::Decode("it cannot be measured while it works".into()))),
            Command::Save(done) => {
                self.worker.save(FIRST);
                let _ = done.send(());
            }
        }
    }

    fn drop_cancelled(&mut self) {
        self.waiting.retain(|job| {
            let cancelled = job.is_cancelled();
            if cancelled {
                let usage = Usage { stop: Stop::Cancelled, ..Usage::default() };
                let _ = job.deltas.send(Ok(Delta::Usage(usage)));
            }
            !cancelled
        });
        let worker = &mut self.worker;
        self.running.retain_mut(|generation| {
            let cancelled = generation.is_cancelled();
            if cancelled {
                generation.finish(worker, Stop::Cancelled);
            }
            !cancelled
        });
    }

    /// Begins what waits and may begin. One prompt is read after the other: the next one may share what this one reads.
    fn admit(&mut self) {
        loop {
            let reading = self.running.iter().any(Generation::is_reading);
            let free = |job: &Job| self.running.iter().all(|generation| generation.slot() != job.slot);
            let first = self.waiting.iter().position(|job| job.slot == FIRST && free(job));
            let next = first.or_else(|| if reading { None } else { self.waiting.iter().position(free) });
            let Some(job) = next.and_then(|index| self.waiting.remove(index)) else { return };
            if self.running.is_empty() {
                self.worker.look_around();
            }
            self.running.extend(Generation::begin(&mut self.worker, job));
        }
    }

    /// Decodes one batch and hands out what it gave.
    fn round(&mut self) {
        self.worker.alone = self.running.len() == 1;
        let (rows, parts) = self.batch();
        if rows.is_empty() {
            return;
        }
        let start = Instant::now();
        match self.decode(&rows, &parts) {
            Ok(()) => {
                if self.worker.alone && rows.iter().all(|row| row.logits) {
                    self.worker.wait();
                    self.worker.pace.note(rows.len(), start.elapsed());
                }
                self.hand_out(&parts);
            }
            Err(Failure::Full) => self.make_room(),
            // All that had a part in it are cancelled.
            Err(Failure::Stopped) => {}
            Err(Failure::Broken(error)) => {
                for part in parts.iter().rev() {
                    self.running.remove(part.generation).fail(&mut self.worker, error.clone());
                }
            }
        }
    }

    /// Decodes a batch. On the way it tells how far reading is, and stops when nobody waits for it any more.
    fn decode(&mut self, rows: &[Row], parts: &[Part]) -> Result<(), Failure> {
        let Self { worker, running, nodes, .. } = self;
        let reading = parts.iter().find(|part| running[part.generation].is_reading());
        let (passed, told) = (Cell::new(0), Cell::new(Instant::now()));
        let watch = || {
            passed.set(passed.get() + 1);
            if let Some(part) = reading
                && told.get().elapsed() >= TELL
            {
                told.set(Instant::now());
                running[part.generation].tell(part.count * passed.get().min(*nodes) / (*nodes).max(1));
            }
            parts.iter().all(|part| running[part.generation].is_cancelled())
        };
        let result = worker.decode(rows, &watch);
        if reading.is_some() && result.is_ok() {
            *nodes = passed.get();
        }
        result
    }

    /// The next batch: a token, or a draft, of everything that writes, and of one prompt as much as there is room for. While
    /// the first conversation reads, it has the batch for itself.
    fn batch(&self) -> (Vec<Row>, Vec<Part>) {
        let urgent = self.running.iter().position(|g| g.is_reading() && g.slot() == FIRST);
        let reading = urgent.or_else(|| self.running.iter().position(Generation::is_reading));
        let writing = (0..self.running.len()).filter(|&i| urgent.is_none() && !self.running[i].is_reading());
        let portion = self.worker.portion();
        let (mut rows, mut parts) = (Vec::new(), Vec::new());
        for index in writing.chain(reading) {
            let generation = &self.running[index];
            // What is read in the background gives way sooner, and what is read ahead loses the batch that it gives way in.
            let most = match urgent {
                Some(_) if generation.reads_ahead() => portion.min(self.worker.chunk / 4),
                Some(_) => portion,
                None => portion.min(self.worker.chunk / 2),
            };
            // A long draft leaves something to what reads beside it.
            let (tokens, all) = generation.tokens(&self.worker, most.saturating_sub(rows.len()).max(portion / 8));
            parts.push(Part { generation: index, first: rows.len(), count: tokens.len() });
            let (slot, last) = (generation.slot(), tokens.len() - 1);
            let at = self.worker.slots[slot].len();
            let row = |(i, &token)| Row { token, slot, position: at + i, logits: all || i == last };
            rows.extend(tokens.iter().enumerate().map(row));
        }
        parts.sort_by_key(|part| part.generation);
        (rows, parts)
    }

    fn hand_out(&mut self, parts: &[Part]) {
        // From behind, so that those before keep their index.
        for part in parts.iter().rev() {
            let generation = &mut self.running[part.generation];
            let over = match generation.decoded(&mut self.worker, part.first, part.count) {
                Ok(over) => over,
                Err(error) => {
                    generation.fail(&mut self.worker, error);
                    true
                }
            };
            if over {
                self.running.remove(part.generation);
            }
        }
    }

    /// Gives up slots that nobody uses now; where there are none, the youngest generation ends.
    fn make_room(&mut self) {
        let used = |slot: usize| self.running.iter().any(|generation| generation.slot() == slot);
        let idle: Vec<usize> = (0..SLOTS).rev().filter(|&s| !used(s) && self.worker.slots[s].len() > 0).collect();
        if let Some(&slot) = idle.first() {
            tracing::debug!(slot, "the KV cache is full; a slot is given up");
            self.worker.empty(slot);
        } else if let Some(mut youngest) = self.running.pop() {
            youngest.finish(&mut self.worker, Stop::Length);
        }
    }
}
