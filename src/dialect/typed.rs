//! Reads and constrains the values of arguments that are written without quotes: their types are those of the tool's schema.

use serde_json::Value;

use super::grammar::{self, Lark, quote};
use super::literal::{self, Style};
use super::repair;
use super::schema::{self, Argument};

/// The value that `text` stands for. `property` is the argument's schema, `is_string` what the form itself says, `python`
/// whether other values than strings are written as Python does.
pub(super) fn read(text: &str, property: Option<&Value>, is_string: Option<bool>, python: bool) -> Value {
    let string = || Value::from(text);
    let takes_text = property.is_none_or(|property| schema::takes(property, &string()));
    match (property, is_string) {
        (_, Some(true)) if takes_text => return string(),
        (Some(property), None) if schema::is_string(property) => return string(),
        _ => {}
    }
    let trimmed = text.trim();
    let value = match python {
        true => repair::read_python(trimmed, true),
        false => repair::read(trimmed, true).map(|(value, len, _)| (value, len)),
    };
    let Some((value, _)) = value.ok().filter(|(_, len)| *len == trimmed.len()) else { return string() };
    let fits = match property {
        Some(property) => schema::takes(property, &value),
        // A string in quotes where none are due is meant to have them.
        None => is_string == Some(false) || !value.is_string(),
    };
    if fits || !takes_text { value } else { string() }
}

/// The rule for a value and for `end` behind it, which ends it.
pub(super) fn rule(lark: &mut Lark, argument: &Argument, end: &str, python: bool) -> String {
    let schema = &argument.schema;
    if let Some(text) = argument.lines_of.as_deref() {
        let body = format!("{} {}", grammar::substring(&grammar::chunks(text)), quote(end));
        return lark.add("lines", "[lazy]", &body);
    }
    let values = schema.get("enum").and_then(Value::as_array).filter(|_| schema::is_string(schema));
    if let Some(values) = values {
        let choice = lark.add("CHOICE", "", &grammar::one_of(values.iter().filter_map(Value::as_str)));
        return format!("{choice} {}", quote(end));
    }
    if schema::takes(schema, &Value::from("text")) {
        return lark.add("text", "[lazy]", &format!("/(?s:.*){}/", grammar::escape(end)));
    }
    let value = match python {
        true => literal::rule(lark, schema, Style::Python),
        false => json_or_word(lark, schema),
    };
    format!("{value} {}", quote(end))
}

/// JSON, or Python's words for it, which templates in Jinja write.
fn json_or_word(lark: &mut Lark, schema: &Value) -> String {
    let json = lark.add("value", "", &grammar::json(schema));
    let mut ways = vec![json];
    for (value, word) in [(Value::Bool(true), "True"), (Value::Bool(false), "False"), (Value::Null, "None")] {
        if schema::takes(schema, &value) {
            ways.push(quote(word));
        }
    }
    if ways.len() == 1 { ways.remove(0) } else { lark.add("value", "", &ways.join(" | ")) }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn the_schema_decides_what_a_text_is() {
        for (text, property, expected) in [
            ("1", json!({"type": "string"}), json!("1")),
            ("1", json!({"type": "integer"}), json!(1)),
            ("1", json!({"type": ["string", "integer"]}), json!(1)),
            ("1 dollar", json!({"type": ["string", "integer"]}), json!("1 dollar")),
            ("null", json!({"type": ["string", "null"]}), json!(null)),
            ("null", json!({"type": "string"}), json!("null")),
            ("True", json!({"type": "boolean"}), json!(true)),
            ("['a', 'b']", json!({"type": "array"}), json!(["a", "b"])),
            ("{\"a\": 1}", json!({"type": "object"}), json!({"a": 1})),
            ("{\"a\": 1}", json!({"type": "string"}), json!("{\"a\": 1}")),
            ("celsius", json!({"enum": ["celsius", "kelvin"]}), json!("celsius")),
            ("3", json!({"anyOf": [{"type": "integer"}, {"type": "null"}]}), json!(3)),
            ("x", json!({"type": "integer"}), json!("x")),
            ("[1]", json!({}), json!([1])),
            ("plain", json!({}), json!("plain")),
        ] {
            assert_eq!(read(text, Some(&property), None, false), expected, "{text} {property}");
        }
        assert_eq!(read("\"a\"", None, None, false), json!("\"a\""));
        assert_eq!(read("4", None, None, false), json!(4));
        assert_eq!(read("4", None, Some(true), false), json!("4"));
    }
}
