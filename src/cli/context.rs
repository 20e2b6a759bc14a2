//! `moru context`: what a request would be given to read.

use super::output::print;
use super::{Error, exec};
use crate::code::{Index, Request, Slice, estimate};

/// Show what a request would be given to read
#[derive(Debug, clap::Args)]
pub struct Args {
    /// What is asked; `-`, or nothing where something is piped in, reads it from standard input
    prompt: Option<String>,
    /// One JSON list, best first
    #[arg(long)]
    json: bool,
    /// Tokens at most, estimated
    #[arg(long, value_name = "TOKENS", default_value_t = 4000)]
    budget: usize,
}

/// Prints the slices.
///
/// # Errors
/// The request cannot be read.
pub fn run(args: &Args, index: &Index) -> Result<(), Error> {
    let request = Request { text: exec::given_or_piped(args.prompt.as_deref())?, ..Request::default() };
    let slices = index.context(&request, args.budget, &estimate);
    if args.json {
        let json = serde_json::to_string(&slices).map_err(|error| Error::Other(error.to_string()))?;
        print(&(json + "\n"));
    } else {
        print(&slices.iter().map(shown).collect::<String>());
    }
    Ok(())
}

/// A slice for a reader.
fn shown(slice: &Slice) -> String {
    let why = if slice.why.is_empty() { String::new() } else { format!("  ({})", slice.why) };
    let rendered = slice.render();
    let (head, text) = rendered.split_once('\n').unwrap_or((&rendered, ""));
    format!("{head}{why}\n{text}\n")
}
