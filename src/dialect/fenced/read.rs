//! Reads blocks.

use std::sync::Arc;

use serde_json::{Map, Value};

use super::super::repair::{self, NoCall, Notes};
use super::super::scan::{Form, Open, Place, Read};
use super::super::wait::Wait;
use super::super::{Call, Parsed, ToolSpec, schema};
use super::{Long, LongText, NO_NEWLINE, WORD, body};

/// A fenced call. The word behind the fence may be missing where the name of a tool stands in its place.
pub(super) struct Block {
    pub tools: Arc<[ToolSpec]>,
}

impl Form for Block {
    fn starts(&self) -> &[char] {
        &['`']
    }

    fn open(&self, rest: &str, place: Place, ended: bool) -> Open {
        let ticks = ticks(rest);
        if !place.line_start || (ticks < 3 && ticks < rest.len()) {
            return Open::No;
        }
        let info = rest[ticks..].trim_start_matches([' ', '\t']);
        let word = first_word(info);
        let whole = word.len() < info.len() || ended;
        let possible = |name: &str| if whole { name.eq_ignore_ascii_case(word) } else { starts_with(name, word) };
        let possible = possible(WORD) || self.tools.iter().any(|tool| possible(&tool.name));
        match whole && ticks >= 3 {
            true if possible => Open::Yes,
            false if possible && !ended => Open::Unsure,
            _ => Open::No,
        }
    }

    fn read(&self, rest: &str, ended: bool) -> Read {
        let fence = ticks(rest);
        let Some(line_end) = rest.find('\n').or(ended.then_some(rest.len())) else {
            return Read::More(Wait::text("\n"));
        };
        let info = rest[fence..line_end].trim();
        let after_word = info.get(WORD.len()..).filter(|_| first_word(info).eq_ignore_ascii_case(WORD));
        // A tool may itself be called `tool`.
        let info = after_word.map(str::trim).filter(|info| !info.is_empty()).unwrap_or(info);
        let name = first_word(info);
        let Some(tool) = repair::tool(name, &self.tools) else {
            let end = closing(rest, line_end, fence, false, ended);
            return match end {
                Ok(Closing { end, .. }) => malformed(&rest[..end], repair::unknown(name, &self.tools).to_string()),
                Err(wait) => Read::More(wait),
            };
        };
        let long = body(schema::properties(tool));
        let closing = match closing(rest, line_end, fence, long.len() == 2, ended) {
            Ok(closing) => closing,
            Err(wait) => return Read::More(wait),
        };
        let text = &rest[..closing.end];
        match calls(tool, &info[name.len()..], &closing, &long) {
            Ok(calls) => {
                let items = calls.into_iter().map(|(call, mut notes)| {
                    if tool.name != name {
                        notes.push("the name was written differently");
                    }
                    if after_word.is_none() {
                        notes.push("the word `tool` was missing");
                    }
                    repair::log(&call, &notes);
                    Parsed::Call(call)
                });
                Read::Items { len: closing.end, items: items.collect() }
            }
            Err(error) => malformed(text, error.to_string()),
        }
    }
}

fn malformed(text: &str, error: String) -> Read {
    Read::Items { len: text.len(), items: vec![Parsed::Malformed { text: text.into(), error }] }
}

fn ticks(text: &str) -> usize {
    text.len() - text.trim_start_matches('`').len()
}

fn first_word(text: &str) -> &str {
    &text[..text.find(char::is_whitespace).unwrap_or(text.len())]
}

fn starts_with(name: &str, beginning: &str) -> bool {
    name.get(..beginning.len()).is_some_and(|start| start.eq_ignore_ascii_case(beginning))
}

/// A block's body, and where the block ends.
struct Closing {
    /// The length of the fence.
    fence: usize,
    /// The lines between the fences.
    body: String,
    /// The pairs between conflict markers.
    pairs: Vec<(String, String)>,
    /// Lines outside of the pairs that are not blank.
    stray: bool,
    /// The end of the block in the text, its line end included.
    end: usize,
    /// Whether the closing fence is there.
    closed: bool,
}

/// Where in a block a line stands.
enum At {
    Outside,
    /// Inside of a fence that the body opened.
    Inner,
    Old(usize),
    New(usize),
}

/// Reads the lines of a block up to its closing fence, or says what to wait for.
fn closing(rest: &str, line_end: usize, fence: usize, markers: bool, ended: bool) -> Result<Closing, Wait> {
    let start = (line_end + 1).min(rest.len());
    let next_fence = || format!("\n{}", "`".repeat(fence));
    let mut found = Closing { fence, body: String::new(), pairs: Vec::new(), stray: false, end: start, closed: false };
    let (mut at, mut old, mut new) = (At::Outside, String::new(), String::new());
    for line in rest[start..].split_inclusive('\n') {
        if !line.ends_with('\n') && !ended {
            return Err(if ticks(line) >= fence { Wait::text("\n") } else { Wait::Text(next_fence()) });
        }
        found.end += line.len();
        let bare = ticks(line) >= fence && line.trim_start_matches('`').trim().is_empty();
        at = match at {
            At::Outside if bare => {
                found.closed = true;
                return Ok(found);
            }
            At::Outside if markers => match marker(line, '<') {
                Some(length) => At::Old(length),
                None => {
                    found.stray |= !line.trim().is_empty();
                    At::Outside
                }
            },
            At::Outside if ticks(line) >= fence => At::Inner,
            At::Inner if bare => At::Outside,
            At::Old(length) if marker(line, '=') == Some(length) => At::New(length),
            At::New(length) if marker(line, '>') == Some(length) => {
                found.pairs.push((std::mem::take(&mut old), std::mem::take(&mut new)));
                At::Outside
            }
            At::Old(_) => {
                old.push_str(line);
                at
            }
            At::New(_) => {
                new.push_str(line);
                at
            }
            at => at,
        };
        found.body.push_str(line);
    }
    if !ended {
        return Err(Wait::Text(next_fence()));
    }
    // The last marker was forgotten, but the fence is closed: nothing is missing.
    if let (At::New(_), Some(cut)) = (&at, new.trim_end().strip_suffix(&"`".repeat(fence))) {
        if cut.is_empty() || cut.ends_with('\n') {
            found.pairs.push((old, cut.to_owned()));
            found.closed = true;
        }
    } else if matches!(at, At::Outside) && !found.pairs.is_empty() {
        found.closed = true;
    }
    Ok(found)
}

/// The length of the conflict marker that a line is.
fn marker(line: &str, mark: char) -> Option<usize> {
    let label = line.trim_start_matches(mark);
    let length = line.len() - label.len();
    let ends = label.trim().is_empty() || (mark != '=' && label.starts_with(' '));
    (length >= 7 && ends).then_some(length)
}

type Calls = Vec<(Call, Notes)>;

/// The calls that a block states: several where it has several pairs.
fn calls(tool: &ToolSpec, head: &str, closing: &Closing, long: &[Long]) -> Result<Calls, NoCall> {
    let wrong = |reason: &str| NoCall::Wrong { tool: tool.name.clone(), reason: reason.into() };
    let mut notes = Notes::new();
    let mut arguments = self::head(tool, head, long, &mut notes);
    let done = |arguments: Map<String, Value>, notes: &Notes| {
        repair::complete(tool, &arguments)?;
        Ok((Call { id: String::new(), name: tool.name.clone(), arguments }, notes.clone()))
    };
    match long {
        [] => {
            in_body(tool, &closing.body, &mut arguments, &mut notes)
                .map_err(|line| wrong(&format!("its body has the line `{line}`, but it takes no text")))?;
            Ok(vec![done(arguments, &notes)?])
        }
        [only] => {
            if !closing.closed {
                return Err(wrong("the block is not closed"));
            }
            let given = arguments.contains_key(&only.name) || !schema::is_required(tool, &only.name);
            if !(closing.body.is_empty() && given) {
                // A longer fence outside shows that the inner one is meant.
                let body = Some(&closing.body).filter(|_| closing.fence == 3).and_then(|body| unwrapped(body));
                let body = body.inspect(|_| notes.push("the text stood in a fence of its own"));
                arguments.insert(only.name.clone(), text(body.unwrap_or(&closing.body), only.kind).into());
            }
            Ok(vec![done(arguments, &notes)?])
        }
        [old, new, ..] => {
            let complete = arguments.contains_key(&old.name) || arguments.contains_key(&new.name);
            let form = format!("between `<<<<<<< {}`, `=======` and `>>>>>>> {}`", old.label, new.label);
            match closing.pairs.as_slice() {
                [] if complete && !closing.stray => Ok(vec![done(arguments, &notes)?]),
                [] => Err(wrong(&format!("its two texts do not stand {form}"))),
                _ if closing.stray || !closing.closed => {
                    Err(wrong(&format!("there is text that does not stand {form}")))
                }
                pairs => pairs
                    .iter()
                    .map(|(before, after)| {
                        let mut arguments = arguments.clone();
                        arguments.insert(old.name.clone(), text(before, old.kind).into());
                        arguments.insert(new.name.clone(), text(after, new.kind).into());
                        done(arguments, &notes)
                    })
                    .collect(),
            }
        }
    }
}

/// Lines of a body as the text that they are.
fn text(lines: &str, kind: LongText) -> &str {
    match kind {
        LongText::Text => lines.strip_suffix('\n').unwrap_or(lines),
        LongText::Lines => {
            let open_ended = lines.strip_suffix(NO_NEWLINE).and_then(|lines| lines.strip_suffix('\n'));
            open_ended.unwrap_or(lines)
        }
    }
}

/// What stands within the one fence that is all of the body.
fn unwrapped(body: &str) -> Option<&str> {
    let trimmed = body.trim();
    let (first, rest) = trimmed.split_once('\n')?;
    let inside = rest.strip_suffix("```")?;
    let language = first.strip_prefix("```")?;
    let one_word = !language.is_empty() && !language.contains(|c: char| c.is_whitespace() || c == '`');
    let alone = inside.is_empty() || inside.ends_with('\n');
    (one_word && alone && !inside.lines().any(|line| line.starts_with("```"))).then_some(inside)
}

/// The arguments of an opening line.
fn head(tool: &ToolSpec, head: &str, long: &[Long], notes: &mut Notes) -> Map<String, Value> {
    let mut arguments = Map::new();
    let mut rest = head.trim();
    let mut last: Option<String> = None;
    while !rest.is_empty() {
        let (key, after) = key(rest);
        let property = key.and_then(|key| schema::properties(tool).find(|(name, _)| *name == key));
        let named = key.filter(|key| property.is_some() || !key.contains('/'));
        let (value, used) = value(named.map_or(rest, |_| after), property.map(|(_, property)| property));
        let source = named.map_or(rest, |_| after);
        match (named, &last) {
            (Some(key), _) => {
                last = Some(key.to_owned());
                arguments.insert(key.to_owned(), value);
            }
            // Words behind a value without quotes belong to it.
            (None, Some(key)) => {
                notes.push("quotes were missing");
                if let Some(Value::String(text)) = arguments.get_mut(key) {
                    text.push(' ');
                    text.push_str(&source[..used]);
                }
            }
            (None, None) => {
                notes.push("a name of an argument was missing");
                let short = |name: &str| long.iter().all(|l| l.name != name) && !arguments.contains_key(name);
                let free = schema::properties(tool).find(|(name, _)| short(name));
                if let Some((name, property)) = free {
                    let (value, _) = self::value(rest, Some(property));
                    arguments.insert(name.to_owned(), value);
                }
            }
        }
        rest = source[used..].trim_start();
    }
    arguments
}

/// The name in front of `=`, and what stands behind it.
fn key(text: &str) -> (Option<&str>, &str) {
    match text.split_once('=') {
        Some((key, rest))
            if !key.is_empty() && key.chars().all(|c| c.is_alphanumeric() || matches!(c, '_' | '-' | '.')) =>
        {
            (Some(key), rest)
        }
        _ => (None, text),
    }
}

/// The value at the start of `text`, and its length.
fn value(text: &str, property: Option<&Value>) -> (Value, usize) {
    let is_string = property.is_some_and(schema::is_string);
    let quoted = text.starts_with(['"', '\'']);
    if quoted || (!is_string && text.starts_with(['{', '['])) {
        let delimited = |used: usize| text[used..].chars().next().is_none_or(char::is_whitespace);
        if let Ok((value, used, _)) = repair::read(text, true)
            && delimited(used)
        {
            return (value, used);
        }
    }
    let word = first_word(text);
    let plain = || Value::from(word);
    let value = match property {
        Some(_) if is_string => plain(),
        _ => repair::read(word, true)
            .ok()
            .filter(|(_, used, _)| *used == word.len())
            .map_or_else(plain, |(value, ..)| value),
    };
    (value, word.len())
}

/// Arguments that stand in the body of a tool that has none, one a line.
fn in_body(tool: &ToolSpec, body: &str, arguments: &mut Map<String, Value>, notes: &mut Notes) -> Result<(), String> {
    for line in body.lines().map(str::trim).filter(|line| !line.is_empty()) {
        let pair = line.split_once(['=', ':']).map(|(key, value)| (key.trim(), value.trim()));
        let property = pair.and_then(|(key, _)| schema::properties(tool).find(|(name, _)| *name == key));
        let (Some((key, text)), Some((_, property))) = (pair, property) else { return Err(line.to_owned()) };
        let (value, used) = value(text, Some(property));
        let value = if used == text.len() { value } else { text.into() };
        notes.push("an argument stood in the body");
        arguments.insert(key.to_owned(), value);
    }
    Ok(())
}
