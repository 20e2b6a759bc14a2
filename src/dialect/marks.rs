//! A wire form described by its marks: what stands around the calls of an answer, around a name and around arguments.
//!
//! The description is found by looking at what a template writes ([`super::probe`]); the files of [`super::forms`] name the
//! known ones. One reader, one writer and one grammar serve all of them.

use std::borrow::Cow;

use super::mark;

/// How calls are written: `section.0`, then for each call `open`, the name, `name_end`, the arguments and `close`, with
/// `between` between two of them, then `section.1`.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(super) struct Marks {
    pub section: (String, String),
    pub open: String,
    pub name_end: String,
    /// What models of the family also write in place of `open`, and of `name_end`.
    pub open_too: Vec<String>,
    pub name_end_too: Vec<String>,
    pub close: String,
    pub between: String,
    /// What addresses a call to its tool before it begins, in some families; the call names the tool itself.
    pub recipient: Option<String>,
    pub arguments: Arguments,
}

/// How arguments are written.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(super) enum Arguments {
    /// A JSON object.
    #[default]
    Json,
    /// The whole call is a JSON object, with these keys.
    Whole(Keys),
    /// A pair of tags for each of them.
    Tags(Tags),
    /// `name=value, name=value`, as Python has it.
    Python,
    /// `name:value,name:value`, with strings between `<|"|>`.
    Gemma,
}

/// The keys of a call that is a JSON object, in their order.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Keys {
    /// `{"name": …, "arguments": {…}}` and perhaps others, which hold an identifier.
    Named(Vec<Key>),
    /// `{"read": {…}}`
    ByName,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Key {
    Name(String),
    Arguments(String),
    Id(String),
}

/// Tags around each argument: `open`, its name, `key_end`, its value, `close`.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(super) struct Tags {
    pub open: String,
    pub key_end: String,
    /// What stands behind `key_end`: a word for the value's type, and a mark.
    pub typed: Option<(Types, String)>,
    /// It may hold the argument's name, as [`mark::KEY`]; then lists and objects are written in such tags too.
    pub close: String,
    /// White space that stands before and after a value and is none of it.
    pub pad: (String, String),
    /// White space behind `close`.
    pub between: String,
    /// How values that are no strings are written.
    pub python: bool,
    /// Whether values may stand in `<![CDATA[…]]>`.
    pub cdata: bool,
}

/// What stands around a value that may hold tags.
pub(super) const CDATA: (&str, &str) = ("<![CDATA[", "]]>");

impl Tags {
    /// What closes the argument of this name.
    pub(super) fn close_of(&self, key: &str) -> Cow<'_, str> {
        if self.nest() { self.close.replace(mark::KEY, key).into() } else { Cow::Borrowed(&self.close) }
    }

    /// Whether lists and objects are tagged as arguments are.
    pub(super) fn nest(&self) -> bool {
        self.close.contains(mark::KEY)
    }
}

/// The words that tell the type of a value.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Types {
    /// `true` for strings, `false` for everything else.
    IsString,
    /// JSON's names of types.
    Names,
}

impl Marks {
    /// Whether `found` is this form: white space and numbers do not matter, nor what else the template writes before the
    /// calls (one closes an empty answer first).
    pub(super) fn same(&self, found: &Self) -> bool {
        let begin = |marks: &Self| mark::essence(&format!("{}{}", marks.section.0, marks.open));
        let arguments = |marks: &Self| match &marks.arguments {
            Arguments::Tags(tags) => vec![
                mark::essence(&tags.open),
                mark::essence(&tags.key_end),
                mark::essence(&tags.close),
                format!("{:?}", tags.typed),
            ],
            Arguments::Whole(keys) => vec![format!("{keys:?}")],
            _ => Vec::new(),
        };
        let (own, theirs) = (begin(self), begin(found));
        std::mem::discriminant(&self.arguments) == std::mem::discriminant(&found.arguments)
            && (own == theirs || (!own.is_empty() && theirs.ends_with(&own)))
            && mark::essence(&self.name_end) == mark::essence(&found.name_end)
            && arguments(self) == arguments(found)
    }

    /// These marks with the white space that `found` has in the same ones.
    pub(super) fn adopt(&self, found: &Self) -> Self {
        let pick = |own: &String, found: &String| {
            let same = mark::essence(own) == mark::essence(found);
            if same { found.clone() } else { own.clone() }
        };
        let arguments = match (&self.arguments, &found.arguments) {
            (Arguments::Tags(own), Arguments::Tags(found)) => Arguments::Tags(Tags {
                open: pick(&own.open, &found.open),
                key_end: pick(&own.key_end, &found.key_end),
                close: pick(&own.close, &found.close),
                pad: found.pad.clone(),
                between: found.between.clone(),
                cdata: found.cdata,
                ..own.clone()
            }),
            (own, _) => own.clone(),
        };
        // A list may be closed by more than its bracket.
        let longer = self.in_list() && mark::essence(&found.section.1).starts_with(&mark::essence(&self.section.1));
        let end = if longer { found.section.1.clone() } else { pick(&self.section.1, &found.section.1) };
        Self {
            section: (pick(&self.section.0, &found.section.0), end),
            open: pick(&self.open, &found.open),
            name_end: pick(&self.name_end, &found.name_end),
            close: pick(&self.close, &found.close),
            between: pick(&self.between, &found.between),
            recipient: found.recipient.clone(),
            arguments,
            ..self.clone()
        }
    }

    /// The same with `change` made to every mark.
    pub(super) fn map(self, change: impl Fn(&str) -> String) -> Self {
        let arguments = match self.arguments {
            Arguments::Tags(tags) => Arguments::Tags(Tags {
                open: change(&tags.open),
                key_end: change(&tags.key_end),
                close: change(&tags.close),
                ..tags
            }),
            other => other,
        };
        Self {
            section: (change(&self.section.0), change(&self.section.1)),
            open: change(&self.open),
            name_end: change(&self.name_end),
            close: change(&self.close),
            between: change(&self.between),
            arguments,
            ..self
        }
    }

    /// A mark cut into those that it consists of, so that one of them may be missing.
    pub(super) fn split(&self, mark: &str) -> Vec<String> {
        // What stands before every tag is no mark of its own.
        let lead = match &self.arguments {
            Arguments::Tags(tags) if tags.nest() => tags.open.trim_end_matches('<'),
            _ => "",
        };
        let begin = if lead.is_empty() { "<" } else { lead };
        let mut parts = Vec::new();
        for word in mark.split_whitespace() {
            let mut rest = word;
            while let Some((at, _)) = rest.match_indices(begin).find(|(at, _)| *at > 0) {
                parts.push(rest[..at].to_owned());
                rest = &rest[at..];
            }
            parts.push(rest.to_owned());
        }
        parts
    }

    /// The text that begins a call, up to where it is told from everything else: the grammar is in force behind it.
    pub(super) fn trigger(&self) -> String {
        let begin = if self.in_list() { format!("{}{}", self.section.0, self.open) } else { self.open.clone() };
        if self.begins_in_json() {
            return match &self.arguments {
                Arguments::Whole(Keys::Named(keys)) => match keys.first() {
                    Some(Key::Name(key)) => format!("{{\"{key}\": \""),
                    _ => "{\"".into(),
                },
                _ => String::new(),
            };
        }
        // Calls in a list without marks.
        if begin.is_empty() && self.arguments == Arguments::Python {
            return "[".into();
        }
        let end = begin.trim_start().find(|c: char| c == '\n' || c == mark::ANY || c.is_ascii_digit());
        let begin = begin.trim_start();
        begin[..end.unwrap_or(begin.len())].trim_end().to_owned()
    }

    /// Whether the text that begins a call tells it from everything else a model says.
    pub(super) fn are_telling(&self) -> bool {
        let trigger = self.trigger();
        let bare = self.open.is_empty() && self.section.0.is_empty();
        match &self.arguments {
            Arguments::Whole(_) if bare => true,
            Arguments::Python if bare || self.section.0.trim() == "[" => true,
            _ => trigger.len() > 2 && trigger.contains(char::is_alphanumeric),
        }
    }

    /// The same, where brackets are all that stands before a call in JSON: it is known by the JSON then.
    pub(super) fn without_bare_brackets(self) -> Self {
        let begin = format!("{}{}", self.section.0, self.open);
        let only_brackets = matches!(self.arguments, Arguments::Whole(_)) && begin.trim().trim_matches('[').is_empty();
        if !only_brackets {
            return self;
        }
        Self { section: Default::default(), open: String::new(), close: String::new(), between: String::new(), ..self }
    }

    /// Whether nothing but JSON tells a call from text.
    pub(super) fn begins_in_json(&self) -> bool {
        self.open.is_empty() && self.section.0.is_empty() && matches!(self.arguments, Arguments::Whole(_))
    }

    /// Whether the calls of an answer are a list, so that one mark begins them all.
    pub(super) fn in_list(&self) -> bool {
        self.open.is_empty() && !self.section.0.is_empty()
    }
}
