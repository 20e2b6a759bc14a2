//! Models on servers that think too long.

use moru::dialect::Thinking;
use moru::engine::remote::{Api, Options, RemoteEngine};
use moru::engine::{Request, Stop};
use serde_json::{Value, json};

use crate::fake::{Fake, Play, asking, events, hear, options, says};
use crate::requests::{native, thinking_llama_server};

const LAST_WORDS: &str = "\n\nThat is enough thought. Now the answer.\n";

async fn engine(fake: &Fake, api: Api, thinking: Option<Thinking>) -> RemoteEngine {
    let dialect = (api == Api::Completions).then(|| "hermes".to_owned());
    let options = Options { api: Some(api), dialect, thinking, ..options(&fake.address) };
    RemoteEngine::connect(&options).await.unwrap()
}

/// Thoughts without an end.
fn thinks(thoughts: &[&str]) -> Play {
    let pieces: Vec<Value> = thoughts.iter().map(|text| json!({"content": text, "stop": false})).collect();
    Play::Hang(events(&pieces))
}

#[tokio::test]
async fn a_completion_goes_on_behind_the_end_of_its_reasoning() {
    let fake = thinking_llama_server(vec![thinks(&["hm"]), native("Yes.")]).await;
    let engine = engine(&fake, Api::Completions, Some(Thinking::Off)).await;
    let heard = hear(&engine, Request { max_tokens: Some(8), ..asking("go") }).await.unwrap();
    assert_eq!((heard.reasoning, heard.text.trim()), (format!("hm{LAST_WORDS}"), "Yes."));
    assert_eq!((heard.usage.stop, heard.usage.generated), (Stop::End, 2));
    fake.was_left().await;
    let [first, second] = &fake.asked()[..] else { panic!("{:?}", fake.asked()) };
    let prompt = first.body["prompt"].as_str().unwrap();
    assert!(prompt.ends_with("<think>\n"), "{prompt}");
    assert_eq!(second.body["prompt"], format!("{prompt}hm{LAST_WORDS}</think>\n\n"));
    assert_eq!((&first.body["n_predict"], &second.body["n_predict"]), (&json!(8), &json!(7)));
}

#[tokio::test]
async fn so_does_one_that_thinks_in_circles() {
    let fake = thinking_llama_server(vec![thinks(&["so", " it", " is"].repeat(100)), native("Yes.")]).await;
    let engine = engine(&fake, Api::Completions, None).await;
    let heard = hear(&engine, asking("go")).await.unwrap();
    assert!(heard.reasoning.ends_with(LAST_WORDS), "{}", heard.reasoning);
    assert_eq!((heard.text.trim(), heard.usage.stop), ("Yes.", Stop::End));
}

#[tokio::test]
async fn what_is_thought_in_time_is_left_alone() {
    let fake = thinking_llama_server(vec![native("hm</think>\n\nYes.")]).await;
    let heard = hear(&engine(&fake, Api::Completions, Some(Thinking::Low)).await, asking("go")).await.unwrap();
    assert_eq!((heard.reasoning.trim(), heard.text.trim()), ("hm", "Yes."));
    assert_eq!(fake.asked().len(), 1);
}

#[tokio::test]
async fn a_chat_is_told_how_long_in_the_servers_words() {
    for (owner, name, budget) in [
        ("llamacpp", "thinking_budget_tokens", json!(2048)),
        ("vllm", "thinking_token_budget", json!(2048)),
        ("sglang", "custom_params", json!({"thinking_budget": 2048})),
    ] {
        let fake = Fake::new(owner, vec![Play::Stream(says("a"))]).await;
        hear(&engine(&fake, Api::Chat, Some(Thinking::Medium)).await, asking("go")).await.unwrap();
        assert_eq!(fake.asked()[0].body[name], budget, "{owner}");
    }
}

#[tokio::test]
async fn a_server_without_an_end_to_thinking_is_not_asked_for_it_again() {
    let no = json!({"error": {"message": "thinking_token_budget is set but reasoning_config is not configured"}});
    let plays = vec![Play::Status(400, "", no.to_string()), Play::Stream(says("a")), Play::Stream(says("b"))];
    let fake = Fake::new("vllm", plays).await;
    let engine = engine(&fake, Api::Chat, Some(Thinking::Low)).await;
    assert_eq!(hear(&engine, asking("go")).await.unwrap().text, "a");
    assert_eq!(hear(&engine, asking("go")).await.unwrap().text, "b");
    let has = |asked: &crate::fake::Asked| asked.body.get("thinking_token_budget").is_some();
    assert_eq!(fake.asked().iter().map(has).collect::<Vec<_>>(), [true, false, false]);
    // The template hears of it all the same.
    assert!(fake.asked()[2].body["chat_template_kwargs"]["enable_thinking"] == true);
}
