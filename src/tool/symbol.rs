//! `symbol`: the definition of a name, with what uses it and what it uses.

use std::fmt::Write;

use serde::Deserialize;

use super::look::Look;
use super::read::numbered;
use super::references::listed;
use super::{Context, Observation, Tool, ToolError};
use crate::code::{self, Reference};

/// Definitions that are shown with their bodies; of more, the places are.
const SHOWN: usize = 3;
/// Names that are suggested where there is none like that.
const SUGGESTED: usize = 5;

#[derive(Debug, Clone, Deserialize)]
struct Arguments {
    name: String,
    callers: Option<bool>,
    callees: Option<bool>,
}

/// What the index says of a name.
struct Answer {
    definitions: Vec<code::Symbol>,
    callers: Vec<Reference>,
    callees: Vec<code::Symbol>,
    alike: Vec<code::Symbol>,
}

/// The tool.
pub(super) fn tool() -> impl Tool {
    Look::<Arguments> {
        manifest: super::embedded(include_str!("../../tools/symbol.toml")),
        summary: |arguments| arguments.name.clone(),
        look: symbol,
    }
}

fn symbol(arguments: &Arguments, cx: &Context) -> Result<Observation, ToolError> {
    let name = arguments.name.trim().trim_end_matches("()");
    let answer = cx.index.ask(&cx.workspace, |index| {
        let definitions = index.definitions(name);
        Answer {
            callers: if arguments.callers == Some(true) { index.references(name) } else { Vec::new() },
            callees: match &definitions[..] {
                [one] if arguments.callees == Some(true) => index.callees(one),
                _ => Vec::new(),
            },
            alike: if definitions.is_empty() { index.symbols(name, SUGGESTED) } else { Vec::new() },
            definitions,
        }
    });
    if answer.definitions.is_empty() {
        return Err(ToolError(unknown(name, &answer.alike)));
    }
    Ok(Observation::count(told(&answer, cx), answer.definitions.len(), "definitions"))
}

fn unknown(name: &str, alike: &[code::Symbol]) -> String {
    let names: Vec<String> = alike.iter().map(|s| format!("{} in {}", s.definition.qualified(), s.file)).collect();
    let hint =
        if names.is_empty() { " Call search for it.".to_owned() } else { format!(" There are: {}.", names.join(", ")) };
    format!("Nothing called `{name}` is defined here.{hint}")
}

/// Bodies of a few definitions, places of many; then callers and callees, all within the limit.
fn told(answer: &Answer, cx: &Context) -> String {
    let lists = usize::from(!answer.callers.is_empty()) + usize::from(!answer.callees.is_empty());
    let share = cx.output_limit / (1 + lists);
    let mut text = String::new();
    let few = answer.definitions.len() <= SHOWN;
    for symbol in &answer.definitions {
        let head = place(symbol);
        let body = if few { body(symbol, cx, share / answer.definitions.len().max(1)) } else { String::new() };
        if !text.is_empty() && text.len() + head.len() + body.len() > share {
            text.push_str("[there are more; give the name with its scope]\n");
            break;
        }
        text.push_str(&head);
        text.push_str(&body);
    }
    if !answer.callers.is_empty() {
        let _ = write!(text, "used by:\n{}\n", listed(&answer.callers, cx, share));
    }
    if !answer.callees.is_empty() {
        text.push_str("uses:\n");
        let end = text.len() + share;
        for callee in &answer.callees {
            let line = place(callee);
            if text.len() + line.len() > end {
                break;
            }
            text.push_str(&line);
        }
    }
    text.truncate(text.trim_end().len());
    text
}

fn place(symbol: &code::Symbol) -> String {
    let definition = &symbol.definition;
    format!("{}:{}-{} {}\n", symbol.file, definition.start, definition.end, definition.signature)
}

fn body(symbol: &code::Symbol, cx: &Context, limit: usize) -> String {
    let Ok(path) = cx.workspace.resolve(&symbol.file) else { return String::new() };
    let Ok(file) = cx.workspace.read(&path) else { return String::new() };
    let lines: Vec<&str> = file.text.lines().collect();
    let (first, last) = (symbol.definition.start as usize, (symbol.definition.end as usize).min(lines.len()));
    if first == 0 || first > last {
        return String::new();
    }
    numbered(&lines, first, last, limit).0 + "\n"
}
