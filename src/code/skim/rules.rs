//! What a language's functions, macros and tables look like from outside.

use std::sync::LazyLock;

use rustc_hash::FxHashSet;

use super::lexer::Lexis;
use crate::code::Language;

/// How parts without definitions are told in a language.
pub(super) struct Rules {
    pub lexis: Lexis,
    /// What is a word and no name.
    pub keywords: FxHashSet<&'static str>,
    /// What each function begins with, and its name follows; without that, a body is what follows parameters.
    pub function: Option<&'static str>,
    /// Whether a word defines something, by what stands before and behind it.
    pub defines: fn(before: &str, word: &str, rest: &str) -> bool,
}

impl Rules {
    /// Those of a language; `None` where they are not known.
    pub fn of(language: &Language) -> Option<&'static Self> {
        match language.name {
            "Rust" => Some(&RUST),
            "Go" => Some(&GO),
            "C" => Some(&C),
            "C++" => Some(&CPP),
            _ => None,
        }
    }
}

static RUST: LazyLock<Rules> = LazyLock::new(|| Rules {
    lexis: Lexis::Rust,
    keywords: words(&[
        "_ as async await bool break char const continue crate dyn else enum extern f32 f64 false fn for i128 i16 i32 i64 i8 if",
        "impl in isize let loop match mod move mut pub ref return self static str struct super trait true type u128 u16 u32 u64",
        "u8 unsafe use usize where while yield",
    ]),
    function: Some("fn"),
    defines: |before, word, rest| match word {
        "enum" | "fn" | "impl" | "macro_rules" | "mod" | "static" | "struct" | "trait" | "type" | "use" => true,
        // Not that of a pointer's type.
        "const" => !before.ends_with('*') && !rest.starts_with(['{', '|']),
        "union" => rest.starts_with(|c: char| c.is_alphabetic() || c == '_'),
        _ => false,
    },
});

static GO: LazyLock<Rules> = LazyLock::new(|| Rules {
    lexis: Lexis::Go,
    keywords: words(&[
        "_ break case chan const continue default defer else fallthrough false for func go goto if import interface iota map nil",
        "package range return select struct switch true type var",
    ]),
    function: Some("func"),
    defines: |_, word, rest| word == "type" || (word == "interface" && !rest.starts_with("{}")),
});

const C_KEYWORDS: &[&str] = &[
    "FALSE NULL TRUE _ __asm__ __attribute__ __volatile__ alignas alignof asm auto bool break case char char16_t char32_t",
    "char64_t char8_t charptr_t const constexpr continue default do double else enum extern false float for goto if inline int",
    "int16_t int32_t int64_t int8_t intptr_t long max_align_t nullptr nullptr_t offsetof ptrdiff_t register restrict return",
    "short signed size_t sizeof ssize_t static struct switch thread_local true typedef uint16_t uint32_t uint64_t uint8_t",
    "uintptr_t union unsigned void volatile while",
];

static C: LazyLock<Rules> =
    LazyLock::new(|| Rules { lexis: Lexis::C, keywords: words(C_KEYWORDS), function: None, defines: defines_type });

static CPP: LazyLock<Rules> = LazyLock::new(|| {
    let mut keywords = words(C_KEYWORDS);
    keywords.extend(words(&[
        "and catch class co_await co_return co_yield consteval constinit decltype delete explicit final friend mutable namespace",
        "new noexcept not operator or override private protected public requires static_assert template this throw try typename",
        "using virtual",
    ]));
    Rules { lexis: Lexis::C, keywords, function: None, defines: defines_type }
});

fn words(lines: &[&'static str]) -> FxHashSet<&'static str> {
    lines.iter().flat_map(|line| line.split(' ')).collect()
}

/// Bytes that are looked at behind a word.
const AHEAD: usize = 512;

/// Whether a word of C or C++ begins the definition of a type.
fn defines_type(_: &str, word: &str, rest: &str) -> bool {
    let mut marks = marks(&rest[..rest.floor_char_boundary(AHEAD)]).peekable();
    match word {
        "typedef" => true,
        "using" => marks.find(|mark| matches!(mark, '=' | ';')) == Some('='),
        "class" | "enum" | "struct" | "union" => {
            // What it is made of follows a name, attributes, and perhaps a colon and what it is based on.
            while let Some(mark) = marks.next() {
                match mark {
                    ':' if marks.next_if_eq(&':').is_none() => return true,
                    '{' => return true,
                    ';' | ')' | '=' | '*' | '&' | '>' | ',' => return false,
                    _ => {}
                }
            }
            false
        }
        _ => false,
    }
}

/// The characters of a text without comments and what stands in round brackets.
fn marks(text: &str) -> impl Iterator<Item = char> {
    let mut rest = text;
    std::iter::from_fn(move || {
        loop {
            let first = rest.chars().next()?;
            let skipped = match first {
                '(' => round_end(rest),
                '/' if rest.starts_with("//") => rest.find('\n').unwrap_or(rest.len()),
                '/' if rest.starts_with("/*") => rest.find("*/").map_or(rest.len(), |at| at + 2),
                _ => {
                    rest = &rest[first.len_utf8()..];
                    return Some(first);
                }
            };
            rest = &rest[skipped..];
        }
    })
}

/// Where the round brackets end that a text begins with.
fn round_end(text: &str) -> usize {
    let mut depth = 0_usize;
    for (at, byte) in text.bytes().enumerate() {
        match byte {
            b'(' => depth += 1,
            b')' => depth -= 1,
            _ => {}
        }
        if depth == 0 {
            return at + 1;
        }
    }
    text.len()
}
