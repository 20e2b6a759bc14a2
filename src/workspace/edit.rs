//! An [`Edit`] becomes a [`Patch`]: what the files would hold afterwards, made against what they hold now.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::file::{self, Decoded, Format, NoText, Offsets};
use super::find::{self, Splice};
use super::node::{Change, Kind, Node};
use super::path::{self, Links};
use super::{RelPath, TextFile, Workspace, WorkspaceError, diff};

/// A change, as a tool or a user words it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum Edit {
    /// `old` must stand exactly once in the file (or `all` be set). White space at the ends of lines and the indentation of
    /// the whole block may differ where that is unambiguous.
    Replace {
        path: RelPath,
        old: String,
        new: String,
        all: bool,
    },
    /// The whole content; creates the file and its folders where absent. An existing file keeps its encoding, its line ends
    /// and whether it ends with a line break.
    Write {
        path: RelPath,
        content: String,
    },
    Delete {
        path: RelPath,
    },
}

impl Edit {
    pub fn path(&self) -> &RelPath {
        match self {
            Self::Replace { path, .. } | Self::Write { path, .. } | Self::Delete { path } => path,
        }
    }
}

/// A planned change: knows what it was made against, can be shown, and is consumed by [`Workspace::apply`].
#[derive(Debug)]
pub struct Patch {
    /// Unified diff in git's form.
    pub diff: String,
    pub(super) changes: Vec<Change>,
}

impl Patch {
    /// Files that it changes, symbolic links resolved.
    pub fn files(&self) -> Vec<RelPath> {
        self.changes.iter().map(|change| change.path.clone()).collect()
    }
}

pub(super) fn plan(workspace: &Workspace, edits: &[Edit]) -> Result<Patch, WorkspaceError> {
    let mut changes: BTreeMap<RelPath, Change> = BTreeMap::new();
    for edit in edits {
        let links = if matches!(edit, Edit::Delete { .. }) { Links::Keep } else { Links::Follow };
        let path = path::locate(workspace.root(), edit.path(), links)?;
        let now = match changes.get(&path) {
            Some(change) => change.after.clone(),
            None => workspace.disk.node(&path)?,
        };
        let after = edit.make(workspace, &path, now.as_ref())?;
        changes.entry(path.clone()).or_insert(Change { path, before: now, after: None }).after = after;
    }
    let changes: Vec<_> = changes.into_values().filter(|change| change.before != change.after).collect();
    if let (true, Some(edit)) = (changes.is_empty(), edits.first()) {
        return Err(WorkspaceError::Unchanged { path: edit.path().clone() });
    }
    Ok(Patch { diff: diff::render(&changes)?, changes })
}

/// Reads a node as text.
pub(super) fn read(path: &RelPath, node: &Node) -> Result<TextFile, WorkspaceError> {
    Ok(TextFile { text: file::normalise(&decode(path, node)?.raw) })
}

fn decode(path: &RelPath, node: &Node) -> Result<Decoded, WorkspaceError> {
    file::decode(&node.bytes).map_err(|reason| match reason {
        NoText::Binary => WorkspaceError::Binary { path: path.clone() },
        NoText::Broken => WorkspaceError::BrokenText { path: path.clone() },
    })
}

impl Edit {
    /// What stands at `path` afterwards.
    fn make(&self, workspace: &Workspace, path: &RelPath, now: Option<&Node>) -> Result<Option<Node>, WorkspaceError> {
        let missing = || workspace.not_found(path);
        match self {
            Self::Delete { .. } => now.map(|_| None).ok_or_else(missing),
            Self::Replace { old, new, all, .. } => {
                let node = now.ok_or_else(missing)?;
                let (old, new) = (file::normalise(old), file::normalise(new));
                rewrite(path, node, |text| splices(path, text, &old, &new, *all)).map(Some)
            }
            Self::Write { content, .. } => match now {
                Some(node) => rewrite(path, node, |text| Ok(vec![whole(text, content)])).map(Some),
                None if path.is_root() => Err(WorkspaceError::IsFolder { path: path.clone() }),
                None => Ok(Some(Node {
                    kind: Kind::File,
                    mode: workspace.disk.file_mode(),
                    bytes: content.clone().into_bytes(),
                })),
            },
        }
    }
}

/// The file with pieces of its text replaced, everything else to the byte as it was.
fn rewrite(
    path: &RelPath,
    node: &Node,
    splices: impl FnOnce(&str) -> Result<Vec<Splice>, WorkspaceError>,
) -> Result<Node, WorkspaceError> {
    if node.kind == Kind::File && node.mode & 0o222 == 0 {
        return Err(WorkspaceError::ReadOnlyFile { path: path.clone() });
    }
    let Decoded { raw, format } = decode(path, node)?;
    let text = file::normalise(&raw);
    let raw = splice(&raw, format, &splices(&text)?);
    let bytes = format.encode(&raw).map_err(|character| WorkspaceError::Unencodable {
        path: path.clone(),
        encoding: format.name(),
        character,
    })?;
    if bytes == node.bytes {
        return Err(WorkspaceError::Unchanged { path: path.clone() });
    }
    Ok(Node { bytes, ..node.clone() })
}

fn splice(raw: &str, format: Format, splices: &[Splice]) -> String {
    let offsets = Offsets::new(raw);
    let mut result = String::with_capacity(raw.len());
    let mut end = 0;
    for Splice { range, new } in splices {
        result.push_str(&raw[end..offsets.raw(range.start)]);
        result.push_str(&format.line_ends(new));
        end = offsets.raw(range.end);
    }
    result.push_str(&raw[end..]);
    result
}

/// Where `old` is replaced by `new`.
fn splices(path: &RelPath, text: &str, old: &str, new: &str, all: bool) -> Result<Vec<Splice>, WorkspaceError> {
    if old == new {
        return Err(WorkspaceError::SameText { path: path.clone() });
    }
    if old.is_empty() {
        let whole = Splice { range: 0..0, new: new.to_owned() };
        return if text.is_empty() { Ok(vec![whole]) } else { Err(WorkspaceError::EmptyOld) };
    }
    let found = if all { find::find_all(text, old, new) } else { find::find(text, old, new) };
    match found.len() {
        0 => Err(WorkspaceError::TextNotFound { path: path.clone(), lines: find::closest(text, old) }),
        1 => Ok(found),
        _ if all => Ok(found),
        _ => Err(WorkspaceError::Ambiguous {
            path: path.clone(),
            lines: found.iter().map(|splice| find::line_of(text, splice.range.start)).collect(),
        }),
    }
}

/// The whole text replaced, with its habit about the final line break kept.
fn whole(text: &str, content: &str) -> Splice {
    let mut new = file::normalise(content);
    match (text.ends_with('\n'), new.ends_with('\n')) {
        (true, false) if !new.is_empty() => new.push('\n'),
        (false, true) if !text.is_empty() => {
            new.pop();
        }
        _ => {}
    }
    find::narrow(Splice { range: 0..text.len(), new }, text)
}
