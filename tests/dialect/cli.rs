//! `moru dialect`, as users call it.

use std::io::Write;
use std::path::Path;
use std::process::{Command, Output, Stdio};

use serde_json::{Value, json};

use crate::{templates, vectors};

/// Runs the program in a folder of its own, with `input` on stdin.
fn moru(home: &Path, arguments: &[&str], input: &str) -> Output {
    let mut child = Command::new(env!("CARGO_BIN_EXE_moru"))
        .args(arguments)
        .current_dir(home)
        .env_clear()
        .env("HOME", home)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("the program starts");
    // A program that ends early does not read its input.
    let _ = child.stdin.take().expect("stdin is piped").write_all(input.as_bytes());
    child.wait_with_output().expect("the program ends")
}

fn text(output: &Output) -> String {
    String::from_utf8(output.stdout.clone()).expect("the output is text")
}

fn template(name: &str) -> String {
    let found = templates::all().into_iter().find(|(form, _)| *form == name);
    found.expect("there is such a form").1
}

#[test]
fn a_request_is_rendered_and_an_output_read() {
    let home = tempfile::tempdir().expect("a folder");
    let tools = json!([{"type": "function", "function": {"name": "read", "description": "Read.",
        "parameters": {"type": "object", "properties": {"path": {"type": "string"}, "start": {"type": "integer"}}}}}]);
    std::fs::write(home.path().join("t.jinja"), template("qwen-xml")).expect("a file");
    std::fs::write(home.path().join("tools.json"), tools.to_string()).expect("a file");
    let request =
        json!({"messages": [{"role": "user", "content": "Hi é"}], "tools": tools, "now": "2026-11-24T09:30:00"});
    let rendered = moru(home.path(), &["dialect", "render", "--template", "t.jinja"], &request.to_string());
    assert!(rendered.status.success());
    assert_eq!(text(&rendered), "<|im_start|>user\nHi é<|im_end|>\n<|im_start|>assistant\n");

    let output = "Well.\n<tool_call>\n<function=read>\n<parameter=path>\na\n</parameter>\n<parameter=start>\n3\n</parameter>\n</function>\n</tool_call>";
    let arguments = ["dialect", "parse", "--template", "t.jinja", "--tools", "tools.json"];
    let parsed = moru(home.path(), &arguments, output);
    let value: Value = serde_json::from_str(&text(&parsed)).expect("JSON");
    let call = json!({"name": "read", "arguments": {"path": "a", "start": 3}});
    assert_eq!(value, json!({"reasoning": "", "content": "Well.\n", "calls": [call]}));

    let thought = [&arguments[..], &["--generation-prompt", "<think>\n", "--partial"]].concat();
    let parsed = moru(home.path(), &thought, &format!("Hm.</think>{}", &output[..output.len() - 38]));
    let value: Value = serde_json::from_str(&text(&parsed)).expect("JSON");
    assert_eq!(value["reasoning"], "Hm.");
    assert_eq!(value["calls"], json!([{"name": "read", "arguments": "{\"path\": \"a\", \"start\": 3"}]));
}

#[test]
fn what_cannot_be_done_is_said_in_one_sentence() {
    let home = tempfile::tempdir().expect("a folder");
    let file = |name: &str, text: &str| std::fs::write(home.path().join(name), text).expect("a file");
    file("refuses.jinja", "{{ raise_exception('no system message') }}");
    file("endless.jinja", "{% for a in range(99999) %}{% for b in range(99999) %}{{ a }}{% endfor %}{% endfor %}");
    file("broken.jinja", "{% if %}");
    let request = r#"{"messages": []}"#;
    for (arguments, input, code, expected) in [
        (&["dialect", "render", "--template", "refuses.jinja"][..], request, 1, "no system message"),
        (&["dialect", "render", "--template", "endless.jinja"], request, 1, "does not come to an end"),
        (&["dialect", "render", "--template", "broken.jinja"], request, 1, "broken"),
        (&["dialect", "render", "--template", "absent.jinja"], request, 1, "absent.jinja"),
        (&["dialect", "render", "--template", "refuses.jinja"], "[", 2, "the request"),
        (&["dialect", "parse", "--template", "endless.jinja", "--dialect", "klingon"], "", 1, "klingon"),
    ] {
        let output = moru(home.path(), arguments, input);
        let error = String::from_utf8_lossy(&output.stderr).into_owned();
        assert_eq!(output.status.code(), Some(code), "{arguments:?}: {error}");
        assert!(error.contains(expected) && error.trim().lines().count() == 1, "{arguments:?}: {error}");
    }
}

#[test]
fn a_template_is_explained() {
    let home = tempfile::tempdir().expect("a folder");
    std::fs::write(home.path().join("t.jinja"), template("kimi")).expect("a file");
    let output = moru(home.path(), &["dialect", "probe", "--template", "t.jinja"], "");
    let text = text(&output);
    assert!(text.contains("kimi") && text.contains("<|tool_call_begin|>") && text.contains("compiles"), "{text}");
}

#[test]
fn the_program_agrees_with_the_reference() {
    let home = tempfile::tempdir().expect("a folder");
    let file = |name: &str, text: &str| std::fs::write(home.path().join(name), text).expect("a file");
    for (vector, template) in vectors::read("parse.dev.jsonl") {
        file("t.jinja", &template);
        file("tools.json", &vector["tools"].to_string());
        let prompt = vector["generation_prompt"].as_str().unwrap_or_default();
        let mut arguments =
            vec!["dialect", "parse", "--template", "t.jinja", "--tools", "tools.json", "--generation-prompt", prompt];
        arguments.extend((vector["partial"] == true).then_some("--partial"));
        arguments.extend((vector["enable_thinking"] == false).then_some("--no-thinking"));
        let output = moru(home.path(), &arguments, vector["output"].as_str().expect("an output"));
        let value: Value = serde_json::from_str(&text(&output)).expect("JSON");
        for key in ["reasoning", "content"] {
            let trimmed = |value: &Value| value[key].as_str().unwrap_or_default().trim().to_owned();
            assert_eq!(trimmed(&value), trimmed(&vector["expect"]), "{vector}");
        }
        assert_eq!(value["calls"], vector["expect"]["calls"], "{vector}");
    }
}
