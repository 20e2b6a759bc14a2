//! Imports that a text lacks: of what it uses and nothing defines, where there is but one place that it can come from.

use std::collections::HashSet;

use tree_sitter::Node;

use super::python::{self, Role};
use super::scope::Module;
use super::undefined::Undefined;
use super::{Import, Resolver};
use crate::code::request::is_test;
use crate::code::{Definition, Index, Kind, syntax};

/// What programs use of Python's library by these names, behind the module that has it.
#[rustfmt::skip]
const NAMES: &[(&str, &str)] = &[
    ("abc", "ABC abstractmethod"),
    ("collections", "ChainMap Counter OrderedDict defaultdict deque namedtuple"),
    ("contextlib", "contextmanager suppress"),
    ("copy", "deepcopy"),
    ("dataclasses", "dataclass"),
    ("datetime", "timedelta timezone"),
    ("decimal", "Decimal"),
    ("enum", "Enum IntEnum"),
    ("fractions", "Fraction"),
    ("functools", "cached_property cmp_to_key lru_cache partial reduce wraps"),
    ("heapq", "heapify heappop heappush"),
    ("io", "BytesIO StringIO"),
    ("itertools", "accumulate chain combinations groupby permutations product zip_longest"),
    ("math", "ceil floor gcd isqrt sqrt"),
    ("pathlib", "Path"),
    ("typing", "Any Callable Dict Generator Generic Iterable Iterator List Mapping NamedTuple Optional Sequence Set Tuple TypeVar Union"),
    ("unittest", "TestCase"),
    ("unittest.mock", "MagicMock"),
];
/// Modules that are used by their own names, which are hardly ever meant for something else.
const MODULES: &str = "\
    argparse ast asyncio base64 bisect collections contextlib csv dataclasses enum fractions functools glob hashlib heapq inspect io \
    itertools json logging math os pathlib pickle pytest random re secrets shutil sqlite3 statistics struct subprocess sys tempfile \
    textwrap threading time traceback typing unittest uuid zlib";
/// What must be imported by itself.
const SUBMODULES: &[&str] = &["unittest.mock", "logging.handlers", "logging.config"];
/// Files that are followed to see whether an import would go round in a circle, and that are read for how a module is called.
const FOLLOWED: usize = 100;
const READ: usize = 300;

/// An import that a text lacks.
struct MissingImport {
    /// As Python writes it.
    module: String,
    /// What is imported from it; `None` for the module itself.
    name: Option<String>,
}

impl Index {
    /// `after`, the text of this file, with imports of what it uses and nothing defines, and `before` did not use so, as far as it is
    /// plain where each comes from. The same text where nothing is lacking or plain, and in a language whose scopes are not known.
    pub fn with_missing_imports(&self, path: &str, before: Option<&str>, after: String) -> String {
        let lacks = self.new_undefined(path, before, &after);
        if lacks.is_empty() {
            return after;
        }
        let Some(module) = python::read(after.clone()) else { return after };
        let mut resolver = Resolver::new(self);
        let import_of = |lack| Some((lack, resolver.import_of(path, lack, &module)?));
        let imports: Vec<(&Undefined, MissingImport)> = lacks.iter().filter_map(import_of).collect();
        let lacks = |text: &str, name: &str| self.new_undefined(path, None, text).iter().any(|lack| lack.name == name);
        imports.iter().fold(after, |text, (lack, import)| {
            import.put_into(&text).filter(|new| !lacks(new, &lack.name)).unwrap_or(text)
        })
    }
}

impl Resolver<'_> {
    /// The import that defines an undefined name of a module in `file`.
    fn import_of(&mut self, file: &str, lack: &Undefined, within: &Module) -> Option<MissingImport> {
        let Undefined { name, from: None, .. } = lack else { return None };
        let used = Used::of(within, name)?;
        let from = |module: &str| Some(MissingImport { module: module.to_owned(), name: Some(name.clone()) });
        let has = |names: &str| names.split(' ').any(|other| other == name);
        let library = NAMES.iter().find(|(module, names)| has(names) && !self.lies_near(file, module));
        match (self.own_module(file, name), library) {
            (Own::Unclear, _) | (Own::One(_), Some(_)) => None,
            (Own::One(definer), None) => self.called(&definer, file, &within.text).and_then(|module| from(&module)),
            // A word that has its own meaning is what the library has only where it is called.
            (Own::None, Some((module, _))) if used.is_called || name.starts_with(char::is_uppercase) => from(module),
            (Own::None, _) => {
                let is_module = used.is_object && has(MODULES) && !used.is_submodule && !self.lies_near(file, name);
                is_module.then(|| MissingImport { module: name.clone(), name: None })
            }
        }
    }

    /// Which file of the workspace defines a name for all of a module, where that is not `file` and does not need it.
    fn own_module(&mut self, file: &str, name: &str) -> Own {
        let found = self.index.definitions(name);
        let is_for_all = |definition: &Definition| {
            let is_named = matches!(definition.kind, Kind::Function | Kind::Class) || name.to_uppercase() == name;
            definition.scope.is_empty() && definition.name == name && is_named
        };
        let is_open = |path: &str| path != file && python::is_python(path) && !is_test(path);
        let mut definers: Vec<String> = found
            .into_iter()
            .filter(|symbol| is_for_all(&symbol.definition))
            .map(|symbol| symbol.file)
            .filter(|path| is_open(path))
            .collect();
        definers.dedup();
        match &definers[..] {
            [] => Own::None,
            [definer] if !self.needs(definer, file) => Own::One(definer.clone()),
            _ => Own::Unclear,
        }
    }

    /// Whether a file, or one that it imports, imports `other`.
    fn needs(&self, file: &str, other: &str) -> bool {
        let (mut open, mut known) = (vec![file.to_owned()], HashSet::from([file.to_owned()]));
        while let Some(file) = open.pop() {
            let text = self.index.text(&file).unwrap_or_default();
            for path in text.lines().flat_map(imported).flat_map(|import| self.places(&file, &import)) {
                if path == other || known.len() >= FOLLOWED {
                    return true;
                }
                if known.insert(path.clone()) {
                    open.push(path);
                }
            }
        }
        false
    }

    /// The files that an import may bring in: the module's, and the one that what is imported from it may be.
    fn places(&self, file: &str, import: &Import) -> Vec<String> {
        let deeper = import.name.as_ref().map(|name| [&import.parts[..], std::slice::from_ref(name)].concat());
        let all = [Some(import.parts.clone()), deeper];
        all.into_iter().flatten().filter_map(|parts| self.file_of(file, import.level, &parts)).collect()
    }

    /// What a text in `importer` calls the module of `file`: as this text or others of the workspace call it or what lies beside it,
    /// else by its bare name, where it lies at the root or beside the other and nobody there imports otherwise.
    fn called(&self, file: &str, importer: &str, text: &str) -> Option<String> {
        let path = file.strip_suffix(".py")?;
        let (folder, stem) = path.rsplit_once('/').unwrap_or(("", path));
        if !is_identifier(stem) || stem == "__init__" {
            return None;
        }
        let folder_of = |path: &str| path.rsplit_once('/').map_or(String::new(), |(folder, _)| folder.to_owned());
        // A module of the same folder is called as this one, but for its own name.
        let as_sibling = |from: &str, line: &str| {
            let import = imported(line).into_iter().next()?;
            let is_sibling = import.parts.len() > 1 || import.level > 0;
            let found = self.file_of(from, import.level, &import.parts).filter(|found| folder_of(found) == folder)?;
            // What is relative holds only where it is written.
            let holds = import.level == 0 || folder_of(from) == folder_of(importer);
            let (_, last) = found.strip_suffix(".py")?.rsplit_once('/')?;
            let is_plain = is_sibling && holds && import.parts.last().is_some_and(|part| part == last);
            let prefix = import
                .parts
                .split_last()
                .map(|(_, prefix)| prefix.iter().map(|part| format!("{part}.")).collect::<String>());
            is_plain.then(|| format!("{}{}{stem}", ".".repeat(import.level), prefix.unwrap_or_default()))
        };
        let own = text.lines().find_map(|line| as_sibling(importer, line));
        let others = || {
            let files = self.index.files.keys().filter(|path| python::is_python(path)).take(READ);
            let mut texts = files.filter_map(|path| Some((path, self.index.text(path)?)));
            texts.find_map(|(path, text)| text.lines().find_map(|line| as_sibling(path, line)))
        };
        let is_bare =
            folder.is_empty() || (folder_of(importer) == folder && !self.index.knows(&format!("{folder}/__init__.py")));
        own.or_else(others).or_else(|| is_bare.then(|| stem.to_owned()))
    }

    /// Whether a module of this name lies at the root or beside a file.
    fn lies_near(&self, file: &str, module: &str) -> bool {
        let parts: Vec<String> = module.split('.').map(str::to_owned).collect();
        self.file_of(file, 0, &parts).is_some_and(|found| found != file)
    }
}

/// Where the workspace defines a name.
enum Own {
    None,
    One(String),
    /// In several places, or in one that needs the file itself.
    Unclear,
}

/// How a module's undefined name is used.
struct Used {
    /// Somewhere.
    is_called: bool,
    /// Nothing is used but what it has.
    is_object: bool,
    /// What is used of it is a module that must be imported by itself.
    is_submodule: bool,
}

impl Used {
    fn of(module: &Module, name: &str) -> Option<Self> {
        let names = module.names.iter().filter(|occurrence| &module.text[occurrence.range.clone()] == name);
        let nodes: Vec<Node<'_>> = names.filter_map(|occurrence| module.node(&occurrence.range)).collect();
        let uses: Vec<Node<'_>> = nodes.into_iter().filter(|node| matches!(python::role(*node), Role::Name)).collect();
        let is_of = |node: &Node<'_>, kind: &str, field: &str| {
            node.parent()
                .is_some_and(|parent| parent.kind() == kind && parent.child_by_field_name(field) == Some(*node))
        };
        let is_decorator = |node: &Node<'_>| node.parent().is_some_and(|parent| parent.kind() == "decorator");
        (!uses.is_empty()).then(|| Self {
            is_called: uses.iter().any(|node| is_of(node, "call", "function") || is_decorator(node)),
            is_object: uses.iter().all(|node| is_of(node, "attribute", "object")),
            is_submodule: SUBMODULES
                .iter()
                .any(|path| path.starts_with(&format!("{name}.")) && module.text.contains(path)),
        })
    }
}

/// What a line imports, if it does: one import for each name or module that it lists.
fn imported(line: &str) -> Vec<Import> {
    let names = |list: &str| -> Vec<String> {
        let list = list.trim().trim_matches(['(', ')', '\\']).to_owned();
        list.split(',').filter_map(|name| name.split_whitespace().next()).map(str::to_owned).collect()
    };
    match line.trim().split_once(' ') {
        Some(("import", modules)) => names(modules).iter().map(|module| python::dotted(module)).collect(),
        Some(("from", rest)) => {
            let Some((module, list)) = rest.split_once(" import") else { return Vec::new() };
            let module = python::dotted(module.trim());
            let each = names(list).into_iter().map(|name| Import { name: Some(name), ..module.clone() });
            [module.clone()].into_iter().chain(each).collect()
        }
        _ => Vec::new(),
    }
}

fn is_string(statement: Node<'_>) -> bool {
    statement.named_child(0).is_some_and(|child| child.kind() == "string")
}

fn is_identifier(name: &str) -> bool {
    name.starts_with(|c: char| c.is_alphabetic() || c == '_') && name.chars().all(|c| c.is_alphanumeric() || c == '_')
}

impl MissingImport {
    /// A text with this import: on the line that imports from the same module where there is one, else behind the last one at the
    /// text's beginning, else behind its documentation. `None` where the text would be no program then.
    fn put_into(&self, text: &str) -> Option<String> {
        let module = python::read(text.to_owned())?;
        let mut cursor = module.tree.root_node().walk();
        let (mut joined, mut row, mut is_behind_imports) = (None, 0, false);
        for node in module.tree.root_node().named_children(&mut cursor) {
            let behind = node.end_position().row + 1;
            match node.kind() {
                "import_statement" | "future_import_statement" => (row, is_behind_imports) = (behind, true),
                "import_from_statement" => {
                    (row, is_behind_imports) = (behind, true);
                    if self.name.is_some() && self.goes_on(node, text) {
                        joined = Some(node.end_byte());
                    }
                }
                "comment" if node.start_position().row == row && !is_behind_imports => row = behind,
                "comment" => {}
                "expression_statement" if !is_behind_imports && is_string(node) => row = behind,
                _ => break,
            }
        }
        if let (Some(at), Some(name)) = (joined, &self.name) {
            return Some([&text[..at], ", ", name, &text[at..]].concat());
        }
        let at = text.split_inclusive('\n').take(row).map(str::len).sum::<usize>();
        let ending = if text.contains("\r\n") { "\r\n" } else { "\n" };
        let line = match &self.name {
            Some(name) => format!("from {} import {name}{ending}", self.module),
            None => format!("import {}{ending}", self.module),
        };
        let lead = match () {
            () if at > 0 && !text[..at].ends_with('\n') => ending.to_owned(),
            () if row > 0 && !is_behind_imports => ending.to_owned(),
            () => String::new(),
        };
        let is_followed = is_behind_imports || text[at..].starts_with(['\n', '\r']) || text[at..].is_empty();
        let gap = if is_followed { "" } else { ending };
        let new = [&text[..at], &lead, &line, gap, &text[at..]].concat();
        syntax::new_errors("x.py".as_ref(), Some(text), &new).is_empty().then_some(new)
    }

    /// Whether a statement imports from the same module, on one line to which a name can be added.
    fn goes_on(&self, from: Node<'_>, text: &str) -> bool {
        let name = from.child_by_field_name("module_name").and_then(|node| text.get(node.byte_range()));
        let statement = text.get(from.byte_range()).unwrap_or_default();
        name == Some(self.module.as_str()) && !statement.contains(['(', '*', '\\', '\n'])
    }
}
