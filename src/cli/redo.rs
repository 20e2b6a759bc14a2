//! `moru redo`: makes undone changes again.

use super::undo::report;
use crate::workspace::{Workspace, WorkspaceError};

/// Make the last undone changes again
#[derive(Debug, clap::Args)]
pub struct Args {
    /// How many
    #[arg(value_name = "N", default_value_t = 1, value_parser = clap::value_parser!(u32).range(1..))]
    count: u32,
}

pub fn run(args: &Args, workspace: &Workspace) -> Result<(), WorkspaceError> {
    report("redid", &workspace.redo(args.count as usize)?);
    Ok(())
}
