//! The budget is never exceeded, and the same request gets the same bytes.

use moru::code::{Request, Slice};
use proptest::prelude::*;

use super::folder::Folder;

/// A token counter with the awkward property of real ones: what is counted together can be more than its parts.
fn count(text: &str) -> usize {
    text.split_inclusive(|c: char| !c.is_alphanumeric()).map(|piece| piece.len().div_ceil(4)).sum::<usize>()
        + text.len() / 50
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 48, ..ProptestConfig::default() })]

    #[test]
    fn no_budget_is_exceeded(
        files in prop::collection::vec(("[a-c]{1,2}", prop::collection::vec("[a-f_]{1,6}", 1..40)), 1..8),
        words in prop::collection::vec("[a-f_]{1,6}", 0..8),
        budget in 0_usize..3000,
    ) {
        let folder = Folder::new(&[]);
        for (name, names) in &files {
            let functions: Vec<String> =
                names.iter().map(|name| format!("def {name}(x):\n    # {name} of x\n    return {}(x)\n\n", names[0])).collect();
            folder.write(&format!("{name}.py"), functions.concat().as_bytes());
        }
        let index = folder.fresh();
        let request = Request { text: words.join(" "), ..Request::default() };
        let slices = index.context(&request, budget, &count);
        let text: String = slices.iter().map(Slice::render).collect();
        prop_assert!(count(&text) <= budget, "{} of {budget}", count(&text));
        prop_assert!(count(&index.map("", budget, &count)) <= budget);
        prop_assert_eq!(&slices, &index.context(&request, budget, &count));
        prop_assert_eq!(&slices, &folder.fresh().context(&request, budget, &count));
        for slice in &slices {
            let file = std::fs::read_to_string(folder.path().join(&slice.file)).unwrap();
            let lines: Vec<&str> = file.lines().collect();
            prop_assert_eq!(lines[slice.start as usize - 1..slice.end as usize].join("\n"), slice.text.clone());
        }
    }
}

#[test]
fn whole_functions_come_before_parts_of_others() {
    let folder = Folder::new(&[
        (
            "store.py",
            "import os\n\n\ndef load(path):\n    with open(path) as file:\n        return file.read()\n\n\ndef save(path, text):\n    pass\n",
        ),
        ("main.py", "from store import load\n\n\ndef main():\n    print(load('x'))\n"),
        ("other.py", "def unrelated():\n    return 1\n"),
    ]);
    let request = Request { text: "load() fails for an empty path".into(), ..Request::default() };
    let slices = folder.fresh().context(&request, 400, &count);
    let first = &slices[0];
    assert_eq!((first.file.as_str(), first.symbol.as_str(), first.start, first.end), ("store.py", "load", 4, 6));
    assert!(first.why.contains("defines load"), "{}", first.why);
}

#[test]
fn a_trace_leads_to_its_lines() {
    let body = "    x = 1\n".repeat(30);
    let text: String = (0..20).map(|n| format!("def f{n}():\n{body}\n")).collect();
    let folder = Folder::new(&[("pkg/deep.py", &text), ("pkg/other.py", "def g():\n    pass\n")]);
    let trace = "It crashes:\nTraceback (most recent call last):\n  File \"/home/someone/pkg/deep.py\", line 170, in whatever\nValueError";
    let slices = folder.fresh().context(&Request { text: trace.into(), ..Request::default() }, 2000, &count);
    assert_eq!(slices[0].file, "pkg/deep.py");
    assert!(slices[0].start <= 170 && 170 <= slices[0].end, "{}-{}", slices[0].start, slices[0].end);
}
