//! The commands, one file each. Only this part of the program prints.

mod bench;
mod context;
mod dialect;
mod diff;
mod doctor;
mod exec;
mod export;
mod key;
mod log;
mod logging;
mod map;
mod model;
mod output;
mod pair;
mod redo;
mod refs;
mod sessions;
mod setup;
mod symbols;
mod undo;

use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Parser, Subcommand};

use crate::config::{Config, ConfigError, Dirs, ServerApi};
use crate::dialect::Thinking;
use crate::engine::EngineError;
use crate::model::ModelError;
use crate::model::fit::FitError;
use crate::session::log::LogError;
use crate::session::profile::ProfileError;
use crate::tui::TuiError;
use crate::workspace::WorkspaceError;

/// A coding assistant for the terminal that runs open models on your own machine.
///
/// Without a command it opens the terminal UI in the current folder.
#[derive(Debug, Parser)]
#[command(name = "moru", version, args_conflicts_with_subcommands = true)]
pub struct Cli {
    #[command(subcommand)]
    command: Option<Command>,
    #[command(flatten)]
    pair: pair::Args,
    /// Open no connection.
    #[arg(long, global = true)]
    offline: bool,
}

/// What every command that works on a folder takes.
#[derive(Debug, Clone, clap::Args)]
pub struct Common {
    /// Work in this folder instead of the current one.
    #[arg(long, short = 'C', value_name = "FOLDER")]
    cwd: Option<PathBuf>,
}

/// What every command that loads a model takes.
#[derive(Debug, Clone, clap::Args)]
pub struct ModelOptions {
    /// A model's name, as `moru model list` shows it, or a GGUF file.
    #[arg(long, short, value_name = "MODEL")]
    model: Option<String>,
    /// Tokens of context.
    #[arg(long, value_name = "TOKENS")]
    context: Option<usize>,
    /// Threads for the model.
    #[arg(long, value_name = "N")]
    threads: Option<usize>,
    /// Layers to put on the GPU.
    #[arg(long, value_name = "N")]
    gpu_layers: Option<u32>,
    /// A LoRA adapter (GGUF) for the model, and how much of it to add.
    #[arg(long, value_name = "FILE[:SCALE]")]
    adapter: Option<String>,
    /// A small model of the same vocabulary that guesses what the model will write, used where that is faster; or `none`.
    #[arg(long, value_name = "MODEL")]
    draft_model: Option<String>,
    /// The wire form of tool calls.
    #[arg(long, value_name = "FORM")]
    dialect: Option<String>,
    /// How much a reasoning model thinks before it answers.
    #[arg(long, value_name = "HOW MUCH")]
    thinking: Option<Thinking>,
}

/// What every command that can let a server run the model takes.
#[derive(Debug, Clone, clap::Args)]
pub struct ServerOptions {
    /// Servers that run the model, replicas of one another: OpenAI-compatible, such as vLLM, SGLang, llama-server or Ollama.
    #[arg(long, value_name = "URL[,URL…]")]
    engine: Option<String>,
    /// The part of the server's API to use: chat (the server reads tool calls) or completions (Moru does).
    #[arg(long, value_name = "API", value_parser = api)]
    api: Option<ServerApi>,
    /// The model's chat template, for completions on servers that do not tell it.
    #[arg(long, value_name = "FILE")]
    template: Option<PathBuf>,
}

/// What every command that begins a session takes.
#[derive(Debug, Clone, clap::Args)]
pub struct SessionOptions {
    #[command(flatten)]
    common: Common,
    #[command(flatten)]
    model: ModelOptions,
    #[command(flatten)]
    server: ServerOptions,
    /// Go on with an earlier session of this folder: its name, or `last`.
    #[arg(long, value_name = "ID")]
    resume: Option<String>,
}

impl SessionOptions {
    /// The settings for the folder, with what the command line says of the model and of servers.
    fn config(&self, dirs: &Dirs, offline: bool) -> Result<Config, Error> {
        let mut config = config(dirs, &setup::folder(&self.common)?, &self.model)?;
        serve(&mut config, &self.server, offline);
        Ok(config)
    }
}

fn api(text: &str) -> Result<ServerApi, String> {
    match text {
        "chat" => Ok(ServerApi::Chat),
        "completions" => Ok(ServerApi::Completions),
        _ => Err("choose `chat` or `completions`".into()),
    }
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Do one request without a terminal UI.
    Exec(exec::Args),
    /// Take back changes.
    Undo(WithFolder<undo::Args>),
    /// Bring back what was undone.
    Redo(WithFolder<redo::Args>),
    /// List the changes made in this folder.
    Log(WithFolder<log::Args>),
    /// Show a change.
    Diff(WithFolder<diff::Args>),
    /// Show what a request would be given to read.
    Context(WithFolder<context::Args>),
    /// Show the signatures of a file or folder.
    Map(WithFolder<map::Args>),
    /// Find definitions by name.
    Symbols(WithFolder<symbols::Args>),
    /// Find the uses of a name.
    Refs(WithFolder<refs::Args>),
    /// List the sessions of this folder.
    Sessions(sessions::Args),
    /// Write the accepted and rejected edits of past sessions to a file, to train a model on.
    Export(export::Args),
    /// Get, list and remove models.
    Model(model::Args),
    /// Keep a server's API key in the system's keyring.
    Key(key::Args),
    /// See how a model's template renders, and how its output is read.
    Dialect(dialect::Args),
    /// Check this machine, the model and the sandbox; or a server.
    Doctor(WithModel<doctor::Args>),
    /// Measure how fast the model reads and writes.
    Bench(bench::Args),
}

/// A command's own arguments and the folder that it works on.
#[derive(Debug, Clone, clap::Args)]
struct WithFolder<A: clap::Args> {
    #[command(flatten)]
    common: Common,
    #[command(flatten)]
    own: A,
}

/// A command's own arguments and the model that it loads.
#[derive(Debug, Clone, clap::Args)]
struct WithModel<A: clap::Args> {
    #[command(flatten)]
    model: ModelOptions,
    #[command(flatten)]
    own: A,
}

/// What a command ends with when it cannot do its work: one sentence on stderr, and an exit code.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    #[error(transparent)]
    Config(#[from] ConfigError),
    #[error(transparent)]
    Model(#[from] ModelError),
    #[error(transparent)]
    Engine(#[from] EngineError),
    #[error(transparent)]
    Workspace(#[from] WorkspaceError),
    #[error(transparent)]
    Log(#[from] LogError),
    #[error(transparent)]
    Tui(#[from] TuiError),
    #[error(transparent)]
    Fit(#[from] FitError),
    #[error(transparent)]
    Profile(#[from] ProfileError),
    #[error("there is no home folder to keep models and sessions in; set HOME")]
    Home,
    #[error("the folder {folder} cannot be used: {source}")]
    Folder { folder: PathBuf, source: std::io::Error },
    #[error("{0}")]
    Usage(String),
    #[error("{0}")]
    Other(String),
}

impl Error {
    /// 2 for a command that was worded wrongly, else 1.
    pub fn code(&self) -> ExitCode {
        ExitCode::from(match self {
            Self::Usage(_) => 2,
            // As shells have it.
            Self::Tui(TuiError::Signal(number)) => 128_u8.saturating_add(u8::try_from(*number).unwrap_or(1)),
            _ => 1,
        })
    }
}

/// Runs the command.
///
/// # Errors
/// It cannot do its work.
pub fn run(cli: Cli) -> Result<ExitCode, Error> {
    let dirs = Dirs::from_environment().map_err(|_| Error::Home)?;
    let _log = logging::start(&dirs);
    let done = |()| ExitCode::SUCCESS;
    match cli.command {
        None => pair::run(cli.pair, &dirs, cli.offline).map(done),
        Some(Command::Exec(args)) => exec::run(args, &dirs, cli.offline),
        Some(Command::Undo(args)) => Ok(undo::run(&args.own, &setup::workspace(&args.common, &dirs)?).map(done)?),
        Some(Command::Redo(args)) => Ok(redo::run(&args.own, &setup::workspace(&args.common, &dirs)?).map(done)?),
        Some(Command::Log(args)) => Ok(log::run(&args.own, &setup::workspace(&args.common, &dirs)?).map(done)?),
        Some(Command::Diff(args)) => Ok(diff::run(&args.own, &setup::workspace(&args.common, &dirs)?).map(done)?),
        Some(Command::Context(args)) => context::run(&args.own, &setup::index(&args.common, &dirs)?.1).map(done),
        Some(Command::Map(args)) => {
            let (workspace, index) = setup::index(&args.common, &dirs)?;
            map::run(&args.own, &index, &workspace).map(done)
        }
        Some(Command::Symbols(args)) => symbols::run(&args.own, &setup::index(&args.common, &dirs)?.1).map(done),
        Some(Command::Refs(args)) => refs::run(&args.own, &setup::index(&args.common, &dirs)?.1).map(done),
        Some(Command::Sessions(args)) => sessions::run(&args, &dirs).map(done),
        Some(Command::Export(args)) => export::run(&args, &dirs).map(done),
        Some(Command::Model(args)) => {
            let config = Config::load(&dirs, &std::env::current_dir().unwrap_or_default(), environment())?;
            Ok(model::run(args, &config, &dirs, cli.offline).map(done)?)
        }
        Some(Command::Key(args)) => key::run(&args).map(done),
        Some(Command::Dialect(args)) => dialect::run(args, &dirs).map(done),
        Some(Command::Doctor(args)) => diagnose(&args, &dirs, cli.offline),
        Some(Command::Bench(args)) => bench::run(&args, &dirs).map(done),
    }
}

/// `moru doctor`, with what only the parts above the model can find out.
fn diagnose(args: &WithModel<doctor::Args>, dirs: &Dirs, offline: bool) -> Result<ExitCode, Error> {
    let folder = std::env::current_dir().unwrap_or_default();
    let mut config = config(dirs, &folder, &args.model)?;
    if let Some(model) = &args.own.plan {
        return doctor::plan::run(model, &args.own, &config, dirs).map(|()| ExitCode::SUCCESS);
    }
    serve(&mut config, &args.own.server, offline);
    let probes = doctor::Probes {
        sandbox: setup::sandbox_ability(),
        servers: setup::language_servers(&config, &folder).map_err(|error| error.to_string()),
        speed: Box::new(|| setup::speed(&config, dirs)),
    };
    let works = if config.engine.is_some() {
        let findings = || setup::runtime()?.block_on(setup::probe(&config));
        doctor::run_server(&args.own, dirs, probes, &findings()?)
    } else {
        crate::engine::local::LocalEngine::prepare()?;
        doctor::run(&args.own, &config, dirs, probes)
    };
    let works = works.map_err(|e| Error::Other(format!("the report cannot be written: {e}")))?;
    Ok(if works { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// The environment's variables; those that are no text mean nothing here.
fn environment() -> impl Iterator<Item = (String, String)> {
    std::env::vars_os().filter_map(|(name, value)| Some((name.into_string().ok()?, value.into_string().ok()?)))
}

/// The settings for a folder, with what the command line says of the model.
fn config(dirs: &Dirs, folder: &std::path::Path, options: &ModelOptions) -> Result<Config, ConfigError> {
    let mut config = Config::load(dirs, folder, environment())?;
    if let Some(model) = &options.model {
        config.model.clone_from(model);
    }
    config.context = options.context.unwrap_or(config.context);
    config.threads = options.threads.unwrap_or(config.threads);
    config.gpu_layers = options.gpu_layers.or(config.gpu_layers);
    config.adapter = options.adapter.clone().or(config.adapter);
    config.draft_model = options.draft_model.clone().or(config.draft_model);
    config.dialect = options.dialect.clone().or(config.dialect);
    config.thinking = options.thinking.or(config.thinking);
    Ok(config)
}

/// The settings with what the command line says of servers.
fn serve(config: &mut Config, options: &ServerOptions, offline: bool) {
    config.engine = options.engine.clone().or(config.engine.take());
    config.api = options.api.or(config.api);
    config.template = options.template.clone().or(config.template.take());
    config.offline = offline;
}
