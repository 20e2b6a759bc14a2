//! A model with a recurrent memory, which cannot be cut back: it goes back by checkpoints. The weights are random; what counts
//! is that the same is written whatever was kept.

use std::path::Path;

use moru::engine::Request;
use moru::engine::local::{LocalEngine, Options};
use moru::model::fit::KvType;

use crate::gguf::File;
use crate::stage::{Answer, answer, assistant, request, system, user};

const WIDTH: u64 = 64;
const INNER: u64 = 2 * WIDTH;
const CONV: u64 = 4;
const STATE: u64 = 16;
const RANK: u64 = 4;
const LAYERS: u64 = 2;
const TEMPLATE: &str = "{% for m in messages %}<|im_start|>{{ m.role }}\n{{ m.content }}<|im_end|>\n{% endfor %}\
                        {% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}";

/// One token a byte, as byte-level BPE writes bytes, and two control tokens.
fn vocabulary() -> Vec<String> {
    let plain = |byte: u32| matches!(byte, 33..=126 | 161..=172 | 174..=255);
    let mut others = 256_u32..;
    let bytes = (0..256_u32).map(|byte| if plain(byte) { byte } else { others.next().unwrap() });
    let mut tokens: Vec<String> = bytes.map(|code| char::from_u32(code).unwrap().to_string()).collect();
    tokens.extend(["<|im_start|>".to_owned(), "<|im_end|>".to_owned()]);
    tokens
}

pub fn mamba(path: &Path) {
    let mut file = File::default();
    file.text("general.architecture", "mamba");
    let sizes = [
        ("context_length", 4096),
        ("embedding_length", WIDTH),
        ("feed_forward_length", 0),
        ("attention.head_count", 0),
        ("block_count", LAYERS),
        ("ssm.conv_kernel", CONV),
        ("ssm.inner_size", INNER),
        ("ssm.state_size", STATE),
        ("ssm.time_step_rank", RANK),
    ];
    for (key, value) in sizes {
        file.number(&format!("mamba.{key}"), value as u32);
    }
    file.float("mamba.attention.layer_norm_rms_epsilon", 1e-5);
    let tokens = vocabulary();
    let kinds: Vec<i32> = (0..tokens.len()).map(|id| if id < 256 { 1 } else { 3 }).collect();
    file.text("tokenizer.ggml.model", "gpt2");
    file.text("tokenizer.ggml.pre", "gpt-2");
    file.texts("tokenizer.ggml.tokens", &tokens);
    file.numbers("tokenizer.ggml.token_type", &kinds);
    file.texts("tokenizer.ggml.merges", &[]);
    file.number("tokenizer.ggml.eos_token_id", 257);
    file.text("tokenizer.chat_template", TEMPLATE);
    file.tensor("token_embd.weight", &[WIDTH, tokens.len() as u64], 0.0, 1.0);
    file.tensor("output_norm.weight", &[WIDTH], 1.0, 0.1);
    for layer in 0..LAYERS {
        let mut tensor = |name: &str, shape: &[u64], middle, spread| {
            file.tensor(&format!("blk.{layer}.{name}"), shape, middle, spread);
        };
        tensor("attn_norm.weight", &[WIDTH], 1.0, 0.1);
        tensor("ssm_in.weight", &[WIDTH, 2 * INNER], 0.0, 0.3);
        tensor("ssm_conv1d.weight", &[CONV, INNER], 0.0, 0.5);
        tensor("ssm_conv1d.bias", &[INNER], 0.0, 0.1);
        tensor("ssm_x.weight", &[INNER, RANK + 2 * STATE], 0.0, 0.3);
        tensor("ssm_dt.weight", &[RANK, INNER], 0.0, 0.3);
        tensor("ssm_dt.bias", &[INNER], 0.5, 0.3);
        tensor("ssm_a", &[STATE, INNER], -0.3, 0.2);
        tensor("ssm_d", &[INNER], 1.0, 0.1);
        tensor("ssm_out.weight", &[INNER, WIDTH], 0.0, 0.3);
    }
    file.write(path);
}

fn load(path: &Path) -> LocalEngine {
    let options = Options {
        path: path.to_owned(),
        name: "mamba".into(),
        context: 4096,
        threads: 1,
        kv_type: KvType::F16,
        gpu_layers: 0,
        cpu_experts: Vec::new(),
        adapter: None,
        draft: None,
        dialect: None,
        thinking: None,
        sampling: None,
        snapshots: None,
    };
    LocalEngine::load(&options).unwrap()
}

#[tokio::test]
async fn a_conversation_goes_back_to_a_checkpoint() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("mamba.gguf");
    mamba(&path);
    let engine = load(&path);
    let check = async |request: Request, most: usize| -> Answer {
        let kept = answer(&engine, request.clone()).await;
        let fresh = answer(&load(&path), request).await;
        assert_eq!(kept.text, fresh.text);
        assert!(!kept.text.is_empty() && kept.usage.prompt == fresh.usage.prompt, "{:?}", kept.usage);
        assert!(kept.read() <= most, "{:?}", kept.usage);
        kept
    };
    let mut messages = vec![system(), user("Count to five.")];
    check(request(&messages, 20), usize::MAX).await;
    // The same again, as another candidate.
    check(request(&messages, 20), 12).await;
    // The answer comes back in other words, as where a template leaves out what was thought.
    messages.extend([assistant("One."), user("On.")]);
    check(request(&messages, 20), 80).await;
    // The last request is taken back for another.
    messages.pop();
    messages.push(user("Stop there."));
    check(request(&messages, 20), 80).await;
    // Both are taken back.
    messages.truncate(1);
    messages.push(user("Count to six."));
    check(request(&messages, 20), 80).await;
    // A conversation of its own begins where the system prompt ends.
    check(Request { slot: 3, ..request(&messages, 20) }, 80).await;
}
