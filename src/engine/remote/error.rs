//! Why a server cannot go on. Each is one sentence with the next step. None shows a key, or the user name and password of an
//! address.

/// What can go wrong with a server.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum RemoteError {
    #[error("`{0}` is no server's address; write it as http://host:port")]
    Address(String),
    #[error(
        "{0} is not this machine, and --offline allows no connection to another; leave --offline out, or name a server at 127.0.0.1"
    )]
    Offline(String),
    #[error("the API key cannot be sent: it has characters that no HTTP header may have; copy it again")]
    BadKey,
    #[error("TLS cannot be set up ({0}); install the system's certificates (the package `ca-certificates`)")]
    Tls(String),
    #[error("{place} cannot be reached ({reason}); start the server, or check its address")]
    Unreachable { place: String, reason: String },
    #[error("{place} refuses the API key (HTTP {status}); set MORU_API_KEY, or `api-key` in your own config.toml")]
    Key { place: String, status: u16 },
    #[error("{place} has no model `{model}`; choose one of these with --model: {known}")]
    Model { place: String, model: String, known: String },
    #[error("{place} serves no model; load one there first")]
    NoModel { place: String },
    #[error("{place} refuses the request (HTTP {status}): {reason}")]
    Refused { place: String, status: u16, reason: String },
    #[error(
        "{place} is too busy to answer (HTTP {status}: {reason}); ask again later, or name further servers with --engine"
    )]
    Busy { place: String, status: u16, reason: String },
    #[error("{place} stopped in the middle of an answer ({reason}); what was done so far stays: ask again to go on")]
    Died { place: String, reason: String },
    #[error(
        "{place} has said nothing for {seconds} seconds; ask again, or raise `engine-timeout` if it is merely slow"
    )]
    Silent { place: String, seconds: u64 },
    #[error("{place} does not answer as an OpenAI-compatible server does ({reason}); check its address")]
    Protocol { place: String, reason: String },
    #[error(
        "{0} does not tell its chat template, which --api completions needs; name the template's file with --template, or use --api chat"
    )]
    NoTemplate(String),
    #[error("the chat template {path} cannot be read: {reason}")]
    Template { path: String, reason: String },
    #[error("{0} renders every prompt itself, so that --api completions cannot be used; use --api chat")]
    NoCompletions(String),
    #[error("{0}")]
    Dialect(String),
    #[error("the thread that counts tokens cannot be started: {0}")]
    Thread(String),
}
