//! `read`: a file's lines, or those of a symbol, numbered.

use serde::Deserialize;

use super::look::Look;
use super::{Context, Observation, Tool, ToolError, paths};
use crate::code::{Definition, definitions};

/// Longer lines are cut: they are data or minified code.
const LONGEST_LINE: usize = 1000;

/// Names that are suggested where a symbol is not there.
const SUGGESTED: usize = 5;

#[derive(Debug, Clone, Deserialize)]
struct Arguments {
    path: String,
    start: Option<i64>,
    end: Option<i64>,
    symbol: Option<String>,
}

/// The tool.
pub(super) fn tool() -> impl Tool {
    Look::<Arguments> { manifest: super::embedded(include_str!("../../tools/read.toml")), summary, look: read }
}

fn summary(arguments: &Arguments) -> String {
    let lines = match (&arguments.symbol, arguments.start, arguments.end) {
        (Some(symbol), ..) => format!(" {symbol}"),
        (None, None, None) => String::new(),
        (None, start, end) => format!(" {}-{}", start.unwrap_or(1), end.map(|n| n.to_string()).unwrap_or_default()),
    };
    format!("{}{lines}", arguments.path)
}

fn read(arguments: &Arguments, cx: &Context) -> Result<Observation, ToolError> {
    let path = paths::existing(&arguments.path, cx)?;
    if paths::is_folder(&path, cx) {
        return Err(ToolError(format!("`{}` is a folder. Call list to see what is in it.", arguments.path.trim())));
    }
    let file = cx.workspace.read(&path)?;
    let lines: Vec<&str> = file.text.lines().collect();
    if lines.is_empty() {
        return Ok(Observation::count(format!("`{}` is empty.", path.as_str()), 0, "lines"));
    }
    let (mut note, mut range) = (String::new(), (arguments.start, arguments.end));
    if paths::resolve(&arguments.path, cx)? != path {
        note = format!("There is no `{}`; this is `{}`.\n", arguments.path.trim(), path.as_str());
    }
    if let Some(symbol) = arguments.symbol.as_deref().map(str::trim).filter(|symbol| !symbol.is_empty()) {
        match lines_of(symbol, path.as_str(), &file.text) {
            Ok((first, last)) => range = (Some(first.into()), Some(last.into())),
            // What was asked for first is the file.
            Err(missing) => note = missing,
        }
    }
    let first = usize::try_from(range.0.unwrap_or(1)).unwrap_or(1).max(1);
    let last = range.1.map_or(lines.len(), |end| usize::try_from(end).unwrap_or(0));
    let last = last.min(lines.len());
    if first > lines.len() {
        return Err(ToolError(format!("`{}` has only {} lines.", path.as_str(), lines.len())));
    }
    if last < first {
        return Err(ToolError(format!("`end` must not be smaller than `start`, which is {first}.")));
    }
    let (text, shown) = numbered(&lines, first, last, cx.output_limit.saturating_sub(note.len()));
    Ok(Observation::count(note + &text, shown, "lines"))
}

/// First and last line of a symbol, given by its name or with what it stands in; or a line that says that there is none.
fn lines_of(symbol: &str, path: &str, text: &str) -> Result<(u32, u32), String> {
    let wanted = symbol.trim_end_matches("()").replace("::", ".");
    let definitions = definitions(path, text);
    let exact = definitions.iter().find(|d| d.name == wanted || d.qualified() == wanted);
    let ending = || definitions.iter().find(|d| d.qualified().ends_with(&format!(".{wanted}")));
    exact.or_else(ending).map(|found| (found.start, found.end)).ok_or_else(|| {
        let mut names: Vec<String> = definitions.iter().map(Definition::qualified).collect();
        names.sort_by(|a, b| strsim::jaro_winkler(b, symbol).total_cmp(&strsim::jaro_winkler(a, symbol)));
        names.truncate(SUGGESTED);
        let hint = if names.is_empty() { String::new() } else { format!(" It defines {}.", names.join(", ")) };
        format!("`{path}` defines no `{symbol}`.{hint} The whole file:\n")
    })
}

/// Lines `first` to `last`, as far as they fit into `limit` bytes, at least one; and their number.
///
/// The bar after the number costs one token and leaves the line's own indentation to be read as it stands in the file; a tab
/// or spaces would melt with it.
pub(super) fn numbered(lines: &[&str], first: usize, last: usize, limit: usize) -> (String, usize) {
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
