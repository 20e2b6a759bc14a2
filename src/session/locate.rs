//! Shows a guided model the files that a request is most likely about, where it names none: picked from the index at once, what
//! a small model finds by browsing in many steps, or not at all.

use super::prompt;
use super::turn::{Turn, TurnError};
use crate::code::{Request, is_test};
use crate::dialect::{Message, Role};
use crate::workspace::RelPath;

/// The share of the context that is shown, in per cent.
const SHARE: usize = 6;
/// Files that are shown; the third is hardly ever the one.
const FILES: usize = 2;

impl Turn<'_> {
    /// Shows the likeliest files, whole where they fit, else the parts that matter.
    pub(super) async fn locate(&mut self) -> Result<(), TurnError> {
        if self.record.seen().iter().any(|path| !is_test(path.as_str())) {
            return Ok(());
        }
        let budget = self.session.engine.info().context * SHARE / 100;
        self.trace().await;
        if self.show_suspicious_parts() {
            return Ok(());
        }
        // Written as a stack trace would, which the index reads.
        let text = [self.asked.clone()].into_iter().chain(self.suspicious_places()).collect::<Vec<_>>().join("\n");
        let request = Request { text, edited: Vec::new() };
        let (index, workspace) = (self.session.settings.index.clone(), self.session.workspace.clone());
        let engine = self.session.engine.clone();
        let ask = move || index.ask(&workspace, |index| index.context(&request, budget, &|text| engine.count(text)));
        // A failure of the index is no reason to do nothing: the model can still look for itself.
        let mut slices = tokio::task::spawn_blocking(ask).await.unwrap_or_default();
        // What is there without a reason is only what the folder is made of.
        slices.retain(|slice| !slice.why.is_empty());
        let mut found: Vec<RelPath> = Vec::new();
        for slice in &slices {
            if let Ok(path) = self.session.workspace.resolve(&slice.file)
                && !is_test(path.as_str())
                && !found.contains(&path)
                && found.len() < FILES
            {
                found.push(path);
            }
        }
        let (mut left, mut files) = (budget, String::new());
        for path in found {
            let Ok(file) = self.session.workspace.read(&path) else { continue };
            let whole = prompt::fenced(path.as_str(), path.as_str(), &file.text);
            let parts =
                || slices.iter().filter(|slice| slice.file == path.as_str()).map(|slice| slice.render()).collect();
            let text = if self.session.engine.count(&whole) <= left { whole } else { parts() };
            left = left.saturating_sub(self.session.engine.count(&text));
            files.push_str(&text);
            self.record.saw(path);
        }
        if !files.is_empty() {
            let text = prompt::text(&self.session.workspace, "located", &[("files", &files)]);
            self.say(Message::new(Role::User, text));
        }
        Ok(())
    }
}
