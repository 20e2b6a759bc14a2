//! What a file defines, names, imports and says.

mod leaves;

use std::collections::BTreeMap;
use std::collections::hash_map::Entry;
use std::ops;
use std::path::Path;

use rustc_hash::{FxHashMap, FxHashSet};
use tree_sitter::{Node, Query, QueryCursor, QueryMatch, Range, StreamingIterator, Tree};

use self::leaves::Leaves;
use super::definition::{Definition, Kind};
use super::language::Form;
use super::skim::{self, Skimmed, skim};
use super::words::{Term, Words, name_term};
use super::{Language, macros, syntax};

/// Characters of a signature or a doc line that are kept.
const LONGEST: usize = 160;

/// Parts of a page in other languages that are read; more of them are no program that somebody wrote.
const EMBEDDED: usize = 100;

/// Where the words of a file stand.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Field {
    Path,
    /// Names that it defines.
    Defined,
    /// Names that it uses.
    Used,
    /// Comments, and all of a file that is no code.
    Prose,
    Literal,
}

/// Their number.
pub(super) const FIELDS: usize = 5;

/// Everything that the index keeps of a file.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Facts {
    /// In the order of the text.
    pub definitions: Vec<Definition>,
    /// Lines of the uses of names, sorted by term.
    pub references: Vec<(Term, Vec<u32>)>,
    pub imports: Vec<String>,
    /// How often each word stands in each field; saturates.
    pub bag: FxHashMap<Term, [u8; FIELDS]>,
    pub lines: u32,
}

impl Facts {
    /// Adds the uses of another part of the text.
    fn add_references(&mut self, references: Vec<(Term, Vec<u32>)>) {
        for (term, lines) in references {
            match self.references.binary_search_by_key(&term, |(term, _)| *term) {
                Ok(at) => {
                    let known = &mut self.references[at].1;
                    known.extend(lines);
                    known.sort_unstable();
                    known.dedup();
                }
                Err(at) => self.references.insert(at, (term, lines)),
            }
        }
    }

    /// Adds the definitions of another part of the text, which name their parents by their places among themselves.
    fn add_definitions(&mut self, definitions: Vec<Definition>) {
        let before = u32::try_from(self.definitions.len()).unwrap_or(u32::MAX);
        let placed = definitions.into_iter().map(|definition| Definition {
            parent: definition.parent.map(|parent| parent.saturating_add(before)),
            ..definition
        });
        self.definitions.extend(placed);
    }

    fn count(&mut self, words: &mut Words, field: Field, text: &str) {
        words.terms(text, &mut |term| {
            let count = &mut self.bag.entry(term).or_default()[field as usize];
            *count = count.saturating_add(1);
        });
    }
}

/// Reads a file's text. What is no program, or takes too long to parse, is prose.
pub(super) fn extract(path: &str, text: &str, words: &mut Words) -> Facts {
    extract_by(skim, path, text, words)
}

/// The same, where only what `skim` leaves is parsed.
fn extract_by(skim: impl Fn(&Language, &str) -> Skimmed, path: &str, text: &str, words: &mut Words) -> Facts {
    let mut facts = Facts { lines: u32::try_from(text.lines().count()).unwrap_or(u32::MAX), ..Facts::default() };
    facts.count(words, Field::Path, path);
    let language = Language::of_text(Path::new(path), text);
    let macros = language.map(|language| language.macros(text)).unwrap_or_default();
    let parse = |language| {
        let text = macros::without(text, &macros);
        let skimmed = skim(language, &text);
        Some((language, syntax::parse_parts(language, &text, &skimmed.rest)?, skimmed.leaves))
    };
    match language.and_then(parse) {
        Some((language, tree, skimmed)) => {
            read_tree(language, &tree, text, &skimmed, words, &mut facts);
            read_macros(text, &macros, words, &mut facts);
        }
        None => facts.count(words, Field::Prose, text),
    }
    facts
}

/// Takes in the names in macros that no tree shows.
fn read_macros(text: &str, places: &[ops::Range<usize>], words: &mut Words, facts: &mut Facts) {
    for (row, found) in macros::uses(text, places) {
        for name in super::words::runs(found).filter(|name| !name.starts_with(|c: char| c.is_ascii_digit())) {
            facts.count(words, Field::Used, name);
            facts.add_references(vec![(name_term(name), vec![number(row)])]);
        }
    }
}

/// Takes in a tree, and what was `skimmed` of the text because the tree does not have it.
fn read_tree(
    language: &Language,
    tree: &Tree,
    text: &str,
    skimmed: &[skim::Leaf],
    words: &mut Words,
    facts: &mut Facts,
) {
    let mut finder = Finder::new(language.query(), text);
    let leaves = match language.form {
        // Sentences more than anything else, and their leaves are not words.
        Form::Loose | Form::Page => {
            finder.look_through(tree.root_node());
            facts.count(words, Field::Prose, text);
            Leaves::default()
        }
        Form::Program | Form::Data => {
            let mut leaves = Leaves::default();
            for skim::Leaf { kind, range, row } in skimmed {
                leaves.take(*kind, &text[range.clone()], *row, words, facts);
            }
            leaves.walk(language, tree, text, &mut finder, words, facts);
            leaves
        }
    };
    let mut found = finder.found;
    facts.imports.append(&mut found.imports);
    let items = found.items();
    for item in &items {
        facts.count(words, Field::Defined, item.name);
    }
    facts.add_definitions(found.definitions(&items, text, &leaves.comment_rows));
    facts.add_references(leaves.references());
    for (language, part) in found.embedded.into_values().take(EMBEDDED) {
        if let Some(tree) = syntax::parse_parts(language, text, &[part]) {
            read_tree(language, &tree, text, &[], words, facts);
        }
    }
}

/// A definition or a container as the query found it.
struct Item<'t> {
    name: &'t str,
    /// `None` for what only holds definitions.
    kind: Option<Kind>,
    node: Node<'t>,
    name_node: Node<'t>,
    parent: Option<&'t str>,
}

/// What the language's query finds in a tree.
#[derive(Default)]
struct Captured<'t> {
    /// By the first bytes of their names, each with the number of the pattern that found it.
    named: FxHashMap<usize, (usize, Item<'t>)>,
    imports: Vec<String>,
    /// Documentation that stands inside of what it documents, by its first byte.
    docs: BTreeMap<usize, Node<'t>>,
    /// Parts in other languages, by their first byte.
    embedded: BTreeMap<usize, (&'static Language, Range)>,
}

impl<'t> Captured<'t> {
    fn take(&mut self, names: &[&str], found: &QueryMatch<'_, 't>, text: &'t str) {
        let (mut name_node, mut item, mut parent) = (None, None, None);
        for capture in found.captures() {
            let node = capture.node;
            match names[capture.index as usize] {
                "name" => name_node = Some(node),
                "parent" => parent = text.get(node.byte_range()),
                "doc" => drop(self.docs.insert(node.start_byte(), node)),
                "import" => self.imports.extend(text.get(node.byte_range()).map(|name| unquote(name).to_owned())),
                "container" => item = Some((None, node)),
                other if let Some(language) = other.strip_prefix("embedded.").and_then(Language::named) => {
                    self.embedded.entry(node.start_byte()).or_insert((language, node.range()));
                }
                other => {
                    let kind = other.strip_prefix("definition.").and_then(Kind::named);
                    item = item.or(kind.map(|kind| (Some(kind), node)));
                }
            }
        }
        let (Some(name_node), Some((kind, node))) = (name_node, item) else { return };
        let Some(name) = text.get(name_node.byte_range()).filter(|name| !matches!(*name, "" | "_")) else { return };
        let item = Item { name, kind, node, name_node, parent };
        // One thing may fit several patterns; the first of them is the most precise.
        let rank = found.pattern_index;
        match self.named.entry(name_node.start_byte()) {
            Entry::Occupied(known) if known.get().0 <= rank => {}
            entry => drop(entry.insert_entry((rank, item))),
        }
    }

    /// Whether a node is the name of a definition.
    fn is_definition(&self, node: Node<'_>) -> bool {
        let item = self.named.get(&node.start_byte()).map(|(_, item)| item);
        item.is_some_and(|item| item.kind.is_some() && item.name_node.id() == node.id())
    }

    fn is_doc(&self, node: Node<'_>) -> bool {
        self.docs.get(&node.start_byte()).is_some_and(|doc| doc.id() == node.id())
    }

    /// The items, outer ones first.
    fn items(&mut self) -> Vec<Item<'t>> {
        let mut items: Vec<Item<'t>> = self.named.drain().map(|(_, (_, item))| item).collect();
        let order =
            |item: &Item<'_>| (item.node.start_byte(), usize::MAX - item.node.end_byte(), item.name_node.start_byte());
        items.sort_by_key(order);
        items
    }

    /// The items as definitions, each with what it stands in.
    fn definitions(&self, items: &[Item<'_>], text: &str, comment_rows: &FxHashSet<usize>) -> Vec<Definition> {
        if items.is_empty() {
            return Vec::new();
        }
        let lines: Vec<&str> = text.lines().collect();
        let mut definitions: Vec<Definition> = Vec::with_capacity(items.len());
        // What is open at the present item: its end, its name, its kind, its index as a definition.
        let mut open: Vec<(usize, String, Option<Kind>, Option<u32>)> = Vec::new();
        for item in items {
            while open.last().is_some_and(|(end, ..)| *end <= item.node.start_byte()) {
                open.pop();
            }
            let (own, name) = item.qualifier();
            let outer = open.iter().map(|(_, name, ..)| name.as_str());
            let scope: Vec<&str> = outer.chain(own.as_deref()).collect();
            let scope = scope.join(".");
            let index = u32::try_from(definitions.len()).ok();
            let entry = (item.node.end_byte(), name.clone(), item.kind, index.filter(|_| item.kind.is_some()));
            if let Some(kind) = item.kind {
                let in_type =
                    own.is_some() || open.last().is_some_and(|(_, _, kind, _)| kind.is_none_or(Kind::has_methods));
                let kind = if kind == Kind::Function && in_type { Kind::Method } else { kind };
                let row = item.node.start_position().row;
                let start = first_row(&lines, comment_rows, row);
                definitions.push(Definition {
                    kind,
                    scope,
                    signature: item.signature(text),
                    doc: self.doc(item, text).unwrap_or_else(|| comment_line(&lines, comment_rows, start, row)),
                    line: number(item.name_node.start_position().row),
                    start: number(start),
                    end: number(last_row(item.node)),
                    parent: open.iter().rev().find_map(|(.., index)| *index),
                    name,
                });
            }
            open.push(entry);
        }
        definitions
    }

    /// The documentation inside of an item.
    fn doc(&self, item: &Item<'_>, text: &str) -> Option<String> {
        let (_, doc) = self.docs.range(item.name_node.end_byte()..).next()?;
        if doc.end_byte() > item.node.end_byte() {
            return None;
        }
        // The next one may belong to something inside.
        let body = item.node.child_by_field_name("body")?;
        let line = first_line(text.get(doc.byte_range())?);
        (doc.start_byte() < body.start_byte() + 8).then(|| shorten(line))
    }
}

impl Item<'_> {
    /// What its own name says of its scope (`A::b`), and the rest.
    fn qualifier(&self) -> (Option<String>, String) {
        if self.kind == Some(Kind::Section) {
            return (None, shorten(&self.name.split_whitespace().collect::<Vec<_>>().join(" ")));
        }
        // What follows a conversion's type is no part of its name.
        let conversion = self.name.starts_with("operator ") && self.name_node.kind() == "operator_cast";
        if let Some((to, _)) = self.name.rsplit_once("()").filter(|_| conversion) {
            return (self.parent.map(str::to_owned), shorten(to.trim()));
        }
        let name = without_arguments(self.name.trim_matches(['"', '\'', '`']));
        match name.rsplit_once("::") {
            Some((scope, name)) if !scope.is_empty() => (Some(scope.to_owned()), shorten(name)),
            _ => (self.parent.map(str::to_owned), shorten(&name)),
        }
    }

    /// From its beginning to its body, on one line.
    fn signature(&self, text: &str) -> String {
        let name_end = self.name_node.end_byte();
        let value = self.node.child_by_field_name("value").unwrap_or(self.node);
        let body = self.node.child_by_field_name("body").or_else(|| value.child_by_field_name("body"));
        let line_end = text.get(name_end..).and_then(|rest| rest.find('\n')).map_or(text.len(), |at| name_end + at);
        let end = body.map(|body| body.start_byte()).filter(|at| *at >= name_end).unwrap_or(line_end);
        let mut begin = self.node.start_byte();
        if text.get(begin..).is_some_and(|text| text.starts_with('@')) {
            begin =
                text.get(..self.name_node.start_byte()).and_then(|before| before.rfind('\n')).map_or(0, |at| at + 1);
        }
        let raw = text.get(begin..end.min(self.node.end_byte().max(name_end))).unwrap_or(self.name);
        let line = raw.split_whitespace().collect::<Vec<_>>().join(" ");
        shorten(without_opening(&line))
    }
}

/// Finds what a query describes, at one node after the other.
struct Finder<'q, 't> {
    query: Option<&'q Query>,
    text: &'t str,
    cursor: QueryCursor,
    found: Captured<'t>,
}

impl<'q, 't> Finder<'q, 't> {
    fn new(query: Option<&'q Query>, text: &'t str) -> Self {
        Self { query, text, cursor: QueryCursor::new(), found: Captured::default() }
    }

    /// Finds everything in a node.
    fn look_through(&mut self, node: Node<'t>) {
        self.look(node, None);
    }

    /// Finds what begins with this node. Whoever walks over all nodes has no need to let the query do it too.
    fn look_at(&mut self, node: Node<'t>) {
        self.look(node, Some(0));
    }

    fn look(&mut self, node: Node<'t>, depth: Option<u32>) {
        let Some(query) = self.query else { return };
        let mut matches = self.cursor.set_max_start_depth(depth).matches(query, node, self.text.as_bytes());
        while let Some(found) = matches.next() {
            self.found.take(query.capture_names(), found, self.text);
        }
    }
}

/// A head without what opens its body.
fn without_opening(line: &str) -> &str {
    let cut =
        |line: &'_ str| ["=>", "{", ":", "="].iter().find_map(|end| line.strip_suffix(end)).map(|l| l.trim_end().len());
    let mut end = line.trim_end().len();
    while let Some(shorter) = cut(&line[..end]) {
        end = shorter;
    }
    &line[..end]
}

/// A name on one line and without the arguments of templates in it: `A<int>::b` is `A::b`.
fn without_arguments(name: &str) -> String {
    let mut depth = 0_usize;
    let operator = name.contains("operator");
    let kept = name.chars().filter(|c| match c {
        '<' if !operator => {
            depth += 1;
            false
        }
        '>' if depth > 0 => {
            depth -= 1;
            false
        }
        _ => depth == 0,
    });
    kept.collect::<String>().split_whitespace().collect::<Vec<_>>().join(" ")
}

/// The row where a definition's comment and decorators begin.
fn first_row(lines: &[&str], comment_rows: &FxHashSet<usize>, row: usize) -> usize {
    let mut first = row;
    while let Some(above) = first.checked_sub(1) {
        let line = lines.get(above).map_or("", |line| line.trim_start());
        let own = comment_rows.contains(&above) && !line.is_empty();
        if !own && !line.starts_with('@') && !line.starts_with("#[") {
            break;
        }
        first = above;
    }
    first
}

/// The first line of the comment in rows `from` to `to` that says something.
fn comment_line(lines: &[&str], comment_rows: &FxHashSet<usize>, from: usize, to: usize) -> String {
    let rows = (from..to).filter(|row| comment_rows.contains(row));
    let texts = rows.filter_map(|row| lines.get(row)).map(|line| first_line(line));
    texts.into_iter().find(|text| !text.is_empty()).map(shorten).unwrap_or_default()
}

/// A comment's first line without its marks.
fn first_line(text: &str) -> &str {
    let line = text.lines().map(str::trim).find(|line| !line.is_empty()).unwrap_or_default();
    line.trim_matches(['/', '*', '#', '!', '-', ';', ' ', '<', '>', '"'])
}

/// The last row with something of the node in it.
fn last_row(node: Node<'_>) -> usize {
    let end = node.end_position();
    if end.column == 0 && end.row > node.start_position().row { end.row - 1 } else { end.row }
}

fn number(row: usize) -> u32 {
    u32::try_from(row + 1).unwrap_or(u32::MAX)
}

fn unquote(text: &str) -> &str {
    text.trim_matches(['"', '\'', '`', '<', '>'])
}

fn shorten(text: &str) -> String {
    match text.char_indices().nth(LONGEST) {
        Some((end, _)) => format!("{}…", &text[..end]),
        None => text.to_owned(),
    }
}

#[cfg(test)]
mod tests;
