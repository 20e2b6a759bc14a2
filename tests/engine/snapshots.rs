use std::fs;
use std::path::{Path, PathBuf};

use moru::engine::Engine;

use crate::stage::{self, answer, assistant, engine, request, system, user};

fn files(folder: &Path) -> Vec<PathBuf> {
    let models = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    models.flat_map(|model| fs::read_dir(model).unwrap().map(|entry| entry.unwrap().path())).collect()
}

#[tokio::test]
async fn a_later_start_reads_only_what_is_new() {
    let Some(_turn) = stage::turn().await else { return };
    let folder = tempfile::tempdir().unwrap();
    let mut messages = vec![system(), user("Count to five.")];
    let first = {
        let engine = engine(Some(folder.path()));
        let first = answer(&engine, request(&messages, 40)).await;
        assert_eq!(first.usage.cached, 0);
        engine.close().await;
        first
    };
    // The system prompt alone, and the whole conversation.
    assert_eq!(files(folder.path()).len(), 2);

    let other = answer(&engine(Some(folder.path())), request(&[system(), user("Say hello.")], 4)).await;
    assert!(other.usage.cached > 100 && other.read() < 20, "{:?}", other.usage);

    messages.extend([assistant(&first.text), user("Now to three.")]);
    let resumed = answer(&engine(Some(folder.path())), request(&messages, 40)).await;
    assert!(resumed.usage.cached >= first.usage.prompt + first.usage.generated, "{:?}", resumed.usage);
    let fresh = answer(&engine(None), request(&messages, 40)).await;
    assert_eq!(resumed.text, fresh.text);
}

#[tokio::test]
async fn what_was_undone_is_cut_off_a_snapshot() {
    let Some(_turn) = stage::turn().await else { return };
    let folder = tempfile::tempdir().unwrap();
    let before = engine(Some(folder.path()));
    let mut messages = vec![system()];
    let mut reached = 0;
    for (text, tokens) in [("Count to five.", 40), ("Now to three, and tell me why.", 10)] {
        messages.push(user(text));
        let said = answer(&before, request(&messages, tokens)).await;
        messages.push(assistant(&said.text));
        if reached == 0 {
            reached = said.usage.prompt + said.usage.generated;
        }
    }
    before.close().await;

    messages.truncate(3);
    messages.push(user("Say hello."));
    let other = answer(&engine(Some(folder.path())), request(&messages, 20)).await;
    assert!(other.usage.cached >= reached, "{:?}", other.usage);
    let fresh = answer(&engine(None), request(&messages, 20)).await;
    assert_eq!(other.text, fresh.text);
    // Nothing was removed for that.
    assert_eq!(files(folder.path()).len(), 2);
}

#[tokio::test]
async fn a_damaged_snapshot_is_not_used() {
    let Some(_turn) = stage::turn().await else { return };
    let folder = tempfile::tempdir().unwrap();
    let messages = [system(), user("Count to five.")];
    let whole = answer(&engine(Some(folder.path())), request(&messages, 20)).await;
    for file in files(folder.path()) {
        let mut bytes = fs::read(&file).unwrap();
        let middle = bytes.len() / 2;
        bytes[middle] ^= 1;
        fs::write(&file, bytes).unwrap();
    }
    let again = answer(&engine(Some(folder.path())), request(&messages, 20)).await;
    assert_eq!((again.usage.cached, again.text), (0, whole.text));
}
