//! What `edit` and `write` share: the change is planned for the question, made, and looked at for syntax errors.

use std::path::Path;

use super::{Context, Detail, Observation, Plan, ToolError, blocking};
use crate::code::syntax::{self, SyntaxError};
use crate::permission::{Class, Permission};
use crate::workspace::{Applied, Edit, Patch, RelPath};

/// Errors that are shown; further ones mostly follow from these.
const ERRORS_SHOWN: usize = 3;

/// What making `edit` asks for. `verb` is the tool's name.
pub(super) fn plan(verb: &str, path: &RelPath, edit: &Edit, cx: &Context) -> Result<Plan, ToolError> {
    let patch = cx.workspace.plan(edit)?;
    let diff = Some(patch.diff.clone());
    let permission = Permission { class: Class::Edit, summary: format!("{verb} {}", path.as_str()), diff };
    Ok(Plan { permission, patch: Some(patch) })
}

/// Makes the planned change, or where none was planned what `mean` says, on a thread that may wait for the disk.
pub(super) async fn run(
    verb: &str,
    done: &'static str,
    patch: Option<Patch>,
    cx: &Context,
    mean: impl FnOnce(&Context) -> Result<(RelPath, Edit), ToolError> + Send + 'static,
) -> Result<Observation, ToolError> {
    let (verb, cx) = (verb.to_owned(), cx.clone());
    blocking(move || {
        let (path, edit) = mean(&cx)?;
        let patch = patch.map_or_else(|| cx.workspace.plan(&edit), Ok)?;
        make(&verb, done, &path, patch, &cx)
    })
    .await
}

/// Makes the change. `done` begins the sentence for the model (`Edited`).
fn make(verb: &str, done: &str, path: &RelPath, patch: Patch, cx: &Context) -> Result<Observation, ToolError> {
    let before = cx.workspace.read(path).ok().map(|file| file.text);
    let applied = cx.workspace.apply(patch, &format!("{verb} {}", path.as_str()))?;
    let after = cx.workspace.read(path).map(|file| file.text).unwrap_or_default();
    let (added, removed) = lines_changed(&applied.diff);
    let errors = syntax::new_errors(Path::new(path.as_str()), before.as_deref(), &after);
    let detail = Detail::Change { added, removed, errors: errors.len() };
    let text = report(done, path, &applied, (added, removed), &errors);
    Ok(Observation { text, detail, applied: Some(applied) })
}

fn report(
    done: &str,
    path: &RelPath,
    applied: &Applied,
    (added, removed): (usize, usize),
    errors: &[SyntaxError],
) -> String {
    let mut text = format!("{done} {} (+{added} -{removed} lines).", path.as_str());
    if applied.merged {
        text.push_str(" The file had been changed meanwhile; both changes are in it now.");
    }
    if !errors.is_empty() {
        text.push_str("\nThis brought in a syntax error. Fix it:");
        for error in errors.iter().take(ERRORS_SHOWN) {
            text.push_str(&format!("\n{error}"));
        }
    }
    text
}

/// Lines added and removed by a unified diff.
fn lines_changed(diff: &str) -> (usize, usize) {
    let (mut added, mut removed, mut in_hunk) = (0, 0, false);
    for line in diff.lines() {
        match line.as_bytes().first() {
            Some(b'@') => in_hunk = true,
            Some(b'd') => in_hunk = false,
            Some(b'+') if in_hunk => added += 1,
            Some(b'-') if in_hunk => removed += 1,
            _ => {}
        }
    }
    (added, removed)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_diff_is_counted() {
        let diff =
            "diff --git a/a b/a\nindex 1..2 100644\n--- a/a\n+++ b/a\n@@ -1,3 +1,3 @@\n one\n--- two\n+++ 2\n+3\n";
        assert_eq!(lines_changed(diff), (2, 1));
        assert_eq!(lines_changed(""), (0, 0));
    }
}
