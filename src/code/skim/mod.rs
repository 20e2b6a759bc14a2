//! Reads what of a program defines nothing without a tree: the bodies of functions, the arguments of macros, the values of tables.
//! What the index keeps of these are words: names, comments, strings. To find them takes a tenth of the time of parsing, and such
//! parts are most of the text of a program. What defines something itself is left to the parser, and so is what does not end as
//! people lay code out, so that what a lexer may misread costs nothing but time.

mod around;
mod lexer;
mod rules;

use std::ops::Range;

use rustc_hash::FxHashSet;
use tree_sitter::Point;

use self::around::{Around, Part};
use self::lexer::{Kind, Lexer, Lexis, Token};
use self::rules::Rules;
use super::{Language, language};

/// Parts shorter than this are parsed as fast as they are left out.
const SHORTEST: usize = 48;
/// More parts than so many are not left out: a parser looks for its place among all of them.
const MOST: usize = 2000;

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
    let mut skimmer = Skimmer { rules, text, leaves: Vec::new(), left_out: Vec::new() };
    let mut lexer = Lexer::new(rules.lexis, text);
    let (mut around, mut open) = (Around::default(), None);
    while let Some(token) = lexer.next() {
        open = match open {
            Some(open) => skimmer.within(open, &lexer, &token),
            None if skimmer.left_out.len() == MOST => break,
            None => around
                .opens(&token, lexer.line, rules, text)
                .map(|part| skimmer.open(part, std::mem::take(&mut around), &lexer, &token)),
        };
    }
    // One that does not end is none.
    if let Some(Open { leaves, .. }) = open {
        skimmer.leaves.truncate(leaves);
    }
    Skimmed { rest: complement(&skimmer.left_out, text.len()), leaves: skimmer.leaves }
}

/// What stands around these ranges; nothing where there are none.
fn complement(left_out: &[tree_sitter::Range], length: usize) -> Vec<tree_sitter::Range> {
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
    // Nobody asks in which row a text ends.
    let end_point = Point { row: usize::MAX, column: 0 };
    rest.push(tree_sitter::Range { start_byte: begin, start_point: point, end_byte: length, end_point });
    rest
}

/// A part that is being read.
struct Open {
    part: Part,
    /// Its brackets, and how many of them are open.
    brackets: [u8; 2],
    depth: usize,
    /// Behind the first.
    begin: usize,
    point: Point,
    /// How the line of its bracket, and the one where its statement begins, are indented.
    indents: [Range<usize>; 2],
    row: usize,
    /// How many leaves stand before it.
    leaves: usize,
    /// Whether something in it is for the parser.
    defines: bool,
}

struct Skimmer<'t> {
    rules: &'static Rules,
    text: &'t str,
    leaves: Vec<Leaf>,
    left_out: Vec<tree_sitter::Range>,
}

impl Skimmer<'_> {
    fn open(&mut self, part: Part, around: Around, lexer: &Lexer<'_>, bracket: &Token) -> Open {
        let statement = around.statement.unwrap_or(lexer.line);
        let brackets = match bracket.kind {
            Kind::Mark(b'(') => *b"()",
            Kind::Mark(b'[') => *b"[]",
            _ => *b"{}",
        };
        Open {
            part,
            brackets,
            depth: 1,
            begin: bracket.range.end,
            point: lexer.point(),
            indents: [lexer.indent(lexer.line), lexer.indent(statement)],
            row: bracket.row,
            leaves: self.leaves.len(),
            defines: false,
        }
    }

    /// Takes in a token of a part; `None` where it ends.
    fn within(&mut self, mut open: Open, lexer: &Lexer<'_>, token: &Token) -> Option<Open> {
        match token.kind {
            Kind::Mark(mark) if mark == open.brackets[0] => open.depth += 1,
            Kind::Mark(mark) if mark == open.brackets[1] => {
                open.depth -= 1;
                if open.depth == 0 {
                    self.close(&open, lexer, token);
                    return None;
                }
            }
            Kind::Mark(_) => {}
            Kind::Directive => open.defines = true,
            Kind::Word => open.defines |= self.word(open.part, token),
            Kind::Text | Kind::Raw => self.string(token),
            Kind::Comment => self.leaf(language::Leaf::Comment, token.range.clone(), token.row),
        }
        Some(open)
    }

    /// Leaves a part out, unless it is for the parser.
    fn close(&mut self, open: &Open, lexer: &Lexer<'_>, bracket: &Token) {
        let indent = lexer.indent(lexer.line);
        let is_first = indent.end == bracket.range.start;
        let fits = |other: &Range<usize>| self.text[other.clone()] == self.text[indent.clone()];
        let is_laid_out = open.row == bracket.row || (is_first && open.indents.iter().any(fits));
        if open.defines || !is_laid_out || bracket.range.start - open.begin < SHORTEST {
            self.leaves.truncate(open.leaves);
            return;
        }
        self.left_out.push(tree_sitter::Range {
            start_byte: open.begin,
            start_point: open.point,
            end_byte: bracket.range.start,
            end_point: Point { row: bracket.row, column: bracket.range.start - lexer.line },
        });
    }

    fn leaf(&mut self, kind: language::Leaf, range: Range<usize>, row: usize) {
        self.leaves.push(Leaf { kind, range, row });
    }

    /// Takes in a word; whether it defines something.
    fn word(&mut self, part: Part, token: &Token) -> bool {
        let (before, word) = (&self.text[..token.range.start], &self.text[token.range.clone()]);
        // A lifetime may be called like a keyword.
        let quoted = self.rules.lexis == Lexis::Rust && before.ends_with('\'');
        if part == Part::Code
            && !quoted
            && (self.rules.defines)(before, word, self.text[token.range.end..].trim_start())
        {
            return true;
        }
        if !self.rules.keywords.contains(word) {
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
            begin = stop + escape_length(&self.text[stop..end]);
        }
    }
}

/// Bytes of the escape that a text begins with.
fn escape_length(text: &str) -> usize {
    let Some(kind) = text.chars().nth(1) else { return text.len().max(1) };
    let rest = || text.bytes().skip(2);
    let digits = match kind {
        'x' | 'u' | 'U' => rest().take_while(|byte| byte.is_ascii_hexdigit() || matches!(byte, b'{' | b'}')).count(),
        '0'..='7' => rest().take(2).take_while(|byte| matches!(byte, b'0'..=b'7')).count(),
        _ => 0,
    };
    1 + kind.len_utf8() + digits
}

#[cfg(test)]
mod tests;
