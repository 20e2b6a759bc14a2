//! Renders a model's own chat template, byte for byte as Hugging Face transformers does.
//!
//! transformers renders with Jinja2 (`trim_blocks`, `lstrip_blocks`, loop controls) plus a few names of its own. minijinja
//! gives the language; the files below give what Python adds to it: how values print ([`python`]), `json.dumps`
//! ([`json`]), methods of strings, lists and dicts ([`methods`]), and the constructs that minijinja does not parse
//! ([`source`]).
//!
//! A template comes with a model file and is not trusted: rendering has a budget of work, depth and output.

mod json;
mod methods;
mod python;
mod source;
#[cfg(test)]
mod tests;

use std::borrow::Cow;
use std::fmt;
use std::io;
use std::sync::mpsc::RecvTimeoutError;
use std::time::Duration;

use minijinja::syntax::SyntaxConfig;
use minijinja::value::{Kwargs, Value as Jinja};
use minijinja::{Environment, Error, ErrorKind};
use serde_json::{Map, Value, json};

use super::{DialectError, Message, RenderOptions, Role, ToolSpec};

/// No template of a real model comes near this; the largest known have 20 kB.
const MAX_SOURCE: usize = 1 << 20;
/// Work for one rendering, in minijinja's fuel: an instruction costs one, 64 bytes of text cost one. To this comes an
/// allowance for every message and tool, and for the size of what goes in.
const FUEL: u64 = 200_000;
const FUEL_PER_ITEM: u64 = 4_000;
/// Stack for one unit of fuel. A template can nest a list as deeply as its fuel lasts, and such a value is freed, compared
/// and printed by recursion. The stack is only reserved; a template that does not do this touches some kilobytes.
const STACK_PER_FUEL: usize = 1 << 10;
/// A rendering takes milliseconds; this is for templates that get around the fuel.
const DEADLINE: Duration = Duration::from_secs(30);
/// Output beyond the size of what went in.
const MAX_EXTRA_OUTPUT: usize = 16 << 20;

/// What a template wants of a message with calls.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) struct Shape {
    /// Arguments as a text of JSON instead of an object.
    pub text_arguments: bool,
    /// No content instead of an empty one.
    pub null_content: bool,
    /// One call a message.
    pub single_calls: bool,
    /// Reasoning as a part of the content.
    pub thinking_parts: bool,
}

/// A compiled chat template.
pub struct Template {
    env: Environment<'static>,
    source: String,
    shape: Shape,
}

impl fmt::Debug for Template {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Template({} bytes)", self.source.len())
    }
}

impl Template {
    /// Compiles `source`.
    ///
    /// # Errors
    /// The source is not a template, or is larger than 1 MiB.
    pub fn new(source: &str) -> Result<Self, DialectError> {
        if source.len() > MAX_SOURCE {
            return Err(DialectError::Template(format!("it has {} bytes; the limit is {MAX_SOURCE}", source.len())));
        }
        let mut env = environment();
        env.add_template_owned("chat", source::prepare(source)).map_err(explain)?;
        Ok(Self { env, source: source.to_owned(), shape: Shape::default() })
    }

    /// The same, for a template that wants calls in another shape.
    pub(super) fn with_shape(self, shape: Shape) -> Self {
        Self { shape, ..self }
    }

    /// The text it was made from.
    pub fn source(&self) -> &str {
        &self.source
    }

    /// Renders a conversation that ends where the model is to go on.
    ///
    /// # Errors
    /// The template refuses the conversation, fails, or exceeds its budget.
    pub fn render(
        &self,
        messages: &[Message],
        tools: &[ToolSpec],
        options: &RenderOptions,
    ) -> Result<String, DialectError> {
        self.render_in(self.shape, messages, tools, options)
    }

    pub(super) fn render_in(
        &self,
        shape: Shape,
        messages: &[Message],
        tools: &[ToolSpec],
        options: &RenderOptions,
    ) -> Result<String, DialectError> {
        let messages = if shape.single_calls { Cow::Owned(one_by_one(messages)) } else { Cow::Borrowed(messages) };
        let messages: Vec<Value> = messages.iter().map(|message| shaped(message, shape)).collect();
        let tools: Vec<Value> = tools.iter().map(tool).collect();
        self.render_json(&messages, (!tools.is_empty()).then_some(&tools), options)
    }

    /// Renders messages and tools that are already in the shape which transformers takes.
    ///
    /// # Errors
    /// As [`Template::render`].
    pub fn render_json(
        &self,
        messages: &[Value],
        tools: Option<&[Value]>,
        options: &RenderOptions,
    ) -> Result<String, DialectError> {
        let mut context = Map::new();
        context.insert("messages".into(), messages.iter().map(|message| self.with_reasoning(message)).collect());
        context.insert("tools".into(), tools.map_or(Value::Null, Value::from));
        context.insert("documents".into(), Value::Null);
        context.insert("add_generation_prompt".into(), Value::Bool(true));
        context.insert("bos_token".into(), options.bos_token.as_str().into());
        context.insert("eos_token".into(), options.eos_token.as_str().into());
        if let Some(thinking) = options.enable_thinking {
            context.insert("enable_thinking".into(), thinking.into());
        }
        context.extend(options.extra.clone());

        let now = options.now;
        let clock = Jinja::from_function(move |format: String| strftime(now, &format));
        let variables = context.iter().map(|(name, value)| (name.clone(), python::from_json(value)));
        let context = Jinja::from_pairs(variables.chain([("strftime_now".to_owned(), clock)]));

        let inputs = || messages.iter().chain(tools.unwrap_or_default());
        let size = inputs().map(weight).sum::<usize>();
        let fuel = FUEL + inputs().count() as u64 * FUEL_PER_ITEM + size as u64 / 4;
        self.run(context, fuel, MAX_EXTRA_OUTPUT + 4 * size)
    }

    /// The message with its reasoning under the name that the template reads, where that is not `reasoning_content`.
    fn with_reasoning(&self, message: &Value) -> Value {
        let mut message = message.clone();
        let Some(map) = message.as_object_mut() else { return message };
        let Some(reasoning) =
            map.get("reasoning_content").filter(|_| !self.source.contains("reasoning_content")).cloned()
        else {
            return message;
        };
        let reads = |name: &str| {
            ["message.", "message['", "message[\""].iter().any(|of| self.source.contains(&format!("{of}{name}")))
        };
        // Templates of this kind refuse reasoning beside an answer with calls, since the answer then is the reasoning.
        let answer = map.get("content").and_then(Value::as_str).is_some_and(|text| !text.is_empty());
        if let Some(name) = ["thinking", "reasoning"].into_iter().find(|name| reads(name) && !map.contains_key(*name))
            && !(answer && map.contains_key("tool_calls"))
        {
            map.insert(name.into(), reasoning);
        }
        message
    }

    /// Renders on a thread of its own: its stack is large enough for whatever the template can build with its fuel, and it can
    /// be given up where the template found work that costs no fuel (comparing two huge values).
    fn run(&self, context: Jinja, fuel: u64, max_output: usize) -> Result<String, DialectError> {
        let broken = |reason: String| DialectError::Template(reason);
        let mut env = self.env.clone();
        env.set_fuel(Some(fuel));
        let (sender, receiver) = std::sync::mpsc::sync_channel(1);
        let render = move || {
            let mut output = Bounded { text: Vec::new(), left: max_output };
            let result = env.get_template("chat").and_then(|t| t.render_captured_to(context, &mut output).map(drop));
            // Nobody listens any more where the deadline has passed.
            let _ = sender.send(result.map(|()| output.text));
        };
        let stack = (1 << 22) + usize::try_from(fuel).unwrap_or(usize::MAX).saturating_mul(STACK_PER_FUEL);
        let thread = std::thread::Builder::new().name("template".into()).stack_size(stack);
        thread.spawn(render).map_err(|e| broken(format!("no thread could be started for it ({e})")))?;
        let text = match receiver.recv_timeout(DEADLINE) {
            Ok(result) => result.map_err(explain)?,
            Err(RecvTimeoutError::Timeout) => return Err(broken("it does not come to an end".into())),
            Err(RecvTimeoutError::Disconnected) => return Err(broken("it made the renderer fail".into())),
        };
        String::from_utf8(text).map_err(|e| broken(e.to_string()))
    }
}

/// A message in the shape that the template wants.
fn shaped(message: &Message, shape: Shape) -> Value {
    let mut out = self::message(message);
    if shape.null_content && message.content.is_empty() && !message.calls.is_empty() {
        out["content"] = Value::Null;
    }
    if shape.text_arguments {
        for call in out.get_mut("tool_calls").and_then(Value::as_array_mut).into_iter().flatten() {
            let arguments = &mut call["function"]["arguments"];
            *arguments = super::json_calls::write(arguments).into();
        }
    }
    if let Some(reasoning) = message.reasoning.as_ref().filter(|_| shape.thinking_parts) {
        let mut parts = vec![json!({"type": "thinking", "thinking": reasoning})];
        if !message.content.is_empty() {
            parts.push(json!({"type": "text", "text": message.content}));
        }
        out["content"] = parts.into();
    }
    out
}

/// The conversation with each call in a message of its own, and its answer behind it.
fn one_by_one(messages: &[Message]) -> Vec<Message> {
    let mut out = Vec::new();
    let mut rest = messages;
    while let Some((message, after)) = rest.split_first() {
        let answers = after.iter().take_while(|answer| answer.role == Role::Tool).count();
        if message.calls.len() < 2 {
            out.push(message.clone());
            rest = after;
            continue;
        }
        for (index, call) in message.calls.iter().enumerate() {
            let calls = vec![call.clone()];
            out.push(match index {
                0 => Message { calls, ..message.clone() },
                _ => Message { calls, ..Message::new(Role::Assistant, "") },
            });
            out.extend(after.get(index).filter(|_| index < answers).cloned());
        }
        out.extend(after[..answers].iter().skip(message.calls.len()).cloned());
        rest = &after[answers..];
    }
    out
}

/// A message as transformers takes it.
pub fn message(message: &Message) -> Value {
    let mut out = Map::new();
    out.insert("role".into(), json!(message.role));
    out.insert("content".into(), message.content.as_str().into());
    if !message.calls.is_empty() {
        let calls = message.calls.iter().map(|call| {
            let function = json!({"name": call.name, "arguments": call.arguments});
            match call.id.is_empty() {
                true => json!({"type": "function", "function": function}),
                false => json!({"id": call.id, "type": "function", "function": function}),
            }
        });
        out.insert("tool_calls".into(), calls.collect());
    }
    if message.role == Role::Tool {
        if let Some(id) = &message.call_id {
            out.insert("tool_call_id".into(), id.as_str().into());
        }
        if let Some(name) = &message.name {
            out.insert("name".into(), name.as_str().into());
        }
    }
    if let Some(reasoning) = &message.reasoning {
        out.insert("reasoning_content".into(), reasoning.as_str().into());
    }
    Value::Object(out)
}

/// A tool as transformers takes it. What stands in its schema for the grammar alone is left out.
pub fn tool(tool: &ToolSpec) -> Value {
    json!({"type": "function", "function": {
        "name": tool.name,
        "description": tool.description,
        "parameters": super::schema::for_prompt(&tool.parameters),
    }})
}

fn environment() -> Environment<'static> {
    let mut env = Environment::new();
    if let Ok(syntax) = SyntaxConfig::builder().trim_blocks(true).lstrip_blocks(true).build() {
        env.set_syntax(syntax);
    }
    env.set_auto_escape_callback(|_| minijinja::AutoEscape::None);
    env.set_formatter(|out, state, value| match value.as_str() {
        Some(text) => out.write_str(text).map_err(Error::from),
        None => out.write_str(&python::to_str(state, value)?).map_err(Error::from),
    });
    env.set_unknown_method_callback(methods::call);
    env.add_filter("tojson", json::tojson);
    env.add_filter("string", python::string);
    env.add_filter("join", python::join);
    for name in ["upper", "lower", "capitalize", "title", "replace"] {
        env.add_filter(name, methods::filter(name));
    }
    env.add_filter("trim", methods::filter("strip"));
    // No filters of Jinja2's, or none that a prompt needs; they print containers without a limit.
    for name in ["split", "lines", "pprint", "escape", "e", "format"] {
        env.remove_filter(name);
    }
    env.add_test("sequence", python::is_sequence);
    env.add_test("iterable", |value: &Jinja| !value.is_none() && value.try_iter().is_ok());
    env.add_test("callable", |value: &Jinja| {
        value.as_object().is_some_and(|o| o.repr() == minijinja::value::ObjectRepr::Plain)
    });
    env.add_function("raise_exception", raise_exception);
    env.add_function(source::CONCAT, python::concat);
    env.add_function(source::LIST, methods::List::from_value);
    env
}

/// What a template raised of its own accord; told from other failures by its type.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
struct Raised(String);

fn raise_exception(message: String, _options: Kwargs) -> Result<Jinja, Error> {
    Err(Error::new(ErrorKind::InvalidOperation, message.clone()).with_source(Raised(message)))
}

/// `datetime.now().strftime(format)`; Python's clock has no zone here.
fn strftime(now: Option<jiff::civil::DateTime>, format: &str) -> Result<String, Error> {
    let now = now.unwrap_or_else(|| jiff::ZonedDateTime::now().datetime());
    // Python's %f always has six digits, and the names of a zone that is not there are empty.
    let format = format.replace("%f", "%6f").replace("%Z", "").replace("%z", "");
    jiff::fmt::strtime::BrokenDownTime::from(now)
        .to_string(&format)
        .map_err(|e| Error::new(ErrorKind::InvalidOperation, format!("strftime_now({format:?}): {e}")))
}

/// An upper bound of the text in a value, roughly.
fn weight(value: &Value) -> usize {
    match value {
        Value::String(text) => text.len() + 2,
        Value::Array(items) => items.iter().map(weight).sum(),
        Value::Object(map) => map.iter().map(|(key, value)| key.len() + 6 + weight(value)).sum(),
        _ => 24,
    }
}

/// The shortest true sentence about a failure, without minijinja's listing of the source.
fn explain(error: Error) -> DialectError {
    let mut cause: Option<&(dyn std::error::Error + 'static)> = Some(&error);
    while let Some(e) = cause {
        if let Some(Raised(message)) = e.downcast_ref() {
            return DialectError::Refused(message.clone());
        }
        cause = e.source();
    }
    let what = match error.kind() {
        ErrorKind::OutOfFuel => "it does not come to an end".to_owned(),
        ErrorKind::WriteFailure => "its output is too large".to_owned(),
        kind => error.detail().map_or_else(|| kind.to_string(), str::to_owned),
    };
    DialectError::Template(match error.line() {
        Some(line) => format!("{what} (line {line})"),
        None => what,
    })
}

/// Output up to a limit.
struct Bounded {
    text: Vec<u8>,
    left: usize,
}

impl io::Write for Bounded {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.left = self.left.checked_sub(bytes.len()).ok_or(io::ErrorKind::FileTooLarge)?;
        self.text.extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
