//! Which files must change along with those that a request wants written: the ones from which something is moved into them, and
//! the ones in which they are put to use. Told by the request's clauses, each an order that begins with its verb.

use super::wording::{ARTICLES, CHANGING, COURTESIES, MOVING, WRITING, bare, is_file_name};

/// Words that take something out of a file.
pub(super) const TAKING: &[&str] = &["cut", "extract", "move", "split"];
/// Words that put something to use.
const USING: &[&str] =
    &["add", "call", "import", "include", "load", "mention", "read", "reference", "register", "require", "use"];
/// Words that make a file fit something new.
const ADAPTING: &[&str] = &["adapt", "adjust", "change", "edit", "extend", "fix", "modify", "update"];
/// What stands for something that was named before.
const PRONOUNS: &[&str] = &["both", "it", "that", "them", "these", "this"];
/// Behind these it is said what for.
const PURPOSES: &[&str] = &["so", "that", "to", "which"];

/// An order of a request.
pub(super) struct Clause<'r> {
    /// In lower case.
    pub verb: String,
    /// What stands behind it, without the marks around each word.
    pub words: Vec<&'r str>,
}

impl<'r> Clause<'r> {
    /// Whether it orders anything.
    pub fn is_order(&self) -> bool {
        is_verb(&self.verb)
    }

    /// What it is about, without what for: "main.py" of "update main.py to use the helper in helpers.py".
    fn without_purpose(&self) -> &[&'r str] {
        let purpose = |word: &&str| PURPOSES.contains(&word.to_lowercase().as_str());
        self.words.split(purpose).next().unwrap_or_default()
    }
}

/// Whether a request orders something to be taken out of a file.
pub(super) fn takes(request: &str) -> bool {
    clauses(request).iter().any(|clause| TAKING.contains(&clause.verb.as_str()))
}

/// Whether a request orders something else than `verb`.
pub(super) fn orders_more_than(request: &str, verb: &str) -> bool {
    clauses(request).iter().any(|clause| clause.verb != verb && clause.is_order())
}

/// The names of the files that must change along with those that a request wants written.
pub(super) fn followers(request: &str) -> Vec<&str> {
    let clauses = clauses(request);
    let mut names = Vec::new();
    for (number, clause) in clauses.iter().enumerate() {
        let earlier = &clauses[..number];
        let found = match clause.verb.as_str() {
            "split" => listed(&clause.words, &["", "from", "of"]),
            verb if TAKING.contains(&verb) => listed(&clause.words, &["from", "of"]),
            verb if USING.contains(&verb) && speaks_of(clause, earlier) => listed(&clause.words, &["in", "into", "to"]),
            verb if ADAPTING.contains(&verb) && number > 0 => listed(clause.without_purpose(), &["", "in"]),
            _ => Vec::new(),
        };
        names.extend(found);
    }
    names
}

/// Splits a request into its orders: at the ends of lines and sentences, and where "and", "then" or a comma stands before a verb.
pub(super) fn clauses(request: &str) -> Vec<Clause<'_>> {
    let mut clauses: Vec<Clause> = Vec::new();
    for line in request.lines() {
        let mut fresh = true;
        for word in line.split_whitespace() {
            let own = bare(word).trim_start_matches('@');
            let lower = own.to_lowercase();
            let joins = matches!(lower.as_str(), "and" | "then" | "but");
            let skipped = own.chars().all(|c| !c.is_alphabetic()) || COURTESIES.contains(&lower.as_str());
            if fresh && (joins || skipped) {
                continue;
            }
            match clauses.last_mut() {
                Some(clause) if !fresh || !is_verb(&lower) => clause.words.push(own),
                _ => clauses.push(Clause { verb: lower, words: Vec::new() }),
            }
            fresh = joins || word.ends_with(['.', '!', '?', ';', ',']);
        }
    }
    clauses
}

fn is_verb(word: &str) -> bool {
    [TAKING, USING, ADAPTING, CHANGING, MOVING, WRITING, &["run"]].iter().any(|verbs| verbs.contains(&word))
}

/// Whether the object of a clause was named in those before it.
fn speaks_of(clause: &Clause, earlier: &[Clause]) -> bool {
    let object = clause.words.iter().find(|word| !ARTICLES.contains(word));
    let Some(object) = object.map(|word| word.to_lowercase()) else { return false };
    let object = object.split('(').next().unwrap_or_default();
    let names = |word: &&str| word.split(|c: char| !c.is_alphanumeric() && c != '_').any(|part| part == object);
    let named = || earlier.iter().flat_map(|clause| &clause.words).any(|word| names(&word.to_lowercase().as_str()));
    !earlier.is_empty() && (PRONOUNS.contains(&object) || named())
}

/// The files that stand behind one of `leads` ("" is the verb itself), and those that are listed with them.
fn listed<'r>(words: &[&'r str], leads: &[&str]) -> Vec<&'r str> {
    let (mut names, mut before, mut open) = (Vec::new(), String::new(), false);
    for &word in words {
        let lower = word.to_lowercase();
        let is_name = is_file_name(word);
        open = (open || leads.contains(&before.as_str())) && (is_name || lower == "and");
        if open && is_name {
            names.push(word);
        }
        if !ARTICLES.contains(&lower.as_str()) && !matches!(lower.as_str(), "file" | "module") {
            before = lower;
        }
    }
    names
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_gives_to_a_file_or_uses_it_follows_it() {
        let check = |request, expected: &[&str]| assert_eq!(followers(request), expected, "{request}");
        check("Create utils.py with a function slug(text) and use it in main.py.", &["main.py"]);
        check("Create utils.py with a function slug(text) and use slug in main.py.", &["main.py"]);
        check("Create utils.py. Then please import it in the file `main.py`", &["main.py"]);
        check("- Create log.py\n- Use it in a.py, b.py and c.py", &["a.py", "b.py", "c.py"]);
        check("Move the function div from calc.py into a new file arith.py", &["calc.py"]);
        check("Move the helpers from a.py and b.py into common.py", &["a.py", "b.py"]);
        check("Split calc.py into add.py and div.py", &["calc.py"]);
        check("Create conf.toml, and update main.py and app.py to load it", &["main.py", "app.py"]);
        check("Move div from calc.py into arith.py and update the imports in main.py", &["calc.py", "main.py"]);
        check("Create theme.css and add it to index.html", &["index.html"]);
    }

    #[test]
    fn what_is_only_read_or_spoken_of_does_not() {
        let check = |request| assert_eq!(followers(request), [""; 0], "{request}");
        check("Write tests for calc.py into test_calc.py");
        check("Write tests for calc.py into test_calc.py and use the helpers in helpers.py");
        check("Write tests for the split function from text.py into test_text.py");
        check("Create test_calc.py and add a test for each function in calc.py");
        check("Create README.md that tells how to use the functions in calc.py");
        check("Create README.md and document main.py in it");
        check("Create report.py and read the data from data.csv");
        check("Create a script links.py to extract all links from index.html");
        check("Create cli.py and import parse from parser.py");
        check("Create calc.ts and port calc.py to TypeScript");
        check("Copy div from calc.py to arith.py");
        check("Move calc.py to src/calc.py");
        check("Translate calc.py and write it to calc.js");
    }

    #[test]
    fn what_is_taken_out_is_told_by_the_verb() {
        assert!(takes("Please extract the constants into constants.py"));
        assert!(takes("Add a test.\nThen move div into arith.py"));
        assert!(!takes("Write tests for the split function"));
    }
}
