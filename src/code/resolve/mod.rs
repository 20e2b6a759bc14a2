//! Which definition a use of a name certainly means: by the scopes of the language and by imports, followed from file to file.
//! What depends on the type of a value is left open, so that a tool may change what is certain without asking.

mod missing;
mod python;
mod scope;
mod undefined;

use std::collections::HashMap;
use std::rc::Rc;

use tree_sitter::Node;

use self::scope::{Binding, Import, Kind, Module, Occurrence, Scope, outward};
use super::index::Index;

pub use self::undefined::{Undefined, knows_scopes};

/// How deep the lookups for one name may be nested; an import that is followed takes three of them.
const DEEPEST: usize = 40;

/// Where something is defined.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Place {
    pub file: String,
    /// Of its name.
    pub line: u32,
    /// The scope that it opens, for a class.
    class: Option<usize>,
}

/// What a use of a name means.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Meaning {
    /// This definition.
    Certain(Place),
    /// Something of another file or scope that merely has the same name: a local variable, a parameter.
    Other,
    /// That cannot be told from the text.
    Open,
}

/// What an expression is.
#[derive(Debug, Clone)]
enum Thing {
    Module(String),
    Definition(Place),
    /// An object of this class.
    Instance(Place),
    /// What comes behind this class in its order of bases.
    Super(Place),
}

/// It cannot be told from the text, so that nothing that is found elsewhere is certain either.
struct Unclear;

/// What was found; `None` where there is certainly nothing of that name.
type Found = Result<Option<Thing>, Unclear>;

/// Resolves names in the files of an index; reads each file once.
pub(super) struct Resolver<'i> {
    index: &'i Index,
    modules: HashMap<String, Option<Rc<Module>>>,
}

impl<'i> Resolver<'i> {
    pub fn new(index: &'i Index) -> Self {
        Self { index, modules: HashMap::new() }
    }

    /// What `name` means wherever a file uses it, by line; `None` for a language whose scopes are not known.
    pub fn uses(&mut self, file: &str, name: &str) -> Option<Vec<(u32, Meaning)>> {
        let module = self.module(file)?;
        let mut uses = Vec::new();
        for occurrence in module.names.iter().filter(|occurrence| &module.text[occurrence.range.clone()] == name) {
            let Some(node) = module.node(&occurrence.range) else { continue };
            if !python::is_definition(node) {
                let meaning = self.meaning(file, &module, node, occurrence);
                uses.push((occurrence.line, meaning));
            }
        }
        Some(uses)
    }

    fn meaning(&mut self, file: &str, module: &Module, node: Node<'_>, occurrence: &Occurrence) -> Meaning {
        let name = module.of(node);
        let found = match python::role(node) {
            python::Role::Other => return Meaning::Other,
            python::Role::Matched => return Meaning::Open,
            python::Role::Imported(from) => {
                let from = python::module_name(from, &module.text);
                self.import(file, &Import { name: Some(name.to_owned()), ..from }, 0)
            }
            python::Role::Member(object) => match self.value(file, module, object, occurrence, 0) {
                Ok(Some(object)) => self.member(&object, name, 0),
                _ => Err(Unclear),
            },
            python::Role::Name => match module.binding(occurrence.scope, name) {
                Some((at, bindings)) => {
                    let means = |binding: &Binding| matches!(binding, Binding::Definition { .. } | Binding::Import(_));
                    if module.scopes[at].is_local() && !bindings.iter().any(means) {
                        return Meaning::Other;
                    }
                    if module.is_settled(at, bindings, occurrence) {
                        self.bound(file, bindings, 0)
                    } else {
                        Err(Unclear)
                    }
                }
                None => self.star(file, module, name, 0),
            },
        };
        match found {
            Ok(Some(Thing::Definition(place))) => Meaning::Certain(place),
            Ok(Some(Thing::Module(_))) => Meaning::Other,
            _ => Meaning::Open,
        }
    }

    fn module(&mut self, file: &str) -> Option<Rc<Module>> {
        if let Some(known) = self.modules.get(file) {
            return known.clone();
        }
        let text = if python::is_python(file) { self.index.text(file) } else { None };
        let module = text.and_then(python::read).map(Rc::new);
        self.modules.insert(file.to_owned(), module.clone());
        module
    }

    /// What bindings of one name in one scope stand for.
    fn bound(&mut self, file: &str, bindings: &[Binding], depth: usize) -> Found {
        let place = |line: u32, class| Ok(Some(Thing::Definition(Place { file: file.to_owned(), line, class })));
        match bindings {
            [Binding::Import(import)] => self.import(file, import, depth + 1),
            // Overloads, or a property with its setter.
            [Binding::Definition { line, class }, rest @ ..]
                if rest.iter().all(|other| matches!(other, Binding::Definition { .. })) =>
            {
                place(*line, if rest.is_empty() { *class } else { None })
            }
            [Binding::Value { line, .. }, rest @ ..]
                if rest.iter().all(|other| matches!(other, Binding::Value { .. })) =>
            {
                place(*line, None)
            }
            _ => Err(Unclear),
        }
    }

    fn import(&mut self, file: &str, import: &Import, depth: usize) -> Found {
        if depth > DEEPEST {
            return Err(Unclear);
        }
        let from = self.file_of(file, import.level, &import.parts);
        let Some(name) = &import.name else { return from.map(|file| Some(Thing::Module(file))).ok_or(Unclear) };
        if let Some(from) = &from
            && let Some(found) = self.of_module(from, name, depth + 1)?
        {
            return Ok(Some(found));
        }
        let mut parts = import.parts.clone();
        parts.push(name.clone());
        self.file_of(file, import.level, &parts).map(|file| Some(Thing::Module(file))).ok_or(Unclear)
    }

    /// What a module calls `name`.
    fn of_module(&mut self, file: &str, name: &str, depth: usize) -> Found {
        if depth > DEEPEST {
            return Err(Unclear);
        }
        let module = self.module(file).ok_or(Unclear)?;
        match module.scopes[0].bindings.get(name) {
            Some(bindings) => self.bound(file, bindings, depth + 1),
            None => self.star(file, &module, name, depth + 1),
        }
    }

    /// What `from module import *` brings in under this name: the one of them that has it.
    fn star(&mut self, file: &str, module: &Module, name: &str, depth: usize) -> Found {
        if depth > DEEPEST {
            return Err(Unclear);
        }
        let mut found = None;
        for star in module.stars.iter().filter(|_| !name.starts_with('_')) {
            let from = self.file_of(file, star.level, &star.parts).ok_or(Unclear)?;
            if let Some(thing) = self.of_module(&from, name, depth + 1)?
                && found.replace(thing).is_some()
            {
                return Err(Unclear);
            }
        }
        Ok(found)
    }

    /// What an expression is, as far as that is plain to see.
    fn value(&mut self, file: &str, module: &Module, node: Node<'_>, at: &Occurrence, depth: usize) -> Found {
        if depth > DEEPEST {
            return Err(Unclear);
        }
        match python::expression(node, &module.text).ok_or(Unclear)? {
            python::Expression::Name(name) => {
                let (scope, bindings) = module.binding(at.scope, name).ok_or(Unclear)?;
                if !module.is_settled(scope, bindings, at) {
                    return Err(Unclear);
                }
                match bindings {
                    [Binding::Receiver { class }] => Ok(Some(Thing::Instance(module.class(file, *class)))),
                    [Binding::Value { line, right: Some(right) }] => {
                        let node = module.node(right).ok_or(Unclear)?;
                        let there = Occurrence { range: right.clone(), line: *line, scope };
                        self.value(file, module, node, &there, depth + 1)
                    }
                    bindings => self.bound(file, bindings, depth + 1),
                }
            }
            python::Expression::Member(object, name) => match self.value(file, module, object, at, depth + 1)? {
                Some(object) => self.member(&object, name, depth + 1),
                None => Err(Unclear),
            },
            python::Expression::Super => {
                let class = module.class_around(at.scope).ok_or(Unclear)?;
                Ok(Some(Thing::Super(module.class(file, class))))
            }
            python::Expression::Call(function) => match self.value(file, module, function, at, depth + 1)? {
                Some(Thing::Definition(place)) if place.class.is_some() => Ok(Some(Thing::Instance(place))),
                _ => Err(Unclear),
            },
            // A generic class is the class; what an object gives for an index is anything.
            python::Expression::Index(of) => match self.value(file, module, of, at, depth + 1)? {
                Some(Thing::Definition(place)) if place.class.is_some() => Ok(Some(Thing::Definition(place))),
                _ => Err(Unclear),
            },
        }
    }

    /// What a thing calls `name`.
    fn member(&mut self, thing: &Thing, name: &str, depth: usize) -> Found {
        let (place, itself) = match thing {
            Thing::Module(file) => {
                if let Some(found) = self.of_module(file, name, depth + 1)? {
                    return Ok(Some(found));
                }
                let folder = file.strip_suffix("__init__.py").ok_or(Unclear)?;
                return self.known(&format!("{folder}{name}")).map(|file| Some(Thing::Module(file))).ok_or(Unclear);
            }
            Thing::Definition(place) | Thing::Instance(place) => (place, true),
            Thing::Super(place) => (place, false),
        };
        self.of_class(place, name, itself, depth + 1)
    }

    /// What a class, or what it inherits from, calls `name`.
    fn of_class(&mut self, class: &Place, name: &str, itself: bool, depth: usize) -> Found {
        let scope = class.class.filter(|_| depth <= DEEPEST).ok_or(Unclear)?;
        let module = self.module(&class.file).ok_or(Unclear)?;
        let Scope { bindings, bases, attributes, parent, line, .. } = &module.scopes[scope];
        if itself {
            if attributes.contains(name) {
                return Err(Unclear);
            }
            if let Some(bindings) = bindings.get(name) {
                return self.bound(&class.file, bindings, depth);
            }
        }
        // With several bases the order depends on what they have in common.
        let [base] = bases.as_slice() else { return if bases.is_empty() { Ok(None) } else { Err(Unclear) } };
        let node = module.node(base).ok_or(Unclear)?;
        let there = Occurrence { range: base.clone(), line: *line, scope: parent.unwrap_or(0) };
        match self.value(&class.file, &module, node, &there, depth)? {
            Some(Thing::Definition(base)) => self.of_class(&base, name, true, depth + 1),
            _ => Err(Unclear),
        }
    }

    /// The file of a module as `file` imports it.
    fn file_of(&self, file: &str, level: usize, parts: &[String]) -> Option<String> {
        let folder = file.rsplit_once('/').map_or("", |(folder, _)| folder);
        let join = |folder: &str, rest: &str| match (folder, rest) {
            ("", rest) => rest.to_owned(),
            (folder, "") => folder.to_owned(),
            (folder, rest) => format!("{folder}/{rest}"),
        };
        let rest = parts.join("/");
        if level > 0 {
            let mut base = folder;
            for _ in 1..level {
                base = base.rsplit_once('/').map_or("", |(base, _)| base);
            }
            return self.known(&join(base, &rest));
        }
        // A script finds what lies beside it; a module of a package does not.
        let beside = if self.known(folder).is_some_and(|init| init.ends_with("__init__.py")) { "" } else { folder };
        let roots = ["", "src", "lib", beside];
        roots.iter().find_map(|root| self.known(&join(root, &rest)))
    }

    /// The file of the module at this path: itself, or its package's first file.
    fn known(&self, path: &str) -> Option<String> {
        let package = if path.is_empty() { "__init__.py".to_owned() } else { format!("{path}/__init__.py") };
        [package, format!("{path}.py")].into_iter().find(|path| self.index.files.contains_key(path))
    }
}

impl Module {
    /// The scope and the bindings that a name has where it stands in `scope`.
    fn binding(&self, scope: usize, name: &str) -> Option<(usize, &[Binding])> {
        for id in outward(&self.scopes, scope) {
            let Scope { kind, bindings, .. } = &self.scopes[id];
            // A class's names are seen in its own body, not in its functions.
            if (id == scope || *kind != Kind::Class)
                && let Some(found) = bindings.get(name)
            {
                return match found.as_slice() {
                    [Binding::Global, ..] if id != 0 => {
                        self.scopes[0].bindings.get(name).map(|found| (0, found.as_slice()))
                    }
                    found => Some((id, found)),
                };
            }
        }
        None
    }

    /// Whether bindings hold where a name is used. In the body of a class what stands further down does not yet.
    fn is_settled(&self, scope: usize, bindings: &[Binding], at: &Occurrence) -> bool {
        let before = |binding: &Binding| match binding {
            Binding::Definition { line, .. } | Binding::Value { line, .. } => *line < at.line,
            _ => false,
        };
        self.scopes[scope].kind != Kind::Class || bindings.iter().all(before)
    }

    /// The place of the class that opens a scope.
    fn class(&self, file: &str, scope: usize) -> Place {
        Place { file: file.to_owned(), line: self.scopes[scope].line, class: Some(scope) }
    }

    fn class_around(&self, scope: usize) -> Option<usize> {
        outward(&self.scopes, scope).find(|id| self.scopes[*id].kind == Kind::Class)
    }
}

#[cfg(test)]
mod tests;
