//! Reads what of a program defines nothing without a tree: comments, the bodies of functions, the arguments of macros, the values
//! of tables. What the index keeps of these are words: names, comments, strings. To find them takes a tenth of the time of parsing,
//! and such parts are most of the text of a program. What defines something itself is left to the parser, and so is what does not
//! end as people lay code out: what a lexer misreads mostly costs nothing but time.

mod around;
mod lexer;
mod nested;
mod rules;

use std::ops::Range;

use rustc_hash::FxHashSet;
use tree_sitter::Point;

use self::around::{Around, Held};
use self::lexer::{Kind, Lexer, Lexis, Token};
use self::nested::Nested;
use self::rules::Rules;
use super::{Language, language};

/// Parts shorter than this are parsed as fast as they are left out.
const SHORTEST: usize = 48;
/// More parts than so many are not left out: a parser looks for its place among all of them.
const MOST: usize = 2000;

/// Bytes of a character's number in an escape, with its braces and room for underscores.
const LONGEST_ESCAPE: usize = 32;

/// What was read of a text.
#[derive(Debug, Default)]
pub(super) struct Skimmed {
    /// What is left for the parser, in the order of the text; empty where that is all of it.
    pub rest: Vec<tree_sitter::Range>,
    /// What is said in the parts that were left out, in the order of the text.
    pub leaves: Vec<Leaf>,
}

/// A name, a comment or what stands in a string.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Leaf {
    pub kind: language::Leaf,
    pub range: Range<usize>,
    /// Counts from 0.
    pub row: usize,
}

/// Whether a word names nothing in a language, whatever its grammar takes it for.
pub(super) fn is_keyword(language: &Language) -> impl Fn(&str) -> bool + use<> {
    let keywords: Option<&FxHashSet<&str>> = Rules::of(language).map(|rules| &rules.keywords);
    move |word| keywords.is_some_and(|keywords| keywords.contains(word))
}

/// Reads a text as far as that can be done without a tree.
pub(super) fn skim(language: &Language, text: &str) -> Skimmed {
    let Some(rules) = Rules::of(language) else { return Skimmed::default() };
    let mut skimmer = Skimmer { rules, text, leaves: Vec::new(), left_out: Vec::new(), comment_row: None };
    let mut lexer = Lexer::new(rules.lexis, text);
    let (mut around, mut open, mut looked_into) = (Around::default(), None, 0);
    while let Some(token) = lexer.next() {
        let Some(mut part) = open.take() else {
            match token.kind {
                _ if skimmer.left_out.len() == MOST => break,
                Kind::Comment => skimmer.comment(&lexer, &token),
                _ => {
                    let held = around.opens(&token, lexer.line, rules, text);
                    open = held.map(|held| skimmer.open(held, std::mem::take(&mut around), &lexer, &token));
                }
            }
            continue;
        };
        if skimmer.goes_on(&mut part, &token) {
            open = Some(part);
        } else if !skimmer.leave_out(&part, &lexer, &token) && part.inside.at >= looked_into {
            // What stands around a definition may do without a tree. Once: parts stand in parts without end.
            looked_into = token.range.end;
            lexer = part.inside;
            around = Around::default();
        }
    }
    // One that does not end is none.
    if let Some(Open { leaves, .. }) = open {
        skimmer.leaves.truncate(leaves);
    }
    Skimmed { rest: complement(&skimmer.left_out, text), leaves: skimmer.leaves }
}

/// What stands around these ranges; nothing where there are none.
fn complement(left_out: &[tree_sitter::Range], text: &str) -> Vec<tree_sitter::Range> {
    if left_out.is_empty() {
        return Vec::new();
    }
    let (mut begin, mut point) = (0, Point::default());
    let mut rest = Vec::with_capacity(left_out.len() + 1);
    for out in left_out {
        rest.push(tree_sitter::Range {
            start_byte: begin,
            start_point: point,
            end_byte: out.start_byte,
            end_point: out.start_point,
        });
        (begin, point) = (out.end_byte, out.end_point);
    }
    let row = text.bytes().filter(|byte| *byte == b'\n').count();
    let end_point = Point { row, column: text.len() - text.rfind('\n').map_or(0, |at| at + 1) };
    rest.push(tree_sitter::Range { start_byte: begin, start_point: point, end_byte: text.len(), end_point });
    rest
}

/// A part that is being read.
struct Open<'t> {
    held: Held,
    /// Its brackets, and how many of them are open.
    brackets: [u8; 2],
    depth: usize,
    /// Behind the first.
    inside: Lexer<'t>,
    /// How the line of its bracket, and the one where its statement begins, are indented.
    indents: [Range<usize>; 2],
    row: usize,
    /// How many leaves stand before it.
    leaves: usize,
    nested: Nested,
    /// Whether something in it is for the parser.
    defines: bool,
}

struct Skimmer<'t> {
    rules: &'static Rules,
    text: &'t str,
    leaves: Vec<Leaf>,
    left_out: Vec<tree_sitter::Range>,
    /// The row in which the last of these ends, where that is a comment.
    comment_row: Option<usize>,
}

impl<'t> Skimmer<'t> {
    fn open(&self, held: Held, around: Around, lexer: &Lexer<'t>, bracket: &Token) -> Open<'t> {
        let statement = around.statement.unwrap_or(lexer.line);
        let brackets = match bracket.kind {
            Kind::Mark(b'(') => *b"()",
            Kind::Mark(b'[') => *b"[]",
            _ => *b"{}",
        };
        Open {
            held,
            brackets,
            depth: 1,
            inside: *lexer,
            indents: [lexer.indent(lexer.line), lexer.indent(statement)],
            row: bracket.row,
            leaves: self.leaves.len(),
            nested: Nested::default(),
            defines: false,
        }
    }

    /// Leaves a comment out that has its lines for itself, together with those that it goes on from.
    fn comment(&mut self, lexer: &Lexer<'_>, token: &Token) {
        if !token.is_first || !lexer.is_last() {
            return;
        }
        let goes_on = self.comment_row.is_some_and(|row| row + 1 == token.row);
        match self.left_out.last_mut().filter(|_| goes_on) {
            Some(last) => (last.end_byte, last.end_point) = (token.range.end, lexer.point()),
            None if token.range.len() < SHORTEST => return,
            None => self.left_out.push(tree_sitter::Range {
                start_byte: token.range.start,
                start_point: token.point(),
                end_byte: token.range.end,
                end_point: lexer.point(),
            }),
        }
        self.comment_row = Some(lexer.point().row);
        self.leaf(language::Leaf::Comment, token.range.clone(), token.row);
    }

    /// Takes in a token of a part, unless it is its end.
    fn goes_on(&mut self, part: &mut Open<'_>, token: &Token) -> bool {
        if self.rules.lexis == Lexis::C {
            part.defines |= part.nested.is_body(token, self.text, self.rules);
        }
        match token.kind {
            Kind::Mark(mark) => {
                part.depth += usize::from(mark == part.brackets[0]);
                part.depth -= usize::from(mark == part.brackets[1]);
            }
            Kind::Directive => part.defines = true,
            Kind::Word => part.defines |= self.word(part.held, token),
            Kind::Text | Kind::Raw => self.string(token),
            Kind::Comment => self.leaf(language::Leaf::Comment, token.range.clone(), token.row),
        }
        part.depth > 0
    }

    /// Leaves a part out that ends here, unless it is for the parser.
    fn leave_out(&mut self, part: &Open<'_>, lexer: &Lexer<'_>, bracket: &Token) -> bool {
        let indent = lexer.indent(lexer.line);
        let is_first = indent.end == bracket.range.start;
        let fits = |other: &Range<usize>| self.text[other.clone()] == self.text[indent.clone()];
        let is_laid_out = part.row == bracket.row || (is_first && part.indents.iter().any(fits));
        if part.defines || !is_laid_out || bracket.range.start - part.inside.at < SHORTEST {
            self.leaves.truncate(part.leaves);
            return false;
        }
        self.comment_row = None;
        self.left_out.push(tree_sitter::Range {
            start_byte: part.inside.at,
            start_point: part.inside.point(),
            end_byte: bracket.range.start,
            end_point: bracket.point(),
        });
        true
    }

    fn leaf(&mut self, kind: language::Leaf, range: Range<usize>, row: usize) {
        self.leaves.push(Leaf { kind, range, row });
    }

    /// Takes in a word; whether it defines something.
    fn word(&mut self, held: Held, token: &Token) -> bool {
        let (before, word) = (&self.text[..token.range.start], &self.text[token.range.clone()]);
        // A lifetime may be called like a keyword; what a macro calls its arguments is no name.
        let quoted = self.rules.lexis == Lexis::Rust && before.ends_with('\'');
        if held == Held::Code
            && !quoted
            && (self.rules.defines)(before, word, self.text[token.range.end..].trim_start())
        {
            return true;
        }
        let argument = held == Held::Macro && is_argument(before);
        if !argument && !self.rules.keywords.contains(word) {
            self.leaf(language::Leaf::Name, token.range.clone(), token.row);
        }
        false
    }

    /// Takes in what stands in a string, without its escapes.
    fn string(&mut self, token: &Token) {
        let text = &self.text[token.range.clone()];
        let marks = |c: char| matches!(c, '"' | '`');
        let (Some(open), Some(close)) = (text.find(marks), text.rfind(marks)) else { return };
        let end = token.range.start + if close > open { close } else { text.len() };
        let mut begin = token.range.start + open + 1;
        while begin < end {
            let part = &self.text[begin..end];
            let length = if token.kind == Kind::Raw { None } else { part.find('\\') };
            let stop = length.map_or(end, |length| begin + length);
            self.leaf(language::Leaf::Text, begin..stop, token.row);
            begin = stop + escape_length(&self.text[stop..end], self.rules.lexis);
        }
    }
}

/// Whether what follows is an argument of a macro, `$name`, or says what one may be, `$name:kind`.
fn is_argument(before: &str) -> bool {
    let name =
        before.strip_suffix(':').map(|before| before.trim_end_matches(|c: char| c.is_alphanumeric() || c == '_'));
    before.ends_with('$') || name.is_some_and(|before| before.ends_with('$'))
}

/// Bytes of the escape that a text begins with.
fn escape_length(text: &str, lexis: Lexis) -> usize {
    let Some(kind) = text.chars().nth(1) else { return text.len().max(1) };
    let rest = &text[1 + kind.len_utf8()..];
    // Nothing in braces is longer; many that are not closed would be looked through to the end of the text.
    let closed = || rest.bytes().take(LONGEST_ESCAPE).position(|byte| byte == b'}');
    let most = match kind {
        'u' if rest.starts_with('{') => return 2 + closed().map_or(0, |end| end + 1),
        'x' if lexis == Lexis::C => usize::MAX,
        'x' | '0'..='7' => 2,
        'u' => 4,
        'U' => 8,
        _ => 0,
    };
    let digits = rest.bytes().take(most).take_while(u8::is_ascii_hexdigit).count();
    1 + kind.len_utf8() + digits
}

#[cfg(test)]
mod tests;
