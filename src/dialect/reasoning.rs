//! Splits `<think>…</think>` from the answer, in front of whichever parser reads the answer.

use super::{Parsed, Parser};

const OPEN: &str = "<think>";
const CLOSE: &str = "</think>";

/// Whether a prompt ends inside of reasoning, so that the output begins there.
pub(super) fn is_open(prompt: &str) -> bool {
    prompt.trim_end().ends_with(OPEN)
}

/// Reads reasoning first and hands the rest to another parser.
pub(super) struct Splitter {
    state: State,
    held: String,
    /// Whether what is held begins a line.
    line_start: bool,
    /// What begins a call, which also ends reasoning that was not closed.
    call: &'static str,
    answer: Box<dyn Parser>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    /// Nothing but white space so far.
    Start,
    Reasoning,
    Answer,
}

impl Splitter {
    /// For an output that may begin with `<think>`.
    pub(super) fn new(call: &'static str, answer: Box<dyn Parser>) -> Self {
        Self { state: State::Start, held: String::new(), line_start: true, call, answer }
    }

    /// For an output that begins inside of reasoning.
    pub(super) fn opened(call: &'static str, answer: Box<dyn Parser>) -> Self {
        Self { state: State::Reasoning, ..Self::new(call, answer) }
    }

    fn run(&mut self, ended: bool) -> Vec<Parsed> {
        let mut out = Vec::new();
        loop {
            match self.state {
                State::Start => {
                    let text = self.held.trim_start();
                    if text.starts_with(OPEN) {
                        let at = self.held.len() - text.len() + OPEN.len();
                        self.held.drain(..at);
                        self.state = State::Reasoning;
                    } else if !ended && OPEN.starts_with(text) {
                        return out;
                    } else {
                        self.state = State::Answer;
                    }
                }
                State::Reasoning => match self.end_of_reasoning(ended) {
                    (certain, None) => {
                        self.emit(certain, &mut out);
                        return out;
                    }
                    (certain, Some(marker)) => {
                        self.emit(certain, &mut out);
                        self.held.drain(..marker);
                        self.state = State::Answer;
                    }
                },
                State::Answer => {
                    out.extend(self.answer.push(&std::mem::take(&mut self.held)));
                    return out;
                }
            }
        }
    }

    /// How much of what is held is reasoning for certain, and the length of the marker that ends it there.
    fn end_of_reasoning(&self, ended: bool) -> (usize, Option<usize>) {
        let starts = ['<', self.call.chars().next().unwrap_or('<')];
        for (at, _) in self.held.match_indices(starts) {
            let rest = &self.held[at..];
            if rest.starts_with(CLOSE) {
                return (at, Some(CLOSE.len()));
            }
            // Only on a line of its own: reasoning may well talk about calls.
            let own_line = if at == 0 { self.line_start } else { self.held[..at].ends_with('\n') };
            if own_line && rest.starts_with(self.call) {
                return (at, Some(0));
            }
            if !ended && (CLOSE.starts_with(rest) || own_line && self.call.starts_with(rest)) {
                return (at, None);
            }
        }
        (self.held.len(), None)
    }

    fn emit(&mut self, len: usize, out: &mut Vec<Parsed>) {
        if len > 0 {
            let text: String = self.held.drain(..len).collect();
            self.line_start = text.ends_with('\n');
            out.push(Parsed::Reasoning(text));
        }
    }
}

impl Parser for Splitter {
    fn push(&mut self, piece: &str) -> Vec<Parsed> {
        self.held.push_str(piece);
        self.run(false)
    }

    fn finish(&mut self) -> Vec<Parsed> {
        let mut out = self.run(true);
        out.extend(self.answer.finish());
        out
    }
}
