//! `moru model`: what models there are, and getting them here.

mod progress;
mod table;

use std::io::{self, Write};
use std::path::{Path, PathBuf};

use indicatif::HumanBytes;
use serde_json::json;

use super::output::{say, to_json};
use crate::config::{Config, Dirs};
use crate::model::rank::{self, Where};
use crate::model::store::{self, Listed, State};
use crate::model::{Catalog, Entry, ModelError, Store, catalog, device, fit, gguf, pull};
use progress::Display;
use table::Table;

/// List, download and remove models.
#[derive(Debug, clap::Args)]
pub struct Args {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, clap::Subcommand)]
enum Command {
    /// Show the models that can be pulled, and those that are here.
    List {
        /// Only those that this machine can run, the one to try first first, with an estimate of how fast they write.
        #[arg(long)]
        fits: bool,
        /// Print JSON.
        #[arg(long)]
        json: bool,
    },
    /// Download a model, or import a file; goes on where an earlier pull was interrupted.
    Pull {
        /// A name from `moru model list`; the configured model where it is left out.
        name: Option<String>,
        /// Take this file, of several the first, instead of downloading. NAME may then be a new name.
        #[arg(long, value_name = "FILE")]
        from: Option<PathBuf>,
    },
    /// Take a GGUF file into the store (of several the first, the others come with it), to be called by a name from then on.
    Import {
        file: PathBuf,
        /// What to call it; as the file where it is left out.
        name: Option<String>,
    },
    /// Show what is known of a model, and what its file says.
    Info {
        /// A name, or the path of a GGUF; the configured model where it is left out.
        name: Option<String>,
        /// Print JSON.
        #[arg(long)]
        json: bool,
        /// Say which wire form its chat template has, why, and whether calls can be constrained.
        #[arg(long)]
        probe: bool,
    },
    /// Remove a model's files, or what an interrupted pull left.
    Rm { name: String },
    /// Print the path of a model's file, of several the first. Fails if it is not here.
    Path {
        /// A name, or the path of a GGUF; the configured model where it is left out.
        name: Option<String>,
    },
}

/// Runs `moru model …`. `offline` opens no connection.
///
/// # Errors
/// What the store or a source says; see [`ModelError`].
pub fn run(args: Args, config: &Config, dirs: &Dirs, offline: bool) -> Result<(), ModelError> {
    let configured = |name: Option<String>| name.unwrap_or_else(|| config.model.clone());
    match args.command {
        Command::List { fits: true, json } => fits(config, dirs, json),
        Command::List { fits: false, json } => list(config, dirs, json),
        Command::Pull { name, from: Some(file) } => import(&configured(name), &file, dirs),
        Command::Pull { name, from: None } => download(&configured(name), dirs, offline),
        Command::Import { file, name } => {
            let own = || crate::model::name_of(&file).to_lowercase();
            import(&name.unwrap_or_else(own), &file, dirs)
        }
        Command::Info { name, json, probe } => info(&configured(name), config, dirs, json, probe),
        Command::Rm { name } => remove(&name, dirs),
        Command::Path { name } => path(&configured(name), dirs),
    }
}

/// Sources as the environment configures them. `HF_HOME` and the user's folder are looked at for the hub's token alone.
pub fn pull_options(offline: bool) -> pull::Options {
    let set = |key: &str| std::env::var(key).ok().filter(|value| !value.trim().is_empty());
    let home = set("HF_HOME").map(PathBuf::from);
    let home = home.or_else(|| Some(std::env::home_dir()?.join(".cache/huggingface")));
    let stored = || hf_hub::Cache::new(home?.join("hub")).token();
    let truthy = |value: String| !matches!(value.to_ascii_lowercase().as_str(), "0" | "false" | "no" | "off");
    let command = |words: &[&str]| words.iter().map(|w| (*w).to_owned()).collect::<Vec<_>>();
    pull::Options {
        hub_endpoint: set("HF_ENDPOINT"),
        hub_token: set("HF_TOKEN").or_else(stored),
        hub_offline: set("HF_HUB_OFFLINE").is_some_and(truthy),
        pip: vec![
            command(&["python3", "-m", "pip"]),
            command(&["pip3"]),
            command(&["pip"]),
            command(&["python", "-m", "pip"]),
        ],
        offline,
    }
}

fn list(config: &Config, dirs: &Dirs, json: bool) -> Result<(), ModelError> {
    let listed = Store::new(dirs).list(&Catalog::load(&dirs.config)?)?;
    if json {
        return print(&to_json(&listed));
    }
    let mut table = Table::new(["NAME", "PARAMETERS", "QUANTISATION", "SIZE", "MEMORY", "CONTEXT", "LICENCE", "HERE"]);
    for Listed { name, entry, memory_needed, state } in &listed {
        let memory = memory_needed.map_or_else(|| "-".to_owned(), |bytes| HumanBytes(bytes).to_string());
        let here = match (state, entry) {
            (State::Here { .. }, _) if *name == config.model => "yes, in use".to_owned(),
            (State::Here { .. }, _) => "yes".to_owned(),
            (State::Partial { bytes }, Some(e)) => format!("{}%", (bytes * 100 / e.approximate_size().max(1)).min(99)),
            (State::Partial { .. }, None) => "in part".to_owned(),
            (State::Absent, Some(e)) if e.sources.is_empty() => "server only".to_owned(),
            (State::Absent, _) => "no".to_owned(),
        };
        table.row(match entry {
            Some(e) => [
                name.clone(),
                billions(e.parameters),
                e.quantisation.clone(),
                size(e, *state),
                memory,
                e.context.to_string(),
                e.licence.clone(),
                here,
            ],
            None => {
                let bytes =
                    if let State::Here { bytes } = state { HumanBytes(*bytes).to_string() } else { String::new() };
                [name.clone(), "-".into(), "-".into(), bytes, memory, "-".into(), "-".into(), here]
            }
        });
    }
    print(&table.to_string())
}

fn fits(config: &Config, dirs: &Dirs, json: bool) -> Result<(), ModelError> {
    // Its first call takes up llama.cpp's log; where it fails, there are no devices to ask for.
    let _ = crate::engine::local::LocalEngine::prepare();
    let room = device::room(0, config.gpu_layers);
    let catalog = Catalog::load(&dirs.config)?;
    let ranked = rank::rank(catalog.iter(), &room, device::memory_bandwidth());
    if json {
        return print(&to_json(&ranked));
    }
    let mut table = Table::new(["NAME", "SIZE", "MEMORY", "LIES IN", "TOKENS/S, ABOUT"]);
    for model in ranked {
        let place = match model.place {
            Where::Gpu => "GPU",
            Where::GpuAndMemory => "GPU and memory",
            Where::Memory => "memory",
        };
        let speed = format!("{:.0}", model.tokens_per_second.max(1.0));
        let bytes = |bytes: u64| HumanBytes(bytes).to_string();
        table.row([model.name, bytes(model.size), bytes(model.memory_needed), place.to_owned(), speed]);
    }
    print(&table.to_string())
}

fn size(entry: &Entry, state: State) -> String {
    match (state, entry.size) {
        (State::Here { bytes }, _) | (_, Some(bytes)) => HumanBytes(bytes).to_string(),
        _ => format!("~{}", HumanBytes(entry.approximate_size())),
    }
}

fn billions(parameters: u64) -> String {
    format!("{:.1}B", parameters as f64 / 1e9)
}

fn download(name: &str, dirs: &Dirs, offline: bool) -> Result<(), ModelError> {
    let catalog = Catalog::load(&dirs.config)?;
    let Some(entry) = catalog.get(name) else {
        return Err(if store::is_name(name) && !name.ends_with(".gguf") {
            catalog.unknown(name)
        } else {
            ModelError::NotAName { value: name.to_owned() }
        });
    };
    if entry.sources.is_empty() {
        let upstream = entry.upstream.clone().unwrap_or_else(|| name.to_owned());
        return Err(ModelError::ServerOnly { name: name.to_owned(), upstream });
    }
    let store = Store::new(dirs);
    if let State::Here { .. } = store.state(name) {
        say(&format!("{name} is here: {}", store.path(name).display()));
        return Ok(());
    }
    say(&format!("Pulling {name} ({}, {})", HumanBytes(entry.approximate_size()), entry.licence));
    let mut display = Display::new();
    let pulled = pull::pull(entry, &store, &pull_options(offline), &mut |progress| display.show(progress));
    display.end();
    say(&format!("{name} is here: {}", pulled?.display()));
    Ok(())
}

fn import(name: &str, file: &Path, dirs: &Dirs) -> Result<(), ModelError> {
    if !store::is_name(name) || name.ends_with(".gguf") {
        return Err(ModelError::NotAName { value: name.to_owned() });
    }
    let catalog = Catalog::load(&dirs.config)?;
    let entry = catalog.get(name);
    let store = Store::new(dirs);
    let mut display = Display::new();
    if let (Some(_), Ok(meta)) = (entry.and_then(|e| e.sha256.as_ref()), std::fs::metadata(file)) {
        display.show(pull::Progress::Verifying(meta.len()));
    }
    let imported = store.import(name, entry, file, &mut |n| display.show(pull::Progress::Advanced(n)));
    display.end();
    say(&format!("{name} is here: {}", imported?.display()));
    Ok(())
}

fn info(value: &str, config: &Config, dirs: &Dirs, json: bool, probe: bool) -> Result<(), ModelError> {
    let (path, name, entry) = crate::model::locate(value, dirs)?;
    let gguf = if path.exists() {
        Some(gguf::Gguf::open(&path)?)
    } else if entry.is_none() {
        return Err(ModelError::Missing { path });
    } else {
        None
    };
    let probed = gguf.as_ref().filter(|_| probe).map(|gguf| probed(config, entry.as_ref(), gguf)).unwrap_or_default();
    let file_needs = gguf.as_ref().map(|gguf| catalog::memory_needed(gguf.size));
    let memory = file_needs.or_else(|| entry.as_ref().map(Entry::memory_needed));
    if json {
        let path = gguf.is_some().then_some(path);
        let mut value = json!({ "name": name, "path": path, "memory_needed": memory, "catalog": entry, "file": gguf });
        if probe {
            let rows = probed.iter().map(|(key, text)| ((*key).to_owned(), serde_json::Value::from(text.as_str())));
            value["probe"] = serde_json::Value::Object(rows.collect());
        }
        return print(&to_json(&value));
    }
    let mut table = Table::new(["NAME", name.as_str()]);
    if let Some(entry) = &entry {
        describe_entry(entry, &mut table);
    }
    if let Some(bytes) = memory {
        table.row(["memory".to_owned(), format!("about {}, on GPUs or in main memory", HumanBytes(bytes))]);
    }
    match &gguf {
        Some(gguf) => {
            table.row(["file".to_owned(), path.display().to_string()]);
            describe_file(gguf, &mut table);
        }
        None => table.row(["file".to_owned(), format!("not here; get it with `moru model pull {name}`")]),
    }
    for (key, value) in probed {
        table.row([key.to_owned(), value]);
    }
    print(&table.to_string())
}

/// How the model is spoken to, row by row.
fn probed(config: &Config, entry: Option<&Entry>, gguf: &gguf::Gguf) -> Vec<(&'static str, String)> {
    let template = gguf.chat_template.as_deref().unwrap_or_default();
    let (form, reason) = super::setup::wire_form(config, entry, gguf).unzip();
    let mut rows =
        super::dialect::probe(template, form.as_deref()).unwrap_or_else(|error| vec![("dialect", error.to_string())]);
    if let (Some(reason), Some((_, why))) = (reason, rows.iter_mut().find(|(key, _)| *key == "because")) {
        *why = reason.to_owned();
    }
    rows
}

fn describe_entry(entry: &Entry, table: &mut Table<2>) {
    let mut row = |key: &str, value: String| table.row([key.to_owned(), value]);
    row("description", entry.description.clone());
    row("licence", entry.licence.clone());
    row("parameters", billions(entry.parameters));
    if let Some(active) = entry.active {
        row("active", format!("{} of them for a token", billions(active)));
    }
    if let Some(upstream) = &entry.upstream {
        row("upstream", upstream.clone());
    }
    row("download", format!("{} ({})", size(entry, State::Absent), entry.quantisation));
    row("SHA-256", entry.sha256.clone().unwrap_or_else(|| "as the hub states it".into()));
    for source in &entry.sources {
        row("source", source.label());
    }
}

fn describe_file(gguf: &gguf::Gguf, table: &mut Table<2>) {
    let mut row = |key: &str, value: String| table.row([key.to_owned(), value]);
    row("size", HumanBytes(gguf.size).to_string());
    row("title", gguf.title.clone().unwrap_or_else(|| "-".into()));
    row("architecture", gguf.architecture.clone());
    row("quantisation", gguf.quantisation.clone());
    row("tensor elements", billions(gguf.parameters));
    row("context", format!("{} tokens", gguf.context_length));
    row("KV cache", format!("{} a 1000 tokens", HumanBytes(gguf.kv_bytes_per_token().saturating_mul(1000))));
    row("layers", format!("{}, {} heads, width {}", gguf.layers, gguf.heads, gguf.embedding_length));
    row("vocabulary", format!("{} tokens ({})", gguf.vocabulary, gguf.pre_tokenizer.as_deref().unwrap_or("default")));
    row("chat template", if gguf.chat_template.is_some() { "yes" } else { "none" }.to_owned());
    let room = device::room(0, None);
    row(
        "on this machine",
        fit::fit(gguf, &room).map_or_else(|error| error.to_string(), |fit| format!("fits with {fit}")),
    );
}

fn remove(name: &str, dirs: &Dirs) -> Result<(), ModelError> {
    if !store::is_name(name) {
        return Err(ModelError::NotAName { value: name.to_owned() });
    }
    let store = Store::new(dirs);
    if store.state(name) == State::Absent {
        let catalog = Catalog::load(&dirs.config)?;
        if catalog.get(name).is_none() {
            return Err(catalog.unknown(name));
        }
    }
    let bytes = store.remove(name)?;
    say(&format!("{name} is removed, {} are free again", HumanBytes(bytes)));
    Ok(())
}

fn path(value: &str, dirs: &Dirs) -> Result<(), ModelError> {
    let (path, name, entry) = crate::model::locate(value, dirs)?;
    if !path.exists() {
        return Err(if entry.is_some() { ModelError::NotPulled { name } } else { ModelError::Missing { path } });
    }
    print(&format!("{}\n", path.display()))
}

/// Data goes to stdout; a reader that has gone away (`| head`) is no failure.
fn print(text: &str) -> Result<(), ModelError> {
    match io::stdout().lock().write_all(text.as_bytes()) {
        Err(e) if e.kind() != io::ErrorKind::BrokenPipe => {
            Err(ModelError::Io { action: "write to", path: "stdout".into(), source: e })
        }
        _ => Ok(()),
    }
}
