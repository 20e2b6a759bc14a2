//! What the model may do. One file a tool; its name, description, arguments and trimming stand in a manifest under `tools/`.

mod args;
mod change;
mod edit;
mod index;
mod list;
mod look;
pub mod manifest;
mod outline;
mod paths;
mod read;
mod references;
mod registry;
mod run;
mod search;
mod symbol;
mod write;

use std::sync::Arc;
use std::time::Duration;

use futures_util::future::BoxFuture;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use tokio_util::sync::CancellationToken;

use crate::lsp::Servers;
use crate::permission::Permission;
use crate::sandbox::Sandbox;
use crate::workspace::{Applied, Patch, Workspace};
pub use index::{CodeIndex, index_file, refresh};
pub use manifest::Manifest;
pub use registry::{Registry, builtin};

/// A call's arguments.
pub type Args = Map<String, Value>;

/// What a tool works with.
#[derive(Clone)]
pub struct Context {
    pub workspace: Arc<Workspace>,
    /// Ends what the tool does, commands and their whole process tree included.
    pub cancel: CancellationToken,
    /// After which a command and its whole process tree are ended.
    pub command_timeout: Duration,
    /// What commands may reach.
    pub sandbox: Arc<Sandbox>,
    /// The workspace's index.
    pub index: Arc<CodeIndex>,
    /// They say what is wrong with a file that was changed.
    pub servers: Arc<Servers>,
    /// Bound of an observation's text, in bytes: a share of the model's context.
    pub output_limit: usize,
}

/// Something that the model may call.
pub trait Tool: Send + Sync {
    fn spec(&self) -> &Manifest;

    /// What the call would do, without doing it.
    ///
    /// # Errors
    /// The call cannot succeed as it is worded (a path that does not exist, a text that does not stand in the file).
    fn plan(&self, args: &Args, cx: &Context) -> Result<Plan, ToolError>;

    /// Does it. `patch` is the plan's: what is made is what was shown and allowed, merged with what the user did meanwhile.
    fn run<'a>(
        &'a self,
        args: &'a Args,
        patch: Option<Patch>,
        cx: &'a Context,
    ) -> BoxFuture<'a, Result<Observation, ToolError>>;
}

/// What a call would do.
#[derive(Debug)]
pub struct Plan {
    pub permission: Permission,
    /// The change itself, for tools that edit.
    pub patch: Option<Patch>,
}

impl From<Permission> for Plan {
    fn from(permission: Permission) -> Self {
        Self { permission, patch: None }
    }
}

/// What a tool found or did.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Observation {
    /// For the model.
    pub text: String,
    /// For the client.
    pub detail: Detail,
    /// The change that it made.
    pub applied: Option<Applied>,
}

/// What a client may show of an observation, beyond its text.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum Detail {
    #[default]
    None,
    /// A number of things found or read, with their unit (`lines`, `files`, `matches`).
    Count { count: usize, unit: String },
    /// Lines that an edit added and removed, syntax errors that it brought in, other errors that a language server found, and names
    /// that it uses and nothing defines.
    Change {
        added: usize,
        removed: usize,
        errors: usize,
        #[serde(default)]
        diagnostics: usize,
        #[serde(default)]
        undefined: usize,
    },
    /// A command's end. `code` is `None` where it was ended by a signal or its time limit.
    Exit { code: Option<i32>, timed_out: bool, seconds: f64 },
}

impl Observation {
    /// With nothing but a text.
    fn text(text: impl Into<String>) -> Self {
        Self { text: text.into(), ..Self::default() }
    }

    /// With a number of things found.
    fn count(text: impl Into<String>, count: usize, unit: &str) -> Self {
        Self { detail: Detail::Count { count, unit: unit.to_owned() }, ..Self::text(text) }
    }
}

/// A failure that the model is told of, in words that let it do better.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct ToolError(pub String);

impl From<crate::workspace::WorkspaceError> for ToolError {
    fn from(error: crate::workspace::WorkspaceError) -> Self {
        Self(sentence(&error.to_string()))
    }
}

/// A manifest from `tools/`.
fn embedded(toml: &str) -> Manifest {
    // It is part of the program, and a test reads every one of them.
    Manifest::parse(toml).unwrap_or_else(|error| panic!("a manifest under tools/ is broken: {error}"))
}

/// An error's text as a sentence.
fn sentence(text: &str) -> String {
    let mut chars = text.chars();
    // A path or a code word at the beginning keeps its case.
    let first_word = text.split(' ').next().unwrap_or_default();
    let word = first_word.chars().all(|c| c.is_ascii_lowercase());
    let begin: String = match chars.next() {
        Some(first) if word => first.to_uppercase().chain(chars).collect(),
        _ => text.to_owned(),
    };
    // What ends with lines of code ends with them.
    if begin.ends_with(['.', '!', '?', ':']) || begin.contains('\n') { begin } else { begin + "." }
}

/// Does what waits for the disk on a thread that may wait.
async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, ToolError> + Send + 'static,
) -> Result<T, ToolError> {
    match tokio::task::spawn_blocking(work).await {
        Ok(result) => result,
        Err(error) => Err(ToolError(format!("The tool broke off: {error}."))),
    }
}

#[cfg(test)]
mod tests;
