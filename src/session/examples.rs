//! The examples that stand in a file's own documentation, or in the request: where nobody names a check, they tell a good try
//! from a bad one. They are run as they are, and none are written.

use serde_json::{Value, json};

use super::check::Check;
use crate::workspace::{RelPath, common_lines};

/// Finds and runs them; its own text says how it is called.
const RUNNER: &str = include_str!("examples.py");
/// How it ends its report where there were examples that could be run.
const RAN: &str = " examples hold";
/// Bytes of a request that are looked through.
const MOST: usize = 20_000;
/// Bytes of one argument; Linux takes 128 KiB.
const LONGEST_ARGUMENT: usize = 100_000;
/// What may stand between a call and what it gives.
const ARROWS: &[&str] =
    &["=>", "->", "\u{279e}", "\u{2192}", "\u{21d2}", "==", " = ", "return", "give", "yield", "equal", "should"];
/// First words of lines that are code.
const CODE: &[&str] =
    &["def", "async", "class", "if", "elif", "while", "for", "with", "return", "assert", "yield", "raise"];

/// What runs the examples of a file, where it or the request seems to have any.
pub(super) fn check(path: &RelPath, text: &str, request: &str) -> Option<Check> {
    let request = &request[..request.floor_char_boundary(MOST)];
    if !path.as_str().ends_with(".py") || !text.lines().chain(request.lines()).any(is_example) {
        return None;
    }
    let words = ["python3", "-c", RUNNER, path.as_str(), request];
    let command = shlex::try_join(words).ok()?;
    Some(Check { command, name: format!("the examples of {path}") })
}

/// What says of a Python file how many asserted calls of a function in `tests` hold in each of `versions`, none of which is
/// written: a line `weighed: 3 5 of 8`. `None` where there is too much for a command.
pub(super) fn weighing(path: &RelPath, function: &str, tests: &str, text: &str, versions: &[String]) -> Option<String> {
    let lines: Vec<&str> = text.split('\n').collect();
    let versions: Vec<Value> = versions.iter().map(|version| difference(&lines, version)).collect();
    let given =
        json!({"path": path.as_str(), "function": function, "tests": tests, "lines": lines, "versions": versions});
    let given = given.to_string();
    (given.len() < LONGEST_ARGUMENT).then(|| shlex::try_join(["python3", "-c", RUNNER, "--weigh", &given]).ok())?
}

/// The lines of a version that stand in place of some of a text's: the first of these, the one behind the last, the lines.
fn difference(old: &[&str], version: &str) -> Value {
    let new: Vec<&str> = version.split('\n').collect();
    let (first, last) = common_lines(old, &new);
    json!([first, old.len() - last, new[first..new.len() - last]])
}

/// A prompt of Python's, a call with something behind it that looks like what it gives, or what is said to come out.
fn is_example(line: &str) -> bool {
    let line = line.trim_start_matches(|c: char| c.is_whitespace() || "#*-`".contains(c));
    let names_output = line.split_once(':').is_some_and(|(word, _)| matches!(word, "Output" | "output" | "Outputs"));
    if line.starts_with(">>> ") || names_output {
        return true;
    }
    let is_code = line.split([' ', '(', ':']).next().is_some_and(|word| CODE.contains(&word));
    let behind = line.split_once('(').and_then(|(_, rest)| rest.split_once(')'));
    !is_code && behind.is_some_and(|(_, behind)| ARROWS.iter().any(|arrow| behind.contains(arrow)))
}

/// Whether any example could be run: a file that cannot be imported by itself has none.
pub(super) fn ran(output: &str) -> bool {
    output.contains(RAN)
}

/// Whether the report says more than that nothing is written yet.
pub(super) fn is_telling(output: &str) -> bool {
    let complaints = output.lines().filter(|line| line.contains(", and should give "));
    complaints.into_iter().any(|line| !line.contains(" gave None,") && !line.contains(" raised NotImplementedError"))
}

#[cfg(test)]
mod tests {
    use std::process::Command;

    use super::*;

    fn path(path: &str) -> RelPath {
        RelPath::try_from(path.to_owned()).unwrap()
    }

    #[test]
    fn examples_are_looked_for_in_python() {
        let check = |name: &str, text, request, expected: bool| {
            assert_eq!(check(&path(name), text, request).is_some(), expected, "{name} {text} {request}");
        };
        let text = "def f(x):\n    \"\"\"\n    >>> f(1)\n    2\n    \"\"\"\n";
        check("a/b.py", text, "", true);
        check("a/b.rs", text, "", false);
        check("a/b.py", "def f(x) -> int:\n    return x >> 1\n", "fix it", false);
        check("a/b.py", "\"\"\"For example, f(1) => 2\"\"\"\n", "", true);
        check("a/b.py", "def f(x): pass\n", "`f(3)` should return 4", true);
    }

    /// What the runner says of a file, and its exit status.
    fn run(text: &str, request: &str) -> (String, Option<i32>) {
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join("m.py"), text).unwrap();
        let check = check(&path("m.py"), text, request).unwrap();
        let output = Command::new("sh").arg("-c").arg(check.command).current_dir(folder.path()).output().unwrap();
        (String::from_utf8(output.stdout).unwrap(), output.status.code())
    }

    #[test]
    fn versions_are_weighed_by_the_calls_that_hold_in_them() {
        let text = "def f(x):\n    return x - 1\n";
        let tests = "assert f(1) == 2\nassert f(2) == 3  # or not\nassert not f(-1)\nassert g(1) == 2\nassert f(";
        let bodies =
            ["return x - 1", "return x + 1", "return (", "import os; os._exit(1)", "print(x); return [2, 3, 0][x - 1]"];
        let versions = bodies.map(|body| text.replace("return x - 1", body));
        let command = weighing(&path("m.py"), "f", tests, text, &versions).unwrap();
        let output = Command::new("sh").arg("-c").arg(command).output().unwrap();
        assert_eq!(String::from_utf8(output.stdout).unwrap(), "weighed: 0 3 -1 0 2 of 3\n");
        assert_eq!(weighing(&path("m.py"), "f", &"x".repeat(LONGEST_ARGUMENT), text, &versions), None);
    }

    #[test]
    fn the_runner_reads_examples_of_many_forms() {
        let text = r#"
"""Twice.

>>> twice(1)
2
>>> twice(2) == 4
"""
def twice(x):
    """
    twice(3) => 6
    twice("a") ➞ "aa"
    For example, twice([1]) returns [1, 1].
    twice(n) = n + n
    """
    return x + x
"#;
        assert_eq!(run(text, "`twice(4)` should give 8. It's urgent."), ("6 of 6 examples hold\n".into(), Some(0)));
        let (said, status) = run(&text.replace("x + x", "x * 3"), "");
        assert_eq!(status, Some(1));
        assert!(
            said.contains("twice(1) gave 3, and should give 2\n") && said.ends_with("0 of 5 examples hold\n"),
            "{said}"
        );
        assert!(ran(&said) && is_telling(&said));
    }

    #[test]
    fn inputs_and_outputs_are_calls_of_the_function_that_they_document() {
        let text = r#"
def add(a, b):
    """
    Example 1:
        Input: a = 1, b = [2,
                           3]
        Output: 6
    Input: 2, [2]  Output: 4.
    Input: something else
    Output: 5
    Input: 3
    Output: 3
    Input: 3, [4]
    Output: 3 4
    Input: 3, [6]
    Output: 9/1
    """
    return a + sum(b)
def other(x):
    """Input: 2\nOutput: 3"""
    return x + 1
"#;
        assert_eq!(run(text, "Input: 1, [1]\nOutput: 9"), ("3 of 3 examples hold\n".into(), Some(0)));
        let (text, _) = text.split_once("def other").unwrap();
        let (said, status) = run(text, "Input: 1, [1]\nOutput: 9");
        assert_eq!(status, Some(1));
        assert_eq!(said, "add(1, [1]) gave 2, and should give 9\n2 of 3 examples hold\n");
        assert!(!is_example("output = f(x)") && is_example("    * Output: 3"));
    }

    #[test]
    fn what_has_no_end_or_nothing_in_it_is_said() {
        let text = "def f(x):\n    \"\"\"f(1) => 2\"\"\"\n    while True: pass\n";
        let (said, status) = run(text, "");
        assert!(status == Some(1) && said.contains("did not end"), "{said}");
        let (said, _) = run("def f(x):\n    \"\"\"f(1) => 2\"\"\"\n", "");
        assert!(ran(&said) && !is_telling(&said), "{said}");
        assert_eq!(run("import nothing_of_that_name\n# f(1) => 2\n", "").1, Some(2));
    }
}
