//! What this machine is: memory, cores, instruction sets, GPUs, and what llama.cpp was compiled for.

use std::ffi::CStr;
use std::time::Instant;

use serde::Serialize;
use sysinfo::{CpuRefreshKind, MemoryRefreshKind, RefreshKind, System};

use super::fit::{Gpu, Room};
use super::gpus;

/// Memory and processor.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Machine {
    /// The processor's own name; empty where it is not known.
    pub processor: String,
    pub physical_cores: usize,
    /// Bytes, no more than the control group allows.
    pub memory_total: u64,
    /// Bytes that are free or could be freed.
    pub memory_available: u64,
}

/// A device that llama.cpp can compute on.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Device {
    /// `CPU`, `CUDA0`, …
    pub name: String,
    pub description: String,
    /// `CPU`, `CUDA`, `Metal`, `Vulkan`, …
    pub backend: String,
    pub gpu: bool,
    /// A GPU whose memory is the main memory.
    pub unified: bool,
    /// Bytes.
    pub memory_total: u64,
    /// Bytes.
    pub memory_free: u64,
}

/// An instruction set that matters for speed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct Instructions {
    /// As llama.cpp names it.
    pub name: &'static str,
    /// This processor has it.
    pub present: bool,
    /// llama.cpp was compiled with it.
    pub compiled: bool,
}

impl Machine {
    /// Looks at this machine. What cannot be found out is 0, or 1 core.
    pub fn detect() -> Self {
        let refreshes = RefreshKind::nothing()
            .with_memory(MemoryRefreshKind::nothing().with_ram())
            .with_cpu(CpuRefreshKind::nothing());
        let system = System::new_with_specifics(refreshes).ok();
        let (mut total, mut available) = system.as_ref().map_or((0, 0), |s| (s.total_memory(), s.available_memory()));
        if let Some(limits) = system.as_ref().and_then(System::cgroup_limits) {
            total = total.min(limits.total_memory);
            // Not the group's free memory: that counts the page cache as taken, in which the model's own file lies.
            available = available.min(limits.total_memory.saturating_sub(limits.rss));
        }
        let processor = system.as_ref().and_then(|s| s.cpus().first()).map(|cpu| cpu.brand().trim().to_owned());
        Self {
            processor: processor.unwrap_or_default(),
            physical_cores: physical_cores(),
            memory_total: total,
            memory_available: available,
        }
    }
}

/// Physical cores that this process may use: hyper-threads share the units that the kernels keep busy.
fn physical_cores() -> usize {
    let allowed = std::thread::available_parallelism().map_or(1, usize::from);
    System::physical_core_count().unwrap_or(allowed).clamp(1, allowed)
}

/// The devices that llama.cpp has found. The first call initialises its backends.
pub fn devices() -> Vec<Device> {
    use llama_cpp_2::LlamaBackendDeviceType as Type;
    llama_cpp_2::list_llama_ggml_backend_devices()
        .into_iter()
        .map(|d| Device {
            gpu: matches!(d.device_type, Type::Gpu | Type::IntegratedGpu),
            // Apple's GPUs call themselves dedicated ones.
            unified: matches!(d.device_type, Type::IntegratedGpu) || d.backend == "Metal" || d.backend == "MTL",
            name: d.name,
            description: d.description,
            backend: d.backend,
            memory_total: d.memory_total as u64,
            memory_free: d.memory_free as u64,
        })
        .collect()
}

/// What there is room for on this machine now; `context` and `gpu_layers` are what is wanted, as in [`Room`].
pub fn room(context: usize, gpu_layers: Option<u32>) -> Room {
    room_on(&Machine::detect(), &devices(), context, gpu_layers)
}

/// As [`room`], with a machine and devices that are known already.
pub fn room_on(machine: &Machine, devices: &[Device], context: usize, gpu_layers: Option<u32>) -> Room {
    let gpu = |device: &Device| Gpu {
        free: device.memory_free,
        unified: device.unified,
        bandwidth: gpus::bandwidth(&device.description),
    };
    let gpus = devices.iter().filter(|device| device.gpu).map(gpu).collect();
    Room { memory: machine.memory_available, gpus, context, gpu_layers }
}

/// Bytes that main memory gives in a second to all cores together, measured for some hundredths of a second.
pub fn memory_bandwidth() -> f64 {
    /// More than any cache holds.
    const BYTES: usize = 96 << 20;
    const ROUNDS: usize = 3;
    let threads = physical_cores();
    let share = BYTES / size_of::<u64>() / threads.min(8);
    let read = || {
        let numbers = vec![1_u64; share];
        let best = (0..ROUNDS).map(|_| {
            let start = Instant::now();
            std::hint::black_box(numbers.iter().fold(0_u64, |sum, n| sum.wrapping_add(*n)));
            start.elapsed().as_secs_f64()
        });
        (share * size_of::<u64>()) as f64 / best.fold(f64::INFINITY, f64::min).max(1e-9)
    };
    std::thread::scope(|scope| {
        let readers: Vec<_> = (0..threads).map(|_| scope.spawn(read)).collect();
        readers.into_iter().filter_map(|reader| reader.join().ok()).sum()
    })
}

/// Instruction sets that this processor has or llama.cpp was compiled with.
pub fn instructions() -> Vec<Instructions> {
    let info = system_info();
    present()
        .iter()
        .map(|&(name, present)| Instructions { name, present, compiled: is_on(&info, name) })
        .filter(|i| i.present || i.compiled)
        .collect()
}

/// llama.cpp's own line about itself (`CPU : SSE3 = 1 | AVX2 = 1 | …`).
pub fn system_info() -> String {
    // SAFETY: returns a string that lives until the next call; it is copied at once. No other code of Moru calls this, and
    // the call reads constants and the list of backends.
    let text = unsafe { llama_cpp_sys_2::llama_print_system_info() };
    if text.is_null() {
        return String::new();
    }
    // SAFETY: not null, and terminated, being a C++ string's own buffer.
    unsafe { CStr::from_ptr(text) }.to_string_lossy().into_owned()
}

/// Whether `info` has `name = 1`.
fn is_on(info: &str, name: &str) -> bool {
    info.split(['|', ':']).filter_map(|item| item.split_once('=')).any(|(n, on)| n.trim() == name && on.trim() == "1")
}

/// What llama.cpp has kernels for, by its names, and whether this processor has it.
#[cfg(target_arch = "x86_64")]
fn present() -> Vec<(&'static str, bool)> {
    use std::arch::is_x86_feature_detected as has;
    vec![
        ("SSE3", has!("sse3")),
        ("SSSE3", has!("ssse3")),
        ("AVX", has!("avx")),
        ("F16C", has!("f16c")),
        ("FMA", has!("fma")),
        ("BMI2", has!("bmi2")),
        ("AVX2", has!("avx2")),
        ("AVX_VNNI", has!("avxvnni")),
        ("AVX512", has!("avx512f") && has!("avx512bw") && has!("avx512dq") && has!("avx512vl")),
        ("AVX512_VBMI", has!("avx512vbmi")),
        ("AVX512_VNNI", has!("avx512vnni")),
        ("AVX512_BF16", has!("avx512bf16")),
    ]
}

#[cfg(target_arch = "aarch64")]
fn present() -> Vec<(&'static str, bool)> {
    use std::arch::is_aarch64_feature_detected as has;
    vec![
        ("NEON", has!("neon")),
        ("FP16_VA", has!("fp16")),
        ("DOTPROD", has!("dotprod")),
        ("MATMUL_INT8", has!("i8mm")),
        ("SVE", has!("sve")),
    ]
}

#[cfg(not(any(target_arch = "x86_64", target_arch = "aarch64")))]
fn present() -> Vec<(&'static str, bool)> {
    Vec::new()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn llama_cpps_line_is_read() {
        let info = "CPU : SSE3 = 1 | AVX2 = 1 | AVX512 = 0 | LLAMAFILE = 1 | ";
        assert!(is_on(info, "SSE3") && is_on(info, "AVX2"));
        assert!(!is_on(info, "AVX512") && !is_on(info, "AVX"));
    }

    /// A build from source must use what this processor has; `.cargo/config.toml` and `dev` see to it.
    #[test]
    fn this_build_uses_the_processors_instructions() {
        let missing: Vec<_> = instructions().into_iter().filter(|i| i.present && !i.compiled).collect();
        assert!(missing.is_empty(), "llama.cpp lacks {missing:?} here: {}", system_info());
    }

    #[test]
    fn this_machine_has_memory_and_cores() {
        let machine = Machine::detect();
        assert!(machine.memory_total >= machine.memory_available && machine.memory_available > 0);
        assert!(machine.physical_cores >= 1);
        assert!(devices().iter().any(|d| d.backend == "CPU"));
    }
}
