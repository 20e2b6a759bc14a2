//! A long prompt tells how far it is while a batch of it is decoded, and can be stopped there.

use futures_util::StreamExt;
use moru::engine::{Delta, Engine, Stop};
use tokio_util::sync::CancellationToken;

use crate::stage::{self, answer, engine, request, system, user};

#[tokio::test]
async fn reading_is_told_of_and_stopped_within_a_batch() {
    let Some(_turn) = stage::turn().await else { return };
    let engine = engine(None);
    // The first batch shows how much work one is.
    answer(&engine, request(&[user(&"Tell me of the hills. ".repeat(60))], 1)).await;
    let ask = request(&[system(), user(&"Tell me of the sea. ".repeat(300))], 4);
    let cancel = CancellationToken::new();
    let mut deltas = engine.generate(ask.clone(), cancel.clone());
    let (mut told, mut stop) = (Vec::new(), None);
    while let Some(delta) = deltas.next().await {
        match delta.unwrap() {
            Delta::Prefill { done, .. } => {
                told.push(done);
                if told.len() == 4 {
                    cancel.cancel();
                }
            }
            Delta::Usage(usage) => stop = Some((usage.stop, usage.prompt)),
            _ => {}
        }
    }
    assert!(matches!(stop, Some((Stop::Cancelled, prompt)) if prompt > 1_500), "{stop:?}");
    assert!(told.is_sorted() && told.iter().all(|&done| done < 512), "not within the first batch: {told:?}");
    // Nothing of the batch that was stopped is taken for read.
    let whole = answer(&engine, ask).await;
    assert!(whole.usage.cached < 200, "more than the system prompt, a batch of its own: {:?}", whole.usage);
}

#[tokio::test]
async fn what_was_read_ahead_is_not_read_again() {
    let Some(_turn) = stage::turn().await else { return };
    let engine = engine(None);
    let file = "The sea is deep, and so is the sky. ".repeat(20);
    let ahead = answer(&engine, request(&[system(), user(&file)], 0)).await;
    assert_eq!((ahead.text.as_str(), ahead.usage.generated), ("", 0));
    let asked = answer(&engine, request(&[system(), user(&format!("{file}What is this about?"))], 4)).await;
    assert!(asked.read() < 20 && asked.usage.cached > 150, "{:?}", asked.usage);
}
