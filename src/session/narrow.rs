//! What a call may be at this moment: the tools' schemas, narrowed to the workspace as it is. A path is one that exists, and
//! the text to be replaced is text that stands in that file.

use serde_json::{Value, json};

use super::Session;
use super::record::Record;
use crate::dialect::ToolSpec;
use crate::workspace::RelPath;

/// Paths beyond this many are not enumerated: the path is then checked only when the tool runs.
const MAX_PATHS: usize = 3000;
/// Files longer than this many bytes do not constrain the text to be replaced.
const MAX_TEXT: usize = 200_000;

/// The specs of the tools `names`, narrowed.
pub(super) fn narrow(session: &Session, record: &Record, names: &[&str]) -> Vec<ToolSpec> {
    let paths: Vec<String> = session.workspace.files(MAX_PATHS + 1).iter().map(ToString::to_string).collect();
    let mut narrowed = Vec::new();
    for spec in session.specs() {
        match spec.name.as_str() {
            name if !names.contains(&name) => {}
            "edit" => edits(session, record, &paths, &spec, &mut narrowed),
            "read" => narrowed.push(with_path(&spec, &paths)),
            _ => narrowed.push(spec),
        }
    }
    narrowed
}

/// One spec for each file that the model has seen, its `old` a part of that file; then one for all others.
fn edits(session: &Session, record: &Record, paths: &[String], spec: &ToolSpec, narrowed: &mut Vec<ToolSpec>) {
    let mut bound: Vec<&RelPath> = Vec::new();
    for path in record.seen() {
        let Ok(file) = session.workspace.read(path) else { continue };
        if file.text.is_empty() || file.text.len() > MAX_TEXT {
            continue;
        }
        let mut own = with_path(spec, &[path.to_string()]);
        own.parameters["properties"]["old"]["x-substring-of"] = Value::from(file.text);
        narrowed.push(own);
        bound.push(path);
    }
    // A small model that has a file before it is not to change another one blindly.
    if bound.is_empty() || session.profile.workflow == super::profile::Workflow::Free {
        let others: Vec<String> =
            paths.iter().filter(|path| !bound.iter().any(|b| b.as_str() == path.as_str())).cloned().collect();
        if !others.is_empty() {
            narrowed.push(with_path(spec, &others));
        }
    }
}

/// Of these specs those that can be of one of `paths`, bound to them; all as they are where there are none.
pub(super) fn to_paths(specs: Vec<ToolSpec>, paths: &[RelPath]) -> Vec<ToolSpec> {
    if paths.is_empty() {
        return specs;
    }
    let bind = |spec: ToolSpec| {
        let known = spec.parameters["properties"]["path"]["enum"].as_array();
        let allowed = |path: &&RelPath| known.is_none_or(|known| known.contains(&json!(path.as_str())));
        let names: Vec<String> = paths.iter().filter(allowed).map(ToString::to_string).collect();
        (!names.is_empty()).then(|| with_path(&spec, &names))
    };
    specs.into_iter().filter_map(bind).collect()
}

fn with_path(spec: &ToolSpec, paths: &[String]) -> ToolSpec {
    let mut spec = spec.clone();
    if !paths.is_empty() && paths.len() <= MAX_PATHS {
        spec.parameters["properties"]["path"] = json!({ "type": "string", "enum": paths });
    }
    spec
}
