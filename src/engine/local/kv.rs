//! What the KV cache holds, and how much of it a new prompt can keep. Pure: tokens and bytes in, numbers out.
//!
//! A prompt is compared with the cache by its *text*, not by its tokens: text that was generated and is tokenised again can
//! split differently and would lose the prefix. What is kept keeps the very tokens that were decoded; only the text behind it
//! is tokenised.

/// A token's number in the vocabulary.
pub type Token = i32;

/// The tokens of one sequence in the KV cache with the text that they stand for.
#[derive(Debug, Clone, Default)]
pub struct Slot {
    tokens: Vec<Token>,
    /// `ends[i]` is where the text of `tokens[i]` ends.
    ends: Vec<usize>,
    text: Vec<u8>,
    /// Index behind the last control token that was decoded so far: tokenising from there gives what the whole would give.
    seams: Vec<usize>,
    /// How many of the tokens came from a prompt; those behind were generated.
    prompted: usize,
}

/// What of a slot serves a prompt.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Kept {
    /// Tokens that stay.
    pub tokens: usize,
    /// Where in the prompt's bytes the text behind them begins.
    pub offset: usize,
}

impl Slot {
    /// Tokens in the cache.
    pub fn len(&self) -> usize {
        self.tokens.len()
    }

    pub fn tokens(&self) -> &[Token] {
        &self.tokens
    }

    /// What the tokens stand for.
    pub fn text(&self) -> &[u8] {
        &self.text
    }

    /// Appends a decoded token. `control` tells that the tokeniser never merges across it.
    pub fn push(&mut self, token: Token, piece: &[u8], control: bool) {
        self.tokens.push(token);
        self.text.extend_from_slice(piece);
        self.ends.push(self.text.len());
        if control {
            self.seams.push(self.tokens.len());
        }
    }

    /// From here on, what is pushed was generated.
    pub fn prompt_ends(&mut self) {
        self.prompted = self.tokens.len();
    }

    /// Forgets all tokens from index `len` on.
    pub fn truncate(&mut self, len: usize) {
        self.tokens.truncate(len);
        self.ends.truncate(len);
        self.text.truncate(self.ends.last().copied().unwrap_or(0));
        while self.seams.last().is_some_and(|&seam| seam > len) {
            self.seams.pop();
        }
        self.prompted = self.prompted.min(len);
    }

    /// What of the slot a prompt can keep. Everything, where the prompt goes on behind generated text; all but the last token,
    /// where it is the very prompt that was read before; else up to the last control token that both share, so that the rest
    /// is tokenised as if the whole had been. At least one byte of the prompt is left over, since the model must be asked
    /// something.
    pub fn keep(&self, prompt: &[u8]) -> Kept {
        let common = self.text.iter().zip(prompt).take_while(|(a, b)| a == b).count();
        if common == prompt.len() && self.prompted > 1 && self.ends[self.prompted - 1] == common {
            let tokens = self.prompted - 1;
            return Kept { tokens, offset: self.ends[tokens - 1] };
        }
        if common == self.text.len() && common < prompt.len() && self.tokens.len() > self.prompted {
            return Kept { tokens: self.tokens.len(), offset: common };
        }
        let end = |seam: usize| self.ends[seam - 1];
        let shared = |&&seam: &&usize| end(seam) <= common && end(seam) < prompt.len();
        let tokens = self.seams.iter().rev().find(shared).copied().unwrap_or(0);
        Kept { tokens, offset: if tokens == 0 { 0 } else { end(tokens) } }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// `<…>` is a control token, every other character a token of its own.
    fn slot(prompt: &str, generated: &str) -> Slot {
        let mut slot = Slot::default();
        let feed = |text: &str, slot: &mut Slot| {
            let mut rest = text;
            while let Some(c) = rest.chars().next() {
                let len = if c == '<' { rest.find('>').unwrap() + 1 } else { c.len_utf8() };
                slot.push(0, &rest.as_bytes()[..len], c == '<');
                rest = &rest[len..];
            }
        };
        feed(prompt, &mut slot);
        slot.prompt_ends();
        feed(generated, &mut slot);
        slot
    }

    #[test]
    fn keeps_as_much_as_the_prompt_shares() {
        let check = |prompt, generated, next: &str, tokens, offset| {
            assert_eq!(slot(prompt, generated).keep(next.as_bytes()), Kept { tokens, offset }, "{next}");
        };
        // Nothing in the cache, nothing shared.
        check("", "", "<s>a", 0, 0);
        check("xyz", "", "<s>a", 0, 0);
        // The conversation goes on behind what was generated.
        check("<s>ab<e>", "cd", "<s>ab<e>cd<s>", 6, 10);
        // The generated text was changed: back to the last control token before the difference.
        check("<s>ab<e>", "cd", "<s>ab<e>cx<s>", 4, 8);
        // The prompt was changed.
        check("<s>ab<e>", "cd", "<s>ax<e>", 1, 3);
        // The same prompt again: something is left to decode.
        check("<s>ab<e>", "", "<s>ab<e>", 3, 5);
        check("<s>ab<e>", "cd", "<s>ab<e>", 3, 5);
        check("<s>", "", "<s>", 0, 0);
        // A prompt whose reading was interrupted goes on at a seam, not in the middle of a word.
        check("<s>ab", "", "<s>abc", 1, 3);
    }

    #[test]
    fn truncates_text_and_seams_with_the_tokens() {
        let mut slot = slot("<s>ab<e>", "cd");
        slot.truncate(2);
        assert_eq!(slot.len(), 2);
        assert_eq!(slot.keep(b"<s>ab<e>"), Kept { tokens: 1, offset: 3 });
    }
}
