//! Long calls in small pieces: the time to read one grows with its length, not with the square of it, which would be hours here.

use moru::dialect::{Call, Dialect, Parsed};
use serde_json::{Value, json};

use crate::families::dialects;
use crate::tools::{self, tools, written};

const LENGTH: usize = 300_000;

fn call(name: &str, key: &str, value: Value) -> Call {
    Call { id: String::new(), name: name.into(), arguments: [(key.to_owned(), value)].into_iter().collect() }
}

/// The calls that are known before the output ends, and those that its end brings.
fn read<'a>(dialect: &dyn Dialect, pieces: impl Iterator<Item = &'a str>) -> [Vec<Parsed>; 2] {
    let mut parser = dialect.parser(&tools());
    let mut early: Vec<Parsed> = pieces.flat_map(|piece| parser.push(piece)).collect();
    let mut late = parser.finish();
    for items in [&mut early, &mut late] {
        items.retain(|item| matches!(item, Parsed::Call(_) | Parsed::Malformed { .. }));
    }
    [early, late]
}

fn characters(text: &str) -> impl Iterator<Item = &str> {
    text.split_inclusive(|_: char| true)
}

#[test]
fn a_long_call_is_read_in_small_pieces() {
    let line = "    if a[\"k\"] < 1 && b > 'x' { return Some(\"<p>\\n</p>\"); } // `é`\n";
    let call = call("run", "command", json!(line.repeat(LENGTH / line.len() + 1)));
    let small = tools::dialects();
    for dialect in dialects().iter().map(|(_, dialect)| dialect).chain(&small) {
        let text = written(dialect.as_ref(), &call);
        let whole = read(dialect.as_ref(), std::iter::once(text.as_str()));
        assert!(whole.concat() == [Parsed::Call(call.clone())], "{}", dialect.name());
        // As early too: nothing that ends the call is waited past.
        assert!(read(dialect.as_ref(), characters(&text)) == whole, "{}", dialect.name());
    }
}

#[test]
fn a_long_list_is_read_in_small_pieces() {
    let many: Vec<String> = (0..LENGTH / 10).map(|i| format!("item {i}")).collect();
    let call = call("odd", "many", json!(many));
    let forms = ["hermes", "harmony", "olmo", "glm"];
    for (name, dialect) in dialects().iter().filter(|(_, dialect)| forms.contains(&dialect.name())) {
        let text = written(dialect.as_ref(), &call);
        assert!(read(dialect.as_ref(), characters(&text)).concat() == [Parsed::Call(call.clone())], "{name}");
    }
}
