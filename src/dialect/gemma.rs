//! Values as Gemma 4 writes them: like JSON, but with keys without quotes and strings between `<|"|>`, which need no escapes.

use serde_json::{Map, Number, Value};

use super::repair::Stop;
use super::scan::skip_space;
use super::wait::Wait;

/// What stands before and after a string.
pub(super) const QUOTE: &str = "<|\"|>";
const MAX_DEPTH: usize = 64;

/// Reads `name:value,…}` behind an opening brace: the length with the closing brace. What was read so far comes in `so_far`.
pub(super) fn arguments(text: &str, so_far: &mut Map<String, Value>) -> Result<usize, Stop> {
    let mut reader = Reader { text, at: 0 };
    reader.entries(so_far, 0)?;
    Ok(reader.at)
}

/// A value as the form has it.
pub(super) fn write(value: &Value) -> String {
    match value {
        Value::String(text) => format!("{QUOTE}{text}{QUOTE}"),
        Value::Array(items) => format!("[{}]", items.iter().map(write).collect::<Vec<_>>().join(",")),
        Value::Object(map) => {
            let entry = |(key, value): (&String, &Value)| format!("{key}:{}", write(value));
            format!("{{{}}}", map.iter().map(entry).collect::<Vec<_>>().join(","))
        }
        _ => value.to_string(),
    }
}

/// The arguments that a text holds so far, as the beginning of a JSON object.
pub(super) fn partial(text: &str) -> String {
    let mut so_far = Map::new();
    let whole = arguments(text, &mut so_far).is_ok();
    let entries = so_far.iter().map(|(key, value)| format!("{}: {value}", Value::from(key.as_str())));
    let entries = entries.collect::<Vec<_>>().join(", ");
    if whole { format!("{{{entries}}}") } else { format!("{{{entries}") }
}

struct Reader<'a> {
    text: &'a str,
    at: usize,
}

impl Reader<'_> {
    fn rest(&self) -> &str {
        &self.text[self.at..]
    }

    fn peek(&mut self) -> Result<char, Stop> {
        self.at = skip_space(self.text, self.at);
        self.rest().chars().next().ok_or(Stop::MORE)
    }

    fn bad<T>(&self, expected: &str) -> Result<T, Stop> {
        // One character: how much more of the text is there depends on the pieces that it came in.
        let found: String = self.rest().chars().take(1).collect();
        Err(Stop::Bad(format!("{expected} was expected at {found:?}")))
    }

    /// Reads up to the closing brace.
    fn entries(&mut self, map: &mut Map<String, Value>, depth: usize) -> Result<(), Stop> {
        loop {
            match self.peek()? {
                '}' => {
                    self.at += 1;
                    return Ok(());
                }
                ',' => self.at += 1,
                _ => {
                    let key = self.key()?;
                    let value = self.value(depth + 1)?;
                    map.insert(key, value);
                    if !matches!(self.peek()?, ',' | '}') {
                        return self.bad("`,` or `}`");
                    }
                }
            }
        }
    }

    fn key(&mut self) -> Result<String, Stop> {
        if let Some(key) = self.string()? {
            return match self.peek()? {
                ':' => {
                    self.at += 1;
                    Ok(key)
                }
                _ => self.bad("`:`"),
            };
        }
        match self.rest().find([':', ',', '{', '}', '[', ']', '\n']) {
            Some(len) if len > 0 && self.rest()[len..].starts_with(':') => {
                let key = self.rest()[..len].trim().trim_matches(['"', '\'']).to_owned();
                self.at += len + 1;
                Ok(key)
            }
            Some(_) => self.bad("`name:value`"),
            None => Err(Stop::MORE),
        }
    }

    /// A string, if one begins here: in the form's own quotes, or in those of JSON.
    fn string(&mut self) -> Result<Option<String>, Stop> {
        let rest = self.rest();
        if let Some(body) = rest.strip_prefix(QUOTE) {
            let len = body.find(QUOTE).ok_or_else(|| Stop::More(Wait::text(QUOTE)))?;
            let text = body[..len].to_owned();
            self.at += len + 2 * QUOTE.len();
            return Ok(Some(text));
        }
        if QUOTE.starts_with(rest) {
            return Err(Stop::MORE);
        }
        if rest.starts_with('"') {
            let (value, len, _) = super::repair::read(rest, false)?;
            self.at += len;
            return Ok(value.as_str().map(str::to_owned));
        }
        Ok(None)
    }

    fn value(&mut self, depth: usize) -> Result<Value, Stop> {
        if depth > MAX_DEPTH {
            return Err(Stop::Bad("it is nested too deeply".into()));
        }
        match self.peek()? {
            '{' => {
                self.at += 1;
                let mut map = Map::new();
                self.entries(&mut map, depth)?;
                Ok(Value::Object(map))
            }
            '[' => {
                self.at += 1;
                let mut items = Vec::new();
                loop {
                    match self.peek()? {
                        ']' => {
                            self.at += 1;
                            return Ok(Value::Array(items));
                        }
                        ',' => self.at += 1,
                        _ => items.push(self.value(depth + 1)?),
                    }
                }
            }
            _ => match self.string()? {
                Some(text) => Ok(Value::String(text)),
                None => self.word(),
            },
        }
    }

    /// A number or a word; a word that is none of the known ones is a string without its quotes.
    fn word(&mut self) -> Result<Value, Stop> {
        let len = self.rest().find([',', '}', ']', '\n']).ok_or(Stop::MORE)?;
        let word = self.rest()[..len].trim();
        let value = match word {
            "" => return self.bad("a value"),
            "true" | "True" => Value::Bool(true),
            "false" | "False" => Value::Bool(false),
            "null" | "None" => Value::Null,
            word => match serde_json::from_str::<Number>(word) {
                Ok(number) => Value::Number(number),
                Err(_) => Value::from(word),
            },
        };
        self.at += len;
        Ok(value)
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_written_value_is_read_back() {
        let arguments_of = |text: &str| {
            let mut map = Map::new();
            arguments(text, &mut map).map(|len| (Value::Object(map), len))
        };
        for value in [
            json!({"a": "x\"y\\\n", "b": [1, -2.5, true, null], "c": {"d": {}, "e": []}}),
            json!({"text": "{a:1},<|>"}),
            json!({}),
        ] {
            let text = write(&value);
            assert_eq!(arguments_of(&text[1..]), Ok((value, text.len() - 1)), "{text}");
        }
        assert_eq!(arguments_of("a:<|\"|>x"), Err(Stop::More(Wait::text(QUOTE))));
        assert!(matches!(arguments_of("a b}"), Err(Stop::Bad(_))));
        assert_eq!(arguments_of("k:word,l:None}"), Ok((json!({"k": "word", "l": null}), 14)));
        assert_eq!(partial("a:1,b:<|\"|>x"), r#"{"a": 1"#);
    }
}
