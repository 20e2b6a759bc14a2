use futures_util::StreamExt;
use moru::dialect::Message;
use moru::engine::local::LocalEngine;
use moru::engine::{Engine, Request, Sampling};
use tokio_util::sync::CancellationToken;

use crate::stage::{self, answer, assistant, engine, request, system, user};

/// What rounding makes of a log-probability where a conversation was read in other portions; a cache that is wrong is off by
/// far more.
const TOLERANCE: f64 = 0.15;

/// Steps of the random walk; more on demand: `MORU_STRESS=200`.
fn steps() -> u64 {
    std::env::var("MORU_STRESS").ok().and_then(|n| n.parse().ok()).unwrap_or(40)
}

/// A generator with the constants of Knuth's MMIX.
struct Dice(u64);

impl Dice {
    fn roll(&mut self, sides: u64) -> u64 {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) % sides
    }
}

/// What is cached of a prompt, and the log-probability of the likeliest token behind it.
async fn next(engine: &LocalEngine, messages: &[Message], slot: u32) -> (usize, f64) {
    let asked = answer(engine, Request { logprobs: true, slot, ..request(messages, 1) }).await;
    (asked.usage.cached, asked.usage.logprob.unwrap())
}

#[tokio::test]
async fn cancels_forks_and_undos_leave_the_cache_as_if_built_afresh() {
    let Some(_turn) = stage::turn().await else { return };
    let engine = engine(None);
    let mut dice = Dice(7);
    let mut messages = vec![system()];
    for step in 0..steps() {
        match dice.roll(5) {
            // Undo.
            0 if messages.len() > 2 => messages.truncate(messages.len() - 2),
            // A request that is cancelled while it is read or answered.
            1 => {
                let mut asked = messages.clone();
                asked.push(user(&format!("Say the number {step}. ").repeat(1 + dice.roll(60) as usize)));
                let cancel = CancellationToken::new();
                let mut deltas = engine.generate(request(&asked, 20), cancel.clone());
                for _ in 0..dice.roll(6) {
                    deltas.next().await;
                }
                cancel.cancel();
                if dice.roll(2) == 0 {
                    while deltas.next().await.is_some() {}
                }
            }
            // Forks that write side by side.
            2 => {
                let mut asked = messages.clone();
                asked.push(user(&format!("Tell me of {step}.")));
                let forks = (1..=3).map(|slot| {
                    let sampling = Sampling { temperature: 1.0, seed: slot, ..Sampling::default() };
                    answer(&engine, Request { slot, sampling, ..request(&asked, 12) })
                });
                futures_util::future::join_all(forks).await;
            }
            // A turn.
            _ if messages.len() < 24 => {
                messages.push(user(&format!("What comes after {}?", dice.roll(100))));
                let said = answer(&engine, request(&messages, 16)).await;
                messages.push(assistant(&said.text));
            }
            _ => messages.truncate(1),
        }
    }
    // Kernels sum in another order for another size of batch: a cache is compared with one that was filled in the same steps.
    let fresh = stage::engine(None);
    for turn in (2..messages.len()).step_by(2) {
        let said = answer(&fresh, request(&messages[..turn], 16)).await.text;
        let walked = &messages[turn].content;
        if said != *walked {
            // The walk had read it in other portions, so that a choice between equals may have turned; what is sure may not.
            let same: usize =
                said.chars().zip(walked.chars()).take_while(|(a, b)| a == b).map(|(a, _)| a.len_utf8()).sum();
            let from = said[..same].rfind(' ').unwrap_or(0);
            let begun = Request { logprobs: true, prefix: said[..from].into(), ..request(&messages[..turn], 1) };
            let sure = answer(&fresh, begun).await.usage.logprob.unwrap();
            assert!(sure < 0.5_f64.ln() + TOLERANCE, "message {turn}, {sure}: {walked:?}, afresh {said:?}");
        }
    }
    messages.push(user("What was that?"));
    for slot in [0, 1] {
        let (walked, built) = (next(&engine, &messages, slot).await, next(&fresh, &messages, slot).await);
        // A slot that is not as it was noted is given up, and read anew.
        assert!(walked.0 >= built.0, "slot {slot}: {walked:?} against {built:?}");
        assert!((walked.1 - built.1).abs() < TOLERANCE, "slot {slot}: {walked:?} against {built:?}");
    }
}
