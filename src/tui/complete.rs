//! Suggestions while typing: files and what they define after `@`, commands after `/`.

use nucleo_matcher::pattern::{AtomKind, CaseMatching, Normalization, Pattern};
use nucleo_matcher::{Config, Matcher, Utf32Str};

use super::command::COMMANDS;

/// Suggestions shown at once.
pub const SHOWN: usize = 8;

/// An open list of suggestions.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Popup {
    pub kind: Kind,
    pub items: Vec<Item>,
    pub selected: usize,
    /// Characters before the cursor that a suggestion replaces.
    pub replaces: usize,
}

/// What is suggested.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    File,
    Command,
}

/// One suggestion.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Item {
    /// What stands in the text once it is taken.
    pub text: String,
    pub help: String,
}

/// What the text before the cursor could be completed to.
#[derive(Debug, PartialEq, Eq)]
pub enum Query {
    File(String),
    Command(String),
}

/// Reads the beginning of a completion off the end of `before`, the cursor's line up to the cursor.
pub fn query(before: &str, first_line: bool) -> Option<Query> {
    if first_line
        && let Some(name) = before.strip_prefix('/')
        && name.bytes().all(|b| b.is_ascii_lowercase())
    {
        return Some(Query::Command(name.to_owned()));
    }
    let word = before.rsplit(char::is_whitespace).next()?;
    word.strip_prefix('@').map(|path| Query::File(path.to_owned()))
}

/// The suggestions for a query; `None` where there are none.
pub fn popup(query: &Query, files: &[String]) -> Option<Popup> {
    let (kind, typed, items) = match query {
        Query::File(path) => (Kind::File, path, best_files(path, files)),
        Query::Command(name) => (Kind::Command, name, commands(name)),
    };
    (!items.is_empty()).then(|| Popup { kind, items, selected: 0, replaces: typed.chars().count() + 1 })
}

fn commands(name: &str) -> Vec<Item> {
    COMMANDS
        .iter()
        .filter(|spec| spec.name.starts_with(name))
        .map(|spec| Item {
            text: format!("/{}{}", spec.name, if spec.args.is_empty() { "" } else { " " }),
            help: format!("{} {}", spec.args, spec.help).trim_start().to_owned(),
        })
        .collect()
}

/// What it is worth that a name is meant, and not the folders that it stands in.
const BY_NAME: u32 = 24;

fn best_files(path: &str, files: &[String]) -> Vec<Item> {
    let mut matcher = Matcher::new(Config::DEFAULT.match_paths());
    let pattern = Pattern::new(path, CaseMatching::Ignore, Normalization::Smart, AtomKind::Fuzzy);
    let mut buffer = Vec::new();
    let mut score = |text: &str| pattern.score(Utf32Str::new(text, &mut buffer), &mut matcher);
    let mut score = |file: &str| score(name(file)).map(|score| score + BY_NAME).or_else(|| score(file));
    // Before anything is typed only files are of use.
    let meant = files.iter().filter(|file| !path.is_empty() || !file.contains('#'));
    let mut found: Vec<(u32, &String)> = meant.filter_map(|file| score(file).map(|score| (score, file))).collect();
    // The best first; among equals the shortest name, of which most was typed.
    let length = |file: &str| (name(file).len(), file.len());
    found.sort_by(|(a, x), (b, y)| b.cmp(a).then(length(x).cmp(&length(y))).then(x.cmp(y)));
    found.truncate(SHOWN);
    found.into_iter().map(|(_, file)| Item { text: format!("@{file} "), help: String::new() }).collect()
}

/// The name of what a suggestion stands for: a definition's, else a file's.
fn name(file: &str) -> &str {
    file.rsplit_once('#').map_or_else(|| file.rsplit('/').next().unwrap_or(file), |(_, name)| name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_query_is_read_where_one_is_meant() {
        assert_eq!(query("see @src/a", true), Some(Query::File("src/a".into())));
        assert_eq!(query("@", false), Some(Query::File(String::new())));
        assert_eq!(query("me@example", true), None);
        assert_eq!(query("see @a b", true), None);
        assert_eq!(query("/un", true), Some(Query::Command("un".into())));
        assert_eq!(query("/un", false), None);
        assert_eq!(query("/usr/b", true), None);
    }

    #[test]
    fn the_file_that_is_meant_comes_first() {
        let files: Vec<String> = ["docs/parser.md", "src/parse/mod.rs", "src/parser.rs", "src/sparse.rs", "README.md"]
            .map(String::from)
            .into();
        let first = |typed: &str| best_files(typed, &files).first().map(|item| item.text.clone());
        assert_eq!(first("parser.rs").as_deref(), Some("@src/parser.rs "));
        assert_eq!(first("spmod").as_deref(), Some("@src/parse/mod.rs "));
        assert_eq!(first("read").as_deref(), Some("@README.md "));
        assert_eq!(first("xyz"), None);
    }

    #[test]
    fn what_files_define_is_found_by_its_name_and_behind_its_file() {
        let files: Vec<String> =
            ["src/parser.rs", "src/parser.rs#Parser", "src/parser.rs#Parser.push", "src/text.rs#parse"]
                .map(String::from)
                .into();
        let first = |typed: &str| best_files(typed, &files).first().map(|item| item.text.clone());
        assert_eq!(first("parser.rs").as_deref(), Some("@src/parser.rs "));
        assert_eq!(first("parser.push").as_deref(), Some("@src/parser.rs#Parser.push "));
        assert_eq!(first("parse").as_deref(), Some("@src/text.rs#parse "));
        assert_eq!(first("text#pa").as_deref(), Some("@src/text.rs#parse "));
    }
}
