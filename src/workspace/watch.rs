//! What changes in a workspace between two questions, so that not all of its files must be looked at for each.
//!
//! On Linux alone, through inotify, whose events come in the order of what they tell of: a mark that is left on the disk and
//! seen says that all before it was seen too. Elsewhere, and where files change without an event (drives of other machines),
//! there is no [`Watch`], and whoever wants to know walks the folder.

use std::collections::{BTreeSet, HashSet};
use std::fs;
use std::hash::{BuildHasher, Hasher, RandomState};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, SystemTime};

use notify::event::{CreateKind, EventKind, ModifyKind, RemoveKind};
use notify::{RecommendedWatcher, RecursiveMode, Watcher};

use super::RelPath;
use crate::filesystem::is_local;

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
    marks: Marks,
    rules: Mutex<Rules>,
}

/// Files that are left for a moment in a folder that is watched too.
#[derive(Debug, Clone)]
struct Marks {
    folder: PathBuf,
    /// What their names begin with, and those of no other process in the same folder.
    prefix: String,
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
    /// Begins to watch; no folder yet. Marks are left in the folder `marks`, which is made where it is not there. `None` where
    /// that is not possible.
    pub fn new(root: &Path, marks: &Path) -> Option<Self> {
        if !cfg!(target_os = "linux") || !is_local(root) {
            return None;
        }
        let marks = Marks::new(marks).ok().filter(|marks| !root.starts_with(&marks.folder))?;
        let seen = Arc::new(Seen::default());
        let (own, place) = (seen.clone(), marks.clone());
        let watcher = notify::recommended_watcher(move |event| own.take(event, &place));
        let mut watcher = watcher.inspect_err(|error| tracing::debug!(%error, "the workspace is not watched")).ok()?;
        watcher.watch(&marks.folder, RecursiveMode::NonRecursive).ok()?;
        seen.lock().anything = true;
        let rules = Mutex::new(Rules::around(root));
        Some(Self { root: root.to_owned(), watcher: Mutex::new(watcher), seen, marks, rules })
    }

    /// What has changed since the last question, all that this process knows to be on the disk included.
    pub fn changes(&self) -> Changes {
        let caught_up = self.catch_up();
        let same_rules = !self.rules.lock().unwrap_or_else(PoisonError::into_inner).have_changed();
        let mut state = self.seen.lock();
        state.anything |= !(caught_up && same_rules);
        let changed = std::mem::take(&mut state.changed);
        if std::mem::take(&mut state.anything) {
            return Changes::Anything;
        }
        Changes::Files(changed.iter().filter_map(|path| RelPath::below(&self.root, path)).collect())
    }

    /// Watches these folders and no others: those in which a walk that began after [`Self::changes`] found the files. What was
    /// not watched before may have changed in between, so that the next answer is [`Changes::Anything`] then. `false` where
    /// they cannot all be watched, or are not all there are.
    pub fn follow(&self, folders: &[PathBuf]) -> bool {
        if folders.len() > FOLDERS || !folders.contains(&self.root) {
            return false;
        }
        let wanted: HashSet<&Path> =
            folders.iter().map(PathBuf::as_path).filter(|at| *at != self.marks.folder).collect();
        let (new, old) = {
            let mut state = self.seen.lock();
            let old: Vec<PathBuf> = state.folders.iter().filter(|at| !wanted.contains(at.as_path())).cloned().collect();
            let new: Vec<&Path> = wanted.into_iter().filter(|folder| !state.folders.contains(*folder)).collect();
            old.iter().for_each(|folder| state.forget(folder));
            // Before they are watched, so that what is said of them from then on finds them here.
            state.folders.extend(new.iter().map(|folder| folder.to_path_buf()));
            state.anything |= !new.is_empty();
            (new, old)
        };
        let mut watcher = self.watcher.lock().unwrap_or_else(PoisonError::into_inner);
        for folder in old {
            // It is gone, most often.
            let _ = watcher.unwatch(&folder);
        }
        new.into_iter().all(|folder| self.watch(&mut watcher, folder))
    }

    /// Watches a folder; `false` where that fails though somebody could list it.
    fn watch(&self, watcher: &mut RecommendedWatcher, folder: &Path) -> bool {
        let watched = watcher.watch(folder, RecursiveMode::NonRecursive);
        let Err(error) = watched else { return is_local(folder) };
        // It is gone again, or closed to this user.
        self.seen.lock().forget(folder);
        tracing::debug!(%error, folder = %folder.display(), "a folder is not watched");
        fs::read_dir(folder).is_err()
    }

    /// Waits until all that happened before is seen.
    fn catch_up(&self) -> bool {
        let mut state = self.seen.lock();
        state.left += 1;
        let mark = state.left;
        drop(state);
        let path = self.marks.path(mark);
        let left = fs::write(&path, "");
        let state = self.seen.lock();
        let waited = self.seen.marked.wait_timeout_while(state, PATIENCE, |state| left.is_ok() && state.mark < mark);
        let reached = waited.unwrap_or_else(PoisonError::into_inner).0.mark >= mark;
        let _ = fs::remove_file(path);
        if left.is_ok() && !reached {
            // Their folder may have been removed with the cache, and made again.
            let mut watcher = self.watcher.lock().unwrap_or_else(PoisonError::into_inner);
            let _ = watcher.unwatch(&self.marks.folder);
            let _ = watcher.watch(&self.marks.folder, RecursiveMode::NonRecursive);
        }
        reached
    }
}

impl Marks {
    /// In a folder that is made where it is not there. Fails where no mark can be left in it.
    fn new(folder: &Path) -> io::Result<Self> {
        fs::create_dir_all(folder)?;
        let prefix = format!("mark-{:016x}-", RandomState::new().build_hasher().finish());
        let marks = Self { folder: folder.canonicalize()?, prefix };
        fs::write(marks.path(0), "")?;
        fs::remove_file(marks.path(0))?;
        Ok(marks)
    }

    fn path(&self, mark: u64) -> PathBuf {
        self.folder.join(format!("{}{mark}", self.prefix))
    }

    /// The mark that a file of their folder is.
    fn read(&self, name: &Path) -> Option<u64> {
        name.to_str()?.strip_prefix(&self.prefix)?.parse().ok()
    }
}

impl State {
    /// Folders below one that is gone are not watched any more either.
    fn forget(&mut self, folder: &Path) {
        self.folders.retain(|other| !other.starts_with(folder));
    }
}

/// Files outside of the workspace that say which of its files are ignored, as they were last seen.
#[derive(Debug)]
struct Rules(Vec<(PathBuf, Option<(SystemTime, u64)>)>);

impl Rules {
    fn around(root: &Path) -> Self {
        let above = root.ancestors().skip(1).flat_map(|folder| RULES.map(|name| folder.join(name)));
        let repository = git2::Repository::discover(root).ok();
        let own = repository.map(|repository| repository.commondir().join("info/exclude"));
        let files = above.chain(own).chain(ignore::gitignore::gitconfig_excludes_path());
        Self(files.map(|file| (file, None)).collect())
    }

    fn have_changed(&mut self) -> bool {
        let stamp = |file: &Path| fs::metadata(file).and_then(|meta| Ok((meta.modified()?, meta.len()))).ok();
        let changed = |(file, known): &mut (PathBuf, Option<_>)| {
            let now = stamp(file);
            std::mem::replace(known, now) != now
        };
        // All of them, so that each is known from now on.
        self.0.iter_mut().map(changed).fold(false, |any, changed| any | changed)
    }
}

impl Seen {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn take(&self, event: notify::Result<notify::Event>, marks: &Marks) {
        let mut state = self.lock();
        let event = event.ok().filter(|event| !event.need_rescan());
        let Some(event) = event else {
            // A folder may have gone and come back unseen, and is not watched any more then.
            state.anything = true;
            state.folders.clear();
            return;
        };
        if matches!(event.kind, EventKind::Access(_)) {
            return;
        }
        for path in event.paths {
            if let Ok(name) = path.strip_prefix(&marks.folder) {
                state.mark = state.mark.max(marks.read(name).unwrap_or_default());
                self.marked.notify_all();
                continue;
            }
            let gone = matches!(event.kind, EventKind::Remove(_) | EventKind::Modify(ModifyKind::Name(_)));
            let known = state.folders.contains(&path);
            if known && gone {
                state.forget(&path);
            }
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
