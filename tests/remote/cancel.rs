//! A cancelled request is a closed connection, which is how servers are told to stop.

use futures_util::StreamExt;
use moru::engine::{Delta, Engine, Stop};
use serde_json::json;
use tokio_util::sync::CancellationToken;

use crate::fake::{Fake, Play, asking, delta, events};

fn endless() -> Play {
    Play::Hang(events(&[delta(json!({"content": "Hello"}))]))
}

#[tokio::test]
async fn cancelling_closes_the_connection_and_ends_with_what_was_generated() {
    let fake = Fake::new("vllm", vec![endless()]).await;
    let engine = fake.engine().await;
    let cancel = CancellationToken::new();
    let mut deltas = engine.generate(asking("go"), cancel.clone());
    assert_eq!(deltas.next().await.unwrap().unwrap(), Delta::Text("Hello".into()));
    cancel.cancel();
    let last = deltas.next().await.unwrap().unwrap();
    assert!(matches!(last, Delta::Usage(usage) if usage.stop == Stop::Cancelled && usage.generated == 1), "{last:?}");
    fake.was_left().await;
}

#[tokio::test]
async fn so_does_dropping_the_answer() {
    let fake = Fake::new("vllm", vec![endless()]).await;
    let engine = fake.engine().await;
    let mut deltas = engine.generate(asking("go"), CancellationToken::new());
    deltas.next().await.unwrap().unwrap();
    drop(deltas);
    fake.was_left().await;
}

#[tokio::test]
async fn an_answer_that_does_not_stream_can_be_cancelled_too() {
    let fake = Fake::new("somebody", vec![Play::Half("{\"choices\": [".into())]).await;
    let engine = fake.engine().await;
    let cancel = CancellationToken::new();
    let mut deltas = engine.generate(asking("go"), cancel.clone());
    let soon = std::time::Duration::from_millis(200);
    // The body has begun by then.
    assert!(tokio::time::timeout(soon, deltas.next()).await.is_err());
    cancel.cancel();
    let last = tokio::time::timeout(soon * 10, deltas.next()).await.unwrap().unwrap().unwrap();
    assert!(matches!(last, Delta::Usage(usage) if usage.stop == Stop::Cancelled), "{last:?}");
    fake.was_left().await;
}

#[tokio::test]
async fn waiting_for_a_busy_server_can_be_cancelled() {
    let busy = Play::Status(429, "retry-after: 3600\r\n", "{}".into());
    let fake = Fake::new("vllm", vec![busy]).await;
    let engine = fake.engine().await;
    let cancel = CancellationToken::new();
    let mut deltas = engine.generate(asking("go"), cancel.clone());
    cancel.cancel();
    let last = deltas.next().await.unwrap().unwrap();
    assert!(matches!(last, Delta::Usage(usage) if usage.stop == Stop::Cancelled), "{last:?}");
}

#[tokio::test]
async fn a_stop_text_ends_the_answer_of_a_server_that_was_not_told_of_it() {
    let text = delta(json!({"content": "x = 1\n```\nand"}));
    let fake = Fake::new("somebody", vec![Play::Hang(events(&[text]))]).await;
    let request = moru::engine::Request { stop: vec!["\n```".into()], ..asking("go") };
    let heard = crate::fake::hear(&fake.engine().await, request).await.unwrap();
    assert_eq!((heard.text.as_str(), heard.usage.stop), ("x = 1\n```", Stop::End));
    fake.was_left().await;
}
