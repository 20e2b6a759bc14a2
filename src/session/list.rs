//! Lists of cases that know no end: a model that has begun one finds ever another line of the same shape. Pure: text in, text out.

/// Lines of one shape in a row that are too many, and how many of them are enough.
const LIST: usize = 24;
const ENOUGH: usize = 8;
/// What opens and ends a string in Python, the longer ones first.
const QUOTES: &[&str] = &["\"\"\"", "'''", "\"", "'"];

/// Whether the last whole lines have one shape: what is left of each without words, numbers and what stands in quotes.
pub(super) fn ends_in_list(text: &str) -> bool {
    list(text) >= LIST
}

/// How many of the last whole lines have one shape.
fn list(text: &str) -> usize {
    let whole = text.rfind('\n').map_or("", |end| &text[..end]);
    let mut shapes = whole.lines().rev().map(shape);
    let Some(last) = shapes.next().filter(|shape| !shape.trim().is_empty()) else { return 0 };
    1 + shapes.take_while(|shape| *shape == last).count()
}

/// A text that ended in a list, with as much of it as is enough.
pub(super) fn shortened(text: &str) -> String {
    let whole = text.matches('\n').count();
    let kept = (whole + ENOUGH).saturating_sub(list(text).max(ENOUGH));
    text.split_inclusive('\n').take(kept).collect()
}

/// What closes the brackets that are open behind a Python text, indented as the line that opened the first of them; empty where
/// none is, or a string is too.
pub(super) fn closing(text: &str) -> String {
    let (mut open, mut quote): (Vec<(usize, char)>, Option<&str>) = (Vec::new(), None);
    let mut at = 0;
    while let Some(c) = text[at..].chars().next() {
        let rest = &text[at..];
        at += match (quote, c) {
            (Some(_), '\\') => 1 + rest[1..].chars().next().map_or(0, char::len_utf8),
            (Some(end), _) if rest.starts_with(end) => {
                quote = None;
                end.len()
            }
            (Some(_), _) => c.len_utf8(),
            (None, '#') => rest.find('\n').unwrap_or(rest.len()),
            (None, '(' | '[' | '{') => {
                open.push((at, c));
                1
            }
            (None, ')' | ']' | '}') => {
                open.pop();
                1
            }
            (None, _) => {
                quote = QUOTES.iter().find(|mark| rest.starts_with(**mark)).copied();
                quote.map_or(c.len_utf8(), str::len)
            }
        };
    }
    // What would close a string is not known.
    let Some(&(first, _)) = open.first().filter(|_| quote.is_none()) else { return String::new() };
    let line = &text[text[..first].rfind('\n').map_or(0, |end| end + 1)..];
    let indentation = line.chars().take_while(|c| [' ', '\t'].contains(c));
    let ends = open.iter().rev().map(|(_, c)| match c {
        '(' => ')',
        '[' => ']',
        _ => '}',
    });
    indentation.chain(ends).chain(['\n']).collect()
}

fn shape(line: &str) -> String {
    let mut quote = None;
    let is_shape = |&c: &char| match quote {
        Some(open) if c == open => quote.take().is_some(),
        Some(_) => false,
        None => {
            quote = Some(c).filter(|c| ['"', '\''].contains(c));
            !c.is_alphanumeric()
        }
    };
    line.chars().filter(is_shape).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cases_without_end_are_a_list() {
        let cases = |count: usize| -> String {
            (0..count).map(|n| format!("    assert f(\"it's {n}\", {n}) == {}\n", n % 2 == 0)).collect()
        };
        assert!(!ends_in_list(&cases(LIST - 1)));
        assert!(ends_in_list(&cases(LIST)));
        // The last line is not whole yet.
        assert!(ends_in_list(&(cases(LIST) + "    assert f(\"")));
        assert!(!ends_in_list(&(cases(LIST) + "\n\n")));
        assert!(!ends_in_list(&(cases(LIST - 2) + "\n\ndef test_other():\n    x = 1\n" + &cases(3))));
        assert!(!ends_in_list(&"\n".repeat(40)));
        assert_eq!(shortened(&format!("def f():\n{}    assert f(", cases(30))), format!("def f():\n{}", cases(ENOUGH)));
    }

    #[test]
    fn what_is_open_is_closed() {
        let check = |text: &str, closed: &str| assert_eq!(closing(text), closed, "{text}");
        check("def f(a):\n    return [a]\n", "");
        check("    @cases(\"a\", [\n        (1, \"(\"),\n", "    ])\n");
        check("x = {\n    'it\\'s': \"\"\"[\"\"\",  # {\n    (2,\n", ")}\n");
        check("é = ['é\\é', (", ")]\n");
        check(")]", "");
        check("parse(\"\"\"\n1, 2\n", "");
    }
}
