//! A call's arguments as a tool's own type. Small models get types slightly wrong; what is meant is taken, and for the rest
//! they are told what is expected.

use serde::de::DeserializeOwned;
use serde_json::{Map, Number, Value};

use super::{Args, Manifest, ToolError};

/// Reads the arguments of a call of `manifest`'s tool.
///
/// # Errors
/// One is missing or of another type; the error says which, in a sentence for the model.
pub(super) fn parse<T: DeserializeOwned>(manifest: &Manifest, args: &Args) -> Result<T, ToolError> {
    let none = Map::new();
    let properties = manifest.parameters["properties"].as_object().unwrap_or(&none);
    let mut taken = Map::new();
    for (name, schema) in properties {
        // A `null` is an argument left out.
        let Some(value) = args.get(name).filter(|value| !value.is_null()) else { continue };
        let expected = schema["type"].as_str().unwrap_or("string");
        let value = coerce(value, expected).ok_or_else(|| {
            ToolError(format!(
                "`{name}` of {} must be {}, not {}.",
                manifest.name,
                article(expected),
                article(kind(value))
            ))
        })?;
        taken.insert(name.clone(), value);
    }
    let required = manifest.parameters["required"].as_array().into_iter().flatten().filter_map(Value::as_str);
    let missing: Vec<String> =
        required.filter(|name| !taken.contains_key(*name)).map(|name| format!("`{name}`")).collect();
    if !missing.is_empty() {
        return Err(ToolError(format!("{} needs {}.", manifest.name, missing.join(" and "))));
    }
    serde_json::from_value(Value::Object(taken))
        .map_err(|error| ToolError(format!("The arguments of {} cannot be read: {error}.", manifest.name)))
}

/// `value` as the type that is expected, if it can be taken for one.
fn coerce(value: &Value, expected: &str) -> Option<Value> {
    match (expected, value) {
        ("string", Value::String(_)) | ("boolean", Value::Bool(_)) | ("array", Value::Array(_)) => Some(value.clone()),
        ("string", Value::Number(_) | Value::Bool(_)) => Some(Value::String(value.to_string())),
        // A text as a list of its lines.
        ("string", Value::Array(lines)) => {
            let lines: Option<Vec<&str>> = lines.iter().map(Value::as_str).collect();
            lines.map(|lines| Value::String(lines.join("\n")))
        }
        ("integer", Value::Number(number)) => {
            let whole = number.as_i64().or_else(|| number.as_f64().filter(|n| n.fract() == 0.0).map(|n| n as i64))?;
            Some(Value::Number(whole.into()))
        }
        ("integer", Value::String(text)) => text.trim().parse().ok().map(|n: i64| Value::Number(n.into())),
        ("number", Value::Number(_)) => Some(value.clone()),
        ("number", Value::String(text)) => text.trim().parse().ok().and_then(Number::from_f64).map(Value::Number),
        ("boolean", Value::String(text)) => text.trim().to_ascii_lowercase().parse().ok().map(Value::Bool),
        ("object", Value::Object(_)) => Some(value.clone()),
        _ => None,
    }
}

fn kind(value: &Value) -> &'static str {
    match value {
        Value::Null => "null",
        Value::Bool(_) => "boolean",
        Value::Number(_) => "number",
        Value::String(_) => "string",
        Value::Array(_) => "list",
        Value::Object(_) => "object",
    }
}

fn article(kind: &str) -> String {
    match kind {
        "null" => kind.to_owned(),
        "integer" => "a whole number".to_owned(),
        "object" => "an object".to_owned(),
        "array" => "a list".to_owned(),
        kind => format!("a {kind}"),
    }
}

#[cfg(test)]
mod tests {
    use serde::Deserialize;
    use serde_json::json;

    use super::*;

    #[derive(Debug, Deserialize, PartialEq)]
    struct Lines {
        path: String,
        start: Option<i64>,
    }

    #[test]
    fn what_is_meant_is_taken_and_the_rest_explained() {
        let manifest = Manifest {
            name: "read".into(),
            description: String::new(),
            permission: crate::permission::Class::Read,
            parameters: json!({
                "properties": { "path": { "type": "string" }, "start": { "type": "integer" } },
                "required": ["path"],
            }),
        };
        let ok = |path: &str, start| Ok(Lines { path: path.into(), start });
        let no = |text: &str| Err(ToolError(text.into()));
        for (args, expected) in [
            (json!({ "path": "a", "start": 3 }), ok("a", Some(3))),
            (json!({ "path": "a", "start": "3" }), ok("a", Some(3))),
            (json!({ "path": "a", "start": 3.0 }), ok("a", Some(3))),
            (json!({ "path": "a", "start": null, "why": "more" }), ok("a", None)),
            (json!({ "path": ["a", "b"] }), ok("a\nb", None)),
            (json!({ "path": 7 }), ok("7", None)),
            (json!({ "path": "a", "start": "first" }), no("`start` of read must be a whole number, not a string.")),
            (json!({ "path": "a", "start": 1.5 }), no("`start` of read must be a whole number, not a number.")),
            (json!({ "path": { "a": 1 } }), no("`path` of read must be a string, not an object.")),
            (json!({ "start": 1 }), no("read needs `path`.")),
        ] {
            let Value::Object(map) = args.clone() else { unreachable!() };
            assert_eq!(parse::<Lines>(&manifest, &map), expected, "{args}");
        }
    }
}
