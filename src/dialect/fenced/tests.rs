use serde_json::json;

use super::super::{Call, Parsed, Role, detect};
use super::*;

fn tools() -> Vec<ToolSpec> {
    let tool = |name: &str, description: &str, properties, required| ToolSpec {
        name: name.into(),
        description: description.into(),
        parameters: json!({"type": "object", "properties": properties, "required": required}),
    };
    let (string, integer, text) =
        (json!({"type": "string"}), json!({"type": "integer"}), json!({"type": "string", "x-text": true}));
    vec![
        tool("read", "Read a file.", json!({"path": string, "start": integer, "end": integer}), json!(["path"])),
        tool("list", "List a folder.", json!({"path": string}), json!([])),
        tool("search", "Search.", json!({"pattern": text, "path": string}), json!(["pattern"])),
        tool(
            "edit",
            "Replace text.",
            json!({"path": string, "old": {"type": "string", "x-text": true, "x-label": "SEARCH"}, "new": {"type": "string", "x-text": true, "x-label": "REPLACE"}}),
            json!(["path", "old", "new"]),
        ),
        tool(
            "write",
            "Write a file.",
            json!({"path": string, "content": {"type": "string", "x-text": "lines"}}),
            json!(["path", "content"]),
        ),
        tool("run", "Run a command.", json!({"command": text}), json!(["command"])),
    ]
}

/// What the parser makes of `output`, whole and in pieces of one character: one line for each item.
fn check(output: &str, expected: &str) {
    let dialect = Fenced::new(Template::new(detect::CHATML).unwrap());
    let show = |parsed: &Parsed| match parsed {
        Parsed::Reasoning(text) => format!("reasoning {text:?}"),
        Parsed::Text(text) => format!("text {text:?}"),
        Parsed::Call(call) => format!("{} {}", call.name, Value::Object(call.arguments.clone())),
        Parsed::Malformed { text, error } => format!("malformed {text:?}: {error}"),
    };
    let chars: Vec<String> = output.chars().map(String::from).collect();
    for pieces in [vec![output], chars.iter().map(String::as_str).collect()] {
        let mut parser = dialect.parser(&tools());
        let mut items: Vec<Parsed> = pieces.iter().flat_map(|piece| parser.push(piece)).collect();
        items.extend(parser.finish());
        let merged = items.into_iter().fold(Vec::new(), |mut all: Vec<Parsed>, next| {
            match (all.last_mut(), next) {
                (Some(Parsed::Text(before)), Parsed::Text(text)) => before.push_str(&text),
                (Some(Parsed::Reasoning(before)), Parsed::Reasoning(text)) => before.push_str(&text),
                (_, next) => all.push(next),
            }
            all
        });
        let shown = merged.iter().map(show).collect::<Vec<_>>().join("\n");
        assert_eq!(shown, expected, "{} pieces: {output}", pieces.len());
    }
}

#[test]
fn blocks_are_read() {
    check(
        "Let me see.\n\n```tool read path=src/a.py start=3\n```\n",
        "text \"Let me see.\\n\\n\"\nread {\"path\":\"src/a.py\",\"start\":3}",
    );
    check("```tool list\n```", "list {}");
    check("```tool run\npytest -q\n```\n", r#"run {"command":"pytest -q"}"#);
    check(
        "```tool write path=\"a b.md\"\n# T\n```sh\nls\n```\nend\n```\n",
        r##"write {"path":"a b.md","content":"# T\n```sh\nls\n```\nend\n"}"##,
    );
    check("````tool write path=a\n```\n````\n", r#"write {"path":"a","content":"```\n"}"#);
    check("```tool write path=a\nx\n\\ No newline at end of file\n```\n", r#"write {"path":"a","content":"x"}"#);
    check(
        "```tool edit path=a.py\n<<<<<<< SEARCH\nx = 1\n=======\nx = 2\n```\n>>>>>>> REPLACE\n```\n",
        r#"edit {"path":"a.py","old":"x = 1","new":"x = 2\n```"}"#,
    );
}

#[test]
fn almost_right_blocks_are_repaired() {
    check("```edit path=a\n<<<<<<< OLD\nx\n=======\n>>>>>>>\n```\n", r#"edit {"path":"a","old":"x","new":""}"#);
    check("```tool read src/a.py 3\n```\n", r#"read {"path":"src/a.py","start":3}"#);
    check("```tool read\npath: src/a.py\nend=4\n```\n", r#"read {"path":"src/a.py","end":4}"#);
    check("```tool Write path=a.py\n```python\nx\n```\n```\n", r#"write {"path":"a.py","content":"x\n"}"#);
    check("```tool edit path=a\n<<<<<<< SEARCH\nx\n=======\ny\n```", r#"edit {"path":"a","old":"x","new":"y"}"#);
    check(
        "```tool edit path=a\n<<<<<<< SEARCH\na\n=======\nb\n>>>>>>> REPLACE\n\n<<<<<<< SEARCH\nc\n=======\nd\n>>>>>>> REPLACE\n```\n",
        "edit {\"path\":\"a\",\"old\":\"a\",\"new\":\"b\"}\nedit {\"path\":\"a\",\"old\":\"c\",\"new\":\"d\"}",
    );
    check("<tool_call>\n{\"name\": \"list\", \"arguments\": {}}\n</tool_call>", "list {}");
}

#[test]
fn what_is_no_call_is_text() {
    check("```python\nprint(1)\n```\n", "text \"```python\\nprint(1)\\n```\\n\"");
    check("See ```tool read path=a\n```", "text \"See ```tool read path=a\\n```\"");
    check("<think>\nhm\n</think>\n\nDone.", "reasoning \"\\nhm\\n\"\ntext \"\\n\\nDone.\"");
}

#[test]
fn what_is_cut_off_or_wrong_is_malformed() {
    check(
        "```tool write path=a\nhalf",
        "malformed \"```tool write path=a\\nhalf\": `write` was called wrongly: the block is not closed.",
    );
    check(
        "```tool fetch url=x\n```\n",
        "malformed \"```tool fetch url=x\\n```\\n\": There is no tool `fetch`; the tools are `read`, `list`, `search`, `edit`, `write`, `run`.",
    );
    check("```tool read\n```\n", "malformed \"```tool read\\n```\\n\": `read` was called wrongly: `path` is missing.");
    check(
        "```tool edit path=a\nx\n```\n",
        "malformed \"```tool edit path=a\\nx\\n```\\n\": `edit` was called wrongly: its two texts do not stand between `<<<<<<< SEARCH`, `=======` and `>>>>>>> REPLACE`.",
    );
}

#[test]
fn the_conversation_is_written_in_the_same_form() {
    let dialect = Fenced::new(Template::new(detect::CHATML).unwrap());
    let call = Call {
        id: "1".into(),
        name: "edit".into(),
        arguments: json!({"path": "a.py", "old": "x", "new": "y"}).as_object().unwrap().clone(),
    };
    let messages = [
        Message::new(Role::System, "Be brief."),
        Message::new(Role::User, "Fix it."),
        Message { calls: vec![call.clone()], ..Message::new(Role::Assistant, "I will.") },
        Message::tool(&call, "done"),
    ];
    let text = dialect.render(&messages, &tools()[3..4], &RenderOptions::default()).unwrap().text;
    assert_eq!(
        text,
        "<|im_start|>system\nBe brief.\n\n# Tools\n\nCall a tool with a block like one of these and wait for its result. Write text as it is, without escapes. [Parts in brackets] may be left out.\n\nReplace text.\n```tool edit path=<path>\n<<<<<<< SEARCH\nold\n=======\nnew\n>>>>>>> REPLACE\n```<|im_end|>\n<|im_start|>user\nFix it.<|im_end|>\n<|im_start|>assistant\nI will.\n\n```tool edit path=a.py\n<<<<<<< SEARCH\nx\n=======\ny\n>>>>>>> REPLACE\n```\n<|im_end|>\n<|im_start|>user\nResult of edit:\ndone<|im_end|>\n<|im_start|>assistant\n"
    );
    let manual = write::manual(&tools());
    assert!(manual.len() < 1_400, "{} bytes", manual.len());
}

#[test]
fn what_was_written_as_a_block_is_shown_as_one() {
    let dialect = Fenced::new(Template::new(detect::CHATML).unwrap());
    let arguments = json!({"path": "a.py", "content": "x = 1\n"}).as_object().unwrap().clone();
    let call = Call { id: "1".into(), name: "write".into(), arguments };
    let block = "```python\nx = 1\n```";
    let written =
        Message { calls: vec![call.clone()], written: Some(block.into()), ..Message::new(Role::Assistant, "") };
    let messages = [Message::new(Role::User, "Fix it."), written, Message::tool(&call, "Wrote a.py.")];
    let text = dialect.render(&messages, &[], &RenderOptions::default()).unwrap().text;
    let expected = format!(
        "<|im_start|>user\nFix it.<|im_end|>\n<|im_start|>assistant\n{block}<|im_end|>\n<|im_start|>user\nWrote a.py.<|im_end|>\n<|im_start|>assistant\n"
    );
    assert_eq!(text, expected);
}

#[test]
fn a_call_ends_reasoning_only_on_a_line_of_its_own() {
    check("<think>\nI write ```tool x.\n```tool list\n```\n", "reasoning \"\\nI write ```tool x.\\n\"\nlist {}");
    check("<think>a < b</think>c", "reasoning \"a < b\"\ntext \"c\"");
    check("<think>cut </thi", "reasoning \"cut </thi\"");
}
