//! The examples that stand in a file's own documentation: where nobody names a check, they tell a good try from a bad one. They
//! are run as they are, and none are written.

use crate::workspace::RelPath;

/// What doctest prints behind examples that ran and gave something else.
const RAN: &str = "***Test Failed***";

/// The command that runs the examples of a file, where it has any.
pub(super) fn command(path: &RelPath, text: &str) -> Option<String> {
    let plain = |c: char| c.is_ascii_alphanumeric() || "_-./".contains(c);
    let has_examples = text.lines().any(|line| line.trim_start().starts_with(">>> "));
    let is_python = path.as_str().ends_with(".py") && path.as_str().chars().all(plain);
    (is_python && has_examples).then(|| format!("python3 -m doctest {path}"))
}

/// Whether the examples could be run at all: a file that cannot be imported by itself fails for another reason.
pub(super) fn ran(passed: bool, output: &str) -> bool {
    passed || output.contains(RAN)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn examples_are_found_in_python() {
        let check = |path: &str, text, expected: Option<&str>| {
            assert_eq!(command(&RelPath::try_from(path.to_owned()).unwrap(), text).as_deref(), expected, "{path}");
        };
        let text = "def f(x):\n    \"\"\"\n    >>> f(1)\n    2\n    \"\"\"\n";
        check("a/b.py", text, Some("python3 -m doctest a/b.py"));
        check("a/b.py", "def f(x):\n    return x >> 1\n", None);
        check("a/b.rs", text, None);
        check("a/b; rm -r c.py", text, None);
    }
}
