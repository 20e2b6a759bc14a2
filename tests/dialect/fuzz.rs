//! Parsers, repairs and the renderer, fed with anything: they end, do not crash, and lose nothing. Short here; a long run is
//! `MORU_FUZZ_SECONDS=600 cargo test --release --test dialect fuzz -- --nocapture`.

use std::time::{Duration, Instant};

use moru::dialect::template::Template;
use moru::dialect::{Dialect, Parsed, RenderOptions, for_template};
use proptest::prelude::*;
use proptest::strategy::ValueTree;
use proptest::test_runner::TestRunner;
use serde_json::json;

use crate::families::{dialects, fragments};
use crate::tools::{parse, pieces, tools};

const CASES: usize = 60;

/// Runs `check` on values of `strategy`: a few, or for as long as the environment says.
fn run<S: Strategy>(name: &str, strategy: S, check: impl Fn(S::Value)) {
    let seconds = std::env::var("MORU_FUZZ_SECONDS").ok().and_then(|text| text.parse().ok());
    let until = seconds.map(|seconds| Instant::now() + Duration::from_secs(seconds));
    let mut runner = TestRunner::default();
    let mut cases = 0;
    while cases < CASES || until.is_some_and(|until| Instant::now() < until) {
        check(strategy.new_tree(&mut runner).expect("a value").current());
        cases += 1;
    }
    eprintln!("{name}: {cases} cases");
}

/// Outputs: bytes, characters, and parts of calls in all forms.
fn outputs() -> impl Strategy<Value = String> {
    let part = prop_oneof![
        6 => prop::sample::select(fragments()),
        1 => any::<String>(),
        1 => prop::collection::vec(any::<u8>(), 0..24).prop_map(|bytes| String::from_utf8_lossy(&bytes).into_owned()),
        1 => "[\\[\\]{}(),:='\"<>|/\\\\ \n]{0,12}",
    ];
    prop::collection::vec(part, 0..20).prop_map(|parts| parts.concat())
}

/// The text without anything in angle or square brackets: marks carry no text and need not be shown.
fn without_marks(text: &str) -> String {
    let mut out = String::new();
    let mut depth = 0_usize;
    for c in text.chars() {
        match c {
            '<' | '[' => depth += 1,
            '>' | ']' => depth = depth.saturating_sub(1),
            c if depth == 0 && !c.is_whitespace() => out.push(c),
            _ => {}
        }
    }
    out
}

/// The text without what may be the header of a gpt-oss message, which is words and marks up to `<|message|>`: its words are no
/// text.
fn without_headers(text: &str) -> String {
    let of_word = |c: char| c.is_alphanumeric() || c.is_whitespace() || "_-.=/".contains(c);
    let (mut out, mut parts) = (String::new(), text.split("<|message|>").peekable());
    while let Some(mut part) = parts.next() {
        // Behind the last one comes no body.
        while parts.peek().is_some() {
            let words = part.trim_end_matches(of_word);
            let marks = ["<|start|>", "<|channel|>", "<|constrain|>"];
            let before = marks.iter().find_map(|mark| words.strip_suffix(mark));
            match before.unwrap_or(words) {
                shorter if shorter.len() == part.len() => break,
                shorter => part = shorter,
            }
        }
        out.push_str(part);
    }
    out
}

/// The text without Kimi K3's marks that hold a word: `<|open|>response<|sep|>`.
fn without_words_in_marks(text: &str) -> String {
    let words = ["response", "message", "tools", "think"];
    let marks = words.iter().flat_map(|word| ["open", "close"].map(|side| format!("<|{side}|>{word}<|sep|>")));
    marks.fold(text.to_owned(), |text, mark| text.replace(&mark, ""))
}

fn nothing_is_lost(name: &str, items: &[Parsed], text: &str) {
    if items.iter().any(|item| matches!(item, Parsed::Call(_))) {
        return;
    }
    let shown: String = items
        .iter()
        .map(|item| match item {
            Parsed::Text(text) | Parsed::Reasoning(text) | Parsed::Malformed { text, .. } => text.as_str(),
            Parsed::Call(_) => "",
        })
        .collect();
    // Unbalanced brackets hide text from the comparison, on both sides alike or on neither.
    if text.matches('<').count() == text.matches('>').count() {
        let (shown, visible) = (shown.len(), without_marks(text).len());
        assert!(shown >= visible, "{name}: {items:?} of {text:?}");
    }
}

#[test]
fn fuzz_parsers() {
    run("parsers", (outputs(), prop::collection::vec(any::<usize>(), 0..6)), |(text, cuts)| {
        for (name, dialect) in dialects() {
            let whole = parse(dialect.parser(&tools()), [text.as_str()]);
            let cut = pieces(&text, &cuts);
            assert_eq!(parse(dialect.parser(&tools()), cut.iter().map(String::as_str)), whole, "{name}: {cut:?}");
            let chars: Vec<String> = text.chars().map(String::from).collect();
            assert_eq!(parse(dialect.parser(&tools()), chars.iter().map(String::as_str)), whole, "{name}: {text:?}");
            match dialect.name() {
                "harmony" => nothing_is_lost(name, &whole, &without_headers(&text)),
                "kimi-k3" => nothing_is_lost(name, &whole, &without_words_in_marks(&text)),
                _ => nothing_is_lost(name, &whole, &text),
            }
            let mut parser = dialect.parser(&tools());
            for piece in &cut {
                parser.push(piece);
                let _ = parser.unfinished();
            }
        }
    });
}

#[test]
fn fuzz_repairs() {
    let dialect = for_template("", Some("hermes")).expect("a dialect");
    let part = prop::sample::select(vec![
        "{",
        "}",
        "[",
        "]",
        "\"",
        "'",
        ":",
        ",",
        "name",
        "arguments",
        "read",
        "path",
        "\\",
        "\\u00e9",
        "\\ud83d",
        "True",
        "null",
        "-",
        "1e5",
        "\n",
        "```",
        "```json\n",
        "<tool_call>",
        "</tool_call>",
        "{\"name\": \"read\", \"arguments\": {\"path\": \"a\"}}",
        "é",
        " ",
        "edit",
        "\"\"\"",
    ]);
    run("repairs", prop::collection::vec(part, 0..30), |parts| {
        let text = parts.concat();
        let whole = parse(dialect.parser(&tools()), [text.as_str()]);
        let chars: Vec<String> = text.chars().map(String::from).collect();
        assert_eq!(parse(dialect.parser(&tools()), chars.iter().map(String::as_str)), whole, "{text:?}");
        nothing_is_lost("hermes", &whole, &text);
    });
}

#[test]
fn fuzz_templates() {
    let part = prop::sample::select(vec![
        "{{ ",
        " }}",
        "{% ",
        " %}",
        "{%- ",
        " -%}",
        "{# ",
        " #}",
        "for x in messages",
        "for k, v in c.items()",
        "endfor",
        "if x",
        "elif",
        "else",
        "endif",
        "set y = ",
        "set ns.a = ",
        "macro f(a)",
        "endmacro",
        "call f(1)",
        "endcall",
        "f(",
        ")",
        "[",
        "]",
        "{",
        "}",
        "'a'",
        "\"",
        "~",
        "|tojson",
        "|join",
        "|length",
        "|list",
        "|map(attribute='x')",
        ".append(",
        ".split('a')",
        ".items()",
        "namespace(a=1)",
        "range(99999)",
        "x",
        "y",
        "messages",
        "tools",
        "message.content",
        "tool_calls",
        "raw",
        "endraw",
        "generation",
        "is",
        "not",
        "in",
        "-",
        "+",
        "* 9999",
        "1",
        ",",
        "=",
        "\n",
        "é",
        "\\",
        "loop.index",
        "raise_exception('x')",
        "strftime_now('%Y')",
        "break",
        "continue",
        "[-1]",
        "[1:]",
        "[::-1]",
    ]);
    let source = prop_oneof![
        8 => (prop::collection::vec(part, 0..30), any::<bool>()).prop_map(|(parts, spaced)| parts.join(if spaced { " " } else { "" })),
        1 => any::<String>(),
    ];
    run("templates", source, |source| {
        let messages =
            [json!({"role": "user", "content": "hi"}), json!({"role": "assistant", "content": "é", "tool_calls": []})];
        if let Ok(template) = Template::new(&source) {
            let _ = template.render_json(&messages, None, &RenderOptions::default());
        }
        // Detection renders more, and takes apart whatever comes out.
        if let Ok(dialect) = for_template(&source, None) {
            let _ = dialect.grammar(&tools(), false).map(|grammar| grammar.check());
        }
    });
}

/// A template that writes anything around a call's name and arguments.
#[test]
fn fuzz_marks() {
    let mark = prop_oneof![
        "[<>|\\[\\]{}()=:\"'a-z \n/]{0,10}",
        prop::sample::select(fragments()).prop_map(|text| text.replace(['{', '%', '#'], ""))
    ];
    run("marks", prop::collection::vec(mark, 8), |marks| {
        let quote = |text: &str| format!("{{{{ {} }}}}", json!(text));
        let marks: Vec<String> = marks.iter().map(|mark| quote(mark)).collect();
        let json = format!("{}{{{{ c.name }}}}{}{{{{ c.arguments|tojson }}}}{}", marks[0], marks[1], marks[2]);
        let tags = format!(
            "{}{{{{ c.name }}}}{}{{% for k, v in c.arguments.items() %}}{}{{{{ k }}}}{}{{{{ v }}}}{}{{% endfor %}}{}",
            marks[0], marks[1], marks[2], marks[3], marks[4], marks[5]
        );
        for calls in [json, tags] {
            let source = format!(
                "{{% for m in messages %}}<|im_start|>{{{{ m.role }}}}\n{{{{ m.content }}}}{}{{% for t in m.tool_calls or [] %}}{{% set c = t.function %}}{calls}{{% endfor %}}{}<|im_end|>\n{{% endfor %}}",
                marks[6], marks[7]
            );
            let Ok(dialect) = for_template(&source, None) else { continue };
            check_form(dialect.as_ref());
        }
    });
}

/// Whatever form was found: its grammar compiles, and its parser reads without a crash.
fn check_form(dialect: &dyn Dialect) {
    for required in [false, true] {
        let grammar = dialect.grammar(&tools(), required).expect("a grammar");
        grammar.check().unwrap_or_else(|error| panic!("{} {error}\n{}", dialect.name(), grammar.lark));
    }
    let text = format!("a{}read b <c> {{\"path\": \"x\"}} </c>", dialect.call_opening());
    let whole = parse(dialect.parser(&tools()), [text.as_str()]);
    let chars: Vec<String> = text.chars().map(String::from).collect();
    assert_eq!(
        parse(dialect.parser(&tools()), chars.iter().map(String::as_str)),
        whole,
        "{}: {text:?}",
        dialect.name()
    );
}
