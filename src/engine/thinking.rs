//! How long a model may reason before it answers. Pure: it is told whether the output is in reasoning,
//! and tells what is to be written for it.
//!
//! A reasoning model that was cut off in its thoughts has said nothing. So when its time is up the end of its reasoning is
//! written for it, and it goes on with the answer (as Qwen3's report describes under "thinking budget", arXiv 2505.09388).

use std::mem;

use crate::dialect::{Dialect, Thinking};

/// What the model is made to say before the mark that ends its reasoning.
pub const LAST_WORDS: &str = "\n\nThat is enough thought. Now the answer.\n";

/// The most tokens of reasoning before an answer, in a context of so many.
pub fn budget(thinking: Option<Thinking>, context: usize) -> usize {
    thinking.map_or(usize::MAX, Thinking::budget).min(context / 4)
}

/// What is written for a model whose time to reason is over; `None` where its form has no marks for the end of reasoning.
pub fn close(dialect: &dyn Dialect) -> Option<String> {
    Some(LAST_WORDS.to_owned() + &dialect.closing()?)
}

/// What is left of the time to reason. `T` is what is written for the model: tokens, or a text.
#[derive(Debug, Clone)]
pub struct Allowance<T> {
    /// Tokens.
    left: usize,
    inside: bool,
    /// The last words and the mark behind them; empty once they are on their way.
    close: Vec<T>,
    /// What is written next, the last of it first.
    forced: Vec<T>,
}

impl<T: Clone> Allowance<T> {
    /// `budget` tokens, and what ends reasoning.
    pub fn new(budget: usize, close: Vec<T>) -> Self {
        Self { left: budget, inside: false, close, forced: Vec::new() }
    }

    /// Takes in one more token, and whether the output is inside of reasoning with it.
    pub fn note(&mut self, inside: bool) {
        self.inside = inside;
        if self.inside {
            self.left = self.left.saturating_sub(1);
            if self.left == 0 {
                self.cut();
            }
        }
    }

    /// Ends the reasoning now; returns whether there was one to end.
    pub fn cut(&mut self) -> bool {
        let cuts = self.inside && !self.close.is_empty();
        if cuts {
            self.forced = mem::take(&mut self.close);
            self.forced.reverse();
        }
        cuts
    }

    /// What comes next, where it is not the model that writes.
    pub fn forced(&mut self) -> Option<T> {
        self.forced.pop()
    }

    /// All that will be written without the model's say.
    pub fn closing(&self) -> Vec<T> {
        self.forced.iter().rev().cloned().collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reasoning_ends_when_its_time_is_up_and_only_once() {
        let mut thinking = Allowance::new(3, vec![7, 8, 9]);
        for _ in 0..2 {
            thinking.note(true);
            assert_eq!(thinking.forced(), None);
        }
        thinking.note(true);
        assert_eq!(thinking.closing(), vec![7, 8, 9]);
        let written: Vec<_> = std::iter::from_fn(|| thinking.forced()).collect();
        assert_eq!(written, vec![7, 8, 9]);
        thinking.note(true);
        assert!(thinking.closing().is_empty() && !thinking.cut());
    }

    #[test]
    fn an_answer_takes_as_long_as_it_takes() {
        let mut thinking = Allowance::new(2, vec![7]);
        thinking.note(true);
        (0..9).for_each(|_| thinking.note(false));
        assert!(thinking.forced().is_none() && !thinking.cut());
    }
}
