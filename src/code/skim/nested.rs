//! Finds functions of C and C++ that are defined within something that looked like a body: the methods of a class that a macro
//! defines, a function within a function.

use super::around::BEHIND_PARAMETERS;
use super::lexer::{Kind, Token};
use super::rules::Rules;

/// What may stand before a call and is no type.
const BEFORE_CALLS: &[&str] = &[
    "and",
    "case",
    "co_await",
    "co_return",
    "co_yield",
    "delete",
    "do",
    "else",
    "for",
    "goto",
    "if",
    "new",
    "not",
    "or",
    "return",
    "switch",
    "throw",
    "while",
];

/// Follows the tokens of a part.
#[derive(Debug, Default)]
pub(super) struct Nested {
    /// The last two tokens.
    last: [Was; 2],
    /// For each open bracket, whether a type and a name stand before it.
    open: Vec<bool>,
    /// The same of the brackets that closed last, where a body may follow.
    declared: bool,
}

/// What a token may be in a declaration.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
enum Was {
    #[default]
    Other,
    Name,
    /// Or the end of one.
    Type,
}

impl Nested {
    /// Takes in a token; whether it is the brace of a function.
    pub fn is_body(&mut self, token: &Token, text: &str, rules: &Rules) -> bool {
        let word = &text[token.range.clone()];
        let declared = std::mem::take(&mut self.declared);
        let was = match token.kind {
            Kind::Comment => {
                self.declared = declared;
                return false;
            }
            Kind::Word => {
                self.declared = declared && BEHIND_PARAMETERS.contains(&word);
                match word {
                    _ if BEFORE_CALLS.contains(&word) => Was::Other,
                    _ if rules.keywords.contains(word) => Was::Type,
                    _ => Was::Name,
                }
            }
            Kind::Mark(b'*' | b'&' | b'>') => Was::Type,
            Kind::Mark(mark) => {
                match mark {
                    b'(' => self.open.push(matches!(self.last, [Was::Name | Was::Type, Was::Name])),
                    b')' => self.declared = self.open.pop().unwrap_or_default(),
                    _ => {}
                }
                Was::Other
            }
            Kind::Text | Kind::Raw | Kind::Directive => Was::Other,
        };
        self.last = [self.last[1], was];
        declared && token.kind == Kind::Mark(b'{')
    }
}
