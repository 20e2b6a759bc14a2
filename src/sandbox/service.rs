//! Starts a program that stays and is spoken to over its standard input and output.

use std::io;
use std::os::fd::OwnedFd;
use std::path::Path;
use std::process::Stdio;

use tokio::process::{ChildStdin, ChildStdout};

use super::process::{environment, mark, on_thread, program};
use super::tree::{Ender, Tree};
use super::{CommandError, Sandbox};

/// A program to start.
#[derive(Debug, Clone)]
pub struct ServiceSpec<'a> {
    /// Absolute.
    pub program: &'a Path,
    pub args: &'a [&'a str],
    /// The folder to run it in.
    pub dir: &'a Path,
    /// What it may reach.
    pub sandbox: &'a Sandbox,
}

/// A program that runs. What it prints on standard error is thrown away.
pub struct Service {
    pub input: ChildStdin,
    pub output: ChildStdout,
    pub lease: Lease,
}

/// How long a program may run: dropping it ends the program with everything that it started.
pub struct Lease(#[expect(dead_code, reason = "it acts when it is dropped")] Ender);

/// Starts a program like a command: in the sandbox, behind the model and the user's programs in priority, and gone with all its
/// descendants when its lease is dropped or Moru itself is killed.
///
/// Must be called on a tokio runtime.
///
/// # Errors
/// It could not be started.
pub async fn start_service(spec: ServiceSpec<'_>) -> Result<Service, CommandError> {
    if !spec.dir.is_dir() {
        return Err(CommandError::NoFolder(spec.dir.into()));
    }
    let mut command = program(spec.program, spec.sandbox);
    command.args(spec.args).current_dir(spec.dir);
    environment(&mut command, spec.sandbox);
    let sandbox = spec.sandbox.clone();
    // Preparing the sandbox looks at files, and forking a process that holds a model takes a moment.
    let started = tokio::task::spawn_blocking(move || -> io::Result<_> {
        let (stdin, input) = io::pipe()?;
        let (output, stdout) = io::pipe()?;
        command.stdin(stdin).stdout(stdout).stderr(Stdio::null());
        let tree = Tree::start(command, &sandbox, mark())?;
        let lease = Lease(tree.ender());
        // Whoever waits for a process takes it off the system's list when it has ended, also where nobody wants it any more.
        drop(on_thread(move || tree.wait()));
        Ok((lease, OwnedFd::from(input), OwnedFd::from(output)))
    });
    let started = started.await.map_err(|error| CommandError::Start(io::Error::other(error)))?;
    let (lease, input, output) = started.map_err(CommandError::Start)?;
    Ok(Service {
        input: ChildStdin::from_std(input.into()).map_err(CommandError::Start)?,
        output: ChildStdout::from_std(output.into()).map_err(CommandError::Start)?,
        lease,
    })
}
