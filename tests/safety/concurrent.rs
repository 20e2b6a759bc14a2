//! Several processes and threads change the same folder.

use std::sync::Arc;

use crate::folder::{Folder, apply, write};

#[test]
fn no_change_is_lost_and_all_can_be_undone() {
    const EACH: usize = 10;
    let folder = Arc::new(Folder::repository());
    folder.put("start", b"x\n");
    let before = folder.tree();
    let workers: Vec<_> = (0..4)
        .map(|worker| {
            let folder = folder.clone();
            std::thread::spawn(move || {
                // A workspace of its own is to the lock what a process of its own is.
                let workspace = folder.open();
                for number in 0..EACH {
                    apply(&workspace, &[write(&format!("w{worker}/{number}"), "x\n")]).unwrap();
                }
            })
        })
        .collect();
    for worker in workers {
        worker.join().unwrap();
    }
    let workspace = folder.open();
    assert_eq!(workspace.log().unwrap().len(), 4 * EACH);
    assert_eq!(workspace.undo(1000).unwrap().len(), 4 * EACH);
    assert!(folder.tree() == before);
}
