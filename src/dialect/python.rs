//! Calls and values as Python writes them.

use serde_json::{Map, Value};

use super::grammar::quote;
use super::repair::{self, Stop};
use super::scan::skip_space;

/// Reads `name=value, …)` behind an opening bracket: the arguments and their length with the closing bracket. Where the text
/// ends early, what was read so far comes in `so_far`.
pub(super) fn arguments(text: &str, ended: bool, so_far: &mut Map<String, Value>) -> Result<usize, Stop> {
    let mut at = 0;
    loop {
        at = skip_space(text, at);
        match text[at..].chars().next().ok_or(Stop::MORE)? {
            ')' => return Ok(at + 1),
            ',' if !so_far.is_empty() => {
                at += 1;
                continue;
            }
            _ => {}
        }
        let key = name(&text[at..]);
        if key.is_empty() {
            return Err(Stop::Bad("`name=value` was expected".into()));
        }
        at = skip_space(text, at + key.len());
        match text[at..].chars().next().ok_or(Stop::MORE)? {
            '=' => at += 1,
            _ => return Err(Stop::Bad(format!("`=` was expected behind `{key}`"))),
        }
        at = skip_space(text, at);
        // Brackets that are missing at the end are not closed here: the call's own is missing then too.
        let (value, len) = repair::read_python(&text[at..], false).map_err(|stop| match stop {
            Stop::More(_) if ended => Stop::Bad("it is not complete".into()),
            other => other,
        })?;
        so_far.insert(key.to_owned(), value);
        at += len;
    }
}

/// The name at the start of a text.
pub(super) fn name(text: &str) -> &str {
    let end = text.find(|c: char| !(c.is_alphanumeric() || matches!(c, '_' | '.' | '-')));
    &text[..end.unwrap_or(text.len())]
}

/// The arguments that a text holds so far, as the beginning of a JSON object.
pub(super) fn partial(text: &str) -> String {
    let mut so_far = Map::new();
    let end = arguments(text, false, &mut so_far);
    let whole = so_far.iter().map(|(key, value)| format!("{}: {value}", quote(key))).collect::<Vec<_>>().join(", ");
    if end.is_ok() {
        return format!("{{{whole}}}");
    }
    let separator = if whole.is_empty() { "" } else { ", " };
    // The last name whose value is not whole yet.
    let open = text.rfind('=').map(|at| text[..at].trim_end());
    let key = open.map(|text| &text[text.len() - last_name(text)..]).filter(|key| !so_far.contains_key(*key));
    match key.filter(|key| !key.is_empty()) {
        Some(key) => format!("{{{whole}{separator}{}: ", quote(key)),
        None => format!("{{{whole}"),
    }
}

fn last_name(text: &str) -> usize {
    text.len() - text.trim_end_matches(|c: char| c.is_alphanumeric() || c == '_').len()
}

/// A value as Python writes it.
pub(super) fn write(value: &Value) -> String {
    match value {
        Value::Null => "None".into(),
        Value::Bool(true) => "True".into(),
        Value::Bool(false) => "False".into(),
        Value::Array(items) => format!("[{}]", items.iter().map(write).collect::<Vec<_>>().join(", ")),
        Value::Object(map) => {
            let entry = |(key, value): (&String, &Value)| format!("{}: {}", quote(key), write(value));
            format!("{{{}}}", map.iter().map(entry).collect::<Vec<_>>().join(", "))
        }
        _ => value.to_string(),
    }
}
