//! Tests that were written in this folder before and were kept, as an example of how its user wants them: the request of an
//! earlier session, and the file as it is today, the user's own corrections with it.

use std::cmp::Reverse;
use std::collections::HashSet;
use std::path::PathBuf;

use super::log;
use super::new_tests::assertions;
use super::turn::Turn;
use super::{Change, Event, Outcome, prompt, wording};
use crate::code::{is_test, runs};
use crate::workspace::{CheckpointId, RelPath};

/// The share of the context, in per cent, that an example may take: what is read for it is waited for.
const SHARE: usize = 2;
/// Sessions that are looked through, the last ones.
const SESSIONS: usize = 20;
/// Longer logs are passed over, in bytes.
const LONGEST_LOG: u64 = 1 << 20;
/// Words of a request shorter than this say little.
const SHORTEST_WORD: usize = 4;
/// Characters of a request that are shown.
const REQUEST: usize = 200;

/// A file that was written for a request and was kept.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Kept {
    request: String,
    path: RelPath,
}

impl Turn<'_> {
    /// What is asked, behind an example where tests are to be written and there is one. Other new code comes out worse with one: the
    /// model takes over what it does along with how.
    pub(super) fn behind_earlier(&self, path: &RelPath, ask: String) -> String {
        let wants_one = is_test(path.as_str()) && wording::wants_passing_tests(&self.asked);
        let example = if wants_one { self.earlier(path) } else { None };
        [example, Some(ask)].into_iter().flatten().collect::<Vec<_>>().join("\n\n")
    }

    /// The tests of an earlier session whose request is most like this one, in the language of `path`, worded for the model.
    fn earlier(&self, path: &RelPath) -> Option<String> {
        let session = &self.session;
        if !session.profile.examples || self.has_written_tests() {
            return None;
        }
        let made = session.workspace.log().ok()?;
        let done: HashSet<CheckpointId> = made.into_iter().filter(|made| !made.undone).map(|made| made.id).collect();
        let is_short = |log: &PathBuf| std::fs::metadata(log).is_ok_and(|meta| meta.len() <= LONGEST_LOG);
        let logs = session.log.others().into_iter().filter(is_short).take(SESSIONS);
        let mut found: Vec<Kept> =
            logs.filter_map(|log| log::read(&log).ok()).flat_map(|events| kept(&events, &done)).collect();
        found.retain(|kept| {
            is_test(kept.path.as_str()) && prompt::language(kept.path.as_str()) == prompt::language(path.as_str())
        });
        nearest_first(&mut found, &self.asked);
        let room = session.engine.info().context * SHARE / 100;
        found.iter().filter_map(|kept| self.worded(kept)).find(|example| session.engine.count(example) <= room)
    }

    /// Whether this session wrote tests already, which are before the model then.
    fn has_written_tests(&self) -> bool {
        let mut calls = self.session.transcript.iter().flat_map(|message| &message.calls);
        calls.any(|call| {
            call.name == "write" && call.arguments.get("path").and_then(|path| path.as_str()).is_some_and(is_test)
        })
    }

    /// An example in words; `None` where the file is gone, or holds no tests.
    fn worded(&self, kept: &Kept) -> Option<String> {
        let workspace = &self.session.workspace;
        let text = workspace.read(&kept.path).ok().filter(|file| assertions(&file.text) > 0)?.text;
        let text = prompt::fenced(kept.path.as_str(), kept.path.as_str(), &text);
        let request: String = kept.request.lines().next().unwrap_or_default().chars().take(REQUEST).collect();
        Some(prompt::text(workspace, "earlier", &[("request", &request), ("text", text.trim_end())]))
    }
}

/// Puts those first whose request has most words of this one; equal ones stay in their order.
fn nearest_first(found: &mut [Kept], request: &str) {
    let words = |text: &str| -> HashSet<String> {
        runs(text).filter(|word| word.len() >= SHORTEST_WORD).map(str::to_lowercase).collect()
    };
    let asked = words(request);
    found.sort_by_cached_key(|kept| Reverse(words(&kept.request).intersection(&asked).count()));
}

/// The new files of a session's edits that stand, the last first. `done` are the changes that are made at present.
fn kept(events: &[Event], done: &HashSet<CheckpointId>) -> Vec<Kept> {
    let (mut request, mut files, mut all) = ("", Vec::new(), Vec::new());
    for event in events {
        match event {
            Event::TurnStarted { prompt, .. } => (request, files) = (prompt.trim(), Vec::new()),
            Event::Edited { change: Change::Edit, checkpoint, diff, .. } if done.contains(checkpoint) => {
                files.extend(new_files(diff));
            }
            Event::TurnEnded { outcome: Outcome::Done, .. } => {
                all.extend(files.drain(..).map(|path| Kept { request: request.to_owned(), path }));
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

    /// The paths of what is kept of these turns where the first three changes stand.
    fn found(events: &[Event]) -> Vec<String> {
        kept(events, &(1..4).map(CheckpointId).collect()).iter().map(|kept| kept.path.to_string()).collect()
    }

    #[test]
    fn new_files_whose_changes_stand_are_kept() {
        let (new, changed) =
            (turn("test a", &[(1, NEW)], Outcome::Done), turn("mend b", &[(2, CHANGED)], Outcome::Done));
        assert_eq!(found(&[new, changed].concat()), ["test_a.py"]);
        // Taken back, or not what was asked for.
        assert_eq!(found(&turn("test a", &[(7, NEW)], Outcome::Done)), [""; 0]);
        assert_eq!(found(&turn("test a", &[(1, NEW)], Outcome::NotDone)), [""; 0]);
        assert_eq!(found(&turn("test a", &[(7, NEW), (3, NEW)], Outcome::Done)), ["test_a.py"]);
    }

    #[test]
    fn the_likest_request_comes_first_and_of_several_the_last() {
        let first = |requests: &[&str], request: &str| {
            let kept =
                |request: &&str| Kept { request: (*request).into(), path: "a.py".to_owned().try_into().unwrap() };
            let mut found: Vec<Kept> = requests.iter().map(kept).collect();
            nearest_first(&mut found, request);
            found.first().map(|kept| kept.request.clone())
        };
        let requests = ["add a parser of dates", "add a printer of names", "add a parser of times"];
        assert_eq!(first(&requests, "add a printer of dates and names").as_deref(), Some(requests[1]));
        assert_eq!(first(&requests, "add a parser").as_deref(), Some(requests[0]));
        assert_eq!(first(&[], "add a parser"), None);
    }
}
