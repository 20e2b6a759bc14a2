//! Reads calls by the marks of their form.

use std::sync::Arc;

use serde_json::{Map, Value};

use super::super::json_calls::{self, Found, read_calls_with};
use super::super::mark::{self, Match};
use super::super::marks::{Arguments, Key, Keys, Marks};
use super::super::repair::{self, Notes, Stop};
use super::super::scan::{Form, Open, Place, Read, skip_space};
use super::super::wait::Wait;
use super::super::{Call, Parsed, ToolSpec, Unfinished, gemma, python};
use super::tags::{Tagged, ends_here};

/// Calls between marks.
pub(super) struct Calls {
    marks: Arc<Marks>,
    tools: Arc<[ToolSpec]>,
    /// Whether a call begins with its name, so that only a tool's name tells it from text.
    bare: bool,
    /// What may begin a call, the longest first.
    openers: Vec<String>,
    starts: Vec<char>,
    /// The marks that may end it, in their order.
    closers: Vec<String>,
}

impl Calls {
    pub(super) fn new(marks: Arc<Marks>, tools: Arc<[ToolSpec]>) -> Self {
        let begin = format!("{}{}", marks.section.0, marks.open);
        let mut openers: Vec<String> = [begin, marks.open.clone()].into_iter().chain(marks.open_too.clone()).collect();
        let mut closers = marks.split(&marks.close);
        if matches!(marks.arguments, Arguments::Whole(_) | Arguments::Python | Arguments::Gemma) {
            // Brackets are read with what they enclose.
            for opener in &mut openers {
                *opener = opener.trim_end().trim_end_matches('[').to_owned();
            }
            if marks.in_list() {
                closers.extend(marks.split(&marks.section.1));
            }
            closers.iter_mut().for_each(|closer| *closer = closer.trim_start_matches([')', ']', '}']).to_owned());
            closers.retain(|closer| !closer.is_empty());
        }
        openers.iter_mut().for_each(|opener| *opener = opener.trim().to_owned());
        openers.retain(|opener| !opener.is_empty());
        let bare = openers.is_empty() && marks.arguments == Arguments::Python;
        if bare {
            openers.push("[".into());
        }
        openers.sort_by_key(|opener| std::cmp::Reverse(opener.len()));
        openers.dedup();
        let starts = openers.iter().filter_map(|opener| opener.chars().next()).collect();
        Self { marks, tools, bare, openers, starts, closers }
    }

    /// Where the mark that begins a call ends.
    fn begin(&self, rest: &str) -> Match {
        let mut found = Match::No;
        for opener in &self.openers {
            match mark::at(rest, opener) {
                Match::Full(len) => return Match::Full(len),
                Match::Partial => found = Match::Partial,
                Match::No => {}
            }
        }
        found
    }

    /// Whether what follows the opening mark is a call for certain; `None` where more text decides.
    fn follows(&self, text: &str) -> Option<bool> {
        let text = text.trim_start();
        let first = text.chars().next()?;
        let in_name = first.is_alphanumeric() || first == '_';
        if self.bare {
            let name = python::name(text);
            let behind = text[name.len()..].chars().next()?;
            return Some(behind == '(' && find(name, &self.tools).is_some());
        }
        Some(match self.marks.arguments {
            Arguments::Whole(_) => matches!(first, '{' | '['),
            Arguments::Python => in_name || first == '[',
            Arguments::Json | Arguments::Tags(_) | Arguments::Gemma => in_name,
        })
    }

    /// Text that cannot be read: a malformed call up to the mark that ends it, or to the end of the output.
    fn broken(&self, rest: &str, reason: &str, ended: bool) -> Read {
        let last = self.closers.last().or(Some(&self.marks.section.1)).filter(|closer| !closer.is_empty());
        let end = last.and_then(|closer| Some(rest.find(closer.as_str())? + closer.len()));
        match end {
            Some(end) => malformed(&rest[..end], reason),
            None if ended => malformed(rest, reason),
            None => Read::More(Wait::first(last.map(String::as_str))),
        }
    }

    /// Where a call ends: behind the closing marks that are there. `None` where more text may bring one.
    fn close(&self, rest: &str, mut at: usize, ended: bool) -> Option<usize> {
        let mut next = 0;
        loop {
            let after = skip_space(rest, at);
            let mut matched = None;
            for (index, closer) in self.closers.iter().enumerate().skip(next) {
                match mark::at(&rest[after..], closer) {
                    Match::Full(len) => {
                        matched = Some((index, after + len));
                        break;
                    }
                    Match::Partial if !ended => return None,
                    _ => {}
                }
            }
            match matched {
                Some((index, end)) => (next, at) = (index + 1, end),
                None => return Some(at),
            }
            if next == self.closers.len() {
                return Some(at);
            }
        }
    }

    /// The name of the call that begins at `at`, and where its arguments do.
    fn head(&self, rest: &str, at: usize) -> Result<(String, usize), Stop> {
        let text = rest[at..].trim_start();
        let begin = rest.len() - text.len();
        let name = python::name(text);
        let behind = begin + name.len();
        if behind == rest.len() {
            return Err(Stop::MORE);
        }
        if name.is_empty() {
            return Err(Stop::Bad("a name was expected".into()));
        }
        let mut partial = false;
        for end in std::iter::once(&self.marks.name_end).chain(&self.marks.name_end_too) {
            // Some leave out the number of the call, some write it where it is not due.
            let bare = end.trim_start_matches(|c: char| c == ':' || c.is_ascii_digit());
            for end in [end.as_str(), bare].into_iter().chain((!end.starts_with(':')).then_some(":0")) {
                match mark::after_space(&rest[behind..], end) {
                    Match::Full(len) if end == ":0" => match mark::after_space(&rest[behind + len..], bare) {
                        Match::Full(more) => return Ok((name.to_owned(), behind + len + more)),
                        Match::Partial => partial = true,
                        Match::No => {}
                    },
                    Match::Full(len) => return Ok((name.to_owned(), behind + len)),
                    Match::Partial => partial = true,
                    Match::No => {}
                }
            }
        }
        if partial { Err(Stop::MORE) } else { Err(Stop::Bad(format!("what follows the name `{name}` is no call"))) }
    }

    /// The arguments at `at` of a call to `name`, and where they end.
    fn arguments(&self, rest: &str, at: usize, name: &str, ended: bool) -> Result<(Map<String, Value>, usize), Stop> {
        let mut map = Map::new();
        let text = &rest[at..];
        let tool = find(name, &self.tools);
        let len = match &self.marks.arguments {
            Arguments::Json | Arguments::Whole(_) => {
                let start = skip_space(text, 0);
                if ends_here(&text[start..], &self.closers) || (ended && start == text.len()) {
                    return Ok((map, at));
                }
                let (value, len, _) = repair::read(&text[start..], ended)?;
                map = match value {
                    Value::Object(map) => map,
                    Value::Null => Map::new(),
                    _ => return Err(Stop::Bad("its arguments are no object".into())),
                };
                start + len
            }
            Arguments::Tags(tags) => Tagged { tags, closers: &self.closers, tool, ended }.read(text, &mut map)?,
            Arguments::Python => python::arguments(text, ended, &mut map)?,
            Arguments::Gemma => gemma::arguments(text, &mut map)?,
        };
        Ok((map, at + len))
    }

    /// One call that is no JSON object as a whole.
    fn one(&self, rest: &str, at: usize, ended: bool) -> Result<(Parsed, usize), Stop> {
        let (name, start) = self.head(rest, at)?;
        let (arguments, end) = self.arguments(rest, start, &name, ended)?;
        Ok((call(&name, arguments, rest[at..end].trim_start(), &self.tools), end))
    }

    /// A list of calls as Python writes them.
    fn list(&self, rest: &str, mut at: usize, ended: bool) -> Result<(Vec<Parsed>, usize), Stop> {
        let mut items = Vec::new();
        loop {
            at = skip_space(rest, at);
            match rest[at..].chars().next() {
                Some('[') if items.is_empty() => at += 1,
                Some(',' | ';') if !items.is_empty() => at += 1,
                Some(']') => return Ok((items, at + 1)),
                Some(c) if c.is_alphabetic() || c == '_' => {
                    let (item, end) = self.one(rest, at, ended)?;
                    items.push(item);
                    at = end;
                }
                None if !ended || items.is_empty() => return Err(Stop::MORE),
                _ if items.is_empty() => return Err(Stop::Bad("a call was expected".into())),
                _ => return Ok((items, at)),
            }
        }
    }

    fn items(&self, rest: &str, start: usize, ended: bool) -> Result<(Vec<Parsed>, usize), Stop> {
        match &self.marks.arguments {
            Arguments::Whole(keys) => match read_calls_with(&rest[start..], &self.tools, ended, &renames(keys)) {
                Found::More(wait) => Err(Stop::More(wait)),
                Found::Calls { len, items } => Ok((items, start + len)),
                Found::Other(_) => Err(Stop::Bad("it lacks a name or arguments".into())),
                Found::Broken(reason) => Err(Stop::Bad(reason)),
            },
            Arguments::Python => self.list(rest, start, ended),
            _ => self.one(rest, start, ended).map(|(item, end)| (vec![item], end)),
        }
    }
}

impl Form for Calls {
    fn starts(&self) -> &[char] {
        &self.starts
    }

    fn open(&self, rest: &str, place: Place, ended: bool) -> Open {
        if self.bare && !place.line_blank {
            return Open::No;
        }
        let unsure = if ended { Open::No } else { Open::Unsure };
        match self.begin(rest) {
            Match::No => Open::No,
            Match::Partial => unsure,
            Match::Full(len) => match self.follows(&rest[len..]) {
                Some(true) => Open::Yes,
                Some(false) => Open::No,
                None => unsure,
            },
        }
    }

    fn read(&self, rest: &str, ended: bool) -> Read {
        let Match::Full(start) = self.begin(rest) else { return Read::Text(1) };
        match self.items(rest, start, ended) {
            Ok((items, end)) => match self.close(rest, end, ended) {
                Some(end) => json_calls::whole(&rest[..end], items),
                None => Read::MORE,
            },
            Err(Stop::More(wait)) if !ended => Read::More(wait),
            Err(Stop::More(_)) => self.broken(rest, "it is not complete", ended),
            Err(Stop::Bad(reason)) => self.broken(rest, &reason, ended),
        }
    }

    fn unfinished(&self, rest: &str) -> Option<Unfinished> {
        let Match::Full(start) = self.begin(rest) else { return None };
        match &self.marks.arguments {
            Arguments::Whole(Keys::ByName) => return json_calls::unfinished_by_name(&rest[start..]),
            Arguments::Whole(keys) => return json_calls::unfinished(&rest[start..], &renames(keys)),
            _ => {}
        }
        let start = skip_space(rest, start);
        let start = start + usize::from(rest[start..].starts_with('['));
        let (name, at) = self.head(rest, start).ok()?;
        let text = &rest[at..];
        let arguments = match &self.marks.arguments {
            Arguments::Tags(tags) => {
                let tool = find(&name, &self.tools);
                Tagged { tags, closers: &self.closers, tool, ended: false }.so_far(text)
            }
            Arguments::Python => python::partial(text),
            Arguments::Gemma => gemma::partial(text),
            Arguments::Json | Arguments::Whole(_) => text.trim_start().to_owned(),
        };
        Some(Unfinished { name: find(&name, &self.tools).map_or(name, |tool| tool.name.clone()), arguments })
    }
}

/// The keys of a call that are not the usual ones, with those.
fn renames(keys: &Keys) -> Vec<(&str, &'static str)> {
    let Keys::Named(keys) = keys else { return Vec::new() };
    let mut renames = Vec::new();
    for key in keys {
        renames.extend(match key {
            Key::Name(own) => Some((own.as_str(), repair::NAME_KEYS[0])),
            Key::Arguments(own) => Some((own.as_str(), repair::ARGUMENT_KEYS[0])),
            Key::Id(_) => None,
        });
    }
    renames.retain(|(own, usual)| own != usual);
    renames
}

/// The tool of that name; families put a namespace before it.
pub(in crate::dialect) fn find<'a>(name: &str, tools: &'a [ToolSpec]) -> Option<&'a ToolSpec> {
    let bare = name.strip_prefix("functions.").unwrap_or(name);
    repair::tool(name, tools).or_else(|| repair::tool(bare, tools))
}

/// The call that `text` states, with the types that the schema wants. Whether all arguments are there is for the tool to say.
pub(in crate::dialect) fn call(name: &str, arguments: Map<String, Value>, text: &str, tools: &[ToolSpec]) -> Parsed {
    let Some(tool) = find(name, tools) else {
        return Parsed::Malformed { text: text.to_owned(), error: repair::unknown(name, tools).to_string() };
    };
    let mut notes = Notes::new();
    if tool.name != name && !name.starts_with("functions.") {
        notes.push("the name was written differently");
    }
    let mut arguments = arguments;
    repair::convert_all(&mut arguments, tool, &mut notes);
    let call = Call { id: String::new(), name: tool.name.clone(), arguments };
    repair::log(&call, &notes);
    Parsed::Call(call)
}

fn malformed(text: &str, reason: &str) -> Read {
    let error = format!("The call cannot be read: {reason}; write it again in the form that you were shown.");
    Read::Items { len: text.len(), items: vec![Parsed::Malformed { text: text.into(), error }] }
}
