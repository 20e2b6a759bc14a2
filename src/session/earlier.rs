//! Tests that were written in this folder before and were kept, as an example of how its user wants them: the request of an
//! earlier session, and the file as it is today, the user's own corrections with it.

use std::collections::HashSet;

use super::log;
use super::turn::Turn;
use super::{Change, Event, Outcome, prompt};
use crate::code::{is_test, runs};
use crate::workspace::{CheckpointId, RelPath};

/// The share of the context, in per cent, that an example may take: what is read for it is waited for.
const SHARE: usize = 2;
/// Sessions that are looked through, the last ones.
const SESSIONS: usize = 20;
/// Longer logs are passed over, in bytes.
const LONGEST_LOG: u64 = 4 << 20;
/// Words of a request shorter than this say little.
const SHORTEST_WORD: usize = 4;

/// A file that was written for a request and was kept.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Kept {
    request: String,
    path: RelPath,
    /// As it stands now.
    text: String,
}

impl Turn<'_> {
    /// What is asked, behind an example where tests are to be written and there is one. Other new code comes out worse with one: the
    /// model takes over what it does along with how.
    pub(super) fn behind_earlier(&self, path: &RelPath, ask: String) -> String {
        let example = if is_test(path.as_str()) { self.earlier(path) } else { None };
        [example, Some(ask)].into_iter().flatten().collect::<Vec<_>>().join("\n\n")
    }

    /// The tests of an earlier session whose request is most like this one, in the language of `path`, worded for the model.
    fn earlier(&self, path: &RelPath) -> Option<String> {
        let session = &self.session;
        // What this session wrote is before the model already.
        if !session.profile.examples || session.turn > 1 {
            return None;
        }
        let room = session.engine.info().context * SHARE / 100;
        let made = session.workspace.log().ok()?;
        let done: HashSet<CheckpointId> = made.into_iter().filter(|made| !made.undone).map(|made| made.id).collect();
        let read = |path: &RelPath| session.workspace.read(path).ok().map(|file| file.text);
        let suits = |kept: &Kept| {
            let is_alike = prompt::language(kept.path.as_str()) == prompt::language(path.as_str());
            is_alike && is_test(kept.path.as_str()) && session.engine.count(&kept.text) <= room
        };
        let mut logs = session.log.others();
        logs.retain(|log| std::fs::metadata(log).is_ok_and(|meta| meta.len() <= LONGEST_LOG));
        let sessions = logs.iter().take(SESSIONS).filter_map(|log| log::read(log).ok());
        let found = sessions.flat_map(|events| kept(&events, &done, read)).filter(suits).collect();
        let Kept { request, path, text } = nearest(found, &self.asked)?;
        let text = prompt::fenced(path.as_str(), path.as_str(), &text);
        Some(prompt::text(&session.workspace, "earlier", &[("request", &request), ("text", text.trim_end())]))
    }
}

/// The one whose request has most words of this one; of several the first.
fn nearest(found: Vec<Kept>, request: &str) -> Option<Kept> {
    let words = |text: &str| -> HashSet<String> {
        runs(text).filter(|word| word.len() >= SHORTEST_WORD).map(str::to_lowercase).collect()
    };
    let asked = words(request);
    found.into_iter().rev().max_by_key(|kept| words(&kept.request).intersection(&asked).count())
}

/// The new files of a session's edits that stand, the last first. `done` are the changes that are made at present, `read` gives a
/// file's text.
fn kept(events: &[Event], done: &HashSet<CheckpointId>, read: impl Fn(&RelPath) -> Option<String>) -> Vec<Kept> {
    let (mut request, mut files, mut all) = ("", Vec::new(), Vec::new());
    for event in events {
        match event {
            Event::TurnStarted { prompt, .. } => (request, files) = (prompt.trim(), Vec::new()),
            Event::Edited { change: Change::Edit, checkpoint, diff, .. } if done.contains(checkpoint) => {
                files.extend(new_files(diff));
            }
            Event::TurnEnded { outcome: Outcome::Done, .. } => {
                let kept = |path: RelPath| Some(Kept { request: request.to_owned(), text: read(&path)?, path });
                all.extend(files.drain(..).filter_map(kept));
            }
            _ => {}
        }
    }
    all.reverse();
    all
}

/// The files that a diff in git's form begins.
fn new_files(diff: &str) -> impl Iterator<Item = RelPath> {
    let lines = diff.lines().zip(diff.lines().skip(1));
    let paths =
        lines.filter(|(before, _)| *before == "--- /dev/null").filter_map(|(_, line)| line.strip_prefix("+++ b/"));
    paths.filter_map(|path| path.trim_end().to_owned().try_into().ok())
}

#[cfg(test)]
mod tests {
    use super::*;

    const NEW: &str = "diff --git a/test_a.py b/test_a.py\nnew file mode 100644\n--- /dev/null\n+++ b/test_a.py\n@@ -0,0 +1 @@\n+assert 1\n";
    const CHANGED: &str = "diff --git a/b.py b/b.py\n--- a/b.py\n+++ b/b.py\n@@ -1 +1 @@\n-1\n+2\n";

    fn turn(request: &str, edits: &[(u64, &str)], outcome: Outcome) -> Vec<Event> {
        let started = Event::TurnStarted {
            version: 1,
            session: String::new(),
            turn: 1,
            prompt: request.into(),
            model: String::new(),
            context: 0,
            system_prompt_tokens: 0,
            time: 0,
        };
        let edited = |(id, diff): &(u64, &str)| Event::Edited {
            change: Change::Edit,
            checkpoint: CheckpointId(*id),
            files: Vec::new(),
            diff: (*diff).to_owned(),
            merged: false,
        };
        let (report, answer, files) = (String::new(), String::new(), Vec::new());
        let ended = Event::TurnEnded { outcome, report, answer, files, seconds: 0.0 };
        [vec![started], edits.iter().map(edited).collect(), vec![ended]].concat()
    }

    /// What is kept of these turns where the first three changes stand, by path and text.
    fn found(events: &[Event], files: &[(&str, &str)]) -> Vec<(String, String)> {
        let done = (1..4).map(CheckpointId).collect();
        let read =
            |path: &RelPath| files.iter().find(|(name, _)| *name == path.as_str()).map(|(_, text)| (*text).to_owned());
        kept(events, &done, read).into_iter().map(|kept| (kept.path.to_string(), kept.text)).collect()
    }

    #[test]
    fn new_files_are_kept_as_they_are_now() {
        let (new, changed) =
            (turn("test a", &[(1, NEW)], Outcome::Done), turn("mend b", &[(2, CHANGED)], Outcome::Done));
        let files = [("test_a.py", "assert 2\n"), ("b.py", "2\n")];
        let expected = [("test_a.py".to_owned(), "assert 2\n".to_owned())];
        assert_eq!(found(&[new.clone(), changed].concat(), &files), expected);
        // Gone, taken back, or not what was asked for.
        assert_eq!(found(&new, &files[1..]), []);
        assert_eq!(found(&turn("test a", &[(7, NEW)], Outcome::Done), &files), []);
        assert_eq!(found(&turn("test a", &[(1, NEW)], Outcome::NotDone), &files), []);
        assert_eq!(found(&turn("test a", &[(7, NEW), (3, NEW)], Outcome::Done), &files), expected);
    }

    #[test]
    fn the_likest_request_is_nearest_and_of_several_the_last() {
        let kept = |request: &str| Kept {
            request: request.into(),
            path: "a.py".to_owned().try_into().unwrap(),
            text: String::new(),
        };
        let nearest = |requests: &[&str], request: &str| {
            nearest(requests.iter().map(|request| kept(request)).collect(), request).map(|kept| kept.request)
        };
        let requests = ["add a parser of dates", "add a printer of names", "add a parser of times"];
        assert_eq!(nearest(&requests, "add a printer of dates and names").as_deref(), Some(requests[1]));
        assert_eq!(nearest(&requests, "add a parser").as_deref(), Some(requests[0]));
        assert_eq!(nearest(&[], "add a parser"), None);
    }
}
