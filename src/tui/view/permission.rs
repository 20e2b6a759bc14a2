//! The question whether a call may go ahead: what it would do, and the keys that answer.

use ratatui::buffer::Buffer;
use ratatui::layout::Rect;
use ratatui::text::{Line, Span};

use super::{diff, status};
use crate::permission::Class;
use crate::tui::app::{App, Question};
use crate::tui::text::{self, Break};
use crate::tui::theme::Theme;

/// Rows that the question wants; 0 where there is none.
pub fn height(app: &App, width: u16) -> u16 {
    let Some(question) = &app.question else { return 0 };
    let rows = body(question, width, &app.theme).len() + 2;
    u16::try_from(rows).unwrap_or(u16::MAX)
}

/// Draws the question: a rule, what it is about (as much as fits; it scrolls), the answers.
pub fn draw(app: &mut App, area: Rect, buffer: &mut Buffer) {
    let (theme, now) = (app.theme.clone(), app.now);
    let Some(question) = &mut app.question else { return };
    if area.is_empty() {
        return;
    }
    // The answers come first: without them the rest is of no use.
    let last = area.bottom() - 1;
    buffer.set_line(area.x, last, &answers(question, question.armed(now), area.width, &theme), area.width);
    let ruled = area.height > 3;
    let y = area.y + u16::from(ruled);
    let body = body(question, area.width, &theme);
    let room = usize::from(last - y);
    question.scroll = question.scroll.min(body.len().saturating_sub(room));
    for (line, y) in body.iter().skip(question.scroll).zip(y..last) {
        buffer.set_line(area.x, y, line, area.width);
    }
    if ruled {
        let hidden = body.len().saturating_sub(question.scroll + room);
        let more = if hidden > 0 { format!("↓ {hidden} more lines") } else { String::new() };
        status::rule(None, &more, area, buffer, &theme);
    }
}

fn title(question: &Question, width: u16, theme: &Theme) -> Vec<Line<'static>> {
    let what = match question.permission.class {
        Class::Edit => "Change",
        Class::Run => "Run",
        Class::Read => "Read",
    };
    let summary = text::visible(&question.permission.summary);
    let mut counts = String::new();
    if let Some(diff) = &question.permission.diff {
        counts = format!(" · {}", diff::counts(diff));
    }
    let mut lines = Vec::new();
    for (i, part) in summary.split('\n').enumerate() {
        let mut spans = vec![Span::styled(text::expand_tabs(part), theme.bold)];
        let first = if i == 0 { [Span::styled("? ", theme.warning)] } else { [Span::raw("  ")] };
        if i == 0 && !already_says(&summary, what) {
            spans.insert(0, Span::styled(format!("{what}: "), theme.text));
        }
        if i == 0 {
            spans.push(Span::styled(std::mem::take(&mut counts), theme.dim));
        }
        let columns = usize::from(width).saturating_sub(1);
        lines.extend(text::hang(&spans, columns, Break::Words, &first, &[Span::raw("  ")]));
    }
    lines
}

/// The summary begins with the verb by itself (`edit src/a.py`).
fn already_says(summary: &str, what: &str) -> bool {
    let first = summary.split_whitespace().next().unwrap_or_default().to_lowercase();
    first == what.to_lowercase() || ["edit", "write", "change", "create", "delete"].contains(&first.as_str())
}

/// Everything that is asked for, whole: what could not be read could be the part that matters.
fn body(question: &Question, width: u16, theme: &Theme) -> Vec<Line<'static>> {
    let mut lines = title(question, width, theme);
    if let Some(diff) = &question.permission.diff {
        lines.extend(diff::render(diff, usize::from(width).saturating_sub(1), 2, theme));
    }
    lines
}

fn answers(question: &Question, armed: bool, width: u16, theme: &Theme) -> Line<'static> {
    if question.reason.is_some() {
        return Line::styled("  Enter says no with this reason · Esc without", theme.dim);
    }
    let (always, short) = match question.permission.class {
        Class::Run => ("always for this command", "always"),
        Class::Edit | Class::Read => ("all edits of this session", "all edits"),
    };
    let always = if width < 70 { short } else { always };
    let key = if armed { theme.accent } else { theme.dim };
    let word = if armed { theme.text } else { theme.dim };
    let mut spans = vec![Span::raw("  ")];
    for (letter, meaning) in [("y", "yes"), ("a", always), ("n", "no, because …"), ("Esc", "no")] {
        if spans.len() > 1 {
            spans.push(Span::raw("   "));
        }
        spans.push(Span::styled(letter, key));
        spans.push(Span::styled(format!(" {meaning}"), word));
    }
    Line::from(spans)
}
