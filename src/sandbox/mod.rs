//! What a command may reach, how it is started, and how it is ended with everything that it started.
//!
//! [`run_command`] is the one way in which Moru starts a command for a model or a check, [`start_service`] the one for a program
//! that stays and is spoken to. [`Sandbox`] says what either may reach; what of that this machine can enforce, [`ability`] says.
//! `docs/security.md` is the whole picture.

mod output;
mod places;
mod process;
mod service;

#[cfg(not(target_os = "linux"))]
mod group;
#[cfg(target_os = "linux")]
mod linux;
#[cfg(target_os = "macos")]
mod macos;
#[cfg(target_os = "linux")]
mod supervisor;

use std::path::{Path, PathBuf};

pub use output::Output;
pub use places::Places;
pub use process::{CommandEnd, CommandError, CommandSpec, End, run_command};
pub use service::{Lease, Service, ServiceSpec, start_service};

#[cfg(not(target_os = "linux"))]
use group as tree;
#[cfg(target_os = "linux")]
use supervisor as tree;

/// What a command may reach.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Sandbox {
    /// Nothing is restricted.
    off: bool,
    /// Below these it may write: folders, or single files. Absolute.
    writable: Vec<PathBuf>,
    /// These it may not read, folders with all that is below them. Absolute.
    hidden: Vec<PathBuf>,
    /// It may open network sockets.
    network: bool,
}

impl Sandbox {
    /// A command that works on the folder `root`: writes below it, to its git repository wherever that lies, below temporary
    /// folders and the caches of build tools, and reads everything but secrets.
    pub fn new(root: &Path, places: &Places, network: bool) -> Self {
        let mut writable = work(root);
        writable.extend(places.temp.iter().cloned());
        writable.extend(places.caches.iter().cloned());
        writable.extend(places::DEVICES.iter().map(PathBuf::from));
        Self { off: false, writable, hidden: places.secrets.clone(), network }
    }

    /// No restriction, for a machine or a user that wants none.
    pub fn off() -> Self {
        Self { off: true, writable: Vec::new(), hidden: Vec::new(), network: true }
    }

    /// The same for a program that only looks at the folder `root`: it writes neither there nor to its git repository, unless
    /// those lie in a temporary folder, and has no network.
    pub fn reading(&self, root: &Path) -> Self {
        let work = work(root);
        let writable = self.writable.iter().filter(|path| !work.contains(path)).cloned().collect();
        Self { writable, network: false, ..self.clone() }
    }

    /// The same for a program that nobody knows: it writes nowhere, and has no network.
    pub fn sealed(&self) -> Self {
        let devices = places::DEVICES.iter().map(PathBuf::from).collect();
        Self { writable: devices, network: false, ..self.clone() }
    }

    /// Whether commands may open network sockets.
    pub fn network(&self) -> bool {
        self.network
    }

    /// Whether anything is restricted.
    pub fn is_on(&self) -> bool {
        !self.off
    }
}

/// A folder under work and its git repository. A linked worktree, a submodule and a folder within a repository have theirs
/// elsewhere.
fn work(root: &Path) -> Vec<PathBuf> {
    let mut folders = vec![root.to_path_buf()];
    if let Ok(repository) = git2::Repository::discover(root) {
        folders.extend([repository.path().to_path_buf(), repository.commondir().to_path_buf()]);
    }
    folders
}

/// What this machine can enforce.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Ability {
    /// Writing outside the workspace, and reading secrets.
    pub files: Guard,
    /// Opening network sockets.
    pub network: Guard,
    /// Ending a command with everything that it started.
    pub processes: Guard,
}

/// One kind of restriction.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Guard {
    pub enforced: bool,
    /// One sentence: what holds here, and what to do where nothing does.
    pub sentence: String,
}

impl Guard {
    fn new(enforced: bool, sentence: impl Into<String>) -> Self {
        Self { enforced, sentence: sentence.into() }
    }
}

/// Asks the machine what it can enforce. Changes nothing.
pub fn ability() -> Ability {
    #[cfg(target_os = "linux")]
    return linux::ability();
    #[cfg(target_os = "macos")]
    return macos::ability();
    #[cfg(not(any(target_os = "linux", target_os = "macos")))]
    return Ability {
        files: Guard::new(false, "Commands can write wherever you can; this system has no sandbox that Moru knows."),
        network: Guard::new(false, "Commands can use the network; this system has no sandbox that Moru knows."),
        processes: group::guard(),
    };
}

#[cfg(test)]
mod tests;
