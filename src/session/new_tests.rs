//! Tests that a request wants written for code that is there: they are run, and what does not hold is mended or drawn anew. What a
//! small model expects of code is wrong more often than the code.

use std::time::Duration;

use super::check::{Check, Checked};
use super::list::{closing, shortened};
use super::preparation::Prepared;
use super::step::Step;
use super::turn::{DOUBTS, Turn, TurnError};
use super::{Event, project, prompt, wording};
use crate::code::is_test;
use crate::dialect::{Message, Role};
use crate::engine::Stop;
use crate::workspace::RelPath;

/// Tries at tests that fail, behind the first: they may be right and the code wrong, which is not for the model to tell.
const TRIES: u32 = 3;
/// Tokens of tests, beyond twice as many as what they test has.
const ROOM: usize = 600;
/// What pytest says where nothing was tested.
const NOT_RUN: &[&str] = &["no tests ran", "No module named pytest"];

impl Turn<'_> {
    /// Begins with `files` where they are one new file of tests that can be run alone, and the code that they test is there.
    pub(super) async fn begin_new_tests(&mut self, files: &[RelPath]) -> Result<bool, TurnError> {
        let [path] = files else { return Ok(false) };
        let is_settled = self.check.is_some() || self.session.workspace.is_file(path);
        if is_settled || !wording::wants_passing_tests(&self.asked) || !self.allows_checks() {
            return Ok(false);
        }
        let Some(command) = project::alone(path) else { return Ok(false) };
        let is_code = |seen: &RelPath| {
            !is_test(seen.as_str()) && prompt::language(seen.as_str()) == prompt::language(path.as_str())
        };
        // Else they may be of what is yet to be written.
        if !self.record.seen().iter().any(is_code) && !self.locate_tested(path).await {
            return Ok(false);
        }
        self.check = Some(Check::from(command));
        // It took no time, since nothing was there.
        self.checked_before = Some(Duration::ZERO);
        self.ask_for_new(path);
        self.prepared = Some(Prepared { path: Some(path.clone()), are_new_tests: true, ..Prepared::at(self.mark()) });
        Ok(true)
    }

    /// Asks for a new file.
    pub(super) fn ask_for_new(&mut self, path: &RelPath) {
        let ask = prompt::text(&self.session.workspace, "new-file", &[("path", path.as_str())]);
        self.say(Message::new(Role::User, self.behind_earlier(path, ask)));
    }

    pub(super) fn are_new_tests(&self) -> bool {
        self.prepared.as_ref().is_some_and(|prepared| prepared.are_new_tests)
    }

    /// How many tries behind the first fail before the change is given up.
    pub(super) fn most_tries(&self) -> u32 {
        let most = self.session.settings.check_attempts;
        if self.are_new_tests() { most.min(TRIES) } else { most }
    }

    /// How long new tests may get, in tokens.
    pub(super) fn longest_tests(&self) -> Option<usize> {
        self.are_new_tests().then(|| self.open_tokens() * 2 + ROOM)
    }

    /// The beginning of new tests that ended in a table of cases without end: the table, closed behind what is enough of it.
    pub(super) fn closed_table(&self, step: &Step) -> Option<String> {
        let begun = Some(shortened(&step.text)).filter(|_| self.are_new_tests() && step.is_list)?;
        let end = closing(&begun);
        (!end.is_empty()).then(|| begun + &end)
    }

    /// Ends new tests that know no end behind what is enough of them.
    pub(super) fn end_tests(&self, step: &mut Step, fence: &str) {
        let ended = match step.usage.stop {
            Stop::Loop if step.is_list => shortened(&step.text),
            Stop::Length => without_last(&step.text),
            _ => return,
        };
        if self.are_new_tests() && !ended.trim().is_empty() {
            step.text = ended + fence;
            step.usage.stop = Stop::End;
        }
    }

    /// Whether new tests with this text say too little: nothing, or less than half of those that are mended.
    pub(super) fn are_idle_tests(&self, text: &str) -> bool {
        let Some(prepared) = self.prepared.as_ref().filter(|prepared| prepared.are_new_tests) else { return false };
        let count = assertions(text);
        match prepared.tries.best().filter(|_| prepared.tries.is_mending()) {
            Some(tried) => count * 2 < assertions(&tried.content),
            // They may leave it to what they call.
            None => count == 0 && self.retries < DOUBTS,
        }
    }

    /// Says of tests that passed at try number `attempt` what the user should know.
    pub(super) fn tell_of_new_tests(&mut self, attempt: u32) {
        if attempt > 1
            && self.are_new_tests()
            && let Some(path) = self.prepared.as_ref().and_then(|prepared| prepared.path.as_ref())
        {
            let text = format!(
                "{path} failed as it was first written, and was changed until it passed: look at what it expects"
            );
            self.publish(Event::Notice { text });
        }
    }
}

/// Whether tests were run: what was written may hold none after all.
pub(super) fn ran(checked: &Checked) -> bool {
    !NOT_RUN.iter().any(|said| checked.output.contains(said))
}

/// How many lines of a text assert something.
pub(super) fn assertions(text: &str) -> usize {
    let asserts = |line: &&str| {
        line.starts_with("assert")
            || [".assert", "raises(", "warns(", ".fail(", "expect("].iter().any(|word| line.contains(word))
    };
    text.lines().map(str::trim).filter(|line| !line.starts_with("def ")).filter(asserts).count()
}

/// A Python text without its last function, or what there is of it.
fn without_last(text: &str) -> String {
    let begins =
        |line: &str| ["def ", "async def ", "class ", "@"].iter().any(|word| line.trim_start().starts_with(word));
    let lines: Vec<&str> = text.split_inclusive('\n').collect();
    let mut end = lines.iter().rposition(|line| begins(line)).unwrap_or(0);
    // Its decorators go with it.
    while end > 0 && lines[end - 1].trim_start().starts_with('@') {
        end -= 1;
    }
    let kept = &lines[..end];
    if kept.iter().any(|line| line.trim_start().starts_with("def test")) { kept.concat() } else { String::new() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_that_assert_are_counted() {
        let check = |text: &str, count| assert_eq!(assertions(text), count, "{text}");
        check("def test_a():\n    assert f(1) == 2\n    assert f(2) == 3\n", 2);
        check("class T(TestCase):\n    def test_a(self):\n        self.assertEqual(f(1), 2)\n", 1);
        check("def test_a():\n    with pytest.raises(ValueError):\n        f(1)\n", 1);
        check("def test_raises():\n    \"\"\"It is expected to be 4.\"\"\"\n    return f(2)\n", 0);
        check("test('a', () => {\n  expect(f(1)).toBe(2);\n});\n", 1);
    }

    #[test]
    fn what_was_cut_loses_its_last_function() {
        let check = |text: &str, left: &str| assert_eq!(without_last(text), left);
        let whole = "import a\n\n\ndef test_a():\n    assert 1\n\n\n";
        check(&format!("{whole}def test_b():\n    assert 2\n    asse"), whole);
        check(&format!("{whole}@pytest.mark.slow\ndef test_b():\n    asse"), whole);
        check("import a\n\ndef test_a():\n    assert 1\n    asse", "");
        check("", "");
    }
}
