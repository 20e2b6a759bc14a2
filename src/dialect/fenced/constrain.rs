//! The grammar of one call, from behind `tool `.

use serde_json::Value;

use super::super::grammar::{self, Lark, quote};
use super::super::schema::{self, Argument, Variant};
use super::{body, write};

/// A line that neither opens nor closes a fence.
const PLAIN: &str = r"`{0,2}([^`\n][^\n]*)?\n";
/// A line that opens a fence within the body.
const OPENER: &str = r"`{3,}[ \t]*[^`\s][^\n]*\n";
/// A line that is no marker of a new text's end: behind one nothing may come but the block's end.
const UNMARKED: &str = r">{0,6}([^>\n][^\n]*)?\n";
/// What is written without quotes; see `write::is_bare`.
const BARE: &str = r#"/[^\s\x00-\x1f\x7f-\x9f"'`=]+/"#;
const QUOTED: &str = r#"/"([^"\\\x00-\x1f]|\\(["\\bfnrt]|u[0-9a-f]{4}))*"/"#;

/// The alternative for one variant of a tool.
pub(super) fn call(lark: &mut Lark, variant: &Variant) -> String {
    let properties = variant.arguments.iter().map(|argument| (argument.name.as_str(), &argument.schema));
    let long = body(properties);
    let argument = |name: &str| variant.arguments.iter().find(|argument| argument.name == name);

    let mut parts = vec![quote(&variant.name)];
    for short in variant.arguments.iter().filter(|argument| long.iter().all(|l| l.name != argument.name)) {
        let value = value(lark, short);
        let part = format!("{} {value}", quote(&format!(" {}=", short.name)));
        parts.push(if short.required { part } else { format!("({part})?") });
    }
    parts.push(quote("\n"));
    match long.as_slice() {
        [] => parts.push(quote("```\n")),
        [only] => {
            let inner = format!("{OPENER}(({PLAIN})|({OPENER}))*`{{3,}}[ \\t]*\\n");
            let free = format!("/(({PLAIN})|({inner}))*```\\n/");
            parts.push(section(lark, argument(&only.name), &free, "```\n"));
        }
        [old, new, ..] => {
            let until = |end: &str| format!("/((?s:.)*\\n)?{end}/");
            parts.push(quote(&format!("<<<<<<< {}\n", old.label)));
            parts.push(section(lark, argument(&old.name), &until("=======\\n"), "=======\n"));
            let end = format!(">>>>>>> {}\n```\n", new.label);
            let free = format!("/({UNMARKED})*/ {}", quote(&end));
            parts.push(section(lark, argument(&new.name), &free, &end));
        }
    }
    parts.join(" ")
}

/// A long text and what ends it: `free`, or lines of the text that it is bound to. It ends with the first end there is.
fn section(lark: &mut Lark, argument: Option<&Argument>, free: &str, end: &str) -> String {
    let Some(text) = argument.and_then(|argument| argument.lines_of.as_deref()) else {
        return lark.add("section", "[lazy]", free);
    };
    let chunks: Vec<String> = text
        .split_inclusive('\n')
        .map(|line| if line.ends_with('\n') { line.to_owned() } else { format!("{line}\n") })
        .collect();
    lark.add("lines", "[lazy]", &format!("{} {}", grammar::substring(&chunks), quote(end)))
}

/// The value of a short argument.
fn value(lark: &mut Lark, argument: &Argument) -> String {
    let schema = &argument.schema;
    let values = schema.get("enum").and_then(Value::as_array);
    if let Some(values) = values.filter(|_| schema::is_string(schema)) {
        let texts: Vec<String> = values.iter().map(|value| write::short(schema, value)).collect();
        return lark.add("CHOICE", "", &grammar::one_of(texts.iter().map(String::as_str)));
    }
    match schema::is_string(schema) {
        true => lark.add("STRING", "", &format!("{BARE} | {QUOTED}")),
        false => lark.add("value", "", &grammar::json(schema)),
    }
}
