//! A server that answers what a test gives it, and notes what it was asked.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use futures_util::StreamExt;
use moru::dialect::{Call, Message, Role, ToolSpec};
use moru::engine::remote::{Options, Reach, RemoteEngine, Suits};
use moru::engine::{Constraint, Delta, Engine, EngineError, Request, Usage};
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio_util::sync::CancellationToken;

/// What the server does when it is asked to continue.
#[derive(Debug, Clone)]
pub enum Play {
    /// A status, headers, and a whole body.
    Status(u16, &'static str, String),
    /// The beginning of a body, and then nothing more until the client goes away.
    Half(String),
    /// An event stream in these pieces, each sent by itself; then the end of the answer.
    Stream(Vec<Vec<u8>>),
    /// The same, and then the connection breaks.
    Break(Vec<Vec<u8>>),
    /// The same, and then nothing more until the client goes away.
    Hang(Vec<Vec<u8>>),
}

/// What was asked.
#[derive(Debug, Clone)]
pub struct Asked {
    pub path: String,
    pub headers: String,
    pub body: Value,
}

#[derive(Debug, Default)]
struct State {
    plays: Vec<Play>,
    asked: Vec<Asked>,
    /// Requests that the client left before their end.
    left: usize,
    /// Answers to questions about the server, by path.
    facts: Vec<(String, Value)>,
    /// The status that every question is refused with.
    refuses: Option<u16>,
}

/// A server on this machine; it ends when it is dropped.
pub struct Fake {
    pub address: String,
    state: Arc<Mutex<State>>,
    task: tokio::task::JoinHandle<()>,
}

impl Drop for Fake {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl Fake {
    /// A server whose models are `owned_by`, which tells its kind, that plays `plays` one after the other.
    pub async fn new(owned_by: &str, plays: Vec<Play>) -> Self {
        let card = json!({"id": "test-32b", "object": "model", "owned_by": owned_by, "max_model_len": 8192});
        let facts = vec![("/v1/models".to_owned(), json!({"object": "list", "data": [card]}))];
        let state = Arc::new(Mutex::new(State { plays, facts, ..State::default() }));
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = format!("http://{}", listener.local_addr().unwrap());
        let shared = state.clone();
        let task = tokio::spawn(async move {
            // Connections end with the server.
            let mut connections = tokio::task::JoinSet::new();
            while let Ok((stream, _)) = listener.accept().await {
                connections.spawn(serve(stream, shared.clone()));
            }
        });
        Self { address, state, task }
    }

    /// Answers a question about the server.
    pub fn fact(self, path: &str, answer: Value) -> Self {
        lock(&self.state).facts.push((path.to_owned(), answer));
        self
    }

    /// Calls its model so.
    pub fn serving(self, owned_by: &str, model: &str) -> Self {
        let card = json!({"id": model, "object": "model", "owned_by": owned_by, "max_model_len": 8192});
        self.fact("/v1/models", json!({"object": "list", "data": [card]}))
    }

    /// Refuses every question about itself.
    pub fn refusing(self, status: u16) -> Self {
        lock(&self.state).refuses = Some(status);
        self
    }

    /// The requests to continue something.
    pub fn asked(&self) -> Vec<Asked> {
        lock(&self.state).asked.clone()
    }

    /// Waits until a request was left before its end.
    pub async fn was_left(&self) {
        while lock(&self.state).left == 0 {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    }

    /// An engine that this server drives.
    pub async fn engine(&self) -> RemoteEngine {
        RemoteEngine::connect(&options(&self.address)).await.unwrap()
    }
}

pub fn options(addresses: &str) -> Options {
    Options {
        addresses: addresses.to_owned(),
        key: None,
        reach: Reach::Loopback,
        model: None,
        context: 0,
        api: None,
        dialect: None,
        thinking: None,
        suits: Suits::new(|_, _| None),
        template: None,
        idle: Duration::from_secs(20),
    }
}

fn lock(state: &Mutex<State>) -> std::sync::MutexGuard<'_, State> {
    state.lock().unwrap_or_else(PoisonError::into_inner)
}

async fn serve(mut stream: TcpStream, state: Arc<Mutex<State>>) {
    // A client that goes away ends its connection only.
    while let Ok(Some(asked)) = request(&mut stream).await {
        let fact =
            lock(&state).facts.iter().rev().find(|(path, _)| *path == asked.path).map(|(_, fact)| fact.to_string());
        let refuses = lock(&state).refuses;
        let play = match fact {
            _ if refuses.is_some() => Play::Status(refuses.unwrap_or_default(), "", "{}".into()),
            Some(fact) => Play::Status(200, "", fact),
            None if !asked.path.ends_with("/completion") && !asked.path.ends_with("/completions") => {
                Play::Status(404, "", "{}".into())
            }
            None => {
                let mut state = lock(&state);
                state.asked.push(asked);
                if state.plays.is_empty() {
                    Play::Status(501, "", "the play is over".into())
                } else {
                    state.plays.remove(0)
                }
            }
        };
        if play_out(&mut stream, play, &state).await.is_none() {
            return;
        }
    }
}

async fn request(stream: &mut TcpStream) -> std::io::Result<Option<Asked>> {
    let mut bytes = Vec::new();
    let head = loop {
        if let Some(at) = bytes.windows(4).position(|w| w == b"\r\n\r\n") {
            break at;
        }
        if stream.read_buf(&mut bytes).await? == 0 {
            return Ok(None);
        }
    };
    let headers = String::from_utf8_lossy(&bytes[..head]).to_lowercase();
    let length = headers.lines().find_map(|line| line.strip_prefix("content-length: ")?.parse().ok()).unwrap_or(0);
    while bytes.len() < head + 4 + length {
        stream.read_buf(&mut bytes).await?;
    }
    let path = headers.split_whitespace().nth(1).unwrap_or_default().to_owned();
    let body = serde_json::from_slice(&bytes[head + 4..]).unwrap_or_default();
    Ok(Some(Asked { path, headers, body }))
}

/// `None`: the connection is to end.
async fn play_out(stream: &mut TcpStream, play: Play, state: &Mutex<State>) -> Option<()> {
    let (pieces, end) = match play {
        Play::Status(status, headers, body) => {
            let head = format!(
                "HTTP/1.1 {status} X\r\ncontent-type: application/json\r\n{headers}content-length: {}\r\n\r\n",
                body.len()
            );
            return stream.write_all(format!("{head}{body}").as_bytes()).await.ok();
        }
        Play::Half(body) => {
            let head = "HTTP/1.1 200 X\r\ncontent-type: application/json\r\ncontent-length: 9999\r\n\r\n";
            stream.write_all(format!("{head}{body}").as_bytes()).await.ok()?;
            return hang(stream, state).await;
        }
        Play::Stream(pieces) => (pieces, End::Whole),
        Play::Break(pieces) => (pieces, End::Broken),
        Play::Hang(pieces) => (pieces, End::Hanging),
    };
    let head = "HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ntransfer-encoding: chunked\r\n\r\n";
    stream.write_all(head.as_bytes()).await.ok()?;
    for piece in pieces {
        let size = format!("{:x}\r\n", piece.len());
        let sent = stream.write_all(&[size.as_bytes(), &piece, b"\r\n"].concat()).await;
        stream.flush().await.ok();
        if sent.is_err() {
            lock(state).left += 1;
            return None;
        }
        // So that each piece arrives by itself.
        tokio::time::sleep(Duration::from_millis(2)).await;
    }
    match end {
        End::Whole => stream.write_all(b"0\r\n\r\n").await.ok(),
        End::Broken => None,
        End::Hanging => hang(stream, state).await,
    }
}

async fn hang(stream: &mut TcpStream, state: &Mutex<State>) -> Option<()> {
    let mut rest = [0];
    // The client says nothing more: what is read is its end.
    let _ = stream.read(&mut rest).await;
    lock(state).left += 1;
    None
}

enum End {
    Whole,
    Broken,
    Hanging,
}

/// Events as they go over the wire.
pub fn events(values: &[Value]) -> Vec<Vec<u8>> {
    values.iter().map(|value| format!("data: {value}\n\n").into_bytes()).collect()
}

/// A chat's event with this `delta`.
pub fn delta(delta: Value) -> Value {
    json!({"id": "c", "object": "chat.completion.chunk", "model": "test-32b", "choices": [
        {"index": 0, "delta": delta, "finish_reason": null}]})
}

/// A chat's last event.
pub fn finish(reason: &str) -> Value {
    json!({"id": "c", "object": "chat.completion.chunk", "choices": [{"index": 0, "delta": {}, "finish_reason": reason}]})
}

/// The event with the usage alone, and what ends the stream.
pub fn usage() -> Vec<Vec<u8>> {
    let usage = json!({"prompt_tokens": 100, "completion_tokens": 7, "prompt_tokens_details": {"cached_tokens": 90}});
    [events(&[json!({"id": "c", "choices": [], "usage": usage})]), vec![b"data: [DONE]\n\n".to_vec()]].concat()
}

/// A whole chat that says `text`.
pub fn says(text: &str) -> Vec<Vec<u8>> {
    let start = delta(json!({"role": "assistant", "content": ""}));
    [events(&[start, delta(json!({"content": text})), finish("stop")]), usage()].concat()
}

/// A whole chat that says these one after the other.
pub fn says_in(pieces: &[&str]) -> Vec<Vec<u8>> {
    let texts: Vec<Value> = pieces.iter().map(|text| delta(json!({"content": text}))).collect();
    [events(&texts), events(&[finish("stop")]), usage()].concat()
}

/// Tools to call.
pub fn tools() -> Vec<ToolSpec> {
    let path = json!({"type": "object", "properties": {"path": {"type": "string"}}, "required": ["path"]});
    let spec = |name: &str| ToolSpec { name: name.into(), description: format!("{name}s."), parameters: path.clone() };
    vec![spec("read"), spec("list")]
}

/// A request with tools.
pub fn asking(text: &str) -> Request {
    let messages = vec![Message::new(Role::System, "You are a test."), Message::new(Role::User, text)];
    Request { messages, tools: tools(), constraint: Constraint::Call(tools()), ..Request::default() }
}

/// What an answer adds up to.
#[derive(Debug, Default, PartialEq)]
pub struct Heard {
    pub text: String,
    pub reasoning: String,
    pub calls: Vec<Call>,
    pub malformed: Vec<String>,
    pub usage: Usage,
}

/// Runs a request to its end.
pub async fn hear(engine: &RemoteEngine, request: Request) -> Result<Heard, EngineError> {
    let mut deltas = engine.generate(request, CancellationToken::new());
    let mut heard = Heard::default();
    while let Some(delta) = deltas.next().await {
        match delta? {
            Delta::Text(text) => heard.text.push_str(&text),
            Delta::Reasoning(text) => heard.reasoning.push_str(&text),
            Delta::Call(call) => heard.calls.push(call),
            Delta::Malformed { error, .. } => heard.malformed.push(error),
            Delta::Prefill { .. } => {}
            Delta::Usage(usage) => heard.usage = usage,
        }
    }
    Ok(heard)
}

/// The calls as `name path`.
pub fn shown(heard: &Heard) -> Vec<String> {
    let path = |call: &Call| call.arguments.get("path").and_then(Value::as_str).unwrap_or("?").to_owned();
    heard.calls.iter().map(|call| format!("{} {}", call.name, path(call))).collect()
}
