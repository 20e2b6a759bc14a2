//! What the user wants kept in mind in this project: a line of its `AGENTS.md`, which other agents read too.

use super::{Session, prompt};
use crate::workspace::{Applied, Edit, WorkspaceError};

/// The file whose text stands in the system prompt: <https://agents.md>.
pub(super) const FILE: &str = "AGENTS.md";

impl Session {
    /// Adds a note for all later sessions; this one is told with the next request. Returns what changed, and whether later ones
    /// will read as far as the note.
    ///
    /// # Errors
    /// The file cannot be read as text, or not be written.
    pub(super) fn note(&mut self, note: &str) -> Result<(Applied, bool), WorkspaceError> {
        let path = self.workspace.resolve(FILE)?;
        let old = if self.workspace.is_file(&path) { self.workspace.read(&path)?.text } else { String::new() };
        let content = with_note(&old, note);
        let fits = prompt::instructions(&*self.engine, &content).len() == content.trim().len();
        let applied = self.workspace.apply(self.workspace.plan(&Edit::Write { path, content })?, "remember")?;
        // The system prompt stays what it is until the next start, so that it need not be read again.
        self.news.push(format!("(The user wants this kept in mind: {})", one_line(note)));
        Ok((applied, fits))
    }
}

/// A text with a note at its end, as a further item where it ends with a list.
fn with_note(text: &str, note: &str) -> String {
    let is_item = |line: &str| line.starts_with(['-', '*', '+', ' ', '\t']);
    let head = text.trim_end();
    let gap = match head.lines().next_back() {
        None => "",
        Some(last) if is_item(last) => "\n",
        Some(_) => "\n\n",
    };
    format!("{head}{gap}- {}\n", one_line(note))
}

fn one_line(text: &str) -> String {
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_note_goes_on_with_the_list_at_the_end() {
        assert_eq!(with_note("", "Use  tabs.\n"), "- Use tabs.\n");
        assert_eq!(with_note("# Rules\n", "Use tabs."), "# Rules\n\n- Use tabs.\n");
        assert_eq!(with_note("- One\n  more\n\n", "Use tabs."), "- One\n  more\n- Use tabs.\n");
    }
}
