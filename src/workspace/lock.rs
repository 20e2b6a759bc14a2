//! One process at a time changes the files of a workspace.

use std::fs::{File, OpenOptions, TryLockError};
use std::path::Path;
use std::time::{Duration, Instant};

use super::WorkspaceError;

/// Long enough for any change to reach a slow disk.
const PATIENCE: Duration = Duration::from_secs(10);

/// Held until it is dropped; the system lets go of it when the process ends, however that happens.
#[derive(Debug)]
pub(super) struct Lock {
    _file: File,
}

impl Lock {
    pub fn wait(path: &Path) -> Result<Self, WorkspaceError> {
        let start = Instant::now();
        loop {
            match Self::attempt(path)? {
                Some(lock) => return Ok(lock),
                None if start.elapsed() > PATIENCE => return Err(WorkspaceError::Busy),
                None => std::thread::sleep(Duration::from_millis(5)),
            }
        }
    }

    /// `None` where another process holds it.
    pub fn attempt(path: &Path) -> Result<Option<Self>, WorkspaceError> {
        let file = OpenOptions::new().create(true).truncate(false).write(true).open(path);
        let file = file.map_err(|error| WorkspaceError::io(path, error))?;
        match file.try_lock() {
            Ok(()) => Ok(Some(Self { _file: file })),
            Err(TryLockError::WouldBlock) => Ok(None),
            Err(TryLockError::Error(error)) => Err(WorkspaceError::io(path, error)),
        }
    }
}
