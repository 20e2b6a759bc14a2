//! The index of a folder: what each file defines, names and says, kept up to date while files change.

use std::path::{Path, PathBuf};
use std::sync::mpsc;

use rayon::prelude::*;
use rustc_hash::FxHashSet;
use serde::Serialize;

use super::definition::Definition;
use super::entry::{Entry, Outline};
use super::extract::extract;
use super::history::History;
use super::resolve::{Meaning, Place, Resolver};
use super::source::{self, Class, Stamp};
use super::store::{BATCH, Content, Files, Store};
use super::words::{Words, name_term};

/// Files that one thread reads in a row, where there are many.
const RUN: usize = 64;

/// A folder's index. Paths are relative to the folder, with `/`.
pub struct Index {
    root: PathBuf,
    store: Option<Store>,
    pub(super) files: Files,
    history: History,
}

/// A file and its entry; `None` for one that is gone, or was not known.
type Change = (String, Option<Entry>);

/// What a refresh found.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Refreshed {
    /// Files that were new or had changed.
    pub read: usize,
    /// Files that are gone.
    pub removed: usize,
}

/// A definition and the file that it stands in.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Symbol {
    pub file: String,
    #[serde(flatten)]
    pub definition: Definition,
}

/// A line where a name is used.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Reference {
    pub file: String,
    /// Counts from 1.
    pub line: u32,
    /// The definition that the line stands in, with its scope.
    pub within: Option<String>,
    pub confidence: Confidence,
    /// What it means where that is certain: a definition with its scope, behind its file.
    pub definition: Option<String>,
}

/// How sure it is that a use of a name means a definition.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Confidence {
    /// The name is the same, and several things have it.
    Name,
    /// Only one thing in the folder has the name.
    Unique,
    /// The file defines the name itself, or imports it by name or from a file that does.
    Scope,
    /// By the scopes of the language and by imports it means this definition.
    Certain,
}

impl Index {
    /// The index of `root` as it was stored in the file `store`; empty where there is none. Nothing is read of the folder
    /// until [`Self::refresh`].
    pub fn open(root: &Path, store: Option<PathBuf>) -> Self {
        let mut store = store.map(Store::new);
        let Content { files, history, .. } = store.as_mut().map(Store::load).unwrap_or_default();
        Self { root: root.to_owned(), store, files, history }
    }

    /// Brings it up to date: `paths` are the files that there are. Only those that changed are read.
    pub fn refresh(&mut self, paths: &[impl AsRef<str> + Sync]) -> Refreshed {
        let present: FxHashSet<&str> = paths.iter().map(AsRef::as_ref).collect();
        let gone: Vec<String> = self.files.keys().filter(|path| !present.contains(path.as_str())).cloned().collect();
        let Refreshed { removed, .. } = self.take(gone.into_iter().map(|path| (path, None)).collect());
        let looked = self.look_at(paths);
        Refreshed { removed: looked.removed + removed, ..looked }
    }

    /// Brings it up to date where nothing but these files can have changed; some may be gone.
    pub fn look_at(&mut self, paths: &[impl AsRef<str> + Sync]) -> Refreshed {
        if self.history.head != History::head(&self.root) {
            self.history = History::read(&self.root);
            self.store(&[], true);
        }
        let stale: Vec<Change> = paths.par_iter().filter_map(|path| self.stale(path.as_ref())).collect();
        let mut refreshed = Refreshed::default();
        if stale.is_empty() {
            return refreshed;
        }
        let root = self.root.clone();
        // In runs, since what a thread learns of words is forgotten between them, but some for each thread.
        let run = (stale.len() / (4 * rayon::current_num_threads())).clamp(1, RUN);
        // What was read is stored while more is read.
        let (sender, found) = mpsc::channel();
        std::thread::scope(|scope| {
            scope.spawn(move || {
                let look = |words: &mut Words, (path, known): Change| {
                    look(&root.join(&path), &path, known.as_ref(), words).map(|entry| (path, entry))
                };
                let changes = stale.into_par_iter().with_min_len(run).map_init(Words::default, look).flatten_iter();
                // Somebody listens to the end.
                changes.for_each(|change| drop(sender.send(change)));
            });
            loop {
                let changes: Vec<Change> = found.iter().take(BATCH).collect();
                if changes.is_empty() {
                    break;
                }
                let Refreshed { read, removed } = self.take(changes);
                refreshed.read += read;
                refreshed.removed += removed;
            }
        });
        refreshed
    }

    /// A file that may have changed, with what is known of it.
    fn stale(&self, path: &str) -> Option<Change> {
        let known = self.files.get(path);
        let is_same =
            |entry: &Entry| entry.stamp.modified != 0 && Stamp::at(&self.root.join(path)) == Some(entry.stamp);
        (!known.is_some_and(is_same)).then(|| (path.to_owned(), known.cloned()))
    }

    /// Takes in and stores what has changed.
    fn take(&mut self, changes: Vec<Change>) -> Refreshed {
        let mut refreshed = Refreshed::default();
        let mut changed = Vec::new();
        for (path, entry) in changes {
            let counter = if entry.is_some() { &mut refreshed.read } else { &mut refreshed.removed };
            let known = match entry {
                Some(entry) => {
                    self.files.insert(path.clone(), entry);
                    true
                }
                None => self.files.remove(&path).is_some(),
            };
            *counter += usize::from(known);
            changed.extend(Some(path).filter(|_| known));
        }
        if !changed.is_empty() {
            self.store(&changed, false);
        }
        refreshed
    }

    /// Stores these files as they are now, and the history where it moved.
    fn store(&mut self, changed: &[String], moved: bool) {
        if let Some(store) = &mut self.store {
            let stored = store.save(&self.files, changed, &self.history, moved);
            self.files.extend(stored);
        }
    }

    /// What the repository's history says, where there is one.
    pub(super) fn history(&self) -> Option<&History> {
        Some(&self.history).filter(|history| !history.is_empty())
    }

    /// Takes the text of one file as it will be, before it is on disk.
    pub fn update(&mut self, path: &str, text: &str) {
        let class = source::classify(Path::new(path), text.as_bytes());
        let entry = make(path, Stamp::default(), class, text, &mut Words::default());
        self.files.insert(path.to_owned(), entry);
    }

    /// The folder.
    pub fn root(&self) -> &Path {
        &self.root
    }

    /// How many files it knows.
    pub fn len(&self) -> usize {
        self.files.len()
    }

    /// Whether it has this file.
    pub fn knows(&self, path: &str) -> bool {
        self.files.contains_key(path)
    }

    pub fn is_empty(&self) -> bool {
        self.files.is_empty()
    }

    /// The definitions of a file, in its order; `None` where the index does not know the file.
    pub fn outline(&self, path: &str) -> Option<Vec<Definition>> {
        self.files.get(path).map(|entry| entry.definitions())
    }

    /// Every definition as `file#name`, the name with its scope, in the order of the files; at most `most`.
    pub fn places(&self, most: usize) -> Vec<String> {
        let place = |(file, entry): (&String, &Entry)| {
            let definitions = entry.definitions().into_iter();
            let named = definitions.map(|definition| definition.qualified());
            // A heading is no word that could be completed.
            let words = named.filter(|name| !name.contains(char::is_whitespace));
            words.map(|name| format!("{file}#{name}")).collect::<Vec<_>>()
        };
        self.files.iter().flat_map(place).take(most).collect()
    }

    /// The definition that a line of a file stands in, with its scope.
    pub fn enclosing(&self, path: &str, line: u32) -> Option<String> {
        self.files.get(path)?.outline().enclosing(line).map(Definition::qualified)
    }

    /// What has this name: `name`, or with as much of its scope as is known (`Context.Copy`, `Context::Copy`). In the order of
    /// the files.
    pub fn definitions(&self, name: &str) -> Vec<Symbol> {
        let wanted = name.replace("::", ".");
        let last = wanted.rsplit('.').next().unwrap_or_default();
        let term = name_term(last);
        let suffix = format!(".{wanted}");
        let fits = |definition: &Definition| {
            definition.name == last && (wanted == last || format!(".{}", definition.qualified()).ends_with(&suffix))
        };
        let files = self.files.iter().filter(|(_, entry)| entry.defines(term));
        files
            .flat_map(|(file, entry)| {
                let definitions = entry.definitions().into_iter().filter(fits);
                definitions.map(|definition| Symbol { file: file.clone(), definition }).collect::<Vec<_>>()
            })
            .collect()
    }

    /// Where a name is used, the surest first, then in the order of the files. What certainly means something else that has the
    /// same name is left out.
    pub fn references(&self, name: &str) -> Vec<Reference> {
        let last = name.rsplit(['.', ':']).next().unwrap_or_default();
        let term = name_term(last);
        let wanted = self.definitions(name);
        let definers: Vec<&String> =
            self.files.iter().filter(|(_, entry)| entry.defines(term)).map(|(file, _)| file).collect();
        let mut resolver = Resolver::new(self);
        let mut found = Vec::new();
        for (file, entry) in self.files.iter().filter(|(_, entry)| entry.uses(term)) {
            let outline = entry.outline();
            let doubtful = match () {
                () if entry.defines(term) || imports(&outline, last, &definers) => Confidence::Scope,
                () if definers.len() == 1 => Confidence::Unique,
                () => Confidence::Name,
            };
            let uses = if wanted.is_empty() { None } else { resolver.uses(file, last) };
            for &line in outline.uses(term) {
                let here: Vec<&Meaning> =
                    uses.iter().flatten().filter(|(at, _)| *at == line).map(|(_, meaning)| meaning).collect();
                let certain = here.iter().find_map(|meaning| match meaning {
                    Meaning::Certain(Place { file, line, .. }) => {
                        wanted.iter().find(|symbol| symbol.file == *file && symbol.definition.line == *line)
                    }
                    Meaning::Other | Meaning::Open => None,
                });
                let (confidence, definition) = match certain {
                    Some(Symbol { file, definition }) => {
                        (Confidence::Certain, Some(format!("{file}#{}", definition.qualified())))
                    }
                    None if here.is_empty() || here.contains(&&Meaning::Open) => (doubtful, None),
                    // All on this line certainly mean something else.
                    None => continue,
                };
                let within = outline.enclosing(line).map(Definition::qualified);
                found.push(Reference { file: file.clone(), line, within, confidence, definition });
            }
        }
        found.sort_by_key(|reference| std::cmp::Reverse(reference.confidence));
        found
    }
}

/// Whether a file's imports name `name`, or one of the files that define it.
fn imports(outline: &Outline, name: &str, definers: &[&String]) -> bool {
    let stems: Vec<&str> = definers.iter().map(|file| stem(file)).collect();
    outline.imports.iter().any(|import| {
        let parts = || import.split(|c: char| !c.is_alphanumeric() && c != '_');
        parts().any(|part| part == name || stems.contains(&part))
    })
}

/// A file's name without its extension; for one that stands for its folder (`mod.rs`, `__init__.py`), the folder's.
pub(super) fn stem(path: &str) -> &str {
    let mut parts = path.rsplit('/');
    let name = parts.next().unwrap_or(path);
    let stem = name.split_once('.').map_or(name, |(stem, _)| if stem.is_empty() { name } else { stem });
    let for_folder = |part: &str| matches!(part, "mod" | "lib" | "main" | "index" | "__init__" | "src");
    std::iter::once(stem).chain(parts).find(|part| !for_folder(part)).unwrap_or(stem)
}

/// What is new about a file that may have changed: nothing (`None`), its entry, or that it is gone (`Some(None)`).
fn look(absolute: &Path, path: &str, known: Option<&Entry>, words: &mut Words) -> Option<Option<Entry>> {
    let Some(source) = source::read(absolute) else { return Some(None) };
    let hash = hash(&source.text);
    match known {
        Some(known) if known.hash == hash && known.stamp.size == source.stamp.size => {
            (known.stamp != source.stamp).then(|| Some(known.with_stamp(source.stamp)))
        }
        _ => Some(Some(make(path, source.stamp, source.class, &source.text, words))),
    }
}

fn make(path: &str, stamp: Stamp, class: Class, text: &str, words: &mut Words) -> Entry {
    let text = if class == Class::Opaque { "" } else { text };
    Entry::new(stamp, hash(text), class, extract(path, text, words))
}

fn hash(text: &str) -> u64 {
    xxhash_rust::xxh3::xxh3_64(text.as_bytes())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn index(files: &[(&str, &str)]) -> Index {
        let mut index = Index::open(Path::new("/nowhere"), None);
        for (path, text) in files {
            index.update(path, text);
        }
        index
    }

    #[test]
    fn definitions_are_found_by_name_and_scope() {
        let index =
            index(&[("a.rs", "struct A;\nimpl A { fn new() {} }\n"), ("b.rs", "struct B;\nimpl B { fn new() {} }\n")]);
        let found =
            |name: &str| index.definitions(name).into_iter().map(|s| s.definition.qualified()).collect::<Vec<_>>();
        assert_eq!(found("new"), ["A.new", "B.new"]);
        assert_eq!(found("B::new"), ["B.new"]);
        assert_eq!(found("C.new"), [""; 0]);
        assert_eq!(index.enclosing("a.rs", 2).as_deref(), Some("A.new"));
    }

    #[test]
    fn uses_come_with_their_place_and_how_sure_they_are() {
        let index = index(&[
            ("a.py", "def load(): pass\n"),
            ("b.py", "from a import load\n\ndef main():\n    load()\n"),
            ("c.py", "x.load()\n"),
            ("d.py", "def load(): pass\n"),
        ]);
        let found: Vec<(String, u32, Option<String>, Confidence)> =
            index.references("load").into_iter().map(|r| (r.file, r.line, r.within, r.confidence)).collect();
        let is = |file: &str, line, within: Option<&str>, confidence| {
            (file.to_owned(), line, within.map(str::to_owned), confidence)
        };
        assert_eq!(
            found,
            [
                is("b.py", 1, None, Confidence::Scope),
                is("b.py", 4, Some("main"), Confidence::Scope),
                is("c.py", 1, None, Confidence::Name),
            ]
        );
    }

    #[test]
    fn a_files_name_may_be_that_of_its_folder() {
        for (path, name) in [
            ("src/code/mod.rs", "code"),
            ("crates/parser/src/lib.rs", "parser"),
            ("a/__init__.py", "a"),
            ("a/b.test.ts", "b"),
            ("main.rs", "main"),
            (".github", ".github"),
        ] {
            assert_eq!(stem(path), name, "{path}");
        }
    }
}
