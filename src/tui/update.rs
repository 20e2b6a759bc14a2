//! What keys and pastes do: state in, state and effects out. Nothing here touches the terminal, a file or the session.

use std::time::Duration;

use crossterm::event::{KeyEvent, KeyEventKind};

use super::app::{App, Details, Files, Phase, Question, Scroll, Session};
use super::command::{self, COMMANDS, Command};
use super::complete::{self, Kind, Query};
use super::editor::Editor;
use super::keymap::{self, Action};
use super::transcript::Block;
use super::view::conversation;
use crate::permission::{Class, Decision, Mode};
use crate::session::Input;

/// Two presses of Ctrl+C within this quit.
const QUIT: Duration = Duration::from_secs(2);

/// What the loop is to do.
#[derive(Debug, Clone, PartialEq)]
pub enum Effect {
    Send(Input),
    Quit,
    Suspend,
    /// Draw everything, whatever the terminal is thought to show.
    Redraw,
    /// List the workspace's files; the answer comes by [`files`].
    ListFiles,
    /// Keep a sent message in the history file.
    Remember(String),
}

/// A key was pressed.
pub fn key(app: &mut App, event: KeyEvent, now: Duration) -> Vec<Effect> {
    if event.kind == KeyEventKind::Release {
        return Vec::new();
    }
    app.tick(now);
    let mut effects = Vec::new();
    let action = keymap::lookup(event);
    let typed = keymap::typed(event);
    if let Some(action) = action
        && everywhere(app, action, &mut effects)
    {
        return effects;
    }
    if app.help.is_some() {
        help_key(app, action);
    } else if app.question.as_ref().is_some_and(|q| q.armed(now)) {
        question_key(app, action, typed, &mut effects);
    } else {
        if let Some(question) = &mut app.question {
            question.defer(now);
        }
        app.last_typed = Some(now);
        input_key(app, action, typed, &mut effects);
        draft(app, &mut effects);
    }
    effects
}

/// Text was pasted. A paste never answers a question; it goes where text goes.
pub fn paste(app: &mut App, text: &str, now: Duration) -> Vec<Effect> {
    app.tick(now);
    app.help = None;
    app.last_typed = Some(now);
    let mut effects = Vec::new();
    match app.question.as_mut().and_then(|q| q.reason.as_mut()) {
        Some(reason) => reason.paste(text),
        None => {
            app.editor.paste(text);
            suggest(app, &mut effects);
            draft(app, &mut effects);
        }
    }
    effects
}

/// The mouse wheel was turned; negative is up. Terminals send it as bursts of arrow keys.
pub fn wheel(app: &mut App, lines: isize, now: Duration) {
    app.tick(now);
    scroll(app, lines);
}

/// The listing asked for has come.
pub fn files(app: &mut App, files: Vec<String>) -> Vec<Effect> {
    app.files = Files::Known(files);
    let mut effects = Vec::new();
    if app.question.is_none() && app.help.is_none() {
        suggest(app, &mut effects);
    }
    effects
}

/// Keys that mean the same whatever is open.
fn everywhere(app: &mut App, action: Action, effects: &mut Vec<Effect>) -> bool {
    match action {
        Action::CancelOrQuit => cancel_or_quit(app, effects),
        Action::Suspend => effects.push(Effect::Suspend),
        Action::Redraw => effects.push(Effect::Redraw),
        Action::Details => toggle_details(app),
        Action::Help => app.help = if app.help.is_some() { None } else { Some(0) },
        _ => return false,
    }
    true
}

fn cancel_or_quit(app: &mut App, effects: &mut Vec<Effect>) {
    if app.quit_until.is_some() {
        effects.push(Effect::Quit);
        return;
    }
    app.quit_until = Some(app.now + QUIT);
    app.help = None;
    app.popup = None;
    if app.busy() {
        effects.push(Effect::Send(Input::Interrupt));
    } else if !app.editor.is_empty() {
        app.editor.take();
    }
}

fn help_key(app: &mut App, action: Option<Action>) {
    let Some(top) = &mut app.help else { return };
    let page = app.viewport.1.max(1);
    match action {
        Some(Action::Up | Action::LineUp) => *top = top.saturating_sub(1),
        Some(Action::Down | Action::LineDown) => *top = top.saturating_add(1),
        Some(Action::PageUp) => *top = top.saturating_sub(page),
        Some(Action::PageDown) => *top = top.saturating_add(page),
        Some(Action::Home | Action::Top) => *top = 0,
        Some(Action::End | Action::Bottom) => *top = u16::MAX,
        _ => app.help = None,
    }
}

fn question_key(app: &mut App, action: Option<Action>, typed: Option<char>, effects: &mut Vec<Effect>) {
    let Some(question) = &mut app.question else { return };
    let decision = match &mut question.reason {
        Some(reason) => reason_key(reason, action, typed),
        None => choice_key(question, app.viewport.1, action, typed),
    };
    let Some(decision) = decision else { return };
    let (id, class) = (question.id.clone(), question.permission.class);
    if decision == Decision::Always {
        app.hint(match class {
            Class::Edit | Class::Read => "edits are allowed for the rest of this session",
            Class::Run => "this command is allowed for the rest of this session",
        });
    }
    app.question = None;
    app.phase = Phase::Running;
    effects.push(Effect::Send(Input::Answer { id, decision }));
}

fn choice_key(question: &mut Question, page: u16, action: Option<Action>, typed: Option<char>) -> Option<Decision> {
    match typed {
        Some('y' | 'Y') => return Some(Decision::Once),
        Some('a' | 'A') => return Some(Decision::Always),
        Some('n' | 'N') => question.reason = Some(Editor::new(Vec::new())),
        _ => {}
    }
    let page = usize::from(page.max(2) / 2);
    match action {
        Some(Action::Escape) => return Some(Decision::No(String::new())),
        Some(Action::Up | Action::LineUp) => question.scroll = question.scroll.saturating_sub(1),
        Some(Action::Down | Action::LineDown) => question.scroll = question.scroll.saturating_add(1),
        Some(Action::PageUp) => question.scroll = question.scroll.saturating_sub(page),
        Some(Action::PageDown) => question.scroll = question.scroll.saturating_add(page),
        Some(Action::Home | Action::Top) => question.scroll = 0,
        Some(Action::End | Action::Bottom) => question.scroll = usize::MAX,
        _ => {}
    }
    None
}

fn reason_key(reason: &mut Editor, action: Option<Action>, typed: Option<char>) -> Option<Decision> {
    match (action, typed) {
        (Some(Action::Submit), _) => return Some(Decision::No(reason.text().trim().to_owned())),
        (Some(Action::Escape), _) => return Some(Decision::No(String::new())),
        (Some(Action::Up | Action::Down), _) => {}
        (Some(action), _) => drop(reason.edit(action)),
        (None, Some(c)) => reason.insert(c),
        (None, None) => {}
    }
    None
}

fn input_key(app: &mut App, action: Option<Action>, typed: Option<char>, effects: &mut Vec<Effect>) {
    let Some(action) = action else {
        if let Some(c) = typed {
            app.editor.insert(c);
            suggest(app, effects);
        }
        return;
    };
    if app.popup.is_some() && popup_key(app, action, effects) {
        return;
    }
    let empty = app.editor.is_empty();
    let page = isize::try_from(app.viewport.1.saturating_sub(2).max(1)).unwrap_or(1);
    match action {
        Action::Submit => submit(app, effects),
        Action::Escape => escape(app, effects),
        Action::QuitOrDelete if empty => effects.push(Effect::Quit),
        Action::Undo => effects.push(Effect::Send(Input::Undo(1))),
        Action::Redo => effects.push(Effect::Send(Input::Redo(1))),
        Action::Mode => next_mode(app, effects),
        Action::PageUp => scroll(app, -page),
        Action::PageDown => scroll(app, page),
        Action::LineUp => scroll(app, -1),
        Action::LineDown => scroll(app, 1),
        Action::Top => app.scroll = Scroll::At { block: 0, line: 0 },
        Action::Home if empty => app.scroll = Scroll::At { block: 0, line: 0 },
        Action::Bottom => app.scroll = Scroll::Follow,
        Action::End if empty => app.scroll = Scroll::Follow,
        action => {
            if app.editor.edit(action) {
                // Walking through the history must not open a list over what is recalled.
                match action {
                    Action::Up | Action::Down => app.popup = None,
                    _ => suggest(app, effects),
                }
            }
        }
    }
}

fn popup_key(app: &mut App, action: Action, effects: &mut Vec<Effect>) -> bool {
    let Some(popup) = &mut app.popup else { return false };
    let count = popup.items.len();
    match action {
        Action::Up => popup.selected = (popup.selected + count - 1) % count,
        Action::Down => popup.selected = (popup.selected + 1) % count,
        Action::Escape => app.popup = None,
        Action::Complete => accept(app, effects),
        Action::Submit => {
            let Some(item) = popup.items.get(popup.selected) else { return false };
            let (kind, text) = (popup.kind, item.text.clone());
            if app.editor.before_cursor().ends_with(text.trim_end()) {
                app.popup = None;
                return false;
            }
            accept(app, effects);
            // A command that needs no argument runs at once.
            let complete =
                |spec: &command::Spec| text.trim_end() == format!("/{}", spec.name) && !spec.args.contains('|');
            if kind == Kind::Command && COMMANDS.iter().any(complete) {
                submit(app, effects);
            }
        }
        _ => return false,
    }
    true
}

fn accept(app: &mut App, effects: &mut Vec<Effect>) {
    let Some(popup) = app.popup.take() else { return };
    if let Some(item) = popup.items.get(popup.selected) {
        app.editor.replace_before(popup.replaces, &item.text);
    }
    suggest(app, effects);
}

/// Opens, changes or closes the list of suggestions after the text before the cursor.
fn suggest(app: &mut App, effects: &mut Vec<Effect>) {
    let before = app.editor.before_cursor();
    let first_line = app.editor.shown().starts_with(&before);
    let was_open = app.popup.as_ref().is_some_and(|popup| popup.kind == Kind::File);
    let Some(query) = complete::query(&before, first_line) else {
        app.popup = None;
        return;
    };
    if matches!(query, Query::File(_)) && !was_open && before.ends_with('@') {
        // Files come and go, so each completion begins with a fresh listing.
        let known = app.files.known().to_vec();
        if !matches!(app.files, Files::Listing(_)) {
            app.files = Files::Listing(known);
            effects.push(Effect::ListFiles);
        }
    }
    app.popup = complete::popup(&query, app.files.known());
}

/// Tells the session of the text under way: when it begins, and whenever it names other files. It reads them meanwhile.
fn draft(app: &mut App, effects: &mut Vec<Effect>) {
    let text = app.editor.text();
    if app.busy() || app.session == Session::Ended || text.trim().is_empty() || text.starts_with('/') {
        return;
    }
    // A name is whole once something follows it.
    let named = |word: &&str| word.starts_with('@') && word.ends_with(char::is_whitespace);
    let files: String = text.split_inclusive(char::is_whitespace).filter(named).collect();
    if app.drafted.as_ref() != Some(&files) {
        app.drafted = Some(files);
        effects.push(Effect::Send(Input::Draft(text)));
    }
}

fn escape(app: &mut App, effects: &mut Vec<Effect>) {
    if app.busy() {
        effects.push(Effect::Send(Input::Interrupt));
        app.hint("interrupting");
    } else {
        app.scroll = Scroll::Follow;
    }
}

fn submit(app: &mut App, effects: &mut Vec<Effect>) {
    let text = app.editor.text().trim_end().to_owned();
    app.popup = None;
    if text.trim().is_empty() {
        return;
    }
    match command::parse(&text) {
        Some(Ok(command)) => {
            app.editor.take();
            run(app, command, effects);
        }
        Some(Err(sentence)) => app.hint(sentence),
        None if app.session == Session::Ended => app.hint("the session has ended; Ctrl+D quits, --resume last goes on"),
        None => {
            app.editor.take();
            app.scroll = Scroll::Follow;
            if !app.busy() {
                app.phase = Phase::Starting;
                app.turn_began = app.now;
            }
            app.queued.push_back(text.clone());
            effects.push(Effect::Remember(text.clone()));
            effects.push(Effect::Send(Input::Prompt(text)));
        }
    }
}

fn run(app: &mut App, command: Command, effects: &mut Vec<Effect>) {
    match command {
        Command::Help => app.help = Some(0),
        Command::Undo(n) => effects.push(Effect::Send(Input::Undo(n))),
        Command::Redo(n) => effects.push(Effect::Send(Input::Redo(n))),
        Command::Mode(mode) => set_mode(app, mode, effects),
        Command::Details => toggle_details(app),
        Command::Context => effects.push(Effect::Send(Input::Context)),
        Command::LeaveOut(number) => effects.push(Effect::Send(Input::LeaveOut(number))),
        Command::Note(text) => effects.push(Effect::Send(Input::Note(text))),
        Command::Quit => effects.push(Effect::Quit),
        Command::Diff => match app.last_change.clone() {
            Some((title, diff)) => {
                app.scroll = Scroll::Follow;
                app.transcript.push(Block::Changed { title, diff });
            }
            None => app.hint("no file was changed in this session"),
        },
    }
}

/// The key switches between the two harmless modes; commands without asking must be typed out.
fn next_mode(app: &mut App, effects: &mut Vec<Effect>) {
    let mode = match app.status.mode {
        Mode::Ask => Mode::Edits,
        Mode::Edits | Mode::Yes => Mode::Ask,
    };
    set_mode(app, mode, effects);
}

fn set_mode(app: &mut App, mode: Mode, effects: &mut Vec<Effect>) {
    app.status.mode = mode;
    app.hint(match mode {
        Mode::Ask => "edits and commands are asked for",
        Mode::Edits => "edits are allowed, commands are asked for",
        Mode::Yes => "edits and commands are allowed",
    });
    effects.push(Effect::Send(Input::Mode(mode)));
}

fn toggle_details(app: &mut App) {
    app.details = match app.details {
        Details::Folded => Details::Unfolded,
        Details::Unfolded => Details::Folded,
    };
    if let Scroll::At { block, .. } = app.scroll {
        app.scroll = Scroll::At { block, line: 0 };
    }
}

fn scroll(app: &mut App, lines: isize) {
    app.scroll = conversation::scrolled(app, lines);
}
