//! What a session's events do to the screen. A past session is folded in by the same function.

use std::time::Duration;

use super::app::{App, Phase, Question, Scroll, Session};
use super::text;
use super::transcript::{Block, Edit, Entry, Reasoning, State, Tool};
use crate::dialect::{Message, Role};
use crate::permission::Decision;
use crate::session::{Change, Channel, Event};
use crate::tool::Detail;

/// Folds one event in.
pub fn event(app: &mut App, event: Event) {
    match event {
        Event::TurnStarted { prompt, model, context, .. } => turn_started(app, prompt, model, context),
        Event::Message { message } => message_joined(app, &message),
        Event::Delta { channel: Channel::Reasoning, text } => {
            app.phase = Phase::Thinking;
            app.transcript.reasoning(&text, app.now);
        }
        Event::Delta { channel: Channel::Text, text } => {
            app.phase = Phase::Writing;
            app.transcript.reasoned(app.now);
            app.transcript.answer(&text);
        }
        Event::Delta { channel: Channel::Draft, text } => {
            app.phase = Phase::Writing;
            app.transcript.reasoned(app.now);
            app.transcript.draft(&text);
        }
        Event::Reading { done, total } => reading(app, done, total),
        Event::Generated { usage } => {
            app.transcript.reasoned(app.now);
            // The diff will show it better.
            app.transcript.end_draft();
            app.measure(&usage);
        }
        Event::CallProposed { call, summary } => {
            app.phase = Phase::Running;
            app.transcript.reasoned(app.now);
            app.transcript.push(Block::Tool(Tool::new(call.id, text::visible(&summary), app.now)));
        }
        Event::PermissionAsked { id, permission } => {
            app.phase = Phase::Asking;
            tool_state(app, &id, State::Asked);
            app.popup = None;
            app.question = Some(Question::new(id, permission, app.now, app.last_typed));
        }
        Event::PermissionAnswered { id, decision } => permission_answered(app, &id, decision),
        Event::CallFinished { id, ok, output, detail, seconds, .. } => {
            call_finished(app, &id, ok, output, detail, seconds);
        }
        Event::Edited { change, files, diff, merged, .. } => edited(app, change, &files, diff, merged),
        Event::Checked { command, passed, output, seconds, .. } => {
            app.transcript.push(Block::Check { command: text::visible(&command), passed, output, seconds });
        }
        Event::Compacted { before, after } => {
            app.status.used = Some(after);
            let (before, after) = (text::tokens(before), text::tokens(after));
            app.transcript
                .push(Block::Notice(format!("older messages left out to make room: {before} → {after} tokens")));
        }
        Event::LeftOut { messages, .. } => {
            let left = format!("left out of the context: {}", text::plural(messages, "message"));
            app.transcript.push(Block::Notice(left));
        }
        Event::Window { opening, parts, used, context } => {
            app.status.used = Some(used);
            app.scroll = Scroll::Follow;
            app.transcript.push(Block::Window { opening, parts, used, context });
        }
        Event::Rewound { .. } => app.transcript.push(Block::Notice("that did not work; trying afresh".into())),
        Event::Notice { text } => app.transcript.push(Block::Notice(text)),
        Event::TurnEnded { outcome, report, seconds, .. } => {
            turn_over(app);
            app.drafted = None;
            app.transcript.push(Block::Report { outcome, report, seconds });
        }
        Event::Failed { message } => {
            turn_over(app);
            app.transcript.push(Block::Failure(message));
        }
    }
}

/// The session is gone: nothing that waits for it will come.
pub fn session_ended(app: &mut App) {
    turn_over(app);
    app.session = Session::Ended;
    app.phase = Phase::Idle;
    app.queued.clear();
    app.transcript.push(Block::Failure(
        "the session has ended; what it did is kept: quit with Ctrl+D and go on with --resume last".into(),
    ));
}

fn reading(app: &mut App, done: usize, total: usize) {
    if !matches!(app.phase, Phase::Reading { total: known, .. } if known == total) {
        app.reading_from = (app.now, done);
    }
    // A call is written without deltas, so the end of reading is the beginning of writing.
    app.phase = if done < total { Phase::Reading { done, total } } else { Phase::Writing };
}

fn turn_started(app: &mut App, prompt: String, model: String, context: usize) {
    if let Some(at) = app.queued.iter().position(|queued| *queued == prompt) {
        app.queued.drain(..=at);
    }
    app.phase = Phase::Reading { done: 0, total: 0 };
    app.turn_began = app.now;
    app.status.model = model;
    app.status.context = context;
    app.transcript.push(Block::User(prompt));
}

/// An assistant's message has been streamed already, except in a log that keeps no deltas.
fn message_joined(app: &mut App, message: &Message) {
    if message.role != Role::Assistant {
        return;
    }
    app.transcript.reasoned(app.now);
    let was_open = std::mem::take(&mut app.transcript.open);
    let generated = |entry: &Entry| matches!(entry.block, Block::Answer(_) | Block::Reasoning(_) | Block::Tool(_));
    if was_open || app.transcript.entries.last().is_some_and(generated) && streamed(app, message) {
        return;
    }
    if let Some(reasoning) = message.reasoning.as_deref().map(str::trim).filter(|text| !text.is_empty()) {
        let reasoning = Reasoning { text: reasoning.to_owned(), began: app.now, took: Some(Duration::ZERO) };
        app.transcript.push(Block::Reasoning(reasoning));
    }
    if !message.content.trim().is_empty() {
        app.transcript.push(Block::Answer(clean(&message.content)));
    }
}

/// The message's text stands at the end of the conversation already.
fn streamed(app: &App, message: &Message) -> bool {
    let content = clean(&message.content);
    let reasoning = message.reasoning.as_deref().unwrap_or_default().trim();
    app.transcript.entries.iter().rev().take_while(|e| !matches!(e.block, Block::User(_))).take(4).any(|entry| {
        match &entry.block {
            Block::Answer(text) => !content.is_empty() && text.trim() == content,
            Block::Reasoning(thought) => !reasoning.is_empty() && thought.text.trim() == reasoning,
            _ => false,
        }
    })
}

fn clean(content: &str) -> String {
    text::visible(&content.trim().replace('\r', ""))
}

fn permission_answered(app: &mut App, id: &str, decision: Decision) {
    app.question.take_if(|question| question.id == id);
    match decision {
        Decision::Once | Decision::Always => {
            app.phase = Phase::Running;
            tool_state(app, id, State::Running);
            let now = app.now;
            if let Some(tool) = app.transcript.tool(id) {
                tool.began = now;
            }
        }
        Decision::No(reason) => {
            app.phase = Phase::Reading { done: 0, total: 0 };
            tool_state(app, id, State::Refused(text::visible(&reason)));
        }
    }
}

fn call_finished(app: &mut App, id: &str, ok: bool, output: String, detail: Detail, seconds: f64) {
    app.phase = Phase::Reading { done: 0, total: 0 };
    app.question.take_if(|question| question.id == id);
    let Some(tool) = app.transcript.tool(id) else { return };
    if !matches!(tool.state, State::Refused(_)) {
        tool.state = if ok { State::Done } else { State::Failed };
    }
    tool.output = output;
    tool.detail = detail;
    tool.seconds = seconds;
}

fn edited(app: &mut App, change: Change, files: &[String], diff: String, merged: bool) {
    let files = text::visible(&files.join(", "));
    let title = match change {
        Change::Edit | Change::Command => format!("changed {files}"),
        Change::Note => format!("noted in {files}"),
        Change::Undo => format!("undid the change of {files}"),
        Change::Redo => format!("redid the change of {files}"),
    };
    app.last_change = Some((title.clone(), diff.clone()));
    let by_call = matches!(change, Change::Edit | Change::Command);
    match app.transcript.last_tool() {
        Some(tool) if by_call && tool.edit.is_none() => tool.edit = Some(Edit { change, diff, merged }),
        _ => app.transcript.push(Block::Changed { title, diff }),
    }
}

fn turn_over(app: &mut App) {
    let now = app.now;
    app.transcript.reasoned(now);
    app.transcript.settle();
    app.question = None;
    app.hint = None;
    app.phase = if app.queued.is_empty() { Phase::Idle } else { Phase::Starting };
}

fn tool_state(app: &mut App, id: &str, state: State) {
    if let Some(tool) = app.transcript.tool(id) {
        tool.state = state;
    }
}
