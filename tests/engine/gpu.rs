//! A GPU computes what the CPU does. `./dev test gpu` runs these alone; without a GPU that llama.cpp was built for they say so
//! and pass. Mesa's software device will do, where the environment has `GGML_VK_VISIBLE_DEVICES=0`.

use moru::engine::local::{LocalEngine, Options};
use moru::model::device;

use crate::stage::{self, answer, engine, options, request, user};

/// More layers than the model has: all of them.
const ALL: u32 = 999;
const SOME: u32 = 9;
/// How many of [`TEXT`]'s first tokens count.
const POSITIONS: usize = 128;
const TEXT: &str = "An anvil is a metalworking tool consisting of a large block of metal, with a flattened top surface, upon \
which another object is struck. Anvils are massive because the higher their inertia, the more efficiently they cause the energy \
of striking tools to be transferred to the work piece.

```python
def median(numbers):
    ordered = sorted(numbers)
    middle = len(ordered) // 2
    if len(ordered) % 2 == 1:
        return ordered[middle]
    return (ordered[middle - 1] + ordered[middle]) / 2
```

The function sorts the numbers first, and then takes the one in the middle.";

/// The engine with so many layers on the GPU; `None` (with a reason on stderr) where there is none.
fn on_gpu(gpu_layers: u32) -> Option<LocalEngine> {
    LocalEngine::prepare().unwrap();
    let gpus: Vec<_> = device::devices().into_iter().filter(|device| device.gpu).collect();
    if gpus.is_empty() {
        eprintln!("skipped: llama.cpp finds no GPU here");
        return None;
    }
    eprintln!("{gpu_layers} layers on {gpus:?}");
    Some(LocalEngine::load(&Options { gpu_layers, ..options(None) }).unwrap())
}

/// Half precision turns close calls, of which a text has some.
#[tokio::test]
async fn a_gpu_makes_the_choices_of_the_cpu() {
    let Some(_turn) = stage::turn().await else { return };
    let mut cpu = None;
    for layers in [SOME, ALL] {
        let Some(gpu) = on_gpu(layers) else { return };
        let cpu = match &cpu {
            Some(choices) => choices,
            None => cpu.insert(engine(None).choices(TEXT).await.unwrap()),
        };
        let choices = gpu.choices(TEXT).await.unwrap();
        assert!(choices.len() == cpu.len() && choices.len() >= POSITIONS, "{}", choices.len());
        let same = choices.iter().zip(cpu).take(POSITIONS).filter(|(a, b)| a == b).count();
        eprintln!("{same} of {POSITIONS} choices are the CPU's");
        assert!(same * 100 >= POSITIONS * 95, "{same} of {POSITIONS}");
    }
}

/// Of something that the model is sure of, as nothing else comes out the same with other roundings.
#[tokio::test]
async fn a_gpu_writes_what_the_cpu_writes() {
    let Some(_turn) = stage::turn().await else { return };
    let Some(gpu) = on_gpu(ALL) else { return };
    let ask = request(&[user("What is the capital of France? One sentence.")], 24);
    let written = answer(&gpu, ask.clone()).await;
    assert_eq!(written.text, answer(&engine(None), ask).await.text);
}
