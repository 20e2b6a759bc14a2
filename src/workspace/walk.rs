//! The files of a workspace as ripgrep would list them, dotfiles included: `.github` and the like are part of a project.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc;

use ignore::{DirEntry, WalkBuilder, WalkState};

use super::disk::TEMPORARY;
use super::path::{self, Links};
use super::{RelPath, Workspace};

/// Everything below `root` that is not ignored, in a fixed order, symbolic links not followed.
pub(super) fn walk(root: &Path) -> impl Iterator<Item = DirEntry> + use<> {
    builder(root).sort_by_file_name(|a, b| a.cmp(b)).build().filter_map(Result::ok)
}

fn builder(root: &Path) -> WalkBuilder {
    let mut builder = WalkBuilder::new(root);
    builder
        .hidden(false)
        // A `.gitignore` means the same in a folder that is no repository yet.
        .require_git(false)
        .filter_entry(|entry| {
            !entry.file_name().to_str().is_some_and(|name| path::is_git(name) || name.starts_with(TEMPORARY))
        });
    builder
}

/// What a workspace consists of.
#[derive(Debug, Default)]
pub struct Listing {
    /// Files that are not ignored, sorted.
    pub files: Vec<RelPath>,
    /// The folders that were looked into, the workspace itself among them, in no order; none where there are too many files.
    pub folders: Vec<PathBuf>,
}

pub(super) fn list(workspace: &Workspace, limit: usize) -> Listing {
    let root = workspace.root();
    let overlay = workspace.disk.overlay();
    let Listing { mut files, folders } = on_disk(root, limit);
    if !overlay.is_empty() {
        files.retain(|path| !matches!(overlay.get(path), Some(None)));
        files.extend(overlay.iter().filter(|(_, node)| node.is_some()).map(|(path, _)| path.clone()));
    }
    files.sort_unstable();
    files.dedup();
    files.truncate(limit);
    Listing { files, folders }
}

/// Files and folders below `root`. Beyond `limit` files, those that come first in the order of a walk.
fn on_disk(root: &Path, limit: usize) -> Listing {
    let (sender, found) = mpsc::channel();
    let count = AtomicUsize::new(0);
    let threads = std::thread::available_parallelism().map_or(1, usize::from);
    builder(root).threads(threads).build_parallel().run(|| {
        let (sender, count) = (sender.clone(), &count);
        Box::new(move |entry| {
            let Some(item) = entry.ok().and_then(|entry| Item::of(root, &entry)) else { return WalkState::Continue };
            let file = matches!(item, Item::File(_));
            if file && count.fetch_add(1, Ordering::Relaxed) >= limit {
                return WalkState::Quit;
            }
            let _ = sender.send(item);
            WalkState::Continue
        })
    });
    drop(sender);
    let mut listing = Listing::default();
    if count.into_inner() > limit {
        // Always the same ones, which threads cannot promise.
        let items = walk(root).filter_map(|entry| Item::of(root, &entry));
        let files = items.filter_map(|item| if let Item::File(path) = item { Some(path) } else { None });
        listing.files = files.take(limit).collect();
        return listing;
    }
    for item in found {
        match item {
            Item::File(path) => listing.files.push(path),
            Item::Folder(path) => listing.folders.push(path),
        }
    }
    listing
}

/// What a walk comes by.
enum Item {
    File(RelPath),
    Folder(PathBuf),
}

impl Item {
    fn of(root: &Path, entry: &DirEntry) -> Option<Self> {
        match entry.file_type()?.is_dir() {
            true => Some(Self::Folder(entry.path().to_owned())),
            false if is_file(root, entry) => RelPath::below(root, entry.path()).map(Self::File),
            false => None,
        }
    }
}

fn is_file(root: &Path, entry: &DirEntry) -> bool {
    let Some(kind) = entry.file_type() else { return false };
    let links_to_file = || {
        let path = RelPath::below(root, entry.path());
        path.is_some_and(|path| path::locate(root, &path, Links::Follow).is_ok())
            && fs::metadata(entry.path()).is_ok_and(|meta| meta.is_file())
    };
    kind.is_file() || (kind.is_symlink() && links_to_file())
}
