//! Words as they are compared: identifiers split by case and underscores, in lower case, without endings.

use rustc_hash::FxHashMap;

/// A word's hash; what is compared instead of the word.
pub(super) type Term = u32;

/// Words shorter than this say nothing.
const SHORTEST: usize = 2;
/// Longer ones are data.
const LONGEST: usize = 64;
/// Identifiers whose terms are remembered: the vocabulary of a large repository.
const REMEMBERED: usize = 50_000;

/// The term of a name, as it is written.
pub(super) fn name_term(name: &str) -> Term {
    xxhash_rust::xxh3::xxh3_64(name.as_bytes()) as Term
}

/// Turns texts into terms, remembering what each identifier becomes.
#[derive(Default)]
pub(super) struct Words {
    known: FxHashMap<Box<str>, Box<[Term]>>,
}

impl Words {
    /// Hands each term of `text` to `found`, a compound name's parts first and then the whole of it.
    pub fn terms(&mut self, text: &str, found: &mut impl FnMut(Term)) {
        for run in runs(text) {
            if let Some(terms) = self.known.get(run) {
                terms.iter().copied().for_each(&mut *found);
                continue;
            }
            let terms = terms_of(run);
            terms.iter().copied().for_each(&mut *found);
            if self.known.len() < REMEMBERED {
                self.known.insert(run.into(), terms.into());
            }
        }
    }
}

/// The terms of an identifier.
fn terms_of(run: &str) -> Vec<Term> {
    let mut terms: Vec<Term> = split(run).filter_map(term).collect();
    if split(run).nth(1).is_some() {
        terms.extend(term(&run.replace('_', "")));
    }
    terms
}

/// The term of a single word.
fn term(word: &str) -> Option<Term> {
    (SHORTEST..=LONGEST).contains(&word.len()).then(|| name_term(&stem(&word.to_lowercase())))
}

/// The runs of letters, digits and underscores of a text.
pub fn runs(text: &str) -> impl Iterator<Item = &str> {
    text.split(|c: char| !c.is_alphanumeric() && c != '_').filter(|run| !run.is_empty())
}

/// The words of an identifier: `HTTPServer_v2` is `HTTP`, `Server`, `v`, `2`.
pub(super) fn split(identifier: &str) -> impl Iterator<Item = &str> {
    let mut rest = identifier;
    std::iter::from_fn(move || {
        rest = rest.trim_start_matches('_');
        let end = word_end(rest)?;
        let (word, after) = rest.split_at(end);
        rest = after;
        Some(word)
    })
}

/// Where the first word of `text` ends; `None` where there is none.
fn word_end(text: &str) -> Option<usize> {
    let mut chars = text.char_indices().peekable();
    let (_, first) = chars.next()?;
    let mut previous = first;
    while let Some((at, c)) = chars.next() {
        let next = chars.peek().map(|(_, c)| *c);
        let ends = c == '_'
            || (c.is_numeric() != previous.is_numeric())
            || (c.is_uppercase() && !previous.is_uppercase())
            // The last capital of a run begins the next word: `HTTPServer`.
            || (c.is_uppercase() && next.is_some_and(char::is_lowercase));
        if ends {
            return Some(at);
        }
        previous = c;
    }
    Some(text.len())
}

/// A word without the endings that inflect it or make it a doer, a deed or a quality: `binds`, `binding` and `bind` are one,
/// and so are `validator`, `validation` and `validate`.
fn stem(word: &str) -> String {
    let mut stem = word;
    if let Some(base) = stem.strip_suffix("ies").filter(|base| base.len() >= 2) {
        return format!("{base}y");
    }
    for ending in ["sses", "xes", "ches", "shes"] {
        if stem.ends_with(ending) {
            stem = &stem[..stem.len() - 2];
        }
    }
    if stem.len() > 3 && stem.ends_with('s') && !stem.ends_with("ss") && !stem.ends_with("us") && !stem.ends_with("is")
    {
        stem = &stem[..stem.len() - 1];
    }
    for ending in ["ing", "ed"] {
        let Some(base) = stem.strip_suffix(ending).filter(|base| base.len() >= 3 && has_vowel(base)) else { continue };
        stem = undouble(base);
        break;
    }
    for ending in ["ation", "ator", "able", "ion", "ate", "er", "or"] {
        let Some(base) = stem.strip_suffix(ending).filter(|base| base.len() >= 4) else { continue };
        return undouble(base).to_owned();
    }
    stem.strip_suffix('e').filter(|base| base.len() >= 3).unwrap_or(stem).to_owned()
}

fn has_vowel(word: &str) -> bool {
    word.contains(['a', 'e', 'i', 'o', 'u', 'y'])
}

/// `running` is of `run`, `calling` of `call`.
fn undouble(word: &str) -> &str {
    let bytes = word.as_bytes();
    match bytes {
        [.., a, b] if a == b && b.is_ascii_alphabetic() && !matches!(b, b'l' | b's' | b'z') => &word[..word.len() - 1],
        _ => word,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn identifiers_are_split_by_case_digits_and_underscores() {
        for (identifier, words) in [
            ("get_flashed_messages", &["get", "flashed", "messages"][..]),
            ("__init__", &["init"]),
            ("HTTPServer", &["HTTP", "Server"]),
            ("parseJSONBody2x", &["parse", "JSON", "Body", "2", "x"]),
            ("ÄußereHülle", &["Äußere", "Hülle"]),
            ("_", &[]),
        ] {
            assert_eq!(split(identifier).collect::<Vec<_>>(), words, "{identifier}");
        }
    }

    #[test]
    fn a_words_forms_are_one() {
        for forms in [
            &["bind", "binds", "binding", "bound"][..3],
            &["message", "messages"],
            &["filter", "filtered", "filtering", "filters"],
            &["cache", "caches", "cached", "caching"],
            &["run", "running", "runs"],
            &["query", "queries"],
            &["match", "matches", "matching"],
            &["validate", "validator", "validation"],
            &["route", "router", "routing"],
            &["iterate", "iterator", "iterable", "iteration"],
            &["connect", "connection", "connector"],
        ] {
            let stems: Vec<String> = forms.iter().map(|form| stem(form)).collect();
            assert!(stems.iter().all(|stem| *stem == stems[0]), "{stems:?}");
        }
        for (one, other) in [("class", "clas"), ("string", "str"), ("status", "statu"), ("bed", "b"), ("is", "i")] {
            assert_ne!(stem(one), stem(other));
        }
    }

    #[test]
    fn a_compound_name_counts_in_parts_and_whole() {
        let collect = |text: &str| {
            let mut terms = Vec::new();
            Words::default().terms(text, &mut |term| terms.push(term));
            terms
        };
        assert_eq!(collect("getUser(id)").len(), 4);
        assert_eq!(collect("getUser"), collect("get_user"));
        assert_eq!(collect("a + b"), [0; 0]);
    }
}
