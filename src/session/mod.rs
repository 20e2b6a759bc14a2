//! The agent core. A client sends [`Input`]s and receives [`Event`]s; there is no other door.

mod addition;
mod ahead;
mod call;
mod candidates;
mod check;
mod command;
pub mod context;
mod driver;
mod earlier;
pub mod event;
mod examples;
pub mod export;
mod failure;
mod follow;
mod guess;
mod guided;
mod intent;
mod judge;
mod lines;
mod list;
mod locate;
pub mod log;
mod mend;
mod narrow;
mod new_tests;
mod note;
mod part;
mod preparation;
pub mod profile;
mod project;
pub mod prompt;
mod record;
pub mod selftest;
mod spectrum;
mod step;
mod surprise;
#[cfg(test)]
mod tests;
mod turn;
mod window;
mod wording;
mod written;

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::mpsc;

use crate::dialect::{Message, ToolSpec};
use crate::engine::Engine;
use crate::lsp::Servers;
use crate::permission::{Decision, Mode, Policy};
use crate::sandbox::Sandbox;
use crate::tool::{CodeIndex, Registry};
use crate::workspace::Workspace;
pub use event::{Change, Channel, Event, Outcome};
pub use log::Log;
pub use profile::Profile;
pub use window::Part;

/// How long the end of a session is waited for.
const CLOSE_LIMIT: Duration = Duration::from_secs(10);

/// What a client asks of a session.
#[derive(Debug, Clone, PartialEq)]
pub enum Input {
    /// A request. While a turn runs it waits for its end.
    Prompt(String),
    /// What the user has written of the next request. Files that it names with `@` are read into the model meanwhile. While a
    /// turn runs this counts for nothing.
    Draft(String),
    /// Answers [`Event::PermissionAsked`].
    Answer { id: String, decision: Decision },
    /// Ends the running turn within one decode step; a running command and its process tree end too.
    Interrupt,
    /// Takes back the last `n` changes that are not undone. While a turn runs it waits for its end.
    Undo(usize),
    /// Brings back the last `n` undone changes. While a turn runs it waits for its end.
    Redo(usize),
    /// How much is allowed without asking, from now on.
    Mode(Mode),
    /// Asks what stands in the context, for [`Event::Window`]. While a turn runs it waits for its end.
    Context,
    /// Takes the message with this number out of the context. While a turn runs it waits for its end.
    LeaveOut(usize),
    /// Adds a line to the project's `AGENTS.md`. While a turn runs it waits for its end.
    Note(String),
}

/// A client's end of a session that runs on the tokio runtime. Dropping `inputs` ends the session after interrupting it.
pub struct Handle {
    pub inputs: mpsc::UnboundedSender<Input>,
    pub events: mpsc::UnboundedReceiver<Event>,
}

impl Handle {
    /// Ends the session and waits until it has put away what it keeps for a later start.
    pub async fn close(mut self) {
        drop(self.inputs);
        // The sender of events goes with the session. A command that will not die must not hold up the program.
        let ended = async { while self.events.recv().await.is_some() {} };
        let _ = tokio::time::timeout(CLOSE_LIMIT, ended).await;
    }
}

/// What a session is told from outside, already settled.
#[derive(Debug, Clone)]
pub struct Settings {
    /// Somebody can answer [`Event::PermissionAsked`]; otherwise what would be asked is refused, and the model told so.
    pub interactive: bool,
    /// Run after the last edit of a turn.
    pub check: Option<String>,
    /// The check is the user's own and runs without asking, as one that comes with the folder does not.
    pub trust_check: bool,
    /// How often a failed check goes back to the model.
    pub check_attempts: u32,
    /// No further try at a change begins when a turn has taken this long.
    pub budget: Duration,
    /// Model calls in one turn.
    pub max_steps: usize,
    pub command_timeout: Duration,
    /// What commands may reach.
    pub sandbox: Arc<Sandbox>,
    /// The index of the workspace.
    pub index: Arc<CodeIndex>,
    /// The language servers that may be asked.
    pub servers: Arc<Servers>,
}

/// What a session is made of.
pub struct Session {
    pub engine: Arc<dyn Engine>,
    pub workspace: Arc<Workspace>,
    pub tools: Registry,
    pub profile: Profile,
    pub settings: Settings,
    pub policy: Policy,
    /// The system prompt and what a resumed session had said already.
    pub transcript: Vec<Message>,
    pub log: Log,
    /// What happened since the last turn and the model is to be told with the next request.
    pub news: Vec<String>,
    /// The next turn's number, from 1.
    pub turn: u32,
    /// The messages with which the user has asked for something so far.
    pub requests: Vec<String>,
}

impl Session {
    /// Runs the session on the current tokio runtime.
    pub fn start(self) -> Handle {
        let (inputs, receiver) = mpsc::unbounded_channel();
        let (sender, events) = mpsc::unbounded_channel();
        tokio::spawn(driver::drive(self, receiver, sender));
        Handle { inputs, events }
    }

    /// A request behind what the user did since the last one.
    fn with_news(&self, request: &str) -> String {
        self.news.iter().fold(request.to_owned(), |text, news| format!("{news}\n\n{text}"))
    }

    /// The tools that this profile gives the model.
    pub fn specs(&self) -> Vec<ToolSpec> {
        let tools = self.profile.tools.iter().filter_map(|name| self.tools.get(name).ok());
        tools.map(|tool| tool.spec().to_spec()).collect()
    }
}
