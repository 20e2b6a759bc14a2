//! Which lines the failing tests go through: where a file is long, what is wrong stands in one of these. (Spectrum-based fault
//! localisation, ranked by Ochiai: Abreu et al., "On the accuracy of spectrum-based fault localization", 2007.)

use std::collections::HashMap;

use super::check::{self, Check};
use super::turn::Turn;
use super::{Change, Event, wording};
use crate::code::is_test;
use crate::workspace::RelPath;

/// Runs Python's tests under a tracer; its own text says how it is called.
const TRACER: &str = include_str!("spectrum.py");
/// How a line of its report begins.
const REPORT: &str = "suspects: ";
/// A traced test takes longer than one that is not.
const SLOWER: u32 = 4;
/// Lines by which what to show is looked for.
const PLACES: usize = 8;

/// How suspicious lines are, from 0 to 1, by file.
#[derive(Debug, Default)]
pub(super) struct Spectrum {
    /// The file with the most suspicious line comes first. Lines count from 0.
    files: Vec<(String, HashMap<usize, f64>)>,
}

impl Spectrum {
    fn read(report: &str) -> Self {
        let mut files: Vec<(String, HashMap<usize, f64>)> = Vec::new();
        let of_line = |line: &str| {
            let mut words = line.strip_prefix(REPORT)?.split(' ').rev().peekable();
            let mut scores = HashMap::new();
            while let Some((line, score)) = words.peek().and_then(|word| score(word)) {
                scores.insert(line, score);
                words.next();
            }
            let mut path: Vec<&str> = words.collect();
            path.reverse();
            Some((path.join(" "), scores))
        };
        for (path, scores) in report.lines().filter_map(of_line) {
            match files.iter_mut().find(|(known, _)| *known == path) {
                Some((_, known)) => known.extend(scores),
                None => files.push((path, scores)),
            }
        }
        files.retain(|(path, _)| !is_test(path));
        Self { files }
    }

    /// The lines of a file, where failing tests run any.
    pub fn of(&self, path: &RelPath) -> Option<&HashMap<usize, f64>> {
        self.files.iter().find(|(file, _)| file == path.as_str()).map(|(_, scores)| scores)
    }
}

/// `12:0.707`, as a line from 0 and its score.
fn score(word: &str) -> Option<(usize, f64)> {
    let (line, score) = word.split_once(':')?;
    Some((line.parse::<usize>().ok()?.checked_sub(1)?, score.parse().ok()?))
}

/// What traces the tests that `command` runs; `None` where they are not Python's, or where it is more than one simple command.
fn tracing(command: &str) -> Option<String> {
    if command.contains(['\n', ';', '&', '|', '>', '<', '$', '`', '*', '?', '(']) {
        return None;
    }
    let words = shlex::split(command)?;
    let words: Vec<&str> = words.iter().map(String::as_str).collect();
    let (python, runner, arguments) = match &words[..] {
        [python @ ("python" | "python3"), "-m", runner @ ("pytest" | "unittest"), rest @ ..] => {
            (*python, *runner, rest)
        }
        ["pytest", rest @ ..] => ("python3", "pytest", rest),
        _ => return None,
    };
    // Tests that pass tell as much as those that fail.
    let ends_early =
        |word: &str| matches!(word, "-x" | "-f" | "--exitfirst" | "--failfast") || word.starts_with("--maxfail");
    let arguments = arguments.iter().copied().filter(|word| !ends_early(word));
    shlex::try_join([python, "-c", TRACER, runner].into_iter().chain(arguments)).ok()
}

impl Turn<'_> {
    /// Whether it can be told which lines the failing tests run.
    pub(super) fn is_traceable(&self) -> bool {
        self.check.as_ref().is_some_and(|check| tracing(&check.command).is_some())
    }

    /// Finds out which lines the failing tests run, as the files are now; once in a turn.
    pub(super) async fn trace(&mut self) {
        let is_wanted = self.failed_before && self.spectrum.is_none() && wording::is_about_a_fault(&self.asked);
        if !is_wanted || !self.allows_checks() {
            return;
        }
        let Some(command) = self.check.as_ref().and_then(|check| tracing(&check.command)) else { return };
        self.publish(Event::Notice {
            text: "running the tests once more to see which lines those that fail run".into(),
        });
        let slow = self.checked_before.unwrap_or_default() * SLOWER;
        let limit = self.check_limit().max(slow).min(self.session.settings.command_timeout).min(self.time_left() / 2);
        let checked = check::ask(self.session, &Check::from(command), limit, &self.cancel).await;
        if let Some(applied) = checked.as_ref().and_then(|checked| checked.applied.clone()) {
            self.record.changed(&applied.files);
            self.session.publish_change(self.door, Change::Command, applied);
        }
        self.spectrum = Some(checked.map(|checked| Spectrum::read(&checked.output)).unwrap_or_default());
    }

    /// The lines that are most likely at fault, as `path:line`.
    pub(super) fn suspicious_places(&self) -> Vec<String> {
        let files = self.spectrum.iter().flat_map(|spectrum| &spectrum.files);
        let mut places: Vec<(f64, &str, usize)> = files
            .flat_map(|(file, scores)| scores.iter().map(move |(line, score)| (*score, file.as_str(), line + 1)))
            .collect();
        places.sort_by(|a, b| b.0.total_cmp(&a.0).then_with(|| (a.1, a.2).cmp(&(b.1, b.2))));
        places.truncate(PLACES);
        places.into_iter().map(|(_, file, line)| format!("{file}:{line}")).collect()
    }

    /// The files that failing tests run lines of, with these.
    pub(super) fn suspicious_files(&self) -> Vec<(RelPath, &HashMap<usize, f64>)> {
        let files = self.spectrum.iter().flat_map(|spectrum| &spectrum.files);
        files.filter_map(|(file, scores)| Some((self.session.workspace.resolve(file).ok()?, scores))).collect()
    }

    /// The file with the line that is most likely at fault.
    pub(super) fn most_suspicious(&self) -> Option<RelPath> {
        let (file, _) = self.spectrum.as_ref()?.files.first()?;
        self.session.workspace.resolve(file).ok().filter(|path| self.session.workspace.is_file(path))
    }
}

#[cfg(test)]
mod tests {
    use std::process::Command;

    use super::*;

    #[test]
    fn only_plain_python_tests_are_traced() {
        let traced = |command: &str| {
            let words = shlex::split(&tracing(command)?).unwrap();
            Some([&words[..1], &words[3..]].concat().join("|"))
        };
        let check = |command, expected: &str| assert_eq!(traced(command).as_deref(), Some(expected), "{command}");
        check("python3 -m pytest -q -x tests/test_a.py", "python3|pytest|-q|tests/test_a.py");
        check("pytest --maxfail=1 'a b.py::T::test'", "python3|pytest|a b.py::T::test");
        check("python -m unittest test_a", "python|unittest|test_a");
        for other in ["cargo test", "cd a && pytest", "pytest > log", "python3 a.py", "python3 -m tox", "pytest '"] {
            assert_eq!(traced(other), None, "{other}");
        }
    }

    #[test]
    fn lines_of_failing_tests_are_suspicious_and_more_so_where_no_test_passes() {
        let folder = tempfile::tempdir().unwrap();
        let write = |name: &str, text: &str| std::fs::write(folder.path().join(name), text).unwrap();
        write("my calc.py", "def half(n):\n    return n // 3\n");
        write(
            "calc.py",
            "import importlib\nhalf = importlib.import_module('my calc').half\n\ndef add(a, b):\n    if a:\n        return a + b\n    return a\n\n\
             def spin():\n    while True:\n        pass\n",
        );
        write(
            "test_calc.py",
            "import unittest\nfrom calc import add, half, spin\n\nclass T(unittest.TestCase):\n    def test_a(self):\n        \
             self.assertEqual(add(1, 2), 3)\n\n    def test_b(self):\n        self.assertEqual(add(0, 2), half(4))\n\n    \
             @unittest.skip('slow')\n    def test_c(self):\n        spin()\n",
        );
        let report = |command: &str| {
            let traced = tracing(command).unwrap();
            let output = Command::new("sh").arg("-c").arg(traced).current_dir(folder.path()).output().unwrap();
            String::from_utf8(output.stdout).unwrap()
        };
        let mut commands = vec!["python3 -m unittest -q test_calc.py"];
        if which::which("pytest").is_ok() {
            commands.push("python3 -m pytest -q test_calc.py");
        }
        for command in commands {
            let report = report(command);
            let spectrum = Spectrum::read(&report);
            let scores = |path: &str| spectrum.of(&RelPath::try_from(path.to_owned()).unwrap()).cloned().unwrap();
            assert_eq!(scores("my calc.py"), HashMap::from([(1, 1.0)]), "{report}");
            assert_eq!(scores("calc.py"), HashMap::from([(4, 0.707), (6, 1.0)]), "{report}");
            assert_eq!(spectrum.files.len(), 2);
        }
        assert!(Spectrum::read("no tests").files.is_empty());
        let lines =
            Spectrum::read("suspects: a.py 1:1.000 2:0.500\nsuspects: tests/b.py 1:1.000\nsuspects: a.py 9:0.100");
        let path = RelPath::try_from("a.py".to_owned()).unwrap();
        assert_eq!(lines.of(&path).map(HashMap::len), Some(3));
        assert_eq!(lines.files.len(), 1);
    }
}
