//! Tells which brackets hold a part without definitions, by what stands before them.

use std::ops::Range;

use super::lexer::{Kind, Lexis, Token};
use super::rules::Rules;

/// What stands between the parameters and the body of a function in C++.
pub(super) const BEHIND_PARAMETERS: &[&str] = &["const", "final", "mutable", "noexcept", "override", "volatile"];
/// What looks like a call before the body of a type.
const ATTRIBUTES: &[&str] = &["__attribute__", "__declspec", "alignas"];
/// What holds definitions, whatever stands between it and its brace.
const TYPES: &[&str] = &["class", "enum", "struct", "union"];
/// Labels that no statement begins with.
const LABELS: &[&str] = &["private", "protected", "public"];

/// What brackets hold.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Held {
    Code,
    /// Words of a macro's own, which define nothing as far as a parser knows.
    Macro,
}

/// What is known between two parts.
#[derive(Debug, Default)]
pub(super) struct Around {
    /// Brackets that are open.
    depth: usize,
    /// How many were where a function was named whose body is still to come.
    expected: Option<usize>,
    /// Whether the last brackets opened behind an attribute.
    attribute: bool,
    /// Whether a value is given to something.
    assigned: bool,
    /// Whether a type was named.
    typed: bool,
    /// Whether a brace opens what holds definitions.
    container: bool,
    /// Where the line begins that the present statement begins in.
    pub statement: Option<usize>,
    /// The last word, where nothing followed it.
    word: Range<usize>,
    last: Last,
}

/// What stood last, as far as it matters.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
enum Last {
    #[default]
    Other,
    /// Parameters, and nothing but what may follow them.
    Parameters,
    Equals,
    /// The name of a macro with its mark, and perhaps what it is to define.
    Macro,
}

impl Around {
    /// Takes in a token outside of such parts; what the brackets hold that it opens, if they hold one.
    pub fn opens(&mut self, token: &Token, line: usize, rules: &Rules, text: &str) -> Option<Held> {
        self.statement.get_or_insert(line);
        let before = &text[std::mem::take(&mut self.word)];
        let last = std::mem::take(&mut self.last);
        match token.kind {
            Kind::Directive => *self = Self::default(),
            Kind::Word => {
                let word = &text[token.range.clone()];
                self.typed |= TYPES.contains(&word);
                self.container |= word == "namespace";
                self.last = match last {
                    Last::Parameters if BEHIND_PARAMETERS.contains(&word) => last,
                    Last::Macro => last,
                    _ => Last::Other,
                };
                if rules.function == Some(before) {
                    self.expected = Some(self.depth);
                }
                self.word = token.range.clone();
            }
            Kind::Mark(b':') if self.depth == 0 && self.typed && !is_path(text, token) => self.container = true,
            Kind::Mark(mark) => return self.mark(mark, before, last, rules),
            Kind::Text | Kind::Raw | Kind::Comment => {}
        }
        None
    }

    fn mark(&mut self, mark: u8, before: &str, last: Last, rules: &Rules) -> Option<Held> {
        // Brackets of macros and tables are whole parts; others are looked into.
        match mark {
            b'!' if rules.lexis == Lexis::Rust && !before.is_empty() && !rules.keywords.contains(before) => {
                self.last = Last::Macro;
            }
            b'(' | b'[' | b'{' if last == Last::Macro => return Some(Held::Macro),
            b'=' if self.depth == 0 => {
                self.assigned = true;
                self.last = Last::Equals;
            }
            b'[' if self.assigned && self.depth == 0 && rules.lexis == Lexis::Rust => return Some(Held::Code),
            b'{' if self.is_table(before, last, rules.lexis) => return Some(Held::Code),
            b'(' | b'[' => self.open(before, rules),
            b')' | b']' => {
                self.depth = self.depth.saturating_sub(1);
                if mark == b')' && self.depth == 0 && !self.attribute {
                    self.last = Last::Parameters;
                }
            }
            b'{' | b'}' => return self.brace(mark, before, last, rules),
            b';' if self.depth <= self.expected.unwrap_or(0) => *self = Self::default(),
            b':' if LABELS.contains(&before) => *self = Self::default(),
            _ => {}
        }
        None
    }

    fn open(&mut self, before: &str, rules: &Rules) {
        // A method of Go, or a function without a name.
        if rules.lexis == Lexis::Go && before == "func" {
            self.expected = Some(self.depth);
        }
        if self.depth == 0 {
            self.attribute = ATTRIBUTES.contains(&before);
        }
        self.depth += 1;
    }

    /// Whether a brace holds the values of a table.
    fn is_table(&self, before: &str, last: Last, lexis: Lexis) -> bool {
        let is_type = matches!(before, "struct" | "interface");
        match lexis {
            Lexis::C => self.depth == 0 && last == Last::Equals,
            Lexis::Go => self.depth == 0 && self.assigned && self.expected.is_none() && !is_type,
            Lexis::Rust => false,
        }
    }

    fn brace(&mut self, mark: u8, before: &str, last: Last, rules: &Rules) -> Option<Held> {
        let outer = self.expected.unwrap_or(0);
        // The type of what a function of Go returns.
        let is_type = self.expected.is_some() && rules.lexis == Lexis::Go && matches!(before, "struct" | "interface");
        let opens =
            self.expected.is_some() || (last == Last::Parameters && rules.function.is_none() && !self.container);
        match mark {
            // Braces within brackets are brackets too.
            b'{' if self.depth > outer || is_type => self.depth += 1,
            b'{' if opens => return Some(Held::Code),
            b'}' if self.depth > outer => self.depth -= 1,
            _ => *self = Self::default(),
        }
        None
    }
}

/// Whether a colon is one of two.
fn is_path(text: &str, colon: &Token) -> bool {
    text[colon.range.end..].starts_with(':') || text[..colon.range.start].ends_with(':')
}
