//! The models on this machine: `NAME.gguf` in one folder, or `NAME-00001-of-00003.gguf` and so on where one is spread over
//! several files. A file has that name only once it is complete and verified; until then it ends in `.part`. What there is of
//! a model is read off these names, so that imported models need no record.

use std::collections::BTreeMap;
use std::fs::{self, File, TryLockError};
use std::io;
use std::path::{Path, PathBuf};

use serde::Serialize;

use super::split::{self, Split};
use super::{Catalog, Entry, Gguf, ModelError, catalog, hash};
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
    /// Bytes that it takes to run it, as [`catalog::memory_needed`] estimates them; `None` for an imported model that is not
    /// whole.
    pub memory_needed: Option<u64>,
    #[serde(flatten)]
    pub state: State,
}

impl Listed {
    fn new(name: String, entry: Option<&Entry>, state: State) -> Self {
        let memory_needed = match state {
            State::Here { bytes } => Some(catalog::memory_needed(bytes)),
            _ => entry.map(Entry::memory_needed),
        };
        Self { name, entry: entry.cloned(), memory_needed, state }
    }
}

/// How much of a model is on this machine.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(tag = "state", rename_all = "snake_case")]
pub enum State {
    Absent,
    /// A pull was interrupted after so many bytes, or one of several files is missing.
    Partial {
        bytes: u64,
    },
    Here {
        bytes: u64,
    },
}

impl State {
    /// With these files here, which are in order.
    fn of(files: &[Stored]) -> Self {
        match (complete(&finished(files.to_vec())), bytes(files)) {
            (Some(files), _) => Self::Here { bytes: bytes(files) },
            (None, 0) => Self::Absent,
            (None, bytes) => Self::Partial { bytes },
        }
    }
}

/// A file of a model.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
struct Stored {
    /// `None` for a model in one file.
    split: Option<Split>,
    /// Complete and verified.
    finished: bool,
    bytes: u64,
}

/// Whether `name` can name a model: it becomes a file name, and an argument of commands.
pub fn is_name(name: &str) -> bool {
    name.len() <= 100
        && Split::parse(&format!("{name}.gguf")).is_none()
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

    /// The file to load the model by, of several the first. Where the model is not here, it is a file that is missing: there
    /// is something at this path exactly when all of the model is here.
    pub fn path(&self, name: &str) -> PathBuf {
        let finished = self.finished(name);
        match complete(&finished).and_then(<[Stored]>::first) {
            Some(first) => self.file(name, first.split),
            None => self.file(name, missing(&finished)),
        }
    }

    /// Where a file of the model is once it is complete.
    pub(super) fn file(&self, name: &str, split: Option<Split>) -> PathBuf {
        self.folder.join(split.map_or_else(|| format!("{name}.gguf"), |split| split.file(name)))
    }

    /// Where a file of the model is until it is complete.
    pub(super) fn part_path(&self, name: &str, split: Option<Split>) -> PathBuf {
        self.file(name, split).with_added_extension("part")
    }

    /// Where packages lie while their part is being taken out.
    pub(super) fn package_path(&self, name: &str) -> PathBuf {
        self.folder.join(format!("{name}.gguf.packages"))
    }

    pub fn state(&self, name: &str) -> State {
        State::of(&self.stored(name))
    }

    /// All files of each model, in order.
    fn contents(&self) -> io::Result<BTreeMap<String, Vec<Stored>>> {
        let mut contents: BTreeMap<_, Vec<_>> = BTreeMap::new();
        for file in fs::read_dir(&self.folder)?.flatten() {
            let name = file.file_name();
            let Some((name, split, finished)) = name.to_str().and_then(parse) else { continue };
            // Not the entry's own metadata: a link counts for what it leads to.
            let Some(meta) = fs::metadata(file.path()).ok().filter(fs::Metadata::is_file) else { continue };
            contents.entry(name.to_owned()).or_default().push(Stored { split, finished, bytes: meta.len() });
        }
        contents.values_mut().for_each(|files| files.sort());
        Ok(contents)
    }

    /// All files of a model, in order.
    fn stored(&self, name: &str) -> Vec<Stored> {
        self.contents().ok().and_then(|mut contents| contents.remove(name)).unwrap_or_default()
    }

    fn finished(&self, name: &str) -> Vec<Stored> {
        finished(self.stored(name))
    }

    /// Bytes of a file that are here, finished or not.
    pub(super) fn received(&self, name: &str, split: Option<Split>) -> u64 {
        let length = |path: PathBuf| fs::metadata(path).map_or(0, |meta| meta.len());
        match length(self.file(name, split)) {
            0 => length(self.part_path(name, split)),
            bytes => bytes,
        }
    }

    /// The catalog's models in its order, then what was imported under other names.
    ///
    /// # Errors
    /// The folder is there and cannot be read.
    pub fn list(&self, catalog: &Catalog) -> Result<Vec<Listed>, ModelError> {
        let mut contents = match self.contents() {
            Err(e) if e.kind() == io::ErrorKind::NotFound => BTreeMap::new(),
            contents => contents.map_err(ModelError::io("read", &self.folder))?,
        };
        let known = catalog.iter().map(|entry| {
            let files = contents.remove(&entry.name).unwrap_or_default();
            Listed::new(entry.name.clone(), Some(entry), State::of(&files))
        });
        let mut listed: Vec<_> = known.collect();
        contents.retain(|name, files| is_name(name) && files.iter().any(|file| file.finished));
        listed.extend(contents.into_iter().map(|(name, files)| Listed::new(name, None, State::of(&files))));
        Ok(listed)
    }

    /// Removes a model, or what an interrupted pull left of it. Returns the number of bytes freed.
    ///
    /// # Errors
    /// There is nothing of it, a pull is under way, or the file cannot be removed.
    pub fn remove(&self, name: &str) -> Result<u64, ModelError> {
        if self.state(name) == State::Absent {
            return Err(ModelError::NotPulled { name: name.to_owned() });
        }
        let lock = self.part_path(name, None);
        let _lock = lock.exists().then(|| self.lock(&lock, name)).transpose()?;
        let files = self.stored(name);
        for file in &files {
            self.discard(name, file)?;
        }
        remove_folder(&self.package_path(name))?;
        Ok(bytes(&files))
    }

    /// Removes what is no part of the model now that it is here: what is left of another source, which had it in another number
    /// of files. The caller holds the lock.
    pub(super) fn discard_leftovers(&self, name: &str) -> Result<(), ModelError> {
        let finished = self.finished(name);
        let Some(kept) = complete(&finished) else { return Ok(()) };
        self.stored(name).iter().filter(|file| !kept.contains(file)).try_for_each(|file| self.discard(name, file))
    }

    fn discard(&self, name: &str, file: &Stored) -> Result<(), ModelError> {
        let path = if file.finished { self.file(name, file.split) } else { self.part_path(name, file.split) };
        fs::remove_file(&path).map_err(ModelError::io("remove", &path))
    }

    /// Brings in a file as the model `name`, and the others where it is the first of several: hard links where source and
    /// store are on one disk, copies otherwise. `progress` hears of every further number of bytes verified.
    ///
    /// # Errors
    /// The file is not the model that the catalog means, is no GGUF, or cannot be read; one of several is missing; the disk
    /// is full.
    pub fn import(
        &self,
        name: &str,
        entry: Option<&Entry>,
        file: &Path,
        progress: &mut dyn FnMut(u64),
    ) -> Result<PathBuf, ModelError> {
        let gguf = Gguf::open(file)?;
        let given = if gguf.split_count > 1 { split::paths(file) } else { vec![file.to_owned()] };
        let splits: Vec<_> = match given.len() {
            1 => vec![None],
            count => Split::all(count).map(Some).collect(),
        };
        fs::create_dir_all(&self.folder).map_err(ModelError::io("create", &self.folder))?;
        let staged = tempfile::Builder::new().prefix(".import-").tempdir_in(&self.folder);
        let staged = staged.map_err(ModelError::io("write to", &self.folder))?;
        let copies = self.take_in(&given, staged.path())?;
        // What was linked or copied is verified, not the file that it came from, which could change in between.
        if let (Some(expected), Some(copy)) = (entry.and_then(|e| e.sha256.as_deref()), copies.first()) {
            let found = hash::sha256(copy, progress).map_err(ModelError::io("read", copy))?;
            if found != expected {
                let (path, name, expected) = (file.to_owned(), name.to_owned(), expected.to_owned());
                return Err(ModelError::WrongFile { path, name, found, expected });
            }
        }
        for (copy, split) in copies.iter().zip(&splits) {
            self.publish(copy, name, *split)?;
        }
        // What the name meant before, where that had another number of files.
        let others = self.finished(name).into_iter().filter(|file| !splits.contains(&file.split));
        for file in others {
            self.discard(name, &file)?;
        }
        Ok(self.path(name))
    }

    /// Links or copies files into `folder`. Returns their paths there.
    fn take_in(&self, given: &[PathBuf], folder: &Path) -> Result<Vec<PathBuf>, ModelError> {
        let (mut copies, mut apart, mut needed) = (Vec::new(), Vec::new(), 0_u64);
        for (index, file) in given.iter().enumerate() {
            // Resolved first: a link to a symbolic link would come to nothing when its target moves.
            let file = fs::canonicalize(file).map_err(ModelError::io("read", file))?;
            let copy = folder.join(index.to_string());
            if fs::hard_link(&file, &copy).is_err() {
                needed = needed.saturating_add(fs::metadata(&file).map_err(ModelError::io("read", &file))?.len());
                apart.push((file, copy.clone()));
            }
            copies.push(copy);
        }
        self.need_space(needed)?;
        for (file, copy) in apart {
            fs::copy(&file, &copy).map_err(ModelError::io("copy into", &self.folder))?;
        }
        Ok(copies)
    }

    /// Gives a complete file its final name, so that it is there after a power cut too.
    pub(super) fn publish(&self, file: &Path, name: &str, split: Option<Split>) -> Result<(), ModelError> {
        let path = self.file(name, split);
        let handle = File::open(file).map_err(ModelError::io("read", file))?;
        handle.sync_all().map_err(ModelError::io("write", file))?;
        fs::rename(file, &path).map_err(ModelError::io("write", &path))?;
        // Some file systems cannot sync a folder; the name is then on disk a little later.
        let _ = File::open(&self.folder).and_then(|folder| folder.sync_all());
        Ok(())
    }

    /// Opens (or creates) an unfinished file of `name` and locks it against other pulls until it is closed.
    pub(super) fn lock(&self, path: &Path, name: &str) -> Result<File, ModelError> {
        fs::create_dir_all(&self.folder).map_err(ModelError::io("create", &self.folder))?;
        let file = File::options().create(true).append(true).read(true).open(path);
        let file = file.map_err(ModelError::io("write", path))?;
        match file.try_lock() {
            Ok(()) => Ok(file),
            Err(TryLockError::WouldBlock) => Err(ModelError::Busy { name: name.to_owned() }),
            // Network file systems without locks: a pull there is possible, only not guarded.
            Err(TryLockError::Error(e)) if e.kind() == io::ErrorKind::Unsupported => Ok(file),
            Err(TryLockError::Error(e)) => Err(ModelError::io("lock", path)(e)),
        }
    }

    /// Fails unless the disk has `needed` bytes free.
    pub(super) fn need_space(&self, needed: u64) -> Result<(), ModelError> {
        let stat = rustix::fs::statvfs(&self.folder).map_err(|e| ModelError::io("examine", &self.folder)(e.into()))?;
        let free = stat.f_bavail.saturating_mul(stat.f_frsize);
        if free < needed { Err(ModelError::NoSpace { folder: self.folder.clone(), needed, free }) } else { Ok(()) }
    }
}

/// What the name of a file in the store says: model, which of its files, whether it is complete. `None` for no model's file.
fn parse(file: &str) -> Option<(&str, Option<Split>, bool)> {
    let (file, finished) = file.strip_suffix(".part").map_or((file, true), |file| (file, false));
    match Split::parse(file) {
        Some((name, split)) => Some((name, Some(split), finished)),
        None => Some((file.strip_suffix(".gguf")?, None, finished)),
    }
}

fn finished(mut files: Vec<Stored>) -> Vec<Stored> {
    files.retain(|file| file.finished);
    files
}

/// The files that make a model, if none is missing. Of a model that was spread over another number of files before, there may
/// be some that are of no use.
fn complete(finished: &[Stored]) -> Option<&[Stored]> {
    let count = |file: &Stored| file.split.map_or(1, |split| split.count);
    finished.chunk_by(|a, b| count(a) == count(b)).find(|files| files.first().is_some_and(|f| files.len() == count(f)))
}

/// The first file that is missing of a model in several.
fn missing(finished: &[Stored]) -> Option<Split> {
    let count = finished.first()?.split?.count;
    Split::all(count).find(|split| !finished.iter().any(|file| file.split == Some(*split)))
}

fn bytes(files: &[Stored]) -> u64 {
    files.iter().map(|file| file.bytes).sum()
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
        for bad in ["", ".", "..", "-x", "a/b", "a b", "a\n", "ä", "a;b", "x-00001-of-00002"] {
            assert!(!is_name(bad), "{bad:?}");
        }
    }
}
