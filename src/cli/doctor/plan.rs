//! `moru doctor --plan`: how a model would be loaded, here or on a machine that a file describes.

use std::fs;
use std::path::Path;

use bytesize::ByteSize;
use serde::{Deserialize, Serialize};

use super::Args;
use crate::cli::{Error, output, setup};
use crate::config::{Config, Dirs};
use crate::engine::local::LocalEngine;
use crate::model::fit::{self, Fit, Gpu, Room};
use crate::model::{self, device};

/// A machine, as a TOML file describes it:
///
/// ```toml
/// memory = "32 GiB"
/// [[gpu]]
/// memory = "24 GiB"
/// ```
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Description {
    /// What is free of the main memory.
    memory: ByteSize,
    #[serde(default)]
    gpu: Vec<GpuDescription>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct GpuDescription {
    /// What is free of it.
    memory: ByteSize,
    /// Its memory is the main memory.
    #[serde(default)]
    unified: bool,
}

#[derive(Debug, Serialize)]
struct Report<'a> {
    model: &'a str,
    #[serde(flatten)]
    fit: &'a Fit,
    /// Of the model that guesses what this one will write.
    #[serde(skip_serializing_if = "Option::is_none")]
    draft: Option<Box<Report<'a>>>,
}

/// Prints the plan for `model`.
///
/// # Errors
/// The model or the description cannot be read, or the model does not fit.
pub fn run(model: &str, args: &Args, config: &Config, dirs: &Dirs) -> Result<(), Error> {
    let resolved = model::resolve(model, dirs)?;
    let mut room = if let Some(file) = &args.machine {
        described(file, config)?
    } else {
        // Its first call takes up llama.cpp's log.
        LocalEngine::prepare()?;
        device::room(config.context, config.gpu_layers)
    };
    let draft = setup::draft(config, dirs, &resolved.gguf, &mut room);
    let draft = draft.as_ref().map(|(found, fit)| Report { model: &found.name, fit, draft: None });
    let fit = fit::fit(&resolved.gguf, &room)?;
    let text = if args.json {
        let report = Report { model: &resolved.name, fit: &fit, draft: draft.map(Box::new) };
        serde_json::to_string(&report).map_err(|e| Error::Other(format!("the plan cannot be written: {e}")))?
    } else {
        let draft = draft.map(|draft| format!("\n{}: {}", draft.model, draft.fit)).unwrap_or_default();
        format!("{}: {fit}{draft}", resolved.name)
    };
    output::print(&format!("{text}\n"));
    Ok(())
}

fn described(file: &Path, config: &Config) -> Result<Room, Error> {
    let failed = |e: &dyn std::fmt::Display| Error::Other(format!("{} describes no machine: {e}", file.display()));
    let text = fs::read_to_string(file).map_err(|e| failed(&e))?;
    let described: Description = toml::from_str(&text).map_err(|e| failed(&e.message()))?;
    let gpu = |gpu: &GpuDescription| Gpu { free: gpu.memory.as_u64(), unified: gpu.unified, bandwidth: None };
    let gpus = described.gpu.iter().map(gpu).collect();
    Ok(Room { memory: described.memory.as_u64(), gpus, context: config.context, gpu_layers: config.gpu_layers })
}
