//! The one way in which files change: the record says what is about to happen, the files change, the record says that it
//! has happened. A process that is killed in between is cleaned up after by the next one.

use std::sync::{MutexGuard, PoisonError};

use git2::Oid;

use super::disk::Failure;
use super::lock::Lock;
use super::node::{Change, Dir, Node, Transition, merge};
use super::store::{self, Log, Pending, Store};
use super::{Applied, CheckpointId, Patch, RelPath, Workspace, WorkspaceError, diff};

/// How often a change is made anew because files changed between reading and writing them.
pub(super) const ATTEMPTS: usize = 5;

/// The right to change files, with the record as it is.
pub(super) struct Turn<'a> {
    workspace: &'a Workspace,
    pub store: MutexGuard<'a, Store>,
    pub log: Log,
    base: Oid,
    // After the store: another thread must not wait for the file while this one holds it and waits for the store.
    _lock: Option<Lock>,
}

pub(super) fn apply(workspace: &Workspace, patch: Patch, label: &str) -> Result<Applied, WorkspaceError> {
    let mut turn = Turn::begin(workspace)?;
    for _ in 0..ATTEMPTS {
        let (changes, merged) = rebase(workspace, &patch.changes)?;
        if changes.is_empty() {
            let path = patch.changes.first().map_or_else(RelPath::root, |change| change.path.clone());
            return Err(WorkspaceError::Unchanged { path });
        }
        let made = missing_folders(workspace, &changes);
        let transition = Transition { changes, made, removed: Vec::new() };
        let applied = Applied {
            checkpoint: CheckpointId(turn.log.next_id()),
            diff: diff::render(&transition.changes)?,
            files: transition.files(),
            merged,
            note: None,
        };
        let record = turn.store.save_record(&transition, now(), label)?;
        let mut log = turn.log.clone();
        log.push(record);
        if turn.commit(&transition, record, &log)? {
            return Ok(applied);
        }
    }
    Err(WorkspaceError::Restless)
}

/// Makes planned changes fit what stands on disk now. True where something had to be merged.
fn rebase(workspace: &Workspace, planned: &[Change]) -> Result<(Vec<Change>, bool), WorkspaceError> {
    let mut changes = Vec::new();
    let mut merged = false;
    for change in planned {
        let ours = workspace.disk.node(&change.path)?;
        let after = merge(&change.before, &ours, &change.after)?
            .ok_or_else(|| WorkspaceError::Conflict { path: change.path.clone() })?;
        merged |= ours != change.before;
        if ours != after {
            changes.push(Change { path: change.path.clone(), before: ours, after });
        }
    }
    Ok((changes, merged))
}

/// Folders that the changes need and that are not there.
pub(super) fn missing_folders(workspace: &Workspace, changes: &[Change]) -> Vec<Dir> {
    let created = changes.iter().filter(|change| change.after.is_some());
    let mut folders: Vec<_> = created.flat_map(|change| workspace.disk.missing_folders(&change.path)).collect();
    folders.sort();
    folders.dedup();
    folders.into_iter().map(|path| Dir { path, mode: workspace.disk.dir_mode() }).collect()
}

/// Seconds since the epoch.
pub(super) fn now() -> i64 {
    jiff::Timestamp::now().as_second()
}

impl<'a> Turn<'a> {
    pub fn begin(workspace: &'a Workspace) -> Result<Self, WorkspaceError> {
        workspace.exists()?;
        let store = workspace.store.lock().unwrap_or_else(PoisonError::into_inner);
        let lock = match workspace.disk.is_dry() {
            true => None,
            false => Some(Lock::wait(&workspace.lock_path())?),
        };
        let mut turn = Self { workspace, store, log: Log::default(), base: Oid::ZERO_SHA1, _lock: lock };
        turn.recover()?;
        turn.base = turn.store.head()?;
        turn.log = turn.store.log(turn.base)?;
        Ok(turn)
    }

    /// Makes the transition happen and `log` the record. False where a file is not what the transition starts from, and
    /// nothing was changed.
    pub fn commit(&mut self, transition: &Transition, record: Oid, log: &Log) -> Result<bool, WorkspaceError> {
        let next = self.store.save(log)?;
        let pending = self.store.save_pending(self.base, record, next)?;
        self.store.set_head(pending)?;
        match self.workspace.disk.execute(transition, &store::token(record)) {
            Ok(()) => {}
            Err(Failure::Stale) => {
                self.store.set_head(self.base)?;
                return Ok(false);
            }
            Err(Failure::Undone(error)) => {
                self.store.set_head(self.base)?;
                return Err(error);
            }
            // The record goes on saying what is unfinished, so that the next process tries again.
            Err(Failure::Torn(error)) => return Err(self.torn(error)),
        }
        if let Err(error) = self.store.set_head(next) {
            self.recover()?;
            return Err(error);
        }
        self.base = next;
        self.log = log.clone();
        Ok(true)
    }

    /// Makes `log` the record of something that has already happened.
    pub fn note(&mut self, log: Log) -> Result<(), WorkspaceError> {
        let next = self.store.save(&log)?;
        self.store.set_head(next)?;
        self.base = next;
        self.log = log;
        Ok(())
    }

    /// Finishes what a process left behind that was killed while it wrote files: takes it back, unless all of it is there.
    fn recover(&mut self) -> Result<(), WorkspaceError> {
        let head = self.store.head()?;
        let Some(Pending { transition, token, next, base }) = self.store.pending(head)? else { return Ok(()) };
        let disk = &self.workspace.disk;
        disk.sweep(&transition, &token);
        let mut found = Vec::new();
        for change in &transition.changes {
            found.push(disk.node_or_nothing(&change.path, |path| transition.contains(path)));
        }
        let is_after = |(change, found): (&Change, &Found)| found.as_ref().is_ok_and(|found| change.after == *found);
        let complete = transition.changes.iter().zip(&found).all(is_after);
        if complete {
            return self.store.set_head(next);
        }
        let back = take_back(transition, found)?;
        match disk.execute(&back, &token) {
            Ok(()) => self.store.set_head(base),
            Err(Failure::Stale) => Err(WorkspaceError::Restless),
            Err(Failure::Undone(error) | Failure::Torn(error)) => Err(self.torn(error)),
        }
    }

    fn torn(&self, source: WorkspaceError) -> WorkspaceError {
        WorkspaceError::Torn { root: self.workspace.root().to_owned(), source: Box::new(source) }
    }
}

type Found = Result<Option<Node>, WorkspaceError>;

/// The way back from `found`, which is between the two ends of `transition`.
fn take_back(transition: Transition, found: Vec<Found>) -> Result<Transition, WorkspaceError> {
    let Transition { changes, made, removed } = transition.reverse();
    let mut back = Transition { changes: Vec::new(), made, removed };
    for (Change { path, before, after }, found) in changes.into_iter().zip(found) {
        let merged = found.and_then(|found| Ok(merge(&before, &found, &after)?.map(|after| (found, after))));
        match merged {
            Ok(Some((found, after))) if after != found => back.changes.push(Change { path, before: found, after }),
            Ok(Some(_)) => {}
            // The user was here since; what stands there now is worth more than a tidy return.
            Ok(None) | Err(_) => tracing::warn!(%path, "changed after a change was cut off; left as it is"),
        }
    }
    Ok(back)
}
