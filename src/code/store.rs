//! The index on disk. It can be thrown away at any time, and is where it is of no use: broken, of another version, locked.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use redb::{Database, ReadableDatabase, ReadableTable, TableDefinition};

use super::entry::Entry;
use super::history::History;

/// Counts up with every change to what is stored or how it is extracted.
const VERSION: u64 = 1;
const META: TableDefinition<'_, &str, u64> = TableDefinition::new("meta");
const FILES: TableDefinition<'_, &str, &[u8]> = TableDefinition::new("files");
const HISTORY: TableDefinition<'_, &str, &[u8]> = TableDefinition::new("history");
/// redb's own cache; what is read is kept by the index.
const CACHE: usize = 4 * 1024 * 1024;

/// How often, and after which pause, a file that another process has open is tried again.
const TRIES: u32 = 100;
const PAUSE: Duration = Duration::from_millis(10);

/// Entries by path.
type Files = BTreeMap<String, Arc<Entry>>;

/// Where an index is kept. The file is open only while it is read or written, so that processes can share it.
#[derive(Debug, Clone)]
pub(super) struct Store {
    path: PathBuf,
}

/// Why it is of no use.
#[derive(Debug, thiserror::Error)]
enum StoreError {
    #[error(transparent)]
    Redb(Box<redb::Error>),
    #[error("it is of another version")]
    Version,
    #[error("an entry is broken")]
    Entry,
}

impl<E: Into<redb::Error>> From<E> for StoreError {
    fn from(error: E) -> Self {
        Self::Redb(Box::new(error.into()))
    }
}

impl Store {
    pub fn new(path: PathBuf) -> Self {
        Self { path }
    }

    /// Everything that it holds; nothing where it is of no use.
    pub fn load(&self) -> (Files, History) {
        if !self.path.exists() {
            return Default::default();
        }
        self.read().unwrap_or_else(|error| {
            tracing::debug!(%error, path = %self.path.display(), "the stored index is not used");
            if !is_locked(&error) {
                let _ = fs::remove_file(&self.path);
            }
            Default::default()
        })
    }

    fn read(&self) -> Result<(Files, History), StoreError> {
        let database = open(&self.path)?;
        let read = database.begin_read()?;
        if read.open_table(META)?.get("version")?.map(|version| version.value()) != Some(VERSION) {
            return Err(StoreError::Version);
        }
        let mut entries = BTreeMap::new();
        for row in read.open_table(FILES)?.iter()? {
            let (path, bytes) = row?;
            entries.insert(path.value().to_owned(), Entry::from_bytes(bytes.value()).ok_or(StoreError::Entry)?);
        }
        let history = read.open_table(HISTORY)?.get("")?.and_then(|bytes| postcard::from_bytes(bytes.value()).ok());
        Ok((entries, history.unwrap_or_default()))
    }

    /// Writes what changed: an entry, or `None` for a file that is gone. A failure costs only time, later.
    pub fn save(&self, changes: &BTreeMap<String, Option<Arc<Entry>>>, history: Option<&History>) {
        if let Err(error) = self.write(changes, history) {
            tracing::debug!(%error, path = %self.path.display(), "the index is not stored");
        }
    }

    fn write(
        &self,
        changes: &BTreeMap<String, Option<Arc<Entry>>>,
        history: Option<&History>,
    ) -> Result<(), StoreError> {
        if let Some(folder) = self.path.parent() {
            fs::create_dir_all(folder).map_err(redb::Error::Io)?;
        }
        let database = open(&self.path)?;
        let write = database.begin_write()?;
        {
            write.open_table(META)?.insert("version", VERSION)?;
            let mut files = write.open_table(FILES)?;
            for (path, entry) in changes {
                match entry {
                    Some(entry) => drop(files.insert(path.as_str(), entry.to_bytes().as_slice())?),
                    None => drop(files.remove(path.as_str())?),
                }
            }
        }
        let mut table = write.open_table(HISTORY)?;
        if let Some(packed) = history.and_then(|history| postcard::to_stdvec(history).ok()) {
            table.insert("", packed.as_slice())?;
        }
        drop(table);
        write.commit()?;
        Ok(())
    }
}

/// Opens the file, or makes it. Another process has it open for a moment only, so that waiting costs less than reading all
/// files anew.
fn open(path: &Path) -> Result<Database, redb::DatabaseError> {
    for _ in 0..TRIES {
        match Database::builder().set_cache_size(CACHE).create(path) {
            Err(redb::DatabaseError::DatabaseAlreadyOpen) => std::thread::sleep(PAUSE),
            opened => return opened,
        }
    }
    Err(redb::DatabaseError::DatabaseAlreadyOpen)
}

/// Another process has it open at this moment.
fn is_locked(error: &StoreError) -> bool {
    matches!(error, StoreError::Redb(error) if matches!(**error, redb::Error::DatabaseAlreadyOpen))
}
