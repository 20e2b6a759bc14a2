//! Grammars, compiled by llguidance and fed byte by byte.

use std::sync::Arc;

use llguidance::api::TopLevelGrammar;
use llguidance::toktrie::ApproximateTokEnv;
use llguidance::{Matcher, ParserFactory};
use moru::dialect::{Dialect, Grammar, ToolSpec};
use proptest::prelude::*;
use serde_json::{Value, json};

use crate::tools::{call, dialects, own_tools, tools, written};

/// What a grammar makes of a text.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict {
    /// It ends where the grammar may end.
    Accepted,
    /// The grammar wants more.
    Open,
    /// The byte at this place cannot be.
    Rejected(usize),
}

pub fn matcher(grammar: &Grammar) -> Matcher {
    let env = ApproximateTokEnv::single_byte_env();
    let mut factory = ParserFactory::new_simple(&env).expect("the tokenizer is fit");
    factory.quiet();
    let parser = factory.create_parser(TopLevelGrammar::from_lark(grammar.lark.clone()));
    let matcher = Matcher::new(parser);
    assert!(!matcher.is_error(), "{:?}\n{}", matcher.get_error(), &grammar.lark[..grammar.lark.len().min(4_000)]);
    matcher
}

/// Feeds `text` until the grammar is over; what follows is free.
pub fn judge(mut matcher: Matcher, text: &str) -> Verdict {
    for (at, byte) in text.bytes().enumerate() {
        if matcher.is_stopped() {
            return Verdict::Accepted;
        }
        let mask = matcher.compute_mask().expect("a mask");
        if !mask.is_allowed(u32::from(byte)) {
            return Verdict::Rejected(at);
        }
        matcher.consume_token(u32::from(byte)).expect("an allowed byte is taken");
    }
    match matcher.is_accepting().expect("the matcher works") {
        true => Verdict::Accepted,
        false => Verdict::Open,
    }
}

/// Judges what follows a dialect's trigger, and the same from the call's first byte where a call is required. In `text`,
/// `¦` stands before the first byte that cannot be, `…` at the end of what wants more; otherwise it is a whole call.
fn check(dialect: &dyn Dialect, tools: &[ToolSpec], text: &str) {
    let expected = match (text.find('¦'), text.strip_suffix('…')) {
        (Some(at), _) => Verdict::Rejected(at),
        (None, Some(_)) => Verdict::Open,
        (None, None) => Verdict::Accepted,
    };
    let text = text.replace(['¦', '…'], "");
    let opening = dialect.call_opening();
    let lazy = dialect.grammar(tools, false).expect("a grammar");
    assert_eq!(lazy.trigger.as_deref(), Some(opening));
    assert_eq!(judge(matcher(&lazy), &text), expected, "{}: {text}", dialect.name());
    let required = dialect.grammar(tools, true).expect("a grammar");
    assert_eq!(required.trigger, None);
    let expected = match expected {
        Verdict::Rejected(at) => Verdict::Rejected(at + opening.len()),
        other => other,
    };
    assert_eq!(judge(matcher(&required), &format!("{opening}{text}")), expected, "{}: {text}", dialect.name());
}

fn with_path_and_text(path: Value, old: Value) -> Vec<ToolSpec> {
    let mut tools = tools();
    let edit = tools.iter_mut().find(|tool| tool.name == "edit").expect("edit is there");
    let properties = &mut edit.parameters["properties"];
    properties["path"] = path;
    properties["old"]["x-substring-of"] = old;
    tools
}

const FILE: &str = "def f(x):\n    if x:\n        return \"a\\b\"\n\n    return é\n";

fn hermes_edit(path: &str, old: &str) -> String {
    format!(
        "\n{{\"name\": \"edit\", \"arguments\": {{\"path\": \"{path}\", \"old\": {}, \"new\": \"n\"}}}}\n</tool_call>",
        Value::from(old)
    )
}

fn fenced_edit(path: &str, old: &str) -> String {
    format!("edit path={path}\n<<<<<<< SEARCH\n{old}=======\nn\n>>>>>>> REPLACE\n```\n")
}

#[test]
fn an_invalid_call_cannot_be_written() {
    let (dialects, tools) = (dialects(), tools());
    for text in [
        "\n{\"name\": \"list\", \"arguments\": {}}\n</tool_call>",
        "\n{\"name\": \"odd\", \"arguments\": {\"level\": \"very high\"}}\n</tool_call>",
        "\n{\"name\": \"list\", \"arguments\": {\"path\": \"a\"…",
        "\n{\"name\": \"l¦ost\"",
        "\n{\"name\": \"read\", \"arguments\": {\"¦start\": 1",
        "\n{\"name\": \"read\", \"arguments\": {\"path\":¦\"a\"",
        "\n{\"name\": \"read\", \"arguments\": {\"path\": \"a\", \"start\": ¦0",
        "\n{\"name\": \"run\", \"arguments\": {\"command\": \"a¦\nb",
    ] {
        check(dialects[0].as_ref(), &tools, text);
    }
    for text in [
        "list\n```\n",
        "read path=a start=3\n```\n",
        "odd level=\"very high\"\n```\n",
        "write path=a\n# x\n```py\n1\n```\nend\n```\n",
        "write path=a\n# x\n```py\n1\n```\n…",
        "edit path=a\n<<<<<<< SEARCH\nx\n=======\n\n>>>>>>> REPLACE\n```\n",
        "edit path=a\n<<<<<<< SEARCH\nx\n=======\n>>> f()\n```\n>>>>>> 1\n>>>>>>> REPLACE\n```\n",
        "edit path=a\n<<<<<<< SEARCH\nx\n=======\ny\n>>>>>>> REPLACE\n```¦python\n",
        "edit path=a\n<<<<<<< SEARCH\nx\n=======\ny\n>>>>>>> REPLACE\n¦y\n>>>>>>> REPLACE\n```\n",
        "read path=a start=¦0",
        "l¦ost",
        "read ¦start=",
        "odd level=¦no",
        "edit path=a\n¦x",
    ] {
        check(dialects[1].as_ref(), &tools, text);
    }
}

#[test]
fn the_text_to_replace_stands_in_the_file() {
    let dialects = dialects();
    let tools = with_path_and_text(json!({"type": "string"}), json!(FILE));
    for old in [
        "    if x:\n        return \"a\\b\"",
        "\n    return é\n",
        FILE,
        "    if ¦y:",
        "¦return",
        "    if x:\n    ¦return é",
        "    return é\n¦    if x:",
        "¦",
    ] {
        check(dialects[0].as_ref(), &tools, &hermes_edit("a", old));
        let lines = if old.ends_with('\n') || old == "¦" { old.to_owned() } else { format!("{old}\n") };
        check(dialects[1].as_ref(), &tools, &fenced_edit("a", &lines));
    }
}

#[test]
fn the_text_depends_on_the_path() {
    let paths = json!({"type": "string", "enum": ["a.py", "b.py", "c c.py"]});
    let texts = json!({"property": "path", "texts": {"a.py": "one\n", "b.py": "two\n"}});
    let tools = with_path_and_text(paths, texts);
    let dialects = dialects();
    for (path, old, fits) in [
        ("a.py", "one", true),
        ("b.py", "two", true),
        ("c c.py", "free", true),
        ("a.py", "two", false),
        ("d.py", "one", false),
    ] {
        let hermes = dialects[0].grammar(&tools, false).expect("a grammar");
        let verdict = judge(matcher(&hermes), &hermes_edit(path, old));
        assert_eq!(verdict == Verdict::Accepted, fits, "{path} {old}: {verdict:?}");
        let fenced = dialects[1].grammar(&tools, false).expect("a grammar");
        let path = if path.contains(' ') { format!("\"{path}\"") } else { path.to_owned() };
        let verdict = judge(matcher(&fenced), &fenced_edit(&path, &format!("{old}\n")));
        assert_eq!(verdict == Verdict::Accepted, fits, "{path} {old}: {verdict:?}");
    }
}

#[test]
fn two_thousand_paths_and_a_long_file_are_no_problem() {
    let paths: Vec<String> = (0..2_000).map(|i| format!("src/module_{}/file_{i}.rs", i % 37)).collect();
    let file: String = (0..2_000).map(|i| format!("    let value_{i} = compute(\"{}\", {i});\n", i % 97)).collect();
    let tools = with_path_and_text(json!({"type": "string", "enum": paths}), json!(file));
    let old = "    let value_77 = compute(\"77\", 77);\n    let value_78 = compute(\"78\", 78);\n";
    let dialects = dialects();
    check(dialects[0].as_ref(), &tools, &hermes_edit("src/module_0/file_37.rs", old));
    check(dialects[1].as_ref(), &tools, &fenced_edit("src/module_0/file_37.rs", old));
    check(dialects[1].as_ref(), &tools, "read path=src/module_1/file_37.rs…");
    check(dialects[1].as_ref(), &tools, "edit path=src/module_1/file_37¦.rs");
}

#[test]
fn a_schema_that_is_none_is_refused() {
    let tool = ToolSpec { name: "x".into(), description: String::new(), parameters: json!({"type": "string"}) };
    for dialect in dialects() {
        let error = dialect.grammar(std::slice::from_ref(&tool), false).expect_err("no object").to_string();
        assert!(error.contains("`x`"), "{error}");
    }
}

proptest! {
    #[test]
    fn every_written_call_is_accepted(call in call()) {
        for dialect in dialects() {
            let text = written(dialect.as_ref(), &call);
            // llguidance wants DEL escaped in JSON, which no writer of JSON does.
            if text.contains('\u{7f}') {
                continue;
            }
            // Longer fences and markers are for texts that a grammar would end early.
            if dialect.name() == "fenced" && (text.starts_with("````") || text.contains("<<<<<<<<")) {
                continue;
            }
            let grammar = dialect.grammar(&own_tools(), false).expect("a grammar");
            let behind = text.strip_prefix(dialect.call_opening()).expect("the call opens");
            prop_assert_eq!(judge(matcher(&grammar), behind), Verdict::Accepted, "{}: {}", dialect.name(), text);
        }
    }
}

#[test]
fn a_test_environment_has_one_token_a_byte() {
    let env: Arc<_> = ApproximateTokEnv::single_byte_env();
    assert_eq!(env.tokenize("é").len(), 2);
}
