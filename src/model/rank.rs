//! Which models of the catalog a machine can run, and about how fast. Pure: numbers in, numbers out.

use serde::Serialize;

use super::Entry;
use super::fit::{Gpu, Room};

/// Writing a token reads the weights once; llama.cpp comes to about this share of the memory's speed.
const EFFICIENCY: f64 = 0.8;
/// Bytes a second that the memory of a GPU is taken to give where its own figure is not known: what the slower ones of the last
/// years do.
const GPU_BANDWIDTH: f64 = 250e9;
/// Seconds that a token takes on a GPU beside that, however small the model: kernels wait for each other. With it the estimate is
/// within a third of what is published for llama.cpp and models of 1B to 8B in four bits, on memory of 120 to 1800 GB/s.
const GPU_WAIT: f64 = 3e-3;
/// Below this many tokens a second, an answer takes longer than most people wait.
const USABLE: f64 = 5.0;

/// Where a model would lie.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Where {
    Gpu,
    GpuAndMemory,
    Memory,
}

/// A model that fits.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Ranked {
    pub name: String,
    pub place: Where,
    /// Bytes of its files.
    pub size: u64,
    /// Bytes, as [`Entry::memory_needed`].
    pub memory_needed: u64,
    /// Tokens written in a second, estimated.
    pub tokens_per_second: f64,
}

/// The entries that fit, the one to try first first: the largest of those that are fast enough to work with, then the others by
/// speed. `bandwidth`: bytes that main memory gives in a second.
pub fn rank<'e>(entries: impl Iterator<Item = &'e Entry>, room: &Room, bandwidth: f64) -> Vec<Ranked> {
    let mut fitting: Vec<(Ranked, u64)> =
        entries.filter_map(|entry| Some((fitting(entry, room, bandwidth)?, entry.parameters))).collect();
    fitting.sort_by(|(a, a_size), (b, b_size)| {
        let usable = |ranked: &Ranked| ranked.tokens_per_second >= USABLE;
        let by_size = if usable(a) && usable(b) { b_size.cmp(a_size) } else { std::cmp::Ordering::Equal };
        usable(b).cmp(&usable(a)).then(by_size).then(b.tokens_per_second.total_cmp(&a.tokens_per_second))
    });
    fitting.into_iter().map(|(ranked, _)| ranked).collect()
}

fn fitting(entry: &Entry, room: &Room, bandwidth: f64) -> Option<Ranked> {
    // What only a server can run has no file to load.
    if entry.sources.is_empty() {
        return None;
    }
    let size = entry.approximate_size();
    let needed = entry.memory_needed();
    let free = |unified: bool| room.gpus.iter().filter(|gpu| gpu.unified == unified).map(Gpu::usable).sum::<u64>();
    let (own, shared) = (free(false), free(true));
    let memory = room.usable();
    let on_gpu = (own + shared.min(memory)).min(needed) as f64 / needed as f64;
    if needed > own + memory {
        return None;
    }
    let read = size as f64 * entry.active.unwrap_or(entry.parameters) as f64 / entry.parameters.max(1) as f64;
    let gpu_seconds = read * gpu_seconds_per_byte(room, bandwidth) / EFFICIENCY + GPU_WAIT;
    let memory_seconds = read / bandwidth.max(1.0) / EFFICIENCY;
    let place = match on_gpu {
        1.0.. => Where::Gpu,
        share if share > 0.0 => Where::GpuAndMemory,
        _ => Where::Memory,
    };
    Some(Ranked {
        name: entry.name.clone(),
        place,
        size,
        memory_needed: needed,
        tokens_per_second: 1.0 / (gpu_seconds * on_gpu + memory_seconds * (1.0 - on_gpu)),
    })
}

/// Seconds that the GPUs take for one byte of the weights, which are spread over them by their room. `bandwidth`: of main memory,
/// which is that of a GPU that shares it.
fn gpu_seconds_per_byte(room: &Room, bandwidth: f64) -> f64 {
    let total: u64 = room.gpus.iter().map(Gpu::usable).sum();
    let seconds = |gpu: &Gpu| {
        let likely = if gpu.unified { bandwidth } else { GPU_BANDWIDTH };
        let bandwidth = gpu.bandwidth.map_or(likely, |known| known as f64);
        gpu.usable() as f64 / total.max(1) as f64 / bandwidth.max(1.0)
    };
    room.gpus.iter().map(seconds).sum()
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;
    use crate::model::Catalog;

    const GB: u64 = 1 << 30;

    fn ranked(memory: u64, gpus: &[u64]) -> Vec<Ranked> {
        on(memory, gpus.iter().map(|&gb| gpu(gb, None)).collect())
    }

    fn gpu(free: u64, gigabytes: Option<u64>) -> Gpu {
        Gpu { free: free * GB, unified: false, bandwidth: gigabytes.map(|bandwidth| bandwidth * 1_000_000_000) }
    }

    fn on(memory: u64, gpus: Vec<Gpu>) -> Vec<Ranked> {
        let catalog = Catalog::load(Path::new("/nonexistent")).unwrap();
        rank(catalog.iter(), &Room { memory: memory * GB, gpus, context: 0, gpu_layers: None }, 30e9)
    }

    /// Of the 7B, which takes 4.7 GB.
    fn speed(memory: u64, gpus: Vec<Gpu>) -> f64 {
        let ranked = on(memory, gpus);
        ranked.iter().find(|r| r.name == "qwen2.5-coder-7b").unwrap().tokens_per_second
    }

    #[test]
    fn a_small_laptop_gets_what_it_can_write_with() {
        let ranked = ranked(8, &[]);
        assert!(ranked.iter().all(|r| r.place == Where::Memory && r.size < 8 * GB));
        // Few of its parameters take part in a token.
        let catalog = Catalog::load(Path::new("/nonexistent")).unwrap();
        assert!(catalog.get(&ranked[0].name).unwrap().active.is_some(), "{}", ranked[0].name);
        assert!(ranked[0].tokens_per_second >= USABLE);
        assert!(ranked.iter().any(|r| r.name == "qwen2.5-coder-1.5b" && (15.0..40.0).contains(&r.tokens_per_second)));
    }

    #[test]
    fn a_card_takes_the_largest_that_fits_on_it() {
        let ranked = ranked(64, &[24]);
        let on_card: Vec<&str> = ranked.iter().filter(|r| r.place == Where::Gpu).map(|r| r.name.as_str()).collect();
        assert!(on_card.contains(&"qwen2.5-coder-32b") && !on_card.contains(&"llama-3.3-70b"), "{on_card:?}");
        // What is slow comes last, however large.
        let last = ranked.last().unwrap();
        assert!(last.tokens_per_second < USABLE && last.size > 40 * GB, "{}", last.name);
        assert!(ranked.iter().all(|r| r.tokens_per_second >= last.tokens_per_second));
    }

    #[test]
    fn the_speed_is_that_of_the_gpus_memory() {
        assert!((100.0..130.0).contains(&speed(32, vec![gpu(24, Some(1008))])));
        assert!((30.0..45.0).contains(&speed(32, vec![gpu(24, None)])));
        // The wait for each other bounds what is gained.
        assert!((150.0..250.0).contains(&speed(32, vec![gpu(80, Some(3350))])));
        // The layers are spread over both cards, and each token goes through both.
        let both = speed(32, vec![gpu(12, Some(1000)), gpu(12, Some(250))]);
        assert!((50.0..65.0).contains(&both), "{both}");
    }

    #[test]
    fn a_gpu_that_shares_main_memory_is_as_fast_as_that() {
        let shared = |bandwidth| Gpu { unified: true, ..gpu(24, bandwidth) };
        assert!((4.0..6.0).contains(&speed(32, vec![shared(None)])));
        assert!((50.0..70.0).contains(&speed(32, vec![shared(Some(400))])));
    }

    #[test]
    fn nothing_is_promised_that_does_not_fit() {
        assert!(ranked(1, &[]).iter().all(|r| r.size < GB));
    }
}
