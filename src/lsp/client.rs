//! One language server: its process, and the conversation with it.

use std::fs;
use std::future::ready;
use std::io;
use std::ops::ControlFlow;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use async_lsp::lsp_types::notification::{
    DidChangeTextDocument, DidCloseTextDocument, DidOpenTextDocument, DidSaveTextDocument, Exit, Initialized,
    Notification, PublishDiagnostics,
};
use async_lsp::lsp_types::request::{Request, Shutdown};
use async_lsp::lsp_types::{
    DidChangeTextDocumentParams, DidCloseTextDocumentParams, DidOpenTextDocumentParams, DidSaveTextDocumentParams,
    InitializedParams, TextDocumentContentChangeEvent, TextDocumentIdentifier, TextDocumentItem, Url,
    VersionedTextDocumentIdentifier,
};
use async_lsp::router::Router;
use async_lsp::{AnyRequest, Error, ErrorCode, MainLoop, ResponseError, ServerSocket};
use serde_json::{Value, json};
use tokio::sync::{Notify, mpsc};
use tokio::task::JoinHandle;
use tokio_util::compat::{TokioAsyncReadCompatExt, TokioAsyncWriteCompatExt};

use super::DEADLINE;
use super::board::{Board, Diagnostic, Extent};
use super::server::Server;
use crate::sandbox::{CommandError, Sandbox, Service, ServiceSpec, start_service};

/// How long a server may take to answer its first request. Nobody waits for that.
const START: Duration = Duration::from_secs(120);
/// How long the end of a session waits for a server to end by itself.
const FAREWELL: Duration = Duration::from_millis(500);
/// A question that a server takes back is asked again, so often and after so long.
const ASK_AGAIN: usize = 20;
const ASK_AFTER: Duration = Duration::from_millis(100);

/// A server that runs. Dropping it ends the server.
pub(super) struct Client {
    pub name: &'static str,
    board: Arc<Board>,
    orders: mpsc::UnboundedSender<Order>,
    task: JoinHandle<()>,
}

/// Says on the board that the server has ended, if nothing else has said why.
struct EndsWith(Arc<Board>);

impl Drop for EndsWith {
    fn drop(&mut self) {
        self.0.end("its conversation was broken off".into());
    }
}

/// What a server is to be told.
enum Order {
    Open { path: PathBuf, language: &'static str, text: String },
    Change { path: PathBuf, version: i32, text: String },
    Close { path: PathBuf },
}

impl Client {
    /// Starts a server. What it is told until it is ready waits for it.
    pub fn start(server: &'static Server, program: &Path, root: &Path, sandbox: &Sandbox) -> Self {
        let board = Arc::new(Board::new(server.blind));
        let (orders, inbox) = mpsc::unbounded_channel();
        let (program, root, sandbox, shared) = (program.to_owned(), root.to_owned(), sandbox.clone(), board.clone());
        let task = tokio::spawn(async move {
            // Whatever ends the task, nobody is to wait for it any more.
            let _end = EndsWith(shared.clone());
            let spec = ServiceSpec { program: &program, args: server.args, dir: &root, sandbox: &sandbox };
            let ended = match start_service(spec).await {
                Ok(service) => converse(server, &root, service, &shared, inbox).await,
                Err(error) => Err(error.into()),
            };
            shared.end(ended.map_or_else(|error| error.to_string(), |()| "it was told to end".into()));
        });
        Self { name: server.name, board, orders, task }
    }

    pub fn open_files(&self) -> usize {
        self.board.open_files()
    }

    /// Tells of a file that was not told of before.
    pub fn open(&self, path: PathBuf, language: &'static str, text: &str) {
        if self.board.open(&path, text) {
            self.order(Order::Open { path, language, text: text.to_owned() });
        }
    }

    /// Tells of what commands, the user or an undo have changed in the files that it knows, but for the file at `except`.
    fn catch_up(&self, except: &Path) {
        for (path, told) in self.board.texts().into_iter().filter(|(path, _)| path != except) {
            match fs::read_to_string(&path).map(|text| plain(&text)) {
                Ok(text) if text == plain(&told) => {}
                Ok(text) => {
                    let version = self.board.change(&path, None, &text).version;
                    self.order(Order::Change { path, version, text });
                }
                Err(error) if error.kind() == io::ErrorKind::NotFound => {
                    self.board.close(&path);
                    self.order(Order::Close { path });
                }
                // In another encoding, or closed: as it was told is as good as it gets.
                Err(_) => {}
            }
        }
    }

    /// Tells of a change, and waits for what is new in the file.
    pub async fn changed(
        &self,
        path: PathBuf,
        language: &'static str,
        before: Option<&str>,
        after: &str,
    ) -> Vec<Diagnostic> {
        // At once: a turn that is cancelled later has told of its edit all the same.
        self.catch_up(&path);
        let change = self.board.change(&path, before, after);
        let text = after.to_owned();
        self.order(match change.version {
            1 => Order::Open { path: path.clone(), language, text },
            version => Order::Change { path: path.clone(), version, text },
        });
        self.board.answer(&path, change, before, DEADLINE).await
    }

    fn order(&self, order: Order) {
        // Where nobody takes it, the board says why.
        let _ = self.orders.send(order);
    }

    pub fn is_hanging(&self) -> bool {
        self.board.is_hanging()
    }

    /// Why it has ended; `None` as long as it runs.
    pub fn has_ended(&self) -> Option<String> {
        self.board.ended()
    }

    /// Ends it at once.
    pub fn stop(&self) {
        self.task.abort();
        self.board.end("it was stopped".into());
    }

    /// Ends it, politely if it listens.
    pub async fn close(self) {
        drop(self.orders);
        let mut task = self.task;
        // Dropping the task's future ends the process.
        if tokio::time::timeout(2 * FAREWELL, &mut task).await.is_err() {
            task.abort();
        }
    }
}

/// Why a server is no longer there.
#[derive(Debug, thiserror::Error)]
enum Gone {
    #[error(transparent)]
    Start(#[from] CommandError),
    #[error("it does not answer")]
    Silent,
    #[error("the session ended before it was ready")]
    Unneeded,
    #[error("it has ended or does not keep to the protocol: {0}")]
    Broken(#[from] Error),
}

/// Speaks with a server until `inbox` closes.
async fn converse(
    server: &'static Server,
    root: &Path,
    service: Service,
    board: &Arc<Board>,
    mut inbox: mpsc::UnboundedReceiver<Order>,
) -> Result<(), Gone> {
    let Service { input, output, lease: _lease } = service;
    let refresh = Arc::new(Notify::new());
    let (main, socket) = MainLoop::new_client(|_| router(server, root, board.clone(), refresh.clone()));
    let main = main.run_buffered(output.compat(), input.compat_write());
    tokio::pin!(main);
    let mut talk = Talk { socket, board, pulls: false };
    tokio::select! {
        ended = &mut main => {
            ended?;
            return Err(Error::Eof.into());
        }
        told = talk.run(server, root, &mut inbox, &refresh) => told?,
    }
    // What was said last still has to be sent.
    let _ = tokio::time::timeout(FAREWELL, main).await;
    Ok(())
}

/// What is done with what a server says and asks unasked.
fn router(server: &'static Server, root: &Path, board: Arc<Board>, refresh: Arc<Notify>) -> Router<()> {
    let mut router: Router<()> = Router::new(());
    let (asked, root) = (refresh.clone(), root.to_owned());
    router.unhandled_request(move |(), request| ready(answer(server, &root, &asked, &request)));
    router.unhandled_notification(move |(), said| {
        match said.method.as_str() {
            PublishDiagnostics::METHOD => board.publish(said.params),
            // rust-analyzer's own, which has to be asked for: what it finds while it reads the project is not right yet.
            "experimental/serverStatus" => {
                let busy = said.params["quiescent"] == false;
                board.set_busy(busy);
                if !busy {
                    refresh.notify_one();
                }
            }
            _ => {}
        }
        ControlFlow::Continue(())
    });
    router
}

/// Answers a server's question. Most of them ask for nothing that there is here, and `null` tells them so.
fn answer(server: &Server, root: &Path, refresh: &Notify, request: &AnyRequest) -> Result<Value, ResponseError> {
    Ok(match request.method.as_str() {
        "workspace/configuration" => {
            let settings: Value = json_of(server.settings);
            let items = request.params["items"].as_array();
            let section = |item: &Value| {
                let mut names = item["section"].as_str().unwrap_or_default().split('.').filter(|name| !name.is_empty());
                names.try_fold(&settings, |value, name| value.get(name)).cloned().unwrap_or_default()
            };
            items.into_iter().flatten().map(section).collect()
        }
        "workspace/workspaceFolders" => folders(root),
        "workspace/applyEdit" => json!({ "applied": false }),
        "workspace/diagnostic/refresh" => {
            refresh.notify_one();
            Value::Null
        }
        _ => Value::Null,
    })
}

/// A row's JSON; a test reads all of them.
pub(super) fn json_of(text: &str) -> Value {
    serde_json::from_str(text).unwrap_or_default()
}

/// A text with the line ends, and without the mark at its beginning, that files are shown to the model with.
fn plain(text: &str) -> String {
    text.trim_start_matches('\u{feff}').replace("\r\n", "\n")
}

fn uri(path: &Path) -> Option<Url> {
    Url::from_file_path(path).ok()
}

fn folders(root: &Path) -> Value {
    json!([{ "uri": uri(root), "name": root.file_name().unwrap_or_default().to_string_lossy() }])
}

/// `initialize`, whose answer is read as far as it is needed: servers are newer and older than any list of its fields.
enum Initialize {}

impl Request for Initialize {
    type Params = Value;
    type Result = Value;
    const METHOD: &'static str = "initialize";
}

/// `textDocument/diagnostic`, likewise.
enum AskDiagnostics {}

impl Request for AskDiagnostics {
    type Params = Value;
    type Result = Value;
    const METHOD: &'static str = "textDocument/diagnostic";
}

/// Our side of the conversation.
struct Talk<'a> {
    socket: ServerSocket,
    board: &'a Arc<Board>,
    /// The server answers what is wrong with a file when it is asked, and does not say it unasked.
    pulls: bool,
}

impl Talk<'_> {
    async fn run(
        &mut self,
        server: &Server,
        root: &Path,
        inbox: &mut mpsc::UnboundedReceiver<Order>,
        refresh: &Notify,
    ) -> Result<(), Gone> {
        let begun = tokio::time::timeout(START, self.socket.request::<Initialize>(initialization(server, root)));
        tokio::pin!(begun);
        let mut early = Vec::new();
        let abilities = loop {
            tokio::select! {
                answered = &mut begun => break answered.map_err(|_| Gone::Silent)??,
                order = inbox.recv() => early.push(order.ok_or(Gone::Unneeded)?),
            }
        };
        self.pulls = abilities["capabilities"]["diagnosticProvider"].is_object();
        self.socket.notify::<Initialized>(InitializedParams {})?;
        early.into_iter().try_for_each(|order| self.tell(order))?;
        loop {
            tokio::select! {
                order = inbox.recv() => match order {
                    Some(order) => self.tell(order)?,
                    None => break,
                },
                () = refresh.notified() => {
                    self.board.versions().into_iter().for_each(|(path, version)| self.ask(path, version));
                }
            }
        }
        let _ = tokio::time::timeout(FAREWELL, self.socket.request::<Shutdown>(())).await;
        Ok(self.socket.notify::<Exit>(())?)
    }

    /// Tells of a file's text, which is on the disk already.
    fn tell(&self, order: Order) -> Result<(), Error> {
        let (path, version) = match order {
            Order::Close { path } => {
                let Some(uri) = uri(&path) else { return Ok(()) };
                let text_document = TextDocumentIdentifier { uri };
                return self.socket.notify::<DidCloseTextDocument>(DidCloseTextDocumentParams { text_document });
            }
            Order::Open { path, language, text } => {
                let Some(uri) = uri(&path) else { return Ok(()) };
                let text_document = TextDocumentItem { uri, language_id: language.to_owned(), version: 1, text };
                self.socket.notify::<DidOpenTextDocument>(DidOpenTextDocumentParams { text_document })?;
                (path, 1)
            }
            Order::Change { path, version, text } => {
                let Some(uri) = uri(&path) else { return Ok(()) };
                let whole = TextDocumentContentChangeEvent { range: None, range_length: None, text };
                self.socket.notify::<DidChangeTextDocument>(DidChangeTextDocumentParams {
                    text_document: VersionedTextDocumentIdentifier { uri: uri.clone(), version },
                    content_changes: vec![whole],
                })?;
                let text_document = TextDocumentIdentifier { uri };
                self.socket.notify::<DidSaveTextDocument>(DidSaveTextDocumentParams { text_document, text: None })?;
                (path, version)
            }
        };
        self.ask(path, version);
        Ok(())
    }

    /// Asks what is wrong with a file, of a server that wants to be asked. The board gets the answer.
    fn ask(&self, path: PathBuf, version: i32) {
        if self.pulls {
            tokio::spawn(pull(self.socket.clone(), self.board.clone(), path, version));
        }
    }
}

async fn pull(socket: ServerSocket, board: Arc<Board>, path: PathBuf, version: i32) {
    let question = json!({ "textDocument": { "uri": uri(&path) } });
    for _ in 0..ASK_AGAIN {
        match socket.request::<AskDiagnostics>(question.clone()).await {
            Ok(report) => {
                let found = report["items"].as_array().map(Vec::as_slice).unwrap_or_default();
                return board.report(&path, Some(version), found, Extent::Whole);
            }
            Err(Error::Response(refused))
                if [ErrorCode::SERVER_CANCELLED, ErrorCode::CONTENT_MODIFIED].contains(&refused.code) =>
            {
                tokio::time::sleep(ASK_AFTER).await;
            }
            Err(_) => return,
        }
    }
}

/// What a server is told first: where it works, and that it is asked for nothing but what is wrong.
fn initialization(server: &Server, root: &Path) -> Value {
    json!({
        // It is ended with us in any case, and in a container it might not see us.
        "processId": null,
        "clientInfo": { "name": "moru", "version": env!("CARGO_PKG_VERSION") },
        "rootUri": uri(root),
        "rootPath": root,
        "workspaceFolders": folders(root),
        "initializationOptions": json_of(server.options),
        "capabilities": {
            "workspace": {
                "configuration": true,
                "workspaceFolders": true,
                "diagnostics": { "refreshSupport": true },
            },
            "textDocument": {
                "synchronization": { "didSave": true },
                "publishDiagnostics": { "versionSupport": true },
                "diagnostic": {},
            },
            "experimental": { "serverStatusNotification": true },
        },
    })
}
