//! Templates that frame calls and reasoning in ways of their own: what they write is read, though no file names their form.

use moru::dialect::{Call, Dialect, Message, Parsed, Prompt, RenderOptions, Role, ToolSpec, for_template};
use serde_json::json;

use crate::constraint::{Verdict, judge, matcher};
use crate::templates;
use crate::tools::{parse, tools};

/// Muse: a header says for whom a message is, reasoning is one of its own, and a call names its tool twice.
const RECIPIENTS: &str = "{% for m in messages %}{% if m.reasoning_content %}<|start|>assistant to=self<|message|>{{ m.reasoning_content }}<|eom|>{% endif %}{% if m.tool_calls %}{% for c in m.tool_calls %}<|start|>assistant to={{ c.function.name }}<|message|><x:calls>\n<x:invoke name=\"{{ c.function.name }}\">\n{% for k, v in c.function.arguments.items() %}<x:parameter name=\"{{ k }}\">{{ v if v is string else v|tojson }}</x:parameter>\n{% endfor %}</x:invoke>\n</x:calls>{{ '<|eot|>' if loop.last else '<|eom|>' }}{% endfor %}{% else %}<|start|>{{ m.role }}{{ ' to=user' if m.role == 'assistant' }}<|message|>{{ m.content }}<|eot|>{% endif %}{% endfor %}{% if add_generation_prompt %}<|start|>assistant{% endif %}";

/// Solar: reasoning, calls and answers are turns of their own.
const TURNS: &str = "{% for m in messages %}{% if m.reasoning_content %}<|begin|>assistant<|think|>{{ m.reasoning_content }}<|end|>{% endif %}<|begin|>{{ m.role }}{% if m.tool_calls %}<|tool_calls|>{% for c in m.tool_calls %}<|tool_call:begin|>{{ c.id }}<|tool_call:name|>{{ c.function.name }}<|tool_call:args|>{{ c.function.arguments|tojson }}<|tool_call:end|>{% endfor %}<|calls|>{% else %}<|content|>{{ m.content }}<|end|>{% endif %}{% endfor %}{% if add_generation_prompt %}<|begin|>assistant{% endif %}";

/// Nemotron Nano 2: the last answer is shown where no other is asked for.
const LAST: &str = "{% for m in messages %}{% if m.role != 'assistant' or not loop.last or not add_generation_prompt %}<S>{{ m.role }}\n{{ m.content }}{% if m.tool_calls %}<TOOLCALL>[{% for c in m.tool_calls %}{\"name\": \"{{ c.function.name }}\", \"arguments\": {{ c.function.arguments|tojson }}}{{ '' if loop.last else ', ' }}{% endfor %}]</TOOLCALL>{% endif %}<E>\n{% endif %}{% endfor %}{% if add_generation_prompt %}<S>assistant\n{% endif %}";

/// What MiniMax M3 writes before every tag.
const LEAD: &str = "]<]minimax[>[";

/// A template with tags of the arguments' names.
fn nested() -> String {
    let mut all = templates::all().into_iter().map(|(_, template)| template);
    all.find(|template| template.contains(LEAD)).unwrap()
}

fn read_call(path: &str) -> Call {
    Call {
        id: "call12345".into(),
        name: "read".into(),
        arguments: [("path".into(), json!(path))].into_iter().collect(),
    }
}

/// What is behind the prompt once the model has said `message`.
fn said(dialect: &dyn Dialect, message: Message) -> (Prompt, String) {
    let user = Message::new(Role::User, "Go.");
    let prompt = dialect.render(std::slice::from_ref(&user), &tools(), &RenderOptions::default()).unwrap();
    let extra = [("add_generation_prompt".to_owned(), json!(false))].into_iter().collect();
    let options = RenderOptions { extra, ..RenderOptions::default() };
    let whole = dialect.render(&[user, message], &tools(), &options).unwrap().text;
    let said = whole.strip_prefix(&prompt.text).expect("the conversation goes on behind the prompt").to_owned();
    (prompt, said)
}

/// The reasoning, the text and the calls in what the model says, whole and by characters.
fn check(template: &str, message: Message, expected: (&str, &str, &[Call])) {
    let dialect = for_template(template, None).unwrap();
    let (prompt, said) = said(dialect.as_ref(), message);
    let chars: Vec<String> = said.chars().map(String::from).collect();
    for pieces in [vec![said.as_str()], chars.iter().map(String::as_str).collect()] {
        let (mut reasoning, mut text, mut calls) = (String::new(), String::new(), Vec::new());
        for item in parse(dialect.parser_after(&tools(), &prompt), pieces) {
            match item {
                Parsed::Reasoning(part) => reasoning.push_str(&part),
                Parsed::Text(part) => text.push_str(&part),
                Parsed::Call(call) => calls.push(Call { id: "call12345".into(), ..call }),
                Parsed::Malformed { text, error } => panic!("{text}: {error}"),
            }
        }
        assert_eq!((reasoning.as_str(), text.trim(), calls.as_slice()), expected, "{said}");
    }
}

fn message(reasoning: &str, content: &str, calls: &[Call]) -> Message {
    let reasoning = (!reasoning.is_empty()).then(|| reasoning.to_owned());
    Message { reasoning, calls: calls.to_vec(), ..Message::new(Role::Assistant, content) }
}

#[test]
fn headers_between_reasoning_and_calls_are_no_text() {
    for template in [RECIPIENTS, TURNS] {
        let calls = [read_call("a.rs"), read_call("b.rs")];
        check(template, message("", "Done.", &[]), ("", "Done.", &[]));
        check(template, message("hm", "Done.", &[]), ("hm", "Done.", &[]));
        check(template, message("", "", &calls), ("", "", &calls));
        check(template, message("hm", "", &calls[..1]), ("hm", "", &calls[..1]));
    }
}

#[test]
fn what_ends_reasoning_does_not_end_the_answer() {
    let stops = |template| for_template(template, None).unwrap().stops().to_vec();
    assert_eq!(stops(TURNS), Vec::<String>::new());
    assert_eq!(stops(RECIPIENTS), ["<|eot|>"]);
}

#[test]
fn a_demanded_call_may_say_for_whom_it_is() {
    let dialect = for_template(RECIPIENTS, None).unwrap();
    let (_, said) = said(dialect.as_ref(), message("", "", &[read_call("a.rs")]));
    let call = said.strip_suffix("<|eot|>").unwrap();
    let required = dialect.grammar(&tools(), true).unwrap();
    for text in [call, call.strip_prefix(" to=read<|message|>").unwrap()] {
        assert_eq!(judge(matcher(&required), text), Verdict::Accepted, "{text}");
    }
}

#[test]
fn a_last_answer_that_prompts_leave_out_is_looked_at_without_one() {
    let dialect = for_template(LAST, None).unwrap();
    assert_eq!(dialect.name(), "nemotron");
    let calls = [read_call("a.rs"), read_call("b.rs")];
    let (_, said) = said(dialect.as_ref(), message("", "", &calls));
    let required = dialect.grammar(&tools(), true).unwrap();
    assert_eq!(judge(matcher(&required), said.trim_end().trim_end_matches("<E>")), Verdict::Accepted, "{said}");
}

#[test]
fn lists_and_objects_stand_in_tags_where_their_keys_do() {
    let dialect = for_template(&nested(), None).unwrap();
    let names = json!({"type": "array", "items": {"type": "string"}});
    let parameters = json!({"type": "object", "properties": {
        "at": {"type": "object", "properties": {"line": {"type": "integer"}, "names": names}},
        "level": {"type": "string", "enum": ["low", "high"]},
        "free": {"type": "object"},
        "text": {"type": ["string", "null"]},
    }});
    let tools = [ToolSpec { name: "go".into(), description: "Go there.".into(), parameters }];
    let inside = "<at><line>3</line><names><item>1</item><item>b</item></names></at><level>low</level>\
                  <free><free><free>x</free></free><k>y</k></free><text><b>x</b></text>";
    let text =
        format!("<tool_call>\n<invoke name=\"go\">{inside}</invoke>\n</tool_call>").replace('<', &format!("{LEAD}<"));
    let arguments = json!({
        "at": {"line": 3, "names": ["1", "b"]},
        "level": "low",
        "free": {"free": {"free": "x"}, "k": "y"},
        "text": format!("{LEAD}<b>x{LEAD}</b>"),
    });
    let chars: Vec<String> = text.chars().map(String::from).collect();
    for pieces in [vec![text.as_str()], chars.iter().map(String::as_str).collect()] {
        let items = parse(dialect.parser(&tools), pieces);
        let [Parsed::Call(call), ..] = &items[..] else { panic!("{items:?}") };
        assert_eq!(json!(call.arguments), arguments);
    }
    let required = dialect.grammar(&tools, true).unwrap();
    // Of an object without a schema the grammar knows the end alone.
    let text = text
        .replace("<free>]<]minimax[>[<free>x", "<k>x")
        .replace("</free>]<]minimax[>[</free>]<]minimax[>[<k>", "</k>]<]minimax[>[<k>");
    assert_eq!(judge(matcher(&required), &text), Verdict::Accepted);
    for (from, to) in [(">3]", ">three]"), (">low]", ">middle]")] {
        assert!(matches!(judge(matcher(&required), &text.replace(from, to)), Verdict::Rejected(_)), "{to}");
    }
}

#[test]
fn any_token_before_every_tag_is_told_from_the_tags() {
    let dialect = for_template(&nested().replace(LEAD, "<|tag|>"), None).unwrap();
    assert_eq!(dialect.name(), "probed");
    let text = "<tool_call>\n<invoke name=\"read\"><path>a.rs</path><start>3</start></invoke>\n</tool_call>";
    let items = parse(dialect.parser(&tools()), [text.replace('<', "<|tag|><").as_str()]);
    let [Parsed::Call(call), ..] = &items[..] else { panic!("{items:?}") };
    assert_eq!(json!(call.arguments), json!({"path": "a.rs", "start": 3}));
}

#[test]
fn reasoning_may_be_closed_without_being_opened() {
    let template = "{% for m in messages %}<S>{{ m.role }}\n{% if m.role == 'assistant' %}{% if m.reasoning_content %}<think>{{ m.reasoning_content }}{% endif %}</think>{% endif %}{{ m.content }}<E>{% endfor %}{% if add_generation_prompt %}<S>assistant\n{% endif %}";
    let dialect = for_template(template, None).unwrap();
    let read = |text: &str| parse(dialect.parser(&tools()), [text]);
    assert_eq!(read("\n</think>Done."), [Parsed::Text("Done.".into())]);
    assert_eq!(read("Done. </think>"), [Parsed::Text("Done. </think>".into())]);
}
