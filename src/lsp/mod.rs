//! Language servers: what they find wrong in a file that was not wrong before a change.
//!
//! `server` has the rows and finds which are installed, `client` starts one and speaks with it (LSP 3.17, through async-lsp),
//! `board` keeps what it said of which text, [`Servers`] is what a session holds. Nothing here may hold up a turn: a file's
//! server is told of its text as soon as the model reads it, and after a change it has [`DEADLINE`] to answer.

mod board;
mod client;
mod server;

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use futures_util::future::join_all;
use tokio_util::sync::CancellationToken;

use crate::code::Language;
use crate::sandbox::Sandbox;
pub use board::Diagnostic;
use client::Client;
use server::Reach;
pub use server::{Allowed, Installed, Rules, SERVERS, Server, UnknownServer, installed};

/// How long a change waits for what a server says of it.
pub const DEADLINE: Duration = Duration::from_secs(2);

/// Longer texts, in bytes, are no program that somebody wrote.
const LONGEST: usize = 1_000_000;
/// Files that a server is told of before they change; each takes some of its memory.
const OPEN: usize = 32;

/// What a server found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Findings {
    pub server: &'static str,
    /// In the order of the lines; at least one.
    pub errors: Vec<Diagnostic>,
}

/// The language servers of a session. Each is started when the first file of its languages is read or changed, and ends with
/// this. Its methods must be called on a tokio runtime.
#[derive(Default)]
pub struct Servers {
    /// The workspace's folder, absolute.
    root: PathBuf,
    usable: Vec<Usable>,
    /// By name; `None` for one that is left out for the rest of the session.
    clients: Mutex<HashMap<&'static str, Option<Arc<Client>>>>,
}

/// A server that may run.
struct Usable {
    server: &'static Server,
    program: PathBuf,
    sandbox: Sandbox,
}

impl Servers {
    /// Those of `installed` that may run, for the folder `root`, with no more rights than a command in `sandbox` has.
    pub fn new(root: &Path, sandbox: &Sandbox, installed: &[Installed]) -> Self {
        let usable = installed.iter().filter(|installed| installed.refused.is_none()).map(|installed| Usable {
            server: installed.server,
            program: installed.program.clone(),
            sandbox: match installed.server.reach {
                Reach::Reads => sandbox.reading(root),
                Reach::Runs => sandbox.clone(),
            },
        });
        Self { root: root.to_owned(), usable: usable.collect(), clients: Mutex::default() }
    }

    /// Whether there is none that may run.
    pub fn is_empty(&self) -> bool {
        self.usable.is_empty()
    }

    /// Tells a file's server of its text, so that what is wrong with it already is known when it changes. Does not wait.
    pub fn open(&self, path: &str, text: &str) {
        if let Some((client, language)) = self.client(path, text)
            && client.open_files() < OPEN
        {
            client.open(self.root.join(path), language, text);
        }
    }

    /// Tells a file's server of a change, and what is wrong now that was not wrong `before` (`None` where there was no file).
    /// Waits for the server until [`DEADLINE`], and not at all for one that has not caught up with the folder by the second
    /// change. `None`: nothing new, or nobody to ask.
    pub async fn changed(
        &self,
        path: &str,
        before: Option<&str>,
        after: &str,
        cancel: &CancellationToken,
    ) -> Option<Findings> {
        let (client, language) = self.client(path, after)?;
        let errors = tokio::select! {
            errors = client.changed(self.root.join(path), language, before, after) => errors,
            () = cancel.cancelled() => return None,
        };
        if client.is_hanging() {
            client.stop();
            self.leave_out(client.name, "it has stopped answering");
        }
        (!errors.is_empty()).then_some(Findings { server: client.name, errors })
    }

    /// Ends all servers, politely where they listen. Those that do not end are killed behind the caller's back.
    pub async fn close(&self) {
        let clients: Vec<_> = self.lock().drain().filter_map(|(_, client)| client).collect();
        join_all(clients.into_iter().filter_map(Arc::into_inner).map(Client::close)).await;
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<&'static str, Option<Arc<Client>>>> {
        // The state is a plain map, whole whatever panicked elsewhere.
        self.clients.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The client of the server for this file, started if need be, and what LSP calls the file's language.
    fn client(&self, path: &str, text: &str) -> Option<(Arc<Client>, &'static str)> {
        let language = Language::of(Path::new(path)).filter(|_| text.len() <= LONGEST)?;
        let usable = self.usable.iter().find(|usable| usable.server.knows(language))?;
        let mut clients = self.lock();
        let slot = clients.entry(usable.server.name).or_insert_with(|| {
            tracing::info!(server = usable.server.name, "a language server is started");
            Some(Arc::new(Client::start(usable.server, &usable.program, &self.root, &usable.sandbox)))
        });
        if let Some(reason) = slot.as_ref().and_then(|client| client.has_ended()) {
            *slot = None;
            left_out(usable.server.name, &reason);
        }
        slot.clone().map(|client| (client, server::language_id(language)))
    }

    fn leave_out(&self, name: &'static str, reason: &str) {
        let was_in = self.lock().insert(name, None).flatten().is_some();
        if was_in {
            left_out(name, reason);
        }
    }
}

impl std::fmt::Debug for Servers {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let names = self.usable.iter().map(|usable| usable.server.name);
        f.debug_list().entries(names).finish()
    }
}

fn left_out(server: &str, reason: &str) {
    tracing::warn!(server, reason, "a language server is left out for the rest of the session");
}
