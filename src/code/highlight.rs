//! What stands in a text, as a reader sees it: keywords, strings, comments. For colours.

use std::cell::RefCell;
use std::ops::Range;
use std::sync::OnceLock;

use tree_sitter_highlight::{Highlight, HighlightConfiguration, HighlightEvent, Highlighter};

use super::Language;

/// Longer texts stay plain: nobody reads them by their colours.
const LONGEST: usize = 128 << 10;

/// What a stretch of code is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Token {
    Keyword,
    Function,
    Type,
    /// Numbers, named constants, escapes.
    Constant,
    String,
    Comment,
    Heading,
}

/// The names that grammars give to what they recognise, and what that is. The most exact name counts.
const NAMES: &[(&str, Token)] = &[
    ("keyword", Token::Keyword),
    ("conditional", Token::Keyword),
    ("repeat", Token::Keyword),
    ("include", Token::Keyword),
    ("exception", Token::Keyword),
    ("storageclass", Token::Keyword),
    ("tag", Token::Keyword),
    ("function", Token::Function),
    ("method", Token::Function),
    ("type", Token::Type),
    ("constructor", Token::Type),
    ("attribute", Token::Type),
    ("constant", Token::Constant),
    ("number", Token::Constant),
    ("float", Token::Constant),
    ("boolean", Token::Constant),
    ("escape", Token::Constant),
    ("string", Token::String),
    ("string.escape", Token::Constant),
    ("character", Token::String),
    ("comment", Token::Comment),
    ("text.title", Token::Heading),
    ("markup.heading", Token::Heading),
];

/// The queries by which a language is coloured.
pub(super) struct Colours {
    pub highlights: &'static [&'static str],
    pub injections: &'static str,
    compiled: OnceLock<Option<HighlightConfiguration>>,
}

impl Colours {
    pub const fn none() -> Self {
        Self { highlights: &[], injections: "", compiled: OnceLock::new() }
    }
}

/// The stretches of `text` that are something, in their order and apart from each other.
pub fn highlight(language: &'static Language, text: &str) -> Vec<(Range<usize>, Token)> {
    thread_local!(static HIGHLIGHTER: RefCell<Highlighter> = RefCell::new(Highlighter::new()));
    let Some(configuration) = configuration(language).filter(|_| text.len() <= LONGEST) else { return Vec::new() };
    HIGHLIGHTER.with_borrow_mut(|highlighter| {
        let embedded = |name: &str| Language::named(name).and_then(self::configuration);
        let Ok(events) = highlighter.highlight(configuration, text.as_bytes(), None, None, embedded) else {
            return Vec::new();
        };
        let (mut open, mut found): (Vec<Token>, Vec<(Range<usize>, Token)>) = (Vec::new(), Vec::new());
        // Text behind an error stays plain.
        for event in events.map_while(Result::ok) {
            match event {
                HighlightEvent::HighlightStart(Highlight(name)) => open.push(NAMES[name].1),
                HighlightEvent::HighlightEnd => drop(open.pop()),
                HighlightEvent::Source { start, end } => found.extend(open.last().map(|token| (start..end, *token))),
            }
        }
        found
    })
}

fn configuration(language: &'static Language) -> Option<&'static HighlightConfiguration> {
    let Colours { highlights, injections, compiled } = &language.colours;
    let compile = || {
        let query = highlights.join("\n");
        let made = HighlightConfiguration::new(language.grammar(), language.fence, &query, injections, "");
        // A test compiles every one of them.
        let mut made =
            made.inspect_err(|error| tracing::error!(language = language.name, %error, "no colours")).ok()?;
        // A grammar may call every name a variable, after it has said of some that they are functions.
        let names: Vec<String> = made.names().iter().map(|name| (*name).to_owned()).collect();
        names.iter().filter(|name| is_nothing(name)).for_each(|name| made.query.disable_capture(name));
        made.configure(&NAMES.iter().map(|(name, _)| *name).collect::<Vec<_>>());
        Some(made)
    };
    compiled.get_or_init(compile).as_ref()
}

/// Whether a grammar's name for something is none of [`NAMES`], nor used by its queries themselves.
fn is_nothing(capture: &str) -> bool {
    let parts: Vec<&str> = capture.split('.').collect();
    let own = capture.starts_with('_') || matches!(parts[0], "injection" | "local");
    !own && !NAMES.iter().any(|(name, _)| name.split('.').all(|part| parts.contains(&part)))
}

#[cfg(test)]
mod tests {
    use Token::{Comment, Constant, Function, Keyword, String, Type};

    use super::*;
    use crate::code::language::LANGUAGES;

    #[test]
    fn every_language_has_colours() {
        for language in &LANGUAGES {
            assert!(configuration(language).is_some(), "{}", language.name);
        }
    }

    /// A language, a text, and some of what it consists of.
    type Case = (&'static str, &'static str, &'static [(&'static str, Token)]);

    const CASES: &[Case] = &[
        (
            "c",
            "int f(void) { return 1; } // x",
            &[("f", Function), ("return", Keyword), ("1", Constant), ("// x", Comment)],
        ),
        ("cpp", "class A { int f() { return g(\"s\"); } };", &[("class", Keyword), ("g", Function), ("\"s\"", String)]),
        ("go", "func f() string { return \"s\" } // x", &[("func", Keyword), ("f", Function), ("string", Type)]),
        ("java", "class A { int f() { return 1; } }", &[("class", Keyword), ("A", Type), ("f", Function)]),
        ("js", "function f() { return 's'; } // x", &[("function", Keyword), ("f", Function), ("'s'", String)]),
        (
            "python",
            "def f():\n    return 's' # x",
            &[("def", Keyword), ("f", Function), ("'s'", String), ("# x", Comment)],
        ),
        (
            "rust",
            "fn f(x: u32) { g(\"s\") } // x",
            &[("fn", Keyword), ("f", Function), ("u32", Type), ("g", Function), ("\"s\"", String)],
        ),
        (
            "ts",
            "interface A { x: number } function f() { return 1 }",
            &[("interface", Keyword), ("A", Type), ("number", Type), ("f", Function)],
        ),
        ("tsx", "const a: A = <p>{f(1)}</p>", &[("const", Keyword), ("A", Type), ("p", Keyword), ("f", Function)]),
        ("c#", "class A { int F() { return 1; } }", &[("class", Keyword), ("F", Function), ("1", Constant)]),
        ("ruby", "def f\n  's' # x\nend", &[("def", Keyword), ("f", Function), ("# x", Comment), ("end", Keyword)]),
        ("php", "<?php function f() { return 1; } // x", &[("function", Keyword), ("f", Function), ("1", Constant)]),
        ("sh", "if true; then echo 's'; fi # x", &[("if", Keyword), ("'s'", String), ("# x", Comment)]),
        ("lua", "local function f() return 's' end -- x", &[("local", Keyword), ("f", Function), ("-- x", Comment)]),
        (
            "kotlin",
            "fun f(x: Int): String { return \"s\" } // x",
            &[("fun", Keyword), ("f", Function), ("Int", Type), ("// x", Comment)],
        ),
        (
            "swift",
            "func f() -> Int { return 1 } // x",
            &[("func", Keyword), ("f", Function), ("Int", Type), ("1", Constant)],
        ),
        (
            "scala",
            "def f(x: Int): Int = 1 // x",
            &[("def", Keyword), ("f", Function), ("Int", Type), ("// x", Comment)],
        ),
        ("css", "a { color: red; } /* x */", &[("/* x */", Comment)]),
        ("toml", "a = 's' # x", &[("'s'", String), ("# x", Comment)]),
        ("vue", "<p>t</p><script>let a = 1</script>", &[("p", Keyword), ("let", Keyword)]),
        ("html", "<p>t</p><script>let a = 1</script>", &[("p", Keyword), ("let", Keyword)]),
        ("json", "{\"a\": true}", &[("true", Constant)]),
        ("yaml", "a: 's' # x", &[("'s'", String), ("# x", Comment)]),
        ("markdown", "# T\n\n```rust\nfn f() {}\n```\n", &[("fn", Keyword)]),
        ("sql", "SELECT 's' FROM t -- x", &[("SELECT", Keyword), ("FROM", Keyword), ("-- x", Comment)]),
    ];

    #[test]
    fn each_language_tells_what_its_words_are() {
        assert_eq!(CASES.len(), LANGUAGES.len());
        for (name, text, expected) in CASES {
            let found = highlight(Language::named(name).unwrap(), text);
            assert!(found.is_sorted_by_key(|(range, _)| range.start));
            let found: Vec<_> = found.into_iter().map(|(range, token)| (&text[range], token)).collect();
            for wanted in *expected {
                assert!(found.contains(wanted), "{name}: {wanted:?} is not among {found:?}");
            }
        }
    }

    #[test]
    fn any_text_gives_stretches_of_it() {
        for text in ["", "\u{0}", "fn f(", "\"", "漢字 = \"字\" // é", "/* /* */", "<script>"] {
            for language in &LANGUAGES {
                for (range, _) in highlight(language, text) {
                    assert!(text.get(range).is_some(), "{}: {text:?}", language.name);
                }
            }
        }
    }
}
