//! Tables: aligned where they fit, with wrapped cells where they nearly fit, row by row where they do not.

use pulldown_cmark::Alignment;
use ratatui::text::Span;

use crate::tui::text::{self, Break};
use crate::tui::theme::Theme;

/// Between two columns.
const GAP: usize = 2;
/// A column is not made narrower than this.
const NARROWEST: usize = 6;

type Cell = Vec<Span<'static>>;
type Row = Vec<Span<'static>>;

/// A table being read; its first row is the head.
pub struct Table {
    alignments: Vec<Alignment>,
    rows: Vec<Vec<Cell>>,
    row: Vec<Cell>,
}

impl Table {
    pub fn new(alignments: Vec<Alignment>) -> Self {
        Self { alignments, rows: Vec::new(), row: Vec::new() }
    }

    pub fn cell(&mut self, cell: Cell) {
        self.row.push(cell);
    }

    pub fn end_row(&mut self) {
        self.rows.push(std::mem::take(&mut self.row));
    }

    /// The table as rows of at most `room` columns, where it can be.
    pub fn render(mut self, room: usize, theme: &Theme) -> Vec<Row> {
        if let Some(head) = self.rows.first_mut() {
            for span in head.iter_mut().flatten() {
                span.style = span.style.patch(theme.bold);
            }
        }
        match self.widths(room) {
            Some(widths) => self.grid(&widths, theme),
            None => self.records(room),
        }
    }

    /// The columns' widths: the widest give way until all fit.
    fn widths(&self, room: usize) -> Option<Vec<usize>> {
        let columns = self.alignments.len();
        let mut widths: Vec<usize> = (0..columns)
            .map(|i| {
                self.rows.iter().filter_map(|row| row.get(i)).map(|cell| cell_width(cell)).max().unwrap_or(0).max(1)
            })
            .collect();
        let room = room.checked_sub(GAP * columns.saturating_sub(1))?;
        let mut excess = widths.iter().sum::<usize>().saturating_sub(room);
        while excess > 0 {
            let widest = widths.iter_mut().max()?;
            if *widest <= NARROWEST {
                return None;
            }
            *widest -= 1;
            excess -= 1;
        }
        Some(widths)
    }

    fn grid(&self, widths: &[usize], theme: &Theme) -> Vec<Row> {
        let mut out = Vec::new();
        for (i, row) in self.rows.iter().enumerate() {
            let empty = Vec::new();
            let cells: Vec<Vec<Row>> = widths
                .iter()
                .enumerate()
                .map(|(c, &width)| text::wrap(row.get(c).unwrap_or(&empty), width, Break::Words))
                .collect();
            let height = cells.iter().map(Vec::len).max().unwrap_or(1);
            for y in 0..height {
                let mut line = Vec::new();
                for (c, (cell, &width)) in cells.iter().zip(widths).enumerate() {
                    let content = cell.get(y).cloned().unwrap_or_default();
                    let gap = if c + 1 < widths.len() { GAP } else { 0 };
                    self.pad(&mut line, content, width, gap, c);
                }
                out.push(line);
            }
            if i == 0 {
                let rule: Vec<String> = widths.iter().map(|&width| "─".repeat(width)).collect();
                out.push(vec![Span::styled(rule.join(&" ".repeat(GAP)), theme.dim)]);
            }
        }
        out
    }

    fn pad(&self, line: &mut Row, content: Row, width: usize, gap: usize, column: usize) {
        let free = width.saturating_sub(cell_width(&content));
        let left = match self.alignments.get(column) {
            Some(Alignment::Right) => free,
            Some(Alignment::Center) => free / 2,
            _ => 0,
        };
        line.push(Span::raw(" ".repeat(left)));
        line.extend(content);
        line.push(Span::raw(" ".repeat(free - left + gap)));
    }

    /// `head: cell` on lines of their own, a blank line between rows.
    fn records(&self, room: usize) -> Vec<Row> {
        let Some((head, body)) = self.rows.split_first() else { return Vec::new() };
        let mut out = Vec::new();
        for (i, row) in body.iter().enumerate() {
            if i > 0 {
                out.push(Vec::new());
            }
            for (name, cell) in head.iter().zip(row) {
                let mut line = name.clone();
                line.push(Span::raw(": "));
                line.extend(cell.iter().cloned());
                out.extend(text::wrap(&line, room, Break::Words));
            }
        }
        out
    }
}

fn cell_width(cell: &[Span<'_>]) -> usize {
    cell.iter().map(|span| text::width(&span.content)).sum()
}
