//! The commands, as a user types them.

use std::io::Write;
use std::process::{Command, Output, Stdio};

use serde_json::Value;

use super::folder::Folder;

fn project() -> Folder {
    Folder::new(&[
        (
            "src/store.py",
            "class Store:\n    \"\"\"Keeps things.\"\"\"\n\n    def load(self, path):\n        return open(path).read()\n",
        ),
        ("src/main.py", "from store import Store\n\n\ndef main():\n    print(Store().load('x'))\n"),
        ("README.md", "# Things\n"),
    ])
}

fn moru(folder: &Folder, arguments: &[&str], input: &str) -> Output {
    let home = folder.store().with_file_name("home");
    let mut command = Command::new(env!("CARGO_BIN_EXE_moru"));
    command.args(arguments).current_dir(folder.path()).env("HOME", &home);
    for variable in ["XDG_CONFIG_HOME", "XDG_DATA_HOME", "XDG_STATE_HOME", "XDG_CACHE_HOME"] {
        command.env_remove(variable);
    }
    let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    child.stdin.take().unwrap().write_all(input.as_bytes()).unwrap();
    child.wait_with_output().unwrap()
}

/// What it prints, where it succeeds.
fn printed(folder: &Folder, arguments: &[&str], input: &str) -> String {
    let output = moru(folder, arguments, input);
    assert!(output.status.success(), "{arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap()
}

#[test]
fn context_is_a_list_best_first_and_the_same_again() {
    let folder = project();
    let json = printed(&folder, &["context", "--json", "-"], "Store.load should close the file\n");
    let list: Vec<Value> = serde_json::from_str(&json).unwrap();
    let keys: Vec<&String> = list[0].as_object().unwrap().keys().collect();
    assert_eq!(keys, ["file", "start", "end", "symbol", "score", "why"]);
    assert_eq!(list[0]["file"], "src/store.py");
    assert_eq!(printed(&folder, &["context", "--json", "-"], "Store.load should close the file\n"), json);
    let text = printed(&folder, &["context", "--budget", "300", "Store.load should close the file"], "");
    assert!(text.starts_with("src/store.py:") && text.contains("return open(path).read()"), "{text}");
    assert!(
        serde_json::from_str::<Vec<Value>>(&printed(&folder, &["context", "--json", "-"], "")).is_ok(),
        "no request"
    );
    assert_eq!(printed(&folder, &["context", "--json", "--budget", "0", "load"], ""), "[]\n");
}

#[test]
fn symbols_uses_and_signatures_are_found() {
    let folder = project();
    for (arguments, expected) in [
        (&["symbols", "load"][..], "src/store.py:4  method Store.load  def load(self, path)\n"),
        (&["refs", "Store.load"], "src/main.py:5  in main  (of src/store.py#Store.load)\n"),
        (&["map", "src/store.py"], "src/store.py\n1-5| class Store\n4-5|   def load(self, path)\n"),
    ] {
        assert_eq!(printed(&folder, arguments, ""), expected, "{arguments:?}");
    }
    for arguments in [&["symbols", "nothing_like_it"][..], &["refs", "nothing_like_it"], &["map", "../elsewhere"]] {
        let output = moru(&folder, arguments, "");
        let error = String::from_utf8(output.stderr).unwrap();
        assert!(
            !output.status.success() && error.starts_with("moru: ") && error.lines().count() == 1,
            "{arguments:?}: {error}"
        );
    }
}
