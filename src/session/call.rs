//! One tool call: permission, the tool, events, and what the model is told.

use std::time::Instant;

use serde_json::Value;
use tokio_util::sync::CancellationToken;

use super::driver::Door;
use super::{Change, Event, Session};
use crate::dialect::{Call, ToolSpec};
use crate::permission::{Decision, Verdict};
use crate::tool::{Context, Detail, Observation, Plan, Tool, ToolError};
use crate::workspace::Applied;

/// The share of the context that one observation may fill, in per cent, and how many bytes stand for a token there.
const OUTPUT_SHARE: usize = 12;
const BYTES_PER_TOKEN: usize = 3;

/// How a call ended.
#[derive(Debug)]
pub(super) struct Ended {
    /// For the model.
    pub output: String,
    pub ok: bool,
    /// The user did not allow it.
    pub refused: bool,
    pub applied: Option<Applied>,
    pub detail: Detail,
}

/// What tools get to work with in this session.
pub(super) fn context(session: &Session, cancel: &CancellationToken) -> Context {
    Context {
        workspace: session.workspace.clone(),
        cancel: cancel.clone(),
        command_timeout: session.settings.command_timeout,
        sandbox: session.settings.sandbox.clone(),
        index: session.settings.index.clone(),
        servers: session.settings.servers.clone(),
        output_limit: session.engine.info().context * OUTPUT_SHARE / 100 * BYTES_PER_TOKEN,
    }
}

/// Runs a call to its end. Whether the turn was interrupted meanwhile, its token says.
pub(super) async fn run(session: &mut Session, door: &Door, call: &Call, cancel: &CancellationToken) -> Ended {
    let start = Instant::now();
    let cx = context(session, cancel);
    let result = match session.tools.get(&call.name).cloned() {
        Ok(tool) => {
            let planned = filled_in(call, &tool.spec().to_spec()).and_then(|()| tool.plan(&call.arguments, &cx));
            let summary = planned.as_ref().map_or_else(|_| call.name.clone(), |p| p.permission.summary.clone());
            session.publish(door, Event::CallProposed { call: call.clone(), summary });
            match planned {
                Ok(plan) => permitted(session, door, call, &*tool, plan, &cx).await,
                Err(error) => Err(error.into()),
            }
        }
        Err(error) => {
            session.publish(door, Event::CallProposed { call: call.clone(), summary: call.name.clone() });
            Err(error.into())
        }
    };
    let failed = |output| Ended { output, ok: false, refused: false, applied: None, detail: Detail::None };
    let ended = match result {
        Ok(Observation { text, detail, applied }) => Ended { ok: true, applied, detail, ..failed(text) },
        Err(Stopped::Failed(error)) => failed(error.0),
        Err(Stopped::Refused(why)) => Ended { refused: true, ..failed(why) },
        Err(Stopped::Interrupted) => failed("interrupted by the user".into()),
    };
    session.publish(
        door,
        Event::CallFinished {
            id: call.id.clone(),
            tool: call.name.clone(),
            ok: ended.ok,
            output: ended.output.clone(),
            detail: ended.detail.clone(),
            seconds: start.elapsed().as_secs_f64(),
        },
    );
    if let Some(applied) = &ended.applied {
        let change = if call.name == "run" { Change::Command } else { Change::Edit };
        session.publish_change(door, change, applied.clone());
    }
    ended
}

/// Refuses an argument that only repeats what the tool's schema says of it, as small models do.
fn filled_in(call: &Call, spec: &ToolSpec) -> Result<(), ToolError> {
    let said = |name: &str| spec.parameters["properties"][name]["description"].as_str();
    let copied = |(name, value): &(&String, &Value)| value.as_str().is_some_and(|text| said(name) == Some(text.trim()));
    match call.arguments.iter().find(copied) {
        Some((name, value)) => Err(ToolError(format!(
            "`{name}` only says what that argument is ({}); give the text itself",
            value.as_str().unwrap_or_default().trim()
        ))),
        None => Ok(()),
    }
}

/// Why a call did not come to its end.
enum Stopped {
    Failed(ToolError),
    /// With what the model is told.
    Refused(String),
    Interrupted,
}

impl From<ToolError> for Stopped {
    fn from(error: ToolError) -> Self {
        Self::Failed(error)
    }
}

/// Asks where that is needed, then runs the tool.
async fn permitted(
    session: &mut Session,
    door: &Door,
    call: &Call,
    tool: &dyn Tool,
    plan: Plan,
    cx: &Context,
) -> Result<Observation, Stopped> {
    let Plan { permission, patch } = plan;
    session.take_mode(door);
    if session.policy.judge(&permission) == Verdict::Ask {
        let decision = if session.settings.interactive {
            let ask = Event::PermissionAsked { id: call.id.clone(), permission: permission.clone() };
            let _ = session.log.append(&ask);
            door.answer(&call.id, ask, &cx.cancel).await.ok_or(Stopped::Interrupted)?
        } else {
            Decision::No("nobody is there to allow it; start with --yes to allow edits and commands".into())
        };
        session.publish(door, Event::PermissionAnswered { id: call.id.clone(), decision: decision.clone() });
        session.take_mode(door);
        match decision {
            Decision::Once => {}
            Decision::Always => session.policy.remember(&permission),
            Decision::No(reason) if reason.is_empty() => {
                return Err(Stopped::Refused("the user said no to this; do not try it again".into()));
            }
            Decision::No(reason) => return Err(Stopped::Refused(format!("this was not allowed: {reason}"))),
        }
    }
    let done = tool.run(&call.arguments, patch, cx).await?;
    // What a command had done by then stays done and is recorded; the model hears of the interruption from its end.
    Ok(done)
}
