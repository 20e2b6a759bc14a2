//! The file of sent messages: one JSON string a line, so that a message may have lines of its own. Losing it is no harm, so
//! failures are noted in the log and otherwise ignored.

use std::fs::{self, OpenOptions};
use std::io::Write;
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;

/// Messages kept in memory.
const KEPT: usize = 1_000;

/// The last messages, oldest first.
pub fn load(path: &Path) -> Vec<String> {
    let text = match fs::read(path) {
        Ok(bytes) => String::from_utf8_lossy(&bytes).into_owned(),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Vec::new(),
        Err(error) => {
            tracing::warn!(path = %path.display(), %error, "the history of messages cannot be read");
            return Vec::new();
        }
    };
    // A line that was cut off by a crash is no message.
    let mut messages: Vec<String> = text.lines().filter_map(|line| serde_json::from_str(line).ok()).collect();
    messages.drain(..messages.len().saturating_sub(KEPT));
    messages
}

/// Adds a message.
pub fn append(path: &Path, message: &str) {
    if let Err(error) = try_append(path, message) {
        tracing::warn!(path = %path.display(), %error, "the history of messages cannot be written");
    }
}

fn try_append(path: &Path, message: &str) -> std::io::Result<()> {
    if let Some(folder) = path.parent() {
        fs::create_dir_all(folder)?;
    }
    // What one asks is nobody else's business.
    let mut file = OpenOptions::new().create(true).append(true).mode(0o600).open(path)?;
    // In one write, so that two sessions at a time do not mix their lines.
    file.write_all(format!("{}\n", serde_json::Value::from(message)).as_bytes())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn messages_come_back_and_a_broken_line_is_skipped() -> std::io::Result<()> {
        let folder = tempfile::tempdir()?;
        let path = folder.path().join("sub/history.jsonl");
        assert_eq!(load(&path), Vec::<String>::new());
        append(&path, "one\ntwo");
        fs::write(&path, fs::read_to_string(&path)? + "\"cut o\n")?;
        append(&path, "three");
        assert_eq!(load(&path), ["one\ntwo", "three"]);
        Ok(())
    }
}
