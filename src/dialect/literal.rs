//! Grammars of values in forms that are not JSON.

use serde_json::Value;

use super::grammar::{Lark, quote};
use super::schema::{self, Type};
use super::{gemma, python};

/// Whose values.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Style {
    Python,
    Gemma,
}

impl Style {
    /// Any string.
    fn string(self, lark: &mut Lark) -> String {
        match self {
            Self::Python => lark.add("STRING", "", r#"/"([^"\\\n]|\\(?s:.))*"|'([^'\\\n]|\\(?s:.))*'/"#),
            Self::Gemma => {
                let text = lark.add("text", "[lazy]", r#"/(?s:.*)<\|"\|>/"#);
                lark.add("string", "", &format!("{} {text}", quote(gemma::QUOTE)))
            }
        }
    }

    /// Any key of an object.
    fn any_key(self, lark: &mut Lark) -> String {
        match self {
            Self::Python => self.string(lark),
            Self::Gemma => lark.add("KEY", "", r"/[^:{}\[\],<\s]+/"),
        }
    }

    /// The ways of writing one key.
    fn key(self, key: &str) -> Vec<String> {
        match self {
            Self::Python => vec![quote(key), format!("'{key}'")],
            Self::Gemma => vec![key.to_owned(), format!("{0}{key}{0}", gemma::QUOTE)],
        }
    }

    /// The ways of writing one value.
    fn ways(self, value: &Value) -> Vec<String> {
        match (self, value) {
            (Self::Python, Value::String(text)) if !text.contains(['\'', '\\', '\n']) => {
                vec![python::write(value), format!("'{text}'")]
            }
            (Self::Python, Value::Bool(_) | Value::Null) => vec![python::write(value), value.to_string()],
            (Self::Python, _) => vec![python::write(value)],
            (Self::Gemma, Value::Null) => vec!["null".into(), "None".into()],
            (Self::Gemma, _) => vec![gemma::write(value)],
        }
    }
}

const NUMBER: &str = r"/-?[0-9]+(\.[0-9]+)?([eE][+-]?[0-9]+)?/";
const INTEGER: &str = r"/-?[0-9]+/";
const COMMA: &str = "/, ?/";
const COLON: &str = "/: ?/";

/// The rule for a value that `schema` allows.
pub(super) fn rule(lark: &mut Lark, schema: &Value, style: Style) -> String {
    let choices = |values: &[Value]| {
        let ways = values.iter().flat_map(|value| style.ways(value));
        ways.map(|way| quote(&way)).collect::<Vec<_>>().join(" | ")
    };
    if let Some(values) = schema.get("enum").and_then(Value::as_array) {
        return lark.add("choice", "", &choices(values));
    }
    if let Some(value) = schema.get("const") {
        return lark.add("choice", "", &choices(std::slice::from_ref(value)));
    }
    let any_of = schema.get("anyOf").or_else(|| schema.get("oneOf")).and_then(Value::as_array);
    if let Some(schemas) = any_of.filter(|schemas| !schemas.is_empty()) {
        let ways: Vec<_> = schemas.iter().map(|schema| rule(lark, schema, style)).collect();
        return lark.add("value", "", &ways.join(" | "));
    }
    let Some(types) = schema::types(schema) else { return anything(lark, style) };
    let mut ways = Vec::new();
    for name in types {
        ways.push(match name {
            Type::String => style.string(lark),
            Type::Boolean => choices(&[true.into(), false.into()]),
            Type::Null => choices(&[Value::Null]),
            Type::Integer => INTEGER.into(),
            Type::Number => NUMBER.into(),
            Type::Array => array(lark, schema, style),
            Type::Object => object(lark, schema, style),
        });
    }
    lark.add("value", "", &ways.join(" | "))
}

fn array(lark: &mut Lark, schema: &Value, style: Style) -> String {
    let item = match schema.get("items") {
        Some(items) => rule(lark, items, style),
        None => anything(lark, style),
    };
    lark.add("list", "", &format!("\"[\" ({item} ({COMMA} {item})*)? \"]\""))
}

fn object(lark: &mut Lark, schema: &Value, style: Style) -> String {
    let properties = schema.get("properties").and_then(Value::as_object).filter(|map| !map.is_empty());
    let Some(properties) = properties else {
        let (key, value) = (style.any_key(lark), anything(lark, style));
        let entry = lark.add("entry", "", &format!("{key} {COLON} {value}"));
        return lark.add("object", "", &format!("\"{{\" ({entry} ({COMMA} {entry})*)? \"}}\""));
    };
    let required = schema.get("required").and_then(Value::as_array);
    let is_required = |name: &str| required.is_some_and(|names| names.iter().any(|n| n == name));
    let mut entries = Vec::new();
    for (name, property) in properties {
        let value = rule(lark, property, style);
        let keys = style.key(name).iter().map(|key| quote(key)).collect::<Vec<_>>().join(" | ");
        entries.push((lark.add("entry", "", &format!("({keys}) {COLON} {value}")), is_required(name)));
    }
    let body = lark.any_order(&entries, COMMA, "\"}\"");
    lark.add("object", "", &format!("\"{{\" {body}"))
}

/// Any value.
fn anything(lark: &mut Lark, style: Style) -> String {
    let (string, key) = (style.string(lark), style.any_key(lark));
    let words = [Value::Bool(true), Value::Bool(false), Value::Null].map(|value| style.ways(&value));
    let words = words.iter().flatten().map(|word| quote(word)).collect::<Vec<_>>().join(" | ");
    lark.add_recursive("any", |any| {
        let entry = format!("{key} {COLON} {any}");
        format!(
            "{string} | {NUMBER} | {words} | \"[\" ({any} ({COMMA} {any})*)? \"]\" | \"{{\" ({entry} ({COMMA} {entry})*)? \"}}\""
        )
    })
}
