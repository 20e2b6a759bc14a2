//! `moru map`: the signatures of a folder.

use super::Error;
use super::output::print;
use crate::code::{Index, estimate};
use crate::workspace::Workspace;

/// Show the signatures of a file or folder, those that others depend on first to come in
#[derive(Debug, clap::Args)]
pub struct Args {
    /// A file or a folder; everything without it
    path: Option<String>,
    /// Tokens at most, estimated
    #[arg(long, value_name = "TOKENS", default_value_t = 4000)]
    budget: usize,
}

/// Prints the map.
///
/// # Errors
/// The path leads out of the folder, or there is nothing with a signature.
pub fn run(args: &Args, index: &Index, workspace: &Workspace) -> Result<(), Error> {
    let path = workspace.resolve(args.path.as_deref().unwrap_or("."))?;
    let folder = if path.is_root() { "" } else { path.as_str() };
    let map = index.map(folder, args.budget, &estimate);
    if map.is_empty() {
        return Err(Error::Other(format!(
            "nothing in {path} has a signature that fits; name another path or raise --budget"
        )));
    }
    print(&map);
    Ok(())
}
