//! The log of what happens inside, llama.cpp's own lines included: a file, never the screen. `MORU_LOG` sets what is kept, in
//! the syntax of `tracing_subscriber::EnvFilter`.

use tracing_appender::non_blocking::WorkerGuard;
use tracing_appender::rolling::{Builder, Rotation};
use tracing_subscriber::EnvFilter;

use crate::config::Dirs;

/// Days of log that are kept.
const DAYS: usize = 5;

/// Starts logging. What is logged is written until the guard is dropped; `None` where the folder cannot be written.
pub fn start(dirs: &Dirs) -> Option<WorkerGuard> {
    let folder = dirs.state.join("log");
    // The builder looks for old logs first, and complains on stderr where there is no folder yet.
    std::fs::create_dir_all(&folder).ok()?;
    let file = Builder::new()
        .rotation(Rotation::DAILY)
        .filename_prefix("moru")
        .filename_suffix("log")
        .max_log_files(DAYS)
        .build(folder)
        .ok()?;
    let (writer, guard) = tracing_appender::non_blocking(file);
    let filter = EnvFilter::try_from_env("MORU_LOG").unwrap_or_else(|_| EnvFilter::new("info"));
    let started = tracing_subscriber::fmt().with_env_filter(filter).with_writer(writer).with_ansi(false).try_init();
    started.ok().map(|()| guard)
}
