//! `edit`: replaces a text that stands once in a file.

use serde::Deserialize;

use super::change::{Change, Meant};
use super::{Context, Tool, paths};
use crate::workspace;

#[derive(Debug, Clone, Deserialize)]
struct Arguments {
    path: String,
    old: String,
    new: String,
}

/// The tool.
pub(super) fn tool() -> impl Tool {
    Change::<Arguments> { manifest: super::embedded(include_str!("../../tools/edit.toml")), done: "Edited", mean }
}

/// What the arguments mean for the file as it is.
fn mean(arguments: Arguments, cx: &Context) -> Meant {
    let Arguments { path, mut old, mut new } = arguments;
    let path = paths::existing(&path, cx)?;
    let text = cx.workspace.read(&path).map(|file| file.text);
    // Replacing nothing in a file without content means to write it, and in one that is not there to create it.
    let empty = text.as_ref().map_or_else(|_| !cx.workspace.root().join(path.as_str()).exists(), String::is_empty);
    if old.is_empty() && empty {
        return Ok((path.clone(), workspace::Edit::Write { path, content: new }));
    }
    if !text?.contains(&old)
        && let Some(bare) = without_numbers(&old)
    {
        old = bare;
        new = without_numbers(&new).unwrap_or(new);
    }
    Ok((path.clone(), workspace::Edit::Replace { path, old, new, all: false }))
}

/// The text without the numbers that `read` puts before its lines, if every line has one. Models copy them along.
fn without_numbers(text: &str) -> Option<String> {
    let bare = |line: &str| {
        let (number, rest) = line.split_once(['|', '\t'])?;
        let number = number.trim_start();
        (!number.is_empty() && number.bytes().all(|byte| byte.is_ascii_digit())).then(|| rest.to_owned())
    };
    let body = text.strip_suffix('\n').unwrap_or(text);
    let mut lines: Vec<String> = body.split('\n').map(bare).collect::<Option<_>>()?;
    if body.len() < text.len() {
        lines.push(String::new());
    }
    Some(lines.join("\n"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_taken_off_only_where_every_line_has_one() {
        for (text, expected) in [
            ("1|def f():\n2|    return 1", Some("def f():\n    return 1")),
            ("  9|a\n 10|b\n", Some("a\nb\n")),
            ("7|", Some("")),
            ("7\ta", Some("a")),
            ("1|a\nb", None),
            ("a|b", None),
            ("|a", None),
            ("", None),
        ] {
            assert_eq!(without_numbers(text).as_deref(), expected, "{text:?}");
        }
    }
}
