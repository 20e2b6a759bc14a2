//! `moru dialect`: what a model's template does, for those who want to know why a model says what it says.

use std::io::{self, Read, Write};
use std::path::PathBuf;

use serde::Deserialize;
use serde_json::Value;

use super::Error;
use crate::config::Dirs;
use crate::dialect::template::Template;
use crate::dialect::{self, Answer, Message, Prompt, RenderOptions, Role, ToolSpec};
use crate::tool::builtin;

/// See how a model's template renders, and how its output is read.
#[derive(Debug, clap::Args)]
pub struct Args {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, clap::Subcommand)]
enum Command {
    /// Render the request on standard input, as JSON, to the prompt.
    Render {
        #[command(flatten)]
        source: Source,
    },
    /// Read a model's output on standard input, and print its reasoning, content and calls as JSON.
    Parse {
        #[command(flatten)]
        source: Source,
        /// The tools that the model was offered: a JSON file with a list of them.
        #[arg(long, value_name = "FILE")]
        tools: Option<PathBuf>,
        /// The model was asked not to think.
        #[arg(long)]
        no_thinking: bool,
        /// What the prompt ended with; the template's own where it is left out.
        #[arg(long, value_name = "TEXT", allow_hyphen_values = true)]
        generation_prompt: Option<String>,
        /// The output breaks off: show what is certain, and the call so far.
        #[arg(long)]
        partial: bool,
        /// Read this wire form instead of the one that the template shows.
        #[arg(long, value_name = "FORM")]
        dialect: Option<String>,
    },
    /// Show which wire form a template has, and why.
    Probe {
        #[command(flatten)]
        source: Source,
        /// Look at this wire form instead of the one that the template shows.
        #[arg(long, value_name = "FORM")]
        dialect: Option<String>,
    },
}

/// Where the template is.
#[derive(Debug, clap::Args)]
#[group(required = true, multiple = false)]
struct Source {
    /// A file with a chat template.
    #[arg(long, value_name = "FILE")]
    template: Option<PathBuf>,
    /// A model's name, or the path of a GGUF.
    #[arg(long, short, value_name = "MODEL")]
    model: Option<String>,
}

impl Source {
    fn read(&self, dirs: &Dirs) -> Result<String, Error> {
        match (&self.template, &self.model) {
            (Some(file), _) => read_file(file),
            (None, Some(model)) => {
                let (path, name, entry) = crate::model::locate(model, dirs)?;
                if !path.exists() && entry.is_some() {
                    return Err(crate::model::ModelError::NotPulled { name }.into());
                }
                let gguf = crate::model::gguf::Gguf::open(&path)?;
                Ok(gguf.chat_template.unwrap_or_else(|| dialect::detect::CHATML.to_owned()))
            }
            (None, None) => Err(Error::Usage("name a template or a model".into())),
        }
    }
}

/// What is to be rendered, in the shape that transformers takes.
#[derive(Debug, Deserialize)]
struct Request {
    messages: Vec<Value>,
    #[serde(default)]
    tools: Option<Vec<Value>>,
    #[serde(default)]
    enable_thinking: Option<bool>,
    #[serde(default)]
    bos_token: Option<String>,
    #[serde(default)]
    eos_token: Option<String>,
    /// The clock that `strftime_now` shows: `2026-11-24T09:30:00`.
    #[serde(default)]
    now: Option<String>,
}

/// Runs `moru dialect …`.
///
/// # Errors
/// A file cannot be read, the template refuses the request, or there is no such form.
pub fn run(args: Args, dirs: &Dirs) -> Result<(), Error> {
    match args.command {
        Command::Render { source } => print(&render(&source.read(dirs)?, &read_input()?)?),
        Command::Parse { source, tools, no_thinking, generation_prompt, partial, dialect } => {
            let tools = tools.map_or_else(|| Ok(Vec::new()), |file| specs(&read_file(&file)?))?;
            let dialect = dialect::for_template(&source.read(dirs)?, dialect.as_deref()).map_err(other)?;
            let prompt = match generation_prompt {
                Some(text) => Prompt { text },
                None => {
                    let options = RenderOptions { enable_thinking: Some(!no_thinking), ..RenderOptions::default() };
                    let messages = [Message::new(Role::User, "Go on.")];
                    dialect.render(&messages, &tools, &options).map_err(other)?
                }
            };
            let output = read_input()?;
            let answer = Answer::read(dialect.parser_after(&tools, &prompt), [output.as_str()], partial);
            let answer = if tools.is_empty() { answer.unfenced() } else { answer };
            print(&(serde_json::to_string(&answer).map_err(other)? + "\n"))
        }
        Command::Probe { source, dialect } => {
            let mut text = String::new();
            for (key, value) in probe(&source.read(dirs)?, dialect.as_deref()).map_err(other)? {
                text.push_str(&format!("{key:20} {value}\n"));
            }
            print(&text)
        }
    }
}

/// What is found out about a template, as rows of a table.
///
/// # Errors
/// The template does not compile, or there is no such form.
pub fn probe(template: &str, choice: Option<&str>) -> Result<Vec<(&'static str, String)>, dialect::DialectError> {
    let (dialect, found) = dialect::explain(template, choice)?;
    let tools: Vec<ToolSpec> = builtin().iter().map(|tool| tool.spec().to_spec()).collect();
    let constraint = [true, false].into_iter().try_for_each(|required| {
        let grammar = dialect.grammar(&tools, required).map_err(|e| e.to_string())?;
        grammar.check()
    });
    let mut rows = vec![
        ("dialect", found.name.to_owned()),
        ("because", found.why),
        ("a call begins with", format!("{:?}", dialect.call_opening())),
        ("reasoning", dialect.reasoning().map_or("none".into(), |(open, close)| format!("{open:?} … {close:?}"))),
        (
            "a turn ends with",
            match dialect.stops() {
                [] => "what the vocabulary says".to_owned(),
                stops => stops.iter().map(|stop| format!("{stop:?}")).collect::<Vec<_>>().join(", "),
            },
        ),
        (
            "constraint",
            match constraint {
                Ok(()) => format!("compiles for {} tools", tools.len()),
                Err(reason) => format!("does not compile: {reason}"),
            },
        ),
    ];
    if !found.sample.is_empty() {
        rows.push(("the probe's calls", format!("{:?}", found.sample)));
    }
    Ok(rows)
}

fn render(template: &str, request: &str) -> Result<String, Error> {
    let request: Request =
        serde_json::from_str(request).map_err(|e| Error::Usage(format!("the request is not as it should be: {e}")))?;
    let now = request.now.map(|now| now.parse()).transpose();
    let options = RenderOptions {
        bos_token: request.bos_token.unwrap_or_default(),
        eos_token: request.eos_token.unwrap_or_default(),
        enable_thinking: request.enable_thinking,
        now: now.map_err(|e| Error::Usage(format!("`now` is not as it should be: {e}")))?,
        ..RenderOptions::default()
    };
    let template = Template::new(template).map_err(other)?;
    template.render_json(&request.messages, request.tools.as_deref(), &options).map_err(other)
}

/// Tools as the OpenAI format has them, or bare.
fn specs(text: &str) -> Result<Vec<ToolSpec>, Error> {
    #[derive(Deserialize)]
    struct Tool {
        name: String,
        #[serde(default)]
        description: String,
        #[serde(default = "no_parameters")]
        parameters: Value,
    }
    let wrong = |e: serde_json::Error| Error::Usage(format!("the tools are not as they should be: {e}"));
    let tools: Option<Vec<Value>> = serde_json::from_str(text).map_err(wrong)?;
    let tool = |value: Value| {
        let inner = value.get("function").cloned().unwrap_or(value);
        let Tool { name, description, parameters } = serde_json::from_value(inner).map_err(wrong)?;
        Ok(ToolSpec { name, description, parameters })
    };
    tools.unwrap_or_default().into_iter().map(tool).collect()
}

fn no_parameters() -> Value {
    serde_json::json!({"type": "object", "properties": {}})
}

fn read_file(path: &PathBuf) -> Result<String, Error> {
    std::fs::read_to_string(path).map_err(|e| Error::Other(format!("{} cannot be read: {e}", path.display())))
}

fn read_input() -> Result<String, Error> {
    let mut text = String::new();
    let read = io::stdin().lock().read_to_string(&mut text);
    read.map_err(|e| Error::Other(format!("standard input cannot be read: {e}")))?;
    Ok(text)
}

fn other(error: impl std::fmt::Display) -> Error {
    Error::Other(error.to_string())
}

/// Writes data to stdout as it is; a reader that has gone away is no failure.
fn print(text: &str) -> Result<(), Error> {
    let mut out = io::stdout().lock();
    match out.write_all(text.as_bytes()).and_then(|()| out.flush()) {
        Err(e) if e.kind() != io::ErrorKind::BrokenPipe => Err(Error::Other(format!("stdout cannot be written: {e}"))),
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tools_are_taken_in_both_shapes() {
        let both =
            r#"[{"type": "function", "function": {"name": "a", "parameters": {"type": "object"}}}, {"name": "b"}]"#;
        let names: Vec<_> = specs(both).unwrap().into_iter().map(|tool| tool.name).collect();
        assert_eq!(names, ["a", "b"]);
        assert!(specs("null").unwrap().is_empty());
        assert!(specs("{}").is_err());
    }

    #[test]
    fn a_request_that_is_none_is_a_matter_of_wording() {
        assert!(matches!(render("{{ messages }}", "{}"), Err(Error::Usage(_))));
        let request =
            r#"{"messages": [{"role": "user", "content": "hi"}], "tools": null, "now": "2026-11-24T09:30:00"}"#;
        let template = "{{ messages[0].content }} {{ strftime_now('%H:%M') }}";
        assert_eq!(render(template, request).unwrap(), "hi 09:30");
    }

    #[test]
    fn a_probe_says_what_was_found() {
        let rows = probe("", None).unwrap();
        let value = |key: &str| rows.iter().find(|(name, _)| *name == key).map(|(_, value)| value.as_str());
        assert_eq!(value("dialect"), Some("fenced"));
        let tools = crate::tool::builtin().len();
        assert_eq!(value("constraint"), Some(format!("compiles for {tools} tools").as_str()));
    }
}
