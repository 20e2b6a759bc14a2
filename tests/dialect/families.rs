//! Every wire form, as properties: it is found by what its template writes, a call that was written is read back and fits the
//! grammar, and what is no call does not.

use std::sync::LazyLock;

use moru::dialect::{Answer, Call, Dialect, Parsed, Prompt, ToolSpec, Trigger, for_template};
use proptest::prelude::*;
use serde_json::json;

use crate::constraint::{Verdict, judge, matcher};
use crate::tools::{HERMES, call, own_tools, parse, pieces, tools, written};
use crate::{templates, vectors};

/// All forms: on small templates, and on the families' own where these are at hand.
pub fn dialects() -> &'static [(String, Box<dyn Dialect>)] {
    static ALL: LazyLock<Vec<(String, Box<dyn Dialect>)>> = LazyLock::new(|| {
        let small = templates::all().into_iter().map(|(name, template)| (name.to_owned(), template));
        let own = vectors::templates().into_iter().filter(|(name, _)| !name.contains("SmolLM3"));
        let dialect = |template: &str| for_template(template, None).expect("the template compiles");
        small.chain(own).map(|(name, template)| (name, dialect(&template))).collect()
    });
    &ALL
}

/// Those that can hold the texts of a call.
fn holding(call: &Call) -> impl Iterator<Item = &'static (String, Box<dyn Dialect>)> {
    dialects().iter().filter(|(_, dialect)| can_hold(dialect.as_ref(), call))
}

/// Whether a form can hold the texts of a call. JSON and Python escape what would end them; a form that writes texts as they
/// are cannot hold the mark behind them, and gpt-oss takes the end of its messages for that even within JSON.
fn can_hold(dialect: &dyn Dialect, call: &Call) -> bool {
    let arguments = json!(call.arguments).to_string().replace("\\\"", "\"");
    if !arguments.contains('<') {
        return true;
    }
    if dialect.name() == "harmony" {
        return !["<|start|>", "<|channel|>", "<|end|>"].iter().any(|mark| arguments.contains(mark));
    }
    let text = "\"as\nit is\"";
    let probe = written(dialect, &run(text));
    let behind = probe.split_once(text).and_then(|(_, behind)| behind.trim_start().split_inclusive('>').next());
    behind.is_none_or(|mark| !arguments.contains(mark))
}

fn run(command: &str) -> Call {
    Call {
        id: String::new(),
        name: "run".into(),
        arguments: [("command".to_owned(), json!(command))].into_iter().collect(),
    }
}

#[test]
fn a_form_is_found_by_what_the_template_writes() {
    for (name, template) in templates::all() {
        let dialect = for_template(&template, None).expect("the template compiles");
        assert_eq!(dialect.name(), name, "{template}");
    }
}

/// Which form the families' own templates have is a matter of the reference; that each is known by name is ours.
#[test]
fn the_families_are_known_by_name() {
    for (name, template) in vectors::templates() {
        let dialect = for_template(&template, None).expect("the template compiles");
        let taught = name.contains("SmolLM3");
        assert_eq!(dialect.name() == "fenced", taught, "{name}");
        assert_ne!(dialect.name(), "probed", "{name}");
    }
}

#[test]
fn a_form_can_be_chosen() {
    for name in moru::dialect::names() {
        let dialect = for_template("", Some(name)).expect("the name is known");
        assert_eq!(dialect.name(), name);
    }
    assert!(for_template("", Some("esperanto")).is_err());
    assert!(for_template("", Some("probed")).is_err());
}

#[test]
fn a_chosen_form_is_taught() {
    // A template that knows no tools, and one that knows another form.
    let others = [moru::dialect::detect::CHATML.to_owned(), templates::all().remove(0).1];
    for template in others {
        for name in moru::dialect::names().into_iter().filter(|name| !["hermes", "harmony"].contains(name)) {
            let dialect = for_template(&template, Some(name)).expect("the name is known");
            let messages = [moru::dialect::Message::new(moru::dialect::Role::User, "Go.")];
            let prompt = dialect.render(&messages, &tools(), &Default::default()).expect("it renders").text;
            assert!(prompt.contains("search") && prompt.contains(dialect.call_opening()), "{name}: {prompt}");
            let call = Call {
                id: String::new(),
                name: "list".into(),
                arguments: [("path".to_owned(), json!("src"))].into_iter().collect(),
            };
            let text = written(dialect.as_ref(), &call);
            let items = parse(dialect.parser(&tools()), [text.as_str()]);
            assert!(items.contains(&Parsed::Call(call)), "{name}: {text}: {items:?}");
        }
    }
}

/// What the grammar makes of each call in `text`, one after the other. `None` where there is none.
fn judge_calls(dialect: &dyn Dialect, tools: &[ToolSpec], text: &str) -> Option<Verdict> {
    let grammar = dialect.grammar(tools, false).expect("a grammar");
    let trigger = grammar.trigger.clone().expect("a lazy grammar has a trigger");
    let mut rest = text;
    let mut verdict = None;
    while let Some(at) = rest.find(&trigger) {
        rest = &rest[at + trigger.len()..];
        match judge(matcher(&grammar), rest) {
            Verdict::Accepted => verdict = Some(Verdict::Accepted),
            other => return Some(other),
        }
    }
    verdict
}

/// Where the trigger of the first call ends in an output that comes one character at a time.
fn first_call(dialect: &dyn Dialect, tools: &[ToolSpec], vector: &serde_json::Value) -> Option<usize> {
    let output = vector["output"].as_str().expect("an output");
    let trigger = dialect.grammar(tools, false).expect("a grammar").trigger.expect("a lazy grammar has a trigger");
    let text = vector["generation_prompt"].as_str().unwrap_or_default().to_owned();
    let mut parser = dialect.parser_after(tools, &Prompt { text });
    let mut trigger = Trigger::new(&trigger);
    output.char_indices().find_map(|(at, c)| {
        let piece = c.to_string();
        parser.push(&piece);
        trigger.push(&piece, parser.is_thinking()).map(|_| at + c.len_utf8())
    })
}

#[test]
fn a_parser_knows_where_reasoning_ends() {
    let dialect = for_template(HERMES, None).expect("the template compiles");
    let mut parser = dialect.parser(&tools());
    let steps = [("<think>", true), ("Well", true), ("</thi", true), ("nk>", false), ("<tool_call>", false)];
    for (piece, thinking) in steps {
        parser.push(piece);
        assert_eq!(parser.is_thinking(), thinking, "{piece}");
    }
}

#[test]
fn the_grammar_accepts_every_call_of_the_reference() {
    let mut count = 0;
    for (vector, template) in vectors::read("parse.dev.jsonl") {
        let tools = crate::parse::specs(&vector["tools"]);
        // A call that lacks what its schema demands, or that breaks off, fits no grammar.
        let whole = vector["partial"] != true && !vector["output"].to_string().contains("get_weather()");
        let called = vector["expect"]["calls"].as_array().is_some_and(|calls| !calls.is_empty());
        if !called || !whole {
            continue;
        }
        let dialect = for_template(&template, None).expect("the template compiles");
        let output = vector["output"].as_str().expect("an output");
        let begin = first_call(dialect.as_ref(), &tools, &vector);
        let begin = begin.unwrap_or_else(|| panic!("{} {output:?}: no call begins", dialect.name()));
        let opening = dialect.call_opening();
        let verdict = judge_calls(dialect.as_ref(), &tools, &output[begin - opening.len()..]);
        // The stop token that closed the call is no part of the output.
        let cut = !output.trim_end().ends_with(['>', ']', '}']) || output.ends_with("\"timeout\": 10}");
        let right = verdict == Some(Verdict::Accepted) || (cut && verdict == Some(Verdict::Open));
        assert!(right, "{} {output:?}: {verdict:?}", dialect.name());
        count += 1;
    }
    eprintln!("{count} calls are accepted");
}

#[test]
fn what_is_no_call_fits_no_grammar() {
    let tools = tools();
    for (name, dialect) in dialects() {
        let call = Call {
            id: String::new(),
            name: "read".into(),
            arguments: [("path".to_owned(), json!("src/a.rs")), ("start".to_owned(), json!(3))].into_iter().collect(),
        };
        let text = written(dialect.as_ref(), &call);
        assert_eq!(judge_calls(dialect.as_ref(), &tools, &text), Some(Verdict::Accepted), "{name}: {text}");
        for (from, to) in [("read", "road"), ("3", "three"), ("path", "pith"), ("start", "strat")] {
            let wrong = text.replacen(from, to, 1);
            let verdict = judge_calls(dialect.as_ref(), &tools, &wrong);
            assert!(matches!(verdict, None | Some(Verdict::Rejected(_))), "{name}: {wrong}: {verdict:?}");
        }
        let required = dialect.grammar(&tools, true).expect("a grammar");
        for other in ["Sure, I will", "{\"a\": 1}", "<b>", "```python\n", "[1]"] {
            let verdict = judge(matcher(&required), other);
            assert!(matches!(verdict, Verdict::Rejected(_)), "{name}: {other}: {verdict:?}");
        }
        // Short of its end, a call is never whole.
        let trigger = dialect.call_opening();
        let lazy = dialect.grammar(&tools, false).expect("a grammar");
        let behind = text.find(trigger).map(|at| &text[at + trigger.len()..]).expect("the call has its trigger");
        let whole = (0..=behind.len())
            .filter(|at| behind.is_char_boundary(*at))
            .position(|at| judge(matcher(&lazy), &behind[..at]) == Verdict::Accepted);
        assert!(whole.is_some_and(|at| at > "read".len()), "{name}: {whole:?}");
    }
}

#[test]
fn a_demanded_call_is_the_whole_output() {
    let tools = tools();
    for (name, dialect) in dialects() {
        let text = written(dialect.as_ref(), &run("cargo test -- --nocapture\n"));
        let required = dialect.grammar(&tools, true).expect("a grammar");
        // One template closes the empty answer first.
        let text = text.trim_start_matches("<|close|>response<|sep|>");
        assert_eq!(judge(matcher(&required), text), Verdict::Accepted, "{name}: {text}");
    }
}

#[test]
fn the_text_to_replace_stands_in_the_file() {
    let mut tools = tools();
    let edit = tools.iter_mut().find(|tool| tool.name == "edit").expect("edit is there");
    edit.parameters["properties"]["old"]["x-substring-of"] = json!("fn a() {\n    \"x\"\n}\n");
    for (name, dialect) in dialects() {
        for (old, fits) in [("    \"x\"\n}", true), ("fn a() {", true), ("fn b() {", false), ("    \"y\"", false)] {
            let call = Call {
                id: String::new(),
                name: "edit".into(),
                arguments: [("path", "a"), ("old", old), ("new", "z")]
                    .map(|(key, value)| (key.to_owned(), json!(value)))
                    .into_iter()
                    .collect(),
            };
            let text = written(dialect.as_ref(), &call);
            let verdict = judge_calls(dialect.as_ref(), &tools, &text);
            assert_eq!(verdict == Some(Verdict::Accepted), fits, "{name}: {text}: {verdict:?}");
        }
    }
}

#[test]
fn reasoning_is_never_shown_as_the_answer() {
    let musing = HERMES.replace(
        "{{ m.content }}",
        "{% if m.reasoning_content %}<musing>{{ m.reasoning_content }}</musing>{% endif %}{{ m.content }}",
    );
    assert_eq!(for_template(&musing, None).expect("the template compiles").name(), "hermes");
    for (template, opened, output) in [
        ("", "", "<think>secret</think>shown"),
        ("", "<think>\n", "secret\n</think>\n\nshown"),
        ("", "<think>\n", "<think>secret</think>shown"),
        (HERMES, "", "<think>secret</think>shown"),
        (&musing, "", "<musing>secret</musing>shown"),
        (&musing, "<musing>", "secret</musing>shown"),
    ] {
        let dialect = for_template(template, None).expect("the template compiles");
        let prompt = Prompt { text: opened.into() };
        for pieces in [vec![output.to_owned()], output.chars().map(String::from).collect()] {
            let pieces = pieces.iter().map(String::as_str);
            let answer = Answer::read(dialect.parser_after(&tools(), &prompt), pieces, false);
            assert_eq!((answer.reasoning.trim(), answer.content.trim()), ("secret", "shown"), "{output}");
        }
    }
}

#[test]
fn a_call_is_announced_with_its_whole_name() {
    for (name, dialect) in dialects() {
        let call = Call {
            id: String::new(),
            name: "search".into(),
            arguments: [("pattern".to_owned(), json!("fn main")), ("path".to_owned(), json!("src"))]
                .into_iter()
                .collect(),
        };
        let text = written(dialect.as_ref(), &call);
        let mut parser = dialect.parser(&tools());
        let mut announced = 0;
        for c in text.chars() {
            let called = parser.push(&c.to_string()).iter().any(|item| matches!(item, Parsed::Call(_)));
            if let Some(unfinished) = parser.unfinished() {
                announced += 1;
                assert_eq!(unfinished.name, "search", "{name}");
                let arguments = unfinished.arguments;
                assert!(arguments.is_empty() || arguments.starts_with('{'), "{name}: {arguments}");
            }
            if called {
                break;
            }
        }
        assert!(announced > 0, "{name}: {text}");
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    #[test]
    fn a_written_call_is_read_back(call in call(), cuts in prop::collection::vec(any::<usize>(), 0..8)) {
        for (name, dialect) in holding(&call) {
            let text = written(dialect.as_ref(), &call);
            let cut = pieces(&text, &cuts);
            let calls: Vec<_> = parse(dialect.parser(&own_tools()), cut.iter().map(String::as_str))
                .into_iter()
                // One template begins another turn behind a call.
                .filter(|item| !matches!(item, Parsed::Text(text) if text.replace("<｜Assistant｜>", "").trim().is_empty()))
                .collect();
            prop_assert_eq!(calls, vec![Parsed::Call(call.clone())], "{}: {}", name, text);
        }
    }

    #[test]
    fn a_written_call_fits_the_grammar(call in call()) {
        // llguidance wants DEL escaped in JSON, which no writer of JSON does.
        prop_assume!(!json!(call.arguments).to_string().contains('\u{7f}'));
        for (name, dialect) in holding(&call) {
            let text = written(dialect.as_ref(), &call);
            let grammar = dialect.grammar(&own_tools(), false).expect("a grammar");
            let behind = text.split_once(dialect.call_opening()).map(|(_, behind)| judge(matcher(&grammar), behind));
            prop_assert_eq!(behind, Some(Verdict::Accepted), "{}: {}", name, text);
        }
    }

    #[test]
    fn pieces_make_no_difference(parts in prop::collection::vec(any::<prop::sample::Index>(), 0..14), cuts in prop::collection::vec(any::<usize>(), 0..6)) {
        let all = fragments();
        let text: String = parts.iter().map(|part| part.get(&all).as_str()).collect();
        for (name, dialect) in dialects() {
            let whole = parse(dialect.parser(&tools()), [text.as_str()]);
            let cut = pieces(&text, &cuts);
            prop_assert_eq!(&parse(dialect.parser(&tools()), cut.iter().map(String::as_str)), &whole, "{}: {:?}", name, cut);
            let chars: Vec<String> = text.chars().map(String::from).collect();
            prop_assert_eq!(&parse(dialect.parser(&tools()), chars.iter().map(String::as_str)), &whole, "{}: by characters", name);
        }
    }
}

/// Parts of calls in all forms: what a confused model might write.
pub fn fragments() -> Vec<String> {
    let mut all: Vec<String> = [
        "read",
        "{\"path\": \"a\"}",
        "\n",
        " ",
        "text",
        "\"",
        "}",
        "]",
        ")",
        "<think>",
        "</think>",
        "[THINK]",
        "é",
        "<",
        "<|",
        ",",
    ]
    .map(str::to_owned)
    .into();
    let call = Call {
        id: String::new(),
        name: "read".into(),
        arguments: [("path".to_owned(), json!("a")), ("start".to_owned(), json!(1))].into_iter().collect(),
    };
    for (_, template) in templates::all() {
        let dialect = for_template(&template, None).expect("the template compiles");
        let text = written(dialect.as_ref(), &call);
        all.extend(text.split_inclusive(['>', ']', '\n', '"']).map(str::to_owned));
        all.push(text);
    }
    all
}
