//! Methods of Python's strings, lists and dicts beyond those that minijinja-contrib brings.

use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use minijinja::value::{Enumerator, Kwargs, Object, ObjectRepr, Rest, Value, ValueKind, from_args};
use minijinja::{Error, ErrorKind, State};
use minijinja_contrib::pycompat;

use super::python;

/// Calls `value.method(args)`.
pub(super) fn call(state: &mut State, value: &Value, method: &str, args: &[Value]) -> Result<Value, Error> {
    let found = match value.kind() {
        ValueKind::String if method == "join" => {
            let (items,): (&Value,) = from_args(args)?;
            let text = python::join_all(state, value.as_str().unwrap_or_default(), items.try_iter()?.checked())?;
            Some(Value::from(text))
        }
        ValueKind::String => string(value.as_str().unwrap_or_default(), method, args)?,
        ValueKind::Map if method == "copy" => Some(value.clone()),
        ValueKind::Seq => list(value, method, args)?,
        _ => None,
    };
    match found {
        Some(value) => Ok(value),
        None => pycompat::unknown_method_callback(state, value, method, args),
    }
}

/// A filter that is a method of strings under the name `method`, for whatever value.
pub(super) fn filter(method: &'static str) -> impl Fn(&mut State, &Value, Rest<Value>) -> Result<Value, Error> {
    move |state, value, args| {
        let text = python::string(state, value)?;
        call(state, &text, method, &args.0)
    }
}

fn string(text: &str, method: &str, args: &[Value]) -> Result<Option<Value>, Error> {
    let pair = |found: Option<usize>, len: usize| found.map(|at| (&text[..at], &text[at + len..]));
    Ok(Some(match method {
        "removeprefix" => {
            let (prefix,): (&str,) = from_args(args)?;
            text.strip_prefix(prefix).unwrap_or(text).into()
        }
        "removesuffix" => {
            let (suffix,): (&str,) = from_args(args)?;
            text.strip_suffix(suffix).unwrap_or(text).into()
        }
        "partition" => {
            let (sep,): (&str,) = from_args(args)?;
            let (before, sep, after) = match pair(find(text, sep)?, sep.len()) {
                Some((before, after)) => (before, sep, after),
                None => (text, "", ""),
            };
            Value::from_iter([before, sep, after])
        }
        "rpartition" => {
            let (sep,): (&str,) = from_args(args)?;
            find(text, sep)?;
            let (before, sep, after) = match pair(text.rfind(sep), sep.len()) {
                Some((before, after)) => (before, sep, after),
                None => ("", "", text),
            };
            Value::from_iter([before, sep, after])
        }
        "split" | "rsplit" => split(text, method == "rsplit", args)?,
        "splitlines" => {
            let (keep,): (Option<bool>,) = from_args(args)?;
            Value::from_iter(lines(text, keep.unwrap_or(false)))
        }
        "swapcase" => text
            .chars()
            .flat_map(|c| match c.is_uppercase() {
                true => c.to_lowercase().collect::<Vec<_>>(),
                false => c.to_uppercase().collect(),
            })
            .collect::<String>()
            .into(),
        "casefold" => text.to_lowercase().into(),
        "index" | "rindex" => {
            let (what,): (&str,) = from_args(args)?;
            let at = if method == "index" { text.find(what) } else { text.rfind(what) };
            let at = at.ok_or_else(|| Error::new(ErrorKind::InvalidOperation, "substring not found"))?;
            Value::from(text[..at].chars().count())
        }
        "zfill" | "ljust" | "rjust" | "center" => pad(text, method, args)?,
        _ => return Ok(None),
    }))
}

fn find(text: &str, sep: &str) -> Result<Option<usize>, Error> {
    if sep.is_empty() {
        return Err(Error::new(ErrorKind::InvalidOperation, "empty separator"));
    }
    Ok(text.find(sep))
}

/// `str.split` and `str.rsplit`, whose arguments may be named.
fn split(text: &str, from_right: bool, args: &[Value]) -> Result<Value, Error> {
    let (sep, max, kwargs): (Option<Value>, Option<i64>, Kwargs) = from_args(args)?;
    let sep = sep.or(kwargs.get("sep")?).filter(|sep| !sep.is_none());
    let max = max.or(kwargs.get("maxsplit")?).and_then(|max| usize::try_from(max).ok());
    kwargs.assert_all_used()?;
    let parts: Vec<&str> = match &sep {
        Some(sep) => {
            let sep =
                sep.as_str().ok_or_else(|| Error::new(ErrorKind::InvalidOperation, "the separator is no string"))?;
            find(text, sep)?;
            match (max, from_right) {
                (None, _) => text.split(sep).collect(),
                (Some(max), false) => text.splitn(max.saturating_add(1), sep).collect(),
                (Some(max), true) => reversed(text.rsplitn(max.saturating_add(1), sep)),
            }
        }
        None => words(text, max.unwrap_or(usize::MAX), from_right),
    };
    Ok(Value::from_iter(parts))
}

fn reversed<'a>(parts: impl Iterator<Item = &'a str>) -> Vec<&'a str> {
    let mut parts: Vec<_> = parts.collect();
    parts.reverse();
    parts
}

/// Splits at runs of white space, at most `max` times; the rest keeps its inner white space.
fn words(text: &str, max: usize, from_right: bool) -> Vec<&str> {
    let mut parts = Vec::new();
    let mut rest = text.trim();
    while !rest.is_empty() {
        let cut = if from_right { rest.rfind(char::is_whitespace) } else { rest.find(char::is_whitespace) };
        match cut {
            Some(at) if parts.len() < max => {
                if from_right {
                    let word = rest[at..].trim_start();
                    parts.push(word);
                    rest = rest[..at].trim_end();
                } else {
                    parts.push(&rest[..at]);
                    rest = rest[at..].trim_start();
                }
            }
            _ => {
                parts.push(rest);
                break;
            }
        }
    }
    if from_right {
        parts.reverse();
    }
    parts
}

/// `str.splitlines`: Python ends lines at more characters than `\n`.
fn lines(text: &str, keep_ends: bool) -> Vec<&str> {
    let is_end =
        |c| matches!(c, '\n' | '\r' | '\u{b}' | '\u{c}' | '\u{1c}'..='\u{1e}' | '\u{85}' | '\u{2028}' | '\u{2029}');
    let mut lines = Vec::new();
    let mut rest = text;
    while let Some(at) = rest.find(is_end) {
        let end = match rest[at..].starts_with("\r\n") {
            true => at + 2,
            false => at + rest[at..].chars().next().map_or(1, char::len_utf8),
        };
        lines.push(&rest[..if keep_ends { end } else { at }]);
        rest = &rest[end..];
    }
    if !rest.is_empty() {
        lines.push(rest);
    }
    lines
}

fn pad(text: &str, method: &str, args: &[Value]) -> Result<Value, Error> {
    let (width, fill): (usize, Option<&str>) = from_args(args)?;
    let missing = width.saturating_sub(text.chars().count());
    if missing > 1 << 16 {
        return Err(Error::new(ErrorKind::InvalidOperation, "the width is too large"));
    }
    let fill = fill.unwrap_or(if method == "zfill" { "0" } else { " " });
    Ok(Value::from(match method {
        "ljust" => format!("{text}{}", fill.repeat(missing)),
        "center" => format!("{}{text}{}", fill.repeat(missing / 2), fill.repeat(missing - missing / 2)),
        "zfill" if text.starts_with(['-', '+']) => format!("{}{}{}", &text[..1], fill.repeat(missing), &text[1..]),
        _ => format!("{}{text}", fill.repeat(missing)),
    }))
}

fn list(value: &Value, method: &str, args: &[Value]) -> Result<Option<Value>, Error> {
    match method {
        "index" => {
            let (what,): (&Value,) = from_args(args)?;
            for (index, item) in value.try_iter()?.checked().enumerate() {
                if item? == *what {
                    return Ok(Some(Value::from(index)));
                }
            }
            Err(Error::new(ErrorKind::InvalidOperation, "the value is not in the list"))
        }
        "copy" => Ok(Some(value.try_iter()?.collect())),
        _ => Ok(None),
    }
}

/// A list that a template can change. minijinja's own lists are immutable, so list literals of templates that change
/// lists are wrapped in this.
pub(super) struct List(Mutex<Vec<Value>>);

impl List {
    /// Makes a mutable copy of a list.
    pub(super) fn from_value(items: Value) -> Result<Value, Error> {
        let items = items.try_iter()?.checked().collect::<Result<Vec<_>, _>>()?;
        Ok(Value::from_object(Self(Mutex::new(items))))
    }

    fn items(&self) -> MutexGuard<'_, Vec<Value>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl fmt::Debug for List {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("[...]")
    }
}

impl Object for List {
    fn repr(self: &Arc<Self>) -> ObjectRepr {
        ObjectRepr::Seq
    }

    fn get_value(self: &Arc<Self>, key: &Value) -> Option<Value> {
        self.items().get(key.as_usize()?).cloned()
    }

    fn enumerate(self: &Arc<Self>) -> Enumerator {
        Enumerator::Values(self.items().clone())
    }

    fn enumerator_len(self: &Arc<Self>) -> Option<usize> {
        Some(self.items().len())
    }

    fn call_method(self: &Arc<Self>, state: &mut State, method: &str, args: &[Value]) -> Result<Value, Error> {
        let out_of_range = || Error::new(ErrorKind::InvalidOperation, format!("{method}: index out of range"));
        let position = |index: i64, len: usize| match index {
            i if i < 0 => (len as i64 + i).max(0) as usize,
            i => (i as usize).min(len),
        };
        match method {
            "append" => {
                let (item,): (Value,) = from_args(args)?;
                let item = frozen(state, &item, 0)?;
                self.items().push(item);
            }
            "insert" => {
                let (index, item): (i64, Value) = from_args(args)?;
                let item = frozen(state, &item, 0)?;
                let mut items = self.items();
                let at = position(index, items.len());
                items.insert(at, item);
            }
            "extend" => {
                let (more,): (Value,) = from_args(args)?;
                let more = frozen(state, &more.try_iter()?.collect(), 0)?;
                self.items().extend(more.try_iter()?);
            }
            "pop" => {
                let (index,): (Option<i64>,) = from_args(args)?;
                let mut items = self.items();
                let index = index.unwrap_or(-1);
                let at = if index < 0 { items.len() as i64 + index } else { index };
                let at = usize::try_from(at).ok().filter(|at| *at < items.len()).ok_or_else(out_of_range)?;
                return Ok(items.remove(at));
            }
            "reverse" => self.items().reverse(),
            "clear" => self.items().clear(),
            "sort" => self.items().sort(),
            "remove" => {
                let (item,): (Value,) = from_args(args)?;
                let mut items = self.items();
                let at = items.iter().position(|other| *other == item).ok_or_else(out_of_range)?;
                items.remove(at);
            }
            _ => return Err(Error::from(ErrorKind::UnknownMethod)),
        }
        Ok(Value::from(()))
    }
}

/// A copy of `value` without mutable lists in it, so that no list can come to contain itself.
fn frozen(state: &State, value: &Value, depth: usize) -> Result<Value, Error> {
    python::visit(state, depth)?;
    match value.kind() {
        ValueKind::Seq | ValueKind::Iterable if !value.is_tuple() => {
            value.try_iter()?.checked().map(|item| frozen(state, &item?, depth + 1)).collect()
        }
        ValueKind::Map => {
            let mut entries = Vec::new();
            for key in value.try_iter()?.checked() {
                let key = key?;
                entries.push((key.clone(), frozen(state, &value.get_item(&key)?, depth + 1)?));
            }
            Ok(Value::from_pairs(entries))
        }
        _ => Ok(value.clone()),
    }
}
