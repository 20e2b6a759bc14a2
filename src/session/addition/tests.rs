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
    assert_eq!(of("Add a method total() to Cart that gives the sum"), method);
    assert_eq!(of("Please add a `total` method to the class `Cart` in shop.py."), method);
    assert_eq!(of("Add a method that counts the items. It should be fast."), method);
    assert_eq!(of("In shop.py, write a function slug(text) that lowers a text and joins its words"), Some(None));
    assert_eq!(of("Add a function slug(text) to shop.py that lowers a text and joins its words"), Some(None));
    for other in [
        "Add a test for the method add of Cart",
        "Add a parameter to the function price",
        "Add a method total to Cart and a test for it",
        "Add a method total to Cart, and rename add to put",
        "Add logging to the function price",
        "Fix the method add of Cart",
        "Add a docstring to each function",
    ] {
        assert_eq!(of(other), None, "{other}");
    }
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
        "Add a function total(cart, tax) that gives the sum",
    ] {
        assert_eq!(name(request).as_deref(), Some("total"), "{request}");
    }
    for request in ["Add a static method to Cart", "Add methods total, low to Cart", "Add a helper function that sorts"]
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
    assert_eq!(merged("shop.py", None, SHOP, written), Some(expected));
    let bare = "\"\"\"Says\nsomething.\"\"\"\n\ndef f():\n    pass";
    assert_eq!(
        merged("a.py", None, bare, "import re\ndef g():\n    pass\n").as_deref(),
        Some("\"\"\"Says\nsomething.\"\"\"\n\nimport re\n\ndef f():\n    pass\n\n\ndef g():\n    pass\n")
    );
}

#[test]
fn what_is_there_already_is_replaced_and_what_has_no_place_refused() {
    let init = "    def __init__(self):\n        self.items = []\n        self.gone = []\n";
    let written = format!("class Cart:\n{init}\n{TOTAL}");
    let expected = SHOP
        .replace("    def __init__(self):\n        self.items = []\n", init)
        .replace("append(item)\n", &format!("append(item)\n\n{TOTAL}"));
    assert_eq!(merged("shop.py", Some("Cart"), SHOP, &written), Some(expected));
    assert_eq!(merged("shop.py", Some("Cart"), SHOP, &format!("LIMIT = 3\n{TOTAL}")), None);
    assert_eq!(merged("shop.py", Some("Cart"), SHOP, &format!("class Cart:\n    limit = 3\n{TOTAL}")), None);
    assert_eq!(merged("shop.py", Some("Cart"), SHOP, "I cannot do that.\n"), None);
    assert_eq!(merged("shop.py", None, SHOP, "def price(item):\n    return item.price\n"), None);
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
    assert_eq!(merged("a.js", Some("A"), js, "class A {\n  y() {\n    return 2;\n  }\n}\n"), Some(expected));
    assert_eq!(merged("a.js", None, js, "function f() {}\n\nmodule.exports = { A, f };\n"), None);
}
