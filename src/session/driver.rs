//! Takes up inputs one after the other, while answers, interruptions and a change of mode reach a running turn at once.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::{mpsc, oneshot};
use tokio_util::sync::CancellationToken;

use super::ahead::Ahead;
use super::{Change, Event, Input, Session, turn};
use crate::permission::{Decision, Mode};
use crate::workspace::{Applied, RelPath, WorkspaceError};

/// What a running turn shares with the inputs that reach it.
#[derive(Clone)]
pub(super) struct Door {
    events: mpsc::UnboundedSender<Event>,
    shared: Arc<Mutex<Shared>>,
}

struct Shared {
    /// Ends with the client.
    closed: CancellationToken,
    /// The running turn's, where one runs.
    cancel: Option<CancellationToken>,
    /// Requests that wait for their turn.
    queued: usize,
    /// The next of them was interrupted before it began.
    skip: bool,
    mode: Option<Mode>,
    asked: HashMap<String, oneshot::Sender<Decision>>,
}

impl Door {
    fn new(events: mpsc::UnboundedSender<Event>) -> Self {
        let closed = CancellationToken::new();
        let shared = Shared { closed, cancel: None, queued: 0, skip: false, mode: None, asked: HashMap::new() };
        Self { events, shared: Arc::new(Mutex::new(shared)) }
    }

    fn lock(&self) -> MutexGuard<'_, Shared> {
        // The state is plain values, whole whatever panicked elsewhere.
        self.shared.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Publishes an event to the client. A client that is gone has no use for it.
    pub fn publish(&self, event: Event) {
        let _ = self.events.send(event);
    }

    /// A new turn's cancellation.
    fn begin(&self) -> CancellationToken {
        let mut shared = self.lock();
        let cancel = shared.closed.child_token();
        shared.queued = shared.queued.saturating_sub(1);
        if std::mem::take(&mut shared.skip) {
            cancel.cancel();
        }
        shared.cancel = Some(cancel.clone());
        cancel
    }

    fn end(&self) {
        self.lock().cancel = None;
    }

    fn is_closed(&self) -> bool {
        self.lock().closed.is_cancelled()
    }

    /// The mode that was set since the last call.
    pub fn new_mode(&self) -> Option<Mode> {
        self.lock().mode.take()
    }

    /// Waits for the answer to a question. `None` if the turn is interrupted or the client gone.
    pub async fn answer(&self, id: &str, ask: Event, cancel: &CancellationToken) -> Option<Decision> {
        let (sender, receiver) = oneshot::channel();
        self.lock().asked.insert(id.to_owned(), sender);
        self.publish(ask);
        let decision = tokio::select! {
            decision = receiver => decision.ok(),
            () = cancel.cancelled() => None,
        };
        self.lock().asked.remove(id);
        decision
    }

    /// Hands on what concerns a running turn; returns the rest.
    fn route(&self, input: Input) -> Option<Input> {
        let mut shared = self.lock();
        match input {
            Input::Interrupt => match &shared.cancel {
                Some(cancel) => cancel.cancel(),
                None => shared.skip = shared.queued > 0,
            },
            Input::Mode(mode) => shared.mode = Some(mode),
            Input::Answer { id, decision } => {
                if let Some(asked) = shared.asked.remove(&id) {
                    let _ = asked.send(decision);
                }
            }
            prompt @ Input::Prompt(_) => {
                shared.queued += 1;
                return Some(prompt);
            }
            Input::Draft(_) if shared.cancel.is_some() || shared.queued > 0 => {}
            rest @ (Input::Draft(_)
            | Input::Undo(_)
            | Input::Redo(_)
            | Input::Context
            | Input::LeaveOut(_)
            | Input::Note(_)) => return Some(rest),
        }
        None
    }
}

/// Runs the session until the client drops its inputs.
pub(super) async fn drive(
    mut session: Session,
    mut inputs: mpsc::UnboundedReceiver<Input>,
    events: mpsc::UnboundedSender<Event>,
) {
    let door = Door::new(events);
    let (queue, mut queued) = mpsc::unbounded_channel();
    let router = door.clone();
    tokio::spawn(async move {
        while let Some(input) = inputs.recv().await {
            if let Some(rest) = router.route(input)
                && queue.send(rest).is_err()
            {
                return;
            }
        }
        router.lock().closed.cancel();
    });
    let mut ahead = Ahead::default();
    while let Some(input) = queued.recv().await {
        if door.is_closed() {
            break;
        }
        match input {
            Input::Draft(text) => ahead.read(&session, &text),
            Input::Prompt(text) => {
                ahead.stop();
                turn::run(&mut session, &door, text, door.begin()).await;
                door.end();
            }
            Input::Undo(n) => report(&mut session, &door, Change::Undo, |s| s.workspace.undo(n)),
            Input::Redo(n) => report(&mut session, &door, Change::Redo, |s| s.workspace.redo(n)),
            Input::Context => door.publish(session.window()),
            Input::LeaveOut(number) => match session.leave_out(number) {
                Ok(event) => {
                    session.publish(&door, event);
                    door.publish(session.window());
                }
                Err(text) => door.publish(Event::Notice { text }),
            },
            Input::Note(text) => note(&mut session, &door, &text),
            Input::Answer { .. } | Input::Interrupt | Input::Mode(_) => {}
        }
    }
    tokio::join!(session.engine.close(), session.settings.servers.close());
}

fn note(session: &mut Session, door: &Door, text: &str) {
    match session.note(text) {
        Ok((applied, fits)) => {
            session.publish_change(door, Change::Note, applied);
            if !fits {
                let text = "AGENTS.md has grown longer than the part of the context that is kept for it: its end, with this \
                            note, is left out; shorten it";
                session.publish(door, Event::Notice { text: text.into() });
            }
        }
        Err(error) => session.publish(door, Event::Notice { text: error.to_string() }),
    }
}

fn report(
    session: &mut Session,
    door: &Door,
    change: Change,
    act: impl FnOnce(&Session) -> Result<Vec<Applied>, WorkspaceError>,
) {
    match act(session) {
        Ok(all) => {
            for applied in all {
                let files = applied.files.iter().map(RelPath::as_str).collect::<Vec<_>>().join(", ");
                let what = if change == Change::Undo { "took back the change of" } else { "made again the change of" };
                session.news.push(format!("(The user {what} {files}.)"));
                session.publish_change(door, change, applied);
            }
        }
        Err(error) => session.publish(door, Event::Notice { text: error.to_string() }),
    }
}

impl Session {
    /// Publishes a change, and what of it cannot be undone.
    pub(super) fn publish_change(&mut self, door: &Door, change: Change, applied: Applied) {
        let event = Event::Edited {
            change,
            checkpoint: applied.checkpoint,
            files: applied.files.iter().map(ToString::to_string).collect(),
            diff: applied.diff,
            merged: applied.merged,
        };
        self.publish(door, event);
        if let Some(text) = applied.note {
            self.publish(door, Event::Notice { text });
        }
    }

    /// Takes up a change of mode.
    pub(super) fn take_mode(&mut self, door: &Door) {
        if let Some(mode) = door.new_mode() {
            self.policy.mode = mode;
        }
    }

    /// Logs an event and publishes it. What cannot be logged is said once and does not stop the work.
    pub(super) fn publish(&mut self, door: &Door, event: Event) {
        if let Err(error) = self.log.append(&event)
            && self.log.complain()
        {
            door.publish(Event::Notice { text: error.to_string() });
        }
        door.publish(event);
    }
}
