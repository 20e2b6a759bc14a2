//! Grammars in llguidance's Lark dialect: the parts that wire forms share.

use std::fmt::Write as _;

use serde_json::Value;

use super::schema::{self, Argument, Variant};
use super::{DialectError, Grammar, ToolSpec};

/// A grammar under construction: rules that wire forms add and refer to by name.
#[derive(Debug, Default)]
pub(super) struct Lark {
    rules: String,
    count: usize,
}

impl Lark {
    /// Adds the rule `name: body` under a name that is free and returns the name. A name in capitals makes it a terminal: one
    /// regular expression, read without regard to where its parts end.
    pub(super) fn add(&mut self, name: &str, attributes: &str, body: &str) -> String {
        self.count += 1;
        let name = format!("{name}_{}", self.count);
        // Writing to a string cannot fail.
        let _ = writeln!(self.rules, "{name}{attributes}: {body}");
        name
    }

    /// The whole grammar of a call that opens with `opening` and goes on with one of `calls`.
    pub(super) fn finish(self, calls: &[String], opening: &str, required: bool) -> Grammar {
        let calls = if calls.is_empty() { "/[^\\s\\S]/".to_owned() } else { calls.join("\n    | ") };
        let opens = if required { format!("{} ", quote(opening)) } else { String::new() };
        Grammar {
            lark: format!("start: {opens}call\ncall: {calls}\n{}", self.rules),
            trigger: (!required).then(|| opening.to_owned()),
        }
    }
}

/// Every way of calling one of `tools`.
///
/// # Errors
/// A tool's arguments are not described by an object schema.
pub(super) fn variants(tools: &[ToolSpec]) -> Result<Vec<Variant>, DialectError> {
    let wrong = |tool: &ToolSpec, reason: &str| DialectError::Schema { tool: tool.name.clone(), reason: reason.into() };
    for tool in tools {
        let schema = tool.parameters.as_object().ok_or_else(|| wrong(tool, "their schema is no object"))?;
        if schema.get("type").is_some_and(|name| name != "object") {
            return Err(wrong(tool, "their schema is not of type `object`"));
        }
        if schema.get("properties").is_some_and(|properties| !properties.is_object()) {
            return Err(wrong(tool, "`properties` is no object"));
        }
    }
    Ok(tools.iter().flat_map(schema::variants).collect())
}

/// `text` as a literal.
pub(super) fn quote(text: &str) -> String {
    Value::from(text).to_string()
}

/// One of `texts`, as a terminal's body.
pub(super) fn one_of<'a>(texts: impl IntoIterator<Item = &'a str>) -> String {
    texts.into_iter().map(quote).collect::<Vec<_>>().join(" | ")
}

/// Whatever `schema` allows, as JSON.
pub(super) fn json(schema: &Value) -> String {
    format!("%json {}", schema::for_grammar(schema))
}

/// A regular expression's part that matches some of `chunks`, one after the other, at least one.
pub(super) fn substring(chunks: &[String]) -> String {
    let chunks = Value::from(chunks);
    format!("(%regex {{ \"substring_chunks\": {chunks} }} & /(?s:.+)/)")
}

/// A JSON object of the variant's arguments, in the schema's order, written as `{"a": 1, "b": 2}`: a name of a rule.
///
/// It is spelled out rather than left to `%json` so that a value can be bound to the lines of a text.
pub(super) fn json_object(lark: &mut Lark, variant: &Variant) -> String {
    let arguments = &variant.arguments;
    // From the last argument to the first: what may follow when something was written before, and when nothing was.
    let (mut more, mut first) = (quote("}"), quote("}"));
    for argument in arguments.iter().rev() {
        let key = Value::from(argument.name.as_str());
        let value = json_value(lark, argument);
        let with_comma = format!("{} {value} {more}", quote(&format!(", {key}: ")));
        let without = format!("{} {value} {more}", quote(&format!("{key}: ")));
        let (next_more, next_first) = match argument.required {
            true => (with_comma, without),
            false => (format!("{with_comma} | {more}"), format!("{without} | {first}")),
        };
        more = lark.add("more", "", &next_more);
        first = lark.add("first", "", &next_first);
    }
    lark.add("object", "", &format!("{} {first}", quote("{")))
}

fn json_value(lark: &mut Lark, argument: &Argument) -> String {
    let Some(text) = &argument.lines_of else {
        return lark.add("value", "", &json(&argument.schema));
    };
    let mut chunks = Vec::new();
    for line in text.split_inclusive('\n') {
        let (line, end) = line.strip_suffix('\n').map_or((line, ""), |line| (line, "\\n"));
        let escaped = quote(line);
        chunks.extend(
            [&escaped[1..escaped.len() - 1], end].into_iter().filter(|chunk| !chunk.is_empty()).map(str::to_owned),
        );
    }
    let body = format!("\"\\\"\" {} \"\\\"\"", substring(&chunks));
    lark.add("LINES", "", &body)
}
