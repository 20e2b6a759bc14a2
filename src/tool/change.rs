//! The frame of the tools that change a file: the change is planned for the question, made, and looked at for syntax errors and
//! names that nothing defines, then by the file's language server.

use std::path::Path;

use futures_util::future::BoxFuture;
use serde::de::DeserializeOwned;

use super::{Args, Context, Detail, Manifest, Observation, Plan, Tool, ToolError, args, blocking};
use crate::code::syntax::{self, SyntaxError};
use crate::code::{Undefined, elision, knows_scopes};
use crate::lsp::{Diagnostic, Findings};
use crate::permission::{Class, Permission};
use crate::workspace::{Applied, Edit, Patch, RelPath};

/// Errors that are shown; further ones mostly follow from these.
const ERRORS_SHOWN: usize = 3;
/// The same of those that a language server or the index finds, which take one line each.
const DIAGNOSTICS_SHOWN: usize = 5;

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
        let patch = plan(&edit, cx)?;
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
            let (verb, mean, context) = (self.manifest.name.clone(), self.mean, cx.clone());
            let made = blocking(move || {
                let (path, edit) = mean(arguments, &context)?;
                let patch = patch.map_or_else(|| plan(&edit, &context), Ok)?;
                make(&verb, path, patch, &context)
            });
            Ok(observe(self.done, made.await?, cx).await)
        })
    }
}

/// The change that an edit makes, unless it leaves out what stands in the file.
fn plan(edit: &Edit, cx: &Context) -> Result<Patch, ToolError> {
    let path = edit.path();
    let (old, new) = match edit {
        Edit::Write { content, .. } => {
            (cx.workspace.read(path).map(|file| file.text).unwrap_or_default(), content.as_str())
        }
        Edit::Replace { old, new, .. } => (old.clone(), new.as_str()),
        Edit::Delete { .. } => (String::new(), ""),
    };
    if let Some((line, remark)) = elision(path.as_str(), &old, new) {
        return Err(ToolError(format!(
            "Line {line} (`{remark}`) stands for text that was left out; {path} was not changed. Give every line, or edit a \
             smaller part of the file."
        )));
    }
    Ok(cx.workspace.plan(edit)?)
}

/// A change that was made.
struct Made {
    path: RelPath,
    applied: Applied,
    /// The file's text; `None` where there was none.
    before: Option<String>,
    after: String,
    errors: Vec<SyntaxError>,
    undefined: Vec<Undefined>,
}

fn make(verb: &str, path: RelPath, patch: Patch, cx: &Context) -> Result<Made, ToolError> {
    let before = cx.workspace.read(&path).ok().map(|file| file.text);
    let applied = cx.workspace.apply(patch, &format!("{verb} {}", path.as_str()))?;
    let after = cx.workspace.read(&path).map(|file| file.text).unwrap_or_default();
    let errors = syntax::new_errors(Path::new(path.as_str()), before.as_deref(), &after);
    let undefined = if knows_scopes(path.as_str()) {
        cx.index.ask(&cx.workspace, |index| index.new_undefined(path.as_str(), before.as_deref(), &after))
    } else {
        Vec::new()
    };
    Ok(Made { path, applied, before, after, errors, undefined })
}

/// What came of a change. `done` begins the sentence for the model (`Edited`).
async fn observe(done: &str, made: Made, cx: &Context) -> Observation {
    let Made { path, applied, before, after, errors, undefined } = made;
    // What a language server says of a text that is no program follows from that.
    let asked = errors.is_empty();
    let found =
        if asked { cx.servers.changed(path.as_str(), before.as_deref(), &after, &cx.cancel).await } else { None };
    let (added, removed) = lines_changed(&applied.diff);
    let diagnostics = found.as_ref().map_or(0, |found| found.errors.len());
    let mut text = report(done, &path, &applied, (added, removed), &errors);
    match found {
        // A server sees more than the index.
        Some(found) => text.push_str(&describe(&path, &found)),
        None => text.push_str(&listed("This uses what nothing defines. Define or import it:", &undefined)),
    }
    let detail = Detail::Change { added, removed, errors: errors.len(), diagnostics, undefined: undefined.len() };
    Observation { text, detail, applied: Some(applied) }
}

/// What a language server found.
fn describe(path: &RelPath, found: &Findings) -> String {
    let heading = format!("This brought in an error that {} finds. Fix it:", found.server);
    let told = |error: &Diagnostic| format!("{}:{}: {}", path.as_str(), error.line, error.message);
    listed(&heading, &found.errors.iter().map(told).collect::<Vec<_>>())
}

/// A line each below a heading; nothing where there is nothing to list.
fn listed(heading: &str, errors: &[impl ToString]) -> String {
    if errors.is_empty() {
        return String::new();
    }
    let mut text = format!("\n{heading}");
    for error in errors.iter().take(DIAGNOSTICS_SHOWN) {
        text.push_str(&format!("\n{}", error.to_string()));
    }
    let more = errors.len().saturating_sub(DIAGNOSTICS_SHOWN);
    if more > 0 {
        text.push_str(&format!("\n… and {more} more"));
    }
    text
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
