//! Finds where a call begins in an output that comes token by token: from there on its grammar holds.

/// Watches for the text that begins a call.
#[derive(Debug, Clone)]
pub struct Trigger {
    text: String,
    /// The end of the output so far, as far as the text may reach back.
    tail: String,
}

impl Trigger {
    /// Watches for `text`.
    pub fn new(text: &str) -> Self {
        Self { text: text.to_owned(), tail: String::new() }
    }

    /// Takes in what a token wrote. `thinking` tells whether the output is inside of reasoning with it: a thought may well quote
    /// what begins a call. Returns what the token wrote behind the text that it completed.
    pub fn push(&mut self, piece: &str, thinking: bool) -> Option<String> {
        self.tail.push_str(piece);
        if !thinking && let Some(at) = self.tail.find(&self.text) {
            let behind = self.tail.split_off(at + self.text.len());
            self.tail.clear();
            return Some(behind);
        }
        // Less than the whole text, so that one that stood in a thought is not found later.
        let keep = self.tail.ceil_char_boundary((self.tail.len() + 1).saturating_sub(self.text.len()));
        self.tail.drain(..keep);
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// With which of these tokens the text is complete, and what stands behind it there. A token in a thought is marked.
    fn found(tokens: &[(&str, bool)]) -> Option<(usize, String)> {
        let mut trigger = Trigger::new("[CALL]");
        let tells = |(index, (piece, thinking)): (usize, &(&str, bool))| {
            trigger.push(piece, *thinking).map(|behind| (index, behind))
        };
        tokens.iter().enumerate().find_map(tells)
    }

    #[test]
    fn the_text_may_come_in_pieces_and_with_more() {
        assert_eq!(found(&[("é [", false), ("CAL", false), ("L]é", false)]), Some((2, "é".into())));
        assert_eq!(found(&[("[CALL", false), (" [CALL", false)]), None);
        assert_eq!(found(&[("[", false), ("[CALL]", false)]), Some((1, String::new())));
    }

    #[test]
    fn what_a_thought_quotes_is_no_call_but_one_may_stand_directly_behind_it() {
        assert_eq!(found(&[("[CALL]", true), ("x", false)]), None);
        assert_eq!(
            found(&[("[CALL", true), ("]", true), ("</think>", false), ("[CALL]", false)]),
            Some((3, String::new()))
        );
        // The call ends the thought, and a parser knows that with its last token.
        assert_eq!(found(&[("[", true), ("CALL", true), ("]", false)]), Some((2, String::new())));
    }
}
