//! The scopes of Python, by the rules of its reference, 4.2 "Naming and binding".

use std::path::Path;

use tree_sitter::Node;

use super::scope::{Binding, Import, Kind, Module, Occurrence, Scope, outward};
use crate::code::{Language, syntax};

/// Deeper nesting is no program.
const DEEPEST: usize = 400;

/// How a name is used.
pub enum Role<'t> {
    Name,
    /// Of this object.
    Member(Node<'t>),
    /// From the module that this `import from` names.
    Imported(Node<'t>),
    /// Of something that a pattern of `match` names.
    Matched,
    /// It names nothing that could be defined: a keyword argument, a part of a module's path.
    Other,
}

/// An expression that can be something known.
pub enum Expression<'t, 's> {
    Name(&'s str),
    Member(Node<'t>, &'s str),
    Call(Node<'t>),
    /// What stands in front of brackets.
    Index(Node<'t>),
    /// `super()`.
    Super,
}

/// Whether a name is that of a definition under way.
pub fn is_definition(node: Node<'_>) -> bool {
    node.parent().is_some_and(|parent| {
        matches!(parent.kind(), "function_definition" | "class_definition")
            && parent.child_by_field_name("name") == Some(node)
    })
}

pub fn is_python(path: &str) -> bool {
    path.ends_with(".py") || path.ends_with(".pyi")
}

/// Whether a file binds names in ways that its text does not show, or is for an older Python.
pub fn is_open(module: &Module) -> bool {
    let of = |occurrence: &Occurrence| &module.text[occurrence.range.clone()];
    let is_opening = |occurrence: &Occurrence| match of(occurrence) {
        // Who expects a name to be missing asks for it.
        "exec" | "execfile" | "globals" | "NameError" => true,
        "locals" | "vars" => occurrence.scope == 0,
        "modules" => module.text[..occurrence.range.start].ends_with("sys."),
        _ => false,
    };
    module.is_old || module.tree.root_node().has_error() || module.names.iter().any(is_opening)
}

/// Whether a statement stands in a `try`, an `if`, or a `with` that may suppress what it raises.
fn is_conditional(statement: Node<'_>) -> bool {
    let around = std::iter::successors(statement.parent(), Node::parent);
    around.into_iter().any(|node| matches!(node.kind(), "try_statement" | "if_statement" | "with_statement"))
}

pub fn role(node: Node<'_>) -> Role<'_> {
    let Some(parent) = node.parent() else { return Role::Other };
    match parent.kind() {
        "attribute" if parent.child_by_field_name("attribute") == Some(node) => {
            parent.child_by_field_name("object").map_or(Role::Other, Role::Member)
        }
        "keyword_argument" if parent.child_by_field_name("name") == Some(node) => Role::Other,
        "member_type" => Role::Other,
        "dotted_name" => imported(parent, node),
        "keyword_pattern" if parent.named_child(0) == Some(node) => Role::Matched,
        _ => Role::Name,
    }
}

/// The role of a name in a dotted one.
fn imported<'t>(dotted: Node<'t>, name: Node<'t>) -> Role<'t> {
    let statement = match dotted.parent() {
        Some(alias) if alias.kind() == "aliased_import" => alias.parent(),
        above => above,
    };
    match statement {
        Some(from) if from.kind() == "import_from_statement" => {
            if from.child_by_field_name("module_name") == Some(dotted) { Role::Other } else { Role::Imported(from) }
        }
        // A pattern of `match` is written like a path.
        Some(other) if other.kind() == "case_pattern" || other.kind().ends_with("_pattern") => {
            if dotted.named_child(0) == Some(name) { Role::Name } else { Role::Matched }
        }
        _ => Role::Other,
    }
}

pub fn expression<'t, 's>(node: Node<'t>, text: &'s str) -> Option<Expression<'t, 's>> {
    let of = |node: Node<'_>| text.get(node.byte_range()).unwrap_or_default();
    match node.kind() {
        "identifier" => Some(Expression::Name(of(node))),
        "attribute" => {
            Some(Expression::Member(node.child_by_field_name("object")?, of(node.child_by_field_name("attribute")?)))
        }
        "call" => {
            let function = node.child_by_field_name("function")?;
            let is_super = of(function) == "super" && of(node.child_by_field_name("arguments")?) == "()";
            Some(if is_super { Expression::Super } else { Expression::Call(function) })
        }
        "subscript" => Some(Expression::Index(node.child_by_field_name("value")?)),
        _ => None,
    }
}

/// The module that an `import from` names.
pub fn module_name(from: Node<'_>, text: &str) -> Import {
    let name = from.child_by_field_name("module_name").map(|node| &text[node.byte_range()]).unwrap_or_default();
    dotted(name)
}

/// The module that a dotted name is.
pub fn dotted(name: &str) -> Import {
    let rest = name.trim_start_matches('.');
    let parts = rest.split('.').map(str::trim).filter(|part| !part.is_empty()).map(str::to_owned).collect();
    Import { level: name.len() - rest.len(), parts, name: None }
}

/// Reads a file; `None` where it cannot be parsed.
pub fn read(text: String) -> Option<Module> {
    let tree = syntax::parse(Language::of(Path::new("x.py"))?, &text)?;
    let mut reader = Reader {
        text: &text,
        scopes: vec![Scope::new(Kind::Module, None, 0)],
        names: Vec::new(),
        stars: Vec::new(),
        imports: Vec::new(),
        is_old: false,
    };
    reader.visit(tree.root_node(), 0, 0);
    reader.rebind();
    let Reader { scopes, mut names, stars, imports, is_old, .. } = reader;
    names.sort_by_key(|occurrence| occurrence.range.start);
    Some(Module { text, tree, scopes, names, stars, imports, is_old })
}

struct Reader<'s> {
    text: &'s str,
    scopes: Vec<Scope>,
    names: Vec<Occurrence>,
    stars: Vec<Import>,
    imports: Vec<(u32, Import)>,
    is_old: bool,
}

impl Reader<'_> {
    fn of(&self, node: Node<'_>) -> &str {
        self.text.get(node.byte_range()).unwrap_or_default()
    }

    fn bind(&mut self, scope: usize, name: &str, binding: Binding) {
        self.scopes[scope].bindings.entry(name.to_owned()).or_default().push(binding);
    }

    /// What a function declares global and binds is bound in the file as well.
    fn rebind(&mut self) {
        let names = self.scopes.iter().skip(1).flat_map(|scope| &scope.bindings);
        let global = names.filter(|(_, bindings)| bindings.len() > 1 && bindings[0] == Binding::Global);
        let global: Vec<String> = global.map(|(name, _)| name.clone()).collect();
        global.iter().for_each(|name| self.bind(0, name, Binding::Other));
    }

    fn visit(&mut self, node: Node<'_>, scope: usize, depth: usize) {
        if depth > DEEPEST {
            return;
        }
        match node.kind() {
            "identifier" => {
                let line = line(node);
                self.names.push(Occurrence { range: node.byte_range(), line, scope });
            }
            "function_definition" => return self.function(node, scope, depth),
            "class_definition" => return self.class(node, scope, depth),
            "lambda" => {
                let inner = self.open(Kind::Expression, scope, line(node));
                if let Some(parameters) = node.child_by_field_name("parameters") {
                    self.parameters(parameters, inner, scope, None, depth + 1);
                }
                return self.field(node, "body", inner, depth);
            }
            "list_comprehension" | "set_comprehension" | "dictionary_comprehension" | "generator_expression" => {
                return self.comprehension(node, scope, depth);
            }
            "for_in_clause" | "for_statement" => self.targets(node, "left", scope),
            "assignment" | "augmented_assignment" => self.assignment(node, scope),
            "named_expression" => {
                let target = outward(&self.scopes, scope).find(|id| self.scopes[*id].kind != Kind::Expression);
                self.targets(node, "name", target.unwrap_or(scope));
            }
            "as_pattern_target" | "case_pattern" | "delete_statement" => self.bind_all(node, scope),
            "global_statement" | "nonlocal_statement" => {
                let binding = if node.kind() == "global_statement" { Binding::Global } else { Binding::Other };
                for name in named(node).into_iter().filter(|child| child.kind() == "identifier") {
                    let name = self.of(name).to_owned();
                    self.scopes[scope].bindings.entry(name).or_default().insert(0, binding.clone());
                }
            }
            "type_alias_statement" => {
                let left = node.child_by_field_name("left");
                left.map(identifiers).unwrap_or_default().into_iter().for_each(|name| self.bind_other(name, scope));
            }
            "print_statement" | "exec_statement" => self.is_old = true,
            "import_statement" | "import_from_statement" | "future_import_statement" => self.import(node, scope),
            _ => {}
        }
        self.children(node, scope, depth);
    }

    fn children(&mut self, node: Node<'_>, scope: usize, depth: usize) {
        named(node).into_iter().for_each(|child| self.visit(child, scope, depth + 1));
    }

    fn field(&mut self, node: Node<'_>, field: &str, scope: usize, depth: usize) {
        if let Some(child) = node.child_by_field_name(field) {
            self.visit(child, scope, depth + 1);
        }
    }

    fn open(&mut self, kind: Kind, parent: usize, line: u32) -> usize {
        self.scopes.push(Scope::new(kind, Some(parent), line));
        self.scopes.len() - 1
    }

    fn comprehension(&mut self, node: Node<'_>, scope: usize, depth: usize) {
        let inner = self.open(Kind::Expression, scope, line(node));
        let mut first = true;
        for child in named(node) {
            if child.kind() == "for_in_clause" && std::mem::take(&mut first) {
                // What is gone through first is looked up outside.
                self.targets(child, "left", inner);
                self.field(child, "left", inner, depth);
                self.field(child, "right", scope, depth);
            } else {
                self.visit(child, inner, depth + 1);
            }
        }
    }

    fn function(&mut self, node: Node<'_>, scope: usize, depth: usize) {
        if let Some(name) = node.child_by_field_name("name") {
            let (text, line) = (self.of(name).to_owned(), line(name));
            self.bind(scope, &text, Binding::Definition { line, class: None });
            self.visit(name, scope, depth + 1);
        }
        let outer = self.type_parameters(node, scope, depth);
        let inner = self.open(Kind::Function, outer, line(node));
        let decorated = node.parent().filter(|parent| parent.kind() == "decorated_definition");
        let is_static = decorated.is_some_and(|parent| {
            named(parent)
                .into_iter()
                .any(|child| child.kind() == "decorator" && self.of(child).contains("staticmethod"))
        });
        let class = Some(scope).filter(|scope| self.scopes[*scope].kind == Kind::Class && !is_static);
        if let Some(parameters) = node.child_by_field_name("parameters") {
            self.parameters(parameters, inner, outer, class, depth + 1);
        }
        self.field(node, "return_type", outer, depth);
        self.field(node, "body", inner, depth);
    }

    /// The scope of the types that a function or a class is generic in (PEP 695); `scope` where it is not.
    fn type_parameters(&mut self, node: Node<'_>, scope: usize, depth: usize) -> usize {
        let Some(list) = node.child_by_field_name("type_parameters") else { return scope };
        let inner = self.open(Kind::Expression, scope, line(list));
        for parameter in named(list) {
            // Its bounds stand behind it.
            identifiers(parameter).into_iter().take(1).for_each(|name| self.bind_other(name, inner));
            self.visit(parameter, inner, depth + 1);
        }
        inner
    }

    /// Binds parameters in `inner`; their types and defaults are looked up in `outer`.
    fn parameters(&mut self, node: Node<'_>, inner: usize, outer: usize, class: Option<usize>, depth: usize) {
        for (index, parameter) in named(node).into_iter().enumerate() {
            let name = match parameter.kind() {
                "identifier" => Some(parameter),
                "default_parameter" | "typed_default_parameter" => parameter.child_by_field_name("name"),
                _ => parameter.named_child(0),
            };
            let (value, kind) = (parameter.child_by_field_name("value"), parameter.child_by_field_name("type"));
            for outside in value.into_iter().chain(kind) {
                self.visit(outside, outer, depth + 1);
            }
            let Some(name) = name else { continue };
            let binding = match class {
                Some(class) if index == 0 && parameter.kind() == "identifier" => Binding::Receiver { class },
                _ => Binding::Other,
            };
            for identifier in leaves(name).into_iter().filter(|leaf| leaf.kind() == "identifier") {
                let text = self.of(identifier).to_owned();
                self.bind(inner, &text, binding.clone());
                self.visit(identifier, inner, depth + 1);
            }
        }
    }

    fn class(&mut self, node: Node<'_>, scope: usize, depth: usize) {
        let Some(name) = node.child_by_field_name("name") else { return self.children(node, scope, depth) };
        let outer = self.type_parameters(node, scope, depth);
        let inner = self.open(Kind::Class, outer, line(name));
        let (text, line) = (self.of(name).to_owned(), line(name));
        self.bind(scope, &text, Binding::Definition { line, class: Some(inner) });
        self.visit(name, scope, depth + 1);
        if let Some(bases) = node.child_by_field_name("superclasses") {
            let positional = named(bases).into_iter().filter(|base| base.kind() != "keyword_argument");
            self.scopes[inner].bases = positional.map(|base| base.byte_range()).collect();
            self.visit(bases, outer, depth + 1);
        }
        self.field(node, "body", inner, depth);
    }

    fn assignment(&mut self, node: Node<'_>, scope: usize) {
        let (left, right) = (node.child_by_field_name("left"), node.child_by_field_name("right"));
        let Some(left) = left else { return };
        if left.kind() == "identifier" && node.kind() == "assignment" {
            let text = self.of(left).to_owned();
            let binding = Binding::Value { line: line(left), right: right.map(|right| right.byte_range()) };
            return self.bind(scope, &text, binding);
        }
        self.targets(node, "left", scope);
    }

    fn targets(&mut self, node: Node<'_>, field: &str, scope: usize) {
        if let Some(target) = node.child_by_field_name(field) {
            self.bind_all(target, scope);
        }
    }

    fn bind_other(&mut self, name: Node<'_>, scope: usize) {
        let text = self.of(name).to_owned();
        self.bind(scope, &text, Binding::Other);
    }

    /// Binds the variables of a target; what is set on the object of a method is an attribute of its class.
    fn bind_all(&mut self, target: Node<'_>, scope: usize) {
        for node in leaves(target) {
            if node.kind() == "identifier" {
                self.bind_other(node, scope);
            } else if let Some(class) = self.receiver_class(node, scope)
                && let Some(name) = node.child_by_field_name("attribute")
            {
                let name = self.of(name).to_owned();
                self.scopes[class].attributes.insert(name);
            }
        }
    }

    /// The class of the object in `self.name`.
    fn receiver_class(&self, attribute: Node<'_>, scope: usize) -> Option<usize> {
        let object = attribute.child_by_field_name("object").filter(|object| object.kind() == "identifier")?;
        let bindings = |id: usize| self.scopes[id].bindings.get(self.of(object));
        match outward(&self.scopes, scope).find_map(bindings)?.as_slice() {
            [Binding::Receiver { class }] => Some(*class),
            _ => None,
        }
    }

    fn import(&mut self, node: Node<'_>, scope: usize) {
        let from = (node.kind() == "import_from_statement").then(|| module_name(node, self.text));
        let module = node.child_by_field_name("module_name");
        let is_conditional = is_conditional(node);
        for child in named(node).into_iter().filter(|child| Some(*child) != module) {
            let (path, alias) = match child.kind() {
                "aliased_import" => (child.child_by_field_name("name"), child.child_by_field_name("alias")),
                "dotted_name" => (Some(child), None),
                "wildcard_import" => {
                    self.stars.extend(from.clone());
                    continue;
                }
                _ => continue,
            };
            let Some(node) = path else { continue };
            let path = self.of(node).to_owned();
            let alias = alias.map(|alias| self.of(alias).to_owned());
            let (name, import) = match (&from, alias) {
                (Some(from), alias) => {
                    let import = Import { name: Some(path.clone()), ..from.clone() };
                    if !is_conditional {
                        self.imports.push((line(node), import.clone()));
                    }
                    (alias.unwrap_or(path), import)
                }
                (None, Some(alias)) => (alias, dotted(&path)),
                // `import a.b` binds `a`.
                (None, None) => {
                    let first = path.split('.').next().unwrap_or_default().to_owned();
                    (first.clone(), dotted(&first))
                }
            };
            // The same import twice is one.
            let known = self.scopes[scope].bindings.get(&name);
            if known.is_none_or(|known| !known.contains(&Binding::Import(import.clone()))) {
                self.bind(scope, &name, Binding::Import(import));
            }
        }
    }
}

fn named(node: Node<'_>) -> Vec<Node<'_>> {
    node.named_children(&mut node.walk()).collect()
}

/// The identifiers in a type, in their order.
fn identifiers(of: Node<'_>) -> Vec<Node<'_>> {
    let mut found = Vec::new();
    let mut left = vec![of];
    while let Some(node) = left.pop() {
        if node.kind() == "identifier" {
            found.push(node);
        }
        left.extend(named(node).into_iter().rev());
    }
    found
}

/// The variables and attributes in a target: not what indexes.
fn leaves(target: Node<'_>) -> Vec<Node<'_>> {
    let mut found = Vec::new();
    let mut left = vec![target];
    while let Some(node) = left.pop() {
        match node.kind() {
            "identifier" | "attribute" => found.push(node),
            "subscript" | "call" | "type" => {}
            // In a pattern of `match`: a value, a class, the name of an attribute.
            "dotted_name" if node.named_child_count() > 1 => {}
            "class_pattern" | "keyword_pattern" => left.extend(named(node).into_iter().skip(1)),
            _ => left.extend(named(node)),
        }
    }
    found
}

fn line(node: Node<'_>) -> u32 {
    u32::try_from(node.start_position().row + 1).unwrap_or(u32::MAX)
}
