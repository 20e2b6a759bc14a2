//! What the repository's history says: which files changed for which reasons, and which changed together.

use std::collections::{HashMap, HashSet};
use std::path::Path;

use git2::{DiffOptions, Oid, Repository, Sort};
use serde::{Deserialize, Serialize};

use super::words::{Term, Words};

/// Commits that are looked at, from the newest on: what is older says less of the code as it is.
const COMMITS: usize = 300;
/// A commit that changes more files than this is about none of them.
const FILES: usize = 20;

/// The last commits of a repository, the newest first.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct History {
    /// What it was read at.
    pub head: String,
    commits: Vec<Commit>,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
struct Commit {
    /// Of its message; sorted.
    words: Vec<Term>,
    /// As paths of the index.
    files: Vec<String>,
}

impl History {
    /// The commit that is checked out; empty where there is no repository or no commit.
    pub fn head(root: &Path) -> String {
        let head = || Repository::discover(root).ok()?.head().ok()?.target();
        head().map(|oid: Oid| oid.to_string()).unwrap_or_default()
    }

    /// Reads the history of the repository around `root`.
    pub fn read(root: &Path) -> Self {
        let head = Self::head(root);
        let commits = walk(root).unwrap_or_else(|error| {
            tracing::debug!(%error, "the history is not used");
            Vec::new()
        });
        Self { head, commits }
    }

    pub fn is_empty(&self) -> bool {
        self.commits.is_empty()
    }

    /// For each file, how much of the request the message of a commit that changed it covers, from 0 to 1.
    pub fn told(&self, terms: &[(Term, f32)]) -> HashMap<&str, f32> {
        let count = self.commits.len() as f32;
        let weighed: Vec<(Term, f32)> = terms
            .iter()
            .map(|(term, weight)| {
                let with = self.commits.iter().filter(|commit| commit.has(*term)).count() as f32;
                (*term, weight * (1.0 + (count - with + 0.5) / (with + 0.5)).ln())
            })
            .collect();
        let total: f32 = weighed.iter().map(|(_, weight)| weight).sum();
        let mut told: HashMap<&str, f32> = HashMap::new();
        for commit in self.commits.iter().filter(|_| total > 0.0) {
            let covered: f32 = weighed.iter().filter(|(term, _)| commit.has(*term)).map(|(_, weight)| weight).sum();
            // What changed with many others is told less by the message.
            let share = covered / total / (commit.files.len() as f32).sqrt();
            for file in &commit.files {
                let known = told.entry(file).or_default();
                *known = known.max(share);
            }
        }
        told
    }

    /// For each file, the share of the commits to `file` that changed it too.
    pub fn together(&self, file: &str) -> HashMap<&str, f32> {
        let commits: Vec<&Commit> = self.commits.iter().filter(|c| c.files.iter().any(|f| f == file)).collect();
        let mut shares: HashMap<&str, f32> = HashMap::new();
        for other in commits.iter().flat_map(|commit| &commit.files).filter(|other| *other != file) {
            // One commit more than there were, so that a single one proves little.
            *shares.entry(other).or_default() += 1.0 / (commits.len() as f32 + 1.0);
        }
        shares
    }
}

impl Commit {
    fn has(&self, term: Term) -> bool {
        self.words.binary_search(&term).is_ok()
    }
}

fn walk(root: &Path) -> Result<Vec<Commit>, git2::Error> {
    let repository = Repository::discover(root)?;
    let Some(prefix) = repository.workdir().and_then(|top| root.strip_prefix(top.canonicalize().ok()?).ok()) else {
        return Ok(Vec::new());
    };
    let mut walk = repository.revwalk()?;
    walk.set_sorting(Sort::TOPOLOGICAL)?;
    walk.push_head()?;
    let mut words = Words::default();
    let mut commits = Vec::new();
    for oid in walk.take(COMMITS) {
        let commit = repository.find_commit(oid?)?;
        // The first commit brings everything in, and a merge is told by what it merges.
        if commit.parent_count() != 1 {
            continue;
        }
        let (before, after) = (commit.parent(0)?.tree()?, commit.tree()?);
        let mut options = DiffOptions::new();
        options.skip_binary_check(true).ignore_submodules(true);
        let diff = repository.diff_tree_to_tree(Some(&before), Some(&after), Some(&mut options))?;
        if diff.deltas().len() > FILES {
            continue;
        }
        let paths = diff
            .deltas()
            .filter_map(|delta| delta.new_file().path()?.strip_prefix(prefix).ok()?.to_str().map(str::to_owned));
        let mut terms = HashSet::new();
        words.terms(commit.message().unwrap_or_default(), &mut |term| {
            terms.insert(term);
        });
        let mut terms: Vec<Term> = terms.into_iter().collect();
        terms.sort_unstable();
        commits.push(Commit { words: terms, files: paths.collect() });
    }
    Ok(commits)
}

#[cfg(test)]
mod tests {
    use std::fs;

    use git2::Signature;

    use super::*;

    /// Commits these files with this message.
    fn commit(repository: &Repository, message: &str, files: &[&str]) {
        let root = repository.workdir().unwrap();
        let mut index = repository.index().unwrap();
        for file in files {
            fs::create_dir_all(root.join(file).parent().unwrap()).unwrap();
            fs::write(root.join(file), format!("{message} {file}")).unwrap();
            index.add_path(Path::new(file)).unwrap();
        }
        let tree = repository.find_tree(index.write_tree().unwrap()).unwrap();
        let who = Signature::now("a", "a@localhost").unwrap();
        let parent = repository.head().ok().and_then(|head| head.peel_to_commit().ok());
        let parents: Vec<_> = parent.iter().collect();
        repository.commit(Some("HEAD"), &who, &who, message, &tree, &parents).unwrap();
    }

    #[test]
    fn messages_and_common_changes_are_remembered() {
        let folder = tempfile::tempdir().unwrap();
        let root = folder.path().canonicalize().unwrap();
        assert!(History::read(&root).is_empty() && History::head(&root).is_empty());
        let repository = Repository::init(&root).unwrap();
        commit(&repository, "begin", &["a.py", "b.py", "sub/c.py"]);
        commit(&repository, "speed up the parser", &["a.py", "b.py"]);
        commit(&repository, "parser again", &["a.py"]);
        commit(&repository, "unrelated", &["sub/c.py"]);
        let history = History::read(&root);
        assert_eq!(history.head, History::head(&root));
        let mut terms = Vec::new();
        Words::default().terms("parser", &mut |term| terms.push((term, 1.0)));
        let told = history.told(&terms);
        assert!(told["a.py"] > told["b.py"] && told["b.py"] > told["sub/c.py"], "{told:?}");
        assert_eq!(history.together("b.py")["a.py"], 0.5);
        assert!(!history.together("sub/c.py").contains_key("a.py"));
        // From within a folder of the repository, only its files count, by their paths there.
        assert!(History::read(&root.join("sub")).told(&terms).keys().all(|file| *file == "c.py"));
    }
}
