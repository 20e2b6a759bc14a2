//! The guided workflow, for models that are too small to find their own way: the session settles what is wanted, demands one
//! call at a time, and lets a change that failed be drawn again rather than mended.

use super::candidates::Search;
use super::intent::Intent;
use super::narrow;
use super::preparation::Prepared;
use super::profile::Form;
use super::record::Record;
use super::step::{Limits, Step};
use super::turn::{Act, DOUBTS, Turn, TurnError};
use super::written::{Block, Piece, lost};
use super::{Change, Event, Outcome, prompt, wording};
use crate::code::{self, is_test};
use crate::dialect::{Message, Role, ToolSpec};
use crate::engine::{Constraint, Sampling, Stop};
use crate::workspace::RelPath;

/// How a try after a failed one is drawn.
const RETRY_TEMPERATURE: f32 = 0.7;
/// Each further one is drawn a little more freely, since what is likely has been tried by then.
const RETRY_STEP: f32 = 0.03;
const RETRY_MOST: f32 = 1.1;
/// The share of the context, in per cent, up to which files are written as a whole.
const WHOLE_SHARE: usize = 8;

/// How long a change may get, in tokens, by those of the files that may change: one that outgrows this goes round in circles.
/// The room is for what is yet to be written.
const LENGTH_FACTOR: usize = 2;
const LENGTH_ROOM: usize = 1000;

/// Tables of cases without end that are closed in one text.
const TABLES: usize = 3;

/// The share of the time that is left that a further try may take.
const SHARE: f64 = 0.5;

/// A moment of a turn to go back to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Mark {
    /// Counted from the session's start, whatever compaction has taken since.
    messages: usize,
    pub changes: usize,
}

impl Turn<'_> {
    /// The session decides what comes next: what is wanted is settled first, then one call at a time is demanded.
    pub(super) async fn guided(&mut self) -> Result<Outcome, TurnError> {
        if self.prepared.is_some() {
            return self.change().await;
        }
        match self.intent().await? {
            Intent::Answer => self.free().await,
            Intent::Command => self.command().await,
            Intent::Change => match self.prepare().await? {
                Some(outcome) => Ok(outcome),
                None if self.is_line_by_line() => self.draw_and_change().await,
                None => self.change_and_weigh().await,
            },
        }
    }

    /// Single lines, and where none is right, the change.
    async fn draw_and_change(&mut self) -> Result<Outcome, TurnError> {
        match self.search_lines().await? {
            Search::Found => Ok(Outcome::Done),
            Search::Nothing => {
                if let Some(prepared) = &mut self.prepared {
                    prepared.drawn_first = true;
                }
                self.change().await
            }
            Search::Over => Ok(Outcome::NotDone),
            Search::Interrupted => Ok(Outcome::Interrupted),
        }
    }

    /// The change, and where nothing else can tell, whether a version of it is better.
    async fn change_and_weigh(&mut self) -> Result<Outcome, TurnError> {
        let Some(suspect) = self.suspect() else { return self.change().await };
        let changes = self.record.changes();
        // Where the likeliest text changes nothing, single lines say more than a freer one.
        let outcome = self.change_within(1).await?;
        let is_open = outcome == Outcome::NotDone && self.record.changes() == changes;
        if outcome != Outcome::Done && !is_open {
            return Ok(outcome);
        }
        let outcome = self.weigh(suspect, outcome).await?;
        // A refusal is one for good: only who was not asked tries again.
        if is_open && outcome == Outcome::NotDone && self.allows_checks() { self.change().await } else { Ok(outcome) }
    }

    /// Demands calls until what was settled has changed: the files one after the other, or the one, or what the model picks.
    async fn change(&mut self) -> Result<Outcome, TurnError> {
        self.change_within(self.session.settings.max_steps).await
    }

    async fn change_within(&mut self, steps: usize) -> Result<Outcome, TurnError> {
        let Some(Prepared { path, files, .. }) = &self.prepared else { return Ok(Outcome::NotDone) };
        let mut files = files.clone();
        if let Some(path) = &path.clone() {
            self.begin_to_mend(path).await?;
        }
        for step in 0..steps {
            // Where nothing comes as far as its check, nothing else ends it.
            if step > 0 && self.check.is_some() && self.is_over_budget() {
                return Ok(Outcome::NotDone);
            }
            self.widen();
            let path = self.prepared.as_ref().and_then(|prepared| prepared.path.clone());
            let mark = self.mark();
            self.flawed = false;
            let follows = files.first().is_some_and(|path| self.session.workspace.is_file(path));
            let act = match (files.first(), &path) {
                (Some(file), _) if follows => self.follow(file).await?,
                (Some(file), _) => self.write_new(file).await?,
                (None, Some(path)) => self.rewrite(path).await?,
                (None, None) => self.edit().await?,
            };
            let changed = self.record.changes() > mark.changes;
            match act {
                // The model may find that a file need not change with the others.
                Act::Called if !self.flawed && (changed || follows) => {
                    if files.len() < 2 {
                        return Ok(Outcome::Done);
                    }
                    files.remove(0);
                    // The next file may well be the same.
                    if let Some(prepared) = &mut self.prepared {
                        prepared.written.clear();
                    }
                }
                // Nothing changed, a syntax error came in, it failed before, or the call has no end.
                Act::Called | Act::Malformed | Act::Answered | Act::Stuck => {
                    // Who repeats what is to be mended has nothing better: the next is drawn from the beginning.
                    let is_mended = self.prepared.as_mut().is_some_and(|prepared| prepared.tries.end_mending());
                    if !self.take_back(if is_mended { self.first_try(mark) } else { mark }) {
                        return Ok(Outcome::NotDone);
                    }
                }
                Act::Refused | Act::Interrupted => return Ok(act.outcome()),
            }
        }
        Ok(Outcome::NotDone)
    }

    /// Where to go back to after a try that failed its check: the first one, or `begin`.
    pub(super) fn first_try(&self, begin: Mark) -> Mark {
        self.prepared.as_ref().map_or(begin, |prepared| prepared.mark)
    }

    /// Has the model write a new file that the request names.
    pub(super) async fn write_new(&mut self, path: &RelPath) -> Result<Act, TurnError> {
        self.ask_for_new(path);
        self.rewrite(path).await
    }

    /// Has the model change a file that must change with the new ones.
    async fn follow(&mut self, path: &RelPath) -> Result<Act, TurnError> {
        let text = self.session.workspace.read(path).map(|file| file.text).unwrap_or_default();
        let whole = self.fits_whole(self.session.engine.count(&text));
        let name = if whole { "change-follower" } else { "change-part" };
        let say = prompt::text(&self.session.workspace, name, &[("path", path.as_str())]);
        self.say(Message::new(Role::User, say));
        if whole {
            return self.rewrite(path).await;
        }
        let mut only = Record::default();
        only.saw(path.clone());
        self.demand_of(narrow::narrow(self.session, &only, &["edit"]), Some(self.longest(&text))).await
    }

    /// Demands an edit of a file before the model. What a check runs is what the change is measured by, and none of it.
    async fn edit(&mut self) -> Result<Act, TurnError> {
        let mut open = Record::default();
        let may_change = |path: &&RelPath| self.check.is_none() || !is_test(path.as_str());
        self.record.seen().iter().filter(may_change).for_each(|path| open.saw(path.clone()));
        let record = if open.seen().is_empty() { &self.record } else { &open };
        self.demand_of(narrow::narrow(self.session, record, &["edit"]), Some(self.longest(""))).await
    }

    /// Whether files of this many tokens are written as a whole, which comes out better where it fits.
    pub(super) fn fits_whole(&self, tokens: usize) -> bool {
        self.is_short(tokens) && self.session.profile.form == Form::Whole
    }

    pub(super) fn is_short(&self, tokens: usize) -> bool {
        tokens <= self.session.engine.info().context * WHOLE_SHARE / 100
    }

    /// Has the model write a file anew, or the function of it that was settled, in a code block, which is what it knows best, and
    /// writes it.
    async fn rewrite(&mut self, path: &RelPath) -> Result<Act, TurnError> {
        let block = self.next_block(path);
        let mut step = self.write_block(&block).await?;
        let content = block.content(&step.text).map(|new| self.with_missing_imports(path, &block, new));
        if let (None, Piece::Addition(_), Some(prepared)) = (&content, &block.piece, &mut self.prepared) {
            prepared.misfits += 1;
        }
        if let (Some(content), Some(prepared)) = (&content, &mut self.prepared) {
            // Drawn once more: the check would say what it said before.
            if prepared.written.contains(content) {
                return Ok(Act::Stuck);
            }
            prepared.written.push(content.clone());
        }
        let leaves_out = content.as_ref().is_some_and(|new| code::elision(path.as_str(), &block.file, new).is_some());
        // Of tests that are mended some may go.
        let replaced = content.as_ref().filter(|_| !self.are_new_tests());
        let lost = replaced.map(|new| lost(path, &block.file, new)).unwrap_or_default();
        let is_idle = content.as_ref().is_some_and(|new| self.are_idle_tests(new));
        let loses = !lost.is_empty() && self.retries < DOUBTS && !wording::may_remove(&self.asked);
        match content {
            Some(content) if step.usage.stop == Stop::End => {
                step.written = Some(block.prefix() + std::mem::take(&mut step.text).trim_end());
                step.calls.push(self.content_call(path, &content));
            }
            _ => step.text.insert_str(0, &block.prefix()),
        }
        let act = self.act(step).await?;
        self.flawed |= leaves_out || loses || is_idle;
        if (loses || is_idle)
            && let Some(prepared) = &mut self.prepared
        {
            // Should it come out again and again, it is meant.
            prepared.written.pop();
        }
        if act == Act::Called && !self.flawed && !lost.is_empty() {
            self.publish(Event::Notice { text: format!("{path} no longer has {}", lost.join(", ")) });
        }
        Ok(act)
    }

    /// What the model writes into a code block.
    async fn write_block(&mut self, block: &Block) -> Result<Step, TurnError> {
        let mut limits = block.limits();
        limits.max_tokens = self.in_time(limits.max_tokens, SHARE);
        limits.no_lists = self.are_new_tests();
        let mut step = self.step(Constraint::Free, limits.clone()).await?;
        self.note_usage(&step.usage);
        let mut begun = String::new();
        for _ in 0..TABLES {
            let Some(table) = self.closed_table(&step) else { break };
            limits.prefix.push_str(&table);
            begun.push_str(&table);
            step = self.step(Constraint::Free, limits.clone()).await?;
        }
        step.text.insert_str(0, &begun);
        self.end_tests(&mut step, &block.fence);
        Ok(step)
    }

    /// The code block in which a file is to be written anew, or the function of it that was settled, after asking for the latter.
    pub(super) fn next_block(&mut self, path: &RelPath) -> Block {
        let file = self.session.workspace.read(path).map(|file| file.text).unwrap_or_default();
        let piece = self.next_piece();
        let old = match &piece {
            Piece::Part(part) => part.of(&file).unwrap_or_default().to_owned(),
            Piece::Addition(_) => String::new(),
            Piece::File => file.clone(),
        };
        Block {
            // What was put out may come into it.
            fence: prompt::fence(&format!("{old}\n{}", self.output())),
            language: prompt::language(path.as_str()).to_owned(),
            head: match &piece {
                // Should that not do, it may come out otherwise.
                Piece::Addition(addition) if self.is_fitting() => addition.head(&file),
                _ => String::new(),
            },
            longest: self.longest_tests().unwrap_or_else(|| match piece {
                Piece::File => self.longest(&old),
                _ => self.length(&old),
            }),
            piece,
            file,
            old,
        }
    }

    /// What of a file is written next. Asks for it, unless that was settled before.
    fn next_piece(&mut self) -> Piece {
        if let Some(part) = self.next_part() {
            let ask = self.ask_for(&part);
            self.say(Message::new(Role::User, ask));
            return Piece::Part(part);
        }
        let Some(addition) = self.prepared.as_ref().and_then(|prepared| prepared.addition.clone()) else {
            return Piece::File;
        };
        let ask = self.ask_to_add(&addition);
        self.say(Message::new(Role::User, ask));
        Piece::Addition(addition)
    }

    fn is_fitting(&self) -> bool {
        self.prepared.as_ref().is_none_or(|prepared| prepared.misfits == 0)
    }

    /// Where what was written for a function alone did not fit twice, all of the file may change.
    fn widen(&mut self) {
        let Some(prepared) = self.prepared.as_mut().filter(|prepared| prepared.misfits >= DOUBTS) else { return };
        (prepared.misfits, prepared.addition) = (0, None);
        let Some(path) = prepared.path.clone() else { return };
        let text = self.session.workspace.read(&path).map(|file| file.text).unwrap_or_default();
        let is_short = self.fits_whole(self.session.engine.count(&text));
        let name = if is_short { "change-whole" } else { "change-part" };
        let say = prompt::text(&self.session.workspace, name, &[("path", path.as_str())]);
        self.say(Message::new(Role::User, say));
        let mark = self.mark();
        if let Some(prepared) = &mut self.prepared {
            prepared.path = Some(path).filter(|_| is_short);
            prepared.mark = mark;
        }
    }

    /// Of `most` tokens as many as a try behind a failed one may take: what can be written in this share of the time that is left, and
    /// twice as many as the longest so far had in any case. One that goes round in circles must not take it all.
    pub(super) fn in_time(&self, most: Option<usize>, share: f64) -> Option<usize> {
        let prepared = self.prepared.as_ref().filter(|_| self.retries > 0 && self.check.is_some());
        let Some((speed, longest)) = prepared.and_then(|prepared| Some((prepared.speed?, prepared.longest))) else {
            return most;
        };
        let tokens = (speed * share * self.time_left().as_secs_f64()) as usize;
        Some(tokens.max(longest * LENGTH_FACTOR).min(most.unwrap_or(usize::MAX)))
    }

    /// How long a change may get, in tokens; `old` is what it takes the place of.
    fn longest(&self, old: &str) -> usize {
        let count = |text: &str| self.session.engine.count(text);
        self.open_tokens().max(count(old)).max(count(self.output())) * LENGTH_FACTOR + LENGTH_ROOM
    }

    /// The same where nothing but `old` may change.
    fn length(&self, old: &str) -> usize {
        self.session.engine.count(old) * LENGTH_FACTOR + LENGTH_ROOM
    }

    /// What the last call of this turn put out.
    fn output(&self) -> &str {
        let said = &self.session.transcript[self.request - self.drained..];
        said.iter().rfind(|message| message.role == Role::Tool).map_or("", |message| &message.content)
    }

    /// One step that must be a call of one of `tools`.
    pub(super) async fn demand(&mut self, tools: &[&str], limit: Option<usize>) -> Result<Act, TurnError> {
        self.demand_of(narrow::narrow(self.session, &self.record, tools), limit).await
    }

    /// The same with the tools as they are to be called.
    pub(super) async fn demand_of(&mut self, specs: Vec<ToolSpec>, limit: Option<usize>) -> Result<Act, TurnError> {
        let limits = Limits { max_tokens: limit, ..Limits::default() };
        let step = self.step(Constraint::MustCall(specs), limits).await?;
        self.act(step).await
    }

    pub(super) fn mark(&self) -> Mark {
        Mark { messages: self.session.transcript.len() + self.drained, changes: self.record.changes() }
    }

    /// Goes back to `mark`, files and transcript, so that the next try does not build on one that failed: small models mend
    /// their own failures worse than they hit when they draw again. Returns whether that was possible.
    pub(super) fn take_back(&mut self, mark: Mark) -> bool {
        let changes = self.record.changes() - mark.changes;
        if changes > 0 {
            match self.session.workspace.undo(changes) {
                Ok(undone) => {
                    for applied in undone {
                        self.session.publish_change(self.door, Change::Undo, applied);
                    }
                    self.record.took_back(mark.changes);
                }
                Err(error) => {
                    self.publish(Event::Notice { text: error.to_string() });
                    return false;
                }
            }
        }
        let length = mark.messages.saturating_sub(self.drained);
        let messages = self.session.transcript.len().saturating_sub(length);
        self.session.transcript.truncate(length);
        self.publish(Event::Rewound { messages });
        self.retries += 1;
        true
    }

    /// The same, where it is not there already.
    pub(super) fn go_back(&mut self, mark: Mark) -> bool {
        self.mark() == mark || self.take_back(mark)
    }

    /// The profile's sampling, and for a further try one that gives something else.
    pub(super) fn sampling(&self) -> Sampling {
        self.sampling_for(self.retries)
    }

    /// That for a try behind so many others.
    pub(super) fn sampling_for(&self, retries: u32) -> Sampling {
        let own = self.session.profile.sampling.clone();
        if retries == 0 {
            return own;
        }
        let warmer = (RETRY_TEMPERATURE + RETRY_STEP * retries as f32).min(RETRY_MOST);
        Sampling { temperature: own.temperature.max(warmer), seed: own.seed + retries, ..own }
    }
}
