//! What llama.cpp's working buffers take: the tensors of a batch that live at the same time. How many of each do was read off
//! `llama-fit-params --fit-print on` (build 11434) for models of 1.5B, 7B, 32B and 30B with experts, on one card and on two, whole
//! and in part; the sums here are at least what it prints.

use crate::model::Gguf;

/// Tokens that are decoded together (llama.cpp's `n_ubatch`); the working buffers are made for so many.
const BATCH: u64 = 512;
/// Batches that several GPUs, which hold all layers, work on at a time (llama.cpp's `GGML_SCHED_MAX_COPIES`); each has its inputs.
const IN_FLIGHT: u64 = 4;

/// What the GPUs have of the layers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Share {
    /// Others are in main memory.
    Part,
    /// All are on this one, or the experts of some are in main memory.
    Whole,
    /// All are on several GPUs, which compute batches in turn.
    InFlight,
}

/// Bytes, for one batch.
#[derive(Debug, Clone, Copy)]
pub struct Buffers {
    /// The attention mask, in 16 bits.
    mask: u64,
    /// What a layer passes on.
    hidden: u64,
    /// Between the matrices of a feed-forward layer.
    feed: u64,
    /// What the experts in use give before it is summed.
    experts: u64,
    logits: u64,
}

impl Buffers {
    pub fn new(gguf: &Gguf, context: usize) -> Self {
        let floats = |n: usize| (n as u64).saturating_mul(4 * BATCH);
        let of_experts = gguf.experts_used.saturating_mul(gguf.expert_feed_forward_length);
        let hidden = floats(gguf.embedding_length);
        Self {
            mask: (context as u64).saturating_mul(2 * BATCH),
            hidden,
            feed: floats(gguf.feed_forward_length.max(of_experts)),
            experts: hidden.saturating_mul(2).saturating_mul(gguf.experts_used as u64),
            logits: floats(gguf.vocabulary),
        }
    }

    /// In main memory beside GPUs that do the rest.
    pub fn beside_gpus(&self) -> u64 {
        self.layers(3, 8).saturating_add(self.mask)
    }

    /// In main memory where all is computed there.
    pub fn alone(&self) -> u64 {
        self.beside_gpus().saturating_add(self.logits)
    }

    /// On a GPU, with the last layer or without it.
    pub fn on_gpu(&self, share: Share, last: bool) -> u64 {
        let hidden = |n: u64| self.hidden.saturating_mul(n);
        let (inputs, layers, ending) = match share {
            // The mask makes room for the logits where it is no input of the whole graph.
            Share::Part => (0, self.layers(3, 5).saturating_add(self.mask), hidden(1)),
            Share::Whole => (self.mask, self.layers(3, 5), hidden(4)),
            Share::InFlight => (self.mask.saturating_mul(IN_FLIGHT), self.layers(4, 11), hidden(9)),
        };
        inputs.saturating_add(if last { layers.max(self.logits.saturating_add(ending)) } else { layers })
    }

    fn layers(&self, feed: u64, hidden: u64) -> u64 {
        let dense = self.feed.saturating_mul(feed).saturating_add(self.hidden.saturating_mul(hidden));
        dense.saturating_add(self.experts)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Compute buffers as printed there, in MiB: the context, and for each device what it is and what it takes.
    #[test]
    fn the_sums_are_close_to_what_llama_cpp_says() {
        let of = |embedding_length, feed_forward_length, experts_used| Gguf {
            embedding_length,
            feed_forward_length,
            experts_used,
            expert_feed_forward_length: 768,
            vocabulary: 151_936,
            ..Gguf::default()
        };
        let (small, seven, large, sparse) =
            (of(1536, 8960, 0), of(3584, 18944, 0), of(5120, 27648, 0), of(2048, 6144, 8));
        let mib = |bytes: u64| bytes >> 20;
        use Share::{InFlight, Part, Whole};
        for (gguf, context, share, last, said) in [
            (&small, 32768, Whole, true, 340),
            (&seven, 32768, Whole, true, 356),
            (&large, 17920, Whole, true, 354),
            (&sparse, 40960, Whole, true, 352),
            (&seven, 16640, Part, true, 303),
            (&large, 25600, Part, true, 306),
            (&large, 20480, Part, false, 202),
            (&small, 32768, InFlight, false, 228),
            (&small, 32768, InFlight, true, 451),
            (&seven, 32768, InFlight, false, 351),
            (&seven, 32768, InFlight, true, 487),
            (&large, 32768, InFlight, false, 450),
            (&large, 32768, InFlight, true, 514),
            (&sparse, 40960, InFlight, false, 296),
            (&sparse, 40960, InFlight, true, 492),
        ] {
            let sum = mib(Buffers::new(gguf, context).on_gpu(share, last));
            assert!((said..said + 40).contains(&sum), "{share:?} {last} {context}: {sum}, not {said}");
        }
        for (gguf, context, said) in [(&seven, 16640, 162), (&large, 25600, 237), (&large, 18176, 229)] {
            let sum = mib(Buffers::new(gguf, context).beside_gpus());
            assert!((said..said + 40).contains(&sum), "{context}: {sum}, not {said}");
        }
    }
}
