//! What a request says of a function that is to be added, where it orders that and nothing else. What is read into a request
//! wrongly costs more than what is not seen in it, so that whatever is not plain is left alone.

use crate::session::follow;
use crate::session::wording::{ARTICLES, COURTESIES, bare};

/// Verbs that order something new.
const ADDING: &[&str] = &["add", "create", "define", "implement", "insert", "introduce", "write"];
/// What is added.
const FUNCTIONS: &[&str] = &["function", "helper", "method"];
/// What may be said of it beside its name.
#[rustfmt::skip]
const SAID: &[&str] = &[
    "another", "called", "named", "public", "short", "simple", "small", "tiny",
];
/// The same of one that is not written as others are.
#[rustfmt::skip]
const FORMS: &[&str] = &[
    "abstract", "async", "asynchronous", "classmethod", "coroutine", "decorated", "decorator", "generator", "private", "property",
    "static", "staticmethod",
];
/// Nouns that "function" or "method" stands in front of, and words that compare.
#[rustfmt::skip]
const NO_NAMES: &[&str] = &[
    "above", "annotation", "argument", "at", "below", "body", "call", "comment", "component", "decorator", "docs", "docstring",
    "documentation", "header", "here", "hint", "like", "parameter", "pointer", "prototype", "signature", "similar", "stub", "test",
];
/// Behind these it is said where it belongs.
const PLACES: &[&str] = &["in", "inside", "into", "of", "on", "to", "within"];
/// Behind these, what it is for.
const PURPOSES: &[&str] = &["for", "from", "that", "using", "which", "with"];
/// What may stand between a place and its name.
const TYPES: &[&str] = &["class", "enum", "file", "interface", "module", "struct", "trait", "type"];
/// More than one thing, where it stands in front of what it is for.
const MORE: &[&str] = &["also", "and", "as", "plus"];
/// What a further sentence about the same begins with.
const SAME: &[&str] = &["it", "its", "e.g", "for", "if", "raise", "raises", "return", "returns", "this", "when"];
/// What is never a part of the function itself.
const BESIDES: &[&str] = &["test", "tests", "docs", "documentation", "readme", "changelog"];

/// What a request adds.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Added<'r> {
    pub is_method: bool,
    /// The words that stand where the name of a place does: types, or files.
    pub places: Vec<&'r str>,
    pub named: Option<Named>,
}

/// What a function that is to be added is called.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Named {
    pub name: String,
    /// As far as they are given: names alone.
    pub parameters: String,
    /// It is no static method, no property and nothing else that is written in a way of its own.
    pub is_plain: bool,
}

/// What a request adds, where it is one function.
pub(super) fn added(request: &str) -> Option<Added<'_>> {
    let (sentence, rest) = first_sentence(request.trim());
    if !rest.iter().all(|sentence| is_about_the_same(sentence)) || orders(request) != 1 {
        return None;
    }
    let (ahead, sentence) = leading_place(sentence);
    let words: Vec<&str> = sentence.split_whitespace().map(clean).collect();
    let lower: Vec<String> = words.iter().map(|word| word.to_lowercase()).collect();
    let is = |at: usize, list: &[&str]| lower.get(at).is_some_and(|word| list.contains(&word.as_str()));
    let begin = lower.iter().take_while(|word| COURTESIES.contains(&word.as_str())).count();
    let from = begin + 1;
    let ends = |at: usize| {
        is(at, PLACES) || is(at, PURPOSES) || (at > from && lower[at].ends_with("ing") && is(at - 1, FUNCTIONS))
    };
    let end = (from..words.len()).find(|&at| ends(at)).unwrap_or(words.len());
    let purpose = (end..words.len()).find(|&at| is(at, PURPOSES)).unwrap_or(words.len());
    let is_more = (from..purpose).any(|at| is(at, MORE))
        || lower.iter().any(|word| BESIDES.contains(&word.as_str()) || word == "so");
    if !is(begin, ADDING) || is_more {
        return None;
    }
    let kind = (from..end).rev().find(|&at| is(at, FUNCTIONS))?;
    let marked = |word: &str| word.contains(['(', '`', '_']);
    let raw: Vec<&str> = sentence.split_whitespace().collect();
    let has_article = (from..kind).any(|at| is(at, ARTICLES) || is(at, SAID));
    let name = (from..end).find(|&at| marked(raw[at])).or_else(|| {
        // Without a mark it ends what is added: "a method total to …".
        let is_last = kind + 1 < end && (kind + 2 == end || is(kind + 1, &["called", "named"]));
        let may_be = |at: &usize| has_article && ![NO_NAMES, FORMS, TYPES].iter().any(|list| is(*at, list));
        is_last.then_some(end - 1).filter(may_be)
    });
    // What is given in parentheses may be several words.
    let parameters_end =
        name.map_or(0, |at| raw[at..end].iter().position(|word| word.contains(')')).map_or(at, |more| at + more));
    let is_known = |at: usize| {
        let is_of_class = is(at, &["class"]) && is(at + 1, FUNCTIONS);
        is_of_class
            || [ARTICLES, SAID, FORMS, FUNCTIONS].iter().any(|list| is(at, list))
            || name.is_some_and(|name| (name..=parameters_end).contains(&at))
    };
    // "Add method chaining" is about something else.
    if !(from..end).all(is_known) || (name.is_none() && !has_article) {
        return None;
    }
    let all: Vec<String> = request.split_whitespace().map(|word| clean(word).to_lowercase()).collect();
    let named = name.and_then(|at| named(&raw[at..=parameters_end], &all));
    if name.is_some() && named.is_none() {
        return None;
    }
    let places =
        ahead.into_iter().chain((end..purpose).filter(|&at| is(at, PLACES)).filter_map(|at| {
            (at + 1..words.len()).find(|&at| !is(at, ARTICLES) && !is(at, TYPES)).map(|at| words[at])
        }));
    Some(Added {
        is_method: lower[kind] == "method",
        places: places.flat_map(|place| place.split('#')).collect(),
        named,
    })
}

/// The first sentence and the others.
fn first_sentence(request: &str) -> (&str, Vec<&str>) {
    let ends = request.char_indices().filter(|(at, c)| {
        let next = request[at + c.len_utf8()..].chars().next();
        *c == '\n' || (matches!(c, '.' | '!' | ';') && next.is_none_or(char::is_whitespace))
    });
    let mut sentences = Vec::new();
    let mut begin = 0;
    for (at, c) in ends {
        sentences.push(request[begin..at].trim());
        begin = at + c.len_utf8();
    }
    sentences.push(request[begin..].trim());
    sentences.retain(|sentence| !sentence.is_empty());
    let mut sentences = sentences.into_iter();
    (sentences.next().unwrap_or_default(), sentences.collect())
}

/// Whether a further sentence says more of the same function.
fn is_about_the_same(sentence: &str) -> bool {
    let words: Vec<String> = sentence.split_whitespace().map(|word| clean(word).to_lowercase()).collect();
    let has = |at: usize, list: &[&str]| words.get(at).is_some_and(|word| list.contains(&word.as_str()));
    let is_same = has(0, SAME) || (has(0, &["the"]) && has(1, FUNCTIONS)) || sentence.starts_with(">>>");
    is_same && !words.iter().any(|word| BESIDES.contains(&word.as_str()) || word == "also")
}

fn orders(request: &str) -> usize {
    follow::clauses(request).iter().filter(|clause| clause.is_order()).count()
}

/// The place that a sentence begins with ("In the class Cart, …"), and the rest of it.
fn leading_place(sentence: &str) -> (Option<&str>, &str) {
    let Some((lead, rest)) = sentence.split_once(',').filter(|(lead, _)| lead.to_lowercase().starts_with("in ")) else {
        return (None, sentence);
    };
    (lead.split_whitespace().last().map(clean), rest)
}

/// What a function is called by the words of its name and its parameters.
fn named(raw: &[&str], lower: &[String]) -> Option<Named> {
    let text = raw.join(" ");
    let (name, given) = text
        .split_once('(')
        .map_or((text.as_str(), ""), |(name, given)| (name, given.split(')').next().unwrap_or_default()));
    let is_name = |name: &str| {
        !name.is_empty()
            && name.chars().all(|c| c.is_alphanumeric() || c == '_')
            && !name.starts_with(|c: char| c.is_ascii_digit())
    };
    let name = clean(name);
    let is_given = given.is_empty() || given.split(',').all(|parameter| is_name(parameter.trim()));
    let has_form = lower.iter().any(|word| FORMS.contains(&word.as_str()));
    let is_of_class = lower.windows(2).any(|pair| pair[0] == "class" && pair[1].starts_with("method"));
    let is_plain = is_given && !has_form && !is_of_class;
    is_name(name).then(|| Named {
        name: name.to_owned(),
        parameters: if is_given { given.to_owned() } else { String::new() },
        is_plain,
    })
}

/// A word without the marks around it.
fn clean(word: &str) -> &str {
    let word = bare(word).trim_start_matches('@');
    bare(word.split('(').next().unwrap_or(word))
}
