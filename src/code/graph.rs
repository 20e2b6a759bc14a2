//! Which files have to do with which: who uses what is defined where.

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
    links: Vec<Vec<Link>>,
}

/// What connects a file with another.
#[derive(Debug, Clone, Copy, Default)]
struct Link {
    to: usize,
    /// How much it uses of what the other defines.
    uses: f32,
    /// How much the other uses of what it defines.
    used: f32,
}

impl Graph {
    pub fn of(files: &[&Entry]) -> Self {
        let mut definers: FxHashMap<Term, Vec<usize>> = FxHashMap::default();
        for (number, file) in files.iter().enumerate() {
            for name in &file.lexicon.defined {
                definers.entry(*name).or_default().push(number);
            }
        }
        definers.retain(|_, files| files.len() <= DEFINERS);
        let mut links: Vec<FxHashMap<usize, Link>> = vec![FxHashMap::default(); files.len()];
        for (user, file) in files.iter().enumerate() {
            for name in &file.lexicon.used {
                let Some(definers) = definers.get(name) else { continue };
                if definers.contains(&user) {
                    continue;
                }
                let weight = 1.0 / definers.len() as f32;
                for definer in definers {
                    links[user].entry(*definer).or_default().uses += weight;
                    links[*definer].entry(user).or_default().used += weight;
                }
            }
        }
        let links = links.into_iter().map(|links| {
            // Many common names are not many times the evidence.
            let link = |(to, link): (usize, Link)| Link { to, uses: link.uses.sqrt(), used: link.used.sqrt() };
            let mut links: Vec<Link> = links.into_iter().map(link).collect();
            links.sort_by_key(|link| link.to);
            links
        });
        Self { links: links.collect() }
    }

    /// How much others depend on each file.
    pub fn central(&self) -> Vec<f32> {
        self.flow(&vec![1.0 / self.links.len().max(1) as f32; self.links.len()], 0.0)
    }

    /// Personalised PageRank: how much of the relevance that enters at `seeds` (which sum up to 1) stays with each file.
    pub fn spread(&self, seeds: &[f32]) -> Vec<f32> {
        self.flow(seeds, BACKWARDS)
    }

    fn flow(&self, seeds: &[f32], backwards: f32) -> Vec<f32> {
        let weight = |link: &Link| link.uses + link.used * backwards;
        let totals: Vec<f32> = self.links.iter().map(|links| links.iter().map(weight).sum()).collect();
        let mut rank = seeds.to_vec();
        for _ in 0..ROUNDS {
            let mut next: Vec<f32> = seeds.iter().map(|seed| seed * (1.0 - DAMPING)).collect();
            for (from, links) in self.links.iter().enumerate() {
                if totals[from] == 0.0 {
                    next[from] += DAMPING * rank[from];
                    continue;
                }
                for link in links {
                    next[link.to] += DAMPING * rank[from] * weight(link) / totals[from];
                }
            }
            rank = next;
        }
        rank
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
        let files: Vec<&Entry> = index.files.values().map(|entry| &**entry).collect();
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
        let files: Vec<&Entry> = index.files.values().map(|entry| &**entry).collect();
        let mut seeds = vec![0.0; files.len()];
        seeds[0] = 1.0;
        assert_eq!(Graph::of(&files).spread(&seeds), seeds);
    }
}
