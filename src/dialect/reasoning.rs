//! How a family marks its reasoning, and where it ends.

use super::mark;

/// When a call ends reasoning that was not closed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum UntilCall {
    /// Reasoning may well hold calls that are not meant.
    Never,
    /// Where it begins a line; anywhere, if it begins with a control token.
    OwnLine,
}

/// The marks of reasoning.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Thoughts {
    pub open: String,
    pub close: String,
    /// Whether it may begin behind text too.
    pub anywhere: bool,
    /// What begins a new turn for the answer, where reasoning has one of its own.
    pub then: String,
    pub until_call: UntilCall,
}

impl Thoughts {
    pub(super) fn new(open: &str, close: &str) -> Self {
        Self {
            open: open.into(),
            close: close.into(),
            anywhere: false,
            then: String::new(),
            until_call: UntilCall::OwnLine,
        }
    }

    /// `<think>…</think>`, as most families have it.
    pub(super) fn think() -> Self {
        Self::new("<think>", "</think>")
    }

    /// Whether a prompt ends inside of reasoning, so that the output begins there.
    pub(super) fn is_open_after(&self, prompt: &str) -> bool {
        prompt.trim_end().ends_with(&self.open)
    }

    /// How much of `held` is reasoning for certain, and the length of the marker that ends it there. `calls` is what begins
    /// calls, `line_start` whether `held` begins a line.
    pub(super) fn end(&self, held: &str, calls: &[String], line_start: bool, ended: bool) -> (usize, Option<usize>) {
        let first = |text: &String| text.chars().next();
        let starts: Vec<char> = calls.iter().chain([&self.close]).filter_map(first).collect();
        for (at, _) in held.match_indices(starts.as_slice()) {
            let rest = &held[at..];
            if rest.starts_with(&self.close) {
                return (at, Some(self.close.len()));
            }
            let own_line = if at == 0 { line_start } else { held[..at].ends_with('\n') };
            let ends = |call: &&String| self.until_call == UntilCall::OwnLine && (own_line || mark::is_control(call));
            if calls.iter().filter(ends).any(|call| rest.starts_with(call.as_str())) {
                return (at, Some(0));
            }
            let partial = self.close.starts_with(rest) || calls.iter().filter(ends).any(|call| call.starts_with(rest));
            if !ended && partial {
                return (at, None);
            }
        }
        (held.len(), None)
    }
}
