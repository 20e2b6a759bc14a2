//! The workspace's index, made when it is first asked for and brought up to date before every answer.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};

use crate::code::Index;
use crate::workspace::{Changes, RelPath, Watch, Workspace, folder_key};

/// Files that are indexed; a larger tree is known as far as they go.
const INDEXED: usize = 200_000;

/// An index that is shared by the tools of a session.
#[derive(Default)]
pub struct CodeIndex {
    /// Where it is kept between sessions; `None` keeps it in memory.
    store: Option<PathBuf>,
    kept: Mutex<Option<Kept>>,
}

/// An index and what tells it of changes.
struct Kept {
    index: Index,
    /// `None` where changes cannot be followed.
    watch: Option<Watch>,
    /// Files that changed and that a walk passed over.
    ignored: BTreeSet<RelPath>,
}

impl CodeIndex {
    /// An index that is kept in the file `store`.
    pub fn new(store: PathBuf) -> Self {
        Self { store: Some(store), kept: Mutex::new(None) }
    }

    /// Asks the index of `workspace`, as its files are now. Waits for the disk.
    pub fn ask<T>(&self, workspace: &Workspace, question: impl FnOnce(&Index) -> T) -> T {
        let mut kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        let kept = kept.get_or_insert_with(|| Kept::open(workspace, self.store.clone()));
        kept.refresh(workspace);
        question(&kept.index)
    }
}

impl Kept {
    fn open(workspace: &Workspace, store: Option<PathBuf>) -> Self {
        // What a dry run changes leaves no trace on the disk.
        let marks = store.as_deref().and_then(Path::parent).filter(|_| !workspace.is_dry_run());
        let watch = marks.and_then(|marks| Watch::new(workspace.root(), marks));
        Self { index: Index::open(workspace.root(), store), watch, ignored: BTreeSet::new() }
    }

    fn refresh(&mut self, workspace: &Workspace) {
        let Some(watch) = &self.watch else { return refresh(&mut self.index, workspace) };
        let Changes::Files(paths) = watch.changes() else {
            self.ignored.clear();
            return self.walk(workspace);
        };
        let is_file = |path: &RelPath| {
            let meta = workspace.root().join(path.as_str()).symlink_metadata();
            meta.is_ok_and(|meta| meta.is_file())
        };
        let (known, others): (Vec<_>, Vec<_>) = paths.into_iter().partition(|path| self.index.knows(path.as_str()));
        let (here, gone): (Vec<_>, Vec<_>) = others.into_iter().partition(is_file);
        // What comes back under the same name may be something else.
        self.ignored.retain(|path| !gone.contains(path));
        if here.iter().all(|path| self.ignored.contains(path)) {
            self.index.look_at(&known);
        } else {
            // A new one may be ignored, which only a walk can tell.
            self.walk(workspace);
            self.ignored.extend(here);
            let index = &self.index;
            self.ignored.retain(|path| !index.knows(path.as_str()));
        }
    }

    /// Looks at all files, and watches where they stand.
    fn walk(&mut self, workspace: &Workspace) {
        let listing = workspace.list(INDEXED);
        self.index.refresh(&listing.files);
        self.watch.take_if(|watch| !watch.follow(&listing.folders));
    }
}

impl std::fmt::Debug for CodeIndex {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("CodeIndex").field("store", &self.store).finish_non_exhaustive()
    }
}

/// Brings an index up to date with the files of its workspace, those of a dry run included.
pub fn refresh(index: &mut Index, workspace: &Workspace) {
    index.refresh(&workspace.files(INDEXED));
    for path in workspace.unwritten() {
        if let Ok(file) = workspace.read(&path) {
            index.update(path.as_str(), &file.text);
        }
    }
}

/// Where the index of a workspace is kept in the cache folder.
pub fn index_file(cache: &Path, workspace: &Workspace) -> PathBuf {
    cache.join("index").join(format!("{}.index", folder_key(workspace.root())))
}
