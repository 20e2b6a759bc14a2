//! One server's address: how it is reached, whether it answers, and how much it has to do.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use reqwest::header::{AUTHORIZATION, CONTENT_TYPE, HeaderMap, HeaderValue, RETRY_AFTER};
use reqwest::redirect::Policy;
use reqwest::{Client, Response, StatusCode, Url};
use serde_json::Value;

use super::RemoteError;

/// A server in a data centre answers a connection within this, or not at all.
const CONNECT: Duration = Duration::from_secs(10);
/// Questions that need no model are answered within this.
pub(super) const ASK: Duration = Duration::from_secs(10);
/// What a question about health may take.
const HEALTH: Duration = Duration::from_secs(3);
/// For how long a server that failed is left alone, at first and at most.
const REST: Duration = Duration::from_secs(2);
const REST_MOST: Duration = Duration::from_secs(60);
/// A server's reason is shown up to this many bytes.
const REASON: usize = 400;

/// An API key. It is shown nowhere: not by `Debug`, not in errors, not in the log.
#[derive(Debug, Clone)]
pub struct Key(HeaderValue);

impl Key {
    /// A key as it is sent in `Authorization: Bearer …`.
    ///
    /// # Errors
    /// It has characters that a header cannot have.
    pub fn new(key: &str) -> Result<Self, RemoteError> {
        let mut value = HeaderValue::from_str(&format!("Bearer {}", key.trim())).map_err(|_| RemoteError::BadKey)?;
        value.set_sensitive(true);
        Ok(Self(value))
    }
}

/// Which connections are allowed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Reach {
    #[default]
    Anywhere,
    /// `--offline`: this machine only.
    Loopback,
}

/// Why a request brought no answer.
#[derive(Debug)]
pub(super) struct Failure {
    pub error: RemoteError,
    pub next: Next,
}

impl Failure {
    /// One that the same request will meet again.
    pub fn last(error: RemoteError) -> Self {
        Self { error, next: Next::Nothing }
    }
}

/// What may help after a failure.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Next {
    /// Another server, or this one after a rest.
    Elsewhere,
    /// The same a little later; the server may have said when.
    Later(Option<Duration>),
    /// Nothing but another request.
    Nothing,
}

/// A server.
#[derive(Debug)]
pub(super) struct Endpoint {
    /// Its root, without `/v1` and without a slash at the end.
    base: Url,
    client: Client,
    key: Option<Key>,
    /// How long it may say nothing.
    idle: Duration,
    /// Requests under way.
    pub load: AtomicUsize,
    rest: Mutex<Rest>,
}

/// How often in a row it failed, and until when it is left alone.
#[derive(Debug, Default)]
struct Rest {
    failures: u32,
    until: Option<Instant>,
}

/// Reads `URL[,URL…]`.
///
/// # Errors
/// One of them is no address, or is out of `reach`.
pub(super) fn addresses(list: &str, reach: Reach) -> Result<Vec<Url>, RemoteError> {
    let list: Vec<&str> = list.split(',').map(str::trim).filter(|address| !address.is_empty()).collect();
    if list.is_empty() {
        return Err(RemoteError::Address(String::new()));
    }
    list.into_iter().map(|address| root(address, reach)).collect()
}

fn root(address: &str, reach: Reach) -> Result<Url, RemoteError> {
    let with_scheme = if address.contains("://") { address.to_owned() } else { format!("http://{address}") };
    let wrong = || RemoteError::Address(without_secrets(address));
    let mut url = Url::parse(&with_scheme).map_err(|_| wrong())?;
    if !matches!(url.scheme(), "http" | "https") || url.host_str().is_none_or(str::is_empty) {
        return Err(wrong());
    }
    let path = url.path().trim_end_matches('/');
    let path = path.strip_suffix("/v1").unwrap_or(path).trim_end_matches('/').to_owned();
    url.set_path(&path);
    url.set_query(None);
    url.set_fragment(None);
    if reach == Reach::Loopback && !is_loopback(&url) {
        return Err(RemoteError::Offline(place(&url)));
    }
    Ok(url)
}

/// An address that does not parse may still hold a password.
fn without_secrets(address: &str) -> String {
    address.rsplit('@').next().unwrap_or_default().to_owned()
}

/// Whether a server is on this machine, by its address alone.
fn is_loopback(url: &Url) -> bool {
    let host = url.host_str().unwrap_or_default();
    let ip = host.trim_start_matches('[').trim_end_matches(']').parse::<std::net::IpAddr>();
    ip.map_or(host == "localhost", |ip| ip.to_canonical().is_loopback())
}

/// An address as it is shown: without user and password.
fn place(url: &Url) -> String {
    let port = url.port().map(|port| format!(":{port}")).unwrap_or_default();
    let path = url.path().trim_end_matches('/');
    format!("{}://{}{port}{path}", url.scheme(), url.host_str().unwrap_or_default())
}

impl Endpoint {
    /// A server that nothing is known of yet. `idle` bounds the silence between two pieces of an answer.
    ///
    /// # Errors
    /// TLS cannot be set up.
    pub fn new(base: Url, key: Option<Key>, idle: Duration) -> Result<Self, RemoteError> {
        // Fails where a provider is in place already, which then serves.
        let _ = rustls::crypto::ring::default_provider().install_default();
        let mut builder = Client::builder()
            .user_agent(concat!("moru/", env!("CARGO_PKG_VERSION")))
            .connect_timeout(CONNECT)
            .read_timeout(idle)
            .tcp_nodelay(true)
            // A key goes to the server that the user named and to no other.
            .redirect(Policy::none());
        if is_loopback(&base) {
            builder = builder.no_proxy();
        }
        if base.scheme() == "http" {
            // Then the system's certificates, which may be missing in a container, are not looked for.
            builder = builder.tls_certs_only([]);
        }
        let client = builder.build().map_err(|e| RemoteError::Tls(cause(&e)))?;
        Ok(Self { base, client, key, idle, load: AtomicUsize::new(0), rest: Mutex::default() })
    }

    /// The same server over connections of their own.
    ///
    /// # Errors
    /// As [`Endpoint::new`].
    pub fn anew(&self) -> Result<Self, RemoteError> {
        Self::new(self.base.clone(), self.key.clone(), self.idle)
    }

    /// As it is shown.
    pub fn place(&self) -> String {
        place(&self.base)
    }

    /// Whether a key would cross a network in the clear.
    pub fn exposes_key(&self) -> bool {
        self.key.is_some() && self.base.scheme() == "http" && !is_loopback(&self.base)
    }

    fn url(&self, path: &str) -> String {
        format!("{}{path}", self.base.as_str().trim_end_matches('/'))
    }

    fn headers(&self) -> HeaderMap {
        let mut headers = HeaderMap::new();
        if let Some(Key(key)) = &self.key {
            headers.insert(AUTHORIZATION, key.clone());
        }
        headers
    }

    /// The JSON at `path`.
    ///
    /// # Errors
    /// The server cannot be reached, refuses, or does not answer with JSON.
    pub async fn get(&self, path: &str) -> Result<Value, Failure> {
        let request = self.client.get(self.url(path)).headers(self.headers()).timeout(ASK);
        self.json(self.checked(request.send().await).await?).await
    }

    /// What the server answers to a small question.
    ///
    /// # Errors
    /// As [`Endpoint::get`].
    pub async fn ask(&self, path: &str, body: &Value, limit: Duration) -> Result<Value, Failure> {
        let request = self.client.post(self.url(path)).headers(self.headers()).timeout(limit).json(body);
        self.json(self.checked(request.send().await).await?).await
    }

    /// Sends a request whose answer streams.
    ///
    /// # Errors
    /// The server cannot be reached or refuses.
    pub async fn post(&self, path: &str, body: &Value, headers: HeaderMap) -> Result<Response, Failure> {
        let request = self.client.post(self.url(path)).headers(self.headers()).headers(headers);
        match request.json(body).send().await {
            Err(error) if error.is_timeout() && !error.is_connect() => Err(self.silent()),
            sent => self.checked(sent).await,
        }
    }

    /// Nothing came for too long. Asked again it would begin anew, so this is the end.
    pub fn silent(&self) -> Failure {
        Failure::last(RemoteError::Silent { place: self.place(), seconds: self.idle.as_secs() })
    }

    /// Whether the server answers at all. One without a question for health is asked for its models.
    pub async fn is_healthy(&self) -> bool {
        for path in ["/health", "/v1/models"] {
            let asked = self.client.get(self.url(path)).headers(self.headers()).timeout(HEALTH).send().await;
            match asked.map(|response| response.status()) {
                Ok(status) if status.is_success() => return true,
                Ok(StatusCode::NOT_FOUND | StatusCode::METHOD_NOT_ALLOWED) => {}
                _ => return false,
            }
        }
        false
    }

    async fn json(&self, response: Response) -> Result<Value, Failure> {
        response
            .json()
            .await
            .map_err(|error| Failure::last(RemoteError::Protocol { place: self.place(), reason: cause(&error) }))
    }

    async fn checked(&self, sent: Result<Response, reqwest::Error>) -> Result<Response, Failure> {
        let response = match sent {
            Ok(response) if response.status().is_success() => return Ok(response),
            Ok(response) => response,
            Err(error) => {
                let error = RemoteError::Unreachable { place: self.place(), reason: cause(&error) };
                return Err(Failure { error, next: Next::Elsewhere });
            }
        };
        let (place, status) = (self.place(), response.status().as_u16());
        let wait = response.headers().get(RETRY_AFTER).and_then(|value| value.to_str().ok()?.trim().parse().ok());
        let is_text = response.headers().get(CONTENT_TYPE).is_none_or(|kind| {
            let kind = kind.to_str().unwrap_or_default();
            kind.contains("json") || kind.contains("text/plain")
        });
        let body = if is_text { response.text().await.unwrap_or_default() } else { String::new() };
        let reason = reason(&body, status);
        Err(match status {
            401 | 403 => Failure::last(RemoteError::Key { place, status }),
            408 | 425 | 429 | 500 | 502..=504 | 529 => Failure {
                error: RemoteError::Busy { place, status, reason },
                next: Next::Later(wait.map(Duration::from_secs)),
            },
            _ => Failure::last(RemoteError::Refused { place, status, reason }),
        })
    }

    /// Notes that it did not answer; it is left alone for a while, longer with each failure.
    pub fn failed(&self) {
        let mut rest = self.lock();
        let pause = REST.saturating_mul(1 << rest.failures.min(8)).min(REST_MOST);
        rest.failures += 1;
        rest.until = Some(Instant::now() + pause);
    }

    /// Notes that it answered.
    pub fn works(&self) {
        *self.lock() = Rest::default();
    }

    /// Until when it is left alone, where it failed the last time.
    pub fn rests_until(&self) -> Option<Instant> {
        self.lock().until
    }

    /// Requests under way.
    pub fn load(&self) -> usize {
        self.load.load(Ordering::Relaxed)
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Rest> {
        // Plain values, whole whatever panicked elsewhere.
        self.rest.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// What lies at the bottom of a failure: reqwest's own sentence shows the address with its password.
pub(super) fn cause(error: &reqwest::Error) -> String {
    if error.is_timeout() {
        return "it did not answer in time".into();
    }
    let mut cause: &dyn std::error::Error = error;
    while let Some(source) = cause.source() {
        cause = source;
    }
    if std::ptr::addr_eq(cause, error) { "the connection broke".into() } else { cause.to_string() }
}

/// Why a server refused, in its own words. vLLM, SGLang and llama-server put them into `error.message`, others into
/// `message`, `error` or `detail`.
pub(super) fn reason(body: &str, status: u16) -> String {
    let value: Value = serde_json::from_str(body).unwrap_or_default();
    let words = [&value["error"]["message"], &value["message"], &value["error"], &value["detail"]];
    let words = words.into_iter().find_map(Value::as_str).unwrap_or(body).trim();
    let words = words.split_whitespace().collect::<Vec<_>>().join(" ");
    if words.is_empty() {
        return StatusCode::from_u16(status).ok().and_then(|s| s.canonical_reason()).unwrap_or("no reason").to_owned();
    }
    let end = words.floor_char_boundary(REASON);
    if end < words.len() { format!("{} …", &words[..end]) } else { words }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shown(list: &str) -> Vec<String> {
        addresses(list, Reach::Anywhere).unwrap().iter().map(place).collect()
    }

    #[test]
    fn an_address_may_be_written_in_many_ways() {
        for written in ["localhost:8000", "http://localhost:8000/", "http://localhost:8000/v1", "localhost:8000/v1/"] {
            assert_eq!(shown(written), ["http://localhost:8000"], "{written}");
        }
        assert_eq!(shown("a:1, https://b/openai/v1"), ["http://a:1", "https://b/openai"]);
    }

    #[test]
    fn what_is_no_address_is_said_without_its_password() {
        for written in ["", ",", "ftp://x", "http://", "http://me:secret@"] {
            let error = addresses(written, Reach::Anywhere).unwrap_err().to_string();
            assert!(error.contains("no server's address") && !error.contains("secret"), "{error}");
        }
        assert_eq!(shown("http://me:secret@host:1"), ["http://host:1"]);
    }

    #[test]
    fn offline_allows_this_machine_only() {
        let reached = |address| addresses(address, Reach::Loopback).is_ok();
        for near in ["localhost:1", "127.0.0.1:1", "http://127.1.2.3", "http://[::1]:80"] {
            assert!(reached(near), "{near}");
        }
        for far in ["10.0.0.1:1", "example.org", "http://localhost.example.org", "127.0.0.1,example.org"] {
            assert!(!reached(far), "{far}");
        }
    }

    #[test]
    fn a_key_is_shown_nowhere() {
        let key = Key::new("sk-secret").unwrap();
        assert!(!format!("{key:?}").contains("secret"));
        assert_eq!(Key::new("a\nb").unwrap_err(), RemoteError::BadKey);
    }

    #[test]
    fn a_refusal_is_told_in_the_servers_words() {
        assert_eq!(reason(r#"{"error":{"message":"no  such\nmodel"}}"#, 404), "no such model");
        assert_eq!(reason(r#"{"object":"error","message":"too long"}"#, 400), "too long");
        assert_eq!(reason(r#"{"detail":"Not Found"}"#, 404), "Not Found");
        assert_eq!(reason("", 503), "Service Unavailable");
        assert!(reason(&"x".repeat(5000), 500).len() < 500);
    }
}
