//! The terminal UI: a client that draws what a session reports and sends it what the user types.
//!
//! One loop ([`run`]) waits for keys, events, signals and time. Keys go through [`keymap`] and [`update`], events through
//! [`fold`], both into the state ([`app`]), which [`view`] draws. Invariants: nothing but [`terminal`] writes to the terminal
//! or changes its modes; no text of a model, a command or a file is drawn before [`text`] has cleaned it; `update`, `fold` and
//! `view` know no clock, no file and no channel, so that every screen can be made in a test.

mod app;
mod command;
mod complete;
mod editor;
mod fold;
mod history;
mod keymap;
mod terminal;
pub mod text;
pub mod theme;
mod transcript;
mod update;
mod view;

#[cfg(test)]
mod tests;

use std::future::poll_fn;
use std::path::PathBuf;
use std::sync::Arc;
use std::task::Poll;
use std::time::Duration;

use crossterm::event::{Event as TermEvent, EventStream, KeyCode, KeyEventKind};
use futures_util::StreamExt;
use tokio::sync::mpsc;
use tokio::time::{Instant, MissedTickBehavior, interval, sleep_until};

use crate::permission::Mode;
use crate::session::{Event, Handle};
use app::App;
use terminal::{Notice, Screen, Signals, Who};
pub use theme::Colour;
use update::Effect;

/// At most so often is a frame drawn.
const FRAME: Duration = Duration::from_millis(33);
/// So often is drawn what moves by itself.
const TICK: Duration = Duration::from_millis(100);
/// Events folded between two looks at the keyboard.
const BURST: usize = 1_000;

/// Lists the workspace's files and what they define (`file#name`); called off the loop's thread, each time a completion begins.
/// It tells as soon as it knows more.
pub type ListFiles = Arc<dyn Fn(&mut dyn FnMut(Vec<String>)) + Send + Sync>;

/// Tells the branch that is checked out, if any. Called where a turn begins or ends.
pub type ReadBranch = Arc<dyn Fn() -> Option<String> + Send + Sync>;

/// What the first screen shows, and where things are.
pub struct Opening {
    /// The model's name.
    pub model: String,
    /// Tokens that its context holds.
    pub context: usize,
    /// The workspace's folder, as the user would write it.
    pub workspace: String,
    pub branch: ReadBranch,
    pub mode: Mode,
    /// Events of the session that is resumed, oldest first.
    pub past: Vec<Event>,
    /// For completion after `@`.
    pub files: ListFiles,
    /// Where sent messages are kept for the next time.
    pub history: Option<PathBuf>,
    pub colour: Colour,
}

/// Why the UI ended, other than by the user's wish.
#[derive(Debug, thiserror::Error)]
pub enum TuiError {
    /// There is no terminal, or it failed.
    #[error("the terminal cannot be used: {0}; use `moru exec` where there is none")]
    Terminal(#[from] std::io::Error),
    /// Another process asked us to end; by convention the exit status is 128 plus this number.
    #[error("ended by signal {0}")]
    Signal(i32),
}

/// Shows the session until the user quits. The terminal is as before when this returns. To be awaited by `block_on` on one
/// thread, whose panics then show on a restored terminal; other threads' panics are printed once the user quits.
///
/// # Errors
/// The terminal failed, or a signal ended the program.
pub async fn run(handle: Handle, mut opening: Opening) -> Result<(), TuiError> {
    let past = opening.history.as_deref().map(history::load).unwrap_or_default();
    let app = App::new(&mut opening, past);
    let signals = Signals::listen()?;
    let screen = Screen::enter()?;
    let (listed_to, listed) = mpsc::unbounded_channel();
    let mut client = Client {
        app,
        screen,
        handle,
        opening,
        listed_to,
        began: Instant::now(),
        drawn: None,
        dirty: true,
        closed: false,
    };
    let result = client.serve(signals, listed).await;
    let Client { screen, handle, .. } = client;
    // The user has the terminal back before anything is put away.
    drop(screen);
    handle.close().await;
    result
}

/// All that the loop works with.
struct Client {
    app: App,
    screen: Screen,
    handle: Handle,
    opening: Opening,
    /// Where listings of files arrive.
    listed_to: mpsc::UnboundedSender<Vec<String>>,
    began: Instant,
    /// When the last frame was drawn.
    drawn: Option<Instant>,
    /// Something has changed since.
    dirty: bool,
    /// The session is gone.
    closed: bool,
}

/// Whether the loop goes on.
enum Flow {
    On,
    Quit,
}

impl Client {
    async fn serve(
        &mut self,
        mut signals: Signals,
        mut listed: mpsc::UnboundedReceiver<Vec<String>>,
    ) -> Result<(), TuiError> {
        let mut keys = EventStream::new();
        let mut tick = interval(TICK);
        tick.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            let frame = self.drawn.map_or(self.began, |at| at + FRAME);
            let flow = tokio::select! {
                biased;
                notice = signals.next() => match notice {
                    Notice::End(signal) => return Err(TuiError::Signal(signal)),
                    Notice::Stop => self.suspend(&mut signals, Who::Ourselves).await?,
                    Notice::Continued => self.retake()?,
                },
                () = sleep_until(frame), if self.dirty => self.draw()?,
                key = keys.next() => match key {
                    Some(first) => self.keys(first?, &mut keys, &mut signals).await?,
                    None => return Err(std::io::Error::from(std::io::ErrorKind::UnexpectedEof).into()),
                },
                files = listed.recv() => {
                    let effects = files.map(|files| update::files(&mut self.app, files)).unwrap_or_default();
                    self.perform(effects, &mut signals).await?
                },
                event = self.handle.events.recv(), if !self.closed => self.events(event),
                _ = tick.tick(), if self.app.animated() || self.app.question.is_some() => {
                    self.app.tick(self.now());
                    self.dirty = true;
                    Flow::On
                }
            };
            if let Flow::Quit = flow {
                return Ok(());
            }
        }
    }

    fn now(&self) -> Duration {
        self.began.elapsed()
    }

    fn draw(&mut self) -> Result<Flow, TuiError> {
        self.app.tick(self.now());
        self.screen.draw(&mut self.app)?;
        self.drawn = Some(Instant::now());
        self.dirty = false;
        Ok(Flow::On)
    }

    /// Takes the keys that have come so far.
    async fn keys(
        &mut self,
        first: TermEvent,
        keys: &mut EventStream,
        signals: &mut Signals,
    ) -> Result<Flow, TuiError> {
        let mut events = vec![first];
        while events.len() < BURST
            && let Some(event) = ready(keys).await
        {
            events.push(event?);
        }
        self.dirty = true;
        for step in steps(events) {
            let now = self.now();
            let effects = match step {
                Step::Wheel(lines) => {
                    update::wheel(&mut self.app, lines, now);
                    Vec::new()
                }
                Step::Event(TermEvent::Key(key)) => update::key(&mut self.app, key, now),
                Step::Event(TermEvent::Paste(text)) => update::paste(&mut self.app, &text, now),
                Step::Event(_) => Vec::new(),
            };
            if let Flow::Quit = self.perform(effects, signals).await? {
                return Ok(Flow::Quit);
            }
        }
        Ok(Flow::On)
    }

    /// Folds in what the session has reported so far.
    fn events(&mut self, first: Option<Event>) -> Flow {
        self.app.tick(self.now());
        self.dirty = true;
        let mut next = first;
        for _ in 0..BURST {
            let Some(event) = next else {
                self.closed = true;
                fold::session_ended(&mut self.app);
                return Flow::On;
            };
            self.event(event);
            next = match self.handle.events.try_recv() {
                Ok(event) => Some(event),
                Err(mpsc::error::TryRecvError::Empty) => return Flow::On,
                Err(mpsc::error::TryRecvError::Disconnected) => None,
            };
        }
        if let Some(event) = next {
            self.event(event);
        }
        Flow::On
    }

    fn event(&mut self, event: Event) {
        let of_turn = matches!(event, Event::TurnStarted { .. } | Event::TurnEnded { .. });
        fold::event(&mut self.app, event);
        if of_turn {
            self.app.status.branch = (self.opening.branch)();
        }
    }

    async fn perform(&mut self, effects: Vec<Effect>, signals: &mut Signals) -> Result<Flow, TuiError> {
        self.dirty = true;
        for effect in effects {
            match effect {
                Effect::Quit => return Ok(Flow::Quit),
                // A closed channel shows as the session's end, through its events.
                Effect::Send(input) => drop(self.handle.inputs.send(input)),
                Effect::Suspend => {
                    self.suspend(signals, Who::Group).await?;
                }
                Effect::Redraw => self.screen.forget()?,
                Effect::ListFiles => {
                    let (list, to) = (Arc::clone(&self.opening.files), self.listed_to.clone());
                    tokio::task::spawn_blocking(move || list(&mut |names| drop(to.send(names))));
                }
                Effect::Remember(message) => {
                    if let Some(path) = &self.opening.history {
                        history::append(path, &message);
                    }
                }
            }
        }
        Ok(Flow::On)
    }

    async fn suspend(&mut self, signals: &mut Signals, who: Who) -> Result<Flow, TuiError> {
        self.screen.give_back();
        signals.stop(who).await;
        self.retake()
    }

    /// After a stop: the terminal's modes and screen are whatever others left.
    fn retake(&mut self) -> Result<Flow, TuiError> {
        self.screen.give_back();
        self.screen.take()?;
        self.dirty = true;
        Ok(Flow::On)
    }
}

/// The next event where there is one already. Polled by the running task: the stream wakes whoever saw it empty first, and
/// nobody else.
async fn ready(keys: &mut EventStream) -> Option<std::io::Result<TermEvent>> {
    poll_fn(|cx| match keys.poll_next_unpin(cx) {
        Poll::Ready(event) => Poll::Ready(event),
        Poll::Pending => Poll::Ready(None),
    })
    .await
}

/// A thing to do for what the terminal sent.
#[derive(Debug, PartialEq)]
enum Step {
    Event(TermEvent),
    /// Lines to scroll; negative is up.
    Wheel(isize),
}

/// Tells the wheel from the arrow keys. A terminal that leaves the mouse alone sends arrows for the wheel, several at once;
/// fingers do not.
fn steps(events: Vec<TermEvent>) -> Vec<Step> {
    let arrow = |event: &TermEvent| match event {
        TermEvent::Key(key) if key.modifiers.is_empty() && key.kind == KeyEventKind::Press => match key.code {
            KeyCode::Up => Some(-1),
            KeyCode::Down => Some(1),
            _ => None,
        },
        _ => None,
    };
    let mut steps = Vec::new();
    for run in events.chunk_by(|a, b| arrow(a).is_some() && arrow(a) == arrow(b)) {
        match run {
            [first, _, ..] if arrow(first).is_some() => {
                steps.push(Step::Wheel(arrow(first).unwrap_or(0) * isize::try_from(run.len()).unwrap_or(1)));
            }
            run => steps.extend(run.iter().cloned().map(Step::Event)),
        }
    }
    steps
}
