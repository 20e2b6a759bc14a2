//! The conversation as blocks, in the order in which they came.

use std::time::Duration;

use super::text;
use super::view::Rendered;
use crate::session::{Change, Outcome, Part};
use crate::tool::Detail;

/// All blocks, oldest first.
#[derive(Default)]
pub struct Transcript {
    pub entries: Vec<Entry>,
    /// The last block still grows with the model's output.
    pub open: bool,
}

/// A block and what was last drawn of it.
pub struct Entry {
    pub block: Block,
    pub rendered: Rendered,
}

/// One thing that happened.
pub enum Block {
    User(String),
    /// Markdown, cleaned by [`text::visible`].
    Answer(String),
    Reasoning(Reasoning),
    /// A file's text while it is written.
    Draft(String),
    Tool(Tool),
    /// Files that changed without a call: undo, redo, or shown again by `/diff`.
    Changed {
        title: String,
        diff: String,
    },
    Check {
        command: String,
        passed: bool,
        output: String,
        seconds: f64,
    },
    Notice(String),
    /// What stands in the context.
    Window {
        opening: usize,
        parts: Vec<Part>,
        used: usize,
        context: usize,
    },
    Failure(String),
    Report {
        outcome: Outcome,
        report: String,
        seconds: f64,
    },
}

/// What the model thought before it spoke.
pub struct Reasoning {
    pub text: String,
    pub began: Duration,
    /// How long it took, once it is over; unknown in a resumed session.
    pub took: Option<Duration>,
}

/// A tool call and what came of it.
pub struct Tool {
    pub id: String,
    pub summary: String,
    pub state: State,
    pub began: Duration,
    pub detail: Detail,
    pub seconds: f64,
    pub output: String,
    pub edit: Option<Edit>,
}

/// Files that a call changed.
pub struct Edit {
    pub change: Change,
    pub diff: String,
    pub merged: bool,
}

/// Where a call stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum State {
    Running,
    /// The user is asked.
    Asked,
    Done,
    Failed,
    /// The user said no, with a reason that may be empty.
    Refused(String),
    Interrupted,
}

impl Transcript {
    pub fn push(&mut self, block: Block) {
        self.open = false;
        self.entries.push(Entry { block, rendered: Rendered::default() });
    }

    /// Adds to the answer that is being written, or begins one.
    pub fn answer(&mut self, piece: &str) {
        let piece = &text::visible(&piece.replace('\r', ""));
        if self.open
            && let Some(Entry { block: Block::Answer(text), rendered }) = self.entries.last_mut()
        {
            text.push_str(piece);
            rendered.grown();
            return;
        }
        // Models like to begin with line ends, which would be an empty block.
        let piece = piece.trim_start_matches(['\n', '\r']);
        if !piece.is_empty() {
            self.push(Block::Answer(piece.to_owned()));
            self.open = true;
        }
    }

    /// Adds to the reasoning that is being written, or begins it.
    pub fn reasoning(&mut self, piece: &str, now: Duration) {
        if self.open
            && let Some(Entry { block: Block::Reasoning(reasoning), rendered }) = self.entries.last_mut()
        {
            reasoning.text.push_str(piece);
            rendered.stale();
            return;
        }
        let piece = piece.trim_start_matches(['\n', '\r']);
        if !piece.is_empty() {
            self.push(Block::Reasoning(Reasoning { text: piece.to_owned(), began: now, took: None }));
            self.open = true;
        }
    }

    /// Adds to the text of a file that is being written, or begins it.
    pub fn draft(&mut self, piece: &str) {
        if self.open
            && let Some(Entry { block: Block::Draft(text), rendered }) = self.entries.last_mut()
        {
            text.push_str(piece);
            rendered.stale();
            return;
        }
        self.push(Block::Draft(piece.to_owned()));
        self.open = true;
    }

    /// The file's text is complete, or will not be.
    pub fn end_draft(&mut self) {
        let turn = self.entries.iter().rposition(|entry| matches!(entry.block, Block::User(_))).unwrap_or(0);
        let drafts = self.entries.extract_if(turn.., |entry| matches!(entry.block, Block::Draft(_)));
        if drafts.count() > 0 {
            self.open = false;
        }
    }

    /// The model has ended its reasoning.
    pub fn reasoned(&mut self, now: Duration) {
        if let Some(Entry { block: Block::Reasoning(reasoning), rendered }) = self.entries.last_mut()
            && self.open
        {
            reasoning.took = Some(now.saturating_sub(reasoning.began));
            rendered.stale();
            self.open = false;
        }
    }

    /// The call with this id, most recent first.
    pub fn tool(&mut self, id: &str) -> Option<&mut Tool> {
        self.entries.iter_mut().rev().find_map(|entry| match &mut entry.block {
            Block::Tool(tool) if tool.id == id => {
                entry.rendered.stale();
                Some(tool)
            }
            _ => None,
        })
    }

    /// The last call of the running turn.
    pub fn last_tool(&mut self) -> Option<&mut Tool> {
        let turn = self.entries.iter().rposition(|e| matches!(e.block, Block::User(_))).unwrap_or(0);
        self.entries[turn..].iter_mut().rev().find_map(|entry| match &mut entry.block {
            Block::Tool(tool) => {
                entry.rendered.stale();
                Some(tool)
            }
            _ => None,
        })
    }

    /// Nothing runs any more: what had not ended was interrupted.
    pub fn settle(&mut self) {
        self.end_draft();
        self.open = false;
        for entry in self.entries.iter_mut().rev() {
            match &mut entry.block {
                Block::User(_) => break,
                Block::Tool(tool) if matches!(tool.state, State::Running | State::Asked) => {
                    tool.state = State::Interrupted;
                    entry.rendered.stale();
                }
                Block::Reasoning(reasoning) if reasoning.took.is_none() => {
                    reasoning.took = Some(Duration::ZERO);
                    entry.rendered.stale();
                }
                _ => {}
            }
        }
    }
}

impl Tool {
    pub fn new(id: String, summary: String, now: Duration) -> Self {
        Self {
            id,
            summary,
            state: State::Running,
            began: now,
            detail: Detail::None,
            seconds: 0.0,
            output: String::new(),
            edit: None,
        }
    }

    /// What came of it, in a few words; empty where there is nothing to say.
    pub fn result(&self) -> String {
        let mut parts = Vec::new();
        match (&self.state, &self.detail) {
            (State::Refused(reason), _) if reason.is_empty() => parts.push("refused".to_owned()),
            (State::Refused(reason), _) => parts.push(format!("refused: {reason}")),
            (State::Interrupted, _) => parts.push("interrupted".to_owned()),
            (State::Asked, _) => parts.push("waiting for you".to_owned()),
            (_, Detail::Exit { timed_out: true, seconds, .. }) => {
                parts.push(format!("not finished within {}", text::seconds(*seconds)));
            }
            (_, Detail::Exit { code, seconds, .. }) => {
                parts.push(code.map_or("ended by a signal".to_owned(), |code| format!("exit {code}")));
                parts.push(text::seconds(*seconds));
            }
            (State::Failed, _) => parts.push(text::visible(self.output.lines().next().unwrap_or("failed"))),
            (_, Detail::Count { count, unit }) => parts.push(text::plural(*count, unit)),
            (_, Detail::Change { errors, diagnostics, undefined, .. }) if errors + diagnostics + undefined > 0 => {
                // A server finds the same names.
                parts.push(text::plural(errors + diagnostics.max(undefined), "errors"));
            }
            _ => {}
        }
        if let Some(edit) = &self.edit {
            parts.push(super::view::diff::counts(&edit.diff));
            if edit.merged {
                parts.push("merged with your changes".to_owned());
            }
        }
        parts.join(" · ")
    }
}
