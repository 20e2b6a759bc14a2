//! What happens in a session, as one stream: `exec --json` prints it, the log stores it, the terminal UI folds it.

use serde::{Deserialize, Serialize};

use super::window::Part;
use crate::dialect::{Call, Message};
use crate::engine::Usage;
use crate::permission::{Decision, Permission};
use crate::tool::Detail;
use crate::workspace::CheckpointId;

/// Version of the event stream. Raised when a field changes its meaning or goes away; a new field or variant is no reason.
pub const VERSION: u32 = 1;

/// A step of a session. On the wire: one JSON object a line, tagged by `type`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "type")]
pub enum Event {
    /// A request was taken up.
    TurnStarted {
        version: u32,
        session: String,
        /// Counts from 1.
        turn: u32,
        /// What the user wrote.
        prompt: String,
        model: String,
        /// Tokens that the context holds.
        context: usize,
        /// Tokens of the system prompt with the tools' schemas.
        system_prompt_tokens: usize,
        /// Seconds since the epoch.
        time: i64,
    },
    /// A message joined the transcript: exactly what the model sees from now on.
    Message { message: Message },
    /// The last `messages` messages left the transcript: what they tried did not work and is tried afresh.
    Rewound { messages: usize },
    /// A piece of the model's output, as it comes.
    Delta { channel: Channel, text: String },
    /// How much of the prompt is read, in tokens.
    Reading { done: usize, total: usize },
    /// The model's output is complete.
    Generated { usage: Usage },
    /// The model called a tool. `summary` is one line for a person.
    CallProposed { call: Call, summary: String },
    /// The session waits for [`super::Input::Answer`] with this `id` (the call's).
    PermissionAsked { id: String, permission: Permission },
    /// The question was answered, by the user or by the mode in force.
    PermissionAnswered { id: String, decision: Decision },
    /// A tool ended. `output` is what the model is told.
    CallFinished { id: String, tool: String, ok: bool, output: String, detail: Detail, seconds: f64 },
    /// Files changed.
    Edited { change: Change, checkpoint: CheckpointId, files: Vec<String>, diff: String, merged: bool },
    /// A check command ended.
    Checked { command: String, passed: bool, output: String, seconds: f64, attempt: u32 },
    /// Older messages were left out of the prompt to make room; tokens before and after.
    Compacted { before: usize, after: usize },
    /// The `messages` messages in front of the last `behind` left the transcript by the user's wish; where there is one, `instead`
    /// stands in the place of each.
    LeftOut { behind: usize, messages: usize, instead: Option<String> },
    /// What stands in the context: the answer to [`super::Input::Context`]. `opening` are the tokens of the system prompt with the
    /// tools' schemas, `used` those of all, of `context` that there is room for. Not logged.
    Window { opening: usize, parts: Vec<Part>, used: usize, context: usize },
    /// Something the user should know; nothing is lost.
    Notice { text: String },
    /// The request has come to its end.
    TurnEnded {
        outcome: Outcome,
        /// One sentence from the record of the tools, never from the model's word.
        report: String,
        /// The model's last words.
        answer: String,
        /// Files changed in this turn.
        files: Vec<String>,
        seconds: f64,
    },
    /// The turn could not go on. One sentence and the next step.
    Failed { message: String },
}

/// Where a piece of output belongs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Channel {
    Text,
    Reasoning,
    /// The text of a file while it is written; what becomes of it is told by the call that follows.
    Draft,
}

/// How files came to change.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Change {
    Edit,
    /// A command of the `run` tool changed them.
    Command,
    /// The user noted something for the project.
    Note,
    Undo,
    Redo,
}

/// How a turn ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Outcome {
    Done,
    /// A limit was reached, the check still fails, or the model went round in circles.
    NotDone,
    Interrupted,
}
