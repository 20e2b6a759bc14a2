//! Finds reasoning and calls in an output that arrives in pieces: one scanner for all wire forms, each of which is a [`Form`].

use super::reasoning::Thoughts;
use super::wait::{Patience, Wait};
use super::{Parsed, Parser, Prompt, Unfinished};

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
    /// Not whole yet, nor before this comes. Never answered once the output has ended.
    More(Wait),
    /// The first `len` bytes are these.
    Items { len: usize, items: Vec<Parsed> },
    /// The first so many bytes are ordinary text after all.
    Text(usize),
}

impl Read {
    /// Any text may bring what is missing.
    pub(super) const MORE: Self = Self::More(Wait::Any);
}

/// Where a text stands in its line.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Place {
    /// Nothing stands before it.
    pub line_start: bool,
    /// Nothing but white space or a call stands before it.
    pub line_blank: bool,
    /// Nothing but white space stands between it and a call.
    pub after_call: bool,
}

impl Place {
    const START: Self = Self { line_start: true, line_blank: true, after_call: false };

    fn after(self, c: char) -> Self {
        let after_call = self.after_call && c.is_whitespace();
        match c {
            '\n' => Self { line_start: true, line_blank: true, after_call },
            c => Self { line_start: false, line_blank: self.line_blank && c.is_whitespace(), after_call },
        }
    }
}

/// One way of writing calls. Answers depend on the text alone, and once an answer is not `Unsure` or `More`, more text does
/// not change it: that is what makes the pieces irrelevant.
pub(super) trait Form: Send {
    /// The characters that it can begin with.
    fn starts(&self) -> &[char];
    /// Whether it begins at the start of `rest`, whose first character is one of [`Form::starts`].
    fn open(&self, rest: &str, place: Place, ended: bool) -> Open;
    /// Reads what it begins. Only called after `open` answered `Yes` for the same text or a beginning of it.
    fn read(&self, rest: &str, ended: bool) -> Read;
    /// What is known of the call that `rest` begins and does not end.
    fn unfinished(&self, rest: &str) -> Option<Unfinished> {
        let _ = rest;
        None
    }
}

/// A parser that looks for several forms at once; earlier ones come first where two could begin at the same place.
pub(super) struct Scanner {
    forms: Vec<Box<dyn Form>>,
    thoughts: Thoughts,
    /// The texts that begin calls, which also end reasoning that was not closed.
    calls: Vec<String>,
    held: String,
    place: Place,
    state: State,
    /// When to read again what a form begins.
    patience: Patience,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    /// Nothing but white space so far.
    Start,
    /// The prompt began reasoning; a model may begin it again.
    Opened,
    Thinking,
    Answer,
    /// Inside of what this form begins.
    Reading(usize),
}

/// What begins within text.
enum Begins {
    Form(usize),
    /// Reasoning, whose mark is so long.
    Thoughts(usize),
    Nothing,
}

impl Scanner {
    /// For an output that follows `prompt`.
    pub(super) fn new(forms: Vec<Box<dyn Form>>, thoughts: Thoughts, calls: Vec<String>, prompt: &Prompt) -> Self {
        let state = if thoughts.is_open_after(&prompt.text) { State::Opened } else { State::Start };
        let patience = Patience::default();
        Self { forms, thoughts, calls, held: String::new(), place: Place::START, state, patience }
    }

    fn run(&mut self, ended: bool) -> Vec<Parsed> {
        let mut out = Vec::new();
        loop {
            let goes_on = match self.state {
                State::Start | State::Opened => self.start(ended),
                State::Thinking => self.think(ended, &mut out),
                State::Answer => self.answer(ended, &mut out),
                State::Reading(form) => self.read(form, ended, &mut out),
            };
            if !goes_on {
                return out;
            }
        }
    }

    /// Looks for the mark of reasoning. Like its fellows, returns whether there is more to do.
    fn start(&mut self, ended: bool) -> bool {
        let opened = self.state == State::Opened;
        let text = self.held.trim_start();
        let space = self.held.len() - text.len();
        let Thoughts { open, close, .. } = &self.thoughts;
        // Some say that they do not reason by closing what they did not open.
        let closes = !opened && !close.is_empty();
        if text.starts_with(open) {
            self.take(space + open.len());
            self.state = State::Thinking;
        } else if closes && text.starts_with(close) {
            self.take(space + close.len());
            self.state = State::Answer;
        } else if !ended && (open.starts_with(text) || closes && close.starts_with(text)) {
            return false;
        } else {
            self.state = if opened { State::Thinking } else { State::Answer };
        }
        true
    }

    fn think(&mut self, ended: bool, out: &mut Vec<Parsed>) -> bool {
        let (certain, marker) = self.thoughts.end(&self.held, &self.calls, self.place.line_start, ended);
        if certain > 0 {
            let text = self.take(certain);
            self.place = text.chars().fold(self.place, Place::after);
            out.push(Parsed::Reasoning(text));
        }
        let Some(marker) = marker else { return false };
        self.take(marker);
        self.place = Place::START;
        self.state = State::Answer;
        true
    }

    fn answer(&mut self, ended: bool, out: &mut Vec<Parsed>) -> bool {
        let (text, begins) = self.find(ended);
        self.emit_text(text, out);
        match begins {
            Begins::Form(form) => self.state = State::Reading(form),
            Begins::Thoughts(mark) => {
                self.take(mark);
                self.state = State::Thinking;
            }
            Begins::Nothing => return false,
        }
        true
    }

    fn read(&mut self, form: usize, ended: bool, out: &mut Vec<Parsed>) -> bool {
        if !ended && !self.patience.is_over(&self.held) {
            return false;
        }
        match self.forms[form].read(&self.held, ended) {
            Read::More(wait) if !ended => {
                self.patience.wait(&self.held, wait);
                return false;
            }
            Read::More(_) => self.emit_text(self.held.len(), out),
            Read::Text(len) => self.emit_text(len.max(1), out),
            Read::Items { len, items } => {
                let line_start = self.take(len).ends_with('\n');
                self.place = Place { line_start, line_blank: true, after_call: true };
                out.extend(items);
            }
        }
        self.patience = Patience::default();
        self.state = State::Answer;
        true
    }

    /// How much of what is held is text for certain, and what begins behind it.
    fn find(&self, ended: bool) -> (usize, Begins) {
        let mut place = self.place;
        for (at, c) in self.held.char_indices() {
            let rest = &self.held[at..];
            if self.thoughts.anywhere {
                let open = &self.thoughts.open;
                if rest.starts_with(open) {
                    return (at, Begins::Thoughts(open.len()));
                } else if open.starts_with(rest) && !ended {
                    return (at, Begins::Nothing);
                }
            }
            for (index, form) in self.forms.iter().enumerate().filter(|(_, form)| form.starts().contains(&c)) {
                match form.open(rest, place, ended) {
                    Open::No => {}
                    Open::Unsure if ended => {}
                    Open::Unsure => return (at, Begins::Nothing),
                    Open::Yes => return (at, Begins::Form(index)),
                }
            }
            place = place.after(c);
        }
        (self.held.len(), Begins::Nothing)
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
        self.place = text.chars().fold(self.place, Place::after);
        match out.last_mut() {
            Some(Parsed::Text(before)) => before.push_str(&text),
            _ => out.push(Parsed::Text(text)),
        }
    }
}

impl Parser for Scanner {
    fn push(&mut self, piece: &str) -> Vec<Parsed> {
        self.held.push_str(piece);
        self.run(false)
    }

    fn finish(&mut self) -> Vec<Parsed> {
        self.patience = Patience::default();
        let mut out = self.run(false);
        out.extend(self.run(true));
        out
    }

    fn is_thinking(&self) -> bool {
        matches!(self.state, State::Opened | State::Thinking)
    }

    fn unfinished(&self) -> Option<Unfinished> {
        match self.state {
            State::Reading(form) => self.forms[form].unfinished(&self.held),
            _ => None,
        }
    }
}

/// The position behind the white space at `at`.
pub(super) fn skip_space(text: &str, at: usize) -> usize {
    text.len() - text[at..].trim_start().len()
}
