//! KV caches on disk: the system prompt and the tools are read once in the life of a model, and a session that is resumed
//! goes on in the time that reading a file takes.
//!
//! A snapshot is llama.cpp's own file of one sequence (tokens and state). Its name says all that must hold before llama.cpp,
//! which trusts such files, may see it: the text that it stands for, by length and hash, and the checksum of its bytes. The
//! folder is that of one model file, one llama.cpp and one kind of context.

use std::fs::{self, File};
use std::io::{self, Read};
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use sha2::{Digest, Sha256};

use super::kv::Token;

/// llama.cpp's state format is that of its build.
const BUILD: &str = concat!("llama-cpp-sys-2 0.1.161 ", env!("CARGO_PKG_VERSION"));
/// The extension of a snapshot.
const EXTENSION: &str = "kv";
/// Bytes of the model's file, from either end and at some places between, that tell it from others.
const SAMPLE: usize = 1 << 20;
const SAMPLES: u64 = 8;
/// Loading a snapshot takes about as long as reading a part of its text anew: one in so many bytes.
const WORTH: usize = 32;
/// Bytes in front of the tokens in a file: what it is, of which version, and how many tokens there are.
const HEAD: usize = 12;

/// Where snapshots go, and how many bytes they may take together.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Place {
    pub folder: PathBuf,
    pub limit: u64,
}

/// The snapshots of one model in one kind of context.
#[derive(Debug)]
pub struct Snapshots {
    place: Place,
    folder: PathBuf,
}

/// A snapshot that serves a prompt.
#[derive(Debug, PartialEq, Eq)]
pub struct Found {
    pub path: PathBuf,
    /// Bytes of the text that it stands for.
    bytes: usize,
    checksum: u32,
}

impl Snapshots {
    /// Those of the model in `model`; `context` names what else the state's bytes depend on.
    ///
    /// # Errors
    /// The model cannot be read.
    pub fn open(place: Place, model: &Path, context: &str) -> io::Result<Self> {
        let mut hasher = Sha256::new();
        hasher.update(BUILD);
        hasher.update(context);
        let mut file = File::open(model)?;
        let size = file.metadata()?.len();
        hasher.update(size.to_le_bytes());
        let mut buffer = vec![0; SAMPLE];
        for i in 0..=SAMPLES {
            use std::io::{Seek, SeekFrom};
            let at = size.saturating_sub(SAMPLE as u64) * i / SAMPLES;
            file.seek(SeekFrom::Start(at))?;
            let read = file.by_ref().take(SAMPLE as u64).read(&mut buffer)?;
            hasher.update(&buffer[..read]);
        }
        let folder = place.folder.join(hex(&hasher.finalize()));
        Ok(Self { place, folder })
    }

    /// The snapshot of at most `room` tokens that serves most bytes of `prompt`, beyond the `held` ones that are had without any.
    /// One of a beginning of the prompt serves with all of its text; of any other `shared` tells, from its tokens, how many bytes
    /// it serves. The tokens are as the file has them, whose checksum was not looked at yet.
    pub fn best(&self, prompt: &[u8], held: usize, room: usize, shared: impl Fn(&[Token]) -> usize) -> Option<Found> {
        let serves = |(found, hash): (Found, String)| {
            let tokens = tokens(&found.path).ok().filter(|tokens| tokens.len() <= room)?;
            let served = if is_of(&found, &hash, prompt) { found.bytes } else { shared(&tokens) };
            let saved = served.checked_sub(held + found.bytes / WORTH).filter(|saved| *saved > 0)?;
            Some((saved, found))
        };
        // Of others the tokens need not be read.
        let may_serve = |(found, _): &(Found, String)| found.bytes.min(prompt.len()) > held + found.bytes / WORTH;
        self.named().filter(may_serve).filter_map(serves).max_by_key(|(saved, _)| *saved).map(|(_, found)| found)
    }

    /// The snapshots that are there, each with the hash of its text.
    fn named(&self) -> impl Iterator<Item = (Found, String)> {
        paths(&self.folder).filter_map(|path| named(&path))
    }

    /// Whether the bytes are those that were written; also marks the snapshot as used. One that is not whole is removed.
    pub fn is_whole(found: &Found) -> bool {
        let whole = checksum(&found.path).is_ok_and(|sum| sum == found.checksum);
        if whole {
            let used = File::options().append(true).open(&found.path).and_then(|f| f.set_modified(SystemTime::now()));
            used.unwrap_or_else(|error| tracing::debug!(%error, "a snapshot is not marked as used"));
        } else {
            Self::remove(found, "its bytes are not those that were written");
        }
        whole
    }

    /// Removes a snapshot that cannot be used.
    pub fn remove(found: &Found, why: &str) {
        tracing::warn!(path = %found.path.display(), why, "a snapshot of the KV cache is removed");
        let _ = fs::remove_file(&found.path);
    }

    /// Has `write` write the snapshot of `text` into a file, and takes it up. One that is there already stays.
    ///
    /// # Errors
    /// It cannot be written; nothing is left behind.
    pub fn save(&self, text: &[u8], write: impl FnOnce(&Path) -> io::Result<()>) -> io::Result<()> {
        if self.named().any(|(found, hash)| found.bytes == text.len() && is_of(&found, &hash, text)) {
            return Ok(());
        }
        // What was said can be told from it.
        fs::DirBuilder::new().recursive(true).mode(0o700).create(&self.folder)?;
        let temporary = tempfile::Builder::new().prefix(".new-").tempfile_in(&self.folder)?.into_temp_path();
        write(&temporary)?;
        let name = format!("{}-{}-{:08x}.{EXTENSION}", text.len(), hex(&Sha256::digest(text)), checksum(&temporary)?);
        temporary.persist(self.folder.join(name)).map_err(|error| error.error)?;
        self.prune();
        Ok(())
    }

    /// Removes what was not used for longest, of any model, until the rest is within the limit.
    fn prune(&self) {
        let mut all: Vec<Entry> = paths(&self.place.folder).flat_map(|folder| files(&folder)).collect();
        all.sort_by_key(|entry| entry.used);
        let mut total: u64 = all.iter().map(|entry| entry.size).sum();
        for entry in all {
            if total <= self.place.limit {
                return;
            }
            total -= entry.size;
            let _ = fs::remove_file(&entry.path);
        }
    }
}

struct Entry {
    path: PathBuf,
    size: u64,
    used: SystemTime,
}

/// What is in a folder; nothing where it cannot be read.
fn paths(folder: &Path) -> impl Iterator<Item = PathBuf> {
    fs::read_dir(folder).into_iter().flatten().flatten().map(|entry| entry.path())
}

fn files(folder: &Path) -> Vec<Entry> {
    let known = paths(folder).filter_map(|path| {
        let meta = path.symlink_metadata().ok().filter(fs::Metadata::is_file)?;
        Some(Entry { path, size: meta.len(), used: meta.modified().unwrap_or(SystemTime::UNIX_EPOCH) })
    });
    known.collect()
}

/// What a file's name says: the snapshot, and the hash of its text.
fn named(path: &Path) -> Option<(Found, String)> {
    let stem = path.file_name()?.to_str()?.strip_suffix(EXTENSION)?.strip_suffix('.')?;
    let mut parts = stem.split('-');
    let (bytes, hash, checksum) = (parts.next()?, parts.next()?, parts.next()?);
    let checksum = u32::from_str_radix(checksum, 16).ok()?;
    Some((Found { path: path.to_owned(), bytes: bytes.parse().ok()?, checksum }, hash.to_owned()))
}

/// Whether the text that a snapshot stands for begins `prompt`.
fn is_of(found: &Found, hash: &str, prompt: &[u8]) -> bool {
    prompt.get(..found.bytes).is_some_and(|head| hex(&Sha256::digest(head)) == hash)
}

/// The tokens that a snapshot stands for.
///
/// # Errors
/// It cannot be read, or is shorter than it says.
fn tokens(path: &Path) -> io::Result<Vec<Token>> {
    let mut file = File::open(path)?;
    let mut head = [0; HEAD];
    file.read_exact(&mut head)?;
    let [.., a, b, c, d] = head;
    let count = u64::from(u32::from_le_bytes([a, b, c, d]));
    let mut bytes = Vec::new();
    file.take(count * size_of::<Token>() as u64).read_to_end(&mut bytes)?;
    let (tokens, _) = bytes.as_chunks();
    if tokens.len() as u64 != count {
        return Err(io::ErrorKind::UnexpectedEof.into());
    }
    Ok(tokens.iter().map(|bytes| Token::from_le_bytes(*bytes)).collect())
}

fn checksum(path: &Path) -> io::Result<u32> {
    let mut file = File::open(path)?;
    let mut hasher = crc32fast::Hasher::new();
    let mut buffer = vec![0; SAMPLE];
    loop {
        match file.read(&mut buffer)? {
            0 => return Ok(hasher.finalize()),
            read => hasher.update(&buffer[..read]),
        }
    }
}

fn hex(digest: &[u8]) -> String {
    digest.iter().take(16).map(|byte| format!("{byte:02x}")).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    struct Stage(tempfile::TempDir);

    impl Stage {
        fn snapshots(&self, context: &str, limit: u64) -> Snapshots {
            let place = Place { folder: self.0.path().join("kv"), limit };
            Snapshots::open(place, &self.0.path().join("model"), context).unwrap()
        }
    }

    fn stage() -> Stage {
        let temp = tempfile::tempdir().unwrap();
        fs::write(temp.path().join("model"), "weights").unwrap();
        Stage(temp)
    }

    /// A snapshot of these tokens, `bytes` long behind them.
    fn write(path: &Path, tokens: &[Token], bytes: usize) -> io::Result<()> {
        let head = [0, 0, tokens.len() as u32].map(u32::to_le_bytes).concat();
        let tokens = tokens.iter().flat_map(|token| token.to_le_bytes()).collect();
        fs::write(path, [head, tokens, vec![7; bytes]].concat())
    }

    fn save(snapshots: &Snapshots, text: &str, bytes: usize) {
        snapshots.save(text.as_bytes(), |path| write(path, &[], bytes)).unwrap();
    }

    #[test]
    fn the_longest_beginning_is_found() {
        let stage = stage();
        let snapshots = stage.snapshots("f16", 1000);
        save(&snapshots, "<system>", 10);
        save(&snapshots, "<system><user>a", 10);
        save(&snapshots, "<other>", 10);
        let best = |prompt: &str, than| snapshots.best(prompt.as_bytes(), than, 9, |_| 0).map(|found| found.bytes);
        assert_eq!(best("<system><user>a<end>", 0), Some(15));
        assert_eq!(best("<system><user>b<end>", 0), Some(8));
        assert_eq!(best("<system><user>b<end>", 8), None);
        assert_eq!(best("<syst", 0), None);
        // Of another kind of context, or another model.
        assert_eq!(stage.snapshots("q8", 1000).best(b"<system><user>", 0, 9, |_| 0), None);
        fs::write(stage.0.path().join("model"), "weightt").unwrap();
        assert_eq!(stage.snapshots("f16", 1000).best(b"<system><user>", 0, 9, |_| 0), None);
    }

    #[test]
    fn one_that_parts_from_the_prompt_serves_with_what_both_share() {
        let stage = stage();
        let snapshots = stage.snapshots("f16", 1000);
        save(&snapshots, "<system>", 10);
        let save = |text: &str| snapshots.save(text.as_bytes(), |path| write(path, &[4, -5, 6], 50)).unwrap();
        save("<system><user>a");
        let best = |held, room, bytes| {
            let shared = |tokens: &[Token]| if tokens == [4, -5, 6] { bytes } else { 0 };
            snapshots
                .best(b"<system><user>b<end>", held, room, shared)
                .map(|found| (found.bytes, tokens(&found.path).unwrap().len()))
        };
        assert_eq!(best(0, 9, 14), Some((15, 3)));
        assert_eq!(best(13, 9, 14), Some((15, 3)));
        assert_eq!(best(14, 9, 14), None);
        // There is no room for it.
        assert_eq!(best(0, 2, 14), Some((8, 0)));
        // A long one is not read for a few bytes, nor one whose end is missing.
        save(&"long".repeat(100));
        assert_eq!(best(0, 9, 12), Some((15, 3)));
        let found = snapshots.best(b"<system><user>a<end>", 9, 9, |_| 0).unwrap();
        let head = [0, 0, 3].map(u32::to_le_bytes).concat();
        fs::write(&found.path, [head, vec![0; 11]].concat()).unwrap();
        assert_eq!(best(9, 9, 14), None);
    }

    #[test]
    fn one_that_is_damaged_is_removed() {
        let stage = stage();
        let snapshots = stage.snapshots("f16", 1000);
        save(&snapshots, "text", 10);
        let found = snapshots.best(b"text and more", 0, 9, |_| 0).unwrap();
        assert!(Snapshots::is_whole(&found));
        fs::write(&found.path, [7; 9]).unwrap();
        assert!(!Snapshots::is_whole(&found));
        assert_eq!(snapshots.best(b"text and more", 0, 9, |_| 0), None);
    }

    #[test]
    fn what_cannot_be_written_leaves_nothing() {
        let stage = stage();
        let snapshots = stage.snapshots("f16", 1000);
        assert!(snapshots.save(b"text", |_| Err(io::Error::other("full"))).is_err());
        assert_eq!(files(&snapshots.folder).len(), 0);
    }

    #[test]
    fn what_was_not_used_for_longest_goes_first() {
        let stage = stage();
        let snapshots = stage.snapshots("f16", 250);
        let mut times = 1_000_u64..;
        for text in ["one", "two", "three"] {
            save(&snapshots, text, 100);
            if let Some(found) = snapshots.best(text.as_bytes(), 0, 9, |_| 0) {
                let time = SystemTime::UNIX_EPOCH + std::time::Duration::from_secs(times.next().unwrap());
                File::options().append(true).open(found.path).unwrap().set_modified(time).unwrap();
            }
        }
        let there = |text: &str| snapshots.best(text.as_bytes(), 0, 9, |_| 0).is_some();
        assert!(!there("one") && there("two") && there("three"));
    }
}
