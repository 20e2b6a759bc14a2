use proptest::prelude::*;
use serde_json::json;

use super::*;

fn tools() -> Vec<ToolSpec> {
    let tool = |name: &str, parameters| ToolSpec { name: name.into(), description: String::new(), parameters };
    vec![
        tool(
            "read",
            json!({"type": "object", "properties": {"path": {"type": "string"}, "start": {"type": "integer"}}, "required": ["path"]}),
        ),
        tool("run", json!({"type": "object", "properties": {"command": {"type": "string"}}, "required": ["command"]})),
        tool("list", json!({"type": "object", "properties": {"path": {"type": "string"}}})),
    ]
}

/// What `text` is as a call: name and arguments, or the sentence that says why it is none.
fn check(text: &str, expected: &str) {
    let got = match read(text, true) {
        Ok((value, ..)) => match call(&value, &tools()) {
            Ok((call, _)) => format!("{} {}", call.name, Value::Object(call.arguments)),
            Err(error) => error.to_string(),
        },
        Err(Stop::More(_)) => "More".to_owned(),
        Err(error) => format!("{error:?}"),
    };
    assert_eq!(got, expected, "{text}");
}

#[test]
fn almost_right_calls_are_read() {
    let right = r#"read {"path":"a.py","start":3}"#;
    for text in [
        r#"{"name": "read", "arguments": {"path": "a.py", "start": 3}}"#,
        r#"{'name': 'read', 'arguments': {'path': 'a.py', 'start': 3,},}"#,
        r#"{"name": "Read", "parameters": {"path": "a.py", "start": "3"}}"#,
        r#"{"name": "read", "arguments": "{\"path\": \"a.py\", \"start\": 3}"}"#,
        r#"{"type": "function", "function": {"name": "read", "arguments": {"path": "a.py", "start": 3.0}}}"#,
        r#"{"tool": "read", "args": {"path": "a.py", "start": 3}"#,
        r#"{"name": "read", "path": "a.py", "start": 3}"#,
        r#"{"read": {"path": "a.py" "start": 3}}"#,
        r#"{"name": "read", "arguments": {"path": """a.py""", "start": 3}}"#,
    ] {
        check(text, right);
    }
    check("{\"name\": \"run\", \"arguments\": {\"command\": \"a\nb\\d\"}}", r#"run {"command":"a\nb\\d"}"#);
    check(r#"{"name": "run", "arguments": "pytest -q"}"#, r#"run {"command":"pytest -q"}"#);
    check(r#"{"name": "run", "arguments": {"command": ""}}"#, r#"run {"command":""}"#);
    check(r#"{"name": "list", "arguments": None}"#, "list {}");
    check(r#"{"name": "list"}"#, "list {}");
    check(r#"{"name": "run", "arguments": {"command": "\ud83d\ude00\u00e9"}}"#, r#"run {"command":"😀é"}"#);
}

#[test]
fn what_is_in_doubt_is_not_repaired() {
    check(r#"{"name": "acme", "version": "1.0"}"#, "A call is an object with `name` and `arguments`.");
    check(r#"{"name": "list", "version": "1.0"}"#, "A call is an object with `name` and `arguments`.");
    check(r#"{"name": "fetch", "arguments": {}}"#, "There is no tool `fetch`; the tools are `read`, `run`, `list`.");
    check(r#"{"name": "read", "arguments": {"start": 3}}"#, "`read` was called wrongly: `path` is missing.");
    check(r#"{"name": "read", "arguments": [1]}"#, "`read` was called wrongly: its arguments are no object.");
    // A text that was cut off is never taken for a whole one.
    check(r#"{"name": "run", "arguments": {"command": "rm -r"#, "More");
    check(r#"{"name": "run", "arguments": {"command": """rm -r"#, "More");
    check(r#"{"name": "run", "arguments":"#, "More");
}

proptest! {
    #[test]
    fn json_reads_as_serde_reads_it(value in value()) {
        let text = value.to_string();
        prop_assert_eq!(read(&text, true), Ok((value, text.len(), Notes::new())));
    }

    #[test]
    fn any_text_is_read_without_a_crash(text in r#"[\[\]{}"'\\:,a-f0-9uTN. \n"-]{0,40}"#, ended: bool) {
        if let Ok((value, len, _)) = read(&text, ended) {
            prop_assert!(text.is_char_boundary(len));
            let _ = call(&value, &tools());
        }
        looks_like_call(&text, &tools());
        names_tool(&text, &tools());
    }

    /// What was decided on a beginning stands when more text comes.
    #[test]
    fn more_text_does_not_change_a_decision(text in r#"[\[\]{}"'\\:,a-c0-9u \n]{0,24}"#, cut in 0usize..24) {
        let beginning = &text[..cut.min(text.len())];
        let early = read(beginning, false);
        if !matches!(early, Err(Stop::More(_))) {
            match (early, read(&text, false)) {
                (Ok(early), late) => prop_assert_eq!(Ok(early), late),
                (Err(_), late) => prop_assert!(matches!(late, Err(Stop::Bad(_)))),
            }
        }
        if let Some(decided) = looks_like_call(beginning, &tools()) {
            prop_assert_eq!(looks_like_call(&text, &tools()), Some(decided));
        }
    }
}

fn value() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i32>().prop_map(Value::from),
        any::<String>().prop_map(Value::from),
    ];
    leaf.prop_recursive(4, 24, 4, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..4).prop_map(Value::from),
            prop::collection::vec((any::<String>(), inner), 0..4)
                .prop_map(|pairs| Value::Object(pairs.into_iter().collect())),
        ]
    })
}
