//! From what a server sends to what the session reads: the parser of the model's wire form, and what servers do not do as the
//! engine promises (the stop text as part of the answer, an answer without its given beginning, one of a few texts).

use super::calls::Calls;
use super::chunk::Chunk;
use super::thought::Thought;
use super::turn::Turn;
use crate::dialect::{Parsed, Parser, ToolSpec};
use crate::engine::local::output::is_loop;
use crate::engine::thinking::Allowance;
use crate::engine::{Delta, Stop};

/// Every how many events the answer is looked through for loops.
const LOOP_CHECK: usize = 16;

/// How a wanted beginning shows in what the server sends.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Beginning {
    /// There is none, or what comes goes on behind it.
    Past,
    /// It was put into the model's mouth; some servers send it along.
    Given(String),
    /// The model was asked for it and may write something before it.
    Asked(String),
}

/// Reads one answer.
pub(super) struct Output {
    parser: Box<dyn Parser>,
    /// Whether the text begins inside of reasoning, where that is not certain.
    thought: Option<Thought>,
    /// Takes off the token that ends the turn, where the server writes it out.
    turn: Option<Turn>,
    calls: Calls,
    tools: Vec<ToolSpec>,
    beginning: Beginning,
    stop: Vec<String>,
    /// The only tools that may be called, where a call is demanded.
    allowed: Vec<String>,
    /// The only texts that may be the answer.
    choices: Vec<String>,
    /// Text whose meaning is not certain yet.
    held: String,
    /// The end of the text so far, as far as a stop text may reach back.
    tail: String,
    /// How long it may reason, where that is seen to from here, and its text so far.
    allowance: Option<Allowance<String>>,
    said: String,
    /// Each event's text as a number, to tell loops by.
    events: Vec<i32>,
    logprobs: (f64, usize),
    /// There was something else than reasoning.
    answered: bool,
    ended: Option<Stop>,
}

impl Output {
    /// For answers of which `parser` reads the text.
    pub fn new(parser: Box<dyn Parser>, tools: &[ToolSpec]) -> Self {
        Self {
            parser,
            thought: None,
            turn: None,
            calls: Calls::default(),
            tools: tools.to_vec(),
            beginning: Beginning::Past,
            stop: Vec::new(),
            allowed: Vec::new(),
            choices: Vec::new(),
            held: String::new(),
            tail: String::new(),
            allowance: None,
            said: String::new(),
            events: Vec::new(),
            logprobs: (0.0, 0),
            answered: false,
            ended: None,
        }
    }

    /// The answer begins so.
    pub fn beginning(self, beginning: Beginning) -> Self {
        Self { beginning, ..self }
    }

    /// It may have begun inside of reasoning.
    pub fn thinking(self, thought: Option<Thought>) -> Self {
        Self { thought, ..self }
    }

    /// The token that ends the turn may stand behind it.
    pub fn with_turn(self) -> Self {
        Self { turn: Some(Turn::default()), ..self }
    }

    /// Its reasoning ends in time.
    pub fn allowing(self, allowance: Option<Allowance<String>>) -> Self {
        Self { allowance, ..self }
    }

    /// The answer ends behind the first of these.
    pub fn stop(self, stop: &[String]) -> Self {
        Self { stop: stop.to_vec(), ..self }
    }

    /// The answer is one of these texts.
    pub fn one_of(self, choices: &[String]) -> Self {
        Self { choices: choices.to_vec(), ..self }
    }

    /// Only these tools may be called.
    pub fn only(self, specs: &[ToolSpec]) -> Self {
        let mut allowed: Vec<String> = specs.iter().map(|spec| spec.name.clone()).collect();
        allowed.dedup();
        Self { allowed, ..self }
    }

    /// The model goes on behind this text, which belongs to the answer.
    pub fn opened_by(mut self, opening: &str) -> Self {
        // Part of a call: nothing can come of it yet.
        let _ = self.parser.push(opening);
        self
    }

    /// Whether the answer is complete, whatever the server would still send.
    pub fn ended(&self) -> Option<Stop> {
        self.ended
    }

    /// The time to reason is over, and the model would go on: what it says now is not wanted.
    pub fn is_cut(&self) -> bool {
        self.allowance.as_ref().is_some_and(|allowance| !allowance.closing().is_empty())
    }

    /// Ends the reasoning whose time is over. Returns what the model is to go on behind: all that it said, and the end of its
    /// reasoning.
    pub fn cut(&mut self) -> Option<(String, Vec<Delta>)> {
        let close = self.allowance.as_mut()?.forced()?;
        // There is one time to reason in an answer.
        self.allowance = None;
        let mut deltas = Vec::new();
        let parsed = self.parser.push(&close);
        self.publish(parsed, &mut deltas);
        Some((std::mem::take(&mut self.said) + &close, deltas))
    }

    /// Events that had text: about as many as tokens.
    pub fn events(&self) -> usize {
        self.events.len()
    }

    /// Whether it began inside of reasoning, if it showed that.
    pub fn began_inside(&self) -> Option<bool> {
        self.thought.as_ref().and_then(Thought::found)
    }

    /// The mean of the log-probabilities seen.
    pub fn mean_logprob(&self) -> Option<f64> {
        let (sum, count) = self.logprobs;
        (count > 0).then(|| sum / count as f64)
    }

    /// Takes in an event.
    pub fn push(&mut self, chunk: &mut Chunk) -> Vec<Delta> {
        let mut deltas = Vec::new();
        if let Some((done, total)) = chunk.progress {
            deltas.push(Delta::Prefill { done, total });
        }
        self.logprobs.0 += chunk.logprobs.iter().sum::<f64>();
        self.logprobs.1 += chunk.logprobs.len();
        self.watch_for_loop(chunk);
        if !chunk.reasoning.is_empty() {
            if let Some(parser) = self.thought.as_mut().and_then(Thought::apart) {
                self.parser = parser;
            }
            deltas.push(Delta::Reasoning(std::mem::take(&mut chunk.reasoning)));
        }
        let word = chunk.end.as_mut().and_then(|end| end.word.take()).unwrap_or_default();
        let text = format!("{}{word}", chunk.text);
        let text = match &mut self.turn {
            Some(turn) => turn.push(&text),
            None => text,
        };
        self.text(&text, &mut deltas);
        std::mem::take(&mut chunk.calls).into_iter().for_each(|part| self.calls.push(part));
        deltas
    }

    /// The server has nothing more to say; returns what was held back, and how the answer ended.
    pub fn finish(&mut self, stop: Stop) -> (Vec<Delta>, Stop) {
        let mut deltas = Vec::new();
        let behind = self.turn.as_mut().map(Turn::finish).unwrap_or_default();
        self.text(&behind, &mut deltas);
        if !matches!(self.beginning, Beginning::Past) {
            // The wanted beginning never came.
            self.beginning = Beginning::Past;
            let held = std::mem::take(&mut self.held);
            self.read(&held, &mut deltas);
        }
        if !self.choices.is_empty() {
            let answer = chosen(&std::mem::take(&mut self.held), &self.choices);
            deltas.push(Delta::Text(answer));
        }
        let mut parsed = self.parser.finish();
        if self.ended.is_none() {
            parsed.extend(self.calls.finish(&self.tools));
        }
        self.publish(parsed, &mut deltas);
        let complete = !self.answered && self.ended.is_none() && matches!(stop, Stop::End | Stop::Call);
        if let Some(answer) = self.thought.as_mut().and_then(|thought| thought.finish(complete)) {
            deltas.push(Delta::Text(answer));
        }
        let stop = match (self.ended, stop) {
            (Some(own), _) => own,
            // A call was announced and none came.
            (None, Stop::Call) => Stop::End,
            (None, stop) => stop,
        };
        (deltas, stop)
    }

    fn text(&mut self, text: &str, deltas: &mut Vec<Delta>) {
        if text.is_empty() || self.ended.is_some() {
            return;
        }
        self.held.push_str(text);
        let (wanted, at) = match &self.beginning {
            Beginning::Past => ("", Some(0)),
            Beginning::Given(wanted) if self.held.starts_with(wanted.as_str()) => (wanted.as_str(), Some(0)),
            Beginning::Given(wanted) if wanted.starts_with(self.held.as_str()) => return,
            Beginning::Given(_) => ("", Some(0)),
            Beginning::Asked(wanted) => (wanted.as_str(), self.held.find(wanted.as_str())),
        };
        let Some(at) = at else { return };
        let text = self.held.split_off(at + wanted.len());
        self.held.clear();
        self.beginning = Beginning::Past;
        self.read(&text, deltas);
    }

    fn read(&mut self, text: &str, deltas: &mut Vec<Delta>) {
        let text = self.up_to_stop(text);
        if self.choices.is_empty() {
            if let Some(parser) = self.thought.as_mut().and_then(|thought| thought.hear(text)) {
                self.parser = parser;
            }
            let parsed = self.parser.push(text);
            if let Some(allowance) = &mut self.allowance {
                self.said.push_str(text);
                allowance.note(self.parser.is_thinking());
            }
            self.publish(parsed, deltas);
        } else {
            self.held.push_str(text);
        }
    }

    /// `text` up to the end of a stop text that it completes.
    fn up_to_stop<'t>(&mut self, text: &'t str) -> &'t str {
        let Some(longest) = self.stop.iter().map(String::len).max() else { return text };
        let before = self.tail.len();
        self.tail.push_str(text);
        let end = self.stop.iter().filter_map(|stop| Some(self.tail.find(stop.as_str())? + stop.len())).min();
        if let Some(end) = end {
            self.ended = Some(Stop::End);
            return &text[..end.saturating_sub(before)];
        }
        let keep = self.tail.floor_char_boundary(self.tail.len().saturating_sub(longest));
        self.tail.drain(..keep);
        text
    }

    fn publish(&mut self, parsed: Vec<Parsed>, deltas: &mut Vec<Delta>) {
        for item in parsed {
            let delta = match item {
                Parsed::Reasoning(text) => Delta::Reasoning(text),
                Parsed::Text(text) => Delta::Text(text),
                Parsed::Call(call) if !self.allowed.is_empty() && !self.allowed.contains(&call.name) => {
                    let error = format!("`{}` is not wanted now; call one of: {}.", call.name, self.allowed.join(", "));
                    Delta::Malformed { text: serde_json::to_string(&call).unwrap_or_default(), error }
                }
                Parsed::Call(call) => Delta::Call(call),
                Parsed::Malformed { text, error } => Delta::Malformed { text, error },
            };
            self.answered |= !matches!(delta, Delta::Reasoning(_));
            if matches!(delta, Delta::Call(_) | Delta::Malformed { .. }) {
                self.ended = Some(Stop::Call);
            }
            deltas.push(delta);
        }
    }

    fn watch_for_loop(&mut self, chunk: &Chunk) {
        let parts = [&chunk.text, &chunk.reasoning].into_iter().chain(chunk.calls.iter().map(|call| &call.arguments));
        let text: Vec<&str> = parts.map(String::as_str).filter(|text| !text.is_empty()).collect();
        if text.is_empty() {
            return;
        }
        self.events.push(number(&text.concat()));
        if self.events.len().is_multiple_of(LOOP_CHECK) && is_loop(&self.events) {
            // Whoever goes round in circles while reasoning may still know the answer.
            if !self.allowance.as_mut().is_some_and(Allowance::cut) {
                self.ended = Some(Stop::Loop);
            }
        }
    }
}

/// A number for a text (FNV-1a): events are only compared with each other.
fn number(text: &str) -> i32 {
    text.bytes().fold(0x811c_9dc5_u32, |hash, byte| (hash ^ u32::from(byte)).wrapping_mul(0x0100_0193)).cast_signed()
}

/// The choice that an answer means: itself, without quotes or in a JSON object; else the one that it names first.
fn chosen(answer: &str, choices: &[String]) -> String {
    let plain = answer.trim().trim_matches(['"', '\'', '`', '.', '*']).trim();
    let in_json = serde_json::from_str::<serde_json::Value>(answer.trim()).ok();
    let in_json = in_json.as_ref().and_then(|value| value.as_object()?.values().find_map(|value| value.as_str()));
    let is =
        |choice: &&String| choice.eq_ignore_ascii_case(plain) || in_json.is_some_and(|text| text == choice.as_str());
    if let Some(choice) = choices.iter().find(is) {
        return choice.clone();
    }
    let lower = answer.to_lowercase();
    // Of two that begin at the same place, the longer one is meant.
    let named = choices.iter().filter_map(|choice| Some((lower.find(&choice.to_lowercase())?, choice)));
    named
        .min_by_key(|(at, choice)| (*at, usize::MAX - choice.len()))
        .map_or_else(|| plain.to_owned(), |(_, c)| c.clone())
}

/// Takes everything for text.
pub(super) struct Plain;

impl Parser for Plain {
    fn push(&mut self, piece: &str) -> Vec<Parsed> {
        if piece.is_empty() { Vec::new() } else { vec![Parsed::Text(piece.to_owned())] }
    }

    fn finish(&mut self) -> Vec<Parsed> {
        Vec::new()
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::super::chunk::{CallPart, End};
    use super::*;

    fn plain() -> Output {
        Output::new(Box::new(Plain), &[])
    }

    /// The whole text that `output` makes of an answer in pieces of `size` bytes.
    fn through(mut output: Output, answer: &str, size: usize) -> (String, Stop) {
        let mut deltas = Vec::new();
        for piece in answer.as_bytes().chunks(size) {
            let text = String::from_utf8(piece.to_vec()).unwrap();
            deltas.extend(output.push(&mut Chunk { text, ..Chunk::default() }));
        }
        let (rest, stop) = output.finish(Stop::End);
        deltas.extend(rest);
        let text = |delta| if let Delta::Text(text) = delta { text } else { String::new() };
        (deltas.into_iter().map(text).collect(), stop)
    }

    #[test]
    fn the_stop_text_is_part_of_the_answer_and_its_end() {
        for size in 1..9 {
            let (text, stop) = through(plain().stop(&["\n```".into()]), "a\nb\n```\nmore", size);
            assert_eq!((text.as_str(), stop), ("a\nb\n```", Stop::End), "pieces of {size}");
        }
        let mut output = plain().stop(&["\n```".into()]);
        output.push(&mut Chunk { text: "a".into(), ..Chunk::default() });
        let end = Some(End { stop: Stop::End, word: Some("\n```".into()) });
        assert_eq!(output.push(&mut Chunk { end, ..Chunk::default() }), [Delta::Text("\n```".into())]);
    }

    #[test]
    fn the_beginning_is_not_said_twice() {
        let given = || plain().beginning(Beginning::Given("```py\n".into()));
        let asked = || plain().beginning(Beginning::Asked("```py\n".into()));
        for size in 1..9 {
            assert_eq!(through(given(), "x = 1", size).0, "x = 1");
            assert_eq!(through(given(), "```py\nx = 1", size).0, "x = 1");
            assert_eq!(through(asked(), "Here it is:\n```py\nx = 1", size).0, "x = 1");
            assert_eq!(through(asked(), "I cannot.", size).0, "I cannot.");
        }
    }

    #[test]
    fn one_of_a_few_texts_is_found_in_whatever_was_said() {
        let choices = ["change".to_owned(), "command".to_owned(), "src/a.py".to_owned(), "src/a.pyi".to_owned()];
        let check = |answer, choice| assert_eq!(through(plain().one_of(&choices), answer, 3).0, choice, "{answer}");
        check("change", "change");
        check(" \"Command\".\n", "command");
        check(r#"{"choice": "change"}"#, "change");
        check("The file is src/a.pyi, I think.", "src/a.pyi");
        check("none of these", "none of these");
    }

    #[test]
    fn a_call_of_a_tool_that_is_not_wanted_now_is_no_call() {
        let spec = |name: &str| ToolSpec {
            name: name.into(),
            description: String::new(),
            parameters: json!({"type": "object"}),
        };
        let mut output = Output::new(Box::new(Plain), &[spec("read"), spec("run")]).only(&[spec("read")]);
        let call = CallPart { name: "run".into(), arguments: "{}".into(), ..CallPart::default() };
        output.push(&mut Chunk { calls: vec![call], ..Chunk::default() });
        let (deltas, stop) = output.finish(Stop::Call);
        assert!(
            matches!(&deltas[..], [Delta::Malformed { error, .. }] if error.contains("call one of: read")),
            "{deltas:?}"
        );
        assert_eq!(stop, Stop::Call);
    }

    #[test]
    fn an_answer_that_goes_round_in_circles_is_ended() {
        let mut output = plain();
        for piece in ["a", "b", "c"].repeat(100) {
            output.push(&mut Chunk { text: piece.into(), ..Chunk::default() });
        }
        assert_eq!(output.ended(), Some(Stop::Loop));
    }

    #[test]
    fn logprobs_are_averaged() {
        let mut output = plain();
        assert_eq!(output.mean_logprob(), None);
        output.push(&mut Chunk { logprobs: vec![-1.0, -3.0], ..Chunk::default() });
        assert_eq!(output.mean_logprob(), Some(-2.0));
    }
}
