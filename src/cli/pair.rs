//! `moru`: the terminal UI.

use std::io::IsTerminal;
use std::sync::Arc;

use super::setup::{self, Begin};
use super::{Error, SessionOptions};
use crate::config::Dirs;
use crate::session::{Event, Input};
use crate::tui::{self, Colour, Opening};

/// Files, and definitions in them, that are offered for completion at most.
const FILES: usize = 20_000;
const DEFINITIONS: usize = 100_000;

#[derive(Debug, clap::Args)]
pub struct Args {
    /// A first request.
    prompt: Option<String>,
    #[command(flatten)]
    session: SessionOptions,
}

/// Opens the terminal UI.
///
/// # Errors
/// There is no terminal, or the session cannot begin.
pub fn run(args: Args, dirs: &Dirs, offline: bool) -> Result<(), Error> {
    if !std::io::stdin().is_terminal() || !std::io::stdout().is_terminal() {
        return Err(Error::Usage("there is no terminal to open in; use `moru exec` for requests without one".into()));
    }
    let config = args.session.config(dirs, offline)?;
    eprintln!("moru: {} …", setup::loading(&config));
    let begin = Begin { resume: args.session.resume.clone(), dry_run: false, interactive: true };
    let runtime = setup::runtime()?;
    let result = runtime.block_on(async {
        let ready = setup::session(&config, dirs, &args.session.common, &begin).await?;
        let (workspace, index) = (ready.session.workspace.clone(), ready.session.settings.index.clone());
        let info = ready.session.engine.info().clone();
        let mut past = ready.past;
        past.extend(ready.notices.into_iter().map(|text| Event::Notice { text }));
        let repository = workspace.clone();
        let opening = Opening {
            model: info.name,
            context: info.context,
            workspace: workspace.root().display().to_string(),
            branch: Arc::new(move || repository.branch()),
            mode: config.mode,
            past,
            files: Arc::new(move |tell| {
                let mut names: Vec<String> = workspace.files(FILES).iter().map(ToString::to_string).collect();
                tell(names.clone());
                names.extend(index.ask(&workspace, |index| index.places(DEFINITIONS)));
                tell(names);
            }),
            history: Some(dirs.state.join("history")),
            colour: if std::env::var_os("NO_COLOR").is_some_and(|v| !v.is_empty()) { Colour::Off } else { Colour::On },
        };
        let handle = ready.session.start();
        if let Some(prompt) = args.prompt {
            let _ = handle.inputs.send(Input::Prompt(prompt));
        }
        tui::run(handle, opening).await.map_err(Error::from)
    });
    runtime.shutdown_background();
    result
}
