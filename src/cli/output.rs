//! What commands print.

use std::io::Write;

use serde::Serialize;

/// To stdout. A reader that has gone away wants no more of it.
pub(super) fn print(text: &str) {
    let mut out = std::io::stdout().lock();
    let _ = out.write_all(text.as_bytes()).and_then(|()| out.flush());
}

/// To stderr: what is no data.
pub(super) fn say(text: &str) {
    let _ = writeln!(std::io::stderr().lock(), "{text}");
}

/// What was asked for with `--json`, for people too.
pub(super) fn to_json(value: &impl Serialize) -> String {
    // These types hold strings and numbers alone, which always serialise.
    serde_json::to_string_pretty(value).unwrap_or_default() + "\n"
}
