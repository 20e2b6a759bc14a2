//! Every reference prompt is rendered to the byte.

use moru::dialect::RenderOptions;
use moru::dialect::template::Template;
use serde_json::Value;

use crate::vectors;

#[test]
fn prompts_equal_those_of_transformers() {
    let vectors = vectors::read("render.dev.jsonl");
    let wrong: Vec<String> = vectors.iter().filter_map(|(vector, source)| check(vector, source).err()).collect();
    assert!(wrong.is_empty(), "{} of {} differ:\n{}", wrong.len(), vectors.len(), wrong.join("\n"));
    eprintln!("{} prompts are equal", vectors.len());
}

#[test]
fn a_long_conversation_stays_within_the_budget() {
    for (mut vector, source) in
        vectors::read("render.dev.jsonl").into_iter().filter(|(v, _)| v["case"] == "call_result")
    {
        let messages = vector["messages"].as_array_mut().expect("messages are a list");
        let round: Vec<Value> = messages.iter().filter(|message| message["role"] != "system").cloned().collect();
        let long = "a line of a file\n".repeat(400);
        for _ in 0..100 {
            messages.push(serde_json::json!({"role": "assistant", "content": long}));
            messages.extend(round.clone());
        }
        let messages = vector["messages"].as_array().expect("messages are a list");
        let tools = vector["tools"].as_array().map(Vec::as_slice);
        let text = Template::new(&source).and_then(|t| t.render_json(messages, tools, &RenderOptions::default()));
        assert!(text.is_ok_and(|text| text.len() > 100 * long.len()), "{}", vector["template"]);
    }
}

fn check(vector: &Value, source: &str) -> Result<(), String> {
    let text = |name: &str| vector[name].as_str().unwrap_or_default().to_owned();
    let options = RenderOptions {
        bos_token: text("bos_token"),
        eos_token: text("eos_token"),
        enable_thinking: vector["enable_thinking"].as_bool(),
        now: text("now").parse().ok(),
        ..RenderOptions::default()
    };
    let messages = vector["messages"].as_array().expect("messages are a list");
    let tools = vector["tools"].as_array().map(Vec::as_slice);
    let got = Template::new(source).and_then(|t| t.render_json(messages, tools, &options));
    let name = format!("{} {} {}", text("template"), text("case"), vector["enable_thinking"]);
    match (got, vector["prompt"].as_str()) {
        (Ok(got), Some(expected)) if got == expected => Ok(()),
        (Err(_), None) => Ok(()),
        (Err(error), Some(_)) => Err(format!("{name}: {error}")),
        (Ok(got), None) => Err(format!("{name}: rendered where an error is expected:\n{got}")),
        (Ok(got), Some(expected)) => {
            let at = got.bytes().zip(expected.bytes()).take_while(|(a, b)| a == b).count();
            let around = |text: &str| {
                text.chars()
                    .skip(text[..text.floor_char_boundary(at)].chars().count().saturating_sub(40))
                    .take(160)
                    .collect::<String>()
            };
            Err(format!(
                "{name}: differs at byte {at}:\n  got      {:?}\n  expected {:?}",
                around(&got),
                around(expected)
            ))
        }
    }
}
