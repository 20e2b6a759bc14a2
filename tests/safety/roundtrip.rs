//! Apply, undo, redo: every byte, mode bit, link and folder comes back, in every kind of folder, and git's own is untouched.

use std::fs;
use std::os::unix::fs::symlink;

use moru::workspace::{Edit, Options, Workspace, WorkspaceError};

use crate::folder::{Folder, apply, delete, git, rel, replace, write};

/// Applies the edits and goes back and forth, in new processes' eyes too. `expected` are some files afterwards.
fn check(folder: &Folder, edits: &[Edit], expected: &[(&str, &[u8])]) {
    let git_before = folder.git_state();
    let before = folder.tree();
    let workspace = folder.open();
    let applied = apply(&workspace, edits).unwrap();
    let after = folder.tree();
    assert_ne!(before, after, "nothing was changed");
    for (path, bytes) in expected {
        let found = folder.get(path);
        assert!(found == *bytes, "{path}: {:?}", String::from_utf8_lossy(&found[..found.len().min(500)]));
    }
    assert_eq!(workspace.diff(None).unwrap(), applied.diff);
    for _ in 0..2 {
        let undone = folder.open().undo(1).unwrap();
        assert_eq!(undone[0].files, applied.files);
        assert!(!undone[0].merged);
        assert!(folder.tree() == before, "undo left something different");
        assert!(folder.open().log().unwrap()[0].undone);
        folder.open().redo(1).unwrap();
        assert!(folder.tree() == after, "redo left something different");
        assert!(!folder.open().log().unwrap()[0].undone);
    }
    assert!(folder.git_state() == git_before, "git's own files changed");
}

#[test]
fn every_way_to_write_text() {
    let utf16 = |text: &str| [b"\xff\xfe".to_vec(), text.encode_utf16().flat_map(u16::to_le_bytes).collect()].concat();
    let big = "0123456789 abcdef\r\n".repeat(200_000);
    let table: [(&str, Vec<u8>, Vec<u8>); 8] = [
        ("CRLF", b"a\r\nold\r\n".into(), b"a\r\nnew\r\n".into()),
        ("BOM", b"\xef\xbb\xbfold\n".into(), b"\xef\xbb\xbfnew\n".into()),
        ("Latin-1", b"\xe9\xff old\n".into(), b"\xe9\xff new\n".into()),
        ("UTF-16", utf16("é old\r\n"), utf16("é new\r\n")),
        ("no final newline", b"a\nold".into(), b"a\nnew".into()),
        ("mixed line ends", b"a\r\nold\nb\r\n".into(), b"a\r\nnew\nb\r\n".into()),
        ("only one line", b"old".into(), b"new".into()),
        ("several MB", format!("{big}old\r\n{big}").into(), format!("{big}new\r\n{big}").into()),
    ];
    for (name, before, after) in table {
        for folder in [Folder::plain(), Folder::repository()] {
            println!("{name}");
            folder.put("dir/file", &before);
            check(&folder, &[replace("dir/file", "old", "new")], &[("dir/file", &after)]);
        }
    }
}

#[test]
fn created_and_deleted_files_links_and_modes() {
    for folder in [Folder::plain(), Folder::repository()] {
        folder.put("run.sh", b"#!/bin/sh\nold\n");
        folder.chmod("run.sh", 0o4751);
        folder.put("secret", b"old");
        folder.chmod("secret", 0o600);
        folder.put("gone/deleted", b"\x00\xffbinary");
        folder.put("real/target", b"old\n");
        symlink("real/target", folder.path("link")).unwrap();
        symlink("nowhere", folder.path("dangling")).unwrap();
        let edits = [
            replace("run.sh", "old", "new"),
            write("secret", "new"),
            delete("gone/deleted"),
            replace("link", "old", "new"),
            delete("dangling"),
            write("new/deep/file.txt", "hello\n"),
        ];
        check(
            &folder,
            &edits,
            &[("run.sh", b"#!/bin/sh\nnew\n"), ("real/target", b"new\n"), ("new/deep/file.txt", b"hello\n")],
        );
        assert!(fs::symlink_metadata(folder.path("link")).unwrap().is_symlink());
        assert!(folder.path("gone").is_dir() && !folder.path("gone/deleted").exists());
    }
}

#[test]
fn a_folder_that_was_created_stays_while_something_is_in_it() {
    let folder = Folder::plain();
    let workspace = folder.open();
    apply(&workspace, &[write("new/deep/a", "x\n")]).unwrap();
    folder.put("new/b", b"mine");
    workspace.undo(1).unwrap();
    assert_eq!(folder.get("new/b"), b"mine");
    assert!(!folder.path("new/deep").exists());
}

#[test]
fn filters_and_line_end_settings_of_git_have_no_say() {
    let folder = Folder::repository();
    folder.git(&["config", "core.autocrlf", "true"]);
    folder.git(&["config", "core.safecrlf", "true"]);
    folder.git(&["config", "filter.shout.clean", "tr a-z A-Z"]);
    folder.git(&["config", "filter.shout.smudge", "tr A-Z a-z"]);
    folder.git(&["config", "filter.shout.required", "true"]);
    folder.git(&["config", "filter.lfs.clean", "git-lfs clean -- %f"]);
    folder.git(&["config", "filter.lfs.required", "true"]);
    folder.put(".gitattributes", b"*.shout filter=shout\n*.big filter=lfs diff=lfs merge=lfs -text\n*.id ident\n");
    let pointer = b"version https://git-lfs.github.com/spec/v1\noid sha256:4d7a214614ab2935c943f9e0ff69d22eadbb8f32b1258daaa5e2ca24d17e2393\nsize 12345\n";
    folder.put("x.shout", b"quiet old\n");
    folder.put("x.big", pointer);
    folder.put("x.id", b"$Id$ old\n");
    folder.put("crlf", b"a\r\nold\r\n");
    folder.put("lf", b"a\nold\n");
    let edits = [
        replace("x.shout", "old", "new"),
        replace("x.big", "12345", "54321"),
        replace("x.id", "old", "new"),
        replace("crlf", "old", "new"),
        replace("lf", "old", "new"),
    ];
    check(
        &folder,
        &edits,
        &[("x.shout", b"quiet new\n"), ("crlf", b"a\r\nnew\r\n"), ("lf", b"a\nnew\n"), ("x.id", b"$Id$ new\n")],
    );
}

#[test]
fn a_dirty_repository_keeps_index_head_stash_and_branches() {
    let folder = Folder::repository();
    folder.put("f", b"one\n");
    folder.put("g", b"one\n");
    folder.git(&["add", "."]);
    folder.git(&["commit", "-qm", "one"]);
    folder.put("g", b"stashed\n");
    folder.git(&["stash", "-q"]);
    folder.put("f", b"staged\n");
    folder.git(&["add", "f"]);
    folder.put("f", b"staged\nunstaged\n");
    folder.put("untracked", b"x\n");
    let status = folder.git(&["status", "--porcelain"]);
    check(&folder, &[replace("f", "unstaged", "edited"), write("untracked", "y\n")], &[("f", b"staged\nedited\n")]);
    folder.open().undo(1).unwrap();
    assert_eq!(folder.git(&["status", "--porcelain"]), status);
    assert_eq!(folder.git(&["log", "--all", "--oneline"]).lines().count(), 3, "checkpoints show in the history");
    folder.git(&["fsck", "--strict"]);
    folder.git(&["gc", "-q", "--prune=now"]);
    folder.git(&["pack-refs", "--all"]);
    folder.open().redo(1).unwrap();
    assert_eq!(folder.get("f"), b"staged\nedited\n");
    folder.git(&["stash", "pop", "-q"]);
    assert_eq!(folder.get("g"), b"stashed\n");
}

#[test]
fn linked_worktrees_have_records_of_their_own() {
    let main = Folder::repository();
    main.put("f", b"old\n");
    main.git(&["add", "."]);
    main.git(&["commit", "-qm", "one"]);
    main.git(&["worktree", "add", "-q", "../linked"]);
    apply(&main.open(), &[replace("f", "old", "main")]).unwrap();
    let linked = main.at("linked");
    assert!(linked.open().log().unwrap().is_empty());
    check(&linked, &[replace("f", "old", "linked")], &[("f", b"linked\n")]);
    let main = linked.at("work");
    assert_eq!(main.open().log().unwrap().len(), 1);
    main.open().undo(1).unwrap();
    assert_eq!(main.get("f"), b"old\n");
    assert_eq!(fs::read(main.base().join("linked/f")).unwrap(), b"linked\n");
    assert_eq!(main.git(&["for-each-ref", "refs/moru"]).lines().count(), 2);
}

#[test]
fn a_submodule_keeps_its_own_record() {
    let outer = Folder::repository();
    let inner = outer.base().join("inner");
    fs::create_dir(&inner).unwrap();
    git(&inner, &["init", "-q", "-b", "main"]);
    fs::write(inner.join("f"), "old\n").unwrap();
    git(&inner, &["add", "."]);
    git(&inner, &["commit", "-qm", "one"]);
    outer.git(&["submodule", "--quiet", "add", inner.to_str().unwrap(), "sub"]);
    outer.git(&["commit", "-qm", "sub"]);
    let sub = outer.at("work/sub");
    check(&sub, &[replace("f", "old", "new")], &[("f", b"new\n")]);
    // From outside, its files are files like any other.
    let outer = sub.at("work");
    check(&outer, &[replace("sub/f", "new", "newer")], &[("sub/f", b"newer\n")]);
}

#[test]
fn a_repository_that_cannot_serve_is_replaced_by_a_private_one() {
    let unknown = Folder::repository();
    unknown.git(&["config", "core.repositoryformatversion", "1"]);
    unknown.git(&["config", "extensions.fromthefuture", "true"]);
    let broken = Folder::plain();
    broken.put(".git", b"gitdir: nowhere\n");
    for folder in [unknown, broken] {
        folder.put("f", b"old\n");
        check(&folder, &[replace("f", "old", "new")], &[("f", b"new\n")]);
        assert!(
            folder
                .state()
                .join("workspaces")
                .read_dir()
                .unwrap()
                .flatten()
                .any(|home| home.path().join("repo.git").exists())
        );
    }
}

#[test]
fn a_bare_repository_is_a_folder_like_any_other() {
    let folder = Folder::plain();
    folder.git(&["init", "-q", "--bare"]);
    folder.put("f", b"old\n");
    let before = folder.tree();
    apply(&folder.open(), &[replace("f", "old", "new")]).unwrap();
    assert_eq!(folder.get("f"), b"new\n");
    folder.open().undo(1).unwrap();
    assert!(folder.tree() == before, "git's own files changed");
}

#[test]
fn a_folder_that_becomes_a_repository_keeps_its_record() {
    let folder = Folder::plain();
    folder.put("f", b"old\n");
    apply(&folder.open(), &[replace("f", "old", "new")]).unwrap();
    folder.git(&["init", "-q"]);
    folder.open().undo(1).unwrap();
    assert_eq!(folder.get("f"), b"old\n");
}

#[test]
fn a_repository_can_be_moved() {
    let folder = Folder::repository();
    folder.put("sub/f", b"old\n");
    apply(&folder.open(), &[replace("sub/f", "old", "new")]).unwrap();
    fs::rename(folder.path(""), folder.base().join("moved")).unwrap();
    let folder = folder.at("moved");
    folder.open().undo(1).unwrap();
    assert_eq!(folder.get("sub/f"), b"old\n");
}

#[test]
fn what_the_user_changes_meanwhile_is_merged() {
    for folder in [Folder::plain(), Folder::repository()] {
        let lines = |first: &str, last: &str| format!("{first}\n2\n3\n4\n5\n6\n{last}\n").into_bytes();
        folder.put("f", &lines("1", "7"));
        let workspace = folder.open();
        let patch = workspace.plan(&replace("f", "1", "one")).unwrap();
        folder.put("f", &lines("1", "seven"));
        let applied = workspace.apply(patch, "edit").unwrap();
        assert!(applied.merged);
        assert_eq!(folder.get("f"), lines("one", "seven"));
        assert!(!applied.diff.contains("seven\n+") && applied.diff.contains("+one"), "{}", applied.diff);

        folder.put("f", &lines("one", "SEVEN"));
        assert!(workspace.undo(1).unwrap()[0].merged);
        assert_eq!(folder.get("f"), lines("1", "SEVEN"));
        assert!(!workspace.redo(1).unwrap()[0].diff.contains("+SEVEN"));
        assert_eq!(folder.get("f"), lines("one", "SEVEN"));
    }
}

#[test]
fn a_merge_keeps_utf16() {
    let folder = Folder::plain();
    let text = |text: &str| [b"\xff\xfe".to_vec(), text.encode_utf16().flat_map(u16::to_le_bytes).collect()].concat();
    folder.put("f", &text("1\r\n2\r\n3\r\n4\r\n5\r\n"));
    let workspace = folder.open();
    let patch = workspace.plan(&replace("f", "1", "\u{10a}")).unwrap();
    folder.put("f", &text("1\r\n2\r\n3\r\n4\r\n\u{a0a}\r\n"));
    workspace.apply(patch, "edit").unwrap();
    assert_eq!(folder.get("f"), text("\u{10a}\r\n2\r\n3\r\n4\r\n\u{a0a}\r\n"));
}

#[test]
fn a_conflict_changes_nothing_and_names_the_file() {
    let folder = Folder::plain();
    folder.put("a", b"1\n");
    folder.put("f", b"1\n2\n");
    let workspace = folder.open();
    let patch = workspace.plan_all(&[replace("a", "1", "one"), replace("f", "2", "two")]).unwrap();
    folder.put("f", b"1\nzwei\n");
    let before = folder.tree();
    let error = workspace.apply(patch, "edit").unwrap_err();
    assert!(matches!(&error, WorkspaceError::Conflict { path } if path.as_str() == "f"), "{error}");
    assert!(folder.tree() == before);

    apply(&workspace, &[replace("a", "1", "one")]).unwrap();
    apply(&workspace, &[replace("f", "zwei", "deux")]).unwrap();
    folder.put("a", b"eins\n");
    let before = folder.tree();
    // The newer of the two could be undone; both were asked for.
    let error = workspace.undo(2).unwrap_err();
    assert!(error.to_string().contains("`a`"), "{error}");
    assert!(folder.tree() == before);
    assert!(workspace.log().unwrap().iter().all(|checkpoint| !checkpoint.undone));

    for (obstacle, words) in [("deleted", "`f`"), ("folder", "`f`"), ("link", "`f`")] {
        fs::remove_file(folder.path("f")).or_else(|_| fs::remove_dir(folder.path("f"))).unwrap_or_default();
        match obstacle {
            "folder" => fs::create_dir(folder.path("f")).unwrap(),
            "link" => symlink("/etc/passwd", folder.path("f")).unwrap(),
            _ => {}
        }
        let before = folder.tree();
        let error = workspace.undo(1).unwrap_err();
        assert!(error.to_string().contains(words), "{obstacle}: {error}");
        assert!(folder.tree() == before);
    }
}

#[test]
fn a_folder_that_became_a_link_out_is_not_followed() {
    let folder = Folder::plain();
    folder.put("dir/f", b"old\n");
    let workspace = folder.open();
    apply(&workspace, &[replace("dir/f", "old", "new")]).unwrap();
    let patch = workspace.plan(&replace("dir/f", "new", "newer")).unwrap();
    fs::rename(folder.path("dir"), folder.base().join("outside")).unwrap();
    symlink(folder.base().join("outside"), folder.path("dir")).unwrap();
    assert!(matches!(workspace.undo(1), Err(WorkspaceError::Conflict { .. })));
    assert!(matches!(workspace.apply(patch, "edit"), Err(WorkspaceError::Conflict { .. })));
    assert_eq!(fs::read(folder.base().join("outside/f")).unwrap(), b"new\n");
}

#[test]
fn a_new_edit_after_undo_drops_what_could_be_redone() {
    let folder = Folder::plain();
    folder.put("f", b"1\n");
    let workspace = folder.open();
    for (old, new) in [("1", "2"), ("2", "3"), ("3", "4")] {
        apply(&workspace, &[replace("f", old, new)]).unwrap();
    }
    let undone = workspace.undo(2).unwrap();
    assert_eq!(undone.iter().map(|applied| applied.checkpoint.0).collect::<Vec<_>>(), [3, 2]);
    assert_eq!(folder.get("f"), b"2\n");
    let redone = workspace.redo(1).unwrap();
    assert_eq!(redone[0].checkpoint.0, 2);
    workspace.undo(1).unwrap();
    apply(&workspace, &[replace("f", "2", "x")]).unwrap();
    assert!(matches!(workspace.redo(1), Err(WorkspaceError::NothingToRedo)));
    let ids: Vec<_> = workspace.log().unwrap().iter().map(|checkpoint| checkpoint.id.0).collect();
    assert_eq!(ids, [1, 4]);
    assert_eq!(workspace.undo(10).unwrap().len(), 2);
    assert_eq!(folder.get("f"), b"1\n");
}

#[test]
fn a_dry_run_leaves_repository_and_state_alone() {
    let folder = Folder::repository();
    folder.put("f", b"old\n");
    let (before, git_before) = (folder.tree(), folder.git_state());
    let objects = folder.git(&["count-objects", "-v"]);
    let workspace = Workspace::open(&folder.path(""), Options { state: folder.state(), dry_run: true }).unwrap();
    apply(&workspace, &[replace("f", "old", "new"), write("g", "x")]).unwrap();
    assert_eq!(workspace.read(&rel("f")).unwrap().text, "new\n");
    assert!(folder.tree() == before && folder.git_state() == git_before);
    assert_eq!(folder.git(&["count-objects", "-v"]), objects);
    assert!(folder.git(&["for-each-ref"]).is_empty() && !folder.state().exists());
}

#[test]
fn a_lock_that_a_killed_process_left_on_the_record_is_removed() {
    let folder = Folder::repository();
    folder.put("f", b"old\n");
    apply(&folder.open(), &[replace("f", "old", "new")]).unwrap();
    let record = folder.git(&["for-each-ref", "--format=%(refname)", "refs/moru"]);
    fs::write(folder.path(&format!(".git/{}.lock", record.trim())), "").unwrap();
    folder.open().undo(1).unwrap();
    assert_eq!(folder.get("f"), b"old\n");
}

#[test]
fn what_git_would_refuse_as_a_path_can_be_recorded() {
    let folder = Folder::repository();
    let names = ["git~1", ".gitmodules", "a:b", "con", "back\\slash", "new\nline", "ünï/🦀"];
    for name in names {
        folder.put(name, b"old\n");
    }
    let edits: Vec<_> = names.iter().map(|name| replace(name, "old", "new")).collect();
    check(&folder, &edits, &[]);
}
