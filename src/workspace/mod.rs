//! The files under work. Every change to a file, by whoever, goes one way: an [`Edit`] is planned into a [`Patch`] against
//! what is on disk, shown, and applied whole or not at all; what was applied is a checkpoint that can be shown, undone and
//! redone, also after a crash.
//!
//! [`RelPath`] says what may be touched, `file` how bytes are text, `find` and `edit` what an edit makes of them, `disk` how
//! several files change at once, `store` where that is remembered, and `apply` holds these together.

mod apply;
mod checkpoint;
mod diff;
mod disk;
mod edit;
mod error;
mod file;
mod find;
mod lock;
mod node;
mod path;
mod snapshot;
mod stat;
mod store;
#[cfg(test)]
mod tests;
mod walk;
mod watch;

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Mutex;

use serde::{Deserialize, Serialize};

use checkpoint::Way;
use disk::Disk;
pub use edit::{Edit, Patch};
pub use error::WorkspaceError;
pub use file::TextFile;
pub use find::common_lines;
use lock::Lock;
use path::Links;
pub use path::RelPath;
use snapshot::Bounds;
pub use snapshot::Snapshot;
use stat::StatCache;
use store::Store;
pub use walk::Listing;
pub use watch::{Changes, Watch};

/// How a workspace is opened.
#[derive(Debug, Clone)]
pub struct Options {
    /// Moru's state folder (`$XDG_STATE_HOME/moru`); the private repositories of folders that are none live below it.
    pub state: PathBuf,
    /// Changes are kept in memory and never reach the disk; reading sees them. The record of earlier changes is not seen.
    pub dry_run: bool,
}

/// A folder under work and the repository that remembers its changes. Shared by threads; processes that change the same
/// folder wait for each other.
pub struct Workspace {
    root: PathBuf,
    /// This workspace's part of the state folder.
    home: PathBuf,
    disk: Disk,
    store: Mutex<Store>,
    stats: Mutex<Option<StatCache>>,
}

/// Names a checkpoint; counts up within a workspace.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(transparent)]
pub struct CheckpointId(pub u64);

/// A change that has been made.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Applied {
    pub checkpoint: CheckpointId,
    /// Unified diff in git's form of what changed on disk.
    pub diff: String,
    pub files: Vec<RelPath>,
    /// The file had been changed meanwhile, and the edit was merged with that.
    pub merged: bool,
    /// What the user should know: what of a command's changes cannot be undone.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub note: Option<String>,
}

/// A recorded change.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Checkpoint {
    pub id: CheckpointId,
    /// Seconds since the epoch.
    pub time: i64,
    /// What did it (`edit src/a.py`, `run make fmt`).
    pub label: String,
    pub files: Vec<RelPath>,
    /// It is undone at present.
    pub undone: bool,
}

/// A name for a folder that serves as a file name: the same for the same absolute path.
pub fn folder_key(folder: &Path) -> String {
    store::key(folder.as_os_str().as_encoded_bytes())
}

impl Workspace {
    /// Opens the folder `root`, and finishes what a process left behind there that was killed while it changed files.
    ///
    /// # Errors
    /// It is no folder, or the state folder cannot be written.
    pub fn open(root: &Path, options: Options) -> Result<Self, WorkspaceError> {
        let not_a_folder = || WorkspaceError::NotAFolder { path: root.to_owned() };
        let root = root.canonicalize().ok().filter(|root| root.is_dir()).ok_or_else(not_a_folder)?;
        let home = options.state.join("workspaces").join(folder_key(&root));
        let store = if options.dry_run {
            Store::in_memory()?
        } else {
            fs::create_dir_all(&home).map_err(|error| store::state_error(&home, &error.to_string()))?;
            Store::open(&root, &home)?
        };
        let disk = Disk::new(root.clone(), options.dry_run);
        let workspace = Self { root, home, disk, store: Mutex::new(store), stats: Mutex::new(None) };
        if !workspace.disk.is_dry() {
            workspace.finish_what_was_cut_off()?;
        }
        Ok(workspace)
    }

    /// The workspace's folder, absolute, symlinks resolved.
    pub fn root(&self) -> &Path {
        &self.root
    }

    /// Whether changes stay in memory.
    pub fn is_dry_run(&self) -> bool {
        self.disk.is_dry()
    }

    /// Whether there is a regular file, or a link to one inside, at `path`.
    pub fn is_file(&self, path: &RelPath) -> bool {
        path::locate(&self.root, path, Links::Follow).is_ok_and(|real| self.disk.is_file(&real))
    }

    /// The branch that is checked out, where the folder lies in a git repository.
    pub fn branch(&self) -> Option<String> {
        let repository = git2::Repository::discover(&self.root).ok()?;
        let head = repository.head().ok()?;
        head.shorthand().ok().map(str::to_owned)
    }

    /// Proves that `path`, as a model or a user wrote it, stays inside. It need not exist.
    ///
    /// # Errors
    /// It leads out, into git's own folder, or can be no path.
    pub fn resolve(&self, path: &str) -> Result<RelPath, WorkspaceError> {
        self.exists()?;
        path::resolve(&self.root, path)
    }

    /// Reads a text file.
    ///
    /// # Errors
    /// It does not exist, is a folder, or is no text.
    pub fn read(&self, path: &RelPath) -> Result<TextFile, WorkspaceError> {
        self.exists()?;
        let real = path::locate(&self.root, path, Links::Follow)?;
        let node = self.disk.node(&real)?.ok_or_else(|| self.not_found(path))?;
        edit::read(path, &node)
    }

    /// Files that are not ignored, sorted; at most `limit`.
    pub fn files(&self, limit: usize) -> Vec<RelPath> {
        self.list(limit).files
    }

    /// The files, at most `limit`, and the folders that they stand in.
    pub fn list(&self, limit: usize) -> Listing {
        walk::list(self, limit)
    }

    /// Files as a dry run left them in memory.
    pub fn unwritten(&self) -> Vec<RelPath> {
        self.disk.overlay().into_iter().filter(|(_, node)| node.is_some()).map(|(path, _)| path).collect()
    }

    /// Makes a patch of an edit.
    ///
    /// # Errors
    /// The edit does not fit the file; the sentence says how to word it better.
    pub fn plan(&self, edit: &Edit) -> Result<Patch, WorkspaceError> {
        self.plan_all(std::slice::from_ref(edit))
    }

    /// Makes one patch of several edits, each seeing those before it.
    ///
    /// # Errors
    /// One of them does not fit.
    pub fn plan_all(&self, edits: &[Edit]) -> Result<Patch, WorkspaceError> {
        self.exists()?;
        edit::plan(self, edits)
    }

    /// Applies a patch whole or not at all. `label` is shown in the log. Files that changed since it was planned are merged
    /// with it.
    ///
    /// # Errors
    /// They changed in the same place, or cannot be written; then nothing has changed.
    pub fn apply(&self, patch: Patch, label: &str) -> Result<Applied, WorkspaceError> {
        apply::apply(self, patch, label)
    }

    /// Takes back the last `n` checkpoints that are not undone, the newest first; fewer where there are fewer. What changed
    /// since is kept by merging.
    ///
    /// # Errors
    /// There is none, or something changed in the same place; then nothing has changed.
    pub fn undo(&self, n: usize) -> Result<Vec<Applied>, WorkspaceError> {
        checkpoint::travel(self, n, Way::Undo)
    }

    /// Makes the last `n` undone checkpoints again, the one undone last first; fewer where there are fewer.
    ///
    /// # Errors
    /// As for [`Self::undo`].
    pub fn redo(&self, n: usize) -> Result<Vec<Applied>, WorkspaceError> {
        checkpoint::travel(self, n, Way::Redo)
    }

    /// All checkpoints, oldest first.
    ///
    /// # Errors
    /// The record cannot be read.
    pub fn log(&self) -> Result<Vec<Checkpoint>, WorkspaceError> {
        checkpoint::log(self)
    }

    /// What a checkpoint changed; the last one that is not undone where `None`.
    ///
    /// # Errors
    /// There is no such checkpoint.
    pub fn diff(&self, id: Option<CheckpointId>) -> Result<String, WorkspaceError> {
        checkpoint::diff(self, id)
    }

    /// Remembers the files before a command that may change them. In a dry run nothing is remembered.
    ///
    /// # Errors
    /// The record cannot be written.
    pub fn snapshot(&self) -> Result<Snapshot, WorkspaceError> {
        snapshot::take(self, Bounds::default())
    }

    /// Makes what changed since `snapshot` a checkpoint; `None` where nothing did.
    ///
    /// # Errors
    /// The record cannot be written.
    pub fn record(&self, snapshot: &Snapshot, label: &str) -> Result<Option<Applied>, WorkspaceError> {
        snapshot::record(self, snapshot, label)
    }

    fn finish_what_was_cut_off(&self) -> Result<(), WorkspaceError> {
        Lock::attempt(&self.lock_path()).map_err(|error| store::state_error(&self.home, &error.to_string()))?;
        // What is in the way is told again by whatever changes a file; reading goes on.
        if let Err(error) = apply::Turn::begin(self) {
            tracing::warn!(%error, "a change that was cut off could not be finished");
        }
        Ok(())
    }

    fn exists(&self) -> Result<(), WorkspaceError> {
        if self.root.is_dir() { Ok(()) } else { Err(WorkspaceError::Gone { root: self.root.clone() }) }
    }

    fn lock_path(&self) -> PathBuf {
        self.home.join("lock")
    }

    /// With the file whose name is most like it, since models often err in the folder only.
    fn not_found(&self, path: &RelPath) -> WorkspaceError {
        const LISTED: usize = 5000;
        const ALIKE: f64 = 0.8;
        let likeness = |file: &RelPath| {
            let name = strsim::jaro_winkler(file.file_name(), path.file_name());
            name + strsim::jaro_winkler(file.as_str(), path.as_str()) / 10.0
        };
        let files = self.files(LISTED).into_iter().map(|file| (likeness(&file), file));
        let best = files.max_by(|a, b| a.0.total_cmp(&b.0)).filter(|(score, _)| *score > ALIKE + 0.1);
        WorkspaceError::NotFound { path: path.to_string(), suggestion: best.map(|(_, file)| file) }
    }
}
