//! A function that a request adds: the model writes it alone, and it is put where it belongs. The rest of the file is not written
//! anew, so that nothing of it can be lost, and a function takes a fraction of the time of its file. What does not fit is refused
//! rather than made to fit: the file can still be written as a whole.

mod imports;
mod request;

use std::ops::Range;

use self::imports::{is_hash_remark, is_import, is_vain, with_import};
use self::request::{Added, Named, added};
use super::part::{indentation, indented, is_function, lines, offset, range, replaced};
use super::profile::Form;
use super::prompt;
use super::turn::Turn;
use crate::code::{self, Definition, definitions};
use crate::workspace::RelPath;

/// Texts in which code is but a part.
const PAGES: &[&str] = &["html", "markdown", "sql", "svelte", "vue"];
/// Languages in which methods do not stand alone.
const WRAPPED: &[&str] = &["csharp", "java", "javascript", "js", "jsx", "kotlin", "php", "ts", "tsx", "typescript"];
/// Lines that must name what other files may use, or what runs when the file does.
const MATTERING: &[&str] = &["export ", "module.exports", "exports.", "if __name__"];
/// Modules of tests, which stay the last.
const TESTS: &[&str] = &["test", "tests"];

/// A function that is to be added to a file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Addition {
    path: RelPath,
    /// The type whose method it becomes, with its scope.
    owner: Option<String>,
    named: Option<Named>,
}

impl Addition {
    /// What a request adds to a file with this text, where it orders one function to be added and nothing else; `None` too where it
    /// cannot be told to what, or where there is one of that name.
    fn of(path: &RelPath, text: &str, request: &str) -> Option<Self> {
        let Added { is_method, places, named } = added(request)?;
        if PAGES.contains(&prompt::language(path.as_str())) {
            return None;
        }
        let known = definitions(path.as_str(), text);
        let types: Vec<&Definition> = known.iter().filter(|definition| definition.kind.has_methods()).collect();
        let is_named =
            |known: &&&Definition| places.iter().any(|word| *word == known.name || *word == known.qualified());
        let owner = match types.iter().filter(is_named).collect::<Vec<_>>()[..] {
            [owner] => Some(*owner),
            [] if is_method => Some(types.first().copied().filter(|_| types.len() == 1)?),
            [] => None,
            _ => return None,
        };
        let addition = Self { path: path.clone(), owner: owner.map(Definition::qualified), named };
        let is_there = known.iter().any(|known| addition.is_called(&known.name) && known.scope == addition.scope());
        let at = addition.place(text, addition.scope());
        (!is_there && at.is_some()).then_some(addition)
    }

    /// The file's text with what a model wrote for it: what is new where it belongs, and imports behind the others. `None` where that
    /// is nothing, where there is more in it, or something else.
    pub fn merged(&self, file: &str, written: &str) -> Option<String> {
        let wrapped = self.wrapped(written);
        let written = wrapped.as_deref().unwrap_or(written);
        let (own, known) = (definitions(self.path.as_str(), written), definitions(self.path.as_str(), file));
        let pieces = self.pieces(written, &own, &known);
        let is_missing = self.named.is_some() && !pieces.iter().any(|piece| self.is_called(piece.bare));
        if is_missing || pieces.iter().any(|piece| piece.text.lines().any(code::stands_for_code)) {
            return None;
        }
        let mut text = file.to_owned();
        for piece in &pieces {
            let same: Vec<&Definition> = known.iter().filter(|known| known.qualified() == piece.name).collect();
            text = match same[..] {
                [] if self.is_along(piece, &known) => continue,
                [] => self.inserted(&text, piece)?,
                _ if same.iter().any(|known| is_alike(lines(file, &range(file, known)), piece.text)) => continue,
                // A try at it that is mended.
                [_] if self.is_called(piece.bare) => {
                    let now = definitions(self.path.as_str(), &text);
                    let tried = now.iter().find(|now| now.qualified() == piece.name)?;
                    replaced(&text, &range(&text, tried), piece.text)
                }
                _ => return None,
            };
        }
        let outside = if wrapped.is_some() { 1 } else { 0 };
        for line in rest(written, outside, &pieces, file)?.into_iter().filter(|line| !is_vain(&self.path, line)) {
            text = with_import(&self.path, &text, line)?;
        }
        (text != file).then_some(text)
    }

    /// What was written with a type around it, where it is a method that could not be read without.
    fn wrapped(&self, written: &str) -> Option<String> {
        let language = prompt::language(self.path.as_str());
        let is_alone = !definitions(self.path.as_str(), written).iter().any(is_function);
        let open = if language == "php" { "<?php class" } else { "class" };
        let owner = self.owner.as_deref().filter(|_| is_alone && WRAPPED.contains(&language))?;
        Some(format!("{open} {} {{\n{}\n}}\n", owner.rsplit('.').next().unwrap_or(owner), written.trim_end()))
    }

    /// The functions of what was written, and the types that the file lacks.
    fn pieces<'w>(&self, written: &'w str, own: &'w [Definition], known: &[Definition]) -> Vec<Piece<'w>> {
        let is_new = |definition: &Definition| {
            let scope = self.scope_in_file(definition);
            known.iter().all(|known| known.name != definition.name || known.scope != scope)
                && !self.is_owner(definition)
        };
        let counts =
            |definition: &&Definition| is_function(definition) || (definition.kind.has_methods() && is_new(definition));
        let is_alone = !own.iter().any(|definition| self.is_owner(definition) || self.is_in_owner(definition));
        let mut pieces: Vec<Piece<'w>> = Vec::new();
        for definition in own.iter().filter(counts) {
            let mut rows = range(written, definition);
            // What stands for what comes before it.
            rows.start += written.lines().skip(rows.start).take_while(|line| code::stands_for_code(line)).count();
            if pieces.iter().any(|outer| outer.lines.start <= rows.start && rows.end <= outer.lines.end) {
                continue;
            }
            // Written without what stands around it; what is called otherwise then is a helper.
            let is_method = is_alone
                && definition.scope.is_empty()
                && is_function(definition)
                && (self.named.is_none() || self.is_called(&definition.name));
            let scope = if is_method { self.scope().to_owned() } else { self.scope_in_file(definition) };
            let name = if scope.is_empty() { definition.name.clone() } else { format!("{scope}.{}", definition.name) };
            pieces.push(Piece { scope, name, bare: &definition.name, text: lines(written, &rows), lines: rows });
        }
        pieces
    }

    /// A function of the file that was written along, as a method.
    fn is_along(&self, piece: &Piece<'_>, known: &[Definition]) -> bool {
        let is_there = |known: &Definition| known.scope.is_empty() && known.name == piece.bare;
        !self.is_called(piece.bare) && !piece.scope.is_empty() && known.iter().any(is_there)
    }

    /// A text of the file with something new in it.
    fn inserted(&self, text: &str, piece: &Piece<'_>) -> Option<String> {
        let Place { at, indentation } = self.place(text, &piece.scope)?;
        let (head, tail) = text.split_at(at);
        let is_wide = piece.scope.is_empty() && prompt::language(self.path.as_str()) == "python";
        let gap = "\n".repeat(if is_wide { 2 } else { 1 });
        let new = indented(piece.text.trim_matches('\n'), indentation);
        let newline = if head.is_empty() || head.ends_with('\n') { "" } else { "\n" };
        let next = tail.lines().next().unwrap_or_default().trim();
        let behind = if next.is_empty() || is_closing(next) { "" } else { gap.as_str() };
        Some([head, newline, &gap, &new, "\n", behind, tail].concat())
    }

    /// Where something new goes in a scope, which is empty at the top: behind the last function there, at the top behind the last
    /// type as well. `None` where that is not plain.
    fn place<'t>(&self, text: &'t str, scope: &str) -> Option<Place<'t>> {
        let known = definitions(self.path.as_str(), text);
        let last = last(&known, text, scope)?;
        let lines_of = range(text, last);
        let mut at = offset(text, lines_of.end);
        let own = indentation(lines(text, &lines_of));
        if scope.is_empty() {
            // What encloses the last one ends first.
            let closes = |line: &&str| !line.trim().is_empty() && line.trim().chars().all(|c| "})];,".contains(c));
            at += text[at..].split_inclusive('\n').take_while(closes).map(str::len).sum::<usize>();
            let next = text[at..].lines().find(|line| !line.trim().is_empty()).unwrap_or_default();
            let is_top = !next.starts_with([' ', '\t']) && !is_closing(next);
            return is_top.then_some(Place { at, indentation: "" });
        }
        let begin =
            known.iter().find(|known| known.qualified() == scope).map_or(usize::MAX, |owner| range(text, owner).start);
        let before = || text.lines().take(lines_of.start).skip(begin.min(lines_of.start)).map(str::trim);
        let is_hidden = before().any(|line| ["private", "protected", "private:", "protected:"].contains(&line));
        // Fields alone, which need not stand where functions do, or one line with what encloses it.
        let is_apart = is_function(last) || prompt::language(self.path.as_str()) == "python";
        let is_tight =
            lines_of.start == begin || text.lines().nth(lines_of.start).is_some_and(|line| line.starts_with("impl"));
        (is_apart && !is_hidden && !is_tight).then_some(Place { at, indentation: own })
    }

    fn is_called(&self, name: &str) -> bool {
        self.named.as_ref().is_some_and(|named| named.name == name)
    }

    fn scope(&self) -> &str {
        self.owner.as_deref().unwrap_or_default()
    }

    /// Whether a definition of what was written is the owner, which may be written without its own scope.
    fn is_owner(&self, definition: &Definition) -> bool {
        self.owner.as_deref().is_some_and(|owner| is_suffix(owner, &definition.qualified())) && !is_function(definition)
    }

    fn is_in_owner(&self, definition: &Definition) -> bool {
        self.owner.as_deref().is_some_and(|owner| is_suffix(owner, &definition.scope))
    }

    /// The scope of what was written, in the file's terms.
    fn scope_in_file(&self, definition: &Definition) -> String {
        if self.is_in_owner(definition) { self.scope().to_owned() } else { definition.scope.clone() }
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
        let indentation = self.place(file, self.scope()).map_or("", |place| place.indentation);
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
    lines: Range<usize>,
}

/// Where something goes: a byte of the text, and what its lines begin with.
struct Place<'t> {
    at: usize,
    indentation: &'t str,
}

/// The last function of a scope, else the last of anything in it; at the top the last function or type, tests left aside.
fn last<'d>(known: &'d [Definition], text: &str, scope: &str) -> Option<&'d Definition> {
    let is_inner =
        |definition: &Definition| definition.parent.and_then(|at| known.get(at as usize)).is_some_and(is_function);
    let within = |definition: &&Definition| {
        let first = definition.scope.split('.').next().unwrap_or_default();
        let is_of_tests = [first, &definition.name].iter().any(|name| TESTS.contains(name));
        !is_inner(definition)
            && match scope {
                "" => (is_function(definition) || definition.kind.has_methods()) && !is_of_tests,
                scope => definition.scope == scope && !is_of_a_trait(text, definition),
            }
    };
    let functions = known.iter().filter(within).filter(|definition| !scope.is_empty() && is_function(definition));
    functions.max_by_key(|found| found.end).or_else(|| known.iter().filter(within).max_by_key(|found| found.end))
}

/// Whether a function stands in an implementation of a trait, which has a place for no other.
fn is_of_a_trait(text: &str, definition: &Definition) -> bool {
    let before: Vec<&str> = text.lines().take(range(text, definition).start).collect();
    let outer = before.iter().rev().find(|line| !line.trim().is_empty() && !line.starts_with([' ', '\t', '}', ')']));
    outer.is_some_and(|line| line.starts_with("impl") && line.contains(" for "))
}

/// The imports that were written beside the pieces; `None` where there is more beside them that matters. The first and the last
/// `outside` lines are not the model's.
fn rest<'w>(written: &'w str, outside: usize, pieces: &[Piece<'_>], file: &str) -> Option<Vec<&'w str>> {
    let end = pieces.iter().map(|piece| piece.lines.end).max()?;
    let count = written.lines().count();
    let stands = |line: &str| file.lines().any(|known| known.trim() == line);
    let is_used = |line: &str| {
        let name =
            line.split(|c: char| !c.is_alphanumeric() && c != '_').find(|word| !["const", "let", "var"].contains(word));
        line.contains('=')
            && name.is_some_and(|name| {
                !name.is_empty() && pieces.iter().any(|piece| code::runs(piece.text).any(|word| word == name))
            })
    };
    let mut imports = Vec::new();
    for (row, line) in written.lines().enumerate().take(count - outside.min(count)).skip(outside) {
        let trimmed = line.trim();
        let is_remark = ["//", "/*", "*", "--", "\"\"\"", "'''"].iter().any(|mark| trimmed.starts_with(mark))
            || is_hash_remark(trimmed);
        if trimmed.is_empty() || is_remark || stands(trimmed) || pieces.iter().any(|piece| piece.lines.contains(&row)) {
            continue;
        }
        match () {
            () if is_import(line) => imports.push(line),
            // How it is put to use is no part of the file.
            () if row >= end && !is_used(trimmed) && !MATTERING.iter().any(|mark| trimmed.starts_with(mark)) => {}
            () => return None,
        }
    }
    Some(imports)
}

/// Whether a line ends what was begun before it.
fn is_closing(line: &str) -> bool {
    let line = line.trim();
    line.starts_with(['}', ')', ']']) || line == "end"
}

/// Whether two texts are the same but for their indentation.
fn is_alike(a: &str, b: &str) -> bool {
    let words = |text: &str| {
        text.lines().map(|line| line.trim().to_owned()).filter(|line| !line.is_empty()).collect::<Vec<_>>()
    };
    words(a) == words(b)
}

/// Whether a qualified name is another, or the end of it.
fn is_suffix(whole: &str, end: &str) -> bool {
    whole == end || (!end.is_empty() && whole.strip_suffix(end).is_some_and(|rest| rest.ends_with('.')))
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
