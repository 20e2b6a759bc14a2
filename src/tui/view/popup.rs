//! What lies over the conversation: suggestions while typing, and help.

use ratatui::buffer::Buffer;
use ratatui::layout::Rect;
use ratatui::text::{Line, Span};
use ratatui::widgets::{Clear, Widget};

use crate::tui::app::App;
use crate::tui::command::COMMANDS;
use crate::tui::complete::SHOWN;
use crate::tui::keymap::BINDINGS;
use crate::tui::text;
use crate::tui::theme::Theme;

/// Draws the suggestions at the bottom of `above`, next to the input box.
pub fn draw_suggestions(app: &App, above: Rect, buffer: &mut Buffer) {
    let Some(popup) = &app.popup else { return };
    let rows = popup.items.len().min(SHOWN).min(above.height.into());
    // The chosen one is always among those shown.
    let first = (popup.selected + 1).saturating_sub(rows);
    let area = Rect { y: above.bottom() - rows as u16, height: rows as u16, ..above };
    Clear.render(area, buffer);
    let column = popup.items.iter().map(|item| text::width(item.text.trim_end())).max().unwrap_or(0) + 2;
    for (i, y) in (first..popup.items.len()).zip(area.y..area.bottom()) {
        let item = &popup.items[i];
        let name = text::visible(item.text.trim_end());
        let chosen = i == popup.selected;
        let fill = " ".repeat(column.saturating_sub(text::width(&name)));
        let line = Line::from(vec![
            Span::styled(if chosen { "› " } else { "  " }, app.theme.accent),
            Span::styled(name, if chosen { app.theme.accent } else { app.theme.text }),
            Span::styled(format!("{fill}{}", item.help), app.theme.dim),
        ]);
        buffer.set_line(area.x, y, &line, area.width);
    }
}

/// Draws the help over the whole screen.
pub fn draw_help(app: &mut App, screen: Rect, buffer: &mut Buffer) {
    let Some(top) = app.help else { return };
    let lines = help(screen.width, &app.theme);
    let rows = screen.height.saturating_sub(1);
    let last = u16::try_from(lines.len()).unwrap_or(u16::MAX).saturating_sub(rows);
    let top = top.min(last);
    app.help = Some(top);
    Clear.render(screen, buffer);
    for (line, y) in lines.iter().skip(top.into()).zip(screen.y..screen.y + rows) {
        buffer.set_line(screen.x, y, line, screen.width);
    }
    let foot = if top < last { "  ↓ more · Esc closes" } else { "  Esc closes" };
    buffer.set_line(screen.x, screen.bottom() - 1, &Line::styled(foot, app.theme.dim), screen.width);
}

fn help(width: u16, theme: &Theme) -> Vec<Line<'static>> {
    let keys = BINDINGS.iter().map(|binding| (binding.label(), binding.help.to_owned()));
    let commands = COMMANDS
        .iter()
        .map(|spec| (format!("/{} {}", spec.name, spec.args).trim_end().to_owned(), spec.help.to_owned()));
    let mut lines = vec![Line::default(), Line::styled("  Commands", theme.heading)];
    entries(commands.collect(), width, theme, &mut lines);
    lines.extend([Line::default(), Line::styled("  Keys", theme.heading)]);
    entries(keys.collect(), width, theme, &mut lines);
    lines
}

fn entries(entries: Vec<(String, String)>, width: u16, theme: &Theme, lines: &mut Vec<Line<'static>>) {
    const NAMES: usize = 30;
    let width = usize::from(width).saturating_sub(1);
    // Names and texts side by side need room; without it they stand one below the other.
    let names = if width < 60 { 0 } else { NAMES };
    for (name, what) in entries {
        let mut first = vec![Span::raw("  "), Span::styled(format!("{name:<names$}"), theme.accent)];
        if names == 0 || text::width(&name) >= names {
            lines.push(Line::from(std::mem::take(&mut first)));
            first = vec![Span::raw(" ".repeat(2 + names.max(2)))];
        }
        let rest = [Span::raw(" ".repeat(2 + names.max(2)))];
        let what = [Span::styled(what, theme.dim)];
        lines.extend(text::hang(&what, width, text::Break::Words, &first, &rest));
    }
}
