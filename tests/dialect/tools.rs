//! Tools like the built-in ones, random calls of them, and the dialects under test.

use moru::dialect::{
    Call, Dialect, Message, Parsed, Parser, RenderOptions, Role, ToolSpec, detect, for_template, schema,
};
use moru::tool::{Registry, builtin};
use proptest::prelude::*;
use serde_json::{Value, json};

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

/// Moru's own tools, and one with the types that these lack: random calls are calls of them.
pub fn own_tools() -> Vec<ToolSpec> {
    let mut all = Registry::new(builtin()).specs();
    all.extend(tools().into_iter().filter(|tool| tool.name == "odd"));
    all
}

/// Texts that break naive forms.
fn text() -> impl Strategy<Value = String> {
    prop_oneof![
        "(.|\n){0,40}",
        "([ a-z\"'\\\\`={}<>]{0,12}\n){0,4}[a-z]{0,3}",
        prop::sample::select(vec![
            "```\n",
            "```py\nx\n```",
            "=======",
            "<<<<<<< SEARCH\n=======\n>>>>>>> REPLACE\n",
            "</tool_call>",
            "<div className=\"a\">\n  {items.map((x) => <li key={x}>{x}</li>)}\n</div>\n",
            "<p>\n  a &amp; b<br/>\n</p>",
            "</",
            "<|",
            "<|im_end|>",
            "<｜",
            "</parameter>",
            "<arg_key>",
            "\n",
            "",
            "\"",
            "````\n```"
        ])
        .prop_map(str::to_owned),
    ]
}

/// A value that the schema of a property allows.
fn value(property: &Value) -> BoxedStrategy<Value> {
    let short = || prop_oneof!["[a-z/._-]{1,12}", "[ -~]{0,16}", any::<String>()];
    if let Some(values) = property["enum"].as_array() {
        return prop::sample::select(values.clone()).boxed();
    }
    match property["type"].as_str() {
        Some("integer") => (1i64..5_000).prop_map(Value::from).boxed(),
        Some("boolean") => any::<bool>().prop_map(Value::from).boxed(),
        Some("array") => prop::collection::vec(text(), 0..3).prop_map(Value::from).boxed(),
        _ if property.get("x-text").is_some() => text().prop_map(Value::from).boxed(),
        _ => prop_oneof![text().boxed(), short().boxed()].prop_map(Value::from).boxed(),
    }
}

/// Calls of [`own_tools`] that their schemas allow.
pub fn call() -> impl Strategy<Value = Call> {
    let of_tool = |tool: ToolSpec| {
        let properties = schema::properties(&tool);
        let arguments = properties.map(|(name, property)| match schema::is_required(&tool, name) {
            true => (Just(name.to_owned()), value(property).prop_map(Some).boxed()),
            false => (Just(name.to_owned()), prop::option::of(value(property)).boxed()),
        });
        let name = tool.name.clone();
        arguments.collect::<Vec<_>>().prop_map(move |arguments| Call {
            id: String::new(),
            name: name.clone(),
            arguments: arguments.into_iter().filter_map(|(key, value)| Some((key, value?))).collect(),
        })
    };
    prop::strategy::Union::new(own_tools().into_iter().map(of_tool))
}

/// What an assistant that makes this call has written, as the dialect shows it in a conversation.
pub fn written(dialect: &dyn Dialect, call: &Call) -> String {
    const ANSWER: &str = "an-answer-instead";
    let render = |message: Message| {
        let messages = [Message::new(Role::User, "x"), message];
        dialect.render(&messages, &own_tools(), &RenderOptions::default()).expect("it renders").text
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
