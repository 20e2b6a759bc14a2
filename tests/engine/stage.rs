//! An engine with the small model, and one way of asking it.

use std::path::PathBuf;

use futures_util::StreamExt;
use moru::dialect::{Message, Role};
use moru::engine::local::{LocalEngine, Options, SnapshotPlace};
use moru::engine::{Delta, Engine, Request, Usage};
use moru::model::fit::KvType;
use tokio::sync::{Mutex, MutexGuard};
use tokio_util::sync::CancellationToken;

/// One model at a time: two of them on the same cores take far more than twice as long.
static MODEL: Mutex<()> = Mutex::const_new(());

/// Keeps other tests from their model while it lives. `None` (with a reason on stderr) where there is no model.
pub async fn turn() -> Option<MutexGuard<'static, ()>> {
    if path().is_none() {
        eprintln!("skipped: MORU_TEST_MODELS names no folder with qwen2.5-coder-0.5b.gguf; `./dev test` sets it");
        return None;
    }
    Some(MODEL.lock().await)
}

fn path() -> Option<PathBuf> {
    model("qwen2.5-coder-0.5b.gguf")
}

fn model(name: &str) -> Option<PathBuf> {
    let folder = std::env::var_os("MORU_TEST_MODELS").map(PathBuf::from)?;
    Some(folder.join(name)).filter(|path| path.is_file())
}

/// How the next larger model of the family is loaded. `None` (with a reason on stderr) where it is not here.
pub fn larger() -> Option<Options> {
    let path = model("qwen2.5-coder-1.5b.gguf");
    if path.is_none() {
        eprintln!("skipped: there is no qwen2.5-coder-1.5b.gguf in MORU_TEST_MODELS; `./dev test` gets it");
    }
    Some(Options { path: path?, ..options(None) })
}

/// The model, with its snapshots in `folder`.
pub fn engine(folder: Option<&std::path::Path>) -> LocalEngine {
    LocalEngine::load(&options(folder)).unwrap()
}

pub fn options(folder: Option<&std::path::Path>) -> Options {
    let snapshots = folder.map(|folder| SnapshotPlace { folder: folder.to_owned(), limit: 1 << 30 });
    Options { snapshots, ..options_of(path().unwrap()) }
}

/// How the model in this file is loaded.
pub fn options_of(path: PathBuf) -> Options {
    Options {
        path,
        name: "test".into(),
        context: 4096,
        threads: 2,
        kv_type: KvType::F16,
        gpu_layers: 0,
        cpu_experts: Vec::new(),
        adapter: None,
        draft: None,
        dialect: None,
        thinking: None,
        sampling: None,
        snapshots: None,
    }
}

pub fn system() -> Message {
    Message::new(Role::System, "You are a helpful assistant. ".repeat(20))
}

pub fn user(text: &str) -> Message {
    Message::new(Role::User, text)
}

pub fn assistant(text: &str) -> Message {
    Message::new(Role::Assistant, text)
}

pub fn request(messages: &[Message], max_tokens: usize) -> Request {
    Request { messages: messages.to_vec(), max_tokens: Some(max_tokens), ..Request::default() }
}

/// What came of a request.
#[derive(Debug)]
pub struct Answer {
    pub text: String,
    pub usage: Usage,
}

impl Answer {
    /// Tokens of the prompt that were decoded.
    pub fn read(&self) -> usize {
        self.usage.prompt - self.usage.cached
    }
}

pub async fn answer(engine: &LocalEngine, request: Request) -> Answer {
    let mut deltas = engine.generate(request, CancellationToken::new());
    let mut text = String::new();
    while let Some(delta) = deltas.next().await {
        match delta.unwrap() {
            Delta::Text(piece) => text.push_str(&piece),
            Delta::Usage(usage) => return Answer { text, usage },
            _ => {}
        }
    }
    panic!("no usage");
}
