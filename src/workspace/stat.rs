//! Tells without reading it whether a file is the one whose content is known.

use std::collections::HashMap;
use std::fs::{self, Metadata};
use std::io::Write;
use std::os::unix::fs::MetadataExt;
use std::path::Path;

use git2::Oid;
use serde::{Deserialize, Serialize};

use super::RelPath;
use super::node::{Kind, Node};

/// A file may change twice within one tick of the file system's clock, which leaves no trace in its times.
const TICK: i64 = 100_000_000;

/// What the file system says of a file without its content.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Stat {
    pub kind: Kind,
    /// Permission bits; 0 for a link.
    pub mode: u32,
    pub size: u64,
    /// Nanoseconds since the epoch.
    pub modified: i64,
    /// Nanoseconds since the epoch: of content or status, cannot be set by a program.
    pub changed: i64,
    pub inode: u64,
}

/// Content that was read at some time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Seen {
    pub blob: Oid,
    /// Nanoseconds since the epoch, before it was read.
    pub time: i64,
}

impl Stat {
    /// `None` for what is neither a file nor a symbolic link.
    pub fn of(meta: &Metadata) -> Option<Self> {
        let (kind, mode) = match () {
            () if meta.is_symlink() => (Kind::Link, 0),
            () if meta.is_file() => (Kind::File, meta.mode() & 0o7777),
            () => return None,
        };
        let nanoseconds = |seconds: i64, rest: i64| seconds.saturating_mul(1_000_000_000).saturating_add(rest);
        Some(Self {
            kind,
            mode,
            size: meta.size(),
            modified: nanoseconds(meta.mtime(), meta.mtime_nsec()),
            changed: nanoseconds(meta.ctime(), meta.ctime_nsec()),
            inode: meta.ino(),
        })
    }

    pub fn node(&self, bytes: Vec<u8>) -> Node {
        Node { kind: self.kind, mode: self.mode, bytes }
    }
}

impl Seen {
    /// Whether an unchanged `stat` proves unchanged content.
    pub fn holds_for(&self, stat: &Stat) -> bool {
        stat.changed.max(stat.modified) < self.time - TICK
    }
}

/// Content of files by what the file system says of them. Can be thrown away at any time.
#[derive(Debug, Default)]
pub(super) struct StatCache {
    files: HashMap<RelPath, (Stat, Seen)>,
    dirty: bool,
}

#[derive(Serialize, Deserialize)]
struct Line(RelPath, Stat, String, i64);

impl StatCache {
    pub fn load(home: &Path) -> Self {
        let lines: Vec<Line> =
            fs::read(home.join(FILE)).ok().and_then(|bytes| serde_json::from_slice(&bytes).ok()).unwrap_or_default();
        let known = lines.into_iter().filter_map(|Line(path, stat, blob, time)| {
            Some((path, (stat, Seen { blob: Oid::from_str(&blob).ok()?, time })))
        });
        Self { files: known.collect(), dirty: false }
    }

    pub fn get(&self, path: &RelPath, stat: &Stat) -> Option<Seen> {
        let (known, seen) = self.files.get(path)?;
        (known == stat && seen.holds_for(stat)).then_some(*seen)
    }

    pub fn set(&mut self, path: RelPath, stat: Stat, seen: Seen) {
        self.files.insert(path, (stat, seen));
        self.dirty = true;
    }

    pub fn retain(&mut self, keep: impl Fn(&RelPath) -> bool) {
        let before = self.files.len();
        self.files.retain(|path, _| keep(path));
        self.dirty |= self.files.len() != before;
    }

    pub fn save(&mut self, home: &Path) {
        if !std::mem::take(&mut self.dirty) {
            return;
        }
        let lines: Vec<_> = self
            .files
            .iter()
            .map(|(path, (stat, seen))| Line(path.clone(), *stat, seen.blob.to_string(), seen.time))
            .collect();
        let save = || {
            let mut file = tempfile::NamedTempFile::new_in(home)?;
            file.write_all(&serde_json::to_vec(&lines)?)?;
            file.persist(home.join(FILE)).map_err(|error| error.error)
        };
        if let Err(error) = save() {
            tracing::debug!(%error, "the stat cache is not kept");
        }
    }
}

const FILE: &str = "stat.json";
