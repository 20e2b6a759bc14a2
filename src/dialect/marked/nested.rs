//! Values that are tagged in turn, where a form has tags of an argument's name: `<lines><item>1</item></lines>` is a list,
//! `<at><line>1</line></at>` an object.

use serde_json::{Map, Value};

use super::super::grammar::{self, Lark, quote};
use super::super::mark::{self, Match};
use super::super::marks::Tags;
use super::super::scan::skip_space;
use super::super::schema::{self, Argument, Type};
use super::super::typed;
use super::tags::key;

/// The name of what stands in a list.
const ITEM: &str = "item";
/// So deep at most are lists and objects taken apart.
const DEPTH: usize = 16;

/// The value that `text` stands for. `property` is the argument's schema, `is_string` what the form itself says.
pub(super) fn read(text: &str, property: Option<&Value>, is_string: Option<bool>, tags: &Tags) -> Value {
    let nested = if tags.nest() { tagged(text, property, tags, DEPTH) } else { None };
    nested.unwrap_or_else(|| typed::read(text, property, is_string, tags.python))
}

/// Whether a schema takes lists or objects, and no text.
pub(super) fn is_nested(property: &Value) -> bool {
    let types = schema::types(property).unwrap_or_default();
    types.iter().any(|kind| matches!(kind, Type::Array | Type::Object))
        && !schema::takes(property, &Value::from("text"))
}

/// A list or an object; `None` where the text is none.
fn tagged(text: &str, property: Option<&Value>, tags: &Tags, depth: usize) -> Option<Value> {
    let is = |wanted: Type| property.and_then(schema::types).is_some_and(|types| types.contains(&wanted));
    if depth == 0 || property.is_some_and(|property| schema::takes(property, &Value::from(text))) {
        return None;
    }
    let text = text.trim();
    if text.is_empty() {
        return if is(Type::Array) {
            Some(Value::Array(Vec::new()))
        } else {
            is(Type::Object).then(|| Map::new().into())
        };
    }
    let (mut at, mut entries) = (0, Vec::new());
    while at < text.len() {
        let Match::Full(open) = mark::at(&text[at..], &tags.open) else { return None };
        let (key, _, begin) = key(text, at + open, tags).ok()?;
        let end = begin + closing(&text[begin..], key, tags)?;
        let schema = property.and_then(|property| match key == ITEM && is(Type::Array) {
            true => property.get("items"),
            false => property.get("properties")?.get(key),
        });
        let value = &text[begin..end];
        let value =
            tagged(value, schema, tags, depth - 1).unwrap_or_else(|| typed::read(value, schema, None, tags.python));
        entries.push((key, value));
        at = skip_space(text, end + tags.close_of(key).len());
    }
    let is_list = is(Type::Array) || !is(Type::Object) && entries.iter().all(|(key, _)| *key == ITEM);
    Some(match is_list {
        true => entries.into_iter().map(|(_, value)| value).collect(),
        false => entries.into_iter().map(|(key, value)| (key.to_owned(), value)).collect::<Map<_, _>>().into(),
    })
}

/// Where the value of `key` at the start of the text ends, which may hold others of that name.
pub(super) fn closing(text: &str, key: &str, tags: &Tags) -> Option<usize> {
    let (open, close) = (format!("{}{key}{}", tags.open, tags.key_end), tags.close_of(key));
    let (mut inside, mut at) = (0, 0);
    loop {
        let end = at + text[at..].find(&*close)?;
        inside += text[at..end].matches(&open).count();
        if inside == 0 {
            return Some(end);
        }
        inside -= 1;
        at = end + close.len();
    }
}

/// The rule for a value of this schema and for `end` behind it.
pub(super) fn rule(lark: &mut Lark, argument: &Argument, end: &str, tags: &Tags) -> String {
    if !tags.nest() || argument.lines_of.is_some() {
        return typed::rule(lark, argument, end, tags.python);
    }
    nested_rule(lark, argument, end, tags, DEPTH)
}

fn nested_rule(lark: &mut Lark, argument: &Argument, end: &str, tags: &Tags, depth: usize) -> String {
    let schema = &argument.schema;
    let types = schema::types(schema).unwrap_or_default();
    let inside: Vec<(&str, &Value)> = match () {
        () if !is_nested(schema) => return typed::rule(lark, argument, end, tags.python),
        () if depth == 0 => Vec::new(),
        () if types.contains(&Type::Array) => schema.get("items").map(|items| (ITEM, items)).into_iter().collect(),
        () => {
            let properties = schema.get("properties").and_then(Value::as_object).into_iter().flatten();
            properties.map(|(name, schema)| (name.as_str(), schema)).collect()
        }
    };
    if inside.is_empty() {
        // Of what is inside nothing is known.
        return lark.add("text", "[lazy]", &format!("/(?s:.*){}/", grammar::escape(end)));
    }
    let mut entries = Vec::new();
    for (name, schema) in inside {
        let argument = Argument { name: name.into(), required: true, schema: schema.clone(), lines_of: None };
        let value = nested_rule(lark, &argument, &tags.close_of(name), tags, depth - 1);
        let open = quote(&format!("{}{name}{}", tags.open, tags.key_end));
        entries.push(lark.add("inside", "", &format!("{open} {value}")));
    }
    // Or JSON, as in forms that do not tag what is inside.
    let json = typed::rule(lark, argument, end, tags.python);
    format!("(({})* {} | {json})", entries.join(" | "), quote(end))
}
