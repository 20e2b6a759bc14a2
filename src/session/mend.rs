//! What becomes of tries at a change that fail their check. Most are forgotten and drawn anew; the best is kept in mind: now and
//! then it is mended, and it is what stays where none passes.

use super::step::Step;
use super::turn::{Turn, TurnError};
use crate::permission::Mode;
use crate::workspace::RelPath;

/// Every so many tries the best one so far is mended, if more tests pass with it than before the change: what is nearly right
/// is seldom drawn whole, and a small model mends worse than it draws.
const EVERY: usize = 3;

/// A try that failed.
#[derive(Debug, Clone)]
pub(super) struct Failed {
    pub content: String,
    pub output: String,
    /// Tests that passed with it.
    passed: usize,
}

/// The tries so far.
#[derive(Debug, Default)]
pub(super) struct Tries {
    count: usize,
    /// Of equal ones the first, which is the likeliest.
    best: Option<Failed>,
}

impl Tries {
    fn note(&mut self, content: String, output: &str) {
        self.count += 1;
        let passed = passed(output);
        if self.best.as_ref().is_none_or(|best| passed > best.passed) {
            self.best = Some(Failed { content, output: output.to_owned(), passed });
        }
    }

    /// The one to mend now, where `before` tests passed before any change.
    fn to_mend(&self, before: usize) -> Option<&Failed> {
        self.better_than(before).filter(|_| self.count % EVERY == EVERY - 1)
    }

    /// The best one, where more than `before` tests pass with it.
    pub fn better_than(&self, before: usize) -> Option<&Failed> {
        self.best.as_ref().filter(|best| best.passed > before)
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
        let best = self.prepared.as_ref().and_then(|prepared| prepared.tries.to_mend(self.passed_before)).cloned();
        let Some(best) = best.filter(|_| self.session.policy.mode != Mode::Ask) else { return Ok(()) };
        self.put_back(path, &best.content).await?;
        self.say_check("check-failed", &best.output);
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

    pub(super) async fn put_back(&mut self, path: &RelPath, content: &str) -> Result<(), TurnError> {
        let call = self.content_call(path, content);
        self.act(Step { calls: vec![call], ..Step::default() }).await.map(drop)
    }
}

/// How many tests a check's output says have passed; what it does not say counts as none. Reads pytest, unittest, Cargo, Jest,
/// Vitest, Mocha and the examples' own report.
pub(super) fn passed(output: &str) -> usize {
    let mut sum = 0;
    let mut ran = 0;
    for line in output.lines() {
        let words: Vec<&str> = line.split([' ', ',', ';', '(', ')', '=']).filter(|word| !word.is_empty()).collect();
        for pair in words.windows(2) {
            let number = |word: &str| word.parse::<usize>().unwrap_or(0);
            match pair {
                [count, "passed" | "passing"] => sum += number(count),
                // unittest counts what failed.
                ["Ran", count] => ran = number(count),
                ["failures" | "errors", count] if line.starts_with("FAILED") => ran = ran.saturating_sub(number(count)),
                [count, "of"] if line.ends_with("examples hold") => sum += number(count),
                _ => {}
            }
        }
    }
    sum + ran
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn passed_tests_are_counted_as_the_runners_say() {
        let check = |output, expected| assert_eq!(passed(output), expected, "{output}");
        check("FAILED a.py::b\n========= 2 failed, 11 passed, 1 skipped in 0.06s =========", 11);
        check("2 failed in 0.06s", 0);
        check("test result: FAILED. 3 passed; 1 failed; 0 ignored\n\ntest result: ok. 4 passed; 0 failed", 7);
        check("Ran 5 tests in 0.001s\n\nFAILED (failures=1, errors=2)", 2);
        check("Tests:       1 failed, 6 passed, 7 total", 6);
        check("f(1) gave 2, and should give 3\n4 of 5 examples hold", 4);
        check("  3 passing (4ms)", 3);
        check("", 0);
    }

    #[test]
    fn the_best_try_is_mended_now_and_then() {
        let mut tries = Tries::default();
        tries.note("a".into(), "1 failed, 2 passed");
        assert!(tries.to_mend(0).is_none());
        tries.note("b".into(), "1 failed, 2 passed");
        assert_eq!(tries.to_mend(0).unwrap().content, "a");
        // Not where it is no better than what was there.
        assert!(tries.to_mend(2).is_none());
        tries.note("c".into(), "3 passed, 1 failed");
        assert!(tries.to_mend(0).is_none());
        (0..2).for_each(|_| tries.note("d".into(), "error"));
        assert_eq!(tries.to_mend(0).unwrap().content, "c");
    }
}
