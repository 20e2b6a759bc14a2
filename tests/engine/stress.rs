use futures_util::StreamExt;
use moru::dialect::Message;
use moru::engine::local::{LocalEngine, Options, SnapshotPlace};
use moru::engine::{Engine, Request, Sampling};
use moru::model::fit::KvType;
use tokio_util::sync::CancellationToken;

use crate::random;
use crate::stage::{self, answer, assistant, request, system, user};

/// What rounding makes of a log-probability where a conversation was read in other portions, with 4-bit weights; a cache that is
/// wrong is off by far more.
const TOLERANCE: f64 = 0.15;

/// The same with full precision.
const FULL_TOLERANCE: f64 = 1e-4;

/// Steps of the random walk; more on demand: `MORU_STRESS=200`.
fn steps(usually: u64) -> u64 {
    std::env::var("MORU_STRESS").ok().and_then(|n| n.parse().ok()).unwrap_or(usually)
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

/// A request that is cancelled while it is read or answered.
async fn cancelled(engine: &LocalEngine, messages: &[Message], dice: &mut Dice) {
    let cancel = CancellationToken::new();
    let mut deltas = engine.generate(request(messages, 20), cancel.clone());
    for _ in 0..dice.roll(6) {
        deltas.next().await;
    }
    cancel.cancel();
    if dice.roll(2) == 0 {
        while deltas.next().await.is_some() {}
    }
}

/// Several that write side by side behind the same prompt.
async fn forks(engine: &LocalEngine, messages: &[Message]) {
    let forks = (1..=3).map(|slot| {
        let sampling = Sampling { temperature: 1.0, seed: slot, ..Sampling::default() };
        answer(engine, Request { slot, sampling, ..request(messages, 12) })
    });
    futures_util::future::join_all(forks).await;
}

/// Turns, undos, cancels, forks and restarts by the dice. Returns the engine and the conversation that is left.
async fn walk(load: impl Fn() -> LocalEngine, dice: &mut Dice, steps: u64) -> (LocalEngine, Vec<Message>) {
    let (mut engine, mut messages) = (load(), vec![system()]);
    let and = |messages: &[Message], text: String| [messages, &[user(&text)]].concat();
    for step in 0..steps {
        match dice.roll(6) {
            0 if messages.len() > 2 => messages.truncate(messages.len() - 2),
            1 => {
                let text = format!("Say the number {step}. ").repeat(1 + dice.roll(60) as usize);
                cancelled(&engine, &and(&messages, text), dice).await;
            }
            2 => forks(&engine, &and(&messages, format!("Tell me of {step}."))).await,
            3 => {
                engine.close().await;
                engine = load();
            }
            _ if messages.len() < 24 => {
                messages.push(user(&format!("What comes after {}?", dice.roll(100))));
                let said = answer(&engine, request(&messages, 16)).await;
                messages.push(assistant(&said.text));
            }
            _ => messages.truncate(1),
        }
    }
    (engine, messages)
}

/// Takes the turns of `messages` with an engine of its own.
async fn take_afresh(fresh: &LocalEngine, messages: &[Message]) {
    for turn in (2..messages.len()).step_by(2) {
        let said = answer(fresh, request(&messages[..turn], 16)).await.text;
        let walked = &messages[turn].content;
        if said != *walked {
            // The walk had read it in other portions, so that a choice between equals may have turned; what is sure may not.
            let same: usize =
                said.chars().zip(walked.chars()).take_while(|(a, b)| a == b).map(|(a, _)| a.len_utf8()).sum();
            let from = said[..same].rfind(' ').unwrap_or(0);
            let begun = Request { logprobs: true, prefix: said[..from].into(), ..request(&messages[..turn], 1) };
            let sure = answer(fresh, begun).await.usage.logprob.unwrap();
            assert!(sure < 0.5_f64.ln() + TOLERANCE, "message {turn}, {sure}: {walked:?}, afresh {said:?}");
        }
    }
}

/// Asks both for what comes next, in the slot of the conversation and in another.
async fn compare(walked: &LocalEngine, fresh: &LocalEngine, messages: &[Message], tolerance: f64) {
    for slot in [0, 1] {
        let (walked, built) = (next(walked, messages, slot).await, next(fresh, messages, slot).await);
        // A slot that is not as it was noted is given up, and read anew.
        assert!(walked.0 >= built.0, "slot {slot}: {walked:?} against {built:?}");
        assert!((walked.1 - built.1).abs() < tolerance, "slot {slot}: {walked:?} against {built:?}");
    }
}

#[tokio::test]
async fn cancels_forks_undos_and_resumes_leave_the_cache_as_if_built_afresh() {
    let Some(_turn) = stage::turn().await else { return };
    let folder = tempfile::tempdir().unwrap();
    let (engine, mut messages) = walk(|| stage::engine(Some(folder.path())), &mut Dice(7), steps(40)).await;
    let fresh = stage::engine(None);
    // Kernels sum in another order for another size of batch: a cache is compared with one that was filled in the same steps.
    take_afresh(&fresh, &messages).await;
    messages.push(user("What was that?"));
    compare(&engine, &fresh, &messages, TOLERANCE).await;
}

/// With weights, activations and KV cache in full precision rounding moves next to nothing.
#[tokio::test]
async fn in_full_precision_they_leave_it_exactly_so() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("llama.gguf");
    random::llama(&path);
    let load = |snapshots| {
        let options = Options { kv_type: KvType::F32, snapshots, ..random::options(&path) };
        LocalEngine::load(&options).unwrap()
    };
    for seed in 1..=3 {
        let kept = SnapshotPlace { folder: folder.path().join(format!("walk {seed}")), limit: 1 << 30 };
        let (engine, mut messages) = walk(|| load(Some(kept.clone())), &mut Dice(seed), steps(200)).await;
        messages.push(user("What was that?"));
        let fresh = load(None);
        compare(&engine, &fresh, &messages, FULL_TOLERANCE).await;
        // A single token that differs is told.
        let is = next(&fresh, &messages, 0).await.1;
        messages[0].content.push('!');
        let other = next(&fresh, &messages, 0).await.1;
        assert!((is - other).abs() > 10.0 * FULL_TOLERANCE, "{is} and {other}");
    }
}
