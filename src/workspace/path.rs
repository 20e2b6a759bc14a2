//! The jail: which paths lead to something inside the workspace.

use std::fs;
use std::io::ErrorKind;
use std::path::{Component, Path, PathBuf};

use serde::{Deserialize, Serialize};

use super::WorkspaceError;

/// Longest name of a file and longest path, in bytes, that the common file systems take.
const NAME_MAX: usize = 255;
const PATH_MAX: usize = 4096;
/// As many links as Linux follows in one path.
const LINKS_MAX: usize = 40;

/// A path inside the workspace: relative, `/`-separated, normalised, `.` for the workspace itself. What it names on disk can
/// change at any time, so where a symbolic link leads is proven anew at every use.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(into = "String", try_from = "String")]
pub struct RelPath(String);

impl RelPath {
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The workspace itself.
    pub fn root() -> Self {
        Self(".".into())
    }

    pub fn is_root(&self) -> bool {
        self.0 == "."
    }

    /// The last component.
    pub fn file_name(&self) -> &str {
        self.0.rsplit('/').next().unwrap_or(&self.0)
    }

    /// The folder that it stands in; `None` for the workspace itself.
    pub fn parent(&self) -> Option<Self> {
        match self.0.rsplit_once('/') {
            Some((parent, _)) => Some(Self(parent.to_owned())),
            None if self.is_root() => None,
            None => Some(Self::root()),
        }
    }

    /// Normalises words; `None` where they lead above the workspace.
    pub(super) fn normalise(path: &str) -> Option<Self> {
        let mut parts: Vec<&str> = Vec::new();
        for part in path.split('/') {
            match part {
                "" | "." => {}
                ".." => {
                    parts.pop()?;
                }
                name => parts.push(name),
            }
        }
        Some(if parts.is_empty() { Self::root() } else { Self(parts.join("/")) })
    }

    /// The path of something found below `root`; `None` where its name is not UTF-8.
    pub(super) fn below(root: &Path, path: &Path) -> Option<Self> {
        let relative = path.strip_prefix(root).ok()?.to_str()?;
        Some(if relative.is_empty() { Self::root() } else { Self(relative.to_owned()) })
    }
}

impl std::fmt::Display for RelPath {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.0)
    }
}

impl AsRef<str> for RelPath {
    fn as_ref(&self) -> &str {
        &self.0
    }
}

impl AsRef<Path> for RelPath {
    fn as_ref(&self) -> &Path {
        Path::new(&self.0)
    }
}

impl From<RelPath> for String {
    fn from(path: RelPath) -> Self {
        path.0
    }
}

impl TryFrom<String> for RelPath {
    type Error = String;

    fn try_from(path: String) -> Result<Self, Self::Error> {
        match Self::normalise(&path) {
            Some(normal) if !path.starts_with('/') && !path.contains('\0') => Ok(normal),
            _ => Err(format!("`{path}` leads out of the workspace")),
        }
    }
}

/// Whether a last symbolic link counts as itself or as what it points to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Links {
    Follow,
    Keep,
}

/// Proves that `path`, as a model or a user wrote it, names something inside `root` (which is canonical).
pub(super) fn resolve(root: &Path, path: &str) -> Result<RelPath, WorkspaceError> {
    let bad = |why| WorkspaceError::BadPath { path: shorten(path), why };
    let outside = || WorkspaceError::Outside { path: shorten(path), root: root.to_owned() };
    if path.trim().is_empty() {
        return Err(bad("it is empty"));
    }
    if path.contains('\0') {
        return Err(bad("it has a NUL in it"));
    }
    if path.len() > PATH_MAX {
        return Err(bad("it is longer than 4096 bytes"));
    }
    let relative =
        if Path::new(path).is_absolute() { strip_root(root, path).ok_or_else(outside)? } else { path.to_owned() };
    // A backslash is a legal character in a name here, so it separates folders only where no such file exists.
    let relative = if relative.contains('\\') && fs::symlink_metadata(root.join(&relative)).is_err() {
        relative.replace('\\', "/")
    } else {
        relative
    };
    let normal = RelPath::normalise(&relative).ok_or_else(outside)?;
    if normal.0.split('/').any(|name| name.len() > NAME_MAX) {
        return Err(bad("a name in it is longer than 255 bytes"));
    }
    locate(root, &normal, Links::Follow)?;
    Ok(normal)
}

/// The path without symbolic links in it, proven to be inside.
pub(super) fn locate(root: &Path, path: &RelPath, links: Links) -> Result<RelPath, WorkspaceError> {
    refuse_git(path)?;
    let outside = || WorkspaceError::Outside { path: path.0.clone(), root: root.to_owned() };
    let absolute = match (links, path.parent()) {
        (Links::Keep, Some(parent)) => real(&root.join(parent.as_str()), 0).map(|folder| folder.join(path.file_name())),
        _ => real(&root.join(path.as_str()), 0),
    };
    let absolute = match absolute {
        Ok(absolute) => absolute,
        Err(error) if error.kind() == ErrorKind::NotADirectory => {
            return Err(WorkspaceError::NoFolder { path: path.0.clone() });
        }
        Err(error) if error.kind() == ErrorKind::InvalidInput || error.raw_os_error() == Some(ELOOP) => {
            return Err(outside());
        }
        Err(error) => return Err(WorkspaceError::io(&root.join(path.as_str()), error)),
    };
    let real = RelPath::below(root, &absolute).ok_or_else(outside)?;
    refuse_git(&real)?;
    Ok(real)
}

/// The outermost symbolic link among the folders of `path`. What is recorded is free of links; one that came in since could
/// lead anywhere.
pub(super) fn link_above(root: &Path, path: &RelPath) -> Option<RelPath> {
    let is_link =
        |folder: &RelPath| fs::symlink_metadata(root.join(folder.as_str())).is_ok_and(|meta| meta.is_symlink());
    std::iter::successors(path.parent(), RelPath::parent).filter(|folder| !folder.is_root() && is_link(folder)).last()
}

const ELOOP: i32 = rustix::io::Errno::LOOP.raw_os_error();

/// As `canonicalize`, for paths whose end need not exist.
fn real(path: &Path, links: usize) -> std::io::Result<PathBuf> {
    if links > LINKS_MAX {
        return Err(std::io::Error::from_raw_os_error(ELOOP));
    }
    match path.canonicalize() {
        Err(error) if error.kind() == ErrorKind::NotFound => {}
        result => return result,
    }
    let (Some(parent), Some(name)) = (path.parent(), path.file_name()) else {
        // The target of a link ends in `..` below a folder that does not exist.
        return Err(ErrorKind::InvalidInput.into());
    };
    match fs::symlink_metadata(path) {
        Ok(meta) if meta.is_symlink() => real(&parent.join(fs::read_link(path)?), links + 1),
        _ => Ok(real(parent, links)?.join(name)),
    }
}

/// The part of an absolute path below the workspace, also where it names the workspace through a link.
fn strip_root(root: &Path, path: &str) -> Option<String> {
    let normal: PathBuf = Path::new(path).components().filter(|part| *part != Component::CurDir).collect();
    if let Ok(relative) = normal.strip_prefix(root) {
        return Some(relative.to_str()?.to_owned());
    }
    // Only what leads to the workspace is resolved; links below it are judged by `locate`.
    normal.ancestors().find_map(|ancestor| {
        let canonical = ancestor.canonicalize().ok()?;
        (canonical == root).then(|| normal.strip_prefix(ancestor).ok()?.to_str().map(str::to_owned))?
    })
}

/// Nothing of git's own is touched, however the name is written: file systems that ignore case or invisible characters
/// would open `.git` for `.GIT` or for one with a zero-width joiner in it.
fn refuse_git(path: &RelPath) -> Result<(), WorkspaceError> {
    if path.0.split('/').any(is_git) {
        return Err(WorkspaceError::Protected { path: path.0.clone() });
    }
    Ok(())
}

pub(super) fn is_git(name: &str) -> bool {
    let invisible =
        |c: char| matches!(c, '\u{200b}'..='\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2060}'..='\u{206f}' | '\u{feff}');
    let visible = name.chars().filter(|c| !invisible(*c));
    visible.map(|c| c.to_ascii_lowercase()).eq(".git".chars())
}

fn shorten(path: &str) -> String {
    if path.len() <= 200 { path.replace('\0', "\\0") } else { path.chars().take(60).chain("…".chars()).collect() }
}
