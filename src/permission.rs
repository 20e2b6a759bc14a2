//! Who may do what: classes of actions, modes, and what the user has allowed for good.

mod shell;

use serde::{Deserialize, Serialize};

use shell::simple_commands;

/// What a tool call would do.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Class {
    /// Looks at files of the workspace. Always allowed.
    Read,
    /// Changes files of the workspace, undoably.
    Edit,
    /// Starts a command.
    Run,
}

/// What a call asks for, as the user is shown it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Permission {
    pub class: Class,
    /// One line: the command, or what happens to which file.
    pub summary: String,
    /// A unified diff, for edits.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub diff: Option<String>,
}

/// How much is allowed without asking.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Mode {
    /// Edits and commands are asked for.
    #[default]
    Ask,
    /// Edits are allowed, commands are asked for.
    Edits,
    /// Edits and commands are allowed.
    Yes,
}

/// What a user answers.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Decision {
    Once,
    /// Edits: for the rest of the session. A command: this command's words, from now on.
    Always,
    /// With a reason that the model is told; may be empty.
    No(String),
}

/// What is to be done with a permission.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict {
    Allow,
    Ask,
}

/// The rules of one session.
#[derive(Debug, Clone, Default)]
pub struct Policy {
    pub mode: Mode,
    edits: bool,
    commands: Vec<Rule>,
}

/// Commands that are allowed for good.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Rule {
    /// This command, to the letter.
    Exact(String),
    /// Simple commands that begin with these words.
    Prefix(Vec<String>),
}

/// Programs whose arguments are themselves programs, or that destroy what they are pointed at: only the whole command is
/// remembered, never the beginning.
const CAREFUL: &[&str] = &[
    "awk", "bash", "bun", "chmod", "chown", "cp", "curl", "dash", "dd", "deno", "docker", "doas", "env", "eval",
    "exec", "find", "gawk", "gh", "kill", "killall", "ln", "lua", "mv", "nice", "node", "nohup", "perl", "php", "pip",
    "pip3", "pkill", "podman", "python", "python2", "python3", "rm", "rmdir", "rsync", "ruby", "scp", "sed", "sh",
    "shred", "source", "ssh", "strace", "sudo", "tee", "time", "timeout", "truncate", "watch", "wget", "xargs", "zsh",
];

/// Programs whose second word only says that a script's name follows.
const RUNNERS: &[(&str, &str)] =
    &[("npm", "run"), ("pnpm", "run"), ("yarn", "run"), ("cargo", "run"), ("go", "run"), ("uv", "run")];

/// What git loses nothing by. Its other commands are remembered whole.
const GIT_HARMLESS: &[&str] = &["status", "diff", "log", "show", "blame", "ls-files", "rev-parse", "add"];

impl Policy {
    pub fn new(mode: Mode) -> Self {
        Self { mode, edits: false, commands: Vec::new() }
    }

    /// Whether the user is to be asked.
    pub fn judge(&self, permission: &Permission) -> Verdict {
        let allowed = match (permission.class, self.mode) {
            (Class::Read, _) | (_, Mode::Yes) | (Class::Edit, Mode::Edits) => true,
            (Class::Edit, Mode::Ask) => self.edits,
            (Class::Run, Mode::Ask | Mode::Edits) => self.allows_command(&permission.summary),
        };
        if allowed { Verdict::Allow } else { Verdict::Ask }
    }

    /// The user has said "always".
    pub fn remember(&mut self, permission: &Permission) {
        match permission.class {
            Class::Read => {}
            Class::Edit => self.edits = true,
            Class::Run => {
                let rule = rule_for(&permission.summary);
                if !self.commands.contains(&rule) {
                    self.commands.push(rule);
                }
            }
        }
    }

    fn allows_command(&self, command: &str) -> bool {
        let exact = |rule: &Rule| matches!(rule, Rule::Exact(text) if text == command);
        if self.commands.iter().any(exact) {
            return true;
        }
        let begins = |words: &Vec<String>| {
            self.commands.iter().any(|rule| matches!(rule, Rule::Prefix(prefix) if words.starts_with(prefix)))
        };
        simple_commands(command).is_some_and(|parts| !parts.is_empty() && parts.iter().all(begins))
    }
}

/// What "always" would allow from now on, in words for the question.
pub fn always(permission: &Permission) -> String {
    match permission.class {
        Class::Read => "reading".to_owned(),
        Class::Edit => "all edits of this session".to_owned(),
        Class::Run => match rule_for(&permission.summary) {
            Rule::Exact(_) => "exactly this command".to_owned(),
            Rule::Prefix(words) => format!("commands that begin with `{}`", words.join(" ")),
        },
    }
}

/// The widest rule that a user who allows this command for good can be taken to mean.
fn rule_for(command: &str) -> Rule {
    let exact = Rule::Exact(command.to_owned());
    let Some(parts) = simple_commands(command) else { return exact };
    let [words] = parts.as_slice() else { return exact };
    let plain = |word: &&String| word.starts_with(|c: char| c.is_ascii_lowercase()) && !word.contains(['/', '.', '=']);
    let Some(program) = words.first() else { return exact };
    let name = program.rsplit('/').next().unwrap_or(program);
    let versioned = name.trim_end_matches(|c: char| c.is_ascii_digit() || c == '.');
    if CAREFUL.contains(&name) || CAREFUL.contains(&versioned) {
        return exact;
    }
    let second = words.get(1).filter(plain);
    let length = match second.map(String::as_str) {
        Some(second) if name == "git" && !GIT_HARMLESS.contains(&second) => return exact,
        None if name == "git" => return exact,
        Some(second) if RUNNERS.contains(&(name, second)) => {
            if words.len() < 3 {
                return exact;
            }
            3
        }
        Some(_) => 2,
        None => 1,
    };
    Rule::Prefix(words[..length].to_vec())
}

#[cfg(test)]
mod tests;
