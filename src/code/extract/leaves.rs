//! What the leaves of a tree say: names, comments, strings.

use rustc_hash::{FxHashMap, FxHashSet};
use tree_sitter::Tree;

use super::{Facts, Field, Finder, number};
use crate::code::language::{Language, Leaf};
use crate::code::words::{Term, Words, name_term};
use crate::code::{skim, syntax};

/// Uses of names and comments by where they stand; their words are counted on the way.
#[derive(Default)]
pub(super) struct Leaves {
    /// Lines by name.
    uses: FxHashMap<Term, Vec<u32>>,
    pub comment_rows: FxHashSet<usize>,
}

impl Leaves {
    /// Walks over a tree. `finder` looks at nodes on the way: what a name or a text belongs to comes before it.
    pub fn walk<'t>(
        &mut self,
        language: &Language,
        tree: &'t Tree,
        text: &'t str,
        finder: &mut Finder<'_, 't>,
        words: &mut Words,
        facts: &mut Facts,
    ) {
        let is_keyword = skim::is_keyword(language);
        let mut cursor = tree.walk();
        loop {
            let node = cursor.node();
            if language.begins(node) {
                finder.look_at(node);
            }
            let leaf = language.leaf(node);
            if leaf != Leaf::Inner
                && let Some(part) = text.get(node.byte_range())
            {
                match leaf {
                    Leaf::Literal | Leaf::Text if finder.found.is_doc(node) => facts.count(words, Field::Prose, part),
                    Leaf::Name if is_keyword(part) || finder.found.is_definition(node) => {}
                    leaf => self.take(leaf, part, node.start_position().row, words, facts),
                }
            }
            let descend = leaf == Leaf::Inner && cursor.goto_first_child();
            if !descend && !syntax::next(&mut cursor) {
                break;
            }
        }
    }

    /// Takes in a leaf by its text and the row where it begins.
    pub fn take(&mut self, leaf: Leaf, text: &str, row: usize, words: &mut Words, facts: &mut Facts) {
        let field = match leaf {
            Leaf::Comment => {
                self.comment_rows.extend(row..row + text.lines().count());
                Field::Prose
            }
            Leaf::Literal | Leaf::Text => Field::Literal,
            Leaf::Name => {
                let lines = self.uses.entry(name_term(text)).or_default();
                let line = number(row);
                if lines.last() != Some(&line) {
                    lines.push(line);
                }
                Field::Used
            }
            Leaf::Inner | Leaf::Other => return,
        };
        facts.count(words, field, text);
    }

    /// The lines of each name, sorted, by its term.
    pub fn references(self) -> Vec<(Term, Vec<u32>)> {
        let mut references: Vec<(Term, Vec<u32>)> = self.uses.into_iter().collect();
        for (_, lines) in &mut references {
            // What was skimmed came before what stands around it.
            lines.sort_unstable();
            lines.dedup();
        }
        references.sort_unstable();
        references
    }
}
