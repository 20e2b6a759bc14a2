//! The frame of the tools that change a file: the change is planned for the question, made, and looked at for syntax errors.

use std::path::Path;

use futures_util::future::BoxFuture;
use serde::de::DeserializeOwned;

use super::{Args, Context, Detail, Manifest, Observation, Plan, Tool, ToolError, args, blocking};
use crate::code::syntax::{self, SyntaxError};
use crate::permission::{Class, Permission};
use crate::workspace::{Applied, Edit, Patch, RelPath};

/// Errors that are shown; further ones mostly follow from these.
const ERRORS_SHOWN: usize = 3;

/// The file, and what is to be done to it.
pub(super) type Meant = Result<(RelPath, Edit), ToolError>;

/// A tool that changes one file, with arguments of type `A`.
pub(super) struct Change<A> {
    pub manifest: Manifest,
    /// Begins the sentence for the model (`Edited`).
    pub done: &'static str,
    /// What the arguments mean for the file as it is.
    pub mean: fn(A, &Context) -> Meant,
}

impl<A: DeserializeOwned + Send + 'static> Tool for Change<A> {
    fn spec(&self) -> &Manifest {
        &self.manifest
    }

    fn plan(&self, args: &Args, cx: &Context) -> Result<Plan, ToolError> {
        let (path, edit) = (self.mean)(args::parse(&self.manifest, args)?, cx)?;
        let patch = cx.workspace.plan(&edit)?;
        let summary = format!("{} {}", self.manifest.name, path.as_str());
        let permission = Permission { class: Class::Edit, summary, diff: Some(patch.diff.clone()) };
        Ok(Plan { permission, patch: Some(patch) })
    }

    /// Makes the planned change, or where none was planned what the arguments mean, on a thread that may wait for the disk.
    fn run<'a>(
        &'a self,
        args: &'a Args,
        patch: Option<Patch>,
        cx: &'a Context,
    ) -> BoxFuture<'a, Result<Observation, ToolError>> {
        Box::pin(async move {
            let arguments: A = args::parse(&self.manifest, args)?;
            let (verb, done, mean, cx) = (self.manifest.name.clone(), self.done, self.mean, cx.clone());
            blocking(move || {
                let (path, edit) = mean(arguments, &cx)?;
                let patch = patch.map_or_else(|| cx.workspace.plan(&edit), Ok)?;
                make(&verb, done, &path, patch, &cx)
            })
            .await
        })
    }
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
