//! The index on disk: a file that grows. It can be thrown away at any time, and is where it is of no use.
//!
//! It begins with [`MAGIC`] and goes on with records, of which a later one of the same path replaces an earlier one: a checksum
//! of what follows, two lengths, a path and what is known of it. Nothing for a file that is gone; the history stands under
//! an empty path. A record that is cut off or broken ends what is read.
//!
//! Whoever reads maps the file into memory and copies nothing, which is why this is no database: ten thousand files are known
//! in the time of reading them through once. Writers append, one at a time, and never change or cut what somebody may have
//! mapped; what has become mostly replaced records is written anew beside it and renamed.

use std::collections::BTreeMap;
use std::fs::{self, File, Metadata};
use std::io::{self, Read, Write};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use bytes::Bytes;
use memmap2::Mmap;
use rayon::prelude::*;
use xxhash_rust::xxh3::xxh3_64;

use super::entry::Entry;
use super::history::History;
use crate::filesystem::is_local;

/// The last byte counts up with every change to what is stored or how it is extracted.
const MAGIC: &[u8; 8] = b"moruidx\x04";
/// Checksum, length of the path, length of the rest.
const HEAD: usize = 8 + 4 + 4;
/// Replaced records of so many bytes are not worth writing the others anew.
const SLACK: u64 = 1024 * 1024;

/// A batch of so many files is read back from where it was written: memory that the system may take back.
pub(super) const BATCH: usize = 2048;
/// How often, and after which pause, a file that another process is writing is tried again.
const TRIES: u32 = 100;
const PAUSE: Duration = Duration::from_millis(10);

/// Entries by path.
pub(super) type Files = BTreeMap<String, Entry>;

/// Where an index is kept.
#[derive(Debug)]
pub(super) struct Store {
    path: PathBuf,
    /// What this process has read or written of it is whole: the file's number, and where it ends.
    whole: Option<(u64, u64)>,
}

/// What a file holds.
#[derive(Debug, Default)]
pub(super) struct Content {
    pub files: Files,
    pub history: History,
    /// Where its last whole record ends.
    end: usize,
}

/// A record as it lies in the file.
enum Record {
    File(String, Entry),
    Gone(String),
    History(History),
}

impl Store {
    pub fn new(path: PathBuf) -> Self {
        Self { path, whole: None }
    }

    /// Everything that it holds; nothing where it is of no use.
    pub fn load(&mut self) -> Content {
        self.read(0, true).unwrap_or_default()
    }

    /// Writes the entries of `paths` as they are in `files`, or that they are gone, and the history where it `moved`. A failure
    /// costs only time, later. Returns what was written as it lies in the file now, where that is much.
    pub fn save(&mut self, files: &Files, paths: &[String], history: &History, moved: bool) -> Files {
        let mut records = Vec::new();
        for path in paths {
            append_file(&mut records, path, files.get(path));
        }
        if moved {
            append_history(&mut records, history);
        }
        self.add(&records, files, history, paths.len() >= BATCH).unwrap_or_else(|error| {
            tracing::debug!(%error, path = %self.path.display(), "the index is not stored");
            Files::new()
        })
    }

    /// Appends records. Where the file does not end with a whole record, or would be replaced records for the most part, all is
    /// written anew.
    fn add(&mut self, records: &[u8], files: &Files, history: &History, read_back: bool) -> io::Result<Files> {
        let mut file = self.lock()?;
        let meta = file.metadata()?;
        match self.whole {
            Some((number, end)) if number == meta.ino() && end == meta.len() => {}
            // Another process has appended something.
            Some((number, end)) if number == meta.ino() && end < meta.len() => drop(self.read(end, false)?),
            _ => drop(self.read(0, false)?),
        }
        let live: u64 = files.iter().map(|(path, entry)| (HEAD + path.len() + entry.stored_len()) as u64).sum();
        let longer = meta.len() + records.len() as u64;
        if self.whole != Some((meta.ino(), meta.len())) || longer > 2 * live + SLACK {
            self.rewrite(files, history)?;
            return if read_back { Ok(self.read(0, false)?.files) } else { Ok(Files::new()) };
        }
        file.write_all(records)?;
        self.whole = Some((meta.ino(), longer));
        if !read_back {
            return Ok(Files::new());
        }
        Ok(self.read(meta.len(), false)?.files)
    }

    /// Reads what follows the first `known` bytes, and notes whether the file ends with a whole record. On all threads where
    /// `none_is_busy`: others have to wait for those that read the folder.
    fn read(&mut self, known: u64, none_is_busy: bool) -> io::Result<Content> {
        let (bytes, meta) = map(&self.path)?;
        let begin = usize::try_from(known).unwrap_or(usize::MAX).max(MAGIC.len());
        let content =
            if bytes.starts_with(MAGIC) { read_records(&bytes, begin, none_is_busy) } else { Content::default() };
        let is_whole = bytes.starts_with(MAGIC) && content.end == bytes.len();
        self.whole = is_whole.then_some((meta.ino(), content.end as u64));
        Ok(content)
    }

    /// Puts a file of what is known now in the place of the present one.
    fn rewrite(&mut self, files: &Files, history: &History) -> io::Result<()> {
        let folder = self.path.parent().unwrap_or(Path::new("."));
        let mut new = tempfile::NamedTempFile::new_in(folder)?;
        let mut end = MAGIC.len();
        new.write_all(MAGIC)?;
        let mut buffer = Vec::new();
        append_history(&mut buffer, history);
        for (path, entry) in files {
            append_file(&mut buffer, path, Some(entry));
            if buffer.len() as u64 > SLACK {
                end += buffer.len();
                new.write_all(&std::mem::take(&mut buffer))?;
            }
        }
        new.write_all(&buffer)?;
        end += buffer.len();
        let file = new.persist(&self.path).map_err(|error| error.error)?;
        self.whole = Some((file.metadata()?.ino(), end as u64));
        Ok(())
    }

    /// Opens the file, or makes it, for this process alone to write.
    fn lock(&self) -> io::Result<File> {
        if let Some(folder) = self.path.parent() {
            fs::create_dir_all(folder)?;
        }
        for _ in 0..TRIES {
            let file = File::options().create(true).read(true).append(true).open(&self.path)?;
            let number = file.metadata()?.ino();
            match file.try_lock() {
                // Who held it before may have put another in its place.
                Ok(()) if fs::metadata(&self.path).is_ok_and(|now| now.ino() == number) => return Ok(file),
                Ok(()) => {}
                Err(fs::TryLockError::WouldBlock) => std::thread::sleep(PAUSE),
                Err(fs::TryLockError::Error(error)) => return Err(error),
            }
        }
        Err(io::ErrorKind::WouldBlock.into())
    }
}

/// The bytes of a file, read when they are looked at. A lock on the file would last as long as they do.
fn map(path: &Path) -> io::Result<(Bytes, Metadata)> {
    let mut file = File::open(path)?;
    let meta = file.metadata()?;
    if meta.len() == 0 || !is_local(path) {
        let mut bytes = Vec::new();
        file.read_to_end(&mut bytes)?;
        return Ok((bytes.into(), meta));
    }
    // SAFETY: Moru only ever appends to such a file or puts another in its place, so that what is mapped stays as it is. That
    // nobody else cuts a file in Moru's cache while Moru runs is what every program that maps its files relies on.
    let map = unsafe { Mmap::map(&file)? };
    Ok((Bytes::from_owner(map), meta))
}

/// The records from `begin` on, up to the first that is not whole.
fn read_records(bytes: &Bytes, begin: usize, none_is_busy: bool) -> Content {
    let mut ends = vec![begin];
    while let Some(end) = ends.last().and_then(|begin| record_end(bytes, *begin)) {
        ends.push(end);
    }
    let read = |ends: &[usize]| Record::read(&bytes.slice(ends[0]..ends[1]));
    let records: Vec<Option<Record>> =
        if none_is_busy { ends.par_windows(2).map(read).collect() } else { ends.windows(2).map(read).collect() };
    let mut content = Content { end: begin, ..Content::default() };
    for (record, end) in records.into_iter().zip(&ends[1..]) {
        match record {
            Some(Record::File(path, entry)) => drop(content.files.insert(path, entry)),
            Some(Record::Gone(path)) => drop(content.files.remove(&path)),
            Some(Record::History(history)) => content.history = history,
            None => break,
        }
        content.end = *end;
    }
    content
}

/// Where the record that begins at `begin` ends; `None` where there is none, or not all of it.
fn record_end(bytes: &[u8], begin: usize) -> Option<usize> {
    let length = |at: usize| Some(u32::from_le_bytes(bytes.get(at..at + 4)?.try_into().ok()?) as usize);
    let end = begin + HEAD + length(begin + 8)? + length(begin + 12)?;
    (end <= bytes.len()).then_some(end)
}

impl Record {
    /// `None` where it is broken.
    fn read(bytes: &Bytes) -> Option<Self> {
        let (sum, rest) = bytes.split_first_chunk::<8>()?;
        if xxh3_64(rest) != u64::from_le_bytes(*sum) {
            return None;
        }
        let path_len = u32::from_le_bytes(*rest.first_chunk::<4>()?) as usize;
        let (path, packed) = bytes.get(HEAD..)?.split_at_checked(path_len)?;
        let path = String::from_utf8(path.to_vec()).ok()?;
        match (path.is_empty(), packed.is_empty()) {
            (true, _) => Some(Self::History(postcard::from_bytes(packed).ok()?)),
            (false, true) => Some(Self::Gone(path)),
            (false, false) => Some(Self::File(path, Entry::from_bytes(&bytes.slice_ref(packed))?)),
        }
    }
}

fn append_file(records: &mut Vec<u8>, path: &str, entry: Option<&Entry>) {
    append(records, path, |to| entry.into_iter().for_each(|entry| entry.write(to)));
}

fn append_history(records: &mut Vec<u8>, history: &History) {
    append(records, "", |to| to.extend(postcard::to_stdvec(history).unwrap_or_default()));
}

/// Appends a record.
fn append(records: &mut Vec<u8>, path: &str, write: impl FnOnce(&mut Vec<u8>)) {
    let begin = records.len();
    records.extend([0; HEAD]);
    records.extend(path.as_bytes());
    write(records);
    let rest = records.len() - begin - HEAD - path.len();
    let length = |length: usize| u32::try_from(length).unwrap_or(u32::MAX).to_le_bytes();
    records[begin + 8..begin + 12].copy_from_slice(&length(path.len()));
    records[begin + 12..begin + HEAD].copy_from_slice(&length(rest));
    let sum = xxh3_64(&records[begin + 8..]);
    records[begin..begin + 8].copy_from_slice(&sum.to_le_bytes());
}
