//! Finds calls in an output that arrives in pieces: one scanner for all wire forms, each of which is a [`Form`].

use super::{Parsed, Parser};

/// Whether a form begins at a place.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Open {
    No,
    /// More text decides. Never answered once the output has ended.
    Unsure,
    Yes,
}

/// What a form makes of the text that it begins.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Read {
    /// Not whole yet. Never answered once the output has ended.
    More,
    /// The first `len` bytes are these.
    Items { len: usize, items: Vec<Parsed> },
    /// The first so many bytes are ordinary text after all.
    Text(usize),
}

/// Where a text stands in its line.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Place {
    /// Nothing stands before it.
    pub line_start: bool,
    /// Nothing but white space or a call stands before it.
    pub line_blank: bool,
}

/// One way of writing calls. Answers depend on the text alone, and once an answer is not `Unsure` or `More`, more text does
/// not change it: that is what makes the pieces irrelevant.
pub(super) trait Form: Send {
    /// The characters that it can begin with.
    fn starts(&self) -> &'static [char];
    /// Whether it begins at the start of `rest`, whose first character is one of [`Form::starts`].
    fn open(&self, rest: &str, place: Place, ended: bool) -> Open;
    /// Reads what it begins. Only called after `open` answered `Yes` for the same text or a beginning of it.
    fn read(&self, rest: &str, ended: bool) -> Read;
}

/// A parser that looks for several forms at once; earlier ones come first where two could begin at the same place.
pub(super) struct Scanner {
    forms: Vec<Box<dyn Form>>,
    held: String,
    place: Place,
    reading: Option<usize>,
}

impl Scanner {
    pub(super) fn new(forms: Vec<Box<dyn Form>>) -> Self {
        let place = Place { line_start: true, line_blank: true };
        Self { forms, held: String::new(), place, reading: None }
    }

    fn run(&mut self, ended: bool) -> Vec<Parsed> {
        let mut out = Vec::new();
        loop {
            if self.reading.is_none() {
                let (text, form) = self.find(ended);
                self.emit_text(text, &mut out);
                match form {
                    Some(form) => self.reading = Some(form),
                    None => return out,
                }
            }
            let Some(form) = self.reading else { return out };
            match self.forms[form].read(&self.held, ended) {
                Read::More if !ended => return out,
                Read::More => self.emit_text(self.held.len(), &mut out),
                Read::Text(len) => self.emit_text(len.max(1), &mut out),
                Read::Items { len, items } => {
                    let taken = self.take(len);
                    self.place = Place { line_start: taken.ends_with('\n'), line_blank: true };
                    out.extend(items);
                }
            }
            self.reading = None;
        }
    }

    /// How much of what is held is text for certain, and the form that begins behind it.
    fn find(&self, ended: bool) -> (usize, Option<usize>) {
        let mut place = self.place;
        for (at, c) in self.held.char_indices() {
            for (index, form) in self.forms.iter().enumerate() {
                if !form.starts().contains(&c) {
                    continue;
                }
                match form.open(&self.held[at..], place, ended) {
                    Open::No => {}
                    Open::Unsure if ended => {}
                    Open::Unsure => return (at, None),
                    Open::Yes => return (at, Some(index)),
                }
            }
            place = after(place, c);
        }
        (self.held.len(), None)
    }

    fn take(&mut self, len: usize) -> String {
        let rest = self.held.split_off(self.held.floor_char_boundary(len.min(self.held.len())));
        std::mem::replace(&mut self.held, rest)
    }

    fn emit_text(&mut self, len: usize, out: &mut Vec<Parsed>) {
        let len = self.held.ceil_char_boundary(len.min(self.held.len()));
        if len == 0 {
            return;
        }
        let text = self.take(len);
        self.place = text.chars().fold(self.place, after);
        match out.last_mut() {
            Some(Parsed::Text(before)) => before.push_str(&text),
            _ => out.push(Parsed::Text(text)),
        }
    }
}

fn after(place: Place, c: char) -> Place {
    match c {
        '\n' => Place { line_start: true, line_blank: true },
        c => Place { line_start: false, line_blank: place.line_blank && c.is_whitespace() },
    }
}

impl Parser for Scanner {
    fn push(&mut self, piece: &str) -> Vec<Parsed> {
        self.held.push_str(piece);
        self.run(false)
    }

    fn finish(&mut self) -> Vec<Parsed> {
        self.run(true)
    }
}

/// The position behind the white space at `at`.
pub(super) fn skip_space(text: &str, at: usize) -> usize {
    text.len() - text[at..].trim_start().len()
}
