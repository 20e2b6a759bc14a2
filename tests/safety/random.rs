//! Random sequences of edits, undos, redos and changes from outside: no line that somebody wrote is lost unless somebody
//! took it out, and what is refused changes nothing.

use std::collections::BTreeMap;

use moru::workspace::WorkspaceError;
use proptest::prelude::*;

use crate::folder::{Folder, Tree, apply, replace};

const FILES: usize = 3;
const SLOTS: usize = 6;

#[derive(Debug, Clone)]
enum Step {
    /// The model writes something into a slot.
    Edit {
        file: usize,
        slot: usize,
    },
    /// The user does.
    Outside {
        file: usize,
        slot: usize,
    },
    Undo(usize),
    Redo(usize),
    Reopen,
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        4 => (0..FILES, 0..SLOTS).prop_map(|(file, slot)| Step::Edit { file, slot }),
        2 => (0..FILES, 0..SLOTS).prop_map(|(file, slot)| Step::Outside { file, slot }),
        3 => (1..4_usize).prop_map(Step::Undo),
        3 => (1..4_usize).prop_map(Step::Redo),
        1 => Just(Step::Reopen),
    ]
}

/// What each slot of each file should hold.
type Model = BTreeMap<(usize, usize), u32>;

fn render(model: &Model, file: usize, ends: &str) -> Vec<u8> {
    // Lines that never change keep the slots apart, so that a merge can tell them from one another.
    let slot = |slot| format!("slot {slot}: {}{ends}", model[&(file, slot)]);
    (0..SLOTS)
        .map(|at| format!("---{ends}{at}{ends}---{ends}{}===\u{e9}{ends}", slot(at)))
        .collect::<String>()
        .into_bytes()
}

const ENDS: [&str; FILES] = ["\n", "\r\n", "\n"];

/// A change of a slot that the model made: slot, before, after.
type Made = ((usize, usize), u32, u32);

fn expected_tree(model: &Model) -> Vec<Vec<u8>> {
    (0..FILES).map(|file| render(model, file, ENDS[file])).collect()
}

fn found_tree(tree: &Tree) -> Vec<Vec<u8>> {
    tree.values().map(|(_, _, bytes)| bytes.clone()).collect()
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 40, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn nothing_is_lost(steps in prop::collection::vec(step(), 1..25)) {
        let folder = Folder::plain();
        let mut model: Model = (0..FILES).flat_map(|file| (0..SLOTS).map(move |slot| ((file, slot), 0))).collect();
        for (file, ends) in ENDS.iter().enumerate() {
            folder.put(&format!("f{file}"), &render(&model, file, ends));
        }
        let mut workspace = folder.open();
        let (mut done, mut undone): (Vec<Made>, Vec<Made>) = (Vec::new(), Vec::new());
        for (number, step) in (1..).zip(steps) {
            match step {
                Step::Edit { file, slot } => {
                    let old = model[&(file, slot)];
                    let line = |value| format!("slot {slot}: {value}\n");
                    apply(&workspace, &[replace(&format!("f{file}"), &line(old), &line(number))]).unwrap();
                    model.insert((file, slot), number);
                    done.push(((file, slot), old, number));
                    undone.clear();
                }
                Step::Outside { file, slot } => {
                    model.insert((file, slot), number);
                    folder.put(&format!("f{file}"), &render(&model, file, ENDS[file]));
                }
                Step::Undo(count) => {
                    travel(&mut model, &mut done, &mut undone, count, workspace.undo(count), |(slot, old, new)| (slot, new, old))?;
                }
                Step::Redo(count) => {
                    travel(&mut model, &mut undone, &mut done, count, workspace.redo(count), |made| made)?;
                }
                Step::Reopen => workspace = folder.open(),
            }
            prop_assert_eq!(found_tree(&folder.tree()), expected_tree(&model));
        }
    }
}

/// Does to the model what undo or redo should have done: all steps or, where a slot is not what the step left, none.
fn travel(
    model: &mut Model,
    from: &mut Vec<Made>,
    to: &mut Vec<Made>,
    count: usize,
    result: Result<Vec<moru::workspace::Applied>, WorkspaceError>,
    way: impl Fn(Made) -> Made,
) -> Result<(), TestCaseError> {
    if from.is_empty() {
        prop_assert!(matches!(result, Err(WorkspaceError::NothingToUndo | WorkspaceError::NothingToRedo)));
        return Ok(());
    }
    let mut next = model.clone();
    let steps: Vec<_> = from.iter().rev().take(count).copied().collect();
    let mut possible = true;
    for step in &steps {
        let (slot, before, after) = way(*step);
        possible &= next[&slot] == before || next[&slot] == after;
        next.insert(slot, after);
    }
    match result {
        Ok(applied) => {
            prop_assert!(possible);
            prop_assert_eq!(applied.len(), steps.len());
            *model = next;
            for step in steps {
                from.pop();
                to.push(step);
            }
        }
        Err(error) => {
            prop_assert!(!possible, "{}", error);
            prop_assert!(matches!(error, WorkspaceError::Conflict { .. }), "{}", error);
        }
    }
    Ok(())
}
