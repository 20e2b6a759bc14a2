//! Which files a request needs: the words first, then what the request names, then what the graph and the history add.

use std::collections::HashMap;
use std::path::Path;

use super::Language;
use super::chunk::chunks;
use super::entry::Entry;
use super::extract::FIELDS;
use super::graph::Graph;
use super::index::{Index, stem};
use super::language::Form;
use super::request::{Query, Request, Tests, is_test, showcase};
use super::source::Class;
use super::weights::Weights;
use super::words::Term;

/// Files whose text is looked into.
const CLOSELY: usize = 20;
/// Files from which the history leads to others.
const LEADING: usize = 3;

/// What a request needs.
pub(super) struct Ranking<'i> {
    /// Best first.
    pub files: Vec<Ranked<'i>>,
    /// What each word of the request is worth; sums up to 1.
    pub weights: HashMap<Term, f32>,
}

/// A file with what speaks for it.
pub(super) struct Ranked<'i> {
    pub path: &'i str,
    pub score: f32,
    pub why: Vec<String>,
    /// Lines that the request names.
    pub lines: Vec<u32>,
    /// Definitions that the request names.
    pub symbols: Vec<String>,
}

/// A file while it is being ranked.
struct Scored<'i> {
    path: &'i str,
    entry: &'i Entry,
    /// What of everything but its own path counts, for what it is.
    prior: f32,
    score: f32,
    why: Vec<String>,
    lines: Vec<u32>,
    symbols: Vec<String>,
}

impl Index {
    /// Ranks the files for a request.
    pub(super) fn rank(&self, request: &Request) -> Ranking<'_> {
        self.rank_by(request, &Weights::default())
    }

    /// Ranks by other parameters than the usual.
    pub(super) fn rank_by(&self, request: &Request, by: &Weights) -> Ranking<'_> {
        let query = Query::of(request, self);
        let mut files: Vec<Scored<'_>> = self.files.iter().map(|(path, entry)| Scored::new(path, entry)).collect();
        for file in &mut files {
            file.prior = prior(file, &query, by);
        }
        let weights = lexical(&mut files, &query, by);
        called(&mut files, &query, by, self);
        self.look_closely(&mut files, &weights, by);
        self.remember(&mut files, &query, by);
        placed(&mut files, &query, by);
        connect(&mut files, request, by);
        files.retain(|file| file.score > 0.0);
        sort(&mut files);
        let files = files.into_iter().map(|file| {
            let Scored { path, score, why, lines, symbols, .. } = file;
            Ranked { path, score, why, lines, symbols }
        });
        Ranking { files: files.collect(), weights }
    }

    /// The files that have definitions, those first that others depend on most.
    pub(super) fn central(&self) -> Vec<&str> {
        let mut files: Vec<Scored<'_>> = self.files.iter().map(|(path, entry)| Scored::new(path, entry)).collect();
        let entries: Vec<&Entry> = files.iter().map(|file| file.entry).collect();
        for (file, rank) in files.iter_mut().zip(Graph::of(&entries).central()) {
            file.score = rank;
        }
        sort(&mut files);
        files.into_iter().map(|file| file.path).collect()
    }

    /// Adds how much of the request stands together in one part of a file.
    fn look_closely(&self, files: &mut [Scored<'_>], weights: &HashMap<Term, f32>, by: &Weights) {
        let mut best: Vec<usize> = (0..files.len()).filter(|at| files[*at].score > 0.0).collect();
        best.sort_by(|a, b| files[*b].score.total_cmp(&files[*a].score).then(a.cmp(b)));
        for at in best.into_iter().take(CLOSELY) {
            let file = &mut files[at];
            let Some(text) = self.text(file.path) else { continue };
            let parts = chunks(&text, &file.entry.definitions(), weights);
            let cover = parts.iter().map(|chunk| chunk.cover).fold(0.0, f32::max);
            file.score *= 1.0 + by.chunk * cover;
        }
    }

    /// Adds what the history says.
    fn remember(&self, files: &mut [Scored<'_>], query: &Query, by: &Weights) {
        let Some(history) = self.history() else { return };
        let told = history.told(&query.terms);
        for file in files.iter_mut() {
            if let Some(share) = told.get(file.path) {
                file.score += by.told * share * file.prior;
                if *share > 0.3 {
                    file.why.push("a commit with such words changed it".into());
                }
            }
        }
        let mut best: Vec<(&str, f32)> = files.iter().map(|file| (file.path, file.score)).collect();
        best.sort_by(|a, b| b.1.total_cmp(&a.1).then(a.0.cmp(b.0)));
        let top = best.first().map_or(0.0, |best| best.1);
        for (leader, score) in best.into_iter().take(LEADING).filter(|best| best.1 > 0.0) {
            let together = history.together(leader);
            for file in files.iter_mut() {
                if let Some(share) = together.get(file.path) {
                    file.score += by.together * share * score / top * file.prior;
                }
            }
        }
    }
}

impl<'i> Scored<'i> {
    fn new(path: &'i str, entry: &'i Entry) -> Self {
        Self { path, entry, prior: 1.0, score: 0.0, why: Vec::new(), lines: Vec::new(), symbols: Vec::new() }
    }
}

fn sort(files: &mut [Scored<'_>]) {
    files.sort_by(|a, b| b.score.total_cmp(&a.score).then(a.path.cmp(b.path)));
}

/// BM25F over the words; the best file gets 1. Returns what each word is worth.
fn lexical(files: &mut [Scored<'_>], query: &Query, by: &Weights) -> HashMap<Term, f32> {
    let count = files.len() as f32;
    let mut mean = [1.0_f32; FIELDS];
    for (field, mean) in mean.iter_mut().enumerate() {
        let total: f64 = files.iter().map(|file| f64::from(file.entry.lengths[field])).sum();
        *mean = ((total / f64::from(count.max(1.0))) as f32).max(1.0);
    }
    let mut worth = HashMap::new();
    for (term, weight) in &query.terms {
        let counts = files.iter().enumerate().filter_map(|(at, file)| Some((at, file.entry.counts(*term)?)));
        let hits: Vec<(usize, [u8; FIELDS])> = counts.collect();
        let with = hits.len() as f32;
        let rarity = weight * (1.0 + (count - with + 0.5) / (with + 0.5)).ln();
        if !hits.is_empty() {
            worth.insert(*term, rarity);
        }
        for (at, counts) in hits {
            let lengths = files[at].entry.lengths;
            let parts = (0..FIELDS).map(|field| {
                let length = 1.0 - by.b[field] + by.b[field] * lengths[field] as f32 / mean[field];
                by.fields[field] * f32::from(counts[field]) / length
            });
            let frequency: f32 = parts.sum();
            files[at].score += rarity * frequency / (by.k1 + frequency);
        }
    }
    let best = files.iter().map(|file| file.score).fold(0.0, f32::max);
    for file in files.iter_mut().filter(|_| best > 0.0) {
        file.score /= best;
        if file.score > 0.5 {
            file.why.push("its words".into());
        }
        file.score *= file.prior;
    }
    // In the order of the terms, so that the sum is the same every time.
    let total: f32 = query.terms.iter().filter_map(|(term, _)| worth.get(term)).sum();
    worth.values_mut().for_each(|value| *value /= total);
    worth
}

/// Adds what the request calls by name: files, definitions.
fn called(files: &mut [Scored<'_>], query: &Query, by: &Weights, index: &Index) {
    for file in files.iter_mut() {
        let name = stem(file.path).to_lowercase();
        if query.stems.contains(&name) {
            file.score += by.stem * file.prior;
            file.why.push(format!("is called {name}"));
        }
    }
    let position: HashMap<&str, usize> = files.iter().enumerate().map(|(at, file)| (file.path, at)).collect();
    for symbol in &query.symbols {
        let definers = index.definers(symbol);
        for at in definers.iter().filter_map(|path| position.get(path)) {
            let file = &mut files[*at];
            file.score += by.symbol / definers.len() as f32 * file.prior;
            file.why.push(format!("defines {symbol}"));
            file.symbols.push(symbol.rsplit(['.', ':']).next().unwrap_or(symbol).to_owned());
        }
    }
}

/// Adds the files that the request names by their path, whatever they are.
fn placed(files: &mut [Scored<'_>], query: &Query, by: &Weights) {
    for file in files.iter_mut() {
        let places = query.places.iter().filter(|place| place.file == file.path);
        let weight = places.clone().map(|place| place.weight).fold(0.0, f32::max);
        if weight > 0.0 {
            file.score += by.place * weight;
            file.why.insert(0, "is named".into());
        }
        file.lines.extend(places.filter_map(|place| place.line));
    }
}

/// What of its score a file keeps for what it is, whatever the request says.
fn prior(file: &Scored<'_>, query: &Query, by: &Weights) -> f32 {
    let entry = file.entry;
    let code =
        Language::of(Path::new(file.path)).is_some_and(|language| matches!(language.form, Form::Program | Form::Page));
    let mut prior = 1.0 + by.size * (1.0 + entry.lines as f32).ln();
    match query.tests {
        Tests::Unmentioned if is_test(file.path) => prior *= by.tests,
        Tests::Wanted if !is_test(file.path) => prior *= by.tests,
        _ => {}
    }
    if showcase(file.path).is_some_and(|folder| !query.stems.contains(folder)) {
        prior *= by.tests;
    }
    if !code {
        prior *= by.prose;
    }
    if entry.class != Class::Written {
        prior *= by.generated;
    }
    prior
}

/// Adds what flows over the graph: from the best files and those under work to what they use and what uses them.
fn connect(files: &mut [Scored<'_>], request: &Request, by: &Weights) {
    let entries: Vec<&Entry> = files.iter().map(|file| file.entry).collect();
    let graph = Graph::of(&entries);
    let best = files.iter().map(|file| file.score).fold(0.0, f32::max);
    let entering = |file: &Scored<'_>| {
        let edited = request.edited.iter().any(|path| path == file.path);
        // Squared, so that many weak files do not drown the few strong ones.
        (file.score / best.max(f32::MIN_POSITIVE)).powi(2) + f32::from(u8::from(edited))
    };
    let seeds: Vec<f32> = files.iter().map(entering).collect();
    let total: f32 = seeds.iter().sum();
    // A request without a word that is known gets what everything else depends on.
    let near = if total > 0.0 {
        graph.spread(&seeds.iter().map(|seed| seed / total).collect::<Vec<_>>())
    } else {
        graph.central()
    };
    let strength = by.graph * if best > 0.0 { best } else { 1.0 };
    for (file, near) in files.iter_mut().zip(scaled(near)) {
        file.score += strength * near * file.prior;
        if total > 0.0 && near > 0.3 && file.why.is_empty() {
            file.why.push("belongs to the files above".into());
        }
    }
}

/// So that the largest is 1.
fn scaled(mut values: Vec<f32>) -> Vec<f32> {
    let largest = values.iter().copied().fold(f32::MIN_POSITIVE, f32::max);
    values.iter_mut().for_each(|value| *value /= largest);
    values
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The files that a request needs, best first.
    fn ranked(text: &str, edited: &[&str]) -> Vec<String> {
        let mut index = Index::open(Path::new("/nowhere"), None);
        for (path, text) in [
            (
                "src/store.py",
                "class Store:\n    def load(self, path):\n        # reads a cached file\n        return decode(path)\n",
            ),
            ("src/decode.py", "def decode(text):\n    return text\n"),
            ("src/view.py", "def show(page):\n    return page\n"),
            (
                "tests/test_store.py",
                "def test_store_load():\n    assert Store().load('cached')\n    # store load cached file\n",
            ),
            ("README.md", "# Store\n\nThe store loads a cached file. Store, load, cached.\n"),
        ] {
            index.update(path, text);
        }
        let request = Request { text: text.to_owned(), edited: edited.iter().map(ToString::to_string).collect() };
        index.rank(&request).files.into_iter().map(|file| file.path.to_owned()).collect()
    }

    #[test]
    fn code_comes_before_tests_and_texts_unless_they_are_asked_for() {
        let first = |text: &str| ranked(text, &[]).swap_remove(0);
        assert_eq!(first("the store loads a cached file twice"), "src/store.py");
        assert_eq!(first("add tests for loading from the store"), "tests/test_store.py");
        assert_eq!(first("mention in README.md that the store loads a cached file"), "README.md");
        assert_eq!(first("`decode` fails"), "src/decode.py");
    }

    #[test]
    fn neighbours_of_the_best_and_of_what_is_under_work_come_in() {
        let found = ranked("the store loads a cached file twice", &[]);
        let place = |found: &[String], path: &str| found.iter().position(|file| file == path);
        assert!(place(&found, "src/decode.py") < Some(4) && place(&found, "src/decode.py").is_some(), "{found:?}");
        assert_eq!(place(&found, "src/view.py"), None, "{found:?}");
        assert!(place(&ranked("go on", &["src/view.py"]), "src/view.py") == Some(0));
    }

    #[test]
    fn a_request_without_known_words_gets_what_others_depend_on() {
        assert_eq!(ranked("", &[])[0], "src/decode.py");
    }
}
