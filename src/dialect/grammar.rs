//! Grammars in llguidance's Lark dialect: the parts that wire forms share.

use std::fmt::Write as _;

use serde_json::Value;

use super::schema::{self, Argument, Variant};
use super::{DialectError, Grammar, ToolSpec};

/// Up to how many arguments may come in any order: there is a rule for each set of them.
const MAX_ANY_ORDER: usize = 7;

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

    /// Adds a rule whose body may name the rule itself.
    pub(super) fn add_recursive(&mut self, name: &str, body: impl FnOnce(&str) -> String) -> String {
        self.count += 1;
        let name = format!("{name}_{}", self.count);
        let _ = writeln!(self.rules, "{name}: {}", body(&name));
        name
    }

    /// Adds a rule for `entries` (a rule each, and whether it must come) in any order, each at most once, with `separator`
    /// between two of them and `end` behind all. Where they are many, they come in their own order.
    pub(super) fn any_order(&mut self, entries: &[(String, bool)], separator: &str, end: &str) -> String {
        let count = entries.len();
        if count > MAX_ANY_ORDER {
            return self.in_order(entries, separator, end);
        }
        self.count += 1;
        let group = self.count;
        let required = (0..count).filter(|i| entries[*i].1).fold(0, |mask, i| mask | 1_usize << i);
        // A rule for each set of entries that have come.
        for mask in 0..1_usize << count {
            let between = if mask == 0 || separator.is_empty() { String::new() } else { format!("{separator} ") };
            let mut ways: Vec<String> = (0..count)
                .filter(|i| mask & 1 << i == 0)
                .map(|i| format!("{between}{} set_{group}_{}", entries[i].0, mask | 1 << i))
                .collect();
            if mask & required == required {
                ways.push(end.to_owned());
            }
            let _ = writeln!(self.rules, "set_{group}_{mask}: {}", ways.join(" | "));
        }
        format!("set_{group}_0")
    }

    fn in_order(&mut self, entries: &[(String, bool)], separator: &str, end: &str) -> String {
        // From the last to the first: what may follow when something was written before, and when nothing was.
        let (mut more, mut first) = (end.to_owned(), end.to_owned());
        for (entry, required) in entries.iter().rev() {
            let with = format!("{separator} {entry} {more}");
            let without = format!("{entry} {more}");
            let (next_more, next_first) = match required {
                true => (with, without),
                false => (format!("{with} | {more}"), format!("{without} | {first}")),
            };
            more = self.add("more", "", &next_more);
            first = self.add("first", "", &next_first);
        }
        first
    }

    /// Adds a rule for one of `ways`; without any, nothing matches.
    pub(super) fn choice(&mut self, name: &str, ways: &[String]) -> String {
        let body = if ways.is_empty() { "/[^\\s\\S]/".to_owned() } else { ways.join("\n    | ") };
        self.add(name, "", &body)
    }

    /// The grammar that begins with `start`.
    pub(super) fn whole(self, start: &str, trigger: Option<String>) -> Grammar {
        Grammar { lark: format!("start: {start}\n{}", self.rules), trigger }
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

/// The lines of a text without their ends, and the ends: what [`substring`] is made of where the last line need not be whole.
pub(super) fn chunks(text: &str) -> Vec<String> {
    let pieces = text.split_inclusive('\n').flat_map(|line| {
        let (line, end) = line.strip_suffix('\n').map_or((line, ""), |line| (line, "\n"));
        [line, end]
    });
    pieces.filter(|piece| !piece.is_empty()).map(str::to_owned).collect()
}

/// `text` within a regular expression.
pub(super) fn escape(text: &str) -> String {
    text.chars()
        .map(|c| {
            if r"\.+*?()|[]{}^$#&-~/".contains(c) {
                format!("\\{c}")
            } else if c == '\n' {
                "\\n".into()
            } else {
                c.to_string()
            }
        })
        .collect()
}

/// A JSON object of the variant's arguments, in the schema's order, written as `{"a": 1, "b": 2}`; without the white space too
/// where `compact_too`. A name of a rule.
///
/// It is spelled out rather than left to `%json` so that a value can be bound to the lines of a text.
pub(super) fn json_object(lark: &mut Lark, variant: &Variant, compact_too: bool) -> String {
    let (colon, comma) = if compact_too { ("/: ?/", "/, ?/") } else { ("\": \"", "\", \"") };
    let mut entries = Vec::new();
    for argument in &variant.arguments {
        let key = Value::from(argument.name.as_str()).to_string();
        let value = json_value(lark, argument);
        entries.push((format!("{} {colon} {value}", quote(&key)), argument.required));
    }
    let body = lark.in_order(&entries, comma, "\"}\"");
    lark.add("object", "", &format!("\"{{\" {body}"))
}

fn json_value(lark: &mut Lark, argument: &Argument) -> String {
    let Some(text) = &argument.lines_of else {
        return lark.add("value", "", &json(&argument.schema));
    };
    let escaped = chunks(text).into_iter().map(|chunk| {
        let quoted = quote(&chunk);
        quoted[1..quoted.len() - 1].to_owned()
    });
    let chunks: Vec<String> = escaped.collect();
    let body = format!("\"\\\"\" {} \"\\\"\"", substring(&chunks));
    lark.add("LINES", "", &body)
}
