//! Reads messages: a header up to `<|message|>`, then the body up to the mark that ends it.

use serde_json::{Map, Value};

use super::super::marked::{call, find};
use super::super::repair::{self, Stop};
use super::super::wait::{Patience, Wait};
use super::super::{Parsed, Parser, ToolSpec, Unfinished};

const START: &str = "<|start|>";
const CHANNEL: &str = "<|channel|>";
const MESSAGE: &str = "<|message|>";
const CONSTRAIN: &str = "<|constrain|>";
/// What ends a message.
const ENDS: [&str; 5] = ["<|end|>", "<|return|>", "<|call|>", START, CHANNEL];
/// What a header can begin with, besides the end of the message before it.
const HEADS: [&str; 3] = ["assistant", "to=", MESSAGE];
/// The longest header: an answer may begin with the same words.
const MAX_HEADER: usize = 300;

/// Who a message is for.
#[derive(Debug, Clone, PartialEq, Eq)]
enum To {
    Reasoning,
    User,
    Tool(String),
}

/// Where in the messages the text is.
#[derive(Debug, Clone, PartialEq, Eq)]
enum State {
    /// Between messages, or in a header.
    Header,
    Body(To),
    /// Text without any header: what a model says that has forgotten the form.
    Plain,
}

/// The parser.
pub(super) struct Reader {
    tools: Vec<ToolSpec>,
    held: String,
    state: State,
    /// When to read a call again.
    patience: Patience,
}

/// What a text is that may begin a message.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Head {
    No,
    /// The beginning of a header.
    Part,
    /// A header, so many bytes long.
    Whole(usize),
}

impl Reader {
    pub(super) fn new(tools: &[ToolSpec]) -> Self {
        Self { tools: tools.to_vec(), held: String::new(), state: State::Header, patience: Patience::default() }
    }

    fn run(&mut self, ended: bool) -> Vec<Parsed> {
        let mut out = Vec::new();
        loop {
            let goes_on = match self.state.clone() {
                State::Header => self.header(ended, &mut out),
                State::Body(To::Tool(name)) => self.call(&name, ended, &mut out),
                State::Body(to) => self.body(&to, ended, &mut out),
                State::Plain => self.body(&To::User, ended, &mut out),
            };
            if !goes_on {
                return out;
            }
        }
    }

    /// Reads a header. Like its fellows, returns whether there is more to do.
    fn header(&mut self, ended: bool, out: &mut Vec<Parsed>) -> bool {
        // What ended the message before this one.
        while let Some(end) = ENDS[..3].iter().find(|end| self.held.trim_start().starts_with(**end)) {
            let space = self.held.len() - self.held.trim_start().len();
            self.held.drain(..space + end.len());
        }
        let text = self.held.trim_start();
        let space = self.held.len() - text.len();
        let unsure = !ended && ENDS.iter().chain(&HEADS).any(|mark| mark.starts_with(text));
        if text.is_empty() || unsure {
            return false;
        }
        match head(text) {
            Head::Whole(len) => {
                let header: String = self.held.drain(..space + len).collect();
                self.state = State::Body(to(&header));
            }
            Head::Part if !ended => return false,
            // Text, and so is a mark that begins no message: it must not be taken for the next one.
            Head::Part | Head::No => {
                let mark = [START, CHANNEL].into_iter().find(|mark| text.starts_with(mark));
                if let Some(mark) = mark {
                    out.push(Parsed::Text(self.held.drain(..space + mark.len()).collect()));
                }
                self.state = State::Plain;
            }
        }
        true
    }

    /// Reads reasoning or text up to the mark that ends the message.
    fn body(&mut self, to: &To, ended: bool, out: &mut Vec<Parsed>) -> bool {
        let (certain, marker) = self.end(ended);
        let text: String = self.held.drain(..certain).collect();
        if !text.is_empty() {
            out.push(if *to == To::Reasoning { Parsed::Reasoning(text) } else { Parsed::Text(text) });
        }
        let Some(marker) = marker else { return false };
        self.next(marker);
        true
    }

    /// Goes on behind the mark of that length; marks that begin a header belong to it.
    fn next(&mut self, marker: usize) {
        if !self.held.starts_with(CHANNEL) && !self.held.starts_with(START) {
            self.held.drain(..marker);
        }
        self.state = State::Header;
    }

    /// How much of what is held is the body for certain, and the length of the mark that ends it there.
    fn end(&self, ended: bool) -> (usize, Option<usize>) {
        for (at, _) in self.held.match_indices("<|") {
            let rest = &self.held[at..];
            if let Some(end) = ENDS.iter().find(|end| rest.starts_with(**end)) {
                return (at, Some(end.len()));
            }
            if !ended && ENDS.iter().any(|end| end.starts_with(rest)) {
                return (at, None);
            }
        }
        let keep = usize::from(!ended && self.held.ends_with('<'));
        (self.held.len() - keep, None)
    }

    /// Reads a call: whole once its JSON is, or its message ends.
    fn call(&mut self, name: &str, ended: bool, out: &mut Vec<Parsed>) -> bool {
        if !ended && !self.patience.is_over(&self.held) {
            return false;
        }
        let (len, marker) = self.end(ended);
        let body = &self.held[..len];
        let over = ended || marker.is_some();
        let (item, used) = match repair::read(body, over) {
            Ok((Value::Object(map), used, _)) => {
                let used = if body[used..].trim().is_empty() { len } else { used };
                (call(name, map, body[..used].trim_end(), &self.tools), used)
            }
            _ if over && body.trim().is_empty() => (call(name, Map::new(), body, &self.tools), len),
            _ if over => (self.malformed(name, body), len),
            stop => {
                let mut waits = vec![Wait::first(ENDS)];
                if let Err(Stop::More(wait)) = stop {
                    waits.push(wait);
                }
                self.patience.wait(&self.held, Wait::First(waits));
                return false;
            }
        };
        out.push(item);
        self.held.drain(..used);
        self.patience = Patience::default();
        // What is left of the message is nothing that the form knows.
        self.state = State::Header;
        if let Some(marker) = marker.filter(|_| used == len) {
            self.next(marker);
        }
        true
    }

    /// A call whose message has ended without its arguments.
    fn malformed(&self, name: &str, body: &str) -> Parsed {
        let error = match find(name, &self.tools) {
            Some(_) => "The arguments of the call are no JSON object; write it again.".to_owned(),
            None => repair::unknown(name, &self.tools).to_string(),
        };
        Parsed::Malformed { text: body.to_owned(), error }
    }
}

/// Whether a text is a header: words and marks up to `<|message|>`, and no more of them than a header has.
fn head(text: &str) -> Head {
    let of_word = |c: char| c.is_alphanumeric() || c.is_whitespace() || "_-.=/".contains(c);
    if ![START, CHANNEL].iter().chain(&HEADS).any(|begin| text.starts_with(begin)) {
        return Head::No;
    }
    let mut at = if text.starts_with(START) { START.len() } else { 0 };
    loop {
        let rest = text[at..].trim_start_matches(of_word);
        at = text.len() - rest.len();
        let marks = [CHANNEL, CONSTRAIN];
        if at > MAX_HEADER {
            return Head::No;
        } else if rest.starts_with(MESSAGE) {
            return Head::Whole(at + MESSAGE.len());
        } else if let Some(mark) = marks.iter().find(|mark| rest.starts_with(**mark)) {
            at += mark.len();
        } else {
            let begins = marks.iter().chain([&MESSAGE]).any(|mark| mark.starts_with(rest));
            return if begins { Head::Part } else { Head::No };
        }
    }
}

/// Who a message with this header is for.
fn to(header: &str) -> To {
    let recipient = header.split_once("to=").map(|(_, rest)| {
        let end = rest.find(|c: char| c.is_whitespace() || c == '<').unwrap_or(rest.len());
        &rest[..end]
    });
    match recipient {
        Some(name) if !name.is_empty() && name != "user" => To::Tool(name.to_owned()),
        _ if header.contains("<|channel|>analysis") => To::Reasoning,
        _ => To::User,
    }
}

impl Parser for Reader {
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
        self.state == State::Body(To::Reasoning)
    }

    fn unfinished(&self) -> Option<Unfinished> {
        let State::Body(To::Tool(name)) = &self.state else { return None };
        let tool = find(name, &self.tools)?;
        Some(Unfinished { name: tool.name.clone(), arguments: self.held.trim_start().to_owned() })
    }
}
