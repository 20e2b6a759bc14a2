//! Takes a rendered call apart. Pure: text in, marks out.

use std::borrow::Cow;

use serde_json::Value;

use super::super::mark::{ANY, KEY, is_control};
use super::super::marks::{Arguments, Key, Keys, Marks, Tags, Types};
use super::{FIRST, IDS, NAME, SECOND};

/// A call within a text: from where its name (or the JSON that holds it) begins to where its arguments end.
struct Span {
    start: usize,
    end: usize,
}

/// Stands for the token that a form has before each of its tags, while its calls are taken apart.
const LEAD: char = '\u{3}';

/// The marks around the calls of `text`: one call, or two with the same name and arguments.
pub(super) fn marks(text: &str) -> Option<Marks> {
    match lead(text) {
        Some(lead) => {
            leadless(&text.replace(lead, &LEAD.to_string())).map(|marks| marks.map(|mark| mark.replace(LEAD, lead)))
        }
        None => leadless(text),
    }
}

/// The token before each tag: MiniMax M3 has one.
fn lead(text: &str) -> Option<&str> {
    let (_, behind) = text.split_once(FIRST.1)?;
    let (lead, _) = behind.split_once(&format!("</{}>", FIRST.0))?;
    (!lead.is_empty() && !lead.contains(char::is_whitespace)).then_some(lead)
}

/// [`marks`] of a form without such a token.
fn leadless(text: &str) -> Option<Marks> {
    let text = IDS.iter().fold(text.to_owned(), |text, id| text.replace(id, &ANY.to_string()));
    let first = text.find(NAME)?;
    let arguments = arguments(&text, first)?;
    let spans = [spans(&text, 0, &arguments), spans(&text, 1, &arguments)];
    let [Some(one), two] = spans else { return None };
    let before = &text[..one.start];
    let name_end = name_end(&text, first, &arguments);
    let marks = |section: (&str, &str), open: &str, close: &str, between: &str| Marks {
        section: (section.0.to_owned(), section.1.to_owned()),
        open: open.to_owned(),
        name_end,
        close: close.to_owned(),
        between: between.to_owned(),
        arguments: arguments.kind.clone(),
        ..Marks::default()
    };
    let Some(two) = two else { return Some(marks(("", ""), before, &text[one.end..], "")) };
    // A call that says its name twice is no form that marks describe.
    let (middle, after) = (text.get(one.end..two.start)?, text.get(two.end..)?);
    let open = &before[before.len() - common_suffix(before, middle)..];
    // White space alone begins nothing: then the calls are a list.
    let open = if open.trim().is_empty() { "" } else { open.find(['<', '[', LEAD]).map_or(open, |at| &open[at..]) };
    let middle = &middle[..middle.len() - open.len()];
    let close = &middle[..whole_marks_to(middle, common_prefix(middle, after))];
    let section = (&before[..before.len() - open.len()], &after[close.len()..]);
    Some(marks(section, open, close, &middle[close.len()..]))
}

/// What addresses a call to its tool, where a call says its name twice: `to=probe_tool<|message|>`.
pub(super) fn recipient(text: &str) -> Option<&str> {
    let (name, _) = text.match_indices(NAME).next().filter(|_| text.matches(NAME).count() == 2)?;
    let mut before = text[..name].char_indices().rev();
    let (at, c) = before.find(|(_, c)| c.is_whitespace() || *c == '>')?;
    let (begin, behind) = (at + c.len_utf8(), &text[name + NAME.len()..]);
    let mark = first_mark(behind).filter(|mark| is_control(mark) && behind.starts_with(mark))?;
    (begin < name).then(|| &text[begin..name + NAME.len() + mark.len()])
}

/// How the arguments are written, and where they stand in the first call.
struct Found {
    kind: Arguments,
    /// Where the call's name, or the JSON with it, begins; relative to the name.
    lead: usize,
    /// From the name to the first mark of the arguments.
    head: usize,
    /// From the name to behind the arguments.
    len: usize,
}

fn spans(text: &str, index: usize, found: &Found) -> Option<Span> {
    let name = text.match_indices(NAME).nth(index)?.0;
    // The second call is as long as the first, but for numbers.
    let end = text[name..].find(&SECOND.1.to_string())?;
    let tail = found.len.checked_sub(text[text.find(NAME)?..].find(&SECOND.1.to_string())?)?;
    Some(Span { start: name.checked_sub(found.lead)?, end: (name + end + tail).min(text.len()) })
}

fn name_end(text: &str, name: usize, found: &Found) -> String {
    match found.kind {
        Arguments::Whole(_) => String::new(),
        _ => text[name + NAME.len()..name + found.head].to_owned(),
    }
}

fn arguments(text: &str, name: usize) -> Option<Found> {
    json(text, name).or_else(|| pairs(text, name))
}

/// Arguments that are a JSON object, perhaps within one.
fn json(text: &str, name: usize) -> Option<Found> {
    let key = name + text[name..].find(FIRST.0)?;
    let value = json_at(text, text[..key].rfind('{')?)?;
    (value.0.get(FIRST.0)?.as_str()? == FIRST.1).then_some(())?;
    // The outermost object that holds the name too.
    let outer = text[..name].rmatch_indices('{').find_map(|(at, _)| {
        let (value, end) = json_at(text, at)?;
        (end > key).then_some((value, at, end))
    });
    if let Some((value, at, end)) = outer {
        let keys = keys(&value)?;
        return Some(Found { kind: Arguments::Whole(keys), lead: name - at, head: 0, len: end - name });
    }
    let start = text[..key].rfind('{')?;
    Some(Found { kind: Arguments::Json, lead: 0, head: start - name, len: value.1 - name })
}

/// The JSON value at `at`, and where it ends.
fn json_at(text: &str, at: usize) -> Option<(Value, usize)> {
    // The placeholder of identifiers is a control character, which JSON does not take.
    let text = text.replace(ANY, "_");
    let mut values = serde_json::Deserializer::from_str(&text[at..]).into_iter::<Value>();
    let value = values.next()?.ok().filter(Value::is_object)?;
    Some((value, at + values.byte_offset()))
}

/// The keys of a call that is a JSON object.
fn keys(call: &Value) -> Option<Keys> {
    let map = call.as_object()?;
    if map.contains_key(NAME) {
        return Some(Keys::ByName);
    }
    let is_arguments =
        |value: &Value| value.get(FIRST.0).is_some() || value.as_str().is_some_and(|text| text.contains(FIRST.0));
    let keys = map.iter().filter_map(|(key, value)| match value {
        Value::String(text) if text == NAME => Some(Key::Name(key.clone())),
        value if is_arguments(value) => Some(Key::Arguments(key.clone())),
        Value::String(_) => Some(Key::Id(key.clone())),
        _ => None,
    });
    let keys: Vec<Key> = keys.collect();
    let has = |wanted: fn(&Key) -> bool| keys.iter().any(wanted);
    let complete = has(|key| matches!(key, Key::Name(_))) && has(|key| matches!(key, Key::Arguments(_)));
    complete.then_some(Keys::Named(keys))
}

/// Arguments with something of their own around names and values.
fn pairs(text: &str, name: usize) -> Option<Found> {
    let find = |from: usize, what: &str| text[from..].find(what).map(|at| from + at);
    let first_key = find(name, FIRST.0)?;
    let first_value = find(first_key, FIRST.1)?;
    let second_key = find(first_value, SECOND.0)?;
    let number = SECOND.1.to_string();
    let second_value = find(second_key, &number)?;
    let end = second_value + number.len();
    let head = &text[name + NAME.len()..first_key];
    let (before_text, before_number) =
        (&text[first_key + FIRST.0.len()..first_value], &text[second_key + SECOND.0.len()..second_value]);
    let middle = &text[first_value + FIRST.1.len()..second_key];
    let found = |kind: Arguments, head: &str| Found { kind, lead: 0, head: NAME.len() + head.len(), len: end - name };
    match (head.trim(), before_text, before_number) {
        ("(", _, "=") => return Some(found(Arguments::Python, head)),
        ("{", ":<|\"|>", ":") => return Some(found(Arguments::Gemma, head)),
        _ => {}
    }
    let (open, close) = around_arguments(head, middle)?;
    // Behind the number stands the same closing tag.
    let behind = &text[end..];
    let shared = close.trim().replace(KEY, SECOND.0);
    if open.trim().is_empty() || shared.is_empty() || !behind.trim_start().starts_with(&shared) {
        return None;
    }
    let tags = tags(open, before_text, before_number, &close)?;
    let len = behind.find(&shared)? + shared.len();
    let len = len + if behind[len..].starts_with(&tags.between) { tags.between.len() } else { 0 };
    let head = &head[..head.len() - open.len()];
    Some(Found { kind: Arguments::Tags(tags), lead: 0, head: NAME.len() + head.len(), len: end + len - name })
}

/// What opens an argument and what closes one, with the white space around that. `head` stands between the call's name and the
/// first argument's, `middle` between the first argument's value and the second one's name.
fn around_arguments<'a>(head: &'a str, middle: &'a str) -> Option<(&'a str, Cow<'a, str>)> {
    if let Some((pad, behind)) = middle.split_once(&format!("</{}>", FIRST.0)) {
        let open = behind.trim_start();
        let between = &behind[..behind.len() - open.len()];
        return head.ends_with(open).then(|| (open, format!("{pad}</{KEY}>{between}").into()));
    }
    let open = &head[head.len() - common_suffix(head, middle)..];
    let open = open.rfind('<').map_or(open, |at| &open[at..]);
    Some((open, Cow::Borrowed(&middle[..middle.len() - open.len()])))
}

fn tags(open: &str, before_text: &str, before_number: &str, close: &str) -> Option<Tags> {
    let trimmed = close.trim_start();
    let bare = trimmed.trim_end();
    let mut tags = Tags {
        open: open.to_owned(),
        close: bare.to_owned(),
        between: trimmed[bare.len()..].to_owned(),
        pad: (String::new(), close[..close.len() - trimmed.len()].to_owned()),
        ..Tags::default()
    };
    let mut key_end = before_text;
    if before_text != before_number {
        let prefix = common_prefix(before_text, before_number);
        let suffix = common_suffix(&before_text[prefix..], &before_number[prefix..]);
        // Words may share letters; they stand between quotes or the like.
        let begin = before_text[..prefix].trim_end_matches(|c: char| c.is_ascii_alphabetic()).len();
        let end = &before_text[before_text.len() - suffix..];
        let end = end.trim_start_matches(|c: char| c.is_ascii_alphabetic());
        let word = |text: &str| text[begin..text.len() - end.len()].to_owned();
        let types = match (word(before_text).as_str(), word(before_number).as_str()) {
            ("true", "false") => Types::IsString,
            ("string", "number" | "integer") => Types::Names,
            _ => return None,
        };
        let bare = end.trim_end();
        tags.typed = Some((types, bare.to_owned()));
        tags.pad.0 = end[bare.len()..].to_owned();
        key_end = &before_text[..begin];
    } else {
        let bare = key_end.trim_end();
        tags.pad.0 = key_end[bare.len()..].to_owned();
        key_end = bare;
    }
    tags.key_end = key_end.to_owned();
    (!tags.key_end.is_empty()).then_some(tags)
}

/// The number of bytes that two texts begin with alike.
pub(super) fn common_prefix(a: &str, b: &str) -> usize {
    let len = a.bytes().zip(b.bytes()).take_while(|(a, b)| a == b).count();
    a.floor_char_boundary(len)
}

/// The number of bytes that two texts end with alike.
pub(super) fn common_suffix(a: &str, b: &str) -> usize {
    let len = a.bytes().rev().zip(b.bytes().rev()).take_while(|(a, b)| a == b).count();
    a.len() - a.ceil_char_boundary(a.len() - len)
}

/// The last place up to `at` that is not inside of a mark.
pub(super) fn whole_marks_to(text: &str, at: usize) -> usize {
    let open = text[..at].rfind('<');
    match open {
        Some(open) if Some(open) > text[..at].rfind('>') => open,
        _ => at,
    }
}

/// The mark in brackets that a text ends with.
pub(super) fn last_mark(text: &str) -> Option<&str> {
    let text = text.trim_end();
    let open = match text.chars().next_back()? {
        '>' => text.rfind('<')?,
        ']' => text.rfind('[')?,
        _ => return None,
    };
    Some(&text[open..])
}

/// The mark in brackets that a text begins with.
pub(super) fn first_mark(text: &str) -> Option<&str> {
    let text = text.trim_start();
    let close = match text.chars().next()? {
        '<' => text.find('>')?,
        '[' => text.find(']')?,
        _ => return None,
    };
    Some(&text[..=close])
}
