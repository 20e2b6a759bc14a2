//! What of a failed check is worth a small model's attention: the assertions, the values, the user's own lines. Pure.

use crate::workspace::RelPath;

/// Failures of one run that are shown; the rest rarely says more.
const FAILURES: usize = 3;
/// Lines that may repeat as a group: frames of a recursion, above all.
const LONGEST_GROUP: usize = 8;
/// The share of what is cut to length that comes from its beginning, in per cent.
const HEAD: usize = 30;

/// The essence of `output`, in at most about `limit` bytes.
pub(super) fn essence(output: &str, limit: usize) -> String {
    let lines: Vec<&str> = output.lines().collect();
    let kept = if lines.iter().any(|line| is_heading(line)) { pytest(&lines) } else { lines };
    clip(&without_repeats(&kept), limit)
}

/// Lines, from 0, of the file that a failure's frames name: `a.py:12`, `File "a.py", line 12`.
pub(super) fn named_lines(path: &RelPath, failure: &str) -> Vec<usize> {
    let name = path.file_name();
    let number = |text: &str| {
        let digits = text.trim_start_matches(|c: char| !c.is_ascii_digit() && c != '\n');
        digits.split(|c: char| !c.is_ascii_digit()).next().and_then(|digits| digits.parse::<usize>().ok())
    };
    // `a.py` is no part of `test_a.py`.
    let is_whole = |at: usize| !failure[..at].ends_with(|c: char| c.is_alphanumeric() || matches!(c, '_' | '-' | '.'));
    let named = failure.match_indices(name).filter(|(at, _)| is_whole(*at));
    let behind = named.map(|(at, _)| &failure[at + name.len()..]);
    behind.filter_map(number).filter_map(|line| line.checked_sub(1)).collect()
}

/// `____ name ____`, as pytest heads each failure.
fn is_heading(line: &str) -> bool {
    line.starts_with("____") && line.ends_with("____") && line.contains(' ')
}

/// Of pytest's report: of each failure its name, the values, the failing line, the error and where it was.
fn pytest<'l>(lines: &[&'l str]) -> Vec<&'l str> {
    let mut kept = Vec::new();
    let mut failures = 0;
    let mut in_failures = false;
    for &line in lines {
        if is_heading(line) {
            (failures, in_failures) = (failures + 1, true);
        } else if line.starts_with("====") {
            // Between sections; the last such line counts what failed.
            in_failures = false;
        }
        let value = line.split_once(" = ").is_some_and(|(name, _)| is_arguments(name));
        let place = line.split(": ").next().is_some_and(|place| place.rsplit(':').next().is_some_and(is_number));
        let telling = line.starts_with(['>', 'E']) || value || (place && !line.starts_with(' ')) || is_heading(line);
        let summary =
            !in_failures && (line.contains(" failed") || line.starts_with("It ") || line.starts_with("ERROR"));
        if summary || (in_failures && failures <= FAILURES && telling) {
            kept.push(line);
        }
    }
    kept
}

/// `input_data`, or the first of several: `a = 1, b`.
fn is_arguments(name: &str) -> bool {
    !name.is_empty() && name.chars().all(|c| c.is_alphanumeric() || c == '_')
}

fn is_number(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit())
}

/// Groups of lines that follow each other again and again are shown once, with how often they came.
fn without_repeats(lines: &[&str]) -> Vec<String> {
    let mut kept: Vec<String> = Vec::new();
    let mut at = 0;
    while at < lines.len() {
        let rest = &lines[at..];
        let rounds = |size: usize| rest.chunks_exact(size).take_while(|group| *group == &rest[..size]).count();
        let group = (1..=LONGEST_GROUP.min(rest.len())).map(|size| (size, rounds(size))).find(|&(_, times)| times > 2);
        let (size, times) = group.unwrap_or((1, 1));
        kept.extend(rest[..size].iter().map(|&line| line.to_owned()));
        if times > 1 {
            let what = if size == 1 { "this line".to_owned() } else { format!("these {size} lines") };
            kept.push(format!("({what} {times} times)"));
        }
        at += size * times;
    }
    kept
}

/// Beginning and end of what is too long, whole lines of both.
fn clip(lines: &[String], limit: usize) -> String {
    let total: usize = lines.iter().map(|line| line.len() + 1).sum();
    if total <= limit {
        return lines.join("\n");
    }
    let fitting = |budget: usize, lines: &mut dyn Iterator<Item = &String>| {
        let mut left = budget;
        lines.take_while(|line| left.checked_sub(line.len() + 1).inspect(|&rest| left = rest).is_some()).count()
    };
    let head = fitting(limit * HEAD / 100, &mut lines.iter());
    let tail = fitting(limit * (100 - HEAD) / 100, &mut lines[head..].iter().rev());
    let left_out = lines.len() - head - tail;
    let gap = [format!("({left_out} lines left out)")];
    let (first, last) = (&lines[..head], &lines[lines.len() - tail..]);
    first.iter().chain(&gap).chain(last).map(String::as_str).collect::<Vec<_>>().join("\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    const PYTEST: &str = "It failed (exit code 1). Output:
FF.                                                                      [100%]
=================================== FAILURES ===================================
________________________________ test_kth[one] _________________________________

data = [[1, 2], 1], expected = 2

    def test_kth(data, expected):
>       assert kth(*data) == expected
               ^^^^^^^^^^

test_kth.py:15: 
_ _ _ _ _ _ _ _ _ _ _ _ _ _ _ _ _ _ _ _ _ _ _ _ _ _ _ _ _ _ _ _ _ _ _ _ _ _ _ _ 
kth.py:12: in kth
    return kth(above, k)
           ^^^^^^^^^^^^^
kth.py:12: in kth
    return kth(above, k)
           ^^^^^^^^^^^^^
kth.py:12: in kth
    return kth(above, k)
           ^^^^^^^^^^^^^
arr = [], k = 1

    def kth(arr, k):
>       pivot = arr[0]
E       IndexError: list index out of range

kth.py:2: IndexError
=========================== short test summary info ============================
FAILED test_kth.py::test_kth[one] - IndexError: list index out of range
2 failed, 1 passed in 0.06s";

    #[test]
    fn lines_are_those_of_the_file_itself() {
        let path = "src/a.py".to_owned().try_into().unwrap();
        let output =
            "tests/test_a.py:7: in f\nsrc/a.py:12: Error\n  File \"/x/src/a.py\", line 3, in g\na.py: no line\n";
        assert_eq!(named_lines(&path, output), [11, 2]);
    }

    #[test]
    fn of_pytest_the_values_and_the_errors_stay() {
        let expected = "It failed (exit code 1). Output:
________________________________ test_kth[one] _________________________________
data = [[1, 2], 1], expected = 2
>       assert kth(*data) == expected
test_kth.py:15: 
kth.py:12: in kth
(this line 3 times)
arr = [], k = 1
>       pivot = arr[0]
E       IndexError: list index out of range
kth.py:2: IndexError
2 failed, 1 passed in 0.06s";
        assert_eq!(essence(PYTEST, 2000), expected);
    }

    #[test]
    fn a_recursion_is_shown_once() {
        let frame = "  File \"a.py\", line 3, in f\n    return f(n)\n";
        let output = format!("Traceback:\n{}RecursionError", frame.repeat(500));
        let expected = format!("Traceback:\n{frame}(these 2 lines 500 times)\nRecursionError");
        assert_eq!(essence(&output, 2000), expected);
    }

    #[test]
    fn what_is_long_keeps_both_ends() {
        let output: Vec<String> = (0..1000).map(|i| format!("line {i}")).collect();
        let short = essence(&output.join("\n"), 200);
        assert!(short.len() < 240 && short.starts_with("line 0\n") && short.ends_with("line 999"), "{short}");
        assert!(short.contains("lines left out)"), "{short}");
        assert_eq!(essence("", 200), "");
    }
}
