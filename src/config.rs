//! Settings: defaults < the user's file < the folder's file < environment < flags. Every key is documented once, here, and
//! shown by `docs/configuration.md`.

use std::fmt;
use std::path::{Path, PathBuf};

use etcetera::{BaseStrategy, HomeDirError};
use serde::{Deserialize, Serialize, Serializer};
use toml::{Table, Value};

use crate::dialect::Thinking;
use crate::permission::Mode;

/// Keys that the folder's file may not set: whoever sends you a repository must not decide what it may do to you.
const OWN_KEYS: &[&str] =
    &["mode", "network", "engine", "api-key", "template", "adapter", "draft-model", "language-servers"];
/// What environment variables for settings begin with: `MORU_MODEL`, `MORU_COMMAND_TIMEOUT`, …
const PREFIX: &str = "MORU_";

/// Moru's folders, after the XDG base directory specification. Found by the binary and handed down.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Dirs {
    /// `$XDG_CONFIG_HOME/moru`: `config.toml`, `models.toml`.
    pub config: PathBuf,
    /// `$XDG_DATA_HOME/moru`: models.
    pub data: PathBuf,
    /// `$XDG_STATE_HOME/moru`: sessions, private repositories, the log.
    pub state: PathBuf,
    /// `$XDG_CACHE_HOME/moru`: what can be made again.
    pub cache: PathBuf,
}

impl Dirs {
    /// From `HOME` and the `XDG_…` variables.
    ///
    /// # Errors
    /// There is no home folder.
    pub fn from_environment() -> Result<Self, HomeDirError> {
        let base = etcetera::choose_base_strategy()?;
        let data = base.data_dir().join("moru");
        Ok(Self {
            config: base.config_dir().join("moru"),
            state: base.state_dir().unwrap_or_else(|| base.data_dir()).join("moru"),
            cache: base.cache_dir().join("moru"),
            data,
        })
    }
}

/// A value that is shown nowhere: neither by `Debug` nor in what is written out.
#[derive(Clone, PartialEq, Eq, Deserialize)]
#[serde(transparent)]
pub struct Secret(String);

impl Secret {
    /// The value itself.
    pub fn reveal(&self) -> &str {
        &self.0
    }
}

impl From<&str> for Secret {
    fn from(value: &str) -> Self {
        Self(value.to_owned())
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret")
    }
}

impl Serialize for Secret {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str("(secret)")
    }
}

/// Which part of a server's API is used.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum ServerApi {
    /// The server renders prompts and reads calls.
    Chat,
    /// Moru renders prompts and reads calls.
    Completions,
}

/// All settings, each with its default.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields, rename_all = "kebab-case")]
pub struct Config {
    /// A name from the catalog or the path of a GGUF; with `engine`, what the server calls it, its first model where absent.
    pub model: String,
    /// Tokens of context; 0 takes what the model was trained for and memory holds.
    pub context: usize,
    /// Threads for the model; 0 takes the physical cores.
    pub threads: usize,
    /// Layers on the GPU; absent takes as many as fit.
    pub gpu_layers: Option<u32>,
    /// A LoRA adapter for the model, `FILE[:SCALE]`. Not from the folder's file.
    pub adapter: Option<String>,
    /// A small model of the same vocabulary that guesses what the model will write, named as `model` is; `none` is none. Not from the
    /// folder's file.
    pub draft_model: Option<String>,
    /// Megabytes of the disk that KV caches may take for faster starts; 0 keeps none.
    pub snapshots: u64,
    /// The wire form of tool calls; absent takes the profile's or the template's.
    pub dialect: Option<String>,
    /// How much a reasoning model thinks before it answers: `off`, `low`, `medium` or `high`; absent leaves it to its template.
    pub thinking: Option<Thinking>,
    /// Addresses of servers that run the model, separated by commas; absent runs it in this process. Not from the folder's
    /// file.
    pub engine: Option<String>,
    /// Which part of the server's API is used; absent chooses by what the server tells.
    pub api: Option<ServerApi>,
    /// The server's API key, or `keyring` for what `moru key set` put there; best set as `MORU_API_KEY`. Not from the folder's
    /// file.
    pub api_key: Option<Secret>,
    /// A file with the model's chat template, for completions on servers that do not tell it. Not from the folder's file.
    pub template: Option<PathBuf>,
    /// Seconds that a server may say nothing.
    pub engine_timeout: u64,
    /// How much is allowed without asking: `ask`, `edits` or `yes`. Not from the folder's file.
    pub mode: Mode,
    /// Run after the last edit of a turn; its failure goes back to the model. One from the folder's file runs by itself only
    /// where the mode is `yes`.
    pub check: Option<String>,
    /// How much is tried where a check fails: `quick`, `normal`, `high` or `max`.
    pub effort: Effort,
    /// How often a failed check goes back to the model; absent takes the effort's.
    pub check_attempts: Option<u32>,
    /// Seconds of a turn after which no further try at a change begins; absent takes the effort's.
    pub budget: Option<u64>,
    /// Model calls in one turn; 0 takes the profile's.
    pub max_steps: usize,
    /// Seconds after which a command is ended with its whole process tree.
    pub command_timeout: u64,
    /// Commands may use the network. Not from the folder's file.
    pub network: bool,
    /// Which language servers say what is wrong after an edit: `safe`, `all`, `none`, or names separated by commas. Not from
    /// the folder's file.
    pub language_servers: String,
    /// What is changed of the profiles, by entries with any of a profile's fields; in the files alone. Those of the folder come
    /// last.
    pub profile: Vec<Table>,
    /// Where the check comes from; no key of its own.
    #[serde(skip)]
    pub trust_check: bool,
    /// `--offline`; no key of its own.
    #[serde(skip)]
    pub offline: bool,
}

/// How much is tried before a change is given up.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, clap::ValueEnum)]
#[serde(rename_all = "kebab-case")]
pub enum Effort {
    /// One try, and one more where a check fails.
    Quick,
    Normal,
    High,
    Max,
}

impl Effort {
    /// How often a failed check goes back to the model.
    pub fn attempts(self) -> u32 {
        match self {
            Self::Quick => 1,
            Self::Normal => 23,
            Self::High => 47,
            Self::Max => 127,
        }
    }

    /// Seconds of a turn after which no further try begins.
    pub fn budget(self) -> u64 {
        match self {
            Self::Quick => 60,
            Self::Normal => 180,
            Self::High => 240,
            Self::Max => 280,
        }
    }
}

impl Default for Config {
    fn default() -> Self {
        Self {
            model: "qwen2.5-coder-1.5b".into(),
            context: 0,
            threads: 0,
            gpu_layers: None,
            adapter: None,
            draft_model: None,
            snapshots: 2048,
            dialect: None,
            thinking: None,
            engine: None,
            api: None,
            api_key: None,
            template: None,
            engine_timeout: 300,
            mode: Mode::Ask,
            check: None,
            effort: Effort::Normal,
            check_attempts: None,
            budget: None,
            max_steps: 0,
            command_timeout: 60,
            network: false,
            language_servers: "safe".into(),
            profile: Vec::new(),
            trust_check: false,
            offline: false,
        }
    }
}

/// Why settings cannot be taken.
#[derive(Debug, thiserror::Error)]
pub enum ConfigError {
    #[error("{path} cannot be read: {source}")]
    Read { path: PathBuf, source: std::io::Error },
    #[error("{origin} is not right: {reason}")]
    Invalid { origin: String, reason: String },
    #[error("{path} sets `{key}`, which only your own settings may; put it into {own} or remove it")]
    NotYours { path: PathBuf, key: String, own: PathBuf },
}

impl Config {
    /// Reads all layers below the flags. `environment` is what [`std::env::vars`] gives.
    ///
    /// # Errors
    /// A file cannot be read, or a key or value is not right.
    pub fn load(
        dirs: &Dirs,
        folder: &Path,
        environment: impl Iterator<Item = (String, String)>,
    ) -> Result<Self, ConfigError> {
        let (own, project) = (dirs.config.join("config.toml"), folder.join(".moru/config.toml"));
        let mut table = read(&own)?;
        let from_folder = read(&project)?;
        if let Some(key) = OWN_KEYS.iter().find(|key| from_folder.contains_key(**key)) {
            return Err(ConfigError::NotYours { path: project, key: (*key).into(), own });
        }
        let from_environment = environment_table(environment)?;
        let trust_check = from_environment.contains_key("check") || !from_folder.contains_key("check");
        let profiles = [&table, &from_folder].map(|table| table.get("profile").and_then(Value::as_array));
        let profiles: Vec<Value> = profiles.into_iter().flatten().flatten().cloned().collect();
        table.extend(from_folder);
        table.extend(from_environment);
        table.insert("profile".into(), Value::Array(profiles));
        let config: Self = table.try_into().map_err(|e: toml::de::Error| invalid("the configuration", e.message()))?;
        Ok(Self { trust_check, ..config })
    }
}

fn read(path: &Path) -> Result<Table, ConfigError> {
    let text = match std::fs::read_to_string(path) {
        Ok(text) => text,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(Table::new()),
        Err(source) => return Err(ConfigError::Read { path: path.to_owned(), source }),
    };
    let table: Table = text.parse().map_err(|e: toml::de::Error| invalid(path.display(), e.message()))?;
    // The whole is checked again when it is complete; here the message can name the file.
    table.clone().try_into::<Config>().map_err(|e| invalid(path.display(), e.message()))?;
    Ok(table)
}

fn environment_table(environment: impl Iterator<Item = (String, String)>) -> Result<Table, ConfigError> {
    let known = Table::try_from(Config {
        gpu_layers: Some(0),
        adapter: Some(String::new()),
        draft_model: Some(String::new()),
        dialect: Some(String::new()),
        check: Some(String::new()),
        engine: Some(String::new()),
        api: Some(ServerApi::Chat),
        api_key: Some("".into()),
        template: Some(PathBuf::new()),
        thinking: Some(Thinking::Off),
        check_attempts: Some(0),
        budget: Some(0),
        ..Config::default()
    })
    .map_err(|e| invalid("the configuration", e))?;
    let mut table = Table::new();
    for (name, text) in environment {
        let Some(key) = name.strip_prefix(PREFIX).map(|k| k.to_ascii_lowercase().replace('_', "-")) else { continue };
        let wrong = |what: &str| invalid(&name, format!("`{text}` is no {what}"));
        let value = match known.get(&key) {
            Some(Value::Integer(_)) => Value::Integer(text.parse().map_err(|_| wrong("number"))?),
            Some(Value::Boolean(_)) => Value::Boolean(text.parse().map_err(|_| wrong("true or false"))?),
            Some(Value::Array(_)) | None => continue,
            Some(_) => Value::String(text),
        };
        table.insert(key, value);
    }
    Ok(table)
}

fn invalid(origin: impl ToString, reason: impl ToString) -> ConfigError {
    ConfigError::Invalid { origin: origin.to_string(), reason: reason.to_string() }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn load(own: &str, project: &str, environment: &[(&str, &str)]) -> Result<Config, ConfigError> {
        let home = tempfile::tempdir().unwrap();
        let path = home.path();
        std::fs::create_dir_all(path.join("folder/.moru")).unwrap();
        std::fs::write(path.join("config.toml"), own).unwrap();
        std::fs::write(path.join("folder/.moru/config.toml"), project).unwrap();
        let dirs = Dirs { config: path.into(), data: path.into(), state: path.into(), cache: path.into() };
        let vars = environment.iter().map(|&(k, v)| (k.to_owned(), v.to_owned()));
        Config::load(&dirs, &path.join("folder"), vars)
    }

    #[test]
    fn later_layers_win() {
        let config =
            load("context = 1\nthreads = 1", "context = 2", &[("MORU_CONTEXT", "3"), ("MORU_OTHER", "x")]).unwrap();
        assert_eq!((config.context, config.threads), (3, 1));
        let given = [("MORU_BUDGET", "60"), ("MORU_CHECK_ATTEMPTS", "4"), ("MORU_THINKING", "low")];
        let config = load("budget = 1", "", &given).unwrap();
        assert_eq!((config.budget, config.check_attempts, config.thinking), (Some(60), Some(4), Some(Thinking::Low)));
    }

    #[test]
    fn profiles_of_both_files_count_the_folders_last() {
        let config = load("[[profile]]\nlines = false", "[[profile]]\nlines = true", &[("MORU_PROFILE", "x")]).unwrap();
        let lines: Vec<Option<bool>> = config.profile.iter().map(|entry| entry["lines"].as_bool()).collect();
        assert_eq!(lines, [Some(false), Some(true)]);
    }

    #[test]
    fn a_folder_does_not_decide_what_it_may_do() {
        assert!(matches!(load("", "mode = \"yes\"", &[]), Err(ConfigError::NotYours { .. })));
        assert!(load("check = \"make\"", "", &[]).unwrap().trust_check);
        assert!(!load("check = \"make\"", "check = \"rm\"", &[]).unwrap().trust_check);
    }

    #[test]
    fn a_folder_names_no_server_and_a_key_is_shown_nowhere() {
        for line in [
            "language-servers = \"all\"",
            "engine = \"http://evil\"",
            "api-key = \"x\"",
            "template = \"/etc/passwd\"",
            "adapter = \"x\"",
            "draft-model = \"x\"",
        ] {
            assert!(matches!(load("", line, &[]), Err(ConfigError::NotYours { .. })), "{line}");
        }
        let config = load("engine = \"localhost:1\"\napi = \"chat\"", "", &[("MORU_API_KEY", "sk-1")]).unwrap();
        assert_eq!(config.api_key.as_ref().map(Secret::reveal), Some("sk-1"));
        assert!(!format!("{config:?}").contains("sk-1"));
        assert!(!toml::to_string(&config).unwrap().contains("sk-1"));
    }

    #[test]
    fn what_is_wrong_is_named() {
        let message = |result: Result<Config, ConfigError>| result.unwrap_err().to_string();
        assert!(message(load("modle = \"x\"", "", &[])).contains("modle"));
        assert!(message(load("", "", &[("MORU_THREADS", "two")])).contains("`two` is no number"));
    }
}
