//! `tojson` as transformers defines it: Python's `json.dumps(x, ensure_ascii, indent, separators, sort_keys)`.

use std::fmt::Write as _;

use minijinja::value::{Kwargs, Rest, Value, ValueKind};
use minijinja::{Error, ErrorKind, State};

use super::python;

/// The filter. Its arguments keep transformers' order: `ensure_ascii`, `indent`, `separators`, `sort_keys`.
pub(super) fn tojson(state: &State, value: &Value, args: Rest<Value>, kwargs: Kwargs) -> Result<Value, Error> {
    let mut args = args.0.into_iter();
    let mut argument = |name: &str| -> Result<Option<Value>, Error> {
        let positional = args.next();
        Ok(positional.or(kwargs.get::<Option<Value>>(name)?).filter(|v| !v.is_none() && !v.is_undefined()))
    };
    let ensure_ascii = argument("ensure_ascii")?.is_some_and(|v| v.is_true());
    let indent = match argument("indent")? {
        None => None,
        Some(indent) => Some(match indent.as_str() {
            Some(text) => text.to_owned(),
            None => " ".repeat(i64::try_from(indent)?.clamp(0, 64) as usize),
        }),
    };
    let (comma, colon) = match argument("separators")? {
        None => (if indent.is_some() { "," } else { ", " }.to_owned(), ": ".to_owned()),
        Some(pair) => (pair.get_item_by_index(0)?.to_string(), pair.get_item_by_index(1)?.to_string()),
    };
    let sort_keys = argument("sort_keys")?.is_some_and(|v| v.is_true());
    kwargs.assert_all_used()?;

    let mut writer = Writer { state, out: String::new(), ensure_ascii, indent, comma, colon, sort_keys };
    writer.value(value, 0)?;
    Ok(Value::from(writer.out))
}

struct Writer<'a, 'b, 'c> {
    state: &'a State<'b, 'c>,
    out: String,
    ensure_ascii: bool,
    indent: Option<String>,
    comma: String,
    colon: String,
    sort_keys: bool,
}

impl Writer<'_, '_, '_> {
    fn value(&mut self, value: &Value, depth: usize) -> Result<(), Error> {
        python::visit(self.state, depth)?;
        match value.kind() {
            ValueKind::None => self.out.push_str("null"),
            ValueKind::Bool => self.out.push_str(if value.is_true() { "true" } else { "false" }),
            ValueKind::Number => self.number(value)?,
            ValueKind::String => self.string(value.as_str().unwrap_or_default())?,
            ValueKind::Seq | ValueKind::Iterable => self.list(value, depth)?,
            ValueKind::Map => self.dict(value, depth)?,
            kind => {
                return Err(Error::new(
                    ErrorKind::InvalidOperation,
                    format!("tojson cannot write a value of type {kind}"),
                ));
            }
        }
        Ok(())
    }

    fn number(&mut self, value: &Value) -> Result<(), Error> {
        match python::as_float(value) {
            Some(number) if number.is_nan() => self.out.push_str("NaN"),
            Some(number) if number.is_infinite() => {
                self.out.push_str(if number > 0.0 { "Infinity" } else { "-Infinity" })
            }
            Some(number) => self.out.push_str(&python::float(number)),
            None => write!(self.out, "{value}")?,
        }
        Ok(())
    }

    fn list(&mut self, list: &Value, depth: usize) -> Result<(), Error> {
        self.out.push('[');
        let mut empty = true;
        for item in list.try_iter()?.checked() {
            self.separate(empty, depth + 1);
            empty = false;
            self.value(&item?, depth + 1)?;
        }
        self.close(empty, depth, ']');
        Ok(())
    }

    fn dict(&mut self, dict: &Value, depth: usize) -> Result<(), Error> {
        let mut entries = Vec::new();
        for key in dict.try_iter()?.checked() {
            let key = key?;
            python::visit(self.state, depth)?;
            let name = match key.as_str() {
                Some(name) => name.to_owned(),
                // Python writes other scalar keys as the text of their JSON.
                None => {
                    let out = std::mem::take(&mut self.out);
                    self.value(&key, python::MAX_DEPTH)?;
                    std::mem::replace(&mut self.out, out)
                }
            };
            entries.push((name, dict.get_item(&key)?));
        }
        if self.sort_keys {
            entries.sort_by(|a, b| a.0.cmp(&b.0));
        }
        self.out.push('{');
        for (index, (name, value)) in entries.iter().enumerate() {
            self.separate(index == 0, depth + 1);
            self.string(name)?;
            self.out.push_str(&self.colon);
            self.value(value, depth + 1)?;
        }
        self.close(entries.is_empty(), depth, '}');
        Ok(())
    }

    fn separate(&mut self, first: bool, depth: usize) {
        if !first {
            self.out.push_str(&self.comma);
        }
        self.newline(depth);
    }

    fn close(&mut self, empty: bool, depth: usize, bracket: char) {
        if !empty {
            self.newline(depth);
        }
        self.out.push(bracket);
    }

    fn newline(&mut self, depth: usize) {
        if let Some(indent) = &self.indent {
            self.out.push('\n');
            for _ in 0..depth {
                self.out.push_str(indent);
            }
        }
    }

    fn string(&mut self, text: &str) -> Result<(), Error> {
        self.state.consume_fuel((text.len() / 64) as u64)?;
        self.out.push('"');
        for c in text.chars() {
            match c {
                '"' => self.out.push_str("\\\""),
                '\\' => self.out.push_str("\\\\"),
                '\n' => self.out.push_str("\\n"),
                '\r' => self.out.push_str("\\r"),
                '\t' => self.out.push_str("\\t"),
                '\u{8}' => self.out.push_str("\\b"),
                '\u{c}' => self.out.push_str("\\f"),
                ' '..='~' => self.out.push(c),
                '\0'..='\u{1f}' => write!(self.out, "\\u{:04x}", c as u32)?,
                c if self.ensure_ascii => {
                    for unit in c.encode_utf16(&mut [0; 2]) {
                        write!(self.out, "\\u{unit:04x}")?;
                    }
                }
                c => self.out.push(c),
            }
        }
        self.out.push('"');
        Ok(())
    }
}
