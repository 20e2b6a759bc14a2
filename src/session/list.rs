//! Lists of cases that know no end: a model that has begun one finds ever another line of the same shape. Pure: text in, text out.

/// Lines of one shape in a row that are too many, and how many of them are enough.
const LIST: usize = 24;
const ENOUGH: usize = 8;

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
}
