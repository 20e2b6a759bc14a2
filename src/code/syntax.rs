//! Syntax errors that an edit brings into a file.

use std::cell::RefCell;
use std::fmt;
use std::ops::ControlFlow;
use std::path::Path;
use std::time::{Duration, Instant};

use rustix::time::{ClockId, clock_gettime};
use tree_sitter::{Node, ParseOptions, Parser, Tree, TreeCursor};

use super::Language;
use super::language::Form;
use super::macros;

/// After which parsing is given up; a file that takes longer is not judged. Of a processor, not of the clock: what a text is must
/// not hang on what else the machine does.
const TIME_LIMIT: Duration = Duration::from_secs(2);

/// More errors in one text than this are not collected: they are one error's consequences.
const MOST: usize = 50;

/// A place where a text is no program.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SyntaxError {
    /// Counts from 1.
    pub line: usize,
    /// In characters, counts from 1.
    pub column: usize,
    /// Characters of the line that are wrong; at least 1.
    pub width: usize,
    /// The line, without its end.
    pub text: String,
    /// What is wrong, in a few words.
    pub message: String,
}

impl fmt::Display for SyntaxError {
    /// Three lines: place and reason, the line, carets below what is wrong.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let before = self.text.chars().take(self.column.saturating_sub(1));
        // Tabs stay tabs, so that the caret stands right whatever their width.
        let indent: String = before.map(|c| if c == '\t' { '\t' } else { ' ' }).collect();
        let carets = "^".repeat(self.width);
        write!(f, "line {}: {}\n{}\n{indent}{carets}", self.line, self.message, self.text)
    }
}

/// The errors of `after` that `before` did not have, in the order of the text. None where the language is not known.
pub fn new_errors(path: &Path, before: Option<&str>, after: &str) -> Vec<SyntaxError> {
    let judged = |language: &&Language| matches!(language.form, Form::Program | Form::Data);
    let Some(language) = Language::of_text(path, after).filter(judged) else { return Vec::new() };
    let found = errors(language, after);
    if found.is_empty() {
        return found;
    }
    // Lines move when others are added: an error is the same where the line's text and the reason are.
    let known = before.map(|text| errors(language, text)).unwrap_or_default();
    brought_in(found, known, |old, new| old.text.trim() == new.text.trim() && old.message == new.message)
}

/// What of `found` was not there before: each of `known` stands for one that is the `same`.
pub fn brought_in<K, F>(found: Vec<F>, mut known: Vec<K>, same: impl Fn(&K, &F) -> bool) -> Vec<F> {
    let mut is_new = |new: &F| known.iter().position(|old| same(old, new)).map(|at| known.swap_remove(at)).is_none();
    found.into_iter().filter(|new| is_new(new)).collect()
}

/// The errors of a text, at most [`MOST`].
fn errors(language: &Language, text: &str) -> Vec<SyntaxError> {
    let of = |tree: Option<Tree>| tree.map(|tree| errors_of(&tree, text)).unwrap_or_default();
    let macros = language.macros(text);
    let found = of(parse_parts(language, &macros::without(text, &macros), &[]));
    if found.is_empty() || macros.is_empty() {
        return found;
    }
    // What looked like a macro may have been none.
    let plain = of(parse_parts(language, text, &[]));
    if plain.len() < found.len() { plain } else { found }
}

fn errors_of(tree: &Tree, text: &str) -> Vec<SyntaxError> {
    let mut found = Vec::new();
    let mut cursor = tree.walk();
    while found.len() < MOST {
        let node = cursor.node();
        let inner = node.is_error() && has_inner_error(node);
        if (node.is_error() && !inner) || node.is_missing() {
            found.push(describe(node, text));
        }
        let descend = node.has_error() && (!node.is_error() || inner);
        let moved = (descend && cursor.goto_first_child()) || next(&mut cursor);
        if !moved {
            break;
        }
    }
    found
}

/// Goes on after the current node, up where there is no sibling.
pub(super) fn next(cursor: &mut TreeCursor<'_>) -> bool {
    loop {
        if cursor.goto_next_sibling() {
            return true;
        }
        if !cursor.goto_parent() {
            return false;
        }
    }
}

/// An error that contains another is a wider guess at the same; the inner one is nearer to the cause.
fn has_inner_error(node: Node<'_>) -> bool {
    let mut cursor = node.walk();
    node.children(&mut cursor).any(|child| child.has_error() || child.is_missing())
}

/// The tree of a text, as if macros that have no place in it were not there; `None` where parsing it takes too long.
pub(super) fn parse(language: &Language, text: &str) -> Option<Tree> {
    parse_parts(language, &macros::without(text, &language.macros(text)), &[])
}

thread_local! {
    static PARSER: RefCell<Parser> = RefCell::new(Parser::new());
}

/// The tree of these parts of a text, at their places there, or of the whole where there are none; `None` where parsing it takes
/// too long.
pub(super) fn parse_parts(language: &Language, text: &str, parts: &[tree_sitter::Range]) -> Option<Tree> {
    // What it has taken of memory serves the next text.
    PARSER.with_borrow_mut(|parser| {
        parser.set_language(&language.grammar()).ok()?;
        parser.set_included_ranges(parts).ok()?;
        let (begun, start) = (Instant::now(), computed());
        // The clock costs a fraction of what asking the kernel does, and no thread computes for longer than it shows.
        let is_over = || begun.elapsed() >= TIME_LIMIT && computed().saturating_sub(start) >= TIME_LIMIT;
        let mut in_time =
            |_: &tree_sitter::ParseState| if is_over() { ControlFlow::Break(()) } else { ControlFlow::Continue(()) };
        let options = ParseOptions::new().progress_callback(&mut in_time);
        let bytes = text.as_bytes();
        let tree = parser.parse_with_options(&mut |at, _| bytes.get(at..).unwrap_or_default(), None, Some(options));
        // What was not finished would be gone on with.
        parser.reset();
        tree
    })
}

/// For how long this thread has computed.
fn computed() -> Duration {
    clock_gettime(ClockId::ThreadCPUTime).try_into().unwrap_or_default()
}

fn describe(node: Node<'_>, text: &str) -> SyntaxError {
    let at = node.start_byte().min(text.len());
    let begin = text.get(..at).and_then(|before| before.rfind('\n')).map_or(0, |newline| newline + 1);
    let line = text.get(begin..).and_then(|rest| rest.lines().next()).unwrap_or_default();
    let wrong = text.get(node.byte_range()).and_then(|wrong| wrong.lines().next()).unwrap_or_default().trim_end();
    let message = match (node.is_missing(), node.child_count()) {
        (true, _) => format!("`{}` is missing", node.kind()),
        // A word that fits nowhere is itself at fault; of several it may be any.
        (false, 0 | 1) if (1..=40).contains(&wrong.len()) => format!("unexpected `{wrong}`"),
        _ => "syntax error".to_owned(),
    };
    SyntaxError {
        line: node.start_position().row + 1,
        column: text.get(begin..at).map_or(0, |before| before.chars().count()) + 1,
        width: wrong.chars().count().max(1),
        text: line.to_owned(),
        message,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The lines of the errors that come in when `before` becomes `after`.
    fn lines(path: &str, before: Option<&str>, after: &str) -> Vec<usize> {
        new_errors(Path::new(path), before, after).iter().map(|error| error.line).collect()
    }

    #[test]
    fn what_is_right_has_no_errors() {
        for (path, text) in [
            ("a.rs", "fn main() { println!(\"{}\", 1); }\n"),
            ("a.py", "def f(x):\n    return [y for y in x if y]\n"),
            ("a.js", "const f = async (x) => { await x; };\n"),
            ("a.ts", "function f<T>(x: T): T { return x as T; }\n"),
            ("a.tsx", "const a = <B c={1}>{x}</B>;\n"),
            ("a.go", "package a\n\nfunc f() (int, error) { return 1, nil }\n"),
            ("A.java", "class A { int f() { return 1; } }\n"),
            ("a.c", "#include <a.h>\nint main(void) { return 0; }\n"),
            ("a.cpp", "template <class T> auto f(T x) { return x; }\n"),
            ("b.cpp", "void f() { struct TIME_T ts{0}; }\n"),
            ("a.h", "class EXPORT_API A : public B {\n    void f() GUARDED_BY(m) { std::move(m); }\n};\n"),
            ("a.py", ""),
        ] {
            assert_eq!(lines(path, None, text), [0; 0], "{path}");
        }
    }

    #[test]
    fn every_language_notices_a_bracket_left_open() {
        for (path, text) in [
            ("a.rs", "fn f() { g(1; }\n"),
            ("a.py", "def f(x:\n    return x\n"),
            ("a.js", "f(1;\n"),
            ("a.ts", "let x: number = (1;\n"),
            ("a.tsx", "let x = (1;\n"),
            ("a.go", "package a\n\nfunc f() { g(1 }\n"),
            ("A.java", "class A { int f( { return 1; } }\n"),
            ("a.c", "int main(void) { return f(0; }\n"),
            ("a.cpp", "int f() { return g(0; }\n"),
            ("a.cs", "class A { void F( { } }\n"),
            ("a.rb", "def f(x\n  1\nend\n"),
            ("a.php", "<?php f(1;\n"),
            ("a.sh", "f() {\n  echo\n"),
            ("a.lua", "f(1\n"),
            ("a.kt", "fun f( { }\n"),
            ("a.swift", "func f( { }\n"),
            ("a.scala", "object A { def f( = 1 }\n"),
            ("a.css", ".a { color: red\n.b { }\n"),
            ("a.toml", "x = [1\n"),
        ] {
            assert!(!lines(path, None, text).is_empty(), "{path}");
        }
    }

    #[test]
    fn only_what_the_edit_brought_in_is_named() {
        let broken = "def f():\n    return (1\n\n\ndef g():\n    return 2\n";
        assert!(!lines("a.py", None, broken).is_empty());
        assert_eq!(lines("a.py", Some(broken), &format!("# moved\n{broken}")), [0; 0]);
        assert_eq!(lines("a.unknown", None, "((("), [0; 0]);
        let before = "int a;\nint b;\n";
        assert_eq!(lines("a.c", Some(before), "int a;\nint = b;\n"), [2]);
    }

    #[test]
    fn an_error_shows_its_place() {
        let after = "fn f() {\n\tlet é = [1, 2;\n}\n";
        let shown = |path: &str, text: &str| {
            new_errors(Path::new(path), None, text).first().map(ToString::to_string).unwrap_or_default()
        };
        assert_eq!(shown("a.rs", after), "line 2: `]` is missing\n\tlet é = [1, 2;\n\t             ^");
        assert_eq!(shown("a.py", "if x\n    y\n"), "line 1: syntax error\nif x\n^^^^");
        assert_eq!(shown("a.py", "retrun 2\n"), "line 1: unexpected `retrun`\nretrun 2\n^^^^^^");
    }

    #[test]
    fn nothing_makes_it_panic() {
        for text in ["\u{feff}", "\0\0", "\r\r\n", "é\u{301}(", "\"\"\"", &"(".repeat(20_000), &"{[(".repeat(3000)] {
            for path in ["a.py", "a.rs", "a.cpp", "a.tsx", "a.go"] {
                for error in new_errors(Path::new(path), Some("("), text) {
                    assert!(!error.to_string().is_empty());
                }
            }
        }
    }
}
