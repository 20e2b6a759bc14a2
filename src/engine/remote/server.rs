//! What a server is and can do: found out once, by asking it, from what each kind documents.
//!
//! | kind | told by `owned_by` in `/v1/models` | more from |
//! |---|---|---|
//! | llama-server | `llamacpp` | `/props`, `/tokenize` |
//! | vLLM | `vllm` | `/version` |
//! | SGLang | `sglang` | `/get_server_info` |
//! | Ollama | `library` | `/api/version`, `/api/show`, `/api/ps` |
//! | LM Studio | `organization_owner` | `/api/v0/models` |
//! | TensorRT-LLM | `tensorrt_llm` | `/version` |

use std::fmt;

use serde_json::{Value, json};

use super::RemoteError;
use super::endpoint::{ASK, Endpoint, Failure};

/// A kind of server, by its dialect of the OpenAI API.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Kind {
    LlamaServer,
    Vllm,
    SgLang,
    Ollama,
    LmStudio,
    TensorRt,
    /// Something that speaks the common part of the API.
    #[default]
    Other,
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::LlamaServer => "llama-server",
            Self::Vllm => "vLLM",
            Self::SgLang => "SGLang",
            Self::Ollama => "Ollama",
            Self::LmStudio => "LM Studio",
            Self::TensorRt => "TensorRT-LLM",
            Self::Other => "an OpenAI-compatible server",
        })
    }
}

/// How a server continues a prompt that we rendered.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Raw {
    /// llama-server's own `/completion`, which tells more than its `/v1/completions`.
    Native,
    /// `/v1/completions`.
    OpenAi,
}

/// How a server is told what it may write.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Structure {
    /// `grammar` (GBNF) and `json_schema`.
    LlamaCpp,
    /// `structured_outputs`.
    Vllm,
    /// `guided_choice`, `guided_json`: vLLM before 0.11.
    VllmGuided,
    /// `ebnf` and `json_schema`.
    SgLang,
    /// `response_format` with a JSON schema.
    ResponseFormat,
}

/// How an answer's beginning is put into a server's mouth.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Prefill {
    /// A last message of the assistant is continued as it is.
    Message,
    /// The same, where `continue_final_message` says so.
    Flag,
    None,
}

/// A server's facts.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Server {
    pub kind: Kind,
    pub version: Option<String>,
    /// The model that is asked for, as the server calls it.
    pub model: String,
    /// Where it was loaded from, where it tells: a repository or a path, whatever the model is called.
    pub root: Option<String>,
    /// All that it serves.
    pub models: Vec<String>,
    /// Tokens of context, where it tells.
    pub context: Option<usize>,
    /// Parameters of the model, where it tells or the name does.
    pub parameters: Option<u64>,
    /// Bytes of the weights, where it tells.
    pub size: Option<u64>,
    /// `general.architecture`, where it tells.
    pub architecture: Option<String>,
    /// The model's chat template, where it tells.
    pub template: Option<String>,
    pub bos_token: String,
    pub eos_token: String,
    /// It begins every raw prompt with `bos_token` itself.
    pub adds_bos: bool,
    /// Requests that it works on at a time, where it tells.
    pub slots: Option<u64>,
}

impl Server {
    /// Asks `endpoint`. `model` is what the user wants; the first one of the server's where `None`.
    ///
    /// # Errors
    /// It cannot be reached, refuses the key, is no such server, or lacks the model.
    pub(super) async fn survey(endpoint: &Endpoint, model: Option<&str>) -> Result<Self, Failure> {
        let list = endpoint.get("/v1/models").await.map_err(|failure| not_a_server(endpoint, failure))?;
        let cards = list["data"].as_array().map(Vec::as_slice).unwrap_or_default();
        let id = |card: &Value| card["id"].as_str().map(str::to_owned);
        let models: Vec<String> = cards.iter().filter_map(id).collect();
        let (model, card) = chosen(endpoint, &models, cards, model).map_err(Failure::last)?;
        let kind = kind(&list, card);
        let number = |value: &Value| value.as_u64().filter(|n| *n > 0);
        let mut server = Self {
            kind,
            parameters: number(&card["meta"]["n_params"]).or_else(|| parameters_in(&model)),
            size: number(&card["meta"]["size"]),
            context: number(&card["max_model_len"]).map(|n| n as usize),
            root: card["root"].as_str().filter(|root| *root != model).map(str::to_owned),
            model,
            models,
            ..Self::default()
        };
        server.more(endpoint).await;
        tracing::info!(place = endpoint.place(), %kind, version = server.version, model = server.model, "server");
        Ok(server)
    }

    /// What only this kind of server tells. What it does not tell stays unknown.
    async fn more(&mut self, endpoint: &Endpoint) {
        let text = |value: &Value| value.as_str().filter(|text| !text.is_empty()).map(str::to_owned);
        let get = async |path: &str| endpoint.get(path).await.unwrap_or_default();
        match self.kind {
            Kind::LlamaServer => {
                let props = get("/props").await;
                self.version = text(&props["build_info"]);
                self.template = text(&props["chat_template"]);
                self.bos_token = text(&props["bos_token"]).unwrap_or_default();
                self.eos_token = text(&props["eos_token"]).unwrap_or_default();
                self.slots = props["total_slots"].as_u64();
                self.context = props["default_generation_settings"]["n_ctx"].as_u64().map(|n| n as usize);
                let empty = endpoint.ask("/tokenize", &json!({"content": "", "add_special": true}), ASK).await;
                self.adds_bos = empty.is_ok_and(|v| v["tokens"].as_array().is_some_and(|t| !t.is_empty()));
            }
            Kind::SgLang => self.version = text(&get("/get_server_info").await["version"]),
            Kind::Ollama => {
                self.version = text(&get("/api/version").await["version"]);
                let shown = endpoint.ask("/api/show", &json!({"model": self.model}), ASK).await.unwrap_or_default();
                self.describe_ollama(&shown, &get("/api/ps").await);
            }
            Kind::LmStudio => {
                let list = get("/api/v0/models").await;
                let card = list["data"].as_array().into_iter().flatten().find(|c| c["id"] == self.model.as_str());
                let card = card.unwrap_or(&Value::Null);
                let context = card["loaded_context_length"].as_u64().or_else(|| card["max_context_length"].as_u64());
                self.context = context.map(|n| n as usize).or(self.context);
                self.architecture = text(&card["arch"]);
            }
            Kind::Vllm | Kind::TensorRt | Kind::Other => {
                let version = get("/version").await;
                self.version = text(&version["version"]).or_else(|| text(&version));
            }
        }
    }

    /// From `/api/show` and `/api/ps`. A model that is not loaded yet will get 4096 tokens, unless its parameters say more.
    fn describe_ollama(&mut self, shown: &Value, loaded: &Value) {
        let info = &shown["model_info"];
        self.architecture = info["general.architecture"].as_str().map(str::to_owned);
        self.parameters = info["general.parameter_count"].as_u64().or(self.parameters);
        let loaded = loaded["models"].as_array().into_iter().flatten().find(|m| m["model"] == self.model.as_str());
        let configured = shown["parameters"].as_str().unwrap_or_default().lines().find_map(|line| {
            let (name, value) = line.split_once(char::is_whitespace)?;
            (name == "num_ctx").then(|| value.trim().parse().ok())?
        });
        let loaded = loaded.and_then(|model| model["context_length"].as_u64()).map(|n| n as usize);
        self.context = loaded.or(configured).or(Some(4096));
    }

    /// How it continues a prompt that we rendered, if it does: Ollama's `/v1/completions` renders the prompt once more.
    pub(super) fn raw(&self) -> Option<Raw> {
        match self.kind {
            Kind::LlamaServer => Some(Raw::Native),
            Kind::Ollama => None,
            Kind::Vllm | Kind::SgLang | Kind::LmStudio | Kind::TensorRt | Kind::Other => Some(Raw::OpenAi),
        }
    }

    pub(super) fn structure(&self) -> Structure {
        match self.kind {
            Kind::LlamaServer => Structure::LlamaCpp,
            Kind::Vllm if self.is_older_than(0, 11) => Structure::VllmGuided,
            Kind::Vllm => Structure::Vllm,
            Kind::SgLang => Structure::SgLang,
            Kind::Ollama | Kind::LmStudio | Kind::TensorRt | Kind::Other => Structure::ResponseFormat,
        }
    }

    pub(super) fn prefill(&self) -> Prefill {
        match self.kind {
            Kind::LlamaServer | Kind::Ollama => Prefill::Message,
            Kind::Vllm | Kind::SgLang => Prefill::Flag,
            Kind::LmStudio | Kind::TensorRt | Kind::Other => Prefill::None,
        }
    }

    /// Whether it can be told to write special tokens out, of which some families make the marks of calls. A vLLM before 0.8
    /// dies of that where it has Mistral's tokenizer.
    pub(super) fn writes_special(&self) -> bool {
        match self.kind {
            Kind::Vllm => !self.is_older_than(0, 8),
            Kind::SgLang => true,
            Kind::LlamaServer | Kind::Ollama | Kind::LmStudio | Kind::TensorRt | Kind::Other => false,
        }
    }

    /// Whether it counts tokens for others. SGLang does in its newer versions.
    pub(super) fn tokenizes(&self) -> bool {
        matches!(self.kind, Kind::LlamaServer | Kind::Vllm | Kind::SgLang)
    }

    fn is_older_than(&self, major: u32, minor: u32) -> bool {
        let version = self.version.as_deref().unwrap_or_default().trim_start_matches('v');
        let mut parts = version.split('.').map_while(|part| part.parse::<u32>().ok());
        parts.next().zip(parts.next()).is_some_and(|found| found < (major, minor))
    }
}

/// A failure of the first question, told as what it most likely is.
fn not_a_server(endpoint: &Endpoint, failure: Failure) -> Failure {
    match failure.error {
        RemoteError::Refused { status: 404 | 405, .. } => {
            let reason = "it has no /v1/models".to_owned();
            Failure::last(RemoteError::Protocol { place: endpoint.place(), reason })
        }
        _ => failure,
    }
}

/// The model that is meant and what the server says of it.
fn chosen<'c>(
    endpoint: &Endpoint,
    models: &[String],
    cards: &'c [Value],
    wanted: Option<&str>,
) -> Result<(String, &'c Value), RemoteError> {
    let place = || endpoint.place();
    let Some(wanted) = wanted else {
        let first = models.first().cloned().ok_or_else(|| RemoteError::NoModel { place: place() })?;
        return Ok((first, cards.first().unwrap_or(&Value::Null)));
    };
    // llama-server calls its model by its path and answers to any name; Ollama leaves out `:latest`.
    let matches = |card: &&Value| {
        let id = card["id"].as_str().unwrap_or_default();
        id == wanted
            || id == format!("{wanted}:latest")
            || std::path::Path::new(id).file_stem().is_some_and(|s| s == wanted)
    };
    let card = cards.iter().find(matches).ok_or_else(|| RemoteError::Model {
        place: place(),
        model: wanted.to_owned(),
        known: if models.is_empty() { "none".into() } else { models.join(", ") },
    })?;
    Ok((card["id"].as_str().unwrap_or(wanted).to_owned(), card))
}

fn kind(list: &Value, card: &Value) -> Kind {
    match card["owned_by"].as_str().unwrap_or_default() {
        "llamacpp" => Kind::LlamaServer,
        "vllm" => Kind::Vllm,
        "sglang" => Kind::SgLang,
        "library" => Kind::Ollama,
        "organization_owner" => Kind::LmStudio,
        "tensorrt_llm" => Kind::TensorRt,
        // llama-server lists its model a second time in Ollama's form.
        _ if list["models"].is_array() => Kind::LlamaServer,
        _ => Kind::Other,
    }
}

/// The number of parameters that a model's name tells: `Qwen3-Coder-30B-A3B` has 30 billion, `8x7b` has 56.
pub(super) fn parameters_in(name: &str) -> Option<u64> {
    let lower = name.to_ascii_lowercase();
    lower.split(|c: char| !c.is_ascii_alphanumeric() && c != '.').find_map(|word| {
        let (number, unit) = word.split_at_checked(word.len().checked_sub(1)?)?;
        let factor = match unit {
            "b" => 1e9,
            "m" => 1e6,
            "t" => 1e12,
            _ => return None,
        };
        let number: f64 = match number.split_once('x') {
            Some((experts, each)) => experts.parse::<f64>().ok()? * each.parse::<f64>().ok()?,
            None => number.parse().ok()?,
        };
        (number > 0.0).then_some((number * factor) as u64)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_tell_the_number_of_parameters() {
        let check = |name, billions: Option<f64>| {
            assert_eq!(parameters_in(name), billions.map(|b| (b * 1e9) as u64), "{name}");
        };
        check("Qwen/Qwen2.5-Coder-32B-Instruct", Some(32.0));
        check("qwen2.5-coder:0.5b", Some(0.5));
        check("Qwen3-Coder-30B-A3B-Instruct", Some(30.0));
        check("mixtral-8x7b", Some(56.0));
        check("SmolLM2-360M", Some(0.36));
        check("gpt-oss-120b", Some(120.0));
        check("deepseek-chat", None);
        check("model-b", None);
        check("", None);
    }

    #[test]
    fn kinds_are_told_by_who_owns_the_model() {
        let of = |owner: &str| kind(&Value::Null, &json!({"owned_by": owner}));
        assert_eq!([of("vllm"), of("sglang"), of("llamacpp")], [Kind::Vllm, Kind::SgLang, Kind::LlamaServer]);
        assert_eq!([of("library"), of("somebody")], [Kind::Ollama, Kind::Other]);
    }

    #[test]
    fn vllm_changed_how_it_is_told_what_to_write() {
        let of = |version: Option<&str>| {
            Server { kind: Kind::Vllm, version: version.map(str::to_owned), ..Server::default() }.structure()
        };
        assert_eq!(of(Some("0.9.1")), Structure::VllmGuided);
        assert_eq!(of(Some("0.11.0rc1")), Structure::Vllm);
        assert_eq!(of(Some("1.0.0")), Structure::Vllm);
        assert_eq!(of(None), Structure::Vllm);
    }

    #[test]
    fn an_old_vllm_is_not_told_to_write_special_tokens_out() {
        let of = |version: &str| {
            Server { kind: Kind::Vllm, version: Some(version.into()), ..Server::default() }.writes_special()
        };
        assert_eq!((of("0.7.3"), of("0.8.0"), of("0.11.2")), (false, true, true));
        assert!(!Server::default().writes_special());
    }

    #[test]
    fn ollama_tells_its_context_in_three_places() {
        let context = |shown: Value, loaded: Value| {
            let mut server = Server { model: "a".into(), ..Server::default() };
            server.describe_ollama(&shown, &loaded);
            server.context
        };
        assert_eq!(context(Value::Null, Value::Null), Some(4096));
        let configured = json!({"parameters": "stop \"<|x|>\"\nnum_ctx    16384"});
        assert_eq!(context(configured.clone(), Value::Null), Some(16384));
        let loaded = json!({"models": [{"model": "a", "context_length": 32768}]});
        assert_eq!(context(configured, loaded), Some(32768));
    }
}
