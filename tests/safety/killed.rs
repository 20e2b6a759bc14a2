//! A process that changes several files at once is killed at random moments.

use std::collections::BTreeSet;
use std::os::unix::process::ExitStatusExt;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Duration;

use moru::workspace::{Edit, Options, Workspace};

use crate::folder::{Folder, apply, delete, git, write};

const FOLDER: &str = "MORU_TEST_KILLED";
const READY: &str = "ready";
const FILES: usize = 8;
const KILLS: u64 = 20;

/// In every round all files hold the round's number, and one file comes or goes.
fn edits(round: usize) -> Vec<Edit> {
    let mut edits: Vec<_> =
        (0..FILES).map(|file| write(&format!("d{file}/f"), &format!("{round}\n").repeat(100 * (file + 1)))).collect();
    edits.push(if round.is_multiple_of(2) {
        write("sometimes/here", &format!("{round}\n"))
    } else {
        delete("sometimes/here")
    });
    edits
}

/// Not a test of its own: what the process does that is to be killed.
#[test]
fn child() {
    let Ok(folder) = std::env::var(FOLDER) else { return };
    let folder = Path::new(&folder);
    let options = Options { state: folder.join("state"), dry_run: false };
    let workspace = Workspace::open(&folder.join("work"), options).unwrap();
    std::fs::write(folder.join(READY), "").unwrap();
    for turn in 0.. {
        let round = round(&workspace);
        apply(&workspace, &edits(round + 1)).unwrap();
        if turn % 3 == 2 {
            workspace.undo(2).unwrap();
            workspace.redo(1).unwrap();
        }
    }
}

fn round(workspace: &Workspace) -> usize {
    let text = workspace.read(&crate::folder::rel("d0/f")).unwrap().text;
    text.lines().next().unwrap().parse().unwrap()
}

#[test]
fn the_tree_is_always_as_before_or_with_whole_edits() {
    for folder in [Folder::plain(), Folder::repository()] {
        apply(&folder.open(), &edits(0)).unwrap();
        // A fixed sequence of moments, spread over some rounds.
        let mut moment = 12_345_u64;
        let (mut rounds, mut caught) = (BTreeSet::new(), 0);
        for _ in 0..KILLS {
            moment = moment.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            kill_after(&folder, Duration::from_micros((moment >> 33) % 150_000));
            caught += usize::from(is_pending(&folder));
            let workspace = folder.open();
            let round = round(&workspace);
            rounds.insert(round);
            assert_whole(&folder, round);
            let log = workspace.log().unwrap();
            assert!(log.iter().any(|checkpoint| !checkpoint.undone));
            workspace.undo(1).unwrap();
            if round > 0 {
                assert_whole(&folder, round - 1);
                workspace.redo(1).unwrap();
            } else {
                assert!(folder.tree().is_empty());
                workspace.redo(1).unwrap();
            }
            assert_whole(&folder, round);
        }
        println!("{caught} of {KILLS} kills came in the middle of a change; rounds reached: {rounds:?}");
        assert!(caught > 0 && rounds.len() > 1, "the process was never caught at work");
    }
}

/// A change is recorded as unfinished.
fn is_pending(folder: &Folder) -> bool {
    let private =
        folder.state().join("workspaces").read_dir().unwrap().flatten().map(|home| home.path().join("repo.git"));
    let repo = private.into_iter().find(|path| path.exists()).unwrap_or(folder.path(".git"));
    let refs = git(&repo, &["for-each-ref", "--format=%(refname)", "refs/moru"]);
    git(&repo, &["ls-tree", "--name-only", refs.trim()]).lines().any(|name| name == "pending")
}

fn kill_after(folder: &Folder, time: Duration) {
    let _ = std::fs::remove_file(folder.base().join(READY));
    let mut child = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "killed::child", "--nocapture"])
        .env(FOLDER, folder.base())
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    while !folder.base().join(READY).exists() && child.try_wait().unwrap().is_none() {
        std::thread::sleep(Duration::from_millis(1));
    }
    std::thread::sleep(time);
    child.kill().unwrap();
    let output = child.wait_with_output().unwrap();
    assert_eq!(output.status.signal(), Some(9), "{}", String::from_utf8_lossy(&output.stderr));
}

fn assert_whole(folder: &Folder, round: usize) {
    let files: Vec<_> = folder.tree().into_iter().filter(|(_, (kind, ..))| *kind == 'f').collect();
    let here = usize::from(round.is_multiple_of(2));
    assert_eq!(files.len(), FILES + here, "{:?}", files.iter().map(|(path, _)| path).collect::<Vec<_>>());
    for (path, (_, _, bytes)) in files {
        let text = String::from_utf8(bytes).unwrap();
        assert!(text.lines().all(|line| line == round.to_string()), "{} is not of round {round}", path.display());
    }
}
