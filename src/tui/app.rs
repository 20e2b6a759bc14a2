//! The state of the screen. Everything that is drawn stands here; nothing here draws, sends or waits.

use std::collections::VecDeque;
use std::time::Duration;

use super::complete::Popup;
use super::editor::Editor;
use super::theme::Theme;
use super::transcript::Transcript;
use super::{Opening, fold};
use crate::engine::Usage;
use crate::permission::{Mode, Permission};

/// How long a hint stands.
const HINT: Duration = Duration::from_secs(4);
/// Silence of the keyboard before a question takes keys.
const QUIET: Duration = Duration::from_millis(300);
/// The same where the user was typing when the question appeared.
const QUIET_TYPING: Duration = Duration::from_secs(1);
/// A key this long before a question counts as typing.
const TYPING: Duration = Duration::from_secs(2);

/// The whole state.
pub struct App {
    pub transcript: Transcript,
    pub editor: Editor,
    pub question: Option<Question>,
    pub popup: Option<Popup>,
    /// The help popup is open, scrolled down by so many lines.
    pub help: Option<u16>,
    pub phase: Phase,
    /// When the running turn began.
    pub turn_began: Duration,
    /// When the reading of the prompt under way was first heard of, and how many tokens were done then.
    pub reading_from: (Duration, usize),
    /// Sent and not taken up yet, oldest first.
    pub queued: VecDeque<String>,
    pub scroll: Scroll,
    pub details: Details,
    pub status: Status,
    pub hint: Option<Hint>,
    pub files: Files,
    /// The last change of files: what it was, and its diff.
    pub last_change: Option<(String, String)>,
    pub session: Session,
    /// A second Ctrl+C before this quits.
    pub quit_until: Option<Duration>,
    pub last_typed: Option<Duration>,
    /// The files named in the text under way that the session was told of; `None` where it was told of nothing yet.
    pub drafted: Option<String>,
    pub theme: Theme,
    pub workspace: String,
    /// Columns and rows of the conversation, as last drawn.
    pub viewport: (u16, u16),
    /// Time since the screen opened.
    pub now: Duration,
}

/// What the session is at.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Phase {
    Idle,
    /// A request was sent and not taken up yet.
    Starting,
    /// The prompt is read; tokens done and in all, 0 where unknown.
    Reading {
        done: usize,
        total: usize,
    },
    Thinking,
    Writing,
    Running,
    /// The user is asked.
    Asking,
}

/// Which part of the conversation is seen.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Scroll {
    /// Its end, also as it grows.
    Follow,
    /// From this line of this block on.
    At { block: usize, line: usize },
}

/// Whether reasoning, outputs and long diffs are shown whole.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Details {
    Folded,
    Unfolded,
}

/// Whether there is somebody to send to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Session {
    Open,
    Ended,
}

/// The workspace's files, for completion.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Files {
    Unknown,
    /// Asked for; what was known before serves meanwhile.
    Listing(Vec<String>),
    Known(Vec<String>),
}

impl Files {
    pub fn known(&self) -> &[String] {
        match self {
            Self::Unknown => &[],
            Self::Listing(files) | Self::Known(files) => files,
        }
    }
}

/// What the status line shows.
#[derive(Debug, Clone)]
pub struct Status {
    pub model: String,
    /// Tokens that the context holds.
    pub context: usize,
    /// Tokens in use; `None` before the first generation.
    pub used: Option<usize>,
    /// Tokens a second, of the last generation that read or wrote enough to measure.
    pub prefill: Option<f64>,
    pub decode: Option<f64>,
    pub branch: Option<String>,
    pub mode: Mode,
}

/// A sentence that goes by itself.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Hint {
    pub text: String,
    pub until: Duration,
}

/// A permission that the session waits for.
pub struct Question {
    pub id: String,
    pub permission: Permission,
    /// Lines of the diff scrolled past.
    pub scroll: usize,
    /// The reason being typed, after "no".
    pub reason: Option<Editor>,
    /// Keys go to the input box until then, so that what was typed ahead answers nothing.
    pub armed_at: Duration,
    quiet: Duration,
}

impl Question {
    /// `last_typed` is when the last key came before the question did.
    pub fn new(id: String, permission: Permission, now: Duration, last_typed: Option<Duration>) -> Self {
        let typing = last_typed.is_some_and(|at| now.saturating_sub(at) < TYPING);
        let quiet = if typing { QUIET_TYPING } else { QUIET };
        Self { id, permission, scroll: 0, reason: None, armed_at: now + quiet, quiet }
    }

    pub fn armed(&self, now: Duration) -> bool {
        now >= self.armed_at
    }

    /// A key came too early: it belongs to what the user was typing.
    pub fn defer(&mut self, now: Duration) {
        self.quiet = QUIET_TYPING;
        self.armed_at = now + self.quiet;
    }
}

impl App {
    /// The first screen, with the past of a resumed session.
    pub fn new(opening: &mut Opening, history: Vec<String>) -> Self {
        let mut app = Self {
            transcript: Transcript::default(),
            editor: Editor::new(history),
            question: None,
            popup: None,
            help: None,
            phase: Phase::Idle,
            turn_began: Duration::ZERO,
            reading_from: (Duration::ZERO, 0),
            queued: VecDeque::new(),
            scroll: Scroll::Follow,
            details: Details::Folded,
            status: Status {
                model: opening.model.clone(),
                context: opening.context,
                used: None,
                prefill: None,
                decode: None,
                branch: (opening.branch)(),
                mode: opening.mode,
            },
            hint: None,
            files: Files::Unknown,
            last_change: None,
            session: Session::Open,
            quit_until: None,
            last_typed: None,
            drafted: None,
            theme: Theme::new(opening.colour),
            workspace: opening.workspace.clone(),
            viewport: (80, 20),
            now: Duration::ZERO,
        };
        for event in std::mem::take(&mut opening.past) {
            fold::event(&mut app, event);
        }
        app.transcript.settle();
        app.question = None;
        app.phase = Phase::Idle;
        app
    }

    pub fn busy(&self) -> bool {
        self.phase != Phase::Idle
    }

    /// Something on the screen moves by itself.
    pub fn animated(&self) -> bool {
        self.busy() || self.hint.is_some() || self.quit_until.is_some()
    }

    pub fn hint(&mut self, text: impl Into<String>) {
        self.hint = Some(Hint { text: text.into(), until: self.now + HINT });
    }

    /// Lets go what has had its time.
    pub fn tick(&mut self, now: Duration) {
        self.now = now;
        self.hint.take_if(|hint| now >= hint.until);
        self.quit_until.take_if(|until| now >= *until);
    }

    pub fn measure(&mut self, usage: &Usage) {
        /// Fewer tokens than this say nothing of speed.
        const ENOUGH: usize = 8;
        let rate = |tokens: usize, seconds: f64| (tokens >= ENOUGH && seconds > 0.0).then(|| tokens as f64 / seconds);
        let read = usage.prompt.saturating_sub(usage.cached);
        self.status.used = Some(usage.prompt + usage.generated);
        self.status.prefill = rate(read, usage.prefill_seconds).or(self.status.prefill);
        self.status.decode = rate(usage.generated, usage.decode_seconds).or(self.status.decode);
    }
}
