//! Paths as models write them.

use super::{Context, ToolError};
use crate::workspace::RelPath;

/// The path that `path` means. An empty one and `/` mean the workspace itself.
pub(super) fn resolve(path: &str, cx: &Context) -> Result<RelPath, ToolError> {
    let path = path.trim();
    Ok(cx.workspace.resolve(if matches!(path, "" | "/") { "." } else { path })?)
}

/// Whether there is a folder on disk.
pub(super) fn is_folder(path: &RelPath, cx: &Context) -> bool {
    cx.workspace.root().join(path.as_str()).is_dir()
}
