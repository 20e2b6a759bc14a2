//! `search`: lines that match a regular expression, with ripgrep's own crates.

use std::fmt::Write;

use grep_regex::{RegexMatcher, RegexMatcherBuilder};
use grep_searcher::sinks::Lossy;
use grep_searcher::{BinaryDetection, Searcher, SearcherBuilder};
use serde::Deserialize;

use super::look::Look;
use super::{Context, Observation, Tool, ToolError, paths};
use crate::code::{Definition, definitions};
use crate::workspace::RelPath;

/// Files that are searched; a larger tree wants a path.
const SEARCHED: usize = 200_000;
/// Bytes of a matching line that are shown.
const LONGEST_LINE: usize = 200;
/// Matches after which the search is called off: nobody reads on.
const MOST: usize = 10_000;

#[derive(Debug, Clone, Deserialize)]
struct Arguments {
    pattern: String,
    path: Option<String>,
}

/// The tool.
pub(super) fn tool() -> impl Tool {
    Look::<Arguments> { manifest: super::embedded(include_str!("../../tools/search.toml")), summary, look: search }
}

fn summary(arguments: &Arguments) -> String {
    let place = arguments.path.as_ref().map(|path| format!(" in {path}")).unwrap_or_default();
    format!("{}{place}", arguments.pattern)
}

fn search(arguments: &Arguments, cx: &Context) -> Result<Observation, ToolError> {
    let (matcher, note) = matcher(&arguments.pattern)?;
    let files = files(arguments.path.as_deref().unwrap_or("."), cx)?;
    let mut searcher = SearcherBuilder::new().line_number(true).binary_detection(BinaryDetection::quit(0)).build();
    let mut report = Report::new(cx.output_limit);
    for file in &files {
        if cx.cancel.is_cancelled() {
            return Err(ToolError("The search was interrupted.".into()));
        }
        let mut found = Vec::new();
        // A file that has gone or may not be read is passed over, as one that does not match is.
        let _ = scan(&mut searcher, &matcher, file, cx, &mut found);
        report.add(file.as_str(), &found, || symbols(file, cx));
        if report.matches >= MOST {
            break;
        }
    }
    let matches = report.matches;
    let text = match report.finish(files.len()) {
        Some(text) => text,
        None => {
            let plural = if files.len() == 1 { "file" } else { "files" };
            format!("No match in {} {plural}.", files.len())
        }
    };
    Ok(Observation::count(format!("{note}{text}"), matches, "matches"))
}

/// Collects the matching lines of a file, with their numbers.
fn scan(
    searcher: &mut Searcher,
    matcher: &RegexMatcher,
    file: &RelPath,
    cx: &Context,
    found: &mut Vec<(u64, String)>,
) -> std::io::Result<()> {
    let sink = Lossy(|number, line| {
        found.push((number, shorten(line.trim_end_matches(['\r', '\n']))));
        Ok(found.len() < MOST)
    });
    if cx.workspace.is_dry_run() {
        // What was edited is not on disk.
        match cx.workspace.read(file) {
            Ok(text) => searcher.search_slice(matcher, text.text.as_bytes(), sink),
            Err(_) => Ok(()),
        }
    } else {
        searcher.search_path(matcher, cx.workspace.root().join(file.as_str()), sink)
    }
}

/// What a file defines; nothing where it cannot be read.
fn symbols(file: &RelPath, cx: &Context) -> Vec<Definition> {
    cx.workspace.read(file).map(|text| definitions(file.as_str(), &text.text)).unwrap_or_default()
}

/// The files at or below `path`.
fn files(path: &str, cx: &Context) -> Result<Vec<RelPath>, ToolError> {
    let path = paths::existing(path, cx)?;
    let mut files = cx.workspace.files(SEARCHED);
    if !path.is_root() {
        let folder = format!("{}/", path.as_str());
        files.retain(|file| *file == path || file.as_str().starts_with(&folder));
        if files.is_empty() {
            let on_disk = cx.workspace.root().join(path.as_str());
            if on_disk.is_file() {
                // Ignored, but asked for by name.
                files.push(path);
            } else if !on_disk.is_dir() {
                // It knows what was meant.
                cx.workspace.read(&path)?;
            }
        }
    }
    Ok(files)
}

/// A matcher, without regard to case unless the pattern has capitals; and what to say of it.
fn matcher(pattern: &str) -> Result<(RegexMatcher, String), ToolError> {
    if pattern.is_empty() {
        return Err(ToolError("`pattern` is empty. Give a text or a regular expression to search for.".into()));
    }
    let mut builder = RegexMatcherBuilder::new();
    builder.case_smart(true).line_terminator(Some(b'\n'));
    match builder.build(pattern) {
        Ok(matcher) => Ok((matcher, String::new())),
        Err(_) => {
            let literal = builder.fixed_strings(true).build(pattern);
            let literal = literal.map_err(|_| ToolError("`pattern` must be a text within one line.".into()))?;
            Ok((literal, "The pattern is no regular expression and was searched for as it stands.\n".into()))
        }
    }
}

fn shorten(line: &str) -> String {
    let end = line.floor_char_boundary(LONGEST_LINE);
    if end < line.len() { format!("{}…", &line[..end]) } else { line.to_owned() }
}

/// The matches, grouped by file, within a bound.
struct Report {
    text: String,
    limit: usize,
    matches: usize,
    files: usize,
    /// Matches that are counted and not shown.
    hidden: usize,
}

impl Report {
    fn new(limit: usize) -> Self {
        // For the last line.
        Self { text: String::new(), limit: limit.saturating_sub(100), matches: 0, files: 0, hidden: 0 }
    }

    /// Adds a file's matches; what it defines is asked for only where a match is shown.
    fn add(&mut self, file: &str, found: &[(u64, String)], symbols: impl FnOnce() -> Vec<Definition>) {
        if found.is_empty() {
            return;
        }
        self.files += 1;
        self.matches += found.len();
        if self.hidden > 0 {
            self.hidden += found.len();
            return;
        }
        let symbols = symbols();
        let (mut head, mut within) = (Some(format!("{file}\n")), None);
        for (number, line) in found {
            let symbol = enclosing(&symbols, *number);
            // A line that begins a definition says by itself where it is.
            let own = symbol.is_some_and(|d| u64::from(d.line) == *number);
            let mark = match symbol {
                _ if own || symbol == within => String::new(),
                Some(definition) => format!("in {}:\n", definition.qualified()),
                None => "at the top:\n".to_owned(),
            };
            let size = head.as_ref().map_or(0, String::len) + mark.len() + line.len() + 8;
            if self.hidden > 0 || (!self.text.is_empty() && self.text.len() + size > self.limit) {
                self.hidden += 1;
                continue;
            }
            within = if own { None } else { symbol };
            let _ = writeln!(self.text, "{}{mark}{number}|{line}", head.take().unwrap_or_default());
        }
    }

    /// `None` where nothing was found.
    fn finish(mut self, searched: usize) -> Option<String> {
        if self.matches == 0 {
            return None;
        }
        if self.hidden > 0 {
            let _ = write!(
                self.text,
                "[{} more of {} matches in {} files; narrow the pattern or give a path]",
                self.hidden, self.matches, self.files
            );
        } else if searched == SEARCHED {
            self.text.push_str("[there are more files; give a path]");
        }
        self.text.truncate(self.text.trim_end().len());
        Some(self.text)
    }
}

/// The innermost definition around a line.
fn enclosing(symbols: &[Definition], line: u64) -> Option<&Definition> {
    let around = symbols.iter().filter(|d| u64::from(d.start) <= line && line <= u64::from(d.end));
    around.min_by_key(|d| d.end - d.start)
}

#[cfg(test)]
mod tests {
    use grep_searcher::sinks::UTF8;

    use super::*;

    #[test]
    fn case_matters_only_with_capitals_and_no_pattern_is_refused() {
        for (pattern, text, matches, literal) in [
            ("foo", "FOO", true, false),
            ("Foo", "foo", false, false),
            (r"fo+\(", "foo(1)", true, false),
            ("f(", "f(x)", true, true),
            ("[a", "x[a]", true, true),
            ("a|b", "b", true, false),
        ] {
            let (matcher, note) = matcher(pattern).unwrap();
            let mut found = false;
            let sink = UTF8(|_, _| {
                found = true;
                Ok(true)
            });
            SearcherBuilder::new().line_number(true).build().search_slice(&matcher, text.as_bytes(), sink).unwrap();
            assert_eq!((found, !note.is_empty()), (matches, literal), "{pattern}");
        }
        assert!(matcher("").is_err());
        assert!(matcher("a\n(").is_err());
    }

    #[test]
    fn matches_are_grouped_and_bounded() {
        let mut report = Report::new(1000);
        let symbols = || definitions("b.py", "def f():\n    if y:\n        x\n    x\n\nx\n");
        report.add("a.py", &[(1, "x = 1".into()), (12, "x = 2".into())], Vec::new);
        report.add("none.py", &[], Vec::new);
        report.add("b.py", &[(1, "def f():".into()), (3, "x".into()), (4, "x".into()), (6, "x".into())], symbols);
        let text = report.finish(3);
        assert_eq!(
            text.as_deref(),
            Some("a.py\n1|x = 1\n12|x = 2\nb.py\n1|def f():\nin f:\n3|x\n4|x\nat the top:\n6|x")
        );

        let mut report = Report::new(130);
        let many: Vec<(u64, String)> = (1..=9).map(|n| (n, "text".into())).collect();
        report.add("a.py", &many, Vec::new);
        report.add("b.py", &many, Vec::new);
        let text = report.finish(2).unwrap();
        assert_eq!(text, "a.py\n1|text\n2|text\n[16 more of 18 matches in 2 files; narrow the pattern or give a path]");
        assert_eq!(Report::new(100).finish(1), None);
    }

    #[test]
    fn long_lines_are_cut_between_characters() {
        assert_eq!(shorten("short"), "short");
        let cut = shorten(&"é".repeat(150));
        assert!(cut.ends_with('…') && cut.len() <= LONGEST_LINE + 3, "{}", cut.len());
    }
}
