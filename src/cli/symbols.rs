//! `moru symbols`: definitions by name.

use super::Error;
use super::output::{print, to_json};
use crate::code::{Index, Symbol};

/// Find definitions by name, the most alike first
#[derive(Debug, clap::Args)]
pub struct Args {
    /// A name, the beginning of one, or words that stand in it
    query: String,
    /// At most this many
    #[arg(long, value_name = "N", default_value_t = 50)]
    limit: usize,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

/// Prints the definitions.
///
/// # Errors
/// There is none like that.
pub fn run(args: &Args, index: &Index) -> Result<(), Error> {
    let found = index.symbols(&args.query, args.limit);
    if found.is_empty() {
        return Err(Error::Other(format!("no definition is called like `{}`; try a part of the name", args.query)));
    }
    print(&if args.json { to_json(&found) } else { found.iter().map(line).collect() });
    Ok(())
}

fn line(symbol: &Symbol) -> String {
    let Symbol { file, definition } = symbol;
    format!(
        "{file}:{}  {} {}  {}\n",
        definition.line,
        definition.kind.name(),
        definition.qualified(),
        definition.signature
    )
}
