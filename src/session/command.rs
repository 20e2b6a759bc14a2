//! A request to run something, in the guided workflow: the command that it names, then what is to be done with what that gave,
//! one call at a time.

use serde_json::json;

use super::intent::Intent;
use super::step::Limits;
use super::turn::{Act, Turn, TurnError};
use super::{Outcome, narrow};
use crate::dialect::ToolSpec;
use crate::engine::Constraint;
use crate::workspace::Workspace;

impl Turn<'_> {
    /// Runs what the request names, and does what follows from it.
    pub(super) async fn command(&mut self) -> Result<Outcome, TurnError> {
        let mut act =
            self.demand_of(bound_to(narrow::narrow(self.session, &self.record, &["run"]), &self.asked), None).await?;
        for _ in 1..self.session.settings.max_steps {
            if act != Act::Called {
                break;
            }
            act = match self.pick_intent("next").await? {
                Intent::Command => self.demand(&["run"], None).await?,
                Intent::Change => self.write_once().await?,
                Intent::Answer => self.answer().await?,
            };
        }
        if act == Act::Called {
            self.out_of_steps();
        }
        Ok(act.outcome())
    }

    /// One change of a file. Where it changes nothing, or the very file that was changed before with nothing in between, the model
    /// does not know that it is done: that step is taken back, and the model answers.
    async fn write_once(&mut self) -> Result<Act, TurnError> {
        let (mark, before) = (self.mark(), self.record.last_edit());
        let act = match new_files(&self.session.workspace, &self.asked) {
            new if new.is_empty() => self.demand(&["write", "edit"], None).await?,
            new => self.demand_of(narrow::to_paths(self.session, "write", &new), None).await?,
        };
        let new = self.record.last_edit().is_some_and(|files| Some(&files) != before.as_ref());
        if act == Act::Called && before.is_some() && !new && self.take_back(mark) {
            return self.answer().await;
        }
        Ok(act)
    }

    /// Words, once a file has changed: a call would then be one more than there was to do. Before that the model may think better
    /// of it.
    async fn answer(&mut self) -> Result<Act, TurnError> {
        let done = self.record.changes() > 0;
        let constraint = if done { Constraint::Free } else { Constraint::Call(self.all_tools()) };
        let mut step = self.step(constraint, Limits::default()).await?;
        if done {
            step.calls.clear();
            step.malformed = None;
        }
        self.act(step).await
    }
}

/// The tools, with the command that a request tells to run as the only one; as they are where it quotes none.
fn bound_to(mut specs: Vec<ToolSpec>, request: &str) -> Vec<ToolSpec> {
    if let Some(command) = quoted(request) {
        for spec in specs.iter_mut().filter(|spec| spec.name == "run") {
            spec.parameters["properties"]["command"] = json!({ "type": "string", "enum": [command] });
        }
    }
    specs
}

/// The command between backticks that a request begins with, as in "Run `sort names.txt`, then". A single word may be no more
/// than the name of what is to be run in some way.
fn quoted(request: &str) -> Option<&str> {
    let (before, rest) = request.split_once('`')?;
    let command = rest.split('`').next()?.trim();
    let is_asked = ["run", "execute"].contains(&before.trim().to_lowercase().as_str());
    let mut words = command.split_whitespace();
    let installed = words.next().is_some_and(|program| which::which(program).is_ok());
    (is_asked && installed && words.next().is_some() && !command.contains('\n')).then_some(command)
}

/// What a file's name stands behind where it is one to be written.
const LEADS: &[&str] = &["to", "into", "in", "as", "file", "called", "named", "create", "write"];

/// The files that a request names and that are not there yet: "write its output to count.txt". The first change is one of these,
/// whatever else stands in the request.
fn new_files(workspace: &Workspace, request: &str) -> Vec<String> {
    let behind = quoted(request).and_then(|command| request.split_once(command)).map_or(request, |(_, behind)| behind);
    let marks = ['`', '"', '\'', '(', ')', ',', ';', ':', '!', '?', '.'];
    // A dot in front belongs to the name.
    let words = behind.split_whitespace().map(|word| word.trim_start_matches(&marks[..10]).trim_end_matches(marks));
    let words: Vec<&str> = words.collect();
    let named = words.windows(2).filter(|pair| LEADS.contains(&pair[0].to_lowercase().as_str())).map(|pair| pair[1]);
    let is_new = |word: &&str| {
        let has_ending = word.rsplit_once('.').is_some_and(|(_, end)| end.chars().all(char::is_alphabetic));
        has_ending && workspace.resolve(word).is_ok_and(|path| !workspace.root().join(path.as_str()).exists())
    };
    named.filter(is_new).map(str::to_owned).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::workspace::Options;

    #[test]
    fn what_is_to_be_written_is_what_the_request_names_and_is_not_there() {
        let (folder, state) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        std::fs::write(folder.path().join("names.txt"), "").unwrap();
        let options = Options { state: state.path().to_owned(), dry_run: false };
        let workspace = Workspace::open(folder.path(), options).unwrap();
        let check = |request, expected: &[&str]| assert_eq!(new_files(&workspace, request), expected, "{request}");
        check("Run `wc -l names.txt` and write its output to count.txt", &["count.txt"]);
        check("Run `sort names.txt`, then write it to the file `out/sorted.txt`.", &["out/sorted.txt"]);
        check("Run `sort names.txt` and save it as ../sorted.txt", &[]);
        check("Run `sort names.txt` and write it to names.txt", &[]);
        check("Run `ls` and write the names into \".gitignore\".", &[".gitignore"]);
        check("Run `sort -o sorted.txt names.txt`", &[]);
        check("Run the tests and mend what fails, as said in 1.2", &[]);
    }

    #[test]
    fn a_command_is_what_is_quoted_behind_run() {
        assert_eq!(quoted("Run `ls -l src`, then write it to `files.txt`."), Some("ls -l src"));
        assert_eq!(quoted("Run the tests of `ls -l`"), None);
        assert_eq!(quoted("Run `ls` on src"), None);
        assert_eq!(quoted("Run `no-such-program-here x`"), None);
        assert_eq!(quoted("Run the tests"), None);
    }
}
