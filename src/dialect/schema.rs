//! What a tool's JSON Schema tells a dialect beyond the types of the arguments.
//!
//! | Keyword of a property | Meaning |
//! |---|---|
//! | `"x-text": true` | Long text. Forms that can write it as it is, without escapes; the line end before the closing marker is not part of it. |
//! | `"x-text": "lines"` | The same for text made of whole lines (a file's content): the last line end is part of it. |
//! | `"x-label": "SEARCH"` | How the fenced form marks a long text; its name in capitals where there is none. |
//! | `"enum"` | The only values that the grammar lets pass (all paths of a workspace, say). |
//! | `"x-substring-of": "…"` | The value must be whole lines, one after the other, of this text. |
//! | `"x-substring-of": {"property": "path", "texts": {"a.py": "…"}}` | The same, where the text depends on another argument. Values of that argument without a text leave this one free. |
//!
//! `enum` and `x-substring-of` are for [`super::Dialect::grammar`] and may be large. A session gives them to the grammar
//! only: the prompt is made from the tool as its manifest states it, so that it stays the same from turn to turn.

use serde_json::{Map, Value, json};

use super::ToolSpec;

/// How a long text is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LongText {
    /// A piece of text; its last line has no line end of its own.
    Text,
    /// Whole lines.
    Lines,
}

/// The kind of long text that a property's schema asks for.
pub fn long_text(property: &Value) -> Option<LongText> {
    match property.get("x-text")? {
        Value::Bool(true) => Some(LongText::Text),
        Value::String(kind) if kind == "lines" => Some(LongText::Lines),
        _ => None,
    }
}

/// The properties of a tool's arguments, in the schema's order.
pub fn properties(tool: &ToolSpec) -> impl Iterator<Item = (&str, &Value)> {
    let properties = tool.parameters.get("properties").and_then(Value::as_object);
    properties.into_iter().flatten().map(|(name, schema)| (name.as_str(), schema))
}

/// Whether an argument must be given.
pub fn is_required(tool: &ToolSpec, name: &str) -> bool {
    let required = tool.parameters.get("required").and_then(Value::as_array);
    required.is_some_and(|names| names.iter().any(|n| n == name))
}

/// Whether a property takes strings and nothing else.
pub fn is_string(property: &Value) -> bool {
    match property.get("type") {
        Some(name) => name == "string",
        None => property.get("enum").and_then(Value::as_array).is_some_and(|all| all.iter().all(Value::is_string)),
    }
}

/// Whether a property takes values of JSON's type `name` (`integer`, `boolean`, …).
pub fn accepts(property: &Value, name: &str) -> bool {
    match property.get("type") {
        Some(Value::String(only)) => only == name,
        Some(Value::Array(names)) => names.iter().any(|n| n == name),
        _ => false,
    }
}

/// The types of JSON.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Type {
    String,
    Boolean,
    Null,
    Integer,
    Number,
    Array,
    Object,
}

impl Type {
    const ALL: [(&str, Self); 7] = [
        ("string", Self::String),
        ("boolean", Self::Boolean),
        ("null", Self::Null),
        ("integer", Self::Integer),
        ("number", Self::Number),
        ("array", Self::Array),
        ("object", Self::Object),
    ];

    /// Whether a value is of the type. Whole numbers are also integers.
    fn has(self, value: &Value) -> bool {
        match self {
            Self::String => value.is_string(),
            Self::Boolean => value.is_boolean(),
            Self::Null => value.is_null(),
            Self::Integer => value.as_f64().is_some_and(|number| number.fract() == 0.0),
            Self::Number => value.is_number(),
            Self::Array => value.is_array(),
            Self::Object => value.is_object(),
        }
    }
}

/// The types that a schema's `type` allows; `None` where it does not say.
pub fn types(schema: &Value) -> Option<Vec<Type>> {
    let names: Vec<&str> = match schema.get("type")? {
        Value::String(name) => vec![name],
        Value::Array(names) => names.iter().filter_map(Value::as_str).collect(),
        _ => return None,
    };
    let known = |name: &&str| Type::ALL.iter().find(|(known, _)| known == name).map(|(_, kind)| *kind);
    let known: Vec<Type> = names.iter().filter_map(known).collect();
    (!known.is_empty()).then_some(known)
}

/// Whether a property takes a value, as far as its type, `enum`, `const` and alternatives say.
pub fn takes(property: &Value, value: &Value) -> bool {
    if let Some(values) = property.get("enum").and_then(Value::as_array) {
        return values.contains(value);
    }
    if let Some(only) = property.get("const") {
        return only == value;
    }
    let any_of = property.get("anyOf").or_else(|| property.get("oneOf")).and_then(Value::as_array);
    if let Some(schemas) = any_of {
        return schemas.iter().any(|schema| takes(schema, value));
    }
    types(property).is_none_or(|types| types.iter().any(|kind| kind.has(value)))
}

/// The schema as a prompt shows it: without what only a grammar or the fenced form reads.
pub fn for_prompt(schema: &Value) -> Value {
    clean(schema)
}

/// The schema as llguidance takes it: closed objects, and the white space that models write themselves (the separators are
/// regular expressions).
pub fn for_grammar(schema: &Value) -> Value {
    let mut schema = clean(schema);
    close_objects(&mut schema);
    if let Some(map) = schema.as_object_mut() {
        map.insert(
            "x-guidance".into(),
            json!({"item_separator": ", ?", "key_separator": ": ?", "whitespace_flexible": false, "lenient": true}),
        );
    }
    schema
}

fn clean(schema: &Value) -> Value {
    let Some(map) = schema.as_object() else { return schema.clone() };
    let kept = map.iter().filter(|(key, _)| !key.starts_with("x-"));
    let kept = kept.map(|(key, value)| {
        let value = match (key.as_str(), value) {
            ("properties" | "$defs" | "definitions" | "patternProperties", Value::Object(inner)) => {
                Value::Object(inner.iter().map(|(name, schema)| (name.clone(), clean(schema))).collect())
            }
            ("items" | "additionalProperties", value) => clean(value),
            ("anyOf" | "oneOf" | "allOf" | "prefixItems", Value::Array(all)) => all.iter().map(clean).collect(),
            _ => value.clone(),
        };
        (key.clone(), value)
    });
    Value::Object(kept.collect::<Map<_, _>>())
}

fn close_objects(schema: &mut Value) {
    let Some(map) = schema.as_object_mut() else { return };
    if map.contains_key("properties") && !map.contains_key("additionalProperties") {
        map.insert("additionalProperties".into(), Value::Bool(false));
    }
    for (key, value) in map.iter_mut() {
        match (key.as_str(), value) {
            ("properties" | "$defs" | "definitions", Value::Object(inner)) => {
                inner.values_mut().for_each(close_objects)
            }
            ("items", value) => close_objects(value),
            ("anyOf" | "oneOf" | "prefixItems", Value::Array(all)) => all.iter_mut().for_each(close_objects),
            _ => {}
        }
    }
}

/// One way of calling a tool: a tool whose text depends on another argument has one for each value of that argument.
#[derive(Debug, Clone, PartialEq)]
pub struct Variant {
    pub name: String,
    pub arguments: Vec<Argument>,
}

/// An argument as a grammar needs it.
#[derive(Debug, Clone, PartialEq)]
pub struct Argument {
    pub name: String,
    pub required: bool,
    /// Its schema, without `x-substring-of`.
    pub schema: Value,
    /// The text whose lines it must consist of.
    pub lines_of: Option<String>,
}

/// Every way of calling `tool`.
pub fn variants(tool: &ToolSpec) -> Vec<Variant> {
    let arguments: Vec<Argument> = properties(tool)
        .map(|(name, property)| {
            let mut schema = property.clone();
            let text = schema.as_object_mut().and_then(|map| map.shift_remove("x-substring-of"));
            let lines_of = text.and_then(|text| text.as_str().map(str::to_owned));
            Argument { name: name.into(), required: is_required(tool, name), schema, lines_of }
        })
        .collect();
    let base = Variant { name: tool.name.clone(), arguments };
    let dependent = properties(tool).find_map(|(name, property)| {
        let rule = property.get("x-substring-of")?.as_object()?;
        Some((name, rule.get("property")?.as_str()?, rule.get("texts")?.as_object()?))
    });
    let Some((name, key, texts)) = dependent else { return vec![base] };

    let mut variants = Vec::new();
    for (value, text) in texts.iter().filter_map(|(value, text)| Some((value, text.as_str()?))) {
        let mut variant = base.clone();
        for argument in &mut variant.arguments {
            if argument.name == key {
                argument.schema = json!({"type": "string", "enum": [value]});
                argument.required = true;
            } else if argument.name == name {
                argument.lines_of = Some(text.to_owned());
            }
        }
        variants.push(variant);
    }
    variants.extend(others(base, key, texts));
    variants
}

/// The variant for the values of `key` that have no text. Without a list of the values there is none: any value would pass,
/// those with a text too.
fn others(mut base: Variant, key: &str, texts: &Map<String, Value>) -> Option<Variant> {
    let argument = base.arguments.iter_mut().find(|argument| argument.name == key)?;
    let values = argument.schema.get_mut("enum")?.as_array_mut()?;
    values.retain(|value| value.as_str().is_none_or(|value| !texts.contains_key(value)));
    (!values.is_empty()).then_some(base)
}
