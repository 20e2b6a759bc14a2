//! The rule above the input box, which says what goes on, and the status line below it.

use std::time::Duration;

use ratatui::buffer::Buffer;
use ratatui::layout::Rect;
use ratatui::style::{Modifier, Style};
use ratatui::text::{Line, Span};

use super::spinner;
use crate::permission::Mode;
use crate::tui::app::{App, Phase, Session};
use crate::tui::text;
use crate::tui::theme::Theme;

/// Draws the rule; `below` lines of the conversation lie under what is seen.
pub fn draw_rule(app: &App, below: usize, area: Rect, buffer: &mut Buffer) {
    if area.is_empty() {
        return;
    }
    let more = if below > 0 { format!("↓ {below} more · End") } else { String::new() };
    rule(activity(app), &more, area, buffer, &app.theme);
}

/// A rule across `area`, dimmed, with a label near its left end and another near its right end, which gives way last.
pub fn rule(left: Option<(String, Style)>, right: &str, area: Rect, buffer: &mut Buffer, theme: &Theme) {
    let columns = usize::from(area.width);
    buffer.set_line(area.x, area.y, &Line::styled("─".repeat(columns), theme.dim), area.width);
    let mut room = columns;
    // One column of rule and a blank on both sides of a label.
    let taken = text::width(right) + 4;
    if !right.is_empty() && taken <= columns {
        let x = area.right() - (taken - 1) as u16;
        buffer.set_line(x, area.y, &Line::styled(format!(" {right} "), bright(theme.accent)), area.right() - x);
        room -= taken;
    }
    if let Some((label, style)) = left
        && room > 4
    {
        let label = format!(" {} ", text::truncate(&label, room - 4));
        buffer.set_line(area.x + 1, area.y, &Line::styled(label, bright(style)), area.width - 1);
    }
}

/// A style that is laid over dimmed cells.
fn bright(style: Style) -> Style {
    style.remove_modifier(Modifier::DIM)
}

/// What goes on, in words; nothing while the session waits for a request.
fn activity(app: &App) -> Option<(String, Style)> {
    let theme = &app.theme;
    let word = match &app.phase {
        Phase::Idle if app.session == Session::Ended => return Some(("session ended".into(), theme.warning)),
        Phase::Idle => return None,
        Phase::Asking => return Some(("waiting for you".into(), theme.warning)),
        Phase::Starting => "starting".to_owned(),
        Phase::Reading { total: 0, .. } => "reading".to_owned(),
        Phase::Reading { done, total } => format!("reading {done}/{total}{}", time_left(app, *done, *total)),
        Phase::Thinking => "thinking".to_owned(),
        Phase::Writing => "writing".to_owned(),
        Phase::Running => "running".to_owned(),
    };
    let elapsed = text::whole_seconds(app.now.saturating_sub(app.turn_began).as_secs());
    Some((format!("{} {word} · {elapsed} · Esc interrupts", spinner(app.now)), theme.accent))
}

/// How long reading will take at the pace so far; nothing before a pace is known.
fn time_left(app: &App, done: usize, total: usize) -> String {
    let (since, from) = app.reading_from;
    let (elapsed, read) = (app.now.saturating_sub(since), done.saturating_sub(from));
    if elapsed < Duration::from_secs(1) || read == 0 {
        return String::new();
    }
    let seconds = elapsed.as_secs_f64() * total.saturating_sub(done) as f64 / read as f64;
    format!(", {} left", text::whole_seconds(seconds.ceil() as u64))
}

/// Draws the status line: a hint while there is one, else model, mode, context, speeds, branch, as many as fit.
pub fn draw(app: &App, area: Rect, buffer: &mut Buffer) {
    if area.is_empty() {
        return;
    }
    let theme = &app.theme;
    let columns = usize::from(area.width).saturating_sub(2);
    let notice = match (&app.quit_until, &app.hint) {
        (Some(_), _) => Some("Ctrl+C again quits"),
        (None, Some(hint)) => Some(hint.text.as_str()),
        (None, None) => None,
    };
    if let Some(notice) = notice {
        let line = Line::styled(format!("  {}", text::truncate(notice, columns)), theme.warning);
        buffer.set_line(area.x, area.y, &line, area.width);
        return;
    }
    let left = fitting(left(app), columns);
    let used = joined_width(&left);
    let right = fitting(right(app), columns.saturating_sub(used + 3));
    let mut spans = vec![Span::raw("  ")];
    spans.extend(joined(left, theme.dim));
    buffer.set_line(area.x, area.y, &Line::from(spans), area.width);
    let width = joined_width(&right) as u16;
    let x = area.right().saturating_sub(width + 2).max(area.x);
    buffer.set_line(x, area.y, &Line::from(joined(right, theme.dim)), area.right() - x);
}

type Part = (String, Style);

/// The mode comes before all: it says what happens without asking.
fn left(app: &App) -> Vec<Part> {
    let theme = &app.theme;
    let status = &app.status;
    let mode = match status.mode {
        Mode::Ask => ("mode ask".to_owned(), theme.dim),
        Mode::Edits => ("mode edits".to_owned(), theme.accent),
        Mode::Yes => ("mode yes".to_owned(), theme.warning),
    };
    let mut parts = vec![mode, (text::visible(&status.model), theme.dim)];
    if let Some(used) = status.used
        && status.context > 0
    {
        let percent = used * 100 / status.context;
        let style = if percent >= 80 { theme.warning } else { theme.dim };
        parts.push((format!("{}/{} {percent}%", text::tokens(used), text::tokens(status.context)), style));
    } else if status.context > 0 {
        parts.push((format!("{} context", text::tokens(status.context)), theme.dim));
    }
    parts
}

fn right(app: &App) -> Vec<Part> {
    let theme = &app.theme;
    let status = &app.status;
    let mut parts = Vec::new();
    if let (Some(prefill), Some(decode)) = (status.prefill, status.decode) {
        parts.push((format!("read {} write {} tok/s", speed(prefill), speed(decode)), theme.dim));
    }
    parts.extend(status.branch.as_deref().map(|branch| (text::visible(branch), theme.dim)));
    parts
}

fn speed(rate: f64) -> String {
    if rate < 10.0 { format!("{rate:.1}") } else { format!("{rate:.0}") }
}

/// As many of the parts, from the first on, as fit.
fn fitting(mut parts: Vec<Part>, columns: usize) -> Vec<Part> {
    while joined_width(&parts) > columns {
        parts.pop();
    }
    parts
}

fn joined_width(parts: &[Part]) -> usize {
    parts.iter().map(|(part, _)| text::width(part)).sum::<usize>() + 3 * parts.len().saturating_sub(1)
}

fn joined(parts: Vec<Part>, separator: Style) -> Vec<Span<'static>> {
    let mut spans = Vec::new();
    for (part, style) in parts {
        if !spans.is_empty() {
            spans.push(Span::styled(" · ", separator));
        }
        spans.push(Span::styled(part, style));
    }
    spans
}
