//! A session on disk: one event a line, appended as it happens, so that a killed session can be resumed, and read by anyone.

use std::collections::HashSet;
use std::fs::{self, File, OpenOptions};
use std::io::{BufRead, BufReader, Write};
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use super::Event;
use super::window::drop_messages;
use crate::dialect::{Message, Role};

/// Why a session's log cannot be written or read.
#[derive(Debug, thiserror::Error)]
pub enum LogError {
    #[error(
        "the session's log {path} cannot be written: {source}; the work goes on, but this session cannot be resumed"
    )]
    Write { path: PathBuf, source: std::io::Error },
    #[error("the session's log {path} cannot be read: {source}")]
    Read { path: PathBuf, source: std::io::Error },
    #[error("there is no session {0} in this folder; `moru sessions` lists them")]
    Unknown(String),
    #[error("the session {0} is open in another program; end that one first")]
    Busy(String),
    #[error("there is no session in this folder to resume")]
    None,
}

/// The first line of a log: what the session is about.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Header {
    pub version: u32,
    pub session: String,
    /// The workspace's folder.
    pub folder: PathBuf,
    /// Seconds since the epoch.
    pub started: i64,
}

/// An open log.
#[derive(Debug)]
pub struct Log {
    path: PathBuf,
    file: Option<File>,
    id: String,
    complained: bool,
}

/// A session as read from its log.
#[derive(Debug)]
pub struct Resumed {
    pub log: Log,
    pub events: Vec<Event>,
}

impl Log {
    /// Begins a session for `folder` below the state folder.
    ///
    /// # Errors
    /// The file cannot be created.
    pub fn create(state: &Path, folder: &Path) -> Result<Self, LogError> {
        let now = jiff::Timestamp::now().to_zoned_datetime(jiff::tz::TimeZone::system());
        let sessions = sessions(state, folder);
        let stamp = now.strftime("%Y%m%d-%H%M%S").to_string();
        let fail = |path: &Path, source| LogError::Write { path: path.to_owned(), source };
        fs::create_dir_all(&sessions).map_err(|e| fail(&sessions, e))?;
        for attempt in 0_u32.. {
            let id = if attempt == 0 { stamp.clone() } else { format!("{stamp}-{attempt}") };
            let path = sessions.join(format!("{id}.jsonl"));
            match OpenOptions::new().append(true).create_new(true).open(&path) {
                Ok(file) => {
                    let _ = file.try_lock();
                    let started = now.timestamp().as_second();
                    let header = Header {
                        version: super::event::VERSION,
                        session: id.clone(),
                        folder: folder.to_owned(),
                        started,
                    };
                    let mut log = Self { path, file: Some(file), id, complained: false };
                    log.line(&header)?;
                    return Ok(log);
                }
                // Another session began within the same second.
                Err(error) if error.kind() == std::io::ErrorKind::AlreadyExists => {}
                Err(error) => return Err(fail(&path, error)),
            }
        }
        Err(LogError::None)
    }

    /// A log that is kept nowhere, for sessions that are not to be resumed.
    pub fn nowhere() -> Self {
        Self { path: PathBuf::new(), file: None, id: "none".into(), complained: false }
    }

    /// Opens the session `id` of `folder`, or its last one for `last`, to go on with it.
    ///
    /// # Errors
    /// There is none, or its file cannot be read or appended to.
    pub fn resume(state: &Path, folder: &Path, id: &str) -> Result<Resumed, LogError> {
        let (path, events) = find(state, folder, id)?;
        let fail = |source| LogError::Write { path: path.clone(), source };
        let mut file = OpenOptions::new().append(true).open(&path).map_err(fail)?;
        // The lock goes with the file's handle, however the program ends.
        file.try_lock().map_err(|_| LogError::Busy(stem(&path)))?;
        // A line that a kill cut short must not swallow the next one.
        if !ends_with_newline(&path) {
            file.write_all(b"\n").map_err(fail)?;
        }
        let id = stem(&path);
        Ok(Resumed { log: Self { path, file: Some(file), id, complained: false }, events })
    }

    /// The logs of the folder's other sessions, the one used last first.
    pub fn others(&self) -> Vec<PathBuf> {
        let mut others = self.path.parent().map(logs).unwrap_or_default();
        others.retain(|path| *path != self.path);
        others.reverse();
        others
    }

    /// The session's name.
    pub fn id(&self) -> &str {
        &self.id
    }

    /// Appends an event and hands it to the system at once. Pieces of output are left out: the message that they add up to
    /// follows them.
    ///
    /// # Errors
    /// The disk is full, or the file is gone.
    pub fn append(&mut self, event: &Event) -> Result<(), LogError> {
        match event {
            Event::Delta { .. } | Event::Reading { .. } => Ok(()),
            event => self.line(event),
        }
    }

    /// Whether to complain of a failure: once a session.
    pub fn complain(&mut self) -> bool {
        !std::mem::replace(&mut self.complained, true)
    }

    fn line(&mut self, value: &impl Serialize) -> Result<(), LogError> {
        let Some(file) = &mut self.file else { return Ok(()) };
        let fail = |source| LogError::Write { path: self.path.clone(), source };
        let mut line = serde_json::to_string(value).map_err(|e| fail(e.into()))?;
        line.push('\n');
        file.write_all(line.as_bytes()).map_err(fail)
    }
}

/// The session `id` of `folder`, or for `last` the one used last in which something was asked.
///
/// # Errors
/// There is none, or its file cannot be read.
pub fn find(state: &Path, folder: &Path, id: &str) -> Result<(PathBuf, Vec<Event>), LogError> {
    for path in list(state, folder).into_iter().rev().filter(|path| id == "last" || stem(path) == id) {
        let events = read(&path)?;
        if id != "last" || events.iter().any(|event| matches!(event, Event::TurnStarted { .. })) {
            return Ok((path, events));
        }
    }
    Err(if id == "last" { LogError::None } else { LogError::Unknown(id.to_owned()) })
}

/// The transcript that events add up to: the messages, without the system prompt, cut back to where a model can go on (a call
/// that was never answered is left out).
pub fn transcript(events: &[Event]) -> Vec<Message> {
    let mut messages: Vec<Message> = Vec::new();
    for event in events {
        match event {
            Event::Message { message } if message.role != Role::System => messages.push(message.clone()),
            Event::Rewound { messages: gone } => messages.truncate(messages.len().saturating_sub(*gone)),
            Event::LeftOut { behind, messages: count, instead } => {
                drop_messages(&mut messages, *behind, *count, instead.as_deref());
            }
            _ => {}
        }
    }
    // A kill between a call and its answer leaves a call that no template would render.
    let answered: HashSet<String> = messages.iter().filter_map(|m| m.call_id.clone()).collect();
    messages.retain(|m| m.calls.iter().all(|call| answered.contains(&call.id)));
    messages
}

/// The messages with which the user asked for something: the first of each turn.
pub fn requests(events: &[Event]) -> Vec<String> {
    let mut begins = false;
    let request = |event: &Event| match event {
        Event::TurnStarted { .. } => {
            begins = true;
            None
        }
        Event::Message { message } if message.role == Role::User && std::mem::take(&mut begins) => {
            Some(message.content.clone())
        }
        _ => None,
    };
    events.iter().filter_map(request).collect()
}

/// The sessions of `folder`, oldest first.
pub fn list(state: &Path, folder: &Path) -> Vec<PathBuf> {
    logs(&sessions(state, folder))
}

/// The logs in a folder of them, the one used last behind the others.
fn logs(folder: &Path) -> Vec<PathBuf> {
    let Ok(entries) = fs::read_dir(folder) else { return Vec::new() };
    let mut all: Vec<PathBuf> =
        entries.flatten().map(|e| e.path()).filter(|p| p.extension().is_some_and(|e| e == "jsonl")).collect();
    all.sort_by_cached_key(|path| (fs::metadata(path).and_then(|m| m.modified()).ok(), path.clone()));
    all
}

/// The folders that have sessions.
pub fn folders(state: &Path) -> Vec<PathBuf> {
    let Ok(entries) = fs::read_dir(state.join("sessions")) else { return Vec::new() };
    let header = |entry: fs::DirEntry| {
        let logs = fs::read_dir(entry.path()).ok()?.flatten();
        logs.map(|log| log.path()).filter(|path| path.extension().is_some_and(|e| e == "jsonl")).find_map(|path| {
            let mut line = String::new();
            BufReader::new(File::open(path).ok()?).read_line(&mut line).ok()?;
            serde_json::from_str::<Header>(&line).ok()
        })
    };
    let mut folders: Vec<PathBuf> = entries.flatten().filter_map(header).map(|header| header.folder).collect();
    folders.sort();
    folders
}

/// The events of a log. A line that is no event (cut short by a kill, or of a later version) is passed over.
///
/// # Errors
/// The file cannot be read.
pub fn read(path: &Path) -> Result<Vec<Event>, LogError> {
    let fail = |source| LogError::Read { path: path.to_owned(), source };
    let mut events = Vec::new();
    for line in BufReader::new(File::open(path).map_err(fail)?).split(b'\n').skip(1) {
        match serde_json::from_slice(&line.map_err(fail)?) {
            Ok(event) => events.push(event),
            Err(error) => tracing::debug!(%error, path = %path.display(), "a line of the log is passed over"),
        }
    }
    Ok(events)
}

fn sessions(state: &Path, folder: &Path) -> PathBuf {
    state.join("sessions").join(crate::workspace::folder_key(folder))
}

fn stem(path: &Path) -> String {
    path.file_stem().unwrap_or_default().to_string_lossy().into_owned()
}

fn ends_with_newline(path: &Path) -> bool {
    fs::read(path).is_ok_and(|bytes| bytes.last().is_none_or(|&b| b == b'\n'))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn notice(text: &str) -> Event {
        Event::Notice { text: text.into() }
    }

    #[test]
    fn a_session_cut_short_by_a_kill_goes_on() {
        let state = tempfile::tempdir().unwrap();
        let folder = Path::new("/some/where");
        let mut log = Log::create(state.path(), folder).unwrap();
        let started = Event::TurnStarted {
            version: 1,
            session: "s".into(),
            turn: 1,
            prompt: "p".into(),
            model: "m".into(),
            context: 1,
            system_prompt_tokens: 1,
            time: 0,
        };
        log.append(&started).unwrap();
        log.file.as_mut().unwrap().write_all(b"{\"type\":\"Notice\",\"te").unwrap();
        drop(log);
        let mut resumed = Log::resume(state.path(), folder, "last").unwrap();
        assert_eq!(resumed.events, std::slice::from_ref(&started));
        resumed.log.append(&notice("two")).unwrap();
        let id = resumed.log.id().to_owned();
        assert!(matches!(Log::resume(state.path(), folder, &id), Err(LogError::Busy(_))));
        drop(resumed);
        let again = Log::resume(state.path(), folder, &id).unwrap();
        assert_eq!(again.events, [started, notice("two")]);
    }

    #[test]
    fn two_sessions_in_one_second_have_names_of_their_own() {
        let state = tempfile::tempdir().unwrap();
        let folder = Path::new("/some/where");
        let names: Vec<String> = (0..3).map(|_| Log::create(state.path(), folder).unwrap().id().to_owned()).collect();
        assert_eq!(names.iter().collect::<std::collections::HashSet<_>>().len(), 3);
        assert!(matches!(Log::resume(state.path(), folder, "nope"), Err(LogError::Unknown(_))));
        assert!(matches!(Log::resume(state.path(), Path::new("/else"), "last"), Err(LogError::None)));
        assert_eq!(folders(state.path()), [folder]);
    }

    #[test]
    fn a_call_without_an_answer_is_no_part_of_the_transcript() {
        let call = crate::dialect::Call { id: "1".into(), name: "read".into(), arguments: Default::default() };
        let mut asking = Message::new(Role::Assistant, "");
        asking.calls.push(call.clone());
        let message = |message: &Message| Event::Message { message: message.clone() };
        let user = Message::new(Role::User, "hello");
        let events = [message(&user), message(&asking)];
        assert_eq!(transcript(&events), std::slice::from_ref(&user));
        let answered = Message::tool(&call, "text");
        let events = [message(&user), message(&asking), message(&answered)];
        assert_eq!(transcript(&events).len(), 3);
    }
}
