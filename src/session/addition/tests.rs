use super::*;

const SHOP: &str = "\"\"\"A shop.\"\"\"\n\nimport os\nfrom a import (\n    b,\n)\n\n\nclass Cart:\n    def __init__(self):\n        self.items = []\n\n\
                    \x20   def add(self, item):\n        self.items.append(item)\n\n\ndef price(item):\n    return item.price\n\n\n\
                    if __name__ == '__main__':\n    print(price(Cart()))\n";
const TOTAL: &str = "    def total(self):\n        return sum(self.items)\n";

fn path(name: &str) -> RelPath {
    name.to_owned().try_into().unwrap()
}

fn of(request: &str) -> Option<Option<String>> {
    Addition::of(&path("shop.py"), SHOP, request).map(|addition| addition.owner)
}

fn merged(name: &str, owner: Option<&str>, file: &str, written: &str) -> Option<String> {
    Addition { path: path(name), owner: owner.map(str::to_owned), named: None }.merged(file, written)
}

#[test]
fn what_is_added_is_told_by_the_request() {
    let method = Some(Some("Cart".to_owned()));
    for request in [
        "Add a method total() to Cart that gives the sum",
        "Please add a `total` method to the class `Cart` in shop.py.",
        "Add a method that counts the items. It should be fast.",
        "In the class Cart, add a function total(tax)",
        "Add a `total` method returning the sum to Cart",
        "Could you add a function total inside the class Cart",
        "Add a method total to Cart. `pytest -q test_shop.py` must pass.",
    ] {
        assert_eq!(of(request), method, "{request}");
    }
    for request in [
        "In shop.py, write a function slug(text) that lowers a text and joins its words",
        "Add a function slug(text) to shop.py that lowers a text and joins its words",
        "Write a function to compare two Cart objects",
        "Write a helper function to read a Cart from a file.",
    ] {
        assert_eq!(of(request), Some(None), "{request}");
    }
    for other in [
        "Add a test for the method add of Cart",
        "Add a parameter to the function price",
        "Add a method total to Cart and a test for it",
        "Add a method total to Cart, and rename add to put",
        "Add a method total to Cart. The constructor should take a tax rate.",
        "Add a method total to Cart. Delete the function price.",
        "Add a method total to Cart, plus tests",
        "Add a method total that sums the prices, with tests",
        "Add a method total and a method count to Cart",
        "Add the methods total, low to Cart",
        "Add a helper function so that price and total share their rounding",
        "Add logging to the function price",
        "Add method chaining to Cart",
        "Add a method similar to add",
        "Add a helper class to shop.py",
        "Add a function header to shop.py",
        "Implement all functions in shop.py",
        "Implement the method add of Cart",
        "Fix the method add of Cart",
        "Add a docstring to each function",
        "Add these methods to Cart:\n- push(x)\n- pop()",
    ] {
        assert_eq!(of(other), None, "{other}");
    }
    // A type that is only spoken of.
    let money = format!("class Money:\n    def __init__(self):\n        pass\n\n\n{SHOP}");
    let owner =
        |request: &str| Addition::of(&path("shop.py"), &money, request).map(|addition| addition.scope().to_owned());
    assert_eq!(owner("Add a method total to Cart. It returns a Money object.").as_deref(), Some("Cart"));
    assert_eq!(owner("Add a method total to Cart that gives it to Money").as_deref(), Some("Cart"));
    assert_eq!(owner("Add a method that gives the sum"), None);
}

#[test]
fn its_name_is_told_by_the_request() {
    let addition = |request: &str| Addition::of(&path("shop.py"), SHOP, request).unwrap();
    let name = |request: &str| addition(request).named.map(|named| named.name);
    for request in [
        "Add a method total to Cart",
        "Add a `total` method to Cart",
        "add a total() method to the class Cart",
        "Add a method called total to Cart",
        "Add a `total` method returning the sum to Cart",
        "Add a function total(cart, tax) to shop.py like subtotal(price)",
    ] {
        assert_eq!(name(request).as_deref(), Some("total"), "{request}");
    }
    for request in
        ["Add a static method to Cart", "Add a helper function that sorts", "Add a function returning the sum"]
    {
        assert_eq!(name(request), None, "{request}");
    }
    for (request, head) in [
        ("Add a method total to Cart", "    def total(self"),
        ("Add a small method `total(tax, rate)` to Cart", "    def total(self, tax, rate"),
        ("Add a function total(cart, tax) to shop.py", "def total(cart, tax"),
        ("Add a function total(cart: Cart) to shop.py", ""),
        ("Add a static method total to Cart", ""),
        ("Add a property method total to Cart", ""),
        ("Add a method from_text to Cart. It should be a classmethod.", ""),
    ] {
        assert_eq!(addition(request).head(SHOP), head, "{request}");
    }
}

#[test]
fn what_is_called_otherwise_is_something_else() {
    let addition = Addition::of(&path("shop.py"), SHOP, "Add a method total to Cart").unwrap();
    assert_eq!(addition.merged(SHOP, &TOTAL.replace("total", "sum")), None);
    let along = format!(
        "class Cart:\n    # ... other methods\n{TOTAL}\n    def price(self, item):\n        return item.price\n"
    );
    let expected = SHOP.replace("append(item)\n", &format!("append(item)\n\n{TOTAL}"));
    assert_eq!(addition.merged(SHOP, &along), Some(expected));
    assert_eq!(addition.merged(SHOP, &format!("{TOTAL}        # ... existing code\n")), None);
}

#[test]
fn a_method_goes_behind_the_last_of_its_type() {
    let expected = SHOP.replace("append(item)\n", &format!("append(item)\n\n{TOTAL}"));
    let dedented = "def total(self):\n    return sum(self.items)\n";
    let wrapped = format!("class Cart:\n{TOTAL}");
    let whole = format!(
        "class Cart:\n    def __init__(self):\n        self.items = []\n\n{TOTAL}\n\ncart = Cart()\nprint(cart.total())\n"
    );
    for written in [TOTAL, dedented, &wrapped, &whole] {
        assert_eq!(merged("shop.py", Some("Cart"), SHOP, written).as_ref(), Some(&expected), "{written}");
    }
}

#[test]
fn a_function_goes_behind_the_last_one_with_its_imports() {
    let written = "import os\nimport re\n\n\ndef slug(text):\n    return re.sub('a', '', text)\n";
    let expected = SHOP
        .replace("    b,\n)\n", "    b,\n)\nimport re\n")
        .replace("item.price\n", "item.price\n\n\ndef slug(text):\n    return re.sub('a', '', text)\n");
    assert_eq!(merged("shop.py", None, SHOP, written).as_ref(), Some(&expected));
    let vain = format!("from shop import cart\nfrom re import *\n{written}");
    assert_eq!(merged("shop.py", None, SHOP, &vain), Some(expected));
    let bare = "\"\"\"Says\nsomething.\"\"\"\n\ndef f():\n    pass";
    let takes =
        |path: &str| merged(path, None, bare, "import json\ndef g():\n    pass\n").unwrap().contains("import json");
    assert_eq!([takes("json.py"), takes("tools/json.py")], [false, true]);
    assert_eq!(
        merged("a.py", None, bare, "import re\ndef g():\n    pass\n").as_deref(),
        Some("\"\"\"Says\nsomething.\"\"\"\n\nimport re\n\ndef f():\n    pass\n\n\ndef g():\n    pass\n")
    );
}

#[test]
fn what_is_there_stays_and_what_has_no_place_is_refused() {
    let refused = |written: &str| assert_eq!(merged("shop.py", Some("Cart"), SHOP, written), None, "{written}");
    refused(&format!("class Cart:\n    def __init__(self): ...\n\n{TOTAL}"));
    refused(&format!("LIMIT = 3\n{TOTAL}"));
    refused(&format!("class Cart:\n    limit = 3\n{TOTAL}"));
    refused("    def total(self):\n        return RATE\n\nRATE = 3\n");
    refused(&format!("from __future__ import annotations\n{TOTAL}"));
    refused("I cannot do that.\n");
    assert_eq!(merged("shop.py", None, SHOP, "def price(item):\n    return item.price\n"), None);
    // A helper stays one.
    let addition = Addition::of(&path("shop.py"), SHOP, "Add a method total to Cart").unwrap();
    let helper = "def tax(x):\n    return 2 * x\n";
    let expected = SHOP
        .replace("append(item)\n", &format!("append(item)\n\n{TOTAL}"))
        .replace("item.price\n", &format!("item.price\n\n\n{helper}"));
    assert_eq!(addition.merged(SHOP, &format!("{helper}\n\nclass Cart:\n{TOTAL}")), Some(expected.clone()));
    assert_eq!(
        addition.merged(SHOP, &format!("{}\n\n{helper}", TOTAL.replace("\n    ", "\n").trim_start())),
        Some(expected)
    );
    // What was tried before is mended.
    let tried = SHOP.replace("append(item)\n", &format!("append(item)\n\n{}", TOTAL.replace("sum", "max")));
    let mended = SHOP.replace("append(item)\n", &format!("append(item)\n\n{TOTAL}"));
    assert_eq!(addition.merged(&tried, TOTAL), Some(mended));
}

#[test]
fn other_languages_have_their_places_too() {
    let rust = "use std::fmt;\n\npub struct A {\n    x: u32,\n}\n\nimpl A {\n    fn x(&self) -> u32 {\n        self.x\n    }\n}\n\n\
                #[cfg(test)]\nmod tests {\n    #[test]\n    fn works() {}\n}\n";
    let method = "fn y(&self) -> u32 {\n    self.x + 1\n}\n";
    let expected = rust.replace(
        "        self.x\n    }\n",
        "        self.x\n    }\n\n    fn y(&self) -> u32 {\n        self.x + 1\n    }\n",
    );
    assert_eq!(merged("a.rs", Some("A"), rust, method), Some(expected.clone()));
    assert_eq!(
        merged("a.rs", Some("A"), rust, &format!("impl A {{\n    {}}}\n", method.replace('\n', "\n    "))),
        Some(expected)
    );
    let function = "fn twice(x: u32) -> u32 {\n    2 * x\n}\n";
    let expected = rust.replace("    }\n}\n\n#[cfg", &format!("    }}\n}}\n\n{function}\n#[cfg"));
    assert_eq!(merged("a.rs", None, rust, function), Some(expected));

    let go = "package a\n\nimport \"fmt\"\n\ntype A struct{ x int }\n\nfunc (a A) X() int { return a.x }\n\nfunc F() { fmt.Println() }\n";
    let method = "func (a A) Y() int { return a.x + 1 }\n";
    let expected = go.replace("return a.x }\n", &format!("return a.x }}\n\n{method}"));
    assert_eq!(merged("a.go", Some("A"), go, method), Some(expected));

    let java = "class A {\n    int x;\n\n    int x() {\n        return x;\n    }\n}\n";
    let expected = java.replace("return x;\n    }\n", "return x;\n    }\n\n    int y() { return x; }\n");
    assert_eq!(merged("A.java", Some("A"), java, "class A {\n    int y() { return x; }\n}\n"), Some(expected));

    let js = "class A {\n  x() {\n    return 1;\n  }\n}\n\nmodule.exports = { A };\n";
    let expected = js.replace("    return 1;\n  }\n", "    return 1;\n  }\n\n  y() {\n    return 2;\n  }\n");
    assert_eq!(merged("a.js", Some("A"), js, "class A {\n  y() {\n    return 2;\n  }\n}\n"), Some(expected.clone()));
    assert_eq!(merged("a.js", Some("A"), js, "y() {\n  return 2;\n}\n"), Some(expected));
    assert_eq!(merged("a.js", None, js, "function f() {}\n\nmodule.exports = { A, f };\n"), None);
}

#[test]
fn where_there_is_no_plain_place_nothing_is_put() {
    for (name, owner, file) in [
        ("a.rs", Some("A"), "struct A;\n\nimpl Clone for A {\n    fn clone(&self) -> Self {\n        A\n    }\n}\n"),
        ("a.rs", Some("A"), "struct A;\nimpl A { fn x(&self) {} }\n"),
        ("a.rb", Some("A"), "class A\n  def x\n    1\n  end\n\n  private\n\n  def y\n    2\n  end\nend\n"),
        ("a.rb", None, "module M\n  def x\n    1\n  end\nend\n"),
        ("a.cpp", None, "namespace n {\nvoid f() {}\n\n}\n"),
        ("a.js", None, "const a = {\n  f() {\n  },\n  b: 2,\n};\n"),
    ] {
        let addition = Addition { path: path(name), owner: owner.map(str::to_owned), named: None };
        assert!(addition.place(file, addition.scope()).is_none(), "{file}");
    }
}

#[test]
fn an_import_that_is_there_is_not_repeated() {
    let import = |name: &str, text: &str, line: &str| with_import(&path(name), text, line);
    let go = "package a\n\nimport (\n\t\"fmt\"\n)\n\nfunc F() {}\n";
    assert_eq!(import("a.go", go, "import \"fmt\"").as_deref(), Some(go));
    assert_eq!(import("a.go", go, "import \"os\""), Some(go.replace(")\n\nfunc", ")\nimport \"os\"\n\nfunc")));
    let js = "import { a, b } from './x';\n\nexport function f() {}\n";
    assert_eq!(import("a.js", js, "import { a } from './x';").as_deref(), Some(js));
    assert_eq!(import("a.js", js, "import { a, c } from './x';"), None);
    let rust = "use std::{fmt, io};\n\nfn f() {}\n";
    assert_eq!(import("a.rs", rust, "use std::fmt;").as_deref(), Some(rust));
    let c = "#ifdef _WIN32\n#include <windows.h>\n#endif\n\nint f() { return 1; }\n";
    assert_eq!(import("a.c", c, "#include <math.h>"), None);
    let documented = "\"\"\"Says how to\nuse this.\"\"\"\n\ndef f():\n    pass\n";
    assert_eq!(import("a.py", documented, "import re"), Some(documented.replace("def", "import re\n\ndef")));
}
