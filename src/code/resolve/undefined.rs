//! Names that certainly nothing defines: what a program would fail on when it came there.

use std::fmt;

use super::Resolver;
use super::python::{self, Role};
use super::scope::{Import, Kind, Module, Occurrence, outward};
use crate::code::Index;
use crate::code::syntax::brought_in;

/// What Python has without an import: the built-in names of 3.14, and what only Windows has.
const BUILTINS: &str = "\
    abs aiter all anext any ArithmeticError ascii AssertionError AttributeError BaseException BaseExceptionGroup bin \
    BlockingIOError bool breakpoint BrokenPipeError BufferError bytearray bytes BytesWarning callable ChildProcessError chr \
    classmethod compile complex ConnectionAbortedError ConnectionError ConnectionRefusedError ConnectionResetError copyright \
    credits delattr DeprecationWarning dict dir divmod Ellipsis EncodingWarning enumerate EnvironmentError EOFError eval \
    Exception ExceptionGroup exec exit False FileExistsError FileNotFoundError filter float FloatingPointError format \
    frozenset FutureWarning GeneratorExit getattr globals hasattr hash help hex id ImportError ImportWarning \
    IndentationError IndexError input int InterruptedError IOError IsADirectoryError isinstance issubclass iter \
    KeyboardInterrupt KeyError len license list locals LookupError map max MemoryError memoryview min ModuleNotFoundError \
    NameError next None NotADirectoryError NotImplemented NotImplementedError object oct open ord OSError OverflowError \
    PendingDeprecationWarning PermissionError pow print ProcessLookupError property PythonFinalizationError quit range \
    RecursionError ReferenceError repr ResourceWarning reversed round RuntimeError RuntimeWarning set setattr slice sorted \
    staticmethod StopAsyncIteration StopIteration str sum super SyntaxError SyntaxWarning SystemError SystemExit TabError \
    TimeoutError True tuple type TypeError UnboundLocalError UnicodeDecodeError UnicodeEncodeError UnicodeError \
    UnicodeTranslateError UnicodeWarning UserWarning ValueError vars Warning WindowsError ZeroDivisionError zip";

/// A name that a text uses and nothing defines.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Undefined {
    /// The first line that uses it; counts from 1.
    pub line: u32,
    pub name: String,
    /// The file that it is imported from and that has nothing of that name.
    pub from: Option<String>,
}

impl fmt::Display for Undefined {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { line, name, from } = self;
        match from {
            Some(from) => write!(f, "line {line}: {from} has no `{name}`"),
            None => write!(f, "line {line}: `{name}` is not defined"),
        }
    }
}

impl Index {
    /// Names that `after`, the text of this file, uses and certainly nothing defines, and that `before` did not use so. None
    /// in a language whose scopes are not known, and in a text that binds names in ways that cannot be seen.
    pub fn new_undefined(&self, path: &str, before: Option<&str>, after: &str) -> Vec<Undefined> {
        let of = |text: &str| Resolver::new(self).undefined(path, text);
        let found = of(after).unwrap_or_default();
        if found.is_empty() {
            return found;
        }
        let Some(known) = before.map_or_else(|| Some(Vec::new()), of) else { return Vec::new() };
        brought_in(found, known, |old, new| old.name == new.name && old.from == new.from)
    }
}

/// Whether the scopes of the file's language are known, so that undefined names can be told.
pub fn knows_scopes(path: &str) -> bool {
    python::is_python(path)
}

impl Resolver<'_> {
    /// The undefined names of a text that stands, or is to stand, in `file`, each once; `None` where they cannot be told.
    fn undefined(&mut self, file: &str, text: &str) -> Option<Vec<Undefined>> {
        let module = Some(text.to_owned()).filter(|_| knows_scopes(file)).and_then(python::read);
        let module = module.filter(|module| !python::is_open(module))?;
        let missing = module.imports.iter().filter_map(|(line, import)| self.missing(file, *line, import));
        let mut found: Vec<Undefined> = missing.collect();
        // What a module brings along of which everything is imported is not seen.
        for occurrence in module.names.iter().filter(|_| module.stars.is_empty()) {
            let name = &module.text[occurrence.range.clone()];
            let is_told = found.iter().any(|other| other.name == name);
            if !is_told && !is_given(name) && !module.binds(occurrence.scope, name) && module.looks_up(occurrence) {
                found.push(Undefined { line: occurrence.line, name: name.to_owned(), from: None });
            }
        }
        Some(found)
    }

    /// What is imported from a file that does not have it.
    fn missing(&mut self, file: &str, line: u32, import: &Import) -> Option<Undefined> {
        let name = import.name.as_deref().filter(|name| !is_given(name))?;
        let files = self.files_of(file, import);
        let mut lacks = |from: &String| {
            let there = self.module(from)?;
            let bindings = &there.scopes[0].bindings;
            let is_known = there.stars.is_empty() && !python::is_open(&there) && !bindings.contains_key("__getattr__");
            // What a package has may be made when it is built.
            Some(is_known && !from.ends_with("__init__.py") && !bindings.contains_key(name))
        };
        let is_missing = files.iter().all(|from| lacks(from) == Some(true));
        let from = files.first().filter(|_| is_missing)?.clone();
        Some(Undefined { line, name: name.to_owned(), from: Some(from) })
    }

    /// The files that a module may be: a relative one's, or what lies at the root or beside the file, whichever is run.
    fn files_of(&self, file: &str, import: &Import) -> Vec<String> {
        if import.level > 0 {
            return self.file_of(file, import.level, &import.parts).into_iter().collect();
        }
        let rest = import.parts.join("/");
        let beside = file.rsplit_once('/').map(|(folder, _)| format!("{folder}/{rest}"));
        [Some(rest), beside].into_iter().flatten().filter_map(|path| self.known(&path)).collect()
    }
}

/// Whether the interpreter, or a tool for translators, puts the name in.
fn is_given(name: &str) -> bool {
    name == "_"
        || (name.starts_with("__") && name.ends_with("__"))
        || BUILTINS.split(' ').any(|built_in| built_in == name)
}

impl Module {
    /// Whether a name is looked up where it stands, and not an attribute or the like.
    fn looks_up(&self, occurrence: &Occurrence) -> bool {
        self.node(&occurrence.range).is_some_and(|node| matches!(python::role(node), Role::Name))
    }

    /// Whether a name has any meaning where it stands in `scope`.
    fn binds(&self, scope: usize, name: &str) -> bool {
        let mut in_function = false;
        for id in outward(&self.scopes, scope) {
            let scope = &self.scopes[id];
            // A class's names are seen in its own body, not in its functions.
            let is_seen = scope.kind != Kind::Class || !in_function;
            if is_seen && scope.bindings.contains_key(name) {
                return true;
            }
            in_function |= scope.kind == Kind::Function;
        }
        false
    }
}
