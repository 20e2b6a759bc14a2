//! `moru bench`: how fast the model reads and writes here, in the terms of llama-bench.

use super::{Common, Error, ModelOptions, setup, undo};
use crate::config::Dirs;

#[derive(Debug, clap::Args)]
pub struct Args {
    #[command(flatten)]
    common: Common,
    #[command(flatten)]
    model: ModelOptions,
    /// Tokens to read.
    #[arg(long, short, default_value_t = 512)]
    prompt: usize,
    /// Tokens to generate behind the same context.
    #[arg(long, short = 'n', default_value_t = 64)]
    generate: usize,
    /// Tokens in the context beforehand.
    #[arg(long, short, default_value_t = 0)]
    depth: usize,
    /// Times to measure.
    #[arg(long, short, default_value_t = 3)]
    repeat: usize,
    /// Print lines of JSON.
    #[arg(long)]
    json: bool,
}

/// Measures and prints.
///
/// # Errors
/// The model cannot be loaded or decoded with.
pub fn run(args: &Args, dirs: &Dirs) -> Result<(), Error> {
    let mut config = super::config(dirs, &setup::folder(&args.common)?, &args.model)?;
    if config.context == 0 {
        config.context = (args.depth + args.prompt + args.generate + 64).next_multiple_of(256);
    }
    let engine = setup::engine(&config, dirs)?;
    let runtime = setup::runtime()?;
    // The first run pages the weights in.
    runtime.block_on(engine.measure(0, args.prompt.min(64), args.generate.min(8)))?;
    for _ in 0..args.repeat {
        let speed = runtime.block_on(engine.measure(args.depth, args.prompt, args.generate))?;
        if args.json {
            let line = serde_json::json!({
                "model": config.model, "depth": args.depth, "prompt": args.prompt, "generate": args.generate,
                "prefill": speed.prefill, "decode": speed.decode,
            });
            undo::print(&format!("{line}\n"));
        } else {
            undo::print(&format!("reads {:.1} tokens/s, writes {:.1} tokens/s\n", speed.prefill, speed.decode));
        }
    }
    Ok(())
}
