//! What a shell command of the model does to files can be undone like an edit.

use std::fs;
use std::process::Command;

use crate::folder::Folder;

fn check(folder: &Folder, command: &str, files: &[&str]) {
    let before = folder.tree();
    let workspace = folder.open();
    let snapshot = workspace.snapshot().unwrap();
    assert_eq!(snapshot.note(), None);
    assert!(Command::new("sh").current_dir(folder.path("")).args(["-c", command]).status().unwrap().success());
    let after = folder.tree();
    let recorded = workspace.record(&snapshot, "run").unwrap();
    let found: Vec<_> = recorded.iter().flat_map(|applied| &applied.files).map(|file| file.as_str()).collect();
    assert_eq!(found, files, "{command}");
    if files.is_empty() {
        return;
    }
    workspace.undo(1).unwrap();
    assert!(folder.tree() == before, "undo of `{command}` left something different");
    folder.open().redo(1).unwrap();
    assert!(folder.tree() == after, "redo of `{command}` left something different");
    folder.open().undo(1).unwrap();
    assert!(folder.tree() == before);
}

#[test]
fn commands_are_undone() {
    for folder in [Folder::plain(), Folder::repository()] {
        folder.put("a", b"1\r\n");
        folder.put("b", b"\x00\x01binary\xff");
        folder.put("dir/c", b"3");
        folder.put("dir/deep/d", b"4");
        folder.put(".gitignore", b"target\n");
        fs::create_dir(folder.path("private")).unwrap();
        folder.put("private/key", b"k");
        folder.chmod("private", 0o700);
        for (command, files) in [
            ("true", &[][..]),
            ("touch a", &[]),
            ("cat a > /dev/null; mkdir target; echo x > target/out", &[]),
            ("echo two >> a", &["a"]),
            // Same size, and the time of modification set back.
            ("touch -r a ref && printf '2\\r\\n' > a && touch -r ref a && rm ref", &["a"]),
            ("printf '\\001' > b; rm dir/c", &["b", "dir/c"]),
            ("chmod 755 a; chmod 400 b", &["a", "b"]),
            ("mv dir elsewhere", &["dir/c", "dir/deep/d", "elsewhere/c", "elsewhere/deep/d"]),
            ("rm -r private", &["private/key"]),
            ("mkdir -p x/y/z && echo 1 > x/y/z/new && ln -s a link", &["link", "x/y/z/new"]),
            ("rm a && mkdir a && echo inside > a/file", &["a", "a/file"]),
            ("rm -r dir && echo file > dir", &["dir", "dir/c", "dir/deep/d"]),
            ("rm -r dir && ln -s private dir", &["dir", "dir/c", "dir/deep/d"]),
            ("rm a && ln -s b a", &["a"]),
            ("echo '*.txt' > .gitignore && echo x > ignored.txt && rm ignored.txt", &[".gitignore"]),
        ] {
            check(&folder, command, files);
        }
    }
}

#[test]
fn a_clean_tree_costs_no_objects() {
    let folder = Folder::repository();
    for number in 0..500 {
        folder.put(&format!("d{}/f{number}", number % 7), format!("{number}\n").as_bytes());
    }
    folder.git(&["add", "."]);
    folder.git(&["commit", "-qm", "all"]);
    let objects = folder.git(&["count-objects"]);
    for _ in 0..2 {
        let workspace = folder.open();
        let snapshot = workspace.snapshot().unwrap();
        assert_eq!(workspace.record(&snapshot, "run").unwrap(), None);
    }
    // The empty record's two trees and its state.
    let count = |text: &str| text.split(' ').next().unwrap().parse::<usize>().unwrap();
    assert!(count(&folder.git(&["count-objects"])) <= count(&objects) + 3);
}
