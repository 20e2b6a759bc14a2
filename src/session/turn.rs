//! One request to its end: ask the model, do what it calls, tell it what came of it, until it is done, a limit is reached or
//! the user interrupts.

use std::time::{Duration, Instant};

use tokio_util::sync::CancellationToken;

use super::check::Check;
use super::context::Compacted;
use super::driver::Door;
use super::preparation::Prepared;
use super::profile::Workflow;
use super::record::{Record, Repeat};
use super::spectrum::Spectrum;
use super::step::{self, Limits, Step};
use super::{Event, Outcome, Session, call, check, context, event, narrow, prompt};
use crate::dialect::{Call, Message, Role, ToolSpec};
use crate::engine::{Constraint, EngineError, Stop};
use crate::tool::Detail;
use crate::workspace::{RelPath, WorkspaceError};

/// How often in a row the model may write something that is neither an answer nor a call.
const MALFORMED_LIMIT: usize = 3;
/// Tries at a change that are taken back where it uses what nothing defines, or loses what was defined: the request may want it so.
pub(super) const DOUBTS: u32 = 2;

/// Why a turn could not go on. What it had done stays done.
#[derive(Debug, thiserror::Error)]
pub(super) enum TurnError {
    #[error(transparent)]
    Engine(#[from] EngineError),
    #[error(transparent)]
    Workspace(#[from] WorkspaceError),
    #[error("the folder {0} is gone; go to one that exists and start again")]
    FolderGone(String),
}

/// Runs a request to its end. The last event is [`Event::TurnEnded`], after [`Event::Failed`] where it could not go on.
pub(super) async fn run(session: &mut Session, door: &Door, prompt: String, cancel: CancellationToken) {
    let start = Instant::now();
    let mut turn = Turn {
        session,
        door,
        cancel,
        start,
        record: Record::default(),
        answer: String::new(),
        calls: 0,
        retries: 0,
        asked: prompt.clone(),
        request: 0,
        drained: 0,
        check: None,
        checked_before: None,
        failed_before: false,
        passed_before: 0,
        failure: String::new(),
        flawed: false,
        left_out: Vec::new(),
        prepared: None,
        spectrum: None,
    };
    let outcome = match turn.body(&prompt).await {
        Ok(outcome) => outcome,
        Err(error) => {
            turn.publish(Event::Failed { message: error.to_string() });
            Outcome::NotDone
        }
    };
    let files = turn.record.files().iter().map(ToString::to_string).collect();
    let (report, answer) = (turn.record.report(), std::mem::take(&mut turn.answer));
    turn.publish(Event::TurnEnded { outcome, report, answer, files, seconds: start.elapsed().as_secs_f64() });
    turn.session.turn += 1;
}

pub(super) struct Turn<'a> {
    pub(super) session: &'a mut Session,
    pub(super) door: &'a Door,
    pub(super) cancel: CancellationToken,
    start: Instant,
    pub(super) record: Record,
    /// The model's last words.
    pub(super) answer: String,
    /// Numbers the calls of this turn.
    pub(super) calls: usize,
    /// How often a change was tried and taken back; each further try is drawn anew.
    pub(super) retries: u32,
    /// What the user wrote.
    pub(super) asked: String,
    /// The request's index in the transcript.
    pub(super) request: usize,
    /// Messages that compaction has taken from the front of the transcript.
    pub(super) drained: usize,
    /// The command that tells whether the work is right.
    pub(super) check: Option<Check>,
    /// How long it took before any change; zero where it did not end.
    pub(super) checked_before: Option<Duration>,
    /// Whether it failed then.
    pub(super) failed_before: bool,
    /// How many of its tests passed then.
    pub(super) passed_before: usize,
    /// What the check said before any change; where it was not asked then, after the first.
    pub(super) failure: String,
    /// The last edit brought in an error, and is better drawn anew.
    pub(super) flawed: bool,
    /// Files that the request names and that are too long to be shown with it.
    pub(super) left_out: Vec<RelPath>,
    /// What the guided workflow settled before its first try at a change.
    pub(super) prepared: Option<Prepared>,
    /// Which lines the failing tests run, where that was asked.
    pub(super) spectrum: Option<Spectrum>,
}

impl Turn<'_> {
    pub(super) fn publish(&mut self, event: Event) {
        self.session.publish(self.door, event);
    }

    /// Adds a message to the transcript, where the model sees it, and to the log.
    pub(super) fn say(&mut self, message: Message) {
        self.session.transcript.push(message.clone());
        self.publish(Event::Message { message });
    }

    async fn body(&mut self, request: &str) -> Result<Outcome, TurnError> {
        self.begin(request)?;
        self.check = self.session.settings.check.clone().or_else(|| check::named_in(request)).map(Check::from);
        let suits = |path: &RelPath, tokens: usize| self.is_worth_reading(path, tokens);
        let asked = prompt::request(&self.session.workspace, &*self.session.engine, request, suits)?;
        asked.files.into_iter().for_each(|file| self.record.saw(file));
        self.left_out = asked.left_out;
        let text = self.session.with_news(&asked.text);
        self.session.news.clear();
        self.session.requests.push(text.clone());
        self.request = self.session.transcript.len();
        self.say(Message::new(Role::User, text));
        let mut attempt = 0;
        loop {
            let before = self.mark();
            let outcome = match self.session.profile.workflow {
                Workflow::Free => self.free_after_check().await?,
                Workflow::Guided => self.guided().await?,
            };
            let unchanged = self.record.changes() == before.changes;
            if outcome == Outcome::Interrupted || unchanged || !self.may_check() {
                if outcome == Outcome::NotDone {
                    self.give_up().await?;
                }
                // Without a new change the check would say what it said before.
                let still_fails = attempt > 0 && outcome == Outcome::Done;
                return Ok(if still_fails { Outcome::NotDone } else { outcome });
            }
            attempt += 1;
            if let Some(outcome) = self.judge(attempt, before).await? {
                return Ok(outcome);
            }
        }
    }

    /// What is left of the budget.
    pub(super) fn time_left(&self) -> Duration {
        self.session.settings.budget.saturating_sub(self.start.elapsed())
    }

    /// Whether no further try may begin.
    pub(super) fn is_over_budget(&self) -> bool {
        self.time_left().is_zero()
    }

    /// The model decides, after the check that the request itself names has shown what is wrong.
    async fn free_after_check(&mut self) -> Result<Outcome, TurnError> {
        let named = self.session.settings.check.is_none() && self.check.is_some();
        if named && !self.check_before().await? {
            return Ok(Outcome::Interrupted);
        }
        self.show_servers();
        self.free().await
    }

    /// Announces the turn.
    fn begin(&mut self, request: &str) -> Result<(), TurnError> {
        let session = &mut *self.session;
        let opening = Message::opening(&session.transcript);
        let info = session.engine.info();
        let started = Event::TurnStarted {
            version: event::VERSION,
            session: session.log.id().to_owned(),
            turn: session.turn,
            prompt: request.to_owned(),
            model: info.name.clone(),
            context: info.context,
            system_prompt_tokens: session.engine.count_prompt(&opening, &session.specs()).unwrap_or_default(),
            time: jiff::Timestamp::now().as_second(),
        };
        self.publish(started);
        self.folder_exists()
    }

    pub(super) fn folder_exists(&self) -> Result<(), TurnError> {
        let root = self.session.workspace.root();
        if root.is_dir() { Ok(()) } else { Err(TurnError::FolderGone(root.display().to_string())) }
    }

    /// The model decides what comes next.
    pub(super) async fn free(&mut self) -> Result<Outcome, TurnError> {
        let mut malformed = 0;
        for _ in 0..self.session.settings.max_steps {
            let constraint = Constraint::Call(self.all_tools());
            let step = self.step(constraint, Limits::default()).await?;
            match self.act(step).await? {
                // A free model hears why and may find another way.
                Act::Called | Act::Refused => malformed = 0,
                Act::Malformed => {
                    malformed += 1;
                    if malformed >= MALFORMED_LIMIT {
                        return Ok(Outcome::NotDone);
                    }
                }
                Act::Answered => return Ok(Outcome::Done),
                Act::Stuck => return Ok(Outcome::NotDone),
                Act::Interrupted => return Ok(Outcome::Interrupted),
            }
        }
        self.out_of_steps();
        Ok(Outcome::NotDone)
    }

    /// The tools of the profile, as they can be called at this moment.
    pub(super) fn all_tools(&self) -> Vec<ToolSpec> {
        let names: Vec<&str> = self.session.profile.tools.iter().map(String::as_str).collect();
        narrow::narrow(self.session, &self.record, &names)
    }

    pub(super) fn out_of_steps(&mut self) {
        let text = "the limit of steps is reached; ask to go on, or raise --max-steps".into();
        self.publish(Event::Notice { text });
    }

    /// One generation, after making room for it.
    pub(super) async fn step(&mut self, constraint: Constraint, limits: Limits) -> Result<Step, TurnError> {
        self.make_room()?;
        let sampling = self.sampling();
        Ok(step::generate(self.session, self.door, constraint, sampling, limits, &self.cancel).await?)
    }

    /// Leaves out what is oldest where the conversation fills the context.
    pub(super) fn make_room(&mut self) -> Result<(), TurnError> {
        self.folder_exists()?;
        let stub = prompt::text(&self.session.workspace, "compacted", &[]);
        let (specs, engine) = (self.session.specs(), self.session.engine.clone());
        let request = self.request - self.drained;
        let done = context::compact(&mut self.session.transcript, request, &specs, &*engine, &stub)?;
        if let Some(Compacted { drained, before, after }) = done {
            self.drained += drained;
            self.publish(Event::Compacted { before, after });
        }
        Ok(())
    }

    /// Does what a step asks for and adds both to the transcript.
    pub(super) async fn act(&mut self, mut step: Step) -> Result<Act, TurnError> {
        for call in &mut step.calls {
            self.calls += 1;
            call.id = format!("call_{}_{}", self.session.turn, self.calls);
        }
        let message = step.message();
        if !message.content.is_empty() || !message.calls.is_empty() {
            self.say(message);
        }
        if step.usage.stop == Stop::Cancelled {
            return Ok(Act::Interrupted);
        }
        if !step.calls.is_empty() {
            let mut act = Act::Called;
            for call in &step.calls {
                // Each call of the message needs an answer, also where the turn ends with an earlier one.
                act = if act == Act::Called { self.called(call).await } else { self.not_called(call, act) };
            }
            return Ok(act);
        }
        if let Some((_, error)) = step.malformed.take() {
            self.say(Message::new(Role::User, format!("That was no valid tool call: {error}")));
            return Ok(Act::Malformed);
        }
        self.answer = step.text.trim().to_owned();
        let cut = match step.usage.stop {
            Stop::Loop => "the model repeated itself and was stopped",
            Stop::Length => "the answer grew too long and was cut",
            Stop::End | Stop::Call | Stop::Cancelled => return Ok(Act::Answered),
        };
        self.publish(Event::Notice { text: cut.into() });
        Ok(Act::Stuck)
    }

    /// Whether what a `write` wants is in the file.
    fn stands(&self, call: &Call) -> bool {
        let argument = |name: &str| call.arguments.get(name).and_then(|value| value.as_str());
        let (Some(path), Some(content), "write") = (argument("path"), argument("content"), call.name.as_str()) else {
            return false;
        };
        self.session.workspace.resolve(path).is_ok_and(|path| self.holds(&path, content))
    }

    /// Has the language servers of the files before the model look at them, so that they know what was wrong before a change.
    pub(super) fn show_servers(&self) {
        let servers = &self.session.settings.servers;
        for path in self.record.seen().iter().filter(|_| !servers.is_empty()) {
            if let Ok(file) = self.session.workspace.read(path) {
                servers.open(path.as_str(), &file.text);
            }
        }
    }

    fn not_called(&mut self, call: &Call, act: Act) -> Act {
        self.say(Message::tool(call, "not done: the call before it was not"));
        act
    }

    async fn called(&mut self, call: &Call) -> Act {
        let ended = call::run(self.session, self.door, call, &self.cancel).await;
        self.flawed = matches!(ended.detail, Detail::Change { errors, undefined, .. }
            if errors > 0 || (undefined > 0 && self.retries < DOUBTS));
        match (&ended.applied, call.name.as_str()) {
            (Some(applied), "run") => self.record.changed(&applied.files),
            (Some(applied), _) => self.record.edited(&applied.files),
            (None, _) => self.record.changed_nothing(),
        }
        if ended.ok
            && let Some(path) = call.arguments.get("path").and_then(|p| p.as_str())
            && matches!(call.name.as_str(), "read" | "edit" | "write")
            && let Ok(path) = self.session.workspace.resolve(path)
        {
            self.record.saw(path);
            self.show_servers();
        }
        let repeat = self.record.call(call, &ended.output);
        let mut output = ended.output;
        if repeat == Repeat::Second {
            output.push_str("\n(You made this very call before, with this very result. Do something else.)");
        }
        self.say(Message::tool(call, output));
        if self.cancel.is_cancelled() {
            return Act::Interrupted;
        }
        if matches!(repeat, Repeat::Second | Repeat::Third) && self.record.changes() > 0 && self.stands(call) {
            // It has nothing more to do.
            return Act::Answered;
        }
        if repeat == Repeat::Third {
            let text = "the model made the same call with the same result three times and was stopped";
            self.publish(Event::Notice { text: text.into() });
            return Act::Stuck;
        }
        if ended.refused { Act::Refused } else { Act::Called }
    }
}

/// What came of a step.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Act {
    Called,
    Malformed,
    Answered,
    /// The user did not allow it.
    Refused,
    /// Going on makes no sense.
    Stuck,
    Interrupted,
}

impl Act {
    pub(super) fn outcome(self) -> Outcome {
        match self {
            Act::Answered => Outcome::Done,
            Act::Interrupted => Outcome::Interrupted,
            Act::Called | Act::Malformed | Act::Refused | Act::Stuck => Outcome::NotDone,
        }
    }
}
