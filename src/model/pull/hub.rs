//! The Hugging Face hub. `hf-hub` knows its addresses; the transfer is done here with the same HTTP client, since that crate
//! downloads into its own cache, without time limits and without looking at the hash.

use std::io::Read;
use std::time::Duration;

use hf_hub::api::sync::ApiBuilder;
use hf_hub::{Cache, Repo, RepoType};
use ureq::config::RedirectAuthHeaders;
use ureq::http::{HeaderMap, Response, StatusCode};
use ureq::tls::{RootCerts, TlsConfig};
use ureq::{Agent, Body};

use super::{Expected, Failure, Options, Part, Progress, Report, Source};

/// A hub out of reach must not keep anybody waiting: there is another source.
const CONNECT: Duration = Duration::from_secs(10);
/// A line on which nothing comes for so long is broken.
const SILENCE: Duration = Duration::from_secs(30);
/// How often in a row a broken transfer is taken up without a byte received.
const ATTEMPTS: u32 = 3;

pub(super) fn fetch(
    source: &Source,
    part: &mut Part,
    expected: &mut Expected,
    options: &Options,
    report: Report,
) -> Result<(), Failure> {
    let url = address(source, options)?;
    let client = Client::new(options);
    if expected.size.is_none() || expected.sha256.is_none() {
        client.complete(&url, expected)?;
    }
    let mut attempts = 0;
    loop {
        if expected.size == Some(part.length) {
            return Ok(());
        }
        let before = part.length;
        match client.transfer(&url, part, expected, report) {
            Err(Failure::Source(_)) if part.length > before => attempts = 0,
            Err(Failure::Source(_)) if before > 0 && attempts + 1 < ATTEMPTS => attempts += 1,
            other => return other,
        }
    }
}

/// What the hub states of a file.
pub(super) fn stated(source: &Source, options: &Options) -> Result<Expected, Failure> {
    let url = address(source, options)?;
    let mut expected = Expected::default();
    Client::new(options).complete(&url, &mut expected)?;
    Ok(expected)
}

fn address(source: &Source, options: &Options) -> Result<String, Failure> {
    if options.hub_offline {
        return Err(Failure::Source("HF_HUB_OFFLINE is set".into()));
    }
    let Source::Hub { repo, file, revision } = source else {
        return Err(Failure::Source("it is no hub".into()));
    };
    // Nothing is read from or written to the cache; the builder only wants one.
    let mut api = ApiBuilder::from_cache(Cache::new("hub".into()));
    if let Some(endpoint) = &options.hub_endpoint {
        api = api.with_endpoint(endpoint.trim_end_matches('/').to_owned());
    }
    let api = api.build().map_err(|e| Failure::Source(e.to_string()))?;
    Ok(api.repo(Repo::with_revision(repo.clone(), RepoType::Model, revision.clone())).url(file))
}

struct Client {
    agent: Agent,
    token: Option<String>,
}

impl Client {
    fn new(options: &Options) -> Self {
        // The system's certificates, so that a company's proxy is trusted where the machine trusts it.
        let tls = TlsConfig::builder().root_certs(RootCerts::PlatformVerifier).build();
        let config = Agent::config_builder()
            .user_agent(concat!("moru/", env!("CARGO_PKG_VERSION")))
            .tls_config(tls)
            .http_status_as_error(false)
            .redirect_auth_headers(RedirectAuthHeaders::SameHost)
            .timeout_resolve(Some(CONNECT))
            .timeout_connect(Some(CONNECT))
            .timeout_recv_response(Some(SILENCE))
            .timeout_per_read(Some(SILENCE))
            .build();
        Self { agent: config.into(), token: options.hub_token.clone() }
    }

    fn get(&self, url: &str, start: u64) -> Result<Response<Body>, Failure> {
        let mut request = self.agent.get(url).header("Accept-Encoding", "identity");
        if start > 0 {
            request = request.header("Range", format!("bytes={start}-"));
        }
        if let Some(token) = &self.token {
            request = request.header("Authorization", format!("Bearer {token}"));
        }
        request.call().map_err(unreachable)
    }

    /// Size and hash as the hub states them, for models of which the catalog does not know them. They stand in the answer
    /// that redirects to the storage.
    fn complete(&self, url: &str, expected: &mut Expected) -> Result<(), Failure> {
        let mut request = self.agent.head(url).header("Accept-Encoding", "identity");
        if let Some(token) = &self.token {
            request = request.header("Authorization", format!("Bearer {token}"));
        }
        let request = request.config().max_redirects(0).max_redirects_will_error(false).build();
        let response = request.call().map_err(unreachable)?;
        if !response.status().is_redirection() {
            check_status(response.status())?;
        }
        let headers = response.headers();
        if expected.size.is_none() {
            expected.size = header(headers, "x-linked-size").and_then(|s| s.parse().ok());
        }
        if expected.sha256.is_none() {
            let etag = header(headers, "x-linked-etag").map(|etag| etag.trim_matches('"').to_ascii_lowercase());
            expected.sha256 = etag.filter(|e| e.len() == 64 && e.bytes().all(|b| b.is_ascii_hexdigit()));
        }
        Ok(())
    }

    /// Receives from where the unfinished file ends.
    fn transfer(&self, url: &str, part: &mut Part, expected: &mut Expected, report: Report) -> Result<(), Failure> {
        let mut response = self.get(url, part.length)?;
        if response.status() == StatusCode::RANGE_NOT_SATISFIABLE
            || (response.status() == StatusCode::PARTIAL_CONTENT
                && range_start(response.headers()) != Some(part.length))
        {
            part.restart()?;
            response = self.get(url, 0)?;
        }
        check_status(response.status())?;
        if response.status() != StatusCode::PARTIAL_CONTENT {
            part.restart()?;
        }
        let length = header(response.headers(), "content-length").and_then(|n| n.parse::<u64>().ok());
        if let Some(total) = length.map(|n| n.saturating_add(part.length)) {
            let size = *expected.size.get_or_insert(total);
            if size != total {
                return Err(Failure::Source(format!("it has a file of {total} bytes, the catalog one of {size}")));
            }
            part.need_space(size, 0)?;
        }
        report(Progress::Size { done: part.length, total: expected.size });
        let rest = expected.size.map_or(u64::MAX, |size| size.saturating_sub(part.length));
        part.append(response.body_mut().as_reader().take(rest), report)
    }
}

fn header<'a>(headers: &'a HeaderMap, name: &str) -> Option<&'a str> {
    headers.get(name)?.to_str().ok()
}

/// The first byte of a `Content-Range: bytes 5-9/10`.
fn range_start(headers: &HeaderMap) -> Option<u64> {
    header(headers, "content-range")?.strip_prefix("bytes ")?.split('-').next()?.parse().ok()
}

fn check_status(status: StatusCode) -> Result<(), Failure> {
    let reason = match status.as_u16() {
        200 | 206 => return Ok(()),
        401 | 403 => {
            "it asks for permission: accept the model's terms on its page and set HF_TOKEN to a token of yours".into()
        }
        404 => "it does not have this file".into(),
        429 => "it has had too many requests from here; try again later".into(),
        code => format!("it answered with HTTP status {code}"),
    };
    Err(Failure::Source(reason))
}

fn unreachable(error: ureq::Error) -> Failure {
    Failure::Source(match error {
        ureq::Error::HostNotFound => "out of reach (its host is not found)".into(),
        ureq::Error::Timeout(_) => "out of reach (it did not answer in time)".into(),
        // What the system's resolver says reaches us as a text.
        ureq::Error::Io(e) if e.to_string().contains("lookup") => "out of reach (its host is not found)".into(),
        other => format!("out of reach ({other})"),
    })
}
