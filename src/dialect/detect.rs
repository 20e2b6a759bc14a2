//! Finds the wire form of a model from what its template does, not from its name: a probe is rendered, and what appears
//! around the call's name and arguments tells.

use serde_json::json;

use super::fenced::Fenced;
use super::hermes::{self, Hermes};
use super::template::Template;
use super::{Call, Dialect, DialectError, Message, RenderOptions, Role, ToolSpec};

/// The template for a model file that has none: ChatML, which most models without one were trained on.
pub const CHATML: &str = "{% for message in messages %}{{ '<|im_start|>' + message.role + '\\n' + message.content + '<|im_end|>\\n' }}{% endfor %}{% if add_generation_prompt %}{{ '<|im_start|>assistant\\n' }}{% endif %}";

/// The names of all wire forms.
pub fn names() -> &'static [&'static str] {
    &["hermes", "fenced"]
}

/// The dialect of a model with this template ([`CHATML`] where it is empty): `choice`, or what the template shows.
///
/// # Errors
/// The template does not compile, or there is no form called `choice`.
pub fn for_template(template: &str, choice: Option<&str>) -> Result<Box<dyn Dialect>, DialectError> {
    let template = Template::new(if template.trim().is_empty() { CHATML } else { template })?;
    let name = choice.unwrap_or_else(|| detect(&template));
    tracing::info!(dialect = name, chosen = choice.is_some(), "wire form");
    match name {
        "hermes" => Ok(Box::new(Hermes::new(template))),
        "fenced" => Ok(Box::new(Fenced::new(template))),
        _ => Err(DialectError::Unknown { name: name.to_owned(), known: names().join(", ") }),
    }
}

/// The name of the form that the template writes calls in.
fn detect(template: &Template) -> &'static str {
    let call = Call {
        id: "call00001".into(),
        name: "probe_tool".into(),
        arguments: [("probe_argument".to_owned(), json!("probe_value"))].into_iter().collect(),
    };
    let tool = ToolSpec {
        name: call.name.clone(),
        description: "A probe.".into(),
        parameters: json!({"type": "object", "properties": {"probe_argument": {"type": "string"}}}),
    };
    let answer = Message::tool(&call, "probe result");
    let messages =
        [Message::new(Role::User, "probe"), Message { calls: vec![call], ..Message::new(Role::Assistant, "") }, answer];
    let Ok(text) = template.render(&messages, &[tool], &RenderOptions::default()) else { return "fenced" };
    // The example in the instructions may stand in the same tags, so the one with the probe's name counts.
    let written = text.split(hermes::OPEN).skip(1).any(|after| {
        let json = after.trim_start();
        json.starts_with(r#"{"name": "probe_tool""#)
            && json.contains(r#""arguments": {"probe_argument": "probe_value"}"#)
    });
    if written { "hermes" } else { "fenced" }
}
