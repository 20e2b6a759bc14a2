use std::path::PathBuf;

use moru::engine::local::{DraftOptions, LocalEngine, Options};
use moru::engine::{EngineError, Request};

use crate::recurrent::mamba;
use crate::stage::{self, Answer, answer, assistant, request, user};

/// With a context for the small model that is too short for the whole conversation.
fn with_draft(model: Options, path: PathBuf) -> Options {
    Options { draft: Some(DraftOptions { path, context: 256, gpu_layers: 0, always: true }), ..model }
}

/// A conversation that goes on, is taken back, and outgrows the small model's context.
async fn talk(engine: &LocalEngine) -> Vec<Answer> {
    let mut messages = vec![user("Name the planets of the solar system, from the sun outwards.")];
    let mut answers = vec![answer(engine, request(&messages, 40)).await];
    messages.extend([assistant(&answers[0].text), user("Which of them is the largest?")]);
    answers.push(answer(engine, request(&messages, 24)).await);
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
        // What is copied is drafted in any case.
        assert!(drafted.usage.drafted > plain.usage.drafted, "{drafted:?} {plain:?}");
        assert!(drafted.usage.accepted * 2 > drafted.usage.generated, "{drafted:?}");
    }
    let plain = Request { no_draft: true, ..request(&[user("Hello!")], 8) };
    assert_eq!(answer(&engine, plain).await.usage.drafted, 0);
}

#[tokio::test]
async fn a_model_that_cannot_draft_is_refused() {
    let Some(_turn) = stage::turn().await else { return };
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("mamba.gguf");
    mamba(&path);
    let Err(error) = LocalEngine::load(&with_draft(stage::options(None), path)) else { panic!("it was loaded") };
    assert!(matches!(error, EngineError::Load(_)), "{error}");
    assert!(error.to_string().contains("cannot draft for this model"), "{error}");
}
