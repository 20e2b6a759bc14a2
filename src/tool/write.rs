//! `write`: the whole content of a file.

use serde::Deserialize;

use super::change::{Change, Meant};
use super::{Context, Tool, paths};
use crate::workspace::Edit;

#[derive(Debug, Clone, Deserialize)]
struct Arguments {
    path: String,
    content: String,
}

/// The tool.
pub(super) fn tool() -> impl Tool {
    Change::<Arguments> { manifest: super::embedded(include_str!("../../tools/write.toml")), done: "Wrote", mean }
}

fn mean(arguments: Arguments, cx: &Context) -> Meant {
    let Arguments { path, content } = arguments;
    let path = paths::resolve(&path, cx)?;
    Ok((path.clone(), Edit::Write { path, content }))
}
