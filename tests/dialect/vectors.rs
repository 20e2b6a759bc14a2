//! Reads the reference vectors of the model families. They are no part of the repository: without them the tests that
//! need them say so and pass.

use std::path::PathBuf;

use serde_json::Value;

/// The folder of the vectors: `$MORU_SHARED/families`, or `../shared/families` beside the checkout.
fn folder() -> Option<PathBuf> {
    let shared = std::env::var_os("MORU_SHARED").map(PathBuf::from);
    let shared = shared.unwrap_or_else(|| PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/../shared")));
    let folder = shared.join("families");
    if folder.is_dir() {
        return Some(folder);
    }
    eprintln!(
        "skipped: there are no reference vectors in {}; set MORU_SHARED to the folder that has them",
        folder.display()
    );
    None
}

/// The vectors in `file`, one JSON value each, with the text of the template that each names.
pub fn read(file: &str) -> Vec<(Value, String)> {
    let Some(folder) = folder() else { return Vec::new() };
    let lines = std::fs::read_to_string(folder.join(file)).expect("the vectors are readable");
    lines
        .lines()
        .map(|line| {
            let vector: Value = serde_json::from_str(line).expect("a vector is JSON");
            let name = vector["template"].as_str().expect("a vector names its template");
            let template = std::fs::read_to_string(folder.join("templates").join(name)).expect("the template is there");
            (vector, template)
        })
        .collect()
}

/// The families' own templates, by their files' names.
pub fn templates() -> Vec<(String, String)> {
    let Some(folder) = folder() else { return Vec::new() };
    let files = std::fs::read_dir(folder.join("templates")).expect("the templates are readable");
    let mut templates: Vec<_> = files
        .map(|file| {
            let file = file.expect("a file");
            let text = std::fs::read_to_string(file.path()).expect("a template is text");
            (file.file_name().to_string_lossy().into_owned(), text)
        })
        .collect();
    templates.sort();
    templates
}
