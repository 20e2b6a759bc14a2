//! A model on a server that the user owns, by its OpenAI-compatible API: vLLM, SGLang, llama-server, Ollama, LM Studio,
//! TensorRT-LLM; through them, clusters.
//!
//! Two ways lead to the model. In a *chat* the server renders the conversation with the model's template and reads calls and
//! reasoning from the answer. In a *completion* both are done here, by a [`crate::dialect`], as for a model in this process;
//! that needs the template, which only llama-server tells. Several addresses are replicas of one model: each conversation
//! stays where its prefix is cached, and goes elsewhere when that server fails before the first token.

mod calls;
mod chat;
mod chunk;
mod count;
mod endpoint;
mod error;
mod family;
mod generate;
mod output;
mod plan;
mod pool;
mod probe;
mod raw;
mod server;
mod structure;
mod taught;
mod thought;
mod turn;

use std::fmt;
use std::hash::{BuildHasher, Hasher, RandomState};
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::time::Duration;

use futures_util::StreamExt;
use futures_util::future::join_all;
use futures_util::stream::BoxStream;
use jiff::tz::TimeZone;
use tokio::sync::mpsc;
use tokio_stream::wrappers::UnboundedReceiverStream;
use tokio_util::sync::CancellationToken;

use self::count::Counter;
use self::endpoint::{Endpoint, Failure, Next};
use self::plan::{Plan, Planner, Refused};
use self::pool::Pool;
use self::taught::Taught;
use super::{Delta, Engine, EngineError, ModelInfo, Request, thinking};
use crate::dialect::{self, Dialect, Message, RenderOptions, Thinking, ToolSpec};

pub use endpoint::{Key, Reach};
pub use error::RemoteError;
pub use probe::{Can, Finding, probe};
pub use server::{Kind, Server};

/// Tokens of context where the server does not tell.
const CONTEXT: usize = 16_384;
/// Tokens that a message takes besides its text, where the server renders.
const MESSAGE: usize = 8;
/// Tokens of the context that are left free where an answer's length must be given.
const MARGIN: usize = 64;
/// The form that is taught by the prompt.
const TAUGHT: &str = "fenced";
/// The form that calls have in JSON: those that a schema held, and those that a server leaves in the text where neither the
/// template nor the model's name tells a better one.
const COMMON: &str = "hermes";
/// How often a server that is still loading its model is asked again, and how long is waited in between.
const LOADING: u32 = 60;
const LOADING_WAIT: Duration = Duration::from_secs(1);
/// How long the other servers are asked whether they would serve too.
const OTHERS: Duration = Duration::from_secs(3);

/// Which way to the model.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Api {
    /// `/v1/chat/completions`.
    Chat,
    /// `/v1/completions`, or llama-server's `/completion`.
    Completions,
}

type Tell = dyn Fn(&str, u64) -> Option<String> + Send + Sync;

/// Tells the wire form that suits a model of an architecture and a number of parameters.
#[derive(Clone)]
pub struct Suits(Arc<Tell>);

impl Suits {
    pub fn new(tell: impl Fn(&str, u64) -> Option<String> + Send + Sync + 'static) -> Self {
        Self(Arc::new(tell))
    }
}

impl fmt::Debug for Suits {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Suits")
    }
}

/// Which server, and how to use it.
#[derive(Debug, Clone)]
pub struct Options {
    /// `URL[,URL…]`: replicas of one model.
    pub addresses: String,
    pub key: Option<Key>,
    pub reach: Reach,
    /// The model as the server calls it; its first one where `None`.
    pub model: Option<String>,
    /// Tokens of context, at most; 0 takes what the server tells.
    pub context: usize,
    /// Which way; chosen by what the server tells where `None`.
    pub api: Option<Api>,
    /// The wire form of completions, and of what a chat leaves in the text.
    pub dialect: Option<String>,
    /// How much a reasoning model thinks; as its template has it where `None`.
    pub thinking: Option<Thinking>,
    /// Asked where `dialect` is `None`.
    pub suits: Suits,
    /// The model's chat template, for servers that do not tell it.
    pub template: Option<PathBuf>,
    /// How long a server may say nothing.
    pub idle: Duration,
}

/// A model on a server.
pub struct RemoteEngine {
    info: ModelInfo,
    shared: Arc<Shared>,
    /// Why some of the servers are left out.
    left_out: Vec<RemoteError>,
}

/// What the generations share.
struct Shared {
    pool: Pool,
    planner: Planner,
    counter: Counter,
    /// Tokens that the context holds.
    context: usize,
    /// Names this run to routers.
    session: String,
}

impl RemoteEngine {
    /// Asks the servers what they are. One that is still loading its model is waited for; one that is dead does not matter as
    /// long as another answers, and one that refuses is left out.
    ///
    /// # Errors
    /// An address is wrong or out of reach, no server answers, the key is refused, or the model is not there.
    pub async fn connect(options: &Options) -> Result<Self, RemoteError> {
        let endpoints = endpoints(options)?;
        let Survey { server, first, refusing } = survey(&endpoints, options.model.as_deref()).await?;
        let template = template(options, &server)?;
        let first = &endpoints[first];
        let told = server.context.unwrap_or(CONTEXT);
        let context =
            if options.context == 0 { told } else { options.context.min(server.context.unwrap_or(usize::MAX)) };
        let (planner, form) = planner(options, server, context, template, first.place())?;
        let counter = Counter::new(&planner.server, first.anew()?)?;
        let refuses = |index: usize| refusing.iter().any(|(refusing, _)| *refusing == index);
        let endpoints: Vec<_> = endpoints.into_iter().enumerate().filter(|(index, _)| !refuses(*index)).collect();
        let endpoints: Vec<_> = endpoints.into_iter().map(|(_, endpoint)| Arc::new(endpoint)).collect();
        let left_out = refusing.into_iter().map(|(_, error)| error).collect();
        let server = &planner.server;
        let info = ModelInfo {
            name: server.model.clone(),
            architecture: server.architecture.clone().unwrap_or_default(),
            parameters: server.parameters.unwrap_or_default(),
            size: server.size.unwrap_or_default(),
            context,
            dialect: form,
            device: endpoints.iter().map(|e| e.place()).collect::<Vec<_>>().join(", "),
            infill: false,
            sampling: None,
        };
        let session = format!("moru-{:016x}", fresh_number());
        let shared = Arc::new(Shared { pool: Pool::new(endpoints), planner, counter, context, session });
        Ok(Self { info, shared, left_out })
    }

    /// What the server told of itself.
    pub fn server(&self) -> &Server {
        &self.shared.planner.server
    }

    /// Which way the requests go.
    pub fn api(&self) -> Api {
        self.shared.planner.api
    }

    /// What the user should know before the first request.
    pub fn warnings(&self) -> Vec<String> {
        let left_out = self.left_out.iter().map(|error| format!("{error}; until then the other servers do its work"));
        let mut warnings: Vec<String> = left_out.collect();
        for endpoint in self.shared.pool.endpoints().iter().filter(|endpoint| endpoint.exposes_key()) {
            warnings.push(format!("the API key goes to {} unencrypted; use https", endpoint.place()));
        }
        if self.server().context.is_none() {
            let context = self.info.context;
            warnings.push(format!("the server does not tell its context, {context} tokens are assumed; set --context"));
        }
        warnings
    }

    fn rough_prompt(&self, messages: &[Message], tools: &[ToolSpec]) -> usize {
        let message = |message: &Message| {
            let calls: usize = message.calls.iter().map(|call| self.count(&format!("{call:?}"))).sum();
            self.count(&message.content) + calls + MESSAGE
        };
        let tool = |tool: &ToolSpec| self.count(&dialect::template::tool(tool).to_string());
        messages.iter().map(message).sum::<usize>() + tools.iter().map(tool).sum::<usize>()
    }
}

impl Engine for RemoteEngine {
    fn info(&self) -> &ModelInfo {
        &self.info
    }

    fn count(&self, text: &str) -> usize {
        self.shared.counter.count(text)
    }

    fn count_prompt(&self, messages: &[Message], tools: &[ToolSpec]) -> Result<usize, EngineError> {
        let planner = &self.shared.planner;
        match &planner.dialect {
            Some(dialect) if planner.api == Api::Completions => {
                let request = Request { messages: messages.to_vec(), tools: tools.to_vec(), ..Request::default() };
                Ok(self.count(&planner.render(&**dialect, &request)?.text))
            }
            _ => Ok(self.rough_prompt(messages, tools)),
        }
    }

    /// To be called on a tokio runtime.
    fn generate(&self, request: Request, cancel: CancellationToken) -> BoxStream<'static, Result<Delta, EngineError>> {
        let (deltas, receiver) = mpsc::unbounded_channel();
        let shared = self.shared.clone();
        tokio::spawn(async move {
            tokio::select! {
                () = generate::generate(&shared, &request, &cancel, &deltas) => {}
                // Nobody listens any more; what is dropped here closes the request.
                () = deltas.closed() => {}
            }
        });
        UnboundedReceiverStream::new(receiver).boxed()
    }
}

impl Shared {
    fn plan(&self, request: &Request) -> Result<Plan, EngineError> {
        self.planner
            .plan(request, |prompt| self.context.saturating_sub(self.counter.count(prompt) + MARGIN).max(MARGIN))
    }
}

fn endpoints(options: &Options) -> Result<Vec<Endpoint>, RemoteError> {
    let urls = endpoint::addresses(&options.addresses, options.reach)?;
    urls.into_iter().map(|url| Endpoint::new(url, options.key.clone(), options.idle)).collect()
}

/// What asking the servers brought.
struct Survey {
    /// The facts of the first one that tells them, and its index.
    server: Server,
    first: usize,
    /// Those that cannot be used, by their index, and why.
    refusing: Vec<(usize, RemoteError)>,
}

async fn survey(endpoints: &[Endpoint], model: Option<&str>) -> Result<Survey, RemoteError> {
    let mut patience = LOADING;
    loop {
        let mut refusing = Vec::new();
        let mut reason = None;
        let mut loads = false;
        for (first, endpoint) in endpoints.iter().enumerate() {
            let Failure { error, next } = match Server::survey(endpoint, model).await {
                Ok(server) => {
                    refusing.extend(refusing_from(first + 1, endpoints, model).await);
                    return Ok(Survey { server, first, refusing });
                }
                Err(failure) => failure,
            };
            tracing::warn!(%error, "server");
            endpoint.failed();
            loads |= matches!(next, Next::Later(_));
            if next == Next::Nothing {
                refusing.push((first, error.clone()));
            }
            reason = reason.or(Some(error));
        }
        match reason {
            Some(_) if loads && patience > 0 => patience -= 1,
            reason => return Err(reason.unwrap_or_else(|| RemoteError::Address(String::new()))),
        }
        tokio::time::sleep(LOADING_WAIT).await;
    }
}

/// Those of the servers from `start` on that cannot be used. One that does not answer at once may do so later.
async fn refusing_from(start: usize, endpoints: &[Endpoint], model: Option<&str>) -> Vec<(usize, RemoteError)> {
    let ask = |(index, endpoint)| async move {
        match tokio::time::timeout(OTHERS, Server::survey(endpoint, model)).await {
            Ok(Ok(_)) => None,
            Ok(Err(Failure { error, next: Next::Nothing })) => {
                tracing::warn!(%error, "server");
                Some((index, error))
            }
            Ok(Err(_)) | Err(_) => {
                Endpoint::failed(endpoint);
                None
            }
        }
    };
    join_all(endpoints.iter().enumerate().skip(start).map(ask)).await.into_iter().flatten().collect()
}

/// The chat template: the user's file, or what the server tells.
fn template(options: &Options, server: &Server) -> Result<Option<String>, RemoteError> {
    let Some(path) = &options.template else { return Ok(server.template.clone()) };
    let read = std::fs::read_to_string(path);
    let failed = |e: std::io::Error| RemoteError::Template { path: path.display().to_string(), reason: e.to_string() };
    read.map(Some).map_err(failed)
}

/// Chooses the way to the model and who renders and reads; returns the name of the form too.
fn planner(
    options: &Options,
    server: Server,
    context: usize,
    template: Option<String>,
    place: String,
) -> Result<(Planner, String), RemoteError> {
    let broken = |e: dialect::DialectError| RemoteError::Dialect(e.to_string());
    let own = template.as_deref().map(|t| dialect::for_template(t, None)).transpose().map_err(broken)?;
    // What knows no form of its own is taught one, by a prompt that no server renders.
    let own = own.filter(|dialect| dialect.name() != TAUGHT);
    let parameters = server.parameters.unwrap_or(u64::MAX);
    let suited = (options.suits.0)(server.architecture.as_deref().unwrap_or_default(), parameters);
    let chosen = options.dialect.clone().or(suited);
    let api = way(options, &server, template.is_some(), chosen.is_some(), place)?;
    let text = template.as_deref().unwrap_or_default();
    let reader = reader(options, &server, text, own.is_some()).map_err(broken)?;
    let json = dialect::for_template(text, Some(COMMON)).map_err(broken)?;
    let (dialect, same_prompt, form) = match api {
        Api::Chat => {
            let same = own.is_some();
            (own, same, "chat".into())
        }
        Api::Completions => {
            let dialect = dialect::for_template(text, chosen.as_deref()).map_err(broken)?;
            let form = dialect.name().to_owned();
            (Some(dialect), false, form)
        }
    };
    let thinks = template.is_some() || (family::thinks(&server) && options.thinking != Some(Thinking::Off));
    let planner = Planner {
        taught: Taught::new(text).map_err(broken)?,
        template_known: template.is_some(),
        begins_inside: AtomicBool::new(thinks),
        render: rendering(options, &server),
        thinking: options.thinking,
        budget: thinking::budget(options.thinking, context),
        refused: Refused::default(),
        server,
        api,
        dialect,
        same_prompt,
        reader,
        json,
    };
    Ok((planner, form))
}

/// Which way the requests go, by what the user chose, and by whether a template is known and a form chosen.
fn way(
    options: &Options,
    server: &Server,
    has_template: bool,
    has_form: bool,
    place: String,
) -> Result<Api, RemoteError> {
    match options.api {
        Some(Api::Completions) if server.raw().is_none() => Err(RemoteError::NoCompletions(place)),
        Some(Api::Completions) if !has_template => Err(RemoteError::NoTemplate(place)),
        Some(api) => Ok(api),
        None if has_template && has_form && server.raw().is_some() => Ok(Api::Completions),
        None => Ok(Api::Chat),
    }
}

/// Who reads what a chat leaves in the text: the form that the user chose, the template's own, or the family's.
fn reader(
    options: &Options,
    server: &Server,
    template: &str,
    has_own: bool,
) -> Result<Box<dyn Dialect>, dialect::DialectError> {
    let form = match (&options.dialect, has_own) {
        (Some(chosen), _) => Some(chosen.as_str()),
        (None, true) => None,
        (None, false) => Some(family::form(server).unwrap_or(COMMON)),
    };
    dialect::for_template(template, form)
}

fn rendering(options: &Options, server: &Server) -> RenderOptions {
    RenderOptions {
        bos_token: server.bos_token.clone(),
        eos_token: server.eos_token.clone(),
        now: Some(jiff::Timestamp::now().to_zoned_datetime(TimeZone::system()).datetime()),
        ..Thinking::options(options.thinking)
    }
}

/// A number that no other run has: what the standard library seeds its hash tables with.
fn fresh_number() -> u64 {
    RandomState::new().build_hasher().finish()
}
