//! Markdown as lines of a screen: wrapped with hanging indents, headings in bold, code set off, tables aligned.
//!
//! An answer grows while it is read. Top-level blocks do not change once another has begun after a blank line, so [`render`]
//! says where the last such one begins, and only from there on is rendered again.

use pulldown_cmark::{CodeBlockKind, Event, HeadingLevel, Options, Parser, Tag, TagEnd};
use ratatui::style::{Modifier, Style};
use ratatui::text::{Line, Span};

use super::code;
use super::table::Table;
use crate::code::Language;
use crate::tui::text::{self, Break};
use crate::tui::theme::Theme;

/// Rendered Markdown.
pub struct Rendering {
    pub lines: Vec<Line<'static>>,
    pub last: LastBlock,
}

/// Where the last top-level block that follows a blank line begins.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct LastBlock {
    /// In the source.
    pub byte: usize,
    /// In the lines.
    pub line: usize,
}

/// What stands before the first block.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Follows {
    Nothing,
    /// Other blocks, so that a blank line comes first.
    Blocks,
}

/// Renders `source` (cleaned already) into lines of at most `columns`, each after two spaces.
pub fn render(source: &str, columns: usize, follows: Follows, theme: &Theme) -> Rendering {
    let options = Options::ENABLE_TABLES | Options::ENABLE_STRIKETHROUGH | Options::ENABLE_TASKLISTS;
    let mut renderer = Renderer::new(columns, follows, theme);
    let mut depth = 0usize;
    let mut last = LastBlock::default();
    for (event, range) in Parser::new_ext(source, options).into_offset_iter() {
        if depth == 0 && !matches!(event, Event::End(_)) {
            // From the line's start: indentation belongs to a list's meaning.
            let byte = source[..range.start].rfind('\n').map_or(0, |at| at + 1);
            // Without a blank line between them, what is written next may still belong to the block before (a table's row).
            if source[..byte].lines().next_back().is_none_or(|line| line.trim().is_empty()) {
                last = LastBlock { byte, line: renderer.lines.len() };
            }
        }
        match &event {
            Event::Start(_) => depth += 1,
            Event::End(_) => depth = depth.saturating_sub(1),
            _ => {}
        }
        renderer.event(event);
    }
    renderer.flush();
    Rendering { lines: renderer.lines, last }
}

struct Renderer<'t> {
    theme: &'t Theme,
    columns: usize,
    lines: Vec<Line<'static>>,
    /// What stands before each line, outermost first.
    levels: Vec<Level>,
    styles: Vec<Style>,
    /// Text of the running paragraph.
    inline: Vec<Span<'static>>,
    /// A blank line is due before the next block.
    gap: bool,
    lists: Vec<Option<u64>>,
    /// The code block under way.
    code: Option<Code>,
    table: Option<Table>,
    link: Option<(String, usize)>,
}

/// A block of code.
struct Code {
    language: Option<&'static Language>,
    text: String,
}

/// One level of nesting: what it writes before its first line, and before the others.
struct Level {
    first: Option<Span<'static>>,
    rest: Span<'static>,
}

impl<'t> Renderer<'t> {
    fn new(columns: usize, follows: Follows, theme: &'t Theme) -> Self {
        Self {
            theme,
            columns,
            lines: Vec::new(),
            levels: vec![Level { first: None, rest: Span::raw("  ") }],
            styles: vec![theme.text],
            inline: Vec::new(),
            gap: follows == Follows::Blocks,
            lists: Vec::new(),
            code: None,
            table: None,
            link: None,
        }
    }

    fn event(&mut self, event: Event<'_>) {
        match event {
            Event::Start(tag) => self.start(tag),
            Event::End(tag) => self.end(tag),
            Event::Text(text) => match &mut self.code {
                Some(code) => code.text.push_str(&text),
                None => self.text(&text, self.style()),
            },
            Event::Code(code) => self.text(&code, self.style().patch(self.theme.code)),
            Event::Html(html) | Event::InlineHtml(html) => self.html(&html),
            Event::SoftBreak => self.text(" ", self.style()),
            Event::HardBreak => self.flush(),
            Event::Rule => {
                self.begin();
                self.inline.push(Span::styled("─".repeat(self.columns.min(24)), self.theme.dim));
                self.close();
            }
            Event::TaskListMarker(done) => self.text(if done { "[x] " } else { "[ ] " }, self.style()),
            Event::FootnoteReference(name) => self.text(&format!("[^{name}]"), self.theme.dim),
            Event::InlineMath(math) | Event::DisplayMath(math) => self.text(&math, self.theme.code),
        }
    }

    fn start(&mut self, tag: Tag<'_>) {
        match tag {
            Tag::Paragraph | Tag::HtmlBlock => self.begin(),
            Tag::Heading { level, .. } => {
                self.begin();
                let underlined = if level == HeadingLevel::H1 { Modifier::UNDERLINED } else { Modifier::empty() };
                self.push_style(self.theme.heading.add_modifier(underlined));
            }
            Tag::BlockQuote(_) => {
                self.begin();
                self.levels.push(Level { first: None, rest: Span::styled("▏ ", self.theme.dim) });
                self.push_style(self.theme.dim);
            }
            Tag::CodeBlock(kind) => {
                self.begin();
                let language = if let CodeBlockKind::Fenced(info) = kind { code::language_of(&info) } else { None };
                self.code = Some(Code { language, text: String::new() });
            }
            Tag::List(start) => {
                // A list in an item follows its text at once.
                if self.lists.is_empty() {
                    self.begin();
                } else {
                    self.flush();
                }
                self.lists.push(start);
            }
            Tag::Item => self.item(),
            Tag::Table(alignments) => {
                self.begin();
                self.table = Some(Table::new(alignments));
            }
            Tag::Emphasis => self.push_style(Style::new().add_modifier(Modifier::ITALIC)),
            Tag::Strong => self.push_style(self.theme.bold),
            Tag::Strikethrough => self.push_style(Style::new().add_modifier(Modifier::CROSSED_OUT)),
            Tag::Link { dest_url, .. } | Tag::Image { dest_url, .. } => {
                self.link = Some((dest_url.to_string(), self.inline.len()));
                self.push_style(self.theme.link);
            }
            _ => {}
        }
    }

    fn end(&mut self, tag: TagEnd) {
        match tag {
            TagEnd::Paragraph | TagEnd::HtmlBlock => self.close(),
            TagEnd::Heading(_) => {
                self.close();
                self.styles.pop();
            }
            TagEnd::BlockQuote(_) => {
                self.close();
                self.styles.pop();
                self.levels.pop();
            }
            TagEnd::CodeBlock => self.code_block(),
            TagEnd::List(_) => {
                self.flush();
                self.lists.pop();
                self.gap |= self.lists.is_empty();
            }
            TagEnd::Item => {
                self.flush_item();
                self.levels.pop();
            }
            TagEnd::Table => {
                if let Some(table) = self.table.take() {
                    let room = self.columns.saturating_sub(self.prefix_width());
                    for row in table.render(room, self.theme) {
                        let mut line = self.prefix();
                        line.extend(row);
                        self.lines.push(Line::from(line));
                    }
                }
                self.gap = true;
            }
            TagEnd::TableHead | TagEnd::TableRow => {
                if let Some(table) = &mut self.table {
                    table.end_row();
                }
            }
            TagEnd::TableCell => {
                let cell = std::mem::take(&mut self.inline);
                if let Some(table) = &mut self.table {
                    table.cell(cell);
                }
            }
            TagEnd::Link | TagEnd::Image => self.end_link(),
            TagEnd::Emphasis | TagEnd::Strong | TagEnd::Strikethrough => drop(self.styles.pop()),
            _ => {}
        }
    }

    fn item(&mut self) {
        self.flush();
        self.blank_if_due();
        let marker = match self.lists.last_mut() {
            Some(Some(number)) => {
                let marker = format!("{number}. ");
                *number += 1;
                marker
            }
            _ => "• ".to_owned(),
        };
        let rest = Span::raw(" ".repeat(text::width(&marker)));
        self.levels.push(Level { first: Some(Span::styled(marker, self.theme.dim)), rest });
    }

    /// An item without text still shows its marker.
    fn flush_item(&mut self) {
        if self.levels.last().is_some_and(|level| level.first.is_some()) && self.inline.is_empty() {
            self.inline.push(Span::raw(""));
        }
        self.flush();
    }

    fn code_block(&mut self) {
        let Some(Code { language, text }) = self.code.take() else { return };
        let text: String = text.split_inclusive('\n').map(text::expand_tabs).collect();
        let end = if text.ends_with('\n') { text.trim_end_matches('\n').len() + 1 } else { text.len() };
        let lines = match language {
            _ if text[..end].trim().is_empty() => vec![Vec::new()],
            Some(language) => code::lines(&text[..end], language, self.theme.text, self.theme),
            None => text[..end].lines().map(|line| vec![Span::styled(line.to_owned(), self.theme.code)]).collect(),
        };
        for line in lines {
            let mut first = self.prefix();
            first.push(Span::raw("  "));
            let mut rest = self.prefix();
            rest.push(Span::raw("  "));
            self.lines.extend(text::hang(&line, self.columns, Break::Anywhere, &first, &rest));
        }
        self.gap = true;
    }

    fn html(&mut self, html: &str) {
        for (i, line) in html.trim_end_matches('\n').split('\n').enumerate() {
            if i > 0 {
                self.flush();
            }
            self.text(line, self.style());
        }
        if html.ends_with('\n') {
            self.flush();
        }
    }

    fn end_link(&mut self) {
        self.styles.pop();
        let Some((url, from)) = self.link.take() else { return };
        let shown: String = self.inline.iter().skip(from).map(|span| span.content.as_ref()).collect();
        if shown != url && !url.is_empty() {
            self.text(&format!(" ({url})"), self.theme.dim);
        }
    }

    fn text(&mut self, text: &str, style: Style) {
        self.inline.push(Span::styled(text.replace('\n', " "), style));
    }

    fn style(&self) -> Style {
        self.styles.last().copied().unwrap_or_default()
    }

    fn push_style(&mut self, style: Style) {
        self.styles.push(self.style().patch(style));
    }

    /// A block begins.
    fn begin(&mut self) {
        self.flush();
        self.blank_if_due();
    }

    /// A block is over.
    fn close(&mut self) {
        self.flush();
        self.gap = true;
    }

    fn blank_if_due(&mut self) {
        // Not between a list's marker and what it marks.
        let marked = self.levels.last().is_some_and(|level| level.first.is_some());
        if std::mem::take(&mut self.gap) && !marked {
            let quoted = self.levels.iter().any(|level| level.rest.content.contains('▏'));
            let line = if quoted { self.levels.iter().map(|level| level.rest.clone()).collect() } else { Vec::new() };
            self.lines.push(Line::from(line));
        }
    }

    /// What stands before the next line; markers are written once.
    fn prefix(&mut self) -> Vec<Span<'static>> {
        self.levels.iter_mut().map(|level| level.first.take().unwrap_or_else(|| level.rest.clone())).collect()
    }

    fn prefix_width(&self) -> usize {
        self.levels.iter().map(|level| text::width(&level.rest.content)).sum()
    }

    /// Writes the running text out.
    fn flush(&mut self) {
        if self.inline.is_empty() {
            return;
        }
        let inline = std::mem::take(&mut self.inline);
        let first = self.prefix();
        let rest = self.prefix();
        self.lines.extend(text::hang(&inline, self.columns, Break::Words, &first, &rest));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tui::theme::Colour;

    fn plain(source: &str, columns: usize) -> String {
        let rendering = render(source, columns, Follows::Nothing, &Theme::new(Colour::Off));
        rendering.lines.iter().map(|line| line.to_string().trim_end().to_owned() + "\n").collect()
    }

    #[test]
    fn blocks_are_set_apart_and_lists_hang() {
        insta::assert_snapshot!(plain(
            "# Title\nA paragraph with `code` and **bold** words that wraps.\n\n- one\n- two is long enough to wrap over\n  1. nested\n  2. again\n\n```rust\nfn main() {\n\tx();\n\n}\n```\n> quoted\n> on\n\n> > deeper\n\n---\n[name](https://a.b) and <https://c.d>\n- [x] done\n\n  more",
            34
        ));
    }

    #[test]
    fn tables_are_aligned_and_narrow_ones_wrap() {
        let source =
            "| name | what it is | n |\n|---|---|--:|\n| a | the first of them all | 1 |\n| 漢字 | `x` | 12 |\n";
        insta::assert_snapshot!(format!("{}\n{}\n{}", plain(source, 60), plain(source, 26), plain(source, 8)));
    }

    #[test]
    fn an_answer_rendered_as_it_grows_is_the_answer_rendered_whole() {
        let source = "# A\n\ntext *one*\ntwo\n\n  - a\n  - b\n\n    para\n\n  - c\n\n```sh\nls\n\nls\n```\n\n| a | b |\n|---|---|\n| 1 | 2 |\n\n1. x\n2. y\n\nend";
        let theme = Theme::new(Colour::Off);
        let whole = render(source, 30, Follows::Nothing, &theme).lines;
        let (mut lines, mut last) = (Vec::new(), LastBlock::default());
        for end in (1..=source.len()).filter(|&end| source.is_char_boundary(end)) {
            lines.truncate(last.line);
            let follows = if lines.is_empty() { Follows::Nothing } else { Follows::Blocks };
            let tail = render(&source[last.byte..end], 30, follows, &theme);
            last = LastBlock { byte: last.byte + tail.last.byte, line: last.line + tail.last.line };
            lines.extend(tail.lines);
        }
        assert_eq!(lines, whole);
    }
}
