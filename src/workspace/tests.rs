//! Tables for the pure parts; what needs git repositories stands in `tests/safety`.

use std::fs;
use std::os::unix::fs::symlink;
use std::path::Path;

use super::snapshot::{self, Bounds};
use super::*;

struct Folder {
    root: tempfile::TempDir,
    state: tempfile::TempDir,
}

impl Folder {
    fn new() -> Self {
        Self { root: tempfile::tempdir().unwrap(), state: tempfile::tempdir().unwrap() }
    }

    fn with(files: &[(&str, &[u8])]) -> Self {
        let folder = Self::new();
        for (path, bytes) in files {
            let path = folder.path(path);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, bytes).unwrap();
        }
        folder
    }

    fn path(&self, path: &str) -> PathBuf {
        self.root.path().join(path)
    }

    fn open(&self) -> Workspace {
        self.open_as(false)
    }

    fn open_as(&self, dry_run: bool) -> Workspace {
        let options = Options { state: self.state.path().to_owned(), dry_run };
        Workspace::open(self.root.path(), options).unwrap()
    }
}

fn rel(path: &str) -> RelPath {
    path.to_owned().try_into().unwrap()
}

fn replace(path: &str, old: &str, new: &str) -> Edit {
    Edit::Replace { path: rel(path), old: old.into(), new: new.into(), all: false }
}

fn write(path: &str, content: &str) -> Edit {
    Edit::Write { path: rel(path), content: content.into() }
}

#[test]
fn paths_are_normalised_and_jailed() {
    let folder = Folder::with(&[("src/a.py", b"a"), ("odd\\name", b"a")]);
    fs::create_dir(folder.path(".git")).unwrap();
    symlink("/etc", folder.path("out")).unwrap();
    symlink("../../nowhere/x", folder.path("dangling")).unwrap();
    symlink("src", folder.path("in")).unwrap();
    symlink(".git", folder.path("door")).unwrap();
    symlink("loop", folder.path("loop")).unwrap();
    let workspace = folder.open();
    let absolute = folder.path("src/../src/a.py");
    let long = "x".repeat(256);
    for (path, expected) in [
        ("src/a.py", Ok("src/a.py")),
        ("./src//a.py", Ok("src/a.py")),
        ("src\\a.py", Ok("src/a.py")),
        ("odd\\name", Ok("odd\\name")),
        ("src/../src/new.py", Ok("src/new.py")),
        ("in/a.py", Ok("in/a.py")),
        (absolute.to_str().unwrap(), Ok("src/a.py")),
        (".", Ok(".")),
        (folder.root.path().to_str().unwrap(), Ok(".")),
        (".github/x", Ok(".github/x")),
        ("", Err("empty")),
        ("a\0b", Err("NUL")),
        (&long, Err("255 bytes")),
        (&"x/".repeat(3000), Err("4096 bytes")),
        ("../x", Err("leads out")),
        ("src/../../x", Err("leads out")),
        ("/etc/passwd", Err("leads out")),
        ("out/passwd", Err("leads out")),
        ("out", Err("leads out")),
        ("dangling", Err("leads out")),
        ("loop", Err("leads out")),
        (".git/config", Err("belongs to git")),
        ("src/.GIT/config", Err("belongs to git")),
        (".g\u{200d}it/config", Err("belongs to git")),
        ("door/config", Err("belongs to git")),
        ("src/a.py/b", Err("no folder")),
    ] {
        match (workspace.resolve(path), expected) {
            (Ok(found), Ok(expected)) => assert_eq!(found.as_str(), expected, "{path}"),
            (Err(error), Err(words)) => assert!(error.to_string().contains(words), "{path}: {error}"),
            (found, _) => panic!("{path}: {found:?}"),
        }
    }
}

/// Bytes, old, new, and the bytes afterwards or words of the error.
type Replacement<'a> = (Vec<u8>, &'a str, &'a str, Result<Vec<u8>, &'a str>);

#[test]
fn replacing_keeps_every_other_byte() {
    let utf16 = |text: &str| [b"\xff\xfe".to_vec(), text.encode_utf16().flat_map(u16::to_le_bytes).collect()].concat();
    let utf16_be =
        |text: &str| [b"\xfe\xff".to_vec(), text.encode_utf16().flat_map(u16::to_be_bytes).collect()].concat();
    let table: Vec<Replacement> = vec![
        (b"a\nb\nc\n".into(), "b", "x", Ok(b"a\nx\nc\n".into())),
        (b"a\r\nb\r\nc\r\n".into(), "a\nb\n", "a\nx\ny\n", Ok(b"a\r\nx\r\ny\r\nc\r\n".into())),
        (b"a\r\nb\nc\r\n".into(), "a\nb\nc\n", "a\nb\nd\n", Ok(b"a\r\nb\nd\r\n".into())),
        (b"\xef\xbb\xbfa\nb".into(), "a", "x", Ok(b"\xef\xbb\xbfx\nb".into())),
        (b"caf\xe9\nx\n".into(), "café", "cafés", Ok(b"caf\xe9s\nx\n".into())),
        (b"caf\xe9\nx\n".into(), "x", "→", Err("has no `→`")),
        (utf16("é\r\nb\r\n"), "b", "→", Ok(utf16("é\r\n→\r\n"))),
        (utf16_be("é\nb"), "b", "c", Ok(utf16_be("é\nc"))),
        (b"\xff\xfea".into(), "a", "b", Err("not valid")),
        (b"a\0b".into(), "a", "x", Err("binary")),
        (b"a\nb".into(), "a\nb\n", "a\nc\n", Ok(b"a\nc".into())),
        (b"a\nb".into(), "b\n", "b\nc\n", Ok(b"a\nb\nc".into())),
        (b"a\nb\nc\n".into(), "b\n", "x", Ok(b"a\nx\nc\n".into())),
        (b"a\nb\nc\n".into(), "b\n", "", Ok(b"a\nc\n".into())),
        (b"a  \nb\t\nc\n".into(), "a\nb", "a\nx", Ok(b"a  \nx\nc\n".into())),
        (b"if x:\n    a\n\n    b\n".into(), "a\n\nb", "c\n\nb", Ok(b"if x:\n    c\n\n    b\n".into())),
        (b"a\n  b\n".into(), "    a\n      b\n", "    a\n      c\n", Ok(b"a\n  c\n".into())),
        (b"  a\n b\n".into(), "a\nb\nx", "c", Err("does not stand")),
        (b"  a\n    b\n".into(), "a\nb", "c", Err("does not stand")),
        (b"a\nb\na\n".into(), "a", "x", Err("2 times in `f` (lines 1, 3)")),
        (b" a\n  a\n".into(), "a \n", "x\n", Err("(lines 1, 2)")),
        (b"aaa\n".into(), "aa", "x", Err("2 times")),
        (b"a\n".into(), "a", "a", Err("are the same")),
        (b"a\n".into(), "", "x", Err("empty")),
        (b"".into(), "", "x\n", Ok(b"x\n".into())),
        (b"def total(xs):\n    return sum(xs)\n".into(), "return sum(ys)", "x", Err("2\t    return sum(xs)")),
        (b"a\nb\n".into(), "\n\n", "x", Err("does not stand")),
    ];
    for (bytes, old, new, expected) in table {
        let folder = Folder::with(&[("f", &bytes)]);
        let workspace = folder.open();
        let result = workspace.plan(&replace("f", old, new)).and_then(|patch| workspace.apply(patch, "test"));
        let shown = String::from_utf8_lossy(&bytes).into_owned();
        match (result, expected) {
            (Ok(_), Ok(expected)) => {
                let found = fs::read(folder.path("f")).unwrap();
                assert_eq!(String::from_utf8_lossy(&found), String::from_utf8_lossy(&expected), "{shown:?} {old:?}");
                assert_eq!(found, expected);
            }
            (Err(error), Err(words)) => assert!(error.to_string().contains(words), "{shown:?} {old:?}: {error}"),
            (found, _) => panic!("{shown:?} {old:?}: {found:?}"),
        }
    }
}

#[test]
fn all_places_are_replaced_where_asked() {
    let folder = Folder::with(&[("f", b"a b a\r\na\r\n")]);
    let workspace = folder.open();
    let edit = Edit::Replace { path: rel("f"), old: "a".into(), new: "aa".into(), all: true };
    workspace.apply(workspace.plan(&edit).unwrap(), "test").unwrap();
    assert_eq!(fs::read(folder.path("f")).unwrap(), b"aa b aa\r\naa\r\n");
}

#[test]
fn writing_keeps_the_files_habits() {
    for (bytes, content, expected) in [
        (&b"a\r\nb\r\n"[..], "a\nc", &b"a\r\nc\r\n"[..]),
        (b"a\nb", "c\nb\n", b"c\nb"),
        (b"caf\xe9\n", "caf\u{e9}s\n", b"caf\xe9s\n"),
        (b"", "x", b"x"),
    ] {
        let folder = Folder::with(&[("f", bytes)]);
        let workspace = folder.open();
        workspace.apply(workspace.plan(&write("f", content)).unwrap(), "test").unwrap();
        assert_eq!(fs::read(folder.path("f")).unwrap(), expected);
    }
    let folder = Folder::with(&[("f", b"a\n")]);
    let error = folder.open().plan(&write("f", "a\n")).unwrap_err();
    assert!(matches!(error, WorkspaceError::Unchanged { .. }), "{error}");
}

#[test]
fn a_missing_file_is_answered_with_the_likeliest() {
    let folder = Folder::with(&[("lib/tools.py", b"a"), ("lib/other.txt", b"a")]);
    let workspace = folder.open();
    let error = workspace.read(&rel("src/tools.py")).unwrap_err();
    assert_eq!(error.to_string(), "`src/tools.py` does not exist; did you mean `lib/tools.py`?");
    let error = workspace.read(&rel("zzz")).unwrap_err();
    assert_eq!(error.to_string(), "`zzz` does not exist");
}

#[test]
fn the_diff_is_what_git_apply_takes() {
    let folder = Folder::with(&[("a", b"1\n2\n3\n"), ("b", b"x")]);
    let workspace = folder.open();
    let edits =
        [replace("a", "2", "two"), Edit::Delete { path: rel("b") }, write("n/ew", "new\n"), replace("a", "3", "three")];
    let patch = workspace.plan_all(&edits).unwrap();
    assert_eq!(patch.files(), [rel("a"), rel("b"), rel("n/ew")]);
    for part in [
        "diff --git a/a b/a\n",
        "-2\n-3\n+two\n+three\n",
        "deleted file mode 100644",
        "new file mode 100644",
        "\\ No newline",
    ] {
        assert!(patch.diff.contains(part), "{}", patch.diff);
    }
}

#[test]
fn a_dry_run_changes_only_what_is_read() {
    let folder = Folder::with(&[("a", b"1\n"), ("b", b"2\n")]);
    let workspace = folder.open_as(true);
    let edits = [replace("a", "1", "one"), Edit::Delete { path: rel("b") }, write("c/d", "new\n")];
    let applied = workspace.apply(workspace.plan_all(&edits).unwrap(), "test").unwrap();
    assert!(applied.diff.contains("+one"), "{}", applied.diff);
    assert_eq!(workspace.read(&rel("a")).unwrap().text, "one\n");
    assert!(workspace.read(&rel("b")).is_err());
    assert_eq!(workspace.files(10), [rel("a"), rel("c/d")]);
    assert_eq!(workspace.undo(1).unwrap()[0].files.len(), 3);
    assert_eq!(workspace.read(&rel("a")).unwrap().text, "1\n");
    assert_eq!(fs::read(folder.path("a")).unwrap(), b"1\n");
    assert!(folder.path("b").exists() && !folder.path("c").exists());
    assert_eq!(fs::read_dir(folder.state.path()).unwrap().count(), 0);
}

#[test]
fn files_lists_what_ripgrep_would_and_dotfiles() {
    let folder = Folder::with(&[
        (".gitignore", b"*.log\n"),
        (".github/ci.yml", b"x"),
        ("x.log", b"x"),
        ("src/b", b"x"),
        ("src/a", b"x"),
        (".git/config", b""),
    ]);
    symlink("src/a", folder.path("link")).unwrap();
    symlink("/etc/passwd", folder.path("out")).unwrap();
    let workspace = folder.open();
    let names: Vec<_> = workspace.files(100).into_iter().map(String::from).collect();
    assert_eq!(names, [".github/ci.yml", ".gitignore", "link", "src/a", "src/b"]);
    assert_eq!(workspace.files(2).len(), 2);
}

#[test]
fn what_cannot_be_done_is_told_in_one_sentence() {
    let folder = Folder::with(&[("f", b"x"), ("d/g", b"x")]);
    let workspace = folder.open();
    assert!(workspace.read(&rel("d")).unwrap_err().to_string().contains("is a folder"));
    assert!(workspace.plan(&write("d", "x")).unwrap_err().to_string().contains("is a folder"));
    assert!(workspace.plan(&write("f/x", "x")).unwrap_err().to_string().contains("no folder"));
    assert!(matches!(workspace.undo(1), Err(WorkspaceError::NothingToUndo)));
    assert!(matches!(workspace.redo(1), Err(WorkspaceError::NothingToRedo)));
    assert!(matches!(workspace.diff(None), Err(WorkspaceError::NoChanges)));
    assert!(matches!(workspace.diff(Some(CheckpointId(7))), Err(WorkspaceError::NoCheckpoint { .. })));
    let mut permissions = fs::metadata(folder.path("f")).unwrap().permissions();
    permissions.set_readonly(true);
    fs::set_permissions(folder.path("f"), permissions).unwrap();
    assert!(workspace.plan(&write("f", "y")).unwrap_err().to_string().contains("chmod u+w"));
    let patch = workspace.plan(&write("d/g", "y")).unwrap();
    fs::remove_dir_all(folder.root.path()).unwrap();
    for error in
        [workspace.apply(patch, "x").unwrap_err(), workspace.resolve("x").unwrap_err(), workspace.undo(1).unwrap_err()]
    {
        assert!(error.to_string().contains("is gone"), "{error}");
    }
    let missing =
        Workspace::open(Path::new("/nowhere/at/all"), Options { state: folder.state.path().into(), dry_run: true });
    assert!(missing.err().unwrap().to_string().contains("is no folder"));
}

#[test]
fn what_is_beyond_the_bounds_of_a_snapshot_is_said_and_left_alone() {
    let folder = Folder::with(&[("a", b"1"), ("b", &[b'x'; 100]), ("c", b"3")]);
    let workspace = folder.open();
    let bounds = Bounds { file_bytes: 50, ..Bounds::default() };
    let snapshot = snapshot::take(&workspace, bounds).unwrap();
    assert!(snapshot.note().unwrap().contains("1 file"), "{:?}", snapshot.note());
    fs::write(folder.path("a"), "one").unwrap();
    fs::write(folder.path("b"), "changed").unwrap();
    let applied = workspace.record(&snapshot, "run").unwrap().unwrap();
    assert_eq!(applied.files, [rel("a")]);
    assert!(applied.note.unwrap().contains("too large"));
    workspace.undo(1).unwrap();
    assert_eq!(fs::read(folder.path("b")).unwrap(), b"changed");

    let mut snapshot = snapshot::take(&workspace, Bounds { files: 2, ..Bounds::default() }).unwrap();
    // As if the files had been there for a minute.
    snapshot.time += 60_000_000_000;
    assert!(snapshot.note().unwrap().contains("more than 2 files"));
    fs::write(folder.path("c"), "beyond").unwrap();
    fs::remove_file(folder.path("a")).unwrap();
    let applied = workspace.record(&snapshot, "run").unwrap().unwrap();
    assert_eq!(applied.files, [rel("a")]);
    workspace.undo(1).unwrap();
    assert_eq!(fs::read(folder.path("c")).unwrap(), b"beyond");
}

#[test]
fn a_file_that_a_command_stops_ignoring_is_not_taken_for_new() {
    let folder = Folder::with(&[(".gitignore", b"data\n"), ("data", b"precious")]);
    let workspace = folder.open();
    let mut snapshot = workspace.snapshot().unwrap();
    // As if the file had been there for a minute.
    snapshot.time += 60_000_000_000;
    fs::write(folder.path(".gitignore"), "").unwrap();
    let applied = workspace.record(&snapshot, "run").unwrap().unwrap();
    assert_eq!(applied.files, [rel(".gitignore")]);
}
