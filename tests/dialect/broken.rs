//! Outputs that go wrong: nothing of them is lost, and what is right behind them is found.

use moru::dialect::{Dialect, Parsed, for_template};
use serde_json::json;

use crate::templates;
use crate::tools::{HERMES, parse, tools};

const CALL: &str = r#"{"name": "read", "arguments": {"path": "a"}}"#;

/// The dialect of the first template of this form.
fn form(name: &str) -> Box<dyn Dialect> {
    let found = templates::all().into_iter().find(|(form, _)| *form == name).expect("there is such a form");
    for_template(&found.1, None).expect("the template compiles")
}

/// What is read in `output`, whole and in pieces of one character: one line for each item.
fn check(dialect: &dyn Dialect, output: &str, expected: &[&str]) {
    let show = |parsed: &Parsed| match parsed {
        Parsed::Reasoning(text) => format!("reasoning {text:?}"),
        Parsed::Text(text) => format!("text {text:?}"),
        Parsed::Call(call) => format!("{} {}", call.name, json!(call.arguments)),
        Parsed::Malformed { text, .. } => format!("malformed {text:?}"),
    };
    let chars: Vec<String> = output.chars().map(String::from).collect();
    for pieces in [vec![output], chars.iter().map(String::as_str).collect()] {
        let shown: Vec<String> = parse(dialect.parser(&tools()), pieces).iter().map(show).collect();
        assert_eq!(shown, expected, "{}: {output}", dialect.name());
    }
}

/// The length of the text that is shown while `output` is being written.
fn streamed(dialect: &dyn Dialect, output: &str) -> usize {
    let mut parser = dialect.parser(&tools());
    let items = output.chars().flat_map(|c| parser.push(&c.to_string())).collect::<Vec<_>>();
    let lengths = items.iter().map(|item| match item {
        Parsed::Text(text) => text.len(),
        _ => 0,
    });
    lengths.sum()
}

#[test]
fn a_header_that_does_not_end_is_text() {
    let harmony = form("harmony");
    let begun = "<|channel|>analysis<|message|>hm<|end|>";
    for rest in
        ["<|start|>assistant<|channel|>final", "<|channel|>final and so\non", "<|start|>a, b<|channel|>c{d}", "<|chan"]
    {
        check(harmony.as_ref(), &format!("{begun}{rest}"), &["reasoning \"hm\"", &format!("text {rest:?}")]);
    }
    let behind = "<|channel|>{a}<|channel|>final<|message|>b<|end|><|end|><|end|>";
    check(harmony.as_ref(), behind, &["text \"<|channel|>{a}b\""]);
    let call = "<|channel|>commentary to=functions.read json<|message|>{\"path\": \"a\"}<|x|>behind<|call|>";
    check(harmony.as_ref(), call, &["read {\"path\":\"a\"}", "text \"<|x|>behind\""]);
}

#[test]
fn an_answer_that_begins_like_a_header_is_shown_while_it_is_written() {
    let harmony = form("harmony");
    for begin in ["assistant", "assistants help, ", "to=", "<|channel|>final "] {
        let output = format!("{begin}{}", " and so on".repeat(100));
        assert!(streamed(harmony.as_ref(), &output) > output.len() - 20, "{begin}");
        check(harmony.as_ref(), &output, &[&format!("text {output:?}")]);
    }
    assert_eq!(streamed(harmony.as_ref(), "assistant (me)"), 14);
}

#[test]
fn a_call_behind_broken_json_is_found() {
    let call = "read {\"path\":\"a\"}";
    for dialect in [form("hermes"), form("llama"), form("qwen-xml"), for_template("", None).expect("a dialect")] {
        let placeholders = "{\"name\": <function-name>, \"arguments\": <args-json-object>}\n";
        check(dialect.as_ref(), &format!("{placeholders}{CALL}"), &[&format!("text {placeholders:?}"), call]);
        let tagged = format!("{{\"name\": <x>}} <tool_call>{CALL}</tool_call>");
        check(dialect.as_ref(), &tagged, &["text \"{\\\"name\\\": <x>} \"", call]);
        let wrong = "{\"name\": \"read\", \"arguments\": {\"path\": a.py}}";
        let behind = format!("{wrong}\n{CALL}");
        check(dialect.as_ref(), &behind, &[&format!("malformed {wrong:?}"), "text \"\\n\"", call]);
        // The string goes on to the next quote, which is the call's.
        let open = "{\"name\": \"read\", \"arguments\": {\"path\": \"a.py}}";
        let behind = format!("{open}\n{CALL}\n");
        check(dialect.as_ref(), &behind, &[&format!("malformed {open:?}"), "text \"\\n\"", call, "text \"\\n\""]);
    }
}

#[test]
fn an_answer_behind_broken_json_is_shown_while_it_is_written() {
    let hermes = for_template(HERMES, None).expect("the template compiles");
    let output = "{\"name\": <function-name>}\nis how a call begins, and then come its arguments.";
    assert_eq!(streamed(hermes.as_ref(), output), output.len());
}

#[test]
fn a_wrong_call_beside_a_right_one_is_kept() {
    let call = "read {\"path\":\"a\"}";
    let olmo = "<function_calls>read(path=\"a\")\nfetch(url=\"x\", n=[1])</function_calls>";
    check(form("olmo").as_ref(), olmo, &[call, "malformed \"fetch(url=\\\"x\\\", n=[1])\""]);
    let lfm = "<|tool_call_start|>[fetch(url='x'), read(path=\"a\")]<|tool_call_end|>";
    check(form("lfm").as_ref(), lfm, &["malformed \"fetch(url='x')\"", call]);
}

/// The second name is no second call.
#[test]
fn a_template_that_names_a_call_twice_is_no_reason_to_panic() {
    let template = "{% for m in messages %}<|{{ m.role }}|>{{ m.content }}{% for c in m.tool_calls or [] %} \
                    to={{ c.function.name }}<calls><invoke name=\"{{ c.function.name }}\">{% for k, v in \
                    c.function.arguments.items() %}<arg name=\"{{ k }}\">{{ v }}</arg>{% endfor %}</invoke></calls>\
                    {% endfor %}<|end|>{% endfor %}{% if add_generation_prompt %}<|assistant|>{% endif %}{{ tools }}";
    let dialect = for_template(template, None).unwrap();
    let mut parser = dialect.parser(&tools());
    let mut parsed = parser.push("Hello.");
    parsed.extend(parser.finish());
    let text = |item| if let Parsed::Text(text) = item { text } else { String::new() };
    assert_eq!(parsed.into_iter().map(text).collect::<String>(), "Hello.");
}
