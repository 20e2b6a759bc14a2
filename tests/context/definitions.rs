//! Definitions against Python's own parser, on the library that comes with it.

use std::collections::BTreeSet;
use std::process::Command;

use moru::code::{Kind, definitions};

/// Prints, for each file named on standard input, `path<TAB>line<TAB>name` of its functions and classes.
const AST: &str = r#"
import ast, sys, warnings
warnings.simplefilter("ignore")
for path in sys.stdin.read().split("\n"):
    try:
        tree = ast.parse(open(path, encoding="utf-8").read())
    except Exception:
        continue
    print(path, 0, "", sep="\t")
    for node in ast.walk(tree):
        if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)):
            print(path, node.lineno, node.name, sep="\t")
"#;

/// Files of the library that are compared.
const FILES: usize = 150;

fn python(arguments: &[&str], input: &str) -> Option<String> {
    use std::io::Write;
    use std::process::Stdio;
    let mut child =
        Command::new("python3").args(arguments).stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().ok()?;
    child.stdin.take()?.write_all(input.as_bytes()).ok()?;
    let output = child.wait_with_output().ok()?;
    output.status.success().then(|| String::from_utf8_lossy(&output.stdout).into_owned())
}

#[test]
fn python_has_the_definitions_that_python_sees() {
    let Some(library) = python(&["-c", "import sysconfig; print(sysconfig.get_paths()['stdlib'])"], "") else {
        eprintln!("skipped: there is no python3");
        return;
    };
    let mut files: Vec<_> =
        std::fs::read_dir(library.trim()).unwrap().filter_map(|entry| Some(entry.ok()?.path())).collect();
    files.retain(|path| path.extension().is_some_and(|extension| extension == "py"));
    files.sort();
    files.truncate(FILES);
    let list: Vec<&str> = files.iter().filter_map(|path| path.to_str()).collect();
    let told = python(&["-c", AST], &list.join("\n")).unwrap();
    let (mut expected, mut parsed) = (BTreeSet::new(), BTreeSet::new());
    for line in told.lines() {
        let mut parts = line.split('\t');
        let (path, number, name) = (parts.next().unwrap(), parts.next().unwrap(), parts.next().unwrap());
        parsed.insert(path);
        if !name.is_empty() {
            expected.insert((path.to_owned(), number.parse::<u32>().unwrap(), name.to_owned()));
        }
    }
    let mut found = BTreeSet::new();
    for path in &parsed {
        let text = std::fs::read_to_string(path).unwrap();
        let shown = definitions(path, &text)
            .into_iter()
            .filter(|d| matches!(d.kind, Kind::Function | Kind::Method | Kind::Class));
        found.extend(shown.map(|d| ((*path).to_owned(), d.line, d.name)));
    }
    let right = found.intersection(&expected).count() as f64;
    let (precision, recall) = (right / found.len() as f64, right / expected.len() as f64);
    let differences: Vec<_> = found.symmetric_difference(&expected).take(10).collect();
    assert!(expected.len() > 1000, "only {} definitions to compare", expected.len());
    assert!(precision >= 0.98 && recall >= 0.98, "precision {precision:.4}, recall {recall:.4}: {differences:?}");
}
