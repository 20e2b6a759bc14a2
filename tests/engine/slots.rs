use futures_util::future::join_all;
use moru::engine::{Request, Sampling, Stop};
use tokio_util::sync::CancellationToken;

use crate::stage::{self, answer, assistant, engine, request, system, user};

#[tokio::test]
async fn candidates_share_one_reading_of_the_prompt() {
    let Some(_turn) = stage::turn().await else { return };
    let engine = engine(None);
    let ask = request(&[system(), user(&"Tell me of the sea. ".repeat(40))], 24);
    let candidates = (1..=8).map(|i| {
        let sampling = Sampling { temperature: 1.0, seed: i, ..Sampling::default() };
        answer(&engine, Request { slot: i, sampling, ..ask.clone() })
    });
    let answers = join_all(candidates).await;
    let read: usize = answers.iter().map(stage::Answer::read).sum();
    let prompt = answers[0].usage.prompt;
    // Each needs the logits behind the last token, and has no token before it to take them from.
    assert_eq!(read, prompt + 7);
    let mut texts: Vec<&str> = answers.iter().map(|answer| answer.text.as_str()).collect();
    texts.sort_unstable();
    texts.dedup();
    assert!(texts.len() > 4, "{texts:?}");
    // A conversation of its own finds the shared beginning as well.
    let other = answer(&engine, request(&[system(), user("Hello.")], 4)).await;
    assert!(other.usage.cached > 100 && other.read() < 20, "{:?}", other.usage);
}

#[tokio::test]
async fn a_conversation_goes_on_and_back_without_reading_twice() {
    let Some(_turn) = stage::turn().await else { return };
    let engine = engine(None);
    let mut messages = vec![system(), user("Count to five.")];
    let first = answer(&engine, request(&messages, 40)).await;
    messages.extend([assistant(&first.text), user("Now to three.")]);
    let second = answer(&engine, request(&messages, 40)).await;
    assert!(second.read() < 20, "{:?}", second.usage);
    // The second request is taken back for another one.
    messages.pop();
    messages.push(user("Now to two."));
    let third = answer(&engine, request(&messages, 40)).await;
    assert!(third.read() < 20, "{:?}", third.usage);
    let fresh = answer(&stage::engine(None), request(&messages, 40)).await;
    assert_eq!(third.text, fresh.text);
}

#[tokio::test]
async fn a_message_that_goes_on_differently_is_not_read_again() {
    let Some(_turn) = stage::turn().await else { return };
    let engine = engine(None);
    let long = "Tell me of the sea. ".repeat(40);
    // Two of the user's messages in a row become one: no control token stands between what they share and what they do not.
    let ask = |end: &str| request(&[system(), user(&format!("{long}\n\n{end}"))], 4);
    answer(&engine, ask("Is it blue?")).await;
    let second = answer(&engine, ask("Where does it end, and what lies there?")).await;
    assert!(second.read() < 30, "{:?}", second.usage);
    // Also where another conversation has read it.
    let other = answer(&engine, Request { slot: 3, ..ask("Who lives there?") }).await;
    assert!(other.read() < 30, "{:?}", other.usage);
}

#[tokio::test]
async fn what_waits_can_be_cancelled() {
    let Some(_turn) = stage::turn().await else { return };
    let engine = engine(None);
    let long = request(&[system(), user(&"word ".repeat(2000))], 8);
    let cancel = CancellationToken::new();
    let waits = moru::engine::Engine::generate(&engine, Request { slot: 2, ..long.clone() }, cancel.clone());
    let runs = answer(&engine, Request { slot: 1, ..long });
    cancel.cancel();
    let cancelled = async { futures_util::StreamExt::collect::<Vec<_>>(waits).await };
    let (ran, deltas) = tokio::join!(runs, cancelled);
    assert_eq!(ran.usage.stop, Stop::Length);
    let last = deltas.last().unwrap().as_ref().unwrap();
    assert!(matches!(last, moru::engine::Delta::Usage(usage) if usage.stop == Stop::Cancelled), "{last:?}");
}
