//! Takes single lines out of a file and has the model fill the gaps, from what stands before and behind each. A small model that is
//! shown a file with a mistake copies the mistake; what it has not seen it cannot copy. Each line costs few tokens, many are
//! drawn side by side, and the check tells which one was meant. A line of which the model is sure comes out as it stood, which
//! costs no check. (Repair by infilling: AlphaRepair, arXiv 2207.08281.)

use std::collections::HashMap;
use std::path::Path;
use std::time::Duration;

use futures_util::future::join_all;

use super::candidates::Search;
use super::mend::Count;
use super::step;
use super::turn::{Turn, TurnError};
use super::{Event, Session, failure, wording};
use crate::code::{lines, syntax};
use crate::engine::{EngineError, Infill, Request, Sampling, Stop};
use crate::permission::Mode;
use crate::workspace::RelPath;

/// The failed try behind which lines are drawn first, where there is one mistake to be found and else, and the tries between two
/// such searches. (Where tests tell how far a try is from being right, each one that is the best so far is searched once.)
const FIRST_FOR_FAULT: u32 = 1;
const FIRST: u32 = 2;
const EVERY: u32 = 4;
/// Lines that are drawn at most; of a longer file those around what the failure names.
pub(super) const LINES: usize = 40;
/// Lines that are drawn before what came of them is tried, the most surprising first.
const ROUND: usize = 12;
/// Changes of a single token that are tried at most, in one part in so many of the time that is left.
const TOKENS: usize = 24;
const TOKENS_SHARE: u32 = 8;
/// Draws of a line: the likeliest, and some freer ones.
const DRAWS: u32 = 5;
const TEMPERATURE: f32 = 0.9;
/// Lines up to this many, where it is certain that one of them is meant, are drawn as often as there are slots.
const FEW: usize = 4;
/// Gaps that are filled side by side; the first slot is the conversation's.
pub(super) const SLOTS: usize = 15;
/// Tokens of a line.
const LENGTH: usize = 80;
/// Lines around one that a failure names which are drawn before others.
const NEAR: usize = 8;
/// Lines around a gap that the model sees, where no definition encloses it.
const AROUND: usize = 30;
/// Lines of the definition that encloses it, before the gap and behind it. What is seen begins at the same line for gaps that
/// follow each other, so that it is read once.
const BEFORE: usize = 40;
const BEHIND: usize = 20;
const STEP: usize = 20;
/// Lines of code of a function from which on its lines are drawn before it is written anew: it would take long, and seldom come
/// out right.
const LONG: usize = 25;
/// A drawn line that shares less than this with the one in its place may be one that is missing in front of it.
const ALIKE: f64 = 0.5;

/// A file with one line changed.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Candidate {
    pub content: String,
    /// How often its line was drawn, less how often the line came out as it stood, and how likely the model found it.
    votes: isize,
    logprob: f64,
}

/// One line as the model drew it.
#[derive(Debug, Clone)]
pub(super) struct Drawn {
    /// From 0.
    pub line: usize,
    pub text: String,
    pub logprob: f64,
}

/// The lines in rounds of about the same size, each in the order of the text, since of lines that follow each other most of the prompt
/// is the same.
fn rounds(lines: &mut [usize]) -> impl Iterator<Item = &[usize]> {
    let count = lines.len().div_ceil(ROUND).max(1);
    let size = lines.len().div_ceil(count).max(1);
    lines.chunks_mut(size).map(|round| {
        round.sort_unstable();
        &*round
    })
}

/// A file, its text as it stands, and the one in which lines are drawn.
type Place<'a> = (&'a RelPath, &'a str, &'a str);

impl Turn<'_> {
    /// Whether it is time to draw single lines, behind try number `attempt`.
    pub(super) fn is_time_for_lines(&self, attempt: u32) -> bool {
        let file = self
            .prepared
            .as_ref()
            .is_some_and(|prepared| prepared.path.is_some() || (prepared.files.is_empty() && self.is_traceable()));
        let fills = self.session.engine.info().infill && self.session.profile.lines;
        let fills = fills && self.session.policy.mode != Mode::Ask;
        file && fills && self.is_turn_of_lines(attempt)
    }

    fn is_turn_of_lines(&self, attempt: u32) -> bool {
        let Some(prepared) = &self.prepared else { return false };
        if wording::is_about_a_fault(&self.asked) {
            return attempt % EVERY == FIRST_FOR_FAULT && !(attempt == FIRST_FOR_FAULT && prepared.drawn_first);
        }
        match prepared.tries.best().filter(|best| best.count != Count::default()) {
            // Of what is to be written from the beginning, a line is seldom all that is missing.
            Some(best) => {
                let is_better = best.count.passed > self.passed_before;
                attempt >= FIRST && is_better && best.count.is_nearly_right() && !prepared.tries.searched
            }
            None => attempt % EVERY == FIRST,
        }
    }

    /// Whether single lines are drawn before anything else is tried: of a long function with a mistake that a check shows.
    pub(super) fn is_line_by_line(&self) -> bool {
        let part = self.prepared.as_ref().and_then(|prepared| prepared.parts.first());
        let is_long = part.is_some_and(|part| {
            let text = self.session.workspace.read(&part.path).map(|file| file.text).unwrap_or_default();
            let own = part.of(&text).unwrap_or_default();
            lines::code_lines(Path::new(part.path.as_str()), own).len() > LONG
        });
        is_long && self.failed_before && self.is_time_for_lines(FIRST_FOR_FAULT)
    }

    /// Draws lines of the file that stood nearest to passing the check, and tries them. The tries' own changes are taken back.
    pub(super) async fn search_lines(&mut self) -> Result<Search, TurnError> {
        let Some((path, mark)) = self.prepared.as_ref().map(|p| (p.path.clone(), p.mark)) else {
            return Ok(Search::Nothing);
        };
        if !self.go_back(mark) {
            return Ok(Search::Over);
        }
        if path.as_ref().is_none_or(|path| self.is_long(path)) {
            self.trace().await;
        }
        let Some(path) = path.or_else(|| self.most_suspicious()) else { return Ok(Search::Nothing) };
        let base = self.base(&path);
        if let Some(prepared) = &mut self.prepared {
            prepared.tries.searched = true;
        }
        // The lines are those of the file as it is.
        let is_traced = self.holds(&path, &base.0);
        let scores = self.spectrum.as_ref().and_then(|spectrum| spectrum.of(&path)).filter(|_| is_traced);
        let mut wanted = suspects(&path, &base.0, &base.1, scores);
        let surprise = self.surprise(&path, &base.0, &wanted).await?;
        surprise.sort(&mut wanted);
        let stands = self.session.workspace.read(&path).map(|file| file.text).unwrap_or_default();
        let search = (&path, stands.as_str(), base.0.as_str());
        if let Some(end) = self.try_tokens(search, &surprise.changes).await? {
            return Ok(end);
        }
        if let Some(prepared) = &mut self.prepared {
            prepared.surprise = Some(surprise);
        }
        let count = if wanted.len() == 1 { "1 line".to_owned() } else { format!("{} lines", wanted.len()) };
        self.publish(Event::Notice { text: format!("drawing {count} of {} one by one", path.as_str()) });
        for lines in rounds(&mut wanted) {
            let drawn = self.draw(&path, &base.0, lines).await?;
            if let Some(end) = self.try_drawn(search, &drawn, Duration::ZERO).await? {
                return Ok(end);
            }
            if self.is_over_budget() {
                return Ok(Search::Over);
            }
        }
        Ok(Search::Nothing)
    }

    /// Tries the likeliest changes of a single token, for a share of the time that is left.
    async fn try_tokens(&mut self, search: Place<'_>, changes: &[Drawn]) -> Result<Option<Search>, TurnError> {
        let left = self.time_left();
        let most = changes.len().min(TOKENS);
        self.try_drawn(search, &changes[..most], left - left / TOKENS_SHARE).await
    }

    /// Tries the files that drawn lines give, until so much time is left. `Some`: the search has ended.
    async fn try_drawn(
        &mut self,
        (path, stands, text): Place<'_>,
        drawn: &[Drawn],
        left: Duration,
    ) -> Result<Option<Search>, TurnError> {
        if self.cancel.is_cancelled() {
            return Ok(Some(Search::Interrupted));
        }
        let found = candidates(path, text, drawn);
        tracing::debug!(drawn = drawn.len(), candidates = found.len(), "single lines");
        for Candidate { content, .. } in found {
            if self.time_left() < left {
                break;
            }
            if let Some(end) = self.try_candidate(path, stands, content).await? {
                return Ok(Some(end));
            }
        }
        Ok(None)
    }

    /// Whether not all lines of a file are drawn.
    fn is_long(&self, path: &RelPath) -> bool {
        let text = self.session.workspace.read(path).map(|file| file.text).unwrap_or_default();
        lines::code_lines(Path::new(path.as_str()), &text).len() > LINES
    }

    /// The best text so far with what its check said: that of a failed try, or the file as it is.
    fn base(&self, path: &RelPath) -> (String, String) {
        let own = || self.session.workspace.read(path).map(|file| file.text).unwrap_or_default();
        let best = self.prepared.as_ref().and_then(|prepared| prepared.tries.better_than(self.passed_before));
        best.map_or_else(|| (own(), self.failure.clone()), |best| (best.content.clone(), best.output.clone()))
    }

    /// Draws `wanted` lines of `text`.
    pub(super) async fn draw(&self, path: &RelPath, text: &str, wanted: &[usize]) -> Result<Vec<Drawn>, TurnError> {
        let gaps = Gaps::new(path, text);
        // What is drawn must be tried as well.
        let kept = self.time_left() / 2;
        let draws = if self.spectrum.is_some() && wanted.len() <= FEW { SLOTS as u32 } else { DRAWS };
        let jobs: Vec<(usize, u32)> =
            wanted.iter().flat_map(|&line| (0..draws).map(move |draw| (line, draw))).collect();
        let mut drawn = Vec::new();
        for group in jobs.chunks(SLOTS) {
            let asked = group.iter().zip(1..).map(|(&(line, draw), slot)| {
                let request = request(self.session, gaps.around(line), self.retries + draw, draw > 0, slot);
                async move {
                    let answer = self.line(request).await;
                    answer.map(|answer| answer.map(|(text, logprob)| Drawn { line, text, logprob }))
                }
            });
            for answer in join_all(asked).await {
                drawn.extend(answer?);
            }
            if self.cancel.is_cancelled() || self.time_left() <= kept {
                break;
            }
        }
        Ok(drawn)
    }

    /// One line, with its mean log-probability; `None` where it has no end.
    async fn line(&self, request: Request) -> Result<Option<(String, f64)>, EngineError> {
        let (text, usage) = step::write(self.session, request, &self.cancel).await?;
        let line = text.lines().next().unwrap_or_default().trim_end();
        Ok((usage.stop == Stop::End).then(|| (line.to_owned(), usage.logprob.unwrap_or_default())))
    }
}

fn request(session: &Session, infill: Infill, seed: u32, freely: bool, slot: u32) -> Request {
    let own = &session.profile.sampling;
    let temperature = if freely { TEMPERATURE } else { 0.0 };
    Request {
        infill: Some(infill),
        stop: vec!["\n".into()],
        sampling: Sampling { temperature, seed: own.seed + seed, ..own.clone() },
        max_tokens: Some(LENGTH),
        logprobs: true,
        slot,
        ..Request::default()
    }
}

/// A text of which single lines are taken out.
struct Gaps<'t> {
    lines: Vec<&'t str>,
    /// First and last line of each definition, from 0.
    definitions: Vec<(usize, usize)>,
}

impl<'t> Gaps<'t> {
    fn new(path: &RelPath, text: &'t str) -> Self {
        let definitions = crate::code::definitions(path.as_str(), text);
        let range = |(start, end): (u32, u32)| (start.saturating_sub(1) as usize, end.saturating_sub(1) as usize);
        Self {
            lines: text.lines().collect(),
            definitions: definitions.iter().map(|definition| range((definition.start, definition.end))).collect(),
        }
    }

    /// The gap of one line, within the outermost definition around it.
    fn around(&self, line: usize) -> Infill {
        let enclosing = self.definitions.iter().filter(|(start, end)| (start..=end).contains(&&line));
        let widest = enclosing.max_by_key(|(start, end)| end - start);
        let (first, last) = match widest {
            Some(&(start, end)) => {
                let skipped = (line - start).saturating_sub(BEFORE).next_multiple_of(STEP).min(line - start);
                (start + skipped, end.min(line + BEHIND))
            }
            None => (line.saturating_sub(AROUND), line + AROUND),
        };
        let last = last.min(self.lines.len().saturating_sub(1));
        let before: String = self.lines[first..line].iter().map(|line| format!("{line}\n")).collect();
        let after: String = self.lines[line + 1..=last.max(line)].iter().map(|line| format!("\n{line}")).collect();
        Infill { before, after }
    }
}

/// The lines to draw: all of the code, or of a long file those that failing tests run most, of equal ones those nearest to what
/// the failure names.
fn suspects(path: &RelPath, text: &str, output: &str, scores: Option<&HashMap<usize, f64>>) -> Vec<usize> {
    let mut wanted = lines::code_lines(Path::new(path.as_str()), text);
    if wanted.len() > LINES {
        let score = |line: usize| scores.and_then(|scores| scores.get(&line)).copied().unwrap_or_default();
        if wanted.iter().any(|&line| score(line) > 0.0) {
            wanted.retain(|&line| score(line) > 0.0);
        }
        let named = failure::named_lines(path, output);
        let told: Vec<&str> = words(output).collect();
        let all: Vec<&str> = text.lines().collect();
        let distance = |line: usize| {
            let near = named.iter().map(|&at| at.abs_diff(line)).min().unwrap_or(LINES);
            // A line that speaks of what the failure speaks of comes before one that only stands near.
            let tells = |word: &&str| word.len() > 3 && told.contains(word);
            let shared = all.get(line).map_or(0, |text| words(text).filter(tells).count());
            near.saturating_sub(shared)
        };
        wanted.sort_by(|&a, &b| score(b).total_cmp(&score(a)).then_with(|| distance(a).cmp(&distance(b))));
        wanted.truncate(LINES);
        // There may not be time for all.
        wanted.sort_by_key(|&line| (!named.iter().any(|at| at.abs_diff(line) <= NEAR), line));
    }
    wanted
}

fn words(text: &str) -> impl Iterator<Item = &str> {
    text.split(|c: char| !c.is_alphanumeric() && c != '_')
}

/// The files that drawn lines give, the likeliest first: in place of a line, in front of it, or without it.
pub(super) fn candidates(path: &RelPath, text: &str, drawn: &[Drawn]) -> Vec<Candidate> {
    let lines: Vec<&str> = text.lines().collect();
    let stays = |drawn: &&Drawn| lines.get(drawn.line).is_some_and(|old| drawn.text.trim_end() == old.trim_end());
    let mut kept: HashMap<usize, isize> = HashMap::new();
    drawn.iter().filter(stays).for_each(|drawn| *kept.entry(drawn.line).or_default() += 1);
    let mut found: HashMap<String, (isize, f64)> = HashMap::new();
    let mut add = |content: String, drawn: &Drawn| {
        let against = kept.get(&drawn.line).copied().unwrap_or_default();
        let (votes, logprob) = found.entry(content).or_insert((-against, drawn.logprob));
        *votes += 1;
        *logprob = logprob.max(drawn.logprob);
    };
    for new in drawn {
        let Some(&old) = lines.get(new.line).filter(|_| !stays(&new)) else { continue };
        let splice = |with: &[&str], until: usize| {
            let parts = [&lines[..new.line], with, &lines[until..]].concat();
            parts.join("\n") + if text.ends_with('\n') { "\n" } else { "" }
        };
        if lines.get(new.line + 1).is_some_and(|next| new.text == next.trim_end()) {
            add(splice(&[], new.line + 1), new);
            continue;
        }
        add(splice(&[&new.text], new.line + 1), new);
        if !new.text.trim().is_empty() && strsim::normalized_levenshtein(new.text.trim(), old.trim()) < ALIKE {
            add(splice(&[&new.text], new.line), new);
        }
    }
    let path = Path::new(path.as_str());
    let candidate = |(content, (votes, logprob))| Candidate { content, votes, logprob };
    let mut found: Vec<Candidate> = found.into_iter().map(candidate).collect();
    found.retain(|candidate| syntax::new_errors(path, Some(text), &candidate.content).is_empty());
    found.sort_by(|a, b| {
        b.votes.cmp(&a.votes).then(b.logprob.total_cmp(&a.logprob)).then_with(|| a.content.cmp(&b.content))
    });
    found
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    fn path() -> RelPath {
        "a.py".to_owned().try_into().unwrap()
    }

    fn drawn(line: usize, text: &str, logprob: f64) -> Drawn {
        Drawn { line, text: text.into(), logprob }
    }

    #[test]
    fn a_drawn_line_stands_in_place_of_another_or_in_front_of_it() {
        let text = "def f(a):\n    b = a\n    return b - 1\n";
        let drawn = [
            drawn(2, "    return b + 1", -0.5),
            drawn(2, "    return b - 1", -0.1),
            drawn(2, "    return b + 1", -0.6),
            drawn(1, "    if not a: return 0", -0.2),
            drawn(1, "    return b - 1", -0.3),
            drawn(1, "    b = (", -0.1),
        ];
        let contents: Vec<String> = candidates(&path(), text, &drawn).into_iter().map(|c| c.content).collect();
        assert_eq!(
            contents,
            [
                "def f(a):\n    if not a: return 0\n    b = a\n    return b - 1\n",
                "def f(a):\n    if not a: return 0\n    return b - 1\n",
                "def f(a):\n    return b - 1\n",
                // The same line came out as it stood once.
                "def f(a):\n    b = a\n    return b + 1\n",
            ]
        );
    }

    #[test]
    fn a_gap_shows_the_definition_around_it() {
        let text = "import a\n\n\ndef f():\n    x = 1\n    return x\n\n\nprint(f())\n";
        let gaps = Gaps::new(&path(), text);
        let gap = |before: &str, after: &str| Infill { before: before.into(), after: after.into() };
        assert_eq!(gaps.around(4), gap("def f():\n", "\n    return x"));
        assert_eq!(gaps.around(5), gap("def f():\n    x = 1\n", ""));
        assert_eq!(gaps.around(0), gap("", &text.trim_end()["import a".len()..]));
    }

    #[test]
    fn of_a_long_file_the_lines_around_the_failure_are_drawn() {
        let short = "x = 1\n# a note\ny = 2\n";
        assert_eq!(suspects(&path(), short, "", None), [0, 2]);
        let long: String = (0..200).map(|i| format!("x{i} = {i}\n")).collect();
        let lines =
            suspects(&path(), &long, "a.py:101: in f\n>  x\nFile \"src/a.py\", line 103, in g\nb.py:7: Error", None);
        assert_eq!(lines.len(), LINES);
        assert!(lines.contains(&100) && lines.contains(&102) && !lines.contains(&6), "{lines:?}");
        // What failing tests run comes before what stands near, and what they do not run is none of it.
        let ran: HashMap<usize, f64> = (0..60).map(|line| (line, if line < 10 { 0.5 } else { 0.9 })).collect();
        let lines = suspects(&path(), &long, "a.py:31: in f", Some(&ran));
        assert_eq!(lines[0], 22);
        assert_eq!(lines.iter().copied().collect::<BTreeSet<_>>(), (10..50).collect());
        assert_eq!(suspects(&path(), &long, "a.py:101: in f", Some(&HashMap::from([(7, 1.0)]))), [7]);
    }
}
