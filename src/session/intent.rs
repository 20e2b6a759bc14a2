//! What a request asks for, as far as the guided workflow tells it apart.

use std::path::Path;

use super::turn::{Turn, TurnError};
use super::{command, follow, prompt, step, wording};
use crate::code::Language;
use crate::workspace::RelPath;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Intent {
    Change,
    Command,
    Answer,
}

impl Turn<'_> {
    /// What the request asks for; the model is asked where it is not plain.
    pub(super) async fn intent(&mut self) -> Result<Intent, TurnError> {
        if let Some(plain) = wording::plain(&self.asked) {
            return Ok(plain);
        }
        self.pick_intent("intent").await
    }

    /// The files that the request wants written.
    pub(super) fn written_files(&self) -> Vec<RelPath> {
        wording::written_files(&self.session.workspace, &self.asked, command::quoted(&self.asked))
    }

    /// Those of them that are not there yet.
    pub(super) fn new_files(&self) -> Vec<RelPath> {
        let workspace = &self.session.workspace;
        let is_there = |path: &RelPath| workspace.is_file(path) || workspace.root().join(path.as_str()).exists();
        self.written_files().into_iter().filter(|path| !is_there(path)).collect()
    }

    /// The files that must change with those that are written.
    pub(super) fn followers(&self) -> Vec<RelPath> {
        let workspace = &self.session.workspace;
        let named = follow::followers(&self.asked).into_iter().filter_map(|name| workspace.resolve(name).ok());
        // What is no program can hardly be rewritten word by word.
        named.filter(|path| workspace.is_file(path) && Language::of(Path::new(path.as_str())).is_some()).collect()
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
