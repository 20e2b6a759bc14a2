//! Suggestions while typing: files after `@`, commands after `/`.

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

fn best_files(path: &str, files: &[String]) -> Vec<Item> {
    let needle: Vec<char> = path.chars().map(|c| c.to_ascii_lowercase()).collect();
    let mut found: Vec<(i32, &String)> =
        files.iter().filter_map(|file| score(&needle, file).map(|score| (score, file))).collect();
    // The best first; among equals the shortest, then by name.
    found.sort_by(|(a, x), (b, y)| b.cmp(a).then(x.len().cmp(&y.len())).then(x.cmp(y)));
    found.truncate(SHOWN);
    found.into_iter().map(|(_, file)| Item { text: format!("@{file} "), help: String::new() }).collect()
}

/// How well the characters of `needle`, in this order but not necessarily adjacent, stand in `path`: more for those in the
/// file's name, at the beginning of a word, next to one another. `None` where they do not.
fn score(needle: &[char], path: &str) -> Option<i32> {
    let name_at = path.rfind('/').map_or(0, |at| at + 1);
    // A match inside the file's name is what is meant most often, so it is tried first and worth more.
    let in_name = subsequence(needle, &path[name_at..]).map(|s| s + 10);
    in_name.or_else(|| subsequence(needle, path))
}

fn subsequence(needle: &[char], text: &str) -> Option<i32> {
    let mut wanted = needle.iter().peekable();
    let (mut total, mut previous, mut adjacent) = (0, '/', false);
    for c in text.chars() {
        let Some(&&want) = wanted.peek() else { break };
        let hit = c.to_ascii_lowercase() == want;
        if hit {
            wanted.next();
            let starts_word = !previous.is_alphanumeric() || (previous.is_lowercase() && c.is_uppercase());
            total += 1 + 2 * i32::from(adjacent) + 3 * i32::from(starts_word);
        }
        adjacent = hit;
        previous = c;
    }
    wanted.peek().is_none().then_some(total)
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
}
