use super::*;

/// `kind qualified-name line` of each definition.
fn found(path: &str, text: &str) -> Vec<String> {
    let definitions = extract(path, text, &mut Words::default()).definitions;
    definitions.iter().map(|d| format!("{} {} {}", d.kind.name(), d.qualified(), d.line)).collect()
}

#[test]
fn every_language_knows_its_definitions() {
    for (path, text, expected) in [
        (
            "a.py",
            "X = 1\nclass A(B):\n    @property\n    def f(self): return g()\n\nasync def h():\n    def inner(): pass\n",
            &["constant X 1", "class A 2", "method A.f 4", "function h 6", "function h.inner 7"][..],
        ),
        (
            "a.rs",
            "struct A;\nimpl<T> A {\n    fn f() {}\n}\ntrait T { fn g(); }\nmod m { pub const X: u8 = 1; }\nmacro_rules! mac { () => {} }\n",
            &[
                "struct A 1",
                "method A.f 3",
                "interface T 5",
                "method T.g 5",
                "module m 6",
                "constant m.X 6",
                "macro mac 7",
            ],
        ),
        (
            "a.js",
            "class A { #p() {} f = () => 1 }\nconst g = async () => {};\nexport function* h() {}\nexports.k = function () {};\nlet x = 1;\n",
            &[
                "class A 1",
                "method A.#p 1",
                "method A.f 1",
                "function g 2",
                "function h 3",
                "function k 4",
                "constant x 5",
            ],
        ),
        (
            "a.ts",
            "export interface I { f(): void }\ntype T = I;\nenum E { A }\nabstract class C { abstract g(): void; h() {} }\ndeclare function k(): void;\nnamespace N { export const x = () => 1 }\n",
            &[
                "interface I 1",
                "method I.f 1",
                "type T 2",
                "enum E 3",
                "class C 4",
                "method C.g 4",
                "method C.h 4",
                "function k 5",
                "module N 6",
                "function N.x 6",
            ],
        ),
        ("a.tsx", "export const A = () => <B c={1} />;\n", &["function A 1"]),
        (
            "a.go",
            "package a\ntype S struct{}\ntype I interface { F() }\nfunc (s *S) M() {}\nfunc (s G[T]) N() {}\nfunc f() {}\nconst (\n\tX = 1\n)\nvar y = 2\n",
            &[
                "struct S 2",
                "interface I 3",
                "method I.F 3",
                "method S.M 4",
                "method G.N 5",
                "function f 6",
                "constant X 8",
                "constant y 10",
            ],
        ),
        (
            "A.java",
            "class A {\n  static final int X = 1;\n  A() {}\n  @Override\n  public int f() { return 1; }\n  enum E { Y }\n}\nrecord R(int a) {}\ninterface I { void g(); }\n",
            &[
                "class A 1",
                "constant A.X 2",
                "method A.A 3",
                "method A.f 5",
                "enum A.E 6",
                "class R 8",
                "interface I 9",
                "method I.g 9",
            ],
        ),
        (
            "a.c",
            "#define M 1\nstruct s { int x; };\ntypedef struct { int y; } t;\nstatic char *f(int a)\n{\n  return 0;\n}\nint g(void);\n",
            &["macro M 1", "struct s 2", "type t 3", "function f 4"],
        ),
        (
            "a.cpp",
            "namespace n {\nclass A { void f() {} ~A() {} };\n}\nvoid n::A::g() {}\ntemplate <class T> T h(T x) { return x; }\nusing U = int;\ntemplate <> struct P<Q<int>> {};\nvoid S<a::b>::f() {}\ntemplate <> void g<1>() {}\n",
            &[
                "module n 1",
                "class n.A 2",
                "method n.A.f 2",
                "method n.A.~A 2",
                "method n::A.g 4",
                "function h 5",
                "type U 6",
                "struct P 7",
                "method S.f 8",
                "function g 9",
            ],
        ),
        (
            "a.h",
            "class MY_API A : public B {\n  void f() LOCKS_EXCLUDED(m_) { g(); }\n  operator std::string() const { return s; }\n  bool operator==(int) { return true; }\n};\n",
            &["class A 1", "method A.f 2", "method A.operator std::string 3", "method A.operator== 4"],
        ),
        (
            "a.cs",
            "namespace N { class A { public int P { get; } A() {} void F() {} } interface I {} enum E { X } record R(int a); }\n",
            &[
                "module N 1",
                "class N.A 1",
                "method N.A.P 1",
                "method N.A.A 1",
                "method N.A.F 1",
                "interface N.I 1",
                "enum N.E 1",
                "class N.R 1",
            ],
        ),
        (
            "a.rb",
            "module M\n  class A < B\n    X = 1\n    def f; end\n    def self.g; end\n  end\nend\n",
            &["module M 1", "class M.A 2", "constant M.A.X 3", "method M.A.f 4", "method M.A.g 5"],
        ),
        (
            "a.php",
            "<?php\nfunction f() {}\nclass A { function g() {} }\ninterface I {}\n",
            &["function f 2", "class A 3", "method A.g 3", "interface I 4"],
        ),
        ("a.sh", "X=1\nf() {\n  echo\n}\nfunction g { echo; }\n", &["constant X 1", "function f 2", "function g 5"]),
        (
            "a.lua",
            "local function f() end\nfunction M.g() end\nfunction M:h() end\n",
            &["function f 1", "function g 2", "method h 3"],
        ),
        (
            "a.kt",
            "class A {\n  fun f() {}\n}\nobject O\nfun g() = 1\nval x = 1\n",
            &["class A 1", "method A.f 2", "class O 4", "function g 5", "constant x 6"],
        ),
        (
            "a.swift",
            "struct S {\n  init() {}\n  func f() {}\n}\nprotocol P { func g() }\nextension S { func h() {} }\nenum E {}\nfunc k() {}\n",
            &[
                "struct S 1",
                "method S.init 2",
                "method S.f 3",
                "interface P 5",
                "method P.g 5",
                "method S.h 6",
                "enum E 7",
                "function k 8",
            ],
        ),
        (
            "a.scala",
            "class A {\n  def f(x: Int) = x\n}\nobject O\ntrait T { def g: Int }\n",
            &["class A 1", "method A.f 2", "class O 4", "interface T 5", "method T.g 5"],
        ),
        ("a.css", ".a { color: red }\n#b .c {}\n", &["selector a 1", "selector b 2", "selector c 2"]),
        ("a.json", "{\"a\": {\"b\": 1}, \"c\": 2}\n", &["section a 1", "section c 1"]),
        ("a.toml", "x = 1\n[a.b]\ny = 2\n[[c]]\n", &["section a.b 2", "section c 4"]),
        ("a.yaml", "a:\n  b: 1\nc: 2\n", &["section a 1", "section c 3"]),
        ("a.md", "# A\n\ntext\n\n## B `c`\n\n# D\n", &["section A 1", "section A.B `c` 5", "section D 7"]),
        ("a.sql", "CREATE TABLE t (x INT);\nCREATE VIEW v AS SELECT 1;\n", &["struct t 1", "struct v 2"]),
    ] {
        assert_eq!(found(path, text), expected, "{path}");
    }
}

#[test]
fn a_definition_comes_with_signature_documentation_and_all_its_lines() {
    let of = |path: &str, text: &str| {
        let definitions = extract(path, text, &mut Words::default()).definitions;
        definitions.last().map(|d| (d.signature.clone(), d.doc.clone(), d.start, d.end)).unwrap()
    };
    let is = |signature: &str, doc: &str, start, end| (signature.to_owned(), doc.to_owned(), start, end);
    assert_eq!(
        of(
            "a.py",
            "import x\n\n# before\n@x.y(1)\ndef f(a,\n      b=1) -> int:\n    \"\"\"Does it.\n\n    More.\n    \"\"\"\n    return 1\n"
        ),
        is("def f(a, b=1) -> int", "Does it.", 3, 11)
    );
    assert_eq!(
        of("a.rs", "use x;\n\n/// Does it.\n/// More.\n#[inline]\npub fn f<T>(a: T) -> u8 {\n    1\n}\n"),
        is("pub fn f<T>(a: T) -> u8", "Does it.", 3, 8)
    );
    assert_eq!(
        of("A.java", "class A {\n  /**\n   * Does it.\n   */\n  @Override\n  int f() { return 1; }\n}\n"),
        is("int f()", "Does it.", 2, 6)
    );
    assert_eq!(
        of("a.go", "package a\n\n// F does it.\nfunc F() int {\n\treturn 1\n}\n"),
        is("func F() int", "F does it.", 3, 6)
    );
}

#[test]
fn imports_and_uses_are_found() {
    for (path, text, imports) in [
        ("a.py", "import a.b as c\nfrom .d import e\n", &["a.b", ".d"][..]),
        ("a.rs", "use super::a::{B, c};\nmod d;\n", &["super::a::{B, c}", "d"]),
        ("a.js", "import a from './b';\nconst c = require(\"d\");\nexport * from 'e';\n", &["./b", "d", "e"]),
        ("a.ts", "import type { A } from '../a';\n", &["../a"]),
        ("a.go", "package a\nimport (\n\t\"fmt\"\n\tx \"a/b\"\n)\n", &["fmt", "a/b"]),
        ("A.java", "import a.b.C;\nimport static a.D.e;\n", &["a.b.C", "a.D.e"]),
        ("a.c", "#include <a.h>\n#include \"b/c.h\"\n", &["a.h", "b/c.h"]),
    ] {
        assert_eq!(extract(path, text, &mut Words::default()).imports, imports, "{path}");
    }
    let facts = extract("a.py", "def f(x):\n    return g(x)\n\nf(1)\ng(f)\n", &mut Words::default());
    let uses =
        |name: &str| facts.references.iter().find(|(term, _)| *term == name_term(name)).map(|(_, lines)| lines.clone());
    assert_eq!((uses("f"), uses("g"), uses("h")), (Some(vec![4, 5]), Some(vec![2, 5]), None));
}

#[test]
fn what_stands_embedded_is_found_at_its_place() {
    let page = "<template>\n  <p>{{ a }}</p>\n</template>\n<script lang=\"ts\">\nimport { b } from './b'\n\
                interface A {\n  c(): void\n}\nfunction d(): A { return b() }\n</script>\n<script>\nclass E { f() {} }\n\
                </script>\n<script type=\"application/json\">{\"g\": 1}</script>\n";
    for path in ["a.vue", "a.html"] {
        let facts = extract(path, page, &mut Words::default());
        let found: Vec<(String, u32)> = facts.definitions.iter().map(|d| (d.qualified(), d.line)).collect();
        let is = |name: &str, line| (name.to_owned(), line);
        assert_eq!(found, [is("A", 6), is("A.c", 7), is("d", 9), is("E", 12), is("E.f", 12)], "{path}");
        assert_eq!(facts.definitions[4].parent, Some(3));
        assert_eq!(facts.imports, ["./b"]);
        assert!(facts.references.iter().any(|(term, lines)| *term == name_term("b") && *lines == [5, 9]));
    }
}

#[test]
fn words_are_counted_where_they_stand() {
    let facts = extract(
        "lib/store.py",
        "def load(path):\n    # reads a token\n    return open_file('secret')\n",
        &mut Words::default(),
    );
    let count = |word: &str| {
        let mut counts = [0; FIELDS];
        Words::default().terms(word, &mut |term| counts = facts.bag.get(&term).copied().unwrap_or_default());
        counts
    };
    assert_eq!(count("store"), [1, 0, 0, 0, 0]);
    assert_eq!(count("load"), [0, 1, 0, 0, 0]);
    assert_eq!(count("openfile"), [0, 0, 1, 0, 0]);
    assert_eq!(count("token"), [0, 0, 0, 1, 0]);
    assert_eq!(count("secret"), [0, 0, 0, 0, 1]);
    let facts = extract("a.md", "# Title\n\nSome sentence.\n", &mut Words::default());
    assert!(facts.bag.values().filter(|counts| counts[Field::Prose as usize] > 0).count() >= 3);
}

#[test]
fn what_is_no_program_is_prose_and_errors_do_not_stop_it() {
    assert_eq!(found("notes.xyz", "def f(): pass"), [""; 0]);
    assert!(found("a.py", "def f(:\n    pass\n\n\ndef g():\n    return 1\n").iter().any(|d| d.contains(" g ")));
}

/// What is known of a text with and without the trees of its functions' bodies.
fn both_ways(path: &str, text: &str) -> [Facts; 2] {
    let whole = |_: &Language, _: &str| Skimmed::default();
    [extract(path, text, &mut Words::default()), extract_by(whole, path, text, &mut Words::default())]
}

#[test]
fn bodies_without_trees_say_the_same() {
    let c = "#include \"b.h\"\n#define A 1\n\n/* Adds. */\nstatic int add(const struct pair *p, uint8_t n)\n{\n    // two of them\n    \
             if (p->left == NULL || n > 0xFFu)\n        return log(\"no\\tsum\\x41: %d\", 'x');\nagain:\n    \
             for (size_t i = 0; i < n; ++i) total += (int)p->values[i];\n    goto again;\n}\n";
    let cpp = "namespace n {\nclass Shape : public Base {\npublic:\n    explicit Shape(int sides) : sides_(sides) {\n        \
               auto text = R\"(raw \"text\")\"; this->draw<int>(std::move(text), [&](auto &&it) { return it != nullptr; });\n    \
               }\n    virtual double area() const override { return static_cast<double>(sides_) * 2.5e3 + 1'000; }\n};\n}\n";
    let go = "package a\n\nimport \"fmt\"\n\n// Run runs.\nfunc (s *Server) Run(addr string) (err error) {\n\tdefer func() { recover() }()\n\t\
              for _, route := range s.routes {\n\t\tfmt.Println(`raw \\n`, \"a\\tb\", route.Path, len(addr), int64(3), nil)\n\t}\n\t\
              return\n}\n";
    let rust = "impl<'a, T: Into<String>> Reader<'a, T> {\n    /// Reads.\n    pub async fn read(&mut self) -> Result<u8, Error> {\n        \
                'outer: loop {\n            let default = self.inner.0.len() as u64; // of it\n            \
                println!(\"{default} is\\n{}\", r#\"raw \"text\"\"#, b\"bytes\");\n            \
                if let Some(r#type) = union(*const_ptr, 1..2, 1.5e3f32, '\\'') { break 'outer; }\n        }\n    }\n}\n";
    for (path, text) in [("a.c", c), ("a.cpp", cpp), ("a.go", go), ("a.rs", rust)] {
        assert!(!skim(Language::of(Path::new(path)).unwrap(), text).rest.is_empty(), "{path}");
        let [some, whole] = both_ways(path, text);
        assert_eq!(some, whole, "{path}");
    }
}

#[test]
fn definitions_in_what_looks_like_a_body_are_found() {
    for (path, text) in [
        (
            "a.cpp",
            "void f() {\n    class V : public Base<V, int> {\n        bool visit(Node *node) { return node->is_a_long_enough_name(); }\n    };\n}\n",
        ),
        (
            "a.cpp",
            "TEST_GROUP(Store)\n{\n    void setup() { store = make_a_store_that_is_empty(); }\n    Store *store;\n};\n",
        ),
        ("a.cpp", "struct Foo : MIXIN(Bar) {\n    int size() const { return size_of_all_that_it_holds; }\n};\n"),
        (
            "a.c",
            "int outer(void)\n{\n    int inner(int x) { return x + a_long_enough_constant_name; }\n    return inner(1);\n}\n",
        ),
        (
            "a.rs",
            "fn f() {\n    if !done {\n        use std::fmt::Write as _;\n        a_call_that_is_long_enough(1, 2, 3);\n    }\n}\n",
        ),
        ("a.rs", "fn f() {\n    a_call_that_is_long_enough(1, 2, 3, 4, 5, 6, 7);\n}\nstatic A: u8 = b"),
    ] {
        let [some, whole] = both_ways(path, text);
        assert_eq!((some.definitions, some.imports), (whole.definitions, whole.imports), "{path}: {text}");
    }
}

#[test]
fn the_same_is_known_of_real_sources_without_trees_of_bodies() {
    let sources = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let files = ignore::Walk::new(sources).filter_map(Result::ok).map(ignore::DirEntry::into_path);
    let (mut all, mut same, mut left_out) = (0, 0, 0);
    for file in files.filter(|file| file.extension().is_some_and(|extension| extension == "rs")) {
        let (path, text) = (file.to_string_lossy(), std::fs::read_to_string(&file).unwrap());
        let [some, whole] = both_ways(&path, &text);
        assert_eq!(some.definitions, whole.definitions, "{path}");
        assert_eq!(some.imports, whole.imports, "{path}");
        all += 1;
        // The grammar loses some names that are keywords elsewhere (`default`).
        same += usize::from(some == whole);
        left_out += skim(Language::of(&file).unwrap(), &text).rest.len().saturating_sub(1);
    }
    assert!(same * 10 > all * 8 && left_out > 1000, "{same} of {all} are the same; {left_out}");
}
