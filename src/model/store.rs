//! The models on this machine: `NAME.gguf` in one folder. A file has that name only once it is complete and verified; until
//! then it is `NAME.gguf.part`.

use std::fs::{self, File, TryLockError};
use std::io;
use std::path::{Path, PathBuf};

use serde::Serialize;

use super::{Catalog, Entry, Gguf, ModelError, hash};
use crate::config::Dirs;

/// The folder of models.
#[derive(Debug, Clone)]
pub struct Store {
    folder: PathBuf,
}

/// A model and whether it is here.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Listed {
    pub name: String,
    /// `None` for a file that was imported under a name of its own.
    pub entry: Option<Entry>,
    #[serde(flatten)]
    pub state: State,
}

/// How much of a model is on this machine.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(tag = "state", rename_all = "snake_case")]
pub enum State {
    Absent,
    /// A pull was interrupted after so many bytes.
    Partial {
        bytes: u64,
    },
    Here {
        bytes: u64,
    },
}

/// Whether `name` can name a model: it becomes a file name, and an argument of commands.
pub fn is_name(name: &str) -> bool {
    name.len() <= 100
        && name.starts_with(|c: char| c.is_ascii_alphanumeric())
        && name.chars().all(|c| c.is_ascii_alphanumeric() || "._-".contains(c))
}

impl Store {
    pub fn new(dirs: &Dirs) -> Self {
        Self { folder: dirs.data.join("models") }
    }

    pub fn folder(&self) -> &Path {
        &self.folder
    }

    /// Where the model's file is once it is here.
    pub fn path(&self, name: &str) -> PathBuf {
        self.folder.join(format!("{name}.gguf"))
    }

    pub(super) fn part_path(&self, name: &str) -> PathBuf {
        self.folder.join(format!("{name}.gguf.part"))
    }

    /// Where packages lie while their part is being taken out.
    pub(super) fn package_path(&self, name: &str) -> PathBuf {
        self.folder.join(format!("{name}.gguf.packages"))
    }

    pub fn state(&self, name: &str) -> State {
        let size = |path: PathBuf| fs::metadata(path).ok().filter(fs::Metadata::is_file).map(|m| m.len());
        match (size(self.path(name)), size(self.part_path(name))) {
            (Some(bytes), _) => State::Here { bytes },
            (None, Some(bytes)) if bytes > 0 => State::Partial { bytes },
            _ => State::Absent,
        }
    }

    /// The catalog's models in its order, then what was imported under other names.
    ///
    /// # Errors
    /// The folder is there and cannot be read.
    pub fn list(&self, catalog: &Catalog) -> Result<Vec<Listed>, ModelError> {
        let mut listed: Vec<_> = catalog
            .iter()
            .map(|entry| Listed {
                name: entry.name.clone(),
                state: self.state(&entry.name),
                entry: Some(entry.clone()),
            })
            .collect();
        let files = match fs::read_dir(&self.folder) {
            Ok(files) => files,
            Err(e) if e.kind() == io::ErrorKind::NotFound => return Ok(listed),
            Err(e) => return Err(ModelError::io("read", &self.folder)(e)),
        };
        let mut imported: Vec<_> = files
            .filter_map(|file| Some(file.ok()?.file_name().to_str()?.strip_suffix(".gguf")?.to_owned()))
            .filter(|name| is_name(name) && catalog.get(name).is_none())
            .collect();
        imported.sort();
        listed.extend(imported.into_iter().map(|name| Listed { state: self.state(&name), name, entry: None }));
        Ok(listed)
    }

    /// Removes a model, or what an interrupted pull left of it. Returns the number of bytes freed.
    ///
    /// # Errors
    /// There is nothing of it, a pull is under way, or the file cannot be removed.
    pub fn remove(&self, name: &str) -> Result<u64, ModelError> {
        let bytes = match self.state(name) {
            State::Here { bytes } | State::Partial { bytes } => bytes,
            State::Absent => return Err(ModelError::NotPulled { name: name.to_owned() }),
        };
        let part = self.part_path(name);
        if part.exists() {
            let _lock = self.lock_part(name)?;
            fs::remove_file(&part).map_err(ModelError::io("remove", &part))?;
        }
        remove_folder(&self.package_path(name))?;
        let path = self.path(name);
        if path.exists() {
            fs::remove_file(&path).map_err(ModelError::io("remove", &path))?;
        }
        Ok(bytes)
    }

    /// Brings in a file as the model `name`: a hard link where source and store are on one disk, a copy otherwise.
    /// `progress` hears of every further number of bytes verified.
    ///
    /// # Errors
    /// The file is not the model that the catalog means, is no GGUF, or cannot be read; the disk is full.
    pub fn import(
        &self,
        name: &str,
        entry: Option<&Entry>,
        file: &Path,
        progress: &mut dyn FnMut(u64),
    ) -> Result<PathBuf, ModelError> {
        // Resolved first: a link to a symbolic link would come to nothing when its target moves.
        let file = &fs::canonicalize(file).map_err(ModelError::io("read", file))?;
        let gguf = Gguf::open(file)?;
        fs::create_dir_all(&self.folder).map_err(ModelError::io("create", &self.folder))?;
        let staged = tempfile::Builder::new().prefix(".import-").tempdir_in(&self.folder);
        let staged = staged.map_err(ModelError::io("write to", &self.folder))?;
        let copy = staged.path().join("model");
        if fs::hard_link(file, &copy).is_err() {
            self.need_space(gguf.size)?;
            fs::copy(file, &copy).map_err(ModelError::io("copy into", &self.folder))?;
        }
        // What was linked or copied is verified, not the file that it came from, which could change in between.
        if let Some(expected) = entry.and_then(|e| e.sha256.as_deref()) {
            let found = hash::sha256(&copy, progress).map_err(ModelError::io("read", &copy))?;
            if found != expected {
                let (path, name, expected) = (file.clone(), name.to_owned(), expected.to_owned());
                return Err(ModelError::WrongFile { path, name, found, expected });
            }
        }
        self.publish(&copy, name)
    }

    /// Gives a complete file its final name, so that it is there after a power cut too.
    pub(super) fn publish(&self, file: &Path, name: &str) -> Result<PathBuf, ModelError> {
        let path = self.path(name);
        let handle = File::open(file).map_err(ModelError::io("read", file))?;
        handle.sync_all().map_err(ModelError::io("write", file))?;
        fs::rename(file, &path).map_err(ModelError::io("write", &path))?;
        // Some file systems cannot sync a folder; the name is then on disk a little later.
        let _ = File::open(&self.folder).and_then(|folder| folder.sync_all());
        Ok(path)
    }

    /// Opens (or creates) the unfinished file of `name` and locks it against other pulls until it is closed.
    pub(super) fn lock_part(&self, name: &str) -> Result<File, ModelError> {
        fs::create_dir_all(&self.folder).map_err(ModelError::io("create", &self.folder))?;
        let path = self.part_path(name);
        let file = File::options().create(true).append(true).read(true).open(&path);
        let file = file.map_err(ModelError::io("write", &path))?;
        match file.try_lock() {
            Ok(()) => Ok(file),
            Err(TryLockError::WouldBlock) => Err(ModelError::Busy { name: name.to_owned() }),
            // Network file systems without locks: a pull there is possible, only not guarded.
            Err(TryLockError::Error(e)) if e.kind() == io::ErrorKind::Unsupported => Ok(file),
            Err(TryLockError::Error(e)) => Err(ModelError::io("lock", &path)(e)),
        }
    }

    /// Fails unless the disk has `needed` bytes free.
    pub(super) fn need_space(&self, needed: u64) -> Result<(), ModelError> {
        let stat = rustix::fs::statvfs(&self.folder).map_err(|e| ModelError::io("examine", &self.folder)(e.into()))?;
        let free = stat.f_bavail.saturating_mul(stat.f_frsize);
        if free < needed { Err(ModelError::NoSpace { folder: self.folder.clone(), needed, free }) } else { Ok(()) }
    }
}

/// Removes a folder with its content, if it is there.
pub(super) fn remove_folder(path: &Path) -> Result<(), ModelError> {
    match fs::remove_dir_all(path) {
        Err(e) if e.kind() != io::ErrorKind::NotFound => Err(ModelError::io("remove", path)(e)),
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_plain() {
        assert!(is_name("qwen2.5-coder-1.5b"));
        for bad in ["", ".", "..", "-x", "a/b", "a b", "a\n", "ä", "a;b"] {
            assert!(!is_name(bad), "{bad:?}");
        }
    }
}
