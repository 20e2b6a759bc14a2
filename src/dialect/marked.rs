//! Every wire form that can be described by its marks: one dialect for all of them.

mod constrain;
mod nested;
mod read;
mod tags;
mod write;

use std::sync::Arc;

use super::json_calls::{BareJson, FencedJson};
use super::mark::Match;
use super::marks::Marks;
use super::reasoning::Thoughts;
use super::scan::{Form, Open, Place, Read, Scanner};
use super::template::Template;
use super::{Dialect, DialectError, Grammar, Message, Parser, Prompt, RenderOptions, ToolSpec, hermes, mark, taught};

pub(super) use read::{call, find};

/// A model whose calls stand between marks.
#[derive(Debug)]
pub struct Marked {
    name: &'static str,
    template: Template,
    marks: Arc<Marks>,
    thoughts: Thoughts,
    /// Marks that carry no text: control tokens around the answer, for instance.
    noise: Vec<String>,
    stops: Vec<String>,
    trigger: String,
    history: History,
}

/// How calls come into the prompt.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum History {
    /// The template shows tools and calls.
    Shown,
    /// The template shows the tools; calls are written into the answer's text.
    Written,
    /// The template has another form or none, so the prompt teaches this one.
    Taught {
        /// Whether there is a place for a system message.
        has_system: bool,
    },
}

/// What makes a dialect of a template.
pub(super) struct Parts {
    pub name: &'static str,
    pub template: Template,
    pub marks: Marks,
    pub thoughts: Thoughts,
    pub noise: Vec<String>,
    pub stops: Vec<String>,
    pub history: History,
}

impl Marked {
    pub(super) fn new(parts: Parts) -> Self {
        let Parts { name, template, marks, thoughts, mut noise, mut stops, history } = parts;
        if thoughts.anywhere || !thoughts.then.is_empty() {
            noise.extend([thoughts.close.clone(), thoughts.then.clone()]);
            // Where reasoning is a turn of its own, what ends that does not end the answer.
            stops.retain(|stop| *stop != thoughts.close);
        }
        let sections = [&marks.section.0, &marks.section.1].into_iter().map(|mark| mark.trim().to_owned());
        noise.extend(sections.filter(|mark| mark::is_control(mark) && !marks.in_list()));
        noise.extend(stops.iter().chain(&marks.recipient).cloned());
        noise.retain(|mark| !mark.is_empty());
        let trigger = marks.trigger();
        Self { name, template, marks: Arc::new(marks), thoughts, noise, stops, trigger, history }
    }

    /// What ends reasoning that was not closed.
    fn call_begins(&self) -> Vec<String> {
        let section = self.marks.split(&self.marks.section.0).into_iter().next();
        let mut begins: Vec<String> = section.into_iter().chain([self.trigger.clone()]).collect();
        begins.retain(|begin| !begin.is_empty());
        begins
    }
}

impl Dialect for Marked {
    fn name(&self) -> &str {
        self.name
    }

    fn render(
        &self,
        messages: &[Message],
        tools: &[ToolSpec],
        options: &RenderOptions,
    ) -> Result<Prompt, DialectError> {
        let written = |message: &Message| write::assistant(&self.marks, message);
        let (messages, tools): (Vec<Message>, _) = match self.history {
            History::Shown => {
                // The white space between an answer and its calls belongs to the form; templates write it themselves.
                let trimmed = |message: &Message| match message.calls.is_empty() {
                    true => message.clone(),
                    false => Message { content: message.content.trim_end().into(), ..message.clone() },
                };
                (messages.iter().map(trimmed).collect(), tools)
            }
            History::Written => {
                let as_text =
                    |message: &Message| Message { content: written(message), calls: Vec::new(), ..message.clone() };
                (messages.iter().map(as_text).collect(), tools)
            }
            History::Taught { has_system } => {
                (taught::plain(messages, &write::manual(&self.marks, tools), has_system, written), &[][..])
            }
        };
        Ok(Prompt { text: self.template.render(&messages, tools, options)? })
    }

    fn grammar(&self, tools: &[ToolSpec], required: bool) -> Result<Grammar, DialectError> {
        constrain::grammar(&self.marks, tools, required)
    }

    fn parser_after(&self, tools: &[ToolSpec], prompt: &Prompt) -> Box<dyn Parser> {
        let tools: Arc<[ToolSpec]> = tools.into();
        let mut forms: Vec<Box<dyn Form>> = vec![Box::new(read::Calls::new(self.marks.clone(), tools.clone()))];
        forms.push(Box::new(Noise::new(&self.noise, &self.marks)));
        // A model that misses its own form most often falls back on these.
        forms.push(Box::new(hermes::Tagged { tools: tools.clone() }));
        forms.push(Box::new(FencedJson { tools: tools.clone() }));
        forms.push(Box::new(BareJson { tools }));
        Box::new(Scanner::new(forms, self.thoughts.clone(), self.call_begins(), prompt))
    }

    fn reasoning(&self) -> Option<(&str, &str)> {
        Some((&self.thoughts.open, &self.thoughts.close))
    }

    fn after_reasoning(&self) -> &str {
        if self.thoughts.then.is_empty() { "\n\n" } else { &self.thoughts.then }
    }

    fn call_opening(&self) -> &str {
        &self.trigger
    }

    fn stops(&self) -> &[String] {
        &self.stops
    }
}

/// The longest identifier in a mark that is no text.
const LONGEST_NAME: usize = 200;

/// Marks that are no text.
struct Noise {
    /// Wherever they stand.
    always: Vec<String>,
    /// Behind a call: what closes it, or all calls.
    after_call: Vec<String>,
    starts: Vec<char>,
}

impl Noise {
    fn new(always: &[String], marks: &Marks) -> Self {
        let mut after_call = marks.split(&marks.section.1);
        after_call.extend(marks.split(&marks.close));
        after_call.retain(|mark| mark.contains('<') || mark.contains("[/"));
        let starts = always.iter().chain(&after_call).filter_map(|mark| mark.chars().next()).collect();
        Self { always: always.to_vec(), after_call, starts }
    }

    fn here(&self, place: Place) -> impl Iterator<Item = &String> {
        self.always.iter().chain(self.after_call.iter().filter(move |_| place.after_call))
    }
}

impl Form for Noise {
    fn starts(&self) -> &[char] {
        &self.starts
    }

    fn open(&self, rest: &str, place: Place, ended: bool) -> Open {
        let mut found = Open::No;
        for mark in self.here(place) {
            match exactly(rest, mark) {
                Match::Full(_) => return Open::Yes,
                Match::Partial if !ended => found = Open::Unsure,
                _ => {}
            }
        }
        found
    }

    fn read(&self, rest: &str, _: bool) -> Read {
        let all = self.always.iter().chain(&self.after_call);
        let full = all.filter_map(|mark| if let Match::Full(len) = exactly(rest, mark) { Some(len) } else { None });
        // The shortest, since that one is complete first when the text comes in pieces.
        Read::Items { len: full.min().unwrap_or(1), items: Vec::new() }
    }
}

/// Matches a mark letter for letter, but for an identifier in it.
fn exactly(text: &str, mark: &str) -> Match {
    match mark {
        mark if mark.contains(mark::ANY) => match mark::at(text, mark) {
            Match::Partial if text.len() > mark.len() + LONGEST_NAME => Match::No,
            Match::Full(len) if len > mark.len() + LONGEST_NAME => Match::No,
            found => found,
        },
        mark if text.starts_with(mark) => Match::Full(mark.len()),
        mark if mark.starts_with(text) => Match::Partial,
        _ => Match::No,
    }
}
