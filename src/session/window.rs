//! What stands in the context, for the user to see and to take out.

use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::{Event, Session, prompt};
use crate::dialect::{Message, Role};

/// A message that stands in the context.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Part {
    /// How it is named to take it out; counts from 1.
    pub number: usize,
    /// `request`, `note` (what Moru says to the model), `answer`, or the tool whose output it is.
    pub what: String,
    /// How it begins.
    pub begins: String,
    /// Of its own text; what the template puts around it is not counted.
    pub tokens: usize,
}

impl Session {
    /// What stands in the context.
    pub(super) fn window(&self) -> Event {
        let count = |messages: &[Message]| self.engine.count_prompt(messages, &self.specs()).unwrap_or(0);
        let said = self.said().iter().enumerate();
        let parts = said.map(|(index, message)| self.part(index + 1, message)).collect();
        // Most templates refuse a conversation without a request.
        let used = if self.said().is_empty() { 0 } else { count(&self.transcript) };
        let opening = count(&Message::opening(&self.transcript));
        Event::Window { opening, parts, used: used.max(opening), context: self.engine.info().context }
    }

    fn part(&self, number: usize, message: &Message) -> Part {
        let calls = message.calls.iter().map(|call| format!("{} {}", call.name, Value::Object(call.arguments.clone())));
        let text = [message.content.clone()].into_iter().chain(calls).filter(|text| !text.is_empty());
        let text = text.collect::<Vec<_>>().join("\n");
        let what = match message.role {
            Role::User => if self.is_request(message) { "request" } else { "note" }.to_owned(),
            Role::Tool => message.name.clone().unwrap_or_else(|| "output".to_owned()),
            Role::System | Role::Assistant => "answer".to_owned(),
        };
        let begins = text.lines().find(|line| !line.trim().is_empty()).unwrap_or_default().trim().to_owned();
        Part { number, what, begins, tokens: self.engine.count(&text) }
    }

    /// Whether it was the user who said it.
    fn is_request(&self, message: &Message) -> bool {
        message.role == Role::User && self.requests.contains(&message.content)
    }

    /// The messages behind the system prompt.
    fn said(&self) -> &[Message] {
        let system = self.transcript.first().is_some_and(|message| message.role == Role::System);
        &self.transcript[usize::from(system)..]
    }

    /// Takes the message with this number out: what a tool gave leaves a word in its place, a request goes with all that came of
    /// it. Returns what to log.
    ///
    /// # Errors
    /// There is none, or it cannot go by itself; a sentence for the user.
    pub(super) fn leave_out(&mut self, number: usize) -> Result<Event, String> {
        let said = self.said();
        let index = number.checked_sub(1).filter(|index| *index < said.len());
        let index =
            index.ok_or_else(|| format!("there is no message {number}; /context shows those that there are"))?;
        let is_request = |message: &Message| self.is_request(message);
        let (messages, instead) = match said[index].role {
            Role::Tool => (1, Some(prompt::text(&self.workspace, "compacted", &[]))),
            Role::User if is_request(&said[index]) => {
                let next = said[index + 1..].iter().position(is_request);
                (next.map_or(said.len() - index, |next| next + 1), None)
            }
            Role::User | Role::System | Role::Assistant => {
                let request = said[..index].iter().rposition(is_request).map(|request| request + 1);
                let request = request.ok_or("that goes with a request that is no longer there")?;
                return Err(format!("that goes with its request: /context drop {request}"));
            }
        };
        let behind = said.len() - index - messages;
        drop_messages(&mut self.transcript, behind, messages, instead.as_deref());
        Ok(Event::LeftOut { behind, messages, instead })
    }
}

/// Takes out of a transcript the `messages` messages in front of its last `behind`, or puts `instead` into their place.
pub(super) fn drop_messages(transcript: &mut Vec<Message>, behind: usize, messages: usize, instead: Option<&str>) {
    let end = transcript.len().saturating_sub(behind);
    let start = end.saturating_sub(messages);
    match instead {
        Some(text) => transcript[start..end].iter_mut().for_each(|message| text.clone_into(&mut message.content)),
        None => drop(transcript.drain(start..end)),
    }
}
