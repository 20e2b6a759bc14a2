//! Puts a session together from settings: workspace, model, profile, log.

use std::io::Write;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use super::doctor::SpeedTest;
use super::{Common, Error, key};
use crate::code::Index;
use crate::config::{Config, Dirs, ServerApi};
use crate::dialect::{Message, Role};
use crate::engine::local::{DraftOptions, LocalEngine, Options as EngineOptions, SnapshotPlace};
use crate::engine::remote::{self, RemoteEngine};
use crate::engine::{Engine, EngineError, ModelInfo, Sampling};
use crate::lsp::{self, Installed, Rules, Servers, UnknownServer};
use crate::model::catalog::SamplingDefaults;
use crate::model::device::{self, Machine};
use crate::model::fit::{self, Fit, Room};
use crate::model::{self, Entry, Gguf, ResolvedModel};
use crate::permission::{Mode, Policy};
use crate::sandbox::{self, Places, Sandbox};
use crate::session::profile::Workflow;
use crate::session::{Event, Log, Profile, Session, Settings, log, prompt, selftest};
use crate::tool::{self, CodeIndex, Registry};
use crate::workspace::{Options as WorkspaceOptions, Workspace};

/// Tokens of a draft model's context: what is written next hangs on what was said last.
const DRAFT_CONTEXT: usize = 8192;

/// The folder to work on, absolute.
pub fn folder(common: &Common) -> Result<PathBuf, Error> {
    let given = common.cwd.clone().unwrap_or_else(|| PathBuf::from("."));
    given.canonicalize().map_err(|source| Error::Folder { folder: given, source })
}

/// Opens the folder for commands that need no model.
pub fn workspace(common: &Common, dirs: &Dirs) -> Result<Workspace, Error> {
    open(&folder(common)?, dirs, false)
}

/// Opens the folder and brings its index up to date.
pub fn index(common: &Common, dirs: &Dirs) -> Result<(Workspace, Index), Error> {
    let workspace = workspace(common, dirs)?;
    let mut index = Index::open(workspace.root(), Some(tool::index_file(&dirs.cache, &workspace)));
    tool::refresh(&mut index, &workspace);
    Ok((workspace, index))
}

fn open(folder: &Path, dirs: &Dirs, dry_run: bool) -> Result<Workspace, Error> {
    Ok(Workspace::open(folder, WorkspaceOptions { state: dirs.state.clone(), dry_run })?)
}

/// Loads the model that the settings name.
pub fn engine(config: &Config, dirs: &Dirs) -> Result<LocalEngine, Error> {
    let found = model::resolve(&config.model, dirs)?;
    let machine = Machine::detect();
    // Their first call takes up llama.cpp's log.
    LocalEngine::prepare()?;
    let mut room = device::room_on(&machine, &device::devices(), config.context, config.gpu_layers);
    let dialect = wire_form(config, found.entry.as_ref(), &found.gguf).map(|(form, _)| form);
    let sampling = found.entry.as_ref().and_then(|entry| recommended(&entry.sampling));
    let adapter = config.adapter.as_deref().map(str::parse).transpose()?;
    let mut draft = draft(config, dirs, &found.gguf, &mut room).map(|(found, fit)| DraftOptions {
        path: found.path,
        context: fit.context,
        kv_type: fit.kv_type,
        gpu_layers: fit.gpu_layers,
        always: false,
    });
    loop {
        let fit = fit::fit(&found.gguf, &room)?;
        tracing::info!(model = found.name, %fit, "plan");
        let options = EngineOptions {
            path: found.path.clone(),
            name: found.name.clone(),
            context: fit.context,
            threads: threads(config, &machine),
            kv_type: fit.kv_type,
            gpu_layers: fit.gpu_layers,
            cpu_experts: fit.cpu_experts,
            adapter: adapter.clone(),
            draft: draft.clone(),
            dialect: dialect.clone(),
            thinking: config.thinking,
            sampling: sampling.clone(),
            snapshots: (config.snapshots > 0)
                .then(|| SnapshotPlace { folder: dirs.cache.join("kv"), limit: config.snapshots << 20 }),
        };
        match LocalEngine::load(&options) {
            Err(error @ EngineError::NoRoom(_)) if fit.gpu_layers > 0 && room.gpu_layers.is_none() => {
                // Another program may have taken what was free, or the driver needs more than was left to it.
                room = room.with_less_gpu();
                complain(&format!("{error}; trying again with less on the GPU"));
            }
            Err(EngineError::Draft(reason)) => {
                draft = None;
                complain(&format!("{reason}; going on without it"));
            }
            loaded => return Ok(loaded?),
        }
    }
}

/// The wire form that the settings, the model's entry or its profile ask for, and which of them; the template's own where none
/// does.
pub fn wire_form(config: &Config, entry: Option<&Entry>, gguf: &Gguf) -> Option<(String, &'static str)> {
    let set = config.dialect.clone().map(|form| (form, "the settings name it"));
    let named = entry.and_then(|entry| entry.dialect.clone()).map(|form| (form, "the catalog names it"));
    let of_profile = |changes| Profile::dialect_of(&gguf.architecture, gguf.parameters, changes);
    let suits = || {
        let form = of_profile(&config.profile)?;
        let is_own = of_profile(&[]).as_ref() == Some(&form);
        Some((form, if is_own { "it suits a model of this size" } else { "a [[profile]] of the settings names it" }))
    };
    set.or(named).or_else(suits)
}

/// The draft model that the settings name, and how it is loaded beside `model`. What it takes is no longer in `room`. One that
/// cannot be had, or would take the place of `model`, is left out with a word on stderr: it is for speed alone.
pub fn draft(config: &Config, dirs: &Dirs, model: &Gguf, room: &mut Room) -> Option<(ResolvedModel, Fit)> {
    let name = config.draft_model.as_deref().filter(|name| !matches!(*name, "" | "none"))?;
    match beside(name, dirs, model, room) {
        Ok((found, fit)) => {
            tracing::info!(model = found.name, %fit, "plan of the draft model");
            *room = room.without(&fit);
            Some((found, fit))
        }
        Err(reason) => {
            complain(&format!("the draft model {name} is left out: {reason}"));
            None
        }
    }
}

fn beside(name: &str, dirs: &Dirs, model: &Gguf, room: &Room) -> Result<(ResolvedModel, Fit), String> {
    let found = model::resolve(name, dirs).map_err(|e| e.to_string())?;
    if found.gguf.size > model.size / 2 {
        return Err("it is not much smaller than the model; take one that is".into());
    }
    let alone = fit::fit(model, room).map_err(|e| e.to_string())?;
    let context = if room.context == 0 { DRAFT_CONTEXT } else { room.context.min(DRAFT_CONTEXT) };
    // All of it goes where the model goes, of which a part may be told to.
    let gpu_layers = room.gpu_layers.filter(|&layers| layers == 0);
    let fit = fit::fit(&found.gguf, &Room { context, gpu_layers, ..room.clone() }).ok();
    let fit = fit.filter(|fit| fit.cpu_experts.is_empty());
    let leaves_enough = |fit: &Fit| {
        fit::fit(model, &room.without(fit))
            .is_ok_and(|with| (with.gpu_layers, with.cpu_experts.len()) == (alone.gpu_layers, alone.cpu_experts.len()))
    };
    let fit = fit.filter(leaves_enough);
    fit.map(|fit| (found, fit)).ok_or_else(|| "there is no room for it beside the model; close other programs".into())
}

/// How the catalog says to sample; `None` where it says nothing.
fn recommended(given: &SamplingDefaults) -> Option<Sampling> {
    let usual = Sampling::default();
    let sampling = Sampling {
        temperature: given.temperature.unwrap_or(usual.temperature),
        top_k: given.top_k.unwrap_or(usual.top_k),
        top_p: given.top_p.unwrap_or(usual.top_p),
        min_p: given.min_p.unwrap_or(0.0),
        repeat_penalty: given.repeat_penalty.unwrap_or(usual.repeat_penalty),
        seed: usual.seed,
    };
    (*given != SamplingDefaults::default()).then_some(sampling)
}

/// The most threads that the model may use.
pub fn threads(config: &Config, machine: &Machine) -> usize {
    if config.threads == 0 { machine.physical_cores } else { config.threads }
}

/// A line on stderr, for what happens before there is a session to tell it.
fn complain(text: &str) {
    tracing::warn!(text);
    let _ = writeln!(std::io::stderr(), "moru: {text}");
}

/// The engine that the settings name: a server's, or a model in this process. With it, what the user should know of it.
async fn any_engine(config: &Config, dirs: &Dirs) -> Result<(Arc<dyn Engine>, Vec<String>), Error> {
    if config.engine.is_none() {
        return Ok((Arc::new(engine(config, dirs)?), Vec::new()));
    }
    let engine = server(config).await?;
    let warnings = engine.warnings();
    Ok((Arc::new(engine), warnings))
}

/// The server's key: as the settings give it, or from the keyring where they say so. All servers of one setting share it.
async fn api_key(config: &Config) -> Result<Option<remote::Key>, Error> {
    let Some(given) = config.api_key.as_ref().map(|key| key.reveal().to_owned()) else { return Ok(None) };
    let key = if given == key::KEYRING {
        let first =
            config.engine.as_deref().unwrap_or_default().split(',').next().unwrap_or_default().trim().to_owned();
        let asked = tokio::task::spawn_blocking(move || key::stored(&first)).await;
        asked.map_err(|_| Error::Other("the keyring could not be asked; set MORU_API_KEY instead".into()))??
    } else {
        given
    };
    Ok(Some(remote::Key::new(&key).map_err(EngineError::from)?))
}

/// Connects to the server that the settings name.
pub async fn server(config: &Config) -> Result<RemoteEngine, Error> {
    let options = remote::Options {
        addresses: config.engine.clone().unwrap_or_default(),
        key: api_key(config).await?,
        reach: if config.offline { remote::Reach::Loopback } else { remote::Reach::Anywhere },
        // The default is a local model's name, which no server need know.
        model: (config.model != Config::default().model).then(|| config.model.clone()),
        context: config.context,
        api: config.api.map(|api| match api {
            ServerApi::Chat => remote::Api::Chat,
            ServerApi::Completions => remote::Api::Completions,
        }),
        dialect: config.dialect.clone(),
        thinking: config.thinking,
        suits: remote::Suits::new({
            let changes = config.profile.clone();
            move |architecture, parameters| Profile::dialect_of(architecture, parameters, &changes)
        }),
        template: config.template.clone(),
        idle: Duration::from_secs(config.engine_timeout),
    };
    Ok(RemoteEngine::connect(&options).await.map_err(EngineError::from)?)
}

/// What the server can do.
pub async fn probe(config: &Config) -> Result<Vec<remote::Finding>, Error> {
    Ok(remote::probe(&server(config).await?).await)
}

/// What is waited for before a session begins.
pub fn loading(config: &Config) -> String {
    match &config.engine {
        Some(_) => "connecting to the server".into(),
        None => format!("loading {}", config.model),
    }
}

/// The profile for a model; one of which no size is known is taken for a large one, and the self-test tells otherwise.
fn profile(config: &Config, info: &ModelInfo) -> Result<Profile, Error> {
    let parameters = if info.parameters == 0 { u64::MAX } else { info.parameters };
    Ok(Profile::changed(&ModelInfo { parameters, ..info.clone() }, &config.profile)?)
}

/// Where what the self-test finds is kept: a server's model is known by the server too.
fn test_folder(dirs: &Dirs, config: &Config, info: &ModelInfo) -> PathBuf {
    let plain = |c: char| if c.is_ascii_alphanumeric() || c == '.' || c == '-' { c } else { '_' };
    match &config.engine {
        Some(_) => dirs.state.join("servers").join(info.device.chars().map(plain).collect::<String>()),
        None => dirs.state.clone(),
    }
}

/// How a session is to begin.
#[derive(Debug, Clone, Default)]
pub struct Begin {
    /// A session's name, or `last`.
    pub resume: Option<String>,
    pub dry_run: bool,
    /// Somebody can be asked for permission.
    pub interactive: bool,
}

/// A session that is ready to start, and what a resumed one had published.
pub struct Ready {
    pub session: Session,
    pub past: Vec<Event>,
    /// Something that the user should know before it starts.
    pub notices: Vec<String>,
}

/// Puts a session together.
pub async fn session(config: &Config, dirs: &Dirs, common: &Common, begin: &Begin) -> Result<Ready, Error> {
    let folder = folder(common)?;
    let workspace = Arc::new(open(&folder, dirs, begin.dry_run)?);
    let mut notices = Vec::new();
    let (log, past) = match &begin.resume {
        Some(id) if begin.dry_run => (Log::nowhere(), log::find(&dirs.state, workspace.root(), id)?.1),
        Some(id) => {
            let resumed = Log::resume(&dirs.state, workspace.root(), id)?;
            (resumed.log, resumed.events)
        }
        None if begin.dry_run => (Log::nowhere(), Vec::new()),
        None => {
            let log = Log::create(&dirs.state, workspace.root()).unwrap_or_else(|error| {
                notices.push(error.to_string());
                Log::nowhere()
            });
            (log, Vec::new())
        }
    };
    let (engine, warnings) = any_engine(config, dirs).await?;
    notices.extend(warnings);
    let profile = profile(config, engine.info())?;
    let tools = Registry::new(tool::builtin());
    for name in &profile.tools {
        tools
            .get(name)
            .map_err(|error| Error::Other(format!("a [[profile]] of the settings is not right: {error}")))?;
    }
    // What is not there when the sandbox is made cannot be kept from whoever runs in it.
    for folder in [&dirs.state, &dirs.cache] {
        let _ = std::fs::create_dir_all(folder);
    }
    let places = Places::new(|name| std::env::var_os(name), &[&dirs.state, &dirs.config, &dirs.cache]);
    let sandbox = Sandbox::new(workspace.root(), &places, config.network && !config.offline);
    // A dry run writes nothing, and what a server writes is not in Moru's hands.
    let servers = if begin.dry_run { Vec::new() } else { language_servers(config, workspace.root())? };
    let servers = Servers::new(workspace.root(), &sandbox, &servers);
    let mut transcript = vec![Message::new(Role::System, prompt::system(&workspace, &*engine))];
    transcript.extend(log::transcript(&past));
    let turns = past.iter().filter(|event| matches!(event, Event::TurnStarted { .. })).count();
    let index = CodeIndex::new(tool::index_file(&dirs.cache, &workspace));
    let mut session = Session {
        engine,
        workspace,
        tools,
        profile: profile.clone(),
        settings: settings(config, &profile, begin, (sandbox, index, servers)),
        policy: Policy::new(config.mode),
        transcript,
        log,
        news: Vec::new(),
        turn: u32::try_from(turns).unwrap_or(u32::MAX - 1) + 1,
        requests: log::requests(&past),
    };
    // Whoever is led step by step is made to call.
    if profile.workflow == Workflow::Free {
        let folder = test_folder(dirs, config, session.engine.info());
        let first = || complain("trying out whether this model calls tools by itself; this is done once");
        if !selftest::run(&*session.engine, &folder, &session.specs(), first).await?.calls {
            notices.push("this model does not call tools by itself, so Moru leads it step by step".to_owned());
            session.profile = profile.guided(session.engine.info());
        }
    }
    Ok(Ready { session, past, notices })
}

fn settings(
    config: &Config,
    profile: &Profile,
    begin: &Begin,
    (sandbox, index, servers): (Sandbox, CodeIndex, Servers),
) -> Settings {
    Settings {
        interactive: begin.interactive,
        check: config.check.clone(),
        trust_check: config.trust_check && config.check.is_some(),
        check_attempts: config.check_attempts.unwrap_or(config.effort.attempts()),
        budget: Duration::from_secs(config.budget.unwrap_or(config.effort.budget())),
        max_steps: if config.max_steps == 0 { profile.max_steps } else { config.max_steps },
        command_timeout: Duration::from_secs(config.command_timeout),
        sandbox: Arc::new(sandbox),
        index: Arc::new(index),
        servers: Arc::new(servers),
    }
}

/// The runtime that a session runs on.
pub fn runtime() -> Result<tokio::runtime::Runtime, Error> {
    tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()
        .map_err(|e| Error::Other(format!("the program's threads cannot be started: {e}")))
}

/// What holds commands back on this machine: one sentence, or what is missing.
pub fn sandbox_ability() -> Result<String, String> {
    let ability = sandbox::ability();
    let guards = [&ability.files, &ability.network, &ability.processes];
    let sentences = guards.map(|guard| guard.sentence.as_str()).join(" ");
    if guards.iter().all(|guard| guard.enforced) { Ok(sentences) } else { Err(sentences) }
}

/// The language servers that are installed, and which of them the settings allow in the folder `root`.
pub fn language_servers(config: &Config, root: &Path) -> Result<Vec<Installed>, Error> {
    let allowed =
        config.language_servers.parse().map_err(|unknown: UnknownServer| Error::Other(unknown.to_string()))?;
    let ability = sandbox::ability();
    let rules = Rules {
        allowed: &allowed,
        root,
        confined: ability.files.enforced && ability.network.enforced,
        trusted: config.mode == Mode::Yes,
    };
    Ok(lsp::installed(&std::env::var_os("PATH").unwrap_or_default(), &rules))
}

/// A short speed test of the configured model.
pub fn speed(config: &Config, dirs: &Dirs) -> Result<SpeedTest, String> {
    let config = Config { context: 1024, ..config.clone() };
    let measured = engine(&config, dirs).and_then(|engine| Ok(runtime()?.block_on(engine.measure(0, 128, 32))?));
    measured.map(|speed| SpeedTest { prefill: speed.prefill, decode: speed.decode }).map_err(|e| e.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::Catalog;

    #[test]
    fn no_entry_takes_the_place_of_the_form_that_suits_a_small_model() {
        let nowhere = tempfile::tempdir().unwrap();
        for entry in Catalog::load(nowhere.path()).unwrap().iter() {
            let suits = Profile::dialect_of(&entry.architecture, entry.parameters, &[]);
            assert!(entry.dialect.is_none() || suits.is_none(), "{}", entry.name);
        }
    }
}
