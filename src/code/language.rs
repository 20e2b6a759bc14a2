//! The languages whose syntax is known: one row each.

use std::path::Path;

use tree_sitter_language::LanguageFn;

/// A programming language.
pub struct Language {
    /// As people write it.
    pub name: &'static str,
    /// Of its files, lower case, without the dot.
    pub extensions: &'static [&'static str],
    grammar: LanguageFn,
}

/// All of them. To add one: its tree-sitter crate in `Cargo.toml`, its row here, a case in the tests of [`super::syntax`].
pub static LANGUAGES: &[Language] = &[
    Language { name: "C", extensions: &["c", "h"], grammar: tree_sitter_c::LANGUAGE },
    Language {
        name: "C++",
        extensions: &["cc", "cpp", "cxx", "c++", "hh", "hpp", "hxx", "h++"],
        grammar: tree_sitter_cpp::LANGUAGE,
    },
    Language { name: "Go", extensions: &["go"], grammar: tree_sitter_go::LANGUAGE },
    Language { name: "Java", extensions: &["java"], grammar: tree_sitter_java::LANGUAGE },
    Language {
        name: "JavaScript",
        extensions: &["js", "mjs", "cjs", "jsx"],
        grammar: tree_sitter_javascript::LANGUAGE,
    },
    Language { name: "Python", extensions: &["py", "pyi", "pyw"], grammar: tree_sitter_python::LANGUAGE },
    Language { name: "Rust", extensions: &["rs"], grammar: tree_sitter_rust::LANGUAGE },
    Language {
        name: "TypeScript",
        extensions: &["ts", "mts", "cts"],
        grammar: tree_sitter_typescript::LANGUAGE_TYPESCRIPT,
    },
    Language { name: "TSX", extensions: &["tsx"], grammar: tree_sitter_typescript::LANGUAGE_TSX },
];

impl Language {
    /// The language of a file, by its name.
    pub fn of(path: &Path) -> Option<&'static Self> {
        let extension = path.extension()?.to_str()?.to_ascii_lowercase();
        LANGUAGES.iter().find(|language| language.extensions.contains(&extension.as_str()))
    }

    /// Its grammar, as tree-sitter takes it.
    pub fn grammar(&self) -> tree_sitter::Language {
        self.grammar.into()
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
    fn every_grammar_fits_the_library_and_no_extension_has_two() {
        let mut seen = std::collections::HashSet::new();
        for language in LANGUAGES {
            tree_sitter::Parser::new().set_language(&language.grammar()).unwrap();
            assert!(language.extensions.iter().all(|extension| seen.insert(extension)), "{}", language.name);
        }
    }
}
