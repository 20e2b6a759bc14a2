//! The function to change in a file that is too long to be written anew: which one it is, and how what the model writes in its
//! place gets there.

use std::collections::HashMap;
use std::ops::Range;

use super::profile::{Form, Workflow};
use super::turn::{Turn, TurnError};
use super::wording::{self, bare};
use super::{failure, prompt, step};
use crate::code::{self, Definition, Kind, is_test};
use crate::dialect::{Message, Role};
use crate::workspace::RelPath;

/// Functions among which the model picks, at most.
const MOST: usize = 4;
/// Tokens of a file from which on a mistake in it is mended in one function, though it would be short enough to be written anew:
/// the longer it is, the more goes wrong in it.
const FROM: usize = 800;
/// Tokens of a file of tests from which on only those of it are shown that fail, and the share of the context that these may fill,
/// in per cent.
const LONG_TEST: usize = 1500;
const TESTS_SHARE: usize = 3;
/// The same where they say what is yet to be written.
const LONG_SPECIFICATION: usize = 2000;
const SPECIFICATION_SHARE: usize = 5;

/// A function of a file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Part {
    pub path: RelPath,
    /// With its scope.
    pub name: String,
    /// Where it began when it was found; of several with its name, the nearest is meant.
    start: u32,
}

impl Part {
    pub fn new(path: &RelPath, definition: &Definition) -> Self {
        Self { path: path.clone(), name: definition.qualified(), start: definition.start }
    }

    /// Its lines in a text of the file, from 0; `None` where it is not there any more.
    pub fn lines(&self, text: &str) -> Option<Range<usize>> {
        let own = functions(&self.path, text).into_iter().filter(|definition| definition.qualified() == self.name);
        own.min_by_key(|definition| definition.start.abs_diff(self.start)).map(|definition| range(text, &definition))
    }

    /// Its text in a text of the file.
    pub fn of<'t>(&self, text: &'t str) -> Option<&'t str> {
        Some(lines(text, &self.lines(text)?))
    }

    /// The file's text with what a model wrote in the function's place, at its indentation; `None` where it wrote no such function.
    pub fn replaced(&self, text: &str, written: &str) -> Option<String> {
        let range = self.lines(text)?;
        Some(replaced(text, &range, &self.itself(text, written)?))
    }

    /// Of what a model wrote the function alone, where it is a method or there is more that the file has already: it likes to write
    /// what stands around it as well. `None` where the function is not in it.
    fn itself(&self, text: &str, written: &str) -> Option<String> {
        let own = code::definitions(self.path.as_str(), written);
        let name = self.name.rsplit('.').next().unwrap_or_default();
        let same = || own.iter().filter(|definition| is_function(definition) && definition.name == name);
        let found = same().find(|definition| definition.qualified() == self.name).or_else(|| same().next())?;
        let known = code::definitions(self.path.as_str(), text);
        let repeats = own.iter().any(|other| {
            other.name != name
                && known.iter().any(|known| known.qualified() == other.qualified())
                && other.scope.is_empty()
        });
        if !repeats && !self.name.contains('.') {
            return Some(written.to_owned());
        }
        let range = range(written, found);
        Some(lines(written, &range).to_owned())
    }
}

/// The functions and methods of a text.
pub(super) fn functions(path: &RelPath, text: &str) -> Vec<Definition> {
    let mut all = code::definitions(path.as_str(), text);
    all.retain(is_function);
    all
}

pub(super) fn is_function(definition: &Definition) -> bool {
    matches!(definition.kind, Kind::Function | Kind::Method)
}

/// Lines with their scores by the innermost function around them.
fn by_function(path: &RelPath, text: &str, scores: &HashMap<usize, f64>) -> Vec<(Definition, HashMap<usize, f64>)> {
    let functions = functions(path, text);
    let ranges = ranges(text, &functions);
    let mut lines: Vec<HashMap<usize, f64>> = vec![HashMap::new(); functions.len()];
    for (line, score) in scores {
        if let Some(at) = innermost(&ranges, *line) {
            lines[at].insert(*line, *score);
        }
    }
    functions.into_iter().zip(lines).filter(|(_, lines)| !lines.is_empty()).collect()
}

/// The lines of definitions, as [`range`] has them.
pub(super) fn ranges(text: &str, definitions: &[Definition]) -> Vec<Range<usize>> {
    definitions.iter().map(|definition| range(text, definition)).collect()
}

/// Which of these is the shortest around a line.
pub(super) fn innermost(ranges: &[Range<usize>], line: usize) -> Option<usize> {
    let around = ranges.iter().enumerate().filter(|(_, range)| range.contains(&line));
    around.min_by_key(|(_, range)| range.len()).map(|(at, _)| at)
}

/// The lines of a definition, from 0, with its comments and decorators, but without a line before it that has a comment and is
/// something else.
pub(super) fn range(text: &str, definition: &Definition) -> Range<usize> {
    let (start, name) = (definition.start.saturating_sub(1) as usize, definition.line.saturating_sub(1) as usize);
    let before = text.lines().skip(start).take(name.saturating_sub(start));
    let foreign = before.enumerate().filter(|(_, line)| is_foreign(line.trim())).last();
    start + foreign.map_or(0, |(at, _)| at + 1)..definition.end as usize
}

/// Whether a line between a definition's comments and its name is a statement of its own.
fn is_foreign(line: &str) -> bool {
    let marks = ["#", "//", "/*", "*", "--", "\"\"\""];
    let is_remark = marks.iter().any(|mark| line.starts_with(mark)) && !line.starts_with("#[");
    let decorates = line.starts_with('@') || line.starts_with("#[");
    let has_remark = [" # ", "\t# ", "  #", " //"].iter().any(|mark| line.contains(mark));
    !is_remark && (line.ends_with([';', '{', '}']) || (has_remark && !decorates))
}

/// Where a line, counted from 0, begins; the text's end where it has fewer.
pub(super) fn offset(text: &str, line: usize) -> usize {
    text.split_inclusive('\n').take(line).map(str::len).sum()
}

/// These lines of a text, counted from 0.
pub(super) fn lines<'t>(text: &'t str, range: &Range<usize>) -> &'t str {
    &text[offset(text, range.start)..offset(text, range.end)]
}

/// A text with these lines of it replaced, at their indentation.
pub(super) fn replaced(text: &str, range: &Range<usize>, written: &str) -> String {
    let old = lines(text, range);
    let mut new = indented(written, indentation(old));
    new.truncate(new.trim_end_matches('\n').len());
    new.extend(old.ends_with('\n').then_some('\n'));
    [&text[..offset(text, range.start)], &new, &text[offset(text, range.end)..]].concat()
}

/// What the first line that is not empty begins with.
pub(super) fn indentation(text: &str) -> &str {
    let line = text.lines().find(|line| !line.trim().is_empty()).unwrap_or_default();
    &line[..line.len() - line.trim_start().len()]
}

/// The text moved so that it begins at this indentation.
pub(super) fn indented(text: &str, wanted: &str) -> String {
    let own = indentation(text);
    if own == wanted {
        return text.to_owned();
    }
    let line = |line: &str| match line.strip_prefix(own) {
        Some(rest) if !rest.trim().is_empty() => format!("{wanted}{rest}"),
        _ => line.to_owned(),
    };
    text.split_inclusive('\n').map(line).collect()
}

impl Turn<'_> {
    /// The functions in one of which a mistake is to be mended, where what may change is too long to be written anew, and the failing
    /// tests or the request tell of some that are not; the likeliest first, all of one file. What else a request may want need not
    /// be the change of one function.
    pub(super) async fn parts(&mut self) -> Result<Vec<Part>, TurnError> {
        let is_fault = wording::is_about_a_fault(&self.asked);
        if self.session.profile.form != Form::Whole || !is_fault || !self.goes_by_function(self.open_tokens()) {
            return Ok(Vec::new());
        }
        self.trace().await;
        let (mut parts, mut first) = self.suspicious_parts();
        if parts.is_empty() {
            parts = self.named_parts();
            first = parts.len();
        }
        if first > 1 {
            let likeliest = self.likeliest(&parts[..first]).await?;
            parts.swap(0, likeliest);
        }
        let path = parts.first().map(|part| part.path.clone());
        parts.retain(|part| Some(&part.path) == path.as_ref());
        Ok(parts)
    }

    /// Which of several functions the model thinks has to change.
    async fn likeliest(&mut self, parts: &[Part]) -> Result<usize, TurnError> {
        self.make_room()?;
        let question = prompt::text(&self.session.workspace, "which-function", &[]);
        let is_twice = |part: &Part| parts.iter().filter(|other| other.name == part.name).count() > 1;
        let label = |part: &Part| match is_twice(part) {
            true => format!("{}:{} {}", part.path, part.start, part.name),
            false => part.name.clone(),
        };
        let labels: Vec<String> = parts.iter().map(label).collect();
        let names: Vec<&str> = labels.iter().map(String::as_str).collect();
        let name = step::choose(self.session, question, &names, &self.cancel).await?;
        Ok(labels.iter().position(|label| *label == name).unwrap_or(0))
    }

    /// The function to write anew now; the next one is another, if there are several.
    pub(super) fn next_part(&mut self) -> Option<Part> {
        let parts = &mut self.prepared.as_mut()?.parts;
        let part = parts.first().cloned()?;
        parts.rotate_left(1);
        Some(part)
    }

    /// Takes the functions that the failing tests run most for what the request is about, where their files are too long to be
    /// shown; the model sees them where there are several to choose from. Returns whether there are any.
    pub(super) fn show_suspicious_parts(&mut self) -> bool {
        let (parts, first) = self.suspicious_parts();
        let mut files = String::new();
        let mut found = false;
        for part in &parts[..first] {
            let Ok(file) = self.session.workspace.read(&part.path) else { continue };
            if self.goes_by_function(self.session.engine.count(&file.text)) {
                found = true;
                files.push_str(&self.shown(part, &file.text));
                self.record.saw(part.path.clone());
            }
        }
        // Of one that is to be written anew the order to do so shows it.
        if found && (first > 1 || self.session.profile.form != Form::Whole) {
            let text = prompt::text(&self.session.workspace, "located", &[("files", &files)]);
            self.say(Message::new(Role::User, text));
        }
        found
    }

    /// Whether a file that the request names is shown with it as a whole. A check tells which functions of a long one matter.
    pub(super) fn is_worth_reading(&self, path: &RelPath, tokens: usize) -> bool {
        let is_led = self.session.profile.workflow == Workflow::Guided && self.check.is_some();
        match (is_test(path.as_str()), wording::is_about_a_fault(&self.asked)) {
            _ if !is_led => true,
            (true, true) => tokens <= LONG_TEST,
            (true, false) => tokens <= LONG_SPECIFICATION,
            (false, true) => self.is_short(tokens),
            (false, false) => true,
        }
    }

    /// Shows the failing ones of the tests that were left out for their length.
    pub(super) fn show_failing_tests(&mut self, output: &str) {
        let share = if wording::is_about_a_fault(&self.asked) { TESTS_SHARE } else { SPECIFICATION_SHARE };
        let mut left = self.session.engine.info().context * share / 100;
        let mut files = String::new();
        for path in self.left_out.iter().filter(|path| is_test(path.as_str())) {
            let Ok(file) = self.session.workspace.read(path) else { continue };
            let lines = failure::named_lines(path, output);
            let failing = functions(path, &file.text);
            for test in failing.iter().filter(|test| lines.iter().any(|line| range(&file.text, test).contains(line))) {
                let shown = self.shown(&Part::new(path, test), &file.text);
                let tokens = self.session.engine.count(&shown);
                if tokens <= left {
                    left -= tokens;
                    files.push_str(&shown);
                }
            }
        }
        if !files.is_empty() {
            let text = prompt::text(&self.session.workspace, "failing-tests", &[("files", &files)]);
            self.say(Message::new(Role::User, text));
        }
    }

    /// What asks for a function to be written anew. It shows it, unless the model has it before it.
    pub(super) fn ask_for(&self, part: &Part) -> String {
        let text = self.session.workspace.read(&part.path).map(|file| file.text).unwrap_or_default();
        let shown = self.shown(part, &text);
        let is_known = self.session.transcript.iter().any(|message| message.content.contains(&shown));
        let function = if is_known { "" } else { shown.trim() };
        let fill = [("name", part.name.as_str()), ("path", part.path.as_str()), ("function", function)];
        prompt::text(&self.session.workspace, "change-function", &fill).trim_start().to_owned()
    }

    fn shown(&self, part: &Part, text: &str) -> String {
        let lines = part.lines(text).unwrap_or_default();
        let place = format!("{}:{}-{} {}", part.path, lines.start + 1, lines.end, part.name);
        prompt::fenced(part.path.as_str(), &place, part.of(text).unwrap_or_default())
    }

    /// Whether a mistake had better be mended in one function than of a whole file with this many tokens.
    fn goes_by_function(&self, tokens: usize) -> bool {
        !self.fits_whole(tokens) || tokens > FROM
    }

    /// The functions that failing tests run, the likeliest to be at fault first: those in which the failure came up, then by their
    /// most suspicious line. With it, how many of them come first.
    fn suspicious_parts(&self) -> (Vec<Part>, usize) {
        let mut found: Vec<(bool, f64, f64, Part)> = Vec::new();
        let named: Vec<&RelPath> =
            self.record.seen().iter().chain(&self.left_out).filter(|path| !is_test(path.as_str())).collect();
        for (path, scores) in self.suspicious_files() {
            // Where the request says which file it is about, it is that.
            if !named.is_empty() && !named.contains(&&path) {
                continue;
            }
            let Ok(file) = self.session.workspace.read(&path) else { continue };
            let failed = failure::named_lines(&path, &self.failure);
            for (definition, lines) in by_function(&path, &file.text, scores) {
                let part = Part::new(&path, &definition);
                let came_up = lines.keys().any(|line| failed.contains(line));
                let most = lines.values().copied().fold(0.0, f64::max);
                if self.fits(&part) {
                    found.push((came_up, most, lines.values().sum(), part));
                }
            }
        }
        found.sort_by(|a, b| b.0.cmp(&a.0).then(b.1.total_cmp(&a.1)).then(b.2.total_cmp(&a.2)));
        found.truncate(MOST);
        let is_first = |other: &(bool, f64, f64, Part)| (other.0, other.1) == (found[0].0, found[0].1);
        let first = found.iter().filter(|other| is_first(other)).count();
        (found.into_iter().map(|(.., part)| part).collect(), first)
    }

    /// The functions of the files before the model that the request names.
    fn named_parts(&self) -> Vec<Part> {
        let words: Vec<&str> = self.asked.split_whitespace().flat_map(|word| word.split('#')).collect();
        let names = |definition: &Definition| {
            let is_word = |word: &&str| {
                let name = bare(word.split('(').next().unwrap_or_default());
                // "add" and "Test" are words as well.
                let is_code = word.contains(['(', '`', '_']) || name.chars().skip(1).any(char::is_uppercase);
                let is_method = !definition.scope.is_empty() && name == definition.qualified();
                is_method || (name == definition.name && is_code)
            };
            words.iter().any(is_word)
        };
        let mut found = Vec::new();
        for path in self.record.seen().iter().filter(|path| !is_test(path.as_str())) {
            let Ok(file) = self.session.workspace.read(path) else { continue };
            found.extend(
                functions(path, &file.text).iter().filter(|definition| names(definition)).map(|d| Part::new(path, d)),
            );
        }
        found.retain(|part| self.fits(part));
        found.truncate(MOST);
        found
    }

    fn fits(&self, part: &Part) -> bool {
        let text = self.session.workspace.read(&part.path).map(|file| file.text).unwrap_or_default();
        part.of(&text).is_some_and(|own| self.fits_whole(self.session.engine.count(own)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn part(name: &str) -> Part {
        Part { path: "a.py".to_owned().try_into().unwrap(), name: name.into(), start: 1 }
    }

    const TEXT: &str = "import os\n\n\nclass A:\n    @property\n    def size(self):\n        return 1\n\n    def last(self):\n        return 2\n\n\n\
                        def size(a):\n    return a\n";

    #[test]
    fn a_function_is_replaced_at_its_place_and_indentation() {
        assert_eq!(part("A.size").of(TEXT), Some("    @property\n    def size(self):\n        return 1\n"));
        let replaced = |name: &str, written: &str, expected: &str| {
            let old = part(name).of(TEXT).unwrap();
            assert_eq!(part(name).replaced(TEXT, written), Some(TEXT.replace(old, expected)), "{name} {written}");
        };
        let method = "    def last(self):\n        return 3\n";
        replaced("A.last", method, method);
        replaced("A.last", "def last(self):\n    return 3", method);
        replaced("A.last", "class A:\n    def last(self):\n        return 3\n", method);
        replaced(
            "size",
            "def help(): pass\n\ndef size(a):\n    return -a\n",
            "def help(): pass\n\ndef size(a):\n    return -a\n",
        );
        replaced("size", "    def size(a):\n        return -a\n", "def size(a):\n    return -a\n");
        // The whole file, as it is but for the function.
        replaced("size", &TEXT.replace("return a", "return -a"), "def size(a):\n    return -a\n");
        assert_eq!(part("gone").replaced(TEXT, "x"), None);
        assert_eq!(part("size").replaced(TEXT, "return -a\n"), None);
        let open = TEXT.trim_end();
        assert_eq!(part("size").replaced(open, "def size(a):\n    return a\n").as_deref(), Some(open));
    }

    #[test]
    fn what_stands_before_a_function_is_none_of_it() {
        let of = |path: &str, name: &str, text: &str| {
            let path = path.to_owned().try_into().unwrap();
            Part { path, name: name.into(), start: 1 }.of(text).map(str::to_owned)
        };
        let text = "class Stack:  # last in, first out\n    def push(self):\n        pass\n";
        assert_eq!(of("a.py", "Stack.push", text).as_deref(), Some("    def push(self):\n        pass\n"));
        let text = "LIMIT = 3  # seconds\n# Gets it.\n@cached\ndef get():\n    pass\n";
        assert_eq!(of("a.py", "get", text).as_deref(), Some("# Gets it.\n@cached\ndef get():\n    pass\n"));
        let text =
            "class A {\n    @Autowired private Foo foo;\n    @Override\n    int get() {\n        return 1;\n    }\n}\n";
        assert_eq!(
            of("A.java", "A.get", text).as_deref(),
            Some("    @Override\n    int get() {\n        return 1;\n    }\n")
        );
        let text = "/// Gets it.\n#[must_use]\npub fn get() -> u32 {\n    1\n}\n";
        assert_eq!(of("a.rs", "get", text).as_deref(), Some(text));
    }
}
