//! Imports that something new needs: whether a file has them, and where they go.

use crate::code::{self, definitions};
use crate::session::part::{is_function, offset, range};
use crate::workspace::RelPath;

/// What lines that bring in other files begin with.
const IMPORTS: &[&str] = &["import ", "from ", "use ", "using ", "#include ", "require ", "require_relative "];
/// What such lines consist of beside names.
const WORDS: &[&str] =
    &["import", "from", "use", "using", "include", "require", "require_relative", "const", "let", "var", "as"];
/// Ends of lines that go on in the next.
const OPEN: [char; 4] = ['(', '{', ',', '\\'];

/// Whether a line is an import that ends on it.
pub(super) fn is_import(line: &str) -> bool {
    let begins = IMPORTS.iter().any(|mark| line.starts_with(mark));
    let requires = ["const ", "let ", "var "].iter().any(|mark| line.starts_with(mark)) && line.contains("= require(");
    (begins || requires) && !line.trim_end().ends_with(OPEN)
}

/// Whether a Python import brings nothing that a new function of the file needs: all of a module, or what the file itself has. What it
/// was for is found where the function is looked at.
pub(super) fn is_vain(path: &RelPath, line: &str) -> bool {
    let Some(own) = path.as_str().strip_suffix(".py") else { return false };
    let line = line.trim();
    let rest = line.strip_prefix("from ").or_else(|| line.strip_prefix("import ")).unwrap_or_default();
    let module = rest.split_whitespace().next().unwrap_or_default();
    let inner = module.trim_start_matches('.').replace('.', "/");
    // A bare name is a file's at the root, whatever lies deeper.
    let is_end = || (module.starts_with('.') || inner.contains('/')) && own.ends_with(&format!("/{inner}"));
    (!inner.is_empty() && (own == inner || is_end())) || line.ends_with("import *")
}

/// A text with one more import: behind the last in front of its first function, else in front of its code. `None` where it is not
/// plain whether that is right.
pub(super) fn with_import(path: &RelPath, text: &str, line: &str) -> Option<String> {
    let known = definitions(path.as_str(), text);
    let first = known.iter().find(|known| is_function(known) || known.kind.has_methods());
    let first = first.map_or(usize::MAX, |known| range(text, known).start);
    let lines: Vec<&str> = text.lines().take(first).collect();
    let begin = preamble(&lines);
    let is_begun = |line: &&str| is_import(line) || IMPORTS.iter().any(|mark| line.starts_with(mark));
    let last = lines[begin..].iter().rposition(is_begun).map(|row| begin + row);
    let has_conditions = lines.iter().any(|line| ["#if", "declare"].iter().any(|mark| line.starts_with(mark)));
    if has_conditions || line.contains("__future__") {
        return None;
    }
    let imported = lines[begin..last.map_or(begin, |row| block_end(&lines, row).unwrap_or(row) + 1)].join("\n");
    match overlap(path, &imported, line) {
        Overlap::All => return Some(text.to_owned()),
        Overlap::Some => return None,
        Overlap::None => {}
    }
    let (row, gap) = match last {
        Some(row) => (block_end(&lines, row)? + 1, ""),
        None => (begin, "\n"),
    };
    let at = offset(text, row);
    Some([&text[..at], line, "\n", gap, &text[at..]].concat())
}

/// How much of an import a file has already.
enum Overlap {
    None,
    Some,
    All,
}

/// In Python a name may be imported again; elsewhere that is an error.
fn overlap(path: &RelPath, imported: &str, line: &str) -> Overlap {
    if path.as_str().ends_with(".py") {
        return Overlap::None;
    }
    let words = |text| code::runs(text).filter(|word| !WORDS.contains(word)).collect::<Vec<_>>();
    let (known, own) = (words(imported), words(line));
    let names: Vec<&&str> = match line.split_once('{').and_then(|(_, rest)| rest.split_once('}')) {
        Some((names, _)) => own.iter().filter(|word| names.contains(**word)).collect(),
        None => own.last().into_iter().collect(),
    };
    let there = names.iter().filter(|name| known.contains(name)).count();
    match () {
        () if there == 0 => Overlap::None,
        () if there == names.len() && own.iter().all(|word| known.contains(word)) => Overlap::All,
        () => Overlap::Some,
    }
}

/// The last row of an import that begins in this one.
fn block_end(lines: &[&str], row: usize) -> Option<usize> {
    if is_import(lines[row]) {
        return Some(row);
    }
    lines[row..].iter().position(|line| line.starts_with([')', '}'])).map(|more| row + more)
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
        let opened =
            [("\"\"\"", "\"\"\""), ("'''", "'''"), ("/*", "*/")].into_iter().find(|(mark, _)| line.starts_with(mark));
        quote = opened.map(|(_, end)| end).filter(|end| line.len() < 2 * end.len() || !line.ends_with(end));
        let is_remark = ["//", "package ", "<?php"].iter().any(|mark| line.starts_with(mark)) || is_hash_remark(line);
        let is_namespace = line.starts_with("namespace ") && line.ends_with(';');
        opened.is_some() || is_remark || is_namespace || line.is_empty()
    };
    lines.iter().take_while(stands).count()
}

/// Whether a line is a remark behind a hash, and no directive or attribute.
pub(super) fn is_hash_remark(line: &str) -> bool {
    line.strip_prefix('#')
        .is_some_and(|rest| rest.is_empty() || rest.starts_with([' ', '#', '!']) && !rest.starts_with("!["))
}
