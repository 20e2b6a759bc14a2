//! What a model wrote for a file, and the call that puts it there.

use std::collections::HashSet;

use serde_json::Value;

use super::addition::Addition;
use super::part::{Part, is_function};
use super::step::Limits;
use super::turn::Turn;
use crate::code::{Definition, Index, definitions};
use crate::dialect::Call;
use crate::workspace::{RelPath, common_lines};

impl Turn<'_> {
    /// A call that gives a file this content: by the lines that differ, where it is not written as a whole.
    pub(super) fn content_call(&self, path: &RelPath, content: &str) -> Call {
        let in_part = self.prepared.as_ref().is_some_and(|prepared| !prepared.parts.is_empty());
        match self.session.workspace.read(path) {
            Ok(file) if in_part || !self.fits_whole(self.session.engine.count(&file.text)) => {
                edit_call(path, &file.text, content)
            }
            _ => write_call(path, content),
        }
    }

    /// What a file becomes, with the imports that it lacks. What is written by the lines that differ goes without: it would have to
    /// give all that stands between an import and the rest.
    pub(super) fn with_missing_imports(&self, path: &RelPath, block: &Block, content: String) -> String {
        let session = &self.session;
        if matches!(block.piece, Piece::Part(_)) || !self.fits_whole(session.engine.count(&block.file)) {
            return content;
        }
        let complete = |index: &Index| index.with_missing_imports(path.as_str(), Some(&block.file), content);
        session.settings.index.ask(&session.workspace, complete)
    }
}

/// The functions and types that a file has with one text and not with the other, but for what stands inside of functions.
pub(super) fn lost(path: &RelPath, old: &str, new: &str) -> Vec<String> {
    let all = |text: &str| definitions(path.as_str(), text);
    let kept: HashSet<String> = all(new).iter().map(Definition::qualified).collect();
    let old = all(old);
    let parent = |definition: &Definition| definition.parent.and_then(|at| old.get(at as usize));
    let counts = |definition: &&Definition| is_function(definition) || definition.kind.has_methods();
    let gone = old.iter().filter(counts).filter(|definition| !parent(definition).is_some_and(is_function));
    gone.map(Definition::qualified).filter(|name| !kept.contains(name)).collect()
}

/// What of a file is written.
#[derive(Debug)]
pub(super) enum Piece {
    /// All of it, anew.
    File,
    /// One of its functions, anew.
    Part(Part),
    /// A function that it has not yet.
    Addition(Addition),
}

/// A code block in which a model is to write something of a file.
#[derive(Debug)]
pub(super) struct Block {
    pub piece: Piece,
    /// The file's text as it is.
    pub file: String,
    /// Of it what is to be written anew.
    pub old: String,
    pub fence: String,
    /// Behind the fence that opens it.
    pub language: String,
    /// What is written begins with this.
    pub head: String,
    /// Tokens of what is written, at most.
    pub longest: usize,
}

impl Block {
    pub fn prefix(&self) -> String {
        format!("{}{}\n{}", self.fence, self.language, self.head)
    }

    pub fn limits(&self) -> Limits {
        Limits {
            prefix: self.prefix(),
            // Markdown has blocks of its own.
            stop: if self.language == "markdown" { Vec::new() } else { vec![format!("\n{}", self.fence)] },
            max_tokens: Some(self.longest),
            copy_from: if self.old.is_empty() { Vec::new() } else { vec![self.old.clone()] },
            draft: true,
            no_lists: false,
        }
    }

    /// What the file becomes with what the model wrote behind the block's beginning; `None` where that has no end, or is something
    /// else.
    pub fn content(&self, text: &str) -> Option<String> {
        let text = format!("{}{text}", self.head);
        let content = block(&text, &self.fence).filter(|content| !content.is_empty() || self.old.is_empty())?;
        match &self.piece {
            Piece::File => Some(content.to_owned()),
            Piece::Part(part) => part.replaced(&self.file, content),
            Piece::Addition(addition) => addition.merged(&self.file, content),
        }
    }
}

/// What stands in a code block, of which the first line is left out, up to the fence that ends it: the last line, or the first
/// fence that ends no block inside.
fn block<'t>(text: &'t str, fence: &str) -> Option<&'t str> {
    if let Some(content) =
        text.trim_end().strip_suffix(fence).filter(|content| content.is_empty() || content.ends_with('\n'))
    {
        return Some(content);
    }
    let (mut depth, mut at) = (0, 0);
    for line in text.split_inclusive('\n') {
        match line.trim_end().strip_prefix(fence) {
            Some("") if depth == 0 => return Some(&text[..at]),
            Some("") => depth -= 1,
            Some(_) => depth += 1,
            None => {}
        }
        at += line.len();
    }
    None
}

fn write_call(path: &RelPath, content: &str) -> Call {
    call("write", &[("path", path.as_str()), ("content", content)])
}

/// A call that turns a file's text into another by the lines that differ, with as many around them as make the place certain.
fn edit_call(path: &RelPath, old: &str, new: &str) -> Call {
    let (a, b): (Vec<&str>, Vec<&str>) = (old.split_inclusive('\n').collect(), new.split_inclusive('\n').collect());
    let (mut first, mut last) = common_lines(&a, &b);
    let part = |parts: &[&str], first: usize, last: usize| parts[first..parts.len() - last].concat();
    while (first, last) != (0, 0) {
        let text = part(&a, first, last);
        if !text.trim().is_empty() && old.find(&text) == old.rfind(&text) {
            break;
        }
        (first, last) = (first.saturating_sub(1), last.saturating_sub(1));
    }
    call("edit", &[("path", path.as_str()), ("old", &part(&a, first, last)), ("new", &part(&b, first, last))])
}

fn call(tool: &str, arguments: &[(&str, &str)]) -> Call {
    let arguments = arguments.iter().map(|&(name, value)| (name.to_owned(), Value::from(value)));
    Call { id: String::new(), name: tool.into(), arguments: arguments.collect() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_block_ends_with_the_fence_that_ends_no_other() {
        assert_eq!(block("a\n```", "```"), Some("a\n"));
        assert_eq!(block("a\n```\nThat is all.", "```"), Some("a\n"));
        assert_eq!(block("a\n```sh\nb\n```\nc\n```\nThat is all.", "```"), Some("a\n```sh\nb\n```\nc\n"));
        assert_eq!(block("a\n```\nb\n```\nc\n```\n", "```"), Some("a\n```\nb\n```\nc\n"));
        assert_eq!(block("```", "```"), Some(""));
        assert_eq!(block("x = '```", "```"), None);
        assert_eq!(block("a", "```"), None);
    }

    #[test]
    fn what_a_text_defines_no_more_is_lost() {
        let path = "a.py".to_owned().try_into().unwrap();
        let old = "class A:\n    def f(self):\n        def g(): pass\n    def h(self): pass\n\ndef k(): pass\nX = 1\n";
        assert_eq!(lost(&path, old, old), [""; 0]);
        assert_eq!(lost(&path, old, "class A:\n    def f(self): pass\n    def k(self): pass\n"), ["A.h", "k"]);
        assert_eq!(lost(&path, "", old), [""; 0]);
    }

    #[test]
    fn an_edit_names_lines_that_stand_there_once() {
        let path = "a.py".to_owned().try_into().unwrap();
        let check = |old: &str, new: &str| {
            let call = edit_call(&path, old, new);
            let text = |name: &str| call.arguments[name].as_str().unwrap().to_owned();
            assert_eq!(old.matches(&text("old")).count(), 1, "{call:?}");
            assert_eq!(old.replacen(&text("old"), &text("new"), 1), new);
            text("old")
        };
        assert_eq!(check("a\nb\nc\nd\n", "a\nB\nc\nd\n"), "b\n");
        assert_eq!(check("x\ny\nx\nz\n", "x\ny\nX\nz\n"), "y\nx\nz\n");
        assert_eq!(check("a\nb\n", "a\nnew\nb\n"), "a\nb\n");
        assert_eq!(check("a\nb\nc", "a\nc"), "b\n");
        assert_eq!(check("0,\n0,\n0,\n0,\n", "0,\n1,\n0,\n0,\n"), "0,\n0,\n0,\n0,\n");
    }
}
