//! Parsers, as properties: a call that was written is read back; pieces make no difference; nothing is lost or crashes.

use moru::dialect::Parsed;
use proptest::prelude::*;

use crate::tools::{call, dialects, own_tools, parse, pieces, tools, written};

/// Output that looks like calls, almost.
fn noise() -> impl Strategy<Value = String> {
    let part = prop::sample::select(vec![
        "<tool_call>",
        "</tool_call>",
        "<tools>",
        "{\"name\": \"read\", \"arguments\": {\"path\": \"a\"}}",
        "{\"name\": \"read\"",
        "```",
        "```json\n",
        "```tool ",
        "```tool read path=a\n",
        "```tool edit path=a\n",
        "<<<<<<< SEARCH\n",
        "=======\n",
        ">>>>>>> REPLACE\n",
        "\n",
        " ",
        "text",
        "\"",
        "}",
        "<think>",
        "</think>",
        "edit",
        "run",
        "é",
        "{'name': 'run', 'arguments': {'command': 'ls'}}",
        "[",
        "`",
        "<",
        "```run\n",
        "\\",
        ":",
        ",",
    ]);
    prop::collection::vec(part, 0..14).prop_map(|parts| parts.concat())
}

proptest! {
    #[test]
    fn a_written_call_is_read_back(call in call(), cuts in prop::collection::vec(any::<usize>(), 0..8)) {
        for dialect in dialects() {
            let text = written(dialect.as_ref(), &call);
            let cut = pieces(&text, &cuts);
            let calls: Vec<_> = parse(dialect.parser(&own_tools()), cut.iter().map(String::as_str))
                .into_iter()
                .filter(|item| !matches!(item, Parsed::Text(text) if text.trim().is_empty()))
                .collect();
            prop_assert_eq!(calls, vec![Parsed::Call(call.clone())], "{}: {}", dialect.name(), text);
        }
    }

    #[test]
    fn pieces_make_no_difference(text in prop_oneof![noise(), any::<String>()], cuts in prop::collection::vec(any::<usize>(), 0..12)) {
        for dialect in dialects() {
            let whole = parse(dialect.parser(&tools()), [text.as_str()]);
            let cut = pieces(&text, &cuts);
            prop_assert_eq!(&parse(dialect.parser(&tools()), cut.iter().map(String::as_str)), &whole, "{}: {:?}", dialect.name(), cut);
            let chars: Vec<String> = text.chars().map(String::from).collect();
            prop_assert_eq!(&parse(dialect.parser(&tools()), chars.iter().map(String::as_str)), &whole, "{}: by characters", dialect.name());
        }
    }

    #[test]
    fn nothing_is_lost(text in prop_oneof![noise(), any::<String>()]) {
        for dialect in dialects() {
            let items = parse(dialect.parser(&tools()), [text.as_str()]);
            if items.iter().any(|item| matches!(item, Parsed::Call(_) | Parsed::Reasoning(_))) || text.contains("<think>") {
                continue;
            }
            // What closes reasoning that was not opened is no text at the beginning.
            let text = text.trim_start().strip_prefix("</think>").map_or(text.clone(), str::to_owned);
            let shown: String = items
                .into_iter()
                .map(|item| match item {
                    Parsed::Text(text) | Parsed::Malformed { text, .. } => text,
                    _ => String::new(),
                })
                .collect();
            prop_assert_eq!(shown, text.clone(), "{}", dialect.name());
        }
    }
}
