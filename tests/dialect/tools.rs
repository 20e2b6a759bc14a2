//! Tools like the built-in ones, random calls of them, and the dialects under test.

use moru::dialect::{Call, Dialect, Message, Parsed, Parser, RenderOptions, Role, ToolSpec, detect, for_template};
use proptest::prelude::*;
use serde_json::{Map, Value, json};

/// A template of the Hermes form, as Qwen2.5 writes it.
pub const HERMES: &str = "{% for m in messages %}<|im_start|>{{ m.role }}\n{{ m.content }}{% for c in m.tool_calls or [] %}\n<tool_call>\n{\"name\": \"{{ c.function.name }}\", \"arguments\": {{ c.function.arguments|tojson }}}\n</tool_call>{% endfor %}<|im_end|>\n{% endfor %}{{ '<|im_start|>assistant\n' }}";

pub fn dialects() -> Vec<Box<dyn Dialect>> {
    [HERMES, detect::CHATML].map(|template| for_template(template, None).expect("the template compiles")).into()
}

pub fn tools() -> Vec<ToolSpec> {
    let string = json!({"type": "string"});
    let text = |title: &str| json!({"type": "string", "x-text": true, "x-label": title});
    let tool = |name: &str, properties: Value, required: Value| ToolSpec {
        name: name.into(),
        description: format!("The tool {name}."),
        parameters: json!({"type": "object", "properties": properties, "required": required}),
    };
    vec![
        tool(
            "read",
            json!({"path": string, "start": {"type": "integer", "minimum": 1}, "end": {"type": "integer", "minimum": 1}}),
            json!(["path"]),
        ),
        tool("list", json!({"path": string}), json!([])),
        tool("search", json!({"pattern": string, "path": string}), json!(["pattern"])),
        tool(
            "edit",
            json!({"path": string, "old": text("SEARCH"), "new": text("REPLACE")}),
            json!(["path", "old", "new"]),
        ),
        tool(
            "write",
            json!({"path": string, "content": {"type": "string", "x-text": "lines"}}),
            json!(["path", "content"]),
        ),
        tool("run", json!({"command": text("COMMAND")}), json!(["command"])),
        tool(
            "odd",
            json!({"flag": {"type": "boolean"}, "many": {"type": "array", "items": {"type": "string"}}, "level": {"type": "string", "enum": ["low", "very high"]}}),
            json!([]),
        ),
    ]
}

/// Arguments that the schemas allow, with the texts that break naive forms.
pub fn call() -> impl Strategy<Value = Call> {
    let text = || {
        prop_oneof![
            "(.|\n){0,40}",
            "([ a-z\"'\\\\`={}<>]{0,12}\n){0,4}[a-z]{0,3}",
            prop::sample::select(vec![
                "```\n",
                "```py\nx\n```",
                "=======",
                "<<<<<<< SEARCH\n=======\n>>>>>>> REPLACE\n",
                "</tool_call>",
                "\n",
                "",
                "\"",
                "````\n```"
            ])
            .prop_map(str::to_owned),
        ]
    };
    let short = || prop_oneof!["[a-z/._-]{1,12}", "[ -~]{0,16}", any::<String>()];
    let number = prop::option::of(1i64..5_000);
    let object = |pairs: Vec<(&str, Option<Value>)>| -> Map<String, Value> {
        pairs.into_iter().filter_map(|(key, value)| Some((key.to_owned(), value?))).collect()
    };
    let with = |name: &'static str| move |arguments| Call { id: String::new(), name: name.into(), arguments };
    prop_oneof![
        (short(), number.clone(), number)
            .prop_map(move |(path, start, end)| object(vec![
                ("path", Some(path.into())),
                ("start", start.map(Value::from)),
                ("end", end.map(Value::from))
            ]))
            .prop_map(with("read")),
        prop::option::of(short())
            .prop_map(move |path| object(vec![("path", path.map(Value::from))]))
            .prop_map(with("list")),
        (text(), prop::option::of(short()))
            .prop_map(move |(pattern, path)| object(vec![
                ("pattern", Some(pattern.into())),
                ("path", path.map(Value::from))
            ]))
            .prop_map(with("search")),
        (short(), text(), text())
            .prop_map(move |(path, old, new)| object(vec![
                ("path", Some(path.into())),
                ("old", Some(old.into())),
                ("new", Some(new.into()))
            ]))
            .prop_map(with("edit")),
        (short(), text())
            .prop_map(move |(path, content)| object(vec![
                ("path", Some(path.into())),
                ("content", Some(content.into()))
            ]))
            .prop_map(with("write")),
        text().prop_map(move |command| object(vec![("command", Some(command.into()))])).prop_map(with("run")),
        (
            prop::option::of(any::<bool>()),
            prop::option::of(prop::collection::vec(text(), 0..3)),
            prop::option::of(prop::sample::select(vec!["low", "very high"]))
        )
            .prop_map(move |(flag, many, level)| object(vec![
                ("flag", flag.map(Value::from)),
                ("many", many.map(Value::from)),
                ("level", level.map(Value::from))
            ]))
            .prop_map(with("odd")),
    ]
}

/// What an assistant that makes this call has written, as the dialect shows it in a conversation.
pub fn written(dialect: &dyn Dialect, call: &Call) -> String {
    const ANSWER: &str = "an-answer-instead";
    let render = |message: Message| {
        let messages = [Message::new(Role::User, "x"), message];
        dialect.render(&messages, &tools(), &RenderOptions::default()).expect("it renders").text
    };
    let calls =
        Message { calls: vec![Call { id: "callprob0".into(), ..call.clone() }], ..Message::new(Role::Assistant, "") };
    let (text, plain) = (render(calls), render(Message::new(Role::Assistant, ANSWER)));
    let (before, after) = plain.rsplit_once(ANSWER).expect("the answer is there");
    let begin = text.bytes().zip(before.bytes()).take_while(|(a, b)| a == b).count();
    let turn = &text[text.floor_char_boundary(begin)..];
    let same = turn.bytes().rev().zip(after.bytes().rev()).take_while(|(a, b)| a == b).count();
    // The ends may share a mark, or a part of one: the whole of it belongs to the call.
    let end = turn.ceil_char_boundary(turn.len() - same);
    let whole = turn[..end].ends_with(['>', ']', ')', '}', '\n']);
    let end = if whole { end } else { turn[end..].find('>').map_or(turn.len(), |at| end + at + 1) };
    turn[..end].trim_start_matches('\n').to_owned()
}

/// All that a parser makes of these pieces, with neighbouring text joined.
pub fn parse<'a>(mut parser: Box<dyn Parser>, pieces: impl IntoIterator<Item = &'a str>) -> Vec<Parsed> {
    let mut all: Vec<Parsed> = Vec::new();
    let mut items: Vec<Parsed> = pieces.into_iter().flat_map(|piece| parser.push(piece)).collect();
    items.extend(parser.finish());
    for item in items {
        match (all.last_mut(), item) {
            (Some(Parsed::Text(before)), Parsed::Text(text)) => before.push_str(&text),
            (Some(Parsed::Reasoning(before)), Parsed::Reasoning(text)) => before.push_str(&text),
            (_, item) => all.push(item),
        }
    }
    all
}

/// `text` cut at these places.
pub fn pieces(text: &str, cuts: &[usize]) -> Vec<String> {
    let mut cuts: Vec<usize> = cuts.iter().map(|cut| text.floor_char_boundary(cut % (text.len() + 1))).collect();
    cuts.extend([0, text.len()]);
    cuts.sort_unstable();
    cuts.windows(2).map(|pair| text[pair[0]..pair[1]].to_owned()).collect()
}
