//! Where a mistake is to be found and nothing tells a right version from a wrong one, the model makes up calls of the function and
//! what they should give, and the version is taken in which most of them hold: the file as it wrote it anew, or the old one with a
//! single line drawn anew. Such tests are often wrong, but seldom in the way in which a wrong version is. They are nowhere
//! written and prove nothing. (Choosing by generated tests: CodeT, arXiv 2207.10397.)

use std::path::Path;

use futures_util::future::try_join_all;

use super::check::{self, Check};
use super::examples;
use super::guided::Mark;
use super::lines::{LINES, candidates};
use super::step;
use super::turn::{Turn, TurnError};
use super::{Event, Outcome, prompt, wording};
use crate::code::{Definition, Kind, definitions, lines};
use crate::dialect::{Message, Role};
use crate::engine::Request;
use crate::permission::Mode;
use crate::workspace::RelPath;

/// Tokens of the tests.
const LENGTH: usize = 400;
/// Fewer tell nothing.
const FEWEST: usize = 3;
/// Versions with one line drawn anew that are tried.
const VERSIONS: usize = 12;

/// A function with a mistake that nothing but the request speaks of.
#[derive(Debug)]
pub(super) struct Suspect {
    path: RelPath,
    /// The file before any change.
    before: String,
    function: Definition,
    /// Where the transcript ends with the request and the files.
    asked: usize,
}

/// How many of the model's own tests hold in each of several versions.
#[derive(Debug, PartialEq, Eq)]
struct Weighed {
    held: Vec<usize>,
    of: usize,
}

impl Turn<'_> {
    /// The function that the request calls wrong, where there is no check and versions of it can be run.
    pub(super) fn suspect(&mut self) -> Option<Suspect> {
        let path = self.prepared.as_ref().and_then(|prepared| prepared.path.clone())?;
        let able = self.session.engine.info().infill && self.session.settings.check_attempts > 1;
        let runs = self.check.is_none() && self.allows_checks() && self.session.policy.mode != Mode::Ask;
        if !able || !runs || !path.as_str().ends_with(".py") || !wording::tells_of_fault(&self.asked) {
            return None;
        }
        let before = self.session.workspace.read(&path).ok()?.text;
        let function = function(&path, &before, &self.asked)?;
        // The last message says how to write the change.
        Some(Suspect { path, before, function, asked: self.session.transcript.len() + self.drained - 1 })
    }

    /// Takes the version in which most of the tests hold that the model makes up, where more do than in what stands there.
    pub(super) async fn weigh(&mut self, suspect: Suspect, outcome: Outcome) -> Result<Outcome, TurnError> {
        let Some(mark) = self.prepared.as_ref().map(|prepared| prepared.mark) else { return Ok(outcome) };
        let Suspect { path, before, .. } = &suspect;
        let now = self.session.workspace.read(path).map(|file| file.text).unwrap_or_default();
        self.publish(Event::Notice {
            text: format!("no check is known: trying versions of {path} with calls made up by the model"),
        });
        let tests = self.guess_tests(&suspect).await?;
        let mut versions = vec![before.clone(), now.clone()];
        let Some(first) = self.hold(&suspect, &tests, &versions).await? else {
            return Ok(self.unless_cancelled(outcome));
        };
        // What was written is better and cannot get any better; or nothing could.
        if first.of < FEWEST || first.held.iter().max() == Some(&first.of) {
            return Ok(outcome);
        }
        let drawn = self.draw(path, before, &suspect.lines()).await?;
        let others = candidates(path, before, &drawn).into_iter().map(|candidate| candidate.content);
        versions.extend(others.filter(|content| *content != now).take(VERSIONS));
        let Some(weighed) = self.hold(&suspect, &tests, &versions).await? else {
            return Ok(self.unless_cancelled(outcome));
        };
        tracing::debug!(?weighed, "versions");
        match weighed.best() {
            Some(best) => {
                let text = format!("{} of {} such calls hold with one line drawn anew", weighed.held[best], weighed.of);
                self.publish(Event::Notice { text });
                self.take(mark, path, &versions[best]).await
            }
            None => Ok(outcome),
        }
    }

    fn unless_cancelled(&self, outcome: Outcome) -> Outcome {
        if self.cancel.is_cancelled() { Outcome::Interrupted } else { outcome }
    }

    /// Puts a version in the place of what was written.
    async fn take(&mut self, mark: Mark, path: &RelPath, content: &str) -> Result<Outcome, TurnError> {
        if !self.take_back(mark) {
            return Ok(Outcome::NotDone);
        }
        self.put_back(path, content).await?;
        Ok(if self.holds(path, content) { Outcome::Done } else { Outcome::NotDone })
    }

    /// The tests that the model makes up: from the file as it is, and from what is said of the function alone.
    async fn guess_tests(&self, suspect: &Suspect) -> Result<String, TurnError> {
        let name = suspect.function.name.as_str();
        let ask = prompt::text(&self.session.workspace, "guess-tests", &[("function", name)]);
        let with = |text: &str| Message::new(Role::User, format!("{text}\n\n{ask}"));
        let seen = &self.session.transcript[..suspect.asked - self.drained];
        let Some((last, earlier)) = seen.split_last() else { return Ok(String::new()) };
        let system: Vec<Message> =
            seen.first().filter(|message| message.role == Role::System).cloned().into_iter().collect();
        let told = prompt::fenced(suspect.path.as_str(), suspect.path.as_str(), &suspect.told());
        let sources = [[earlier, &[with(&last.content)]].concat(), [&system[..], &[with(told.trim_end())]].concat()];
        let begin = format!("assert {name}(");
        let asked = sources.into_iter().zip(1..).map(|(messages, slot)| {
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
    async fn hold(&self, suspect: &Suspect, tests: &str, versions: &[String]) -> Result<Option<Weighed>, TurnError> {
        let name = &suspect.function.name;
        let Some(command) = examples::weighing(&suspect.path, name, tests, &suspect.before, versions) else {
            return Ok(None);
        };
        let check = Check { name: format!("tests of {name} that the model made up"), command };
        let checked = check::ask(self.session, &check, self.check_limit(), &self.cancel).await;
        let Some(checked) = checked.filter(|_| !self.cancel.is_cancelled()) else { return Ok(None) };
        if checked.applied.is_some() {
            // A version may do anything; nobody asked for it.
            self.session.workspace.undo(1)?;
        }
        Ok(Weighed::read(&checked.output).filter(|weighed| weighed.held.len() == versions.len()))
    }
}

impl Suspect {
    /// The function's lines of code; of a long one the first.
    fn lines(&self) -> Vec<usize> {
        let Definition { start, end, .. } = self.function;
        let inside = |line: &usize| (start as usize..=end as usize).contains(&(line + 1));
        lines::code_lines(Path::new(self.path.as_str()), &self.before).into_iter().filter(inside).take(LINES).collect()
    }

    /// The file without what the function does: its head, and all that is said of it.
    fn told(&self) -> String {
        let body = self.lines();
        let ends_head =
            |line: &&usize| self.before.lines().nth(**line).is_some_and(|text| text.trim_end().ends_with(':'));
        let head = body.iter().find(ends_head).copied().unwrap_or_default();
        let told = self.before.lines().enumerate().filter(|(line, _)| *line <= head || !body.contains(line));
        told.map(|(_, text)| format!("{text}\n")).collect()
    }
}

/// The function that a request means: one that it names, that the file is named after, or the file's only one.
fn function(path: &RelPath, text: &str, request: &str) -> Option<Definition> {
    let mut functions = definitions(path.as_str(), text);
    functions.retain(|definition| definition.kind == Kind::Function && definition.scope.is_empty());
    let stem = path.file_name().split('.').next().unwrap_or_default();
    let is_named = |definition: &Definition| {
        request.split(|c: char| !c.is_alphanumeric() && c != '_').any(|word| word == definition.name && word != stem)
    };
    let named = functions.iter().position(is_named);
    let found = named.or_else(|| functions.iter().position(|definition| definition.name == stem));
    match (found, functions.len()) {
        (Some(found), _) => Some(functions.swap_remove(found)),
        (None, 1) => functions.pop(),
        (None, _) => None,
    }
}

impl Weighed {
    /// Reads what the examples' runner says.
    fn read(output: &str) -> Option<Self> {
        let line = output.lines().rev().find_map(|line| line.strip_prefix("weighed: "))?;
        let (held, of) = line.rsplit_once(" of ")?;
        let held: Result<Vec<usize>, _> = held.split(' ').map(str::parse).collect();
        Some(Self { held: held.ok()?, of: of.trim().parse().ok()? })
    }

    /// The first version in which most hold, unless it is what stands there (the second) or no better than what stood before (the
    /// first).
    fn best(&self) -> Option<usize> {
        let [before, now, others @ ..] = &self.held[..] else { return None };
        let most = *others.iter().max()?;
        let at = others.iter().position(|held| *held == most)?;
        (most > *before && most > *now).then_some(at + 2)
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
        assert_eq!(best("Killed"), None);
    }

    #[test]
    fn the_function_is_the_one_that_is_meant() {
        let text = "def calc(a): pass\n\ndef add(a): pass\n\nclass C:\n    def sub(self): pass\n";
        let found = |text: &str, request: &str| function(&path(), text, request).map(|definition| definition.name);
        assert_eq!(found(text, "fix `add` in calc.py").as_deref(), Some("add"));
        assert_eq!(found(text, "calc.py has a bug").as_deref(), Some("calc"));
        assert_eq!(found(&text.replace("calc", "mul"), "calc.py has a bug"), None);
        assert_eq!(found("def mul(a): pass\n", "calc.py has a bug").as_deref(), Some("mul"));
    }

    #[test]
    fn what_is_told_of_a_function_leaves_out_what_it_does() {
        let before = "import re\n\ndef f(a,\n      b):\n    \"\"\"Adds.\"\"\"\n    # quickly\n    return a - b\n\n\"\"\"\nMore.\n\"\"\"\n";
        let function = function(&path(), before, "").unwrap();
        let suspect = Suspect { path: path(), before: before.into(), function, asked: 0 };
        assert_eq!(suspect.lines(), [2, 3, 6]);
        assert_eq!(suspect.told(), before.replace("    return a - b\n", ""));
    }
}
