//! The languages whose syntax is known: one row each.

use std::collections::HashSet;
use std::ops::Range;
use std::path::Path;
use std::sync::OnceLock;

use tree_sitter::{Node, Query};
use tree_sitter_language::LanguageFn;

use super::highlight::Colours;
use super::macros::macros;
use Form::{Data, Loose, Page, Program};

/// A programming language.
pub struct Language {
    /// As people write it.
    pub name: &'static str,
    /// What stands behind the fence of a code block in it.
    pub fence: &'static str,
    /// Of its files, lower case, without the dot.
    pub extensions: &'static [&'static str],
    grammar: LanguageFn,
    /// What of a tree is a definition or an import: `@definition.KIND` with its `@name`, `@container` for what only holds
    /// definitions, `@parent` where the container stands elsewhere, `@doc`, `@import`; `@embedded.LANGUAGE` for text in another
    /// language. Empty for none.
    query: &'static str,
    pub(super) form: Form,
    compiled: OnceLock<Option<Query>>,
    /// What the leaves of its trees are, by the number of their kind.
    leaves: OnceLock<Vec<Leaf>>,
    /// Whether a pattern of its query begins at a node, by the number of its kind.
    begins: OnceLock<Vec<bool>>,
    pub(super) colours: Colours,
}

/// What texts of a language are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Form {
    Program,
    /// Settings and styles.
    Data,
    /// Of many dialects, or with templates in it: what its grammar takes for an error may be none.
    Loose,
    /// The same, around what is a program.
    Page,
}

/// What a node of a tree is to the index.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Leaf {
    /// Its children say more.
    Inner,
    Name,
    Comment,
    /// A string, or what stands for one, where it has no parts.
    Literal,
    /// Text inside a string, escapes included.
    Text,
    /// Punctuation, keywords, numbers.
    Other,
}

/// A row of [`LANGUAGES`].
const fn row(
    name: &'static str,
    fence: &'static str,
    extensions: &'static [&'static str],
    grammar: LanguageFn,
    query: &'static str,
    form: Form,
) -> Language {
    Language {
        name,
        fence,
        extensions,
        grammar,
        query,
        form,
        compiled: OnceLock::new(),
        leaves: OnceLock::new(),
        begins: OnceLock::new(),
        colours: Colours::none(),
    }
}

/// All of them. To add one: its tree-sitter crate in `Cargo.toml`, its query in `queries/`, its row here, a case in the tests
/// of [`super::syntax`], [`super::extract`] and [`super::highlight`].
pub static LANGUAGES: [Language; 25] = [
    row(
        "C",
        "c",
        &["c", "h"],
        tree_sitter_c::LANGUAGE,
        concat!(include_str!("queries/c-family.scm"), include_str!("queries/c.scm")),
        Program,
    )
    .coloured(&[tree_sitter_c::HIGHLIGHT_QUERY], ""),
    row(
        "C++",
        "cpp",
        &["cc", "cpp", "cxx", "c++", "hh", "hpp", "hxx", "h++", "cu", "cuh"],
        tree_sitter_cpp::LANGUAGE,
        concat!(include_str!("queries/c-family.scm"), include_str!("queries/cpp.scm")),
        Program,
    )
    .coloured(&[tree_sitter_c::HIGHLIGHT_QUERY, tree_sitter_cpp::HIGHLIGHT_QUERY], ""),
    row("Go", "go", &["go"], tree_sitter_go::LANGUAGE, include_str!("queries/go.scm"), Program)
        .coloured(&[tree_sitter_go::HIGHLIGHTS_QUERY], ""),
    row("Java", "java", &["java"], tree_sitter_java::LANGUAGE, include_str!("queries/java.scm"), Program)
        .coloured(&[tree_sitter_java::HIGHLIGHTS_QUERY], ""),
    row(
        "JavaScript",
        "javascript",
        &["js", "mjs", "cjs", "jsx"],
        tree_sitter_javascript::LANGUAGE,
        concat!(include_str!("queries/ecmascript.scm"), include_str!("queries/javascript.scm")),
        Program,
    )
    .coloured(&[tree_sitter_javascript::HIGHLIGHT_QUERY, tree_sitter_javascript::JSX_HIGHLIGHT_QUERY], ""),
    row(
        "Python",
        "python",
        &["py", "pyi", "pyw"],
        tree_sitter_python::LANGUAGE,
        include_str!("queries/python.scm"),
        Program,
    )
    .coloured(&[tree_sitter_python::HIGHLIGHTS_QUERY], ""),
    row("Rust", "rust", &["rs"], tree_sitter_rust::LANGUAGE, include_str!("queries/rust.scm"), Program)
        .coloured(&[tree_sitter_rust::HIGHLIGHTS_QUERY], tree_sitter_rust::INJECTIONS_QUERY),
    row(
        "TypeScript",
        "typescript",
        &["ts", "mts", "cts"],
        tree_sitter_typescript::LANGUAGE_TYPESCRIPT,
        concat!(include_str!("queries/ecmascript.scm"), include_str!("queries/typescript.scm")),
        Program,
    )
    .coloured(&[tree_sitter_javascript::HIGHLIGHT_QUERY, tree_sitter_typescript::HIGHLIGHTS_QUERY], ""),
    row(
        "TSX",
        "tsx",
        &["tsx"],
        tree_sitter_typescript::LANGUAGE_TSX,
        concat!(include_str!("queries/ecmascript.scm"), include_str!("queries/typescript.scm")),
        Program,
    )
    .coloured(
        &[
            tree_sitter_javascript::HIGHLIGHT_QUERY,
            tree_sitter_javascript::JSX_HIGHLIGHT_QUERY,
            tree_sitter_typescript::HIGHLIGHTS_QUERY,
        ],
        "",
    ),
    row("C#", "csharp", &["cs"], tree_sitter_c_sharp::LANGUAGE, include_str!("queries/c-sharp.scm"), Program)
        .coloured(&[tree_sitter_c_sharp::HIGHLIGHTS_QUERY], ""),
    row(
        "Ruby",
        "ruby",
        &["rb", "rake", "gemspec"],
        tree_sitter_ruby::LANGUAGE,
        include_str!("queries/ruby.scm"),
        Program,
    )
    .coloured(&[tree_sitter_ruby::HIGHLIGHTS_QUERY], ""),
    row("PHP", "php", &["php"], tree_sitter_php::LANGUAGE_PHP, include_str!("queries/php.scm"), Program)
        .coloured(&[tree_sitter_php::HIGHLIGHTS_QUERY], tree_sitter_php::INJECTIONS_QUERY),
    row("Bash", "bash", &["sh", "bash", "bats"], tree_sitter_bash::LANGUAGE, include_str!("queries/bash.scm"), Program)
        .coloured(&[tree_sitter_bash::HIGHLIGHT_QUERY], ""),
    row("Lua", "lua", &["lua"], tree_sitter_lua::LANGUAGE, include_str!("queries/lua.scm"), Program)
        .coloured(&[tree_sitter_lua::HIGHLIGHTS_QUERY], ""),
    row(
        "Kotlin",
        "kotlin",
        &["kt", "kts"],
        tree_sitter_kotlin_ng::LANGUAGE,
        include_str!("queries/kotlin.scm"),
        Program,
    )
    .coloured(&[include_str!("queries/kotlin-highlights.scm")], ""),
    row("Swift", "swift", &["swift"], tree_sitter_swift::LANGUAGE, include_str!("queries/swift.scm"), Program)
        .coloured(&[tree_sitter_swift::HIGHLIGHTS_QUERY], ""),
    row("Scala", "scala", &["scala", "sc"], tree_sitter_scala::LANGUAGE, include_str!("queries/scala.scm"), Program)
        .coloured(&[tree_sitter_scala::HIGHLIGHTS_QUERY], ""),
    row("CSS", "css", &["css"], tree_sitter_css::LANGUAGE, include_str!("queries/css.scm"), Data)
        .coloured(&[tree_sitter_css::HIGHLIGHTS_QUERY], ""),
    row("TOML", "toml", &["toml"], tree_sitter_toml_ng::LANGUAGE, include_str!("queries/toml.scm"), Data)
        .coloured(&[tree_sitter_toml_ng::HIGHLIGHTS_QUERY], ""),
    row("HTML", "html", &["html", "htm"], tree_sitter_html::LANGUAGE, include_str!("queries/html.scm"), Loose)
        .coloured(&[tree_sitter_html::HIGHLIGHTS_QUERY], tree_sitter_html::INJECTIONS_QUERY),
    row("Vue", "vue", &["vue", "svelte"], tree_sitter_html::LANGUAGE, include_str!("queries/html.scm"), Page)
        .coloured(&[tree_sitter_html::HIGHLIGHTS_QUERY], tree_sitter_html::INJECTIONS_QUERY),
    row("JSON", "json", &["json"], tree_sitter_json::LANGUAGE, include_str!("queries/json.scm"), Loose)
        .coloured(&[tree_sitter_json::HIGHLIGHTS_QUERY], ""),
    row("YAML", "yaml", &["yaml", "yml"], tree_sitter_yaml::LANGUAGE, include_str!("queries/yaml.scm"), Loose)
        .coloured(&[tree_sitter_yaml::HIGHLIGHTS_QUERY], ""),
    row(
        "Markdown",
        "markdown",
        &["md", "markdown"],
        tree_sitter_md::LANGUAGE,
        include_str!("queries/markdown.scm"),
        Loose,
    )
    .coloured(&[tree_sitter_md::HIGHLIGHT_QUERY_BLOCK], tree_sitter_md::INJECTION_QUERY_BLOCK),
    row("SQL", "sql", &["sql"], tree_sitter_sequel::LANGUAGE, include_str!("queries/sql.scm"), Loose)
        .coloured(&[tree_sitter_sequel::HIGHLIGHTS_QUERY], ""),
];

impl Language {
    /// With the grammar's own queries: what is coloured, later ones over earlier ones, and what code of other languages stands in
    /// it.
    const fn coloured(mut self, highlights: &'static [&'static str], injections: &'static str) -> Self {
        self.colours.highlights = highlights;
        self.colours.injections = injections;
        self
    }

    /// The language that people call `name`, as behind the fence of a code block: by its name, its usual short one, or the
    /// extension of its files.
    pub fn named(name: &str) -> Option<&'static Self> {
        let name = name.to_ascii_lowercase();
        let name = match name.as_str() {
            "golang" => "go",
            "shell" | "zsh" | "console" => "bash",
            name => name,
        };
        let is = |language: &&Self| {
            language.fence == name || language.name.eq_ignore_ascii_case(name) || language.extensions.contains(&name)
        };
        LANGUAGES.iter().find(is)
    }

    /// The language of a file, by its name.
    pub fn of(path: &Path) -> Option<&'static Self> {
        let extension = path.extension()?.to_str()?.to_ascii_lowercase();
        LANGUAGES.iter().find(|language| language.extensions.contains(&extension.as_str()))
    }

    /// Its grammar, as tree-sitter takes it.
    pub fn grammar(&self) -> tree_sitter::Language {
        self.grammar.into()
    }

    /// The language of a file, by its name and, where several share it, by its text.
    pub(super) fn of_text(path: &Path, text: &str) -> Option<&'static Self> {
        let language = Self::of(path)?;
        let header = path.extension().is_some_and(|extension| extension == "h");
        // Headers of C and C++ have the same name; only one of them has these.
        let cpp = |line: &str| {
            let begins = |word: &str| line.strip_prefix(word).is_some_and(|rest| rest.starts_with([' ', '<', ':']));
            ["class", "namespace", "template", "public", "private", "using"].into_iter().any(begins)
                || (line.contains("std::") && !line.starts_with(['/', '*']))
        };
        if header && text.lines().any(|line| cpp(line.trim_start())) {
            Self::of(Path::new("x.hpp"))
        } else {
            Some(language)
        }
    }

    /// Where macros stand in a text that the grammar has no place for; none where the language has no preprocessor.
    pub(super) fn macros(&self, text: &str) -> Vec<Range<usize>> {
        if matches!(self.name, "C" | "C++") { macros(text) } else { Vec::new() }
    }

    /// What a node is.
    pub(super) fn leaf(&self, node: Node<'_>) -> Leaf {
        let leaves = self.leaves.get_or_init(|| self.by_kind(leaf));
        let leaf = leaves.get(usize::from(node.kind_id())).copied().unwrap_or(Leaf::Inner);
        // These count whole; everything else by its innermost parts.
        match leaf {
            Leaf::Comment | Leaf::Text => leaf,
            _ if node.child_count() > 0 => Leaf::Inner,
            Leaf::Inner => Leaf::Other,
            leaf => leaf,
        }
    }

    /// Whether its query may find something whose outermost node is this one.
    pub(super) fn begins(&self, node: Node<'_>) -> bool {
        let begins = self.begins.get_or_init(|| {
            let kinds: HashSet<&str> = self.patterns().map(first_kind).collect();
            // Some pattern may begin anywhere.
            let anywhere = kinds.contains("") || kinds.contains("_");
            self.by_kind(|kind, named| anywhere || (named && kinds.contains(kind)))
        });
        begins.get(usize::from(node.kind_id())).copied().unwrap_or(true)
    }

    /// The texts of its query's patterns.
    fn patterns(&self) -> impl Iterator<Item = &'static str> {
        let ranges = self.query().into_iter().flat_map(|query| {
            (0..query.pattern_count()).map(|at| query.start_byte_for_pattern(at)..query.end_byte_for_pattern(at))
        });
        ranges.map(|range| self.query.get(range).unwrap_or_default())
    }

    /// What each kind of node is, by its number: its name, and whether it has one of its own in the grammar.
    fn by_kind<T>(&self, what: impl Fn(&str, bool) -> T) -> Vec<T> {
        let grammar = self.grammar();
        let count = u16::try_from(grammar.node_kind_count()).unwrap_or(u16::MAX);
        let kind = |id| what(grammar.node_kind_for_id(id).unwrap_or_default(), grammar.node_kind_is_named(id));
        (0..count).map(kind).collect()
    }

    /// Its query, compiled once; `None` where it has none.
    pub(super) fn query(&self) -> Option<&Query> {
        let compile = || {
            let query = Query::new(&self.grammar(), self.query);
            // It is part of the program, and a test compiles every one of them.
            query.inspect_err(|error| tracing::error!(language = self.name, %error, "a query does not compile")).ok()
        };
        if self.query.is_empty() { None } else { self.compiled.get_or_init(compile).as_ref() }
    }
}

/// The kind of node that a pattern begins with; empty where it is a choice or a group.
fn first_kind(pattern: &'static str) -> &'static str {
    let rest = pattern.trim_start().strip_prefix('(').unwrap_or_default();
    let end = rest.find(|c: char| !c.is_ascii_alphanumeric() && c != '_').unwrap_or(rest.len());
    &rest[..end]
}

/// What a leaf of this kind is: grammars differ in the words, not in the sense.
fn leaf(kind: &str, named: bool) -> Leaf {
    let one_of = |words: &[&str]| words.iter().any(|word| kind.contains(word));
    match () {
        () if !named => Leaf::Other,
        () if kind.contains("comment") => Leaf::Comment,
        () if one_of(&["identifier", "constant", "_name", "word", "bare_key", "shorthand"]) || kind == "name" => {
            Leaf::Name
        }
        () if one_of(&["_content", "fragment"]) => Leaf::Text,
        () if one_of(&["string", "text", "char", "scalar", "attribute_value"]) => Leaf::Literal,
        () => Leaf::Inner,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn files_are_told_by_their_extension() {
        for (path, name) in [
            ("src/main.rs", Some("Rust")),
            ("a/b.PY", Some("Python")),
            ("x.tsx", Some("TSX")),
            ("x.mts", Some("TypeScript")),
            ("include/x.hpp", Some("C++")),
            ("Makefile", None),
            (".rs", None),
            ("x.rs.txt", None),
        ] {
            assert_eq!(Language::of(Path::new(path)).map(|language| language.name), name, "{path}");
        }
    }

    #[test]
    fn every_grammar_and_query_fits_the_library_and_no_extension_has_two() {
        let mut seen = std::collections::HashSet::new();
        for language in &LANGUAGES {
            tree_sitter::Parser::new().set_language(&language.grammar()).unwrap();
            if let Err(error) = Query::new(&language.grammar(), language.query) {
                panic!("{}: {error}", language.name);
            }
            assert!(language.extensions.iter().all(|extension| seen.insert(extension)), "{}", language.name);
        }
    }
}
