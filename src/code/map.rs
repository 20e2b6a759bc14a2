//! Signatures without bodies: of a file, of a folder, of what a name may mean.

use rayon::prelude::*;

use super::definition::{Definition, Glimpse, Kind};
use super::index::{Index, Symbol};
use super::words;

impl Index {
    /// The files below `folder` (`""` for all) with their definitions, a line each, within `budget` tokens. The files that
    /// others depend on most come in first; the order is that of the paths.
    pub fn map(&self, folder: &str, budget: usize, count: &dyn Fn(&str) -> usize) -> String {
        let prefix = format!("{}/", folder.trim_end_matches('/'));
        let inside = |path: &str| folder.is_empty() || path == folder || path.starts_with(&prefix);
        let mut left = budget;
        let mut shown: Vec<(String, String)> = Vec::new();
        // A single file has no rival, and ranking looks at all of them.
        let paths = if self.knows(folder) { vec![folder] } else { self.central() };
        for path in paths.into_iter().filter(|path| inside(path)) {
            let definitions = self.outline(path).unwrap_or_default();
            if definitions.is_empty() {
                continue;
            }
            let whole = file_map(path, &definitions, usize::MAX);
            let top = file_map(path, &definitions, 0);
            let Some((text, cost)) = [whole, top]
                .map(|text| (count(&text), text))
                .into_iter()
                .find_map(|(cost, text)| (cost <= left).then_some((text, cost)))
            else {
                continue;
            };
            left -= cost;
            shown.push((path.to_owned(), text));
        }
        shown.sort();
        while count(&text_of(&shown)) > budget {
            shown.pop();
        }
        text_of(&shown)
    }

    /// Definitions whose names are like `query`, the most alike first, at most `limit`.
    pub fn symbols(&self, query: &str, limit: usize) -> Vec<Symbol> {
        let sought = Sought::new(query.trim());
        let files = self.files.par_iter().flat_map_iter(|(file, entry)| {
            entry.glimpses().into_iter().filter_map(|glimpse| {
                let unlike = sought.unlikeness(&glimpse)?;
                Some((unlike, Symbol { file: file.clone(), definition: glimpse.into() }))
            })
        });
        let mut found: Vec<(usize, Symbol)> = files.collect();
        found.sort_by(|(a, x), (b, y)| {
            a.cmp(b)
                .then(x.definition.name.len().cmp(&y.definition.name.len()))
                .then(x.file.cmp(&y.file))
                .then(x.definition.line.cmp(&y.definition.line))
        });
        found.truncate(limit);
        found.into_iter().map(|(_, symbol)| symbol).collect()
    }

    /// What a definition uses of the folder's own, in the order of the names; common names are left out.
    pub fn callees(&self, symbol: &Symbol) -> Vec<Symbol> {
        /// A name that more things share says nothing of any of them.
        const FEW: usize = 3;
        let Some(entry) = self.files.get(&symbol.file) else { return Vec::new() };
        let Definition { start, end, .. } = symbol.definition;
        let outline = entry.outline();
        let within = |lines: &[u32]| lines.iter().any(|line| (start..=end).contains(line));
        let used = outline.references.iter().filter(|(_, lines)| within(lines)).map(|(term, _)| *term);
        let mut found = Vec::new();
        for term in used {
            let files: Vec<_> = self.files.iter().filter(|(_, entry)| entry.defines(term)).take(FEW + 1).collect();
            if files.len() > FEW {
                continue;
            }
            for (file, entry) in files {
                let definitions = entry.definitions().into_iter().filter(|d| words::name_term(&d.name) == term);
                found.extend(definitions.map(|definition| Symbol { file: file.clone(), definition }));
            }
        }
        found.retain(|callee| callee != symbol);
        found.sort_by(|a, b| a.definition.name.cmp(&b.definition.name).then(a.file.cmp(&b.file)));
        found
    }
}

/// A file's definitions, indented by what they stand in, up to a depth.
fn file_map(path: &str, definitions: &[Definition], depth: usize) -> String {
    let mut text = format!("{path}\n");
    for definition in definitions {
        let level = level(definition, definitions);
        if level <= depth {
            text.push_str(&line(definition, level));
        }
    }
    text
}

/// How many definitions a definition stands in.
fn level(definition: &Definition, all: &[Definition]) -> usize {
    let parent = |d: &Definition| d.parent.and_then(|parent| all.get(usize::try_from(parent).ok()?));
    std::iter::successors(parent(definition), |d| parent(d)).count()
}

/// One definition on one line: where it is and what it looks like.
fn line(definition: &Definition, level: usize) -> String {
    let indent = "  ".repeat(level);
    format!("{}-{}| {indent}{}\n", definition.line, definition.end, definition.signature)
}

/// A file's definitions, one a line.
pub fn outline_text(definitions: &[Definition]) -> String {
    definitions.iter().map(|definition| line(definition, level(definition, definitions))).collect()
}

fn text_of(files: &[(String, String)]) -> String {
    files.iter().map(|(_, text)| text.as_str()).collect()
}

/// A name, or what is known of it.
struct Sought<'q> {
    query: &'q str,
    dotted: String,
    lower: String,
    words: Vec<String>,
}

impl<'q> Sought<'q> {
    fn new(query: &'q str) -> Self {
        let words = words::runs(query).flat_map(words::split).map(str::to_lowercase).collect();
        Self { query, dotted: query.replace("::", "."), lower: query.to_lowercase(), words }
    }

    /// How far a definition's name is from it; `None` for not alike.
    fn unlikeness(&self, definition: &Glimpse<'_>) -> Option<usize> {
        let name = definition.name;
        let own = name.to_lowercase();
        let section = usize::from(matches!(definition.kind, Kind::Section | Kind::Selector));
        let all_words = || {
            // Most names are told by a look at their letters.
            if self.words.is_empty() || !self.words.iter().all(|word| own.contains(word)) {
                return false;
            }
            let parts: Vec<String> = words::split(name).map(str::to_lowercase).collect();
            self.words.iter().all(|word| parts.iter().any(|part| part.starts_with(word)))
        };
        let distance = match () {
            () if self.query.is_empty() => return None,
            () if name == self.query || definition.is_called(&self.dotted) => 0,
            () if own == self.lower => 1,
            () if own.starts_with(&self.lower) => 2,
            () if own.contains(&self.lower) => 3,
            () if all_words() => 4,
            () => return None,
        };
        Some(distance * 2 + section)
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;

    fn index() -> Index {
        let mut index = Index::open(Path::new("/nowhere"), None);
        index.update("a.py", "class Store:\n    def load_file(self, path):\n        return read(path)\n");
        index.update("b.py", "def read(path): pass\n\ndef reader(): pass\n");
        index.update("notes.txt", "nothing\n");
        index
    }

    #[test]
    fn signatures_are_listed_by_file_within_the_budget() {
        let (all, tight) = (index().map("", 1000, &str::len), index().map("", 70, &str::len));
        assert_eq!(
            all,
            "a.py\n1-3| class Store\n2-3|   def load_file(self, path)\nb.py\n1-1| def read(path)\n3-3| def reader()\n"
        );
        assert_eq!(index().map("b.py", 1000, &str::len), "b.py\n1-1| def read(path)\n3-3| def reader()\n");
        assert!(tight.len() <= 70 && tight.contains("def read(path)"), "{tight}");
    }

    #[test]
    fn names_are_found_by_what_is_known_of_them() {
        let found = |query: &str| index().symbols(query, 9).into_iter().map(|s| s.definition.name).collect::<Vec<_>>();
        assert_eq!(found("read"), ["read", "reader"]);
        assert_eq!(found("file load"), ["load_file"]);
        assert_eq!(found("STORE"), ["Store"]);
        assert_eq!(found("zebra"), [""; 0]);
        assert_eq!(found(""), [""; 0]);
    }

    #[test]
    fn callees_are_the_folders_own() {
        let load = index().definitions("load_file").remove(0);
        let callees: Vec<String> = index().callees(&load).into_iter().map(|s| s.definition.name).collect();
        assert_eq!(callees, ["read"]);
    }
}
