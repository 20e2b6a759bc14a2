//! The check command: whether the work is right is told by it, not by the model.

use std::time::{Duration, Instant};

use serde_json::Value;
use tokio_util::sync::CancellationToken;

use super::driver::Door;
use super::{Change, Event, Session, call};
use crate::tool::{Context, Detail};
use crate::workspace::Applied;

/// How the first words of a command look that tests or builds something.
const CHECKS: &[&str] = &[
    "pytest",
    "python -m pytest",
    "python3 -m pytest",
    "python -m unittest",
    "python3 -m unittest",
    "tox",
    "nox",
    "cargo test",
    "cargo nextest",
    "cargo check",
    "cargo build",
    "cargo clippy",
    "go test",
    "go build",
    "go vet",
    "npm test",
    "npm run test",
    "npx jest",
    "npx vitest",
    "yarn test",
    "pnpm test",
    "bun test",
    "deno test",
    "make test",
    "make check",
    "ctest",
    "mvn test",
    "gradle test",
    "./gradlew test",
    "mix test",
    "bundle exec rspec",
    "rspec",
    "phpunit",
    "dotnet test",
];

/// A check after a change may take this many times what it took before, and at least so long.
const FACTOR: u32 = 4;
const LEAST: Duration = Duration::from_secs(10);

/// A command that tells whether the work is right.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Check {
    pub command: String,
    /// What people and the model are told that it is.
    pub name: String,
}

impl From<String> for Check {
    fn from(command: String) -> Self {
        Self { name: command.clone(), command }
    }
}

/// How a check ended.
#[derive(Debug)]
pub(super) struct Checked {
    pub passed: bool,
    pub output: String,
    /// How long it took, where it was not ended at its limit.
    pub took: Option<Duration>,
    /// What the command changed.
    pub applied: Option<Applied>,
}

/// A check that the request itself names between backticks.
pub(super) fn named_in(prompt: &str) -> Option<String> {
    let quoted = prompt.split('`').skip(1).step_by(2).map(str::trim);
    let is_check = |text: &&str| {
        // One simple command: what else a line may do is not for a mention to start.
        !text.contains(['\n', ';', '&', '|', '>', '<', '$'])
            && CHECKS
                .iter()
                .any(|check| text.strip_prefix(check).is_some_and(|rest| rest.is_empty() || rest.starts_with(' ')))
    };
    quoted.into_iter().find(is_check).map(str::to_owned)
}

/// How long a check may take, of `most`. A wrong change often loops for ever, and each try at it would cost all of that: once
/// the check has shown what it takes (nothing, where it did not end), it gets a quarter of what is `left` of the turn's budget.
pub(super) fn limit(most: Duration, left: Duration, before: Option<Duration>) -> Duration {
    before.map_or(most, |before| (left / 4).max(before * FACTOR).max(LEAST).min(most))
}

/// Runs the check through the `run` tool, so with its sandbox and its trimming, and tells the client of it where it `counts`.
/// `None`: interrupted, or there is no such tool.
pub(super) async fn run(
    session: &mut Session,
    door: &Door,
    (check, attempt): (&Check, u32),
    limit: Duration,
    cancel: &CancellationToken,
    counts: impl FnOnce(&Checked) -> bool,
) -> Option<Checked> {
    let start = Instant::now();
    let checked = ask(session, check, limit, cancel).await?;
    if let Some(applied) = &checked.applied {
        session.publish_change(door, Change::Command, applied.clone());
    }
    if cancel.is_cancelled() {
        return None;
    }
    if counts(&checked) {
        let (passed, output) = (checked.passed, checked.output.clone());
        let seconds = start.elapsed().as_secs_f64();
        session.publish(door, Event::Checked { command: check.name.clone(), passed, output, seconds, attempt });
    }
    Some(checked)
}

/// The same without a word to the client. `None`: there is no such tool.
pub(super) async fn ask(
    session: &Session,
    check: &Check,
    limit: Duration,
    cancel: &CancellationToken,
) -> Option<Checked> {
    let tool = session.tools.get("run").ok()?.clone();
    let start = Instant::now();
    let args = [("command".to_owned(), Value::from(check.command.as_str()))].into_iter().collect();
    let cx = Context { command_timeout: limit, ..call::context(session, cancel) };
    let (detail, output, applied) = match tool.run(&args, None, &cx).await {
        Ok(seen) => (seen.detail, seen.text, seen.applied),
        Err(error) => (Detail::None, error.0, None),
    };
    let passed = matches!(detail, Detail::Exit { code: Some(0), .. });
    let took = (!matches!(detail, Detail::Exit { timed_out: true, .. })).then(|| start.elapsed());
    Some(Checked { passed, output, took, applied })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_check_that_is_known_gets_a_share_of_what_is_left() {
        let check = |left, before: Option<u64>, expected| {
            let seconds = Duration::from_secs;
            assert_eq!(limit(seconds(60), seconds(left), before.map(seconds)), seconds(expected), "{left} {before:?}");
        };
        check(200, None, 60);
        check(200, Some(1), 50);
        check(80, Some(1), 20);
        check(0, Some(1), 10);
        check(0, Some(12), 48);
        // It did not end.
        check(80, Some(0), 20);
    }

    #[test]
    fn a_check_is_a_command_between_backticks() {
        let check = |prompt, expected: Option<&str>| assert_eq!(named_in(prompt).as_deref(), expected, "{prompt}");
        check("`python3 -m pytest -q t.py` fails", Some("python3 -m pytest -q t.py"));
        check("fix `make_list` so that `make test` passes", Some("make test"));
        check("never run `make test && make deploy`", None);
        check("pytest fails", None);
        check("what does `foo()` do?", None);
        check("```\ncargo test\n```", Some("cargo test"));
        check("```\ncargo test\nrm -r target\n```", None);
    }
}
