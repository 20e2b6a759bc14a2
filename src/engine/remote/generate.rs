//! One generation: a server is chosen, asked, listened to; and where it fails before the first token, asked again or replaced.

use std::time::{Duration, Instant};

use backon::{BackoffBuilder, ExponentialBackoff, ExponentialBuilder};
use eventsource_stream::Eventsource;
use futures_util::StreamExt;
use reqwest::Response;
use reqwest::header::{CONTENT_TYPE, HeaderMap, HeaderName, HeaderValue};
use serde_json::Value;
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

use super::RemoteError;
use super::Shared;
use super::chunk::{self, Counts};
use super::endpoint::{Endpoint, Failure, Next, cause};
use super::plan::Plan;
use super::pool::Lease;
use crate::engine::{Delta, EngineError, Request, Stop, Usage};

pub(super) type Deltas = mpsc::UnboundedSender<Result<Delta, EngineError>>;

/// How often all servers are tried, and how long is waited in between: some fifteen seconds in all.
const ATTEMPTS: usize = 5;
const WAIT: Duration = Duration::from_millis(500);
const WAIT_MOST: Duration = Duration::from_secs(30);
/// Tells routers which requests belong together, so that they reach the server whose cache holds the prefix: vLLM's router and
/// common proxies can be told to go by the first, SGLang's goes by the second.
const SESSION: [&str; 2] = ["x-session-id", "x-smg-routing-key"];

/// Runs a request; its end, good or bad, is the last thing sent.
pub(super) async fn generate(shared: &Shared, request: &Request, cancel: &CancellationToken, deltas: &Deltas) {
    let last = run(shared, request, cancel, deltas).await.map(Delta::Usage);
    // A receiver that is gone is a cancellation.
    let _ = deltas.send(last);
}

async fn run(
    shared: &Shared,
    request: &Request,
    cancel: &CancellationToken,
    deltas: &Deltas,
) -> Result<Usage, EngineError> {
    let mut tries = Tries::default();
    loop {
        let plan = shared.plan(request)?;
        let uses = plan.uses.clone();
        let lease = tokio::select! {
            () = cancel.cancelled() => return Ok(ended(Stop::Cancelled)),
            lease = shared.pool.lease(request.slot, &tries.tried) => lease,
        };
        let Some(lease) = lease else { return Err(RemoteError::Address(String::new()).into()) };
        let mut answer = Answer { shared, lease: &lease, cancel, deltas, begun: false };
        let Failure { error, next } = match answer.listen(plan, request).await {
            Ok(usage) => {
                shared.pool.served(request.slot, &lease);
                return Ok(usage);
            }
            Err(failure) => failure,
        };
        let begun = answer.begun;
        tracing::warn!(%error, begun, "no answer");
        if begun || next == Next::Elsewhere {
            lease.endpoint.failed();
        }
        if begun {
            return Err(error.into());
        }
        if shared.planner.refused.learn(&uses, &error).is_some() {
            continue;
        }
        let pause = tries.pause(next, lease.index, shared.pool.endpoints().len());
        drop(lease);
        let Some(pause) = pause else { return Err(error.into()) };
        tokio::select! {
            () = cancel.cancelled() => return Ok(ended(Stop::Cancelled)),
            () = tokio::time::sleep(pause) => {}
        }
    }
}

/// What was tried so far for a request.
struct Tries {
    waits: ExponentialBackoff,
    /// The servers that failed since the last pause.
    tried: Vec<usize>,
}

impl Default for Tries {
    fn default() -> Self {
        let waits = ExponentialBuilder::new().with_jitter().with_min_delay(WAIT).with_max_times(ATTEMPTS).build();
        Self { waits, tried: Vec::new() }
    }
}

impl Tries {
    /// How long to wait before the next try, after the server `index` of so many failed; not at all where another one is left.
    /// `None`: there is no further try.
    fn pause(&mut self, next: Next, index: usize, servers: usize) -> Option<Duration> {
        let told = match next {
            Next::Nothing => return None,
            Next::Elsewhere => None,
            Next::Later(told) => told,
        };
        self.tried.push(index);
        if self.tried.len() < servers {
            return Some(Duration::ZERO);
        }
        self.tried.clear();
        let own = self.waits.next()?;
        Some(told.unwrap_or_default().clamp(own.min(WAIT_MOST), WAIT_MOST))
    }
}

/// Of a generation that ended so, and of which nothing else is known.
fn ended(stop: Stop) -> Usage {
    Usage { stop, ..Usage::default() }
}

/// One try at one server.
struct Answer<'a> {
    shared: &'a Shared,
    lease: &'a Lease,
    cancel: &'a CancellationToken,
    deltas: &'a Deltas,
    /// Something of the answer was passed on, so that it cannot be begun anew.
    begun: bool,
}

impl Answer<'_> {
    /// Sends the request and passes on what comes. Leaving this function in any way closes the request, which is how servers
    /// are told to stop.
    async fn listen(&mut self, plan: Plan, request: &Request) -> Result<Usage, Failure> {
        let start = Instant::now();
        let mut heard = Heard { plan, counts: Counts::default(), first: None, stop: None, before: 0 };
        let mut stop = self.ask(&mut heard, request, start).await?;
        if stop != Stop::Cancelled
            && heard.stop.is_none()
            && let Some((said, deltas)) = heard.plan.output.cut()
        {
            self.pass_on(deltas);
            heard.go_on(&said);
            stop = self.ask(&mut heard, request, start).await?;
        }
        let (rest, stop) = heard.plan.output.finish(stop);
        self.pass_on(rest);
        self.shared.planner.learn(&heard.plan.output);
        Ok(self.usage(&heard, stop, start))
    }

    /// Sends what is planned, and passes on the answer.
    async fn ask(&mut self, heard: &mut Heard, request: &Request, start: Instant) -> Result<Stop, Failure> {
        let post = self.lease.endpoint.post(heard.plan.path, &heard.plan.body, self.headers(request));
        let response = tokio::select! {
            () = self.cancel.cancelled() => return Ok(Stop::Cancelled),
            response = post => response?,
        };
        self.follow(response, heard, start).await
    }

    /// Passes on the answer until it is complete, or cancelled.
    async fn follow(&mut self, response: Response, heard: &mut Heard, start: Instant) -> Result<Stop, Failure> {
        let endpoint = self.lease.endpoint.clone();
        let is_json = |value: &HeaderValue| value.to_str().is_ok_and(|kind| kind.starts_with("application/json"));
        if response.headers().get(CONTENT_TYPE).is_some_and(is_json) {
            let body = tokio::select! {
                () = self.cancel.cancelled() => return Ok(Stop::Cancelled),
                body = response.json() => body,
            };
            let event = body.map_err(|e| died(&endpoint, cause(&e)))?;
            let complete = self.take(&event, heard, start)?;
            return Ok(complete.or(heard.stop).unwrap_or(Stop::End));
        }
        let mut events = response.bytes_stream().eventsource();
        loop {
            let event = tokio::select! {
                biased;
                () = self.cancel.cancelled() => return Ok(Stop::Cancelled),
                event = events.next() => event,
            };
            let data = match event {
                Some(Ok(event)) => event.data,
                // What is missing behind the end of an answer is its usage at most.
                _ if heard.stop.is_some() => return Ok(heard.stop.unwrap_or_default()),
                Some(Err(error)) => return Err(broken(&endpoint, error)),
                None => return Err(died(&endpoint, "the connection ended".into())),
            };
            if data.trim() == "[DONE]" {
                // A few servers end without a reason.
                return Ok(heard.stop.unwrap_or(Stop::End));
            }
            let Ok(event) = serde_json::from_str::<Value>(&data) else {
                tracing::warn!(data, "an event that is no JSON");
                continue;
            };
            if let Some(stop) = self.take(&event, heard, start)? {
                return Ok(stop);
            }
        }
    }

    /// Passes on one event; returns how the answer ended, where it is complete whatever would still come.
    fn take(&mut self, event: &Value, heard: &mut Heard, start: Instant) -> Result<Option<Stop>, Failure> {
        let mut chunk = chunk::read(event);
        if let Some(reason) = chunk.error {
            return Err(died(&self.lease.endpoint, reason));
        }
        heard.counts.update(chunk.counts);
        let end = chunk.end.as_ref().map(|end| end.stop);
        let deltas = heard.plan.output.push(&mut chunk);
        if heard.first.is_none() && heard.plan.output.events() > 0 {
            heard.first = Some(start.elapsed());
        }
        self.pass_on(deltas);
        heard.stop = heard.stop.or(end);
        let output = &heard.plan.output;
        let complete = output.ended().filter(|stop| *stop != Stop::Call || heard.plan.one_call);
        let complete = complete.or(output.is_cut().then_some(Stop::Length));
        // Where the server has ended by itself its last words are worth waiting for.
        Ok(complete.filter(|_| heard.stop.is_none()))
    }

    fn pass_on(&mut self, deltas: Vec<Delta>) {
        for delta in deltas {
            // Progress in reading is no token: the request can still be made elsewhere.
            self.begun |= !matches!(delta, Delta::Prefill { .. });
            let _ = self.deltas.send(Ok(delta));
        }
    }

    fn headers(&self, request: &Request) -> HeaderMap {
        let mut headers = HeaderMap::new();
        let session = format!("{}-{}", self.shared.session, request.slot);
        if let Ok(value) = HeaderValue::from_str(&session) {
            headers.extend(SESSION.map(|name| (HeaderName::from_static(name), value.clone())));
        }
        headers
    }

    /// What it took, by the server's counts where it has sent them: a request that was closed from here has none.
    fn usage(&self, heard: &Heard, stop: Stop, start: Instant) -> Usage {
        let (counts, output) = (heard.counts, &heard.plan.output);
        let bytes = heard.plan.bytes;
        if let Some(tokens) = counts.prompt {
            self.shared.counter.learn(bytes, tokens);
        }
        let prompt = counts.prompt.unwrap_or_else(|| self.shared.counter.estimate(bytes));
        let took = start.elapsed();
        let first = heard.first.unwrap_or(took);
        let usage = Usage {
            prompt: prompt.saturating_sub(heard.before),
            cached: counts.cached.unwrap_or(0),
            generated: counts.generated.map_or_else(|| output.events(), |generated| heard.before + generated),
            prefill_seconds: counts.prefill_seconds.unwrap_or(first.as_secs_f64()),
            decode_seconds: counts.decode_seconds.unwrap_or_else(|| (took - first).as_secs_f64()),
            logprob: output.mean_logprob(),
            ..ended(stop)
        };
        tracing::debug!(?usage, place = self.lease.endpoint.place(), "generated");
        usage
    }
}

/// What was heard of an answer so far.
struct Heard {
    plan: Plan,
    counts: Counts,
    /// When the first token came.
    first: Option<Duration>,
    /// The server has ended the answer.
    stop: Option<Stop>,
    /// Tokens of the answer that it wrote before it was asked to go on behind them.
    before: usize,
}

impl Heard {
    /// The model is to go on behind what it `said`.
    fn go_on(&mut self, said: &str) {
        self.before = self.plan.output.events();
        self.plan.go_on(said, self.before);
    }
}

/// A server that was lost on the way. Nothing but what was passed on already keeps the request from being made again.
fn died(endpoint: &Endpoint, reason: String) -> Failure {
    Failure { error: RemoteError::Died { place: endpoint.place(), reason }, next: Next::Elsewhere }
}

fn broken(endpoint: &Endpoint, error: eventsource_stream::EventStreamError<reqwest::Error>) -> Failure {
    use eventsource_stream::EventStreamError as E;
    match error {
        E::Transport(error) if error.is_timeout() => endpoint.silent(),
        E::Transport(error) => died(endpoint, cause(&error)),
        E::Utf8(_) => died(endpoint, "it sent what is no text".into()),
        E::Parser(_) => died(endpoint, "it sent what is no event stream".into()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_other_server_is_tried_at_once_and_then_they_are_given_time() {
        let mut tries = Tries::default();
        assert_eq!(tries.pause(Next::Elsewhere, 0, 2), Some(Duration::ZERO));
        assert!(tries.pause(Next::Elsewhere, 1, 2) >= Some(WAIT));
        assert!(tries.tried.is_empty(), "both may be tried again");
    }

    #[test]
    fn a_server_may_ask_for_time_but_not_for_all_of_it() {
        let pause = |seconds| Tries::default().pause(Next::Later(Some(Duration::from_secs(seconds))), 0, 1);
        assert_eq!(pause(7), Some(Duration::from_secs(7)));
        assert_eq!(pause(7200), Some(WAIT_MOST));
        assert!(pause(0) >= Some(WAIT));
    }

    #[test]
    fn tries_come_to_an_end() {
        let mut tries = Tries::default();
        let pauses = std::iter::from_fn(|| tries.pause(Next::Later(None), 0, 1)).count();
        assert_eq!(pauses, ATTEMPTS);
        assert_eq!(Tries::default().pause(Next::Nothing, 0, 1), None);
    }
}
