use std::path::Path;

use proptest::prelude::*;

use super::*;

/// The parts of a text that are left out.
fn left_out<'t>(file: &str, text: &'t str) -> Vec<&'t str> {
    let rest = skim(Language::of(Path::new(file)).unwrap(), text).rest;
    rest.windows(2).map(|pair| text[pair[0].end_byte..pair[1].start_byte].trim()).collect()
}

#[test]
fn parts_without_definitions_are_left_out() {
    let body = "long_enough_to_be_left_out(); and_a_little_more_of_it();";
    for (file, text) in [
        (
            "a.rs",
            "impl A {\n    fn new<T>(a: [u8; 3], b: T) -> Vec<T>\n    where\n        T: Fn(u8) -> u8,\n    {\n        BODY\n    }\n}\n",
        ),
        (
            "a.rs",
            "mod tests {\n    #[test]\n    async fn one() {\n        let a = '{'; let b = \"}\"; let c: &'static str = r#\"\"}\"#; BODY /* } /* { */ */\n    }\n}\n",
        ),
        ("a.rs", "macro_rules! a {\n    ($b:ident) => {\n        fn $b() { BODY }\n    };\n}\n"),
        ("a.rs", "thread_local! {\n    static A: u8 = BODY\n}\n"),
        ("a.rs", "static A: &[B] = &[\n    BODY\n];\n"),
        ("a.c", "static const char *a[2] = {\n    BODY\n};\n"),
        ("a.go", "var a = []b{\n\tBODY\n}\n"),
        ("a.go", "func (a *A) One(b struct{ c int }) (interface{}, error) {\n\tfor {\n\t\tBODY\n\t}\n\t// }\n}\n"),
        ("a.go", "var one = func(a int) struct{ b int } {\n\ta := `\\`; BODY\n}\n"),
        ("a.c", "static int one(int (*a)(int), b_t b)\n{\n\tif (a) {\n\t\tBODY // '\n\t}\n\treturn '}';\n}\n"),
        (
            "a.cpp",
            "class A : public B<(1)> {\npublic:\n    A(int a,\n      int b) : a(a), b(b) {\n        BODY\n    }\n};\n",
        ),
        (
            "a.cpp",
            "namespace a {\nbool B::c(int d) const noexcept {\n    auto e = R\"x(})\")x\"; f(1'000, [&](int g) { BODY });\n}\n}\n",
        ),
    ] {
        let text = text.replace("BODY", body);
        let found = left_out(file, &text);
        assert_eq!(found.len(), 1, "{text}");
        assert!(found[0].contains(body), "{text}");
    }
}

#[test]
fn what_stands_around_a_definition_is_left_out() {
    let body = "long_enough_to_be_left_out(), and_a_little_more_of_it()";
    for (file, text) in [
        ("a.rs", "fn a() {\n    use b;\n    c!(BODY);\n    fn d() {\n        BODY\n    }\n}\n"),
        (
            "a.c",
            "int a(void) {\n#ifdef B\n    if (c) {\n        BODY;\n    }\n#endif\n    for (;;) {\n        BODY;\n    }\n}\n",
        ),
        (
            "a.cpp",
            "TEST_GROUP(A)\n{\n    void setup() {\n        BODY;\n    }\n    int *b(int c) const {\n        BODY;\n    }\n};\n",
        ),
        (
            "a.cpp",
            "#define N 1 /* (that\n  a list's may */\nstruct b *a(int c) {\n    BODY;\n}\nint d(void) {\n    BODY;\n}\n",
        ),
    ] {
        assert_eq!(left_out(file, &text.replace("BODY", body)).len(), 2, "{text}");
    }
}

#[test]
fn what_a_parser_has_to_see_is_left_to_it() {
    let body = "long_enough_to_be_left_out(); and_a_little_more_of_it();";
    for (file, text) in [
        ("a.rs", "fn a() {\n    const B: usize = 1; BODY\n}\n"),
        ("a.rs", "struct A {\n    b: fn(usize) -> Very<Long, Type>, c: Another<Quite, Long, Type>,\n}\n"),
        ("a.rs", "fn a();\nmod b {\n    BODY\n}\n"),
        ("a.rs", "#![allow(a, bc)]\nmod b {\n    BODY\n}\n"),
        ("a.go", "var a struct {\n\tBODY\n}\n"),
        ("a.go", "func a() {\n\ttype b struct{ c int }; BODY\n}\n"),
        ("a.go", "type A interface {\n\tb(c int) error; BODY\n}\n"),
        ("a.rs", "fn a() {\n    if !b {\n        use c; BODY\n    }\n}\n"),
        ("a.cpp", "void a() {\n    class B : public C<B> {\n        int d; BODY\n    };\n}\n"),
        ("a.cpp", "void a() {\n    struct alignas(16) B // of a, b\n    { int d; BODY };\n}\n"),
        ("a.cpp", "struct A : MIXIN(b) {\n    int c; BODY\n};\n"),
        ("a.cpp", "namespace std _VISIBLE(default)\n{\n    int c; BODY\n}\n"),
        ("a.c", "int a(void) {\n    struct b { int c; } d; BODY\n}\n"),
        ("a.c", "int a(void) {\n#ifdef B\n    if (c) {\n#else\n    {\n#endif\n    BODY }\n}\n"),
        // It does not end where it seems to.
        ("a.c", "void a(int b) {\n    BODY\n    }\nint c;\n}\n"),
        ("a.cpp", "struct alignas(8) {\n    int a; BODY\n} b;\n"),
        ("a.cpp", "void a() {\n    using b = c<d>; BODY\n}\n"),
        ("a.py", "def a():\n    BODY\n"),
    ] {
        assert_eq!(left_out(file, &text.replace("BODY", body)), [""; 0], "{text}");
    }
}

#[test]
fn comments_are_left_out_that_have_their_lines_for_themselves() {
    let line = "// long enough to be left out, and a little more of it";
    let text = format!("{line}\n  {line}\n/* */\nvar a = 1 {line}\n{line}\n\n{line}\nint/* {line} */b;\n");
    for file in ["a.rs", "a.go", "a.c"] {
        assert_eq!(left_out(file, &text), [&format!("{line}\n  {line}\n/* */"), line, line], "{file}");
    }
}

#[test]
fn a_hostile_text_does_not_take_long() {
    let text = |part: &str, count: usize| part.repeat(count);
    for (file, text) in [
        ("a.c", format!("/*{}*/{}x;{}", text("a", 60), text("\n", 1_000_000), text("/**/", 200_000))),
        ("a.c", format!("void a() {{{}", text("struct ", 200_000))),
        (
            "a.c",
            format!("{}{}", text(" ", 1_000_000), text("a() { long_enough_to_be_left_out_and_more_of_it(); }", 10_000)),
        ),
        ("a.c", text("a() {\n", 100_000)),
        ("a.rs", format!("fn a() {{ \"{}", text("\\u{", 600_000))),
    ] {
        let begun = std::time::Instant::now();
        skim(Language::of(Path::new(file)).unwrap(), &text);
        // It takes milliseconds; looking through all of it from each place would take minutes.
        assert!(begun.elapsed().as_secs() < 20, "{:?}", &text[..40]);
    }
}

proptest! {
    #[test]
    fn any_text_is_read_to_its_end(
        parts in prop::collection::vec(
            prop_oneof![
                Just("fn a() {\n".to_owned()), Just("void a(int b) {".to_owned()), Just("func a() {\n".to_owned()),
                Just("}\n".to_owned()), Just("\n}".to_owned()), "[\"'`#/*\\\\R(){}rbé\n;x1.]{1,6}", "\\PC{0,8}",
            ],
            0..40,
        ),
    ) {
        let text = parts.concat();
        for file in ["a.rs", "a.go", "a.c", "a.cpp"] {
            let Skimmed { rest, leaves } = skim(Language::of(Path::new(file)).unwrap(), &text);
            prop_assert!(leaves.iter().all(|leaf| text.get(leaf.range.clone()).is_some()));
            let mut end = 0;
            for range in &rest {
                prop_assert!(end <= range.start_byte && text.get(range.start_byte..range.end_byte).is_some());
                let row = text[..range.start_byte].matches('\n').count();
                prop_assert_eq!(range.start_point.row, row);
                end = range.end_byte;
            }
            prop_assert!(rest.is_empty() || end == text.len());
        }
    }
}
