//! Which files have to do with which: who uses what is defined where.

use std::ops::Range;

use rayon::prelude::*;
use rustc_hash::FxHashMap;

use super::entry::Entry;
use super::words::Term;

/// A name that more files define says nothing of any of them.
const DEFINERS: usize = 8;
/// The share of relevance that flows on, as in the original PageRank.
const DAMPING: f32 = 0.5;
/// After which the flow has settled well below what ranking sees.
const ROUNDS: usize = 12;
/// What flows from a definition to those who use it, beside what flows the other way.
const BACKWARDS: f32 = 0.5;

/// Links between files, by their numbers.
pub(super) struct Graph {
    files: usize,
    links: Vec<Link>,
}

/// A file uses what another defines.
#[derive(Debug, Clone, Copy)]
struct Link {
    user: usize,
    definer: usize,
    weight: f32,
}

impl Graph {
    pub fn of(files: &[&Entry]) -> Self {
        let definers = Definers::of(files);
        let links = files.par_iter().enumerate().map(|(user, file)| definers.links(user, file)).flatten_iter();
        Self { files: files.len(), links: links.collect() }
    }

    /// How much others depend on each file.
    pub fn central(&self) -> Vec<f32> {
        self.flow(&vec![1.0 / self.files.max(1) as f32; self.files], 0.0)
    }

    /// Personalised PageRank: how much of the relevance that enters at `seeds` (which sum up to 1) stays with each file.
    pub fn spread(&self, seeds: &[f32]) -> Vec<f32> {
        self.flow(seeds, BACKWARDS)
    }

    fn flow(&self, seeds: &[f32], backwards: f32) -> Vec<f32> {
        let mut totals = vec![0.0_f32; self.files];
        for link in &self.links {
            totals[link.user] += link.weight;
            totals[link.definer] += link.weight * backwards;
        }
        let mut rank = seeds.to_vec();
        for _ in 0..ROUNDS {
            let stays = |(file, seed): (usize, &f32)| {
                let kept = if totals[file] == 0.0 { DAMPING * rank[file] } else { 0.0 };
                seed * (1.0 - DAMPING) + kept
            };
            let mut next: Vec<f32> = seeds.iter().enumerate().map(stays).collect();
            let out: Vec<f32> =
                rank.iter().zip(&totals).map(|(rank, total)| DAMPING * rank / total.max(f32::MIN_POSITIVE)).collect();
            for Link { user, definer, weight } in &self.links {
                next[*definer] += out[*user] * weight;
                next[*user] += out[*definer] * weight * backwards;
            }
            rank = next;
        }
        rank
    }
}

/// Who defines the names that few files define.
struct Definers {
    /// By name.
    files: Vec<usize>,
    names: FxHashMap<Term, Range<usize>>,
    few: Few,
}

impl Definers {
    fn of(files: &[&Entry]) -> Self {
        let defined = files
            .par_iter()
            .enumerate()
            .flat_map_iter(|(file, entry)| entry.defined().iter().map(move |name| (name, file)));
        let mut defined: Vec<(Term, usize)> = defined.collect();
        defined.par_sort_unstable();
        let mut names = FxHashMap::default();
        let mut begin = 0;
        for same in defined.chunk_by(|(a, _), (b, _)| a == b) {
            if same.len() <= DEFINERS {
                names.insert(same[0].0, begin..begin + same.len());
            }
            begin += same.len();
        }
        let few = Few::of(names.keys().copied());
        Self { files: defined.into_iter().map(|(_, file)| file).collect(), names, few }
    }

    /// Whose definitions a file uses.
    fn links(&self, user: usize, file: &Entry) -> Vec<Link> {
        let known = file.used().iter().filter(|name| self.few.may_have(*name)).filter_map(|name| self.names.get(&name));
        let mut links = Vec::new();
        for definers in known.map(|range| &self.files[range.clone()]).filter(|definers| !definers.contains(&user)) {
            let weight = 1.0 / definers.len() as f32;
            links.extend(definers.iter().map(|&definer| Link { user, definer, weight }));
        }
        links.sort_by_key(|link| link.definer);
        links.dedup_by(|next, link| {
            let same = next.definer == link.definer;
            link.weight += if same { next.weight } else { 0.0 };
            same
        });
        // Many common names are not many times the evidence.
        links.iter_mut().for_each(|link| link.weight = link.weight.sqrt());
        links
    }
}

/// Names that few files define, in so little memory that asking for each use of a large repository costs nothing: most uses
/// are of names that many define, or nobody.
struct Few(Vec<u64>);

impl Few {
    /// Bits, as a power of two.
    const BITS: u32 = 22;

    fn of(names: impl Iterator<Item = Term>) -> Self {
        let mut bits = vec![0; 1 << (Self::BITS - u64::BITS.ilog2())];
        for name in names {
            let (word, bit) = Self::place(name);
            bits[word] |= bit;
        }
        Self(bits)
    }

    /// `false` where it is none of them.
    fn may_have(&self, name: Term) -> bool {
        let (word, bit) = Self::place(name);
        self.0[word] & bit != 0
    }

    fn place(name: Term) -> (usize, u64) {
        let bit = name & ((1 << Self::BITS) - 1);
        ((bit / u64::BITS) as usize, 1 << (bit % u64::BITS))
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::super::Index;
    use super::*;

    #[test]
    fn relevance_flows_along_uses_and_is_not_lost() {
        let mut index = Index::open(Path::new("/nowhere"), None);
        index.update("a.py", "from b import helper\nhelper()\n");
        index.update("b.py", "def helper(): pass\n");
        index.update("c.py", "def other(): pass\n");
        let files: Vec<&Entry> = index.files.values().collect();
        let rank = Graph::of(&files).spread(&[1.0, 0.0, 0.0]);
        assert!(rank[0] > rank[1] && rank[1] > 0.1 && rank[2] == 0.0, "{rank:?}");
        assert!((rank.iter().sum::<f32>() - 1.0).abs() < 1e-4, "{rank:?}");
    }

    #[test]
    fn a_name_that_everybody_defines_carries_nothing() {
        let mut index = Index::open(Path::new("/nowhere"), None);
        index.update("a.py", "run()\n");
        for number in 0..=DEFINERS {
            index.update(&format!("b{number}.py"), "def run(): pass\n");
        }
        let files: Vec<&Entry> = index.files.values().collect();
        let mut seeds = vec![0.0; files.len()];
        seeds[0] = 1.0;
        assert_eq!(Graph::of(&files).spread(&seeds), seeds);
    }
}
