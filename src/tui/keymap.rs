//! The keys, in one table: what is pressed, what it does, what the help popup and `docs/tui.md` say about it.

use crossterm::event::{KeyCode, KeyEvent, KeyModifiers};

use KeyCode::{
    BackTab, Backspace, Char, Delete, Down, End, Enter, Esc, F, Home, Left, PageDown, PageUp, Right, Tab, Up,
};

/// What a key asks for. What comes of it depends on what is open (a question, a popup).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Action {
    Submit,
    Newline,
    Escape,
    CancelOrQuit,
    QuitOrDelete,
    Suspend,
    Undo,
    Redo,
    Details,
    Mode,
    Help,
    Redraw,
    Complete,
    Up,
    Down,
    PageUp,
    PageDown,
    LineUp,
    LineDown,
    Top,
    Bottom,
    Home,
    End,
    Left,
    Right,
    WordLeft,
    WordRight,
    Backspace,
    Delete,
    WordBackspace,
    WordDelete,
    KillToStart,
    KillToEnd,
    Yank,
}

/// A key with the modifiers that must be held.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Key(KeyModifiers, KeyCode);

/// One line of the table.
#[derive(Debug)]
pub struct Binding {
    pub action: Action,
    pub keys: &'static [Key],
    pub help: &'static str,
}

const fn key(code: KeyCode) -> Key {
    Key(KeyModifiers::NONE, code)
}
const fn ctrl(code: KeyCode) -> Key {
    Key(KeyModifiers::CONTROL, code)
}
const fn alt(code: KeyCode) -> Key {
    Key(KeyModifiers::ALT, code)
}
const fn shift(code: KeyCode) -> Key {
    Key(KeyModifiers::SHIFT, code)
}

macro_rules! bindings {
    ($($action:ident: [$($key:expr),+], $help:literal;)+) => {
        /// All keys, in the order in which help shows them.
        pub const BINDINGS: &[Binding] =
            &[$(Binding { action: Action::$action, keys: &[$($key),+], help: $help }),+];
    };
}

bindings! {
    Submit: [key(Enter)], "send; while the model works, the message waits for its turn";
    Newline: [alt(Enter), shift(Enter), ctrl(Char('j'))], "new line";
    Escape: [key(Esc)], "close what is open, else interrupt the model; in a question: no";
    CancelOrQuit: [ctrl(Char('c'))], "interrupt the model or clear the input; twice: quit";
    QuitOrDelete: [ctrl(Char('d'))], "quit, when the input is empty; else delete a character";
    Suspend: [ctrl(Char('z'))], "suspend; `fg` comes back";
    Undo: [ctrl(Char('g'))], "undo the last change of files (go back)";
    Redo: [ctrl(Char('r'))], "redo it";
    Details: [ctrl(Char('o'))], "unfold or fold reasoning, outputs and long diffs";
    Mode: [key(BackTab), shift(Tab)], "switch between asking for edits and allowing them";
    Help: [key(F(1))], "these keys";
    PageUp: [key(PageUp)], "scroll a page up";
    PageDown: [key(PageDown)], "scroll a page down";
    LineUp: [ctrl(Up), shift(Up)], "scroll a line up";
    LineDown: [ctrl(Down), shift(Down)], "scroll a line down";
    Top: [ctrl(Home)], "scroll to the beginning";
    Bottom: [ctrl(End)], "scroll to the end";
    Up: [key(Up), ctrl(Char('p'))], "line up; on the first line: earlier message";
    Down: [key(Down), ctrl(Char('n'))], "line down; on the last line: later message";
    Complete: [key(Tab)], "take the suggestion for `@file` or `/command`";
    Home: [key(Home), ctrl(Char('a'))], "start of the line; Home in an empty input: scroll to the beginning";
    End: [key(End), ctrl(Char('e'))], "end of the line; End in an empty input: scroll to the end";
    Left: [key(Left), ctrl(Char('b'))], "a character left";
    Right: [key(Right), ctrl(Char('f'))], "a character right";
    WordLeft: [ctrl(Left), alt(Left), alt(Char('b'))], "a word left";
    WordRight: [ctrl(Right), alt(Right), alt(Char('f'))], "a word right";
    Backspace: [key(Backspace), ctrl(Char('h'))], "delete the character before";
    Delete: [key(Delete)], "delete the character after";
    WordBackspace: [ctrl(Char('w')), alt(Backspace), ctrl(Backspace)], "delete the word before";
    WordDelete: [alt(Char('d')), ctrl(Delete)], "delete the word after";
    KillToStart: [ctrl(Char('u'))], "delete to the start of the line";
    KillToEnd: [ctrl(Char('k'))], "delete to the end of the line";
    Yank: [ctrl(Char('y'))], "insert what was deleted last";
    Redraw: [ctrl(Char('l'))], "draw the screen anew";
}

/// What a key event asks for, if it is in the table.
pub fn lookup(event: KeyEvent) -> Option<Action> {
    let held = event.modifiers & (KeyModifiers::CONTROL | KeyModifiers::ALT | KeyModifiers::SHIFT);
    let code = match event.code {
        Char(c) if held.intersects(KeyModifiers::CONTROL | KeyModifiers::ALT) => Char(c.to_ascii_lowercase()),
        code => code,
    };
    // Some terminals report Shift with Shift+Tab and some do not.
    let held = if code == BackTab { KeyModifiers::NONE } else { held };
    BINDINGS.iter().find(|b| b.keys.contains(&Key(held, code))).map(|b| b.action)
}

/// The character that a key event types.
pub fn typed(event: KeyEvent) -> Option<char> {
    match event.code {
        // AltGr is reported as Ctrl+Alt on some systems.
        Char(c)
            if !event.modifiers.intersects(KeyModifiers::CONTROL | KeyModifiers::ALT)
                || event.modifiers.contains(KeyModifiers::CONTROL | KeyModifiers::ALT) =>
        {
            (!c.is_control()).then_some(c)
        }
        _ => None,
    }
}

impl Binding {
    /// The keys as help spells them.
    pub fn label(&self) -> String {
        // Terminals report Shift+Tab in two ways; a person knows one.
        let mut labels: Vec<String> = self.keys.iter().map(Key::label).collect();
        labels.dedup();
        labels.join(", ")
    }
}

impl Key {
    #[cfg(test)]
    pub fn code(&self) -> KeyCode {
        self.1
    }

    #[cfg(test)]
    pub fn modifiers(&self) -> KeyModifiers {
        self.0
    }

    fn label(&self) -> String {
        let Key(held, code) = *self;
        let name = match code {
            Char(c) => c.to_ascii_uppercase().to_string(),
            F(n) => format!("F{n}"),
            BackTab => "Shift+Tab".into(),
            PageUp => "PgUp".into(),
            PageDown => "PgDn".into(),
            other => format!("{other:?}"),
        };
        let mut label = String::new();
        for (modifier, word) in
            [(KeyModifiers::CONTROL, "Ctrl+"), (KeyModifiers::ALT, "Alt+"), (KeyModifiers::SHIFT, "Shift+")]
        {
            if held.contains(modifier) {
                label.push_str(word);
            }
        }
        label + &name
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_key_means_two_things() {
        let keys: Vec<Key> = BINDINGS.iter().flat_map(|b| b.keys).copied().collect();
        for (i, key) in keys.iter().enumerate() {
            assert!(!keys[..i].contains(key), "{} is bound twice", key.label());
        }
    }

    #[test]
    fn the_documentation_lists_every_key() {
        let docs = include_str!("../../docs/tui.md");
        for binding in BINDINGS {
            let row = format!("| {} | {} |", binding.label(), binding.help);
            assert!(docs.contains(&row), "docs/tui.md lacks the row\n{row}");
        }
    }

    #[test]
    fn a_shifted_letter_is_typed() {
        let event = KeyEvent::new(Char('A'), KeyModifiers::SHIFT);
        assert_eq!((lookup(event), typed(event)), (None, Some('A')));
        let event = KeyEvent::new(Char('@'), KeyModifiers::CONTROL | KeyModifiers::ALT);
        assert_eq!((lookup(event), typed(event)), (None, Some('@')));
    }
}
