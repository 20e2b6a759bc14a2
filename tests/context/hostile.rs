//! Files that are not what they seem, and that do not hold still.

use std::fs;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::sync::atomic::{AtomicBool, Ordering};

use moru::code::Index;
use proptest::prelude::*;

use super::folder::{Folder, ask_all};

const NAMES: &[&str] = &[
    "a.py", "a.rs", "a.js", "a.ts", "a.tsx", "a.go", "A.java", "a.c", "a.h", "a.cpp", "a.cs", "a.rb", "a.php", "a.sh",
    "a.lua", "a.kt", "a.swift", "a.scala", "a.html", "a.css", "a.json", "a.toml", "a.yaml", "a.md", "a.sql", "a.txt",
    "Makefile",
];

/// Bytes that look like code often enough to get deep into a grammar.
fn source() -> impl Strategy<Value = Vec<u8>> {
    let pieces = prop_oneof![
        Just("def f(".to_owned()),
        Just("class A {".to_owned()),
        Just("fn f() {".to_owned()),
        Just("\"\"\"".to_owned()),
        Just("func (a *B) c() ".to_owned()),
        Just("}\n".to_owned()),
        Just("import \"x\"\n".to_owned()),
        Just("<a b='".to_owned()),
        Just("# h\n\n```py\n".to_owned()),
        Just("template<".to_owned()),
        Just("'''${".to_owned()),
        Just("/* ".to_owned()),
        Just("é\u{301}\u{200d}".to_owned()),
        Just("\r\n\t".to_owned()),
        "[a-z_]{1,8}",
        "[ -~]{0,12}",
    ];
    prop_oneof![
        prop::collection::vec(any::<u8>(), 0..400),
        prop::collection::vec(pieces, 0..40).prop_map(|pieces| pieces.concat().into_bytes()),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 96, ..ProptestConfig::default() })]

    #[test]
    fn any_bytes_in_any_language_are_indexed(bytes in source()) {
        let folder = Folder::new(&[]);
        for name in NAMES {
            folder.write(name, &bytes);
        }
        let index = folder.index();
        prop_assert_eq!(index.len(), NAMES.len());
        ask_all(&index);
        // What is read back from the store is what was read from the files.
        prop_assert_eq!(ask_all(&folder.index()), ask_all(&folder.fresh()));
    }
}

#[test]
fn what_is_no_file_of_ones_own_is_passed_over() {
    let folder = Folder::new(&[("a.py", "def f(): pass\n"), ("closed.py", "def g(): pass\n"), ("sub/b.py", "f()\n")]);
    let at = |name: &str| folder.path().join(name);
    symlink(".", at("loop")).unwrap();
    symlink("round", at("round")).unwrap();
    symlink("a.py", at("link.py")).unwrap();
    rustix::fs::mknodat(rustix::fs::CWD, at("pipe.py"), rustix::fs::FileType::Fifo, 0o600.into(), 0).unwrap();
    fs::set_permissions(at("closed.py"), fs::Permissions::from_mode(0o000)).unwrap();
    let mut index = Index::open(folder.path(), None);
    // As a walk that looked away for a moment would name them.
    index.refresh(&["a.py", "closed.py", "sub/b.py", "link.py", "loop", "round", "pipe.py", "gone.py", "sub"]);
    assert_eq!(index.definitions("f").len(), 1);
    assert_eq!(index.len(), 3);
    assert!(ask_all(&index).contains("a.py"));
}

#[test]
fn a_file_that_changes_while_it_is_read_ends_up_right() {
    let folder = Folder::new(&[("a.py", "")]);
    let stop = AtomicBool::new(false);
    std::thread::scope(|scope| {
        scope.spawn(|| {
            for round in 0_u32.. {
                if stop.load(Ordering::Relaxed) {
                    break;
                }
                let body = "    pass\n".repeat(round as usize % 700);
                let _ = fs::write(folder.path().join("a.py"), format!("def f{round}():\n{body}"));
            }
        });
        for _ in 0..30 {
            folder.index();
        }
        stop.store(true, Ordering::Relaxed);
    });
    folder.write("a.py", b"def last(): pass\n");
    assert_eq!(ask_all(&folder.index()), ask_all(&folder.fresh()));
    assert_eq!(folder.index().definitions("last").len(), 1);
}

#[test]
fn many_files_in_one_folder_are_all_there() {
    let folder = Folder::new(&[]);
    for number in 0..10_000 {
        folder.write(&format!("f{number}.py"), format!("def f{number}(): pass\n").as_bytes());
    }
    let index = folder.index();
    assert_eq!((index.len(), index.definitions("f4711").len()), (10_000, 1));
}

#[test]
fn a_broken_store_is_made_again() {
    let folder = Folder::new(&[("a.py", "def f(): pass\n"), ("b.py", "f()\n")]);
    let right = ask_all(&folder.index());
    let whole = fs::read(folder.store()).unwrap();
    let mut damaged: Vec<Vec<u8>> = vec![Vec::new(), b"not a database".to_vec(), whole[..whole.len() / 2].to_vec()];
    for at in (0..whole.len()).step_by(997) {
        let mut bytes = whole.clone();
        bytes[at] ^= 0x5a;
        damaged.push(bytes);
    }
    for bytes in damaged {
        fs::write(folder.store(), bytes).unwrap();
        assert_eq!(ask_all(&folder.index()), right);
    }
    // Nor does it matter when it cannot be kept at all.
    let mut index = Index::open(folder.path(), Some("/proc/no/such/folder.index".into()));
    index.refresh(&folder.files());
    assert_eq!(ask_all(&index), right);
}

#[test]
fn after_any_changes_the_index_is_as_a_fresh_one() {
    let folder = Folder::new(&[("a.py", "def f(): pass\n"), ("b.py", "f()\n"), ("c/d.rs", "fn f() {}\n")]);
    let mut index = folder.index();
    for step in 0..6 {
        match step {
            0 => folder.write("a.py", b"def g(): pass\n"),
            1 => fs::remove_file(folder.path().join("b.py")).unwrap(),
            2 => folder.write("e/f/g.go", b"package g\nfunc F() {}\n"),
            3 => fs::rename(folder.path().join("c"), folder.path().join("h")).unwrap(),
            4 => folder.write(".gitignore", b"e/\n"),
            _ => folder.write("a.py", b"\0binary"),
        }
        index.refresh(&folder.files());
        assert_eq!(ask_all(&index), ask_all(&folder.fresh()), "step {step}");
        assert_eq!(ask_all(&folder.index()), ask_all(&folder.fresh()), "step {step}, stored");
    }
}
