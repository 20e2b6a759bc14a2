//! `moru exec`: one request from start to end. Progress goes to stderr, the answer to stdout.

use std::io::{IsTerminal, Read, Write};
use std::process::ExitCode;

use tokio::signal::unix::{SignalKind, signal};

use super::setup::{self, Begin};
use super::{Error, SessionOptions};
use crate::config::{Dirs, Effort};
use crate::permission::{Decision, Mode, Permission};
use crate::session::{Change, Event, Handle, Input, Outcome};
use crate::tool::Detail;
use crate::tui::text::visible;

/// Exit code after an interruption: 128 + SIGINT, as shells have it.
const INTERRUPTED: u8 = 130;

#[derive(Debug, clap::Args)]
pub struct Args {
    /// What is to be done; `-`, or nothing where something is piped in, reads it from standard input.
    prompt: Option<String>,
    #[command(flatten)]
    session: SessionOptions,
    /// Print every event as a line of JSON.
    #[arg(long)]
    json: bool,
    /// Allow edits and commands without asking.
    #[arg(long, short)]
    yes: bool,
    /// Show the changes as a diff and make none.
    #[arg(long)]
    dry_run: bool,
    /// A command that must succeed after the last edit; its failure goes back to the model.
    #[arg(long, value_name = "COMMAND")]
    check: Option<String>,
    /// How much to try where a check fails.
    #[arg(long, value_enum)]
    effort: Option<Effort>,
    /// Seconds after which no further try at a change begins.
    #[arg(long, value_name = "SECONDS")]
    budget: Option<u64>,
    /// Model calls at most.
    #[arg(long, value_name = "N")]
    max_steps: Option<usize>,
}

/// Runs the command.
///
/// # Errors
/// The session cannot begin.
pub fn run(args: Args, dirs: &Dirs, offline: bool) -> Result<ExitCode, Error> {
    let prompt = prompt(args.prompt.as_deref())?;
    let mut config = args.session.config(dirs, offline)?;
    if args.yes || args.dry_run {
        config.mode = Mode::Yes;
    }
    if let Some(check) = args.check {
        config.check = Some(check);
        config.trust_check = true;
    }
    config.effort = args.effort.unwrap_or(config.effort);
    config.budget = args.budget.or(config.budget);
    config.max_steps = args.max_steps.unwrap_or(config.max_steps);
    let interactive = std::io::stdin().is_terminal() && std::io::stderr().is_terminal();
    let begin = Begin { resume: args.session.resume.clone(), dry_run: args.dry_run, interactive };
    let show = if args.json { Show::Json } else { Show::Text { diffs: args.dry_run } };
    let runtime = setup::runtime()?;
    let code = runtime.block_on(async {
        let ready = setup::session(&config, dirs, &args.session.common, &begin).await?;
        for notice in &ready.notices {
            tell(&format!("moru: {notice}"));
        }
        follow(ready.session.start(), prompt, show).await
    });
    // A command that will not die must not keep the program from ending.
    runtime.shutdown_background();
    code
}

fn prompt(given: Option<&str>) -> Result<String, Error> {
    let text = given_or_piped(given)?;
    if text.is_empty() {
        return Err(Error::Usage("the prompt is empty; say what is to be done: moru exec \"…\"".into()));
    }
    Ok(text)
}

/// A request from the command line, or from standard input where that is asked for (`-`) or something is piped in.
pub(super) fn given_or_piped(given: Option<&str>) -> Result<String, Error> {
    let mut text = match given {
        None if std::io::stdin().is_terminal() => String::new(),
        None | Some("-") => {
            let mut bytes = Vec::new();
            let read = std::io::stdin().read_to_end(&mut bytes);
            read.map_err(|e| Error::Usage(format!("the prompt cannot be read from standard input: {e}")))?;
            String::from_utf8_lossy(&bytes).into_owned()
        }
        Some(text) => text.to_owned(),
    };
    text.truncate(text.trim_end().len());
    Ok(text)
}

/// What goes to stdout.
#[derive(Debug, Clone, Copy)]
enum Show {
    Json,
    /// The answer, and in a dry run the changes.
    Text {
        diffs: bool,
    },
}

/// Sends the request and follows its events to the end.
async fn follow(mut handle: Handle, prompt: String, show: Show) -> Result<ExitCode, Error> {
    let code = follow_turn(&mut handle, prompt, show).await;
    handle.close().await;
    code
}

async fn follow_turn(handle: &mut Handle, prompt: String, show: Show) -> Result<ExitCode, Error> {
    let failed = |e: std::io::Error| Error::Other(format!("signals cannot be watched: {e}"));
    let mut interrupts = signal(SignalKind::interrupt()).map_err(failed)?;
    let mut terminations = signal(SignalKind::terminate()).map_err(failed)?;
    let mut interrupted = false;
    let (answer, mut answers) = tokio::sync::mpsc::unbounded_channel();
    let _ = handle.inputs.send(Input::Prompt(prompt));
    loop {
        let next = tokio::select! {
            event = handle.events.recv() => Next::Event(event),
            Some((id, decision)) = answers.recv() => Next::Answer(id, decision),
            _ = interrupts.recv() => Next::Signal,
            _ = terminations.recv() => Next::Signal,
        };
        match next {
            Next::Event(Some(event)) => {
                print(&event, show)?;
                match event {
                    Event::PermissionAsked { id, permission } => {
                        let answer = answer.clone();
                        // A thread of its own: it waits for the keyboard, and signals must be seen meanwhile.
                        std::thread::spawn(move || answer.send((id, ask(&permission))));
                    }
                    Event::TurnEnded { outcome, .. } => return Ok(code(outcome)),
                    _ => {}
                }
            }
            Next::Event(None) => {
                return Err(Error::Other("the session ended without a word; its reasons are in the log".into()));
            }
            Next::Answer(id, decision) => {
                let _ = handle.inputs.send(Input::Answer { id, decision });
            }
            Next::Signal if interrupted => return Ok(ExitCode::from(INTERRUPTED)),
            Next::Signal => {
                interrupted = true;
                let _ = handle.inputs.send(Input::Interrupt);
            }
        }
    }
}

/// What the loop waits for.
enum Next {
    Event(Option<Event>),
    /// The user's answer to a question.
    Answer(String, Decision),
    /// SIGINT or SIGTERM.
    Signal,
}

fn code(outcome: Outcome) -> ExitCode {
    match outcome {
        Outcome::Done => ExitCode::SUCCESS,
        Outcome::NotDone => ExitCode::FAILURE,
        Outcome::Interrupted => ExitCode::from(INTERRUPTED),
    }
}

/// Asks on the terminal.
fn ask(permission: &Permission) -> Decision {
    if let Some(diff) = &permission.diff {
        tell(diff.trim_end());
    }
    // What is shown here is what is allowed: no escape sequence may make it look like something else.
    let _ = write!(std::io::stderr(), "{}? [y]es, [a]lways, or no with a reason: ", visible(&permission.summary));
    let _ = std::io::stderr().flush();
    let mut line = String::new();
    let read = std::io::stdin().read_line(&mut line);
    match (read, line.trim().to_lowercase().as_str()) {
        (Ok(1..), "y" | "yes") => Decision::Once,
        (Ok(1..), "a" | "always") => Decision::Always,
        (_, "n" | "no") => Decision::No(String::new()),
        _ => Decision::No(line.trim().to_owned()),
    }
}

fn print(event: &Event, show: Show) -> Result<(), Error> {
    let printed = match show {
        Show::Json => print_json(event),
        Show::Text { diffs } => print_text(event, diffs),
    };
    match printed {
        // Whoever reads has enough.
        Err(error) if error.kind() == std::io::ErrorKind::BrokenPipe => Ok(()),
        other => other.map_err(|e| Error::Other(format!("the output cannot be written: {e}"))),
    }
}

fn print_json(event: &Event) -> std::io::Result<()> {
    let line = serde_json::to_string(event)?;
    let mut out = std::io::stdout().lock();
    writeln!(out, "{line}")?;
    out.flush()
}

fn print_text(event: &Event, diffs: bool) -> std::io::Result<()> {
    match event {
        Event::CallProposed { call, summary } if summary.starts_with(&call.name) => tell(&format!("· {summary}")),
        Event::CallProposed { call, summary } => tell(&format!("· {} {summary}", call.name)),
        Event::CallFinished { detail: Detail::Change { errors, diagnostics, undefined, .. }, output, .. }
            if errors + diagnostics + undefined > 0 =>
        {
            output.lines().skip(1).for_each(|line| tell(&format!("  {line}")));
        }
        Event::CallFinished { ok: false, output, .. } => tell(&format!("  failed: {}", first_line(output))),
        Event::Edited { diff, .. } if diffs => return write_out(diff),
        Event::Edited { change: Change::Undo, .. } => tell("  taken back"),
        Event::Edited { files, checkpoint, .. } => tell(&format!("  changed {} (#{})", files.join(", "), checkpoint.0)),
        Event::Checked { command, passed, seconds, .. } => {
            tell(&format!("· {command}: {} in {seconds:.1} s", if *passed { "passes" } else { "fails" }));
        }
        Event::Notice { text } => tell(&format!("moru: {text}")),
        Event::Compacted { before, after } => {
            tell(&format!("moru: older messages were left out ({before} → {after} tokens)"));
        }
        Event::Failed { message } => tell(&format!("moru: {message}")),
        Event::TurnEnded { report, answer, seconds, .. } => {
            tell(&format!("· {report} ({seconds:.1} s)"));
            if !answer.is_empty() {
                return write_out(&format!("{answer}\n"));
            }
        }
        _ => {}
    }
    Ok(())
}

/// A line of progress. Whoever has closed stderr does not want it.
fn tell(text: &str) {
    let _ = writeln!(std::io::stderr(), "{}", visible(text));
}

/// The answer goes out as it is into a pipe or file, and without what a terminal would act on to a terminal.
fn write_out(text: &str) -> std::io::Result<()> {
    let mut out = std::io::stdout().lock();
    if out.is_terminal() {
        out.write_all(visible(text).as_bytes())?
    } else {
        out.write_all(text.as_bytes())?
    }
    out.flush()
}

fn first_line(text: &str) -> &str {
    text.lines().next().unwrap_or_default()
}
