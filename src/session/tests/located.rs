//! Files that a request means without naming them.

use super::guided::small;
use super::*;

const DOUBLE: &str = "def double(x):\n    return 2 * x\n";
const TRIPLE: &str = "def double(x):\n    return 3 * x\n";
const ROUNDED: &str = "def double(x):\n    return round(3 * x)\n";

/// A session in which a first turn has made a file triple what it doubled, and a second will write `text_after`, beside a file
/// that has more words of the second's request.
async fn gone_on(text_after: &str) -> Stage {
    let script = [TRIPLE, text_after].map(|body| text(&format!("{body}```"))).to_vec();
    let mut stage = stage(script, small);
    fs::write(stage.folder.path().join("calc.py"), DOUBLE).unwrap();
    fs::write(stage.folder.path().join("result.py"), "def round_result(result):\n    return round(result)\n").unwrap();
    let events = stage.ask("Change calc.py: multiply by three", Decision::Once).await;
    assert_eq!(end(&events), (Outcome::Done, "1 file was changed: calc.py".into()));
    stage
}

/// What the model was told in its last request behind the second request of the user.
fn told(stage: &Stage, request: &str) -> String {
    let messages = stage.engine.requests().last().unwrap().messages.clone();
    let at = messages.iter().rposition(|message| message.content.contains(request)).unwrap();
    messages[at..].iter().map(|message| message.content.as_str()).collect::<Vec<_>>().join("\n")
}

#[tokio::test]
async fn who_goes_on_without_naming_a_file_means_the_last_one() {
    let mut stage = gone_on(ROUNDED).await;
    let events = stage.ask("Make it round the result", Decision::Once).await;
    assert_eq!(end(&events), (Outcome::Done, "1 file was changed: calc.py".into()));
    assert_eq!(fs::read_to_string(stage.folder.path().join("calc.py")).unwrap(), ROUNDED);
    // It stands before the model, which has written it, and the other file is not shown.
    let told = told(&stage, "Make it round");
    assert!(!told.contains("return"), "{told}");
}

#[tokio::test]
async fn the_last_file_is_shown_again_where_it_has_changed() {
    let mut stage = gone_on(ROUNDED).await;
    let changed = "def double(y):\n    return 3 * y\n";
    fs::write(stage.folder.path().join("calc.py"), changed).unwrap();
    let events = stage.ask("Make it round the result", Decision::Once).await;
    assert_eq!(end(&events).0, Outcome::Done);
    let told = told(&stage, "Make it round");
    assert!(told.contains(changed) && !told.contains("round_result"), "{told}");
}

#[tokio::test]
async fn who_does_not_go_on_is_shown_what_the_request_is_about() {
    let mut stage = gone_on(ROUNDED).await;
    stage.ask("Change how round_result rounds", Decision::Once).await;
    let told = told(&stage, "Change how");
    assert!(told.contains("def round_result"), "{told}");
}
