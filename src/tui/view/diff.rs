//! A unified diff with line numbers, signs and colours.

use ratatui::style::Style;
use ratatui::text::{Line, Span};

use super::code;
use crate::tui::text::{self, Break};
use crate::tui::theme::Theme;

/// A line of a diff.
#[derive(Debug, PartialEq, Eq)]
enum Row<'a> {
    /// The file that what follows belongs to.
    File(&'a str),
    /// Lines were left out here.
    Gap,
    Line {
        sign: Sign,
        number: usize,
        text: &'a str,
    },
    /// What git says in words (a mode, a binary file, no final newline).
    Note(&'a str),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Sign {
    Same,
    Added,
    Removed,
}

/// Lines added and removed, as `+3 −1`.
pub fn counts(diff: &str) -> String {
    let (mut added, mut removed) = (0, 0);
    for row in rows(diff) {
        match row {
            Row::Line { sign: Sign::Added, .. } => added += 1,
            Row::Line { sign: Sign::Removed, .. } => removed += 1,
            _ => {}
        }
    }
    format!("+{added} −{removed}")
}

/// The diff as lines of at most `columns`, each with `indent` spaces before it. What stays is in the colours of its language;
/// what comes and goes is green and red.
pub fn render(diff: &str, columns: usize, indent: usize, theme: &Theme) -> Vec<Line<'static>> {
    let rows = rows(diff);
    let digits = rows
        .iter()
        .map(|row| if let Row::Line { number, .. } = row { number.ilog10() as usize + 1 } else { 1 })
        .max()
        .unwrap_or(1);
    let several = rows.iter().filter(|row| matches!(row, Row::File(_))).count() > 1;
    // Line ends are shown only where they differ: in a file that has them throughout they say nothing.
    let line_end = |row: &Row<'_>| if let Row::Line { text, .. } = row { Some(text.ends_with('\r')) } else { None };
    let mixed = rows.iter().filter_map(line_end).any(|cr| cr) && rows.iter().filter_map(line_end).any(|cr| !cr);
    let pad = " ".repeat(indent);
    let mut kept = unchanged(&rows, &theme.beside_changes()).into_iter();
    let mut lines = Vec::new();
    for row in &rows {
        match row {
            Row::File(path) if several => {
                lines.push(Line::from(vec![Span::raw(pad.clone()), Span::styled(text::visible(path), theme.bold)]));
            }
            Row::File(_) => {}
            Row::Gap => lines.push(Line::styled(format!("{pad}{:>digits$}", "⋯"), theme.dim)),
            Row::Note(note) => {
                lines.push(Line::styled(format!("{pad}{:digits$} {}", "", text::visible(note)), theme.dim));
            }
            Row::Line { sign, number, text } => {
                let coloured = if *sign == Sign::Same { kept.next().flatten() } else { None };
                lines.extend(line(*sign, *number, text, coloured, &Look { digits, pad: &pad, columns, mixed, theme }));
            }
        }
    }
    lines
}

/// Of each line that stays its text in colours, where its language is known.
fn unchanged(rows: &[Row<'_>], theme: &Theme) -> Vec<Option<Vec<Span<'static>>>> {
    let mut kept = Vec::new();
    for file in rows.chunk_by(|_, next| !matches!(next, Row::File(_))) {
        let language = if let Some(Row::File(path)) = file.first() { code::language_of(path) } else { None };
        // Together with what comes, since a line alone says little of what it is.
        let new = file.iter().filter_map(|row| match row {
            Row::Line { sign: sign @ (Sign::Same | Sign::Added), text, .. } => Some((*sign, *text)),
            _ => None,
        });
        let new: Vec<(Sign, &str)> = new.collect();
        let coloured = language.map(|language| {
            let text: String = new.iter().map(|(_, text)| shown(text) + "\n").collect();
            code::lines(&text, language, Style::new(), theme)
        });
        let mut coloured = coloured.map(Vec::into_iter);
        for (sign, _) in new {
            let line = coloured.as_mut().and_then(Iterator::next);
            if sign == Sign::Same {
                kept.push(line);
            }
        }
    }
    kept
}

/// How lines are laid out.
struct Look<'a> {
    /// Of the line numbers.
    digits: usize,
    pad: &'a str,
    columns: usize,
    /// Line ends are shown.
    mixed: bool,
    theme: &'a Theme,
}

fn line(
    sign: Sign,
    number: usize,
    content: &str,
    coloured: Option<Vec<Span<'static>>>,
    look: &Look<'_>,
) -> Vec<Line<'static>> {
    let Look { digits, pad, columns, mixed, theme } = look;
    let (mark, style) = match sign {
        Sign::Same => (' ', Style::new()),
        Sign::Added => ('+', theme.added),
        Sign::Removed => ('-', theme.removed),
    };
    let mut spans = coloured.unwrap_or_else(|| vec![Span::styled(shown(content), style)]);
    if *mixed && content.ends_with('\r') {
        spans.push(Span::styled("␍", style));
    }
    let first = [Span::styled(format!("{pad}{number:>digits$} "), theme.dim), Span::styled(format!("{mark} "), style)];
    let rest = [Span::raw(format!("{pad}{:digits$}   ", ""))];
    text::hang(&spans, *columns, Break::Anywhere, &first, &rest)
}

/// A line's text as it is drawn, without its end.
fn shown(content: &str) -> String {
    text::expand_tabs(&text::visible(content.strip_suffix('\r').unwrap_or(content)))
}

/// Reads a diff in git's form. Lines it does not know are kept as notes, so that nothing is hidden.
fn rows(diff: &str) -> Vec<Row<'_>> {
    let mut rows = Vec::new();
    let (mut old, mut new) = (1, 1);
    // Lines that the running hunk has left: a removed line may begin with `-- `, so that only counting tells.
    let (mut old_left, mut new_left) = (0usize, 0usize);
    let mut first_hunk = true;
    for text in diff.split_terminator('\n') {
        let mut push = |sign, number, text| rows.push(Row::Line { sign, number, text });
        match text.as_bytes().first() {
            Some(b'+') if new_left > 0 => {
                push(Sign::Added, new, &text[1..]);
                (new, new_left) = (new + 1, new_left - 1);
            }
            Some(b'-') if old_left > 0 => {
                push(Sign::Removed, old, &text[1..]);
                (old, old_left) = (old + 1, old_left - 1);
            }
            Some(b' ') | None if new_left > 0 && old_left > 0 => {
                push(Sign::Same, new, text.get(1..).unwrap_or_default());
                (old, new, old_left, new_left) = (old + 1, new + 1, old_left - 1, new_left - 1);
            }
            Some(b'@') => {
                if let Some(hunk) = hunk(text) {
                    ((old, old_left), (new, new_left)) = hunk;
                    if !std::mem::take(&mut first_hunk) {
                        rows.push(Row::Gap);
                    }
                }
            }
            Some(b'\\') => rows.push(Row::Note(text[1..].trim())),
            None => {}
            _ => header(text, &mut rows, &mut first_hunk),
        }
    }
    rows
}

fn header<'a>(text: &'a str, rows: &mut Vec<Row<'a>>, first_hunk: &mut bool) {
    if let Some(names) = text.strip_prefix("diff --git ") {
        // The name behind ` b/`; where it contains that itself, `+++` would say no more.
        rows.push(Row::File(names.rsplit_once(" b/").map_or(names, |(_, name)| name)));
        *first_hunk = true;
    } else if !["index ", "--- ", "+++ "].iter().any(|known| text.starts_with(known)) {
        rows.push(Row::Note(text));
    }
}

type Range = (usize, usize);

/// `@@ -1,5 +1,6 @@ …` as (first line, lines) of both sides.
fn hunk(text: &str) -> Option<(Range, Range)> {
    let mut parts = text.strip_prefix("@@ -")?.split(' ');
    let range = |part: &str| -> Option<Range> {
        let (start, count) = part.split_once(',').unwrap_or((part, "1"));
        Some((start.parse::<u32>().ok()?.max(1) as usize, count.parse::<u32>().ok()? as usize))
    };
    Some((range(parts.next()?)?, range(parts.next()?.strip_prefix('+')?)?))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tui::theme::Colour;

    const DIFF: &str = "diff --git a/q.sql b/q.sql\nindex 1..2 100644\n--- a/q.sql\n+++ b/q.sql\n@@ -9,3 +9,3 @@ x\n one\n--- old\n+++ new\n\n@@ -40 +40,2 @@\n-a\n+b\n+c\n\\ No newline at end of file\n";

    fn plain(diff: &str, columns: usize) -> Vec<String> {
        render(diff, columns, 2, &Theme::new(Colour::Off)).iter().map(ToString::to_string).collect()
    }

    #[test]
    fn lines_are_numbered_and_those_that_look_like_headers_are_kept() {
        let expected = [
            "   9   one",
            "  10 - -- old",
            "  10 + ++ new",
            "  11   ",
            "   ⋯",
            "  40 - a",
            "  40 + b",
            "  41 + c",
            "     No newline at end of file",
        ];
        assert_eq!(plain(DIFF, 60), expected);
        assert_eq!(counts(DIFF), "+3 −2");
    }

    #[test]
    fn nothing_is_hidden_in_a_diff() {
        let diff = "@@ -1,2 +1,2 @@\n-a\r\n+a\n x\u{1b}]0;hidden\r\nwhat is this\n";
        let expected = ["  1 - a␍", "  1 + a", "  2   x␛]0;hidden␍", "    what is this"];
        assert_eq!(plain(diff, 60), expected);
    }

    #[test]
    fn long_lines_go_on_under_themselves() {
        assert_eq!(plain("@@ -1 +1 @@\n+abcdefgh\n", 10), ["  1 + abcd", "      efgh"]);
    }
}
