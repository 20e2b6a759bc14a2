//! The check as the judge of a turn: what it says before a change and of each try at one, and what follows from that.

use std::time::Duration;

use super::candidates::Search;
use super::check::{self, Checked};
use super::guided::Mark;
use super::mend::Count;
use super::profile::Workflow;
use super::turn::{Turn, TurnError};
use super::{Outcome, failure, new_tests, prompt};
use crate::dialect::{Message, Role};
use crate::permission::Mode;

/// How many bytes of a failed check a guided model is shown, as a share of the tokens of its context, in per cent.
const FAILURE_SHARE: usize = 6;

impl Turn<'_> {
    /// Has the check judge try number `attempt`, which began at `before`. `None`: another one is to follow.
    pub(super) async fn judge(&mut self, attempt: u32, before: Mark) -> Result<Option<Outcome>, TurnError> {
        let Some(checked) = self.run_check(attempt).await? else { return Ok(Some(Outcome::Interrupted)) };
        if self.are_new_tests() && !new_tests::ran(&checked) {
            return Ok(Some(Outcome::Done));
        }
        self.record.checked = Some(checked.passed);
        if checked.passed {
            self.tell_of_new_tests(attempt);
            return Ok(Some(Outcome::Done));
        }
        self.note_failed(&checked.output);
        if attempt > self.most_tries() || self.is_over_budget() {
            self.give_up().await?;
            return Ok(Some(Outcome::NotDone));
        }
        match self.search(attempt).await? {
            Some(Search::Found) => {
                let Some(checked) = self.run_check(attempt + 1).await? else { return Ok(Some(Outcome::Interrupted)) };
                self.record.checked = Some(checked.passed);
                return Ok(Some(if checked.passed { Outcome::Done } else { Outcome::NotDone }));
            }
            Some(Search::Nothing) => return Ok(None),
            Some(Search::Over) => {
                self.give_up().await?;
                return Ok(Some(Outcome::NotDone));
            }
            Some(Search::Interrupted) => return Ok(Some(Outcome::Interrupted)),
            None => {}
        }
        if self.session.profile.workflow != Workflow::Guided || !self.take_back(self.first_try(before)) {
            self.say_check("check-failed", &checked.output);
        }
        Ok(None)
    }

    /// Tries many changes at once behind failed try number `attempt`, where it is time for that.
    async fn search(&mut self, attempt: u32) -> Result<Option<Search>, TurnError> {
        Ok(if self.are_new_tests() {
            None
        } else if self.is_time_for_lines(attempt) {
            Some(self.search_lines().await?)
        } else if self.is_time_for_candidates() {
            Some(self.search_candidates().await?)
        } else {
            None
        })
    }

    /// Runs the check. `None`: interrupted.
    pub(super) async fn run_check(&mut self, attempt: u32) -> Result<Option<Checked>, TurnError> {
        let are_new_tests = self.are_new_tests();
        self.run_check_where(attempt, |checked| !are_new_tests || new_tests::ran(checked)).await
    }

    /// The same for what may turn out to be no check: nobody is told of it unless it `counts`.
    pub(super) async fn run_check_where(
        &mut self,
        attempt: u32,
        counts: impl Fn(&Checked) -> bool,
    ) -> Result<Option<Checked>, TurnError> {
        self.folder_exists()?;
        let Some(check) = self.check.clone() else { return Ok(None) };
        let limit = self.check_limit();
        let checked = check::run(self.session, self.door, (&check, attempt), limit, &self.cancel, &counts).await;
        if let Some(applied) = checked.as_ref().and_then(|checked| checked.applied.as_ref()) {
            self.record.changed(&applied.files);
        }
        // What it says of the files as they stood; of a try, the try's record has it.
        if let Some(checked) = checked.as_ref().filter(|checked| counts(checked))
            && (self.failure.is_empty() || self.record.changes() == 0)
        {
            self.failure.clone_from(&checked.output);
        }
        Ok(checked)
    }

    /// How long the check may take now.
    pub(super) fn check_limit(&self) -> Duration {
        check::limit(self.session.settings.command_timeout, self.time_left(), self.checked_before)
    }

    /// Tells the model what the check gave.
    pub(super) fn say_check(&mut self, name: &str, output: &str) {
        let check = self.check.as_ref().map(|check| check.name.clone()).unwrap_or_default();
        let essence = match self.session.profile.workflow {
            Workflow::Free => output.to_owned(),
            Workflow::Guided => failure::essence(output, self.session.engine.info().context * FAILURE_SHARE / 100),
        };
        let output = essence.as_str();
        let text = prompt::text(&self.session.workspace, name, &[("command", &check), ("output", output)]);
        self.say(Message::new(Role::User, text));
    }

    /// What the check gives before anything is changed, for the model to start from. Returns whether to go on.
    pub(super) async fn check_before(&mut self) -> Result<bool, TurnError> {
        if self.checked_before.is_some() || !self.may_check() {
            return Ok(true);
        }
        let Some(before) = self.run_check(0).await? else { return Ok(false) };
        self.checked_before = Some(before.took.unwrap_or_default());
        self.failed_before = !before.passed;
        self.passed_before = Count::of(&before.output).passed;
        if !before.passed {
            self.say_check("check-before", &before.output);
            self.show_failing_tests(&before.output);
        }
        Ok(true)
    }

    /// Whether there is a check and it may run without asking.
    pub(super) fn may_check(&mut self) -> bool {
        self.check.is_some() && self.allows_checks()
    }

    /// Whether checks may run without asking: where commands are allowed, or where they are the user's own.
    pub(super) fn allows_checks(&mut self) -> bool {
        self.session.take_mode(self.door);
        let allowed = self.session.settings.trust_check || self.session.policy.mode == Mode::Yes;
        allowed && !self.session.workspace.is_dry_run()
    }
}
