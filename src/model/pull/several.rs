//! Models that are spread over several files: one comes from the hub after the other, and each is verified and has its final
//! name before the next begins, so that an interrupted pull keeps what is finished.

use std::fs;
use std::path::Path;

use super::{Entry, Expected, Failure, ModelError, Options, Part, Progress, Report, Source, Split, Store, hash, hub};

/// One of the files, and what the hub states of it.
struct Wanted {
    source: Source,
    split: Split,
    expected: Expected,
}

/// The caller holds the lock of the model.
pub(super) fn fetch(
    source: &Source,
    entry: &Entry,
    store: &Store,
    options: &Options,
    report: Report,
) -> Result<(), Failure> {
    let files = list(source, entry, store, options, report)?;
    let stated = files.iter().map(|file| file.expected.size).sum::<Option<u64>>();
    if let (Some(found), Some(size)) = (stated, entry.size)
        && found != size
    {
        return Err(Failure::Source(format!("it has files of {found} bytes together, the catalog of {size}")));
    }
    let total = stated.or(entry.size);
    let received = || files.iter().map(|file| store.received(&entry.name, Some(file.split))).sum::<u64>();
    if let Some(total) = total {
        store.need_space(total.saturating_sub(received()))?;
    }
    for file in files.iter().filter(|file| !store.file(&entry.name, Some(file.split)).exists()) {
        let mut part = Part::open(store, &entry.name, Some(file.split), file.expected.size)?;
        let others = received().saturating_sub(part.length);
        let mut of_all = |progress| match progress {
            Progress::Size { done, .. } => report(Progress::Size { done: others.saturating_add(done), total }),
            other => report(other),
        };
        let mut expected = file.expected.clone();
        let fetched = hub::fetch(&file.source, &mut part, &mut expected, options, &mut of_all)
            .and_then(|()| part.finish(&expected, &mut of_all));
        part.leave();
        fetched.map_err(|failure| failure.of(&file.label()))?;
    }
    Ok(())
}

/// Asks the hub about each file. One that is here under its final name is given up if the hub has another one now: models are
/// uploaded anew, and the files of one must belong together.
fn list(
    source: &Source,
    entry: &Entry,
    store: &Store,
    options: &Options,
    report: Report,
) -> Result<Vec<Wanted>, Failure> {
    let Source::Hub { repo, file, revision } = source else {
        return Err(Failure::Source("models in several files come from a hub only".into()));
    };
    let Some((prefix, first)) = Split::parse(file) else {
        return Err(Failure::Source("its file is none of several".into()));
    };
    let mut files = Vec::new();
    for split in Split::all(first.count) {
        let source = Source::Hub { repo: repo.clone(), file: split.file(prefix), revision: revision.clone() };
        let mut wanted = Wanted { source, split, expected: Expected::default() };
        wanted.expected = hub::stated(&wanted.source, options).map_err(|failure| failure.of(&wanted.label()))?;
        let path = store.file(&entry.name, Some(split));
        if path.exists() && !wanted.is(&path, report)? {
            fs::remove_file(&path).map_err(ModelError::io("remove", &path))?;
        }
        files.push(wanted);
    }
    Ok(files)
}

impl Wanted {
    /// Whether the file at `path` is this one, as far as the hub tells.
    fn is(&self, path: &Path, report: Report) -> Result<bool, ModelError> {
        let meta = fs::metadata(path).map_err(ModelError::io("read", path))?;
        if self.expected.size.is_some_and(|size| size != meta.len()) {
            return Ok(false);
        }
        let Some(expected) = &self.expected.sha256 else { return Ok(true) };
        report(Progress::Verifying(meta.len()));
        let found = hash::sha256(path, &mut |n| report(Progress::Advanced(n))).map_err(ModelError::io("read", path))?;
        Ok(found == *expected)
    }

    /// For people.
    fn label(&self) -> String {
        format!("file {} of {}", self.split.number, self.split.count)
    }
}
