//! The laws of `docs/architecture.md` that can be read off the sources.

use std::fs;
use std::path::{Path, PathBuf};

/// What each part of the crate may name.
const MAY_USE: &[(&str, &[&str])] = &[
    (
        "cli",
        &[
            "code",
            "config",
            "dialect",
            "engine",
            "lsp",
            "model",
            "permission",
            "sandbox",
            "session",
            "tool",
            "tui",
            "workspace",
        ],
    ),
    ("tui", &["code", "dialect", "engine", "permission", "session", "tool", "workspace"]),
    ("session", &["code", "dialect", "engine", "lsp", "permission", "sandbox", "tool", "workspace"]),
    ("tool", &["code", "dialect", "lsp", "permission", "sandbox", "workspace"]),
    ("lsp", &["code", "sandbox"]),
    ("engine", &["dialect", "model"]),
    ("model", &["config"]),
    ("sandbox", &[]),
    ("dialect", &[]),
    ("workspace", &["filesystem"]),
    ("code", &["filesystem"]),
    ("filesystem", &[]),
    ("allocator", &[]),
    ("permission", &[]),
    ("config", &["dialect", "permission"]),
];

#[test]
fn imports_go_down_only() {
    let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let mut wrong = Vec::new();
    for file in rust_files(&source) {
        let relative = file.strip_prefix(&source).unwrap();
        let part = relative.iter().next().unwrap().to_str().unwrap().trim_end_matches(".rs");
        let Some((_, allowed)) = MAY_USE.iter().find(|(name, _)| *name == part) else {
            assert!(matches!(part, "lib" | "main"), "{part} is no part that docs/architecture.md knows");
            continue;
        };
        for named in crate_parts(&fs::read_to_string(&file).unwrap()) {
            if named != part && !allowed.contains(&named.as_str()) {
                wrong.push(format!("{}: crate::{named}", relative.display()));
            }
        }
    }
    assert!(wrong.is_empty(), "imports that go up or sideways:\n{}", wrong.join("\n"));
}

#[test]
fn only_the_clients_print() {
    let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let mut wrong = Vec::new();
    for file in rust_files(&source) {
        let relative = file.strip_prefix(&source).unwrap();
        if relative.starts_with("cli")
            || relative.starts_with("main.rs")
            || relative.to_string_lossy().contains("tests")
        {
            continue;
        }
        let text = fs::read_to_string(&file).unwrap();
        let code = text.split("#[cfg(test)]").next().unwrap();
        for macro_name in ["println!(", "print!(", "eprintln!(", "eprint!(", "dbg!("] {
            if code.lines().any(|line| !line.trim_start().starts_with("//") && line.contains(macro_name)) {
                wrong.push(format!("{}: {macro_name}…)", relative.display()));
            }
        }
    }
    assert!(wrong.is_empty(), "library code that prints:\n{}", wrong.join("\n"));
}

/// The names behind `crate::`, in `use` lines and paths alike, comments left out.
fn crate_parts(text: &str) -> Vec<String> {
    let code: String = text.lines().filter(|line| !line.trim_start().starts_with("//")).collect::<Vec<_>>().join("\n");
    let name = |rest: &str| rest.chars().take_while(|c| c.is_alphanumeric() || *c == '_').collect::<String>();
    let mut parts = Vec::new();
    for (at, _) in code.match_indices("crate::") {
        let rest = &code[at + "crate::".len()..];
        if let Some(group) = rest.strip_prefix('{') {
            let group = group.split_once('}').map_or(group, |(inside, _)| inside);
            parts.extend(group.split(',').map(|item| name(item.trim())));
        } else {
            parts.push(name(rest));
        }
    }
    parts.retain(|part| !part.is_empty());
    parts
}

fn rust_files(folder: &Path) -> Vec<PathBuf> {
    let mut files = Vec::new();
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            files.extend(rust_files(&path));
        } else if path.extension().is_some_and(|e| e == "rs") {
            files.push(path);
        }
    }
    files
}
