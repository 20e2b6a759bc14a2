//! Ends a command with its process group, where there is no child subreaper. What makes a session of its own escapes.

use std::io;
use std::os::unix::process::CommandExt;
use std::process::{Child, Command, ExitStatus};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal};

use super::{Guard, Sandbox};

/// The environment variable that marks all processes of one command.
pub(super) const MARK: &str = "MORU_RUN_ID";

/// From SIGTERM to SIGKILL.
const GRACE: Duration = Duration::from_millis(1000);
const BEAT: Duration = Duration::from_millis(20);

pub(super) struct Tree {
    child: Child,
    asked: Arc<AtomicBool>,
}

/// Ends a [`Tree`]; dropping it does.
pub(super) struct Ender(Arc<AtomicBool>);

/// How a command and its descendants came to their end.
pub(super) struct Report {
    /// The command's own end, where it came by itself.
    pub status: Option<ExitStatus>,
    /// Processes that were still running after the command had ended by itself: 1 for any number.
    pub left: u32,
    /// Processes that could not be ended; not known here.
    pub survivors: u32,
}

impl Tree {
    /// Starts `command` in a process group of its own.
    pub fn start(mut command: Command, _sandbox: &Sandbox, mark: String) -> io::Result<Self> {
        let child = command.env(MARK, mark).process_group(0).spawn()?;
        Ok(Self { child, asked: Arc::default() })
    }

    pub fn ender(&self) -> Ender {
        Ender(self.asked.clone())
    }

    /// Waits until nothing of the command's group is left.
    pub fn wait(mut self) -> io::Result<Report> {
        let group = Pid::from_child(&self.child);
        let _ = rustix::process::setpriority_process(Some(group), 10);
        let mut status = None;
        while status.is_none() && !self.asked.load(Ordering::Relaxed) {
            status = self.child.try_wait()?;
            std::thread::sleep(BEAT);
        }
        let left = u32::from(status.is_some() && rustix::process::test_kill_process_group(group).is_ok());
        let start = Instant::now();
        let mut signal = Signal::TERM;
        while rustix::process::kill_process_group(group, signal).is_ok() && start.elapsed() < 5 * GRACE {
            self.child.try_wait()?;
            std::thread::sleep(BEAT);
            if start.elapsed() > GRACE {
                signal = Signal::KILL;
            }
        }
        Ok(Report { status, left, survivors: 0 })
    }
}

impl Ender {
    pub fn end(&self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

impl Drop for Ender {
    fn drop(&mut self) {
        self.end();
    }
}

pub(super) fn guard() -> Guard {
    Guard::new(
        true,
        "A command ends with its process group; what leaves that (a daemon) may outlive it on this system.",
    )
}
