//! Outputs of the families that write calls as JSON in tags, against the reference vectors.

use moru::dialect::{Parsed, Prompt, ToolSpec, for_template};
use serde_json::{Value, json};

use crate::tools::parse;
use crate::vectors;

#[test]
fn outputs_mean_what_the_reference_says() {
    let (mut right, mut wrong) = (0, Vec::new());
    for (vector, template) in vectors::read("parse.dev.jsonl") {
        let dialect = for_template(&template, None).expect("the template compiles");
        // Families with forms of their own are tried with them; those without tools need no form.
        let tools = specs(&vector["tools"]);
        if dialect.name() != "hermes" && !tools.is_empty() {
            continue;
        }
        let prompt = Prompt { text: vector["generation_prompt"].as_str().unwrap_or_default().into() };
        let output = vector["output"].as_str().expect("an output");
        let chars: Vec<String> = output.chars().map(String::from).collect();
        let whole = summary(&parse(dialect.parser_after(&tools, &prompt), [output]));
        let pieces = summary(&parse(dialect.parser_after(&tools, &prompt), chars.iter().map(String::as_str)));
        assert_eq!(whole, pieces);
        let expected = json!([
            vector["expect"]["reasoning"].as_str().unwrap_or_default().trim(),
            vector["expect"]["content"].as_str().unwrap_or_default().trim(),
            vector["expect"]["calls"]
        ]);
        if whole == expected {
            right += 1;
        } else {
            wrong.push(format!("{} {:?}:\n  got      {whole}\n  expected {expected}", vector["template"], output));
        }
    }
    eprintln!("{right} of {} outputs are right", right + wrong.len());
    for text in &wrong {
        eprintln!("another form: {text}");
    }
    // Outputs in a family's own marks, without tools, belong to that family's form.
    wrong.retain(|text| text.contains("Qwen2.5") || text.contains("Qwen3-0.6") || text.contains("QwQ"));
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

fn specs(tools: &Value) -> Vec<ToolSpec> {
    let tools = tools.as_array().map(Vec::as_slice).unwrap_or_default();
    tools
        .iter()
        .map(|tool| serde_json::from_value(tool.get("function").unwrap_or(tool).clone()).expect("a tool"))
        .collect()
}

fn summary(items: &[Parsed]) -> Value {
    let (mut reasoning, mut content, mut calls) = (String::new(), String::new(), Vec::new());
    for item in items {
        match item {
            Parsed::Reasoning(text) => reasoning.push_str(text),
            Parsed::Text(text) | Parsed::Malformed { text, .. } => content.push_str(text),
            Parsed::Call(call) => calls.push(json!({"name": call.name, "arguments": call.arguments})),
        }
    }
    json!([reasoning.trim(), content.trim(), calls])
}
