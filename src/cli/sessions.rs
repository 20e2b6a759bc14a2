//! `moru sessions`: what was asked in this folder, to resume one by its name.

use super::{Common, Error, output, setup};
use crate::config::Dirs;
use crate::session::{Event, log};
use crate::tui::text::visible;

#[derive(Debug, clap::Args)]
pub struct Args {
    #[command(flatten)]
    common: Common,
}

/// Prints the sessions of the folder, oldest first.
///
/// # Errors
/// The folder or a log cannot be read.
pub fn run(args: &Args, dirs: &Dirs) -> Result<(), Error> {
    let folder = setup::folder(&args.common)?;
    for path in log::list(&dirs.state, &folder) {
        let events = log::read(&path)?;
        let prompts = events.iter().filter_map(|event| match event {
            Event::TurnStarted { prompt, .. } => Some(prompt.as_str()),
            _ => None,
        });
        let prompts: Vec<&str> = prompts.collect();
        let Some(first) = prompts.first().and_then(|prompt| prompt.lines().next()) else { continue };
        let name = path.file_stem().unwrap_or_default().to_string_lossy();
        output::print(&format!("{name}  {:>3} turns  {}\n", prompts.len(), visible(first)));
    }
    Ok(())
}
