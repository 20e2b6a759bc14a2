//! Conversations for models whose template does not know the form that they shall write: the prompt teaches it.

use std::collections::HashSet;

use super::template::Template;
use super::{Message, RenderOptions, Role};

/// Whether a template has a place for a system message.
pub(super) fn has_system(template: &Template) -> bool {
    let probe = [Message::new(Role::System, "probe-of-system"), Message::new(Role::User, "probe")];
    let shown = template.render(&probe, &[], &RenderOptions::default());
    shown.is_ok_and(|text| text.contains("probe-of-system"))
}

/// The conversation in plain messages: calls (as `assistant` writes them, or as they were written) and answers as text, the `manual` of the tools in
/// the system message, no two messages of the user in a row (many templates refuse them).
pub(super) fn plain(
    messages: &[Message],
    manual: &str,
    has_system: bool,
    assistant: impl Fn(&Message) -> String,
) -> Vec<Message> {
    let mut plain: Vec<Message> = Vec::new();
    let mut system = String::new();
    // Calls that the model did not write as such.
    let mut unseen: HashSet<&str> = HashSet::new();
    for message in messages {
        match message.role {
            Role::System => join(&mut system, &message.content),
            Role::Assistant => {
                if message.written.is_some() {
                    unseen.extend(message.calls.iter().map(|call| call.id.as_str()));
                }
                plain.push(Message {
                    content: message.written.clone().unwrap_or_else(|| assistant(message)),
                    reasoning: message.reasoning.clone(),
                    ..Message::new(Role::Assistant, "")
                });
            }
            Role::User | Role::Tool => {
                let is_unseen = message.call_id.as_deref().is_some_and(|id| unseen.contains(id));
                let text = match (message.role, &message.name) {
                    _ if is_unseen => message.content.clone(),
                    (Role::Tool, Some(name)) => format!("Result of {name}:\n{}", message.content),
                    (Role::Tool, None) => format!("Result:\n{}", message.content),
                    _ => message.content.clone(),
                };
                match plain.last_mut() {
                    Some(last) if last.role == Role::User => join(&mut last.content, &text),
                    _ => plain.push(Message::new(Role::User, text)),
                }
            }
        }
    }
    if !manual.is_empty() {
        join(&mut system, manual);
    }
    match plain.first_mut() {
        _ if system.is_empty() => {}
        None if !has_system => plain.push(Message::new(Role::User, system)),
        Some(first) if !has_system && first.role == Role::User => {
            join(&mut system, &first.content);
            first.content = system;
        }
        _ => plain.insert(0, Message::new(Role::System, system)),
    }
    plain
}

/// Adds a paragraph.
fn join(text: &mut String, more: &str) {
    if !text.is_empty() {
        text.push_str("\n\n");
    }
    text.push_str(more);
}
