//! Where reasoning ends that the prompt began. The templates of R1, QwQ, Qwen3-Thinking and GLM-4.7 open `<think>` before the
//! answer; a server without a parser for that sends reasoning, `</think>` and the answer as one text.
//!
//! Whether an answer begins inside of reasoning is told by the prompt where the template is known, else guessed from the
//! model's name. Every answer then shows whether that was right, and the next one is read accordingly:
//!
//! - Reasoning that comes apart from the text means that the text begins with the answer.
//! - A closing mark without an opening one means that it began inside. What was shown by then stays shown, since nothing is
//!   held back for the sake of a mark that most answers never have; but an answer that comes in one piece is read right. The
//!   mark stays in the text too: the model's template takes out what stands before it when it shows the answer again.
//! - A whole answer without that mark, read as reasoning, is said once more as what it is.

use crate::dialect::{Dialect, Parser, Prompt, ToolSpec};

/// What is known of an answer's beginning.
pub(super) struct Thought {
    /// The answer is read as one that goes on with reasoning.
    inside: bool,
    /// Reads it where that is wrong.
    other: Option<Box<dyn Parser>>,
    open: String,
    close: String,
    /// Its text so far.
    text: String,
    /// Whether it began inside of reasoning, as it turned out.
    found: Option<bool>,
}

/// The parser of an answer that is taken to begin `inside` of reasoning or outside of it, and what will know better.
pub(super) fn reading(dialect: &dyn Dialect, tools: &[ToolSpec], inside: bool) -> (Box<dyn Parser>, Option<Thought>) {
    let outside = dialect.parser(tools);
    let Some((open, close)) = dialect.reasoning() else { return (outside, None) };
    let within = dialect.parser_after(tools, &Prompt { text: open.to_owned() });
    let (parser, other) = if inside { (within, outside) } else { (outside, within) };
    let (open, close) = (open.to_owned(), close.to_owned());
    (parser, Some(Thought { inside, other: Some(other), open, close, text: String::new(), found: None }))
}

impl Thought {
    /// Reasoning came apart from the text. Returns the parser that is to read the answer from now on, if it is another.
    pub fn apart(&mut self) -> Option<Box<dyn Parser>> {
        self.found = Some(false);
        (self.inside && self.text.trim().is_empty()).then(|| self.turn()).flatten()
    }

    /// Takes in a piece of the text, before it is read. Returns as [`Thought::apart`].
    pub fn hear(&mut self, text: &str) -> Option<Box<dyn Parser>> {
        let nothing_shown = self.text.is_empty();
        self.text.push_str(text);
        (nothing_shown && !self.inside && self.closes()).then(|| self.turn()).flatten()
    }

    /// The answer has ended. Returns what was taken for reasoning and is the answer: all of it, where it is `complete`, had
    /// nothing else, and reasoning never ended.
    pub fn finish(&mut self, complete: bool) -> Option<String> {
        if self.found.is_some() {
            return None;
        }
        if self.inside && !self.text.contains(&self.close) {
            let answer = complete && !self.text.trim().is_empty();
            return answer.then(|| {
                self.found = Some(false);
                std::mem::take(&mut self.text)
            });
        }
        self.found = (self.inside || self.closes()).then_some(true);
        None
    }

    /// Whether the answer began inside of reasoning, if it showed that.
    pub fn found(&self) -> Option<bool> {
        self.found
    }

    fn turn(&mut self) -> Option<Box<dyn Parser>> {
        self.inside = !self.inside;
        self.other.take()
    }

    /// Whether the text ends reasoning that it did not begin. A mark in quotes is spoken of.
    fn closes(&self) -> bool {
        let Some((before, _)) = self.text.split_once(&self.close) else { return false };
        !before.contains(&self.open) && !before.ends_with(['`', '"', '\''])
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::dialect::{Parsed, for_template};

    /// What comes of an answer in these pieces, reasoning in brackets, and what it showed.
    fn read(inside: bool, pieces: &[&str]) -> (String, Option<bool>) {
        let dialect = for_template("", Some("hermes")).unwrap();
        let (mut parser, thought) = reading(&*dialect, &[], inside);
        let mut thought = thought.unwrap();
        let mut parsed = Vec::new();
        for piece in pieces {
            parser = thought.hear(piece).unwrap_or(parser);
            parsed.extend(parser.push(piece));
        }
        parsed.extend(parser.finish());
        let complete = parsed.iter().all(|item| matches!(item, Parsed::Reasoning(_)));
        parsed.extend(thought.finish(complete).map(Parsed::Text));
        let show = |item| match item {
            Parsed::Reasoning(text) => format!("[{text}]"),
            Parsed::Text(text) => text,
            other => format!("{other:?}"),
        };
        (parsed.into_iter().map(show).collect(), thought.found())
    }

    #[test]
    fn reasoning_that_the_prompt_began_ends_at_its_mark() {
        assert_eq!(read(true, &["hm", " hm</thi", "nk>\n\nYes."]), ("[hm][ hm]\n\nYes.".into(), Some(true)));
        assert_eq!(read(true, &["<think>hm</think>Yes."]), ("[hm]Yes.".into(), Some(true)));
    }

    #[test]
    fn without_it_the_answer_is_not_lost() {
        assert_eq!(read(true, &["Ye", "s."]), ("[Ye][s.]Yes.".into(), Some(false)));
        assert_eq!(read(true, &[" \n"]), ("[ \n]".into(), None));
    }

    #[test]
    fn a_stray_mark_tells_of_reasoning() {
        assert_eq!(read(false, &["hm</think>Yes."]), ("[hm]Yes.".into(), Some(true)));
        // What was shown stays shown.
        assert_eq!(read(false, &["hm", "</think>Yes."]), ("hm</think>Yes.".into(), Some(true)));
        assert_eq!(read(false, &["<think>hm</think>", "Yes."]), ("[hm]Yes.".into(), None));
        assert_eq!(read(false, &["The mark `</think>` ends it."]), ("The mark `</think>` ends it.".into(), None));
    }

    #[test]
    fn reasoning_that_comes_apart_is_none_of_the_text() {
        let dialect = for_template("", Some("hermes")).unwrap();
        let (_, thought) = reading(&*dialect, &[], true);
        let mut thought = thought.unwrap();
        let mut parser = thought.apart().unwrap();
        assert!(thought.apart().is_none() && thought.hear("Yes.").is_none());
        assert_eq!(parser.push("Yes."), [Parsed::Text("Yes.".into())]);
        assert_eq!((thought.finish(false), thought.found()), (None, Some(false)));
    }
}
