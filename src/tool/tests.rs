//! The tools on real files: what the model is told, and what is on disk afterwards.

use std::fs;
use std::time::Duration;

use serde_json::{Value, json};

use super::*;
use crate::permission::Class;
use crate::workspace::Options;

struct Fixture {
    folder: tempfile::TempDir,
    _state: tempfile::TempDir,
    cx: Context,
}

/// A folder with these files.
fn fixture(files: &[(&str, &str)]) -> Fixture {
    open(files, false)
}

fn open(files: &[(&str, &str)], dry_run: bool) -> Fixture {
    let (folder, state) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    for (path, content) in files {
        let path = folder.path().join(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, content).unwrap();
    }
    let options = Options { state: state.path().to_path_buf(), dry_run };
    let workspace = Workspace::open(folder.path(), options).unwrap();
    let cx = Context {
        workspace: Arc::new(workspace),
        cancel: CancellationToken::new(),
        command_timeout: Duration::from_secs(60),
        sandbox: Arc::new(Sandbox::off()),
        index: Arc::default(),
        servers: Arc::default(),
        output_limit: 4000,
    };
    Fixture { folder, _state: state, cx }
}

impl Fixture {
    fn on_disk(&self, path: &str) -> String {
        fs::read_to_string(self.folder.path().join(path)).unwrap()
    }

    async fn call(&self, tool: &str, args: Value) -> Result<Observation, ToolError> {
        let registry = Registry::new(builtin());
        let Value::Object(args) = args else { panic!("arguments are an object") };
        registry.get(tool)?.run(&args, None, &self.cx).await
    }

    fn ask(&self, tool: &str, args: Value) -> Result<Permission, ToolError> {
        let registry = Registry::new(builtin());
        let Value::Object(args) = args else { panic!("arguments are an object") };
        registry.get(tool)?.plan(&args, &self.cx).map(|plan| plan.permission)
    }

    /// What the model is told.
    async fn told(&self, tool: &str, args: Value) -> String {
        match self.call(tool, args).await {
            Ok(observation) => observation.text,
            Err(error) => format!("error: {error}"),
        }
    }
}

const SUM: &str = "def add(a, b):\n    return a - b\n\n\nprint(add(1, 2))\n";

#[tokio::test]
async fn files_are_read_listed_and_searched() {
    let fixture = fixture(&[
        ("src/sum.py", SUM),
        ("README.md", "# Sum\n"),
        ("empty", ""),
        ("blob", "a\0b"),
        (".gitignore", "out/\n"),
        ("out/sum.py", SUM),
    ]);
    for (tool, args, expected) in [
        ("read", json!({ "path": "src/sum.py", "start": "4" }), "4|\n5|print(add(1, 2))"),
        (
            "read",
            json!({ "path": "./src/../src/sum.py", "start": 1, "end": 2 }),
            "1|def add(a, b):\n2|    return a - b",
        ),
        ("read", json!({ "path": "src/sum.py", "start": 9 }), "error: `src/sum.py` has only 5 lines."),
        (
            "read",
            json!({ "path": "src/sum.py", "start": 3, "end": 2 }),
            "error: `end` must not be smaller than `start`, which is 3.",
        ),
        ("read", json!({ "path": "empty" }), "`empty` is empty."),
        ("read", json!({ "path": "src" }), "error: `src` is a folder. Call list to see what is in it."),
        ("list", json!({}), "src/ (1 file)\n.gitignore\nREADME.md\nblob\nempty"),
        ("list", json!({ "path": "src/" }), "sum.py"),
        ("list", json!({ "path": "source" }), "error: There is no folder `source`. There are: src."),
        ("list", json!({ "path": "README.md" }), "error: `README.md` is a file. Call read to see it."),
        ("search", json!({ "pattern": "ADD\\(|sum" }), "No match in 5 files."),
        (
            "search",
            json!({ "pattern": "add\\(|sum" }),
            "README.md\n1|# Sum\nsrc/sum.py\n1|def add(a, b):\n5|print(add(1, 2))",
        ),
        (
            "search",
            json!({ "pattern": "add(", "path": "src" }),
            "The pattern is no regular expression and was searched for as it stands.\nsrc/sum.py\n1|def add(a, b):\n5|print(add(1, 2))",
        ),
        ("search", json!({ "pattern": "nothing" }), "No match in 5 files."),
        ("Search", json!({ "pattern": "print", "path": "out/sum.py" }), "out/sum.py\n5|print(add(1, 2))"),
        ("read", json!({}), "error: read needs `path`."),
        (
            "look",
            json!({}),
            "error: There is no tool `look`. The tools are: read, list, search, outline, symbol, references, edit, write, run.",
        ),
    ] {
        assert_eq!(fixture.told(tool, args.clone()).await, expected, "{tool} {args}");
    }
    for (args, words) in [
        (json!({ "path": "sums.py" }), &["sums.py", "src/sum.py"][..]),
        (json!({ "path": "blob" }), &["blob", "binary"]),
        (json!({ "path": "../secret" }), &["../secret", "workspace"]),
        (json!({ "path": "/etc/passwd" }), &["/etc/passwd", "workspace"]),
    ] {
        let told = fixture.told("read", args).await;
        assert!(told.starts_with("error: ") && words.iter().all(|word| told.contains(word)), "{told}");
    }
}

#[tokio::test]
async fn symbols_are_shown_by_name() {
    let fixture = fixture(&[
        ("src/sum.py", "class Sum:\n    \"\"\"Adds.\"\"\"\n\n    def add(self, a):\n        return a\n"),
        ("main.py", "from sum import Sum\n\n\ndef main():\n    Sum().add(1)\n"),
        ("notes.txt", "nothing\n"),
    ]);
    for (tool, args, expected) in [
        ("outline", json!({ "path": "src/sum.py" }), "1-5| class Sum\n4-5|   def add(self, a)"),
        ("outline", json!({}), "main.py\n4-5| def main()\nsrc/sum.py\n1-5| class Sum\n4-5|   def add(self, a)"),
        ("outline", json!({ "path": "notes.txt" }), "No definition is known in `notes.txt`. Call read to see it."),
        (
            "symbol",
            json!({ "name": "Sum.add" }),
            "src/sum.py:4-5 def add(self, a)\n4|    def add(self, a):\n5|        return a",
        ),
        (
            "symbol",
            json!({ "name": "main", "callees": true }),
            "main.py:4-5 def main()\n4|def main():\n5|    Sum().add(1)\nuses:\nsrc/sum.py:1-5 class Sum\nsrc/sum.py:4-5 def add(self, a)",
        ),
        (
            "symbol",
            json!({ "name": "add", "callers": "true" }),
            "src/sum.py:4-5 def add(self, a)\n4|    def add(self, a):\n5|        return a\nused by:\nmain.py\n5|    Sum().add(1)  (in main)",
        ),
        (
            "symbol",
            json!({ "name": "ad" }),
            "error: Nothing called `ad` is defined here. There are: Sum.add in src/sum.py.",
        ),
        ("references", json!({ "name": "Sum" }), "main.py\n1|from sum import Sum\n5|    Sum().add(1)  (in main)"),
        ("references", json!({ "name": "none" }), "Nothing uses `none`. Call search for other texts."),
        ("read", json!({ "path": "src/sum.py", "symbol": "add()" }), "4|    def add(self, a):\n5|        return a"),
        (
            "read",
            json!({ "path": "main.py", "symbol": "sub" }),
            "`main.py` defines no `sub`. It defines main. The whole file:\n1|from sum import Sum\n2|\n3|\n4|def main():\n5|    Sum().add(1)",
        ),
        ("search", json!({ "pattern": "return" }), "src/sum.py\nin Sum.add:\n5|        return a"),
    ] {
        assert_eq!(fixture.told(tool, args.clone()).await, expected, "{tool} {args}");
    }
    // The index follows what changes.
    fs::write(fixture.folder.path().join("main.py"), "def add(): pass\n").unwrap();
    assert_eq!(
        fixture.told("references", json!({ "name": "Sum" })).await,
        "Nothing uses `Sum`. Call search for other texts."
    );
    assert!(fixture.told("symbol", json!({ "name": "add" })).await.contains("main.py:1-1"));
}

#[tokio::test]
async fn an_edit_is_shown_made_and_undone() {
    let fixture = fixture(&[("sum.py", SUM)]);
    let args = json!({ "path": "sum.py", "old": "a - b", "new": "a + b" });
    let permission = fixture.ask("edit", args.clone()).unwrap();
    assert_eq!((permission.class, permission.summary.as_str()), (Class::Edit, "edit sum.py"));
    assert!(permission.diff.unwrap().contains("-    return a - b\n+    return a + b\n"));
    assert_eq!(fixture.on_disk("sum.py"), SUM, "asking changes nothing");

    let observation = fixture.call("edit", args).await.unwrap();
    assert_eq!(observation.text, "Edited sum.py (+1 -1 lines).");
    assert_eq!(observation.applied.unwrap().files[0].as_str(), "sum.py");
    assert_eq!(fixture.on_disk("sum.py"), SUM.replace("a - b", "a + b"));
    fixture.cx.workspace.undo(1).unwrap();
    assert_eq!(fixture.on_disk("sum.py"), SUM);
}

#[tokio::test]
async fn line_numbers_do_not_leak_into_edits() {
    let fixture = fixture(&[("sum.py", SUM), ("table", "1|a\n2|b\n")]);
    let args = json!({ "path": "sum.py", "old": "1|def add(a, b):\n2|    return a - b", "new": "1|def add(a, b):\n2|    return a + b" });
    assert_eq!(fixture.told("edit", args).await, "Edited sum.py (+1 -1 lines).");
    assert_eq!(fixture.on_disk("sum.py"), SUM.replace("a - b", "a + b"));
    // Where they belong to the file they stay.
    fixture.call("edit", json!({ "path": "table", "old": "1|a\n2|b", "new": "1|c\n2|d" })).await.unwrap();
    assert_eq!(fixture.on_disk("table"), "1|c\n2|d\n");
}

#[tokio::test]
async fn a_syntax_error_that_came_in_is_shown() {
    let fixture = fixture(&[("sum.py", SUM)]);
    let told =
        fixture.told("edit", json!({ "path": "sum.py", "old": "print(add(1, 2))", "new": "print(add(1, 2)" })).await;
    assert!(
        told.starts_with("Edited sum.py (+1 -1 lines).\nThis brought in a syntax error. Fix it:\nline 5: "),
        "{told}"
    );
    assert!(told.contains("\nprint(add(1, 2)\n") && told.ends_with("\n^^^^^^^^^^^^^^^"), "{told}");
    // It is there now; what else is changed is not blamed for it.
    let told = fixture.told("edit", json!({ "path": "sum.py", "old": "a - b", "new": "a + b" })).await;
    assert_eq!(told, "Edited sum.py (+1 -1 lines).");
}

#[tokio::test]
async fn an_edit_that_cannot_be_made_says_why() {
    let fixture = fixture(&[("twice", "x\nx\n")]);
    for (args, words) in [
        (json!({ "path": "twice", "old": "x", "new": "y" }), "2 times"),
        (json!({ "path": "twice", "old": "z", "new": "y" }), "does not stand"),
        (json!({ "path": "twice", "old": "", "new": "y" }), "empty"),
        (json!({ "path": "twice", "old": "x\nx", "new": "x\nx" }), "the same"),
        (json!({ "path": "gone", "old": "x", "new": "y" }), "does not exist"),
        (json!({ "path": "../twice", "old": "x", "new": "y" }), "out of the workspace"),
        (json!({ "path": "twice", "old": "x" }), "edit needs `new`."),
    ] {
        let told = fixture.told("edit", args.clone()).await;
        assert!(told.starts_with("error: ") && told.contains(words), "{args}: {told}");
        assert!(fixture.ask("edit", args).is_err());
    }
    assert_eq!(fixture.on_disk("twice"), "x\nx\n");
}

#[tokio::test]
async fn files_are_created_and_replaced() {
    let fixture = fixture(&[("a.txt", "one\n")]);
    for (tool, args, told) in [
        ("write", json!({ "path": "new/b.txt", "content": "1\n2\n" }), "Wrote new/b.txt (+2 -0 lines)."),
        ("write", json!({ "path": "a.txt", "content": "two\n" }), "Wrote a.txt (+1 -1 lines)."),
        ("edit", json!({ "path": "c.txt", "old": "", "new": "3\n" }), "Edited c.txt (+1 -0 lines)."),
    ] {
        assert_eq!(fixture.told(tool, args).await, told);
    }
    let contents = ["new/b.txt", "a.txt", "c.txt"].map(|path| fixture.on_disk(path));
    assert_eq!(contents, ["1\n2\n", "two\n", "3\n"]);
    let told = fixture.told("write", json!({ "path": "a.txt", "content": "two\n" })).await;
    assert!(told.starts_with("error: ") && told.contains("nothing would change"), "{told}");
}

#[tokio::test]
async fn what_a_command_changed_can_be_undone() {
    let fixture = fixture(&[("a.txt", "one\n")]);
    let args = json!({ "command": " echo two > a.txt; echo x > b.txt; exit 3 " });
    let permission = fixture.ask("run", args.clone()).unwrap();
    assert_eq!(permission.summary, "echo two > a.txt; echo x > b.txt; exit 3");
    let observation = fixture.call("run", args).await.unwrap();
    assert_eq!(observation.text, "It failed (exit code 3). It printed nothing.\nIt changed a.txt, b.txt.");
    assert!(matches!(observation.detail, Detail::Exit { code: Some(3), timed_out: false, .. }));
    fixture.cx.workspace.undo(1).unwrap();
    assert_eq!(fixture.on_disk("a.txt"), "one\n");
    assert!(!fixture.folder.path().join("b.txt").exists());

    let observation = fixture.call("run", json!({ "command": "cat a.txt" })).await.unwrap();
    assert_eq!((observation.text.as_str(), observation.applied), ("It succeeded (exit code 0). Output:\none", None));
}

#[tokio::test]
async fn a_command_that_does_not_end_is_told_with_its_output() {
    let mut fixture = fixture(&[("a.txt", "one\n")]);
    fixture.cx.command_timeout = Duration::from_secs(2);
    let args = json!({ "command": "echo so far; echo two > a.txt; setsid sleep 300 & sleep 300" });
    let observation = fixture.call("run", args).await.unwrap();
    assert!(observation.text.starts_with("It did not finish within 2 s and was ended."), "{}", observation.text);
    assert!(observation.text.ends_with("Output:\nso far\nIt changed a.txt."), "{}", observation.text);
    assert!(matches!(observation.detail, Detail::Exit { code: None, timed_out: true, .. }));
}

#[tokio::test]
async fn a_dry_run_edits_in_memory_and_runs_nothing() {
    let fixture = open(&[("sum.py", SUM)], true);
    fixture.call("edit", json!({ "path": "sum.py", "old": "a - b", "new": "a + b" })).await.unwrap();
    assert_eq!(fixture.told("search", json!({ "pattern": "return" })).await, "sum.py\nin add:\n2|    return a + b");
    assert_eq!(fixture.told("read", json!({ "path": "sum.py", "start": 2, "end": 2 })).await, "2|    return a + b");
    let told = fixture.told("run", json!({ "command": "touch x" })).await;
    assert!(told.starts_with("error: Commands are not run now"), "{told}");
    assert_eq!(fixture.on_disk("sum.py"), SUM);
    assert!(!fixture.folder.path().join("x").exists());
}

#[tokio::test]
async fn output_is_bounded_whatever_the_tool() {
    let text: String = (1..=5000).map(|n| format!("line {n}\n")).collect();
    let files: Vec<(String, &str)> = (0..500).map(|n| (format!("folder/file{n}.txt"), "line\n")).collect();
    let mut files: Vec<(&str, &str)> = files.iter().map(|(path, text)| (path.as_str(), *text)).collect();
    files.push(("long.txt", &text));
    let fixture = fixture(&files);
    for (tool, args, hint) in [
        ("read", json!({ "path": "long.txt" }), "go on with start="),
        ("list", json!({ "path": "folder" }), "more]"),
        ("search", json!({ "pattern": "line" }), "narrow the pattern"),
        ("run", json!({ "command": "cat long.txt" }), "lines left out"),
    ] {
        let told = fixture.told(tool, args).await;
        assert!(told.len() <= fixture.cx.output_limit && told.contains(hint), "{tool}: {} bytes", told.len());
    }
}

#[test]
fn errors_become_sentences() {
    for (text, expected) in [
        ("the disk is full", "The disk is full."),
        ("`a` does not exist; did you mean `b`?", "`a` does not exist; did you mean `b`?"),
        ("a.py:1: no", "a.py:1: no."),
        ("not there. The closest lines are:\n1\tx = 1", "Not there. The closest lines are:\n1\tx = 1"),
    ] {
        assert_eq!(sentence(text), expected);
    }
}

#[tokio::test]
async fn a_wrong_folder_is_mended_where_one_file_can_be_meant() {
    let fixture = fixture(&[("src/calc.py", "x = 1\n"), ("a/same.py", "y = 1\n"), ("b/same.py", "y = 1\n")]);
    let read = fixture.call("read", json!({ "path": "lib/calc.py" })).await.unwrap();
    assert!(read.text.contains("x = 1") && read.text.contains("this is `src/calc.py`"), "{}", read.text);
    fixture.call("edit", json!({ "path": "./calc.py", "old": "x = 1", "new": "x = 2" })).await.unwrap();
    assert_eq!(fixture.on_disk("src/calc.py"), "x = 2\n");
    assert!(fixture.call("read", json!({ "path": "c/same.py" })).await.is_err(), "either could be meant");
    // A new file is a new file.
    fixture.call("write", json!({ "path": "lib/calc.py", "content": "z = 1\n" })).await.unwrap();
    assert_eq!(
        (fixture.on_disk("lib/calc.py").as_str(), fixture.on_disk("src/calc.py").as_str()),
        ("z = 1\n", "x = 2\n")
    );
}
