//! Where a text surprises the model, and what it would rather have written there: a mistake is often less likely than what should
//! stand in its place. Read once, a function tells which of its lines to draw first, and which single tokens to try without writing
//! anything. (Ranking by entropy: "On the naturalness of buggy code", arXiv 1506.01159.)

use std::collections::HashMap;
use std::ops::Range;

use super::lines::Drawn;
use super::part::{functions, innermost, ranges};
use super::turn::{Turn, TurnError};
use crate::engine::Scored;
use crate::workspace::RelPath;

/// Tokens of a text up to which all of it is read; of a longer one the functions in which lines are suspected.
const WHOLE: usize = 1000;
/// Tokens of these that are read, at most.
const MOST: usize = 1500;
/// Each may take so much of the time that is left: one part in so many.
const TIME_SHARE: u32 = 4;
/// Lines in front of a function with which it is read.
const BEFORE: usize = 20;

/// What the model thinks of a text.
#[derive(Debug, Default)]
pub(super) struct Surprise {
    pub text: String,
    /// By line, from 0: how much likelier the model found something else in it, as a difference of log-probabilities.
    lines: HashMap<usize, f64>,
    /// Lines in which one token is another, with the same difference, the largest first.
    pub changes: Vec<Drawn>,
}

impl Surprise {
    /// Puts the most surprising lines first.
    pub fn sort(&self, lines: &mut [usize]) {
        let of = |line: &usize| self.lines.get(line).copied().unwrap_or(f64::NEG_INFINITY);
        lines.sort_by(|a, b| of(b).total_cmp(&of(a)));
    }

    /// Takes in what was said of a part of the text, which begins with line `first`.
    fn take(&mut self, first: usize, part: &str, scored: &[Scored]) {
        for token in scored {
            // A token may be a part of a character.
            let own = part.get(token.range.clone()).unwrap_or_default();
            if own.contains('\n') || own.trim().is_empty() {
                continue;
            }
            let begin = part[..token.range.start].rfind('\n').map_or(0, |at| at + 1);
            let end = part[token.range.end..].find('\n').map_or(part.len(), |at| token.range.end + at);
            let line = first + part[..begin].matches('\n').count();
            for (other, logprob) in &token.others {
                if other.contains('\n') || other.trim() == own.trim() {
                    continue;
                }
                let more = logprob - token.logprob;
                let known = self.lines.entry(line).or_insert(more);
                *known = known.max(more);
                let text = [&part[begin..token.range.start], other, &part[token.range.end..end]].concat();
                self.changes.push(Drawn { line, text, logprob: more });
            }
        }
    }
}

impl Turn<'_> {
    /// What the model thinks of the lines `wanted` of a text; of none where this engine cannot tell. A text that was read before is
    /// not read again.
    pub(super) async fn surprise(
        &mut self,
        path: &RelPath,
        text: &str,
        wanted: &[usize],
    ) -> Result<Surprise, TurnError> {
        let known = self.prepared.as_mut().and_then(|prepared| prepared.surprise.take());
        if let Some(known) = known.filter(|known| known.text == text) {
            return Ok(known);
        }
        let mut surprise = Surprise { text: text.to_owned(), ..Surprise::default() };
        let lines: Vec<&str> = text.split_inclusive('\n').collect();
        let mut left = MOST;
        for lines_read in self.regions(path, text, wanted) {
            let part = lines[lines_read.clone()].concat();
            let count = self.session.engine.count(&part);
            if count > left {
                continue;
            }
            left -= count;
            let before = lines[lines_read.start.saturating_sub(BEFORE)..lines_read.start].concat();
            // There must be something before the first token.
            let before = if before.is_empty() { "\n" } else { &before };
            let cancel = self.cancel.child_token();
            let _ends = cancel.clone().drop_guard();
            let scored = self.session.engine.score(before, &part, cancel);
            // It is for speed alone; a server cannot tell.
            match tokio::time::timeout(self.time_left() / TIME_SHARE, scored).await {
                Ok(Ok(Some(scored))) => surprise.take(lines_read.start, &part, &scored),
                Ok(Ok(None)) => {}
                Ok(Err(error)) => tracing::warn!(%error, "a text could not be scored"),
                Err(_) => break,
            }
            if self.cancel.is_cancelled() {
                break;
            }
        }
        surprise.changes.retain(|change| wanted.contains(&change.line));
        surprise.changes.sort_by(|a, b| b.logprob.total_cmp(&a.logprob));
        Ok(surprise)
    }

    /// The lines that are read: all, or the innermost functions around those that are wanted, the first of these first.
    fn regions(&self, path: &RelPath, text: &str, wanted: &[usize]) -> Vec<Range<usize>> {
        if self.session.engine.count(text) <= WHOLE {
            return std::iter::once(0..text.lines().count()).collect();
        }
        let ranges = ranges(text, &functions(path, text));
        let mut found: Vec<Range<usize>> = Vec::new();
        for range in wanted.iter().filter_map(|&line| ranges.get(innermost(&ranges, line)?)) {
            if !found.contains(range) {
                found.push(range.clone());
            }
        }
        found
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_the_model_would_rather_have_written_is_a_change() {
        let part = "    if a < b:\n        return a  # ö\n";
        let token = |own: &str, logprob, others: &[(&str, f64)]| {
            let at = part.find(own).unwrap();
            let others = others.iter().map(|&(text, logprob)| (text.to_owned(), logprob)).collect();
            Scored { range: at..at + own.len(), logprob, others }
        };
        let mut surprise = Surprise::default();
        let scored = [
            token(" <", -3.0, &[(" <=", -0.5), (" >", -2.0), (" <", -3.0), ("\n", -4.0)]),
            token("return", -0.1, &[(" yield", -5.1)]),
            token(":\n", -0.1, &[(" and", -1.0)]),
            Scored { range: 34..35, logprob: -9.0, others: vec![("x".into(), -0.1)] },
        ];
        surprise.take(7, part, &scored);
        let changes: Vec<(usize, &str)> = surprise.changes.iter().map(|c| (c.line, c.text.as_str())).collect();
        assert_eq!(changes, [(7, "    if a <= b:"), (7, "    if a > b:"), (8, "         yield a  # ö")]);
        assert_eq!((surprise.lines[&7], surprise.lines[&8]), (2.5, -5.0));
        let mut lines = [1, 8, 7];
        surprise.sort(&mut lines);
        assert_eq!(lines, [7, 8, 1]);
    }
}
