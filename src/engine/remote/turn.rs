//! The end of a turn, where a server writes out special tokens: it is told to where they are the marks of calls, and then
//! the token that ends the turn may stand behind the answer.

/// What ends a turn, in the vocabularies of the families that have marks of their own.
const ENDS: [&str; 16] = [
    "<|im_end|>",
    "<|eot_id|>",
    "<|eom_id|>",
    "<|end_of_text|>",
    "<|endoftext|>",
    "<|end|>",
    "<|return|>",
    "<|user|>",
    "<|observation|>",
    "<|END_OF_TURN_TOKEN|>",
    "<\u{ff5c}end\u{2581}of\u{2581}sentence\u{ff5c}>",
    "<end_of_turn>",
    "<turn|>",
    "<seed:eos>",
    "[e~[",
    "</s>",
];

/// Takes the end of the turn off an answer; elsewhere it is text that speaks of one.
#[derive(Debug, Default)]
pub(super) struct Turn {
    /// What may be the end, with white space behind it.
    held: String,
}

impl Turn {
    /// Takes in a piece; returns what is no end for certain.
    pub fn push(&mut self, piece: &str) -> String {
        self.held.push_str(piece);
        let begins = self.held.match_indices(['<', '[']).map(|(at, _)| at).find(|at| may_end(&self.held[*at..]));
        let rest = self.held.split_off(begins.unwrap_or(self.held.len()));
        std::mem::replace(&mut self.held, rest)
    }

    /// The answer has ended; returns what was held back and is no end.
    pub fn finish(&mut self) -> String {
        let held = std::mem::take(&mut self.held);
        behind(&held).to_owned()
    }
}

/// What stands behind the ends that a text begins with.
fn behind(mut text: &str) -> &str {
    while let Some(rest) = ENDS.iter().find_map(|end| text.strip_prefix(end)) {
        text = rest.trim_start();
    }
    text
}

/// Whether a text is nothing but ends, the last one perhaps not whole.
fn may_end(text: &str) -> bool {
    let rest = behind(text);
    rest.is_empty() || ENDS.iter().any(|end| end.starts_with(rest))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn through(text: &str, size: usize) -> String {
        let mut turn = Turn::default();
        let chars: Vec<char> = text.chars().collect();
        let pieces: String = chars.chunks(size).map(|piece| turn.push(&piece.iter().collect::<String>())).collect();
        pieces + &turn.finish()
    }

    #[test]
    fn an_end_is_cut_and_nothing_else() {
        for size in 1..6 {
            assert_eq!(through("Yes.<|im_end|>\n", size), "Yes.");
            assert_eq!(through("Yes.<\u{ff5c}end\u{2581}of\u{2581}sentence\u{ff5c}>", size), "Yes.");
            assert_eq!(through("Yes.</s><|endoftext|>", size), "Yes.");
            for text in ["a <|im_end|> b", "a <", "a[0] < b", "x[e~", "</s>a"] {
                assert_eq!(through(text, size), text, "pieces of {size}");
            }
        }
    }

    #[test]
    fn nothing_else_is_held_back() {
        let mut turn = Turn::default();
        assert_eq!(turn.push("a <tool_call>"), "a <tool_call>");
        assert_eq!((turn.push("b <|im"), turn.push("age|>")), ("b ".into(), "<|image|>".into()));
    }
}
