//! The marks that a wire form puts around names and arguments, matched with the tolerance that models need.

use super::grammar::quote;
use super::wait::Wait;

/// Stands in a mark for an identifier that differs from call to call.
pub(super) const ANY: char = '\u{1}';

/// Stands in the tag that closes an argument for the argument's name.
pub(super) const KEY: char = '\u{2}';

/// What a text has where a mark is looked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Match {
    No,
    /// The text ends inside of the mark.
    Partial,
    /// The mark, so many bytes long.
    Full(usize),
}

/// Matches `mark` at the start of `text`. White space in the mark stands for any, or none, and there may be some between two
/// tags; a number stands for any number.
pub(super) fn at(text: &str, mark: &str) -> Match {
    let mut rest = text;
    let mut mark = mark;
    let mut before = None;
    while let Some(c) = mark.chars().next() {
        mark = &mark[c.len_utf8()..];
        if (before, c) == (Some('>'), '<') {
            rest = rest.trim_start();
        }
        before = Some(c);
        if c.is_whitespace() {
            rest = rest.trim_start();
            continue;
        }
        if c == ANY || c.is_ascii_digit() {
            let belongs = |d: char| d.is_ascii_digit() || c == ANY && (d.is_ascii_alphanumeric() || "_-".contains(d));
            mark = if c == ANY { mark } else { mark.trim_start_matches(|d: char| d.is_ascii_digit()) };
            let behind = rest.trim_start_matches(belongs);
            match (behind.is_empty(), behind.len() == rest.len()) {
                (true, _) => return Match::Partial,
                (false, true) => return Match::No,
                (false, false) => rest = behind,
            }
            continue;
        }
        match rest.chars().next() {
            None => return Match::Partial,
            Some(d) if d == c => rest = &rest[c.len_utf8()..],
            Some(_) => return Match::No,
        }
    }
    Match::Full(text.len() - rest.len())
}

/// What a text that [`at`] takes for the mark ends with, to wait for.
pub(super) fn wait(mark: &str) -> Wait {
    let is_loose = |c: char| c.is_whitespace() || c.is_ascii_digit() || c == ANY;
    let end = mark.rsplit(is_loose).next().unwrap_or_default();
    // There may be white space between two tags.
    match end.split_inclusive('>').next_back() {
        Some(end) => Wait::text(end),
        None => Wait::Any,
    }
}

/// [`at`] behind the white space at the start of `text`; the length includes it.
pub(super) fn after_space(text: &str, mark: &str) -> Match {
    let trimmed = text.trim_start();
    match at(trimmed, mark) {
        Match::Full(len) => Match::Full(text.len() - trimmed.len() + len),
        Match::No if trimmed.is_empty() => Match::Partial,
        other => other,
    }
}

/// A mark without white space and numbers, for telling whether two marks are the same.
pub(super) fn essence(mark: &str) -> String {
    mark.chars().filter(|c| !c.is_whitespace() && !c.is_ascii_digit()).collect()
}

/// Whether a mark is one that no ordinary text has: control tokens of a vocabulary.
pub(super) fn is_control(mark: &str) -> bool {
    ["<|", "<｜", "|>", "｜>"].iter().any(|bracket| mark.contains(bracket))
}

/// The mark as part of a rule in Lark.
pub(super) fn lark(mark: &str) -> String {
    let mut parts = Vec::new();
    let mut literal = String::new();
    let mut chars = mark.chars().peekable();
    while let Some(c) = chars.next() {
        let pattern = match c {
            ANY => "/[A-Za-z0-9_-]+/",
            c if c.is_ascii_digit() => {
                while chars.next_if(char::is_ascii_digit).is_some() {}
                "/[0-9]+/"
            }
            c => {
                literal.push(c);
                continue;
            }
        };
        if !literal.is_empty() {
            parts.push(quote(&std::mem::take(&mut literal)));
        }
        parts.push(pattern.to_owned());
    }
    if !literal.is_empty() {
        parts.push(quote(&literal));
    }
    parts.join(" ")
}

/// The mark as a template that knows no identifiers writes it.
pub(super) fn plain(mark: &str) -> String {
    mark.replace(ANY, "call")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn white_space_and_numbers_are_matched_loosely() {
        for (text, mark, expected) in [
            ("<a>\n<b=x", "<a>\n<b=", Match::Full(7)),
            ("<a><b=x", "<a>\n<b=", Match::Full(6)),
            ("<a>\n\n", "<a>\n<b=", Match::Partial),
            ("<a>x", "<a>\n<b=", Match::No),
            ("<a>\n<b>", "<a><b>", Match::Full(7)),
            (":12<|", ":0<|", Match::Full(5)),
            (":1", ":0<|", Match::Partial),
            (":x<|", ":0<|", Match::No),
            ("[ID]a-1[A]", "[ID]\u{1}[A]", Match::Full(10)),
            ("", "", Match::Full(0)),
        ] {
            assert_eq!(at(text, mark), expected, "{text} {mark}");
        }
        assert_eq!(after_space(" \n<a>", "<a>"), Match::Full(5));
        assert_eq!(after_space(" \n", "<a>"), Match::Partial);
    }

    #[test]
    fn the_end_of_a_mark_is_waited_for() {
        for (mark, expected) in [("</a>", "</a>"), ("</a>\n</bc>", "</bc>"), ("</a></b>", "</b>"), ("x:0<|y", "<|y")] {
            assert_eq!(wait(mark), Wait::text(expected), "{mark}");
        }
        assert_eq!((wait("<a>0"), wait("")), (Wait::Any, Wait::Any));
    }

    #[test]
    fn a_mark_becomes_literals_and_patterns() {
        assert_eq!(lark(":0<|x"), r#"":" /[0-9]+/ "<|x""#);
        assert_eq!(lark(""), "");
    }
}
