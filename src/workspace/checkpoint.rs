//! What has been changed: shown, taken back, made again.

use std::collections::BTreeMap;

use super::apply::{ATTEMPTS, Turn, missing_folders, now};
use super::node::{Change, Dir, Node, Transition, merge};
use super::store::Log;
use super::{Applied, Checkpoint, CheckpointId, RelPath, Workspace, WorkspaceError, diff};

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Way {
    Undo,
    Redo,
}

/// Takes back or makes again the next `n` checkpoints, all of them or none.
pub(super) fn travel(workspace: &Workspace, n: usize, way: Way) -> Result<Vec<Applied>, WorkspaceError> {
    let mut turn = Turn::begin(workspace)?;
    let ids: Vec<_> = match way {
        Way::Undo => turn.log.done().take(n).collect(),
        Way::Redo => turn.log.undone().take(n).collect(),
    };
    let Some(last) = ids.last() else {
        return Err(match way {
            Way::Undo => WorkspaceError::NothingToUndo,
            Way::Redo => WorkspaceError::NothingToRedo,
        });
    };
    let mut log = turn.log.clone();
    log.set_current(match way {
        Way::Undo => log.before(*last),
        Way::Redo => *last,
    });
    for _ in 0..ATTEMPTS {
        let mut journey = Journey::new(workspace);
        for id in &ids {
            let transition = recorded(&turn, *id)?;
            let transition = if way == Way::Undo { transition.reverse() } else { transition };
            journey.step(CheckpointId(*id), transition)?;
        }
        let (transition, applied) = journey.end();
        let record = turn.store.save_record(&transition, now(), "")?;
        if turn.commit(&transition, record, &log)? {
            return Ok(applied);
        }
    }
    Err(WorkspaceError::Restless)
}

pub(super) fn log(workspace: &Workspace) -> Result<Vec<Checkpoint>, WorkspaceError> {
    let turn = Turn::begin(workspace)?;
    let checkpoint = |(id, record)| {
        let meta = turn.store.meta(record)?;
        Ok(Checkpoint {
            id: CheckpointId(id),
            time: meta.time,
            files: meta.paths(),
            label: meta.label,
            undone: turn.log.is_undone(id),
        })
    };
    turn.log.entries().map(checkpoint).collect()
}

pub(super) fn diff(workspace: &Workspace, id: Option<CheckpointId>) -> Result<String, WorkspaceError> {
    let turn = Turn::begin(workspace)?;
    let id = match id {
        Some(CheckpointId(id)) => id,
        None => current(&turn.log).ok_or(WorkspaceError::NoChanges)?,
    };
    diff::render(&recorded(&turn, id)?.changes)
}

fn current(log: &Log) -> Option<u64> {
    log.done().next()
}

fn recorded(turn: &Turn<'_>, id: u64) -> Result<Transition, WorkspaceError> {
    let record = turn.log.record(id).ok_or(WorkspaceError::NoCheckpoint { id: CheckpointId(id) })?;
    turn.store.transition(record)
}

/// Several transitions thought through one after the other before any file changes.
struct Journey<'a> {
    workspace: &'a Workspace,
    /// What stands at a path now, and what will.
    nodes: BTreeMap<RelPath, (Option<Node>, Option<Node>)>,
    /// Whether a folder was made last, or removed.
    folders: BTreeMap<RelPath, (Dir, Folder)>,
    applied: Vec<Applied>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Folder {
    Made,
    Removed,
}

impl<'a> Journey<'a> {
    fn new(workspace: &'a Workspace) -> Self {
        Self { workspace, nodes: BTreeMap::new(), folders: BTreeMap::new(), applied: Vec::new() }
    }

    fn step(&mut self, checkpoint: CheckpointId, transition: Transition) -> Result<(), WorkspaceError> {
        let mut changes = Vec::new();
        let mut merged = false;
        let step: Vec<_> = transition.files();
        for Change { path, before, after } in transition.changes {
            let ours = self.node(&path, &step, &transition.removed)?;
            let result = merge(&before, &ours, &after)?;
            let result = result.ok_or_else(|| WorkspaceError::Conflict { path: path.clone() })?;
            merged |= ours != before;
            self.nodes.entry(path.clone()).or_insert_with(|| (ours.clone(), None)).1 = result.clone();
            changes.push(Change { path, before: ours, after: result });
        }
        let removed = transition.removed.into_iter().map(|dir| (dir, Folder::Removed));
        for (dir, fate) in removed.chain(transition.made.into_iter().map(|dir| (dir, Folder::Made))) {
            self.folders.insert(dir.path.clone(), (dir, fate));
        }
        changes.retain(|change| change.before != change.after);
        self.applied.push(Applied {
            checkpoint,
            diff: diff::render(&changes)?,
            files: changes.into_iter().map(|change| change.path).collect(),
            merged,
            note: None,
        });
        Ok(())
    }

    /// What stands at a path at this point of the journey. A folder that is removed on it is no obstacle.
    fn node(&self, path: &RelPath, step: &[RelPath], removed: &[Dir]) -> Result<Option<Node>, WorkspaceError> {
        if let Some((_, now)) = self.nodes.get(path) {
            return Ok(now.clone());
        }
        let changes = |link: &RelPath| step.contains(link) || self.nodes.contains_key(link);
        let gone = removed.iter().any(|dir| dir.path == *path)
            || self.folders.get(path).is_some_and(|(_, fate)| *fate == Folder::Removed);
        let disk = &self.workspace.disk;
        match disk.node_or_nothing(path, changes)? {
            None if !gone && disk.is_folder(path) => Err(WorkspaceError::IsFolder { path: path.clone() }),
            node => Ok(node),
        }
    }

    fn end(self) -> (Transition, Vec<Applied>) {
        let changes = self.nodes.into_iter().map(|(path, (before, after))| Change { path, before, after });
        let changes: Vec<_> = changes.filter(|change| change.before != change.after).collect();
        let (made, removed): (Vec<_>, Vec<_>) = self.folders.into_values().partition(|(_, fate)| *fate == Folder::Made);
        let mut made: Vec<_> = made.into_iter().map(|(dir, _)| dir).collect();
        for dir in missing_folders(self.workspace, &changes) {
            if made.iter().all(|known| known.path != dir.path) {
                made.push(dir);
            }
        }
        (Transition { changes, made, removed: removed.into_iter().map(|(dir, _)| dir).collect() }, self.applied)
    }
}
