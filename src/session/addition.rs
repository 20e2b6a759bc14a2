//! What a request adds to a file: functions that the model writes alone, each put where it belongs. Nothing else of the file is
//! written anew, so that nothing else can be lost, and a function takes a fraction of the time of its file.

use super::follow::{self, Clause};
use super::part::{Part, indentation, indented, is_function, offset, range};
use super::profile::Form;
use super::prompt;
use super::turn::Turn;
use super::wording::{ARTICLES, bare};
use crate::code::{self, Definition, definitions};
use crate::workspace::RelPath;

/// Verbs that order something new.
const ADDING: &[&str] = &["add", "create", "define", "implement", "insert", "introduce", "write"];
/// What is added.
const FUNCTIONS: &[&str] = &["function", "functions", "helper", "helpers", "method", "methods"];
/// What is said of it without a meaning for its form.
const SIZES: &[&str] = &["another", "public", "short", "simple", "small"];
/// What may be added to a function, and is none.
#[rustfmt::skip]
const OTHERS: &[&str] = &[
    "annotation", "annotations", "argument", "arguments", "call", "calls", "comment", "comments", "decorator", "docstring",
    "docstrings", "hints", "logging", "parameter", "parameters", "test", "tests",
];
/// Behind these it is said what it is added to, or what for.
const BEHIND: &[&str] = &["for", "from", "in", "into", "of", "on", "so", "that", "to", "which", "with"];
/// Behind these it is said what for.
const PURPOSES: &[&str] = &["so", "that", "which"];
/// What lines that bring in other files begin with.
const IMPORTS: &[&str] = &["import ", "from ", "use ", "using ", "#include ", "require ", "require_relative "];
/// Lines that must name what other files may use.
const EXPORTS: &[&str] = &["export ", "module.exports", "exports."];
/// Modules of tests, which stay the last.
const TESTS: &[&str] = &["test", "tests"];

/// Functions that are to be added to a file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Addition {
    path: RelPath,
    /// The type whose methods they become, with its scope.
    owner: Option<String>,
    named: Option<Named>,
}

/// What a request calls a function that is to be added.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Named {
    name: String,
    /// As far as they are given.
    parameters: String,
    /// It is no static method, no property and nothing else that is written in a way of its own.
    is_plain: bool,
}

impl Addition {
    /// What a request adds to a file with this text, where it orders functions to be added and nothing else; `None` too where it
    /// cannot be told to what.
    fn of(path: &RelPath, text: &str, request: &str) -> Option<Self> {
        let Added { object, place, named: as_named } = added(request)?;
        let known = definitions(path.as_str(), text);
        let mut types = known.iter().filter(|definition| definition.kind.has_methods());
        let named =
            types.clone().find(|known| place.iter().any(|word| *word == known.name || *word == known.qualified()));
        let are_methods = object.iter().any(|word| word.starts_with("method"));
        let owner = match named {
            None if are_methods => Some(types.next().filter(|_| types.next().is_none())?),
            named => named,
        };
        let owner = owner.map(Definition::qualified);
        last(&known, owner.as_deref()).map(|_| Self { path: path.clone(), owner, named: as_named })
    }

    /// The file's text with what a model wrote for it: new functions and types where they belong, those that are there already in
    /// the place of what they were, new imports behind the others. `None` where that is nothing, or where there is more in it.
    pub fn merged(&self, file: &str, written: &str) -> Option<String> {
        let (own, known) = (definitions(self.path.as_str(), written), definitions(self.path.as_str(), file));
        let pieces = self.pieces(written, &own, &known);
        let leaves_out = pieces.iter().any(|piece| piece.text.lines().any(code::stands_for_code));
        // What is called otherwise is something else.
        let is_missing = self.named.is_some() && !pieces.iter().any(|piece| self.is_called(piece.bare));
        if leaves_out || is_missing {
            return None;
        }
        // A function that was written along, as a method.
        let is_elsewhere = |piece: &Piece| {
            let is_function = |known: &Definition| known.scope.is_empty() && known.name == piece.bare;
            !piece.scope.is_empty()
                && known.iter().any(is_function)
                && known.iter().all(|known| known.qualified() != piece.name)
        };
        let fits = |piece: &&Piece| self.is_called(piece.bare) || !is_elsewhere(piece);
        let mut text = file.to_owned();
        for piece in pieces.iter().filter(fits) {
            text = match known.iter().find(|known| known.qualified() == piece.name && is_function(known)) {
                Some(known) => Part::new(&self.path, known).replaced(&text, piece.text)?,
                None => self.inserted(&text, piece)?,
            };
        }
        for line in rest(written, &pieces, file)? {
            text = with_import(&self.path, &text, line);
        }
        (text != file).then_some(text)
    }

    /// The functions of what was written, and the types that the file lacks.
    fn pieces<'w>(&self, written: &'w str, own: &'w [Definition], known: &[Definition]) -> Vec<Piece<'w>> {
        let is_new = |definition: &Definition| known.iter().all(|known| known.qualified() != definition.qualified());
        let is_type = |definition: &Definition| definition.kind.has_methods() && is_new(definition);
        let parent = |definition: &Definition| definition.parent.and_then(|at| own.get(at as usize));
        let stands_alone = |definition: &&Definition| {
            (is_function(definition) || is_type(definition))
                && !parent(definition).is_some_and(|parent| is_function(parent) || is_type(parent))
                && !own.iter().any(|other| is_type(other) && definition.scope == other.qualified())
        };
        let piece = |definition: &'w Definition| {
            let mut lines = range(written, definition);
            // What stands for what comes before it.
            let remarks = written.lines().skip(lines.start).take_while(|line| code::stands_for_code(line));
            lines.start += remarks.count();
            let scope = match &self.owner {
                // Written without what stands around it.
                Some(owner) if definition.scope.is_empty() && is_function(definition) => owner.clone(),
                _ => definition.scope.clone(),
            };
            let name = if scope.is_empty() { definition.name.clone() } else { format!("{scope}.{}", definition.name) };
            let text = &written[offset(written, lines.start)..offset(written, lines.end)];
            Piece { scope, name, bare: &definition.name, text, lines }
        };
        own.iter().filter(stands_alone).map(piece).collect()
    }

    /// A text of the file with something new, behind the last of what stands in the same scope.
    fn inserted(&self, text: &str, piece: &Piece<'_>) -> Option<String> {
        let known = definitions(self.path.as_str(), text);
        let scope = Some(piece.scope.as_str()).filter(|scope| !scope.is_empty());
        let before = last(&known, scope)?;
        let lines = range(text, before);
        let (mut end, wanted) = match scope {
            Some(_) => (offset(text, lines.end), indentation(&text[offset(text, lines.start)..])),
            None => (offset(text, lines.end), ""),
        };
        if scope.is_none() {
            // What encloses the last one ends first.
            let closes = |line: &&str| !line.trim().is_empty() && line.trim().chars().all(|c| "})];,".contains(c));
            end += text[end..].split_inclusive('\n').take_while(closes).map(str::len).sum::<usize>();
        }
        let (head, tail) = text.split_at(end);
        let is_wide = scope.is_none() && prompt::language(self.path.as_str()) == "python";
        let gap = "\n".repeat(if is_wide { 2 } else { 1 });
        let new = indented(piece.text.trim_matches('\n'), wanted);
        let newline = if head.is_empty() || head.ends_with('\n') { "" } else { "\n" };
        let next = tail.lines().next().unwrap_or_default().trim();
        let behind = if next.is_empty() || next.starts_with(['}', ')']) || next == "end" { "" } else { gap.as_str() };
        Some([head, newline, &gap, &new, "\n", behind, tail].concat())
    }

    fn is_called(&self, name: &str) -> bool {
        self.named.as_ref().is_some_and(|named| named.name == name)
    }

    /// What the order to write it calls the function.
    fn described(&self) -> String {
        let name = self.named.as_ref().map(|named| format!(" `{}`", named.name)).unwrap_or_default();
        match &self.owner {
            Some(owner) => format!("method{name} of `{owner}`"),
            None => format!("function{name}"),
        }
    }

    /// What its text begins with, where that is sure: a small model likes to write what stands around it as well.
    pub fn head(&self, file: &str) -> String {
        let Some(Named { name, parameters, is_plain: true }) = &self.named else { return String::new() };
        if prompt::language(self.path.as_str()) != "python" {
            return String::new();
        }
        let own = if self.owner.is_some() && !parameters.starts_with("self") { "self" } else { "" };
        let comma = if own.is_empty() || parameters.is_empty() { "" } else { ", " };
        let known = definitions(self.path.as_str(), file);
        let before = self.owner.as_deref().and_then(|owner| last(&known, Some(owner)));
        let indentation = before.map_or("", |before| indentation(&file[offset(file, range(file, before).start)..]));
        format!("{indentation}def {name}({own}{comma}{parameters}")
    }
}

/// Something that a model wrote, in the file's terms.
struct Piece<'w> {
    scope: String,
    /// With its scope.
    name: String,
    /// Without it.
    bare: &'w str,
    text: &'w str,
    /// Of what was written, counted from 0.
    lines: std::ops::Range<usize>,
}

/// What a request adds.
struct Added<'r> {
    /// The words for it, in lower case.
    object: Vec<String>,
    /// Those that say to what.
    place: Vec<&'r str>,
    named: Option<Named>,
}

/// What a request adds, where it orders functions to be added and nothing else.
fn added(request: &str) -> Option<Added<'_>> {
    let clauses = follow::clauses(request);
    let mut orders = clauses.iter().filter(|clause| clause.is_order());
    let (Some(Clause { verb, words }), None) = (orders.next(), orders.next()) else { return None };
    let position = |of: &[&str]| words.iter().position(|word| of.contains(&word.to_lowercase().as_str()));
    let end = position(BEHIND).unwrap_or(words.len());
    let purpose = position(PURPOSES).unwrap_or(words.len()).max(end);
    let object: Vec<String> = words[..end].iter().map(|word| word.to_lowercase()).collect();
    let place = &words[end..purpose];
    let has = |words: &[&str]| object.iter().any(|word| words.contains(&word.as_str()));
    if !ADDING.contains(&verb.as_str()) || !has(FUNCTIONS) || has(OTHERS) || place.contains(&"and") {
        return None;
    }
    let place = place.iter().flat_map(|word| word.split('#')).map(bare).collect();
    Some(Added { named: named(&words[..end], request), object, place })
}

/// What a request calls the function that it adds, where it is one: "a method total", "a `total` method".
fn named(object: &[&str], request: &str) -> Option<Named> {
    let at = object.iter().rposition(|word| FUNCTIONS.contains(&word.to_lowercase().as_str()))?;
    let is_marked = |name: &str| {
        name.contains('_') || request.contains(&format!("`{name}")) || request.contains(&format!("{name}("))
    };
    let behind = object.get(at + 1).filter(|word| !["called", "named"].contains(word)).or_else(|| object.get(at + 2));
    let before = at.checked_sub(1).and_then(|at| object.get(at)).filter(|word| is_marked(bare(word)));
    let name = behind.or(before)?.split('(').next().map(bare)?;
    let is_name = |name: &str| name.chars().all(|c| c.is_alphanumeric() || c == '_') && !name.is_empty();
    if !is_name(name) || object[at].ends_with('s') {
        return None;
    }
    let given = request.split_once(&format!("{name}(")).and_then(|(_, behind)| Some(behind.split_once(')')?.0));
    let parameters =
        given.filter(|given| given.split(',').all(|parameter| is_name(parameter.trim()))).unwrap_or_default();
    let is_plain = object.iter().all(|word| {
        let word = word.to_lowercase();
        [ARTICLES, FUNCTIONS, SIZES].iter().any(|words| words.contains(&word.as_str()))
            || bare(&word).starts_with(&name.to_lowercase())
            || parameters.contains(bare(&word))
            || ["called", "named"].contains(&word.as_str())
    });
    Some(Named { name: name.to_owned(), parameters: parameters.to_owned(), is_plain })
}

/// The last of what stands in a scope, functions before all else; at the top the last function or type, tests left aside.
fn last<'d>(known: &'d [Definition], scope: Option<&str>) -> Option<&'d Definition> {
    let within = |definition: &&Definition| {
        let is_inner = definition.parent.and_then(|at| known.get(at as usize)).is_some_and(is_function);
        let first = definition.scope.split('.').next().unwrap_or_default();
        !is_inner
            && match scope {
                Some(scope) => definition.scope == scope,
                None => {
                    (is_function(definition) || definition.kind.has_methods())
                        && ![first, &definition.name].iter().any(|name| TESTS.contains(name))
                }
            }
    };
    let latest = |definitions: &mut dyn Iterator<Item = &'d Definition>| definitions.max_by_key(|found| found.end);
    let mut functions = known.iter().filter(within).filter(|definition| is_function(definition));
    let found = if scope.is_some() { latest(&mut functions) } else { None };
    found.or_else(|| latest(&mut known.iter().filter(within)))
}

/// The imports that a file lacks of what was written beside the pieces; `None` where there is more beside them that matters.
fn rest<'w>(written: &'w str, pieces: &[Piece<'_>], file: &str) -> Option<Vec<&'w str>> {
    let end = pieces.iter().map(|piece| piece.lines.end).max()?;
    let stands = |line: &str| file.lines().any(|known| known.trim() == line);
    let mut imports = Vec::new();
    for (row, line) in written.lines().enumerate() {
        let trimmed = line.trim();
        let is_remark = ["#", "//", "/*", "*", "--", "\"\"\"", "'''"].iter().any(|mark| trimmed.starts_with(mark))
            && !trimmed.starts_with("#include");
        if trimmed.is_empty() || is_remark || stands(trimmed) || pieces.iter().any(|piece| piece.lines.contains(&row)) {
            continue;
        }
        match () {
            () if is_import(line) => imports.push(line),
            // How it is put to use is no part of the file.
            () if row >= end && !EXPORTS.iter().any(|mark| trimmed.starts_with(mark)) => {}
            () => return None,
        }
    }
    Some(imports)
}

/// Whether a line is an import that ends on it.
fn is_import(line: &str) -> bool {
    IMPORTS.iter().any(|mark| line.starts_with(mark)) && !line.trim_end().ends_with(['(', '{', ',', '\\'])
}

/// A text with one more import: behind the last in front of its first function, else in front of its code.
fn with_import(path: &RelPath, text: &str, line: &str) -> String {
    let first = definitions(path.as_str(), text)
        .iter()
        .find(|known| is_function(known) || known.kind.has_methods())
        .map(|known| range(text, known).start);
    let lines: Vec<&str> = text.lines().take(first.unwrap_or(usize::MAX)).collect();
    let is_begun = |line: &&str| IMPORTS.iter().any(|mark| line.starts_with(mark));
    let (row, gap) = match lines.iter().rposition(is_begun) {
        Some(row) if is_import(lines[row]) => (row + 1, ""),
        // One of several lines.
        Some(row) => (row + lines[row..].iter().position(|line| line.starts_with([')', '}'])).unwrap_or(0) + 1, ""),
        None => (preamble(&lines), "\n"),
    };
    let at = offset(text, row);
    [&text[..at], line, "\n", gap, &text[at..]].concat()
}

/// Lines at the beginning of a file behind which its code begins: remarks, documentation, its package.
fn preamble(lines: &[&str]) -> usize {
    let mut quote: Option<&str> = None;
    let stands = |line: &&&str| {
        let line = line.trim();
        if let Some(mark) = quote {
            quote = Some(mark).filter(|mark| !line.ends_with(*mark));
            return true;
        }
        let opened = ["\"\"\"", "'''"].into_iter().find(|mark| line.starts_with(mark));
        quote = opened.filter(|mark| line.len() < 6 || !line.ends_with(*mark));
        let remarks = ["#", "//", "/*", "*", "--", "package ", "<?php"].iter().any(|mark| line.starts_with(mark));
        opened.is_some() || remarks || line.is_empty()
    };
    lines.iter().take_while(stands).count()
}

impl Turn<'_> {
    /// What the request adds to a file, where that can be written alone.
    pub(super) fn addition(&self, path: &RelPath) -> Option<Addition> {
        let file = self.session.workspace.read(path).ok().filter(|_| self.session.profile.form == Form::Whole)?;
        Addition::of(path, &file.text, &self.asked)
    }

    /// What asks for it.
    pub(super) fn ask_to_add(&self, addition: &Addition) -> String {
        let fill = [("what", addition.described()), ("path", addition.path.to_string())];
        let fill: Vec<(&str, &str)> = fill.iter().map(|(name, value)| (*name, value.as_str())).collect();
        prompt::text(&self.session.workspace, "add-function", &fill)
    }
}

#[cfg(test)]
mod tests;
