//! What of a model fits on this machine: how much context, how many layers on the GPU. Pure: numbers in, numbers out.

use indicatif::HumanBytes;
use serde::Serialize;

use super::Gguf;

/// Tokens that are decoded together (llama.cpp's `n_ubatch`); the working buffers are made for so many.
const BATCH: u64 = 512;
/// A context below this cannot hold a request with the tools.
const SMALLEST_CONTEXT: usize = 2048;
/// Contexts are multiples of this, as llama.cpp pads them.
const CONTEXT_STEP: usize = 256;
/// A file that does not say what it was trained for.
const UNKNOWN_CONTEXT: usize = 4096;
/// What the operating system and other programs are left.
const RESERVE: u64 = 256 << 20;

/// What there is and what is wanted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Room {
    /// Bytes of memory that could be had now (free, or held by caches).
    pub memory: u64,
    /// Bytes free on all GPUs together; 0 where there is none.
    pub gpu: u64,
    /// Tokens; 0 takes what the model was trained for as far as it fits.
    pub context: usize,
    /// Layers on the GPU; `None` takes as many as fit.
    pub gpu_layers: Option<u32>,
}

/// How to load a model.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct Fit {
    /// Tokens.
    pub context: usize,
    /// Repeating layers and the output layer that go on the GPU.
    pub gpu_layers: u32,
    /// Bytes of the KV cache, wherever it lies.
    pub kv_bytes: u64,
    /// Bytes of main memory in all: weights, KV cache, working buffers.
    pub memory_bytes: u64,
    /// Bytes of GPU memory in all.
    pub gpu_bytes: u64,
}

/// Why a model cannot be loaded. One sentence with the next step.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum FitError {
    #[error(
        "the model needs about {} of memory and {} are available; close other programs, or choose a smaller model \
         (`moru model list`)", HumanBytes(*needed), HumanBytes(*available)
    )]
    Model { needed: u64, available: u64 },
    #[error(
        "a context of {wanted} tokens needs about {} of memory and {} are available; a --context of {largest} fits",
        HumanBytes(*needed), HumanBytes(*available)
    )]
    Context { wanted: usize, largest: usize, needed: u64, available: u64 },
}

/// Chooses context and GPU layers.
///
/// A wanted context beyond what the model was trained for is cut down to that: models write nonsense out there.
///
/// # Errors
/// The model, or the wanted context, is larger than memory.
pub fn fit(gguf: &Gguf, room: Room) -> Result<Fit, FitError> {
    let trained = if gguf.context_length == 0 { UNKNOWN_CONTEXT } else { gguf.context_length };
    let wanted = if room.context == 0 { trained } else { round_up(room.context).min(trained) };
    let available = room.memory.saturating_sub(RESERVE);
    let load = |context| plan(gguf, room, context);
    let fits = |context| load(context).memory_bytes <= available;
    if fits(wanted) {
        return Ok(load(wanted));
    }
    // Memory grows with the context, so that the largest that fits can be found by halving.
    let smallest = SMALLEST_CONTEXT.min(wanted);
    if !fits(smallest) {
        return Err(FitError::Model { needed: load(smallest).memory_bytes, available });
    }
    let (mut low, mut high) = (smallest, wanted);
    while high - low > CONTEXT_STEP {
        let middle = low + (high - low) / 2;
        if fits(middle) { low = middle } else { high = middle }
    }
    let largest = if low == smallest { low } else { (low / CONTEXT_STEP * CONTEXT_STEP).max(smallest) };
    if room.context != 0 {
        return Err(FitError::Context { wanted, largest, needed: load(wanted).memory_bytes, available });
    }
    Ok(load(largest))
}

fn round_up(context: usize) -> usize {
    context.checked_next_multiple_of(CONTEXT_STEP).unwrap_or(usize::MAX)
}

/// What a context of this size takes.
fn plan(gguf: &Gguf, room: Room, context: usize) -> Fit {
    let kv = gguf.kv_bytes_per_token().saturating_mul(context as u64);
    let work = work_bytes(gguf, context);
    // The output layer counts as one more, as llama.cpp counts.
    let layers = gguf.layers as u64 + 1;
    let layer = gguf.size.saturating_add(kv) / layers;
    // A tenth stays free: drivers and the display take what they take.
    let gpu = (room.gpu - room.gpu / 10).saturating_sub(work);
    let fitting = if room.gpu == 0 { 0 } else { gpu.checked_div(layer).unwrap_or(0) };
    let on_gpu = room.gpu_layers.map_or(fitting, u64::from).min(layers);
    let on_gpu_bytes = layer.saturating_mul(on_gpu);
    let total = gguf.size.saturating_add(kv);
    Fit {
        context,
        gpu_layers: u32::try_from(on_gpu).unwrap_or(u32::MAX),
        kv_bytes: kv,
        memory_bytes: total.saturating_sub(on_gpu_bytes).saturating_add(work),
        gpu_bytes: if on_gpu == 0 { 0 } else { on_gpu_bytes.saturating_add(work) },
    }
}

/// Bytes of llama.cpp's working buffers: for a batch, the logits, the widest activations and the attention mask.
fn work_bytes(gguf: &Gguf, context: usize) -> u64 {
    let activations =
        gguf.embedding_length.saturating_mul(8).saturating_add(gguf.feed_forward_length.saturating_mul(3));
    let floats = (gguf.vocabulary.saturating_add(activations) as u64).saturating_mul(4);
    floats.saturating_add((context as u64).saturating_mul(2)).saturating_mul(BATCH)
}

#[cfg(test)]
mod tests {
    use super::*;

    const GB: u64 = 1 << 30;

    /// As the default model's header has it.
    fn model() -> Gguf {
        Gguf {
            architecture: "qwen2".into(),
            title: None,
            quantisation: "Q4_K_M".into(),
            parameters: 1_777_088_000,
            context_length: 32768,
            layers: 28,
            embedding_length: 1536,
            feed_forward_length: 8960,
            heads: 12,
            kv_heads: 56,
            key_length: 128,
            value_length: 128,
            experts: 0,
            vocabulary: 151_936,
            tokenizer: None,
            pre_tokenizer: None,
            chat_template: None,
            split_count: 1,
            size: 1_117_320_768,
        }
    }

    fn room(memory: u64) -> Room {
        Room { memory, gpu: 0, context: 0, gpu_layers: None }
    }

    #[test]
    fn much_memory_gives_the_trained_context() {
        let fit = fit(&model(), room(16 * GB)).unwrap();
        assert_eq!((fit.context, fit.gpu_layers, fit.gpu_bytes), (32768, 0, 0));
        assert_eq!(fit.kv_bytes, 32768 * 28672);
    }

    #[test]
    fn little_memory_gives_less_context() {
        let fit = fit(&model(), room(2 * GB)).unwrap();
        assert!((SMALLEST_CONTEXT..32768).contains(&fit.context), "{fit:?}");
        assert_eq!(fit.context % CONTEXT_STEP, 0);
        assert!(fit.memory_bytes <= 2 * GB - RESERVE);
        // The largest that fits: one step more would not.
        assert!(plan(&model(), room(2 * GB), fit.context + 2 * CONTEXT_STEP).memory_bytes > 2 * GB - RESERVE);
    }

    #[test]
    fn a_model_larger_than_memory_is_refused() {
        let error = fit(&model(), room(GB)).unwrap_err();
        assert!(matches!(error, FitError::Model { needed, .. } if needed > GB), "{error}");
        assert!(error.to_string().contains("smaller model"));
    }

    #[test]
    fn a_wanted_context_is_taken_cut_or_refused() {
        let wanted = |context, memory| fit(&model(), Room { context, ..room(memory) });
        assert_eq!(wanted(5000, 16 * GB).unwrap().context, 5120);
        assert_eq!(wanted(1 << 20, 16 * GB).unwrap().context, 32768);
        let Err(FitError::Context { largest, .. }) = wanted(32768, 2 * GB) else {
            panic!("32768 tokens fit into 2 GB")
        };
        assert_eq!(wanted(largest, 2 * GB).unwrap().context, largest);
    }

    #[test]
    fn layers_go_where_there_is_room() {
        let on = |gpu, gpu_layers| fit(&model(), Room { gpu, gpu_layers, ..room(16 * GB) }).unwrap();
        assert_eq!(on(16 * GB, None).gpu_layers, 29);
        let part = on(GB, None);
        assert!((1..29).contains(&part.gpu_layers), "{part:?}");
        assert!(part.gpu_bytes <= GB);
        assert_eq!(on(16 * GB, Some(0)).gpu_layers, 0);
        assert_eq!(on(16 * GB, Some(99)).gpu_layers, 29);
    }

    #[test]
    fn absurd_headers_do_not_overflow() {
        let mut gguf = model();
        (gguf.kv_heads, gguf.key_length, gguf.vocabulary, gguf.layers) = (usize::MAX, usize::MAX, usize::MAX, 0);
        gguf.context_length = usize::MAX;
        assert!(fit(&gguf, room(16 * GB)).is_err());
    }
}
