//! When a text that is not whole yet is worth reading again. A form reads what it begins from its first byte on. To do so with
//! every piece would take time that grows with the square of the length, and a file that is written comes in thousands of
//! pieces.

/// How many times a text may be read on average, and how many bytes may be read again in any case.
const EFFORT: usize = 64;
const FREE: usize = 1 << 20;

/// What has to come before an unfinished text can turn out to be anything.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Wait {
    /// Any text.
    Any,
    /// The end of a string: this quote, where no backslash takes its meaning away.
    Quote(char),
    Text(String),
    /// The first of these.
    First(Vec<Self>),
}

impl Wait {
    pub(super) fn text(text: &str) -> Self {
        Self::Text(text.to_owned())
    }

    pub(super) fn first<'a>(texts: impl IntoIterator<Item = &'a str>) -> Self {
        Self::First(texts.into_iter().map(Self::text).collect())
    }

    /// Whether it has come with what stands in `text` from `from` on.
    fn is_over(&self, text: &str, from: usize) -> bool {
        match self {
            Self::Any => text.len() > from,
            Self::Quote(quote) => text[from..].match_indices(*quote).any(|(at, _)| !is_escaped(&text[..from + at])),
            Self::Text(wanted) => {
                let begin = text.floor_char_boundary((from + 1).saturating_sub(wanted.len()));
                text[begin..].contains(wanted.as_str())
            }
            Self::First(all) => all.iter().any(|wait| wait.is_over(text, from)),
        }
    }
}

/// Whether what follows `before` in a string has a backslash of its own.
fn is_escaped(before: &str) -> bool {
    (before.len() - before.trim_end_matches('\\').len()) % 2 == 1
}

/// Tells when to read a text again that grows. It can only be late, never wrong, as long as the text is read once more when no
/// more of it comes: first as if more could come, since that is how it is read where it comes in one piece.
#[derive(Debug, Default)]
pub(super) struct Patience {
    /// What is waited for; nothing where the text is to be read.
    wait: Option<Wait>,
    /// How much of the text was looked at for it.
    seen: usize,
    /// How much was read so far.
    effort: usize,
}

impl Patience {
    /// Whether to read `text`, to which something was added.
    pub(super) fn is_over(&mut self, text: &str) -> bool {
        if self.wait.as_ref().is_some_and(|wait| wait.is_over(text, self.seen)) {
            self.wait = None;
        }
        self.seen = text.len();
        self.wait.is_none() && self.effort <= EFFORT * text.len() + FREE
    }

    /// `text` was read and is not whole.
    pub(super) fn wait(&mut self, text: &str, wait: Wait) {
        self.wait = Some(wait);
        self.seen = text.len();
        self.effort += text.len();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// At which of these pieces a text is read again that waits for `wait`.
    fn check(wait: &Wait, pieces: &[&str], expected: &[usize]) {
        let (mut text, mut patience) = (String::from("x"), Patience::default());
        patience.wait(&text, wait.clone());
        let mut read = Vec::new();
        for (index, piece) in pieces.iter().enumerate() {
            text.push_str(piece);
            if patience.is_over(&text) {
                read.push(index);
                patience.wait(&text, wait.clone());
            }
        }
        assert_eq!(read, expected, "{wait:?} {pieces:?}");
    }

    #[test]
    fn a_text_is_read_again_when_what_it_waits_for_has_come() {
        check(&Wait::Any, &["a", "", "b"], &[0, 2]);
        check(&Wait::Quote('"'), &["a'", "\\", "\"", "\\\\", "\""], &[4]);
        check(&Wait::text("</a>"), &["</a", "<", "é/a></", "</a", ">x", "</a>"], &[4, 5]);
        check(&Wait::First(vec![Wait::Quote('"'), Wait::text("|>")]), &["|", ">", "\""], &[1, 2]);
        check(&Wait::First(Vec::new()), &["a", "\""], &[]);
    }

    /// The work is counted: it grows with the length, not with its square.
    #[test]
    fn a_long_text_is_not_read_at_every_piece() {
        let (mut text, mut patience, mut work) = (String::new(), Patience::default(), 0);
        while text.len() < 300_000 {
            text.push('a');
            if patience.is_over(&text) {
                work += text.len();
                patience.wait(&text, Wait::Any);
            }
        }
        assert!((text.len()..(EFFORT + 1) * text.len() + FREE).contains(&work), "{work}");
    }
}
