//! `moru refs`: where a name is used.

use super::Error;
use super::output::{print, to_json};
use crate::code::{Confidence, Index, Reference};

/// Find the uses of a name, the surest first
#[derive(Debug, clap::Args)]
pub struct Args {
    /// As it is written in the code, with or without its scope
    name: String,
    /// Print JSON: how sure each use is, too
    #[arg(long)]
    json: bool,
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
    print(&if args.json { to_json(&found) } else { found.iter().map(line).collect() });
    Ok(())
}

fn line(reference: &Reference) -> String {
    let within = reference.within.as_ref().map(|within| format!("  in {within}")).unwrap_or_default();
    let doubt = match (&reference.definition, reference.confidence) {
        (Some(definition), _) => format!("  (of {definition})"),
        (None, Confidence::Name) => "  (several have this name)".into(),
        (None, _) => "  (by its name)".into(),
    };
    format!("{}:{}{within}{doubt}\n", reference.file, reference.line)
}
