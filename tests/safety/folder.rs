//! A folder to change files in, and what can be said of it.

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::process::Command;

use moru::workspace::{Applied, Edit, Options, RelPath, Workspace, WorkspaceError};

pub struct Folder {
    base: tempfile::TempDir,
    root: PathBuf,
}

/// Kind, permission bits and bytes by path.
pub type Tree = BTreeMap<PathBuf, (char, u32, Vec<u8>)>;

impl Folder {
    /// No repository.
    pub fn plain() -> Self {
        let base = tempfile::tempdir().unwrap();
        let root = base.path().join("work");
        fs::create_dir(&root).unwrap();
        Self { base, root }
    }

    pub fn repository() -> Self {
        let folder = Self::plain();
        folder.git(&["init", "-q", "-b", "main"]);
        folder
    }

    /// The same folder, seen from another one beside or in it.
    pub fn at(mut self, root: &str) -> Self {
        self.root = self.base.path().join(root);
        self
    }

    pub fn base(&self) -> &Path {
        self.base.path()
    }

    pub fn path(&self, path: &str) -> PathBuf {
        self.root.join(path)
    }

    pub fn put(&self, path: &str, bytes: &[u8]) {
        fs::create_dir_all(self.path(path).parent().unwrap()).unwrap();
        fs::write(self.path(path), bytes).unwrap();
    }

    pub fn get(&self, path: &str) -> Vec<u8> {
        fs::read(self.path(path)).unwrap()
    }

    pub fn chmod(&self, path: &str, mode: u32) {
        fs::set_permissions(self.path(path), fs::Permissions::from_mode(mode)).unwrap();
    }

    pub fn git(&self, args: &[&str]) -> String {
        git(&self.root, args)
    }

    pub fn state(&self) -> PathBuf {
        self.base.path().join("state")
    }

    pub fn open(&self) -> Workspace {
        Workspace::open(&self.root, Options { state: self.state(), dry_run: false }).unwrap()
    }

    /// Everything but git's own files.
    pub fn tree(&self) -> Tree {
        let mut tree = Tree::new();
        collect(&self.root, &self.root, &mut tree);
        tree
    }

    /// All that is the user's in a repository: index, HEAD, refs, reflogs, stash, configuration, hooks.
    pub fn git_state(&self) -> Tree {
        let mut tree = Tree::new();
        for part in ["--git-dir", "--git-common-dir"] {
            let args = ["-C", self.root.to_str().unwrap(), "rev-parse", "--path-format=absolute", part];
            let output = Command::new("git").args(args).output().unwrap();
            if !output.status.success() {
                continue;
            }
            let folder = PathBuf::from(String::from_utf8(output.stdout).unwrap().trim());
            collect(&folder, &folder, &mut tree);
        }
        tree.retain(|path, _| !path.starts_with("objects") && !path.starts_with("refs/moru"));
        tree
    }
}

fn collect(root: &Path, folder: &Path, tree: &mut Tree) {
    for entry in fs::read_dir(folder).unwrap().flatten() {
        let path = entry.path();
        let meta = fs::symlink_metadata(&path).unwrap();
        let name = path.strip_prefix(root).unwrap().to_owned();
        let mode = meta.mode() & 0o7777;
        if meta.is_symlink() {
            let target = fs::read_link(&path).unwrap();
            tree.insert(name, ('l', 0, target.into_os_string().into_encoded_bytes()));
        } else if meta.is_dir() {
            if entry.file_name() != ".git" {
                tree.insert(name, ('d', mode, Vec::new()));
                collect(root, &path, tree);
            }
        } else {
            tree.insert(name, ('f', mode, fs::read(&path).unwrap()));
        }
    }
}

/// Git as on a machine without any configuration.
pub fn git(folder: &Path, args: &[&str]) -> String {
    let output = Command::new("git")
        .current_dir(folder)
        .env("GIT_CONFIG_GLOBAL", "/dev/null")
        .env("GIT_CONFIG_NOSYSTEM", "1")
        .args(["-c", "user.name=t", "-c", "user.email=t@example.com", "-c", "protocol.file.allow=always"])
        .args(args)
        .output()
        .unwrap();
    assert!(output.status.success(), "git {args:?}: {}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8_lossy(&output.stdout).into_owned()
}

pub fn rel(path: &str) -> RelPath {
    path.to_owned().try_into().unwrap()
}

pub fn replace(path: &str, old: &str, new: &str) -> Edit {
    Edit::Replace { path: rel(path), old: old.into(), new: new.into(), all: false }
}

pub fn write(path: &str, content: &str) -> Edit {
    Edit::Write { path: rel(path), content: content.into() }
}

pub fn delete(path: &str) -> Edit {
    Edit::Delete { path: rel(path) }
}

pub fn apply(workspace: &Workspace, edits: &[Edit]) -> Result<Applied, WorkspaceError> {
    workspace.apply(workspace.plan_all(edits)?, "test")
}
