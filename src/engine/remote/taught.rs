//! Tools for a server that takes none (Ollama where the model's template has no place for them, llama-server without
//! `--jinja`): the prompt teaches the calls, as it does for a model in this process whose template knows none.

use serde_json::Value;

use super::TAUGHT;
use crate::dialect::fenced::Fenced;
use crate::dialect::template::Template;
use crate::dialect::{self, Dialect, DialectError, Message, RenderOptions, ToolSpec};

/// Renders a conversation as what it is, so that the server can render it with the model's own template.
const AS_JSON: &str = "{{ messages | tojson }}";

/// Teaches calls, and reads them.
pub(super) struct Taught {
    writer: Fenced,
    /// Reads what was taught.
    pub reader: Box<dyn Dialect>,
}

impl Taught {
    /// For a model with this template, which tells how it marks reasoning; empty where it is not known.
    ///
    /// # Errors
    /// The template does not compile.
    pub fn new(template: &str) -> Result<Self, DialectError> {
        let writer = Fenced::new(Template::new(AS_JSON)?);
        Ok(Self { writer, reader: dialect::for_template(template, Some(TAUGHT))? })
    }

    /// The conversation in messages that every template takes: calls and their results as text, the manual of the tools in
    /// the system message.
    ///
    /// # Errors
    /// The conversation is too large to be rendered.
    pub fn messages(&self, messages: &[Message], tools: &[ToolSpec]) -> Result<Vec<Message>, DialectError> {
        let json = self.writer.render(messages, tools, &RenderOptions::default())?.text;
        let broken = |e: serde_json::Error| DialectError::Template(e.to_string());
        let plain: Vec<Value> = serde_json::from_str(&json).map_err(broken)?;
        let message = |value: Value| {
            let reasoning = value["reasoning_content"].as_str().map(str::to_owned);
            serde_json::from_value(value).map(|message: Message| Message { reasoning, ..message }).map_err(broken)
        };
        plain.into_iter().map(message).collect()
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::dialect::{Call, Role};

    #[test]
    fn calls_and_results_become_text_and_the_manual_stands_in_the_system_message() {
        let parameters = json!({"type": "object", "properties": {"path": {"type": "string"}}, "required": ["path"]});
        let tool = ToolSpec { name: "read".into(), description: "Reads.".into(), parameters };
        let arguments = [("path".to_owned(), json!("d\u{e9}j\u{e0} \"vu\""))].into_iter().collect();
        let call = Call { id: "c1".into(), name: "read".into(), arguments };
        let messages = [
            Message::new(Role::System, "You are a test."),
            Message::new(Role::User, "go"),
            Message { calls: vec![call.clone()], reasoning: Some("hm".into()), ..Message::new(Role::Assistant, "") },
            Message::tool(&call, "one\n\ttwo"),
        ];
        let taught = Taught::new("").unwrap().messages(&messages, &[tool]).unwrap();
        let roles: Vec<Role> = taught.iter().map(|message| message.role).collect();
        assert_eq!(roles, [Role::System, Role::User, Role::Assistant, Role::User]);
        assert!(taught[0].content.starts_with("You are a test.") && taught[0].content.contains("```tool read path="));
        assert_eq!(taught[2].content, "```tool read path=\"d\u{e9}j\u{e0} \\\"vu\\\"\"\n```\n");
        assert_eq!((taught[2].calls.len(), taught[2].reasoning.as_deref()), (0, Some("hm")));
        assert_eq!(taught[3].content, "Result of read:\none\n\ttwo");
    }
}
