//! Ends a command with everything that it started, whatever that did to get away.
//!
//! Process groups and sessions can be left, and a daemon's parent is gone. What cannot be left is a *child subreaper*: Linux
//! hands it every descendant whose parent has ended. So each command runs below a small process of its own, forked and never
//! exec'd, that is one. It waits for the command, then ends whatever was left behind, by ending its own children until it has
//! none: those of a child that has ended become its own. It does the same when the socket to Moru closes, which is how Moru
//! tells it to (on a time limit or an interrupt), and what the kernel does when Moru dies, `kill -9` included.
//!
//! The supervisor is not sandboxed and ignores every signal but SIGKILL. From Linux 6.12 on Landlock keeps the command from
//! sending it that one; where it was killed nonetheless, Moru finds what is left by an environment variable ([`sweep`]).
//!
//! Everything that runs after the fork here keeps to what is allowed there: no memory is allocated, no lock is taken.

use std::ffi::CStr;
use std::io::{self, Read};
use std::mem::MaybeUninit;
use std::net::Shutdown;
use std::os::fd::AsRawFd;
use std::os::unix::net::UnixStream;
use std::os::unix::process::{CommandExt, ExitStatusExt};
use std::process::{Child, Command, ExitStatus};
use std::sync::Arc;
use std::time::{Duration, Instant};

use rustix::fs::{CWD, Mode, OFlags, RawDir};
use rustix::process::{Pid, Signal};

use super::Sandbox;
use super::linux::Confinement;

/// The environment variable that marks all processes of one command.
pub(super) const MARK: &str = "MORU_RUN_ID";

/// What a command left in the background may take to end by itself before it is called left behind. Shells do not wait for
/// the last process of every construct.
const SETTLE: Duration = Duration::from_millis(100);
/// From SIGTERM to SIGKILL.
const GRACE: Duration = Duration::from_millis(1000);
/// From SIGKILL to giving up on a process that is not ours to end (a set-user-ID program) or hangs in the kernel.
const PATIENCE: Duration = Duration::from_secs(5);

/// A command and all that descends from it. Dropping it ends them.
pub(super) struct Tree {
    supervisor: Child,
    socket: Arc<UnixStream>,
    mark: String,
}

/// Ends a [`Tree`]; dropping it does.
pub(super) struct Ender(Arc<UnixStream>);

/// How a command and its descendants came to their end.
pub(super) struct Report {
    /// The command's own end, where it came by itself.
    pub status: Option<ExitStatus>,
    /// Processes that were still running after the command had ended by itself, and were ended.
    pub left: u32,
    /// Processes that could not be ended.
    pub survivors: u32,
}

impl Tree {
    /// Starts `command` in a session of its own, confined to `sandbox`.
    pub fn start(mut command: Command, sandbox: &Sandbox, mark: String) -> io::Result<Self> {
        let confinement = Confinement::new(sandbox)?;
        let (ours, theirs) = UnixStream::pair()?;
        command.env(MARK, &mark);
        // SAFETY: `divide` keeps to async-signal-safe calls.
        unsafe { command.pre_exec(move || divide(theirs.as_raw_fd(), &confinement)) };
        // `command` owns our copies of the other socket end and of the output's pipe; both close when it is dropped here.
        let supervisor = command.spawn()?;
        Ok(Self { supervisor, socket: Arc::new(ours), mark })
    }

    pub fn ender(&self) -> Ender {
        Ender(self.socket.clone())
    }

    /// Waits until nothing of the command is left.
    pub fn wait(mut self) -> io::Result<Report> {
        let mut words = [0_u8; 12];
        let told = (&*self.socket).read_exact(&mut words).is_ok();
        self.supervisor.wait()?;
        if !told {
            // Someone has killed the supervisor.
            return Ok(Report { status: None, left: 0, survivors: sweep(&self.mark) });
        }
        let word = |at: usize| words[at..at + 4].try_into().map_or(0, i32::from_ne_bytes);
        Ok(Report {
            status: (word(0) >= 0).then(|| ExitStatus::from_raw(word(0))),
            left: word(4) as u32,
            survivors: word(8) as u32,
        })
    }
}

impl Ender {
    pub fn end(&self) {
        // It fails where the other end is gone, which is what it is for.
        let _ = self.0.shutdown(Shutdown::Write);
    }
}

impl Drop for Ender {
    fn drop(&mut self) {
        self.end();
    }
}

/// Kills whatever carries `mark` in its environment, until nothing does; returns how many were left in the end. Only what
/// has cleared its own environment escapes.
fn sweep(mark: &str) -> u32 {
    let mark = format!("{MARK}={mark}");
    let until = Instant::now() + PATIENCE;
    loop {
        let mut found = 0;
        for entry in std::fs::read_dir("/proc").into_iter().flatten().flatten() {
            let pid = entry.file_name().to_str().and_then(|name| name.parse().ok()).and_then(Pid::from_raw);
            let (Some(pid), Ok(environment)) = (pid, std::fs::read(entry.path().join("environ"))) else { continue };
            if environment.split(|byte| *byte == 0).any(|variable| variable == mark.as_bytes()) {
                found += 1;
                let _ = rustix::process::kill_process(pid, Signal::KILL);
            }
        }
        if found == 0 || Instant::now() > until {
            return found;
        }
        std::thread::sleep(Duration::from_millis(10));
    }
}

// From here on: between fork and exec.

/// Runs in the forked process: makes it the supervisor, and returns in a further process, which becomes the command.
fn divide(socket: i32, confinement: &Confinement) -> io::Result<()> {
    // SAFETY: signal sets are plain memory that the calls fill in.
    let none = unsafe {
        let mut all = MaybeUninit::<libc::sigset_t>::uninit();
        let mut none = MaybeUninit::<libc::sigset_t>::uninit();
        libc::sigfillset(all.as_mut_ptr());
        libc::sigemptyset(none.as_mut_ptr());
        // Moru's signal handlers are still installed here and must not run: what they write to is closed below.
        libc::sigprocmask(libc::SIG_SETMASK, all.as_ptr(), std::ptr::null_mut());
        libc::signal(libc::SIGCHLD, libc::SIG_DFL);
        none.assume_init()
    };
    // A session of its own has no terminal: nothing can ask for a password there, and Ctrl-C reaches Moru alone.
    rustix::process::setsid()?;
    rustix::process::set_child_subreaper(Some(rustix::process::getpid()))?;
    // The bare call, since `fork` runs handlers that libraries have registered, and those may allocate.
    // SAFETY: without flags that share memory it is a fork; this process has one thread.
    match unsafe { libc::syscall(libc::SYS_clone, libc::SIGCHLD, 0, 0, 0, 0) } {
        0 => {
            // A group of its own, lest `kill -9 0` in the command hit the supervisor.
            rustix::process::setpgid(None, None)?;
            step_back();
            // SAFETY: the set was filled in above.
            unsafe { libc::sigprocmask(libc::SIG_SETMASK, &raw const none, std::ptr::null_mut()) };
            confinement.enter()
        }
        pid if pid > 0 => supervise(socket, pid as i32),
        _ => Err(io::Error::last_os_error()),
    }
}

/// The model and the user's other programs come before commands, and under memory pressure the command goes first.
fn step_back() {
    let _ = rustix::process::nice(10);
    let tell = |path: &CStr, value: &[u8]| {
        if let Ok(file) = rustix::fs::openat(CWD, path, OFlags::WRONLY | OFlags::CLOEXEC, Mode::empty()) {
            let _ = rustix::io::write(&file, value);
        }
    };
    // Where sessions are scheduled as groups (`man 7 sched`, autogroup), the nice value counts within the command's own session
    // alone, and the session as a whole would get as much as the model does.
    tell(c"/proc/self/autogroup", b"10");
    tell(c"/proc/self/oom_score_adj", b"500");
}

/// The supervisor's life. `command` is the command's process.
fn supervise(socket: i32, command: i32) -> ! {
    close_all_but(socket);
    // SAFETY: the name is a C string; the set is filled in before it is used.
    let signals = unsafe {
        libc::prctl(libc::PR_SET_NAME, c"moru-run".as_ptr());
        let mut child = MaybeUninit::<libc::sigset_t>::uninit();
        libc::sigemptyset(child.as_mut_ptr());
        libc::sigaddset(child.as_mut_ptr(), libc::SIGCHLD);
        libc::signalfd(-1, child.as_ptr(), libc::SFD_CLOEXEC | libc::SFD_NONBLOCK)
    };
    let mut family = Family { command, signals, status: -1 };
    let mut asked = false;
    while family.reap() && family.status < 0 && !asked {
        asked = family.pause(socket, None);
    }
    let status = family.status;
    let left = family.end(if asked { Duration::ZERO } else { SETTLE });
    let survivors = if family.reap() { family.signal(None) } else { 0 };
    let mut words = [0_u8; 12];
    for (place, word) in words.chunks_exact_mut(4).zip([status, left, survivors]) {
        place.copy_from_slice(&word.to_ne_bytes());
    }
    // SAFETY: the buffer is as long as said; MSG_NOSIGNAL, since Moru may be gone. `_exit` runs nothing of Moru's.
    unsafe {
        libc::send(socket, words.as_ptr().cast(), words.len(), libc::MSG_NOSIGNAL);
        libc::_exit(0)
    }
}

/// Everything inherited from Moru: other commands' sockets among it, which must close with Moru, and the output's pipe,
/// which must end with the command.
fn close_all_but(kept: i32) {
    let range = |first: i32, last: i32| {
        if first > last {
            return;
        }
        // SAFETY: descriptors are integers; none of those closed is used afterwards.
        unsafe {
            if libc::syscall(libc::SYS_close_range, first, last, 0) != 0 {
                // Linux before 5.9.
                for fd in first..=last.min(65_535) {
                    libc::close(fd);
                }
            }
        }
    };
    range(0, kept - 1);
    range(kept + 1, i32::MAX);
}

/// The supervisor's descendants.
struct Family {
    command: i32,
    signals: i32,
    /// The command's wait status; -1 as long as it has none.
    status: i32,
}

impl Family {
    /// Takes note of the children that have ended; tells whether there are others.
    fn reap(&mut self) -> bool {
        loop {
            let mut status = 0;
            // SAFETY: the call fills in one integer.
            match unsafe { libc::waitpid(-1, &raw mut status, libc::WNOHANG | libc::__WALL) } {
                0 => return true,
                pid if pid > 0 => {
                    if pid == self.command {
                        self.status = status;
                    }
                }
                _ => return false,
            }
        }
    }

    /// Waits until a child ends, Moru lets go of the socket, or the time is over; tells whether Moru has let go.
    fn pause(&self, socket: i32, time: Option<Duration>) -> bool {
        let mut watched = [
            libc::pollfd { fd: self.signals, events: libc::POLLIN, revents: 0 },
            libc::pollfd { fd: socket, events: libc::POLLIN | libc::POLLRDHUP, revents: 0 },
        ];
        // Without a signalfd it has to look again and again.
        let time = time.or((self.signals < 0).then_some(Duration::from_millis(50)));
        let milliseconds = time.map_or(-1, |time| time.as_millis() as i32);
        let mut drain = [0_u8; 1024];
        // SAFETY: both buffers are as long as said. A negative descriptor is left out by the kernel.
        unsafe {
            libc::poll(watched.as_mut_ptr(), 2, milliseconds);
            libc::read(self.signals, drain.as_mut_ptr().cast(), drain.len());
        }
        watched[1].revents != 0
    }

    /// Ends all; returns how many there were once they had had the time to `settle`.
    fn end(&mut self, settle: Duration) -> i32 {
        let mut left = 0;
        let mut stage = |family: &mut Self, signal: Option<Signal>, time: Duration, beat: Duration| -> bool {
            let start = Instant::now();
            while family.reap() {
                if start.elapsed() >= time {
                    return false;
                }
                if let Some(signal) = signal {
                    left = left.max(family.signal(Some(signal)));
                }
                family.pause(-1, Some(beat));
            }
            true
        };
        let beat = Duration::from_millis(10);
        let _ = stage(self, None, settle, beat)
            // Repeated, because whose parent has ended only now has only now become a child.
            || stage(self, Some(Signal::TERM), GRACE, Duration::from_millis(250))
            || stage(self, Some(Signal::KILL), PATIENCE, beat);
        left
    }

    /// Sends a signal to every child, or none to count them; returns their number.
    fn signal(&self, signal: Option<Signal>) -> i32 {
        // Once the command has been waited for, its number may be another's.
        if let (Some(signal), Some(group), true) = (signal, Pid::from_raw(self.command), self.status < 0) {
            let _ = rustix::process::kill_process_group(group, signal);
        }
        let mut children = 0;
        let me = rustix::process::getpid().as_raw_nonzero().get();
        each_process(|pid| {
            if parent_of(pid) != Some(me) {
                return;
            }
            children += 1;
            if let (Some(signal), Some(pid)) = (signal, Pid::from_raw(pid)) {
                let _ = rustix::process::kill_process(pid, signal);
            }
        });
        children
    }
}

/// Calls `visit` with the number of every process.
fn each_process(mut visit: impl FnMut(i32)) {
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
    let Ok(folder) = rustix::fs::openat(CWD, c"/proc", flags, Mode::empty()) else { return };
    let mut buffer = [MaybeUninit::uninit(); 4096];
    let mut entries = RawDir::new(folder, &mut buffer);
    while let Some(Ok(entry)) = entries.next() {
        if let Some(pid) = number(entry.file_name().to_bytes()) {
            visit(pid);
        }
    }
}

/// The parent of a process that runs; `None` for one that has ended.
fn parent_of(pid: i32) -> Option<i32> {
    let mut path = [0_u8; 32];
    let mut end = 0;
    for part in [&b"/proc/"[..], digits(pid, &mut [0; 10]), b"/stat\0"] {
        path.get_mut(end..end + part.len())?.copy_from_slice(part);
        end += part.len();
    }
    let path = CStr::from_bytes_with_nul(path.get(..end)?).ok()?;
    let file = rustix::fs::openat(CWD, path, OFlags::RDONLY | OFlags::CLOEXEC, Mode::empty()).ok()?;
    let mut stat = [0_u8; 512];
    let length = rustix::io::read(&file, &mut stat[..]).ok()?;
    parse_parent(stat.get(..length)?)
}

/// The parent in the text of `/proc/PID/stat`. The program's name stands in brackets and may itself contain some.
fn parse_parent(stat: &[u8]) -> Option<i32> {
    let after = stat.iter().rposition(|byte| *byte == b')')?;
    let mut fields = stat.get(after + 1..)?.split(|byte| *byte == b' ').filter(|field| !field.is_empty());
    let state = fields.next()?;
    if state == b"Z" || state == b"X" { None } else { number(fields.next()?) }
}

fn number(text: &[u8]) -> Option<i32> {
    if text.is_empty() {
        return None;
    }
    text.iter().try_fold(0_i32, |value, byte| {
        let digit = byte.is_ascii_digit().then(|| i32::from(byte - b'0'))?;
        value.checked_mul(10)?.checked_add(digit)
    })
}

fn digits(mut value: i32, buffer: &mut [u8; 10]) -> &[u8] {
    let mut at = buffer.len();
    loop {
        at -= 1;
        buffer[at] = b'0' + (value % 10).unsigned_abs() as u8;
        value /= 10;
        if value == 0 || at == 0 {
            return &buffer[at..];
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_the_parent_from_stat() {
        for (stat, parent) in [
            ("41 (sh) S 7 41 41 0", Some(7)),
            ("41 (a) b) (c) R 12 1", Some(12)),
            ("41 (gone) Z 7 41", None),
            ("41 (cut", None),
            ("", None),
        ] {
            assert_eq!(parse_parent(stat.as_bytes()), parent, "{stat}");
        }
    }

    #[test]
    fn finds_its_own_parent() {
        let me = rustix::process::getpid().as_raw_nonzero().get();
        let parent = rustix::process::getppid().map(|pid| pid.as_raw_nonzero().get());
        assert_eq!(parent_of(me), parent);
        let mut seen = false;
        each_process(|pid| seen |= pid == me);
        assert!(seen);
    }

    #[test]
    fn writes_numbers() {
        for value in [0, 7, 10, 4_194_304, i32::MAX] {
            let mut buffer = [0; 10];
            assert_eq!(digits(value, &mut buffer), value.to_string().as_bytes());
            assert_eq!(number(value.to_string().as_bytes()), Some(value));
        }
        assert_eq!(number(b"99999999999"), None);
    }
}
