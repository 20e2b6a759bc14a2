//! `references`: the lines that use a name.

use serde::Deserialize;

use super::look::Look;
use super::{Context, Observation, Tool, ToolError};
use crate::code::Reference;

/// Bytes of a line that are shown.
const LONGEST_LINE: usize = 160;

#[derive(Debug, Clone, Deserialize)]
struct Arguments {
    name: String,
}

/// The tool.
pub(super) fn tool() -> impl Tool {
    Look::<Arguments> {
        manifest: super::embedded(include_str!("../../tools/references.toml")),
        summary: |arguments| arguments.name.clone(),
        look: references,
    }
}

fn references(arguments: &Arguments, cx: &Context) -> Result<Observation, ToolError> {
    let name = arguments.name.trim().trim_end_matches("()");
    let found = cx.index.ask(&cx.workspace, |index| index.references(name));
    if found.is_empty() {
        return Ok(Observation::count(format!("Nothing uses `{name}`. Call search for other texts."), 0, "references"));
    }
    Ok(Observation::count(listed(&found, cx, cx.output_limit), found.len(), "references"))
}

/// The lines, grouped by file, as far as they fit into `limit` bytes.
pub(super) fn listed(references: &[Reference], cx: &Context, limit: usize) -> String {
    // For the last line.
    let room = limit.saturating_sub(60);
    let mut text = String::new();
    let mut file: Option<(&str, String)> = None;
    for (shown, reference) in references.iter().enumerate() {
        let mut head = String::new();
        if file.as_ref().is_none_or(|(name, _)| *name != reference.file) {
            head = format!("{}\n", reference.file);
            file = Some((&reference.file, content(&reference.file, cx)));
        }
        let line =
            file.as_ref().and_then(|(_, text)| text.lines().nth(reference.line as usize - 1)).unwrap_or_default();
        let within = reference.within.as_ref().map(|within| format!("  (in {within})")).unwrap_or_default();
        let line = format!("{}|{}{within}\n", reference.line, &line[..line.floor_char_boundary(LONGEST_LINE)]);
        if shown > 0 && text.len() + head.len() + line.len() > room {
            text.push_str(&format!("[… {} more of {}]", references.len() - shown, references.len()));
            return text;
        }
        text.push_str(&head);
        text.push_str(&line);
    }
    text.pop();
    text
}

fn content(file: &str, cx: &Context) -> String {
    let read = cx.workspace.resolve(file).and_then(|path| cx.workspace.read(&path));
    read.map(|file| file.text).unwrap_or_default()
}
