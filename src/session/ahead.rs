//! Reads what the next request will begin with while the user still writes it, so that the answer to it begins sooner.

use futures_util::StreamExt;
use tokio_util::sync::{CancellationToken, DropGuard};

use super::{Session, prompt};
use crate::dialect::{Message, Role};
use crate::engine::Request;

/// What is read ahead of a request. Dropping it ends the reading; what was read by then stays read.
#[derive(Debug, Default)]
pub(super) struct Ahead {
    /// What the request begins with, as far as it is known.
    text: Option<String>,
    reading: Option<DropGuard>,
}

impl Ahead {
    /// Reads what a request that is written as far as `draft` will begin with: the conversation so far, and the files that it
    /// names.
    pub fn read(&mut self, session: &Session, draft: &str) {
        if !session.engine.reads_ahead() {
            return;
        }
        // A file that cannot be read is told of when it is asked for.
        let Ok(beginning) = prompt::beginning(&session.workspace, &*session.engine, draft) else { return };
        let text = session.with_news(&beginning.text);
        if self.text.as_ref() == Some(&text) {
            return;
        }
        let mut messages = session.transcript.clone();
        messages.push(Message::new(Role::User, text.as_str()));
        let request = Request { messages, tools: session.specs(), max_tokens: Some(0), ..Request::default() };
        // First what is under way ends: both read into the same place.
        self.reading = None;
        let cancel = CancellationToken::new();
        let mut deltas = session.engine.generate(request, cancel.clone());
        tokio::spawn(async move { while deltas.next().await.is_some() {} });
        (self.text, self.reading) = (Some(text), Some(cancel.drop_guard()));
    }

    /// Gives way to a request.
    pub fn stop(&mut self) {
        *self = Self::default();
    }
}
