//! What a line that begins with `/` does: the table behind completion, help and docs, and its reading.

use crate::permission::Mode;

/// A command as typed, understood.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Command {
    Help,
    Undo(usize),
    Redo(usize),
    Diff,
    Details,
    Context,
    /// Of the message with this number.
    LeaveOut(usize),
    Mode(Mode),
    Note(String),
    Quit,
}

/// One line of the table.
#[derive(Debug)]
pub struct Spec {
    pub name: &'static str,
    /// As help shows them; empty where there are none.
    pub args: &'static str,
    pub help: &'static str,
}

macro_rules! specs {
    ($($name:literal $args:literal $help:literal;)+) => {
        /// All commands, in the order in which help shows them.
        pub const COMMANDS: &[Spec] = &[$(Spec { name: $name, args: $args, help: $help }),+];
    };
}

specs! {
    "undo" "[N]" "take back the last N changes of files (1)";
    "redo" "[N]" "bring them back";
    "diff" "" "show the last change again";
    "mode" "ask|edits|yes" "how much is allowed without asking";
    "context" "[drop N]" "what the context holds; take message N out";
    "remember" "TEXT" "add a line to the project's AGENTS.md, which every session reads";
    "details" "" "unfold or fold reasoning, outputs and long diffs";
    "help" "" "keys and commands";
    "quit" "" "leave; the session can be resumed";
}

/// Reads `line` as a command. `None` where it is a message: it does not begin with `/` and a single word of letters (so
/// that `/usr/bin/env is missing` can be said).
pub fn parse(line: &str) -> Option<Result<Command, String>> {
    let mut words = line.strip_prefix('/')?.split_whitespace();
    let name = words.next()?;
    if line[1..].starts_with(char::is_whitespace) || !name.bytes().all(|b| b.is_ascii_lowercase()) {
        return None;
    }
    let arg = words.next();
    let count = || match arg.map(str::parse) {
        None => Ok(1),
        Some(Ok(n)) if n > 0 => Ok(n),
        Some(_) => Err(format!("/{name} takes a number of changes, such as /{name} 2")),
    };
    Some(match name {
        "help" => Ok(Command::Help),
        "undo" => count().map(Command::Undo),
        "redo" => count().map(Command::Redo),
        "diff" => Ok(Command::Diff),
        "details" => Ok(Command::Details),
        "context" => match (arg, words.next().map(str::parse)) {
            (None, _) => Ok(Command::Context),
            (Some("drop"), Some(Ok(number))) => Ok(Command::LeaveOut(number)),
            _ => Err("/context drop takes the number of a message, such as /context drop 2".into()),
        },
        "remember" => match line["/remember".len()..].trim() {
            "" => Err("/remember takes what to keep in mind, such as /remember run the tests with make check".into()),
            note => Ok(Command::Note(note.to_owned())),
        },
        "quit" | "exit" => Ok(Command::Quit),
        "mode" => match arg {
            Some("ask") => Ok(Command::Mode(Mode::Ask)),
            Some("edits") => Ok(Command::Mode(Mode::Edits)),
            Some("yes") => Ok(Command::Mode(Mode::Yes)),
            _ => Err("/mode takes one of ask, edits, yes".into()),
        },
        _ => Err(format!("there is no command /{name}; type / to see all, or a space first to send it as a message")),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_command_of_the_table_is_understood() {
        for spec in COMMANDS {
            let arg = spec.args.split('|').next().filter(|a| !a.starts_with('[')).unwrap_or_default();
            let line = format!("/{} {arg}", spec.name);
            assert!(matches!(parse(&line), Some(Ok(_))), "{line}");
        }
    }

    #[test]
    fn the_documentation_lists_every_command() {
        let docs = include_str!("../../docs/tui.md");
        for spec in COMMANDS {
            let usage = format!("/{} {}", spec.name, spec.args);
            let row =
                format!("| `{}` | {} |", usage.trim_end(), spec.help).replace("ask|edits|yes", r"ask\|edits\|yes");
            assert!(docs.contains(&row), "docs/tui.md lacks the row\n{row}");
        }
    }

    #[test]
    fn a_path_is_a_message_and_a_wrong_argument_an_answer() {
        assert_eq!(parse("/usr/bin/env is missing"), None);
        assert_eq!(parse("undo that"), None);
        assert_eq!(parse("/"), None);
        assert_eq!(parse("/undo 3"), Some(Ok(Command::Undo(3))));
        assert_eq!(parse("/remember use  tabs "), Some(Ok(Command::Note("use  tabs".into()))));
        assert!(matches!(parse("/remember"), Some(Err(_))));
        assert!(matches!(parse("/undo 0"), Some(Err(_))));
        assert!(matches!(parse("/nonsense"), Some(Err(_))));
    }
}
