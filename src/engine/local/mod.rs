//! A model in this process: llama.cpp on a worker thread.

mod adapter;
#[cfg(target_os = "linux")]
mod buffers;
mod checkpoint;
mod draft_model;
mod generate;
mod guesses;
mod handle;
mod kv;
mod largest;
mod measure;
pub(in crate::engine) mod output;
mod pace;
mod prompt;
mod sample;
mod scheduler;
mod score;
mod snapshot;
mod speculate;
mod threads;
mod vocabulary;
mod worker;

use std::ffi::CString;
use std::num::NonZeroU32;
use std::path::{Path, PathBuf};
use std::pin::pin;
use std::sync::{Arc, OnceLock};
use std::thread::JoinHandle;

use futures_util::future::BoxFuture;
use futures_util::stream::{self, BoxStream};
use futures_util::{FutureExt, StreamExt};
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

use self::draft_model::DraftModel;
use self::generate::Job;
use self::prompt::Prompts;
use self::sample::Grammars;
use self::scheduler::{Command, Scheduler, Work};
use self::score::Asked;
use self::snapshot::Snapshots;
use self::worker::{SLOTS, Worker};
use super::thinking::{self, Allowance};
use super::{Constraint, Delta, Engine, EngineError, ModelInfo, Request, Sampling, Scored};
use crate::dialect::{Grammar, Message, Parsed, Parser, Thinking, ToolSpec};
use crate::model::fit::KvType;

pub use self::adapter::Adapter;
pub use self::draft_model::DraftOptions;
pub use self::measure::Speed;
pub use self::snapshot::Place as SnapshotPlace;

/// Tokens read at a time on a CPU, as many as llama.cpp computes at a time.
const CPU_CHUNK: usize = 512;
/// The same on a GPU.
const GPU_CHUNK: usize = 2048;

/// Answers that are best written at a time. A CPU's kernels compute four rows in less than three times the time of one; a GPU eight in
/// hardly more.
const CPU_ANSWERS: u32 = 4;
const GPU_ANSWERS: u32 = 8;

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
    /// Layers whose experts stay in main memory.
    pub cpu_experts: Vec<usize>,
    pub adapter: Option<Adapter>,
    /// A small model that guesses what this one will write.
    pub draft: Option<DraftOptions>,
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
    prompts: Prompts,
    /// All of it.
    is_on_gpu: bool,
    /// The control token that the user's messages begin with.
    opener: Option<LlamaToken>,
    /// How long the model may reason before an answer.
    allowance: Option<Allowance<LlamaToken>>,
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
        let backend = backend()?;
        let experts = experts(&options.cpu_experts);
        let mut params = pin!(LlamaModelParams::default().with_n_gpu_layers(options.gpu_layers));
        if let Some(names) = &experts {
            params.as_mut().add_cpu_buft_override(names);
        }
        let mut model = read(backend, &options.path, &params)?;
        let adapter = options.adapter.as_ref().map(|adapter| adapter.load(&mut model)).transpose()?;
        let model = Arc::new(model);
        let prompts = Prompts::new(model.clone(), options)?;
        let info = ModelInfo {
            name: options.name.clone(),
            architecture: model.meta_val_str("general.architecture").unwrap_or_default(),
            parameters: model.n_params(),
            size: model.size(),
            context: options.context,
            dialect: prompts.dialect.name().to_owned(),
            device: device_names(options.gpu_layers),
            infill: prompts.fills_gaps(),
            sampling: options.sampling.clone(),
        };
        let draft = options.draft.as_ref().map(|draft| draft_model::load(draft, backend, &model)).transpose()?;
        let (commands, thread) = start(model.clone(), adapter, draft, options)?;
        Ok(Self {
            allowance: prompts.allowance(thinking::budget(options.thinking, options.context)),
            opener: prompts.opener(),
            is_on_gpu: options.gpu_layers > model.n_layer() && options.cpu_experts.is_empty(),
            model,
            info,
            prompts,
            commands: Some(commands),
            thread: Some(thread),
        })
    }

    /// Measures reading of `prompt` tokens and generating of `generate` behind a context of `depth` tokens. The KV cache is
    /// empty afterwards.
    ///
    /// # Errors
    /// llama.cpp could not decode.
    pub async fn measure(&self, depth: usize, prompt: usize, generate: usize) -> Result<Speed, EngineError> {
        self.alone(move |worker| worker.measure(depth, prompt, generate)).await
    }

    /// Seconds that reading so many tokens takes behind what the first conversation holds, which stays as it is.
    ///
    /// # Errors
    /// llama.cpp could not decode.
    pub async fn reading(&self, tokens: usize) -> Result<f64, EngineError> {
        self.alone(move |worker| worker.reading(tokens)).await
    }

    /// The number of the likeliest token behind each token of `text`. The KV cache is empty afterwards. Two devices that compute
    /// the same model agree but for close calls.
    ///
    /// # Errors
    /// llama.cpp could not decode, or the text is longer than one batch.
    pub async fn choices(&self, text: &str) -> Result<Vec<i32>, EngineError> {
        let tokens = self.model.vocab().tokenize(text.as_bytes(), self.prompts.adds_bos(), false);
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

    fn job(&self, request: &Request, cancel: CancellationToken) -> Result<(Job, Deltas), EngineError> {
        let grammar = match &request.constraint {
            Constraint::Free => None,
            Constraint::Call(specs) => Some(self.prompts.dialect.grammar(specs, false)),
            Constraint::MustCall(specs) => Some(self.prompts.dialect.grammar(specs, true)),
            Constraint::OneOf(texts) => Some(Ok(one_of(texts))),
        };
        let grammar = grammar.transpose().map_err(|e| EngineError::Prompt(e.to_string()))?;
        let (deltas, receiver) = mpsc::unbounded_channel();
        let (prompt, stable, parser): (String, usize, Box<dyn Parser>) = if let Some(infill) = &request.infill {
            (self.prompts.gap(infill)?, 0, Box::new(Plain))
        } else {
            let mut prompt = self.prompts.chat(&request.messages, &request.tools)?;
            if request.is_bound() {
                prompt.text.push_str(&self.prompts.dialect.end_of_thought(&prompt.text));
            }
            let stable = self.prompts.stable(&request.messages, &request.tools, &prompt.text);
            let plain = !request.prefix.is_empty();
            let parser =
                if plain { Box::new(Plain) } else { self.prompts.dialect.parser_after(&request.tools, &prompt) };
            (prompt.text + &request.prefix, stable, parser)
        };
        let job = Job {
            thinking: self.allowance.clone(),
            stable,
            slot: request.slot as usize % SLOTS,
            copy_from: (!request.no_draft).then(|| request.copy_from.clone()),
            parser,
            prompt,
            opener: self.opener,
            stop: request.stop.iter().chain(self.prompts.dialect.stops()).cloned().collect(),
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
        Ok(self.count(&self.prompts.chat(messages, tools)?.text))
    }

    fn reads_ahead(&self) -> bool {
        true
    }

    fn side_by_side(&self) -> u32 {
        if self.is_on_gpu { GPU_ANSWERS } else { CPU_ANSWERS }
    }

    fn score<'a>(
        &'a self,
        before: &str,
        text: &str,
        cancel: CancellationToken,
    ) -> BoxFuture<'a, Result<Option<Vec<Scored>>, EngineError>> {
        let vocab = self.model.vocab();
        let before = vocab.tokenize(before.as_bytes(), self.prompts.adds_bos(), false);
        let tokens = vocab.tokenize(text.as_bytes(), false, false);
        let text = text.to_owned();
        self.alone(move |worker| {
            worker.score(&Asked { before: &before, text: &text, tokens: &tokens, cancel: &cancel })
        })
        .boxed()
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

/// A pattern of the names of the experts of these layers.
fn experts(layers: &[usize]) -> Option<CString> {
    let numbers: Vec<String> = layers.iter().map(ToString::to_string).collect();
    let pattern = format!(r"blk\.({})\.ffn_(up|down|gate|gate_up)_(ch|)exps", numbers.join("|"));
    if layers.is_empty() { None } else { CString::new(pattern).ok() }
}

/// Where layers are, as llama.cpp names its devices.
fn device_names(gpu_layers: u32) -> String {
    let gpus: Vec<String> = crate::model::device::devices().into_iter().filter(|d| d.gpu).map(|d| d.name).collect();
    if gpu_layers == 0 || gpus.is_empty() { "CPU".into() } else { gpus.join(", ") }
}

/// Reads a model's file.
fn read(backend: &LlamaBackend, path: &Path, params: &LlamaModelParams) -> Result<LlamaModel, EngineError> {
    LlamaModel::load_from_file(backend, path, params).map_err(|error| {
        let path = path.display();
        EngineError::NoRoom(format!("llama.cpp cannot load {path}: {error}; see the log for its reasons"))
    })
}

/// Starts the thread and waits until its contexts stand.
fn start(
    model: Arc<LlamaModel>,
    mut adapter: Option<LlamaLoraAdapter>,
    draft: Option<LlamaModel>,
    options: &Options,
) -> Result<(mpsc::UnboundedSender<Command>, JoinHandle<()>), EngineError> {
    let (commands, receiver) = mpsc::unbounded_channel();
    let (ready, is_ready) = std::sync::mpsc::channel();
    let options = options.clone();
    let run = move || match make_worker(&model, adapter.as_mut(), draft.as_ref(), &options) {
        Ok(worker) => {
            let _ = ready.send(Ok(()));
            Scheduler::new(worker).serve(receiver);
        }
        Err(error) => {
            let _ = ready.send(Err(error));
        }
    };
    let failed = |e: &dyn std::fmt::Display| EngineError::Load(format!("the model's thread cannot be started: {e}"));
    let thread = std::thread::Builder::new().name("model".into()).spawn(run).map_err(|e| failed(&e))?;
    is_ready.recv().map_err(|e| failed(&e))??;
    Ok((commands, thread))
}

/// Makes the contexts, on the thread that will own them.
fn make_worker<'m>(
    model: &'m Arc<LlamaModel>,
    adapter: Option<&mut LlamaLoraAdapter>,
    draft: Option<&'m LlamaModel>,
    options: &Options,
) -> Result<Worker<'m>, EngineError> {
    let (kv_type, threads, gpu) = (options.kv_type, options.threads, options.gpu_layers > 0);
    let chunk = if gpu { GPU_CHUNK } else { CPU_CHUNK };
    let grammars = Grammars::new(model);
    let mut context = new_context(model, options.context, kv_type, threads, chunk)?;
    if let (Some(adapter), Some(given)) = (adapter, &options.adapter) {
        context
            .lora_adapter_set(adapter, given.scale)
            .map_err(|e| EngineError::Load(format!("the adapter cannot be used: {e}")))?;
    }
    let mut worker = Worker::new(model, context, threads, chunk, grammars, snapshots(options), gpu);
    if let (Some(draft), Some(given)) = (draft, &options.draft) {
        let context = new_context(draft, given.context, given.kv_type, threads, CPU_CHUNK)
            .map_err(draft_model::can_do_without)?;
        worker.draft_model = Some(DraftModel::new(draft, context, model, given));
    }
    Ok(worker)
}

/// Where this model's KV caches are kept; `None` where nothing is, or nothing can be.
fn snapshots(options: &Options) -> Option<Snapshots> {
    let place = options.snapshots.clone()?;
    // The state's layout goes by the type of the KV cache, and by flash attention, which goes by that type here.
    let kind = match options.kv_type {
        KvType::F32 => "f32",
        KvType::F16 => "f16",
        KvType::Q8_0 => "q8_0",
    };
    let kind = format!("{kind} {}", options.adapter.as_ref().map(Adapter::identity).unwrap_or_default());
    let opened = Snapshots::open(place, &options.path, &kind);
    opened.inspect_err(|error| tracing::warn!(%error, "no snapshots of the KV cache")).ok()
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
    let (kv_type, flash_attention) = match kv_type {
        KvType::F32 => (KvCacheType::F32, llama_cpp_sys_2::LLAMA_FLASH_ATTN_TYPE_DISABLED),
        KvType::F16 => (KvCacheType::F16, llama_cpp_sys_2::LLAMA_FLASH_ATTN_TYPE_AUTO),
        KvType::Q8_0 => (KvCacheType::Q8_0, llama_cpp_sys_2::LLAMA_FLASH_ATTN_TYPE_AUTO),
    };
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
        .with_flash_attention_policy(flash_attention)
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
