//! `list`: what is in a folder.

use std::collections::BTreeMap;

use serde::Deserialize;

use super::look::Look;
use super::{Context, Observation, Tool, ToolError, paths};
use crate::workspace::RelPath;

/// Files that are counted; a tree with more is shown as far as they go.
const COUNTED: usize = 100_000;

#[derive(Debug, Clone, Deserialize)]
struct Arguments {
    path: Option<String>,
}

/// The tool.
pub(super) fn tool() -> impl Tool {
    Look::<Arguments> {
        manifest: super::embedded(include_str!("../../tools/list.toml")),
        summary: |arguments| arguments.path.clone().unwrap_or_else(|| ".".into()),
        look: |arguments, cx| list(arguments.path.as_deref().unwrap_or("."), cx),
    }
}

fn list(path: &str, cx: &Context) -> Result<Observation, ToolError> {
    let folder = paths::resolve(path, cx)?;
    let prefix = if folder.is_root() { String::new() } else { format!("{}/", folder.as_str()) };
    let files = cx.workspace.files(COUNTED);
    let inside: Vec<&str> = files.iter().filter_map(|file| file.as_str().strip_prefix(&prefix)).collect();
    if inside.is_empty() {
        let on_disk = cx.workspace.root().join(folder.as_str());
        return if on_disk.is_dir() {
            Ok(Observation::count("The folder is empty, or all that is in it is ignored.", 0, "files"))
        } else if on_disk.exists() || files.contains(&folder) {
            Err(ToolError(format!("`{}` is a file. Call read to see it.", folder.as_str())))
        } else {
            Err(missing(&folder, &files))
        };
    }
    Ok(Observation::count(listing(&inside, cx.output_limit), inside.len(), "files"))
}

/// The entries of a folder, given the paths of all files below it: folders first, each with the number of its files.
fn listing(inside: &[&str], limit: usize) -> String {
    let mut folders: BTreeMap<&str, usize> = BTreeMap::new();
    let mut files = Vec::new();
    for path in inside {
        match path.split_once('/') {
            Some((folder, _)) => *folders.entry(folder).or_default() += 1,
            None => files.push(*path),
        }
    }
    files.sort_unstable();
    let folders = folders.iter().map(|(name, count)| {
        let plural = if *count == 1 { "file" } else { "files" };
        format!("{name}/ ({count} {plural})")
    });
    let entries: Vec<String> = folders.chain(files.iter().map(ToString::to_string)).collect();
    let mut text = String::new();
    for (shown, entry) in entries.iter().enumerate() {
        if shown > 0 && text.len() + entry.len() + 40 > limit {
            text.push_str(&format!("[… {} more]", entries.len() - shown));
            return text;
        }
        text.push_str(entry);
        text.push('\n');
    }
    text.pop();
    text
}

/// A sentence for a folder that does not exist, with those that do.
fn missing(folder: &RelPath, files: &[RelPath]) -> ToolError {
    let mut folders: Vec<&str> = files.iter().filter_map(|file| Some(file.as_str().rsplit_once('/')?.0)).collect();
    folders.sort_unstable();
    folders.dedup();
    folders.truncate(10);
    let hint = if folders.is_empty() { String::new() } else { format!(" There are: {}.", folders.join(", ")) };
    ToolError(format!("There is no folder `{}`.{hint}", folder.as_str()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn folders_come_with_counts_and_before_files() {
        let inside = ["README.md", "src/a.py", "src/deep/b.py", "docs/x.md", "Makefile"];
        assert_eq!(listing(&inside, 1000), "docs/ (1 file)\nsrc/ (2 files)\nMakefile\nREADME.md");
        assert_eq!(listing(&inside, 60), "docs/ (1 file)\n[… 3 more]");
    }
}
