//! One block of the conversation as lines: a sign at the left edge, its text after two columns.

use std::time::Duration;

use ratatui::style::Style;
use ratatui::text::{Line, Span};

use super::conversation::Look;
use super::markdown::{self, Follows, LastBlock};
use super::{diff, spinner};
use crate::session::{Change, Outcome, Part};
use crate::tui::app::Details;
use crate::tui::text::{self, Break};
use crate::tui::theme::Theme;
use crate::tui::transcript::{Block, Entry, Reasoning, State, Tool};

/// Sentences are not set wider than this: long lines are hard to read.
const MEASURE: usize = 100;
/// Lines of a message or a diff that are shown folded.
const FOLD: usize = 24;
/// Last lines of a failed check, and of a file that is being written, that are shown folded.
const TAIL: usize = 6;

/// What was drawn of a block, and for which look.
#[derive(Default)]
pub struct Rendered {
    look: Option<(u16, Details)>,
    /// The block has grown since.
    behind: bool,
    /// When.
    at: Duration,
    lines: Vec<Line<'static>>,
    /// Of an answer: what need not be rendered again.
    last: LastBlock,
}

impl Rendered {
    /// The block has changed.
    pub fn stale(&mut self) {
        *self = Self::default();
    }

    /// Text was added at the block's end.
    pub fn grown(&mut self) {
        self.behind = true;
    }
}

/// The block's lines, rendered anew only where something has changed.
pub fn lines<'e>(entry: &'e mut Entry, look: &Look<'_>) -> &'e [Line<'static>] {
    let Entry { block, rendered } = entry;
    let key = (look.columns, look.details);
    let same = rendered.look == Some(key);
    if !same || rendered.behind || (moves(block) && rendered.at != look.now) {
        match block {
            Block::Answer(source) if same => answer_on(source, rendered, look),
            Block::Answer(source) => answer(source, rendered, look),
            block => rendered.lines = render(block, look),
        }
        rendered.look = Some(key);
        rendered.behind = false;
        rendered.at = look.now;
    }
    &rendered.lines
}

/// The block shows a spinner or a clock.
fn moves(block: &Block) -> bool {
    match block {
        Block::Tool(tool) => tool.state == State::Running,
        Block::Draft(_) => true,
        Block::Reasoning(reasoning) => reasoning.took.is_none(),
        _ => false,
    }
}

fn answer(source: &str, rendered: &mut Rendered, look: &Look<'_>) {
    rendered.lines.clear();
    rendered.last = LastBlock::default();
    answer_on(source, rendered, look);
}

/// Renders an answer from its last block on.
fn answer_on(source: &str, rendered: &mut Rendered, look: &Look<'_>) {
    let LastBlock { byte, line } = rendered.last;
    rendered.lines.truncate(line);
    let follows = if line == 0 { Follows::Nothing } else { Follows::Blocks };
    let tail = markdown::render(source.get(byte..).unwrap_or_default(), measure(look), follows, look.theme);
    rendered.last = LastBlock { byte: byte + tail.last.byte, line: line + tail.last.line };
    rendered.lines.extend(tail.lines);
}

fn render(block: &Block, look: &Look<'_>) -> Vec<Line<'static>> {
    let theme = look.theme;
    match block {
        // Answers are rendered piece by piece, by `lines`.
        Block::Answer(_) => Vec::new(),
        Block::User(text) => user(text, look),
        Block::Reasoning(reasoning) => thought(reasoning, look),
        Block::Draft(text) => draft(text, look),
        Block::Tool(tool) => call(tool, look),
        Block::Changed { title, diff } => {
            let mut lines = vec![heading("±", theme.accent, title, &diff::counts(diff), look)];
            lines.extend(folded(diff_lines(diff, look), FOLD, look));
            lines
        }
        Block::Check { command, passed, output, seconds } => check(command, *passed, output, *seconds, look),
        Block::Notice(text) => paragraph("·", theme.dim, &text::visible(text), theme.dim, look),
        Block::Window { opening, parts, used, context } => window(*opening, parts, *used, *context, look),
        Block::Failure(text) => paragraph("!", theme.bad, &text::visible(text), theme.text, look),
        Block::Report { outcome, report, seconds } => {
            let (sign, style, word) = match outcome {
                Outcome::Done => ("—", theme.dim, ""),
                Outcome::NotDone => ("!", theme.warning, "not done · "),
                Outcome::Interrupted => ("!", theme.warning, "interrupted · "),
            };
            let text = format!("{word}{} · {}", text::visible(report), text::seconds(*seconds));
            paragraph(sign, style, &text, theme.dim, look)
        }
    }
}

/// What stands in the context, a line a message.
fn window(opening: usize, parts: &[Part], used: usize, context: usize, look: &Look<'_>) -> Vec<Line<'static>> {
    let theme = look.theme;
    let names = parts.iter().map(|part| text::width(&part.what)).max().unwrap_or(0);
    let row = |number: &str, tokens: usize, what: &str, begins: &str| {
        let tokens = Span::raw(format!("{:>7}  ", text::tokens(tokens)));
        let head = [Span::styled(format!("  {number:>3}"), theme.accent), tokens];
        let room = measure(look).saturating_sub(head.iter().map(|span| text::width(&span.content)).sum());
        let begins = text::truncate(&text::visible(begins), room.saturating_sub(names + 2));
        let tail = [Span::raw(format!("{what:<names$}  ")), Span::styled(begins, theme.dim)];
        Line::from(head.into_iter().chain(tail).collect::<Vec<_>>())
    };
    let title = format!("the context holds {} of {} tokens", text::tokens(used), text::tokens(context));
    let mut lines = paragraph("·", theme.dim, &title, theme.text, look);
    lines.push(row("", opening, "the system prompt and the tools", ""));
    lines.extend(
        parts.iter().map(|part| row(&part.number.to_string(), part.tokens, &text::visible(&part.what), &part.begins)),
    );
    lines
}

fn user(text: &str, look: &Look<'_>) -> Vec<Line<'static>> {
    let text = text::visible(text.trim_end());
    let theme = look.theme;
    let mut lines = Vec::new();
    for (i, line) in text.split('\n').enumerate() {
        let first = if i == 0 { Span::styled("› ", theme.accent) } else { Span::raw("  ") };
        lines.extend(text::hang(
            &[Span::styled(line.to_owned(), theme.bold)],
            measure(look),
            Break::Words,
            &[first],
            &[Span::raw("  ")],
        ));
    }
    folded(lines, FOLD / 2, look)
}

fn thought(reasoning: &Reasoning, look: &Look<'_>) -> Vec<Line<'static>> {
    let theme = look.theme;
    let (sign, title) = match reasoning.took {
        Some(took) if took.is_zero() => ("∴", "thought".to_owned()),
        Some(took) => ("∴", format!("thought for {}", text::seconds(took.as_secs_f64()))),
        None => (spinner(look.now), "thinking".to_owned()),
    };
    let mut lines = vec![Line::styled(format!("{sign} {title}"), theme.dim)];
    if look.details == Details::Unfolded {
        lines.extend(plain(&text::visible(reasoning.text.trim()), theme.dim, Break::Words, look));
    }
    lines
}

fn draft(text: &str, look: &Look<'_>) -> Vec<Line<'static>> {
    let written = text::plural(text.lines().count(), "lines");
    let mut lines = vec![heading(look.spinner(), look.theme.accent, "writing", &written, look)];
    let text = text.trim_end();
    let shown = match look.details {
        Details::Folded => text.rmatch_indices('\n').nth(TAIL - 1).map_or(text, |(at, _)| &text[at + 1..]),
        Details::Unfolded => text,
    };
    lines.extend(plain(&text::output(shown), look.theme.dim, Break::Anywhere, look));
    lines
}

fn call(tool: &Tool, look: &Look<'_>) -> Vec<Line<'static>> {
    let theme = look.theme;
    let (sign, style) = match &tool.state {
        State::Running => (look.spinner(), theme.accent),
        State::Asked => ("?", theme.warning),
        State::Done => ("✓", theme.good),
        State::Failed => ("✗", theme.bad),
        State::Refused(_) | State::Interrupted => ("✗", theme.warning),
    };
    let mut result = tool.result();
    let running = look.now.saturating_sub(tool.began).as_secs();
    if tool.state == State::Running && running > 0 {
        result = text::whole_seconds(running);
    }
    let mut lines = vec![heading(sign, style, &tool.summary, &result, look)];
    if let Some(edit) = &tool.edit
        && (edit.change == Change::Edit || look.details == Details::Unfolded)
    {
        lines.extend(folded(diff_lines(&edit.diff, look), FOLD, look));
    }
    if look.details == Details::Unfolded {
        lines.extend(plain(&text::output(tool.output.trim_end()), theme.dim, Break::Anywhere, look));
    }
    lines
}

fn check(command: &str, passed: bool, output: &str, seconds: f64, look: &Look<'_>) -> Vec<Line<'static>> {
    let theme = look.theme;
    let (sign, style, word) = if passed { ("✓", theme.good, "passed") } else { ("✗", theme.bad, "failed") };
    let result = format!("{word} · {}", text::seconds(seconds));
    let mut lines = vec![heading(sign, style, &format!("check {command}"), &result, look)];
    let output = plain(&text::output(output.trim_end()), theme.dim, Break::Anywhere, look);
    match look.details {
        Details::Unfolded => lines.extend(output),
        // A failure's reason stands at the end of what a checker prints.
        Details::Folded if !passed => {
            let hidden = output.len().saturating_sub(TAIL);
            if hidden > 0 {
                lines.push(more(&format!("{} above", text::plural(hidden, "lines")), theme));
            }
            lines.extend(output.into_iter().skip(hidden));
        }
        Details::Folded => {}
    }
    lines
}

/// One line: sign, what it is, and dimmed what came of it.
fn heading(sign: &str, style: Style, what: &str, result: &str, look: &Look<'_>) -> Line<'static> {
    let theme = look.theme;
    let room = usize::from(look.columns).saturating_sub(3);
    let result = if result.is_empty() { String::new() } else { format!(" · {result}") };
    // What came of it matters more than the end of a long command.
    let result = text::truncate(&result, room.saturating_sub(12).max(room / 2));
    let what = text::truncate(&what.replace(['\n', '\t'], " "), room.saturating_sub(text::width(&result)));
    Line::from(vec![
        Span::styled(format!("{sign} "), style),
        Span::styled(what, theme.text),
        Span::styled(result, theme.dim),
    ])
}

fn paragraph(sign: &str, style: Style, text: &str, body: Style, look: &Look<'_>) -> Vec<Line<'static>> {
    let mut lines = Vec::new();
    for (i, line) in text.trim().split('\n').enumerate() {
        let first = if i == 0 { Span::styled(format!("{sign} "), style) } else { Span::raw("  ") };
        let spans = [Span::styled(line.to_owned(), body)];
        lines.extend(text::hang(&spans, measure(look), Break::Words, &[first], &[Span::raw("  ")]));
    }
    lines
}

/// Text as it is, after two columns; nothing where there is none.
fn plain(text: &str, style: Style, at: Break, look: &Look<'_>) -> Vec<Line<'static>> {
    let columns = match at {
        Break::Words => measure(look),
        Break::Anywhere => usize::from(look.columns).saturating_sub(1),
    };
    let indent = [Span::raw("  ")];
    let lines = text.split('\n').filter(|_| !text.is_empty());
    lines
        .flat_map(|line| text::hang(&[Span::styled(text::expand_tabs(line), style)], columns, at, &indent, &indent))
        .collect()
}

fn diff_lines(diff: &str, look: &Look<'_>) -> Vec<Line<'static>> {
    diff::render(diff, usize::from(look.columns).saturating_sub(1), 2, look.theme)
}

/// The first `limit` lines, and how many there are more; all of them where details are unfolded.
fn folded(mut lines: Vec<Line<'static>>, limit: usize, look: &Look<'_>) -> Vec<Line<'static>> {
    // A line that says "1 more line" could as well be that line.
    if look.details == Details::Folded && lines.len() > limit + 1 {
        let hidden = lines.len() - limit;
        lines.truncate(limit);
        lines.push(more(&format!("{hidden} more lines"), look.theme));
    }
    lines
}

fn more(what: &str, theme: &Theme) -> Line<'static> {
    Line::styled(format!("  … {what} · Ctrl+O unfolds"), theme.dim)
}

fn measure(look: &Look<'_>) -> usize {
    usize::from(look.columns).saturating_sub(1).min(MEASURE)
}
