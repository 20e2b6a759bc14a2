//! What the words of a request tell by themselves: what it asks for, where they are plain, and the files that it wants written.
//! A small model takes a good part of what is plain for something else, so that this is not left to it.

use std::sync::LazyLock;

use ignore::types::{Types, TypesBuilder};

use super::follow::{self, TAKING};
use super::intent::Intent;
use crate::workspace::{RelPath, Workspace};

/// First words that ask for an answer.
#[rustfmt::skip]
const ASKING: &[&str] = &[
    "what", "what's", "why", "how", "where", "who", "which", "when", "whose", "explain", "describe", "summarize", "summarise",
    "tell", "compare", "review", "analyze", "analyse", "critique", "evaluate", "suggest", "count", "thoughts",
];
/// The same, but not behind a courtesy: "now do the same", "could you show the total in the footer?".
#[rustfmt::skip]
const ASKING_ALONE: &[&str] =
    &["is", "are", "was", "does", "do", "did", "has", "have", "should", "show", "list"];
/// Beginnings that do.
#[rustfmt::skip]
const ASKING_PHRASES: &[&str] = &[
    "i wonder", "i don't understand", "i do not understand", "i have a question", "help me understand", "walk me through",
    "let me know", "not sure", "any ideas",
];
/// First words that order an edit.
#[rustfmt::skip]
pub(super) const CHANGING: &[&str] = &[
    "add", "allow", "append", "change", "define", "disable", "document", "enable", "ensure", "extend", "extract", "finish", "fix",
    "handle", "implement", "improve", "inline", "insert", "introduce", "modify", "optimize", "optimise", "port", "prevent", "put",
    "refactor", "replace", "rewrite", "set", "simplify", "split", "support", "swap", "turn", "update", "wrap",
];
/// Those that may mean a whole file, which no edit removes or renames.
pub(super) const MOVING: &[&str] = &["drop", "remove", "rename"];
/// Those that may mean a new file, or a text to read.
const MAKING: &[&str] = &["create", "make"];
/// What follows "make" where it is the program.
const TARGETS: &[&str] = &["all", "build", "check", "clean", "install", "test"];
/// What may stand in front of the word that tells.
pub(super) const COURTESIES: &[&str] =
    &["please", "can", "could", "would", "will", "you", "we", "let's", "now", "also", "just", "then"];
const GREETINGS: &[&str] = &["hello", "hi", "thanks"];
/// Says that files stay as they are, where the sentence ends with it.
const UNTOUCHED: &[&str] =
    &["don't change anything", "do not change anything", "don't touch the code", "do not touch the code", "no edits"];
/// What is written for the user to read, where no file is named for it.
const TEXTS: &[&str] = &["essay", "poem", "story", "joke", "haiku", "song"];
/// Words within which such a text is named.
const REACH: usize = 6;

/// Words that order something to be written, and those of them that say "in" of its file.
pub(super) const WRITING: &[&str] =
    &["add", "append", "copy", "create", "export", "generate", "make", "put", "save", "store", "write"];
const STORING: &[&str] = &["put", "save", "store"];
/// What the name of a file to be written stands behind.
const LEADS: &[&str] =
    &["to", "into", "as", "called", "named", "file", "module", "script", "create", "write", "add", "in"];
/// What may stand between them.
pub(super) const ARTICLES: &[&str] = &["a", "an", "the", "new"];

/// The kinds of files that ripgrep knows.
static KINDS: LazyLock<Types> =
    LazyLock::new(|| TypesBuilder::new().add_defaults().select("all").build().unwrap_or_else(|_| Types::empty()));

/// Words for tests.
const TESTS: &[&str] = &["test", "tests", "testing", "unittest", "unittests", "testcase", "testcases", "pytest"];
/// Words of requests for tests that fail as the code stands.
const NOT_YET: &[&str] = &["reproduce", "reproduces", "reproducing", "regression", "regressions", "yet", "tdd"];
/// Words that speak of a mistake.
#[rustfmt::skip]
const FAULTS: &[&str] = &[
    "bug", "bugs", "buggy", "fix", "wrong", "wrongly", "incorrect", "incorrectly", "broken", "mistake", "mistakes", "defect",
    "faulty", "fails", "crashes",
];
/// What may be mistaken without anything working otherwise.
#[rustfmt::skip]
const MERE_TEXT: &[&str] = &[
    "docstring", "docstrings", "comment", "comments", "typo", "typos", "spelling", "formatting", "lint", "linting", "indentation",
    "imports", "hints", "annotations",
];

/// Words by which something may be gone, or have another name or place, beside [`MOVING`] and [`TAKING`].
#[rustfmt::skip]
const REMOVING: &[&str] = &[
    "clean", "convert", "delete", "inline", "merge", "refactor", "replace", "rewrite", "simplify", "strip", "unused",
];

/// Behind one of these, among the first words, "it" is something that was spoken of before.
const PLACES: &[&str] = &["for", "from", "in", "of", "to"];
const FIRST: usize = 8;
/// Before one of these "it" is what comes then.
const NOTHING_YET: &[&str] = &["clear", "easier", "easy", "impossible", "possible", "so"];

/// Whether what a file defines may be gone from it behind a request.
pub(super) fn may_remove(request: &str) -> bool {
    [REMOVING, MOVING, TAKING].iter().any(|words| has(request, words))
}

/// Whether a request goes on with what was spoken of before it, as "now make it round the result" and "add type hints to it" do.
pub(super) fn goes_on(request: &str) -> bool {
    let words: Vec<String> = request.split_whitespace().map(|word| bare(word).to_lowercase()).collect();
    let word = |at: usize| words.get(at).map_or("", String::as_str);
    let order = words.iter().position(|word| !COURTESIES.contains(&word.as_str()) && word != "and");
    let is_ordered = order.is_some_and(|at| {
        ["it", "its", "them", "their"].contains(&word(at + 1)) && !NOTHING_YET.contains(&word(at + 2))
    });
    // In "fix the parser so that it reads tabs" it is the parser.
    let is_behind = |at: usize| PLACES.contains(&word(at - 1)) && ["it", "them"].contains(&word(at));
    is_ordered || (1..words.len().min(FIRST)).any(is_behind)
}

/// Whether one of these words stands in a request.
fn has(request: &str, words: &[&str]) -> bool {
    request.split_whitespace().any(|word| words.contains(&bare(word).to_lowercase().as_str()))
}

/// Whether a word orders something, speaks of tests or is polite, whatever it may be the name of.
pub(super) fn is_order(word: &str) -> bool {
    let word = word.to_lowercase();
    [CHANGING, MOVING, MAKING, TAKING, TESTS, COURTESIES, &["write", "run"]]
        .iter()
        .any(|words| words.contains(&word.as_str()))
}

/// Whether a request wants tests that should pass: of a mistake, or of what is yet to be written, the right ones fail.
pub(super) fn wants_passing_tests(request: &str) -> bool {
    has(request, TESTS) && !has(request, FAULTS) && !has(request, NOT_YET)
}

/// Whether a request is about something that does not work as it should, and about nothing else.
pub(super) fn is_about_a_fault(request: &str) -> bool {
    has(request, FAULTS) && !has(request, MERE_TEXT) && !follow::orders_more_than(request, "fix")
}

/// What the words and marks of a request tell, where they do.
pub(super) fn plain(request: &str) -> Option<Intent> {
    let request = request.trim().to_lowercase().replace('\u{2019}', "'");
    let mut words = request.split_whitespace().map(bare).filter(|word| !word.is_empty()).peekable();
    let greets = words.next_if(|word| GREETINGS.contains(word)).is_some();
    let mut polite = false;
    while words.next_if(|word| COURTESIES.contains(word)).is_some() {
        polite = true;
    }
    let Some(word) = words.next() else { return greets.then_some(Intent::Answer) };
    let next = words.next().unwrap_or_default();
    let marked = request.ends_with(['?', '\u{ff1f}', '\u{61f}']);
    let question = marked && !polite;
    let asks = ASKING.contains(&word)
        || (!polite && ASKING_ALONE.contains(&word))
        || ASKING_PHRASES.iter().any(|phrase| request.starts_with(phrase));
    let edits = CHANGING.contains(&word)
        || (MAKING.contains(&word) && !(word == "make" && is_target(next)))
        || (MOVING.contains(&word) && !request.split_whitespace().any(is_path))
        || (word == "write" && !to_write(&request).is_empty())
        || (TAKING.contains(&word) && !follow::followers(&request).is_empty());
    match word {
        "run" | "execute" => Some(Intent::Command),
        _ if (!edits || MAKING.contains(&word)) && is_text(&request) => Some(Intent::Answer),
        _ if stays_untouched(&request) => Some(Intent::Answer),
        // "Review calc.py and fix it" may want both.
        _ if asks => (!orders_also(&request, question)).then_some(Intent::Answer),
        // "Can you rename it?" orders a change, politely; "can we?" asks.
        _ if edits && !(marked && (!polite || request.split_whitespace().any(|word| word == "we"))) => {
            Some(Intent::Change)
        }
        _ if question => (!orders_also(&request, question)).then_some(Intent::Answer),
        _ => None,
    }
}

/// The files that a request wants written: "write its output to count.txt". `skip` is a command in it, whose words are its own.
pub(super) fn written_files(workspace: &Workspace, request: &str, skip: Option<&str>) -> Vec<RelPath> {
    let behind = skip.and_then(|command| request.split_once(command)).map_or(request, |(_, behind)| behind);
    to_write(behind).into_iter().filter_map(|name| workspace.resolve(name).ok()).collect()
}

/// The names of files that are to be written.
fn to_write(request: &str) -> Vec<&str> {
    let (mut names, mut writes, mut stores, mut lead) = (Vec::new(), false, false, false);
    for word in request.split_whitespace() {
        let name = bare(word).trim_start_matches('@');
        if lead && writes && is_file_name(name) && !word.contains('(') && !names.contains(&name) {
            names.push(name);
        }
        let lower = name.to_lowercase();
        writes |= [WRITING, TAKING].iter().any(|words| words.contains(&lower.as_str()));
        stores |= STORING.contains(&lower.as_str());
        // "to a.txt, b.txt and the new c.txt"
        let goes_on = lead && (ARTICLES.contains(&lower.as_str()) || lower == "and" || names.contains(&name));
        lead = goes_on || (LEADS.contains(&lower.as_str()) && (lower != "in" || stores));
        lead &= !word.ends_with(['.', '!', ';']);
    }
    names
}

/// A word without the marks around it; a dot in front belongs to it.
pub(super) fn bare(word: &str) -> &str {
    const MARKS: [char; 11] = ['.', '`', '"', '\'', '(', ')', ',', ';', ':', '!', '?'];
    word.trim_start_matches(&MARKS[1..]).trim_end_matches(MARKS)
}

/// Whether a name is that of a kind of file that is known, or begins with a dot.
pub(super) fn is_file_name(name: &str) -> bool {
    let Some((stem, _)) = name.rsplit_once('.') else { return false };
    let is_known = || KINDS.matched(name, false).is_whitelist();
    // What has a capital and ends so is a library: Node.js.
    let is_library = name.ends_with(".js") && name.starts_with(char::is_uppercase);
    !name.contains("://") && !["e.g", "i.e"].contains(&name) && !is_library && (stem.is_empty() || is_known())
}

fn is_path(word: &str) -> bool {
    is_file_name(bare(word)) || word.contains('/')
}

/// Whether this follows "make" where that is the program, or nothing does.
fn is_target(next: &str) -> bool {
    next.is_empty() || TARGETS.contains(&next) || next.starts_with('-') || next.contains('=')
}

/// Whether a later clause orders a change or a command. In a `question`, "and" goes on with what it asks.
fn orders_also(request: &str, question: bool) -> bool {
    let mut fresh = false;
    for word in request.split_whitespace() {
        let own = bare(word);
        let orders =
            [CHANGING, MOVING, TAKING, &["create", "save", "write", "run"]].iter().any(|words| words.contains(&own));
        if fresh && orders {
            return true;
        }
        let goes_on = matches!(own, "and" | "then" | "but");
        fresh = word.ends_with(['.', '!', '?', ',', ';'])
            || (goes_on && !question)
            || (fresh && (goes_on || COURTESIES.contains(&own)));
    }
    false
}

fn stays_untouched(request: &str) -> bool {
    let behind = UNTOUCHED.iter().find_map(|phrase| request.split_once(phrase)).map(|(_, behind)| behind);
    behind.is_some_and(|behind| behind.is_empty() || behind.starts_with(['.', '!', '\n']))
}

fn is_text(request: &str) -> bool {
    let named = |word: &str| TEXTS.contains(&bare(word));
    request.split_whitespace().take(REACH).any(named) && to_write(request).is_empty()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::workspace::Options;

    fn check(intent: Option<Intent>, requests: &[&str]) {
        for request in requests {
            assert_eq!(plain(request), intent, "{request}");
        }
    }

    #[test]
    fn what_asks_is_answered() {
        check(
            Some(Intent::Answer),
            &[
                "What is calc.py for? One sentence.",
                "Explain calc.py.",
                "Could you please explain calc.py?",
                "\u{c65c} \u{b290}\u{b824}?",
                "List the functions of calc.py",
                "Review calc.py",
                "I don\u{2019}t understand calc.py.",
                "calc.py: can div crash?",
                "How do I read and change a file?",
                "Find bugs in calc.py but don't change anything.",
                "Write a short essay about anvils.",
                "Write a poem about TCP/IP.",
                "Thanks!",
            ],
        );
    }

    #[test]
    fn what_orders_is_done() {
        check(
            Some(Intent::Change),
            &[
                "Fix the bug in calc.py",
                "Fix the bug in calc.py, and don't change anything else.",
                "Refactor it, but do not change anything in tests/.",
                "Can you fix it?",
                "Hi, fix the bug in calc.py",
                "Make app.py use argparse",
                "Rename greet to welcome",
                "Write a poem into poem.txt",
                "Add a song field to User",
                "Move div from calc.py into arith.py",
            ],
        );
        check(Some(Intent::Command), &["Run the tests", "Please run pytest", "Run it, but don't change anything."]);
    }

    #[test]
    fn what_stands_for_something_before_goes_on() {
        for request in [
            "Make it round the result",
            "Now make it faster, please.",
            "Can you rename its parameter to y?",
            "And now write tests for it into test_calc.py",
            "Add type hints to them",
        ] {
            assert!(goes_on(request), "{request}");
        }
        for request in [
            "Fix the parser so that it reads tabs",
            "Make it possible to export the cart as CSV",
            "Move the User class to its own file",
            "Add a method that counts the items of the cart",
            "it",
            "",
        ] {
            assert!(!goes_on(request), "{request}");
        }
    }

    #[test]
    fn what_is_not_plain_is_left_open() {
        check(
            None,
            &[
                "",
                "calc.py lacks type hints.",
                "Write a function that adds two numbers",
                "Write a short summary of calc.py.",
                "Could calc.py be faster?",
                "Can we remove this dependency?",
                "Now do the same for utils.py.",
                "Could you show the total in the footer?",
                "Review calc.py and fix what is wrong",
                "Could you review calc.py and fix what is wrong?",
                "Why does div(1, 0) crash? Fix it.",
                "What is wrong with calc.py, and can you fix it?",
                "Count the lines of names.txt and write the number to count.txt.",
                "make test",
                "make -j 4 all",
                "Delete old.py",
                "Rename utils.py to helpers.py",
                "Move utils.py to src/utils.py",
            ],
        );
    }

    #[test]
    fn what_is_to_be_written_is_what_the_request_names_for_it() {
        let (folder, state) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        let options = Options { state: state.path().to_owned(), dry_run: false };
        let workspace = Workspace::open(folder.path(), options).unwrap();
        let check = |request, skip, expected: &[&str]| {
            let found = written_files(&workspace, request, skip);
            assert_eq!(found.iter().map(RelPath::as_str).collect::<Vec<_>>(), expected, "{request}");
        };
        check("Write its output to count.txt, I said to count.txt", None, &["count.txt"]);
        check("Then write it to the file `out/sorted.txt`.", None, &["out/sorted.txt"]);
        check("Save the names in \".gitignore\".", None, &[".gitignore"]);
        check("Write a new README.md, and a server in a Node.js", None, &["README.md"]);
        check("Create a script called @run.sh", None, &["run.sh"]);
        check("Split it into a.py, b.py and the new c.py", None, &["a.py", "b.py", "c.py"]);
        check("Write its output to out.txt. config.json must stay as it is.", None, &["out.txt"]);
        check("Save it as ../sorted.txt", None, &[]);
        check("Run `echo write to a.txt`, and write it to b.txt", Some("echo write to a.txt"), &["b.txt"]);
        check("Run gen.py, which writes to out.txt, and fix gen.py", None, &[]);
        check("Add a log to calc.div and one into Stack.push(), and write a test", None, &[]);
        check("Write it to http://localhost/index.html as e.g. this", None, &[]);
        check("Mend what fails, as said in 1.2", None, &[]);
    }
}
