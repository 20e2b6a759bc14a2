//! Streams in the shapes of vLLM, SGLang and llama-server.

use moru::engine::Stop;
use serde_json::{Value, json};

use crate::fake::{Fake, Heard, Play, asking, delta, events, finish, hear, says, says_in, shown, usage};

/// What comes of an answer in these pieces.
async fn heard(pieces: Vec<Vec<u8>>) -> Heard {
    let fake = Fake::new("vllm", vec![Play::Stream(pieces)]).await;
    hear(&fake.engine().await, asking("go")).await.unwrap()
}

fn call(part: Value) -> Value {
    delta(json!({"tool_calls": [part]}))
}

#[tokio::test]
async fn an_answer_and_its_usage() {
    let heard = heard(says("Hello.")).await;
    assert_eq!(heard.text, "Hello.");
    let usage = heard.usage;
    assert_eq!((usage.prompt, usage.cached, usage.generated, usage.stop), (100, 90, 7, Stop::End));
}

#[tokio::test]
async fn the_pieces_of_the_wire_say_nothing() {
    let call = [
        call(json!({"index": 0, "id": "a", "type": "function", "function": {"name": "read", "arguments": ""}})),
        call(json!({"index": 0, "function": {"arguments": "{\"path\": \"d\u{e9}j\u{e0}"}})),
        call(json!({"index": 0, "function": {"arguments": "_vu_\u{1f528}.py\"}"}})),
        finish("tool_calls"),
    ];
    let text = delta(json!({"content": "\u{baa8}\u{b8e8}: d\u{e9}j\u{e0} vu \u{1f528}\n"}));
    let wire = [events(&[text]), events(&call), usage()].concat().concat();
    // Inside a character, inside a tool's name, inside an event's end: everywhere.
    for size in [1, 2, 3, 5, 7, 1000] {
        let pieces = wire.chunks(size).map(<[u8]>::to_vec).collect();
        let heard = heard(pieces).await;
        assert_eq!(heard.text, "\u{baa8}\u{b8e8}: d\u{e9}j\u{e0} vu \u{1f528}\n", "pieces of {size}");
        assert_eq!(shown(&heard), ["read d\u{e9}j\u{e0}_vu_\u{1f528}.py"], "pieces of {size}");
        assert_eq!(heard.usage.stop, Stop::Call);
    }
}

#[tokio::test]
async fn calls_without_an_index() {
    let parts = [
        call(json!({"id": "a", "type": "function", "function": {"name": "read", "arguments": "{\"path\":"}})),
        call(json!({"function": {"arguments": "\"x\"}"}})),
        call(json!({"id": "b", "type": "function", "function": {"name": "list", "arguments": "{\"path\":\"y\"}"}})),
        finish("tool_calls"),
    ];
    assert_eq!(shown(&heard([events(&parts), usage()].concat()).await), ["read x", "list y"]);
}

#[tokio::test]
async fn a_name_in_two_pieces() {
    let parts = [
        call(json!({"index": 0, "id": "a", "function": {"name": "re"}})),
        call(json!({"index": 0, "function": {"name": "ad"}})),
        call(json!({"index": 0, "function": {"arguments": "{\"path\":\"x\"}"}})),
        finish("tool_calls"),
    ];
    assert_eq!(shown(&heard([events(&parts), usage()].concat()).await), ["read x"]);
}

#[tokio::test]
async fn events_with_nothing_in_them() {
    let mut wire = events(&[json!({"choices": []}), delta(json!({})), delta(json!({"content": null}))]);
    wire.push(b": ping\n\n".to_vec());
    wire.push(b"data: no json\n\n".to_vec());
    wire.extend(says("Hello."));
    assert_eq!(heard(wire).await.text, "Hello.");
}

#[tokio::test]
async fn reasoning_is_no_answer_whoever_takes_it_apart() {
    for name in ["reasoning_content", "reasoning"] {
        let parts = [delta(json!({name: "hm"})), delta(json!({"content": "Yes."})), finish("stop")];
        let heard = heard([events(&parts), usage()].concat()).await;
        assert_eq!((heard.reasoning.as_str(), heard.text.as_str()), ("hm", "Yes."), "{name}");
    }
    let heard = heard(says("<think>hm</think>Yes.")).await;
    assert_eq!((heard.reasoning.as_str(), heard.text.as_str()), ("hm", "Yes."));
}

/// Reasoning and text of the answers to as many requests.
async fn thoughts(fake: &Fake, requests: usize) -> Vec<(String, String)> {
    let engine = fake.engine().await;
    let mut thoughts = Vec::new();
    for _ in 0..requests {
        let heard = hear(&engine, asking("go")).await.unwrap();
        thoughts.push((heard.reasoning, heard.text));
    }
    thoughts
}

fn thought(reasoning: &str, text: &str) -> (String, String) {
    (reasoning.into(), text.into())
}

#[tokio::test]
async fn reasoning_that_the_template_begins() {
    let left = || Play::Stream(says_in(&["hm", " hm</th", "ink>\n\nYes."]));
    let fake = crate::requests::thinking_llama_server(vec![left(), left()]).await;
    assert_eq!(thoughts(&fake, 2).await, vec![thought("hm hm", "\n\nYes."); 2]);
    // A server that takes it apart leaves nothing of it in the text, the next time not even a thought.
    let parts = [delta(json!({"reasoning_content": "hm"})), delta(json!({"content": "Yes."})), finish("stop")];
    let apart = Play::Stream([events(&parts), usage()].concat());
    let fake = crate::requests::thinking_llama_server(vec![apart, Play::Stream(says_in(&["Ye", "s."]))]).await;
    assert_eq!(thoughts(&fake, 2).await, [thought("hm", "Yes."), thought("", "Yes.")]);
    // Nor is an answer lost without one.
    let plays = vec![Play::Stream(says("Yes.")), Play::Stream(says("No."))];
    let fake = crate::requests::thinking_llama_server(plays).await;
    assert_eq!(thoughts(&fake, 2).await, [thought("Yes.", "Yes."), thought("", "No.")]);
}

#[tokio::test]
async fn reasoning_that_an_unknown_template_begins() {
    let left = || Play::Stream(says_in(&["hm", "</think>", "Yes."]));
    let fake = Fake::new("vllm", vec![left()]).await.serving("vllm", "Qwen/QwQ-32B");
    assert_eq!(thoughts(&fake, 1).await, [thought("hm", "Yes.")]);
    // A name that tells nothing: the first answer does.
    let fake = Fake::new("vllm", vec![left(), left()]).await;
    assert_eq!(thoughts(&fake, 2).await, [thought("", "hm</think>Yes."), thought("hm", "Yes.")]);
    let fake = Fake::new("vllm", vec![Play::Stream(says("hm</think>Yes."))]).await;
    assert_eq!(thoughts(&fake, 1).await, [thought("hm", "Yes.")]);
}

#[tokio::test]
async fn calls_that_the_server_left_in_the_form_of_the_models_family() {
    let glm = "<tool_call>read\n<arg_key>path</arg_key>\n<arg_value>x</arg_value>\n</tool_call>";
    let qwen = "<tool_call>\n<function=read>\n<parameter=path>\nx\n</parameter>\n</function>\n</tool_call>";
    let minimax = "<minimax:tool_call>\n<invoke name=\"read\">\n<parameter name=\"path\">x</parameter>\n</invoke>\n</minimax:tool_call>";
    let kimi = "<|tool_calls_section_begin|><|tool_call_begin|>functions.read:0<|tool_call_argument_begin|>{\"path\": \"x\"}<|tool_call_end|><|tool_calls_section_end|><|im_end|>";
    let hermes = "<tool_call>\n{\"name\": \"read\", \"arguments\": {\"path\": \"x\"}}\n</tool_call>";
    for (model, call) in [
        ("zai-org/GLM-4.6", glm),
        ("Qwen/Qwen3-Coder-480B-A35B-Instruct", qwen),
        ("MiniMaxAI/MiniMax-M2", minimax),
        ("moonshotai/Kimi-K2-Instruct", kimi),
        ("zai-org/GLM-4.6", hermes),
    ] {
        let text = format!("I look.\n{call}");
        let fake = Fake::new("vllm", vec![Play::Stream(says(&text))]).await.serving("vllm", model);
        let heard = hear(&fake.engine().await, asking("go")).await.unwrap();
        assert_eq!(shown(&heard), ["read x"], "{model}: {heard:?}");
    }
}

#[tokio::test]
async fn the_end_of_a_turn_is_no_text() {
    let fake = Fake::new("vllm", vec![Play::Stream(says_in(&["Yes.", "<|im_", "end|>"]))]).await;
    assert_eq!(hear(&fake.engine().await, asking("go")).await.unwrap().text, "Yes.");
}

#[tokio::test]
async fn a_call_that_the_server_left_in_the_text() {
    let text = "I look.\n<tool_call>\n{\"name\": \"read\", \"arguments\": {\"path\": \"x\"}}\n</tool_call>";
    let heard = heard(says(text)).await;
    assert_eq!(shown(&heard), ["read x"]);
    assert!(!heard.text.contains("tool_call"), "{}", heard.text);
    assert_eq!(heard.usage.stop, Stop::Call);
}

#[tokio::test]
async fn a_server_that_does_not_stream() {
    let message = json!({"role": "assistant", "content": null, "tool_calls": [
        {"id": "a", "type": "function", "function": {"name": "read", "arguments": "{\"path\":\"x\"}"}}]});
    let answer = json!({"choices": [{"index": 0, "message": message, "finish_reason": "tool_calls"}],
        "usage": {"prompt_tokens": 5, "completion_tokens": 2}});
    let fake = Fake::new("somebody", vec![Play::Status(200, "", answer.to_string())]).await;
    let heard = hear(&fake.engine().await, asking("go")).await.unwrap();
    assert_eq!((shown(&heard), heard.usage.prompt), (vec!["read x".to_owned()], 5));
}

#[tokio::test]
async fn an_answer_without_a_reason_for_its_end() {
    let mut wire = events(&[delta(json!({"content": "Hello."}))]);
    wire.push(b"data: [DONE]\n\n".to_vec());
    let heard = heard(wire).await;
    assert_eq!((heard.text.as_str(), heard.usage.stop), ("Hello.", Stop::End));
}

#[tokio::test]
async fn logprobs_are_averaged() {
    let with = |content: &str, logprob: f64| json!({"choices": [{"delta": {"content": content}, "logprobs": {"content": [{"token": content, "logprob": logprob}]}}]});
    let wire = [events(&[with("a", -1.0), with("b", -3.0), finish("stop")]), usage()].concat();
    let fake = Fake::new("vllm", vec![Play::Stream(wire)]).await;
    let heard = hear(&fake.engine().await, moru::engine::Request { logprobs: true, ..asking("go") }).await.unwrap();
    assert_eq!(heard.usage.logprob, Some(-2.0));
    assert_eq!(fake.asked()[0].body["logprobs"], true);
}

#[tokio::test]
async fn llama_servers_own_completions() {
    let wire = events(&[
        json!({"content": "", "stop": false, "prompt_progress": {"total": 20, "cache": 10, "processed": 15}}),
        json!({"content": "He", "stop": false}),
        json!({"content": "llo.", "stop": false}),
        json!({"content": "", "stop": true, "stop_type": "eos", "stopping_word": "",
            "timings": {"cache_n": 10, "prompt_n": 10, "prompt_ms": 100.0, "predicted_n": 3, "predicted_ms": 50.0}}),
    ]);
    let fake = crate::requests::llama_server(vec![Play::Stream(wire)]).await;
    let engine = crate::requests::completing(&fake).await;
    let heard = hear(&engine, asking("go")).await.unwrap();
    assert_eq!((heard.text.as_str(), heard.usage.prompt, heard.usage.cached), ("Hello.", 20, 10));
    assert_eq!((heard.usage.generated, heard.usage.decode_seconds), (3, 0.05));
}
