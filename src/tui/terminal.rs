//! The terminal: taken over on entry, given back as it was on every way out: return, error, panic, signal, suspension.

use std::backtrace::Backtrace;
use std::io::{self, Stdout, Write};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::{self, ThreadId};

use crossterm::event::{
    DisableBracketedPaste, EnableBracketedPaste, KeyboardEnhancementFlags, PopKeyboardEnhancementFlags,
    PushKeyboardEnhancementFlags,
};
use crossterm::terminal::{
    BeginSynchronizedUpdate, EndSynchronizedUpdate, EnterAlternateScreen, LeaveAlternateScreen, disable_raw_mode,
    enable_raw_mode,
};
use crossterm::{cursor, execute, queue};
use ratatui::Terminal;
use ratatui::backend::CrosstermBackend;
use ratatui::layout::Rect;
use rustix::process::{self, Signal as Kill};
use tokio::signal::unix::{Signal, SignalKind, signal};

use super::app::App;
use super::transcript::Block;
use super::view;

/// The screen while it is ours. Dropping it gives it back.
pub struct Screen {
    terminal: Terminal<CrosstermBackend<Stdout>>,
    shared: Arc<Shared>,
    /// Panics that the user was told of.
    told: usize,
}

/// What the panic hook needs, on whatever thread it runs.
struct Shared {
    /// The terminal is ours at present.
    ours: AtomicBool,
    /// The thread that draws.
    drawer: ThreadId,
    /// Messages of panics on other threads, to be printed when the terminal is given back.
    panics: Mutex<Vec<String>>,
}

impl Screen {
    /// Takes the terminal over. The mouse is left to the terminal, so that its selection works.
    ///
    /// # Errors
    /// There is no terminal, or it cannot be set up.
    pub fn enter() -> io::Result<Self> {
        let shared =
            Arc::new(Shared { ours: AtomicBool::new(false), drawer: thread::current().id(), panics: Mutex::default() });
        hook_panics(Arc::clone(&shared));
        let mut screen = Self { terminal: Terminal::new(CrosstermBackend::new(io::stdout()))?, shared, told: 0 };
        screen.take()?;
        Ok(screen)
    }

    /// Takes the terminal over, again, and forgets what it shows.
    pub fn take(&mut self) -> io::Result<()> {
        self.shared.ours.store(true, Ordering::SeqCst);
        enable_raw_mode()?;
        // Terminals that do not know the keyboard protocol ignore its request; Shift+Enter is Enter there.
        execute!(
            io::stdout(),
            EnterAlternateScreen,
            EnableBracketedPaste,
            PushKeyboardEnhancementFlags(KeyboardEnhancementFlags::DISAMBIGUATE_ESCAPE_CODES)
        )?;
        self.forget()
    }

    /// Draws everything next time, whatever the terminal is thought to show.
    pub fn forget(&mut self) -> io::Result<()> {
        // Not `Terminal::clear`, which asks the terminal for the cursor and would wait for the keys' reader.
        let size = self.terminal.size()?;
        self.terminal.resize(Rect::from((ratatui::layout::Position::ORIGIN, size)))
    }

    /// Gives the terminal back.
    pub fn give_back(&mut self) {
        self.shared.give_back();
    }

    /// Draws the state.
    pub fn draw(&mut self, app: &mut App) -> io::Result<()> {
        let panics = self.shared.panics().len();
        if panics > std::mem::replace(&mut self.told, panics) {
            app.transcript.push(Block::Failure(
                "a part of Moru failed, which is a bug; what it said is printed once you quit".into(),
            ));
        }
        queue!(io::stdout(), BeginSynchronizedUpdate)?;
        self.terminal.draw(|frame| view::draw(app, frame))?;
        execute!(io::stdout(), EndSynchronizedUpdate)
    }
}

impl Drop for Screen {
    fn drop(&mut self) {
        self.give_back();
        for message in self.shared.panics().drain(..) {
            let _ = writeln!(io::stderr(), "{message}");
        }
    }
}

impl Shared {
    /// Undoes [`Screen::take`], once.
    fn give_back(&self) {
        if !self.ours.swap(false, Ordering::SeqCst) {
            return;
        }
        // The terminal may be gone (a closed window); then there is nothing to restore and nobody to tell.
        let _ = execute!(
            io::stdout(),
            PopKeyboardEnhancementFlags,
            DisableBracketedPaste,
            EndSynchronizedUpdate,
            LeaveAlternateScreen,
            cursor::Show
        );
        let _ = disable_raw_mode();
    }

    fn panics(&self) -> MutexGuard<'_, Vec<String>> {
        self.panics.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A panic's message on our screen would be lost. On the drawing thread the terminal is given back before it is printed; on
/// another one it is kept, since the screen lives on and two threads must not change the terminal at a time.
fn hook_panics(shared: Arc<Shared>) {
    let print = std::panic::take_hook();
    std::panic::set_hook(Box::new(move |info| {
        if shared.ours.load(Ordering::SeqCst) && thread::current().id() != shared.drawer {
            shared.panics().push(format!("{info}\n{}", Backtrace::capture()));
            return;
        }
        shared.give_back();
        print(info);
    }));
}

/// What other processes tell us.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Notice {
    /// We are to end; with the signal's number.
    End(i32),
    /// We are to stop until continued.
    Stop,
    /// We were stopped and go on; whatever ran meanwhile has used the terminal.
    Continued,
}

/// The signals that concern a terminal.
pub struct Signals {
    terminate: Signal,
    hangup: Signal,
    interrupt: Signal,
    stop: Signal,
    cont: Signal,
}

impl Signals {
    /// Listens; from here on these signals no longer have their default effect.
    ///
    /// # Errors
    /// The system refuses a handler.
    pub fn listen() -> io::Result<Self> {
        Ok(Self {
            terminate: signal(SignalKind::terminate())?,
            hangup: signal(SignalKind::hangup())?,
            interrupt: signal(SignalKind::interrupt())?,
            stop: signal(SignalKind::from_raw(Kill::TSTP.as_raw()))?,
            cont: signal(SignalKind::from_raw(Kill::CONT.as_raw()))?,
        })
    }

    /// The next one.
    pub async fn next(&mut self) -> Notice {
        tokio::select! {
            _ = self.terminate.recv() => Notice::End(Kill::TERM.as_raw()),
            _ = self.hangup.recv() => Notice::End(Kill::HUP.as_raw()),
            _ = self.interrupt.recv() => Notice::End(Kill::INT.as_raw()),
            _ = self.stop.recv() => Notice::Stop,
            _ = self.cont.recv() => Notice::Continued,
        }
    }

    /// Stops until continued; returns at once where nobody could continue us.
    pub async fn stop(&mut self, who: Who) {
        if !under_job_control() {
            return;
        }
        let stopped = match who {
            // As the terminal itself would do it: a script that started us stops too, so that its shell notices.
            Who::Group => process::kill_current_process_group(Kill::STOP),
            Who::Ourselves => process::kill_process(process::getpid(), Kill::STOP),
        };
        // The stop may take effect a little after the call, so its end is waited for.
        if stopped.is_ok() {
            self.cont.recv().await;
        }
    }
}

/// Who stops.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Who {
    Ourselves,
    Group,
}

/// A shell started us as a job of its own and can continue us. Without one (the terminal's first program, a container) a stop
/// would be for ever.
fn under_job_control() -> bool {
    process::getsid(None).is_ok_and(|session| session != process::getpgrp())
}
