//! What a server was told and what it said: the texts of files, the errors that it published for them, and which of those are
//! new.

use std::collections::{HashMap, HashSet};
use std::path::{Path, PathBuf};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use async_lsp::lsp_types::Url;
use serde::Deserialize;
use serde_json::Value;
use tokio::sync::watch;
use tokio::time::Instant;
use xxhash_rust::xxh3::xxh3_64;

use crate::code::syntax;

/// A server that sends what it finds piece by piece is taken to be done when it has been silent for so long.
const QUIET: Duration = Duration::from_millis(200);
/// Errors of a file that are kept.
const MOST: usize = 200;
/// Texts of a file of which it is known what was wrong with them.
const KNOWN: usize = 64;
/// Characters of an error's message.
const MESSAGE: usize = 200;
/// Characters of a line that are kept with an error in it.
const LINE: usize = 200;
/// Changes in a row that a server which answered before may leave unanswered, where it would have had something to take back.
const MISSES: u32 = 2;
/// How often the time that a server is waited for is halved, one that says nothing of a file in which nothing is wrong.
const HALVINGS: u32 = 3;

/// An error that a server found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Diagnostic {
    /// Counts from 1.
    pub line: usize,
    /// One line.
    pub message: String,
    /// The line that it is in, without what stands around it.
    text: String,
}

/// What one server knows.
pub(super) struct Board {
    /// Codes of errors behind which the server does not see what it needs.
    blind: &'static [&'static str],
    state: Mutex<State>,
    /// Counts what happened here.
    events: watch::Sender<u64>,
}

#[derive(Default)]
struct State {
    documents: HashMap<PathBuf, Document>,
    /// It has said something of some file.
    ready: bool,
    /// It says that it is still reading the folder: what it finds until then is not to be believed.
    busy: bool,
    /// It was waited for once before it was ready.
    waited: bool,
    misses: u32,
    /// Changes in a row of which it said nothing, and of which there may have been nothing to say.
    silences: u32,
    /// Why it has ended.
    ended: Option<String>,
}

/// A file as the server was told that it is.
struct Document {
    version: i32,
    text: String,
    published: Option<Published>,
    /// What was wrong with earlier texts, by their hash.
    known: HashMap<u64, Vec<Diagnostic>>,
}

/// What a server said of a text.
struct Published {
    errors: Vec<Diagnostic>,
    at: Instant,
    whole: bool,
}

/// Whether more may come for the same text.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Extent {
    /// It is the answer to a question.
    Whole,
    /// It was sent unasked.
    Piece,
}

/// A change that a server is being told of.
pub(super) struct Change {
    pub version: i32,
    /// The errors before it, as far as they are known.
    before: Option<Vec<Diagnostic>>,
}

impl Board {
    pub fn new(blind: &'static [&'static str]) -> Self {
        Self { blind, state: Mutex::default(), events: watch::Sender::new(0) }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        // The state is plain values, whole whatever panicked elsewhere.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn wake(&self) {
        self.events.send_modify(|count| *count += 1);
    }

    /// Takes note of an end; the first reason counts.
    pub fn end(&self, reason: String) {
        self.lock().ended.get_or_insert(reason);
        self.wake();
    }

    /// Why the server has ended; `None` as long as it runs.
    pub fn ended(&self) -> Option<String> {
        self.lock().ended.clone()
    }

    pub fn set_busy(&self, busy: bool) {
        self.lock().busy = busy;
    }

    pub fn open_files(&self) -> usize {
        self.lock().documents.len()
    }

    /// All files with the version that the server was told of last.
    pub fn versions(&self) -> Vec<(PathBuf, i32)> {
        self.lock().documents.iter().map(|(path, document)| (path.clone(), document.version)).collect()
    }

    /// All files with their texts, as the server was told of them last.
    pub fn texts(&self) -> Vec<(PathBuf, String)> {
        self.lock().documents.iter().map(|(path, document)| (path.clone(), document.text.clone())).collect()
    }

    /// Takes note that a file is gone.
    pub fn close(&self, path: &Path) {
        self.lock().documents.remove(path);
    }

    /// Takes note of a file as it is; `false` where it is open already.
    pub fn open(&self, path: &Path, text: &str) -> bool {
        let mut state = self.lock();
        let new = !state.documents.contains_key(path);
        if new {
            state.documents.insert(path.to_owned(), Document::new(text));
        }
        new
    }

    /// Takes note of a change. Version 1 is a file that was not open.
    pub fn change(&self, path: &Path, before: Option<&str>, after: &str) -> Change {
        let mut state = self.lock();
        let Some(document) = state.documents.get_mut(path) else {
            state.documents.insert(path.to_owned(), Document::new(after));
            return Change { version: 1, before: before.is_none().then(Vec::new) };
        };
        let before = before.map_or_else(|| Some(Vec::new()), |before| document.errors_of(before));
        document.version = document.version.wrapping_add(1);
        after.clone_into(&mut document.text);
        document.published = None;
        Change { version: document.version, before }
    }

    /// Takes note of a `textDocument/publishDiagnostics`. One that cannot be read says nothing.
    pub fn publish(&self, params: Value) {
        #[derive(Deserialize)]
        struct Params {
            uri: Url,
            version: Option<i32>,
            diagnostics: Vec<Value>,
        }
        if let Ok(Params { uri, version, diagnostics }) = serde_json::from_value(params)
            && let Ok(path) = uri.to_file_path()
        {
            self.report(&path, version, &diagnostics, Extent::Piece);
        }
    }

    /// Takes note of what the server says of a text; of the one that it was told of last where it names no version.
    pub fn report(&self, path: &Path, version: Option<i32>, diagnostics: &[Value], extent: Extent) {
        let mut state = self.lock();
        if state.busy {
            return;
        }
        state.ready = true;
        let Some(document) = state.documents.get_mut(path) else { return };
        if version.is_some_and(|version| version != document.version) {
            return;
        }
        let errors = read(diagnostics, &document.text, self.blind);
        document.published = Some(Published { errors, at: Instant::now(), whole: extent == Extent::Whole });
        drop(state);
        self.wake();
    }

    /// Waits at most `limit` for what the server says of a change, and returns what is new. `before` is the text before it.
    pub async fn answer(&self, path: &Path, change: Change, before: Option<&str>, limit: Duration) -> Vec<Diagnostic> {
        let mut events = self.events.subscribe();
        let deadline = Instant::now() + self.patience(limit);
        loop {
            let now = Instant::now();
            let settled = match self.heard(path, change.version) {
                Heard::Over => return Vec::new(),
                Heard::Nothing => None,
                Heard::Whole => Some(now),
                Heard::Piece(at) => Some(at + QUIET),
            };
            if now >= settled.unwrap_or(deadline).min(deadline) {
                return self.settle(path, &change, before);
            }
            tokio::select! {
                _ = events.changed() => {}
                () = tokio::time::sleep_until(settled.unwrap_or(deadline).min(deadline)) => {}
            }
        }
    }

    /// How long to wait: for a server that is still reading the folder once, and not at all while it reads it again.
    fn patience(&self, limit: Duration) -> Duration {
        let mut state = self.lock();
        let waited = std::mem::replace(&mut state.waited, true);
        let worth = if state.ready { !state.busy } else { !waited };
        if worth { limit / 2_u32.pow(state.silences.min(HALVINGS)) } else { Duration::ZERO }
    }

    fn heard(&self, path: &Path, version: i32) -> Heard {
        let state = self.lock();
        let document = state.documents.get(path).filter(|document| document.version == version);
        match document.map(|document| &document.published) {
            _ if state.ended.is_some() => Heard::Over,
            None => Heard::Over,
            Some(None) => Heard::Nothing,
            Some(Some(published)) if published.whole => Heard::Whole,
            Some(Some(published)) => Heard::Piece(published.at),
        }
    }

    /// What is new in the text of `change`. What comes later than this is new at the next change.
    fn settle(&self, path: &Path, change: &Change, before: Option<&str>) -> Vec<Diagnostic> {
        let mut state = self.lock();
        let listens = state.ready && !state.busy;
        let Some(document) = state.documents.get_mut(path) else { return Vec::new() };
        let published = document.published.as_ref().map(|published| published.errors.clone());
        if let Some(errors) = published.as_ref().or(change.before.as_ref()) {
            document.remember(xxh3_64(document.text.as_bytes()), errors.clone());
        }
        match &published {
            Some(_) => (state.misses, state.silences) = (0, 0),
            None if listens && change.before.as_ref().is_some_and(|errors| !errors.is_empty()) => state.misses += 1,
            // Some servers send a list only where it is another than before.
            None if listens => state.silences += 1,
            None => {}
        }
        let errors = published.unwrap_or_default();
        match &change.before {
            Some(known) => without(errors, known),
            None => in_new_lines(errors, before.unwrap_or_default()),
        }
    }

    /// Whether it answered once and has stopped to.
    pub fn is_hanging(&self) -> bool {
        self.lock().misses >= MISSES
    }
}

/// What there is of an answer.
enum Heard {
    /// There will be none.
    Over,
    Nothing,
    /// Some of it, at this time.
    Piece(Instant),
    Whole,
}

impl Document {
    fn new(text: &str) -> Self {
        Self { version: 1, text: text.to_owned(), published: None, known: HashMap::new() }
    }

    /// The errors of `text`, if it was asked about earlier or is what the server was told of last.
    fn errors_of(&mut self, text: &str) -> Option<Vec<Diagnostic>> {
        let hash = xxh3_64(text.as_bytes());
        if let Some(errors) = self.known.get(&hash) {
            return Some(errors.clone());
        }
        let published = self.published.as_ref().filter(|_| self.text == text)?;
        let errors = published.errors.clone();
        self.remember(hash, errors.clone());
        Some(errors)
    }

    fn remember(&mut self, hash: u64, errors: Vec<Diagnostic>) {
        if self.known.len() >= KNOWN {
            self.known.clear();
        }
        self.known.insert(hash, errors);
    }
}

/// The errors among what a server sent, in the order of the lines. Its fields are read one by one, since servers differ in what
/// else they put there.
fn read(diagnostics: &[Value], text: &str, blind: &[&str]) -> Vec<Diagnostic> {
    const ERROR: u64 = 1;
    let lines: Vec<&str> = text.lines().collect();
    let code = |value: &Value| value["code"].as_str().map_or_else(|| value["code"].to_string(), str::to_owned);
    if diagnostics.iter().any(|diagnostic| blind.contains(&code(diagnostic).as_str())) {
        return Vec::new();
    }
    // One without a severity is for the client to judge: it is taken for an error.
    let is_error = |value: &&Value| value["severity"].as_u64().is_none_or(|severity| severity == ERROR);
    let mut errors: Vec<Diagnostic> = diagnostics
        .iter()
        .filter(is_error)
        .filter_map(|value| {
            let line = usize::try_from(value["range"]["start"]["line"].as_u64()?).ok()?;
            let text = lines.get(line).map(|line| kept(line)).unwrap_or_default();
            Some(Diagnostic { line: line.saturating_add(1), message: one_line(value["message"].as_str()?), text })
        })
        .take(MOST)
        .collect();
    errors.sort_by(|a, b| a.line.cmp(&b.line).then_with(|| a.message.cmp(&b.message)));
    errors.dedup();
    errors
}

/// What is kept of a line to know it again.
fn kept(line: &str) -> String {
    line.trim().chars().take(LINE).collect()
}

fn one_line(message: &str) -> String {
    let words = message.split_whitespace().collect::<Vec<_>>().join(" ");
    match words.char_indices().nth(MESSAGE) {
        Some((end, _)) => format!("{}…", &words[..end]),
        None => words,
    }
}

/// `errors` that are not among `known`. Lines move when others are added: an error is the same where the line's text and the
/// message are.
fn without(errors: Vec<Diagnostic>, known: &[Diagnostic]) -> Vec<Diagnostic> {
    let same = |old: &&Diagnostic, new: &Diagnostic| old.text == new.text && old.message == new.message;
    syntax::brought_in(errors, known.iter().collect(), same)
}

/// Where it is not known what was wrong before, only what stands in lines that were not there counts.
fn in_new_lines(errors: Vec<Diagnostic>, before: &str) -> Vec<Diagnostic> {
    let old: HashSet<String> = before.lines().map(kept).collect();
    errors.into_iter().filter(|error| !old.contains(&error.text)).collect()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn at(line: usize, severity: Option<u64>, message: &str) -> Value {
        let position = json!({ "line": line, "character": 0 });
        json!({ "range": { "start": position, "end": position }, "severity": severity, "message": message })
    }

    fn lines(errors: &[Diagnostic]) -> Vec<(usize, &str)> {
        errors.iter().map(|error| (error.line, error.message.as_str())).collect()
    }

    #[test]
    fn errors_are_read_and_nothing_else() {
        let sent = [
            at(2, Some(1), "no\n  such\tname"),
            at(0, None, "first"),
            at(1, Some(2), "a warning"),
            at(0, None, "first"),
            at(900, Some(1), "behind the end"),
            json!({ "message": 1 }),
            json!("no object"),
        ];
        let found = read(&sent, "a\nb\n  c\n", &[]);
        assert_eq!(lines(&found), [(1, "first"), (3, "no such name"), (901, "behind the end")]);
        assert_eq!(found[1].text, "c");
        let long = read(&[at(0, None, &"é".repeat(500))], "", &[]);
        assert_eq!(long[0].message.chars().count(), MESSAGE + 1);
        let mut unseen = at(0, Some(1), "file not found");
        unseen["code"] = "pp_file_not_found".into();
        assert!(read(&[unseen, at(1, Some(1), "unknown type")], "a\nb", &["pp_file_not_found"]).is_empty());
    }

    #[test]
    fn an_error_that_moved_is_old() {
        let before = read(&[at(0, None, "x"), at(1, None, "y")], "a\nb\n", &[]);
        let after = read(&[at(1, None, "x"), at(2, None, "z"), at(3, None, "x")], "new\na\nb\na\n", &[]);
        assert_eq!(lines(&without(after.clone(), &before)), [(3, "z"), (4, "x")]);
        assert_eq!(lines(&in_new_lines(after, "a\n")), [(3, "z")]);
    }

    #[tokio::test]
    async fn what_comes_too_late_is_told_at_the_next_change() {
        let board = Board::new(&[]);
        let path = Path::new("/a.py");
        assert!(board.open(path, "a"));
        board.report(path, Some(1), &[at(0, None, "old")], Extent::Piece);
        let change = board.change(path, Some("a"), "a\nb");
        assert!(board.answer(path, change, Some("a"), Duration::from_millis(20)).await.is_empty());
        // Of a text that is gone it says nothing.
        board.report(path, Some(1), &[], Extent::Piece);
        let late = [at(0, None, "old"), at(1, None, "late")];
        board.report(path, Some(2), &late, Extent::Piece);
        let change = board.change(path, Some("a\nb"), "a\nb\nc");
        board.report(path, Some(3), &[at(0, None, "old"), at(1, None, "late"), at(2, None, "new")], Extent::Whole);
        let found = board.answer(path, change, Some("a\nb"), Duration::from_secs(1)).await;
        assert_eq!(lines(&found), [(2, "late"), (3, "new")]);
        assert!(!board.is_hanging());
    }

    #[tokio::test]
    async fn what_is_said_while_the_folder_is_read_does_not_count() {
        let board = Board::new(&[]);
        let path = Path::new("/a.rs");
        board.set_busy(true);
        board.open(path, "a");
        board.report(path, Some(1), &[at(0, None, "unresolved")], Extent::Whole);
        board.set_busy(false);
        board.report(path, Some(1), &[], Extent::Whole);
        let change = board.change(path, Some("a"), "a\nb");
        board.report(path, Some(2), &[at(0, None, "new")], Extent::Whole);
        assert_eq!(board.answer(path, change, Some("a"), Duration::from_secs(1)).await.len(), 1);
    }
}
