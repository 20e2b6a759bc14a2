//! Shows a pull: a bar on a terminal, a line every tenth otherwise.

use std::io::{self, IsTerminal, Write};
use std::time::Duration;

use indicatif::{HumanBytes, ProgressBar, ProgressDrawTarget, ProgressStyle};

use crate::model::pull::Progress;

/// On stderr.
pub struct Display {
    terminal: bool,
    bar: ProgressBar,
    verb: &'static str,
    done: u64,
    total: Option<u64>,
    /// Tenths that have been told of.
    told: u64,
}

impl Display {
    pub fn new() -> Self {
        Self {
            terminal: io::stderr().is_terminal(),
            bar: ProgressBar::hidden(),
            verb: "",
            done: 0,
            total: None,
            told: 0,
        }
    }

    pub fn show(&mut self, progress: Progress) {
        match progress {
            Progress::Source(label) => self.line(&format!("From {label}")),
            Progress::Skipped { source, reason } => {
                self.bar.finish_and_clear();
                self.line(&format!("{source}: {reason}"));
            }
            Progress::Size { done, total } => {
                // After a verification comes the next of several files: nothing was interrupted.
                if done > 0 && self.verb != "verifying" {
                    self.line(&format!("Going on after {}", HumanBytes(done)));
                }
                self.begin("downloading", done, total);
            }
            Progress::Verifying(total) => {
                if !self.terminal {
                    self.line("verifying");
                }
                self.begin("verifying", 0, Some(total));
                // Some seconds at most: one line is enough.
                self.told = 10;
            }
            Progress::Advanced(n) => self.advance(n),
        }
    }

    /// Removes the bar.
    pub fn end(&self) {
        self.bar.finish_and_clear();
    }

    fn begin(&mut self, verb: &'static str, done: u64, total: Option<u64>) {
        self.bar.finish_and_clear();
        (self.verb, self.done, self.total) = (verb, done, total);
        self.told = total.map_or(0, |total| done * 10 / total.max(1));
        if !self.terminal {
            return;
        }
        let template = match total {
            Some(_) => "{msg:11} [{bar:30}] {bytes}/{total_bytes}  {bytes_per_sec}  {eta} left",
            None => "{msg:11} {spinner} {bytes}  {bytes_per_sec}",
        };
        self.bar = ProgressBar::with_draw_target(total, ProgressDrawTarget::stderr());
        if let Ok(style) = ProgressStyle::with_template(template) {
            self.bar.set_style(style.progress_chars("=> "));
        }
        self.bar.set_message(verb);
        self.bar.set_position(done);
        // What was there before this run would count into the speed.
        self.bar.reset_eta();
        self.bar.enable_steady_tick(Duration::from_millis(500));
    }

    fn advance(&mut self, n: u64) {
        self.done += n;
        self.bar.inc(n);
        let Some(total) = self.total.filter(|_| !self.terminal) else { return };
        let tenths = self.done * 10 / total.max(1);
        if tenths > self.told {
            self.told = tenths;
            self.line(&format!("{} {}% of {}", self.verb, tenths * 10, HumanBytes(total)));
        }
    }

    fn line(&self, text: &str) {
        self.bar.suspend(|| {
            // Nobody may be reading; the download goes on.
            let _ = writeln!(io::stderr().lock(), "{text}");
        });
    }
}
