//! Where changes are remembered: objects of the folder's own git repository, or of a private one, under one hidden ref.
//!
//! The ref `refs/moru/<key>` points to a tree, not to a commit, so that `git log --all` and graph viewers do not show it;
//! `git gc` keeps what it reaches. Moving the ref is what makes a change of the record happen. The tree holds
//!
//! - `state`: JSON, which checkpoint is the newest that is not undone and which number comes next;
//! - `log/<id / 256>/<id>`: the checkpoints;
//! - `pending`, only while files are being written: what is being done (`transition`) and the ref's next tree (`next`).
//!
//! A checkpoint is a tree of `meta` (JSON) and of what stood (`before`) and stands (`after`) at each path: the bytes on
//! disk, not what git's filters make of them.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use git2::{ErrorCode, Odb, OdbLookupFlags, Oid, Repository, RepositoryInitOptions, RepositoryOpenFlags};
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use super::node::{Change, Dir, Kind, Node, Transition};
use super::{RelPath, WorkspaceError, diff};

const TREE: i32 = 0o040_000;
const BLOB: i32 = 0o100_644;
/// Checkpoints in one subtree of `log`: keeps trees small, whatever their number.
const BUCKET: u64 = 256;

pub(super) struct Store {
    repo: Repository,
    head: Head,
}

enum Head {
    Ref(String),
    /// Of a dry run.
    Memory(Option<Oid>),
}

/// The checkpoints, and where undo and redo stand among them.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Log {
    state: State,
    entries: BTreeMap<u64, Oid>,
}

#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
struct State {
    /// The highest number ever given.
    last: u64,
    /// The newest checkpoint that is not undone; 0 for none.
    current: u64,
}

/// What is remembered of a change beside the files' content.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Meta {
    pub time: i64,
    pub label: String,
    files: Vec<FileMeta>,
    made: Vec<Dir>,
    removed: Vec<Dir>,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
struct FileMeta {
    path: RelPath,
    before: Option<NodeMeta>,
    after: Option<NodeMeta>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
struct NodeMeta {
    kind: Kind,
    mode: u32,
}

/// A change that was being made when its process ended.
pub(super) struct Pending {
    pub transition: Transition,
    /// Marks its temporary files.
    pub token: String,
    /// The record once it is made.
    pub next: Oid,
    /// The record as it was.
    pub base: Oid,
}

impl Meta {
    pub fn paths(&self) -> Vec<RelPath> {
        self.files.iter().map(|file| file.path.clone()).collect()
    }
}

impl Log {
    /// The number of the next checkpoint.
    pub fn next_id(&self) -> u64 {
        self.state.last + 1
    }

    /// Adds a checkpoint; those that are undone are dropped, since they can no longer be redone.
    pub fn push(&mut self, record: Oid) {
        self.entries.retain(|id, _| *id <= self.state.current);
        self.state.last += 1;
        self.state.current = self.state.last;
        self.entries.insert(self.state.last, record);
    }

    /// Newest first.
    pub fn done(&self) -> impl Iterator<Item = u64> {
        self.entries.range(..=self.state.current).rev().map(|(id, _)| *id)
    }

    /// Oldest first.
    pub fn undone(&self) -> impl Iterator<Item = u64> {
        self.entries.range(self.state.current + 1..).map(|(id, _)| *id)
    }

    pub fn is_undone(&self, id: u64) -> bool {
        id > self.state.current
    }

    pub fn entries(&self) -> impl Iterator<Item = (u64, Oid)> {
        self.entries.iter().map(|(id, record)| (*id, *record))
    }

    pub fn record(&self, id: u64) -> Option<Oid> {
        self.entries.get(&id).copied()
    }

    /// All up to `id` are done, all after it undone.
    pub fn set_current(&mut self, id: u64) {
        self.state.current = id;
    }

    /// The newest done checkpoint before `id`; 0 for none.
    pub fn before(&self, id: u64) -> u64 {
        self.entries.range(..id).next_back().map_or(0, |(id, _)| *id)
    }
}

impl Store {
    /// The repository around `root` where it can be used, else the private one in `home`.
    pub fn open(root: &Path, home: &Path) -> Result<Self, WorkspaceError> {
        let private = home.join("repo.git");
        if !private.exists()
            && let Some((repo, key)) = usable(root)
        {
            return Ok(Self { repo, head: Head::Ref(format!("refs/moru/{key}")) });
        }
        // A folder that became a repository later keeps the record that it has.
        let repo = Repository::open_bare(&private).or_else(|_| init(&private));
        let repo = repo.map_err(|error| state_error(home, error.message()))?;
        Ok(Self { repo, head: Head::Ref("refs/moru/files".into()) })
    }

    pub fn in_memory() -> Result<Self, WorkspaceError> {
        Ok(Self { repo: diff::in_memory()?, head: Head::Memory(None) })
    }

    pub fn odb(&self) -> Result<Odb<'_>, WorkspaceError> {
        Ok(self.repo.odb()?)
    }

    pub fn has(odb: &Odb<'_>, blob: Oid) -> bool {
        odb.exists_ext(blob, OdbLookupFlags::NO_REFRESH)
    }

    pub fn blob(&self, blob: Oid) -> Result<Vec<u8>, WorkspaceError> {
        Ok(self.repo.find_blob(blob)?.content().to_vec())
    }

    /// The tree that the record is now; an empty record where there is none.
    pub fn head(&self) -> Result<Oid, WorkspaceError> {
        let head = match &self.head {
            Head::Memory(head) => *head,
            Head::Ref(name) => match self.repo.find_reference(name) {
                Ok(reference) => reference.target(),
                Err(error) if error.code() == ErrorCode::NotFound => None,
                Err(error) => return Err(error.into()),
            },
        };
        match head {
            Some(head) => Ok(head),
            None => self.save(&Log::default()),
        }
    }

    /// Makes `tree` the record.
    pub fn set_head(&mut self, tree: Oid) -> Result<(), WorkspaceError> {
        const ATTEMPTS: u32 = 20;
        let name = match &mut self.head {
            Head::Memory(head) => {
                *head = Some(tree);
                return Ok(());
            }
            Head::Ref(name) => name,
        };
        for _ in 0..ATTEMPTS {
            match self.repo.reference(name, tree, true, "moru") {
                Err(error) if error.code() == ErrorCode::Locked => std::thread::sleep(Duration::from_millis(25)),
                result => return Ok(result.map(drop)?),
            }
        }
        // No other moru moves this ref (see `Lock`), and git does so for a moment only, in `git pack-refs`: who locked it was
        // killed.
        let _ = fs::remove_file(self.repo.commondir().join(format!("{name}.lock")));
        Ok(self.repo.reference(name, tree, true, "moru").map(drop)?)
    }

    pub fn log(&self, head: Oid) -> Result<Log, WorkspaceError> {
        let root = self.repo.find_tree(head)?;
        let state = serde_json::from_slice(self.repo.find_blob(entry(&root, "state")?)?.content())?;
        let mut entries = BTreeMap::new();
        for bucket in &self.repo.find_tree(entry(&root, "log")?)? {
            for record in &self.repo.find_tree(bucket.id())? {
                let id = record.name().ok().and_then(|name| name.parse().ok());
                entries.insert(id.ok_or_else(|| damaged("a checkpoint's name is no number"))?, record.id());
            }
        }
        Ok(Log { state, entries })
    }

    pub fn save(&self, log: &Log) -> Result<Oid, WorkspaceError> {
        let mut buckets: BTreeMap<u64, Vec<(String, Oid)>> = BTreeMap::new();
        for (id, record) in &log.entries {
            buckets.entry(id / BUCKET).or_default().push((id.to_string(), *record));
        }
        let mut subtrees = Vec::new();
        for (bucket, records) in buckets {
            subtrees.push((bucket.to_string(), self.tree(records.into_iter().map(|(name, id)| (name, id, TREE)))?));
        }
        let log_tree = self.tree(subtrees.into_iter().map(|(name, id)| (name, id, TREE)))?;
        let state = self.repo.blob(&serde_json::to_vec(&log.state)?)?;
        self.tree([("state".into(), state, BLOB), ("log".into(), log_tree, TREE)])
    }

    /// The record with a change in flight.
    pub fn save_pending(&self, base: Oid, transition: Oid, next: Oid) -> Result<Oid, WorkspaceError> {
        let pending = self.tree([("transition".into(), transition, TREE), ("next".into(), next, TREE)])?;
        let mut root = self.repo.treebuilder(Some(&self.repo.find_tree(base)?))?;
        root.insert("pending", pending, TREE)?;
        Ok(root.write()?)
    }

    pub fn pending(&self, head: Oid) -> Result<Option<Pending>, WorkspaceError> {
        let root = self.repo.find_tree(head)?;
        let Some(pending) = root.get_name("pending").map(|pending| pending.id()) else { return Ok(None) };
        let pending = self.repo.find_tree(pending)?;
        let record = entry(&pending, "transition")?;
        let mut base = self.repo.treebuilder(Some(&root))?;
        base.remove("pending")?;
        Ok(Some(Pending {
            transition: self.transition(record)?,
            token: token(record),
            next: entry(&pending, "next")?,
            base: base.write()?,
        }))
    }

    pub fn save_record(&self, transition: &Transition, time: i64, label: &str) -> Result<Oid, WorkspaceError> {
        let node = |node: &Node| NodeMeta { kind: node.kind, mode: node.mode };
        let files = transition.changes.iter().map(|Change { path, before, after }| FileMeta {
            path: path.clone(),
            before: before.as_ref().map(node),
            after: after.as_ref().map(node),
        });
        let meta = Meta {
            time,
            label: label.to_owned(),
            files: files.collect(),
            made: transition.made.clone(),
            removed: transition.removed.clone(),
        };
        let before = self.save_nodes(transition.changes.iter().map(|change| &change.before))?;
        let after = self.save_nodes(transition.changes.iter().map(|change| &change.after))?;
        let meta = self.repo.blob(&serde_json::to_vec(&meta)?)?;
        self.tree([("meta".into(), meta, BLOB), ("before".into(), before, TREE), ("after".into(), after, TREE)])
    }

    pub fn meta(&self, record: Oid) -> Result<Meta, WorkspaceError> {
        let meta = entry(&self.repo.find_tree(record)?, "meta")?;
        Ok(serde_json::from_slice(self.repo.find_blob(meta)?.content())?)
    }

    pub fn transition(&self, record: Oid) -> Result<Transition, WorkspaceError> {
        let meta = self.meta(record)?;
        let tree = self.repo.find_tree(record)?;
        let (before, after) = (entry(&tree, "before")?, entry(&tree, "after")?);
        let (before, after) = (self.repo.find_tree(before)?, self.repo.find_tree(after)?);
        let mut changes = Vec::new();
        for (index, file) in meta.files.into_iter().enumerate() {
            changes.push(Change {
                path: file.path,
                before: self.node(&before, index, file.before)?,
                after: self.node(&after, index, file.after)?,
            });
        }
        Ok(Transition { changes, made: meta.made, removed: meta.removed })
    }

    /// A tree of content by number: paths are in the `meta`, since git refuses some that a disk takes.
    fn save_nodes<'a>(&self, nodes: impl Iterator<Item = &'a Option<Node>>) -> Result<Oid, WorkspaceError> {
        let mut entries = Vec::new();
        for (index, node) in nodes.enumerate() {
            if let Some(node) = node {
                entries.push((index.to_string(), self.repo.blob(&node.bytes)?, i32::from(diff::file_mode(node))));
            }
        }
        self.tree(entries)
    }

    fn node(
        &self,
        tree: &git2::Tree<'_>,
        index: usize,
        meta: Option<NodeMeta>,
    ) -> Result<Option<Node>, WorkspaceError> {
        let Some(NodeMeta { kind, mode }) = meta else { return Ok(None) };
        Ok(Some(Node { kind, mode, bytes: self.blob(entry(tree, &index.to_string())?)? }))
    }

    fn tree(&self, entries: impl IntoIterator<Item = (String, Oid, i32)>) -> Result<Oid, WorkspaceError> {
        let mut builder = self.repo.treebuilder(None)?;
        for (name, id, mode) in entries {
            builder.insert(name, id, mode)?;
        }
        Ok(builder.write()?)
    }
}

/// Marks the temporary files of a transition.
pub(super) fn token(transition: Oid) -> String {
    transition.to_string().chars().take(12).collect()
}

/// A short name for a path or the like.
pub(super) fn key(name: &[u8]) -> String {
    Sha256::digest(name).iter().take(8).map(|byte| format!("{byte:02x}")).collect()
}

/// The repository around `root` if checkpoints can be kept in it, and the name that `root` has there. It is told by the
/// worktree's name, not by its path, so that a repository can be moved.
fn usable(root: &Path) -> Option<(Repository, String)> {
    let repo = Repository::open_ext(root, RepositoryOpenFlags::empty(), Vec::<PathBuf>::new()).ok()?;
    let workdir = repo.workdir()?.canonicalize().ok()?;
    let below = root.strip_prefix(workdir).ok()?;
    let writable = |path: PathBuf| rustix::fs::access(path, rustix::fs::Access::WRITE_OK).is_ok();
    if !["", "objects", "refs"].iter().all(|folder| writable(repo.commondir().join(folder))) {
        return None;
    }
    let worktree = repo.is_worktree().then(|| repo.path().file_name()).flatten().unwrap_or_default();
    let key = key(&[worktree.as_encoded_bytes(), b"\0", below.as_os_str().as_encoded_bytes()].concat());
    Some((repo, key))
}

fn init(path: &Path) -> Result<Repository, git2::Error> {
    let mut options = RepositoryInitOptions::new();
    Repository::init_opts(path, options.bare(true).external_template(false).mkpath(true))
}

fn entry(tree: &git2::Tree<'_>, name: &str) -> Result<Oid, WorkspaceError> {
    tree.get_name(name).map(|entry| entry.id()).ok_or_else(|| damaged(&format!("`{name}` is missing")))
}

fn damaged(why: &str) -> WorkspaceError {
    WorkspaceError::Record(why.to_owned())
}

pub(super) fn state_error(path: &Path, why: &str) -> WorkspaceError {
    WorkspaceError::State { path: path.to_owned(), why: why.to_owned() }
}
