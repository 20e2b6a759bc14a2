//! Writes calls, and the manual that teaches them.

use serde_json::{Map, Value};

use super::super::{Call, Message, ToolSpec, json_calls, repair, schema};
use super::{LongText, NO_NEWLINE, WORD, body};

const INTRODUCTION: &str = "# Tools

Call a tool with a block like one of these and wait for its result. Write text as it is, without escapes. [Parts in brackets] may be left out.";

/// What the system message says of the tools.
pub(super) fn manual(tools: &[ToolSpec]) -> String {
    let mut text = INTRODUCTION.to_owned();
    for tool in tools {
        let long = body(schema::properties(tool));
        let mut head = format!("```{WORD} {}", tool.name);
        for (name, property) in schema::properties(tool).filter(|(name, _)| long.iter().all(|l| l.name != *name)) {
            let argument = format!("{name}={}", placeholder(name, property));
            let optional = !schema::is_required(tool, name);
            head.push_str(&if optional { format!(" [{argument}]") } else { format!(" {argument}") });
        }
        // Small models copy a placeholder in angle brackets into the text, so these are plain words.
        let described = |name: &str| {
            let property = schema::properties(tool).find(|(known, _)| *known == name);
            let words = property.and_then(|(_, schema)| schema.get("description")?.as_str());
            format!("{}\n", words.unwrap_or(name))
        };
        let shown = |name: &str| described(name);
        let lines = match long.as_slice() {
            [] => String::new(),
            [only] => shown(&only.name),
            [old, new, ..] => between(&old.label, &shown(&old.name), &new.label, &shown(&new.name), 7),
        };
        text.push_str(&format!("\n\n{}\n{head}\n{lines}```", tool.description.trim()));
    }
    text
}

fn placeholder(name: &str, property: &Value) -> String {
    let values = property.get("enum").and_then(Value::as_array).filter(|values| values.len() <= 6);
    match values {
        Some(values) => values.iter().map(|value| short(property, value)).collect::<Vec<_>>().join("|"),
        None => format!("<{name}>"),
    }
}

/// An assistant's text with its calls behind it.
pub(super) fn assistant(message: &Message, tools: &[ToolSpec]) -> String {
    let mut text = message.content.clone();
    for call in &message.calls {
        if !text.is_empty() && !text.ends_with('\n') {
            text.push_str("\n\n");
        }
        text.push_str(&self::call(call, repair::tool(&call.name, tools)));
    }
    text
}

/// One call. Without the tool, all arguments are short ones.
pub(super) fn call(call: &Call, tool: Option<&ToolSpec>) -> String {
    let properties: Vec<(&str, &Value)> = tool.into_iter().flat_map(schema::properties).collect();
    let mut long = body(properties.iter().copied());
    let text = |name: &str| call.arguments.get(name).and_then(Value::as_str);
    // A body has all of its texts or none.
    if !long.iter().all(|l| text(&l.name).is_some()) {
        long.clear();
    }
    let head = head(&call.arguments, &properties, |name| long.iter().any(|l| l.name == name));
    let block = |index: usize| lines(text(&long[index].name).unwrap_or_default(), long[index].kind);
    let lines = match long.len() {
        0 => String::new(),
        1 => block(0),
        _ => {
            let (old, new) = (block(0), block(1));
            let length = 7.max(longest(&old, &['<', '=', '>']).max(longest(&new, &['<', '=', '>'])) + 1);
            between(&long[0].label, &old, &long[1].label, &new, length)
        }
    };
    let fence = "`".repeat(3.max(longest(&lines, &['`']) + 1));
    format!("{fence}{WORD} {}{head}\n{lines}{fence}\n", call.name)
}

/// The short arguments: those of the schema in its order, then the others.
fn head(arguments: &Map<String, Value>, properties: &[(&str, &Value)], in_body: impl Fn(&str) -> bool) -> String {
    let known = properties.iter().filter_map(|(name, property)| Some((*name, *property, arguments.get(*name)?)));
    let others = arguments.iter().filter(|(name, _)| properties.iter().all(|(known, _)| known != name));
    let all = known.chain(others.map(|(name, value)| (name.as_str(), &Value::Null, value)));
    all.filter(|(name, ..)| !in_body(name))
        .map(|(name, property, value)| format!(" {name}={}", short(property, value)))
        .collect()
}

/// A value in the opening line.
pub(super) fn short(property: &Value, value: &Value) -> String {
    match value.as_str() {
        Some(text) if schema::is_string(property) && is_bare(text) => text.to_owned(),
        _ => json_calls::write(value),
    }
}

/// Whether a text needs no quotes.
fn is_bare(text: &str) -> bool {
    let special = |c: char| c.is_whitespace() || c.is_control() || matches!(c, '"' | '\'' | '`' | '=');
    !text.is_empty() && !text.contains(special)
}

/// A text as the lines of a body.
fn lines(text: &str, kind: LongText) -> String {
    match kind {
        _ if text.is_empty() => String::new(),
        LongText::Lines if text.ends_with('\n') => text.to_owned(),
        LongText::Lines => format!("{text}\n{NO_NEWLINE}"),
        LongText::Text => format!("{text}\n"),
    }
}

fn between(old_label: &str, old: &str, new_label: &str, new: &str, length: usize) -> String {
    let mark = |c: &str| c.repeat(length);
    format!("{} {old_label}\n{old}{}\n{new}{} {new_label}\n", mark("<"), mark("="), mark(">"))
}

/// The longest run of one of `marks` at the start of a line, where it is long enough to look like a marker.
fn longest(text: &str, marks: &[char]) -> usize {
    let run =
        |line: &str| marks.iter().map(|mark| line.len() - line.trim_start_matches(*mark).len()).max().unwrap_or(0);
    let least = if marks == ['`'] { 3 } else { 7 };
    text.lines().map(run).filter(|run| *run >= least).max().unwrap_or(0)
}
