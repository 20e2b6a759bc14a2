//! `outline`: the definitions of a file or a folder.

use futures_util::future::BoxFuture;
use serde::Deserialize;

use super::{Args, Context, Manifest, Observation, Plan, Tool, ToolError, args, blocking, paths};
use crate::code::{definitions, estimate, outline_text};
use crate::permission::{Class, Permission};
use crate::workspace::Patch;

/// The tool.
pub(super) struct Outline(Manifest);

#[derive(Debug, Clone, Deserialize)]
struct Arguments {
    path: Option<String>,
}

impl Outline {
    pub fn new() -> Self {
        Self(super::embedded(include_str!("../../tools/outline.toml")))
    }
}

impl Tool for Outline {
    fn spec(&self) -> &Manifest {
        &self.0
    }

    fn plan(&self, args: &Args, _cx: &Context) -> Result<Plan, ToolError> {
        let Arguments { path } = args::parse(&self.0, args)?;
        Ok(Permission { class: Class::Read, summary: path.unwrap_or_else(|| ".".into()), diff: None }.into())
    }

    fn run<'a>(
        &'a self,
        args: &'a Args,
        _patch: Option<Patch>,
        cx: &'a Context,
    ) -> BoxFuture<'a, Result<Observation, ToolError>> {
        Box::pin(async move {
            let arguments: Arguments = args::parse(&self.0, args)?;
            let cx = cx.clone();
            blocking(move || outline(arguments.path.as_deref().unwrap_or("."), &cx)).await
        })
    }
}

fn outline(path: &str, cx: &Context) -> Result<Observation, ToolError> {
    let path = paths::resolve(path, cx)?;
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
