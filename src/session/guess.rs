//! Where a mistake is to be found and nothing tells a right version from a wrong one, the model makes up calls of the function and
//! what they should give, and the version is taken in which most of them hold: the file as it wrote it anew, or the old one with a
//! single line drawn anew. Such tests are often wrong, but seldom in the way in which a wrong version is. They are nowhere
//! written and prove nothing. (Choosing by generated tests: CodeT, arXiv 2207.10397.)

use std::path::Path;
use std::time::Duration;

use futures_util::future::try_join_all;

use super::examples;
use super::lines::{LINES, candidates};
use super::step;
use super::turn::{Turn, TurnError};
use super::{Event, Outcome, prompt, wording};
use crate::code::{Definition, Kind, definitions, lines};
use crate::dialect::{Message, Role};
use crate::engine::{EngineError, Request};
use crate::permission::Mode;
use crate::sandbox::{self, CommandSpec, run_command};
use crate::workspace::RelPath;

/// Tokens of the tests.
const LENGTH: usize = 400;
/// Fewer tell nothing.
const FEWEST: usize = 3;
/// The part of them that must hold in a version that is taken: one in so many. Where fewer do, they are of another function.
const SHARE: isize = 4;
/// Versions with one line drawn anew that are tried.
const VERSIONS: usize = 12;
/// All versions are tried within this; the runner's own limits are shorter.
const LIMIT: Duration = Duration::from_secs(40);
/// Bytes of what the runner says.
const SAID: usize = 1000;

/// A function with a mistake that nothing but the request speaks of.
#[derive(Debug)]
pub(super) struct Suspect {
    path: RelPath,
    /// The file before any change.
    before: String,
    function: Definition,
    /// Where the transcript ends with the request and the files, counted from the session's start.
    asked: usize,
}

/// How many of the model's own tests hold in each of several versions; less than none in one that cannot be run.
#[derive(Debug, PartialEq, Eq)]
struct Weighed {
    held: Vec<isize>,
    of: isize,
}

impl Turn<'_> {
    /// The function that the request calls wrong, where there is no check and versions of it can be run.
    pub(super) fn suspect(&mut self) -> Option<Suspect> {
        let path = self.prepared.as_ref().and_then(|prepared| prepared.path.clone())?;
        let able = self.session.engine.info().infill && self.session.profile.versions;
        let able = able && self.session.settings.check_attempts > 1;
        let wanted = path.as_str().ends_with(".py") && wording::is_about_a_fault(&self.asked);
        let in_part = self.prepared.as_ref().is_some_and(|prepared| !prepared.parts.is_empty());
        if in_part || self.check.is_some() || !able || !wanted || !self.may_weigh() {
            return None;
        }
        let before = self.session.workspace.read(&path).ok()?.text;
        let function = function(&path, &before, &self.asked)?;
        // The last message says how to write the change.
        Some(Suspect { path, before, function, asked: self.session.transcript.len() + self.drained - 1 })
    }

    /// Whether versions may be run now: what a function does with made-up arguments is not known before.
    fn may_weigh(&mut self) -> bool {
        let sealed = self.session.settings.sandbox.is_on() && sandbox::ability().files.enforced;
        sealed && self.allows_checks() && self.session.policy.mode != Mode::Ask && !self.is_over_budget()
    }

    /// Takes the version in which most of the tests hold that the model makes up, where more do than in what stands there.
    pub(super) async fn weigh(&mut self, suspect: Suspect, outcome: Outcome) -> Result<Outcome, TurnError> {
        let Suspect { path, before, .. } = &suspect;
        let now = self.session.workspace.read(path).map(|file| file.text).unwrap_or_default();
        let found = match self.better_version(&suspect, &now).await {
            // The change is made, with this or without.
            Err(error) => {
                tracing::warn!(%error, "no versions are weighed");
                None
            }
            Ok(found) => found,
        };
        if self.cancel.is_cancelled() {
            return Ok(Outcome::Interrupted);
        }
        let Some(mark) = self.prepared.as_ref().map(|prepared| prepared.mark) else { return Ok(outcome) };
        // The user may have written something meanwhile.
        let (Some(version), true) = (found, self.holds(path, &now)) else { return Ok(outcome) };
        if !self.may_weigh() || !self.take_back(mark) {
            return Ok(outcome);
        }
        if !self.holds(path, before) {
            return Ok(Outcome::NotDone);
        }
        self.put_back(path, &version).await?;
        if self.holds(path, &version) {
            return Ok(Outcome::Done);
        }
        if now != *before {
            self.put_back(path, &now).await?;
        }
        Ok(outcome)
    }

    /// A version with one line drawn anew that is better than the file before the change and `now`.
    async fn better_version(&mut self, suspect: &Suspect, now: &str) -> Result<Option<String>, TurnError> {
        let Suspect { path, before, .. } = suspect;
        let text =
            format!("there is no check that can be run: trying versions of {path} with calls made up by the model");
        self.publish(Event::Notice { text });
        let tests = self.guess_tests(suspect).await?;
        tracing::debug!(tests, "made up");
        let mut versions = vec![before.clone(), now.to_owned()];
        let Some(first) = self.hold(suspect, &tests, &versions).await else { return Ok(None) };
        let is_of_use = first.of >= FEWEST.cast_signed() && first.held[0] >= 0;
        if !is_of_use || first.suffices() || !self.may_weigh() {
            return Ok(None);
        }
        let drawn = self.draw(path, before, &suspect.lines()).await?;
        let others = candidates(path, before, &drawn).into_iter().map(|candidate| candidate.content);
        versions.extend(others.filter(|content| content != now).take(VERSIONS));
        if !self.may_weigh() {
            return Ok(None);
        }
        let Some(weighed) = self.hold(suspect, &tests, &versions).await else { return Ok(None) };
        tracing::debug!(?weighed, "versions");
        let Some(best) = weighed.best() else { return Ok(None) };
        let [held, of, written] = [weighed.held[best], weighed.of, weighed.held[1].max(0)];
        let text =
            format!("{held} of {of} such calls hold with a single line changed, {written} with what was written");
        self.publish(Event::Notice { text });
        Ok(Some(versions.swap_remove(best)))
    }

    /// The tests that the model makes up: from the file as it was, and from what is said of the function alone.
    async fn guess_tests(&self, suspect: &Suspect) -> Result<String, EngineError> {
        let name = suspect.function.name.as_str();
        let ask = prompt::text(&self.session.workspace, "guess-tests", &[("function", name)]);
        let mut seen = self.session.transcript[..suspect.asked.saturating_sub(self.drained)].to_vec();
        let is_system = |message: &&Message| message.role == Role::System;
        let mut told: Vec<Message> = seen.first().filter(is_system).cloned().into_iter().collect();
        let text = prompt::fenced(suspect.path.as_str(), suspect.path.as_str(), &suspect.told());
        told.push(Message::new(Role::User, format!("{}\n\n{ask}", text.trim_end())));
        match seen.last_mut() {
            Some(last) if last.role == Role::User => last.content.push_str(&format!("\n\n{ask}")),
            _ => seen.push(Message::new(Role::User, ask)),
        }
        let begin = format!("assert {name}(");
        let asked = [seen, told].into_iter().zip(1..).map(|(messages, slot)| {
            let request = Request {
                messages,
                tools: self.session.specs(),
                prefix: format!("```python\n{begin}"),
                stop: vec!["\n```".into()],
                max_tokens: Some(LENGTH),
                slot,
                ..Request::default()
            };
            step::write(self.session, request, &self.cancel)
        });
        let tests = try_join_all(asked).await?;
        Ok(tests.into_iter().map(|(text, _)| format!("{begin}{text}\n")).collect())
    }

    /// How many of the tests hold in each version. `None`: they could not be run, or the turn was interrupted.
    async fn hold(&self, suspect: &Suspect, tests: &str, versions: &[String]) -> Option<Weighed> {
        let Suspect { path, function, before, .. } = suspect;
        let command = examples::weighing(path, &function.name, tests, before, versions)?;
        let spec = CommandSpec {
            command: &command,
            dir: self.session.workspace.root(),
            timeout: LIMIT.min(self.session.settings.command_timeout),
            sandbox: &self.session.settings.sandbox.sealed(),
            cancel: self.cancel.clone(),
            output_limit: SAID,
        };
        let ended = run_command(spec).await.ok().filter(|_| !self.cancel.is_cancelled())?;
        Weighed::read(&ended.output).filter(|weighed| weighed.held.len() == versions.len())
    }
}

impl Suspect {
    /// The function's lines of code that may be drawn; of a long one the first.
    fn lines(&self) -> Vec<usize> {
        self.code().into_iter().take(LINES).collect()
    }

    /// The function's lines of code.
    fn code(&self) -> Vec<usize> {
        let Definition { start, end, .. } = self.function;
        let inside = |line: &usize| (start as usize..=end as usize).contains(&(line + 1));
        lines::code_lines(Path::new(self.path.as_str()), &self.before).into_iter().filter(inside).collect()
    }

    /// The file without what the function does: its head, and all that is said of it.
    fn told(&self) -> String {
        let (code, line) = (self.code(), self.function.line as usize - 1);
        let mut depth = 0_isize;
        let ends_head = |(_, text): &(usize, &str)| {
            let count = |bracket| text.matches(bracket).count().cast_signed();
            depth += count('(') - count(')');
            depth <= 0
        };
        let head = self.before.lines().enumerate().skip(line).find(ends_head).map_or(line, |(at, _)| at);
        let told = self.before.lines().enumerate().filter(|(line, _)| *line <= head || !code.contains(line));
        told.map(|(_, text)| format!("{text}\n")).collect()
    }
}

/// The function that a request means: one that it names, that the file is named after, or the file's only one. None where it
/// stands on a single line, of which no version can be told from its head.
fn function(path: &RelPath, text: &str, request: &str) -> Option<Definition> {
    let all = definitions(path.as_str(), text);
    let is_function = |definition: &&Definition| definition.kind == Kind::Function && definition.scope.is_empty();
    let functions: Vec<&Definition> = all.iter().filter(is_function).collect();
    let stem = path.file_name().split('.').next().unwrap_or_default();
    // "add" and "test" are words as well.
    let names = |name: &str| request.contains(&format!("`{name}")) || request.contains(&format!("{name}("));
    let named = functions.iter().find(|definition| names(&definition.name));
    let found = named.or_else(|| functions.iter().find(|definition| definition.name == stem));
    let is_only = !all.iter().any(|definition| definition.kind == Kind::Method);
    let found = found.or(functions.first().filter(|_| functions.len() == 1 && is_only))?;
    let plain = found.end > found.line && !found.signature.starts_with("async");
    plain.then(|| (*found).clone())
}

impl Weighed {
    /// Reads what the examples' runner says.
    fn read(output: &str) -> Option<Self> {
        let line = output.lines().rev().find_map(|line| line.strip_prefix("weighed: "))?;
        let (held, of) = line.rsplit_once(" of ")?;
        let held: Result<Vec<isize>, _> = held.split(' ').map(str::parse).collect();
        Some(Self { held: held.ok()?, of: of.trim().parse().ok()? })
    }

    /// Whether other versions than the first two are not worth their time: what was written is better and about as good as such
    /// tests can tell, or nothing can be better.
    fn suffices(&self) -> bool {
        let [before, now, ..] = self.held[..] else { return false };
        before == self.of || (now > before && now * 4 >= self.of * 3)
    }

    /// The first version in which most hold, unless it is what stands there (the second) or no better than what stood before (the
    /// first).
    fn best(&self) -> Option<usize> {
        let [before, now, others @ ..] = &self.held[..] else { return None };
        let most = *others.iter().max()?;
        let at = others.iter().position(|held| *held == most)?;
        let tells = most > *before && most > *now && most * SHARE >= self.of;
        tells.then_some(at + 2)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn path() -> RelPath {
        "calc.py".to_owned().try_into().unwrap()
    }

    #[test]
    fn the_version_with_most_is_taken_where_it_beats_what_stands_there() {
        let best = |line: &str| Weighed::read(&format!("It ran.\n{line}\n")).and_then(|weighed| weighed.best());
        assert_eq!(Weighed::read("weighed: 3 5 of 8"), Some(Weighed { held: vec![3, 5], of: 8 }));
        assert_eq!(best("weighed: 3 5 5 6 6 of 8"), Some(3));
        assert_eq!(best("weighed: 3 6 5 6 of 8"), None);
        assert_eq!(best("weighed: 6 5 6 of 8"), None);
        assert_eq!(best("weighed: 3 5 of 8"), None);
        assert_eq!(best("weighed: 0 -1 2 -1 of 8"), Some(2));
        assert_eq!(best("weighed: 0 0 1 0 of 8"), None);
        assert_eq!(best("Killed"), None);
        let suffices = |line: &str| Weighed::read(line).is_some_and(|weighed| weighed.suffices());
        assert!(suffices("weighed: 3 6 of 8") && suffices("weighed: 8 7 of 8") && suffices("weighed: 0 8 of 8"));
        assert!(!suffices("weighed: 3 5 of 8") && !suffices("weighed: 6 6 of 8"));
    }

    #[test]
    fn the_function_is_the_one_that_is_meant() {
        let text = "def calc(a): pass\n\ndef add(a): pass\n\nclass C:\n    def sub(self): pass\n";
        let found = |text: &str, request: &str| function(&path(), text, request).map(|definition| definition.name);
        let text = &text.replace("a): pass", "a):\n    pass");
        assert_eq!(found(text, "fix `add` in calc.py").as_deref(), Some("add"));
        assert_eq!(found(text, "fix add(1, 2) in calc.py").as_deref(), Some("add"));
        assert_eq!(found(text, "calc.py has a bug").as_deref(), Some("calc"));
        assert_eq!(found(&text.replace("calc", "mul"), "calc.py has a bug, add nothing"), None);
        assert_eq!(found("def mul(a):\n    pass\n", "calc.py has a bug").as_deref(), Some("mul"));
        assert_eq!(found("def mul(a): return a\n", "calc.py has a bug"), None);
        assert_eq!(found("async def mul(a):\n    pass\n", "calc.py has a bug"), None);
        assert_eq!(found("def mul(a):\n    pass\nclass C:\n    def sub(self): pass\n", "calc.py has a bug"), None);
    }

    #[test]
    fn what_is_told_of_a_function_leaves_out_what_it_does() {
        let before = "import re\n\ndef f(a,\n      b=(1, 2)):  # noqa\n    \"\"\"Adds.\"\"\"\n    # quickly\n    return a - b\n\n\"\"\"\nMore.\n\"\"\"\n";
        let function = function(&path(), before, "").unwrap();
        let suspect = Suspect { path: path(), before: before.into(), function, asked: 0 };
        assert_eq!(suspect.lines(), [2, 3, 6]);
        assert_eq!(suspect.told(), before.replace("    return a - b\n", ""));
    }
}
