//! Outputs of every family, against the reference vectors.

use std::collections::BTreeMap;

use moru::dialect::{Answer, Dialect, Prompt, ToolSpec, for_template};
use serde_json::{Value, json};

use crate::vectors;

#[test]
fn outputs_mean_what_the_reference_says() {
    let vectors = vectors::read("parse.dev.jsonl");
    let mut wrong = Vec::new();
    let mut forms: BTreeMap<String, String> = BTreeMap::new();
    for (vector, template) in &vectors {
        let dialect = for_template(template, None).expect("the template compiles");
        forms.insert(vector["template"].to_string(), dialect.name().to_owned());
        wrong.extend(check(vector, dialect.as_ref()).err());
    }
    for (template, form) in forms {
        eprintln!("{form:15} {template}");
    }
    assert!(wrong.is_empty(), "{} of {} outputs are wrong:\n{}", wrong.len(), vectors.len(), wrong.join("\n"));
    eprintln!("{} outputs are right", vectors.len());
}

fn check(vector: &Value, dialect: &dyn Dialect) -> Result<(), String> {
    let tools = specs(&vector["tools"]);
    let prompt = Prompt { text: vector["generation_prompt"].as_str().unwrap_or_default().into() };
    let output = vector["output"].as_str().expect("an output");
    let partial = vector["partial"] == true;
    let read = |pieces: &[String]| {
        let pieces = pieces.iter().map(String::as_str);
        let answer = Answer::read(dialect.parser_after(&tools, &prompt), pieces, partial);
        let answer = if tools.is_empty() { answer.unfenced() } else { answer };
        json!([answer.reasoning.trim(), answer.content.trim(), answer.calls])
    };
    let whole = read(&[output.to_owned()]);
    let pieces = read(&output.chars().map(String::from).collect::<Vec<_>>());
    let expected = json!([
        vector["expect"]["reasoning"].as_str().unwrap_or_default().trim(),
        vector["expect"]["content"].as_str().unwrap_or_default().trim(),
        vector["expect"]["calls"]
    ]);
    match (whole == expected, pieces == expected) {
        (true, true) => Ok(()),
        (whole_right, _) => {
            let (how, got) = if whole_right { ("by characters", pieces) } else { ("whole", whole) };
            let name = dialect.name();
            Err(format!("{name} {} {output:?}, {how}:\n  got      {got}\n  expected {expected}", vector["template"]))
        }
    }
}

/// The tools of a vector.
pub fn specs(tools: &Value) -> Vec<ToolSpec> {
    let tools = tools.as_array().map(Vec::as_slice).unwrap_or_default();
    tools
        .iter()
        .map(|tool| serde_json::from_value(tool.get("function").unwrap_or(tool).clone()).expect("a tool"))
        .collect()
}
