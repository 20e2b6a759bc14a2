use proptest::prelude::*;

use super::*;
use crate::model::gguf::Weights;

const GB: u64 = 1 << 30;

/// As the default model's header has it.
fn model() -> Gguf {
    Gguf {
        architecture: "qwen2".into(),
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
        vocabulary: 151_936,
        split_count: 1,
        size: 1_117_320_768,
        ..Gguf::default()
    }
}

fn gpu(free: u64) -> Gpu {
    Gpu { free, unified: false, bandwidth: None }
}

/// A model with so many layers of so many megabytes, and a KV cache of so many kilobytes a token.
fn sized(layers: usize, dense: u64, experts: u64, ends: u64, kv: usize) -> Gguf {
    let layer = Layer { dense: dense << 20, experts: experts << 20 };
    let weights = Weights { layers: vec![layer; layers], input: ends << 20, output: ends << 20, shared: 0 };
    let size = ((dense + experts) * layers as u64 + 2 * ends) << 20;
    Gguf { layers, kv_heads: kv * 2, context_length: 131_072, size, weights, ..model() }
}

/// As large as a 7B, a 32B, and a 30B and a 235B with experts are in four bits.
fn models() -> [Gguf; 4] {
    [
        sized(28, 140, 0, 400, 56),
        sized(64, 300, 0, 500, 256),
        sized(48, 18, 355, 250, 96),
        sized(94, 45, 1350, 500, 188),
    ]
}

/// From a small laptop to a workstation.
fn machines() -> Vec<Room> {
    let with =
        |memory: u64, gpus: &[u64]| Room { gpus: gpus.iter().map(|&g| gpu(g * GB)).collect(), ..room(memory * GB) };
    let unified = |memory: u64| Room {
        gpus: vec![Gpu { free: memory * GB * 3 / 4, unified: true, bandwidth: None }],
        ..room(memory * GB)
    };
    vec![
        with(8, &[]),
        with(16, &[4]),
        with(16, &[8]),
        with(32, &[12]),
        with(64, &[24]),
        with(128, &[24, 24]),
        with(256, &[24, 12]),
        with(256, &[80]),
        unified(16),
        unified(96),
    ]
}

/// Whether a plan keeps to what there is.
fn is_within(fit: &Fit, room: &Room) -> bool {
    let unified: u64 = room.gpus.iter().zip(&fit.gpu_bytes).filter(|(g, _)| g.unified).map(|(_, b)| b).sum();
    fit.memory_bytes + unified <= room.memory && room.gpus.iter().zip(&fit.gpu_bytes).all(|(g, &b)| b <= g.free)
}

fn room(memory: u64) -> Room {
    Room { memory, gpus: Vec::new(), context: 0, gpu_layers: None }
}

#[test]
fn much_memory_gives_the_trained_context() {
    let fit = fit(&model(), &room(16 * GB)).unwrap();
    assert_eq!((fit.context, fit.gpu_layers, fit.gpu_bytes), (32768, 0, vec![]));
    assert_eq!(fit.kv_bytes, 32768 * 28672);
}

#[test]
fn little_memory_gives_less_context() {
    let fit = fit(&model(), &room(2 * GB)).unwrap();
    assert!((SMALLEST_CONTEXT..32768).contains(&fit.context), "{fit:?}");
    assert_eq!(fit.context % CONTEXT_STEP, 0);
    assert!(fit.memory_bytes <= 2 * GB - RESERVE);
    // The largest that fits: two steps more would not.
    let more = Room { context: fit.context + 2 * CONTEXT_STEP, ..room(2 * GB) };
    assert!(super::fit(&model(), &more).is_err());
}

#[test]
fn a_model_larger_than_memory_is_refused() {
    let error = fit(&model(), &room(GB)).unwrap_err();
    assert!(matches!(error, FitError::Model { needed, .. } if needed > GB), "{error}");
    assert!(error.to_string().contains("smaller model"));
}

#[test]
fn a_wanted_context_is_taken_cut_or_refused() {
    let wanted = |context, memory| fit(&model(), &Room { context, ..room(memory) });
    assert_eq!(wanted(5000, 16 * GB).unwrap().context, 5120);
    assert_eq!(wanted(1 << 20, 16 * GB).unwrap().context, 32768);
    let Err(FitError::Context { largest, .. }) = wanted(32768, 2 * GB) else { panic!("32768 tokens fit into 2 GB") };
    assert_eq!(wanted(largest, 2 * GB).unwrap().context, largest);
}

#[test]
fn layers_go_where_there_is_room() {
    let on = |free, gpu_layers| fit(&model(), &Room { gpus: vec![gpu(free)], gpu_layers, ..room(16 * GB) }).unwrap();
    assert_eq!((on(16 * GB, None).gpu_layers, on(16 * GB, None).context), (29, 32768));
    let part = on(GB + GB / 4, None);
    assert!((1..29).contains(&part.gpu_layers) && part.gpu_bytes[0] <= GB + GB / 4, "{part:?}");
    assert_eq!(on(16 * GB, Some(0)).gpu_layers, 0);
    assert_eq!(on(16 * GB, Some(99)).gpu_layers, 29);
}

#[test]
fn absurd_headers_do_not_overflow() {
    let mut gguf = model();
    (gguf.kv_heads, gguf.key_length, gguf.vocabulary, gguf.layers) = (usize::MAX, usize::MAX, usize::MAX, 0);
    gguf.context_length = usize::MAX;
    assert!(fit(&gguf, &room(16 * GB)).is_err());
    assert!(fit(&gguf, &Room { gpus: vec![gpu(u64::MAX), gpu(u64::MAX)], ..room(u64::MAX) }).is_err());
}

#[test]
fn what_a_file_has_beside_its_weights_needs_room_too() {
    let [small, ..] = models();
    let padded = Gguf { size: 1 << 42, ..small };
    assert!(machines().iter().all(|room| matches!(fit(&padded, room), Err(FitError::Model { .. }))));
}

#[test]
fn no_plan_exceeds_its_machine() {
    for gguf in models() {
        for room in machines() {
            match fit(&gguf, &room) {
                Ok(fit) => assert!(is_within(&fit, &room), "{room:?}: {fit:?}"),
                Err(FitError::Model { needed, available }) => assert!(needed > available),
                Err(error) => panic!("no context was asked for: {error}"),
            }
        }
    }
}

#[test]
fn plans_are_what_one_would_choose() {
    let [small, large, experts, huge] = models();
    let plan = |gguf: &Gguf, machine: usize| fit(gguf, &machines()[machine]);
    // A 7B lies on a card of 8 GB as a whole.
    let fit = plan(&small, 2).unwrap();
    assert_eq!((fit.gpu_layers, fit.cpu_experts.len()), (29, 0));
    assert!(fit.context >= AMPLE_CONTEXT);
    // A 32B fits on one of 24 GB with a KV cache in eight bits, and on two as it is.
    let fit = plan(&large, 4).unwrap();
    assert_eq!((fit.gpu_layers, fit.kv_type), (65, KvType::Q8_0));
    let fit = plan(&large, 5).unwrap();
    assert_eq!((fit.gpu_layers, fit.kv_type), (65, KvType::F16));
    assert!(fit.context > 65536);
    // Of a model with experts everything but experts goes on a small card.
    let fit = plan(&experts, 3).unwrap();
    assert_eq!(fit.gpu_layers, 49);
    assert!((1..48).contains(&fit.cpu_experts.len()), "{fit:?}");
    let fit = plan(&huge, 6).unwrap();
    assert_eq!(fit.gpu_layers, 95);
    assert!(fit.cpu_experts.len() > 60, "{fit:?}");
    // Each of its two cards is as full as whole experts allow.
    let full = |(bytes, gpu): (&u64, &Gpu)| bytes + (1350 << 20) > gpu.usable();
    assert!(fit.gpu_bytes.iter().zip(&machines()[6].gpus).all(full), "{fit:?}");
    assert!(matches!(plan(&huge, 4), Err(FitError::Model { .. })));
    // What a laptop shares between processor and GPU counts once.
    assert!(plan(&large, 8).is_err());
    assert_eq!(plan(&large, 9).unwrap().gpu_layers, 65);
}

#[test]
fn two_models_share_a_machine() {
    let [small, large, ..] = models();
    let mut placed = Vec::new();
    for (machine, room) in machines().iter().enumerate() {
        let Ok(draft) = fit(&small, &Room { context: 8192, ..room.clone() }) else { continue };
        let Ok(fit) = fit(&large, &room.without(&draft)) else { continue };
        let gpu_bytes = (0..room.gpus.len()).map(|gpu| fit.gpu_bytes[gpu] + draft.gpu_bytes[gpu]).collect();
        let both = Fit { memory_bytes: fit.memory_bytes + draft.memory_bytes, gpu_bytes, ..fit };
        assert!(is_within(&both, room), "{room:?}: {both:?}");
        placed.push(machine);
    }
    // All but those that the large one does not fit on by itself.
    assert_eq!(placed, [3, 4, 5, 6, 7, 9]);
}

proptest! {
    /// Whatever the machine, a plan stays within it.
    #[test]
    fn plans_stay_within_any_machine(
        memory in 0..300_u64, gpus in prop::collection::vec((0..100_u64, any::<bool>()), 0..4), model in 0..4_usize,
        context in prop::option::of(0..200_000_usize),
    ) {
        let gpus = gpus.into_iter().map(|(free, unified)| Gpu { free: free * GB, unified, bandwidth: None }).collect();
        let room = Room { gpus, context: context.unwrap_or(0), ..room(memory * GB) };
        if let Ok(fit) = fit(&models()[model], &room) {
            prop_assert!(is_within(&fit, &room), "{:?}", fit);
        }
    }
}
