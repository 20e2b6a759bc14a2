//! What changes in a workspace between two questions, so that not all of its files must be looked at for each.
//!
//! On Linux alone, through inotify, whose events come in the order of what they tell of: a mark that is left on the disk and
//! seen says that all before it was seen too. Elsewhere, and where files change without an event (drives of other machines),
//! there is no [`Watch`], and whoever wants to know walks the folder.

use std::collections::{BTreeSet, HashSet};
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use notify::event::{CreateKind, EventKind, ModifyKind, RemoveKind};
use notify::{RecommendedWatcher, RecursiveMode, Watcher};
use tempfile::TempDir;

use super::RelPath;

/// Folders that are watched at most; the kernel keeps about a kilobyte for each.
const FOLDERS: usize = 20_000;
/// More changed files than these are no less work than all.
const FILES: usize = 4096;
/// How long a mark takes that does not come any more.
const PATIENCE: Duration = Duration::from_millis(200);
/// Files with these names change which others belong to the workspace.
const RULES: [&str; 2] = [".gitignore", ".ignore"];

/// What has changed since it was last asked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Changes {
    /// Nothing but these: files that are new, changed or gone, and maybe some that are ignored.
    Files(Vec<RelPath>),
    /// Folders came or went, or something was missed: anything may have changed.
    Anything,
}

/// Watches the folders of a workspace.
#[derive(Debug)]
pub struct Watch {
    root: PathBuf,
    watcher: Mutex<RecommendedWatcher>,
    seen: Arc<Seen>,
    /// Where marks are left; watched too.
    marks: TempDir,
}

#[derive(Debug, Default)]
struct Seen {
    state: Mutex<State>,
    /// The mark has moved on.
    marked: Condvar,
}

#[derive(Debug, Default)]
struct State {
    changed: BTreeSet<PathBuf>,
    anything: bool,
    folders: HashSet<PathBuf>,
    /// The latest mark that was left, and the latest that was seen.
    left: u64,
    mark: u64,
}

impl Watch {
    /// Begins to watch; no folder yet. `None` where that is not possible.
    pub fn new(root: &Path) -> Option<Self> {
        if !cfg!(target_os = "linux") || is_remote(root) {
            return None;
        }
        let marks = tempfile::tempdir().ok()?;
        let seen = Arc::new(Seen::default());
        let (own, place) = (seen.clone(), marks.path().to_owned());
        let watcher = notify::recommended_watcher(move |event| own.take(event, &place));
        let mut watcher = watcher.inspect_err(|error| tracing::debug!(%error, "the workspace is not watched")).ok()?;
        watcher.watch(marks.path(), RecursiveMode::NonRecursive).ok()?;
        seen.lock().anything = true;
        Some(Self { root: root.to_owned(), watcher: Mutex::new(watcher), seen, marks })
    }

    /// What has changed since the last question, all that this process knows to be on the disk included.
    pub fn changes(&self) -> Changes {
        if !self.catch_up() {
            return Changes::Anything;
        }
        let mut state = self.seen.lock();
        let changed = std::mem::take(&mut state.changed);
        if std::mem::take(&mut state.anything) {
            return Changes::Anything;
        }
        Changes::Files(changed.iter().filter_map(|path| RelPath::below(&self.root, path)).collect())
    }

    /// Watches these folders and no others: those in which a walk that began after [`Self::changes`] found the files. What was
    /// not watched before may have changed in between, so that the next answer is [`Changes::Anything`] then. `false` where
    /// they cannot all be watched.
    pub fn follow(&self, folders: &[PathBuf]) -> bool {
        if folders.len() > FOLDERS {
            return false;
        }
        let wanted: HashSet<&PathBuf> = folders.iter().collect();
        let (new, old) = {
            let mut state = self.seen.lock();
            let old: Vec<PathBuf> = state.folders.iter().filter(|folder| !wanted.contains(folder)).cloned().collect();
            let new: Vec<&PathBuf> = folders.iter().filter(|folder| !state.folders.contains(*folder)).collect();
            state.folders.retain(|folder| wanted.contains(folder));
            state.folders.extend(new.iter().copied().cloned());
            state.anything |= !new.is_empty();
            (new, old)
        };
        let mut watcher = self.watcher.lock().unwrap_or_else(PoisonError::into_inner);
        for folder in old {
            // It is gone, most often.
            let _ = watcher.unwatch(&folder);
        }
        let watched = new.into_iter().try_for_each(|folder| match watcher.watch(folder, RecursiveMode::NonRecursive) {
            Err(error) if folder.is_dir() => Err(error),
            _ => Ok(()),
        });
        watched.inspect_err(|error| tracing::debug!(%error, "the workspace is not watched any more")).is_ok()
    }

    /// Waits until all that happened before is seen.
    fn catch_up(&self) -> bool {
        let mut state = self.seen.lock();
        state.left += 1;
        let mark = state.left;
        drop(state);
        let path = self.marks.path().join(mark.to_string());
        let left = fs::write(&path, "");
        let state = self.seen.lock();
        let waited = self.seen.marked.wait_timeout_while(state, PATIENCE, |state| left.is_ok() && state.mark < mark);
        let reached = waited.unwrap_or_else(PoisonError::into_inner).0.mark >= mark;
        let _ = fs::remove_file(path);
        reached
    }
}

impl Seen {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Takes an event; `marks` is the folder of marks.
    fn take(&self, event: notify::Result<notify::Event>, marks: &Path) {
        let mut state = self.lock();
        let Ok(event) = event else {
            state.anything = true;
            return;
        };
        state.anything |= event.need_rescan();
        if matches!(event.kind, EventKind::Access(_)) {
            return;
        }
        for path in event.paths {
            if let Ok(name) = path.strip_prefix(marks) {
                let mark = name.to_str().and_then(|name| name.parse().ok());
                state.mark = state.mark.max(mark.unwrap_or_default());
                self.marked.notify_all();
                continue;
            }
            let gone = matches!(event.kind, EventKind::Remove(_) | EventKind::Modify(ModifyKind::Name(_)));
            let known = if gone { state.folders.remove(&path) } else { state.folders.contains(&path) };
            let folder = match event.kind {
                EventKind::Create(CreateKind::Folder) | EventKind::Remove(RemoveKind::Folder) => true,
                EventKind::Modify(ModifyKind::Name(_)) => known || path.is_dir(),
                _ => known && gone,
            };
            let rule = path.file_name().is_some_and(|name| RULES.iter().any(|rule| name == *rule));
            state.anything |= folder || rule || state.changed.len() >= FILES;
            if !state.anything {
                state.changed.insert(path);
            }
        }
    }
}

/// Whether the files of a folder may change on another machine, of which this one hears nothing.
#[cfg(target_os = "linux")]
fn is_remote(folder: &Path) -> bool {
    // NFS, SMB, CIFS, FUSE (virtiofs too), 9P, Ceph and AFS, as statfs(2) lists them.
    const REMOTE: [u32; 7] = [0x6969, 0xfe53_4d42, 0xff53_4d42, 0x6573_5546, 0x0102_1997, 0x00c3_6400, 0x5346_414f];
    let kind = rustix::fs::statfs(folder).map(|stat| stat.f_type as u32);
    kind.is_ok_and(|kind| REMOTE.contains(&kind))
}

#[cfg(not(target_os = "linux"))]
fn is_remote(_folder: &Path) -> bool {
    true
}
