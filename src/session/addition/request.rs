//! What a request says of a function that is to be added, where it orders that and nothing else. What is read into a request
//! wrongly costs more than what is not seen in it, so that whatever is not plain is left alone.

use std::ops::Range;

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
    let sentence = Sentence::of(sentence);
    let begin = sentence.lower.iter().take_while(|word| COURTESIES.contains(&word.as_str())).count();
    let count = sentence.words.len();
    let end = (begin + 1..count).find(|&at| sentence.ends_object(begin + 1, at)).unwrap_or(count);
    let purpose = (end..count).find(|&at| sentence.is(at, PURPOSES)).unwrap_or(count);
    let is_more = (begin + 1..purpose).any(|at| sentence.is(at, MORE))
        || sentence.lower.iter().any(|word| BESIDES.contains(&word.as_str()) || word == "so");
    if !sentence.is(begin, ADDING) || is_more {
        return None;
    }
    let (kind, name) = sentence.object(begin + 1..end)?;
    let all: Vec<String> = request.split_whitespace().map(|word| clean(word).to_lowercase()).collect();
    let named = match name {
        Some(name) => Some(named(&sentence.raw[name], &all)?),
        None => None,
    };
    let places = (end..purpose).filter(|&at| sentence.is(at, PLACES)).filter_map(|at| sentence.place(at));
    let places = ahead.into_iter().chain(places).flat_map(|place| place.split('#')).collect();
    Some(Added { is_method: sentence.lower[kind] == "method", places, named })
}

/// A sentence's words.
struct Sentence<'r> {
    raw: Vec<&'r str>,
    /// Without the marks around them.
    words: Vec<&'r str>,
    lower: Vec<String>,
}

impl<'r> Sentence<'r> {
    fn of(text: &'r str) -> Self {
        let raw: Vec<&str> = text.split_whitespace().collect();
        let words: Vec<&str> = raw.iter().map(|word| clean(word)).collect();
        let lower = words.iter().map(|word| word.to_lowercase()).collect();
        Self { raw, words, lower }
    }

    fn is(&self, at: usize, list: &[&str]) -> bool {
        self.lower.get(at).is_some_and(|word| list.contains(&word.as_str()))
    }

    /// Whether what is added ends in front of this word, where it begins at another.
    fn ends_object(&self, begin: usize, at: usize) -> bool {
        let tells = at > begin && self.lower[at].ends_with("ing") && self.is(at - 1, FUNCTIONS);
        tells || self.is(at, PLACES) || self.is(at, PURPOSES)
    }

    /// Which of these words says what kind of function is added, and which are its name and parameters, where it has one. `None`
    /// where there are words whose meaning is not known.
    fn object(&self, words: Range<usize>) -> Option<(usize, Option<Range<usize>>)> {
        let Range { start: begin, end } = words;
        let kind = (begin..end).rev().find(|&at| self.is(at, FUNCTIONS))?;
        let has_article = (begin..kind).any(|at| self.is(at, ARTICLES) || self.is(at, SAID));
        let marked = (begin..end).find(|&at| self.raw[at].contains(['(', '`', '_']));
        // Without a mark it ends what is added: "a method total to …".
        let is_last = kind + 1 < end && (kind + 2 == end || self.is(kind + 1, &["called", "named"]));
        let may_be = |at: &usize| has_article && ![NO_NAMES, FORMS, TYPES].iter().any(|list| self.is(*at, list));
        let name = marked.or_else(|| is_last.then(|| end - 1).filter(may_be));
        // What is given in parentheses may be several words.
        let closes = |at: usize| self.raw[at..end].iter().position(|word| word.contains(')')).unwrap_or(0);
        let name = name.map(|at| at..at + closes(at) + 1);
        let is_known = |at: usize| {
            let is_of_class = self.is(at, &["class"]) && self.is(at + 1, FUNCTIONS);
            is_of_class
                || [ARTICLES, SAID, FORMS, FUNCTIONS].iter().any(|list| self.is(at, list))
                || name.as_ref().is_some_and(|name| name.contains(&at))
        };
        // "Add method chaining" is about something else.
        let is_plain = (begin..end).all(is_known) && (name.is_some() || has_article);
        is_plain.then_some((kind, name))
    }

    /// What stands behind a word that leads to a place.
    fn place(&self, at: usize) -> Option<&'r str> {
        let at = (at + 1..self.words.len()).find(|&at| !self.is(at, ARTICLES) && !self.is(at, TYPES))?;
        Some(self.words[at])
    }
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
    let is_check = sentence.starts_with('`') && words.iter().any(|word| matches!(word.as_str(), "pass" | "passes"));
    let is_same = has(0, SAME) || (has(0, &["the"]) && has(1, FUNCTIONS)) || sentence.starts_with(">>>") || is_check;
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
