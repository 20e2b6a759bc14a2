//! What is told of a change, and that no server can hold up a turn or outlive its session.

use std::time::{Duration, Instant};

use moru::lsp::{DEADLINE, Servers};
use tokio_util::sync::CancellationToken;

use crate::stage::Stage;

/// Beyond what is waited for, on a busy machine.
const SLACK: Duration = Duration::from_millis(1500);

#[tokio::test]
async fn what_a_change_brought_in_is_told_and_nothing_else() {
    for how in ["push", "pull"] {
        let stage = Stage::new(how);
        stage.open("wrong = 1\n").await;
        let (found, _) = stage.changed(Some("wrong = 1\n"), "odd = 0\nwrong = 1\nx = wrong\n").await;
        assert_eq!(found, [(3, "this is wrong and more".to_owned())], "{how}");
        let all = "odd = 0\nwrong = 1\nx = wrong\n";
        assert_eq!(stage.lines(Some(all), &format!("{all}y = wrong\n")).await, [4], "{how}");
        assert_eq!(stage.lines(Some(all), all).await, [0; 0], "{how}");
    }
}

#[tokio::test]
async fn a_try_that_was_taken_back_leaves_nothing_behind() {
    let stage = Stage::new("push");
    stage.open("wrong = 1\n").await;
    assert_eq!(stage.lines(Some("wrong = 1\n"), "wrong = 1\nx = wrong\n").await, [2]);
    assert_eq!(stage.lines(Some("wrong = 1\n"), "y = wrong\nwrong = 1\n").await, [1]);
}

#[tokio::test]
async fn of_a_file_that_was_not_told_of_only_new_lines_count() {
    let stage = Stage::new("push");
    stage.ready().await;
    assert_eq!(stage.lines(Some("wrong = 1\n"), "x = wrong\nwrong = 1\n").await, [1]);
    let found = stage.servers.changed("new.py", None, "wrong = 1\n", &CancellationToken::new()).await;
    assert_eq!(found.map(|found| found.errors.len()), Some(1));
}

#[tokio::test]
async fn a_server_that_never_answers_costs_one_deadline() {
    let stage = Stage::new("mute");
    let (found, took) = stage.changed(Some(""), "wrong").await;
    assert!(found.is_empty() && took >= DEADLINE && took < DEADLINE + SLACK, "{took:?}");
    let (found, took) = stage.changed(Some("wrong"), "wrong\nwrong").await;
    assert!(found.is_empty() && took < SLACK, "{took:?}");
    stage.servers.close().await;
    stage.wait_for_the_end().await;
}

#[tokio::test]
async fn a_server_that_stops_answering_is_left_out() {
    let stage = Stage::new("push");
    stage.open("wrong").await;
    for (before, after) in [("wrong", "wrong\nhang"), ("wrong\nhang", "hang\nwrong")] {
        let (found, took) = stage.changed(Some(before), after).await;
        assert!(found.is_empty() && took < DEADLINE + SLACK, "{took:?}");
    }
    let (found, took) = stage.changed(Some("hang\nwrong"), "wrong").await;
    assert!(found.is_empty() && took < DEADLINE / 2, "{took:?}");
    stage.wait_for_the_end().await;
}

#[tokio::test]
async fn one_that_says_nothing_where_nothing_is_wrong_stays() {
    let stage = Stage::new("spare");
    stage.open("a").await;
    let mut waits = Vec::new();
    for (before, after) in [("a", "b"), ("b", "c"), ("c", "d"), ("d", "e")] {
        let (found, took) = stage.changed(Some(before), after).await;
        assert!(found.is_empty());
        waits.push(took);
    }
    assert!(waits[3] < DEADLINE / 2, "{waits:?}");
    assert_eq!(stage.lines(Some("e"), "e\nwrong").await, [2]);
    assert_eq!(stage.lines(Some("e\nwrong"), "e").await, [0; 0]);
}

#[tokio::test]
async fn what_others_change_is_told_before_it_counts() {
    let stage = Stage::new("push");
    stage.open("").await;
    std::fs::write(stage.root.join("b.py"), "def f\n").unwrap();
    assert_eq!(stage.lines(Some(""), "use f\n").await, [0; 0]);
    std::fs::remove_file(stage.root.join("b.py")).unwrap();
    assert_eq!(stage.lines(Some("use f\n"), "use f\nuse g\n").await, [1, 2]);
}

#[tokio::test]
async fn a_server_that_crashes_is_left_out() {
    let stage = Stage::new("push");
    stage.open("").await;
    for (before, after) in [("", "crash"), ("crash", "wrong")] {
        let (found, took) = stage.changed(Some(before), after).await;
        assert!(found.is_empty() && took < SLACK, "{took:?}");
    }
    stage.wait_for_the_end().await;
}

#[tokio::test]
async fn a_program_that_is_no_server_is_left_out() {
    for script in ["#!/bin/sh\n", "#!/bin/sh\necho hello\nsleep 100\n", "#!/no/such/program\n"] {
        let stage = Stage::with_program(script);
        let (found, took) = stage.changed(None, "wrong").await;
        assert!(found.is_empty() && took < SLACK, "{script}: {took:?}");
    }
}

#[tokio::test]
async fn where_there_is_no_server_nothing_happens() {
    let stage = Stage::new("push");
    let start = Instant::now();
    for path in ["a.rs", "notes", "README.md"] {
        assert_eq!(stage.servers.changed(path, None, "wrong", &CancellationToken::new()).await, None);
    }
    assert_eq!(Servers::default().changed("a.py", None, "wrong", &CancellationToken::new()).await, None);
    assert!(start.elapsed() < Duration::from_millis(100));
    assert!(!stage.server_runs());
}

#[tokio::test]
async fn an_interrupted_turn_does_not_wait() {
    let stage = Stage::new("mute");
    let cancel = CancellationToken::new();
    let start = Instant::now();
    let interrupt = async {
        tokio::time::sleep(Duration::from_millis(50)).await;
        cancel.cancel();
    };
    let (found, ()) = tokio::join!(stage.servers.changed("a.py", None, "wrong", &cancel), interrupt);
    assert!(found.is_none() && start.elapsed() < DEADLINE / 2);
}

#[tokio::test]
async fn no_server_outlives_its_session() {
    for politely in [true, false] {
        let stage = Stage::new("push");
        stage.open("").await;
        assert!(stage.server_runs());
        let (servers, rest) = stage.part();
        if politely {
            servers.close().await;
        }
        drop(servers);
        rest.wait_for_the_end().await;
    }
}
