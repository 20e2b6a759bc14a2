//! Tests that a request wants written for code that is there: they are run, and what does not hold is mended or drawn anew. What a
//! small model expects of code is wrong more often than the code.

use super::check::Check;
use super::part::{is_function, lines, range};
use super::preparation::Prepared;
use super::turn::Turn;
use super::{Event, project, prompt};
use crate::code::{definitions, is_test};
use crate::dialect::{Message, Role};
use crate::workspace::RelPath;

/// Tries at tests that fail, behind the first: they may be right and the code wrong, which is not for the model to tell.
const TRIES: u32 = 3;

/// Tokens of tests, beyond as many as what they test has.
const ROOM: usize = 500;
/// What a test says something with.
const ASSERTING: &[&str] = &["assert", "raises", "warns", "fail", "expect"];

impl Turn<'_> {
    /// Begins with `files` where they are one new file of tests that can be run alone, and what they test is before the model.
    pub(super) fn begin_new_tests(&mut self, files: &[RelPath]) -> bool {
        let [path] = files else { return false };
        let workspace = &self.session.workspace;
        let has_code = self.record.seen().iter().any(|seen| !is_test(seen.as_str()) && workspace.is_file(seen));
        if self.check.is_some() || workspace.is_file(path) || !has_code || !self.allows_checks() {
            return false;
        }
        let Some(command) = project::alone(path) else { return false };
        self.check = Some(Check::from(command));
        // Nothing is there that could fail.
        self.checked_before = Some(Default::default());
        self.ask_for_new(path);
        self.prepared = Some(Prepared { path: Some(path.clone()), are_new_tests: true, ..Prepared::at(self.mark()) });
        true
    }

    /// Asks for a new file.
    pub(super) fn ask_for_new(&mut self, path: &RelPath) {
        let ask = prompt::text(&self.session.workspace, "new-file", &[("path", path.as_str())]);
        self.say(Message::new(Role::User, self.behind_earlier(path, ask)));
    }

    /// How long new tests may get, in tokens.
    pub(super) fn longest_tests(&self) -> Option<usize> {
        self.are_new_tests().then(|| self.open_tokens() + ROOM)
    }

    /// Whether new tests with this text hold whatever the code does.
    pub(super) fn are_idle_tests(&self, path: &RelPath, text: &str) -> bool {
        self.are_new_tests() && are_idle(path, text)
    }

    pub(super) fn are_new_tests(&self) -> bool {
        self.prepared.as_ref().is_some_and(|prepared| prepared.are_new_tests)
    }

    /// How many tries behind the first fail before the change is given up.
    pub(super) fn most_tries(&self) -> u32 {
        let most = self.session.settings.check_attempts;
        if self.are_new_tests() { most.min(TRIES) } else { most }
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

/// Whether one of the tests of a file asserts nothing.
fn are_idle(path: &RelPath, text: &str) -> bool {
    let known = definitions(path.as_str(), text);
    let mut tests = known.iter().filter(|known| is_function(known) && known.name.starts_with("test"));
    tests.any(|test| {
        let own = lines(text, &range(text, test));
        !ASSERTING.iter().any(|word| own.contains(word))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_test_that_asserts_nothing_is_idle() {
        let idle = |text: &str| are_idle(&"test_a.py".to_owned().try_into().unwrap(), text);
        assert!(!idle("def test_a():\n    assert f(1) == 2\n\ndef helper():\n    return 1\n"));
        assert!(!idle("class T(TestCase):\n    def test_a(self):\n        self.assertEqual(f(1), 2)\n"));
        assert!(!idle("def test_a():\n    with pytest.raises(ValueError):\n        f(1)\n"));
        assert!(idle("def test_a():\n    assert f(1) == 2\n\ndef test_b():\n    return f(2)\n"));
        assert!(idle("class T(TestCase):\n    def test_a(self):\n        print(f(1))\n"));
    }
}
