//! `kill -9` at any moment of a run that edits.

use std::process::Stdio;

use crate::world::{BUGGY, REQUEST, World};

/// How often the program is killed.
const KILLS: u32 = 20;
/// A run that makes one edit and is done.
const EDIT: [&str; 5] = ["exec", "--yes", "--effort", "quick", REQUEST];

#[test]
fn a_killed_run_leaves_the_tree_as_before_or_with_whole_edits() {
    let Some(world) = World::with_model() else { return };
    // How long an undisturbed run takes here, to spread the kills over it.
    let start = std::time::Instant::now();
    assert_eq!(world.moru(&EDIT).code, Some(0));
    let whole = start.elapsed();
    let fixed = world.read("calc.py");
    assert_eq!(world.moru(&["undo"]).code, Some(0));
    assert_eq!(world.read("calc.py"), BUGGY);

    let mut edited = 0;
    for round in 1..=KILLS {
        let mut child = world.command(&EDIT).stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
        // More kills fall into the second half, where the edit is.
        std::thread::sleep(whole.mul_f64((f64::from(round) / f64::from(KILLS)).sqrt()));
        let _ = child.kill();
        child.wait().unwrap();
        let now = world.read("calc.py");
        assert!(now == BUGGY || now == fixed, "round {round}: {now}");
        let log = world.moru(&["log"]);
        assert_eq!(log.code, Some(0), "{log:?}");
        if now == fixed {
            edited += 1;
            let undone = world.moru(&["undo"]);
            assert_eq!(undone.code, Some(0), "{undone:?}");
        }
        assert_eq!(world.read("calc.py"), BUGGY);
        assert_eq!(std::fs::read_dir(&world.folder).unwrap().count(), 2, "something was left behind in round {round}");
    }
    eprintln!("{edited} of {KILLS} kills came after the edit");
}
