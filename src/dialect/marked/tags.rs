//! Reads arguments that stand between tags.

use serde_json::{Map, Value};

use super::super::mark::{self, Match};
use super::super::marks::{CDATA, Tags, Types};
use super::super::repair::Stop;
use super::super::scan::skip_space;
use super::super::{ToolSpec, schema};
use super::nested;

/// The longest name of an argument.
const MAX_KEY: usize = 200;

/// A reader of one call's arguments.
pub(super) struct Tagged<'a> {
    pub tags: &'a Tags,
    /// What may end the call.
    pub closers: &'a [String],
    pub tool: Option<&'a ToolSpec>,
    pub ended: bool,
}

/// Whether one of `closers` begins the text.
pub(super) fn ends_here(text: &str, closers: &[String]) -> bool {
    closers.iter().any(|closer| matches!(mark::at(text, closer), Match::Full(_)))
}

impl<'a> Tagged<'a> {
    /// Reads up to where no further argument begins: the length.
    pub(super) fn read(&self, text: &str, map: &mut Map<String, Value>) -> Result<usize, Stop> {
        self.read_on(text, &mut 0, map)
    }

    /// [`Tagged::read`] from `at` on, which comes behind the last whole argument. What was read so far comes in `map`.
    fn read_on(&self, text: &str, at: &mut usize, map: &mut Map<String, Value>) -> Result<usize, Stop> {
        loop {
            let start = skip_space(text, *at);
            match self.opens(&text[start..]) {
                Match::Full(len) => {
                    let (key, is_string, begin) = key(text, start + len, self.tags)?;
                    let (end, next) = self.value(text, begin, key)?;
                    let value = unpadded(&text[begin..end], self.tags);
                    map.insert(key.to_owned(), nested::read(value, self.property(key), is_string, self.tags));
                    *at = next;
                }
                Match::Partial if !self.ended => return Err(Stop::MORE),
                _ if ends_here(&text[start..], self.closers) => return Ok(start),
                Match::Partial => return Ok(*at),
                Match::No if !self.ended && self.may_end(&text[start..]) => return Err(Stop::MORE),
                Match::No => return Err(Stop::Bad("an argument or the end of the call was expected".into())),
            }
        }
    }

    fn property(&self, key: &str) -> Option<&'a Value> {
        schema::properties(self.tool?).find(|(name, _)| *name == key).map(|(_, property)| property)
    }

    /// Whether an argument opens the text.
    fn opens(&self, text: &str) -> Match {
        match mark::at(text, &self.tags.open) {
            // Closing tags begin as opening ones do where these have the argument's name.
            Match::Full(len) if self.tags.nest() && text[len..].starts_with('/') => Match::No,
            Match::Full(len) if self.tags.nest() && len == text.len() => Match::Partial,
            found => found,
        }
    }

    fn may_end(&self, text: &str) -> bool {
        self.closers.iter().any(|closer| mark::at(text, closer) == Match::Partial)
    }

    /// Where the value at `begin` ends, and where its closing tag does. A closing tag that is followed by neither an
    /// argument nor the end of the call is part of the value.
    fn value(&self, text: &str, begin: usize, key: &str) -> Result<(usize, usize), Stop> {
        let close = self.tags.close_of(key);
        let no_end = || match self.ended {
            true => Stop::Bad("the last argument has no end".into()),
            false => Stop::More(mark::wait(&close)),
        };
        if self.tags.nest() && self.property(key).is_some_and(nested::is_nested) {
            let len = nested::closing(&text[begin..], key, self.tags).ok_or_else(no_end)?;
            return Ok((begin + len, begin + len + close.len()));
        }
        let first = close.chars().next().unwrap_or('<');
        let from = match self.tags.cdata && text[begin..].trim_start().starts_with(CDATA.0) {
            true => text[begin..].find(CDATA.1).map_or(text.len(), |at| begin + at),
            false => begin,
        };
        for (at, _) in text[from..].match_indices(first) {
            let at = from + at;
            let next = match mark::at(&text[at..], &close) {
                Match::Full(len) => at + len,
                Match::Partial if !self.ended => return Err(Stop::More(mark::wait(&close))),
                _ => continue,
            };
            let after = text[next..].trim_start();
            let opens = self.opens(after);
            if matches!(opens, Match::Full(_)) || ends_here(after, self.closers) || (after.is_empty() && self.ended) {
                return Ok((at, next));
            }
            if !self.ended && (opens == Match::Partial || self.may_end(after)) {
                return Err(Stop::MORE);
            }
        }
        Err(no_end())
    }

    /// The arguments so far, as the beginning of a JSON object.
    pub(super) fn so_far(&self, text: &str) -> String {
        let (mut map, mut at) = (Map::new(), 0);
        let whole = self.read_on(text, &mut at, &mut map).is_ok();
        let quoted = |key: &str| Value::from(key).to_string();
        let entries: Vec<String> = map.iter().map(|(key, value)| format!("{}: {value}", quoted(key))).collect();
        let mut so_far = format!("{{{}", entries.join(", "));
        if whole {
            so_far.push('}');
        } else if let Some((key, value)) = self.unfinished(text, at) {
            let separator = if map.is_empty() { "" } else { ", " };
            so_far.push_str(&format!("{separator}{}: ", quoted(key)));
            let value = value.strip_prefix(self.tags.pad.0.as_str()).unwrap_or(value);
            if self.property(key).is_none_or(schema::is_string) && !value.is_empty() {
                let text = quoted(value);
                so_far.push_str(&text[..text.len() - 1]);
            } else if self.opens(value.trim_start()) == Match::No {
                so_far.push_str(value.trim());
            }
        }
        so_far
    }

    /// The argument at `at` that has no end yet: its name, and its value so far.
    fn unfinished<'t>(&self, text: &'t str, at: usize) -> Option<(&'t str, &'t str)> {
        let start = skip_space(text, at);
        let Match::Full(len) = self.opens(&text[start..]) else { return None };
        let (key, _, begin) = key(text, start + len, self.tags).ok()?;
        Some((key, &text[begin..]))
    }
}

/// The name of the argument at `at`, whether its value is a string, where the form says it, and where the value begins.
pub(super) fn key<'a>(text: &'a str, at: usize, tags: &Tags) -> Result<(&'a str, Option<bool>, usize), Stop> {
    let rest = &text[at..];
    let first = tags.key_end.chars().find(|c| !c.is_whitespace()).unwrap_or('>');
    // The name ends on its line, whatever comes behind it.
    let line = rest.find('\n').unwrap_or(rest.len());
    for (len, _) in rest.match_indices(first).take_while(|(len, _)| *len < line.min(MAX_KEY)) {
        let begin = match mark::at(&rest[len..], &tags.key_end) {
            Match::Full(mark) => len + mark,
            Match::Partial => return Err(Stop::MORE),
            Match::No => continue,
        };
        let name = rest[..len].trim();
        if name.is_empty() {
            break;
        }
        let Some((types, end)) = &tags.typed else { return Ok((name, None, at + begin)) };
        let behind = rest[begin..].trim_start_matches(|c: char| c.is_ascii_alphabetic());
        let word = &rest[begin..rest.len() - behind.len()];
        return match mark::at(behind, end) {
            Match::Full(mark) => {
                let is_string = word == if *types == Types::IsString { "true" } else { "string" };
                Ok((name, Some(is_string), at + rest.len() - behind.len() + mark))
            }
            Match::Partial => Err(Stop::MORE),
            Match::No => Err(Stop::Bad(format!("the type of `{name}` is not written as it should be"))),
        };
    }
    if rest.len() < MAX_KEY && line == rest.len() {
        return Err(Stop::MORE);
    }
    Err(Stop::Bad("the name of an argument was expected".into()))
}

/// A value without what the form puts around it.
fn unpadded<'a>(value: &'a str, tags: &Tags) -> &'a str {
    let inside = |text: &'a str| text.trim().strip_prefix(CDATA.0)?.strip_suffix(CDATA.1);
    if let Some(text) = inside(value).filter(|_| tags.cdata) {
        return text;
    }
    let value = value.strip_prefix(tags.pad.0.as_str()).unwrap_or(value);
    value.strip_suffix(tags.pad.1.as_str()).unwrap_or(value)
}
