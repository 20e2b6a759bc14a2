//! Code in colours.

use std::cell::RefCell;
use std::collections::HashMap;
use std::ops::Range;
use std::path::Path;
use std::rc::Rc;

use ratatui::style::Style;
use ratatui::text::Span;

use crate::code::Language;
use crate::code::highlight::{Token, highlight};
use crate::tui::theme::Theme;

/// Texts whose colours are kept: what is on the screen is drawn many times a second.
const KEPT: usize = 64;

type Stretches = Rc<Vec<(Range<usize>, Token)>>;

/// The language of a code block by what stands behind its fence: a name, `name,attributes`, or a file.
pub fn language_of(info: &str) -> Option<&'static Language> {
    let name = info.split([' ', ',', '{', ':', '\t']).next().unwrap_or_default();
    Language::named(name).or_else(|| Language::of(Path::new(name)))
}

/// The lines of `code` as spans, in `base` where they are nothing in particular. What follows the last line's end is still being
/// written: it has no colours yet.
pub fn lines(code: &str, language: &'static Language, base: Style, theme: &Theme) -> Vec<Vec<Span<'static>>> {
    let whole = code.rfind('\n').map_or(0, |at| at + 1);
    let stretches = kept(language, &code[..whole]);
    let mut left = stretches.iter().peekable();
    let mut start = 0;
    let mut lines = Vec::new();
    for line in code.split_inclusive('\n') {
        let range = start..start + line.trim_end_matches('\n').len();
        start += line.len();
        let mut spans = Vec::new();
        let mut at = range.start;
        while let Some((stretch, token)) = left.peek() {
            let (from, to) = (stretch.start.clamp(at, range.end), stretch.end.clamp(at, range.end));
            if from < to {
                spans.push(Span::styled(code[at..from].to_owned(), base));
                spans.push(Span::styled(code[from..to].to_owned(), base.patch(theme.token(*token))));
                at = to;
            }
            // One that goes on in the next line is looked at again there.
            if stretch.end > range.end {
                break;
            }
            left.next();
        }
        spans.push(Span::styled(code[at..range.end].to_owned(), base));
        spans.retain(|span| !span.content.is_empty());
        lines.push(spans);
    }
    lines
}

fn kept(language: &'static Language, code: &str) -> Stretches {
    thread_local!(static TEXTS: RefCell<HashMap<(&'static str, u64), Stretches>> = RefCell::default());
    let key = (language.name, xxhash_rust::xxh3::xxh3_64(code.as_bytes()));
    TEXTS.with_borrow_mut(|texts| {
        if let Some(found) = texts.get(&key) {
            return found.clone();
        }
        if texts.len() >= KEPT {
            texts.clear();
        }
        texts.entry(key).or_insert_with(|| Rc::new(highlight(language, code))).clone()
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tui::theme::Colour;

    fn of(code: &str) -> Vec<Vec<Span<'static>>> {
        lines(code, Language::named("rust").unwrap(), Style::new(), &Theme::new(Colour::On))
    }

    #[test]
    fn the_lines_are_the_text() {
        for code in ["", "\n", "fn f() {\n    /* a\n  b */ g(\"漢字\");\n\n}", "fn f() {}\nlet x", "\"a\nb\n\" 1\n"] {
            let text: Vec<String> =
                of(code).iter().map(|line| line.iter().map(|s| s.content.as_ref()).collect()).collect();
            let expected: Vec<&str> = code.split_inclusive('\n').map(|line| line.trim_end_matches('\n')).collect();
            assert_eq!(text, expected);
        }
    }

    #[test]
    fn a_comment_over_several_lines_has_its_colour_in_each() {
        let theme = Theme::new(Colour::On);
        for line in &of("/* a\n   b\n   c */\n") {
            assert!(line.iter().all(|span| span.style == theme.token(Token::Comment)), "{line:?}");
        }
    }

    #[test]
    fn fences_name_languages_in_many_ways() {
        for info in ["rust", "rs", "Rust", "rust,ignore", "rust title=x", "src/main.rs"] {
            assert_eq!(language_of(info).map(|language| language.name), Some("Rust"), "{info}");
        }
        assert!(language_of("").is_none() && language_of("text").is_none());
    }
}
