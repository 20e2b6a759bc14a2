//! A model in this process: llama.cpp on a worker thread.

mod adapter;
mod checkpoint;
mod generate;
mod handle;
mod kv;
mod largest;
pub(in crate::engine) mod output;
mod sample;
mod scheduler;
mod snapshot;
mod speculate;
mod thinking;
mod threads;
mod vocabulary;
mod worker;

use std::ffi::CString;
use std::num::NonZeroU32;
use std::path::PathBuf;
use std::pin::pin;
use std::sync::{Arc, OnceLock};
use std::thread::JoinHandle;

use futures_util::future::BoxFuture;
use futures_util::stream::{self, BoxStream};
use futures_util::{FutureExt, StreamExt};
use jiff::tz::TimeZone;
use llama_cpp_2::LogOptions;
use llama_cpp_2::context::LlamaContext;
use llama_cpp_2::context::params::{KvCacheType, LlamaContextParams};
use llama_cpp_2::llama_backend::LlamaBackend;
use llama_cpp_2::model::params::LlamaModelParams;
use llama_cpp_2::model::{LlamaLoraAdapter, LlamaModel};
use llama_cpp_2::token::LlamaToken;
use tokio::sync::mpsc::error::SendError;
use tokio::sync::{mpsc, oneshot};
use tokio_stream::wrappers::UnboundedReceiverStream;
use tokio_util::sync::CancellationToken;

use self::generate::Job;
use self::sample::Grammars;
use self::scheduler::{Command, Scheduler, Work};
use self::snapshot::Snapshots;
use self::thinking::Allowance;
use self::worker::{SLOTS, Worker};
use super::{Constraint, Delta, Engine, EngineError, Infill, ModelInfo, Request, Sampling};
use crate::dialect::{
    self, Dialect, Grammar, Message, Parsed, Parser, Prompt, RenderOptions, Role, Thinking, ToolSpec,
};
use crate::model::fit::KvType;

pub use self::adapter::Adapter;
pub use self::snapshot::Place as SnapshotPlace;
pub use self::worker::Speed;

/// Tokens read at a time on a CPU, as many as llama.cpp computes at a time.
const CPU_CHUNK: usize = 512;
/// The same on a GPU.
const GPU_CHUNK: usize = 2048;

/// What to load and how.
#[derive(Debug, Clone)]
pub struct Options {
    /// A sound GGUF: see [`crate::model`], which checks it first; llama.cpp's own complaints are no sentences.
    pub path: PathBuf,
    /// As shown to the user.
    pub name: String,
    /// Tokens of context.
    pub context: usize,
    pub threads: usize,
    /// The precision of the KV cache.
    pub kv_type: KvType,
    /// Layers to put on the GPU, the output layer counted as one.
    pub gpu_layers: u32,
    /// Of the first so many layers the experts stay in main memory.
    pub cpu_experts: u32,
    pub adapter: Option<Adapter>,
    /// The wire form of tool calls; found by the template where `None`.
    pub dialect: Option<String>,
    /// How much a reasoning model thinks; as its template has it where `None`.
    pub thinking: Option<Thinking>,
    /// How its authors sample from it, where that is known.
    pub sampling: Option<Sampling>,
    /// Where the KV cache is put for later starts.
    pub snapshots: Option<SnapshotPlace>,
}

/// A loaded model and the thread that runs it.
pub struct LocalEngine {
    model: Arc<LlamaModel>,
    info: ModelInfo,
    dialect: Box<dyn Dialect>,
    render: RenderOptions,
    /// The control tokens of the vocabulary, as text.
    controls: Vec<String>,
    /// Text to begin every prompt with, where the template leaves it out.
    bos: Option<String>,
    /// The control token that the user's messages begin with.
    opener: Option<LlamaToken>,
    /// What stands before, behind and in a gap, where the model fills gaps.
    gap: Option<[String; 3]>,
    /// Tokens that the model may reason before an answer.
    thinking: usize,
    /// `None` only while the engine goes.
    commands: Option<mpsc::UnboundedSender<Command>>,
    thread: Option<JoinHandle<()>>,
}

impl LocalEngine {
    /// Starts llama.cpp without a model, so that its devices can be asked for without a word on the screen.
    ///
    /// # Errors
    /// It cannot be started.
    pub fn prepare() -> Result<(), EngineError> {
        backend().map(drop)
    }

    /// Loads a model and starts its thread. Blocks for as long as reading the file takes.
    ///
    /// # Errors
    /// llama.cpp cannot load the file or has no memory for the context.
    pub fn load(options: &Options) -> Result<Self, EngineError> {
        let refused = |what: String| EngineError::Load(what);
        let backend = backend()?;
        let experts = experts(options.cpu_experts);
        let mut params = pin!(LlamaModelParams::default().with_n_gpu_layers(options.gpu_layers));
        if let Some(names) = &experts {
            params.as_mut().add_cpu_buft_override(names);
        }
        let mut model = LlamaModel::load_from_file(backend, &options.path, &params).map_err(|error| {
            let path = options.path.display();
            EngineError::NoRoom(format!("llama.cpp cannot load {path}: {error}; see the log for its reasons"))
        })?;
        let adapter = options.adapter.as_ref().map(|adapter| adapter.load(&mut model)).transpose()?;
        let model = Arc::new(model);
        let meta = |key: &str| model.meta_val_str(key).ok();
        let template = meta("tokenizer.chat_template").unwrap_or_default();
        let dialect = dialect::for_template(&template, options.dialect.as_deref())
            .map_err(|error| refused(format!("{}: {error}", options.name)))?;
        let vocab = model.vocab();
        let text = |token| String::from_utf8_lossy(&vocab.token_to_piece(token, true, None)).into_owned();
        let render = RenderOptions {
            bos_token: text(vocab.bos()),
            eos_token: text(vocab.eos()),
            now: Some(jiff::Timestamp::now().to_zoned_datetime(TimeZone::system()).datetime()),
            ..Thinking::options(options.thinking)
        };
        let thinking = options.thinking.map_or(usize::MAX, Thinking::budget).min(options.context / 4);
        let tokens = (0..model.n_vocab()).map(LlamaToken).filter(|&token| vocab.is_control(token));
        let controls = tokens.map(text).collect();
        let bos = vocab.should_add_bos().then(|| render.bos_token.clone());
        let marks = [vocab.fim_pre(), vocab.fim_suf(), vocab.fim_mid()];
        let gap = marks.iter().all(|mark| mark.0 >= 0).then(|| marks.map(text));
        let info = ModelInfo {
            name: options.name.clone(),
            architecture: meta("general.architecture").unwrap_or_default(),
            parameters: model.n_params(),
            size: model.size(),
            context: options.context,
            dialect: dialect.name().to_owned(),
            device: device_names(options.gpu_layers),
            infill: gap.is_some(),
            sampling: options.sampling.clone(),
        };
        let (commands, thread) =
            start(model.clone(), adapter, options, if options.gpu_layers > 0 { GPU_CHUNK } else { CPU_CHUNK })?;
        let mut engine = Self {
            model,
            info,
            dialect,
            render,
            controls,
            bos,
            opener: None,
            gap,
            thinking,
            commands: Some(commands),
            thread: Some(thread),
        };
        engine.opener = engine.find_opener();
        Ok(engine)
    }

    /// Measures reading of `prompt` tokens and generating of `generate` behind a context of `depth` tokens. The KV cache is
    /// empty afterwards.
    ///
    /// # Errors
    /// llama.cpp could not decode.
    pub async fn measure(&self, depth: usize, prompt: usize, generate: usize) -> Result<Speed, EngineError> {
        self.alone(move |worker| worker.measure(depth, prompt, generate)).await
    }

    /// The number of the likeliest token behind each token of `text`. The KV cache is empty afterwards. Two devices that compute
    /// the same model agree but for close calls.
    ///
    /// # Errors
    /// llama.cpp could not decode, or the text is longer than one batch.
    pub async fn choices(&self, text: &str) -> Result<Vec<i32>, EngineError> {
        let tokens = self.model.vocab().tokenize(text.as_bytes(), self.bos.is_some(), false);
        self.alone(move |worker| worker.choices(&tokens)).await
    }

    fn send(&self, command: Command) -> Result<(), SendError<Command>> {
        match &self.commands {
            Some(commands) => commands.send(command),
            None => Err(SendError(command)),
        }
    }

    /// Does something with the whole context, and waits for it.
    async fn alone<T: Send + 'static>(
        &self,
        work: impl FnOnce(&mut Worker<'_>) -> Result<T, EngineError> + Send + 'static,
    ) -> Result<T, EngineError> {
        let (reply, answer) = oneshot::channel();
        let gone = || EngineError::Decode("its thread has ended".into());
        let run: Work = Box::new(move |worker| drop(reply.send(worker.and_then(work))));
        self.send(Command::Alone(run)).map_err(|_| gone())?;
        answer.await.map_err(|_| gone())?
    }

    fn prompt(&self, messages: &[Message], tools: &[ToolSpec]) -> Result<Prompt, EngineError> {
        let messages: Vec<Message> = messages.iter().map(|message| self.harmless(message)).collect();
        let rendered = self.dialect.render(&messages, tools, &self.render);
        let prompt = rendered.map_err(|e| EngineError::Prompt(e.to_string()))?;
        Ok(match &self.bos {
            Some(bos) if !prompt.text.starts_with(bos.as_str()) => Prompt { text: format!("{bos}{}", prompt.text) },
            _ => prompt,
        })
    }

    /// The message without control tokens in what users, files and commands said: written out, they would end the message
    /// and speak for someone else.
    fn harmless(&self, message: &Message) -> Message {
        let mut message = message.clone();
        if matches!(message.role, Role::User | Role::Tool) {
            message.content = self.without_controls(message.content);
        }
        message
    }

    fn without_controls(&self, mut text: String) -> String {
        for control in self.controls.iter().filter(|control| control.len() > 1) {
            if text.contains(control.as_str()) {
                let mut chars = control.chars();
                let first = chars.next().unwrap_or_default();
                text = text.replace(control.as_str(), &format!("{first}\u{200b}{}", chars.as_str()));
            }
        }
        text
    }

    /// The prompt for a gap, in the order prefix, suffix, middle.
    fn gap(&self, infill: &Infill) -> Result<String, EngineError> {
        let [pre, suf, mid] =
            self.gap.as_ref().ok_or_else(|| EngineError::Prompt("this model was not trained to fill gaps".into()))?;
        let [before, after] = [&infill.before, &infill.after].map(|text| self.without_controls(text.clone()));
        let bos = self.bos.as_deref().filter(|bos| !pre.starts_with(bos)).unwrap_or_default();
        Ok(format!("{bos}{pre}{before}{suf}{after}{mid}"))
    }

    /// The first control token between an answer and the next request that does not end the answer itself, nor stands in it:
    /// Harmony's channels, and the marks of Kimi K3, are of the same tokens within and between messages.
    fn find_opener(&self) -> Option<LlamaToken> {
        let (answer, next) = ("An answer.", "The next request.");
        let said = [(Role::User, "A request."), (Role::Assistant, answer), (Role::User, next)];
        let prompt = self.prompt(&said.map(|(role, text)| Message::new(role, text)), &[]).ok()?.text;
        let between = prompt.split(answer).nth(1)?.split(next).next()?;
        let vocab = self.model.vocab();
        let (open, _) = self.dialect.reasoning().unwrap_or_default();
        let within = open.to_owned() + &self.dialect.closing().unwrap_or_default();
        let within = vocab.tokenize(within.as_bytes(), false, true);
        let mut tokens = vocab.tokenize(between.as_bytes(), false, true).into_iter();
        tokens.find(|token| vocab.is_control(*token) && !vocab.is_eog(*token) && !within.contains(token))
    }

    /// How many bytes of the prompt come before anything that was said in this conversation, up to a control token: the system
    /// prompt and the tools.
    fn stable(&self, messages: &[Message], tools: &[ToolSpec], prompt: &str) -> usize {
        let Ok(opening) = self.prompt(&Message::opening(messages), tools) else { return 0 };
        let common = opening.text.bytes().zip(prompt.bytes()).take_while(|(a, b)| a == b).count();
        let head = &prompt[..prompt.floor_char_boundary(common)];
        let end = |control: &String| head.rfind(control.as_str()).map(|at| at + control.len());
        self.controls.iter().filter(|control| !control.is_empty()).filter_map(end).max().unwrap_or(0)
    }

    fn allowance(&self) -> Option<Allowance> {
        let close = thinking::LAST_WORDS.to_owned() + &self.dialect.closing()?;
        Some(Allowance::new(self.thinking, self.model.vocab().tokenize(close.as_bytes(), false, true)))
    }

    fn job(&self, request: &Request, cancel: CancellationToken) -> Result<(Job, Deltas), EngineError> {
        let grammar = match &request.constraint {
            Constraint::Free => None,
            Constraint::Call(specs) => Some(self.dialect.grammar(specs, false)),
            Constraint::MustCall(specs) => Some(self.dialect.grammar(specs, true)),
            Constraint::OneOf(texts) => Some(Ok(one_of(texts))),
        };
        let grammar = grammar.transpose().map_err(|e| EngineError::Prompt(e.to_string()))?;
        let (deltas, receiver) = mpsc::unbounded_channel();
        let (prompt, stable, parser): (String, usize, Box<dyn Parser>) = if let Some(infill) = &request.infill {
            (self.gap(infill)?, 0, Box::new(Plain))
        } else {
            let mut prompt = self.prompt(&request.messages, &request.tools)?;
            if request.is_bound() {
                prompt.text.push_str(&self.dialect.end_of_thought(&prompt.text));
            }
            let stable = self.stable(&request.messages, &request.tools, &prompt.text);
            let plain = !request.prefix.is_empty();
            let parser = if plain { Box::new(Plain) } else { self.dialect.parser_after(&request.tools, &prompt) };
            (prompt.text + &request.prefix, stable, parser)
        };
        let job = Job {
            thinking: self.allowance(),
            stable,
            slot: request.slot as usize % SLOTS,
            copy_from: (!request.no_draft).then(|| request.copy_from.clone()),
            parser,
            prompt,
            opener: self.opener,
            stop: request.stop.iter().chain(self.dialect.stops()).cloned().collect(),
            grammar,
            sampling: request.sampling.clone(),
            max_tokens: request.max_tokens,
            logprobs: request.logprobs,
            cancel,
            deltas,
        };
        Ok((job, receiver))
    }
}

type Deltas = mpsc::UnboundedReceiver<Result<Delta, EngineError>>;

impl Engine for LocalEngine {
    fn info(&self) -> &ModelInfo {
        &self.info
    }

    fn count(&self, text: &str) -> usize {
        self.model.vocab().tokenize(text.as_bytes(), false, true).len()
    }

    fn count_prompt(&self, messages: &[Message], tools: &[ToolSpec]) -> Result<usize, EngineError> {
        Ok(self.count(&self.prompt(messages, tools)?.text))
    }

    fn reads_ahead(&self) -> bool {
        true
    }

    fn close(&self) -> BoxFuture<'_, ()> {
        let (done, is_done) = oneshot::channel();
        let sent = self.send(Command::Save(done)).is_ok();
        async move {
            if sent {
                let _ = is_done.await;
            }
        }
        .boxed()
    }

    fn generate(&self, request: Request, cancel: CancellationToken) -> BoxStream<'static, Result<Delta, EngineError>> {
        let receiver = self.job(&request, cancel).and_then(|(job, receiver)| {
            let gone = |_| EngineError::Decode("its thread has ended".into());
            self.send(Command::Generate(Box::new(job))).map(|()| receiver).map_err(gone)
        });
        match receiver {
            Ok(receiver) => UnboundedReceiverStream::new(receiver).boxed(),
            Err(error) => stream::iter([Err(error)]).boxed(),
        }
    }
}

impl Drop for LocalEngine {
    /// Waits until the context is gone. Were it freed while the program ends, CUDA's driver might be gone by then, and
    /// llama.cpp aborts.
    fn drop(&mut self) {
        self.commands = None;
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

/// Takes everything for text.
struct Plain;

impl Parser for Plain {
    fn push(&mut self, piece: &str) -> Vec<Parsed> {
        if piece.is_empty() { Vec::new() } else { vec![Parsed::Text(piece.to_owned())] }
    }

    fn finish(&mut self) -> Vec<Parsed> {
        Vec::new()
    }
}

/// A grammar of whole texts.
fn one_of(texts: &[String]) -> Grammar {
    let quoted: Vec<String> = texts.iter().map(|text| serde_json::Value::from(text.as_str()).to_string()).collect();
    Grammar { lark: format!("start: {}", quoted.join(" | ")), trigger: None }
}

/// A pattern of the names of the experts of the first `layers` layers.
fn experts(layers: u32) -> Option<CString> {
    let numbers: Vec<String> = (0..layers).map(|layer| layer.to_string()).collect();
    let pattern = format!(r"blk\.({})\.ffn_(up|down|gate|gate_up)_(ch|)exps", numbers.join("|"));
    if layers == 0 { None } else { CString::new(pattern).ok() }
}

/// Where layers are, as llama.cpp names its devices.
fn device_names(gpu_layers: u32) -> String {
    let gpus: Vec<String> = crate::model::device::devices().into_iter().filter(|d| d.gpu).map(|d| d.name).collect();
    if gpu_layers == 0 || gpus.is_empty() { "CPU".into() } else { gpus.join(", ") }
}

/// Starts the thread and waits until its context stands.
fn start(
    model: Arc<LlamaModel>,
    mut adapter: Option<LlamaLoraAdapter>,
    options: &Options,
    chunk: usize,
) -> Result<(mpsc::UnboundedSender<Command>, JoinHandle<()>), EngineError> {
    let (commands, receiver) = mpsc::unbounded_channel();
    let (ready, is_ready) = std::sync::mpsc::channel();
    let (context, kv_type, threads, gpu) = (options.context, options.kv_type, options.threads, options.gpu_layers > 0);
    let scale = options.adapter.as_ref().map_or(1.0, |adapter| adapter.scale);
    let snapshots = options.snapshots.clone().and_then(|place| {
        // The state's layout goes by the type of the KV cache and by flash attention, which is always the same here.
        let kind = if kv_type == KvType::F16 { "f16" } else { "q8_0" };
        let kind = format!("{kind} {}", options.adapter.as_ref().map(Adapter::identity).unwrap_or_default());
        let opened = Snapshots::open(place, &options.path, &kind);
        opened.inspect_err(|error| tracing::warn!(%error, "no snapshots of the KV cache")).ok()
    });
    let run = move || {
        let grammars = Grammars::new(&model);
        let made = new_context(&model, context, kv_type, threads, chunk).and_then(|mut context| {
            let set = adapter.as_mut().map_or(Ok(()), |adapter| context.lora_adapter_set(adapter, scale));
            set.map(|()| context).map_err(|e| EngineError::Load(format!("the adapter cannot be used: {e}")))
        });
        match made {
            Ok(context) => {
                let _ = ready.send(Ok(()));
                Scheduler::new(Worker::new(&model, context, threads, chunk, grammars, snapshots, gpu)).serve(receiver);
            }
            Err(error) => {
                let _ = ready.send(Err(error));
            }
        }
    };
    let failed = |e: &dyn std::fmt::Display| EngineError::Load(format!("the model's thread cannot be started: {e}"));
    let thread = std::thread::Builder::new().name("model".into()).spawn(run).map_err(|e| failed(&e))?;
    is_ready.recv().map_err(|e| failed(&e))??;
    Ok((commands, thread))
}

fn new_context(
    model: &LlamaModel,
    tokens: usize,
    kv_type: KvType,
    threads: usize,
    chunk: usize,
) -> Result<LlamaContext<'_>, EngineError> {
    let number = |n: usize| u32::try_from(n).unwrap_or(u32::MAX);
    let threads = i32::try_from(threads.max(1)).unwrap_or(1);
    let kv_type = if kv_type == KvType::F16 { KvCacheType::F16 } else { KvCacheType::Q8_0 };
    let params = LlamaContextParams::default()
        .with_n_ctx(NonZeroU32::new(number(tokens)))
        .with_n_batch(number(chunk))
        .with_n_ubatch(number(chunk.min(512)))
        .with_n_seq_max(number(SLOTS))
        // All slots share the cells, so that a fork costs none.
        .with_kv_unified(true)
        .with_type_k(kv_type)
        .with_type_v(kv_type)
        .with_n_threads(threads)
        .with_n_threads_batch(threads)
        .with_flash_attention_policy(llama_cpp_sys_2::LLAMA_FLASH_ATTN_TYPE_AUTO)
        .with_no_perf(true);
    model.new_context(backend()?, params).map_err(|_| {
        EngineError::NoRoom(format!(
            "there is no memory for a context of {tokens} tokens; start with a smaller --context"
        ))
    })
}

/// llama.cpp's global state: made once a process, with its log turned over to `tracing`.
fn backend() -> Result<&'static LlamaBackend, EngineError> {
    static BACKEND: OnceLock<Result<LlamaBackend, String>> = OnceLock::new();
    let made = BACKEND.get_or_init(|| {
        llama_cpp_2::send_logs_to_tracing(LogOptions::default());
        LlamaBackend::init().map_err(|e| e.to_string())
    });
    made.as_ref().map_err(|e| EngineError::Load(format!("llama.cpp cannot be started: {e}")))
}
