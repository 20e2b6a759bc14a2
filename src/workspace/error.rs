//! What can go wrong with files, in words for the model and the user alike.

use std::io;
use std::path::{Path, PathBuf};

use super::{CheckpointId, RelPath};

/// Why a change could not be planned, applied, undone or redone. Each is one sentence that says what to do next.
#[derive(Debug, thiserror::Error)]
pub enum WorkspaceError {
    #[error("`{path}` leads out of the workspace; use a path inside {}", root.display())]
    Outside { path: String, root: PathBuf },
    #[error("`{path}` belongs to git; change the repository with git commands instead")]
    Protected { path: String },
    #[error("`{path}` is no usable path: {why}")]
    BadPath { path: String, why: &'static str },
    #[error("`{path}` does not exist{}", hint(suggestion.as_ref()))]
    NotFound { path: String, suggestion: Option<RelPath> },
    #[error("`{path}` is a folder; name a file in it")]
    IsFolder { path: RelPath },
    #[error("`{path}` is neither a file nor a symbolic link, so it is left alone")]
    Special { path: RelPath },
    #[error("`{path}` stands below something that is no folder; choose another path")]
    NoFolder { path: String },
    #[error("`{path}` is a binary file; only text can be read and edited")]
    Binary { path: RelPath },
    #[error("`{path}` starts like UTF-16 but is not valid; convert it before editing it")]
    BrokenText { path: RelPath },
    #[error("`{path}` is written in {encoding}, which has no `{character}`; write that differently")]
    Unencodable { path: RelPath, encoding: &'static str, character: char },
    #[error("`{path}` is protected against writing; make it writable first (chmod u+w)")]
    ReadOnlyFile { path: RelPath },
    #[error("the text to replace is empty; quote the lines that shall change, or write the whole file")]
    EmptyOld,
    #[error("the old and the new text are the same, so `{path}` would not change; say what shall be different")]
    SameText { path: RelPath },
    #[error("`{path}` already has exactly this content; nothing would change")]
    Unchanged { path: RelPath },
    #[error("the text to replace does not stand in `{path}`; copy it exactly as it is{}", closest(lines))]
    TextNotFound { path: RelPath, lines: Vec<(usize, String)> },
    #[error(
        "the text to replace stands {} times in `{path}` (lines {}); quote more lines around the one you mean",
        lines.len(), numbers(lines)
    )]
    Ambiguous { path: RelPath, lines: Vec<usize> },
    #[error("`{path}` was changed meanwhile in the same place, so nothing was changed; read it again")]
    Conflict { path: RelPath },
    #[error("files kept changing while they were written, so nothing was changed; try again")]
    Restless,
    #[error("the folder {} is gone; go back to a folder that exists and start again there", root.display())]
    Gone { root: PathBuf },
    #[error("{} is no folder; start in the folder of your project", path.display())]
    NotAFolder { path: PathBuf },
    #[error("{} cannot be written: {why}; nothing was changed", path.display())]
    ReadOnly { path: PathBuf, why: String },
    #[error("the disk is full, so nothing was changed; free some space and try again")]
    Full,
    #[error("the state folder {} cannot be used: {why}; check its permissions", path.display())]
    State { path: PathBuf, why: String },
    #[error("another moru is changing files in this folder; wait for it to finish and try again")]
    Busy,
    #[error("there is no change to undo")]
    NothingToUndo,
    #[error("there is no undone change to redo")]
    NothingToRedo,
    #[error("there is no change {}; `moru log` lists them", id.0)]
    NoCheckpoint { id: CheckpointId },
    #[error("no change has been made yet")]
    NoChanges,
    #[error(
        "a change failed half-way and could not be taken back; free space or make {} writable, then run `moru log`, which \
         takes it back",
        root.display()
    )]
    Torn { root: PathBuf, source: Box<WorkspaceError> },
    #[error("{}: {source}", path.display())]
    Io { path: PathBuf, source: io::Error },
    #[error("the record of changes cannot be used ({0}); docs/undo.md says how to start a new one")]
    Record(String),
}

impl WorkspaceError {
    /// An error of the file system at `path`, told by what the user can do about it.
    pub(super) fn io(path: &Path, source: io::Error) -> Self {
        match source.kind() {
            io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => Self::Full,
            io::ErrorKind::PermissionDenied | io::ErrorKind::ReadOnlyFilesystem => {
                Self::ReadOnly { path: path.to_owned(), why: reason(&source) }
            }
            _ => Self::Io { path: path.to_owned(), source },
        }
    }
}

impl From<git2::Error> for WorkspaceError {
    fn from(error: git2::Error) -> Self {
        // libgit2 hands on the system's words, not its number.
        if error.message().contains("No space left on device") {
            return Self::Full;
        }
        Self::Record(error.message().to_owned())
    }
}

impl From<serde_json::Error> for WorkspaceError {
    fn from(error: serde_json::Error) -> Self {
        Self::Record(error.to_string())
    }
}

/// The system's words without the number that Rust appends.
fn reason(error: &io::Error) -> String {
    let text = error.to_string();
    text.split(" (os error").next().unwrap_or(&text).to_lowercase()
}

fn hint(suggestion: Option<&RelPath>) -> String {
    suggestion.map(|path| format!("; did you mean `{path}`?")).unwrap_or_default()
}

fn numbers(lines: &[usize]) -> String {
    let shown: Vec<_> = lines.iter().take(10).map(ToString::to_string).collect();
    if lines.len() > shown.len() { format!("{}, …", shown.join(", ")) } else { shown.join(", ") }
}

fn closest(lines: &[(usize, String)]) -> String {
    if lines.is_empty() {
        return String::new();
    }
    let shown: Vec<_> = lines.iter().map(|(number, line)| format!("{number}\t{line}")).collect();
    format!(". The closest lines are:\n{}", shown.join("\n"))
}
