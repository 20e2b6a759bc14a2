//! An engine that plays a script, for unit tests of the loop: what a real model would be sent is recorded, what it would answer
//! is given.

use std::collections::VecDeque;
use std::sync::{Mutex, PoisonError};

use futures_util::StreamExt;
use futures_util::stream::{self, BoxStream};
use tokio_util::sync::CancellationToken;

use super::{Delta, Engine, EngineError, ModelInfo, Request, Stop, Usage};
use crate::dialect::{Message, ToolSpec};

/// Plays one list of deltas a generation. A word counts as a token.
pub struct Scripted {
    info: ModelInfo,
    script: Mutex<VecDeque<Vec<Delta>>>,
    requests: Mutex<Vec<Request>>,
}

impl Scripted {
    /// An engine with `context` tokens that plays `script`; when it is used up, empty answers follow.
    pub fn new(context: usize, script: Vec<Vec<Delta>>) -> Self {
        let info = ModelInfo { name: "scripted".into(), context, infill: true, ..ModelInfo::default() };
        Self { info, script: Mutex::new(script.into()), requests: Mutex::new(Vec::new()) }
    }

    /// With a number of parameters, which decides the profile.
    pub fn with_parameters(mut self, parameters: u64) -> Self {
        self.info.parameters = parameters;
        self
    }

    /// What the model was sent so far.
    pub fn requests(&self) -> Vec<Request> {
        self.requests.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

impl Engine for Scripted {
    fn info(&self) -> &ModelInfo {
        &self.info
    }

    fn count(&self, text: &str) -> usize {
        text.split_whitespace().count()
    }

    fn count_prompt(&self, messages: &[Message], _tools: &[ToolSpec]) -> Result<usize, EngineError> {
        Ok(messages.iter().map(|m| self.count(&m.content)).sum())
    }

    fn reads_ahead(&self) -> bool {
        true
    }

    fn generate(&self, request: Request, cancel: CancellationToken) -> BoxStream<'static, Result<Delta, EngineError>> {
        self.requests.lock().unwrap_or_else(PoisonError::into_inner).push(request);
        let deltas = self.script.lock().unwrap_or_else(PoisonError::into_inner).pop_front().unwrap_or_default();
        // Whoever listens may have had enough by then.
        let end = async move {
            let stop = if cancel.is_cancelled() { Stop::Cancelled } else { Stop::End };
            Delta::Usage(Usage { stop, ..Usage::default() })
        };
        stream::iter(deltas).chain(stream::once(end)).map(Ok).boxed()
    }
}
