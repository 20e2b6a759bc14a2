//! The texts that a model is given: prompts from `prompts/`, the workspace's own instructions, and the files that a request
//! names.

use std::path::Path;

use super::note;
use crate::code::{self, Language};
use crate::engine::Engine;
use crate::workspace::{RelPath, Workspace, WorkspaceError};

/// The share of the context that files named in a request may fill together, in per cent.
const ATTACHED_SHARE: usize = 40;
/// The same for `AGENTS.md`, which stands in every prompt.
const INSTRUCTIONS_SHARE: usize = 10;

/// The embedded prompts, by the name under which a user's copy in `.moru/prompts/` takes their place.
macro_rules! prompts {
    ($($name:literal),* $(,)?) => {
        fn embedded(name: &str) -> &'static str {
            match name {
                $($name => include_str!(concat!("../../prompts/", $name, ".md")),)*
                _ => "",
            }
        }

        #[cfg(test)]
        const NAMES: &[&str] = &[$($name),*];
    };
}

prompts![
    "system",
    "intent",
    "next",
    "located",
    "which-file",
    "which-function",
    "change-whole",
    "add-function",
    "change-function",
    "change-follower",
    "change-part",
    "new-file",
    "earlier",
    "check-before",
    "failing-tests",
    "check-failed",
    "compacted",
    "guess-tests"
];

/// A prompt by name, with `{placeholders}` filled in.
pub fn text(workspace: &Workspace, name: &str, fill: &[(&str, &str)]) -> String {
    let own = workspace.root().join(".moru/prompts").join(format!("{name}.md"));
    let text = std::fs::read_to_string(own).unwrap_or_else(|_| embedded(name).to_owned());
    filled(&text, fill).trim_end().to_owned()
}

/// A text with its placeholders filled in; those in what fills them are none.
fn filled(text: &str, fill: &[(&str, &str)]) -> String {
    let (mut filled, mut rest) = (String::new(), text);
    while let Some((before, behind)) = rest.split_once('{') {
        filled.push_str(before);
        let value = fill.iter().find_map(|&(key, value)| Some((behind.strip_prefix(key)?.strip_prefix('}')?, value)));
        rest = match value {
            Some((after, value)) => {
                filled.push_str(value);
                after
            }
            None => {
                filled.push('{');
                behind
            }
        };
    }
    filled + rest
}

/// The system prompt: ours, then the workspace's `AGENTS.md`. It holds nothing that changes, so that it stays a prefix which
/// is read once.
pub fn system(workspace: &Workspace, engine: &dyn Engine) -> String {
    let mut prompt = text(workspace, "system", &[]);
    let own = workspace.resolve(note::FILE).and_then(|path| workspace.read(&path));
    if let Ok(file) = own
        && !file.text.trim().is_empty()
    {
        prompt.push_str("\n\n# Instructions of this project (AGENTS.md)\n\n");
        prompt.push_str(instructions(engine, &file.text));
    }
    prompt
}

/// What of the text of `AGENTS.md` there is room for.
pub(super) fn instructions<'t>(engine: &dyn Engine, text: &'t str) -> &'t str {
    clip(engine, text.trim(), engine.info().context * INSTRUCTIONS_SHARE / 100)
}

/// A request with the files that it names.
#[derive(Debug)]
pub struct Asked {
    pub text: String,
    /// The files whose whole text stands in it.
    pub files: Vec<RelPath>,
    /// Those that are named and too long to stand in it.
    pub left_out: Vec<RelPath>,
}

/// Builds the user's message. Of the files that it names those are shown that `suit`, by their tokens.
///
/// # Errors
/// A file that the request names cannot be read as text.
pub fn request(
    workspace: &Workspace,
    engine: &dyn Engine,
    prompt: &str,
    suits: impl Fn(&RelPath, usize) -> bool,
) -> Result<Asked, WorkspaceError> {
    let mut asked = attached(workspace, engine, named_files(workspace, prompt), suits)?;
    asked.text.push_str(prompt.trim());
    Ok(asked)
}

/// What a request will begin with that names these files with `@`, as far as it is written.
///
/// # Errors
/// A file cannot be read as text.
pub fn beginning(workspace: &Workspace, engine: &dyn Engine, draft: &str) -> Result<Asked, WorkspaceError> {
    // The last word may go on yet.
    let whole = draft.rfind(char::is_whitespace).map_or("", |end| &draft[..end]);
    let marked: Vec<&str> = whole.split_whitespace().filter(|word| word.starts_with('@')).collect();
    attached(workspace, engine, named_files(workspace, &marked.join(" ")), |_, _| true)
}

/// The text of what was named, as far as it suits and there is room for it.
fn attached(
    workspace: &Workspace,
    engine: &dyn Engine,
    named: Vec<Named>,
    suits: impl Fn(&RelPath, usize) -> bool,
) -> Result<Asked, WorkspaceError> {
    let mut budget = engine.info().context * ATTACHED_SHARE / 100;
    let (mut text, mut files, mut left_out) = (String::new(), Vec::new(), Vec::new());
    for Named { path, part } in named {
        let file = workspace.read(&path)?;
        let block = match &part {
            Some((place, lines)) => fenced(path.as_str(), place, lines),
            None => fenced(path.as_str(), path.as_str(), &file.text),
        };
        let tokens = engine.count(&block);
        if tokens <= budget && (part.is_some() || suits(&path, tokens)) {
            budget -= tokens;
            text.push_str(&block);
            if part.is_none() {
                files.push(path);
            }
        } else {
            let lines = file.text.lines().count();
            text.push_str(&format!(
                "{path} has {lines} lines, too many to show here; read the lines that you need.\n\n"
            ));
            left_out.push(path);
        }
    }
    Ok(Asked { text, files, left_out })
}

/// Where a file's definition of this name stands, and its lines.
fn part(path: &RelPath, text: &str, symbol: &str) -> Option<(String, String)> {
    let definitions = code::definitions(path.as_str(), text);
    let found = definitions.iter().find(|definition| definition.qualified() == symbol)?;
    let (start, end) = (found.start, found.end);
    let lines = text.lines().skip(start.saturating_sub(1) as usize).take((end + 1 - start) as usize);
    Some((format!("{path}:{start}-{end} {symbol}"), lines.collect::<Vec<_>>().join("\n")))
}

/// Text of a file under the place where it stands, in a fence that it cannot close.
pub fn fenced(path: &str, place: &str, text: &str) -> String {
    let (fence, language) = (fence(text), language(path));
    let end = if text.is_empty() || text.ends_with('\n') { "" } else { "\n" };
    format!("{place}\n{fence}{language}\n{text}{end}{fence}\n\n")
}

/// A code fence that does not stand in `text`.
pub fn fence(text: &str) -> String {
    let longest = text.lines().map(|line| line.chars().take_while(|&c| c == '`').count()).max().unwrap_or(0);
    "`".repeat(longest.max(2) + 1)
}

/// What stands behind a fence for a file of this name: the language's usual name, else the file name's extension.
pub fn language(path: &str) -> &str {
    let path = Path::new(path);
    let extension = || path.extension().and_then(|extension| extension.to_str()).unwrap_or_default();
    Language::of(path).map_or_else(extension, |language| language.fence)
}

/// A file that a request names, or a definition in it.
#[derive(Debug, PartialEq, Eq)]
struct Named {
    path: RelPath,
    /// Where the definition stands, and its lines.
    part: Option<(String, String)>,
}

/// What a request names, in its order: `@path`, `@path#name`, or a word that is the path of a file.
fn named_files(workspace: &Workspace, prompt: &str) -> Vec<Named> {
    let mut found: Vec<Named> = Vec::new();
    let quotes = ['`', '"', '\'', '(', ')', '[', ']', '{', '}', '<', '>', ',', ';', ':', '!', '?', '*'];
    let file = |path: &str| workspace.resolve(path).ok().filter(|path| workspace.is_file(path));
    // A word as it stands comes first: paths may have brackets.
    for word in prompt.split_whitespace().flat_map(|word| std::iter::once(word).chain(word.split(quotes))) {
        let word = word.trim_start_matches('@').trim_end_matches('.');
        if word.is_empty() {
            continue;
        }
        // Behind a name that the file does not have stands something else: the end of a sentence.
        let part = || {
            let (path, symbol) = word.split_once('#')?;
            let path = file(path)?;
            let part = Some(part(&path, &workspace.read(&path).ok()?.text, symbol)?);
            Some(Named { path, part })
        };
        let whole = file(word).map(|path| Named { path, part: None });
        if let Some(named) = whole.or_else(part)
            && !found.iter().any(|known| known.path == named.path && (known.part.is_none() || *known == named))
        {
            found.push(named);
        }
    }
    found
}

/// The head of `text` that has at most `tokens` tokens, cut at a line's end.
fn clip<'t>(engine: &dyn Engine, text: &'t str, tokens: usize) -> &'t str {
    let mut end = text.len();
    while engine.count(&text[..end]) > tokens {
        end = text[..text.floor_char_boundary(end * 3 / 4)].rfind('\n').unwrap_or(0);
    }
    &text[..end]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_fills_a_placeholder_holds_none() {
        let fill = [("a", "{b} {"), ("b", "two")];
        assert_eq!(filled("{a}, {b}, {c}, {", &fill), "{b} {, two, {c}, {");
    }

    #[test]
    fn every_prompt_is_there() {
        for name in NAMES {
            assert!(!embedded(name).trim().is_empty(), "{name}");
        }
    }

    #[test]
    fn a_fence_is_longer_than_any_in_the_text() {
        assert_eq!(fenced("a.py", "a.py", "x = 1"), "a.py\n```python\nx = 1\n```\n\n");
        assert_eq!(fenced("a.md", "a.md", "````\n"), "a.md\n`````markdown\n````\n`````\n\n");
    }
}
