//! The conversation: blocks one below the other, a blank line between them, and the part of them that is seen.

use std::time::Duration;

use ratatui::buffer::Buffer;
use ratatui::layout::Rect;
use ratatui::text::{Line, Span};

use super::{block, spinner};
use crate::tui::app::{App, Details, Scroll};
use crate::tui::theme::Theme;
use crate::tui::transcript::{Block, Entry};

/// How everything is drawn at this moment.
pub struct Look<'a> {
    pub columns: u16,
    pub details: Details,
    pub theme: &'a Theme,
    pub now: Duration,
}

impl Look<'_> {
    pub fn spinner(&self) -> &'static str {
        spinner(self.now)
    }
}

/// Draws what is seen and returns how many lines lie below it.
pub fn draw(app: &mut App, area: Rect, buffer: &mut Buffer) -> usize {
    app.viewport = (area.width, area.height);
    if area.is_empty() {
        return 0;
    }
    if app.transcript.entries.is_empty() {
        welcome(app, area, buffer);
        return 0;
    }
    let scroll = app.scroll;
    let mut column = Column::new(app);
    let end = column.end();
    let from = match scroll {
        Scroll::Follow => end,
        Scroll::At { block, line } => end.min((block, line)),
    };
    let below = column.draw_from(from, area, buffer);
    if scroll == Scroll::Follow { 0 } else { below }
}

/// Where the view is after it moved by `lines` (negative is up).
pub fn scrolled(app: &mut App, lines: isize) -> Scroll {
    let scroll = app.scroll;
    let mut column = Column::new(app);
    let end = column.end();
    let from = match scroll {
        Scroll::Follow => end,
        Scroll::At { block, line } => end.min((block, line)),
    };
    let to = column.moved(from, lines);
    if to >= end { Scroll::Follow } else { Scroll::At { block: to.0, line: to.1 } }
}

/// A block and a line of it.
type Position = (usize, usize);

struct Column<'a> {
    entries: &'a mut [Entry],
    look: Look<'a>,
    height: usize,
}

impl<'a> Column<'a> {
    fn new(app: &'a mut App) -> Self {
        let (columns, rows) = app.viewport;
        let look = Look { columns, details: app.details, theme: &app.theme, now: app.now };
        Self { entries: &mut app.transcript.entries, look, height: rows.into() }
    }

    /// A blank line before a block, except between calls of one line each.
    fn gap(&mut self, i: usize) -> usize {
        let Some(before) = i.checked_sub(1) else { return 0 };
        let calls = matches!(
            (&self.entries[before].block, &self.entries[i].block),
            (Block::Tool(_), Block::Tool(_)) | (Block::Notice(_), Block::Notice(_))
        );
        usize::from(!calls || block::lines(&mut self.entries[before], &self.look).len() > 1)
    }

    fn block_height(&mut self, i: usize) -> usize {
        self.gap(i) + block::lines(&mut self.entries[i], &self.look).len()
    }

    /// Where the view begins when it shows the end.
    fn end(&mut self) -> Position {
        let mut room = self.height;
        for i in (0..self.entries.len()).rev() {
            let height = self.block_height(i);
            if height >= room {
                return (i, height - room);
            }
            room -= height;
        }
        (0, 0)
    }

    fn moved(&mut self, (mut block, mut line): Position, lines: isize) -> Position {
        let mut left = lines.unsigned_abs();
        if lines < 0 {
            while left > line {
                let Some(before) = block.checked_sub(1) else { return (0, 0) };
                left -= line;
                block = before;
                line = self.block_height(block);
            }
            return (block, line - left);
        }
        while block < self.entries.len() {
            let height = self.block_height(block);
            if line + left < height {
                return (block, line + left);
            }
            left -= height.saturating_sub(line);
            block += 1;
            line = 0;
        }
        (block, 0)
    }

    fn draw_from(&mut self, (first, skip): Position, area: Rect, buffer: &mut Buffer) -> usize {
        let mut y = area.y;
        let mut below = 0;
        for i in first..self.entries.len() {
            let gap = self.gap(i);
            let lines = block::lines(&mut self.entries[i], &self.look);
            let skip = if i == first { skip.min(gap + lines.len()) } else { 0 };
            let blanks = gap.saturating_sub(skip);
            let free = usize::from(area.bottom() - y);
            y += blanks.min(free) as u16;
            for line in lines.iter().skip(skip.saturating_sub(gap)) {
                if y < area.bottom() {
                    buffer.set_line(area.x, y, line, area.width);
                    y += 1;
                } else {
                    below += 1;
                }
            }
            below += blanks.saturating_sub(free);
        }
        below
    }
}

/// What an empty conversation shows.
fn welcome(app: &App, area: Rect, buffer: &mut Buffer) {
    let theme = &app.theme;
    let place = match &app.status.branch {
        Some(branch) => format!("  {} · {branch}", app.workspace),
        None => format!("  {}", app.workspace),
    };
    let key = |key: &'static str, what: &'static str| {
        Line::from(vec![Span::styled(format!("  {key:<8}"), theme.accent), Span::styled(what, theme.dim)])
    };
    let lines = [
        Line::default(),
        Line::from(vec![Span::styled("  moru ", theme.bold), Span::styled(env!("CARGO_PKG_VERSION"), theme.dim)]),
        Line::styled(place, theme.dim),
        Line::default(),
        Line::raw("  Ask a question, or say what is to change."),
        Line::default(),
        key("@", "names a file"),
        key("/", "commands"),
        key("Ctrl+G", "undoes the last change of files"),
        key("F1", "all keys"),
    ];
    for (line, y) in lines.iter().zip(area.y..area.bottom()) {
        buffer.set_line(area.x, y, line, area.width);
    }
}
