//! Starts a command, collects what it prints, and sees to it that it ends.

use std::io::{PipeReader, Read};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use tokio::sync::oneshot;
use tokio_util::sync::CancellationToken;

use super::tree::{Report, Tree};
use super::{Output, Sandbox};

/// How long to wait for a command's tree after asking for its end, before giving up on it.
const FAREWELL: Duration = Duration::from_secs(8);

/// How long the output may lag behind the end of all processes that could write it.
const LAG: Duration = Duration::from_secs(1);

/// A command to run.
#[derive(Debug, Clone)]
pub struct CommandSpec<'a> {
    /// For the shell: `bash` where there is one, `sh` elsewhere.
    pub command: &'a str,
    /// The folder to run it in.
    pub dir: &'a Path,
    /// After which it is ended.
    pub timeout: Duration,
    /// What it may reach.
    pub sandbox: &'a Sandbox,
    /// Ends it.
    pub cancel: CancellationToken,
    /// Bound of the output's text, in bytes.
    pub output_limit: usize,
}

/// How a command ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum End {
    /// By itself, with this exit code.
    Exited(i32),
    /// By this signal.
    Signalled(i32),
    /// By its time limit.
    TimedOut,
    /// Because it was cancelled.
    Cancelled,
}

/// A command that has ended, with everything that it started.
#[derive(Debug, Clone, PartialEq)]
pub struct CommandEnd {
    pub end: End,
    /// Standard output and error in the order in which they came, cleaned and trimmed.
    pub output: String,
    pub elapsed: Duration,
    /// Processes that it had left running in the background, and that were ended.
    pub left: usize,
    /// Processes that could not be ended: they belong to another user, or hang in the kernel.
    pub survivors: usize,
}

/// Why a command could not be run.
#[derive(Debug, thiserror::Error)]
pub enum CommandError {
    #[error("the command could not be started: {0}")]
    Start(#[source] std::io::Error),
    #[error("the folder {0} is gone, so no command can run in it")]
    NoFolder(PathBuf),
    #[error("a command cannot contain a NUL character")]
    Nul,
}

/// Runs a command to its end: its own, its time limit's, or its cancellation's. Afterwards none of its processes is left,
/// whatever they did; the same holds when the future is dropped and when Moru itself is killed.
///
/// Must be called on a tokio runtime.
///
/// # Errors
/// It could not be started.
pub async fn run_command(spec: CommandSpec<'_>) -> Result<CommandEnd, CommandError> {
    if spec.command.contains('\0') {
        return Err(CommandError::Nul);
    }
    if !spec.dir.is_dir() {
        return Err(CommandError::NoFolder(spec.dir.into()));
    }
    let start = Instant::now();
    let (tree, pipe) = {
        // Preparing the sandbox looks at files, and forking a process that holds a model takes a moment.
        let (command, dir, sandbox) = (spec.command.to_owned(), spec.dir.to_owned(), spec.sandbox.clone());
        tokio::task::spawn_blocking(move || start_tree(&command, &dir, &sandbox))
            .await
            .map_err(|error| CommandError::Start(std::io::Error::other(error)))?
            .map_err(CommandError::Start)?
    };
    let ender = tree.ender();
    let output = Arc::new(Mutex::new(Some(Output::new(spec.output_limit))));
    let printed = collect(pipe, output.clone());
    let mut ended = on_thread(move || tree.wait());

    let mut cause = None;
    let mut report = tokio::select! {
        report = &mut ended => Some(report),
        () = tokio::time::sleep(spec.timeout) => { cause = Some(End::TimedOut); None }
        () = spec.cancel.cancelled() => { cause = Some(End::Cancelled); None }
    };
    if report.is_none() {
        ender.end();
        report = tokio::time::timeout(FAREWELL, ended).await.ok();
    }
    let report = match report {
        Some(Ok(Ok(report))) => report,
        Some(Ok(Err(error))) => return Err(CommandError::Start(error)),
        // The thread that waits is gone, or the tree does not end.
        Some(Err(_)) | None => Report { status: None, left: 0, survivors: 1 },
    };
    let _ = tokio::time::timeout(LAG, printed).await;
    let output = output.lock().unwrap_or_else(PoisonError::into_inner).take();
    let left = if cause.is_none() { report.left } else { 0 };
    let end = cause.unwrap_or_else(|| own_end(&report));
    Ok(CommandEnd {
        end,
        output: output.map(Output::text).unwrap_or_default(),
        elapsed: start.elapsed(),
        left: left as usize,
        survivors: report.survivors as usize,
    })
}

fn own_end(report: &Report) -> End {
    use std::os::unix::process::ExitStatusExt;
    match report.status {
        Some(status) => match (status.code(), status.signal()) {
            (Some(code), _) => End::Exited(code),
            (None, signal) => End::Signalled(signal.unwrap_or(libc::SIGKILL)),
        },
        None => End::Signalled(libc::SIGKILL),
    }
}

fn start_tree(command: &str, dir: &Path, sandbox: &Sandbox) -> std::io::Result<(Tree, PipeReader)> {
    // One pipe for both, so that they stay in order.
    let (reader, writer) = std::io::pipe()?;
    let mut process = shell(sandbox);
    process.arg("-c").arg(command).current_dir(dir);
    process.stdin(Stdio::null()).stdout(writer.try_clone()?).stderr(writer);
    environment(&mut process, sandbox);
    Ok((Tree::start(process, sandbox, mark())?, reader))
}

/// A name for the processes of one start, which no other has.
pub(super) fn mark() -> String {
    static RUNS: AtomicU64 = AtomicU64::new(0);
    format!("{}-{}", std::process::id(), RUNS.fetch_add(1, Ordering::Relaxed))
}

fn shell(sandbox: &Sandbox) -> Command {
    let bash = ["/bin/bash", "/usr/bin/bash", "/usr/local/bin/bash"].into_iter().find(|path| Path::new(path).exists());
    program(Path::new(bash.unwrap_or("/bin/sh")), sandbox)
}

/// A program with its arguments to come. Where the sandbox is a program too, that one runs it.
pub(super) fn program(path: &Path, sandbox: &Sandbox) -> Command {
    #[cfg(target_os = "macos")]
    return super::macos::confined(path, sandbox);
    #[cfg(not(target_os = "macos"))]
    {
        let _ = sandbox;
        Command::new(path)
    }
}

/// Nobody sits at this terminal: nothing is to be paged, coloured or asked.
pub(super) fn environment(process: &mut Command, sandbox: &Sandbox) {
    for (name, value) in [
        ("TERM", "dumb"),
        ("NO_COLOR", "1"),
        ("PAGER", "cat"),
        ("GIT_PAGER", "cat"),
        ("GIT_TERMINAL_PROMPT", "0"),
        ("GIT_EDITOR", "true"),
        ("DEBIAN_FRONTEND", "noninteractive"),
        // What a program that hangs had printed is seen only if it was not held back.
        ("PYTHONUNBUFFERED", "1"),
        // Byte code beside the sources would look like a change.
        ("PYTHONDONTWRITEBYTECODE", "1"),
    ] {
        process.env(name, value);
    }
    // What the user gave to Moru is not for what a model runs: the server's key, and an address that may have a password.
    for name in ["MORU_API_KEY", "MORU_ENGINE"] {
        process.env_remove(name);
    }
    if sandbox.is_on() {
        // Doors to helpers that act for the user outside the sandbox.
        for name in ["SSH_AUTH_SOCK", "SSH_AGENT_PID", "GPG_AGENT_INFO", "DBUS_SESSION_BUS_ADDRESS", "DOCKER_HOST"] {
            process.env_remove(name);
        }
    }
}

/// Reads the pipe to its end; what is received tells that it came.
fn collect(mut pipe: PipeReader, output: Arc<Mutex<Option<Output>>>) -> oneshot::Receiver<()> {
    on_thread(move || {
        let mut buffer = vec![0; 64 * 1024];
        loop {
            match pipe.read(&mut buffer) {
                Ok(0) => return,
                Ok(length) => match output.lock().unwrap_or_else(PoisonError::into_inner).as_mut() {
                    Some(output) => output.push(&buffer[..length]),
                    // The result has been handed over.
                    None => return,
                },
                Err(error) if error.kind() == std::io::ErrorKind::Interrupted => {}
                Err(_) => return,
            }
        }
    })
}

/// Runs `work` on a thread of its own. Not on tokio's pool, which a runtime waits for when it shuts down.
pub(super) fn on_thread<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> oneshot::Receiver<T> {
    let (sender, receiver) = oneshot::channel();
    // Where no thread can be had the sender is dropped, and the receiver learns of it.
    let _ = std::thread::Builder::new().name("command".into()).spawn(move || sender.send(work()));
    receiver
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_server_and_its_key_are_no_business_of_a_commands() {
        let mut process = Command::new("true");
        environment(&mut process, &Sandbox::off());
        for name in ["MORU_API_KEY", "MORU_ENGINE"] {
            assert!(process.get_envs().any(|(known, value)| known == name && value.is_none()), "{name}");
        }
    }
}
