//! Changes as a unified diff in git's form.

use std::path::Path;

use git2::build::TreeUpdateBuilder;
use git2::{DiffFormat, DiffOptions, FileMode, Odb, Oid, Patch, Repository};

use super::file;
use super::node::{Change, Kind, Node};
use super::{RelPath, WorkspaceError};

/// A repository that lives in memory only.
pub(super) fn in_memory() -> Result<Repository, git2::Error> {
    let odb = Odb::new()?;
    odb.add_new_mempack_backend(1)?;
    Repository::from_odb(odb)
}

/// What `changes` do. Text in other encodings is shown as UTF-8.
pub(super) fn render(changes: &[Change]) -> Result<String, WorkspaceError> {
    if let Ok(text) = by_trees(changes) {
        return Ok(text);
    }
    // Git refuses some names that a disk takes, such as `git~1`.
    let each = changes.iter().map(|change| by_trees(std::slice::from_ref(change)).or_else(|_| by_content(change)));
    Ok(each.collect::<Result<String, _>>()?)
}

fn by_trees(changes: &[Change]) -> Result<String, git2::Error> {
    let repo = in_memory()?;
    let before = tree(&repo, changes.iter().map(|change| (&change.path, &change.before)))?;
    let after = tree(&repo, changes.iter().map(|change| (&change.path, &change.after)))?;
    let mut options = DiffOptions::new();
    // Given in so many words so that the user's own diff settings do not change what the model sees.
    options.context_lines(3).interhunk_lines(0).old_prefix("a").new_prefix("b");
    let diff =
        repo.diff_tree_to_tree(Some(&repo.find_tree(before)?), Some(&repo.find_tree(after)?), Some(&mut options))?;
    let mut text = Vec::new();
    diff.print(DiffFormat::Patch, |_, _, line| {
        if matches!(line.origin(), '+' | '-' | ' ') {
            text.push(line.origin() as u8);
        }
        text.extend_from_slice(line.content());
        true
    })?;
    Ok(into_text(text))
}

/// Without the lines that say that a file is new, deleted or executable.
fn by_content(change: &Change) -> Result<String, git2::Error> {
    let content = |node: &Option<Node>| node.as_ref().map(shown).unwrap_or_default();
    let path = Path::new(change.path.as_str());
    let (before, after) = (content(&change.before), content(&change.after));
    let mut patch = Patch::from_buffers(&before, Some(path), &after, Some(path), None)?;
    Ok(into_text(patch.to_buf()?.to_vec()))
}

fn into_text(bytes: Vec<u8>) -> String {
    String::from_utf8(bytes).unwrap_or_else(|error| String::from_utf8_lossy(error.as_bytes()).into_owned())
}

fn tree<'a>(
    repo: &Repository,
    nodes: impl Iterator<Item = (&'a RelPath, &'a Option<Node>)>,
) -> Result<Oid, git2::Error> {
    let empty = repo.find_tree(repo.treebuilder(None)?.write()?)?;
    let mut builder = TreeUpdateBuilder::new();
    for (path, node) in nodes {
        if let Some(node) = node {
            builder.upsert(path.as_str(), repo.blob(&shown(node))?, file_mode(node));
        }
    }
    builder.create_updated(repo, &empty)
}

pub(super) fn file_mode(node: &Node) -> FileMode {
    match node.kind {
        Kind::Link => FileMode::Link,
        Kind::File if node.mode & 0o111 != 0 => FileMode::BlobExecutable,
        Kind::File => FileMode::Blob,
    }
}

fn shown(node: &Node) -> Vec<u8> {
    match file::decode(&node.bytes) {
        Ok(decoded) if node.kind == Kind::File && !decoded.format.is_utf8() => decoded.raw.into_bytes(),
        _ => node.bytes.clone(),
    }
}
