//! A request to run something, in the guided workflow: the command that it names, then what is to be done with what that gave,
//! one call at a time.

use serde_json::json;

use super::intent::Intent;
use super::step::Limits;
use super::turn::{Act, Turn, TurnError};
use super::{Outcome, narrow};
use crate::dialect::ToolSpec;
use crate::engine::Constraint;
use crate::workspace::RelPath;

/// How often a new file is drawn before it is given up.
const DRAWS: usize = 4;

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

    /// One change of a file: of one that the request wants written, while that is not there yet. Where it changes nothing, or the
    /// very file that was changed before with nothing in between, the model does not know that it is done: that step is taken
    /// back, and the model answers.
    async fn write_once(&mut self) -> Result<Act, TurnError> {
        let (mark, before) = (self.mark(), self.record.last_edit());
        let act = match self.new_files().first() {
            Some(new) => self.draw_new(new).await?,
            None => {
                let specs = narrow::narrow(self.session, &self.record, &["write", "edit"]);
                self.demand_of(narrow::to_paths(specs, &self.left_to_write()), None).await?
            }
        };
        let new = self.record.last_edit().is_some_and(|files| Some(&files) != before.as_ref());
        if act == Act::Called && before.is_some() && !new && self.take_back(mark) {
            return self.answer().await;
        }
        Ok(act)
    }

    /// The files that the request wants written and that have not changed yet, as far as the model knows what is in them.
    fn left_to_write(&self) -> Vec<RelPath> {
        let known = |path: &RelPath| {
            let is_empty = || self.session.workspace.read(path).is_ok_and(|file| file.text.is_empty());
            self.record.seen().contains(path) || is_empty()
        };
        let mut left = self.written_files();
        left.retain(|path| known(path) && !self.record.files().contains(&path));
        left
    }

    /// A new file; drawn anew where what is written has no end.
    async fn draw_new(&mut self, path: &RelPath) -> Result<Act, TurnError> {
        let mark = self.mark();
        for _ in 0..DRAWS {
            match self.write_new(path).await? {
                Act::Answered | Act::Malformed | Act::Stuck if self.take_back(mark) => {}
                act => return Ok(act),
            }
        }
        Ok(Act::Stuck)
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
pub(super) fn quoted(request: &str) -> Option<&str> {
    let (before, rest) = request.split_once('`')?;
    let command = rest.split('`').next()?.trim();
    let is_asked = ["run", "execute"].contains(&before.trim().to_lowercase().as_str());
    let mut words = command.split_whitespace();
    let installed = words.next().is_some_and(|program| which::which(program).is_ok());
    (is_asked && installed && words.next().is_some() && !command.contains('\n')).then_some(command)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_command_is_what_is_quoted_behind_run() {
        assert_eq!(quoted("Run `ls -l src`, then write it to `files.txt`."), Some("ls -l src"));
        assert_eq!(quoted("Run the tests of `ls -l`"), None);
        assert_eq!(quoted("Run `ls` on src"), None);
        assert_eq!(quoted("Run `no-such-program-here x`"), None);
        assert_eq!(quoted("Run the tests"), None);
    }
}
