//! The same requests on a llama-server, alternating with this engine: what holding the model in the process brings, or costs.

use std::net::{Ipv4Addr, TcpListener};
use std::process::Stdio;
use std::time::Duration;

use serde::Serialize;
use tokio::process::{Child, Command};

use super::cases::{self, Answer};
use crate::cli::{Error, setup};
use crate::config::{Config, Dirs};
use crate::engine::local::LocalEngine;
use crate::engine::remote::RemoteEngine;
use crate::engine::{Engine, Request};
use crate::model;
use crate::model::device::Machine;

/// How long a server of our own may take until it listens.
const START: Duration = Duration::from_secs(120);

/// This engine's speed over the server's, for each kind of request; medians. More than 1 is faster.
#[derive(Debug, Clone, Serialize)]
pub struct Against {
    pub server: String,
    /// Until the first token of a long prompt that neither has read before.
    pub prefill: f64,
    /// Until the first token of the second turn of a conversation.
    pub next_turn: f64,
    /// Tokens a second of a text in which nothing repeats.
    pub decode: f64,
    /// Tokens a second of a file that is written anew with a small change.
    pub copy: f64,
}

/// A server to compare with, and its process where it is ours.
struct Rival {
    engine: RemoteEngine,
    name: String,
    _process: Option<Child>,
}

/// Measures, with `what` a URL or a program; so many tokens of the copy, so many times.
///
/// # Errors
/// The server cannot be started or reached, or an engine cannot go on.
pub async fn measure(
    what: &str,
    engine: &LocalEngine,
    config: &Config,
    dirs: &Dirs,
    copied: usize,
    repeat: usize,
) -> Result<Against, Error> {
    let rival =
        if what.contains("://") { connect(what, config, None).await? } else { start(what, config, dirs).await? };
    let (mut prefill, mut next_turn, mut decode, mut copy) = (Vec::new(), Vec::new(), Vec::new(), Vec::new());
    for round in 0..repeat.max(1) {
        // Whoever goes first has the cooler processor.
        let ours_first = round % 2 == 0;
        let both = async |request: &dyn Fn() -> Request| {
            let first: &dyn Engine = if ours_first { engine } else { &rival.engine };
            let second: &dyn Engine = if ours_first { &rival.engine } else { engine };
            let (a, b) = (cases::ask(first, request()).await?, cases::ask(second, request()).await?);
            Ok::<(Answer, Answer), Error>(if ours_first { (a, b) } else { (b, a) })
        };
        let (ours, theirs) = both(&|| cases::unread(round)).await?;
        prefill.push(theirs.first_ms / ours.first_ms);
        let (ours, theirs) = both(&|| cases::followed_up(round)).await?;
        next_turn.push(theirs.first_ms / ours.first_ms);
        let (ours, theirs) = both(&cases::prose).await?;
        decode.push(ours.rate() / theirs.rate());
        let (ours, theirs) = both(&|| cases::copy(copied)).await?;
        copy.push(ours.rate() / theirs.rate());
    }
    let median = cases::median;
    Ok(Against {
        server: rival.name,
        prefill: median(prefill),
        next_turn: median(next_turn),
        decode: median(decode),
        copy: median(copy),
    })
}

async fn connect(url: &str, config: &Config, process: Option<Child>) -> Result<Rival, Error> {
    // The server's only model, however it calls it.
    let model = Config::default().model;
    let config = Config { engine: Some(url.to_owned()), model, api: None, ..config.clone() };
    Ok(Rival { engine: setup::server(&config).await?, name: url.to_owned(), _process: process })
}

/// Starts a llama-server with the same model, context and threads.
async fn start(program: &str, config: &Config, dirs: &Dirs) -> Result<Rival, Error> {
    let failed = |e: &dyn std::fmt::Display| {
        Error::Other(format!("{program} cannot be compared with: {e}; give its path, or the URL of one that runs"))
    };
    let found = model::resolve(&config.model, dirs)?;
    let port = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).and_then(|l| l.local_addr()).map_err(|e| failed(&e))?.port();
    let threads = setup::threads(config, &Machine::detect());
    let mut command = Command::new(program);
    command.arg("-m").arg(&found.path).args(["--host", "127.0.0.1", "--jinja", "-fa", "on", "-np", "1"]);
    command.args(["--port", &port.to_string(), "-t", &threads.to_string(), "-c", &config.context.to_string()]);
    command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null()).kill_on_drop(true);
    let mut process = command.spawn().map_err(|e| failed(&e))?;
    let listening = async {
        while tokio::net::TcpStream::connect((Ipv4Addr::LOCALHOST, port)).await.is_err() {
            if let Ok(Some(status)) = process.try_wait() {
                return Err(failed(&format!("it ended with {status}")));
            }
            tokio::time::sleep(Duration::from_millis(200)).await;
        }
        Ok(())
    };
    tokio::time::timeout(START, listening).await.map_err(|_| failed(&"it does not listen"))??;
    let mut rival = connect(&format!("http://127.0.0.1:{port}"), config, Some(process)).await?;
    program.clone_into(&mut rival.name);
    Ok(rival)
}
