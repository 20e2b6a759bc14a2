//! Why a model is not there. Each is one sentence with the next step.

use std::io;
use std::path::{Path, PathBuf};

use indicatif::HumanBytes;

use super::gguf::GgufError;

/// What can go wrong with models.
#[derive(Debug, thiserror::Error)]
pub enum ModelError {
    /// `near` is empty or reads ` (did you mean …?)`.
    #[error(
        "there is no model named `{name}`{near}; `moru model list` shows the names, and a path to a .gguf file works too"
    )]
    Unknown { name: String, near: String },
    #[error("{name} is not on this machine; get it with `moru model pull {name}`")]
    NotPulled { name: String },
    #[error("{} does not exist; check the path, or choose a name from `moru model list`", path.display())]
    Missing { path: PathBuf },
    #[error("`{value}` is a file's path; only names from `moru model list` can be pulled or removed")]
    NotAName { value: String },
    #[error("{}: {source}", path.display())]
    Gguf { path: PathBuf, source: GgufError },
    #[error("{}: {reason}; correct the file, its form is described in docs/models.md", path.display())]
    Catalog { path: PathBuf, reason: String },
    #[error(
        "{} has {} free and {} are needed; free some space, or set XDG_DATA_HOME to a folder on a larger disk",
        folder.display(), HumanBytes(*free), HumanBytes(*needed)
    )]
    NoSpace { folder: PathBuf, needed: u64, free: u64 },
    /// The disk filled up in spite of the check before.
    #[error(
        "the disk of {} is full; what was downloaded is kept: free some space and pull again to go on", folder.display()
    )]
    DiskFull { folder: PathBuf },
    #[error("another pull of {name} is under way; wait for it to end, or end it")]
    Busy { name: String },
    #[error("{} is not {name}: its SHA-256 is {found}, expected {expected}; use another file", path.display())]
    WrongFile { path: PathBuf, name: String, found: String, expected: String },
    #[error(
        "the catalog knows no file of {name} to pull; run {upstream} on a server of yours and use it with \
         `--engine URL` (docs/cluster.md)"
    )]
    ServerOnly { name: String, upstream: String },
    /// `reasons` has one line a source, each indented.
    #[error(
        "{name} could not be downloaded:{reasons}\nPull again to go on where it stopped, or bring the file from \
             elsewhere: `moru model pull {name} --from FILE`"
    )]
    NoSource { name: String, reasons: String },
    #[error("cannot {action} {}: {source}", path.display())]
    Io { action: &'static str, path: PathBuf, source: io::Error },
}

impl ModelError {
    /// For `map_err` on calls of the file system.
    pub(super) fn io(action: &'static str, path: &Path) -> impl FnOnce(io::Error) -> Self {
        move |source| match source.kind() {
            io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => Self::DiskFull { folder: folder(path) },
            _ => Self::Io { action, path: path.to_owned(), source },
        }
    }
}

fn folder(path: &Path) -> PathBuf {
    if path.is_dir() { path.to_owned() } else { path.parent().unwrap_or(path).to_owned() }
}
