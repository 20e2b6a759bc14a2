//! What past sessions teach: edits that stand and edits that were refused, taken back or failed their check, each as a
//! conversation to train a model on. Pure: events in, examples out.

mod redact;

use std::collections::{HashMap, HashSet};

use serde::Serialize;
use serde_json::Value;

use super::window::drop_messages;
use super::{Change, Event, Outcome};
use crate::dialect::{Message, Role, template};
use crate::permission::{Class, Decision};
use crate::workspace::CheckpointId;

pub use self::redact::redact;

/// One edit, or the edits of one turn, and what became of them.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Example {
    /// In the form that `apply_chat_template` of transformers takes. Of the assistant's messages only those with
    /// `"weight": 1` are what `label` speaks of; the others are what came before.
    pub messages: Vec<Value>,
    /// Whether the edit is one to write again, as data for preference training have it.
    pub label: bool,
    pub why: Why,
    /// What the user gave as the reason of a refusal.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub reason: String,
    pub model: String,
    pub turn: u32,
    #[serde(skip)]
    edits: Vec<CheckpointId>,
}

/// Why an edit is one to write again, or not.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Why {
    /// It was made, and stands.
    Stands,
    /// The user refused it.
    Refused,
    /// The user took it back.
    Undone,
    /// The check failed behind it, or it brought in a syntax error.
    CheckFailed,
}

/// The examples in a session. `standing` are the changes that are made at present, as the workspace has them; without it the
/// session's own record counts.
pub fn examples(events: &[Event], standing: Option<&HashSet<CheckpointId>>) -> Vec<Example> {
    let mut reader = Reader::default();
    events.iter().for_each(|event| reader.take(event));
    for example in &mut reader.examples {
        let is_undone = |edit| standing.is_some_and(|standing| !standing.contains(edit));
        if example.why == Why::Stands && example.edits.iter().any(is_undone) {
            example.reject(Why::Undone);
        }
    }
    reader.examples
}

/// What the events so far add up to.
#[derive(Default)]
struct Reader {
    messages: Vec<Message>,
    /// Messages before the turn under way.
    before: usize,
    in_turn: bool,
    turn: u32,
    model: String,
    /// What is asked of the user, by the call's id.
    asked: HashMap<String, Class>,
    /// Calls that the user refused.
    refused: HashSet<String>,
    /// What the turn under way changed, and what of it stands.
    edits: Vec<CheckpointId>,
    examples: Vec<Example>,
}

impl Reader {
    fn take(&mut self, event: &Event) {
        match event {
            Event::TurnStarted { turn, model, .. } => {
                self.before = self.messages.len();
                self.in_turn = true;
                self.turn = *turn;
                self.model.clone_from(model);
                self.edits.clear();
            }
            Event::Message { message } => self.messages.push(Message { written: None, ..message.clone() }),
            Event::Rewound { messages } => {
                self.messages.truncate(self.messages.len().saturating_sub(*messages));
                self.before = self.before.min(self.messages.len());
            }
            Event::LeftOut { behind, messages, instead } => {
                drop_messages(&mut self.messages, *behind, *messages, instead.as_deref());
                self.before = self.before.min(self.messages.len());
            }
            Event::PermissionAsked { id, permission } => drop(self.asked.insert(id.clone(), permission.class)),
            Event::PermissionAnswered { id, decision: Decision::No(reason) } => self.refuse(id, reason),
            Event::Edited { change, checkpoint, .. } => self.edited(*change, *checkpoint),
            Event::TurnEnded { outcome, .. } => self.end(*outcome),
            _ => {}
        }
    }

    fn refuse(&mut self, id: &str, reason: &str) {
        if self.asked.get(id) != Some(&Class::Edit) {
            return;
        }
        self.add(Why::Refused, Vec::new());
        if let Some(example) = self.examples.last_mut() {
            reason.clone_into(&mut example.reason);
        }
        self.refused.insert(id.to_owned());
    }

    fn edited(&mut self, change: Change, checkpoint: CheckpointId) {
        match change {
            Change::Edit => self.edits.push(checkpoint),
            // A session takes back only what failed; the messages about it leave the transcript next.
            Change::Undo if self.in_turn => {
                if self.edits.contains(&checkpoint) {
                    self.add(Why::CheckFailed, vec![checkpoint]);
                }
                self.edits.retain(|edit| *edit != checkpoint);
            }
            Change::Redo if self.in_turn => self.edits.push(checkpoint),
            Change::Undo => self.judge(checkpoint, |example| {
                if example.why == Why::Stands {
                    example.reject(Why::Undone);
                }
            }),
            Change::Redo => self.judge(checkpoint, |example| {
                if example.why == Why::Undone {
                    (example.label, example.why) = (true, Why::Stands);
                }
            }),
            Change::Command | Change::Note => {}
        }
    }

    fn judge(&mut self, checkpoint: CheckpointId, verdict: impl Fn(&mut Example)) {
        self.examples.iter_mut().filter(|example| example.edits.contains(&checkpoint)).for_each(verdict);
    }

    fn end(&mut self, outcome: Outcome) {
        self.in_turn = false;
        let edits = std::mem::take(&mut self.edits);
        match outcome {
            _ if edits.is_empty() => {}
            Outcome::Done => self.add(Why::Stands, edits),
            Outcome::NotDone => self.add(Why::CheckFailed, edits),
            // Nobody has judged it.
            Outcome::Interrupted => {}
        }
    }

    fn add(&mut self, why: Why, edits: Vec<CheckpointId>) {
        self.examples.push(Example {
            messages: self.messages.iter().enumerate().map(|(i, message)| self.message(i, message)).collect(),
            label: why == Why::Stands,
            why,
            reason: String::new(),
            model: self.model.clone(),
            turn: self.turn,
            edits,
        });
    }

    fn message(&self, index: usize, message: &Message) -> Value {
        let mut value = template::message(message);
        if message.role == Role::Assistant {
            let refused = message.calls.iter().any(|call| self.refused.contains(&call.id));
            value["weight"] = u8::from(index >= self.before && !refused).into();
        }
        value
    }
}

impl Example {
    fn reject(&mut self, why: Why) {
        (self.label, self.why) = (false, why);
    }

    /// Takes secrets out of all that it says; returns how many there were.
    pub fn redact(&mut self) -> usize {
        let mut found = redact_text(&mut self.reason);
        self.messages.iter_mut().for_each(|message| found += redact_value(message));
        found
    }
}

fn redact_value(value: &mut Value) -> usize {
    match value {
        Value::String(text) => redact_text(text),
        Value::Array(values) => values.iter_mut().map(redact_value).sum(),
        Value::Object(values) => {
            let mut found = 0;
            let clean = std::mem::take(values).into_iter().map(|(mut key, mut value)| {
                found += redact_text(&mut key) + redact_value(&mut value);
                (key, value)
            });
            *values = clean.collect();
            found
        }
        _ => 0,
    }
}

fn redact_text(text: &mut String) -> usize {
    let (clean, found) = redact(text);
    if found > 0 {
        *text = clean;
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::dialect::Call;
    use crate::permission::Permission;

    fn started(turn: u32) -> Event {
        Event::TurnStarted {
            version: 1,
            session: "s".into(),
            turn,
            prompt: "p".into(),
            model: "m".into(),
            context: 1,
            system_prompt_tokens: 1,
            time: 0,
        }
    }

    fn ended(outcome: Outcome) -> Event {
        Event::TurnEnded { outcome, report: "r".into(), answer: "a".into(), files: Vec::new(), seconds: 0.0 }
    }

    fn says(role: Role, text: &str) -> Event {
        Event::Message { message: Message::new(role, text) }
    }

    fn calls(id: &str) -> Event {
        let mut message = Message::new(Role::Assistant, "");
        message.calls.push(Call { id: id.into(), name: "write".into(), arguments: Default::default() });
        Event::Message { message }
    }

    fn edited(change: Change, checkpoint: u64) -> Event {
        let checkpoint = CheckpointId(checkpoint);
        Event::Edited { change, checkpoint, files: Vec::new(), diff: String::new(), merged: false }
    }

    fn asked(id: &str, class: Class, decision: Decision) -> [Event; 2] {
        let permission = Permission { class, summary: "s".into(), diff: None };
        [Event::PermissionAsked { id: id.into(), permission }, Event::PermissionAnswered { id: id.into(), decision }]
    }

    fn verdicts(events: &[Event], undone: &[u64]) -> Vec<(bool, Why)> {
        let standing = (1..=9).filter(|id| !undone.contains(id)).map(CheckpointId).collect();
        examples(events, Some(&standing)).iter().map(|example| (example.label, example.why)).collect()
    }

    #[test]
    fn an_edit_is_judged_by_what_became_of_it() {
        let turn = |outcome| {
            [started(1), says(Role::User, "do"), calls("1"), edited(Change::Edit, 1), ended(outcome)].to_vec()
        };
        assert_eq!(verdicts(&turn(Outcome::Done), &[]), [(true, Why::Stands)]);
        assert_eq!(verdicts(&turn(Outcome::Done), &[1]), [(false, Why::Undone)]);
        assert_eq!(verdicts(&turn(Outcome::NotDone), &[]), [(false, Why::CheckFailed)]);
        assert_eq!(verdicts(&turn(Outcome::Interrupted), &[]), []);
        let undone = [turn(Outcome::Done), vec![edited(Change::Undo, 1)]].concat();
        assert_eq!(verdicts(&undone, &[]), [(false, Why::Undone)]);
        let failed = [turn(Outcome::NotDone), vec![edited(Change::Undo, 1), edited(Change::Redo, 1)]].concat();
        assert_eq!(verdicts(&failed, &[]), [(false, Why::CheckFailed)]);
        let again = [undone, vec![edited(Change::Redo, 1)]].concat();
        assert_eq!(verdicts(&again, &[]), [(true, Why::Stands)]);
        // Nothing was changed: there is nothing to learn about edits.
        assert_eq!(verdicts(&[started(1), says(Role::User, "why?"), ended(Outcome::Done)], &[]), []);
    }

    #[test]
    fn a_refusal_counts_for_edits_with_its_reason() {
        let mut events = vec![started(1), says(Role::User, "do"), calls("1")];
        events.extend(asked("1", Class::Edit, Decision::No("too long".into())));
        events.extend([calls("2")]);
        events.extend(asked("2", Class::Run, Decision::No(String::new())));
        events.extend([calls("3")]);
        events.extend(asked("3", Class::Edit, Decision::Once));
        events.extend([edited(Change::Edit, 1), ended(Outcome::Done)]);
        let examples = examples(&events, None);
        let [refused, stands] = &examples[..] else { panic!("{examples:?}") };
        assert_eq!((refused.why, refused.reason.as_str(), refused.messages.len()), (Why::Refused, "too long", 2));
        assert_eq!(refused.messages[1]["weight"], 1);
        assert_eq!(stands.why, Why::Stands);
        let weights: Vec<&Value> = stands.messages.iter().filter_map(|message| message.get("weight")).collect();
        assert_eq!(weights, [0, 1, 1]);
    }

    #[test]
    fn a_try_that_the_session_took_back_is_an_example_of_its_own() {
        let events = [
            started(1),
            says(Role::User, "do"),
            calls("1"),
            edited(Change::Edit, 1),
            edited(Change::Undo, 1),
            Event::Rewound { messages: 1 },
            calls("2"),
            edited(Change::Edit, 2),
            ended(Outcome::Done),
            started(2),
            says(Role::User, "more"),
            calls("3"),
            edited(Change::Edit, 3),
            ended(Outcome::Done),
        ];
        let examples = examples(&events, None);
        let seen: Vec<_> = examples.iter().map(|e| (e.why, e.turn, e.messages.len())).collect();
        assert_eq!(seen, [(Why::CheckFailed, 1, 2), (Why::Stands, 1, 2), (Why::Stands, 2, 4)]);
        // What an earlier turn wrote is context.
        assert_eq!(examples[2].messages[1]["weight"], 0);
    }

    #[test]
    fn secrets_do_not_get_out() {
        let mut message = Message::new(Role::Assistant, "");
        let arguments = serde_json::json!({"content": "TOKEN = 'ghp_0123456789abcdefghijABCDEFGHIJ012345'\n"});
        let arguments = arguments.as_object().cloned().unwrap();
        message.calls.push(Call { id: "1".into(), name: "write".into(), arguments });
        let events = [started(1), Event::Message { message }, edited(Change::Edit, 1), ended(Outcome::Done)];
        let mut examples = examples(&events, None);
        assert_eq!(examples[0].redact(), 1);
        let text = serde_json::to_string(&examples[0]).unwrap();
        assert!(!text.contains("ghp_") && text.contains("[REDACTED]"), "{text}");
        assert_eq!(examples[0].redact(), 0);
    }
}
