//! LoRA adapters: what a fine-tuning adds to a model's weights, in a small GGUF of its own.

use std::fmt;
use std::path::PathBuf;
use std::str::FromStr;

use llama_cpp_2::model::{LlamaLoraAdapter, LlamaModel};

use crate::engine::EngineError;

/// An adapter's file, and how much of it is added.
#[derive(Debug, Clone, PartialEq)]
pub struct Adapter {
    pub path: PathBuf,
    pub scale: f32,
}

impl FromStr for Adapter {
    type Err = EngineError;

    /// `FILE[:SCALE]`.
    fn from_str(text: &str) -> Result<Self, EngineError> {
        let split = text.rsplit_once(':').and_then(|(path, scale)| Some((path, scale.parse::<f32>().ok()?)));
        let (path, scale) = split.unwrap_or((text, 1.0));
        if path.is_empty() || !scale.is_finite() {
            return Err(EngineError::Load(format!("`{text}` names no adapter; write FILE or FILE:SCALE")));
        }
        Ok(Self { path: path.into(), scale })
    }
}

impl fmt::Display for Adapter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.path.display(), self.scale)
    }
}

impl Adapter {
    /// Reads the file for `model`.
    pub(super) fn load(&self, model: &mut LlamaModel) -> Result<LlamaLoraAdapter, EngineError> {
        let path = self.path.display();
        if !self.path.is_file() {
            return Err(EngineError::Load(format!("there is no adapter {path}; check the path")));
        }
        model.lora_adapter_init(&self.path).map_err(|_| {
            EngineError::Load(format!("{path} is no LoRA adapter for this model; see the log for llama.cpp's reasons"))
        })
    }

    /// What tells it from others, as far as KV caches go.
    pub(super) fn identity(&self) -> String {
        let meta = std::fs::metadata(&self.path).ok();
        let modified = meta.as_ref().and_then(|meta| meta.modified().ok());
        format!("{self} {:?} {modified:?}", meta.map(|meta| meta.len()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_scale_may_stand_behind_the_file() {
        let adapter = |text: &str| text.parse::<Adapter>().map(|adapter| (adapter.path, adapter.scale));
        assert_eq!(adapter("a:b.gguf:0.5").unwrap(), ("a:b.gguf".into(), 0.5));
        assert_eq!(adapter("a:b.gguf").unwrap(), ("a:b.gguf".into(), 1.0));
        assert!(adapter(":2").is_err() && adapter("a:inf").is_err());
    }
}
