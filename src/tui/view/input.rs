//! The input box, and the messages that wait.

use ratatui::buffer::Buffer;
use ratatui::layout::Rect;
use ratatui::text::{Line, Span};

use crate::tui::app::{App, Session};
use crate::tui::text;

/// Columns before the text.
const INDENT: u16 = 2;
/// The box grows to so many rows.
const MOST: u16 = 10;

/// Rows that the box wants.
pub fn height(app: &mut App, width: u16) -> u16 {
    let width = text_width(width);
    let reason = app.question.as_mut().and_then(|question| question.reason.as_mut());
    reason.unwrap_or(&mut app.editor).rows(width).clamp(1, MOST)
}

/// Draws the box; says where the cursor is, if keys go there.
pub fn draw(app: &mut App, area: Rect, buffer: &mut Buffer) -> Option<(u16, u16)> {
    if area.is_empty() {
        return None;
    }
    let theme = app.theme.clone();
    let armed = app.question.as_ref().is_some_and(|question| question.armed(app.now));
    let hint = placeholder(app);
    let reason = app.question.as_mut().and_then(|question| question.reason.as_mut());
    let takes_keys = reason.is_some() || !armed;
    let (sign, editor) = match reason {
        Some(reason) => ("✗ ", reason),
        None => ("› ", &mut app.editor),
    };
    let style = if takes_keys { theme.accent } else { theme.dim };
    buffer.set_line(area.x, area.y, &Line::from(Span::styled(sign, style)), area.width);
    let inner = Rect { x: area.x + INDENT.min(area.width), width: text_width(area.width), ..area };
    let inner = inner.intersection(area);
    if editor.is_empty() {
        let columns = usize::from(inner.width);
        buffer.set_line(inner.x, inner.y, &Line::styled(text::truncate(hint, columns), theme.dim), inner.width);
        return takes_keys.then_some((inner.x.min(area.right().saturating_sub(1)), inner.y));
    }
    let cursor = editor.render(inner, buffer, if takes_keys { theme.text } else { theme.dim });
    takes_keys.then_some(cursor)
}

fn placeholder(app: &App) -> &'static str {
    match &app.question {
        Some(question) if question.reason.is_some() => "why not? the model is told · Enter sends",
        Some(question) if question.armed(app.now) => "",
        _ if app.session == Session::Ended => "the session has ended · Ctrl+D quits",
        _ if app.busy() => "write on; it is sent when this turn has ended",
        _ => "",
    }
}

/// Draws what was sent and is not taken up yet, the next first.
pub fn draw_queue(app: &App, area: Rect, buffer: &mut Buffer) {
    let rows = usize::from(area.height);
    let more = app.queued.len().saturating_sub(rows);
    for (i, (message, y)) in app.queued.iter().zip(area.y..area.bottom()).enumerate() {
        let tail = if i + 1 == rows && more > 0 { format!(" · and {more} more") } else { String::new() };
        let first = text::visible(message.trim().lines().next().unwrap_or_default());
        let label = "› queued: ";
        let room = usize::from(area.width).saturating_sub(text::width(label) + text::width(&tail) + 1);
        let line = format!("{label}{}{tail}", text::truncate(&text::expand_tabs(&first), room));
        buffer.set_line(area.x, y, &Line::styled(line, app.theme.dim), area.width);
    }
}

/// The last column stays free for the cursor after a full row.
fn text_width(width: u16) -> u16 {
    width.saturating_sub(INDENT + 1).max(1)
}
