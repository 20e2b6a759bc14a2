//! Which definition a use of a name certainly means: by the scopes of the language and by imports, followed from file to file.
//! What depends on the type of a value is left open, so that a tool may change what is certain without asking.

mod python;
mod scope;

use std::collections::{HashMap, HashSet};
use std::rc::Rc;

use tree_sitter::Node;

use self::scope::{Binding, Import, Kind, Module, Scope};
use super::index::Index;

/// How many imports, aliases and base classes are followed for one name.
const DEPTH: usize = 12;

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

/// Resolves names in the files of an index; reads each file once.
pub(super) struct Resolver<'i> {
    index: &'i Index,
    modules: HashMap<String, Option<Rc<Module>>>,
    /// Members that are being looked up: classes may inherit from themselves.
    open: HashSet<(String, usize, String)>,
}

impl<'i> Resolver<'i> {
    pub fn new(index: &'i Index) -> Self {
        Self { index, modules: HashMap::new(), open: HashSet::new() }
    }

    /// The lines of a file on which `name` is used, with what it means there; `None` for a language whose scopes are not known.
    pub fn uses(&mut self, file: &str, name: &str) -> Option<Vec<(u32, Meaning)>> {
        let module = self.module(file)?;
        let mut uses: Vec<(u32, Meaning)> = Vec::new();
        for occurrence in module.names.iter().filter(|occurrence| &module.text[occurrence.range.clone()] == name) {
            let Some(node) = module.node(&occurrence.range) else { continue };
            if python::is_definition(node) {
                continue;
            }
            let meaning = self.meaning(file, &module, node, occurrence.scope);
            match uses.last_mut() {
                // Of several on a line the surest says what the line means.
                Some((line, known)) if *line == occurrence.line => {
                    if !matches!(known, Meaning::Certain(_)) && meaning != Meaning::Other {
                        *known = meaning;
                    }
                }
                _ => uses.push((occurrence.line, meaning)),
            }
        }
        Some(uses)
    }

    fn meaning(&mut self, file: &str, module: &Module, node: Node<'_>, scope: usize) -> Meaning {
        let name = module.of(node);
        let found = match python::role(node) {
            python::Role::Other => return Meaning::Other,
            python::Role::Imported(from) => {
                let from = python::module_name(from, &module.text);
                self.import(file, &Import { name: Some(name.to_owned()), ..from }, 0)
            }
            python::Role::Member(object) => {
                let object = self.value(file, module, object, scope, 0);
                object.and_then(|object| self.member(&object, name, 0))
            }
            python::Role::Name => match module.binding(scope, name) {
                Some((at, bindings)) if module.scopes[at].is_local() => match bindings {
                    [Binding::Definition { .. }] | [Binding::Import(_)] => self.bound(file, bindings, 0),
                    _ => return Meaning::Other,
                },
                Some((_, bindings)) => self.bound(file, bindings, 0),
                None => self.star(file, module, name, 0),
            },
        };
        match found {
            Some(Thing::Definition(place)) => Meaning::Certain(place),
            Some(Thing::Module(_)) => Meaning::Other,
            _ => Meaning::Open,
        }
    }

    fn module(&mut self, file: &str) -> Option<Rc<Module>> {
        if let Some(known) = self.modules.get(file) {
            return known.clone();
        }
        let python = file.ends_with(".py") || file.ends_with(".pyi");
        let text = if python { self.index.text(file) } else { None };
        let module = text.and_then(python::read).map(Rc::new);
        self.modules.insert(file.to_owned(), module.clone());
        module
    }

    /// What bindings of one name in one scope stand for; `None` where they differ.
    fn bound(&mut self, file: &str, bindings: &[Binding], depth: usize) -> Option<Thing> {
        let place = |line: u32, class| Thing::Definition(Place { file: file.to_owned(), line, class });
        match bindings {
            [Binding::Import(import)] => self.import(file, import, depth + 1),
            // Overloads, or a property with its setter.
            [Binding::Definition { line, class }, rest @ ..]
                if rest.iter().all(|other| matches!(other, Binding::Definition { .. })) =>
            {
                Some(place(*line, if rest.is_empty() { *class } else { None }))
            }
            [Binding::Value { line, .. }, rest @ ..]
                if rest.iter().all(|other| matches!(other, Binding::Value { .. })) =>
            {
                Some(place(*line, None))
            }
            _ => None,
        }
    }

    fn import(&mut self, file: &str, import: &Import, depth: usize) -> Option<Thing> {
        if depth > DEPTH {
            return None;
        }
        let from = self.file_of(file, import.level, &import.parts);
        let Some(name) = &import.name else { return from.map(Thing::Module) };
        if let Some(from) = &from
            && let Some(found) = self.of_module(from, name, depth + 1)
        {
            return Some(found);
        }
        let mut parts = import.parts.clone();
        parts.push(name.clone());
        self.file_of(file, import.level, &parts).map(Thing::Module)
    }

    /// What a module calls `name`.
    fn of_module(&mut self, file: &str, name: &str, depth: usize) -> Option<Thing> {
        if depth > DEPTH {
            return None;
        }
        let module = self.module(file)?;
        match module.scopes[0].bindings.get(name) {
            Some(bindings) => self.bound(file, bindings, depth + 1),
            None => self.star(file, &module, name, depth + 1),
        }
    }

    /// What `from module import *` brings in under this name.
    fn star(&mut self, file: &str, module: &Module, name: &str, depth: usize) -> Option<Thing> {
        let all = || Import { name: Some(name.to_owned()), ..Import::default() };
        module.stars.iter().find_map(|star| {
            let import = Import { level: star.level, parts: star.parts.clone(), ..all() };
            self.import(file, &import, depth + 1).filter(|thing| matches!(thing, Thing::Definition(_)))
        })
    }

    /// What an expression is, as far as that is plain to see.
    fn value(&mut self, file: &str, module: &Module, node: Node<'_>, scope: usize, depth: usize) -> Option<Thing> {
        if depth > DEPTH {
            return None;
        }
        match python::expression(node, &module.text)? {
            python::Expression::Name(name) => {
                let (at, bindings) = module.binding(scope, name)?;
                match bindings {
                    [Binding::Receiver { class }] => {
                        let line = module.scopes[*class].line;
                        Some(Thing::Instance(Place { file: file.to_owned(), line, class: Some(*class) }))
                    }
                    [Binding::Value { right: Some(right), .. }] => {
                        let right = module.node(right)?;
                        self.value(file, module, right, at, depth + 1)
                    }
                    bindings => self.bound(file, bindings, depth + 1),
                }
            }
            python::Expression::Member(object, name) => {
                let object = self.value(file, module, object, scope, depth + 1)?;
                self.member(&object, name, depth + 1)
            }
            python::Expression::Super => {
                let class = module.class_around(scope)?;
                let line = module.scopes[class].line;
                Some(Thing::Super(Place { file: file.to_owned(), line, class: Some(class) }))
            }
            python::Expression::Call(function) => match self.value(file, module, function, scope, depth + 1)? {
                Thing::Definition(place) if place.class.is_some() => Some(Thing::Instance(place)),
                _ => None,
            },
        }
    }

    /// What a thing calls `name`.
    fn member(&mut self, thing: &Thing, name: &str, depth: usize) -> Option<Thing> {
        if depth > DEPTH {
            return None;
        }
        let (place, itself) = match thing {
            Thing::Module(file) => {
                return self.of_module(file, name, depth + 1).or_else(|| {
                    let folder = file.strip_suffix("__init__.py")?;
                    self.known(&format!("{folder}{name}")).map(Thing::Module)
                });
            }
            Thing::Definition(place) | Thing::Instance(place) => (place, true),
            Thing::Super(place) => (place, false),
        };
        let class = place.class?;
        let key = (place.file.clone(), class, name.to_owned());
        if itself && !self.open.insert(key.clone()) {
            return None;
        }
        let found = self.of_class(&place.file, class, name, itself, depth + 1);
        if itself {
            self.open.remove(&key);
        }
        found
    }

    fn of_class(&mut self, file: &str, class: usize, name: &str, itself: bool, depth: usize) -> Option<Thing> {
        let module = self.module(file)?;
        let Scope { bindings, bases, attributes, parent, .. } = &module.scopes[class];
        if itself {
            if attributes.contains(name) {
                return None;
            }
            if let Some(bindings) = bindings.get(name) {
                return self.bound(file, bindings, depth);
            }
        }
        for base in bases {
            let node = module.node(base)?;
            // Behind a base that is not known nothing is certain.
            let base = self.value(file, &module, node, parent.unwrap_or(0), depth)?;
            if let Some(found) = self.member(&base, name, depth) {
                return Some(found);
            }
        }
        None
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
        let roots = ["", "src", "lib", folder];
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
        let mut at = Some(scope);
        while let Some(id) = at {
            let Scope { kind, parent, bindings, .. } = &self.scopes[id];
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
            at = *parent;
        }
        None
    }

    fn class_around(&self, scope: usize) -> Option<usize> {
        let up = |id: &usize| self.scopes[*id].parent;
        std::iter::successors(Some(scope), up).find(|id| self.scopes[*id].kind == Kind::Class)
    }
}

#[cfg(test)]
mod tests;
