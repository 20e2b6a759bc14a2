//! The grammar of calls between marks.

use serde_json::Value;

use super::super::grammar::{self, Lark, quote};
use super::super::literal::{self, Style};
use super::super::mark;
use super::super::marks::{Arguments, CDATA, Key, Keys, Marks, Tags, Types};
use super::super::schema::{self, Argument, Variant};
use super::super::{DialectError, Grammar, ToolSpec};
use super::nested;

/// The grammar of one call, or of a list of them where the form has lists.
pub(super) fn grammar(marks: &Marks, tools: &[ToolSpec], required: bool) -> Result<Grammar, DialectError> {
    let mut lark = Lark::default();
    let variants = grammar::variants(tools)?;
    let calls: Vec<String> = variants.iter().map(|variant| call(&mut lark, marks, variant)).collect();
    let trigger = marks.trigger();
    let call = lark.choice("one", &calls);
    let begin =
        if marks.in_list() || required { format!("{}{}", marks.section.0, marks.open) } else { marks.open.clone() };
    let text = begin.trim_start();
    // Behind the trigger, or the whole where a call is demanded. The call's first rule brings what stands in the JSON.
    let begin = match (marks.begins_in_json(), required) {
        // Some put the call into a list.
        (true, true) => format!("\"[\"? {}", quote(&trigger)),
        (true, false) => String::new(),
        (false, true) if text.len() < begin.len() => space_free(&begin),
        (false, true) => mark::lark(text),
        (false, false) => mark::lark(text.strip_prefix(trigger.as_str()).unwrap_or_default()),
    };
    let body = match marks.in_list() {
        true => {
            let between = space_free(&marks.between);
            format!("{call} ({between} {call})* {}", space_free(&marks.section.1))
        }
        // Some templates leave out what closes all calls.
        false if required && marks.begins_in_json() => format!("{call} \"]\"?"),
        false if required && !marks.section.1.trim().is_empty() => {
            format!("{call} ({})?", space_free(&marks.section.1))
        }
        false => call,
    };
    let recipient = marks.recipient.as_ref().filter(|_| required);
    let recipient = recipient.map_or(String::new(), |mark| format!("(/\\s?/ {} /\\s?/)?", mark::lark(mark)));
    Ok(lark.whole(&format!("{recipient} {begin} {body}"), (!required).then_some(trigger)))
}

/// A mark whose white space at the start may be missing or other than in the template.
fn space_free(mark: &str) -> String {
    match mark.trim_start() {
        "" => mark::lark(mark),
        text => format!("/\\s{{1,2}}/? {}", mark::lark(text)),
    }
}

/// A call from its name to its closing mark.
fn call(lark: &mut Lark, marks: &Marks, variant: &Variant) -> String {
    let name = quote(&variant.name);
    let head = format!("{name} {}", mark::lark(&marks.name_end));
    let close = space_free(&marks.close);
    let body = match &marks.arguments {
        Arguments::Json => format!("{head} {} {close}", grammar::json_object(lark, variant, true)),
        Arguments::Whole(keys) => whole(lark, marks, keys, variant),
        Arguments::Tags(tags) => {
            let entries: Vec<_> =
                variant.arguments.iter().map(|argument| (tagged(lark, tags, argument), argument.required)).collect();
            format!("{head} {}", lark.any_order(&entries, "", &close))
        }
        Arguments::Python => {
            let entries = named(lark, variant, "=", Style::Python);
            format!("{head} {}", lark.any_order(&entries, "/, ?/", &close))
        }
        Arguments::Gemma => {
            let entries = named(lark, variant, ":", Style::Gemma);
            format!("{head} {}", lark.any_order(&entries, "/, ?/", &close))
        }
    };
    lark.add("call", "", &body)
}

/// A call that is a JSON object.
fn whole(lark: &mut Lark, marks: &Marks, keys: &Keys, variant: &Variant) -> String {
    let arguments = grammar::json_object(lark, variant, true);
    let name = Value::from(variant.name.as_str()).to_string();
    let close = space_free(&marks.close);
    let Keys::Named(keys) = keys else {
        let rest = name.strip_prefix('"').unwrap_or(&name);
        return match marks.begins_in_json() {
            true => format!("{} /: ?/ {arguments} \"}}\" {close}", quote(rest)),
            false => format!("\"{{\" {} /: ?/ {arguments} \"}}\" {close}", quote(&name)),
        };
    };
    let mut parts = Vec::new();
    let mut separator = String::new();
    for (index, key) in keys.iter().enumerate() {
        let (key, value, optional) = match key {
            // The trigger of a form without marks ends inside of the name's quotes.
            Key::Name(_) if index == 0 && marks.begins_in_json() => {
                parts.push(quote(name.strip_prefix('"').unwrap_or(&name)));
                separator = "/, ?/ ".into();
                continue;
            }
            Key::Name(key) => (key, quote(&name), false),
            Key::Arguments(key) => (key, arguments.clone(), false),
            Key::Id(key) => (key, r#"/"[A-Za-z0-9_-]*"/"#.to_owned(), true),
        };
        let pair = format!("{} /: ?/ {value}", quote(&Value::from(key.as_str()).to_string()));
        match (optional, index) {
            (true, 0) => parts.push(format!("({pair} /,\\s*/)?")),
            (true, _) => parts.push(format!("({separator}{pair})?")),
            (false, _) => {
                parts.push(format!("{separator}{pair}"));
                separator = "/,\\s?/ ".into();
            }
        }
    }
    let open = if marks.begins_in_json() { "" } else { "\"{\" " };
    format!("{open}{} \"}}\" {close}", parts.join(" "))
}

/// One tagged argument, from its opening tag to its closing one.
fn tagged(lark: &mut Lark, tags: &Tags, argument: &Argument) -> String {
    let end = format!("{}{}", tags.pad.1, tags.close_of(&argument.name));
    let head = format!("{} {} {}", mark::lark(&tags.open), quote(&argument.name), mark::lark(&tags.key_end));
    let behind = mark::lark(&tags.between);
    let mut value = nested::rule(lark, argument, &end, tags);
    if tags.cdata && argument.lines_of.is_some() {
        let quoted = nested::rule(lark, argument, &format!("{}{end}", CDATA.1), tags);
        value = format!("({value} | {} {quoted})", quote(CDATA.0));
    }
    let Some((types, mark)) = &tags.typed else {
        let body = format!("{head} {} {value} {behind}", mark::lark(&tags.pad.0));
        return lark.add("argument", "", &body);
    };
    let is_text = schema::takes(&argument.schema, &Value::from("text"))
        || schema::is_string(&argument.schema)
        || argument.lines_of.is_some();
    let words = match (types, is_text) {
        (Types::IsString, true) => "\"true\"",
        (Types::IsString, false) => "\"false\"",
        (Types::Names, true) => "\"string\"",
        (Types::Names, false) => r#"("number" | "boolean" | "null" | "object" | "array")"#,
    };
    let body = format!("{head} {words} {} {} {value} {behind}", mark::lark(mark), mark::lark(&tags.pad.0));
    lark.add("argument", "", &body)
}

/// `name=value` for each argument.
fn named(lark: &mut Lark, variant: &Variant, is: &str, style: Style) -> Vec<(String, bool)> {
    let mut entries = Vec::new();
    for argument in &variant.arguments {
        let value = match &argument.lines_of {
            Some(text) => lines(lark, text, style),
            None => literal::rule(lark, &argument.schema, style),
        };
        let entry = lark.add("argument", "", &format!("{} {value}", quote(&format!("{}{is}", argument.name))));
        entries.push((entry, argument.required));
    }
    entries
}

/// A string that consists of lines of `text`.
fn lines(lark: &mut Lark, text: &str, style: Style) -> String {
    let chunks = grammar::chunks(text).into_iter();
    let (quotes, chunks): (_, Vec<String>) = match style {
        Style::Gemma => (super::super::gemma::QUOTE, chunks.collect()),
        Style::Python => ("\"", chunks.map(|chunk| quote(&chunk)).map(|c| c[1..c.len() - 1].to_owned()).collect()),
    };
    let body = format!("{} {} {}", quote(quotes), grammar::substring(&chunks), quote(quotes));
    lark.add("LINES", "", &body)
}
