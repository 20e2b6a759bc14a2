//! Writes calls between marks, for templates that do not.

use serde_json::{Map, Value, json};

use super::super::mark;
use super::super::marks::{Arguments, Key, Keys, Marks, Tags, Types};
use super::super::schema::{self, Type};
use super::super::{Call, Message, ToolSpec, gemma, json_calls, python};

/// An assistant's text with its calls behind it.
pub(super) fn assistant(marks: &Marks, message: &Message) -> String {
    let text = message.content.trim_end();
    match message.calls.as_slice() {
        [] => message.content.clone(),
        calls if text.is_empty() => self::calls(marks, calls),
        calls => format!("{text}\n{}", self::calls(marks, calls)),
    }
}

/// What the system message says of the tools, where the template does not teach the form.
pub(super) fn manual(marks: &Marks, tools: &[ToolSpec]) -> String {
    let Some(first) = tools.first() else { return String::new() };
    let described = tools.iter().map(|tool| {
        let parameters = schema::for_prompt(&tool.parameters);
        let tool = json!({"name": tool.name, "description": tool.description, "parameters": parameters});
        json_calls::write(&tool)
    });
    let tools = described.collect::<Vec<_>>().join("\n");
    let example = calls(marks, &[example(first)]);
    format!(
        "# Tools\n\nYou can call these tools:\n\n{tools}\n\nTo call a tool, write the call exactly in this form, and wait for its result:\n\n{}",
        example.trim_start()
    )
}

/// A call with all arguments that `tool` demands. Placeholders in brackets would be copied by small models.
fn example(tool: &ToolSpec) -> Call {
    let mut arguments = Map::new();
    for (name, property) in schema::properties(tool).filter(|(name, _)| schema::is_required(tool, name)) {
        let kind = schema::types(property).and_then(|types| types.first().copied());
        let value = match kind {
            Some(Type::Integer | Type::Number) => json!(1),
            Some(Type::Boolean) => json!(true),
            Some(Type::Null) => Value::Null,
            Some(Type::Array) => json!([]),
            Some(Type::Object) => json!({}),
            Some(Type::String) | None => json!(format!("the {name}")),
        };
        arguments.insert(name.to_owned(), value);
    }
    Call { id: String::new(), name: tool.name.clone(), arguments }
}

/// The calls of one message.
pub(super) fn calls(marks: &Marks, calls: &[Call]) -> String {
    let calls: Vec<String> = calls.iter().enumerate().map(|(index, call)| one(marks, call, index)).collect();
    mark::plain(&format!("{}{}{}", marks.section.0, calls.join(&marks.between), marks.section.1))
}

fn one(marks: &Marks, call: &Call, index: usize) -> String {
    let arguments = Value::Object(call.arguments.clone());
    let name_end = marks.name_end.replace(":0", &format!(":{index}"));
    let head = format!("{}{}{name_end}", marks.open, call.name);
    let body = match &marks.arguments {
        Arguments::Json => json_calls::write(&arguments),
        Arguments::Whole(keys) => return format!("{}{}{}", marks.open, whole(keys, call, &arguments), marks.close),
        Arguments::Tags(tags) => call.arguments.iter().map(|(key, value)| tagged(tags, key, value)).collect(),
        Arguments::Python => pairs(call, |key, value| format!("{key}={}", python::write(value))).join(", "),
        Arguments::Gemma => pairs(call, |key, value| format!("{key}:{}", gemma::write(value))).join(","),
    };
    format!("{head}{body}{}", marks.close)
}

fn pairs(call: &Call, write: impl Fn(&str, &Value) -> String) -> Vec<String> {
    call.arguments.iter().map(|(key, value)| write(key, value)).collect()
}

fn whole(keys: &Keys, call: &Call, arguments: &Value) -> String {
    let text = |text: &str| Value::from(text).to_string();
    let Keys::Named(keys) = keys else {
        return format!("{{{}: {}}}", text(&call.name), json_calls::write(arguments));
    };
    let pair = |key: &Key| match key {
        Key::Name(key) => format!("{}: {}", text(key), text(&call.name)),
        Key::Arguments(key) => format!("{}: {}", text(key), json_calls::write(arguments)),
        Key::Id(key) => format!("{}: {}", text(key), text(&call.id)),
    };
    format!("{{{}}}", keys.iter().map(pair).collect::<Vec<_>>().join(", "))
}

fn tagged(tags: &Tags, key: &str, value: &Value) -> String {
    let kind = match (&tags.typed, value) {
        (None, _) => String::new(),
        (Some((Types::IsString, end)), value) => format!("{}{end}", value.is_string()),
        (Some((Types::Names, end)), value) => format!("{}{end}", name_of_type(value)),
    };
    let value = match value {
        Value::String(text) => text.clone(),
        value if tags.python => python::write(value),
        value => json_calls::write(value),
    };
    let (head, close) = (format!("{}{key}{}{kind}", tags.open, tags.key_end), tags.close_of(key));
    format!("{head}{}{value}{}{close}{}", tags.pad.0, tags.pad.1, tags.between)
}

fn name_of_type(value: &Value) -> &'static str {
    match value {
        Value::Null => "null",
        Value::Bool(_) => "boolean",
        Value::Number(_) => "number",
        Value::String(_) => "string",
        Value::Array(_) => "array",
        Value::Object(_) => "object",
    }
}
