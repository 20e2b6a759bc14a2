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

/// Each has the macros as its only group.
static PLACES: LazyLock<Vec<Regex>> = LazyLock::new(|| {
    let before_name = format!(r"\b(?:class|struct|union)\s+{MACROS}\w+\s*(?:final\s*)?[:{{<]");
    let behind_parameters = format!(r"\)\s*(?:(?:const|noexcept|override|final)\s+)*{MACROS}[{{:]");
    // What follows is a type and a name: were it the name alone, this would be the type.
    let words = "static|inline|friend|explicit|virtual|extern|constexpr";
    let before_type = format!(r"(?m)^[ \t]*(?:(?:{words})\s+)*{MACROS}[A-Za-z_][\w:<>,&* \t]*[\s&*]+[\w:~]+\(");
    let places = [before_name, behind_parameters, before_type];
    places.iter().filter_map(|form| Regex::new(form).ok()).collect()
});

/// The text with spaces in place of such macros, so that everything else stands where it stood.
pub(super) fn without_macros(text: &str) -> Cow<'_, str> {
    let found = PLACES.iter().flat_map(|place| place.captures_iter(text));
    let macros: Vec<Range<usize>> = found.filter_map(|captures| Some(captures.get(1)?.range())).collect();
    if macros.is_empty() {
        return text.into();
    }
    let mut bytes = text.as_bytes().to_vec();
    for range in macros {
        bytes[range].iter_mut().filter(|byte| !byte.is_ascii_whitespace()).for_each(|byte| *byte = b' ');
    }
    String::from_utf8(bytes).map_or(text.into(), Cow::Owned)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_macros_without_a_place_are_blanked() {
        let check = |text: &str, expected: &str| assert_eq!(without_macros(text), expected);
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
        ] {
            check(text, text);
        }
    }
}
