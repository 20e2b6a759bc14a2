use moru::engine::Engine;
use tokio_util::sync::CancellationToken;

use crate::stage::{self, answer, engine, request, system, user};

#[tokio::test]
async fn what_is_expected_scores_better_and_no_conversation_is_lost() {
    let Some(_turn) = stage::turn().await else { return };
    let engine = engine(None);
    let messages = [system(), user("Count to five.")];
    answer(&engine, request(&messages, 8)).await;

    let before = "def larger(a, b):\n    \"\"\"Returns the larger of two numbers.\"\"\"\n";
    let score = async |text: &str| engine.score(before, text, CancellationToken::new()).await.unwrap().unwrap();
    // More tokens than are computed at a time.
    let right = "    if a > b:\n        return a\n    return b  # öß\n\n\n".repeat(4);
    let scored = score(&right).await;
    assert!(scored.len() > 64, "{}", scored.len());
    assert_eq!((scored[0].range.start, scored.last().unwrap().range.end), (0, right.len()));
    assert!(scored.windows(2).all(|pair| pair[0].range.end == pair[1].range.start));
    for token in &scored {
        assert!(token.logprob <= 0.0 && token.others.len() <= 8, "{token:?}");
        assert!(token.others.windows(2).all(|pair| pair[0].1 >= pair[1].1), "{token:?}");
        assert!(
            token.others.iter().all(|(text, _)| Some(text.as_str()) != right.get(token.range.clone())),
            "{token:?}"
        );
    }
    let wrong = right.replacen('>', "<", 1);
    let of = |scored: &[moru::engine::Scored]| scored.iter().find(|token| token.range.contains(&9)).unwrap().clone();
    let (right, wrong) = (of(&scored), of(&score(&wrong).await));
    assert!(right.logprob > wrong.logprob && wrong.others[0].0 == " >", "{right:?} {wrong:?}");

    let again = answer(&engine, request(&messages, 8)).await;
    assert_eq!(again.read(), 1, "{:?}", again.usage);
    assert_eq!(engine.score("", "x", CancellationToken::new()).await.unwrap(), None);
    let cancelled = CancellationToken::new();
    cancelled.cancel();
    assert_eq!(engine.score("x", "y", cancelled).await.unwrap(), None);
}
