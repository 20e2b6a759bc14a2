//! What a request asks about: its words, and the files, lines and symbols that it names.

use std::collections::{BTreeMap, HashSet};

use super::index::Index;
use super::words::{self, Term, Words, name_term};

/// What context is wanted for.
#[derive(Debug, Clone, Default)]
pub struct Request {
    /// As the user wrote it; stack traces and the output of failed tests may stand in it.
    pub text: String,
    /// Files that were edited lately, as paths of the index.
    pub edited: Vec<String>,
}

/// A place that a request names.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Place {
    pub file: String,
    pub line: Option<u32>,
    /// Of the part of the request that names it.
    pub weight: f32,
}

/// A request as ranking takes it.
#[derive(Debug, Default)]
pub(super) struct Query {
    /// Each word's weight, not yet by how rare it is.
    pub terms: Vec<(Term, f32)>,
    /// Files by their path, in the order of the request.
    pub places: Vec<Place>,
    /// Names of definitions, written as code is.
    pub symbols: Vec<String>,
    /// Words that are the name of a file or folder.
    pub stems: HashSet<String>,
    pub tests: Tests,
}

/// What a request has to do with tests.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) enum Tests {
    #[default]
    Unmentioned,
    /// They are among what its first line speaks of.
    Mentioned,
    /// It is about them: they stand among its first words.
    Wanted,
}

/// What the body counts beside the first line, which says what it is all about.
const BODY: f32 = 0.5;
/// What a word counts that says what to do.
const VERB: f32 = 0.2;
/// Words that hold a sentence together. Rare in code, so that their rarity does not tell.
const FUNCTION_WORDS: &[&str] = &[
    "a", "about", "after", "all", "also", "an", "and", "any", "are", "as", "at", "be", "because", "been", "before",
    "but", "by", "can", "could", "did", "do", "does", "for", "from", "had", "has", "have", "how", "i", "if", "in",
    "instead", "into", "is", "it", "its", "like", "make", "makes", "more", "no", "not", "now", "of", "on", "one",
    "only", "or", "other", "our", "out", "over", "please", "same", "should", "since", "so", "some", "such", "than",
    "that", "the", "their", "them", "then", "there", "these", "they", "this", "those", "to", "too", "up", "was", "we",
    "were", "what", "when", "where", "which", "while", "who", "why", "will", "with", "would", "you", "your",
];

/// What to do with the code, not which code.
const REQUEST_WORDS: &[&str] = &[
    "add",
    "added",
    "adding",
    "adds",
    "allow",
    "allows",
    "avoid",
    "bug",
    "bugs",
    "change",
    "changed",
    "changes",
    "chore",
    "clarify",
    "clean",
    "cleanup",
    "code",
    "correct",
    "deprecate",
    "doc",
    "docs",
    "drop",
    "ensure",
    "error",
    "errors",
    "expand",
    "expose",
    "feat",
    "feature",
    "fix",
    "fixed",
    "fixes",
    "fixing",
    "handle",
    "implement",
    "implemented",
    "improve",
    "improved",
    "introduce",
    "issue",
    "issues",
    "move",
    "new",
    "perf",
    "prevent",
    "refactor",
    "remove",
    "removed",
    "rename",
    "replace",
    "review",
    "rewrite",
    "simplify",
    "support",
    "supports",
    "tweak",
    "typo",
    "typos",
    "unused",
    "update",
    "updated",
    "updates",
    "use",
    "used",
    "using",
    "wrong",
];

impl Query {
    pub fn of(request: &Request, index: &Index) -> Self {
        let text = &request.text;
        let mut query = Self { terms: weigh(text), ..Self::default() };
        for token in text.split(|c: char| c.is_whitespace() || "\"'`,;#".contains(c)) {
            query.symbol(token, is_code(token));
        }
        // What stands between backticks is code, whatever it looks like.
        for quoted in text.split('`').skip(1).step_by(2) {
            query.symbol(quoted, !quoted.contains(char::is_whitespace));
        }
        for (part, weight) in parts(text) {
            for token in part.split(|c: char| c.is_whitespace() || "()[]{}<>\"'`,;#".contains(c)) {
                query.place(token, weight, text, index);
            }
        }
        query.tests = tests(text);
        query
    }

    /// Takes a token for the name of a definition, where it is `code`.
    fn symbol(&mut self, token: &str, code: bool) {
        let name = token.trim_start_matches(|c: char| !c.is_alphanumeric() && c != '_').split('(').next();
        let name = name.unwrap_or_default().trim_end_matches(|c: char| !c.is_alphanumeric() && c != '_');
        if code && name.len() > 2 && !self.symbols.iter().any(|known| known == name) {
            self.symbols.push(name.to_owned());
        }
    }

    /// Takes a token for a path, or for the name of a file.
    fn place(&mut self, token: &str, weight: f32, text: &str, index: &Index) {
        let token = token.trim_start_matches('@').trim_end_matches(['.', ':', '!', '?']);
        if let Some((path, line)) = as_path(token) {
            let line = line.or_else(|| python_line(text, path));
            let files = index.files_named(path);
            self.places.extend(files.into_iter().map(|file| Place { file, line, weight }));
        }
        for run in words::runs(token) {
            self.stems.insert(run.to_lowercase());
        }
    }
}

/// What the first line of a request says of tests.
fn tests(text: &str) -> Tests {
    const FIRST: usize = 3;
    let subject = text.trim_start().lines().next().unwrap_or_default();
    let is_test = |word: &str| {
        let word = word.to_ascii_lowercase();
        word.starts_with("test") || word == "spec" || word == "specs"
    };
    match words::runs(subject).position(is_test) {
        None => Tests::Unmentioned,
        Some(at) if at < FIRST => Tests::Wanted,
        Some(_) => Tests::Mentioned,
    }
}

/// The first line and the rest, with what each counts.
fn parts(text: &str) -> [(&str, f32); 2] {
    let (subject, body) = text.trim_start().split_once('\n').unwrap_or((text, ""));
    [(subject, 1.0), (body, BODY)]
}

/// Terms with their weights: the first line counts whole, the rest less, and a word that comes again hardly more.
fn weigh(text: &str) -> Vec<(Term, f32)> {
    let mut words = Words::default();
    let mut weights: BTreeMap<Term, f32> = BTreeMap::new();
    for (part, weight) in parts(text) {
        for run in words::runs(part) {
            let lower = run.to_lowercase();
            if FUNCTION_WORDS.contains(&lower.as_str()) {
                continue;
            }
            let weight = if REQUEST_WORDS.contains(&lower.as_str()) { weight * VERB } else { weight };
            words.terms(run, &mut |term| {
                let known = weights.entry(term).or_insert(0.0);
                *known = if *known == 0.0 { weight } else { *known + weight * 0.2 };
            });
        }
    }
    weights.into_iter().collect()
}

/// A token as a path with a line (`src/a.rs:12:5`), where it can be one.
fn as_path(token: &str) -> Option<(&str, Option<u32>)> {
    let mut parts = token.split(':');
    let path = parts.next()?.trim_start_matches("./");
    let name = path.rsplit('/').next()?;
    let (stem, extension) = name.rsplit_once('.')?;
    let plausible =
        !stem.is_empty() && (1..=6).contains(&extension.len()) && extension.chars().all(char::is_alphanumeric);
    plausible.then(|| (path, parts.next().and_then(|line| line.parse().ok())))
}

/// The line that a Python traceback names beside a path: `File "a.py", line 12`.
fn python_line(text: &str, path: &str) -> Option<u32> {
    let after = &text[text.find(path)? + path.len()..];
    let digits = after.strip_prefix("\", line ")?;
    digits.split(|c: char| !c.is_ascii_digit()).next()?.parse().ok()
}

/// Whether a token is written as names are and words are not.
fn is_code(token: &str) -> bool {
    let inner = token.trim_matches(|c: char| !c.is_alphanumeric() && c != '_');
    let camel = inner.chars().zip(inner.chars().skip(1)).any(|(a, b)| a.is_lowercase() && b.is_uppercase());
    let joined = inner.contains('_') || inner.contains("::") || (inner.contains('.') && !inner.contains(".."));
    inner.len() > 2 && (camel || joined || token.trim_end_matches(['.', ':', '?', '!']).ends_with("()"))
}

impl Index {
    /// The files that a path, or the end of one, names; none where it is more than a few.
    pub(super) fn files_named(&self, path: &str) -> Vec<String> {
        const FEW: usize = 3;
        if self.files.contains_key(path) {
            return vec![path.to_owned()];
        }
        // A trace may name the file by where it was built: the longest end that is known counts.
        let mut rest = path;
        loop {
            let end = format!("/{rest}");
            let found: Vec<String> = self.files.keys().filter(|f| f.ends_with(&end) || *f == rest).cloned().collect();
            if (1..=FEW).contains(&found.len()) {
                return found;
            }
            match rest.split_once('/') {
                Some((_, shorter)) if found.is_empty() => rest = shorter,
                _ => return Vec::new(),
            }
        }
    }

    /// The files that define what a request calls by name.
    pub(super) fn definers(&self, symbol: &str) -> Vec<&str> {
        let term = name_term(symbol.rsplit(['.', ':']).next().unwrap_or(symbol));
        self.files.iter().filter(|(_, entry)| entry.defines(term)).map(|(file, _)| file.as_str()).collect()
    }
}

/// Whether a path is of a test.
pub fn is_test(path: &str) -> bool {
    let lower = path.to_ascii_lowercase();
    let in_folder = lower.rsplit('/').skip(1).any(|folder| {
        matches!(
            folder,
            "test" | "tests" | "testing" | "testsuite" | "spec" | "specs" | "__tests__" | "testdata" | "e2e"
        )
    });
    // `test_a.py`, `a-test.js`, `a.spec.ts`; `ATests.java` has no such border.
    let file = path.rsplit('/').next().unwrap_or(path);
    let stem = file.rsplit_once('.').map_or(file, |(stem, _)| stem);
    let words = lower.rsplit('/').next().unwrap_or(&lower).split(['_', '-', '.']);
    in_folder
        || words.clone().any(|word| matches!(word, "test" | "tests" | "spec" | "specs" | "conftest"))
        || ["Test", "Tests"].iter().any(|end| stem.ends_with(end))
}

/// The folder that tells that a file shows the code to readers instead of being part of it.
pub(super) fn showcase(path: &str) -> Option<&str> {
    let names = ["bench", "benches", "benchmarks", "demo", "demos", "doc", "docs", "example", "examples", "samples"];
    path.split('/').rev().skip(1).find(|folder| names.contains(folder))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn index(paths: &[&str]) -> Index {
        let mut index = Index::open(std::path::Path::new("/nowhere"), None);
        for path in paths {
            index.update(path, "");
        }
        index
    }

    fn query(text: &str, paths: &[&str]) -> Query {
        Query::of(&Request { text: text.to_owned(), ..Request::default() }, &index(paths))
    }

    #[test]
    fn places_are_read_from_words_and_traces() {
        let paths = ["src/a/store.py", "src/b/store.py", "main.rs", "pkg/Deep.java", "x/util.js"];
        for (text, expected) in [
            ("look at src/a/store.py", &[("src/a/store.py", None)][..]),
            ("`main.rs:12:5`: no", &[("main.rs", Some(12))]),
            ("at pkg.Deep.run(Deep.java:42)", &[("pkg/Deep.java", Some(42))]),
            ("File \"/home/me/x/src/b/store.py\", line 7, in f", &[("src/b/store.py", Some(7))]),
            ("store.py is slow", &[("src/a/store.py", None), ("src/b/store.py", None)]),
            ("version 1.2 of e.g. that, see example.com", &[]),
        ] {
            let places = query(text, &paths).places;
            let found: Vec<(&str, Option<u32>)> = places.iter().map(|p| (p.file.as_str(), p.line)).collect();
            assert_eq!(found, expected, "{text}");
        }
    }

    #[test]
    fn names_are_told_from_words() {
        let symbols = |text: &str| query(text, &[]).symbols;
        assert_eq!(
            symbols("Make load_file(path), Context.Copy or (a::b) and getUser, run(). `silent` Now."),
            ["load_file", "Context.Copy", "a::b", "getUser", "run", "silent"]
        );
        assert_eq!(symbols("Plain words, only. Really..."), [""; 0]);
    }

    #[test]
    fn tests_are_known_in_requests_and_paths() {
        for (text, tests) in [
            ("fix the parser\n\nadd tests", Tests::Unmentioned),
            ("Add tests for the parser", Tests::Wanted),
            ("update the parser and its tests", Tests::Mentioned),
            ("fix the fastest path", Tests::Unmentioned),
        ] {
            assert_eq!(query(text, &[]).tests, tests, "{text}");
        }
        for path in [
            "tests/a.py",
            "a/test_b.py",
            "b_test.go",
            "src/test/java/A.java",
            "x.spec.ts",
            "ATest.java",
            "a/tests.rs",
            "test.js",
            "a-test.js",
            "FooTests.cs",
        ] {
            assert!(is_test(path), "{path}");
        }
        assert_eq!(showcase("examples/a/main.rs"), Some("examples"));
        assert_eq!(showcase("src/examples.rs"), None);
        for path in ["src/attest.py", "contest/a.go", "latest.js", "shortest_path.py", "src/testing_tools.rs"] {
            assert!(!is_test(path), "{path}");
        }
    }

    #[test]
    fn the_first_line_counts_most_and_verbs_hardly() {
        let query = query("fix parser\n\nparser and lexer of the grammar", &[]);
        let weight = |word: &str| {
            let mut term = 0;
            Words::default().terms(word, &mut |found| term = found);
            query.terms.iter().find(|(known, _)| *known == term).map_or(0.0, |(_, weight)| *weight)
        };
        assert!(weight("parser") > 1.0 && weight("lexer") == BODY && weight("fix") == VERB && weight("the") == 0.0);
    }
}
