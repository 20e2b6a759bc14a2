//! `moru diff`: what a change did.

use super::output::print;
use crate::workspace::{CheckpointId, Workspace, WorkspaceError};

/// Show what a change did, by default the last one that is not undone
#[derive(Debug, clap::Args)]
pub struct Args {
    /// A number from `moru log`
    id: Option<u64>,
}

pub fn run(args: &Args, workspace: &Workspace) -> Result<(), WorkspaceError> {
    print(&workspace.diff(args.id.map(CheckpointId))?);
    Ok(())
}
