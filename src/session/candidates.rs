//! Candidates for a change: texts of a file of which the check tells whether one is right. They are tried without a word to the
//! user, and taken back, until one passes. Single lines give some ([`super::lines`]); here whole answers are drawn side by side,
//! since a model reads its weights once for all that it writes at a time.

use std::time::Duration;

use futures_util::StreamExt;
use futures_util::stream::FuturesUnordered;

use super::check::{self, Checked};
use super::lines::SLOTS;
use super::preparation::Prepared;
use super::step;
use super::turn::{Turn, TurnError};
use super::written::Block;
use super::{Change, Event};
use crate::code::{self, syntax};
use crate::engine::{Request, Sampling, Stop, Usage};
use crate::permission::Mode;
use crate::workspace::{Edit, RelPath};

/// Seeds of one round lie apart from those of the next, and from those of answers drawn alone.
const SEEDS: u32 = 1000;

/// How fast each of several answers is written, at least, beside one alone.
const SIDE_BY_SIDE: f64 = 1.0 / 3.0;

/// What came of a search.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Search {
    /// The file stands as the check wants it.
    Found,
    Nothing,
    Interrupted,
    /// There is no time for more, or the tries cannot be taken back.
    Over,
}

/// What came of one candidate.
enum Tried {
    Checked(Checked),
    /// The file cannot have this content.
    Impossible,
    Interrupted,
    /// It could not be taken back.
    Left,
}

impl Turn<'_> {
    /// Whether several answers are to be drawn side by side now. Where most of an answer was drafted rightly (copied, or guessed by a
    /// draft model), one alone is as fast.
    pub(super) fn is_time_for_candidates(&self) -> bool {
        let is_one = |prepared: &Prepared| prepared.path.is_some() && prepared.files.is_empty() && !prepared.copies;
        let settled = self.prepared.as_ref().is_some_and(is_one);
        settled && self.session.settings.check_attempts > 1 && self.session.policy.mode != Mode::Ask && self.width() > 1
    }

    /// How many answers are drawn side by side.
    fn width(&self) -> usize {
        let width = self.session.profile.candidates.unwrap_or_else(|| self.session.engine.side_by_side());
        usize::try_from(width).unwrap_or(SLOTS).min(SLOTS)
    }

    /// Takes note of how much of an answer was drafted, and how fast it was written.
    pub(super) fn note_usage(&mut self, usage: &Usage) {
        if let Some(prepared) = self.prepared.as_mut().filter(|prepared| !prepared.tries.is_mending()) {
            prepared.copies = usage.accepted * 2 > usage.generated;
            if usage.stop == Stop::End {
                prepared.longest = prepared.longest.max(usage.generated);
            }
            prepared.speed =
                Some(usage.generated as f64 / usage.decode_seconds.max(0.001)).filter(|_| usage.generated > 0);
        }
    }

    /// Draws several answers side by side, and tries each as soon as it is there.
    pub(super) async fn search_candidates(&mut self) -> Result<Search, TurnError> {
        let Some((Some(path), mark)) = self.prepared.as_ref().map(|p| (p.path.clone(), p.mark)) else {
            return Ok(Search::Nothing);
        };
        if !self.go_back(mark) {
            return Ok(Search::Over);
        }
        if let Some(prepared) = self.prepared.as_mut().filter(|prepared| !prepared.parts.is_empty()) {
            // The function of the try that failed.
            prepared.parts.rotate_right(1);
        }
        let block = self.next_block(&path);
        self.make_room()?;
        let found = self.draw_candidates(&path, &block).await?;
        if found != Search::Nothing {
            return Ok(found);
        }
        // What asked for them stands there still.
        Ok(if self.go_back(mark) { Search::Nothing } else { Search::Over })
    }

    async fn draw_candidates(&mut self, path: &RelPath, block: &Block) -> Result<Search, TurnError> {
        let count = self.fitting(self.width(), block)?;
        if count < 2 {
            return Ok(Search::Nothing);
        }
        self.publish(Event::Notice { text: format!("drawing {count} versions of {path} side by side") });
        let cancel = self.cancel.child_token();
        // When one is right the others are not needed.
        let _others = cancel.clone().drop_guard();
        let answer = |number| {
            let deltas = self.session.engine.generate(self.request_one(block, number), cancel.clone());
            step::collect(deltas)
        };
        let mut answers: FuturesUnordered<_> = (1..).take(count).map(answer).collect();
        loop {
            let Ok(next) = tokio::time::timeout(self.time_left(), answers.next()).await else {
                return Ok(Search::Over);
            };
            let Some(answer) = next else { return Ok(Search::Nothing) };
            if self.cancel.is_cancelled() {
                return Ok(Search::Interrupted);
            }
            let (text, usage) = match answer {
                Ok(answer) => answer,
                Err(error) => {
                    // Whatever it is, the next try alone shows it.
                    tracing::warn!(%error, "one of several answers");
                    continue;
                }
            };
            let is_sound =
                |content: &String| syntax::new_errors(path.as_str().as_ref(), Some(&block.file), content).is_empty();
            let content = block.content(&text).filter(|_| usage.stop == Stop::End).filter(is_sound);
            let Some(content) = content else { continue };
            let content = self.with_missing_imports(path, block, content);
            if let Some(end) = self.try_candidate(path, &block.file, content).await? {
                return Ok(end);
            }
        }
    }

    /// How many of `wanted` answers the context has room for.
    fn fitting(&self, wanted: usize, block: &Block) -> Result<usize, TurnError> {
        let engine = &self.session.engine;
        let prompt = engine.count_prompt(&self.session.transcript, &self.session.specs())?;
        // Few are as long as they may get.
        let each = (block.longest / 2).max(1);
        Ok(wanted.min(engine.info().context.saturating_sub(prompt) / each))
    }

    /// One of several answers to the same request.
    fn request_one(&self, block: &Block, number: u32) -> Request {
        // All of a round are drawn as freely as one alone would be, the next ones a little more so.
        let sampling = self.sampling_for(self.retries.max(1));
        let seed = sampling.seed + SEEDS * (self.retries + 1) + number;
        let step::Limits { prefix, stop, max_tokens, .. } = block.limits();
        let max_tokens = self.in_time(max_tokens, SIDE_BY_SIDE);
        Request {
            messages: self.session.transcript.clone(),
            tools: self.session.specs(),
            sampling: Sampling { seed, ..sampling },
            prefix,
            stop,
            max_tokens,
            slot: number,
            ..Request::default()
        }
    }

    /// Tries a text of a file in which `stands` stands now, unless it was tried; where the check passes it stays. `Some`: the search has
    /// ended.
    pub(super) async fn try_candidate(
        &mut self,
        path: &RelPath,
        stands: &str,
        content: String,
    ) -> Result<Option<Search>, TurnError> {
        let is_known = self.prepared.as_ref().is_some_and(|prepared| prepared.written.contains(&content));
        if is_known || content == stands {
            return Ok(None);
        }
        // The user may have changed the mode meanwhile, or the file.
        let may = self.allows_checks() && self.session.policy.mode != Mode::Ask && self.holds(path, stands);
        if !may || self.is_over_budget() {
            return Ok(Some(Search::Over));
        }
        if code::elision(path.as_str(), stands, &content).is_some() {
            return Ok(None);
        }
        let checked = match self.try_quietly(path, &content).await? {
            Tried::Checked(checked) => checked,
            Tried::Impossible => return Ok(None),
            Tried::Interrupted => return Ok(Some(Search::Interrupted)),
            Tried::Left => return Ok(Some(Search::Over)),
        };
        if checked.passed {
            self.put_back(path, &content).await?;
            return Ok(Some(if self.holds(path, &content) { Search::Found } else { Search::Over }));
        }
        if let Some(prepared) = &mut self.prepared {
            prepared.written.push(content);
        }
        self.note_failed(&checked.output);
        Ok(None)
    }

    /// Runs the check on the file with this content, and takes the change back.
    async fn try_quietly(&mut self, path: &RelPath, content: &str) -> Result<Tried, TurnError> {
        let Some(check) = self.check.clone() else { return Ok(Tried::Impossible) };
        let workspace = self.session.workspace.clone();
        let edit = Edit::Write { path: path.clone(), content: content.to_owned() };
        let made = workspace.plan(&edit).and_then(|patch| workspace.apply(patch, &format!("try {}", path.as_str())));
        // A character that the file's encoding lacks, for example: the next candidate may do.
        let Ok(applied) = made else { return Ok(Tried::Impossible) };
        // Many of these are wrong in a way that has no end: none gets a share of what is left.
        let limit = check::limit(self.session.settings.command_timeout, Duration::ZERO, self.checked_before);
        let checked = check::ask(self.session, &check, limit, &self.cancel).await;
        let own = checked.as_ref().and_then(|checked| checked.applied.as_ref()).map_or(0, |_| 1);
        if let Err(error) = workspace.undo(1 + own) {
            // The file was changed by somebody else meanwhile, or the disk is full: what stands there is told.
            self.record.edited(&applied.files);
            self.session.publish_change(self.door, Change::Edit, applied);
            self.publish(Event::Notice { text: error.to_string() });
            return Ok(Tried::Left);
        }
        let checked = checked.filter(|_| !self.cancel.is_cancelled());
        Ok(checked.map_or(Tried::Interrupted, Tried::Checked))
    }
}
