//! From token pieces to text: whole UTF-8 characters only, and a watch for output that repeats itself without end.

use super::kv::Token;

/// Longest period, in tokens, that counts as a loop.
const MAX_PERIOD: usize = 80;
/// Tokens that must repeat before it is called one; a table of like rows is shorter.
const MIN_REPEATED: usize = 240;
/// How often a period must have come back.
const MIN_ROUNDS: usize = 5;

/// Collects pieces and gives out what is whole.
#[derive(Debug, Default)]
pub struct Utf8(Vec<u8>);

impl Utf8 {
    /// Adds a piece; returns the text that is complete by now. Bytes that can never be text become U+FFFD.
    pub fn push(&mut self, piece: &[u8]) -> String {
        self.0.extend_from_slice(piece);
        let mut text = String::new();
        loop {
            match std::str::from_utf8(&self.0) {
                Ok(whole) => {
                    text.push_str(whole);
                    self.0.clear();
                    return text;
                }
                Err(error) => {
                    let (good, rest) = self.0.split_at(error.valid_up_to());
                    text.push_str(&String::from_utf8_lossy(good));
                    let Some(bad) = error.error_len() else {
                        self.0 = rest.to_vec();
                        return text;
                    };
                    text.push(char::REPLACEMENT_CHARACTER);
                    self.0 = rest[bad..].to_vec();
                }
            }
        }
    }

    /// What is left at the end.
    pub fn finish(&mut self) -> String {
        String::from_utf8_lossy(&std::mem::take(&mut self.0)).into_owned()
    }
}

/// Whether the output goes round in circles: its end is one and the same run of tokens, over and over.
pub fn is_loop(tokens: &[Token]) -> bool {
    (1..=MAX_PERIOD).any(|period| {
        let span = (period * MIN_ROUNDS).max(MIN_REPEATED);
        tokens.len() >= span + period && {
            let tail = &tokens[tokens.len() - span..];
            tail == &tokens[tokens.len() - span - period..tokens.len() - period]
        }
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn characters_stay_whole_whatever_the_pieces() {
        let text = "é모루🔨x";
        for size in 1..6 {
            let mut utf8 = Utf8::default();
            let mut out: String = text.as_bytes().chunks(size).map(|piece| utf8.push(piece)).collect();
            out += &utf8.finish();
            assert_eq!(out, text, "pieces of {size}");
        }
    }

    #[test]
    fn what_is_no_text_is_marked_and_the_rest_kept() {
        let mut utf8 = Utf8::default();
        assert_eq!(utf8.push(b"a\xffb\xe2\x82"), "a\u{fffd}b");
        assert_eq!(utf8.finish(), "\u{fffd}");
    }

    #[test]
    fn a_loop_is_told_from_a_table() {
        let loops: Vec<Token> = [7, 8, 9].repeat(90);
        assert!(is_loop(&loops));
        let table: Vec<Token> = (0..40).flat_map(|row| [row, 1, 2, 3, 4, 5, 6]).collect();
        assert!(!is_loop(&table));
        assert!(!is_loop(&[1; 100]));
    }
}
