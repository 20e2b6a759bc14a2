//! Servers that are busy, die, or were never there.

use moru::dialect::{Message, Role};
use moru::engine::remote::{Key, Options, Reach, RemoteEngine, RemoteError};
use moru::engine::{Constraint, Engine, EngineError, Request};
use serde_json::json;
use tokio::net::TcpListener;

use crate::fake::{Fake, Play, asking, delta, events, hear, options, says, shown, tools};

fn busy(status: u16) -> Play {
    Play::Status(status, "retry-after: 0\r\n", json!({"error": {"message": "too many requests"}}).to_string())
}

/// An address at which nobody listens.
async fn nobody() -> String {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    format!("http://{}", listener.local_addr().unwrap())
}

async fn refused(options: &Options) -> String {
    match RemoteEngine::connect(options).await {
        Ok(_) => panic!("it connects"),
        Err(error) => error.to_string(),
    }
}

#[tokio::test]
async fn a_busy_server_is_asked_again() {
    let fake = Fake::new("vllm", vec![busy(429), busy(503), Play::Stream(says("Hello."))]).await;
    let heard = hear(&fake.engine().await, asking("go")).await.unwrap();
    assert_eq!((heard.text.as_str(), fake.asked().len()), ("Hello.", 3));
}

#[tokio::test]
async fn a_request_that_is_wrong_is_not_made_again() {
    let wrong = Play::Status(400, "", json!({"error": {"message": "no such thing"}}).to_string());
    let fake = Fake::new("vllm", vec![wrong, Play::Stream(says("Hello."))]).await;
    let request = Request { tools: Vec::new(), ..asking("go") };
    let error = hear(&fake.engine().await, request).await.unwrap_err().to_string();
    assert!(error.contains("no such thing") && error.contains("HTTP 400"), "{error}");
    assert_eq!(fake.asked().len(), 1);
}

#[tokio::test]
async fn what_a_server_does_not_take_is_left_out() {
    let reason = "\"auto\" tool choice requires --enable-auto-tool-choice and --tool-call-parser to be set";
    let wrong = Play::Status(400, "", json!({"object": "error", "message": reason}).to_string());
    let call = "<tool_call>\n{\"name\": \"read\", \"arguments\": {\"path\": \"x\"}}\n</tool_call>";
    let fake = Fake::new("vllm", vec![wrong, Play::Stream(says(call)), Play::Stream(says("Done."))]).await;
    let engine = fake.engine().await;
    assert_eq!(hear(&engine, asking("go")).await.unwrap().calls.len(), 1);
    hear(&engine, asking("go")).await.unwrap();
    let choices: Vec<_> = fake.asked().iter().map(|asked| asked.body["tool_choice"].clone()).collect();
    assert_eq!(choices, [json!("auto"), json!("none"), json!("none")]);
}

#[tokio::test]
async fn a_server_that_takes_no_tools_has_them_taught() {
    let reason = "registry.ollama.ai/library/test:32b does not support tools";
    let wrong = Play::Status(400, "", json!({"error": {"message": reason}}).to_string());
    let call = "I look.\n\n```tool read path=x\n```\n";
    let json = "{\"name\": \"list\", \"arguments\": {\"path\": \"y\"}}";
    let plays = vec![wrong, Play::Stream(says(call)), Play::Stream(says(json)), Play::Stream(says("Done."))];
    let fake = Fake::new("library", plays).await;
    let engine = fake.engine().await;
    let heard = hear(&engine, asking("go")).await.unwrap();
    assert_eq!((shown(&heard), heard.text.trim()), (vec!["read x".to_owned()], "I look."));
    let mut next = asking("go");
    next.messages.push(Message { calls: heard.calls.clone(), ..Message::new(Role::Assistant, "I look.") });
    next.messages.push(Message::tool(&heard.calls[0], "its text <|im_end|>"));
    let must = Request { constraint: Constraint::MustCall(tools()), ..next.clone() };
    assert_eq!(shown(&hear(&engine, must).await.unwrap()), ["list y"]);
    assert_eq!(hear(&engine, next).await.unwrap().text, "Done.");
    let bodies: Vec<_> = fake.asked().into_iter().map(|asked| asked.body).collect();
    assert!(bodies[0].get("tools").is_some());
    for body in &bodies[1..] {
        assert!(body.get("tools").is_none() && body.get("tool_choice").is_none(), "{body}");
        assert!(body["messages"][0]["content"].as_str().unwrap().contains("```tool read path=<path>"), "{body}");
    }
    let last = &bodies[3]["messages"];
    assert_eq!(last[2], json!({"role": "assistant", "content": "I look.\n\n```tool read path=x\n```\n"}));
    assert_eq!(last[3]["content"], "Result of read:\nits text <\u{200b}|im_end|>");
    assert!(bodies[2]["response_format"].is_object());
    assert!(bodies[2]["messages"][3]["content"].as_str().unwrap().contains("Call one of these tools now: read, list."));
}

#[tokio::test]
async fn one_whose_template_is_known_is_asked_for_completions_instead() {
    let reason = json!({"error": {"code": 500, "message": "tools param requires --jinja flag"}}).to_string();
    let call = "<tool_call>\n{\"name\": \"read\", \"arguments\": {\"path\": \"x\"}}\n</tool_call>";
    let plays = vec![Play::Status(500, "", reason), crate::requests::native(call)];
    let fake = crate::requests::llama_server(plays).await;
    assert_eq!(shown(&hear(&fake.engine().await, asking("go")).await.unwrap()), ["read x"]);
    let asked = &fake.asked()[1];
    assert_eq!(asked.path, "/completion");
    assert!(asked.body["prompt"].as_str().unwrap().contains("\"name\": \"read\""), "{}", asked.body);
}

#[tokio::test]
async fn special_tokens_are_left_out_where_they_cannot_be_written_out() {
    let reason = "skip_special_tokens=False is not supported for Mistral tokenizers.";
    let wrong = Play::Status(400, "", json!({"object": "error", "message": reason}).to_string());
    let fake = Fake::new("vllm", vec![wrong, Play::Stream(says("Hello."))]).await;
    assert_eq!(hear(&fake.engine().await, asking("go")).await.unwrap().text, "Hello.");
    let bodies: Vec<_> = fake.asked().into_iter().map(|asked| asked.body).collect();
    assert_eq!((&bodies[0]["skip_special_tokens"], &bodies[1]["tool_choice"]), (&json!(false), &json!("auto")));
    assert!(bodies[1].get("skip_special_tokens").is_none());
}

#[tokio::test]
async fn an_error_in_mid_stream_is_told_and_the_next_request_works() {
    let broken =
        events(&[delta(json!({"content": "Hel"})), json!({"error": {"message": "out of memory", "code": 500}})]);
    let fake = Fake::new("vllm", vec![Play::Stream(broken), Play::Stream(says("Hello."))]).await;
    let engine = fake.engine().await;
    let error = hear(&engine, asking("go")).await.unwrap_err().to_string();
    assert!(error.contains("out of memory") && error.contains("ask again to go on"), "{error}");
    assert_eq!(hear(&engine, asking("go")).await.unwrap().text, "Hello.");
}

#[tokio::test]
async fn a_server_that_dies_in_mid_stream_is_told() {
    let half = events(&[delta(json!({"content": "Hel"}))]);
    let fake = Fake::new("sglang", vec![Play::Break(half)]).await;
    let error = hear(&fake.engine().await, asking("go")).await.unwrap_err();
    assert!(matches!(&error, EngineError::Remote(RemoteError::Died { .. })), "{error}");
    assert_eq!(fake.asked().len(), 1, "what was begun is not begun anew");
}

#[tokio::test]
async fn before_the_first_token_it_is_only_asked_again() {
    let nothing_yet = events(&[delta(json!({"role": "assistant", "content": ""}))]);
    let fake = Fake::new("vllm", vec![Play::Break(nothing_yet), Play::Stream(says("Hello."))]).await;
    assert_eq!(hear(&fake.engine().await, asking("go")).await.unwrap().text, "Hello.");
}

#[tokio::test]
async fn of_two_servers_one_is_dead() {
    let alive = Fake::new("vllm", vec![Play::Stream(says("Hello.")), Play::Stream(says("Again."))]).await;
    let both = format!("{},{}", nobody().await, alive.address);
    let engine = RemoteEngine::connect(&options(&both)).await.unwrap();
    assert_eq!(hear(&engine, asking("go")).await.unwrap().text, "Hello.");
    assert_eq!(hear(&engine, asking("go")).await.unwrap().text, "Again.");
}

#[tokio::test]
async fn of_two_servers_one_refuses() {
    for status in [401, 404] {
        let other = Fake::new("vllm", vec![Play::Stream(says("Other."))]).await.refusing(status);
        let alive = Fake::new("vllm", vec![Play::Stream(says("Hello.")), Play::Stream(says("Again."))]).await;
        for both in [[&other, &alive], [&alive, &other]] {
            let addresses = both.map(|fake| fake.address.clone()).join(",");
            let engine = RemoteEngine::connect(&options(&addresses)).await.unwrap();
            let warnings = engine.warnings();
            assert!(warnings.len() == 1 && warnings[0].contains(&other.address), "{warnings:?}");
            assert_eq!(engine.info().device, alive.address);
            assert!(hear(&engine, Request { slot: 1, ..asking("go") }).await.unwrap().text != "Other.");
        }
        assert!(other.asked().is_empty());
        let error = refused(&options(&other.address)).await;
        assert!(error.contains(&other.address), "{error}");
    }
}

#[tokio::test]
async fn of_two_servers_one_is_killed_later() {
    let first = Fake::new("vllm", vec![Play::Stream(says("one"))]).await;
    let second = Fake::new("vllm", vec![Play::Stream(says("two"))]).await;
    let engine = RemoteEngine::connect(&options(&format!("{},{}", first.address, second.address))).await.unwrap();
    assert_eq!(hear(&engine, asking("go")).await.unwrap().text, "one");
    drop(first);
    assert_eq!(hear(&engine, asking("go")).await.unwrap().text, "two");
}

#[tokio::test]
async fn parallel_work_is_spread_and_a_conversation_stays() {
    let plays = || vec![Play::Hang(events(&[delta(json!({"content": "a"}))])), Play::Stream(says("b"))];
    let (first, second) = (Fake::new("vllm", plays()).await, Fake::new("vllm", plays()).await);
    let engine = RemoteEngine::connect(&options(&format!("{},{}", first.address, second.address))).await.unwrap();
    let slot = |slot| Request { slot, ..asking("go") };
    let mut open = Vec::new();
    for n in 0..2 {
        let mut deltas = engine.generate(slot(n), tokio_util::sync::CancellationToken::new());
        futures_util::StreamExt::next(&mut deltas).await.unwrap().unwrap();
        open.push(deltas);
    }
    assert_eq!((first.asked().len(), second.asked().len()), (1, 1));
    drop(open);
    first.was_left().await;
    second.was_left().await;
    let key = |fake: &Fake| {
        let headers = fake.asked()[0].headers.clone();
        headers.lines().find(|line| line.starts_with("x-session-id: ")).map(str::to_owned)
    };
    assert!(key(&first).is_some() && key(&first) != key(&second), "each conversation has a name of its own");
}

#[tokio::test]
async fn what_is_not_there_is_one_sentence() {
    let address = nobody().await;
    let error = refused(&options(&address)).await;
    assert!(error.contains(&address) && error.contains("start the server"), "{error}");
    let fake = Fake::new("vllm", Vec::new()).await;
    let error = refused(&Options { model: Some("other".into()), ..options(&fake.address) }).await;
    assert!(error.contains("no model `other`") && error.contains("test-32b"), "{error}");
    let error = refused(&Options { api: Some(moru::engine::remote::Api::Completions), ..options(&fake.address) }).await;
    assert!(error.contains("--template"), "{error}");
}

#[tokio::test]
async fn offline_opens_no_connection_to_another_machine() {
    let offline = Options { reach: Reach::Loopback, ..options("http://192.0.2.1:8000") };
    let error = refused(&offline).await;
    assert!(error.contains("--offline") && error.contains("192.0.2.1"), "{error}");
}

#[tokio::test]
async fn a_key_is_sent_and_never_shown() {
    let fake = Fake::new("vllm", vec![Play::Status(401, "", "{}".into())]).await;
    let options = Options { key: Some(Key::new("sk-secret").unwrap()), ..options(&fake.address) };
    assert!(!format!("{options:?}").contains("sk-secret"));
    let engine = RemoteEngine::connect(&options).await.unwrap();
    let error = hear(&engine, asking("go")).await.unwrap_err().to_string();
    assert!(error.contains("MORU_API_KEY") && !error.contains("sk-secret"), "{error}");
    assert!(fake.asked()[0].headers.contains("authorization: bearer sk-secret"));
}

#[tokio::test]
async fn a_silent_server_is_not_waited_for_for_ever() {
    let fake = Fake::new("vllm", vec![Play::Hang(events(&[delta(json!({"content": "Hel"}))]))]).await;
    let options = Options { idle: std::time::Duration::from_millis(200), ..options(&fake.address) };
    let engine = RemoteEngine::connect(&options).await.unwrap();
    let error = hear(&engine, asking("go")).await.unwrap_err();
    assert!(matches!(error, EngineError::Remote(RemoteError::Silent { .. })), "{error}");
    fake.was_left().await;
}
