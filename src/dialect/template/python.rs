//! How Python sees and prints the values of a template.

use std::fmt::Write as _;

use minijinja::value::{Kwargs, Rest, Value, ValueKind};
use minijinja::{Error, ErrorKind, State};

/// Nesting beyond which a value is not printed: Python gives up at about 1,000, and templates can build cycles.
pub(super) const MAX_DEPTH: usize = 128;

/// A JSON value as a template's value, keys in their order.
pub(super) fn from_json(value: &serde_json::Value) -> Value {
    match value {
        serde_json::Value::Null => Value::from(()),
        serde_json::Value::Bool(value) => Value::from(*value),
        serde_json::Value::String(text) => Value::from(text.as_str()),
        serde_json::Value::Array(items) => items.iter().map(from_json).collect(),
        serde_json::Value::Object(map) => Value::from_pairs(map.iter().map(|(k, v)| (k.as_str(), from_json(v)))),
        serde_json::Value::Number(number) => match (number.as_i64(), number.as_u64()) {
            (Some(value), _) => Value::from(value),
            (_, Some(value)) => Value::from(value),
            _ => Value::from(number.as_f64().unwrap_or(f64::NAN)),
        },
    }
}

/// `str(value)`.
pub(super) fn to_str(state: &State, value: &Value) -> Result<String, Error> {
    match value.kind() {
        ValueKind::Undefined => Ok(String::new()),
        ValueKind::String | ValueKind::Invalid => Ok(value.to_string()),
        _ => {
            let mut out = String::new();
            repr(state, value, &mut out, 0)?;
            Ok(out)
        }
    }
}

/// The `string` filter.
pub(super) fn string(state: &State, value: &Value) -> Result<Value, Error> {
    match value.kind() {
        ValueKind::String => Ok(value.clone()),
        _ => to_str(state, value).map(Value::from),
    }
}

/// What stands for the operator `~`.
pub(super) fn concat(state: &State, values: Rest<Value>) -> Result<Value, Error> {
    join_all(state, "", values.0.into_iter().map(Ok)).map(Value::from)
}

/// The `join` filter.
pub(super) fn join(state: &State, values: &Value, between: Option<Value>, kwargs: Kwargs) -> Result<Value, Error> {
    let between = between.or(kwargs.get("d")?).map_or_else(|| Ok(String::new()), |text| to_str(state, &text))?;
    let attribute: Option<String> = kwargs.get("attribute")?;
    kwargs.assert_all_used()?;
    let items = values.try_iter()?.checked().map(|item| match &attribute {
        Some(name) => item?.get_attr(name),
        None => item,
    });
    join_all(state, &between, items).map(Value::from)
}

/// `between.join(items)`, paid for as it grows.
pub(super) fn join_all(
    state: &State,
    between: &str,
    items: impl Iterator<Item = Result<Value, Error>>,
) -> Result<String, Error> {
    let mut out = String::new();
    for (index, item) in items.enumerate() {
        if index > 0 {
            out.push_str(between);
        }
        let item = item?;
        let start = out.len();
        match item.as_str() {
            Some(text) => out.push_str(text),
            None => out.push_str(&to_str(state, &item)?),
        }
        state.consume_fuel(1 + ((out.len() - start + between.len()) / 64) as u64)?;
    }
    Ok(out)
}

/// The `sequence` test: whatever has a length and items, so strings and dicts too.
pub(super) fn is_sequence(value: &Value) -> bool {
    value.is_undefined() || matches!(value.kind(), ValueKind::Seq | ValueKind::Map | ValueKind::String)
}

/// The float in `value`, if it is one.
pub(super) fn as_float(value: &Value) -> Option<f64> {
    (value.kind() == ValueKind::Number && !value.is_integer()).then(|| f64::try_from(value.clone()).ok())?
}

/// `repr` of a float: the shortest digits that read back the same, in scientific notation beyond 1e16 and below 1e-4.
pub(super) fn float(value: f64) -> String {
    if value.is_nan() {
        return "nan".into();
    }
    if value.is_infinite() {
        return if value > 0.0 { "inf".into() } else { "-inf".into() };
    }
    let scientific = format!("{value:e}");
    let (digits, exponent) = scientific.split_once('e').unwrap_or((&scientific, "0"));
    let exponent: i32 = exponent.parse().unwrap_or(0);
    if (-4..16).contains(&exponent) || value == 0.0 {
        return format!("{value:?}");
    }
    let sign = if exponent < 0 { '-' } else { '+' };
    format!("{digits}e{sign}{:02}", exponent.abs())
}

/// Charges for visiting one value, and refuses what is nested too deeply. A value can share its parts many times over, so
/// that without a charge a small one would print without end.
pub(super) fn visit(state: &State, depth: usize) -> Result<(), Error> {
    if depth > MAX_DEPTH {
        return Err(Error::new(ErrorKind::InvalidOperation, "a value is nested too deeply to be printed"));
    }
    state.consume_fuel(1)
}

fn repr(state: &State, value: &Value, out: &mut String, depth: usize) -> Result<(), Error> {
    visit(state, depth)?;
    match value.kind() {
        ValueKind::Undefined => out.push_str("Undefined"),
        ValueKind::Number => match as_float(value) {
            Some(number) => out.push_str(&float(number)),
            None => write!(out, "{value}")?,
        },
        ValueKind::Seq | ValueKind::Iterable => {
            let tuple = value.is_tuple();
            out.push(if tuple { '(' } else { '[' });
            let mut count = 0;
            for item in value.try_iter()?.checked() {
                if count > 0 {
                    out.push_str(", ");
                }
                repr(state, &item?, out, depth + 1)?;
                count += 1;
            }
            if tuple && count == 1 {
                out.push(',');
            }
            out.push(if tuple { ')' } else { ']' });
        }
        ValueKind::Map => {
            out.push('{');
            for (index, key) in value.try_iter()?.checked().enumerate() {
                let key = key?;
                if index > 0 {
                    out.push_str(", ");
                }
                repr(state, &key, out, depth + 1)?;
                out.push_str(": ");
                repr(state, &value.get_item(&key)?, out, depth + 1)?;
            }
            out.push('}');
        }
        _ => {
            let start = out.len();
            write!(out, "{value:?}")?;
            state.consume_fuel(((out.len() - start) / 64) as u64)?;
        }
    }
    Ok(())
}
