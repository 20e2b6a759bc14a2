//! Downloads a model: from one source after the other until one has served the bytes whose SHA-256 the catalog names. What
//! was received is kept in the unfinished file, whichever source it came from, and the next pull goes on there.

mod hub;
mod python;
mod several;

use std::fs::File;
use std::io::{self, Read, Write};
use std::path::PathBuf;

use super::catalog::Source;
use super::store::{State, Store};
use super::{Entry, Gguf, ModelError, Split, hash};

/// How to reach sources. Read from the environment by the binary.
#[derive(Debug, Clone, Default)]
pub struct Options {
    /// `HF_ENDPOINT`: another hub.
    pub hub_endpoint: Option<String>,
    /// `HF_TOKEN`, or what `huggingface-cli login` stored.
    pub hub_token: Option<String>,
    /// `HF_HUB_OFFLINE`: do not ask the hub.
    pub hub_offline: bool,
    /// Commands that may be the machine's pip, the best first: `["python3", "-m", "pip"]`, `["pip3"]`.
    pub pip: Vec<Vec<String>>,
    /// Open no connection at all.
    pub offline: bool,
}

/// What a pull reports on its way.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Progress {
    /// This source is asked now.
    Source(String),
    /// That source did not serve, and why.
    Skipped { source: String, reason: String },
    /// Bytes that are here already, and bytes in all where known; of all files where a model has several. Comes again when a
    /// download begins anew, and with each of several files.
    Size { done: u64, total: Option<u64> },
    /// So many more bytes are here.
    Advanced(u64),
    /// The SHA-256 of so many bytes is computed; [`Progress::Advanced`] counts again.
    Verifying(u64),
}

/// Where a pull reports to.
pub type Report<'a> = &'a mut dyn FnMut(Progress);

/// Why a source did not serve.
#[derive(Debug)]
enum Failure {
    /// Another source may.
    Source(String),
    /// No other source would help (a full disk).
    Final(ModelError),
}

/// What a file must be, as far as it is known.
#[derive(Debug, Clone, Default)]
struct Expected {
    size: Option<u64>,
    sha256: Option<String>,
}

/// Downloads `entry` unless it is here. Returns its path.
///
/// # Errors
/// No source served it, the disk is full, or another pull is under way.
pub fn pull(entry: &Entry, store: &Store, options: &Options, report: Report) -> Result<PathBuf, ModelError> {
    let is_here = || matches!(store.state(&entry.name), State::Here { .. });
    if !is_here() {
        // The unfinished file of the model in one piece; for a source that has it in several files, the lock alone.
        let mut part = Part::open(store, &entry.name, None, entry.size)?;
        // Another pull may have finished before this one had the lock.
        let served = if is_here() { Ok(()) } else { fetch(entry, &mut part, options, report) };
        part.leave();
        served?;
    }
    Ok(store.path(&entry.name))
}

fn fetch(entry: &Entry, part: &mut Part, options: &Options, report: Report) -> Result<(), ModelError> {
    let mut reasons = String::new();
    // An earlier pull may have received all and been ended before it could verify.
    if entry.size == Some(part.length) {
        let expected = Expected { size: entry.size, sha256: entry.sha256.clone() };
        match part.finish(&expected, report) {
            Ok(()) => return Ok(()),
            Err(Failure::Final(error)) => return Err(error),
            Err(Failure::Source(reason)) => reasons += &format!("\n  an earlier download: {reason}"),
        }
    }
    if options.offline {
        reasons += "\n  Moru is offline: no connection is opened";
    }
    for source in entry.sources.iter().filter(|_| !options.offline) {
        let label = source.label();
        report(Progress::Source(label.clone()));
        match fetch_from(source, entry, part, options, report) {
            Ok(()) => return part.store.discard_leftovers(&entry.name),
            Err(Failure::Final(error)) => return Err(error),
            Err(Failure::Source(reason)) => {
                reasons += &format!("\n  {label}: {reason}");
                report(Progress::Skipped { source: label, reason });
            }
        }
    }
    Err(ModelError::NoSource { name: entry.name.clone(), reasons })
}

fn fetch_from(
    source: &Source,
    entry: &Entry,
    part: &mut Part,
    options: &Options,
    report: Report,
) -> Result<(), Failure> {
    let mut expected = Expected { size: entry.size, sha256: entry.sha256.clone() };
    match source {
        Source::Hub { .. } if source.file_count() > 1 => {
            return several::fetch(source, entry, part.store, options, report);
        }
        Source::Hub { .. } => hub::fetch(source, part, &mut expected, options, report)?,
        Source::Python { .. } => python::fetch(source, part, &expected, options, report)?,
    }
    part.finish(&expected, report)
}

impl Source {
    /// For people.
    pub fn label(&self) -> String {
        match self {
            Self::Hub { repo, .. } => format!("Hugging Face hub, {repo}"),
            Self::Python { package, version, parts, .. } => {
                format!("Python packages {} {version}", package.replace("{n}", &format!("1...{parts}")))
            }
        }
    }
}

/// An unfinished file, locked.
struct Part<'a> {
    store: &'a Store,
    name: &'a str,
    /// Which file, of a model in several.
    split: Option<Split>,
    path: PathBuf,
    file: File,
    length: u64,
}

impl<'a> Part<'a> {
    /// `size`: bytes that it will have, where known.
    fn open(store: &'a Store, name: &'a str, split: Option<Split>, size: Option<u64>) -> Result<Self, ModelError> {
        let path = store.part_path(name, split);
        let file = store.lock(&path, name)?;
        let length = file.metadata().map_err(ModelError::io("read", &path))?.len();
        let mut part = Self { store, name, split, path, file, length };
        if size.is_some_and(|size| length > size) {
            part.restart()?;
        }
        Ok(part)
    }

    /// Fails unless what remains of `size` bytes, and `extra`, fit on the disk.
    fn need_space(&self, size: u64, extra: u64) -> Result<(), Failure> {
        Ok(self.store.need_space(size.saturating_sub(self.length).saturating_add(extra))?)
    }

    /// Forgets what was received.
    fn restart(&mut self) -> Result<(), ModelError> {
        self.file.set_len(0).map_err(ModelError::io("write", &self.path))?;
        self.length = 0;
        Ok(())
    }

    /// Appends what `reader` gives. A failure of the reader leaves what came before it.
    fn append(&mut self, mut reader: impl Read, report: Report) -> Result<(), Failure> {
        let mut buffer = vec![0; 1 << 18];
        loop {
            let n = match reader.read(&mut buffer) {
                Ok(0) => return Ok(()),
                Ok(n) => n,
                Err(e) if e.kind() == io::ErrorKind::Interrupted => continue,
                Err(e) => return Err(Failure::Source(format!("the transfer broke off ({e})"))),
            };
            self.file.write_all(&buffer[..n]).map_err(ModelError::io("write", &self.path))?;
            self.length += n as u64;
            report(Progress::Advanced(n as u64));
        }
    }

    /// Verifies the whole and gives it its final name. What is wrong is discarded.
    fn finish(&mut self, expected: &Expected, report: Report) -> Result<(), Failure> {
        if let Some(wrong) = self.find_fault(expected, report)? {
            self.restart()?;
            return Err(Failure::Source(format!("{wrong}; what was received is discarded")));
        }
        Ok(self.store.publish(&self.path, self.name, self.split)?)
    }

    fn find_fault(&mut self, expected: &Expected, report: Report) -> Result<Option<String>, ModelError> {
        if let Some(size) = expected.size.filter(|size| *size != self.length) {
            return Ok(Some(format!("it served {} bytes instead of {size}", self.length)));
        }
        if let Some(sha256) = &expected.sha256 {
            report(Progress::Verifying(self.length));
            let found = hash::sha256(&self.path, |n| report(Progress::Advanced(n)));
            let found = found.map_err(ModelError::io("read", &self.path))?;
            if found != *sha256 {
                return Ok(Some(format!("what it served has the SHA-256 {found} instead of {sha256}")));
            }
        }
        let sound = match self.split {
            None => Gguf::open(&self.path).map(drop),
            Some(split) => Gguf::check_part(&self.path, split),
        };
        match sound {
            Ok(()) => Ok(None),
            Err(ModelError::Gguf { source, .. }) => Ok(Some(source.to_string())),
            Err(other) => Err(other),
        }
    }

    /// Nothing came: leaves no empty file behind.
    fn leave(self) {
        if self.length == 0 {
            // While the lock is held, so that nobody else's file goes.
            let _ = std::fs::remove_file(&self.path);
        }
    }
}

impl Failure {
    /// The same, saying which of several files it is about.
    fn of(self, file: &str) -> Self {
        match self {
            Self::Source(reason) => Self::Source(format!("{file}: {reason}")),
            Self::Final(error) => Self::Final(error),
        }
    }
}

impl From<ModelError> for Failure {
    fn from(error: ModelError) -> Self {
        Self::Final(error)
    }
}

/// The last line of what a command complained, for a reason of one line.
fn last_line(text: &[u8]) -> String {
    let text = String::from_utf8_lossy(text);
    text.lines().rev().map(str::trim).find(|line| !line.is_empty()).unwrap_or("it said nothing").to_owned()
}
