//! A reader of JSON that also takes what is often written for it: Python's literals and quotes, trailing commas, line ends
//! inside of strings, closing brackets left out at the very end.

use serde_json::{Map, Value};

use super::super::wait::Wait;
use super::Notes;

const MAX_DEPTH: usize = 64;

/// Why no value was read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::dialect) enum Stop {
    /// The text is the beginning of a value, and no more than that before this comes.
    More(Wait),
    /// The text is none, for this reason.
    Bad(String),
}

impl Stop {
    /// Any text may bring what is missing.
    pub(in crate::dialect) const MORE: Self = Self::More(Wait::Any);
}

/// Reads one value at the start of `text`: the value, its length in bytes, and what was mended. With `ended`, no more text
/// will come, so brackets that are still open are closed, but never strings.
pub(in crate::dialect) fn read(text: &str, ended: bool) -> Result<(Value, usize, Notes), Stop> {
    let mut reader = Reader { text, at: 0, ended, python: false, notes: Notes::new() };
    let value = reader.value(0)?;
    Ok((value, reader.at, reader.notes))
}

/// [`read`] for a text that is Python's: its escapes are meant.
pub(in crate::dialect) fn read_python(text: &str, ended: bool) -> Result<(Value, usize), Stop> {
    let mut reader = Reader { text, at: 0, ended, python: true, notes: Notes::new() };
    let value = reader.value(0)?;
    Ok((value, reader.at))
}

/// Where a text that is no value stops being the beginning of one.
pub(in crate::dialect) fn broken_at(text: &str) -> usize {
    let mut reader = Reader { text, at: 0, ended: false, python: false, notes: Notes::new() };
    let _ = reader.value(0);
    reader.at
}

struct Reader<'a> {
    text: &'a str,
    at: usize,
    ended: bool,
    python: bool,
    notes: Notes,
}

impl Reader<'_> {
    fn rest(&self) -> &str {
        &self.text[self.at..]
    }

    fn peek(&self) -> Option<char> {
        self.rest().chars().next()
    }

    fn skip_space(&mut self) {
        self.at += self.rest().len() - self.rest().trim_start().len();
    }

    fn note(&mut self, note: &'static str) {
        if !self.notes.contains(&note) {
            self.notes.push(note);
        }
    }

    fn bad<T>(&self, expected: &str) -> Result<T, Stop> {
        // One character: how much more of the text is there depends on the pieces that it came in.
        let found: String = self.rest().chars().take(1).collect();
        Err(Stop::Bad(format!("{expected} was expected at {found:?}")))
    }

    fn value(&mut self, depth: usize) -> Result<Value, Stop> {
        if depth > MAX_DEPTH {
            return Err(Stop::Bad("it is nested too deeply".into()));
        }
        self.skip_space();
        match self.peek().ok_or(Stop::MORE)? {
            '{' => self.object(depth),
            '[' => self.array(depth),
            quote @ ('"' | '\'') => self.string(quote).map(Value::String),
            '-' | '0'..='9' => self.number(),
            c if c.is_alphabetic() => self.word(),
            _ => self.bad("a value"),
        }
    }

    fn object(&mut self, depth: usize) -> Result<Value, Stop> {
        self.at += 1;
        let mut map = Map::new();
        loop {
            self.skip_space();
            match self.peek().ok_or(Stop::MORE)? {
                '}' => {
                    if !map.is_empty() {
                        self.note("a comma too many");
                    }
                    self.at += 1;
                    return Ok(Value::Object(map));
                }
                quote @ ('"' | '\'') => {
                    let key = self.string(quote)?;
                    self.skip_space();
                    match self.peek().ok_or(Stop::MORE)? {
                        ':' => self.at += 1,
                        _ => return self.bad("`:`"),
                    }
                    map.insert(key, self.value(depth + 1)?);
                }
                _ => return self.bad("a key in quotes"),
            }
            if self.separator('}')? {
                return Ok(Value::Object(map));
            }
        }
    }

    fn array(&mut self, depth: usize) -> Result<Value, Stop> {
        self.at += 1;
        let mut items = Vec::new();
        loop {
            self.skip_space();
            if self.peek().ok_or(Stop::MORE)? == ']' {
                if !items.is_empty() {
                    self.note("a comma too many");
                }
                self.at += 1;
                return Ok(Value::Array(items));
            }
            items.push(self.value(depth + 1)?);
            if self.separator(']')? {
                return Ok(Value::Array(items));
            }
        }
    }

    /// Reads what stands behind an item; `true` where it closes the list.
    fn separator(&mut self, close: char) -> Result<bool, Stop> {
        self.skip_space();
        match self.peek() {
            Some(',') => self.at += 1,
            Some(c) if c == close => {
                self.at += 1;
                return Ok(true);
            }
            Some('"') => self.note("a comma was missing"),
            Some(_) => return self.bad(&format!("`,` or `{close}`")),
            None if self.ended => {
                self.note("a closing bracket was missing");
                return Ok(true);
            }
            None => return Err(Stop::MORE),
        }
        Ok(false)
    }

    fn number(&mut self) -> Result<Value, Stop> {
        let len = self
            .rest()
            .find(|c: char| !matches!(c, '0'..='9' | '-' | '+' | '.' | 'e' | 'E'))
            .unwrap_or(self.rest().len());
        if len == self.rest().len() && !self.ended {
            return Err(Stop::MORE);
        }
        match serde_json::from_str::<Value>(&self.rest()[..len]) {
            Ok(value) => {
                self.at += len;
                Ok(value)
            }
            Err(_) => self.bad("a number"),
        }
    }

    fn word(&mut self) -> Result<Value, Stop> {
        let len = self.rest().find(|c: char| !c.is_alphabetic()).unwrap_or(self.rest().len());
        if len == self.rest().len() && !self.ended {
            return Err(Stop::MORE);
        }
        let word = &self.rest()[..len];
        let value = match word {
            "true" | "True" => Value::Bool(true),
            "false" | "False" => Value::Bool(false),
            "null" | "None" => Value::Null,
            _ => return self.bad("a value"),
        };
        if word.starts_with(char::is_uppercase) {
            self.note("a Python literal");
        }
        self.at += len;
        Ok(value)
    }

    fn string(&mut self, quote: char) -> Result<String, Stop> {
        if quote == '\'' {
            self.note("single quotes");
        }
        let triple = [quote; 3].iter().collect::<String>();
        if self.rest().starts_with(&triple) {
            return self.triple(&triple);
        }
        // Two quotes are an empty string or the beginning of three.
        if self.rest().len() == 2 && triple.starts_with(self.rest()) && !self.ended {
            return Err(Stop::MORE);
        }
        self.at += 1;
        let mut out = String::new();
        loop {
            let c = self.peek().ok_or(Stop::More(Wait::Quote(quote)))?;
            self.at += c.len_utf8();
            match c {
                c if c == quote => return Ok(out),
                '\\' => self.escape(&mut out)?,
                c => {
                    if c.is_ascii_control() {
                        self.note("a line end inside a string");
                    }
                    out.push(c);
                }
            }
        }
    }

    /// Python's long string, as it stands.
    fn triple(&mut self, quotes: &str) -> Result<String, Stop> {
        let body = &self.rest()[3..];
        let len = body.find(quotes).ok_or_else(|| Stop::More(Wait::text(quotes)))?;
        if body.len() == len + 3 && !self.ended {
            return Err(Stop::MORE);
        }
        let body = body[..len].to_owned();
        self.note("a string in three quotes");
        self.at += len + 6;
        Ok(body)
    }

    fn escape(&mut self, out: &mut String) -> Result<(), Stop> {
        let c = self.peek().ok_or(Stop::MORE)?;
        self.at += c.len_utf8();
        match c {
            '"' | '\\' | '/' => out.push(c),
            '\'' => {
                self.note("an escape that JSON does not have");
                out.push(c);
            }
            'n' => out.push('\n'),
            't' => out.push('\t'),
            'r' => out.push('\r'),
            'b' => out.push('\u{8}'),
            'f' => out.push('\u{c}'),
            'x' if self.python => self.code(2, out)?,
            'U' if self.python => self.code(8, out)?,
            'a' | 'v' | '0' | '\n' if self.python => out.extend(match c {
                'a' => Some('\u{7}'),
                'v' => Some('\u{b}'),
                '0' => Some('\0'),
                // A line that goes on.
                _ => None,
            }),
            'u' => {
                let first = self.hex()?;
                let c = match first {
                    Some(0xd800..=0xdbff) if self.rest().starts_with("\\u") || "\\u".starts_with(self.rest()) => {
                        if self.rest().len() < 2 {
                            return Err(Stop::MORE);
                        }
                        self.at += 2;
                        let second = self.hex()?;
                        first.zip(second).and_then(|(a, b)| char::decode_utf16([a as u16, b as u16]).next()?.ok())
                    }
                    first => first.and_then(char::from_u32),
                };
                out.push(c.unwrap_or(char::REPLACEMENT_CHARACTER));
            }
            // A regular expression, most likely: `\d` meant as it stands.
            c => {
                self.note("an escape that JSON does not have");
                out.push('\\');
                out.push(c);
            }
        }
        Ok(())
    }

    /// The character whose code is written in so many hexadecimal digits.
    fn code(&mut self, digits: usize, out: &mut String) -> Result<(), Stop> {
        let len = self.rest().chars().take_while(char::is_ascii_hexdigit).take(digits).count();
        if len < digits && len == self.rest().len() {
            return Err(Stop::MORE);
        }
        let code = u32::from_str_radix(&self.rest()[..len], 16).ok();
        out.push(code.and_then(char::from_u32).unwrap_or(char::REPLACEMENT_CHARACTER));
        self.at += len;
        Ok(())
    }

    /// Four hexadecimal digits.
    fn hex(&mut self) -> Result<Option<u32>, Stop> {
        let mut value = Some(0);
        for _ in 0..4 {
            let c = self.peek().ok_or(Stop::MORE)?;
            match c.to_digit(16) {
                Some(digit) => value = value.map(|v| v * 16 + digit),
                None => return Ok(None),
            }
            self.at += 1;
        }
        Ok(value)
    }
}
