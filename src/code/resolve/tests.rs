use std::fs;

use crate::code::{Confidence, Index};

/// An index of files on disk, and where they are.
fn index(files: &[(&str, &str)]) -> (tempfile::TempDir, Index) {
    let folder = tempfile::tempdir().unwrap();
    for (path, text) in files {
        let path = folder.path().join(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
    }
    let mut index = Index::open(folder.path(), None);
    index.refresh(&files.iter().map(|(path, _)| *path).collect::<Vec<_>>());
    (folder, index)
}

/// The certain uses as `file:line`, and how many others there are.
fn certain(index: &Index, name: &str) -> (Vec<String>, usize) {
    let all = index.references(name);
    let sure = all.iter().filter(|reference| reference.confidence == Confidence::Certain);
    let mut sure: Vec<String> = sure.map(|reference| format!("{}:{}", reference.file, reference.line)).collect();
    sure.sort();
    let others = all.len() - sure.len();
    (sure, others)
}

#[test]
fn imports_are_followed_from_file_to_file() {
    let (_folder, index) = index(&[
        ("pkg/__init__.py", "from .core import load\n"),
        ("pkg/core.py", "def load(path):\n    return path\n\nload('x')\n"),
        ("pkg/sub/__init__.py", ""),
        ("pkg/sub/deep.py", "from ..core import load as read\nfrom .. import core\ncore.load(1)\n"),
        ("app.py", "import pkg\nimport pkg.core as c\npkg.load(1)\nc.load(2)\npkg.core.load(3)\n"),
        ("star.py", "from pkg.core import *\nload(4)\n"),
        ("other.py", "from elsewhere import load\nload(5)\n"),
        ("json_user.py", "import json\njson.load(6)\n"),
    ]);
    let (sure, others) = certain(&index, "load");
    assert_eq!(
        sure,
        [
            "app.py:3",
            "app.py:4",
            "app.py:5",
            "pkg/__init__.py:1",
            "pkg/core.py:4",
            "pkg/sub/deep.py:1",
            "pkg/sub/deep.py:3",
            "star.py:2"
        ]
    );
    // What comes from outside cannot be told here.
    assert_eq!(others, 3);
}

#[test]
fn a_local_name_is_not_the_definition() {
    let (_folder, index) = index(&[(
        "a.py",
        "def size(x):\n    return x\n\ndef f(size):\n    return size\n\ndef g():\n    size = 1\n    return size\n\n\
         def h():\n    return size(1), k(size=2)\n\n[size for size in (1, 2)]\ng(size=3)\n\
         def i(a=size):\n    global size\n    return size\n",
    )]);
    let expected = ["a.py:12", "a.py:16", "a.py:17", "a.py:18"].map(String::from).to_vec();
    assert_eq!(certain(&index, "size"), (expected, 0));
}

#[test]
fn methods_are_found_through_the_object_and_through_bases() {
    let (_folder, index) = index(&[
        (
            "base.py",
            "class Base:\n    def run(self):\n        self.step()\n        self.hook()\n\n    def step(self):\n        pass\n",
        ),
        (
            "child.py",
            "from base import Base\n\nclass Child(Base):\n    def go(self):\n        self.step()\n        super().run()\n\n    \
             def hook(self):\n        pass\n\nc = Child()\nc.step()\nChild().run()\nBase.step(c)\n\n\
             def f(x):\n    x.step()\n",
        ),
        (
            "taken.py",
            "class Taken:\n    def __init__(self):\n        self.step = 1\n\n    def f(self):\n        self.step\n",
        ),
    ]);
    let (sure, others) = certain(&index, "step");
    assert_eq!(sure, ["base.py:3", "child.py:12", "child.py:14", "child.py:5"]);
    assert_eq!(others, 3);
    assert_eq!(certain(&index, "Base.run").0, ["child.py:13", "child.py:6"]);
    assert_eq!(certain(&index, "hook"), (vec![], 1));
}

#[test]
fn any_text_is_read_to_its_end() {
    let deep = "(".repeat(5000) + "f" + &")".repeat(5000);
    let (_folder, index) = index(&[
        (
            "a.py",
            "class A(A):\n    def f(self): self.g()\nclass B(C): pass\nclass C(B): pass\nB().f()\ndef f(): f = f\n",
        ),
        ("b.py", "from c import f\nf()\n"),
        ("c.py", "from b import f\nf()\n"),
        ("d.py", &deep),
        ("e.py", "def def class (: import from f as\nf f f\n@f\n"),
    ]);
    assert!(certain(&index, "f").0.len() < 4);
}

#[test]
fn what_cannot_be_told_is_not_certain() {
    for (name, files) in [
        // Behind a base that is not known anything may come first; so may what several bases share.
        (
            "run",
            &[(
                "a.py",
                "import ext\nclass A(ext.T): pass\nclass B:\n    def run(self): pass\nclass C(A, B): pass\nC().run()\n",
            )][..],
        ),
        (
            "f",
            &[(
                "a.py",
                "class A:\n    def f(self): pass\nclass B(A): pass\nclass C(A):\n    def f(self): pass\nclass D(B, C): pass\nD().f()\n",
            )],
        ),
        // Bound twice, and a module of that name.
        (
            "get",
            &[
                (
                    "p/__init__.py",
                    "try:\n    from ._a import config\nexcept ImportError:\n    from ._b import config\n",
                ),
                ("p/config.py", "def get(): pass\n"),
                ("b.py", "from p import config\nconfig.get()\n"),
            ],
        ),
        // Not the method that stands further down.
        ("load", &[("a.py", "class A:\n    x = load()\n    def load(self): pass\n")]),
        (
            "dumps",
            &[
                ("app/__init__.py", ""),
                ("app/json.py", "def dumps(): pass\n"),
                ("app/api.py", "import json\njson.dumps(1)\n"),
            ],
        ),
        (
            "run",
            &[(
                "a.py",
                "class S:\n    def run(self): pass\ndb = S()\ndef use():\n    global db\n    db = P()\ndb.run()\n",
            )],
        ),
        ("load", &[("a.py", "class T:\n    def load(self): pass\nrows = T()\nrows[0].load()\n")]),
        (
            "load",
            &[
                ("a.py", "def load(): pass\n"),
                ("b.py", "def load(): pass\n"),
                ("c.py", "from a import *\nfrom b import *\nload()\n"),
            ],
        ),
    ] {
        let (_folder, index) = index(files);
        let (sure, others) = certain(&index, name);
        assert!(sure.is_empty() && others > 0, "{name}: {sure:?} in {files:?}");
    }
}

#[test]
fn what_may_mean_it_is_not_left_out() {
    for (name, uses, files) in [
        (
            "load",
            3,
            &[
                ("a.py", "def load(): pass\n"),
                (
                    "b.py",
                    "def f():\n    try:\n        from a import load\n    except ImportError:\n        from c import load\n    load()\n",
                ),
            ][..],
        ),
        (
            "Point",
            2,
            &[(
                "a.py",
                "class Point: pass\ndef f(p):\n    match p:\n        case Point(x=0):\n            return Point(1)\n",
            )],
        ),
        (
            "A.load",
            1,
            &[(
                "a.py",
                "class A:\n    def load(self): pass\nclass B:\n    def load(self, x): pass\nB().load(A().load())\n",
            )],
        ),
    ] {
        let (_folder, index) = index(files);
        let (sure, others) = certain(&index, name);
        assert_eq!(sure.len() + others, uses, "{name}: {sure:?} and {others}");
    }
}

/// The names of `text` that nothing defines, as they are told.
fn undefined(files: &[(&str, &str)], path: &str, text: &str) -> Vec<String> {
    let (_folder, index) = index(files);
    index.new_undefined(path, None, text).iter().map(ToString::to_string).collect()
}

#[test]
fn a_name_that_nothing_defines_is_told() {
    let told = |text: &str| undefined(&[], "a.py", text);
    assert_eq!(told("def f(x):\n    return y + z + y\n"), ["line 2: `y` is not defined", "line 2: `z` is not defined"]);
    assert_eq!(told("print(f'{len(lines)}')\n"), ["line 1: `lines` is not defined"]);
    assert_eq!(told("class A:\n    n = 1\n    def f(self):\n        return n\n"), ["line 4: `n` is not defined"]);
    assert_eq!(told("def f():\n    here = 1\n\nprint(here)\n"), ["line 4: `here` is not defined"]);
    assert_eq!(told("@cached\ndef f(x: Path = HOME) -> Out:\n    pass\n").len(), 4);
}

#[test]
fn a_name_that_anything_may_define_is_not() {
    for text in [
        "import os.path as p, sys\nfrom a import b as c\np, sys, c\n",
        "def f(a, b=1, *c, d: int, e: str = '', **g):\n    return a, b, c, d, e, g, f\n",
        "for i, (j, *k) in []:\n    pass\nelse:\n    i, j, k\nwith a() as (b, c), d() as f.e: b, c\n",
        "try:\n    pass\nexcept OSError as error:\n    error\n",
        "[x + y for x in range(3) if (z := x) for y in [z]]\n{k: v for k, v in {}.items()}\nz\n",
        "lambda a, *b, c=1, **d: (a, b, c, d)\n",
        "match {}:\n    case {'a': x, **rest}: x, rest\n    case [y, *more]: y, more\n    case int(real=n) | n: n\n    case other: other\n",
        "def f():\n    global made\n    made = 1\n\nmade\n",
        "def f():\n    n = 0\n    def g():\n        nonlocal n\n        n += 1\n    return g\n",
        "class A:\n    n = 1\n    m = [n for _ in range(2)]\n    def f(self, x=n):\n        return __class__, self.n, x\n",
        "def first[T: (int, str), *Ts, **P](x: T, *rest: *Ts) -> T:\n    y: T = x\n    return y\n\nclass B[K](dict[K, int]):\n    def get(self, k: K): ...\n\ntype Pair[V] = tuple[V, V]\nPair\n",
        "match f:\n    case a.Red | int(real=1): 1\n    case a.B.C(x=[y]): y\n",
        "match f:\n    case a.Red | int(real=1): 1\n    case a.B.C(x=[y]): y\n",
        "import gettext\n_('x'), __file__, __name__\n",
        "def f(): return later()\n\ndef later(): pass\n",
        "f(key=1).attribute\n",
    ] {
        let text = format!("a = d = f = range\n{text}");
        assert_eq!(undefined(&[], "a.py", &text), [""; 0], "{text}");
    }
}

#[test]
fn a_text_that_cannot_be_seen_through_is_left_alone() {
    for text in [
        "from elsewhere import *\nname\n",
        "exec('name = 1')\nname\n",
        "globals()['name'] = 1\nname\n",
        "try:\n    unicode\nexcept NameError:\n    unicode = str\nname\n",
        "print 'old', name\n",
        "def f(:\n    name\n",
    ] {
        assert_eq!(undefined(&[], "a.py", text), [""; 0], "{text}");
    }
    assert_eq!(undefined(&[], "a.rs", "fn f() { name }\n"), [""; 0]);
}

#[test]
fn an_import_must_find_what_it_names() {
    let files = [
        ("util.py", "import os\n\ndef slug(text):\n    return text\n"),
        ("open.py", "globals()['x'] = 1\n"),
        ("lazy.py", "def __getattr__(name):\n    return name\n"),
        ("pkg/__init__.py", ""),
        ("pkg/core.py", "def load(): pass\n"),
        ("src/datasets.py", ""),
        ("tools/util.py", "def near(): pass\n"),
    ];
    let told = |path: &str, text: &str| undefined(&files, path, text);
    assert_eq!(told("a.py", "from util import slug, os, slugify\n"), ["line 1: util.py has no `slugify`"]);
    assert_eq!(told("tools/run.py", "from util import near, slug, neither\n"), ["line 1: util.py has no `neither`"]);
    assert_eq!(told("pkg/b.py", "from .core import load, save as s\n"), ["line 1: pkg/core.py has no `save`"]);
    let fine = "from datasets import load\nfrom open import x\nfrom lazy import y\nfrom pkg import made\nfrom elsewhere import z\nfrom util import __doc__\n\
                try:\n    from util import fast\nexcept ImportError:\n    fast = None\n\
                if fast:\n    from util import faster\n";
    assert_eq!(told("a.py", fine), [""; 0]);
}

#[test]
fn only_what_an_edit_brings_in_is_told() {
    let (_folder, index) = index(&[]);
    let before = "def f():\n    return injected\n";
    let after = "def f():\n    return [injected, injected, missing]\n";
    assert_eq!(index.new_undefined("a.py", Some("def f(:\n"), after), []);
    let told: Vec<String> = index.new_undefined("a.py", Some(before), after).iter().map(ToString::to_string).collect();
    assert_eq!(told, ["line 2: `missing` is not defined"]);
}

#[test]
fn what_is_lacking_is_imported_from_where_it_plainly_is() {
    let (_folder, index) = index(&[
        ("shop/__init__.py", ""),
        (
            "shop/cart.py",
            "from shop.report import report\nLIMIT = 3\nstate = 1\n\nclass Item: pass\n\nclass Cart:\n    def inner(self): pass\n",
        ),
        ("shop/report.py", "def report(): pass\n"),
        ("src/app/run.py", "def start(): pass\n"),
        ("src/app/main.py", "from src.app.other import x\n"),
        ("src/app/other.py", "x = 1\n"),
        ("far/away.py", "def distant(): pass\n"),
        ("script.py", "def helper(): pass\ndef twice(): pass\n"),
        ("other.py", "def twice(): pass\nclass Path: pass\n"),
        ("loop.py", "import script\nfrom loop2 import (a, b)\n"),
        ("loop2.py", "import end\ndef round_about(): pass\n"),
        ("end.py", ""),
        ("tests/test_cart.py", "def made(): pass\n"),
        ("math.py", ""),
    ]);
    let check = |path: &str, text: &str, expected: &str| {
        assert_eq!(index.with_missing_imports(path, None, text.to_owned()), expected, "{path}");
    };
    let same = |path: &str, text: &str| check(path, text, text);
    check("tests/test_cart.py", "Item(LIMIT)\n", "from shop.cart import Item, LIMIT\n\nItem(LIMIT)\n");
    check("main.py", "helper()\n", "from script import helper\n\nhelper()\n");
    // As others call what lies beside it.
    check("main.py", "start()\n", "from src.app.run import start\n\nstart()\n");
    check(
        "shop/view.py",
        "from .report import report\n\nCart()\n",
        "from .report import report\nfrom .cart import Cart\n\nCart()\n",
    );
    check(
        "main.py",
        "re.compile('a')\nx: List[int] = defaultdict(int)\n",
        "import re\nfrom typing import List\nfrom collections import defaultdict\n\nre.compile('a')\nx: List[int] = defaultdict(int)\n",
    );
    // Two files define it, or one and the library; it is a method, a variable, stands in tests, nobody knows it or how its module
    // is called, the import would go round in a circle; a word that is not called, a module of that name, a module's module.
    same("main.py", "twice()\nPath()\n");
    same("main.py", "inner()\nprint(state)\n");
    same("main.py", "made()\nunknown()\nre = 1\njson\n");
    same("main.py", "distant()\n");
    same("shop/report.py", "Item()\n");
    same("end.py", "round_about()\n");
    same("main.py", "print(product.price)\n");
    same("main.py", "sqrt(2)\n");
    check("main.py", "x: deque = deque()\n", "from collections import deque\n\nx: deque = deque()\n");
    same("main.py", "logging.handlers.X()\n");
}

#[test]
fn an_import_goes_behind_the_others_and_nowhere_else() {
    let (_folder, index) = index(&[("m.py", "def a(): pass\ndef b(): pass\n")]);
    let check = |text: &str, expected: &str| {
        assert_eq!(index.with_missing_imports("x.py", None, text.to_owned()), expected);
    };
    check("from m import a\r\n\r\na(b())\r\n", "from m import a, b\r\n\r\na(b())\r\n");
    check(
        "from m import (  # all\n    a,\n)\n\na(b())\n",
        "from m import (  # all\n    a,\n)\nfrom m import b\n\na(b())\n",
    );
    check("from m import a  # why\n\na(b())\n", "from m import a, b  # why\n\na(b())\n");
    check(
        "Q = \"\"\"\nselect *\nfrom users\n\"\"\"\n\nb()\n",
        "from m import b\n\nQ = \"\"\"\nselect *\nfrom users\n\"\"\"\n\nb()\n",
    );
    check("#!/usr/bin/env python3\n'Doc.'\nb()\n", "#!/usr/bin/env python3\n'Doc.'\n\nfrom m import b\n\nb()\n");
    check(
        "'''Doc.\n\nfrom m import a\n'''\nfrom __future__ import annotations\n\nb()\n",
        "'''Doc.\n\nfrom m import a\n'''\nfrom __future__ import annotations\nfrom m import b\n\nb()\n",
    );
    check("import sys\nP = b()\nimport os\n", "import sys\nfrom m import b\nP = b()\nimport os\n");
    check("b()", "from m import b\n\nb()");
}
