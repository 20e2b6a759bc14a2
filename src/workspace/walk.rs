//! The files of a workspace as ripgrep would list them, dotfiles included: `.github` and the like are part of a project.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

use ignore::{DirEntry, WalkBuilder};

use super::disk::TEMPORARY;
use super::path::{self, Links};
use super::{RelPath, Workspace};

/// Everything below `root` that is not ignored, in a fixed order, symbolic links not followed.
pub(super) fn walk(root: &Path) -> impl Iterator<Item = DirEntry> + use<> {
    let mut builder = WalkBuilder::new(root);
    builder
        .hidden(false)
        // A `.gitignore` means the same in a folder that is no repository yet.
        .require_git(false)
        .sort_by_file_name(|a, b| a.cmp(b))
        .filter_entry(|entry| {
            !entry.file_name().to_str().is_some_and(|name| path::is_git(name) || name.starts_with(TEMPORARY))
        });
    builder.build().filter_map(Result::ok)
}

pub(super) fn files(workspace: &Workspace, limit: usize) -> Vec<RelPath> {
    let root = workspace.root();
    let overlay = workspace.disk.overlay();
    let found = walk(root).filter(|entry| is_file(root, entry));
    let found = found.filter_map(|entry| RelPath::below(root, entry.path()));
    let found = found.filter(|path| !matches!(overlay.get(path), Some(None)));
    let mut files: BTreeSet<_> = found.take(limit).collect();
    files.extend(overlay.iter().filter(|(_, node)| node.is_some()).map(|(path, _)| path.clone()));
    files.into_iter().take(limit).collect()
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
