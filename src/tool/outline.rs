//! `outline`: the definitions of a file or a folder.

use serde::Deserialize;

use super::look::Look;
use super::{Context, Observation, Tool, ToolError, paths};
use crate::code::{definitions, estimate, outline_text};

#[derive(Debug, Clone, Deserialize)]
struct Arguments {
    path: Option<String>,
}

/// The tool.
pub(super) fn tool() -> impl Tool {
    Look::<Arguments> {
        manifest: super::embedded(include_str!("../../tools/outline.toml")),
        summary: |arguments| arguments.path.clone().unwrap_or_else(|| ".".into()),
        look: |arguments, cx| outline(arguments.path.as_deref().unwrap_or("."), cx),
    }
}

fn outline(path: &str, cx: &Context) -> Result<Observation, ToolError> {
    let path = paths::existing(path, cx)?;
    let text = if paths::is_folder(&path, cx) {
        let folder = if path.is_root() { "" } else { path.as_str() };
        let budget = estimate(&" ".repeat(cx.output_limit));
        cx.index.ask(&cx.workspace, |index| index.map(folder, budget, &estimate))
    } else {
        let file = cx.workspace.read(&path)?;
        shorten(&outline_text(&definitions(path.as_str(), &file.text)), cx.output_limit)
    };
    let text = text.trim_end();
    if text.is_empty() {
        return Ok(Observation::count(
            format!("No definition is known in `{path}`. Call read to see it."),
            0,
            "definitions",
        ));
    }
    Ok(Observation::count(text, text.lines().count(), "definitions"))
}

/// As many lines as fit.
fn shorten(text: &str, limit: usize) -> String {
    if text.len() <= limit {
        return text.to_owned();
    }
    // For the line that says so.
    let end = text[..text.floor_char_boundary(limit.saturating_sub(40))].rfind('\n').map_or(0, |at| at + 1);
    format!("{}[… {} more]", &text[..end], text[end..].lines().count())
}
