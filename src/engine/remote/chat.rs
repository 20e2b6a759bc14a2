//! `/v1/chat/completions`: the server renders the conversation and reads calls and reasoning from the answer. What it leaves in
//! the text is read here.

use serde_json::{Map, Value, json};

use super::output::{Beginning, Output, Plain};
use super::plan::{Extra, Plan, Planner, harmless};
use super::server::{Kind, Prefill};
use super::{structure, thought};
use crate::dialect::{Message, Role, ToolSpec, template};
use crate::engine::thinking::LAST_WORDS;
use crate::engine::{Constraint, EngineError, Request};

/// The plan for a chat.
///
/// # Errors
/// The conversation is too large for the calls in it to be written out.
pub(super) fn plan(planner: &Planner, request: &Request) -> Result<Plan, EngineError> {
    let taught = planner.refused.has(Extra::Listed);
    let mut chat = Chat { planner, request, taught, body: Map::new(), uses: Vec::new() };
    let mut messages = chat.messages()?;
    let beginning = chat.beginning(&mut messages);
    chat.tools(&mut messages);
    let choices = chat.one_of(&mut messages);
    let plain = !request.prefix.is_empty() || !choices.is_empty();
    let mut output = match plain {
        true => Output::new(Box::new(Plain), &[]),
        false => chat.reading(),
    };
    if let Constraint::MustCall(specs) = &request.constraint {
        output = output.only(specs);
    }
    let bytes = chat.bytes(&messages);
    chat.head(messages);
    Ok(Plan {
        bytes,
        path: "/v1/chat/completions",
        body: Value::Object(chat.body),
        uses: chat.uses,
        output: output.beginning(beginning).stop(&request.stop).one_of(&choices),
        one_call: !plain,
    })
}

struct Chat<'a> {
    planner: &'a Planner,
    request: &'a Request,
    /// The server takes no tools, so the prompt teaches them.
    taught: bool,
    body: Map<String, Value>,
    uses: Vec<Extra>,
}

impl Chat<'_> {
    fn set(&mut self, name: &str, value: impl Into<Value>) {
        self.body.insert(name.into(), value.into());
    }

    /// About what the server renders.
    fn bytes(&self, messages: &[Value]) -> usize {
        let text = |message: &Value| message["content"].as_str().map_or(0, str::len);
        let calls = |message: &Value| message.get("tool_calls").map_or(0, |calls| calls.to_string().len());
        let tools = self.body.get("tools").map_or(0, |tools| tools.to_string().len());
        messages.iter().map(|message| text(message) + calls(message)).sum::<usize>() + tools
    }

    fn messages(&self) -> Result<Vec<Value>, EngineError> {
        let (kind, request) = (self.planner.server.kind, self.request);
        if !self.taught {
            return Ok(messages(kind, &request.messages));
        }
        let taught = self.planner.taught.messages(&request.messages, &request.tools);
        Ok(messages(kind, &taught.map_err(|e| EngineError::Prompt(e.to_string()))?))
    }

    /// Reads what the server leaves in the text: calls, reasoning, and with them special tokens, which it is told to write out.
    fn reading(&mut self) -> Output {
        let (planner, request) = (self.planner, self.request);
        let reader = if self.taught { &*planner.taught.reader } else { &*planner.reader };
        let inside = planner.begins_inside(reader, request);
        let (parser, thought) = thought::reading(reader, &request.tools, inside);
        let output = Output::new(parser, &request.tools).thinking(thought);
        // A stop text that is to be part of the answer would bring the end of the turn along.
        if !planner.server.writes_special() || planner.refused.has(Extra::Special) || !request.stop.is_empty() {
            return output;
        }
        self.set("skip_special_tokens", false);
        if planner.server.kind == Kind::Vllm {
            self.set("spaces_between_special_tokens", false);
        }
        self.uses.push(Extra::Special);
        output.with_turn()
    }

    /// What every request has.
    fn head(&mut self, messages: Vec<Value>) {
        let (planner, request) = (self.planner, self.request);
        self.set("model", planner.server.model.as_str());
        self.set("messages", messages);
        self.set("stream", true);
        self.set("stream_options", json!({"include_usage": true}));
        planner.sampling(request, &mut self.body);
        planner.stop(request, &mut self.body);
        if let Some(limit) = request.max_tokens {
            self.set("max_tokens", limit);
        }
        if request.logprobs && !planner.refused.has(Extra::Logprobs) {
            self.set("logprobs", true);
            self.uses.push(Extra::Logprobs);
        }
        self.budget();
        if let Some(thinking) = planner.thinking
            && !planner.refused.has(Extra::Thinking)
        {
            // The servers of open models hand the first on to the template; the second is OpenAI's own, in Ollama's words.
            self.set("chat_template_kwargs", thinking.variables());
            self.set("reasoning_effort", thinking.effort().unwrap_or("none"));
            self.uses.push(Extra::Thinking);
        }
        if planner.server.kind == Kind::LlamaServer {
            self.set("cache_prompt", true);
            self.set("return_progress", true);
        }
        // The dearest comes last: without them the model's own form is lost.
        if self.body.contains_key("tools") {
            self.uses.push(Extra::Listed);
        }
    }

    /// An end to reasoning, in the words of the servers that have one.
    fn budget(&mut self) {
        if self.planner.thinking.is_none() || self.planner.refused.has(Extra::Budget) {
            return;
        }
        let tokens = self.planner.budget;
        match self.planner.server.kind {
            Kind::LlamaServer => {
                self.set("thinking_budget_tokens", tokens);
                self.set("reasoning_budget_message", LAST_WORDS);
            }
            Kind::Vllm => self.set("thinking_token_budget", tokens),
            Kind::SgLang => self.set("custom_params", json!({"thinking_budget": tokens})),
            Kind::Ollama | Kind::LmStudio | Kind::TensorRt | Kind::Other => return,
        }
        self.uses.push(Extra::Budget);
    }

    /// Tools, always the same ones in the same order: they stand in the prompt's prefix. How they may be called is said beside
    /// them.
    fn tools(&mut self, messages: &mut [Value]) {
        let (refused, request) = (&self.planner.refused, self.request);
        if request.tools.is_empty() {
            return;
        }
        if self.taught {
            return self.demand(messages);
        }
        self.set("tools", request.tools.iter().map(template::tool).collect::<Vec<_>>());
        self.set("parallel_tool_calls", false);
        let choice = match &request.constraint {
            Constraint::OneOf(_) => json!("none"),
            _ if !request.prefix.is_empty() || refused.has(Extra::Tools) => json!("none"),
            Constraint::MustCall(specs) if !refused.has(Extra::Required) => {
                self.uses.push(Extra::Required);
                required(self.planner.server.kind, specs)
            }
            Constraint::MustCall(specs) => {
                ask(messages, &demanded(specs));
                json!("auto")
            }
            Constraint::Free | Constraint::Call(_) => json!("auto"),
        };
        if choice == "auto" {
            self.uses.push(Extra::Tools);
        }
        self.set("tool_choice", choice);
    }

    /// Demands a call that was taught: by a schema, in words where the server takes none.
    fn demand(&mut self, messages: &mut [Value]) {
        let Constraint::MustCall(specs) = &self.request.constraint else { return };
        if !self.request.prefix.is_empty() {
            return;
        }
        let mut sentence = demanded(specs);
        if !self.planner.refused.has(Extra::Structure) {
            sentence.push_str(" Write it as JSON and nothing else: {\"name\": \u{2026}, \"arguments\": {\u{2026}}}");
            structure::json_schema(self.planner.server.structure(), structure::call(specs), &mut self.body);
            self.uses.push(Extra::Structure);
        }
        ask(messages, &sentence);
    }

    /// Puts the answer's beginning into the model's mouth, or asks for it.
    fn beginning(&mut self, messages: &mut Vec<Value>) -> Beginning {
        let prefix = &self.request.prefix;
        if prefix.is_empty() {
            return Beginning::Past;
        }
        let way = self.planner.server.prefill();
        if way == Prefill::None || self.planner.refused.has(Extra::Prefill) {
            ask(messages, &format!("Begin your answer with the following, and write nothing before it:\n{prefix}"));
            return Beginning::Asked(prefix.clone());
        }
        messages.push(json!({"role": "assistant", "content": prefix}));
        if way == Prefill::Flag {
            self.set("continue_final_message", true);
            self.set("add_generation_prompt", false);
        }
        self.uses.push(Extra::Prefill);
        Beginning::Given(prefix.clone())
    }

    /// The texts of which the answer is one.
    fn one_of(&mut self, messages: &mut [Value]) -> Vec<String> {
        let Constraint::OneOf(texts) = &self.request.constraint else { return Vec::new() };
        if self.planner.refused.has(Extra::Structure) {
            ask(messages, &format!("Answer with one of these and nothing else: {}", texts.join(", ")));
        } else {
            structure::one_of(self.planner.server.structure(), texts, &mut self.body);
            self.uses.push(Extra::Structure);
        }
        texts.clone()
    }
}

/// The names of the tools that may be called.
fn names(specs: &[ToolSpec]) -> Vec<&str> {
    let mut names: Vec<&str> = specs.iter().map(|spec| spec.name.as_str()).collect();
    names.dedup();
    names
}

fn demanded(specs: &[ToolSpec]) -> String {
    format!("Call one of these tools now: {}.", names(specs).join(", "))
}

fn required(kind: Kind, specs: &[ToolSpec]) -> Value {
    match (kind, &names(specs)[..]) {
        (Kind::Vllm | Kind::SgLang, [only]) => json!({"type": "function", "function": {"name": only}}),
        _ => json!("required"),
    }
}

/// Adds a sentence to the last message, which is the user's or a tool's.
fn ask(messages: &mut [Value], sentence: &str) {
    if let Some(Value::String(text)) = messages.last_mut().and_then(|message| message.get_mut("content")) {
        text.push_str("\n\n");
        text.push_str(sentence);
    }
}

/// The conversation in the API's form. Messages of the user in a row, as an interrupted turn leaves them behind, become one:
/// many templates refuse them.
fn messages(kind: Kind, messages: &[Message]) -> Vec<Value> {
    let mut out: Vec<Value> = Vec::new();
    for message in messages {
        let content = harmless(message).content;
        if message.role == Role::User
            && let Some(last) = out.last_mut().filter(|last| last["role"] == "user")
            && let Some(Value::String(text)) = last.get_mut("content")
        {
            text.push_str("\n\n");
            text.push_str(&content);
            continue;
        }
        out.push(one_message(kind, message, content));
    }
    out
}

fn one_message(kind: Kind, message: &Message, content: String) -> Value {
    let mut out = json!({"role": message.role, "content": content});
    if !message.calls.is_empty() {
        let call = |call: &crate::dialect::Call| {
            let arguments = Value::Object(call.arguments.clone()).to_string();
            json!({"id": call.id, "type": "function", "function": {"name": call.name, "arguments": arguments}})
        };
        out["tool_calls"] = message.calls.iter().map(call).collect();
    }
    if let Some(id) = &message.call_id {
        out["tool_call_id"] = id.as_str().into();
    }
    // Whether the model sees it again is its template's matter; where no template reads it, it is not sent.
    if let Some(reasoning) = &message.reasoning
        && matches!(kind, Kind::LlamaServer | Kind::Vllm | Kind::SgLang)
    {
        out["reasoning_content"] = reasoning.as_str().into();
    }
    out
}
