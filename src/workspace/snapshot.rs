//! What a command changed: the files as they were before it, compared with what stands after it, become a checkpoint like
//! any other. Files that git ignores are left out, and so is what is too large to keep.

use std::collections::{BTreeMap, BTreeSet, HashSet};
use std::fs::{self, Metadata};
use std::os::unix::fs::MetadataExt;
use std::path::Path;
use std::sync::PoisonError;
use std::time::SystemTime;

use git2::{ObjectType, Odb, Oid};

use super::apply::{Turn, now};
use super::node::{Change, Dir, Kind, Node, Transition};
use super::stat::{Seen, Stat, StatCache};
use super::store::Store;
use super::walk::walk;
use super::{Applied, CheckpointId, RelPath, Workspace, WorkspaceError, diff};

/// What is kept for undoing what commands do.
#[derive(Debug, Clone, Copy)]
pub(super) struct Bounds {
    pub files: usize,
    /// Bytes of one file.
    pub file_bytes: u64,
    /// Bytes that one snapshot adds to the repository.
    pub new_bytes: u64,
    /// Bytes that one snapshot reads because it does not know them yet.
    pub read_bytes: u64,
}

impl Default for Bounds {
    fn default() -> Self {
        Self { files: 50_000, file_bytes: 8 << 20, new_bytes: 64 << 20, read_bytes: 1 << 30 }
    }
}

/// The files as they are at one moment; taken before a command, compared by [`Workspace::record`] after it.
#[derive(Debug)]
pub struct Snapshot {
    /// Nanoseconds since the epoch.
    pub(super) time: i64,
    files: BTreeMap<RelPath, Known>,
    folders: BTreeMap<RelPath, u32>,
    /// All files were seen.
    complete: bool,
    /// Files that are too large, or too many, to keep.
    unkept: usize,
    bounds: Bounds,
}

#[derive(Debug, Clone, Copy)]
struct Known {
    stat: Stat,
    /// `None`: not kept.
    seen: Option<Seen>,
}

impl Snapshot {
    /// What of a command's changes could not be undone; `None` where everything could.
    pub fn note(&self) -> Option<String> {
        if !self.complete {
            let files = self.bounds.files;
            return Some(format!(
                "this folder has more than {files} files; what commands do to the others cannot be undone"
            ));
        }
        (self.unkept > 0).then(|| {
            format!("what commands do to {} cannot be undone, since there is too much in them", count(self.unkept))
        })
    }
}

fn count(files: usize) -> String {
    if files == 1 { "1 file".into() } else { format!("{files} files") }
}

pub(super) fn take(workspace: &Workspace, bounds: Bounds) -> Result<Snapshot, WorkspaceError> {
    let mut snapshot = Snapshot {
        time: nanoseconds(),
        files: BTreeMap::new(),
        folders: BTreeMap::new(),
        complete: true,
        unkept: 0,
        bounds,
    };
    if workspace.disk.is_dry() {
        return Ok(snapshot);
    }
    let turn = Turn::begin(workspace)?;
    let odb = turn.store.odb()?;
    let listing = Listing::of(workspace.root(), bounds.files);
    let mut cache = workspace.stats.lock().unwrap_or_else(PoisonError::into_inner);
    let cache = cache.get_or_insert_with(|| StatCache::load(&workspace.home));
    let mut unknown = Vec::new();
    for (path, stat) in listing.files {
        let seen = cache.get(&path, &stat).filter(|seen| Store::has(&odb, seen.blob));
        if seen.is_none() {
            unknown.push((path.clone(), stat));
        }
        snapshot.files.insert(path, Known { stat, seen });
    }
    // Small files first: the sources are among them, and most of what does not fit is data.
    unknown.sort_by_key(|(_, stat)| stat.size);
    let mut keeper = Keeper { odb: &odb, bounds, read: 0, new: 0 };
    for (path, stat) in unknown {
        match keeper.keep(workspace.root(), &path, &stat)? {
            Some(seen) => {
                cache.set(path.clone(), stat, seen);
                snapshot.files.insert(path, Known { stat, seen: Some(seen) });
            }
            None => snapshot.unkept += 1,
        }
    }
    cache.retain(|path| snapshot.files.contains_key(path));
    cache.save(&workspace.home);
    snapshot.folders = listing.folders;
    snapshot.complete = listing.complete;
    snapshot.unkept += listing.unnamed;
    Ok(snapshot)
}

pub(super) fn record(
    workspace: &Workspace,
    snapshot: &Snapshot,
    label: &str,
) -> Result<Option<Applied>, WorkspaceError> {
    if workspace.disk.is_dry() {
        return Ok(None);
    }
    let mut turn = Turn::begin(workspace)?;
    let mut comparison = Comparison { workspace, snapshot, changes: Vec::new(), bytes: 0, unkept: 0 };
    let listing = Listing::of(workspace.root(), snapshot.bounds.files);
    comparison.compare(&turn.store, &listing)?;
    let Comparison { changes, unkept, .. } = comparison;
    if changes.is_empty() {
        return Ok(None);
    }
    let transition =
        Transition { made: snapshot.made(&listing, &changes), removed: snapshot.removed(workspace.root()), changes };
    let applied = Applied {
        checkpoint: CheckpointId(turn.log.next_id()),
        diff: diff::render(&transition.changes)?,
        files: transition.files(),
        merged: false,
        note: (unkept > 0)
            .then(|| format!("changes of {} are too large to be undone", count(unkept)))
            .or(snapshot.note()),
    };
    let record = turn.store.save_record(&transition, now(), label)?;
    let mut log = turn.log.clone();
    log.push(record);
    turn.note(log)?;
    Ok(Some(applied))
}

impl Snapshot {
    /// Folders that came with created files or, where every folder was seen before, that are new.
    fn made(&self, listing: &Listing, changes: &[Change]) -> Vec<Dir> {
        let created = changes.iter().filter(|change| change.before.is_none());
        let parents: BTreeSet<_> =
            created.flat_map(|change| std::iter::successors(change.path.parent(), RelPath::parent)).collect();
        let new = listing.folders.iter().filter(|(path, _)| !self.folders.contains_key(path) && !path.is_root());
        let new = new.filter(|(path, _)| self.complete || parents.contains(path));
        new.map(|(path, mode)| Dir { path: path.clone(), mode: *mode }).collect()
    }

    fn removed(&self, root: &Path) -> Vec<Dir> {
        let gone = |path: &RelPath| !fs::symlink_metadata(root.join(path.as_str())).is_ok_and(|meta| meta.is_dir());
        let gone = self.folders.iter().filter(|(path, _)| gone(path));
        gone.map(|(path, mode)| Dir { path: path.clone(), mode: *mode }).collect()
    }
}

/// Reads files and puts into the object database what is not there, within bounds.
struct Keeper<'a> {
    odb: &'a Odb<'a>,
    bounds: Bounds,
    read: u64,
    new: u64,
}

impl Keeper<'_> {
    fn keep(&mut self, root: &Path, path: &RelPath, stat: &Stat) -> Result<Option<Seen>, WorkspaceError> {
        if stat.size > self.bounds.file_bytes || self.read + stat.size > self.bounds.read_bytes {
            return Ok(None);
        }
        let time = nanoseconds();
        // It may be gone by now, or not be readable; then a command's change of it cannot be undone.
        let Some(node) = read(root, path) else { return Ok(None) };
        self.read += stat.size;
        let blob = Oid::hash_object(ObjectType::Blob, &node.bytes)?;
        if !Store::has(self.odb, blob) {
            if self.new + stat.size > self.bounds.new_bytes {
                return Ok(None);
            }
            self.new += stat.size;
            self.odb.write(ObjectType::Blob, &node.bytes)?;
        }
        Ok(Some(Seen { blob, time }))
    }
}

/// Finds what is different from the snapshot.
struct Comparison<'a> {
    workspace: &'a Workspace,
    snapshot: &'a Snapshot,
    changes: Vec<Change>,
    bytes: u64,
    unkept: usize,
}

impl Comparison<'_> {
    fn compare(&mut self, store: &Store, listing: &Listing) -> Result<(), WorkspaceError> {
        let root = self.workspace.root();
        for (path, known) in &self.snapshot.files {
            // What is not listed any more may only be ignored by now.
            let stat = match listing.files.get(path) {
                Some(stat) => Some(*stat),
                None => lstat(root, path),
            };
            let fresh = known.seen.is_some_and(|seen| seen.holds_for(&known.stat));
            if stat == Some(known.stat) && (fresh || known.seen.is_none()) {
                continue;
            }
            let Some(seen) = known.seen else {
                self.unkept += 1;
                continue;
            };
            let before = known.stat.node(store.blob(seen.blob)?);
            self.change(path, Some(before), stat);
        }
        // The files of a folder that was moved keep all their times.
        let known: HashSet<_> = self.snapshot.files.values().map(|known| known.stat.inode).collect();
        for (path, stat) in &listing.files {
            let moved = known.contains(&stat.inode);
            if !self.snapshot.files.contains_key(path) && (moved || self.is_new(path, stat)) {
                self.change(path, None, Some(*stat));
            }
        }
        self.changes.sort_by(|a, b| a.path.cmp(&b.path));
        Ok(())
    }

    fn change(&mut self, path: &RelPath, before: Option<Node>, stat: Option<Stat>) {
        let after = match stat {
            None => None,
            Some(stat) if stat.size > self.snapshot.bounds.file_bytes => return self.unkept += 1,
            Some(stat) if self.bytes + stat.size > self.snapshot.bounds.new_bytes => return self.unkept += 1,
            Some(stat) => {
                let Some(node) = read(self.workspace.root(), path) else { return self.unkept += 1 };
                if before.as_ref() != Some(&node) {
                    self.bytes += stat.size;
                }
                Some(node)
            }
        };
        if before != after {
            self.changes.push(Change { path: path.clone(), before, after });
        }
    }

    /// A file that the snapshot does not know may have been ignored then, or beyond its bounds. Undo must not delete such a
    /// file, so it has to show that it came later. A change of the status time is enough where all was seen.
    fn is_new(&self, path: &RelPath, stat: &Stat) -> bool {
        /// File systems stamp with a clock that may lag behind, by a tick of at most 10 ms.
        const LAG: i64 = 50_000_000;
        let since = self.snapshot.time - LAG;
        if self.snapshot.complete {
            return stat.changed >= since;
        }
        let born = fs::symlink_metadata(self.workspace.root().join(path.as_str())).and_then(|meta| meta.created());
        born.is_ok_and(|born| {
            born.duration_since(SystemTime::UNIX_EPOCH).is_ok_and(|born| born.as_nanos() as i64 >= since)
        })
    }
}

/// What stands in the workspace, without content.
struct Listing {
    files: BTreeMap<RelPath, Stat>,
    folders: BTreeMap<RelPath, u32>,
    complete: bool,
    /// Files whose names are not UTF-8.
    unnamed: usize,
}

impl Listing {
    fn of(root: &Path, limit: usize) -> Self {
        let mut listing = Self { files: BTreeMap::new(), folders: BTreeMap::new(), complete: true, unnamed: 0 };
        for entry in walk(root) {
            let Ok(meta) = entry.metadata() else { continue };
            let Some(path) = RelPath::below(root, entry.path()) else {
                listing.unnamed += 1;
                continue;
            };
            if meta.is_dir() {
                listing.folders.insert(path, meta.mode() & 0o7777);
            } else if let Some(stat) = Stat::of(&meta) {
                if listing.files.len() == limit {
                    listing.complete = false;
                    break;
                }
                listing.files.insert(path, stat);
            }
        }
        listing
    }
}

fn lstat(root: &Path, path: &RelPath) -> Option<Stat> {
    fs::symlink_metadata(root.join(path.as_str())).ok().as_ref().and_then(Stat::of)
}

fn read(root: &Path, path: &RelPath) -> Option<Node> {
    let absolute = root.join(path.as_str());
    let meta: Metadata = fs::symlink_metadata(&absolute).ok()?;
    let stat = Stat::of(&meta)?;
    let bytes = match stat.kind {
        Kind::Link => fs::read_link(&absolute).ok()?.into_os_string().into_encoded_bytes(),
        Kind::File => fs::read(&absolute).ok()?,
    };
    Some(stat.node(bytes))
}

/// Since the epoch.
fn nanoseconds() -> i64 {
    SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).map_or(0, |time| time.as_nanos() as i64)
}
