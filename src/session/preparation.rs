//! What a change begins with: what the check gives before it, the files and functions that it is about, the form it is written in.

use super::addition::Addition;
use super::check::{Check, Checked};
use super::examples;
use super::follow;
use super::guided::Mark;
use super::mend::{Count, Tries};
use super::part::Part;
use super::project;
use super::step;
use super::surprise::Surprise;
use super::turn::{Act, Turn, TurnError};
use super::{Outcome, prompt};
use crate::code::is_test;
use crate::dialect::{Message, Role};
use crate::workspace::RelPath;

/// How many looks around a change may begin with.
const LOOKS: usize = 6;

/// What a change begins with; each further try begins here again.
#[derive(Debug)]
pub(super) struct Prepared {
    /// The file that is written anew.
    pub path: Option<RelPath>,
    /// Of a long file the functions that may be at fault: the first is written anew, and where that was in vain the next.
    pub parts: Vec<Part>,
    /// It is a new one, of tests.
    pub are_new_tests: bool,
    /// A function that is written alone, as long as that works out.
    pub addition: Option<Addition>,
    /// How often what was written for it did not fit.
    pub misfits: u32,
    /// Those that are written instead, one after the other: new ones, and what must change with them.
    pub files: Vec<RelPath>,
    pub mark: Mark,
    /// Its lines were drawn one by one before anything else.
    pub drawn_first: bool,
    /// What was written so far, in vain.
    pub written: Vec<String>,
    /// Those of it that came as far as their check.
    pub tries: Tries,
    /// Most of what is written is copied from what is there.
    pub copies: bool,
    /// Tokens a second at which the last answer was written, and of the longest that had an end.
    pub speed: Option<f64>,
    pub longest: usize,
    /// What the model thinks of the text whose lines were drawn last.
    pub surprise: Option<Surprise>,
}

impl Prepared {
    pub(super) fn at(mark: Mark) -> Self {
        let (files, written, tries) = (Vec::new(), Vec::new(), Tries::default());
        Self {
            path: None,
            parts: Vec::new(),
            are_new_tests: false,
            addition: None,
            misfits: 0,
            files,
            mark,
            drawn_first: false,
            written,
            tries,
            copies: false,
            speed: None,
            longest: 0,
            surprise: None,
        }
    }
}

impl Turn<'_> {
    /// Settles what a change begins with: what the check gives now, the files, the form. `Some`: the turn is over.
    pub(super) async fn prepare(&mut self) -> Result<Option<Outcome>, TurnError> {
        if !self.check_before().await? {
            return Ok(Some(Outcome::Interrupted));
        }
        let files = self.files().await?;
        if self.begin_new_tests(&files).await? {
            return Ok(None);
        }
        if !files.is_empty() {
            for path in &files {
                if self.session.workspace.is_file(path) && !self.find_check(path).await? {
                    return Ok(Some(Outcome::Interrupted));
                }
            }
            self.prepared = Some(Prepared { files, ..Prepared::at(self.mark()) });
            return Ok(None);
        }
        self.locate().await?;
        if let Some(outcome) = self.look().await? {
            return Ok(Some(outcome));
        }
        self.show_servers();
        let is_short = self.fits_whole(self.open_tokens());
        let open = if is_short { self.which_file().await? } else { self.only_open() };
        if let Some(path) = &open
            && !self.find_check(path).await?
        {
            return Ok(Some(Outcome::Interrupted));
        }
        let parts = self.parts().await?;
        let addition = open.as_ref().filter(|_| parts.is_empty()).and_then(|path| self.addition(path));
        let part = parts.first().map(|part| part.path.clone());
        let path = part.or(open.filter(|_| is_short || addition.is_some()));
        let say = match &path {
            // Each try says which of them.
            Some(_) if !parts.is_empty() || addition.is_some() => None,
            Some(path) => Some(prompt::text(&self.session.workspace, "change-whole", &[("path", path.as_str())])),
            None => Some(prompt::text(&self.session.workspace, "change-part", &[])),
        };
        say.into_iter().for_each(|say| self.say(Message::new(Role::User, say)));
        self.prepared = Some(Prepared { path, parts, addition, ..Prepared::at(self.mark()) });
        Ok(None)
    }

    /// The file before the model, where there is but one that may change.
    fn only_open(&self) -> Option<RelPath> {
        let mut open = self.record.seen().iter().filter(|path| !is_test(path.as_str()));
        open.next().filter(|_| open.next().is_none()).cloned()
    }

    /// The files that the request wants written, with those that must change along; none where it wants no new one and moves
    /// nothing.
    async fn files(&mut self) -> Result<Vec<RelPath>, TurnError> {
        let (takes, new) = (follow::takes(&self.asked), self.new_files());
        let mut files = if takes { self.written_files() } else { new.clone() };
        let mut followers = self.followers();
        if takes && followers.is_empty() && !new.is_empty() {
            // It does not say from where.
            self.locate().await?;
            followers.extend(self.which_file().await?);
        }
        if files.is_empty() || (new.is_empty() && followers.is_empty()) {
            return Ok(Vec::new());
        }
        followers.retain(|path| !files.contains(path));
        files.extend(followers);
        Ok(files)
    }

    /// Where no check is named, takes the project's own tests of the file for one, or the examples in it, if they run. Returns
    /// whether to go on.
    async fn find_check(&mut self, path: &RelPath) -> Result<bool, TurnError> {
        if self.check.is_some() || !self.allows_checks() {
            return Ok(true);
        }
        let text = self.session.workspace.read(path).map(|file| file.text).unwrap_or_default();
        let tests = project::command(&self.session.workspace, path);
        let is_project = tests.is_some();
        self.check = tests.map(Check::from).or_else(|| examples::check(path, &text, &self.asked));
        if self.check.is_none() {
            return Ok(true);
        }
        // Examples that cannot be run are none.
        let counts = |checked: &Checked| is_project || examples::ran(&checked.output);
        let Some(before) = self.run_check_where(0, counts).await? else { return Ok(false) };
        match before.took {
            Some(took) if counts(&before) => {
                self.checked_before = Some(took);
                self.failed_before = !before.passed;
                self.passed_before = Count::of(&before.output).passed;
                if !before.passed && (is_project || examples::is_telling(&before.output)) {
                    self.say_check("check-before", &before.output);
                }
            }
            // It has no end, or says nothing of the file.
            _ => self.check = None,
        }
        Ok(true)
    }

    /// The file to change, where there is more than one before the model.
    async fn which_file(&mut self) -> Result<Option<RelPath>, TurnError> {
        // A check's tests are what the change is measured by.
        let candidates: Vec<RelPath> = match self.record.seen() {
            [one] => vec![one.clone()],
            seen => seen.iter().filter(|path| self.check.is_none() || !is_test(path.as_str())).cloned().collect(),
        };
        let [_, _, ..] = &candidates[..] else { return Ok(candidates.into_iter().next()) };
        self.make_room()?;
        let question = prompt::text(&self.session.workspace, "which-file", &[]);
        let names: Vec<&str> = candidates.iter().map(RelPath::as_str).collect();
        let name = step::choose(self.session, question, &names, &self.cancel).await?;
        Ok(candidates.iter().find(|path| path.as_str() == name).cloned())
    }

    /// Demands calls that find the files to change, until the model has one before it that is more than a test. `Some`: the
    /// turn is over.
    async fn look(&mut self) -> Result<Option<Outcome>, TurnError> {
        for _ in 0..LOOKS {
            if self.record.seen().iter().any(|path| !is_test(path.as_str())) {
                return Ok(None);
            }
            let before = self.record.changes();
            match self.demand(&["read", "list", "search", "write"], None).await? {
                Act::Called if self.record.changes() > before => return Ok(Some(Outcome::Done)),
                Act::Called | Act::Malformed => {}
                act => return Ok(Some(act.outcome())),
            }
        }
        Ok(if self.record.seen().is_empty() { Some(Outcome::NotDone) } else { None })
    }

    /// Tokens of the files before the model that may change: all but tests, unless there are only tests.
    pub(super) fn open_tokens(&self) -> usize {
        let seen = self.record.seen();
        let only_tests = seen.iter().all(|path| is_test(path.as_str()));
        let text = |path| self.session.workspace.read(path).map_or(0, |file| self.session.engine.count(&file.text));
        seen.iter().filter(|path| only_tests || !is_test(path.as_str())).map(text).sum()
    }
}
