//! What stands at a path, what a change makes of it, and how two changes of the same file come together.

use git2::{MergeFileInput, MergeFileOptions};
use serde::{Deserialize, Serialize};

use super::file::{self, Format};
use super::{RelPath, WorkspaceError};

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Kind {
    File,
    Link,
}

/// A file or symbolic link, to the byte.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Node {
    pub kind: Kind,
    /// Permission bits; 0 for a link, which has none of its own.
    pub mode: u32,
    /// A link's are its target.
    pub bytes: Vec<u8>,
}

/// A folder that a change makes or removes.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Dir {
    pub path: RelPath,
    pub mode: u32,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Change {
    pub path: RelPath,
    pub before: Option<Node>,
    pub after: Option<Node>,
}

impl Change {
    pub fn reverse(self) -> Self {
        Self { path: self.path, before: self.after, after: self.before }
    }
}

/// Changes that reach the disk together or not at all.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Transition {
    pub changes: Vec<Change>,
    pub made: Vec<Dir>,
    /// Removed where empty.
    pub removed: Vec<Dir>,
}

impl Transition {
    pub fn reverse(self) -> Self {
        Self {
            changes: self.changes.into_iter().map(Change::reverse).collect(),
            made: self.removed,
            removed: self.made,
        }
    }

    pub fn contains(&self, path: &RelPath) -> bool {
        self.changes.iter().any(|change| change.path == *path)
    }

    pub fn files(&self) -> Vec<RelPath> {
        self.changes.iter().map(|change| change.path.clone()).collect()
    }
}

/// Makes the change from `base` to `theirs` on `ours`. `None` is a conflict.
pub(super) fn merge(
    base: &Option<Node>,
    ours: &Option<Node>,
    theirs: &Option<Node>,
) -> Result<Option<Option<Node>>, WorkspaceError> {
    if let Some(picked) = pick(base, ours, theirs) {
        return Ok(Some(picked.clone()));
    }
    let (Some(base), Some(ours), Some(theirs)) = (base, ours, theirs) else { return Ok(None) };
    if [base, ours, theirs].iter().any(|node| node.kind != Kind::File) {
        return Ok(None);
    }
    let Some(mode) = pick(&base.mode, &ours.mode, &theirs.mode) else { return Ok(None) };
    let bytes = match pick(&base.bytes, &ours.bytes, &theirs.bytes) {
        Some(bytes) => Some(bytes.clone()),
        None => merge_bytes(&base.bytes, &ours.bytes, &theirs.bytes)?,
    };
    Ok(bytes.map(|bytes| Some(Node { kind: Kind::File, mode: *mode, bytes })))
}

/// The side that alone has changed.
fn pick<'a, T: PartialEq>(base: &T, ours: &'a T, theirs: &'a T) -> Option<&'a T> {
    match () {
        () if ours == base || ours == theirs => Some(theirs),
        () if theirs == base => Some(ours),
        () => None,
    }
}

fn merge_bytes(base: &[u8], ours: &[u8], theirs: &[u8]) -> Result<Option<Vec<u8>>, WorkspaceError> {
    let (Ok(old), Ok(mine), Ok(new)) = (file::decode(base), file::decode(ours), file::decode(theirs)) else {
        return Ok(None);
    };
    let format = mine.format;
    if old.format.name() == format.name() && new.format.name() == format.name() && !format.is_utf8() {
        let merged = merge_lines(old.raw.as_bytes(), mine.raw.as_bytes(), new.raw.as_bytes())?;
        return Ok(merged.and_then(|bytes| encode(format, bytes)));
    }
    merge_lines(base, ours, theirs)
}

fn encode(format: Format, bytes: Vec<u8>) -> Option<Vec<u8>> {
    format.encode(&String::from_utf8(bytes).ok()?).ok()
}

fn merge_lines(base: &[u8], ours: &[u8], theirs: &[u8]) -> Result<Option<Vec<u8>>, WorkspaceError> {
    let [mut old, mut mine, mut new] = [MergeFileInput::new(), MergeFileInput::new(), MergeFileInput::new()];
    old.content(base);
    mine.content(ours);
    new.content(theirs);
    let merged = git2::merge_file(&old, &mine, &new, Some(&mut MergeFileOptions::new()))?;
    Ok(merged.is_automergeable().then(|| merged.content().to_vec()))
}
