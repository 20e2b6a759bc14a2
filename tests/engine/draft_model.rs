use std::path::PathBuf;

use futures_util::StreamExt;
use moru::engine::local::{DraftOptions, LocalEngine, Options};
use moru::engine::{Delta, Engine, EngineError, Request, Sampling};
use moru::model::fit::KvType;
use tokio_util::sync::CancellationToken;

use crate::random::mamba;
use crate::stage::{self, Answer, answer, assistant, request, user};

/// With a context for the small model that is too short for the whole conversation.
fn with_draft(model: Options, path: PathBuf) -> Options {
    let draft = DraftOptions { path, context: 256, kv_type: KvType::F16, gpu_layers: 0, always: true };
    Options { draft: Some(draft), ..model }
}

/// A conversation that goes on, is taken back, and outgrows the small model's context; another one beside it.
async fn talk(engine: &LocalEngine) -> Vec<Answer> {
    let mut messages = vec![user("Name the planets of the solar system, from the sun outwards.")];
    let mut answers = vec![answer(engine, request(&messages, 40)).await];
    messages.extend([assistant(&answers[0].text), user("Which of them is the largest?")]);
    answers.push(answer(engine, request(&messages, 24)).await);
    let other = [user("Write the alphabet in capital letters, separated by commas.")];
    answers.push(answer(engine, Request { slot: 1, ..request(&other, 24) }).await);
    messages.pop();
    messages.push(user(&"Count from one to ten. ".repeat(40)));
    answers.push(answer(engine, request(&messages, 40)).await);
    answers
}

#[tokio::test]
async fn guesses_of_a_small_model_change_no_text() {
    let Some(_turn) = stage::turn().await else { return };
    let Some(larger) = stage::larger() else { return };
    let plain = talk(&LocalEngine::load(&larger).unwrap()).await;
    let engine = LocalEngine::load(&with_draft(larger, stage::options(None).path)).unwrap();
    for (drafted, plain) in talk(&engine).await.iter().zip(&plain) {
        assert_eq!(drafted.text, plain.text);
        // Next to nothing of it stands in the conversation, so that it was the small model that knew.
        assert!(drafted.usage.accepted * 2 > drafted.usage.generated, "{drafted:?}");
    }
    let hello = Request { no_draft: true, ..request(&[user("Hello!")], 8) };
    assert_eq!(answer(&engine, hello).await.usage.drafted, 0);
}

/// Wherever in a guess it is left, what comes next is as if nothing had been.
#[tokio::test]
async fn a_guess_that_is_cancelled_leaves_nothing_behind() {
    let Some(_turn) = stage::turn().await else { return };
    let small = stage::options(None);
    let plain = LocalEngine::load(&small).unwrap();
    let engine = LocalEngine::load(&with_draft(small.clone(), small.path.clone())).unwrap();
    let ask = request(&[user("Write the numbers from one to twenty in words.")], 40);
    let expected = answer(&plain, ask.clone()).await;
    for pieces in [1, 2, 3, 5] {
        let cancel = CancellationToken::new();
        let mut deltas = engine.generate(ask.clone(), cancel.clone());
        let mut seen = 0;
        while let Some(delta) = deltas.next().await {
            seen += usize::from(matches!(delta.unwrap(), Delta::Text(_)));
            if seen == pieces {
                cancel.cancel();
            }
        }
        assert_eq!(answer(&engine, ask.clone()).await.text, expected.text, "{pieces}");
    }
    let warm = Sampling { temperature: 0.7, seed: 3, ..Sampling::default() };
    let warm = Request { sampling: warm, ..ask };
    let (drafted, plain) = (answer(&engine, warm.clone()).await, answer(&plain, warm).await);
    // Kernels round differently for another size of batch, which may turn a close call.
    let shared = drafted.text.bytes().zip(plain.text.bytes()).take_while(|(a, b)| a == b).count();
    assert!(shared > 20 && drafted.usage.accepted > 0, "{drafted:?} {plain:?}");
}

#[tokio::test]
async fn a_model_that_cannot_draft_is_refused() {
    let Some(_turn) = stage::turn().await else { return };
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("mamba.gguf");
    mamba(&path);
    let broken = folder.path().join("broken.gguf");
    std::fs::write(&broken, b"GGUF and nothing more").unwrap();
    for (path, reason) in [(path, "cannot draft for this model"), (broken, "llama.cpp cannot load")] {
        let Err(error) = LocalEngine::load(&with_draft(stage::options(None), path)) else { panic!("it was loaded") };
        assert!(matches!(error, EngineError::Draft(_)), "{error}");
        assert!(error.to_string().contains(reason), "{error}");
    }
}
