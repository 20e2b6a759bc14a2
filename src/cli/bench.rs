//! `moru bench`: how fast the model reads and writes here, in the terms of llama-bench, and what this engine adds to that.

mod against;
mod cases;
mod first;

use std::collections::BTreeMap;

use serde::Serialize;

use self::against::Against;
use self::cases::Copying;
use self::first::FirstToken;
use super::{Common, Error, ModelOptions, output, setup};
use crate::config::Dirs;
use crate::engine::local::LocalEngine;

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
    /// Tokens in the context beforehand, one or more.
    #[arg(long, short, value_delimiter = ',', default_value = "0")]
    depth: Vec<usize>,
    /// Times to measure; the median counts.
    #[arg(long, short, default_value_t = 3)]
    repeat: usize,
    /// Tokens to write of a file of 200 lines that is copied with a small change; all are some two thousand.
    #[arg(long, default_value_t = 240)]
    copy: usize,
    /// Tokens of the conversation whose next turn is measured, and that is resumed.
    #[arg(long, default_value_t = 2000)]
    history: usize,
    /// Measure reading and writing only: no first token, no drafts.
    #[arg(long)]
    quick: bool,
    /// Give the same requests to a llama-server too, alternating: a URL, or a program to start.
    #[arg(long, value_name = "URL|PROGRAM")]
    against: Option<String>,
    /// Print one JSON object.
    #[arg(long)]
    json: bool,
}

/// What was measured; medians.
#[derive(Debug, Default, Serialize)]
struct Report {
    model: String,
    /// Tokens a second by the tokens in the context beforehand.
    prefill_tps: BTreeMap<usize, f64>,
    decode_tps: BTreeMap<usize, f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    ttft_ms: Option<FirstToken>,
    #[serde(flatten, skip_serializing_if = "Option::is_none")]
    copying: Option<Copying>,
    /// Eight answers at a time, against one after the other.
    #[serde(skip_serializing_if = "Option::is_none")]
    batch_speedup: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    against: Option<Against>,
    peak_rss_mb: f64,
}

/// Measures and prints.
///
/// # Errors
/// The model cannot be loaded or decoded with.
pub fn run(args: &Args, dirs: &Dirs) -> Result<(), Error> {
    let mut config = super::config(dirs, &setup::folder(&args.common)?, &args.model)?;
    if config.context == 0 {
        let deepest = args.depth.iter().max().copied().unwrap_or(0);
        let cases =
            if args.quick && args.against.is_none() { 0 } else { cases::CONTEXT.max(args.history * 5 / 4 + 1024) };
        config.context = (deepest + args.prompt + args.generate + 64).max(cases).next_multiple_of(256);
    }
    config.snapshots = 0;
    let runtime = setup::runtime()?;
    let report = runtime.block_on(async {
        let engine = setup::engine(&config, dirs)?;
        let mut report = Report { model: config.model.clone(), ..Report::default() };
        speeds(&engine, args, &mut report).await?;
        if let Some(server) = &args.against {
            report.against = Some(against::measure(server, &engine, &config, dirs, args.copy, args.repeat).await?);
        }
        if !args.quick {
            report.copying = Some(cases::copying(&engine, args.copy, args.repeat).await?);
            report.batch_speedup = Some(cases::side_by_side(&engine, args.repeat).await?);
            drop(engine);
            report.ttft_ms = Some(first::measure(&config, dirs, args.history, args.repeat).await?);
        }
        report.peak_rss_mb = peak_rss();
        Ok::<_, Error>(report)
    })?;
    let text = if args.json { json(&report)? } else { table(&report) };
    output::print(&format!("{text}\n"));
    Ok(())
}

async fn speeds(engine: &LocalEngine, args: &Args, report: &mut Report) -> Result<(), Error> {
    // The first run pages the weights in.
    engine.measure(0, args.prompt.min(64), args.generate.min(8)).await?;
    for &depth in &args.depth {
        let (mut prefill, mut decode) = (Vec::new(), Vec::new());
        for _ in 0..args.repeat.max(1) {
            let speed = engine.measure(depth, args.prompt, args.generate).await?;
            prefill.push(speed.prefill);
            decode.push(speed.decode);
        }
        report.prefill_tps.insert(depth, cases::median(prefill));
        report.decode_tps.insert(depth, cases::median(decode));
    }
    Ok(())
}

/// The most memory that this process ever had in use, in MB.
fn peak_rss() -> f64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
    let kilobytes = line.and_then(|rest| rest.split_whitespace().next()?.parse::<f64>().ok());
    kilobytes.unwrap_or(0.0) / 1000.0 * 1.024
}

fn json(report: &Report) -> Result<String, Error> {
    serde_json::to_string(report).map_err(|e| Error::Other(format!("the report cannot be written: {e}")))
}

fn table(report: &Report) -> String {
    let mut lines = vec![report.model.clone()];
    for (depth, prefill) in &report.prefill_tps {
        let decode = report.decode_tps.get(depth).copied().unwrap_or_default();
        lines.push(format!("  behind {depth} tokens: reads {prefill:.1} tokens/s, writes {decode:.1} tokens/s"));
    }
    if let Some(FirstToken { cold, snapshot, next_turn, only_new, resumed, history }) = &report.ttft_ms {
        lines.push(format!("  first token: {cold:.0} ms cold, {snapshot:.0} ms with a snapshot"));
        lines.push(format!(
            "  behind {history} tokens of a conversation: {next_turn:.0} ms ({only_new:.0} of it reading what is new), \
             {resumed:.0} ms when it is resumed"
        ));
    }
    if let Some(Copying { copy_speedup, prose_ratio, constrained_ratio, acceptance, .. }) = &report.copying {
        lines.push(format!(
            "  drafts: copies {copy_speedup:.2} times as fast, prose {prose_ratio:.2}; {:.0}% accepted",
            acceptance * 100.0
        ));
        lines.push(format!("  calls held to their form are written {constrained_ratio:.2} times as fast as free text"));
    }
    if let Some(speedup) = report.batch_speedup {
        lines.push(format!("  eight answers at a time are written {speedup:.2} times as fast as one after the other"));
    }
    if let Some(Against { server, prefill, next_turn, decode, copy }) = &report.against {
        lines.push(format!(
            "  times as fast as {server}: first token {prefill:.2}, of the next turn {next_turn:.2}, prose {decode:.2}, \
             copies {copy:.2}"
        ));
    }
    lines.push(format!("  memory: {:.0} MB at most", report.peak_rss_mb));
    lines.join("\n")
}
