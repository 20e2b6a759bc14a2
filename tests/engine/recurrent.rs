//! A model with a recurrent memory, which cannot be cut back: it goes back by checkpoints.

use moru::engine::Request;

use crate::random::{load, mamba};
use crate::stage::{Answer, answer, assistant, request, system, user};

#[tokio::test]
async fn a_conversation_goes_back_to_a_checkpoint() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("mamba.gguf");
    mamba(&path);
    let engine = load(&path);
    let check = async |request: Request, most: usize| -> Answer {
        let kept = answer(&engine, request.clone()).await;
        let fresh = answer(&load(&path), request).await;
        assert_eq!(kept.text, fresh.text);
        assert!(!kept.text.is_empty() && kept.usage.prompt == fresh.usage.prompt, "{:?}", kept.usage);
        assert!(kept.read() <= most, "{:?}", kept.usage);
        kept
    };
    let mut messages = vec![system(), user("Count to five.")];
    check(request(&messages, 20), usize::MAX).await;
    // The same again, as another candidate.
    check(request(&messages, 20), 12).await;
    // The answer comes back in other words, as where a template leaves out what was thought.
    messages.extend([assistant("One."), user("On.")]);
    check(request(&messages, 20), 80).await;
    // The last request is taken back for another.
    messages.pop();
    messages.push(user("Stop there."));
    check(request(&messages, 20), 80).await;
    // Both are taken back.
    messages.truncate(1);
    messages.push(user("Count to six."));
    check(request(&messages, 20), 80).await;
    // A conversation of its own begins where the system prompt ends.
    check(Request { slot: 3, ..request(&messages, 20) }, 80).await;
}
