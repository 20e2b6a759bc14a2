//! A folder with an index.

use std::fs;
use std::path::{Path, PathBuf};

use moru::code::{Index, Request};
use moru::workspace::{Options, Workspace};
use tempfile::TempDir;

/// Files of a folder that are indexed.
const FILES: usize = 200_000;

/// A folder, its workspace, and where its index is kept.
pub struct Folder {
    pub folder: TempDir,
    state: TempDir,
}

impl Folder {
    pub fn new(files: &[(&str, &str)]) -> Self {
        let (folder, state) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        let folder = Self { folder, state };
        for (path, text) in files {
            folder.write(path, text.as_bytes());
        }
        folder
    }

    pub fn path(&self) -> &Path {
        self.folder.path()
    }

    pub fn write(&self, path: &str, bytes: &[u8]) {
        let path = self.path().join(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, bytes).unwrap();
    }

    /// The paths as a session would hand them to the index.
    pub fn files(&self) -> Vec<String> {
        let options = Options { state: self.state.path().to_owned(), dry_run: false };
        let workspace = Workspace::open(self.path(), options).unwrap();
        workspace.files(FILES).into_iter().map(String::from).collect()
    }

    /// Where a workspace keeps what it remembers.
    pub fn state(&self) -> &Path {
        self.state.path()
    }

    pub fn store(&self) -> PathBuf {
        self.state.path().join("index.index")
    }

    /// The stored index, brought up to date.
    pub fn index(&self) -> Index {
        let mut index = Index::open(self.path(), Some(self.store()));
        index.refresh(&self.files());
        index
    }

    /// An index that knows nothing from before.
    pub fn fresh(&self) -> Index {
        let mut index = Index::open(self.path(), None);
        index.refresh(&self.files());
        index
    }
}

/// Everything that the index can be asked.
pub fn ask_all(index: &Index) -> String {
    let request = Request { text: "fix f in a.py:1 and load_file".into(), ..Request::default() };
    let slices = index.context(&request, 500, &|text: &str| text.len() / 3);
    format!(
        "{slices:?}{}{:?}{:?}",
        index.map("", 500, &|text: &str| text.len() / 3),
        index.symbols("f", 9),
        index.references("f")
    )
}
