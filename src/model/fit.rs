//! What of a model fits on a machine: how much context, in which precision, how many layers on which GPU, and whose experts stay
//! in main memory. Pure: numbers in, numbers out.

mod buffers;
#[cfg(test)]
mod tests;

use std::fmt;

use indicatif::HumanBytes;
use serde::Serialize;

use self::buffers::{Buffers, Share};
use super::Gguf;
use super::gguf::Layer;

/// A context below this cannot hold a request with the tools.
const SMALLEST_CONTEXT: usize = 2048;
/// A context for whose sake layers leave the GPU: with less, work on more than a file or two is not possible.
const AMPLE_CONTEXT: usize = 16384;
/// Contexts are multiples of this, as llama.cpp pads them.
const CONTEXT_STEP: usize = 256;
/// A file that does not say what it was trained for.
const UNKNOWN_CONTEXT: usize = 4096;
/// What the operating system and other programs are left.
const RESERVE: u64 = 256 << 20;
/// What stays free on each GPU, for its driver and the display: so much, or a tenth if that is less.
const GPU_RESERVE: u64 = 1 << 30;

/// A GPU as far as room goes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Gpu {
    /// Bytes.
    pub free: u64,
    /// Its memory is the main memory.
    pub unified: bool,
    /// Bytes a second that its memory gives, where known.
    pub bandwidth: Option<u64>,
}

impl Gpu {
    /// Bytes that a model may take.
    pub fn usable(&self) -> u64 {
        self.free - GPU_RESERVE.min(self.free / 10)
    }
}

/// What there is and what is wanted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Room {
    /// Bytes of memory that could be had now (free, or held by caches).
    pub memory: u64,
    /// In llama.cpp's order.
    pub gpus: Vec<Gpu>,
    /// Tokens; 0 takes what the model was trained for as far as it fits.
    pub context: usize,
    /// Layers on the GPU; `None` takes as many as fit.
    pub gpu_layers: Option<u32>,
}

impl Room {
    /// Bytes of main memory that a model may take.
    pub fn usable(&self) -> u64 {
        self.memory.saturating_sub(RESERVE)
    }

    /// What is left beside a model that is loaded by this plan.
    pub fn without(&self, fit: &Fit) -> Self {
        let left = |(index, gpu): (usize, &Gpu)| {
            let free = gpu.free.saturating_sub(fit.gpu_bytes.get(index).copied().unwrap_or(0));
            Gpu { free, ..gpu.clone() }
        };
        let gpus: Vec<Gpu> = self.gpus.iter().enumerate().map(left).collect();
        Self { memory: self.memory.saturating_sub(self.main_memory(fit)), gpus, ..self.clone() }
    }

    /// Bytes of main memory that a plan takes, where the memory of some GPUs is a part of it.
    fn main_memory(&self, fit: &Fit) -> u64 {
        let unified = self.gpus.iter().zip(&fit.gpu_bytes).filter(|(gpu, _)| gpu.unified);
        unified.fold(fit.memory_bytes, |sum, (_, bytes)| sum.saturating_add(*bytes))
    }

    /// The same with a quarter less on each GPU, and none on one that has hardly anything left.
    pub fn with_less_gpu(&self) -> Self {
        let less = |gpu: &Gpu| Gpu { free: gpu.free / 4 * 3, ..gpu.clone() };
        Self { gpus: self.gpus.iter().map(less).filter(|gpu| gpu.free > GPU_RESERVE / 4).collect(), ..self.clone() }
    }
}

/// The precision of the KV cache.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum KvType {
    /// Twice as large as [`KvType::F16`], and read without flash attention, which computes in half precision: for measurements.
    F32,
    F16,
    /// Blocks of 32 numbers in 34 bytes: a little over half of [`KvType::F16`].
    Q8_0,
}

/// How to load a model.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Fit {
    /// Tokens.
    pub context: usize,
    pub kv_type: KvType,
    /// Repeating layers and the output layer that go on the GPU: the last so many, as llama.cpp counts.
    pub gpu_layers: u32,
    /// Layers whose experts stay in main memory: of each GPU's layers the first.
    pub cpu_experts: Vec<usize>,
    /// Bytes of the KV cache, wherever it lies.
    pub kv_bytes: u64,
    /// Bytes of main memory in all: weights, KV cache, working buffers.
    pub memory_bytes: u64,
    /// Bytes of the memory of each GPU in all.
    pub gpu_bytes: Vec<u64>,
    /// Layers that the model has, the output layer among them.
    #[serde(skip)]
    layers: u32,
}

impl fmt::Display for Fit {
    /// One line.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let kv = if self.kv_type == KvType::Q8_0 { " in 8 bits" } else { "" };
        write!(f, "{} tokens of context{kv}, {} of main memory", self.context, HumanBytes(self.memory_bytes))?;
        if self.gpu_layers > 0 {
            let gpus: Vec<String> = self.gpu_bytes.iter().map(|&bytes| HumanBytes(bytes).to_string()).collect();
            write!(f, ", {} of {} layers on the GPU ({})", self.gpu_layers, self.layers, gpus.join(" + "))?;
        }
        if !self.cpu_experts.is_empty() {
            write!(f, ", the experts of {} layers not", self.cpu_experts.len())?;
        }
        Ok(())
    }
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

/// Chooses how to load a model: all of it on the GPUs if it fits there with an ample context, in eight bits if need be; else the
/// experts of as few layers as possible in main memory; else as few whole layers as possible.
///
/// A wanted context beyond what the model was trained for is cut down to that: models write nonsense out there.
///
/// # Errors
/// The model, or the wanted context, is larger than memory.
pub fn fit(gguf: &Gguf, room: &Room) -> Result<Fit, FitError> {
    let planner = Planner::new(gguf, room);
    if !room.gpus.is_empty()
        && room.gpu_layers != Some(0)
        && let Some(fit) = planner.on_gpu()
    {
        return Ok(fit);
    }
    planner.in_memory()
}

/// What is open in a plan.
#[derive(Debug, Clone, Copy)]
struct Choice<'e> {
    context: usize,
    kv_type: KvType,
    gpu_layers: usize,
    experts: Experts<'e>,
}

/// Where experts are.
#[derive(Debug, Clone, Copy)]
enum Experts<'e> {
    /// With their layers.
    Near,
    /// Those that do not fit on their GPU, in main memory.
    Spilled,
    /// Those of these layers, in main memory.
    Away(&'e [usize]),
}

struct Planner<'a> {
    gguf: &'a Gguf,
    room: &'a Room,
    /// Bytes of the repeating layers.
    layers: Vec<Layer>,
    /// Bytes of the file that are no weights: llama.cpp maps them too.
    other: u64,
    /// The largest context that makes sense, or the wanted one.
    context: usize,
}

impl<'a> Planner<'a> {
    fn new(gguf: &'a Gguf, room: &'a Room) -> Self {
        let trained = if gguf.context_length == 0 { UNKNOWN_CONTEXT } else { gguf.context_length };
        let wanted = if room.context == 0 { trained } else { round_up(room.context).min(trained) };
        let mut layers = gguf.weights.layers.clone();
        if layers.is_empty() {
            // A model in several files: only the first is known, and its size says little about the layers.
            let count = gguf.layers.clamp(1, 4096);
            layers = vec![Layer { dense: gguf.size / count as u64, experts: 0 }; count];
        }
        let known = layers.iter().fold(gguf.weights.input.saturating_add(gguf.weights.output), |sum, layer| {
            sum.saturating_add(layer.dense).saturating_add(layer.experts)
        });
        Self { gguf, room, other: gguf.size.saturating_sub(known), layers, context: wanted }
    }

    /// The plan with the most on the GPUs; `None` where not one layer fits on them.
    fn on_gpu(&self) -> Option<Fit> {
        let all = self.layers.len() + 1;
        let most = self.room.gpu_layers.map_or(all, |layers| (layers as usize).min(all));
        let choice = |kv_type, context| Choice { context, kv_type, gpu_layers: most, experts: Experts::Near };
        let floor = if self.room.context == 0 { AMPLE_CONTEXT.min(self.context) } else { self.context };
        for kv_type in [KvType::F16, KvType::Q8_0] {
            if let Some(context) = self.largest(floor, |context| self.fits(choice(kv_type, context))) {
                return Some(self.plan(choice(kv_type, context)));
            }
        }
        if self.room.gpu_layers.is_some() {
            // The user's word counts, and llama.cpp will say whether it can be had.
            return Some(self.plan(choice(KvType::Q8_0, floor)));
        }
        let spilled = Choice { experts: Experts::Spilled, ..choice(KvType::F16, floor) };
        let gpu_layers = (1..=all).rev().find(|&gpu_layers| self.fits(Choice { gpu_layers, ..spilled }))?;
        let away = self.plan(Choice { gpu_layers, ..spilled }).cpu_experts;
        let choice = Choice { gpu_layers, experts: Experts::Away(&away), ..spilled };
        let context = self.largest(floor, |context| self.fits(Choice { context, ..choice }))?;
        Some(self.plan(Choice { context, ..choice }))
    }

    fn in_memory(&self) -> Result<Fit, FitError> {
        let available = self.room.usable();
        let load = |context| self.plan(Choice { context, kv_type: KvType::F16, gpu_layers: 0, experts: Experts::Near });
        let fits = |context| load(context).memory_bytes <= available;
        let smallest = SMALLEST_CONTEXT.min(self.context);
        match self.largest(smallest, fits) {
            None => Err(FitError::Model { needed: load(smallest).memory_bytes, available }),
            Some(largest) if self.room.context != 0 && largest < self.context => {
                let (wanted, needed) = (self.context, load(self.context).memory_bytes);
                Err(FitError::Context { wanted, largest, needed, available })
            }
            Some(largest) => Ok(load(largest)),
        }
    }

    /// The largest context from `smallest` up that fits. Memory grows with it, so that halving finds it.
    fn largest(&self, smallest: usize, fits: impl Fn(usize) -> bool) -> Option<usize> {
        if fits(self.context) {
            return Some(self.context);
        }
        if !fits(smallest) {
            return None;
        }
        let (mut low, mut high) = (smallest, self.context);
        while high - low > CONTEXT_STEP {
            let middle = low + (high - low) / 2;
            if fits(middle) { low = middle } else { high = middle }
        }
        Some(if low == smallest { low } else { (low / CONTEXT_STEP * CONTEXT_STEP).max(smallest) })
    }

    fn fits(&self, choice: Choice<'_>) -> bool {
        let fit = self.plan(choice);
        let room = |(gpu, &bytes): (&Gpu, &u64)| bytes <= gpu.usable();
        self.room.main_memory(&fit) <= self.room.usable() && self.room.gpus.iter().zip(&fit.gpu_bytes).all(room)
    }

    /// What a choice takes, with the layers spread over the GPUs as llama.cpp does it.
    fn plan(&self, choice: Choice<'_>) -> Fit {
        let (count, kv_bytes) = (self.layers.len(), self.kv_bytes(choice));
        let on_gpu = choice.gpu_layers.min(count + 1);
        let places = self.places(on_gpu);
        let (mut memory, mut gpus) = self.weights(&places, kv_bytes / count.max(1) as u64);
        let buffers = Buffers::new(self.gguf, choice.context);
        let in_use = gpus.iter().filter(|bytes| **bytes > 0).count();
        let share = match choice.experts {
            _ if on_gpu <= count => Share::Part,
            Experts::Near if in_use > 1 => Share::InFlight,
            _ => Share::Whole,
        };
        let last = gpus.iter().rposition(|bytes| *bytes > 0);
        for (index, bytes) in gpus.iter_mut().enumerate().filter(|(_, bytes)| **bytes > 0) {
            *bytes = bytes.saturating_add(buffers.on_gpu(share, Some(index) == last));
        }
        memory = memory.saturating_add(if last.is_some() { buffers.beside_gpus() } else { buffers.alone() });
        let mut cpu_experts = Vec::new();
        for (index, layer) in self.layers.iter().enumerate().filter(|(_, layer)| layer.experts > 0) {
            let Some(bytes) = places[index].and_then(|gpu| gpus.get_mut(gpu)) else { continue };
            let away = match choice.experts {
                Experts::Near => false,
                Experts::Spilled => {
                    *bytes > places[index].and_then(|gpu| self.room.gpus.get(gpu)).map_or(0, Gpu::usable)
                }
                Experts::Away(layers) => layers.contains(&index),
            };
            if away {
                *bytes = bytes.saturating_sub(layer.experts);
                memory = memory.saturating_add(layer.experts);
                cpu_experts.push(index);
            }
        }
        let number = |n: usize| u32::try_from(n).unwrap_or(u32::MAX);
        Fit {
            context: choice.context,
            kv_type: choice.kv_type,
            gpu_layers: if gpus.is_empty() { 0 } else { number(on_gpu) },
            cpu_experts,
            kv_bytes,
            memory_bytes: memory,
            gpu_bytes: gpus,
            layers: number(count + 1),
        }
    }

    /// The GPU of each layer, the output layer last; `None` in main memory.
    fn places(&self, on_gpu: usize) -> Vec<Option<usize>> {
        let (count, shares) = (self.layers.len(), self.shares());
        let place = |index: usize| (index + on_gpu).checked_sub(count + 1).map(|at| device(&shares, at, on_gpu));
        (0..=count).map(|index| place(index).filter(|_| !shares.is_empty())).collect()
    }

    /// Bytes of the weights and of the KV cache, of which a layer has `kv_layer`: in main memory, and on each GPU.
    fn weights(&self, places: &[Option<usize>], kv_layer: u64) -> (u64, Vec<u64>) {
        let weights = &self.gguf.weights;
        let mut memory = weights.input.saturating_add(self.other);
        let mut gpus = vec![0_u64; self.room.gpus.len()];
        for (index, place) in places.iter().enumerate() {
            let bytes = match self.layers.get(index) {
                Some(layer) => layer.dense.saturating_add(layer.experts).saturating_add(kv_layer),
                None if place.is_some() => weights.output.saturating_add(weights.shared),
                None => weights.output,
            };
            let target = place.and_then(|gpu| gpus.get_mut(gpu)).unwrap_or(&mut memory);
            *target = target.saturating_add(bytes);
        }
        (memory, gpus)
    }

    fn kv_bytes(&self, choice: Choice<'_>) -> u64 {
        let exact = self.gguf.kv_bytes_per_token().saturating_mul(choice.context as u64);
        match choice.kv_type {
            KvType::F32 => exact.saturating_mul(2),
            KvType::F16 => exact,
            KvType::Q8_0 => exact / 64 * 34,
        }
    }

    /// Up to which part of the layers each GPU takes them: by free memory.
    fn shares(&self) -> Vec<f64> {
        let total: u64 = self.room.gpus.iter().fold(0, |sum, gpu| sum.saturating_add(gpu.free));
        let mut sum = 0;
        let share = |gpu: &Gpu| {
            sum += gpu.free;
            sum as f64 / total.max(1) as f64
        };
        self.room.gpus.iter().map(share).collect()
    }
}

/// On which device the layer `at` of `count` lies.
fn device(shares: &[f64], at: usize, count: usize) -> usize {
    let place = at as f64 / count.max(1) as f64;
    shares.iter().position(|&end| end > place).unwrap_or(shares.len().saturating_sub(1))
}

fn round_up(context: usize) -> usize {
    context.checked_next_multiple_of(CONTEXT_STEP).unwrap_or(usize::MAX)
}
