//! Files as they stand, and changes of several of them that happen together or not at all.

use std::collections::BTreeMap;
use std::ffi::OsStr;
use std::fs::{self, File, Permissions};
use std::io::{ErrorKind, Write};
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::os::unix::fs::{DirBuilderExt, MetadataExt, PermissionsExt, symlink};
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};

use tempfile::TempPath;

use super::node::{Change, Kind, Node, Transition};
use super::path::link_above;
use super::{RelPath, WorkspaceError};

/// Names of files that are not yet in their place start with this.
pub(super) const TEMPORARY: &str = ".moru-new-";
const PERMISSIONS: u32 = 0o7777;

/// The workspace's files, or in a dry run what they would be.
pub(super) struct Disk {
    root: PathBuf,
    umask: u32,
    /// What a dry run has changed.
    memory: Option<Mutex<BTreeMap<RelPath, Option<Node>>>>,
}

/// Why a transition did not happen.
pub(super) enum Failure {
    /// A file is not what the transition starts from; nothing was changed.
    Stale,
    /// Nothing is changed.
    Undone(WorkspaceError),
    /// Some files are changed and could not be put back.
    Torn(WorkspaceError),
}

impl Disk {
    pub fn new(root: PathBuf, dry_run: bool) -> Self {
        Self { root, umask: umask(), memory: dry_run.then(Mutex::default) }
    }

    pub fn is_dry(&self) -> bool {
        self.memory.is_some()
    }

    /// Permission bits of new files.
    pub fn file_mode(&self) -> u32 {
        0o666 & !self.umask
    }

    /// Permission bits of new folders.
    pub fn dir_mode(&self) -> u32 {
        0o777 & !self.umask
    }

    /// What a dry run has changed so far.
    pub fn overlay(&self) -> BTreeMap<RelPath, Option<Node>> {
        self.memory.as_ref().map(|memory| locked(memory).clone()).unwrap_or_default()
    }

    /// What stands at a path, which must be free of symbolic links but for its last part.
    pub fn node(&self, path: &RelPath) -> Result<Option<Node>, WorkspaceError> {
        if let Some(node) = self.memory.as_ref().and_then(|memory| locked(memory).get(path).cloned()) {
            return Ok(node);
        }
        if link_above(&self.root, path).is_some() {
            return Err(WorkspaceError::Conflict { path: path.clone() });
        }
        let absolute = self.absolute(path);
        let io = |error| WorkspaceError::io(&absolute, error);
        let meta = match fs::symlink_metadata(&absolute) {
            Err(error) if matches!(error.kind(), ErrorKind::NotFound | ErrorKind::NotADirectory) => return Ok(None),
            result => result.map_err(io)?,
        };
        if meta.is_dir() {
            return Err(WorkspaceError::IsFolder { path: path.clone() });
        }
        if meta.is_symlink() {
            let target = fs::read_link(&absolute).map_err(io)?;
            return Ok(Some(Node { kind: Kind::Link, mode: 0, bytes: target.into_os_string().into_vec() }));
        }
        if !meta.is_file() {
            return Err(WorkspaceError::Special { path: path.clone() });
        }
        let bytes = fs::read(&absolute).map_err(io)?;
        Ok(Some(Node { kind: Kind::File, mode: meta.mode() & PERMISSIONS, bytes }))
    }

    /// Like [`Self::node`], with nothing where a folder stands or a link that `changes` says is to be changed leads: the
    /// transition may be about to put a folder in the place of a link, or the other way round.
    pub fn node_or_nothing(
        &self,
        path: &RelPath,
        changes: impl Fn(&RelPath) -> bool,
    ) -> Result<Option<Node>, WorkspaceError> {
        match link_above(&self.root, path) {
            Some(link) if changes(&link) => return Ok(None),
            _ => {}
        }
        match self.node(path) {
            Err(WorkspaceError::IsFolder { .. }) => Ok(None),
            result => result,
        }
    }

    /// Folders that do not exist and would have to for `path`, outermost first.
    pub fn missing_folders(&self, path: &RelPath) -> Vec<RelPath> {
        let mut missing = Vec::new();
        let mut folder = path.parent();
        while let Some(current) = folder.filter(|folder| !self.is_folder(folder)) {
            folder = current.parent();
            missing.insert(0, current);
        }
        missing
    }

    /// Makes a transition happen, whole or not at all. `token` marks the temporary files, so that those of a process that
    /// was killed can be found.
    pub fn execute(&self, transition: &Transition, token: &str) -> Result<(), Failure> {
        if let Some(memory) = &self.memory {
            let changes = transition.changes.iter().map(|change| (change.path.clone(), change.after.clone()));
            locked(memory).extend(changes);
            return Ok(());
        }
        // The slow part comes first: once every file is safely on the disk under another name, only renames are left.
        let staged = self.stage(&transition.changes, token).map_err(Failure::Undone)?;
        for change in &transition.changes {
            let found =
                self.node_or_nothing(&change.path, |path| transition.contains(path)).map_err(Failure::Undone)?;
            if found != change.before {
                return Err(Failure::Stale);
            }
        }
        let mut done = Transition::default();
        match self.perform(transition, staged, &mut done) {
            Ok(()) => Ok(()),
            Err(error) => Err(match self.put_back(done, token) {
                Ok(()) => Failure::Undone(error),
                Err(_) => Failure::Torn(error),
            }),
        }
    }

    /// Removes temporary files that a killed process left behind in the folders of `transition`.
    pub fn sweep(&self, transition: &Transition, token: &str) {
        let prefix = format!("{TEMPORARY}{token}-");
        let mut folders: Vec<_> = Vec::new();
        for change in &transition.changes {
            folders.extend(std::iter::successors(change.path.parent(), RelPath::parent));
        }
        folders.sort();
        folders.dedup();
        let entries = folders.iter().filter_map(|folder| fs::read_dir(self.absolute(folder)).ok()).flatten().flatten();
        for entry in entries.filter(|entry| entry.file_name().as_bytes().starts_with(prefix.as_bytes())) {
            let _ = fs::remove_file(entry.path());
        }
    }

    fn stage(&self, changes: &[Change], token: &str) -> Result<Vec<Option<TempPath>>, WorkspaceError> {
        let prefix = format!("{TEMPORARY}{token}-");
        let mut staged = Vec::new();
        for change in changes {
            let Some(node) = &change.after else {
                staged.push(None);
                continue;
            };
            let folder = self.nearest_folder(&change.path);
            let path = write_beside(&folder, &prefix, node, self.owner(&change.path));
            staged.push(Some(path.map_err(|error| WorkspaceError::io(&folder, error))?));
        }
        Ok(staged)
    }

    fn perform(
        &self,
        transition: &Transition,
        staged: Vec<Option<TempPath>>,
        done: &mut Transition,
    ) -> Result<(), WorkspaceError> {
        for change in transition.changes.iter().filter(|change| change.after.is_none() && change.before.is_some()) {
            self.io(&change.path, |path| fs::remove_file(path))?;
            done.changes.push(change.clone());
        }
        let mut removed: Vec<_> = transition.removed.iter().collect();
        removed.sort_by(|a, b| b.path.cmp(&a.path));
        for dir in removed {
            // A folder that holds something else stays.
            if fs::remove_dir(self.absolute(&dir.path)).is_ok() {
                done.removed.push(dir.clone());
            }
        }
        let mut made: Vec<_> = transition.made.iter().collect();
        made.sort_by(|a, b| a.path.cmp(&b.path));
        for dir in made {
            let mode = dir.mode;
            let make = |path: &Path| {
                fs::DirBuilder::new().mode(mode).create(path)?;
                fs::set_permissions(path, Permissions::from_mode(mode))
            };
            match self.io(&dir.path, make) {
                Ok(()) => done.made.push(dir.clone()),
                Err(_) if self.is_folder(&dir.path) => {}
                Err(error) => return Err(error),
            }
        }
        for (change, staged) in transition.changes.iter().zip(staged) {
            if let Some(staged) = staged {
                self.io(&change.path, |path| staged.persist(path).map_err(|error| error.error))?;
                done.changes.push(change.clone());
            }
        }
        self.sync_folders(&transition.changes);
        Ok(())
    }

    fn put_back(&self, done: Transition, token: &str) -> Result<(), WorkspaceError> {
        let back = done.reverse();
        let staged = self.stage(&back.changes, token)?;
        self.perform(&back, staged, &mut Transition::default())
    }

    fn io<T>(&self, path: &RelPath, act: impl FnOnce(&Path) -> std::io::Result<T>) -> Result<T, WorkspaceError> {
        let absolute = self.absolute(path);
        act(&absolute).map_err(|error| WorkspaceError::io(&absolute, error))
    }

    fn absolute(&self, path: &RelPath) -> PathBuf {
        if path.is_root() { self.root.clone() } else { self.root.join(path.as_str()) }
    }

    /// There is a regular file; `path` is free of links.
    pub fn is_file(&self, path: &RelPath) -> bool {
        match self.memory.as_ref().and_then(|memory| locked(memory).get(path).cloned()) {
            Some(node) => node.is_some(),
            None => self.absolute(path).is_file(),
        }
    }

    /// It is a folder itself, not a link to one.
    pub fn is_folder(&self, path: &RelPath) -> bool {
        fs::symlink_metadata(self.absolute(path)).is_ok_and(|meta| meta.is_dir())
    }

    /// The innermost folder on the way to `path` that there is, without following a link.
    fn nearest_folder(&self, path: &RelPath) -> PathBuf {
        let inside = link_above(&self.root, path).unwrap_or_else(|| path.clone());
        let mut folders = std::iter::successors(inside.parent(), RelPath::parent);
        self.absolute(&folders.find(|folder| self.is_folder(folder)).unwrap_or_else(RelPath::root))
    }

    /// User and group of the file that is about to be replaced, where they are not those of this process.
    fn owner(&self, path: &RelPath) -> Option<(u32, u32)> {
        let meta = fs::symlink_metadata(self.absolute(path)).ok().filter(fs::Metadata::is_file)?;
        let own = (rustix::process::geteuid().as_raw(), rustix::process::getegid().as_raw());
        Some((meta.uid(), meta.gid())).filter(|owner| *owner != own)
    }

    /// Makes the renames last. Where a file system cannot sync a folder, the renames are as safe as it makes them.
    fn sync_folders(&self, changes: &[Change]) {
        let mut folders: Vec<_> = changes.iter().map(|change| self.nearest_folder(&change.path)).collect();
        folders.sort();
        folders.dedup();
        for folder in folders {
            let _ = File::open(folder).and_then(|folder| folder.sync_all());
        }
    }
}

fn write_beside(folder: &Path, prefix: &str, node: &Node, owner: Option<(u32, u32)>) -> std::io::Result<TempPath> {
    let mut builder = tempfile::Builder::new();
    builder.prefix(prefix);
    if node.kind == Kind::Link {
        let link = builder.make_in(folder, |path| symlink(OsStr::from_bytes(&node.bytes), path))?;
        return Ok(link.into_temp_path());
    }
    let mut file = builder.tempfile_in(folder)?;
    file.write_all(&node.bytes)?;
    if let Some((user, group)) = owner {
        // Only root may give files away. Others keep what they wrote.
        let (user, group) = (rustix::fs::Uid::from_raw(user), rustix::fs::Gid::from_raw(group));
        let _ = rustix::fs::fchown(file.as_file(), Some(user), Some(group));
    }
    // After the owner, whose change clears the set-user-ID bit.
    file.as_file().set_permissions(Permissions::from_mode(node.mode))?;
    file.as_file().sync_all()?;
    Ok(file.into_temp_path())
}

/// Asked of the kernel without setting it, which would show in other threads; elsewhere by setting it for a moment.
fn umask() -> u32 {
    let asked = fs::read_to_string("/proc/self/status").ok().and_then(|status| {
        let line = status.lines().find_map(|line| line.strip_prefix("Umask:"))?;
        u32::from_str_radix(line.trim(), 8).ok()
    });
    asked.unwrap_or_else(|| {
        let mask = rustix::process::umask(rustix::fs::Mode::from_raw_mode(0o077));
        rustix::process::umask(mask);
        #[allow(clippy::useless_conversion)] // They are 16 bits on macOS.
        u32::from(mask.bits())
    })
}

fn locked<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
