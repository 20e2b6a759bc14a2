//! `moru refs`: where a name is used.

use super::Error;
use super::undo::print;
use crate::code::{Confidence, Index, Reference};

/// Find the uses of a name, the surest first
#[derive(Debug, clap::Args)]
pub struct Args {
    /// As it is written in the code, with or without its scope
    name: String,
}

/// Prints the uses.
///
/// # Errors
/// There is none.
pub fn run(args: &Args, index: &Index) -> Result<(), Error> {
    let found = index.references(&args.name);
    if found.is_empty() {
        return Err(Error::Other(format!("nothing uses `{}`; `moru symbols` finds names that are like it", args.name)));
    }
    print(&found.iter().map(line).collect::<String>());
    Ok(())
}

fn line(reference: &Reference) -> String {
    let within = reference.within.as_ref().map(|within| format!("  in {within}")).unwrap_or_default();
    let doubt = if reference.confidence == Confidence::Name { "  (several have this name)" } else { "" };
    format!("{}:{}{within}{doubt}\n", reference.file, reference.line)
}
