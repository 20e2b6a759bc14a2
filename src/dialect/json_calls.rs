//! Calls that stand in the answer as JSON, without the marks of a wire form: models that were not trained on the form, or
//! forget it, write them this way. Only what names one of the given tools is taken for a call.

use std::sync::Arc;

use serde_json::Value;

use super::repair::{self, NoCall, Stop};
use super::scan::{Form, Open, Place, Read, skip_space};
use super::wait::Wait;
use super::{Parsed, ToolSpec, Unfinished};

/// `{"name": …, "arguments": …}` on a line of its own.
pub(super) struct BareJson {
    pub tools: Arc<[ToolSpec]>,
}

/// The same within a fenced block, with or without tags around it.
pub(super) struct FencedJson {
    pub tools: Arc<[ToolSpec]>,
}

/// Closing tags that a call without an opening one may end with.
pub(super) const CLOSERS: [&str; 5] = ["</tool_call>", "</function_call>", "</tool_calls>", "</tools>", "</tool>"];
/// The opening ones.
pub(super) const OPENERS: [&str; 5] = ["<tool_call>", "<function_call>", "<tool_calls>", "<tools>", "<tool>"];
/// The languages of fences that models put calls in.
const LANGUAGES: [&str; 6] = ["json", "xml", "tool_call", "tool_calls", "python", ""];

/// What the JSON values at the start of a text are.
pub(super) enum Found {
    /// The beginning of some, until this comes.
    More(Wait),
    /// Calls, or attempts at some, in the first `len` bytes.
    Calls {
        len: usize,
        items: Vec<Parsed>,
    },
    /// JSON of `len` bytes that is no call.
    Other(usize),
    Broken(String),
}

/// Reads one value after the other.
pub(super) fn read_calls(text: &str, tools: &[ToolSpec], ended: bool) -> Found {
    read_calls_with(text, tools, ended, &[])
}

/// [`read_calls`] where the keys of a call have names of their own, each of which stands for the usual one beside it.
pub(super) fn read_calls_with(text: &str, tools: &[ToolSpec], ended: bool, keys: &[(&str, &str)]) -> Found {
    let mut items = Vec::new();
    let mut len = 0;
    loop {
        let at = skip_space(text, len);
        match text[at..].chars().next() {
            Some('{' | '[') => {}
            None if !ended && len > 0 => return Found::More(Wait::Any),
            _ if len == 0 => return Found::Broken("a JSON object was expected".into()),
            _ => return Found::Calls { len, items },
        }
        match repair::read(&text[at..], ended) {
            Ok((value, size, notes)) => {
                let source = &text[at..at + size];
                let values = value.as_array().map_or(std::slice::from_ref(&value), Vec::as_slice);
                let mut new = Vec::new();
                for value in values {
                    match repair::call(&renamed(value, keys), tools) {
                        Ok((call, more)) => {
                            repair::log(&call, &notes.iter().chain(&more).copied().collect());
                            new.push(Parsed::Call(call));
                        }
                        Err(NoCall::Other) if len == 0 => return Found::Other(size + at),
                        Err(error) => new.push(Parsed::Malformed { text: source.into(), error: error.to_string() }),
                    }
                }
                if new.is_empty() {
                    return Found::Other(size + at);
                }
                items.extend(new);
                len = at + size;
            }
            Err(Stop::More(wait)) if !ended => return Found::More(wait),
            Err(_) if len > 0 => return Found::Calls { len, items },
            Err(Stop::More(_)) => return Found::Broken("it is not complete".into()),
            Err(Stop::Bad(reason)) => return Found::Broken(reason),
        }
    }
}

fn renamed(value: &Value, keys: &[(&str, &str)]) -> Value {
    let usual = |key: &String| {
        let own = keys.iter().find(|(own, _)| own == key);
        own.map_or_else(|| key.clone(), |(_, usual)| (*usual).to_owned())
    };
    match value {
        Value::Object(map) => Value::Object(map.iter().map(|(key, value)| (usual(key), value.clone())).collect()),
        other => other.clone(),
    }
}

/// Whether a name that no tool has was called.
fn calls_unknown(items: &[Parsed], text: &str, tools: &[ToolSpec]) -> bool {
    !items.iter().any(|item| matches!(item, Parsed::Call(_))) && !repair::names_tool(text, tools)
}

impl BareJson {
    /// Text that stops being JSON. Where a broken call ends is anyone's guess: it is taken up to the end of the line where it
    /// breaks, if it names a tool at all, but not past what begins like another call. Otherwise its bracket is text, and what
    /// follows is read like any text.
    fn broken(&self, rest: &str, reason: &str, ended: bool) -> Read {
        let at = repair::broken_at(rest);
        let line_end = rest[at..].find('\n').map(|len| at + len);
        let Some(end) = line_end.or(ended.then_some(rest.len())) else { return Read::More(Wait::text("\n")) };
        let begins_call = |at: &usize| {
            let line = rest[*at..end].trim_start();
            OPENERS.iter().any(|tag| line.starts_with(tag)) || repair::looks_like_call(line, &self.tools) == Some(true)
        };
        let lines = rest[..end].match_indices('\n').map(|(at, _)| at).filter(begins_call);
        let tags = OPENERS.iter().filter_map(|tag| Some(at + rest[at..end].find(tag)?));
        let end = lines.chain(tags).min().unwrap_or(end);
        match repair::names_tool(&rest[..end], &self.tools) {
            true => malformed(&rest[..end], reason),
            false => Read::Text(1),
        }
    }
}

impl Form for BareJson {
    fn starts(&self) -> &[char] {
        &['{', '[']
    }

    fn open(&self, rest: &str, place: Place, ended: bool) -> Open {
        if !place.line_blank {
            return Open::No;
        }
        match repair::looks_like_call(rest, &self.tools) {
            Some(true) => Open::Yes,
            None if !ended => Open::Unsure,
            _ => Open::No,
        }
    }

    fn read(&self, rest: &str, ended: bool) -> Read {
        match read_calls(rest, &self.tools, ended) {
            Found::More(wait) => Read::More(wait),
            Found::Other(len) => Read::Text(len),
            Found::Broken(reason) => self.broken(rest, &reason, ended),
            Found::Calls { len, items } if calls_unknown(&items, &rest[..len], &self.tools) => Read::Text(len),
            Found::Calls { len, items } => {
                let end = skip_space(rest, len);
                let closer = CLOSERS.iter().find(|closer| rest[end..].starts_with(**closer));
                if closer.is_none() && !ended && CLOSERS.iter().any(|closer| closer.starts_with(&rest[end..])) {
                    return Read::MORE;
                }
                let end = closer.map_or(len, |closer| end + closer.len());
                whole(&rest[..end], items)
            }
        }
    }

    fn unfinished(&self, rest: &str) -> Option<Unfinished> {
        unfinished(rest, &[])
    }
}

impl FencedJson {
    /// The length of the opening line and the mark of the fence.
    fn head(rest: &str) -> Option<(usize, &str)> {
        let ticks = &rest[..rest.len() - rest.trim_start_matches('`').len()];
        let (language, _) = rest[ticks.len()..].split_once('\n')?;
        let known = ticks.len() >= 3 && LANGUAGES.contains(&language.trim());
        known.then_some((ticks.len() + language.len() + 1, ticks))
    }

    /// The length of the tag that stands at `at`, white space before it included.
    fn tag(rest: &str, at: usize, tags: &[&str]) -> usize {
        let start = skip_space(rest, at);
        tags.iter().find(|tag| rest[start..].starts_with(**tag)).map_or(0, |tag| start + tag.len() - at)
    }
}

impl Form for FencedJson {
    fn starts(&self) -> &[char] {
        &['`']
    }

    fn open(&self, rest: &str, place: Place, ended: bool) -> Open {
        if !place.line_start {
            return Open::No;
        }
        let unsure = if ended { Open::No } else { Open::Unsure };
        let Some((head, _)) = Self::head(rest) else {
            let ticks = rest.len() - rest.trim_start_matches('`').len();
            let language = &rest[ticks..];
            let possible = match language.is_empty() {
                true => true,
                false => ticks >= 3 && LANGUAGES.iter().any(|known| known.starts_with(language.trim_end())),
            };
            return if possible && !language.contains('\n') { unsure } else { Open::No };
        };
        let body = rest[head..].trim_start();
        if OPENERS.iter().any(|tag| body.starts_with(tag)) {
            return Open::Yes;
        }
        if body.is_empty() || OPENERS.iter().any(|tag| tag.starts_with(body)) {
            return unsure;
        }
        match repair::looks_like_call(body, &self.tools) {
            Some(true) => Open::Yes,
            Some(false) => Open::No,
            None => unsure,
        }
    }

    fn read(&self, rest: &str, ended: bool) -> Read {
        let Some((head, ticks)) = Self::head(rest) else { return Read::Text(1) };
        let start = head + Self::tag(rest, head, &OPENERS);
        let close = format!("\n{ticks}");
        match read_calls(&rest[start..], &self.tools, ended) {
            Found::More(wait) => Read::More(wait),
            Found::Other(_) => Read::Text(start),
            Found::Calls { len, items } if calls_unknown(&items, &rest[..start + len], &self.tools) => {
                Read::Text(start)
            }
            Found::Calls { len, items } => {
                let mut at = start + len;
                at += Self::tag(rest, at, &CLOSERS);
                let end = skip_space(rest, at);
                if rest[end..].starts_with(ticks) {
                    return whole(&rest[..end + ticks.len()], items);
                }
                let more = ticks.starts_with(&rest[end..]) || CLOSERS.iter().any(|tag| tag.starts_with(&rest[end..]));
                if more && !ended { Read::MORE } else { whole(&rest[..at], items) }
            }
            Found::Broken(reason) => match rest[head..].find(&close) {
                Some(at) if repair::names_tool(&rest[head..head + at], &self.tools) => {
                    malformed(&rest[..head + at + close.len()], &reason)
                }
                None if !ended => Read::More(Wait::Text(close)),
                None if repair::names_tool(rest, &self.tools) => malformed(rest, &reason),
                _ => Read::Text(head),
            },
        }
    }

    fn unfinished(&self, rest: &str) -> Option<Unfinished> {
        unfinished(rest, &[])
    }
}

/// What is known of a call whose JSON is not whole: its name, and its arguments as they were written. `own` are the keys of
/// the form, which stand for the usual ones beside them.
pub(super) fn unfinished(text: &str, own: &[(&str, &str)]) -> Option<Unfinished> {
    let keys = |usual: &[&'static str]| -> Vec<String> {
        let own = own.iter().filter(|(_, stands_for)| usual.contains(stands_for)).map(|(own, _)| *own);
        own.chain(usual.iter().copied()).map(str::to_owned).collect()
    };
    let name = repair::value_of(text, &keys(&repair::NAME_KEYS))?;
    let (name, _) = name.strip_prefix('"')?.split_once('"')?;
    let arguments = repair::value_of(text, &keys(&repair::ARGUMENT_KEYS)).unwrap_or_default();
    Some(Unfinished { name: name.to_owned(), arguments: arguments.to_owned() })
}

/// [`unfinished`] where the name is the key of the arguments.
pub(super) fn unfinished_by_name(text: &str) -> Option<Unfinished> {
    let (name, arguments) = text.split_once('"')?.1.split_once('"')?;
    let arguments = arguments.trim_start().strip_prefix(':')?.trim_start();
    Some(Unfinished { name: name.to_owned(), arguments: arguments.to_owned() })
}

/// JSON with the white space that models write.
pub(super) fn write(value: &Value) -> String {
    match value {
        Value::Array(items) => format!("[{}]", items.iter().map(write).collect::<Vec<_>>().join(", ")),
        Value::Object(map) => {
            let entry = |(key, value): (&String, &Value)| format!("{}: {}", Value::from(key.as_str()), write(value));
            format!("{{{}}}", map.iter().map(entry).collect::<Vec<_>>().join(", "))
        }
        _ => value.to_string(),
    }
}

/// `text` as these items; where none of them is a call, as one malformed call, so that nothing is lost.
pub(super) fn whole(text: &str, items: Vec<Parsed>) -> Read {
    let called = items.iter().any(|item| matches!(item, Parsed::Call(_)));
    let items = match items.first() {
        Some(Parsed::Malformed { error, .. }) if !called => {
            vec![Parsed::Malformed { text: text.into(), error: error.clone() }]
        }
        _ => items,
    };
    Read::Items { len: text.len(), items }
}

/// `text` as a malformed call.
pub(super) fn malformed(text: &str, reason: &str) -> Read {
    let error = format!("The call is no valid JSON ({reason}); write it as {{\"name\": …, \"arguments\": {{…}}}}.");
    Read::Items { len: text.len(), items: vec![Parsed::Malformed { text: text.into(), error }] }
}
