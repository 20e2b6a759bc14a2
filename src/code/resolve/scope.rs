//! The scopes of a file: what names are bound where.

use std::collections::{HashMap, HashSet};
use std::ops::Range;

use tree_sitter::{Node, Tree};

/// A file, read.
pub struct Module {
    pub text: String,
    pub tree: Tree,
    /// The file's own comes first.
    pub scopes: Vec<Scope>,
    /// All names in it, in their order.
    pub names: Vec<Occurrence>,
    /// Modules of which everything is imported.
    pub stars: Vec<Import>,
    /// What is imported by name, whatever else is true, and in which line.
    pub imports: Vec<(u32, Import)>,
    /// It is written for an older version of the language.
    pub is_old: bool,
}

/// A name at its place.
pub struct Occurrence {
    pub range: Range<usize>,
    /// Counts from 1.
    pub line: u32,
    /// The scope in which it is looked up.
    pub scope: usize,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    Module,
    Class,
    Function,
    /// Of an expression: a comprehension, a lambda.
    Expression,
}

pub struct Scope {
    pub kind: Kind,
    pub parent: Option<usize>,
    /// Of the name of what opens it.
    pub line: u32,
    pub bindings: HashMap<String, Vec<Binding>>,
    /// The base classes.
    pub bases: Vec<Range<usize>>,
    /// What is set on the objects of a class.
    pub attributes: HashSet<String>,
}

/// A way in which a name gets its meaning.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Binding {
    /// A function, or a class with its scope.
    Definition {
        line: u32,
        class: Option<usize>,
    },
    Import(Import),
    /// A variable, and what is assigned to it.
    Value {
        line: u32,
        right: Option<Range<usize>>,
    },
    /// The object that a method is called on.
    Receiver {
        class: usize,
    },
    /// A parameter, the variable of a loop.
    Other,
    /// It is the file's own.
    Global,
}

/// What is imported: a module, or `name` of it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Import {
    /// How many folders up, where it is relative; 1 is the file's own.
    pub level: usize,
    pub parts: Vec<String>,
    pub name: Option<String>,
}

impl Scope {
    pub fn new(kind: Kind, parent: Option<usize>, line: u32) -> Self {
        let (bindings, bases, attributes) = (HashMap::new(), Vec::new(), HashSet::new());
        Self { kind, parent, line, bindings, bases, attributes }
    }

    /// Whether nobody else sees its names.
    pub fn is_local(&self) -> bool {
        matches!(self.kind, Kind::Function | Kind::Expression)
    }
}

/// A scope and those around it, the innermost first.
pub fn outward(scopes: &[Scope], scope: usize) -> impl Iterator<Item = usize> {
    std::iter::successors(Some(scope), |id| scopes[*id].parent)
}

impl Module {
    /// The text of a node.
    pub fn of(&self, node: Node<'_>) -> &str {
        self.text.get(node.byte_range()).unwrap_or_default()
    }

    pub fn node(&self, range: &Range<usize>) -> Option<Node<'_>> {
        self.tree.root_node().descendant_for_byte_range(range.start, range.end)
    }
}
