//! What a request asks for, as far as the guided workflow tells it apart.

use super::turn::{Turn, TurnError};
use super::{prompt, step};

/// First words that ask for an answer.
#[rustfmt::skip]
const ASKING: &[&str] = &[
    "what", "what's", "why", "how", "where", "who", "which", "when", "whose", "is", "are", "was", "does", "do", "did", "has",
    "have", "should", "explain", "describe", "summarize", "summarise", "tell", "show", "list", "compare", "review", "analyze",
    "analyse", "critique", "evaluate", "suggest", "count", "thoughts", "hello", "hi", "thanks",
];
/// The same of more than one word.
#[rustfmt::skip]
const ASKING_PHRASES: &[&str] = &[
    "i wonder", "i don't understand", "i do not understand", "i have a question", "help me understand", "walk me through",
    "let me know", "not sure", "any ideas",
];
/// First words that order a change.
#[rustfmt::skip]
const CHANGING: &[&str] = &[
    "add", "allow", "append", "bump", "change", "clean", "complete", "convert", "correct", "create", "define", "delete",
    "disable", "document", "drop", "enable", "ensure", "extend", "extract", "finish", "fix", "format", "handle", "implement",
    "improve", "inline", "insert", "introduce", "make", "merge", "modify", "move", "optimize", "optimise", "port", "prevent",
    "put", "refactor", "remove", "rename", "replace", "rewrite", "set", "simplify", "split", "support", "swap", "turn", "update",
    "wrap",
];
/// What may stand in front of such a word.
const COURTESIES: &[&str] =
    &["please", "can", "could", "would", "will", "you", "we", "let's", "now", "also", "just", "then"];
/// Says that files stay as they are, unless what follows leaves something out of it.
const UNTOUCHED: &[&str] = &[
    "don't change anything",
    "do not change anything",
    "don't touch the code",
    "do not touch the code",
    "without changing anything",
    "no edits",
];
const EXCEPTIONS: &[&str] = &["else", "other", "but", "beyond", "except"];
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
    /// What the words and the marks of a request tell, where they do. A small model takes a good part of what is plain for
    /// something else, so that this is not left to it.
    fn plain(request: &str) -> Option<Self> {
        let request = request.trim().to_lowercase().replace('\u{2019}', "'");
        let mut words =
            request.split(|c: char| c.is_whitespace() || c == ',').filter(|word| !word.is_empty()).peekable();
        let mut polite = false;
        while words.next_if(|word| COURTESIES.contains(word)).is_some() {
            polite = true;
        }
        let word = *words.peek()?;
        let asks = ASKING.contains(&word) || ASKING_PHRASES.iter().any(|phrase| request.starts_with(phrase));
        let marked = request.ends_with(['?', '\u{ff1f}', '\u{61f}']);
        // `make test` is a command.
        let orders = match word {
            "make" => words.count() > 2,
            "write" => words.any(is_file),
            word => CHANGING.contains(&word),
        };
        match word {
            _ if is_text(&request) || stays_untouched(&request) => Some(Self::Answer),
            // "Review calc.py and fix it" may want both.
            _ if asks => (marked || !orders_also(&request)).then_some(Self::Answer),
            "run" | "execute" => Some(Self::Command),
            // "Can you rename it?" asks for a change, politely.
            _ if orders && (polite || !marked) => Some(Self::Change),
            _ if marked && !polite => Some(Self::Answer),
            _ => None,
        }
    }
}

/// Whether a later clause orders a change.
fn orders_also(request: &str) -> bool {
    let words: Vec<&str> = request.split_whitespace().collect();
    words.windows(2).any(|pair| matches!(pair, ["and" | "then", word] if CHANGING.contains(word)))
}

fn stays_untouched(request: &str) -> bool {
    let behind = UNTOUCHED.iter().find_map(|phrase| request.split_once(phrase)).map(|(_, behind)| behind.trim_start());
    behind.is_some_and(|behind| !EXCEPTIONS.iter().any(|word| behind.starts_with(word)))
}

fn is_text(request: &str) -> bool {
    let named = |word: &str| TEXTS.contains(&word.trim_matches(|c: char| !c.is_alphanumeric()));
    request.split_whitespace().take(REACH).any(named) && !request.split_whitespace().any(is_file)
}

fn is_file(word: &str) -> bool {
    word.trim_end_matches('.').contains(['.', '/'])
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
        check("Could you please explain calc.py?", Some(Intent::Answer));
        check("\u{c65c} \u{b290}\u{b824}?", Some(Intent::Answer));
        check("List the functions of calc.py", Some(Intent::Answer));
        check("Review calc.py", Some(Intent::Answer));
        check("Review calc.py and fix what is wrong", None);
        check("How do I read and change a file?", Some(Intent::Answer));
        check("I don\u{2019}t understand calc.py.", Some(Intent::Answer));
        check("Could calc.py be faster?", None);
        check("calc.py: can div crash?", Some(Intent::Answer));
        check("Find bugs in calc.py but don't change anything.", Some(Intent::Answer));
        check("Fix the bug in calc.py, and don't change anything else.", Some(Intent::Change));
        check("Write a short essay about anvils.", Some(Intent::Answer));
        check("Write a poem into poem.txt", Some(Intent::Change));
        check("Write a function that adds two numbers", None);
        check("Run the tests", Some(Intent::Command));
        check("Please run pytest", Some(Intent::Command));
        check("make test", None);
        check("Make app.py use argparse", Some(Intent::Change));
        check("Can you rename it?", Some(Intent::Change));
        check("Fix the bug in calc.py", Some(Intent::Change));
        check("calc.py lacks type hints.", None);
        check("", None);
    }
}
