//! How long a model may reason before it answers. Pure: what was parsed in, tokens to write out.
//!
//! A reasoning model that was cut off in its thoughts has said nothing. So when its time is up the end of its reasoning is
//! written for it, and it goes on with the answer (as Qwen3's report describes under "thinking budget", arXiv 2505.09388).

use std::mem;

use llama_cpp_2::token::LlamaToken;

use crate::dialect::Parsed;

/// What the model is made to say before the mark that ends its reasoning.
pub const LAST_WORDS: &str = "\n\nThat is enough thought. Now the answer.\n";

/// What is left of the time to reason.
#[derive(Debug, Clone)]
pub struct Allowance {
    /// Tokens.
    left: usize,
    inside: bool,
    /// The last words and the mark behind them; empty once they are on their way.
    close: Vec<LlamaToken>,
    /// What is written next, last token first.
    forced: Vec<LlamaToken>,
}

impl Allowance {
    /// `budget` tokens, and the tokens that end reasoning.
    pub fn new(budget: usize, close: Vec<LlamaToken>) -> Self {
        Self { left: budget, inside: false, close, forced: Vec::new() }
    }

    /// Whether the output is inside of reasoning, as far as is certain.
    pub fn is_inside(&self) -> bool {
        self.inside
    }

    /// Takes in what one more token gave.
    pub fn note(&mut self, parsed: &[Parsed]) {
        // A token may give nothing yet: it could be the beginning of a mark.
        if let Some(last) = parsed.last() {
            self.inside = matches!(last, Parsed::Reasoning(_));
        }
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

    /// The next token, where it is not the model that writes.
    pub fn forced(&mut self) -> Option<LlamaToken> {
        self.forced.pop()
    }

    /// What will be written behind the next token without the model's say.
    pub fn closing(&self) -> Vec<LlamaToken> {
        self.forced.iter().rev().copied().collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tokens(numbers: &[i32]) -> Vec<LlamaToken> {
        numbers.iter().copied().map(LlamaToken).collect()
    }

    fn thought() -> Vec<Parsed> {
        vec![Parsed::Reasoning("so".into())]
    }

    #[test]
    fn reasoning_ends_when_its_time_is_up_and_only_once() {
        let mut thinking = Allowance::new(3, tokens(&[7, 8, 9]));
        for _ in 0..2 {
            thinking.note(&thought());
            assert_eq!(thinking.forced(), None);
        }
        thinking.note(&[]);
        assert_eq!(thinking.closing(), tokens(&[7, 8, 9]));
        let written: Vec<_> = std::iter::from_fn(|| thinking.forced()).collect();
        assert_eq!(written, tokens(&[7, 8, 9]));
        thinking.note(&thought());
        assert!(thinking.closing().is_empty() && !thinking.cut());
    }

    #[test]
    fn an_answer_takes_as_long_as_it_takes() {
        let mut thinking = Allowance::new(2, tokens(&[7]));
        thinking.note(&thought());
        (0..9).for_each(|_| thinking.note(&[Parsed::Text("word".into())]));
        assert!(thinking.forced().is_none() && !thinking.cut());
    }
}
