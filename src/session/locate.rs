//! Shows a guided model the files that a request is most likely about, where it names none: picked from the index at once, what
//! a small model finds by browsing in many steps, or not at all.

use super::turn::{Turn, TurnError};
use super::{prompt, wording};
use crate::code::{Request, Slice, definitions, is_test, runs};
use crate::dialect::{Call, Message, Role};
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
        self.trace().await;
        if self.show_suspicious_parts() {
            return Ok(());
        }
        let before = self.written_before();
        let slices = self.slices(&before).await;
        if self.gone_on_with(&before).is_some_and(|path| self.show_found(&[path], &slices)) {
            return Ok(());
        }
        let mut found = self.files_of(&slices);
        found.truncate(FILES);
        // Who goes on without naming a file often means the last one.
        if let Some(last) = before.first().filter(|last| !found.contains(last)) {
            found.push(last.clone());
        }
        self.show_found(&found, &slices);
        Ok(())
    }

    /// Shows the code that is to be tested where the request does not name its file. Returns whether there is any.
    pub(super) async fn locate_tested(&mut self, tests: &RelPath) -> bool {
        let before = self.written_before();
        let is_alike = |path: &RelPath| prompt::language(path.as_str()) == prompt::language(tests.as_str());
        let slices = self.slices(&before).await;
        if self.gone_on_with(&before).filter(is_alike).is_some_and(|path| self.show_found(&[path], &slices)) {
            return true;
        }
        let mut found = self.files_of(&slices);
        found.retain(|path| is_alike(path) && self.is_tested(path, tests));
        found.truncate(FILES);
        self.show_found(&found, &slices)
    }

    /// The last of the files that were written `before`, where the request goes on with it.
    fn gone_on_with(&self, before: &[RelPath]) -> Option<RelPath> {
        before.first().filter(|_| wording::goes_on(&self.asked)).cloned()
    }

    /// Whether the request names something that a file defines, or tests with this name are the file's.
    fn is_tested(&self, path: &RelPath, tests: &RelPath) -> bool {
        let stem = |path: &RelPath| path.file_name().split('.').next().unwrap_or_default().to_owned();
        let tests = stem(tests);
        let ends = || tests.strip_suffix("_test").or_else(|| tests.strip_suffix("_tests"));
        let tested = tests.strip_prefix("test_").or_else(ends);
        let words: Vec<&str> = runs(&self.asked).filter(|word| !wording::is_order(word)).collect();
        let text = self.session.workspace.read(path).map(|file| file.text).unwrap_or_default();
        tested == Some(&stem(path))
            || definitions(path.as_str(), &text).iter().any(|definition| words.contains(&definition.name.as_str()))
    }

    /// The files of slices, but for tests, the likeliest first.
    fn files_of(&self, slices: &[Slice]) -> Vec<RelPath> {
        let mut found: Vec<RelPath> = Vec::new();
        for path in slices.iter().filter_map(|slice| self.session.workspace.resolve(&slice.file).ok()) {
            if !is_test(path.as_str()) && !found.contains(&path) {
                found.push(path);
            }
        }
        found
    }

    /// Shows files, whole where they fit, else by what the index has picked of them. What the model has written is before it already.
    /// Returns whether one of them is.
    fn show_found(&mut self, found: &[RelPath], slices: &[Slice]) -> bool {
        let (mut left, mut files, mut is_any) = (self.share(), String::new(), false);
        for path in found {
            let Ok(file) = self.session.workspace.read(path) else { continue };
            if !self.stands_as_written(path) {
                let whole = prompt::fenced(path.as_str(), path.as_str(), &file.text);
                let parts =
                    || slices.iter().filter(|slice| slice.file == path.as_str()).map(|slice| slice.render()).collect();
                let text: String = if self.session.engine.count(&whole) <= left { whole } else { parts() };
                if text.is_empty() {
                    continue;
                }
                left = left.saturating_sub(self.session.engine.count(&text));
                files.push_str(&text);
            }
            self.record.saw(path.clone());
            is_any = true;
        }
        if !files.is_empty() {
            let text = prompt::text(&self.session.workspace, "located", &[("files", &files)]);
            self.say(Message::new(Role::User, text));
        }
        is_any
    }

    /// How many tokens may be shown.
    fn share(&self) -> usize {
        self.session.engine.info().context * SHARE / 100
    }

    /// What the index finds for the request, the likeliest first.
    async fn slices(&self, before: &[RelPath]) -> Vec<Slice> {
        let budget = self.share();
        // Written as a stack trace would, which the index reads.
        let text = [self.asked.clone()].into_iter().chain(self.suspicious_places()).collect::<Vec<_>>().join("\n");
        let request = Request { text, edited: before.iter().map(ToString::to_string).collect() };
        let (index, workspace) = (self.session.settings.index.clone(), self.session.workspace.clone());
        let engine = self.session.engine.clone();
        let ask = move || index.ask(&workspace, |index| index.context(&request, budget, &|text| engine.count(text)));
        // A failure of the index is no reason to do nothing: the model can still look for itself.
        let mut slices = tokio::task::spawn_blocking(ask).await.unwrap_or_default();
        // What is there without a reason is only what the folder is made of.
        slices.retain(|slice| !slice.why.is_empty());
        slices
    }

    /// The files that the turns before this one wrote, but for tests, the last ones first.
    fn written_before(&self) -> Vec<RelPath> {
        let workspace = &self.session.workspace;
        let mut found: Vec<RelPath> = Vec::new();
        let calls = self.before().iter().rev().flat_map(|message| message.calls.iter().rev());
        for path in calls.filter_map(written_by).filter_map(|path| workspace.resolve(path).ok()) {
            if !is_test(path.as_str()) && !found.contains(&path) && workspace.is_file(&path) {
                found.push(path);
            }
        }
        found
    }

    /// Whether the model has a file before it as it is, since it was the last to write it, and will have while this is done.
    fn stands_as_written(&self, path: &RelPath) -> bool {
        let Ok(file) = self.session.workspace.read(path) else { return false };
        let is_of = |call: &&Call| {
            let written = written_by(call).and_then(|path| self.session.workspace.resolve(path).ok());
            written.is_some_and(|written| written == *path)
        };
        let last = self.before().iter().rev().find(|message| message.calls.iter().any(|call| is_of(&call)));
        // A function or an import may have been put into it that the model has not written.
        let is_all = |message: &Message| {
            let calls: Vec<&Call> = message.calls.iter().filter(is_of).collect();
            let is_whole =
                calls.iter().all(|call| call.arguments.get("content").and_then(|c| c.as_str()) == Some(&file.text));
            is_whole && message.written.as_ref().is_none_or(|written| written.contains(file.text.trim_end()))
        };
        last.is_some_and(is_all) && self.has_room()
    }

    /// Whether what the conversation began with will not have to make room.
    fn has_room(&self) -> bool {
        let engine = &self.session.engine;
        let taken = engine.count_prompt(&self.session.transcript, &self.session.specs());
        taken.is_ok_and(|taken| taken < engine.info().context / 2)
    }

    /// What is still in the context of the turns before this one.
    fn before(&self) -> &[Message] {
        &self.session.transcript[..self.request - self.drained]
    }
}

/// The file that a call writes.
fn written_by(call: &Call) -> Option<&str> {
    let path = || call.arguments.get("path").and_then(|path| path.as_str());
    ["edit", "write"].contains(&call.name.as_str()).then(path).flatten()
}
