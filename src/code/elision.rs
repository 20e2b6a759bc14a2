//! Remarks that stand for code which whoever wrote them left out: `# ... rest of the file`, `// existing code`. In a file they would
//! take the place of that code.

use std::collections::HashSet;
use std::path::Path;
use std::sync::LazyLock;

use regex::Regex;

use super::Language;
use super::language::Form;

/// A line of nothing but a remark, with what it says.
static REMARK: LazyLock<Option<Regex>> =
    LazyLock::new(|| Regex::new(r"^\s*(?:#|//|--|/\*|<!--|;|%)\s*(.*?)\s*(?:\*/|-->)?$").ok());
/// Marks of remarks that document what follows.
const DOCUMENTING: [&str; 3] = ["///", "//!", "/**"];

/// Begins with dots and speaks of what is there already, or says in full that something stays.
static SAYING: LazyLock<Option<Regex>> = LazyLock::new(|| {
    let dots = r"(?:\.\.\.|…)";
    let there = "rest|remain(?:s|ing|der)?|existing|unchanged|omitted|previous|other";
    let whole = "code|file|class|function|methods?|functions|implementation|program|script|tests?";
    let same = "(?: (?:remains|stays|is|are))?(?: (?:unchanged|omitted|the same|as (?:before|above)|here))?";
    let stays = format!("(?:the )?(?:rest|remainder) of (?:the |your |this )?(?:{whole}){same}");
    let known = format!("(?:the )?(?:existing|previous|unchanged|other|remaining) (?:{whole}){same}");
    let code = "(?:the )?code (?:remains |stays )?(?:unchanged|the same|as before)";
    let form = format!(r"(?i)^(?:{dots}.*\b(?:{there})\b.*|{dots}|[\[(]?(?:{stays}|{known}|{code})[\])]?)[.!…]*$");
    Regex::new(&form).ok()
});

/// The first such remark that `new` has and `old`, in whose place it is put, has not, with its line, counted from 1. Only in programs,
/// since prose may say so, and where something of `old` is missing in `new`.
pub fn elision<'t>(path: &str, old: &str, new: &'t str) -> Option<(usize, &'t str)> {
    let language = Language::of_text(Path::new(path), new)?;
    if !matches!(language.form, Form::Program) {
        return None;
    }
    let is_new = |line: &str| !old.lines().any(|known| known.trim() == line.trim());
    let (row, line) = new.lines().enumerate().find(|(_, line)| stands_for_code(line) && is_new(line))?;
    let kept: HashSet<&str> = new.lines().map(str::trim).collect();
    old.lines().any(|line| !kept.contains(line.trim())).then(|| (row + 1, line.trim()))
}

/// Whether a line is nothing but such a remark.
pub fn stands_for_code(line: &str) -> bool {
    let (Some(remark), Some(saying)) = (REMARK.as_ref(), SAYING.as_ref()) else { return false };
    let documents = DOCUMENTING.iter().any(|mark| line.trim_start().starts_with(mark));
    !documents && remark.captures(line).is_some_and(|found| saying.is_match(&found[1]))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_stands_for_code_that_is_there_is_an_elision() {
        let old = "def f():\n    pass\n";
        for line in [
            "# ... (rest of the triangle.py file as before)",
            "# ... existing code ...",
            "    # ...",
            "# Rest of the code remains unchanged.",
            "# the rest of the file",
            "# (existing code)",
            "# [Other methods]",
            "# … other functions",
            "# The code remains the same",
        ] {
            let new = format!("def f():\n{line}\n");
            assert_eq!(elision("a.py", old, &new), Some((2, line.trim())), "{line}");
            let added = format!("{old}{line}\n");
            assert_eq!(elision("a.py", old, &added), None, "nothing is left out: {line}");
        }
        assert!(elision("a.c", "int f();\n", "/* ... rest unchanged ... */\n").is_some());
        assert!(elision("a.rs", "fn f() {}\n", "// unchanged code\nfn g() {}\n").is_some());
        for line in [
            "# Handle the rest...",
            "# existing users are kept",
            "# Process remaining items ...",
            "# Rest of the file is read lazily",
            "# remainder of the code points",
            "# Same as before",
            "# ... but not the same here",
            "x = ...",
            "# previous",
            "print('# ...')",
        ] {
            assert_eq!(elision("a.py", old, &format!("def f():\n    {line}\n")), None, "{line}");
        }
        assert_eq!(elision("a.rs", "fn f() {}\n", "/// ...\nfn g() {}\n"), None, "it documents");
        assert_eq!(elision("a.py", "# ...\n", "  # ...\n"), None, "it stood there");
        assert_eq!(elision("a.md", "# A\n", "# ...\n"), None, "no program");
        assert_eq!(elision("a.py", "", "# ...\n"), None, "there is nothing to leave out");
    }
}
