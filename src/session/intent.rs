//! What a request asks for, as far as the guided workflow tells it apart.

use super::turn::{Turn, TurnError};
use super::{prompt, step};

/// First words that ask for an answer.
#[rustfmt::skip]
const ASKING: &[&str] = &[
    "what", "what's", "why", "how", "where", "who", "which", "when", "whose", "is", "are", "was", "does", "do", "did", "has",
    "have", "should", "explain", "describe", "summarize", "summarise", "tell", "show", "list", "compare", "hello", "hi",
    "thanks",
];
/// What is written for the user to read, where no file is named for it.
const TEXTS: &[&str] = &["essay", "poem", "story", "joke", "haiku", "song"];
/// Words within which such a text is named.
const REACH: usize = 6;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Intent {
    Change,
    Command,
    Answer,
}

impl Intent {
    /// What the first word and the marks of a request tell, where they do. Asked about it, a 1.5B takes nearly every request for
    /// a change, so that what is plain is not left to it.
    fn plain(request: &str) -> Option<Self> {
        let request = request.trim();
        let word = request.split(|c: char| c.is_whitespace() || c == ',').next()?.to_lowercase();
        let asks = ASKING.contains(&word.as_str());
        // "Can you rename it?" asks for a change, politely.
        let polite = ["can", "could", "would", "will", "please"].contains(&word.as_str());
        let marked = request.ends_with(['?', '\u{ff1f}', '\u{61f}']);
        match word.as_str() {
            "run" | "execute" => Some(Self::Command),
            _ if asks || is_text(request) || (marked && !polite) => Some(Self::Answer),
            _ => None,
        }
    }
}

fn is_text(request: &str) -> bool {
    let named = |word: &str| TEXTS.contains(&word.trim_matches(|c: char| !c.is_alphanumeric()));
    let is_file = |word: &str| word.trim_end_matches('.').contains(['.', '/']);
    request.to_lowercase().split_whitespace().take(REACH).any(named) && !request.split_whitespace().any(is_file)
}

impl Turn<'_> {
    /// What the request asks for; the model is asked where it is not plain.
    pub(super) async fn intent(&mut self) -> Result<Intent, TurnError> {
        if let Some(plain) = Intent::plain(&self.asked) {
            return Ok(plain);
        }
        self.pick_intent("intent").await
    }

    /// What the model picks as the answer to the question with this name.
    pub(super) async fn pick_intent(&mut self, question: &str) -> Result<Intent, TurnError> {
        self.make_room()?;
        let text = prompt::text(&self.session.workspace, question, &[]);
        let word = step::choose(self.session, text, &["change", "command", "answer"], &self.cancel).await?;
        tracing::debug!(word, question);
        Ok(match word.as_str() {
            "change" => Intent::Change,
            "command" => Intent::Command,
            _ => Intent::Answer,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_plain_is_not_asked() {
        let check = |request, intent| assert_eq!(Intent::plain(request), intent, "{request}");
        check("What is calc.py for? One sentence.", Some(Intent::Answer));
        check("Explain calc.py.", Some(Intent::Answer));
        check("\u{c65c} \u{b290}\u{b824}?", Some(Intent::Answer));
        check("List the functions of calc.py", Some(Intent::Answer));
        check("Write a short essay about anvils.", Some(Intent::Answer));
        check("Write a poem into poem.txt", None);
        check("Write a function that adds two numbers", None);
        check("Run the tests", Some(Intent::Command));
        check("Can you rename it?", None);
        check("Fix the bug in calc.py", None);
        check("", None);
    }
}
