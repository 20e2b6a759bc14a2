//! Reads calls that are almost JSON, as small models write them, where what is meant is beyond doubt.
//!
//! Pure: text and tools in, a call or the reason why there is none out. Text that ends early is never completed inside of a
//! string: a half-written file must not be taken for a whole one.

mod reader;
#[cfg(test)]
mod tests;

use serde_json::{Map, Value};

use super::{Call, ToolSpec, schema};

pub(super) use reader::{Stop, broken_at, read, read_python};

/// What was mended, in words for the log.
pub(super) type Notes = Vec<&'static str>;

/// The keys under which models write the tool's name and its arguments. The first is the right one.
pub(super) const NAME_KEYS: [&str; 5] = ["name", "tool", "tool_name", "function", "function_name"];
pub(super) const ARGUMENT_KEYS: [&str; 6] = ["arguments", "parameters", "args", "params", "input", "kwargs"];

/// Why a value is no call.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
pub(super) enum NoCall {
    /// It does not look like one.
    #[error("A call is an object with `name` and `arguments`.")]
    Other,
    #[error("There is no tool `{name}`; the tools are {known}.")]
    Unknown { name: String, known: String },
    #[error("`{tool}` was called wrongly: {reason}.")]
    Wrong { tool: String, reason: String },
}

/// The call that `value` states.
pub(super) fn call(value: &Value, tools: &[ToolSpec]) -> Result<(Call, Notes), NoCall> {
    let mut notes = Notes::new();
    let mut object = value.as_object().ok_or(NoCall::Other)?;
    if let Some(inner) = object.get("function").and_then(Value::as_object) {
        notes.push("the call stood inside `function`");
        object = inner;
    }
    let (name, arguments) = match find(object, &NAME_KEYS).and_then(|(key, v)| Some((key, v.as_str()?))) {
        Some((key, name)) => {
            if key != NAME_KEYS[0] {
                notes.push("the name stood under another key");
            }
            (name, find(object, &ARGUMENT_KEYS))
        }
        // {"read": {"path": …}}
        None => match object.iter().next() {
            Some((name, Value::Object(_))) if object.len() == 1 => {
                notes.push("the name was the key");
                (name.as_str(), object.iter().next().map(|(_, v)| (ARGUMENT_KEYS[0], v)))
            }
            _ => return Err(NoCall::Other),
        },
    };
    let tool = match tool(name, tools) {
        Some(tool) => tool,
        None if arguments.is_none() => return Err(NoCall::Other),
        None => return Err(unknown(name, tools)),
    };
    if tool.name != name {
        notes.push("the name was written differently");
    }
    let mut arguments = match arguments {
        Some((key, value)) => {
            if key != ARGUMENT_KEYS[0] {
                notes.push("the arguments stood under another key");
            }
            self::arguments(value, tool, &mut notes)?
        }
        None => beside_the_name(object, tool, &mut notes)?,
    };
    convert_all(&mut arguments, tool, &mut notes);
    complete(tool, &arguments)?;
    Ok((Call { id: String::new(), name: tool.name.clone(), arguments }, notes))
}

/// Whether all that `tool` needs is there.
pub(super) fn complete(tool: &ToolSpec, arguments: &Map<String, Value>) -> Result<(), NoCall> {
    let required = tool.parameters.get("required").and_then(Value::as_array);
    match required.into_iter().flatten().filter_map(Value::as_str).find(|name| !arguments.contains_key(*name)) {
        Some(name) => Err(NoCall::Wrong { tool: tool.name.clone(), reason: format!("`{name}` is missing") }),
        None => Ok(()),
    }
}

/// The tool of that name, exactly or but for case and hyphens.
pub(super) fn tool<'a>(name: &str, tools: &'a [ToolSpec]) -> Option<&'a ToolSpec> {
    let plain = |name: &str| name.trim().to_lowercase().replace('-', "_");
    let exact = tools.iter().find(|tool| tool.name == name);
    exact.or_else(|| tools.iter().find(|tool| plain(&tool.name) == plain(name)))
}

/// What to answer where there is no tool of that name.
pub(super) fn unknown(name: &str, tools: &[ToolSpec]) -> NoCall {
    let known: Vec<_> = tools.iter().map(|tool| format!("`{}`", tool.name)).collect();
    let known = if known.is_empty() { "none".to_owned() } else { known.join(", ") };
    NoCall::Unknown { name: name.chars().take(80).collect(), known }
}

fn find<'a>(object: &'a Map<String, Value>, keys: &[&'static str]) -> Option<(&'static str, &'a Value)> {
    keys.iter().find_map(|key| object.get(*key).map(|value| (*key, value)))
}

fn arguments(value: &Value, tool: &ToolSpec, notes: &mut Notes) -> Result<Map<String, Value>, NoCall> {
    let wrong = || NoCall::Wrong { tool: tool.name.clone(), reason: "its arguments are no object".into() };
    match value {
        Value::Object(map) => Ok(map.clone()),
        Value::Null => Ok(Map::new()),
        Value::String(text) => {
            notes.push("the arguments were a string");
            if let Ok((Value::Object(map), _, more)) = read(text.trim(), true) {
                notes.extend(more);
                return Ok(map);
            }
            let mut properties = schema::properties(tool);
            match (properties.next(), properties.next()) {
                (Some((name, property)), None) if schema::is_string(property) => {
                    Ok(Map::from_iter([(name.to_owned(), text.as_str().into())]))
                }
                _ => Err(wrong()),
            }
        }
        _ => Err(wrong()),
    }
}

/// `{"name": "read", "path": …}`
fn beside_the_name(
    object: &Map<String, Value>,
    tool: &ToolSpec,
    notes: &mut Notes,
) -> Result<Map<String, Value>, NoCall> {
    let known = |key: &str| schema::properties(tool).any(|(name, _)| name == key);
    let rest = object.iter().filter(|(key, _)| !NAME_KEYS.contains(&key.as_str()) || known(key));
    let arguments: Map<_, _> =
        rest.filter(|(key, _)| *key != "name" && *key != "type").map(|(k, v)| (k.clone(), v.clone())).collect();
    if !arguments.keys().all(|key| known(key)) {
        return Err(NoCall::Other);
    }
    if !arguments.is_empty() {
        notes.push("the arguments stood beside the name");
    }
    Ok(arguments)
}

/// Gives values the types that the tool's schema wants, where they are beyond doubt.
pub(super) fn convert_all(arguments: &mut Map<String, Value>, tool: &ToolSpec, notes: &mut Notes) {
    for (name, property) in schema::properties(tool) {
        if let Some(value) = arguments.get_mut(name) {
            convert(value, property, notes);
        }
    }
}

/// Turns `"3"` into `3` where a number is due, and the like.
fn convert(value: &mut Value, property: &Value, notes: &mut Notes) {
    let better = match &*value {
        Value::String(text) if !schema::accepts(property, "string") && property.get("type").is_some() => {
            match serde_json::from_str::<Value>(&text.trim().to_lowercase()) {
                Ok(new @ Value::Number(_)) if schema::accepts(property, "number") => Some(new),
                Ok(Value::Number(n)) if schema::accepts(property, "integer") => n.as_i64().map(Value::from),
                Ok(new @ Value::Bool(_)) if schema::accepts(property, "boolean") => Some(new),
                _ => None,
            }
        }
        Value::Number(n) if schema::accepts(property, "integer") && !schema::accepts(property, "number") => n
            .as_f64()
            .filter(|_| n.is_f64())
            .filter(|f| f.fract() == 0.0 && f.abs() < 9e15)
            .map(|f| Value::from(f as i64)),
        _ => None,
    };
    if let Some(better) = better {
        notes.push("a number was written as another type");
        *value = better;
    }
}

/// Whether the beginning of a JSON text looks like a call: its first key is one of those that calls begin with. `None`
/// where the text is too short to tell.
pub(super) fn looks_like_call(text: &str, tools: &[ToolSpec]) -> Option<bool> {
    let text = text.trim_start();
    let text = text.strip_prefix('[').map_or(text, str::trim_start);
    let Some(text) = text.strip_prefix('{') else { return if text.is_empty() { None } else { Some(false) } };
    let text = text.trim_start();
    let quote = text.chars().next()?;
    if !matches!(quote, '"' | '\'') {
        return Some(false);
    }
    let key = &text[1..];
    let known = || {
        NAME_KEYS
            .iter()
            .chain(&ARGUMENT_KEYS)
            .copied()
            .chain(["type", "id"])
            .chain(tools.iter().map(|t| t.name.as_str()))
    };
    match key.split_once(quote) {
        Some((key, _)) => Some(known().any(|name| name == key)),
        None if known().any(|name| name.starts_with(key)) => None,
        None => Some(false),
    }
}

/// Whether the text names one of the tools where a call has its name, for text that cannot be read as JSON.
pub(super) fn names_tool(text: &str, tools: &[ToolSpec]) -> bool {
    NAME_KEYS.iter().any(|key| {
        text.match_indices(key).any(|(at, _)| {
            let rest = text[at + key.len()..].trim_start_matches(['"', '\'']).trim_start();
            let rest = rest.strip_prefix(':').map_or("", str::trim_start);
            let name = rest.trim_start_matches(['"', '\'']);
            let name = &name[..name.find(['"', '\'', ',', '}', '\n']).unwrap_or(name.len())];
            rest.len() != name.len() && tool(name, tools).is_some()
        })
    })
}

/// What follows the first of `keys` in a JSON text that need not be whole.
pub(super) fn value_of<'a>(text: &'a str, keys: &[String]) -> Option<&'a str> {
    let at = |key: &String| text.find(&format!("\"{key}\"")).map(|at| at + key.len() + 2);
    let value = text[keys.iter().filter_map(at).min()?..].trim_start();
    value.strip_prefix(':').map(str::trim_start)
}

/// Logs what was mended.
pub(super) fn log(call: &Call, notes: &Notes) {
    if !notes.is_empty() {
        tracing::info!(tool = call.name, repaired = notes.join("; "), "a call was repaired");
    }
}
