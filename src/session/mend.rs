//! What becomes of tries at a change that fail their check. Most are forgotten and drawn anew; the best is kept in mind: now and
//! then it is mended, and it is what stays where none passes.

use super::preparation::Prepared;
use super::prompt;
use super::step::Step;
use super::turn::{Turn, TurnError};
use crate::dialect::{Message, Role};
use crate::permission::Mode;
use crate::workspace::RelPath;

/// Behind so many tries, less one, the best so far is mended, once, if more tests pass with it than before the change: what is nearly
/// right is seldom drawn whole, and a small model mends worse than it draws.
const EVERY: usize = 3;

/// What is nearly right passes so many tests for each that it fails.
const NEARLY: usize = 4;

/// A try that failed.
#[derive(Debug, Clone)]
pub(super) struct Failed {
    pub content: String,
    pub output: String,
    /// Of the tests with it.
    pub count: Count,
}

/// What lines begin with in which Jest and Vitest count files, and pytest once more what it could not load.
const NO_TESTS: &[&str] = &["Test Suites:", "Test Files ", "!!!"];

/// The tries so far.
#[derive(Debug, Default)]
pub(super) struct Tries {
    /// Those since one was mended.
    drawn: usize,
    /// The next one is mended.
    mending: bool,
    /// Of equal ones the first, which is the likeliest.
    best: Option<Failed>,
    /// It was mended, in vain: what comes out a second time is seldom better.
    mended: bool,
    /// Its lines were drawn one by one, in vain.
    pub searched: bool,
}

impl Tries {
    fn note(&mut self, content: String, output: &str) {
        self.drawn = if self.mending { 0 } else { self.drawn + 1 };
        self.mending = false;
        let count = Count::of(output);
        if self.best.as_ref().is_none_or(|best| count.passed > best.count.passed) {
            self.best = Some(Failed { content, output: output.to_owned(), count });
            (self.mended, self.searched) = (false, false);
        }
    }

    /// The best one, where it was not mended yet.
    fn first_to_mend(&mut self) -> Option<Failed> {
        let best = self.best.clone().filter(|_| !self.mended);
        self.mending = best.is_some();
        self.mended |= self.mending;
        best
    }

    /// The one to mend now, where `before` tests passed before any change.
    fn next_to_mend(&mut self, before: usize) -> Option<Failed> {
        let is_due = self.drawn + 1 >= EVERY && !self.mended;
        let best = self.better_than(before).filter(|_| is_due).cloned();
        self.mending = best.is_some();
        self.mended |= self.mending;
        best
    }

    /// The one with which most tests pass.
    pub fn best(&self) -> Option<&Failed> {
        self.best.as_ref()
    }

    /// What is written now is one that is mended.
    pub fn is_mending(&self) -> bool {
        self.mending
    }

    /// Nothing came of mending it. Returns whether it was tried.
    pub fn end_mending(&mut self) -> bool {
        std::mem::take(&mut self.mending)
    }

    /// The best one, where more than `before` tests pass with it.
    pub fn better_than(&self, before: usize) -> Option<&Failed> {
        self.best.as_ref().filter(|best| best.count.passed > before)
    }
}

impl Turn<'_> {
    /// Takes note of a try that failed.
    pub(super) fn note_failed(&mut self, output: &str) {
        if let Some(prepared) = &mut self.prepared
            && prepared.path.is_some()
            && let Some(content) = prepared.written.last().cloned()
        {
            prepared.tries.note(content, output);
        }
    }

    /// Puts the best try back before the model, with what its check said, where it is time to mend it.
    pub(super) async fn begin_to_mend(&mut self, path: &RelPath) -> Result<(), TurnError> {
        if self.session.policy.mode == Mode::Ask {
            return Ok(());
        }
        let best = self.prepared.as_mut().and_then(|prepared| match prepared.are_new_tests {
            // What the code gives stands in what the check says.
            true => prepared.tries.first_to_mend(),
            false => prepared.tries.next_to_mend(self.passed_before),
        });
        let Some(Failed { content, output, .. }) = best else { return Ok(()) };
        self.put_back(path, &content).await?;
        self.say_check("check-failed", &output);
        // Of a function the next order asks for it.
        let is_whole = |prepared: &Prepared| prepared.parts.is_empty() && prepared.addition.is_none();
        if self.prepared.as_ref().is_some_and(is_whole) {
            let ask = prompt::text(&self.session.workspace, "change-whole", &[("path", path.as_str())]);
            self.say(Message::new(Role::User, ask));
        }
        Ok(())
    }

    /// Ends the tries: the best one stays, unless the user would have to be asked for it twice.
    pub(super) async fn give_up(&mut self) -> Result<(), TurnError> {
        let best = self.prepared.as_ref().and_then(|prepared| {
            let content = prepared.tries.best.as_ref()?.content.clone();
            Some((prepared.path.clone()?, content, prepared.mark))
        });
        let asks = self.session.policy.mode == Mode::Ask;
        if let Some((path, content, mark)) = best.filter(|(path, content, _)| !asks && !self.holds(path, content))
            && self.take_back(mark)
        {
            self.put_back(&path, &content).await?;
        }
        Ok(())
    }

    /// Whether a file has this text.
    pub(super) fn holds(&self, path: &RelPath, content: &str) -> bool {
        self.session.workspace.read(path).is_ok_and(|file| file.text == content)
    }

    /// Gives a file this content, as if the model had just written it.
    pub(super) async fn put_back(&mut self, path: &RelPath, content: &str) -> Result<(), TurnError> {
        let call = self.content_call(path, content);
        let is_whole = call.arguments.contains_key("content");
        let written = is_whole.then(|| prompt::fenced(path.as_str(), "", content).trim().to_owned());
        self.act(Step { calls: vec![call], written, ..Step::default() }).await.map(drop)
    }
}

/// How many tests passed and failed.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Count {
    pub passed: usize,
    pub failed: usize,
}

impl Count {
    /// What a check's output says; what it does not say counts as none. Reads pytest, unittest, Cargo, Jest, Vitest, Mocha and the
    /// examples' own report.
    pub fn of(output: &str) -> Self {
        let mut count = Self::default();
        let mut ran = 0;
        let counts_tests = |line: &&str| !NO_TESTS.iter().any(|word| line.trim_start().starts_with(word));
        for line in output.lines().filter(counts_tests) {
            let words: Vec<&str> = line.split([' ', ',', ';', '(', ')', '=']).filter(|word| !word.is_empty()).collect();
            let number = |word: &str| word.parse::<usize>().unwrap_or(0);
            for pair in words.windows(2) {
                match pair {
                    [passed, "passed" | "passing"] => count.passed += number(passed),
                    // unittest counts what failed.
                    ["Ran", all] => ran = number(all),
                    ["failures" | "errors", failed] if line.starts_with("FAILED") => count.failed += number(failed),
                    [failed, "failed" | "failing" | "errors" | "error"] if !line.starts_with("FAILED") => {
                        count.failed += number(failed);
                    }
                    _ => {}
                }
            }
            if let [held, "of", all, "examples", "hold"] = words[..] {
                count.passed += number(held);
                count.failed += number(all).saturating_sub(number(held));
            }
        }
        count.passed += if ran > 0 { ran.saturating_sub(count.failed) } else { 0 };
        count
    }

    /// So little is missing that it may be a line.
    pub fn is_nearly_right(self) -> bool {
        self.failed * NEARLY <= self.passed
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn passed_tests_are_counted_as_the_runners_say() {
        let check = |output, passed, failed| assert_eq!(Count::of(output), Count { passed, failed }, "{output}");
        check("FAILED a.py::b\n========= 2 failed, 11 passed, 1 skipped in 0.06s =========", 11, 2);
        check("2 failed in 0.06s", 0, 2);
        check("test result: FAILED. 3 passed; 1 failed; 0 ignored\n\ntest result: ok. 4 passed; 0 failed", 7, 1);
        check("Ran 5 tests in 0.001s\n\nFAILED (failures=1, errors=2)", 2, 3);
        check("Tests:       1 failed, 6 passed, 7 total", 6, 1);
        check("f(1) gave 2, and should give 3\n4 of 5 examples hold", 4, 1);
        check("  3 passing (4ms)\n  2 failing", 3, 2);
        check("Test Suites: 1 failed, 2 passed, 3 total\nTests:       1 failed, 6 passed, 7 total", 6, 1);
        check(" Test Files  1 failed | 1 passed (2)\n      Tests  2 failed | 3 passed (5)", 3, 2);
        check("ERROR a.py\n!!!!! Interrupted: 1 error during collection !!!!!\n1 error in 0.09s", 0, 1);
        check("", 0, 0);
    }

    #[test]
    fn the_best_try_is_mended_now_and_then() {
        let mut tries = Tries::default();
        tries.note("a".into(), "1 failed, 2 passed");
        assert!(tries.next_to_mend(0).is_none());
        tries.note("b".into(), "1 failed, 2 passed");
        // Not where it is no better than what was there.
        assert!(tries.next_to_mend(2).is_none());
        assert_eq!(tries.next_to_mend(0).unwrap().content, "a");
        tries.note("c".into(), "3 passed, 1 failed");
        assert!(tries.next_to_mend(0).is_none());
        (0..2).for_each(|_| tries.note("d".into(), "error"));
        assert_eq!(tries.next_to_mend(0).unwrap().content, "c");
        // Once.
        (0..4).for_each(|_| tries.note("d".into(), "error"));
        assert!(tries.next_to_mend(0).is_none());
    }
}
