//! What a server can and cannot do, found out by small requests: for `moru doctor`.

use std::time::Duration;

use serde_json::{Map, Value, json};

use super::chunk::{self, Chunk};
use super::endpoint::Endpoint;
use super::server::{Prefill, Raw, Structure};
use super::{RemoteEngine, RemoteError, chat, structure};
use crate::dialect::{Message, Parsed, Role, ToolSpec};
use crate::engine::{Constraint, EngineError, Request};

/// A small answer takes no longer, even from a large model on a CPU.
const PATIENCE: Duration = Duration::from_secs(120);
/// Long enough for a call, with some reasoning before it.
const CALL_TOKENS: usize = 400;
/// Words of a prompt that is worth caching.
const LONG: usize = 600;

/// Whether a server can do something.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Can {
    Yes,
    /// It cannot, and the engine gets by in another way.
    No,
    /// It cannot, and there is no other way.
    Broken,
}

/// One thing that was found out.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Finding {
    /// One or two words.
    pub what: &'static str,
    pub can: Can,
    /// One sentence.
    pub found: String,
    /// What to do about it, or how the engine gets by.
    pub advice: Option<String>,
}

fn yes(what: &'static str, found: impl Into<String>) -> Finding {
    Finding { what, can: Can::Yes, found: found.into(), advice: None }
}

fn no(what: &'static str, found: impl Into<String>, advice: &str) -> Finding {
    Finding { what, can: Can::No, found: found.into(), advice: Some(advice.to_owned()) }
}

/// Asks the server of `engine` for one thing after the other.
pub async fn probe(engine: &RemoteEngine) -> Vec<Finding> {
    let probe = Probe { engine, endpoint: &engine.shared.pool.endpoints()[0] };
    let mut findings = vec![probe.server()];
    findings.extend(probe.endpoints().await);
    findings.push(probe.context());
    let chat = probe.chat().await;
    let works = chat.can == Can::Yes;
    findings.push(chat);
    if works {
        findings.push(probe.calls().await);
        findings.push(probe.required().await);
        findings.push(probe.one_of().await);
        findings.push(probe.prefill().await);
        findings.push(probe.logprobs().await);
        findings.push(probe.cache().await);
    }
    findings.push(probe.completions().await);
    findings.push(probe.tokens());
    findings.push(probe.way());
    findings
}

/// Where a call was found.
enum Called {
    Apart,
    InText,
    Not,
}

struct Probe<'e> {
    engine: &'e RemoteEngine,
    endpoint: &'e Endpoint,
}

impl Probe<'_> {
    fn server(&self) -> Finding {
        let server = self.engine.server();
        let version = server.version.as_ref().map(|version| format!(" {version}")).unwrap_or_default();
        let slots = server.slots.map(|n| format!(", {n} requests at a time")).unwrap_or_default();
        yes("server", format!("{}{version}, model {}{slots}", server.kind, server.model))
    }

    async fn endpoints(&self) -> Vec<Finding> {
        let left_out = self.engine.left_out.iter().map(|error| no("address", error.to_string(), "the others serve"));
        let mut findings: Vec<Finding> = left_out.collect();
        for endpoint in self.engine.shared.pool.endpoints() {
            let place = endpoint.place();
            findings.push(match endpoint.is_healthy().await {
                true if endpoint.exposes_key() => {
                    no("address", format!("{place} answers"), "the API key goes there unencrypted: use https")
                }
                true => yes("address", format!("{place} answers")),
                false => no("address", format!("{place} does not answer"), "the others serve; start it again"),
            });
        }
        findings
    }

    fn context(&self) -> Finding {
        match self.engine.server().context {
            Some(context) => yes("context", format!("{context} tokens")),
            None => no(
                "context",
                "the server does not tell",
                &format!("{} tokens are assumed: set --context", self.engine.info.context),
            ),
        }
    }

    async fn chat(&self) -> Finding {
        let request = Request { max_tokens: Some(8), ..asking("Say hello.") };
        match self.answer(&request).await {
            Ok(chunk) if !chunk.reasoning.is_empty() => yes("chat", "works; reasoning comes apart from the answer"),
            Ok(_) => yes("chat", "works"),
            Err(error) => Finding {
                what: "chat",
                can: Can::Broken,
                found: error.to_string(),
                advice: Some("look into the server's log".into()),
            },
        }
    }

    async fn calls(&self) -> Finding {
        let what = "tool calls";
        let advice = "they are read from the text; if the server's log names no parser, start vLLM with \
                      --enable-auto-tool-choice and --tool-call-parser, SGLang with --tool-call-parser, llama-server with --jinja";
        let request = Request { constraint: Constraint::Call(vec![read()]), ..calling() };
        match self.called(&request).await {
            Ok(Called::Apart) => yes(what, "the server reads them"),
            Ok(Called::InText) => no(what, "the server leaves what this model writes in the text", advice),
            Ok(Called::Not) => {
                no(what, "the model made none when it was asked for one", "the session leads it step by step")
            }
            Err(error) => no(what, error.to_string(), advice),
        }
    }

    async fn required(&self) -> Finding {
        let what = "demanded calls";
        let request = Request { constraint: Constraint::MustCall(vec![read()]), ..calling() };
        let advice = match self.engine.shared.planner.same_prompt {
            true => "they are demanded by completions, which begin the call",
            false => "the model is asked for one in words",
        };
        match self.called(&request).await {
            Ok(Called::Apart) => yes(what, "`tool_choice` can demand a call"),
            Ok(Called::InText) => no(what, "`tool_choice` lets the model write something else before the call", advice),
            Ok(Called::Not) => no(what, "a demanded call did not come", advice),
            Err(error) => no(what, error.to_string(), advice),
        }
    }

    /// How a call comes through a chat.
    async fn called(&self, request: &Request) -> Result<Called, EngineError> {
        let chunk = self.answer(request).await?;
        if !chunk.calls.is_empty() {
            return Ok(Called::Apart);
        }
        let mut reader = self.engine.shared.planner.reader.parser(&request.tools);
        let mut parsed = reader.push(&chunk.text);
        parsed.extend(reader.finish());
        let called = parsed.iter().any(|item| matches!(item, Parsed::Call(_)));
        Ok(if called { Called::InText } else { Called::Not })
    }

    async fn one_of(&self) -> Finding {
        let what = "constraints";
        // No answer to the question, so that a server which ignores the constraint is found out.
        let texts = vec!["violet".to_owned(), "ochre".to_owned()];
        let request = Request {
            constraint: Constraint::OneOf(texts.clone()),
            max_tokens: Some(16),
            ..asking("What is two plus two? Answer with a number.")
        };
        let how = match self.engine.server().structure() {
            Structure::ResponseFormat => "by `response_format`",
            _ => "by grammar or schema",
        };
        let advice = "the model is asked in words, and what it means is found in its answer";
        match self.answer(&request).await {
            Ok(chunk) if texts.iter().any(|text| chunk.text.contains(text)) => yes(what, format!("hold, {how}")),
            Ok(_) => no(what, "are ignored", advice),
            Err(error) => no(what, error.to_string(), advice),
        }
    }

    async fn prefill(&self) -> Finding {
        let what = "prefill";
        let advice = "the model is asked in words to begin so";
        let request = Request { prefix: "Colours: red, ".into(), max_tokens: Some(8), ..asking("Name three colours.") };
        if self.engine.server().prefill() == Prefill::None {
            return no(what, "is not known of this kind of server", advice);
        }
        match self.answer(&request).await {
            Ok(chunk) if !chunk.text.is_empty() => yes(what, "an answer that is begun is gone on with"),
            Ok(_) => no(what, "nothing came behind it", advice),
            Err(error) => no(what, error.to_string(), advice),
        }
    }

    async fn logprobs(&self) -> Finding {
        let request = Request { logprobs: true, max_tokens: Some(4), ..asking("Say hello.") };
        match self.answer(&request).await {
            Ok(chunk) if !chunk.logprobs.is_empty() => yes("logprobs", "come with the tokens"),
            Ok(_) => no("logprobs", "do not come", "nothing depends on them"),
            Err(error) => no("logprobs", error.to_string(), "nothing depends on them"),
        }
    }

    /// The same long prompt twice.
    async fn cache(&self) -> Finding {
        let long = format!("{}\nSay hello.", "one two three four five six ".repeat(LONG / 6));
        let request = Request { max_tokens: Some(1), ..asking(&long) };
        let _ = self.answer(&request).await;
        let again = self.answer(&request).await;
        match again.map(|chunk| (chunk.counts.cached, chunk.counts.prompt)) {
            Ok((Some(cached), Some(prompt))) if cached * 2 > prompt => {
                yes("prefix cache", format!("{cached} of {prompt} tokens were not read again"))
            }
            Ok((Some(_), _)) => {
                no("prefix cache", "a prompt is read anew each time", "turn it on: each step reads all before it")
            }
            Ok((None, _)) => no(
                "prefix cache",
                "the server does not tell",
                "vLLM tells with --enable-prompt-tokens-details, SGLang with --enable-cache-report",
            ),
            Err(error) => no("prefix cache", error.to_string(), "look into the server's log"),
        }
    }

    async fn completions(&self) -> Finding {
        let what = "completions";
        let server = self.engine.server();
        let Some(way) = server.raw() else {
            return no(what, "the server renders every prompt itself", "requests go by chat");
        };
        let mut body = Map::new();
        let schema = json!({"type": "object", "properties": {"n": {"type": "integer"}}, "required": ["n"]});
        structure::json_schema(server.structure(), schema, &mut body);
        body.insert("prompt".into(), "An object with a number n as JSON: ".into());
        body.insert("temperature".into(), 0.into());
        let path = match way {
            Raw::Native => {
                body.insert("n_predict".into(), 24.into());
                "/completion"
            }
            Raw::OpenAi => {
                body.insert("model".into(), server.model.as_str().into());
                body.insert("max_tokens".into(), 24.into());
                "/v1/completions"
            }
        };
        let template = match &server.template {
            Some(_) => "the server tells its template",
            None => "the template must be given with --template",
        };
        match self.endpoint.ask(path, &Value::Object(body), PATIENCE).await.map(|answer| chunk::read(&answer).text) {
            Ok(text) if text.trim_start().starts_with('{') => yes(what, format!("work, with JSON schema; {template}")),
            Ok(_) => yes(what, format!("work, without JSON schema; {template}")),
            Err(failure) => no(what, failure.error.to_string(), "requests go by chat"),
        }
    }

    fn tokens(&self) -> Finding {
        let text = "tokens are counted by whoever knows the vocabulary";
        match self.engine.shared.counter.ask(text) {
            Some(_) => yes("tokens", "the server counts them"),
            None => no("tokens", "the server does not count them", "they are estimated from its usage reports"),
        }
    }

    fn way(&self) -> Finding {
        let engine = self.engine;
        yes(
            "way",
            match engine.api() {
                super::Api::Chat => "requests go by chat; --api completions or --dialect chooses otherwise".to_owned(),
                super::Api::Completions => {
                    format!(
                        "requests go by completions in the form `{}`; --api chat chooses otherwise",
                        engine.info.dialect
                    )
                }
            },
        )
    }

    /// The whole answer of a chat in one piece.
    async fn answer(&self, request: &Request) -> Result<Chunk, EngineError> {
        let mut plan = chat::plan(&self.engine.shared.planner, request)?;
        if let Some(body) = plan.body.as_object_mut() {
            body.insert("stream".into(), false.into());
            body.shift_remove("stream_options");
            body.shift_remove("return_progress");
        }
        let answer = self.endpoint.ask(plan.path, &plan.body, PATIENCE).await.map_err(|failure| failure.error)?;
        let chunk = chunk::read(&answer);
        match chunk.error {
            Some(reason) => Err(RemoteError::Protocol { place: self.endpoint.place(), reason }.into()),
            None => Ok(chunk),
        }
    }
}

fn asking(text: &str) -> Request {
    Request { messages: vec![Message::new(Role::User, text)], ..Request::default() }
}

fn calling() -> Request {
    Request { tools: vec![read()], max_tokens: Some(CALL_TOKENS), ..asking("Read the file notes.txt.") }
}

fn read() -> ToolSpec {
    let path = json!({"type": "string", "description": "The file's path."});
    let parameters = json!({"type": "object", "properties": {"path": path}, "required": ["path"]});
    ToolSpec { name: "read".into(), description: "Reads a file.".into(), parameters }
}
