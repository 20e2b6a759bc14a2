//! Reads messages: a header up to `<|message|>`, then the body up to the mark that ends it.

use serde_json::{Map, Value};

use super::super::marked::{call, find};
use super::super::{Parsed, Parser, ToolSpec, Unfinished, repair};

const START: &str = "<|start|>";
const CHANNEL: &str = "<|channel|>";
const MESSAGE: &str = "<|message|>";
/// What ends a message.
const ENDS: [&str; 5] = ["<|end|>", "<|return|>", "<|call|>", START, CHANNEL];
/// What a header can begin with, besides the end of the message before it.
const HEADS: [&str; 3] = ["assistant", "to=", MESSAGE];

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
}

impl Reader {
    pub(super) fn new(tools: &[ToolSpec]) -> Self {
        Self { tools: tools.to_vec(), held: String::new(), state: State::Header }
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
        let space = self.held.len() - self.held.trim_start().len();
        if let Some(end) = ENDS[..3].iter().find(|end| self.held[space..].starts_with(**end)) {
            self.held.drain(..space + end.len());
        }
        let text = self.held.trim_start();
        if !ENDS.iter().chain(&HEADS).any(|mark| mark.starts_with(text) || text.starts_with(mark)) {
            self.state = State::Plain;
            return true;
        }
        if let Some(at) = self.held.find(MESSAGE) {
            let header: String = self.held.drain(..at + MESSAGE.len()).collect();
            self.state = State::Body(to(&header));
            return true;
        }
        if ended && !text.is_empty() && !text.starts_with("<|") {
            out.push(Parsed::Text(std::mem::take(&mut self.held)));
        }
        false
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
        let (len, marker) = self.end(ended);
        let body = &self.held[..len];
        let over = ended || marker.is_some();
        let arguments = match repair::read(body, over) {
            Ok((Value::Object(map), used, _)) if over || used < body.len() || body.ends_with('}') => {
                let used = if body[used..].trim().is_empty() { len } else { used };
                Some((map, used))
            }
            _ if over && body.trim().is_empty() => Some((Map::new(), len)),
            _ => None,
        };
        match arguments {
            Some((map, used)) => {
                out.push(match call(name, map, &self.tools) {
                    Parsed::Malformed { error, .. } => Parsed::Malformed { text: body[..used].to_owned(), error },
                    call => call,
                });
                self.held.drain(..used);
            }
            None if over => {
                let error = match find(name, &self.tools) {
                    Some(_) => "The arguments of the call are no JSON object; write it again.".to_owned(),
                    None => repair::unknown(name, &self.tools).to_string(),
                };
                out.push(Parsed::Malformed { text: body.to_owned(), error });
                self.held.drain(..len);
            }
            None => return false,
        }
        // What is left of the message is nothing that the form knows.
        self.state = State::Header;
        if let Some(marker) = marker.filter(|_| self.held.starts_with("<|")) {
            self.next(marker);
        }
        true
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
        self.run(true)
    }

    fn unfinished(&self) -> Option<Unfinished> {
        let State::Body(To::Tool(name)) = &self.state else { return None };
        let tool = find(name, &self.tools)?;
        Some(Unfinished { name: tool.name.clone(), arguments: self.held.trim_start().to_owned() })
    }
}
