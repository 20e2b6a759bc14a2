//! A conversation, as every engine and dialect takes it. The field names on the wire are those of the OpenAI chat format.

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

/// Who speaks.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Role {
    System,
    User,
    Assistant,
    /// What a tool answered.
    Tool,
}

/// One message of a conversation.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Message {
    pub role: Role,
    #[serde(default)]
    pub content: String,
    /// What an assistant thought before it answered; whether it is shown to the model again is the dialect's matter.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reasoning: Option<String>,
    /// What an assistant called.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub calls: Vec<Call>,
    /// How an assistant wrote its call, where it was asked for a file's text in a code block and not for a call. Where the prompt
    /// teaches the form of calls this stands there instead: a model that sees calls writes them into such blocks.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub written: Option<String>,
    /// For [`Role::Tool`]: the call that this answers.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub call_id: Option<String>,
    /// For [`Role::Tool`]: the tool's name.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
}

impl Message {
    /// How every conversation with the system prompt of this one begins: that, and a request in which nothing is asked yet,
    /// since many templates refuse a conversation without one.
    pub fn opening(messages: &[Self]) -> Vec<Self> {
        let system = messages.first().filter(|message| message.role == Role::System);
        system.cloned().into_iter().chain([Self::new(Role::User, "")]).collect()
    }

    /// A message with text alone.
    pub fn new(role: Role, content: impl Into<String>) -> Self {
        let content = content.into();
        Self { role, content, reasoning: None, calls: Vec::new(), written: None, call_id: None, name: None }
    }

    /// The answer of a tool to `call`.
    pub fn tool(call: &Call, content: impl Into<String>) -> Self {
        Self { call_id: Some(call.id.clone()), name: Some(call.name.clone()), ..Self::new(Role::Tool, content) }
    }
}

/// A tool call. `arguments` is always an object.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Call {
    /// Unique within a session. Parsers leave it empty where the wire form has none; the session fills it in.
    #[serde(default)]
    pub id: String,
    pub name: String,
    pub arguments: Map<String, Value>,
}

/// What a model is told of a tool.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ToolSpec {
    pub name: String,
    pub description: String,
    /// JSON Schema of the arguments: an object schema.
    pub parameters: Value,
}
