//! An adapter changes what a model says, as much as its scale says; one of no effect changes nothing.

use std::fs;
use std::path::Path;

use moru::engine::local::{Adapter, LocalEngine};

use crate::stage::{self, answer, options, request, user};

/// Elements of a hidden state of the test model.
const WIDTH: u64 = 896;

/// Writes an adapter of rank one for the queries of the first layer, with `value` everywhere in its second factor.
fn write(path: &Path, value: f32) {
    let mut file = b"GGUF\x03\0\0\0".to_vec();
    let text = |file: &mut Vec<u8>, text: &str| {
        file.extend((text.len() as u64).to_le_bytes());
        file.extend(text.as_bytes());
    };
    let (tensors, pairs) = (2_u64, 4_u64);
    file.extend(tensors.to_le_bytes());
    file.extend(pairs.to_le_bytes());
    for (key, value) in [("general.type", "adapter"), ("general.architecture", "qwen2"), ("adapter.type", "lora")] {
        text(&mut file, key);
        file.extend(8_u32.to_le_bytes());
        text(&mut file, value);
    }
    text(&mut file, "adapter.lora.alpha");
    file.extend(6_u32.to_le_bytes());
    file.extend(1_f32.to_le_bytes());
    for (name, shape, offset) in [("lora_a", [WIDTH, 1], 0), ("lora_b", [1, WIDTH], WIDTH * 4)] {
        text(&mut file, &format!("blk.0.attn_q.weight.{name}"));
        file.extend(2_u32.to_le_bytes());
        shape.iter().for_each(|n| file.extend(n.to_le_bytes()));
        file.extend(0_u32.to_le_bytes());
        file.extend(offset.to_le_bytes());
    }
    file.resize(file.len().next_multiple_of(32), 0);
    (0..WIDTH).for_each(|_| file.extend(1_f32.to_le_bytes()));
    (0..WIDTH).for_each(|_| file.extend(value.to_le_bytes()));
    fs::write(path, file).unwrap();
}

async fn said(adapter: Option<Adapter>) -> String {
    let engine = LocalEngine::load(&moru::engine::local::Options { adapter, ..options(None) }).unwrap();
    answer(&engine, request(&[user("Count to ten.")], 24)).await.text
}

#[tokio::test]
async fn an_adapter_is_added_to_the_weights() {
    let Some(_turn) = stage::turn().await else { return };
    let folder = tempfile::tempdir().unwrap();
    let (none, strong) = (folder.path().join("none.gguf"), folder.path().join("strong.gguf"));
    write(&none, 0.0);
    write(&strong, 50.0);
    let plain = said(None).await;
    assert_eq!(said(Some(Adapter { path: none.clone(), scale: 1.0 })).await, plain);
    assert_ne!(said(Some(Adapter { path: strong.clone(), scale: 1.0 })).await, plain);
    assert_eq!(said(Some(Adapter { path: strong, scale: 0.0 })).await, plain);
    fs::write(&none, "no adapter").unwrap();
    let adapter = Some(Adapter { path: none, scale: 1.0 });
    let error = LocalEngine::load(&moru::engine::local::Options { adapter, ..options(None) }).err().unwrap();
    assert!(error.to_string().contains("is no LoRA adapter for this model"), "{error}");
}
