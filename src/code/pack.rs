//! What of the ranked files fits into a budget of tokens.

use serde::Serialize;

use super::chunk::{Chunk, chunks};
use super::definition::Definition;
use super::estimate;
use super::index::Index;
use super::rank::{Ranked, Ranking};
use super::request::Request;

/// Files that are looked into; what ranks lower has no chance.
const FILES: usize = 12;
/// The share of the budget, in per cent, that goes to one line of each file before any file is shown at length: knowing that
/// a file is there is worth more than the second half of another one.
const HEADS: usize = 25;
/// Tokens that a slice costs beside its lines; without it the shortest lines would always be the best bargain.
const OVERHEAD: f32 = 40.0;

/// Lines of a file that a request is likely to need.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Slice {
    pub file: String,
    /// Counts from 1.
    pub start: u32,
    /// The last line.
    pub end: u32,
    /// The definition that it is or is part of, with its scope; empty for none.
    pub symbol: String,
    /// Comparable within one answer only.
    pub score: f32,
    /// In a few words.
    pub why: String,
    /// The lines.
    #[serde(skip)]
    pub text: String,
}

impl Slice {
    /// As a model reads it: the place, then the lines.
    pub fn render(&self) -> String {
        let symbol = if self.symbol.is_empty() { String::new() } else { format!(" {}", self.symbol) };
        format!("{}:{}-{}{symbol}\n{}\n", self.file, self.start, self.end, self.text)
    }
}

/// Parts that are weighed against what is left of the budget; counting tokens takes time, and what comes later adds little.
const TRIED: usize = 200;

/// A part of a file that may be shown.
struct Candidate {
    slice: Slice,
    /// Rank of its file.
    rank: usize,
    /// In tokens; 0 until it is counted.
    cost: usize,
}

impl Index {
    /// What a request needs, best first: at most `budget` tokens as [`Slice::render`] writes it and `count` counts it. The
    /// same for the same request on the same files.
    pub fn context(&self, request: &Request, budget: usize, count: &dyn Fn(&str) -> usize) -> Vec<Slice> {
        let ranking = self.rank(request);
        let mut heads = Vec::new();
        let mut candidates = Vec::new();
        for (rank, file) in ranking.files.iter().take(FILES).enumerate() {
            let (head, whole) = self.candidates(file, rank, &ranking);
            heads.extend(head);
            candidates.extend(whole);
        }
        let chosen = choose(heads, candidates, budget, count);
        fit(chosen, budget, count)
    }

    /// A file's most telling line, and its parts.
    fn candidates(&self, file: &Ranked<'_>, rank: usize, ranking: &Ranking<'_>) -> (Option<Candidate>, Vec<Candidate>) {
        let Some(text) = self.text(file.path) else { return (None, Vec::new()) };
        let definitions = self.outline(file.path).unwrap_or_default();
        let lines: Vec<&str> = text.lines().collect();
        let mut parts = chunks(&text, &definitions, &ranking.weights);
        for chunk in &mut parts {
            chunk.cover += named(chunk, file, &definitions);
        }
        let make = |start: u32, end: u32, definition: Option<usize>, cover: f32| {
            let chunk = Chunk { start, end, definition, cover };
            let slice = Slice {
                file: file.path.to_owned(),
                start,
                end,
                symbol: definition.and_then(|d| definitions.get(d)).map(Definition::qualified).unwrap_or_default(),
                score: file.score * (0.2 + cover),
                why: file.why.join(", "),
                text: chunk.lines(&lines).join("\n"),
            };
            Candidate { slice, rank, cost: 0 }
        };
        let best = parts.iter().max_by(|a, b| a.cover.total_cmp(&b.cover).then(b.start.cmp(&a.start)));
        let head = best.map(|best| {
            let line =
                best.definition.and_then(|d| definitions.get(d)).map_or(best.start, |definition| definition.line);
            make(line, line, best.definition, best.cover)
        });
        let whole = parts.iter().filter(|chunk| chunk.cover > 0.0);
        (head, whole.map(|chunk| make(chunk.start, chunk.end, chunk.definition, chunk.cover)).collect())
    }

    /// A file's text as it is on disk; `None` for what is not indexed as text.
    pub(super) fn text(&self, path: &str) -> Option<String> {
        self.files.get(path)?;
        super::source::read(&self.root().join(path)).map(|source| source.text).filter(|text| !text.is_empty())
    }
}

/// What it adds to a chunk that the request names its line or its definition.
fn named(chunk: &Chunk, file: &Ranked<'_>, definitions: &[Definition]) -> f32 {
    let line = file.lines.iter().any(|line| (chunk.start..=chunk.end).contains(line));
    let symbol = chunk.definition.and_then(|d| definitions.get(d)).is_some_and(|d| file.symbols.contains(&d.name));
    f32::from(u8::from(line)) + f32::from(u8::from(symbol))
}

/// Heads first, then whole parts by value per token, as far as the budget goes.
fn choose(
    heads: Vec<Candidate>,
    mut candidates: Vec<Candidate>,
    budget: usize,
    count: &dyn Fn(&str) -> usize,
) -> Vec<Candidate> {
    let mut left = budget;
    let mut chosen: Vec<Candidate> = Vec::new();
    let mut for_heads = budget * HEADS / 100;
    for mut head in heads {
        head.cost = count(&head.slice.render());
        if head.cost <= for_heads {
            for_heads -= head.cost;
            left -= head.cost;
            chosen.push(head);
        }
    }
    candidates.sort_by(|a, b| b.density().total_cmp(&a.density()).then_with(|| a.place().cmp(&b.place())));
    for mut candidate in candidates.into_iter().take(TRIED) {
        let freed: usize = chosen.iter().filter(|other| other.is_in(&candidate)).map(|other| other.cost).sum();
        candidate.cost = count(&candidate.slice.render());
        if candidate.cost <= left + freed {
            left = left + freed - candidate.cost;
            chosen.retain(|other| !other.is_in(&candidate));
            chosen.push(candidate);
        }
    }
    chosen.sort_by(|a, b| {
        let by_score = || b.slice.score.total_cmp(&a.slice.score);
        a.rank.cmp(&b.rank).then_with(by_score).then_with(|| a.place().cmp(&b.place()))
    });
    chosen
}

impl Candidate {
    /// Value per token, estimated.
    fn density(&self) -> f32 {
        self.slice.score / (estimate(&self.slice.text) as f32 + OVERHEAD)
    }

    /// File, then line.
    fn place(&self) -> (usize, u32) {
        (self.rank, self.slice.start)
    }

    /// Whether all of its lines stand in the other.
    fn is_in(&self, other: &Self) -> bool {
        self.rank == other.rank && other.slice.start <= self.slice.start && self.slice.end <= other.slice.end
    }
}

/// Tokens of a whole can be more than those of its parts together; then the last parts go.
fn fit(chosen: Vec<Candidate>, budget: usize, count: &dyn Fn(&str) -> usize) -> Vec<Slice> {
    let mut slices: Vec<Slice> = chosen.into_iter().map(|candidate| candidate.slice).collect();
    while !slices.is_empty() && count(&slices.iter().map(Slice::render).collect::<String>()) > budget {
        slices.pop();
    }
    slices
}
