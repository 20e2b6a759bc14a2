//! Splits the text of a program into words, strings, comments and marks.

use std::ops::Range;

use tree_sitter::Point;

/// White space that a line may begin with.
const WIDEST: usize = 256;

/// How a language writes strings and comments.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Lexis {
    /// With a preprocessor; raw strings are `R"x(...)x"`.
    C,
    /// Raw strings are in backquotes.
    Go,
    /// Raw strings are `r#"..."#`, comments nest, and a quote may begin a lifetime.
    Rust,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    Word,
    /// With its quotes.
    Text,
    /// The same, in which a backslash is one.
    Raw,
    Comment,
    /// A line of the preprocessor, or several that are one to it.
    Directive,
    /// One character of what is left; `0` for a number, `'` for a character in quotes.
    Mark(u8),
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Token {
    pub kind: Kind,
    pub range: Range<usize>,
    /// Where it begins; both count from 0, the column in bytes.
    pub row: usize,
    column: usize,
    /// Whether nothing stands before it on its line.
    pub is_first: bool,
}

impl Token {
    /// Where it begins.
    pub fn point(&self) -> Point {
        Point { row: self.row, column: self.column }
    }
}

#[derive(Debug, Clone, Copy)]
pub(super) struct Lexer<'t> {
    lexis: Lexis,
    bytes: &'t [u8],
    /// Where the last token ended.
    pub at: usize,
    row: usize,
    /// Where the present line begins.
    pub line: usize,
}

impl<'t> Lexer<'t> {
    pub fn new(lexis: Lexis, text: &'t str) -> Self {
        Self { lexis, bytes: text.as_bytes(), at: 0, row: 0, line: 0 }
    }

    /// Where the last token ended.
    pub fn point(&self) -> Point {
        Point { row: self.row, column: self.at - self.line }
    }

    /// The white space that a line begins with, as far as people would indent it.
    pub fn indent(&self, line: usize) -> Range<usize> {
        let begin = self.bytes[line..].iter().take(WIDEST);
        let blank = begin.take_while(|byte| matches!(byte, b' ' | b'\t')).count();
        line..line + blank
    }

    fn peek(&self, ahead: usize) -> u8 {
        self.bytes.get(self.at + ahead).copied().unwrap_or_default()
    }

    /// Goes on by so many bytes.
    fn skip(&mut self, count: usize) {
        let end = (self.at + count).min(self.bytes.len());
        while self.at < end {
            self.at += 1;
            if self.bytes[self.at - 1] == b'\n' {
                self.row += 1;
                self.line = self.at;
            }
        }
    }

    fn skip_while(&mut self, goes_on: impl Fn(u8) -> bool) {
        let count = self.bytes[self.at..].iter().take_while(|byte| goes_on(**byte)).count();
        self.skip(count);
    }

    /// Goes on behind `end`, or to the end of the text.
    fn skip_behind(&mut self, end: &[u8]) {
        let found = memchr::memmem::find(&self.bytes[self.at..], end);
        self.skip(found.map_or(usize::MAX - self.at, |found| found + end.len()));
    }

    /// Behind the quote that ends what began with one, none of those behind a backslash.
    fn skip_quoted(&mut self, quote: u8) {
        self.skip(1);
        while self.at < self.bytes.len() {
            match self.peek(0) {
                b'\\' => self.skip(2),
                byte if byte == quote => return self.skip(1),
                // Only Rust's strings go on behind a line's end.
                b'\n' if self.lexis != Lexis::Rust => return,
                _ => self.skip(1),
            }
        }
    }

    fn comment(&mut self) -> Kind {
        if self.peek(1) == b'/' {
            self.skip_while(|byte| byte != b'\n');
            return Kind::Comment;
        }
        self.skip(2);
        let mut depth = 1_usize;
        while depth > 0 && self.at < self.bytes.len() {
            match (self.peek(0), self.peek(1)) {
                (b'*', b'/') => {
                    depth -= 1;
                    self.skip(2);
                }
                (b'/', b'*') if self.lexis == Lexis::Rust => {
                    depth += 1;
                    self.skip(2);
                }
                _ => self.skip(1),
            }
        }
        Kind::Comment
    }

    /// A word, or a string that begins with letters.
    fn word(&mut self) -> Kind {
        let begin = self.at;
        self.skip_while(is_of_word);
        match (self.lexis, &self.bytes[begin..self.at], self.peek(0)) {
            (Lexis::Rust, b"r" | b"br" | b"cr", b'"' | b'#') => self.raw_rust(),
            (Lexis::Rust, b"b", b'\'') => self.quote(),
            (Lexis::Rust, b"b" | b"c", b'"') | (Lexis::C, b"L" | b"u" | b"U" | b"u8", b'"') => {
                self.skip_quoted(b'"');
                Kind::Text
            }
            (Lexis::C, b"R" | b"LR" | b"uR" | b"UR" | b"u8R", b'"') => {
                self.skip(1);
                let name = self.at;
                self.skip_while(|byte| !matches!(byte, b'(' | b'\n' | b'"'));
                let end = [b")", &self.bytes[name..self.at], b"\""].concat();
                self.skip_behind(&end);
                Kind::Raw
            }
            _ => Kind::Word,
        }
    }

    /// `r#"..."#`, or a name that would be a keyword without its `r#`.
    fn raw_rust(&mut self) -> Kind {
        let marks = self.bytes[self.at..].iter().take_while(|byte| **byte == b'#').count();
        if self.peek(marks) != b'"' {
            self.skip(marks);
            self.skip_while(is_of_word);
            return Kind::Word;
        }
        self.skip(marks + 1);
        let end = [&b"\""[..], &b"#".repeat(marks)].concat();
        self.skip_behind(&end);
        Kind::Raw
    }

    /// A quoted character, or what a lifetime or a label begins with.
    fn quote(&mut self) -> Kind {
        if self.lexis == Lexis::Rust && self.peek(1) != b'\\' {
            let rest = &self.bytes[self.at + 1..];
            let length = rest.iter().skip(1).take_while(|byte| **byte & 0xC0 == 0x80).count() + 1;
            if rest.get(length) != Some(&b'\'') {
                self.skip(1);
                return Kind::Mark(b',');
            }
        }
        self.skip_quoted(b'\'');
        Kind::Mark(b'\'')
    }

    /// A number, with everything that may stand in one.
    fn number(&mut self) -> Kind {
        loop {
            self.skip_while(is_of_word);
            let goes_on = match self.peek(0) {
                // In Rust it may be followed by a method or be the first of two.
                b'.' => self.lexis != Lexis::Rust || self.peek(1).is_ascii_digit(),
                b'\'' => self.lexis == Lexis::C && is_of_word(self.peek(1)),
                _ => false,
            };
            if !goes_on {
                return Kind::Mark(b'0');
            }
            self.skip(1);
        }
    }

    /// To the end of its line, or of the line that one of its comments ends in.
    fn directive(&mut self) -> Kind {
        loop {
            self.skip_while(|byte| !matches!(byte, b'\n' | b'/'));
            let before = &self.bytes[..self.at];
            match (self.peek(0), self.peek(1)) {
                (b'/', b'*') => drop(self.comment()),
                (b'/', b'/') => self.skip_while(|byte| byte != b'\n'),
                (b'/', _) => self.skip(1),
                (b'\n', _) if before.ends_with(b"\\") || before.ends_with(b"\\\r") => self.skip(1),
                _ => return Kind::Directive,
            }
        }
    }

    /// Whether nothing stands behind on this line.
    pub fn is_last(&self) -> bool {
        matches!(self.peek(0), b'\n' | b'\r') || self.at == self.bytes.len()
    }
}

impl Iterator for Lexer<'_> {
    type Item = Token;

    fn next(&mut self) -> Option<Token> {
        let last_end = self.at;
        self.skip_while(|byte| byte.is_ascii_whitespace());
        let (begin, Point { row, column }, is_first) = (self.at, self.point(), self.line >= last_end);
        let kind = match *self.bytes.get(self.at)? {
            b'/' if matches!(self.peek(1), b'/' | b'*') => self.comment(),
            b'"' => {
                self.skip_quoted(b'"');
                Kind::Text
            }
            b'`' if self.lexis == Lexis::Go => {
                self.skip(1);
                self.skip_behind(b"`");
                Kind::Raw
            }
            b'\'' => self.quote(),
            b'#' if self.lexis == Lexis::C && is_first => self.directive(),
            byte if byte.is_ascii_digit() => self.number(),
            byte if is_of_word(byte) => self.word(),
            byte => {
                self.skip(1);
                Kind::Mark(byte)
            }
        };
        Some(Token { kind, range: begin..self.at, row, column, is_first })
    }
}

/// Letters beyond ASCII are letters.
fn is_of_word(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || byte == b'_' || byte >= 0x80
}
