//! `run`: a shell command in the workspace's root.

use futures_util::future::BoxFuture;
use serde::Deserialize;

use super::{Args, Context, Detail, Manifest, Observation, Plan, Tool, ToolError, args, blocking};
use crate::permission::{Class, Permission};
use crate::sandbox::{CommandEnd, CommandSpec, End, Sandbox, run_command};
use crate::workspace::{Applied, Patch};

/// Characters of a command in the label of what it changed.
const LABEL: usize = 60;

/// The tool.
pub(super) struct Run(Manifest);

#[derive(Debug, Clone, Deserialize)]
struct Arguments {
    command: String,
}

impl Run {
    pub fn new() -> Self {
        Self(super::embedded(include_str!("../../tools/run.toml")))
    }

    fn command(&self, args: &Args, cx: &Context) -> Result<String, ToolError> {
        let Arguments { command } = args::parse(&self.0, args)?;
        if command.trim().is_empty() {
            return Err(ToolError("`command` is empty.".into()));
        }
        if cx.workspace.is_dry_run() {
            return Err(ToolError(
                "Commands are not run now: this is a dry run, which changes nothing on disk. Go on without.".into(),
            ));
        }
        Ok(command.trim().to_owned())
    }
}

impl Tool for Run {
    fn spec(&self) -> &Manifest {
        &self.0
    }

    /// The summary is the command, to the letter: what the user has allowed for good is compared with it.
    fn plan(&self, args: &Args, cx: &Context) -> Result<Plan, ToolError> {
        Ok(Permission { class: Class::Run, summary: self.command(args, cx)?, diff: None }.into())
    }

    fn run<'a>(
        &'a self,
        args: &'a Args,
        _patch: Option<Patch>,
        cx: &'a Context,
    ) -> BoxFuture<'a, Result<Observation, ToolError>> {
        Box::pin(async move {
            let command = self.command(args, cx)?;
            let workspace = cx.workspace.clone();
            let before = blocking(move || Ok(workspace.snapshot()?)).await?;
            let ended = run_command(CommandSpec {
                command: &command,
                dir: cx.workspace.root(),
                timeout: cx.command_timeout,
                sandbox: &cx.sandbox,
                cancel: cx.cancel.clone(),
                // For the lines around it.
                output_limit: cx.output_limit.saturating_sub(200),
            })
            .await;
            let ended = ended.map_err(|error| ToolError(super::sentence(&error.to_string())))?;
            let (workspace, label) = (cx.workspace.clone(), label(&command));
            let recorded = blocking(move || Ok(workspace.record(&before, &label)?)).await;
            let mut text = report(&ended, &cx.sandbox, cx.command_timeout.as_secs());
            let applied = recorded.unwrap_or_else(|error| {
                text.push_str(&format!("\nWhat it changed could not be recorded for undo: {error}"));
                None
            });
            if let Some(applied) = &applied {
                text.push_str(&format!("\n{}", changed(applied)));
            }
            let code = if let End::Exited(code) = ended.end { Some(code) } else { None };
            let timed_out = ended.end == End::TimedOut;
            let detail = Detail::Exit { code, timed_out, seconds: ended.elapsed.as_secs_f64() };
            Ok(Observation { text, detail, applied })
        })
    }
}

fn label(command: &str) -> String {
    let line = command.lines().next().unwrap_or_default();
    match line.char_indices().nth(LABEL) {
        Some((end, _)) => format!("run {}…", &line[..end]),
        None => format!("run {line}"),
    }
}

/// How the command ended and what it printed, for the model.
fn report(ended: &CommandEnd, sandbox: &Sandbox, limit: u64) -> String {
    let mut text = match ended.end {
        End::Exited(0) => "It succeeded (exit code 0).".to_owned(),
        End::Exited(126) => "It failed (exit code 126: not executable).".to_owned(),
        End::Exited(127) => "It failed (exit code 127: command not found).".to_owned(),
        End::Exited(code) => format!("It failed (exit code {code})."),
        End::Signalled(signal) => format!("It was ended by signal {}.", signal_name(signal)),
        End::TimedOut => format!(
            "It did not finish within {limit} s and was ended. It may loop for ever, or wait for input that never comes."
        ),
        End::Cancelled => "It was interrupted by the user.".to_owned(),
    };
    if ended.output.is_empty() {
        text.push_str(" It printed nothing.");
    } else {
        text.push_str(" Output:\n");
        text.push_str(&ended.output);
    }
    if ended.left > 0 {
        let plural = if ended.left == 1 { "process" } else { "processes" };
        text.push_str(&format!("\nIt left {} {plural} running in the background; they were ended.", ended.left));
    }
    if ended.survivors > 0 {
        text.push_str("\nSome of its processes could not be ended.");
    }
    if let Some(hint) = restriction(ended, sandbox) {
        text.push_str(&format!("\n{hint}"));
    }
    text
}

/// What the sandbox may have to do with a failure. Programs report it in many ways, none of which names a sandbox.
fn restriction(ended: &CommandEnd, sandbox: &Sandbox) -> Option<&'static str> {
    const NETWORK: &[&str] = &[
        "resolve host",
        "name resolution",
        "resolve hostname",
        "NewConnectionError",
        "network is unreachable",
        "dns error",
    ];
    if ended.end == End::Exited(0) || !sandbox.is_on() {
        return None;
    }
    if !sandbox.network() && NETWORK.iter().any(|sign| ended.output.contains(sign)) {
        return Some("Commands have no network here.");
    }
    let denied = ["Permission denied", "PermissionError"].iter().any(|sign| ended.output.contains(sign));
    denied.then_some("Commands can write only in the workspace and in temporary folders.")
}

fn signal_name(signal: i32) -> String {
    let name = match signal {
        1 => "HUP",
        2 => "INT",
        4 => "ILL",
        6 => "ABRT",
        8 => "FPE",
        9 => "KILL",
        11 => "SEGV",
        13 => "PIPE",
        15 => "TERM",
        _ => return signal.to_string(),
    };
    format!("{signal} (SIG{name})")
}

/// Which files the command changed; the diff is for the user.
fn changed(applied: &Applied) -> String {
    const NAMED: usize = 5;
    let names: Vec<&str> = applied.files.iter().take(NAMED).map(|file| file.as_str()).collect();
    let more = applied.files.len().saturating_sub(NAMED);
    let rest = if more > 0 { format!(" and {more} more") } else { String::new() };
    format!("It changed {}{rest}.", names.join(", "))
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    fn ended(end: End, output: &str, left: usize) -> CommandEnd {
        CommandEnd { end, output: output.into(), elapsed: Duration::ZERO, left, survivors: 0 }
    }

    #[test]
    fn the_end_is_said_in_words() {
        for (end, expected) in [
            (ended(End::Exited(0), "", 0), "It succeeded (exit code 0). It printed nothing."),
            (ended(End::Exited(1), "no", 0), "It failed (exit code 1). Output:\nno"),
            (ended(End::Exited(127), "x", 0), "It failed (exit code 127: command not found). Output:\nx"),
            (ended(End::Signalled(11), "", 0), "It was ended by signal 11 (SIGSEGV). It printed nothing."),
            (
                ended(End::TimedOut, "1\n2", 0),
                "It did not finish within 60 s and was ended. It may loop for ever, or wait for input that never comes. Output:\n1\n2",
            ),
            (
                ended(End::Exited(0), "up", 2),
                "It succeeded (exit code 0). Output:\nup\nIt left 2 processes running in the background; they were ended.",
            ),
        ] {
            assert_eq!(report(&end, &Sandbox::off(), 60), expected);
        }
    }

    #[test]
    fn labels_are_short() {
        assert_eq!(label("make\nmake install"), "run make");
        assert_eq!(label(&"é".repeat(100)), format!("run {}…", "é".repeat(60)));
    }
}
