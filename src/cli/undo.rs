//! `moru undo`: takes changes back.

use super::output;
use crate::workspace::{Applied, RelPath, Workspace, WorkspaceError};

/// Take back the last changes
#[derive(Debug, clap::Args)]
pub struct Args {
    /// How many
    #[arg(value_name = "N", default_value_t = 1, value_parser = clap::value_parser!(u32).range(1..))]
    count: u32,
}

pub fn run(args: &Args, workspace: &Workspace) -> Result<(), WorkspaceError> {
    report("undid", &workspace.undo(args.count as usize)?);
    Ok(())
}

/// One sentence on what was undone or redone.
pub(super) fn report(verb: &str, changes: &[Applied]) {
    let mut files: Vec<&RelPath> = changes.iter().flat_map(|change| &change.files).collect();
    files.sort();
    files.dedup();
    let files = match files.as_slice() {
        [] => "no file had to change".to_owned(),
        files => files.iter().map(|file| file.as_str()).collect::<Vec<_>>().join(", "),
    };
    let count = changes.len();
    let noun = if count == 1 { "change" } else { "changes" };
    let merged = if changes.iter().any(|change| change.merged) { " (merged with later changes)" } else { "" };
    output::print(&format!("{verb} {count} {noun}: {files}{merged}\n"));
}
