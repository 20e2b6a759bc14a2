//! `read`: a file's lines, numbered.

use futures_util::future::BoxFuture;
use serde::Deserialize;

use super::{Args, Context, Manifest, Observation, Plan, Tool, ToolError, args, blocking, paths};
use crate::permission::{Class, Permission};
use crate::workspace::Patch;

/// Longer lines are cut: they are data or minified code.
const LONGEST_LINE: usize = 1000;

/// The tool.
pub(super) struct Read(Manifest);

#[derive(Debug, Clone, Deserialize)]
struct Arguments {
    path: String,
    start: Option<i64>,
    end: Option<i64>,
}

impl Read {
    pub fn new() -> Self {
        Self(super::embedded(include_str!("../../tools/read.toml")))
    }
}

impl Tool for Read {
    fn spec(&self) -> &Manifest {
        &self.0
    }

    fn plan(&self, args: &Args, _cx: &Context) -> Result<Plan, ToolError> {
        let Arguments { path, start, end } = args::parse(&self.0, args)?;
        let lines = match (start, end) {
            (None, None) => String::new(),
            (start, end) => format!(" {}-{}", start.unwrap_or(1), end.map(|n| n.to_string()).unwrap_or_default()),
        };
        Ok(Permission { class: Class::Read, summary: format!("{path}{lines}"), diff: None }.into())
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
            blocking(move || read(&arguments, &cx)).await
        })
    }
}

fn read(arguments: &Arguments, cx: &Context) -> Result<Observation, ToolError> {
    let path = paths::resolve(&arguments.path, cx)?;
    if paths::is_folder(&path, cx) {
        return Err(ToolError(format!("`{}` is a folder. Call list to see what is in it.", arguments.path.trim())));
    }
    let file = cx.workspace.read(&path)?;
    let lines: Vec<&str> = file.text.lines().collect();
    if lines.is_empty() {
        return Ok(Observation::count(format!("`{}` is empty.", path.as_str()), 0, "lines"));
    }
    let first = usize::try_from(arguments.start.unwrap_or(1)).unwrap_or(1).max(1);
    let last = arguments.end.map_or(lines.len(), |end| usize::try_from(end).unwrap_or(0)).min(lines.len());
    if first > lines.len() {
        return Err(ToolError(format!("`{}` has only {} lines.", path.as_str(), lines.len())));
    }
    if last < first {
        return Err(ToolError(format!("`end` must not be smaller than `start`, which is {first}.")));
    }
    let (text, shown) = numbered(&lines, first, last, cx.output_limit);
    Ok(Observation::count(text, shown, "lines"))
}

/// Lines `first` to `last`, as far as they fit into `limit` bytes, at least one; and their number.
///
/// The bar after the number costs one token and leaves the line's own indentation to be read as it stands in the file; a tab
/// or spaces would melt with it.
fn numbered(lines: &[&str], first: usize, last: usize, limit: usize) -> (String, usize) {
    // For the line that says how to go on.
    let room = limit.saturating_sub(80);
    let mut text = String::new();
    for number in first..=last {
        let line = lines[number - 1];
        let shown = match line.char_indices().nth(LONGEST_LINE.min(limit / 2).max(1)) {
            Some((end, _)) => format!("{number}|{}[… {} bytes]\n", &line[..end], line.len() - end),
            None => format!("{number}|{line}\n"),
        };
        if number > first && text.len() + shown.len() > room {
            text.push_str(&format!("[{} of {} lines; go on with start={number}]", number - first, lines.len()));
            return (text, number - first);
        }
        text.push_str(&shown);
    }
    text.pop();
    (text, last + 1 - first)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_are_numbered_and_bounded() {
        let lines = ["def f():", "    return 1", "", "f()"];
        assert_eq!(numbered(&lines, 1, 4, 1000), ("1|def f():\n2|    return 1\n3|\n4|f()".into(), 4));
        assert_eq!(numbered(&lines, 2, 2, 1000), ("2|    return 1".into(), 1));
        assert_eq!(numbered(&lines, 1, 4, 105), ("1|def f():\n[1 of 4 lines; go on with start=2]".into(), 1));
        let long = "é".repeat(3000);
        let (text, shown) = numbered(&[&long], 1, 1, 10_000);
        assert_eq!((text, shown), (format!("1|{}[… 4000 bytes]", "é".repeat(1000)), 1));
        assert_eq!(numbered(&lines, 1, 4, 0).1, 1, "one line at least");
    }
}
