//! Finds the text that shall be replaced, also where a model did not copy its white space to the letter.

use std::ops::Range;

/// A piece of the text and what comes in its place.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Splice {
    pub range: Range<usize>,
    pub new: String,
}

/// How the lines of a text differ from those that stand in the file.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Fit {
    /// In white space at their ends at most.
    Ends,
    /// The file's are further in by this.
    Deeper(String),
    /// The file's are further out by this.
    Shallower(String),
}

/// Every place where `old` stands in `text`, with `new` made to fit there: letter for letter if there is any such place, else
/// with other white space at the ends of lines, else with the whole block further in or out.
pub(super) fn find(text: &str, old: &str, new: &str) -> Vec<Splice> {
    let exact = exact(text, old);
    if !exact.is_empty() {
        return exact.into_iter().map(|at| replace_exact(text, at, old, new)).collect();
    }
    find_loosely(text, old, new)
}

/// As [`find`], without the places that overlap an earlier one.
pub(super) fn find_all(text: &str, old: &str, new: &str) -> Vec<Splice> {
    let exact: Vec<_> = text.match_indices(old).map(|(at, _)| replace_exact(text, at, old, new)).collect();
    let mut found = if exact.is_empty() { find_loosely(text, old, new) } else { exact };
    let mut end = 0;
    found.retain(|splice| {
        let free = splice.range.start >= end;
        end = if free { splice.range.end } else { end };
        free
    });
    found
}

fn find_loosely(text: &str, old: &str, new: &str) -> Vec<Splice> {
    let block = Block { file: lines(text), old: lines(old) };
    if block.old.iter().all(|line| line.trim().is_empty()) {
        return Vec::new();
    }
    let fits = block.fits(|wanted, found| (wanted.trim_end() == found.trim_end()).then_some(Fit::Ends));
    let fits = if fits.is_empty() { block.fits(shift) } else { fits };
    fits.into_iter().map(|(at, fit)| block.replace(at, &reindent(new, &fit))).collect()
}

/// 1-based line of a position.
pub(super) fn line_of(text: &str, at: usize) -> usize {
    text[..at].matches('\n').count() + 1
}

/// The lines most like `old`, numbered from 1; nothing where none is like it.
pub(super) fn closest(text: &str, old: &str) -> Vec<(usize, String)> {
    const SHOWN: usize = 12;
    const WIDTH: usize = 200;
    let file: Vec<_> = text.lines().collect();
    let wanted: Vec<_> = old.lines().collect();
    // The longest line says most about where the text was meant to be.
    let Some((anchor, probe)) = wanted.iter().enumerate().max_by_key(|(_, line)| line.trim().len()) else {
        return Vec::new();
    };
    let likeness = |line: &str| match (line.trim(), probe.trim()) {
        (found, probe) if found == probe => 1.0,
        (found, probe) if found.len() > 4 * probe.len() + 16 => 0.0,
        (found, probe) => strsim::sorensen_dice(found, probe),
    };
    let best = file.iter().enumerate().map(|(at, line)| (at, likeness(line))).max_by(|a, b| a.1.total_cmp(&b.1));
    let Some((best, _)) = best.filter(|(_, score)| *score > 0.4) else { return Vec::new() };
    let start = best.saturating_sub(anchor.min(SHOWN / 2));
    let shown = file.iter().enumerate().skip(start).take(wanted.len().clamp(3, SHOWN));
    shown.map(|(at, line)| (at + 1, line.chars().take(WIDTH).collect())).collect()
}

/// Overlapping places count too: of those, none is meant more than another.
fn exact(text: &str, old: &str) -> Vec<usize> {
    let mut found = Vec::new();
    let mut from = 0;
    while let Some(at) = text[from..].find(old) {
        found.push(from + at);
        from += at + old.chars().next().map_or(1, char::len_utf8);
        if from > text.len() {
            break;
        }
    }
    found
}

fn replace_exact(text: &str, at: usize, old: &str, new: &str) -> Splice {
    let end = at + old.len();
    // Whole lines are replaced by whole lines: a final line break that the model forgot would glue the next line to it.
    let whole = (at == 0 || text.as_bytes()[at - 1] == b'\n') && old.ends_with('\n');
    let glued = whole && !new.is_empty() && !new.ends_with('\n') && end < text.len();
    let new = if glued { format!("{new}\n") } else { new.to_owned() };
    narrow(Splice { range: at..end, new }, old)
}

/// Leaves out the lines at both ends that stay as they are, so that their bytes are not touched.
pub(super) fn narrow(splice: Splice, old: &str) -> Splice {
    let Splice { range, new } = splice;
    let (old, fresh) = (lines(old), lines(&new));
    let (head, tail) = common_lines(&old, &fresh);
    let length = |lines: &[&str]| lines.iter().map(|line| line.len()).sum::<usize>();
    let start = range.start + length(&old[..head]);
    let end = range.end - length(&old[old.len() - tail..]);
    Splice { range: start..end, new: fresh[head..fresh.len() - tail].concat() }
}

fn lines(text: &str) -> Vec<&str> {
    text.split_inclusive('\n').collect()
}

/// How many lines at the start and at the end are the same.
pub fn common_lines(a: &[&str], b: &[&str]) -> (usize, usize) {
    let most = a.len().min(b.len());
    let head = a.iter().zip(b).take_while(|(a, b)| a == b).count();
    let tail = a.iter().rev().zip(b.iter().rev()).take(most - head).take_while(|(a, b)| a == b).count();
    (head, tail)
}

struct Block<'a> {
    file: Vec<&'a str>,
    old: Vec<&'a str>,
}

impl Block<'_> {
    /// First lines of the places where every line fits in the same way.
    fn fits(&self, fit: impl Fn(&str, &str) -> Option<Fit>) -> Vec<(usize, Fit)> {
        let place = |window: &[&str]| {
            let mut common = None;
            for (wanted, found) in self.old.iter().zip(window) {
                if wanted.trim().is_empty() && found.trim().is_empty() {
                    continue;
                }
                let fit = fit(wanted, found)?;
                if common.get_or_insert_with(|| fit.clone()) != &fit {
                    return None;
                }
            }
            common
        };
        let windows = self.file.windows(self.old.len()).enumerate();
        windows.filter_map(|(at, window)| Some((at, place(window)?))).collect()
    }

    fn replace(&self, at: usize, new: &str) -> Splice {
        let found = &self.file[at..at + self.old.len()];
        // Lines that the edit keeps are compared as the model wrote them; in the file they stay as they are.
        let whole = |line: &str| format!("{}\n", line.trim_end());
        let (wanted, fresh): (Vec<_>, Vec<_>) =
            (found.iter().map(|line| whole(line)).collect(), new.split_inclusive('\n').map(whole).collect());
        let (wanted, fresh): (Vec<&str>, Vec<&str>) =
            (wanted.iter().map(String::as_str).collect(), fresh.iter().map(String::as_str).collect());
        let (mut head, tail) = common_lines(&wanted, &fresh);
        let open = !found.last().is_some_and(|line| line.ends_with('\n'));
        if open && head == found.len() && fresh.len() > head {
            // Something comes after the file's last line, which needs a line break for that.
            head -= 1;
        }
        let length = |lines: &[&str]| lines.iter().map(|line| line.len()).sum::<usize>();
        let start = length(&self.file[..at + head]);
        let end = length(&self.file[..at + self.old.len() - tail]);
        let mut new: String = new.split_inclusive('\n').skip(head).take(fresh.len() - head - tail).collect();
        let at_open_end = open && tail == 0;
        match new.ends_with('\n') {
            true if at_open_end => {
                new.pop();
            }
            false if !at_open_end && !new.is_empty() => new.push('\n'),
            _ => {}
        }
        Splice { range: start..end, new }
    }
}

fn shift(wanted: &str, found: &str) -> Option<Fit> {
    let (wanted, found) = (wanted.trim_end(), found.trim_end());
    let blank = |indent: &str| !indent.is_empty() && indent.trim().is_empty();
    if wanted == found {
        return None;
    }
    match (found.strip_suffix(wanted), wanted.strip_suffix(found)) {
        (Some(indent), _) if blank(indent) => Some(Fit::Deeper(indent.to_owned())),
        (_, Some(indent)) if blank(indent) => Some(Fit::Shallower(indent.to_owned())),
        _ => None,
    }
}

fn reindent(new: &str, fit: &Fit) -> String {
    let line = |line: &str| match fit {
        Fit::Deeper(indent) if !line.trim().is_empty() => format!("{indent}{line}"),
        Fit::Shallower(indent) => match line.strip_prefix(indent.as_str()) {
            Some(rest) => rest.to_owned(),
            None => line.trim_start_matches([' ', '\t']).to_owned(),
        },
        _ => line.to_owned(),
    };
    new.split_inclusive('\n').map(line).collect()
}
