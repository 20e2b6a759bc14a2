//! Models: what there is ([`catalog`]), what is on this machine ([`store`]), how it gets here ([`pull`]), what a file holds
//! ([`gguf`]), what this machine is ([`device`]) and what fits on it ([`fit`]).

pub mod catalog;
pub mod device;
mod error;
pub mod fit;
pub mod gguf;
pub mod gpus;
pub mod hash;
pub mod pull;
pub mod rank;
pub mod split;
pub mod store;

use std::path::{Path, PathBuf};

use crate::config::Dirs;
pub use catalog::{Catalog, Entry};
pub use error::ModelError;
pub use gguf::Gguf;
use split::Split;
pub use store::Store;

/// A model that can be loaded: its file is there and its header is sound.
#[derive(Debug, Clone, PartialEq)]
pub struct ResolvedModel {
    /// The catalog's name, or what [`name_of`] makes of the file's.
    pub name: String,
    pub path: PathBuf,
    /// What the catalog knows of it; `None` for a file that was given by its path.
    pub entry: Option<Entry>,
    pub gguf: Gguf,
}

/// Finds the model that `value` (the setting `model`, or `--model`) means: a name from the catalog, a name under which a
/// file was imported, or the path of a GGUF. A value that contains a `/` or ends in `.gguf` is a path, and so is one that
/// no name equals but which is a file.
///
/// # Errors
/// There is no such model, it is not on this machine, or its file is unsound.
pub fn resolve(value: &str, dirs: &Dirs) -> Result<ResolvedModel, ModelError> {
    let (path, name, entry) = locate(value, dirs)?;
    if !path.exists() {
        return Err(match entry {
            Some(entry) => ModelError::NotPulled { name: entry.name },
            None => ModelError::Missing { path },
        });
    }
    let gguf = Gguf::open(&path)?;
    Ok(ResolvedModel { name, path, entry, gguf })
}

/// Where the file of `value` is or would be, without looking into it: of several the first, or the first that is missing.
///
/// # Errors
/// There is no such model.
pub fn locate(value: &str, dirs: &Dirs) -> Result<(PathBuf, String, Option<Entry>), ModelError> {
    if value.contains('/') || value.ends_with(".gguf") {
        return Ok((PathBuf::from(value), name_of(Path::new(value)), None));
    }
    let catalog = Catalog::load(&dirs.config)?;
    let store = Store::new(dirs);
    if let Some(entry) = catalog.get(value) {
        return Ok((store.path(&entry.name), entry.name.clone(), Some(entry.clone())));
    }
    if store::is_name(value) && store.state(value) != store::State::Absent {
        return Ok((store.path(value), value.to_owned(), None));
    }
    if Path::new(value).is_file() {
        return Ok((PathBuf::from(value), name_of(Path::new(value)), None));
    }
    Err(catalog.unknown(value))
}

/// What to call the model in a file: the file's stem, without the number where it is one of several.
pub fn name_of(path: &Path) -> String {
    let file = path.file_name().unwrap_or(path.as_os_str()).to_string_lossy();
    match Split::parse(&file) {
        Some((prefix, _)) => prefix.to_owned(),
        None => path.file_stem().unwrap_or(path.as_os_str()).to_string_lossy().into_owned(),
    }
}
