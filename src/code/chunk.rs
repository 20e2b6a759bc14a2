//! The parts of a file that can be shown alone: whole functions, and what stands around them.

use std::collections::HashMap;

use super::definition::Definition;
use super::words::{Term, Words};

/// A definition with more lines is shown by its parts.
const WHOLE: u32 = 60;
/// Lines of a part that is no definition.
const WINDOW: u32 = 40;

/// Consecutive lines of a file.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Chunk {
    /// Counts from 1.
    pub start: u32,
    pub end: u32,
    /// The definition that it is, or is part of; by index.
    pub definition: Option<usize>,
    /// The weight of the request's words in it, from 0 to 1.
    pub cover: f32,
}

/// Cuts a file into chunks, in its order and without overlap, and weighs each by `weights`, which sum up to 1.
pub(super) fn chunks(text: &str, definitions: &[Definition], weights: &HashMap<Term, f32>) -> Vec<Chunk> {
    let lines: Vec<&str> = text.lines().collect();
    let count = u32::try_from(lines.len()).unwrap_or(u32::MAX);
    let mut chunks = Vec::new();
    let mut at = 1;
    for (index, definition) in definitions.iter().enumerate() {
        let small = definition.end.saturating_sub(definition.start) < WHOLE;
        let has_parts = definitions.get(index + 1).is_some_and(|next| next.end <= definition.end);
        if definition.start < at || (!small && has_parts) {
            continue;
        }
        let owner = definition.parent.and_then(|parent| usize::try_from(parent).ok());
        windows(&mut chunks, at, definition.start.saturating_sub(1), WINDOW, owner);
        windows(&mut chunks, definition.start, definition.end.min(count), WHOLE, Some(index));
        at = definition.end.saturating_add(1);
    }
    windows(&mut chunks, at, count, WINDOW, None);
    let mut words = Words::default();
    chunks.retain(|chunk| chunk.lines(&lines).iter().any(|line| !line.trim().is_empty()));
    for chunk in &mut chunks {
        chunk.cover = cover(&chunk.lines(&lines).join("\n"), weights, &mut words);
    }
    chunks
}

/// Adds lines as one chunk, or as several where they are more than `size`.
fn windows(chunks: &mut Vec<Chunk>, from: u32, to: u32, size: u32, definition: Option<usize>) {
    let mut start = from.max(1);
    while start <= to {
        let end = start.saturating_add(size - 1).min(to);
        chunks.push(Chunk { start, end, definition, cover: 0.0 });
        let Some(next) = end.checked_add(1) else { break };
        start = next;
    }
}

/// The weight of the words that stand in a text.
fn cover(text: &str, weights: &HashMap<Term, f32>, words: &mut Words) -> f32 {
    let mut counts: HashMap<Term, u32> = HashMap::new();
    words.terms(text, &mut |term| {
        if weights.contains_key(&term) {
            *counts.entry(term).or_default() += 1;
        }
    });
    let mut found: Vec<(&Term, &u32)> = counts.iter().collect();
    found.sort();
    // A word that comes again counts a little more, never twice as much.
    found.iter().map(|(term, count)| weights[*term] * (2.0 - 1.0 / **count as f32) / 2.0).sum()
}

impl Chunk {
    pub fn lines<'t>(&self, lines: &[&'t str]) -> Vec<&'t str> {
        let (start, end) = (self.start as usize - 1, (self.end as usize).min(lines.len()));
        lines.get(start..end).unwrap_or_default().to_vec()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::code::definitions;

    #[test]
    fn functions_stay_whole_and_long_ones_are_cut() {
        let long = format!("def long():\n{}", "    x = 1\n".repeat(100));
        let text = format!("import a\n\n\n# of f\ndef f():\n    return a\n\n\n{long}");
        let cut: Vec<(u32, u32, Option<usize>)> = chunks(&text, &definitions("a.py", &text), &HashMap::new())
            .iter()
            .map(|chunk| (chunk.start, chunk.end, chunk.definition))
            .collect();
        assert_eq!(cut, [(1, 3, None), (4, 6, Some(0)), (9, 68, Some(1)), (69, 109, Some(1))]);
    }

    #[test]
    fn large_classes_are_cut_into_methods() {
        let method = |name: &str| format!("    def {name}(self):\n{}", "        x = 1\n".repeat(39));
        let text = format!("class A:\n    y = 2\n{}{}", method("f"), method("g"));
        let definitions = definitions("a.py", &text);
        let names: Vec<String> = chunks(&text, &definitions, &HashMap::new())
            .iter()
            .map(|chunk| chunk.definition.map(|at| definitions[at].qualified()).unwrap_or_default())
            .collect();
        assert_eq!(names, ["A", "A.f", "A.g"]);
    }
}
