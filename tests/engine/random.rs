//! Small models with random weights in full precision: what counts is that the same is written whatever was kept.

use std::path::Path;

use moru::engine::local::{LocalEngine, Options};

use crate::gguf::File;
use crate::stage::options_of;

const CONTEXT: usize = 4096;
const WIDTH: u64 = 64;
const LAYERS: u64 = 2;
/// Of attention.
const HEADS: u64 = 4;
const FORWARD: u64 = 2 * WIDTH;
/// Of a recurrent memory.
const INNER: u64 = 2 * WIDTH;
const CONV: u64 = 4;
const STATE: u64 = 16;
const RANK: u64 = 4;
const TEMPLATE: &str = "{% for m in messages %}<|im_start|>{{ m.role }}\n{{ m.content }}<|im_end|>\n{% endfor %}\
                        {% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}";

/// One token for each of the first so many bytes, as byte-level BPE writes bytes, and two control tokens.
fn vocabulary(bytes: u32) -> Vec<String> {
    let plain = |byte: u32| matches!(byte, 33..=126 | 161..=172 | 174..=255);
    let mut others = 256_u32..;
    let bytes = (0..bytes).map(|byte| if plain(byte) { byte } else { others.next().unwrap() });
    let mut tokens: Vec<String> = bytes.map(|code| char::from_u32(code).unwrap().to_string()).collect();
    tokens.extend(["<|im_start|>".to_owned(), "<|im_end|>".to_owned()]);
    tokens
}

/// All but the layers.
fn model(architecture: &str, bytes: u32, sizes: &[(&str, u64)]) -> File {
    let mut file = File::default();
    file.text("general.architecture", architecture);
    let common = [("context_length", CONTEXT as u64), ("embedding_length", WIDTH), ("block_count", LAYERS)];
    for (key, value) in common.iter().chain(sizes) {
        file.number(&format!("{architecture}.{key}"), *value as u32);
    }
    file.float(&format!("{architecture}.attention.layer_norm_rms_epsilon"), 1e-5);
    let tokens = vocabulary(bytes);
    let kinds: Vec<i32> = (0..tokens.len()).map(|id| if id < bytes as usize { 1 } else { 3 }).collect();
    file.text("tokenizer.ggml.model", "gpt2");
    file.text("tokenizer.ggml.pre", "gpt-2");
    file.texts("tokenizer.ggml.tokens", &tokens);
    file.numbers("tokenizer.ggml.token_type", &kinds);
    file.texts("tokenizer.ggml.merges", &[]);
    file.number("tokenizer.ggml.eos_token_id", bytes + 1);
    file.text("tokenizer.chat_template", TEMPLATE);
    file.tensor("token_embd.weight", &[WIDTH, tokens.len() as u64], 0.0, 1.0);
    file.tensor("output_norm.weight", &[WIDTH], 1.0, 0.1);
    file
}

/// A tensor of a layer: its name, its shape, and what its numbers lie around and how far from it.
type Tensor<'a> = (&'a str, &'a [u64], f32, f32);

fn write(mut file: File, layer: &[Tensor<'_>], path: &Path) {
    for index in 0..LAYERS {
        for (name, shape, middle, spread) in layer {
            file.tensor(&format!("blk.{index}.{name}"), shape, *middle, *spread);
        }
    }
    file.write(path);
}

/// A model with attention, which writes ASCII.
pub fn llama(path: &Path) {
    let sizes = [("feed_forward_length", FORWARD), ("attention.head_count", HEADS)];
    let layer: [Tensor<'_>; 9] = [
        ("attn_norm.weight", &[WIDTH], 1.0, 0.1),
        ("attn_q.weight", &[WIDTH, WIDTH], 0.0, 0.3),
        ("attn_k.weight", &[WIDTH, WIDTH], 0.0, 0.3),
        ("attn_v.weight", &[WIDTH, WIDTH], 0.0, 0.3),
        ("attn_output.weight", &[WIDTH, WIDTH], 0.0, 0.3),
        ("ffn_norm.weight", &[WIDTH], 1.0, 0.1),
        ("ffn_gate.weight", &[WIDTH, FORWARD], 0.0, 0.3),
        ("ffn_up.weight", &[WIDTH, FORWARD], 0.0, 0.3),
        ("ffn_down.weight", &[FORWARD, WIDTH], 0.0, 0.3),
    ];
    write(model("llama", 128, &sizes), &layer, path);
}

/// One with a recurrent memory.
pub fn mamba(path: &Path) {
    let sizes = [
        ("feed_forward_length", 0),
        ("attention.head_count", 0),
        ("ssm.conv_kernel", CONV),
        ("ssm.inner_size", INNER),
        ("ssm.state_size", STATE),
        ("ssm.time_step_rank", RANK),
    ];
    let layer: [Tensor<'_>; 10] = [
        ("attn_norm.weight", &[WIDTH], 1.0, 0.1),
        ("ssm_in.weight", &[WIDTH, 2 * INNER], 0.0, 0.3),
        ("ssm_conv1d.weight", &[CONV, INNER], 0.0, 0.5),
        ("ssm_conv1d.bias", &[INNER], 0.0, 0.1),
        ("ssm_x.weight", &[INNER, RANK + 2 * STATE], 0.0, 0.3),
        ("ssm_dt.weight", &[RANK, INNER], 0.0, 0.3),
        ("ssm_dt.bias", &[INNER], 0.5, 0.3),
        ("ssm_a", &[STATE, INNER], -0.3, 0.2),
        ("ssm_d", &[INNER], 1.0, 0.1),
        ("ssm_out.weight", &[INNER, WIDTH], 0.0, 0.3),
    ];
    write(model("mamba", 256, &sizes), &layer, path);
}

/// How such a model is loaded.
pub fn options(path: &Path) -> Options {
    Options { context: CONTEXT, threads: 1, ..options_of(path.to_owned()) }
}

pub fn load(path: &Path) -> LocalEngine {
    LocalEngine::load(&options(path)).unwrap()
}
