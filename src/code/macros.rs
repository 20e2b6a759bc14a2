//! Macros of C and C++ that stand where the grammar has no place for them: `class EXPORT Name {`, `void f() LOCKED(m) {`,
//! `API_CALL int f() {`. The preprocessor would have put something else there, often nothing; the parser takes them for names,
//! and loses the class or function.

use std::borrow::Cow;
use std::ops::Range;
use std::sync::LazyLock;

use regex::Regex;

/// A name that is a macro's by custom, with arguments of one line, perhaps, and a few more of the same: were it any number, a long
/// list of such names would be looked through from each of them.
const MACROS: &str = r"((?:(?:[A-Z][A-Z0-9]*_[A-Z0-9_]+|[A-Z]{4,})(?:\((?:[^()\n]|\([^()\n]*\))*\))?\s+){1,4})";

/// Whether a place is one, by what stands before the match on its line, by the match and by the macros' place in it.
type IsOne = fn(before: &str, found: &str, macros: Range<usize>) -> bool;

/// A place where macros may stand.
struct Place {
    /// Has the macros as its only group.
    form: Regex,
    is_one: IsOne,
}

static PLACES: LazyLock<Vec<Place>> = LazyLock::new(|| {
    let before_name = format!(r"\b(?:class|struct|union)\s+{MACROS}\w+\s*(?:final\s*)?[:{{<]");
    let behind_parameters = format!(r"\)\s*(?:(?:const|noexcept|override|final)\s+)*{MACROS}[{{:]");
    // What follows is a type and a name: were it the name alone, this would be the type.
    let words = "static|inline|friend|explicit|virtual|extern|constexpr";
    let before_type = format!(r"(?m)^[ \t]*(?:(?:{words})\s+)*{MACROS}[A-Za-z_][\w:<>,&* \t]*[\s&*]+[\w:~]+\(");
    let places: [(String, IsOne); 3] = [
        // Not a parameter or a loop's variable.
        (before_name, |before, _, _| !before.contains('(')),
        // Not behind a remark or a directive, nor what itself defines something at the beginning of a line (`TEST(a, b) {`).
        (behind_parameters, |before, found, macros| {
            !before.contains("//")
                && !before.trim_start().starts_with(['#', '*'])
                && !found[..macros.start].ends_with('\n')
        }),
        // Not the type itself.
        (before_type, |_, found, macros| {
            !["const", "volatile"].iter().any(|word| found[macros.end..].starts_with(word))
        }),
    ];
    let place = |(form, is_one): (String, _)| Some(Place { form: Regex::new(&form).ok()?, is_one });
    places.into_iter().filter_map(place).collect()
});

/// The text with spaces in place of its [`macros`], so that everything else stands where it stood.
pub(super) fn without<'t>(text: &'t str, macros: &[Range<usize>]) -> Cow<'t, str> {
    if macros.is_empty() {
        return text.into();
    }
    let mut bytes = text.as_bytes().to_vec();
    for range in macros {
        bytes[range.clone()].iter_mut().filter(|byte| !byte.is_ascii_whitespace()).for_each(|byte| *byte = b' ');
    }
    String::from_utf8(bytes).map_or(text.into(), Cow::Owned)
}

/// The texts of its [`macros`], each with its row.
pub(super) fn uses<'t>(text: &'t str, macros: &[Range<usize>]) -> Vec<(usize, &'t str)> {
    let (mut row, mut counted) = (0, 0);
    let line_of = |range: &Range<usize>| {
        row += text[counted..range.start].matches('\n').count();
        counted = range.start;
        (row, &text[range.clone()])
    };
    macros.iter().map(line_of).collect()
}

/// Where such macros stand in a text, in its order.
pub(super) fn macros(text: &str) -> Vec<Range<usize>> {
    let mut found = Vec::new();
    for Place { form, is_one } in &*PLACES {
        for captures in form.captures_iter(text) {
            let (Some(whole), Some(macros)) = (captures.get(0), captures.get(1)) else { continue };
            let line = text[..whole.start()].rfind('\n').map_or(0, |at| at + 1);
            let inside = macros.start() - whole.start()..macros.end() - whole.start();
            if is_one(&text[line..whole.start()], whole.as_str(), inside) {
                found.push(macros.range());
            }
        }
    }
    found.sort_by_key(|range| range.start);
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_macros_without_a_place_are_blanked() {
        let check = |text: &str, expected: &str| assert_eq!(without(text, &macros(text)), expected);
        check("class MY_EXPORT Shape : Base {", "class           Shape : Base {");
        check("struct ATTR(packed, (1)) EXPORTED Two\n{", "struct                            Two\n{");
        check("void f() const LOCKS_EXCLUDED(mu_) {", "void f() const                     {");
        check("void f()\n    NO_THREADS\n{", "void f()\n              \n{");
        check("API_CALL int f(void) {", "         int f(void) {");
        check("  static FORCE_INLINE Some<A>\n  A::f(", "  static              Some<A>\n  A::f(");
        for text in [
            "struct FOO_T x;",
            "class Shape {",
            "int f(FOO_T x) {",
            "FOO_T f() {",
            "class ÄÖÜ_Ä Ä {",
            "if (x) FOO_BAR(y);",
            "#define FOO_BAR int f(",
            "#define F(x) g(x)\nTEST_F(A, B) {",
            "#if defined(X)\n  TEST_F(A, B) {",
            "f(); // see g()\n  TEST_F(A, B) {",
            "REGISTER(f)\nTEST_F(A, B) {",
            "for (const struct LIST_NODE node : nodes)",
            "MY_ENUM const& C::get() const {",
        ] {
            check(text, text);
        }
    }

    #[test]
    fn macros_are_found_with_their_rows() {
        let text = "struct A {\n  void f() GUARDED_BY(mu_) {\n  }\n};\nclass MY_API B {};\n";
        assert_eq!(uses(text, &macros(text)), [(1, "GUARDED_BY(mu_) "), (4, "MY_API ")]);
    }
}
