//! An index that is told what changes: right after every change, whoever makes it.

use std::fs;
use std::process::Command;
use std::sync::atomic::{AtomicBool, Ordering};

use moru::tool::CodeIndex;
use moru::workspace::{Changes, Options, Watch, Workspace};

use super::folder::{Folder, ask_all};

fn workspace(folder: &Folder) -> Workspace {
    Workspace::open(folder.path(), Options { state: folder.state().to_owned(), dry_run: false }).unwrap()
}

#[test]
fn after_any_change_the_index_of_a_session_is_as_a_fresh_one() {
    let folder = Folder::new(&[("a.py", "def f(): pass\n"), ("b.py", "f()\n"), ("c/d.rs", "fn f() {}\n")]);
    let (workspace, index) = (workspace(&folder), CodeIndex::new(folder.store()));
    if Watch::new(workspace.root(), folder.state()).is_none() {
        eprintln!("files cannot be watched here: only walking is tested");
    }
    let at = |path: &str| folder.path().join(path);
    let changes: [&dyn Fn(); 22] = [
        &|| {},
        &|| folder.write("a.py", b"def g(): pass\n"),
        &|| folder.write("a.py", b"def hh(): pass\n"),
        &|| folder.write("new.py", b"def new(): pass\n"),
        &|| fs::remove_file(at("b.py")).unwrap(),
        &|| folder.write("e/f/g.go", b"package g\nfunc F() {}\n"),
        &|| folder.write("e/f/h.go", b"package g\nfunc H() {}\n"),
        &|| fs::rename(at("c"), at("h")).unwrap(),
        &|| folder.write("h/d.rs", b"fn moved() {}\n"),
        &|| fs::rename(at("a.py"), at("h/a.py")).unwrap(),
        &|| fs::remove_dir_all(at("e")).unwrap(),
        &|| folder.write("e/again.py", b"def again(): pass\n"),
        &|| fs::rename(at("h/a.py"), at("a.py")).unwrap(),
        &|| fs::rename(at("a.py"), at("h/a.py")).unwrap(),
        &|| fs::rename(at("h"), at("i")).unwrap(),
        &|| fs::rename(at("i"), at("h")).unwrap(),
        &|| folder.write("h/d.rs", b"fn moved_again() {}\n"),
        &|| folder.write("j/k/l.py", b"def l(): pass\n"),
        &|| {
            fs::rename(at("j"), at("x")).unwrap();
            fs::rename(at("x"), at("j")).unwrap();
        },
        &|| folder.write("j/k/l.py", b"def ll(): pass\n"),
        &|| folder.write(".gitignore", b"e/\n*.log\n"),
        &|| folder.write("x.log", b"again\n"),
    ];
    for (step, change) in changes.iter().enumerate() {
        change();
        // Twice, since the first answer may follow what the second relies on.
        for time in 0..2 {
            let found = index.ask(&workspace, ask_all);
            assert_eq!(found, ask_all(&folder.fresh()), "step {step}, time {time}");
        }
    }
}

#[test]
fn a_watch_names_what_changed_and_nothing_else() {
    let folder =
        Folder::new(&[("a.py", "1\n"), ("sub/b.py", "2\n"), ("ignored/c.py", "3\n"), (".gitignore", "ignored\n")]);
    let workspace = workspace(&folder);
    let Some(watch) = Watch::new(workspace.root(), folder.state()) else {
        eprintln!("skipped: files cannot be watched here");
        return;
    };
    let names = |changes: Changes| match changes {
        Changes::Files(paths) => Some(paths.iter().map(ToString::to_string).collect::<Vec<_>>()),
        Changes::Anything => None,
    };
    for _ in 0..2 {
        assert_eq!(names(watch.changes()), None);
        assert!(watch.follow(&workspace.list(100).folders));
    }
    let is = |paths: &[&str]| Some(paths.iter().map(ToString::to_string).collect::<Vec<_>>());
    assert_eq!(names(watch.changes()), is(&[]));
    folder.write("sub/b.py", b"22\n");
    folder.write("ignored/c.py", b"33\n");
    assert_eq!(names(watch.changes()), is(&["sub/b.py"]));
    assert_eq!(names(watch.changes()), is(&[]));
    folder.write("other/d.py", b"4\n");
    assert_eq!(names(watch.changes()), None);
}

#[test]
fn two_thousand_files_change_while_somebody_asks() {
    let folder = Folder::new(&[]);
    let git = |arguments: &[&str]| {
        let settings = ["-c", "user.name=A", "-c", "user.email=a@b", "-c", "commit.gpgsign=false"];
        let done = Command::new("git").args(settings).args(arguments).current_dir(folder.path()).output().unwrap();
        assert!(done.status.success(), "{arguments:?}: {}", String::from_utf8_lossy(&done.stderr));
    };
    let fill = |name: &str| {
        for number in 0..2000 {
            let text = format!("def {name}_{number}(): pass\n\n\n{name}_{number}()\n");
            folder.write(&format!("p{}/f{number}.py", number % 20), text.as_bytes());
        }
        git(&["add", "-A"]);
        git(&["commit", "-q", "-m", name]);
    };
    git(&["init", "-q", "-b", "one"]);
    fill("one");
    git(&["checkout", "-q", "-b", "two"]);
    fill("two");
    let (workspace, index) = (workspace(&folder), CodeIndex::new(folder.store()));
    assert_eq!(index.ask(&workspace, |index| index.definitions("two_1999").len()), 1);
    let done = AtomicBool::new(false);
    std::thread::scope(|scope| {
        let asked = scope.spawn(|| {
            while !done.load(Ordering::Relaxed) {
                index.ask(&workspace, |index| index.definitions("one_7").len() + index.definitions("two_7").len());
            }
        });
        for branch in ["one", "two", "one"] {
            git(&["checkout", "-q", branch]);
        }
        done.store(true, Ordering::Relaxed);
        asked.join().unwrap();
    });
    assert_eq!(index.ask(&workspace, ask_all), ask_all(&folder.fresh()));
    assert_eq!(index.ask(&workspace, |index| index.definitions("one_1999").len()), 1);
}
