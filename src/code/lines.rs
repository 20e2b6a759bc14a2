//! Which lines of a text are code.

use std::collections::BTreeSet;
use std::path::Path;

use super::Language;
use super::syntax;

/// The lines, from 0, on which code stands: neither blank, nor comments or strings alone, nor brackets alone. Where the language
/// is not known, all that are not blank.
pub fn code_lines(path: &Path, text: &str) -> Vec<usize> {
    let blank = |line: &str| line.trim().is_empty();
    let tree = Language::of_text(path, text).and_then(|language| syntax::parse(language, text));
    let Some(tree) = tree else {
        return text.lines().enumerate().filter(|(_, line)| !blank(line)).map(|(at, _)| at).collect();
    };
    let mut found = BTreeSet::new();
    let mut cursor = tree.walk();
    loop {
        let node = cursor.node();
        let kind = node.kind();
        let skip = kind.contains("comment") || kind.contains("string");
        if node.child_count() == 0 && !skip {
            let word = text.get(node.byte_range()).is_some_and(|word| word.contains(char::is_alphanumeric));
            if word {
                found.insert(node.start_position().row);
            }
        }
        if !(!skip && cursor.goto_first_child() || syntax::next(&mut cursor)) {
            return found.into_iter().collect();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn comments_strings_and_brackets_are_no_code() {
        let text = "def f(a):\n    \"\"\"Says\n    more.\"\"\"\n    # a note\n\n    x = [\n        'one', a,\n    ]\n    return x\n";
        assert_eq!(code_lines(Path::new("a.py"), text), [0, 5, 6, 8]);
        assert_eq!(code_lines(Path::new("a.rs"), "// a\nfn f() {\n    g();\n}\n"), [1, 2]);
        assert_eq!(code_lines(Path::new("notes"), "one\n\ntwo\n"), [0, 2]);
    }
}
