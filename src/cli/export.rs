//! `moru export`: what past sessions teach, as data to train a model on. Nothing is written unless a file is named.

use std::collections::HashSet;
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use super::{Common, Error, output, setup};
use crate::config::Dirs;
use crate::session::export::{self, Example, Why};
use crate::session::log;
use crate::workspace::CheckpointId;

#[derive(Debug, clap::Args)]
pub struct Args {
    #[command(flatten)]
    common: Common,
    /// Write the examples to this file, one JSON object a line; `-` for stdout. Without it they are counted only.
    #[arg(long, short, value_name = "FILE")]
    out: Option<PathBuf>,
    /// Take the sessions of all folders, not of this one alone.
    #[arg(long)]
    all: bool,
}

/// Counts, and writes where it is told to.
///
/// # Errors
/// A log cannot be read, or the file not written.
pub fn run(args: &Args, dirs: &Dirs) -> Result<(), Error> {
    let folders = if args.all { log::folders(&dirs.state) } else { vec![setup::folder(&args.common)?] };
    let (mut all, mut sessions) = (Vec::new(), 0);
    for folder in &folders {
        let standing = standing(folder, dirs);
        for path in log::list(&dirs.state, folder) {
            let examples = export::examples(&log::read(&path)?, standing.as_ref());
            sessions += usize::from(!examples.is_empty());
            all.extend(examples);
        }
    }
    let secrets: usize = all.iter_mut().map(Example::redact).sum();
    let counts = counts(&all, sessions, secrets);
    match &args.out {
        None => output::print(&format!(
            "{counts}\nNothing was written. Name a file to write them to: moru export --out FILE\n"
        )),
        Some(file) => {
            write(file, &all).map_err(|e| Error::Other(format!("{} cannot be written: {e}", file.display())))?;
            output::say(&format!("{counts}\nWritten to {}. Look through it before you give it away.", file.display()));
        }
    }
    Ok(())
}

/// The changes of a folder that are made at present; what was undone is forgotten with the next change. Of a folder that is gone
/// nothing is known.
fn standing(folder: &Path, dirs: &Dirs) -> Option<HashSet<CheckpointId>> {
    let common = Common { cwd: Some(folder.to_owned()) };
    let checkpoints = setup::workspace(&common, dirs).ok()?.log().ok()?;
    Some(checkpoints.iter().filter(|checkpoint| !checkpoint.undone).map(|checkpoint| checkpoint.id).collect())
}

fn counts(examples: &[Example], sessions: usize, secrets: usize) -> String {
    let of = |why| examples.iter().filter(|example| example.why == why).count();
    format!(
        "{} edits of {sessions} sessions: {} stand, {} were refused, {} undone, {} failed their check; {secrets} secrets \
         taken out",
        examples.len(),
        of(Why::Stands),
        of(Why::Refused),
        of(Why::Undone),
        of(Why::CheckFailed),
    )
}

/// Writes one example a line. The file appears whole or not at all.
fn write(file: &Path, examples: &[Example]) -> io::Result<()> {
    let mut lines = String::new();
    for example in examples {
        lines += &serde_json::to_string(example)?;
        lines.push('\n');
    }
    if file == Path::new("-") {
        output::print(&lines);
        return Ok(());
    }
    let folder = file.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let mut whole = tempfile::NamedTempFile::new_in(folder)?;
    whole.write_all(lines.as_bytes())?;
    whole.as_file().sync_all()?;
    whole.persist(file)?;
    Ok(())
}
