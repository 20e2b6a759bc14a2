//! Text that others wrote (models, commands, files), made fit for a screen: nothing in it can drive the terminal, and nothing
//! in it can hide. What would be invisible is shown as a sign, since a user decides by what the screen shows.

use ratatui::buffer::CellWidth;
use ratatui::style::Style;
use ratatui::text::{Line, Span};
use unicode_width::UnicodeWidthChar;

/// Columns between tab stops.
const TAB: usize = 4;

/// Replaces what a terminal would act on or what would turn the order of the text around: control characters become their
/// Unicode pictures (`␛`), directional overrides and invisible marks become `U+FFFD`. `\n` and `\t` stay, `\r` before `\n`
/// goes.
pub fn visible(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut chars = text.chars().peekable();
    while let Some(c) = chars.next() {
        match c {
            '\n' | '\t' => out.push(c),
            '\r' if chars.peek() == Some(&'\n') => {}
            c if (c as u32) < 0x20 => out.push(char::from_u32(0x2400 + c as u32).unwrap_or('\u{fffd}')),
            '\u{7f}' => out.push('␡'),
            '\u{80}'..='\u{9f}' => out.push('\u{fffd}'),
            // Directional overrides make code read other than it runs; the rest of these is plainly invisible.
            '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}' | '\u{200e}' | '\u{200f}' => out.push('\u{fffd}'),
            '\u{200b}' | '\u{2028}' | '\u{2029}' | '\u{2060}' | '\u{feff}' | '\u{e0000}'..='\u{e007f}' => {
                out.push('\u{fffd}')
            }
            c => out.push(c),
        }
    }
    out
}

/// What a command printed: its colours and titles are dropped, a line that was written over (`\r`) is kept as it ended,
/// everything else is as in [`visible`].
pub fn output(text: &str) -> String {
    let mut plain = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(at) = rest.find('\u{1b}') {
        plain.push_str(&rest[..at]);
        rest = &rest[at..];
        // What is not a whole sequence is left to `visible`: an open one would swallow what follows it.
        match escape_len(rest) {
            Some(len) => rest = &rest[len..],
            None => {
                plain.push('␛');
                rest = &rest[1..];
            }
        }
    }
    plain.push_str(rest);
    let lines: Vec<&str> = plain.split('\n').map(overwritten).collect();
    visible(&lines.join("\n"))
}

/// What is left of a line after its carriage returns.
fn overwritten(line: &str) -> &str {
    let line = line.trim_end_matches('\r');
    line.rsplit('\r').next().unwrap_or(line)
}

/// Bytes of the escape sequence that `text` begins with, where it is a whole one that only colours, moves or names things.
fn escape_len(text: &str) -> Option<usize> {
    let bytes = text.as_bytes();
    match bytes.get(1)? {
        b'[' => {
            let last = bytes[2..].iter().position(|b| !(0x20..0x40).contains(b))? + 2;
            (0x40..0x7f).contains(&bytes[last]).then_some(last + 1)
        }
        b']' => {
            let end = bytes[2..].iter().position(|&b| b == 0x07 || b == 0x1b || b == b'\n')? + 2;
            match bytes[end] {
                0x07 => Some(end + 1),
                0x1b if bytes.get(end + 1) == Some(&b'\\') => Some(end + 2),
                _ => None,
            }
        }
        b'(' | b')' if bytes.len() > 2 && bytes[2].is_ascii_alphanumeric() => Some(3),
        b'=' | b'>' | b'7' | b'8' => Some(2),
        _ => None,
    }
}

/// Columns that `text` takes, without tabs.
pub fn width(text: &str) -> usize {
    text.cell_width().into()
}

/// One line with tabs as spaces.
pub fn expand_tabs(line: &str) -> String {
    if !line.contains('\t') {
        return line.to_owned();
    }
    let mut out = String::with_capacity(line.len() + 8);
    let mut column = 0;
    for c in line.chars() {
        if c == '\t' {
            let fill = TAB - column % TAB;
            out.extend(std::iter::repeat_n(' ', fill));
            column += fill;
        } else {
            out.push(c);
            column += c.width().unwrap_or(0);
        }
    }
    out
}

/// The beginning of `text` that fits into `columns`, with `…` where something was left out.
pub fn truncate(text: &str, columns: usize) -> String {
    if width(text) <= columns {
        return text.to_owned();
    }
    let mut out = String::new();
    let mut used = 0;
    for grapheme in Span::raw(text).styled_graphemes(Style::default()) {
        let wide = width(grapheme.symbol);
        if used + wide + 1 > columns {
            break;
        }
        out.push_str(grapheme.symbol);
        used += wide;
    }
    if columns > 0 {
        out.push('…');
    }
    out
}

/// Where a line may be broken.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Break {
    /// Between words, inside one only where it is longer than the line.
    Words,
    /// Anywhere, so that every space of a code line is kept.
    Anywhere,
}

struct Cell<'a> {
    symbol: &'a str,
    style: Style,
    width: usize,
}

/// Breaks styled text (without line ends) into rows of at most `columns`. Always gives at least one row.
pub fn wrap(spans: &[Span<'_>], columns: usize, at: Break) -> Vec<Vec<Span<'static>>> {
    let columns = columns.max(1);
    // Most lines of code fit as they are, and an answer's last block is wrapped again with each frame.
    let plain = |span: &Span<'_>| span.content.bytes().all(|b| b.is_ascii_graphic() || b == b' ');
    if spans.iter().map(|span| span.content.len()).sum::<usize>() <= columns && spans.iter().all(plain) {
        return vec![spans.iter().map(|span| Span::styled(span.content.clone().into_owned(), span.style)).collect()];
    }
    let mut rows = Vec::new();
    let mut row: Vec<Cell<'_>> = Vec::new();
    let mut used = 0;
    let mut break_at = 0;
    for cell in cells(spans) {
        let blank = cell.symbol == " ";
        if used + cell.width > columns && !row.is_empty() {
            if at == Break::Words && blank {
                rows.push(join(&row));
                row.clear();
                used = 0;
                break_at = 0;
                continue;
            }
            let cut = if at == Break::Words && break_at > 0 { break_at } else { row.len() };
            let tail = row.split_off(cut);
            while at == Break::Words && row.len() > 1 && row.last().is_some_and(|c| c.symbol == " ") {
                row.pop();
            }
            rows.push(join(&row));
            row = tail;
            used = row.iter().map(|c| c.width).sum();
            break_at = 0;
        }
        used += cell.width;
        row.push(cell);
        if blank {
            break_at = row.len();
        }
    }
    if !row.is_empty() || rows.is_empty() {
        rows.push(join(&row));
    }
    rows
}

fn cells<'a>(spans: &'a [Span<'_>]) -> impl Iterator<Item = Cell<'a>> {
    spans.iter().flat_map(|span| {
        let style = span.style;
        span.content.split_inclusive('\t').flat_map(move |piece| {
            let (text, tab) = match piece.strip_suffix('\t') {
                Some(text) => (text, TAB),
                None => (piece, 0),
            };
            graphemes(text, style).chain(std::iter::repeat_n((), tab).map(move |()| Cell {
                symbol: " ",
                style,
                width: 1,
            }))
        })
    })
}

fn graphemes(text: &str, style: Style) -> impl Iterator<Item = Cell<'_>> {
    use unicode_segmentation::UnicodeSegmentation;
    text.graphemes(true).map(move |symbol| Cell { symbol, style, width: width(symbol) })
}

fn join(row: &[Cell<'_>]) -> Vec<Span<'static>> {
    let mut spans: Vec<Span<'static>> = Vec::new();
    for cell in row {
        match spans.last_mut() {
            Some(last) if last.style == cell.style => last.content.to_mut().push_str(cell.symbol),
            _ => spans.push(Span::styled(cell.symbol.to_owned(), cell.style)),
        }
    }
    spans
}

/// [`wrap`], with `first` before the first row and `rest` before the others.
pub fn hang(
    spans: &[Span<'_>],
    columns: usize,
    at: Break,
    first: &[Span<'static>],
    rest: &[Span<'static>],
) -> Vec<Line<'static>> {
    let prefix: usize = first.iter().map(|s| width(&s.content)).sum();
    wrap(spans, columns.saturating_sub(prefix), at)
        .into_iter()
        .enumerate()
        .map(|(i, row)| {
            let mut line = if i == 0 { first.to_vec() } else { rest.to_vec() };
            line.extend(row);
            Line::from(line)
        })
        .collect()
}

/// Seconds for a person: `0.4 s`, `12 s`, `3 min 05 s`.
pub fn seconds(value: f64) -> String {
    if value < 10.0 {
        format!("{:.1} s", value.max(0.0))
    } else if value < 60.0 {
        format!("{value:.0} s")
    } else {
        whole_seconds(value as u64)
    }
}

/// Whole seconds for a person, as a running clock shows them.
pub fn whole_seconds(value: u64) -> String {
    if value < 60 { format!("{value} s") } else { format!("{} min {:02} s", value / 60, value % 60) }
}

/// A number of tokens for a person: `850`, `3.1k`, `128k`. Contexts are powers of two and known as such.
pub fn tokens(count: usize) -> String {
    match count {
        _ if count > 0 && count.is_multiple_of(1_024) => format!("{}k", count / 1_024),
        0..1_000 => count.to_string(),
        1_000..9_950 => format!("{:.1}k", count as f64 / 1_000.0),
        _ => format!("{}k", (count + 500) / 1_000),
    }
}

/// `1 line`, `2 lines`; `unit` is the plural.
pub fn plural(count: usize, unit: &str) -> String {
    let one = match unit {
        "matches" => "match",
        "entries" => "entry",
        unit => unit.strip_suffix('s').unwrap_or(unit),
    };
    if count == 1 { format!("1 {one}") } else { format!("{count} {unit}") }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_that_drives_a_terminal_is_left() {
        assert_eq!(visible("a\u{1b}[31mb\r\nc\rd\u{7f}\u{9b}2J\u{202e}x\ty"), "a␛[31mb\nc␍d␡\u{fffd}2J\u{fffd}x\ty");
    }

    #[test]
    fn output_loses_its_colours_and_keeps_what_an_open_sequence_would_hide() {
        assert_eq!(output("\u{1b}[1;32mok\u{1b}[0m 10%\r 20%\r 100%\r\nend"), " 100%\nend");
        assert_eq!(output("\u{1b}]0;title\u{7}x \u{1b}]0;open rm -rf"), "x ␛]0;open rm -rf");
        assert_eq!(output("\u{1b}[é"), "␛[é");
        assert_eq!(output("\u{1b}"), "␛");
    }

    #[test]
    fn words_stay_whole_where_they_fit() {
        let rows = |text: &str, columns| -> Vec<String> {
            wrap(&[Span::raw(text)], columns, Break::Words)
                .into_iter()
                .map(|row| row.into_iter().map(|s| s.content.into_owned()).collect())
                .collect()
        };
        assert_eq!(rows("one two three", 8), ["one two", "three"]);
        assert_eq!(rows("one two  three", 7), ["one two", " three"]);
        assert_eq!(rows("abcdefghij", 4), ["abcd", "efgh", "ij"]);
        assert_eq!(rows("漢字漢字", 5), ["漢字", "漢字"]);
        assert_eq!(rows("", 5), [""]);
        assert_eq!(rows("漢", 1), ["漢"]);
    }

    #[test]
    fn truncation_never_exceeds_its_columns() {
        assert_eq!(truncate("hello", 5), "hello");
        assert_eq!(truncate("hello", 4), "hel…");
        assert_eq!(truncate("漢字漢", 4), "漢…");
        assert_eq!(truncate("x y", 0), "");
    }

    #[test]
    fn tabs_go_to_the_next_stop() {
        assert_eq!(expand_tabs("\ta\tb"), "    a   b");
    }
}
