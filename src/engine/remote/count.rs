//! Counts tokens: by asking the server where it counts for others, else by bytes.
//!
//! [`crate::engine::Engine::count`] does not wait, and is called from the session's own threads; so the asking is done on a
//! thread with a runtime of its own, for a bounded time, and once a text.

use std::collections::HashMap;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError, mpsc};
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use super::RemoteError;
use super::endpoint::Endpoint;
use super::server::{Kind, Server};

/// Bytes of a token where nothing better is known: between code and prose of the usual vocabularies, on the careful side.
const BYTES_PER_TOKEN: f64 = 3.2;
/// How long a count may take before it is estimated.
const PATIENCE: Duration = Duration::from_secs(3);
/// For how long a server that did not count is not asked again.
const PAUSE: Duration = Duration::from_secs(30);
/// Texts that are too short to be worth a question.
const SHORT: usize = 24;
/// Counts that are kept.
const KEPT: usize = 4096;

/// Counts tokens.
#[derive(Debug)]
pub(super) struct Counter {
    /// `None` where the server does not count.
    thread: Option<Mutex<mpsc::Sender<Question>>>,
    known: Mutex<HashMap<u64, usize>>,
    /// Not asked before this.
    pause: Mutex<Option<Instant>>,
    /// Bytes of a token as the server's own counts show it, as bits of an `f64`.
    ratio: AtomicU64,
}

struct Question {
    text: String,
    answer: mpsc::Sender<Option<usize>>,
}

impl Counter {
    /// For `server`, which is asked at `endpoint`: one of its own, since a connection belongs to the runtime that opened it.
    ///
    /// # Errors
    /// The thread cannot be started.
    pub fn new(server: &Server, endpoint: Endpoint) -> Result<Self, RemoteError> {
        let thread = if server.tokenizes() { Some(Mutex::new(start(server, endpoint)?)) } else { None };
        let ratio = AtomicU64::new(BYTES_PER_TOKEN.to_bits());
        Ok(Self { thread, known: Mutex::default(), pause: Mutex::default(), ratio })
    }

    /// Tokens of `text`.
    pub fn count(&self, text: &str) -> usize {
        if text.is_empty() {
            return 0;
        }
        if text.len() <= SHORT {
            return self.estimate(text.len());
        }
        let mut hasher = DefaultHasher::new();
        text.hash(&mut hasher);
        let key = hasher.finish();
        if let Some(known) = self.known().get(&key) {
            return *known;
        }
        let Some(count) = self.ask(text) else { return self.estimate(text.len()) };
        let mut known = self.known();
        if known.len() >= KEPT {
            known.clear();
        }
        known.insert(key, count);
        count
    }

    /// Takes note that a prompt of `bytes` had `tokens`.
    pub fn learn(&self, bytes: usize, tokens: usize) {
        if bytes > 1000 && tokens > 0 {
            let ratio = (bytes as f64 / tokens as f64).clamp(1.0, 6.0);
            self.ratio.store(ratio.to_bits(), Ordering::Relaxed);
        }
    }

    /// Tokens of a text of so many bytes.
    pub fn estimate(&self, bytes: usize) -> usize {
        (bytes as f64 / f64::from_bits(self.ratio.load(Ordering::Relaxed))).ceil() as usize
    }

    fn known(&self) -> std::sync::MutexGuard<'_, HashMap<u64, usize>> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The count by the server, where it counts.
    pub fn ask(&self, text: &str) -> Option<usize> {
        let thread = self.thread.as_ref()?;
        let mut pause = self.pause.lock().unwrap_or_else(PoisonError::into_inner);
        if pause.is_some_and(|until| until > Instant::now()) {
            return None;
        }
        let (answer, answered) = mpsc::channel();
        let question = Question { text: text.to_owned(), answer };
        thread.lock().unwrap_or_else(PoisonError::into_inner).send(question).ok()?;
        let count = answered.recv_timeout(PATIENCE).ok().flatten();
        if count.is_none() {
            tracing::warn!("the server did not count; tokens are estimated for a while");
            *pause = Some(Instant::now() + PAUSE);
        }
        count
    }
}

fn start(server: &Server, endpoint: Endpoint) -> Result<mpsc::Sender<Question>, RemoteError> {
    let (questions, asked) = mpsc::channel::<Question>();
    let failed = |e: std::io::Error| RemoteError::Thread(e.to_string());
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().map_err(failed)?;
    let (kind, model) = (server.kind, server.model.clone());
    let serve = move || {
        let endpoint = Arc::new(endpoint);
        while let Ok(question) = asked.recv() {
            let count = runtime.block_on(ask(&endpoint, kind, &model, &question.text));
            // Whoever asked may have lost patience.
            let _ = question.answer.send(count);
        }
    };
    std::thread::Builder::new().name("tokens".into()).spawn(serve).map_err(failed)?;
    Ok(questions)
}

async fn ask(endpoint: &Endpoint, kind: Kind, model: &str, text: &str) -> Option<usize> {
    let body = match kind {
        Kind::LlamaServer => json!({"content": text, "add_special": false}),
        _ => json!({"model": model, "prompt": text, "add_special_tokens": false}),
    };
    let answer = endpoint.ask("/tokenize", &body, PATIENCE).await.ok()?;
    tokens(&answer)
}

/// The count in an answer: vLLM and SGLang name it, llama-server lists the tokens.
fn tokens(answer: &Value) -> Option<usize> {
    answer["count"].as_u64().map(|n| n as usize).or_else(|| answer["tokens"].as_array().map(Vec::len))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn estimating() -> Counter {
        let ratio = AtomicU64::new(BYTES_PER_TOKEN.to_bits());
        Counter { thread: None, known: Mutex::default(), pause: Mutex::default(), ratio }
    }

    #[test]
    fn an_estimate_learns_from_what_the_server_counted() {
        let counter = estimating();
        assert_eq!(counter.count(&"x".repeat(320)), 100);
        counter.learn(4000, 1000);
        assert_eq!(counter.count(&"x".repeat(320)), 80);
        counter.learn(10, 1);
        assert_eq!((counter.count(&"x".repeat(320)), counter.count("")), (80, 0));
    }

    #[test]
    fn a_count_is_a_number_or_a_list() {
        assert_eq!(tokens(&json!({"count": 3, "tokens": [1, 2, 3], "max_model_len": 9})), Some(3));
        assert_eq!(tokens(&json!({"tokens": [1, 2]})), Some(2));
        assert_eq!(tokens(&json!({"error": "no"})), None);
    }
}
