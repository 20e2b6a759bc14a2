//! The input box: an editor whose large pastes stand as one placeholder, and the history of what was sent.

use ratatui::buffer::Buffer;
use ratatui::layout::Rect;
use ratatui::style::Style;
use ratatui::widgets::Widget;
use ratatui_textarea::{CursorMove, DataCursor, TextArea, WrapMode};

use super::keymap::Action;

/// A paste of more lines than this stands as a placeholder.
const PASTE_LINES: usize = 10;
/// A paste of more bytes than this, too.
const PASTE_BYTES: usize = 2_000;

/// A text under edit.
pub struct Editor {
    area: TextArea<'static>,
    /// What the placeholders in the text stand for.
    pastes: Vec<Paste>,
    history: History,
    /// Rows at a width, as last measured; dropped when the text changes.
    measured: Option<(u16, u16)>,
}

struct Paste {
    placeholder: String,
    text: String,
}

/// What was sent, oldest first, and where in it the user is.
#[derive(Default)]
struct History {
    entries: Vec<String>,
    at: Option<usize>,
    /// What stood in the box when the user went back.
    draft: String,
}

impl Editor {
    pub fn new(history: Vec<String>) -> Self {
        Self {
            area: blank_area(),
            pastes: Vec::new(),
            history: History { entries: history, ..History::default() },
            measured: None,
        }
    }

    pub fn is_empty(&self) -> bool {
        self.area.is_empty()
    }

    /// The text as shown, with placeholders.
    pub fn shown(&self) -> String {
        self.area.lines().join("\n")
    }

    /// The text as meant, pastes in their places.
    pub fn text(&self) -> String {
        let mut rest = self.shown();
        let mut out = String::with_capacity(rest.len());
        // The earliest placeholder first; what a paste contains is not searched, since it may look like a placeholder.
        while let Some((at, paste)) =
            self.pastes.iter().filter_map(|p| rest.find(&p.placeholder).map(|at| (at, p))).min_by_key(|(at, _)| *at)
        {
            out.push_str(&rest[..at]);
            out.push_str(&paste.text);
            rest.drain(..at + paste.placeholder.len());
        }
        out + &rest
    }

    pub fn set(&mut self, text: &str) {
        self.area = blank_area();
        self.pastes.clear();
        self.area.insert_str(text);
        self.measured = None;
    }

    /// Empties the box; the text stays reachable in the history.
    pub fn take(&mut self) -> String {
        let text = self.text();
        self.set("");
        self.history.at = None;
        if !text.trim().is_empty() && self.history.entries.last() != Some(&text) {
            self.history.entries.push(text.clone());
        }
        text
    }

    pub fn insert(&mut self, c: char) {
        self.area.insert_char(c);
        self.measured = None;
    }

    /// Takes a paste. Line ends become `\n`; control characters go.
    pub fn paste(&mut self, text: &str) {
        let text = text.replace("\r\n", "\n").replace('\r', "\n");
        let text: String = text.chars().filter(|c| matches!(c, '\n' | '\t') || !c.is_control()).collect();
        let lines = text.lines().count();
        self.measured = None;
        if lines <= PASTE_LINES && text.len() <= PASTE_BYTES {
            self.area.insert_str(text);
            return;
        }
        let placeholder = self.placeholder(lines, text.chars().count());
        self.area.insert_str(&placeholder);
        self.pastes.push(Paste { placeholder, text });
    }

    /// A name that does not stand in the text yet.
    fn placeholder(&self, lines: usize, chars: usize) -> String {
        let size = if lines > 1 { format!("{lines} lines") } else { format!("{chars} characters") };
        let shown = self.shown();
        (1..)
            .map(|n| if n == 1 { format!("[pasted {size}]") } else { format!("[pasted {size} #{n}]") })
            .find(|name| !shown.contains(name.as_str()) && !self.pastes.iter().any(|p| p.placeholder == *name))
            .unwrap_or_default()
    }

    /// Does what an editing key asks for; `false` where the action is not one of editing.
    pub fn edit(&mut self, action: Action) -> bool {
        let area = &mut self.area;
        match action {
            Action::Newline => area.insert_newline(),
            Action::Left => area.move_cursor(CursorMove::Back),
            Action::Right => area.move_cursor(CursorMove::Forward),
            Action::WordLeft => area.move_cursor(CursorMove::WordBack),
            Action::WordRight => area.move_cursor(CursorMove::WordForward),
            Action::Home => area.move_cursor(CursorMove::Head),
            Action::End => area.move_cursor(CursorMove::End),
            Action::Backspace => self.backspace(),
            Action::Delete | Action::QuitOrDelete => drop(area.delete_next_char()),
            Action::WordBackspace => drop(area.delete_word()),
            Action::WordDelete => drop(area.delete_next_word()),
            Action::KillToStart => drop(area.delete_line_by_head()),
            Action::KillToEnd => drop(area.delete_line_by_end()),
            Action::Yank => drop(area.paste()),
            Action::Up => self.up(),
            Action::Down => self.down(),
            _ => return false,
        }
        self.measured = None;
        true
    }

    /// Deletes a character, or a placeholder as a whole.
    fn backspace(&mut self) {
        let before = self.before_cursor();
        let Some(paste) = self.pastes.iter().position(|p| before.ends_with(&p.placeholder)) else {
            self.area.delete_char();
            return;
        };
        for _ in self.pastes.remove(paste).placeholder.chars() {
            self.area.delete_char();
        }
    }

    /// The text of the cursor's line before it.
    pub fn before_cursor(&self) -> String {
        let DataCursor(row, column) = self.area.cursor();
        self.area.lines().get(row).map(|line| line.chars().take(column).collect()).unwrap_or_default()
    }

    /// Replaces the `chars` characters before the cursor.
    pub fn replace_before(&mut self, chars: usize, with: &str) {
        for _ in 0..chars {
            self.area.delete_char();
        }
        self.area.insert_str(with);
        self.measured = None;
    }

    fn up(&mut self) {
        let before = self.area.cursor();
        self.area.move_cursor(CursorMove::Up);
        if self.area.cursor() != before {
            return;
        }
        let at = self.history.at.unwrap_or(self.history.entries.len());
        let Some(earlier) = at.checked_sub(1) else { return };
        if self.history.at.is_none() {
            self.history.draft = self.text();
        }
        self.history.at = Some(earlier);
        let text = self.history.entries[earlier].clone();
        self.recall(&text);
    }

    fn down(&mut self) {
        let before = self.area.cursor();
        self.area.move_cursor(CursorMove::Down);
        if self.area.cursor() != before {
            return;
        }
        let Some(at) = self.history.at else { return };
        let text = match self.history.entries.get(at + 1) {
            Some(text) => text.clone(),
            None => std::mem::take(&mut self.history.draft),
        };
        self.history.at = (at + 1 < self.history.entries.len()).then_some(at + 1);
        self.recall(&text);
    }

    fn recall(&mut self, text: &str) {
        self.set("");
        self.paste(text);
    }

    /// Rows that the text takes at a width.
    pub fn rows(&mut self, width: u16) -> u16 {
        if let Some((w, rows)) = self.measured
            && w == width
        {
            return rows;
        }
        // Only a drawn area knows its rows, and drawing moves its viewport: so a copy is drawn.
        let mut copy = self.area.clone();
        let scratch = Rect::new(0, 0, width.max(1), 1);
        (&copy).render(scratch, &mut Buffer::empty(scratch));
        copy.move_cursor(CursorMove::Bottom);
        copy.move_cursor(CursorMove::End);
        let rows = u16::try_from(copy.screen_cursor().row + 1).unwrap_or(u16::MAX);
        self.measured = Some((width, rows));
        rows
    }

    /// Draws the text and says where the cursor is.
    pub fn render(&mut self, area: Rect, buffer: &mut Buffer, style: Style) -> (u16, u16) {
        self.area.set_style(style);
        (&self.area).render(area, buffer);
        let cursor = self.area.screen_cursor();
        let (top, left) = self.area.scroll_offset();
        let row = (cursor.row as u16).saturating_sub(top).min(area.height.saturating_sub(1));
        let column = (cursor.col as u16).saturating_sub(left).min(area.width.saturating_sub(1));
        (area.x + column, area.y + row)
    }
}

fn blank_area() -> TextArea<'static> {
    let mut area = TextArea::default();
    area.set_wrap_mode(WrapMode::WordOrGlyph);
    // The terminal's own cursor is used, so that input methods know where it is.
    area.set_cursor_style(Style::new());
    area.set_cursor_line_style(Style::new());
    area
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_large_paste_is_shown_short_and_sent_whole() {
        let mut editor = Editor::new(Vec::new());
        let paste = "line\r\n".repeat(300);
        "see ".chars().for_each(|c| editor.insert(c));
        editor.paste(&paste);
        editor.paste(&paste);
        assert_eq!(editor.shown(), "see [pasted 300 lines][pasted 300 lines #2]");
        editor.edit(Action::Backspace);
        assert_eq!(editor.text(), format!("see {}", "line\n".repeat(300)));
        editor.edit(Action::Backspace);
        assert_eq!(editor.text(), "see ");
    }

    #[test]
    fn a_paste_that_looks_like_a_placeholder_is_text() {
        let mut editor = Editor::new(Vec::new());
        let inner = format!("[pasted 12 lines #2]{}", "\nx".repeat(11));
        editor.paste(&inner);
        editor.paste(&"y\n".repeat(12));
        assert_eq!(editor.text(), inner + &"y\n".repeat(12));
    }

    #[test]
    fn history_goes_back_and_comes_forth_to_the_draft() {
        let mut editor = Editor::new(vec!["one".into(), "two\nlines".into()]);
        editor.insert('d');
        editor.edit(Action::Up);
        assert_eq!(editor.text(), "two\nlines");
        editor.edit(Action::Up);
        assert_eq!(editor.text(), "two\nlines", "the cursor goes up a line first");
        editor.edit(Action::Up);
        assert_eq!(editor.text(), "one");
        editor.edit(Action::Up);
        editor.edit(Action::Down);
        editor.edit(Action::Down);
        assert_eq!(editor.text(), "d");
    }

    #[test]
    fn rows_follow_the_width() {
        let mut editor = Editor::new(Vec::new());
        editor.paste("one two three\nfour");
        assert_eq!((editor.rows(40), editor.rows(8)), (2, 3));
    }
}
