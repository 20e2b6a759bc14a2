//! Paths as models write them.

use super::{Context, ToolError};
use crate::workspace::RelPath;

/// The path that `path` means. An empty one and `/` mean the workspace itself.
pub(super) fn resolve(path: &str, cx: &Context) -> Result<RelPath, ToolError> {
    let path = path.trim();
    Ok(cx.workspace.resolve(if matches!(path, "" | "/") { "." } else { path })?)
}

/// Files that are looked through for a name.
const LISTED: usize = 5000;

/// The path of something that is there. Models often err in the folder only: where the workspace has no such path, and one
/// single file of that name elsewhere, that one is meant.
pub(super) fn existing(path: &str, cx: &Context) -> Result<RelPath, ToolError> {
    let asked = resolve(path, cx)?;
    if cx.workspace.root().join(asked.as_str()).exists() {
        return Ok(asked);
    }
    let mut same = cx.workspace.files(LISTED).into_iter().filter(|file| file.file_name() == asked.file_name());
    Ok(match (same.next(), same.next()) {
        (Some(only), None) => {
            tracing::info!(%asked, %only, "a path with a wrong folder");
            only
        }
        _ => asked,
    })
}

/// Whether there is a folder on disk.
pub(super) fn is_folder(path: &RelPath, cx: &Context) -> bool {
    cx.workspace.root().join(path.as_str()).is_dir()
}
