//! An adapter changes what a model says, as much as its scale says; one of no effect changes nothing.

use std::fs;
use std::path::Path;

use moru::engine::local::{Adapter, LocalEngine};

use crate::gguf::File;
use crate::stage::{self, answer, options, request, user};

/// Elements of a hidden state of the test model.
const WIDTH: u64 = 896;

/// Writes an adapter of rank one for the queries of the first layer, with `value` everywhere in its second factor.
fn write(path: &Path, value: f32) {
    let mut file = File::default();
    file.text("general.type", "adapter");
    file.text("general.architecture", "qwen2");
    file.text("adapter.type", "lora");
    file.float("adapter.lora.alpha", 1.0);
    file.tensor("blk.0.attn_q.weight.lora_a", &[WIDTH, 1], 1.0, 0.0);
    file.tensor("blk.0.attn_q.weight.lora_b", &[1, WIDTH], value, 0.0);
    file.write(path);
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
