//! The wire forms that are known by name, one file a form. A form is recognised by its marks, never by a model's name: the
//! files give a name to what the probe finds, and say what a template does not show.

mod action;
mod deepseek;
mod dsml;
mod functionary;
mod gemma;
mod glm;
mod granite;
mod kimi;
mod kimi_k3;
mod lfm;
mod llama;
mod minimax;
mod mistral;
mod nemotron;
mod olmo;
mod qwen_xml;
mod seed;

use super::marks::{Arguments, Key, Keys, Marks, Tags};
use super::reasoning::Thoughts;

/// A known form.
pub(super) struct Known {
    pub name: &'static str,
    pub marks: Marks,
    /// How reasoning is marked, where it is not as the template shows it.
    pub thoughts: Option<Thoughts>,
    /// Marks around the answer that carry no text.
    pub noise: &'static [&'static str],
    /// What a prompt with tools has in this family, where the template shows the tools but no calls.
    pub announced_by: Option<&'static str>,
}

impl Known {
    fn new(name: &'static str, marks: Marks) -> Self {
        Self { name, marks, thoughts: None, noise: &[], announced_by: None }
    }
}

/// All of them.
pub(super) fn all() -> Vec<Known> {
    let mut all = vec![
        qwen_xml::form(),
        seed::form(),
        glm::form(),
        minimax::form(),
        dsml::v32(),
        dsml::v4(),
        deepseek::v31(),
        deepseek::r1(),
        kimi::form(),
        kimi_k3::form(),
        olmo::form(),
        lfm::form(),
        gemma::form(),
        granite::form(),
        llama::form(),
        functionary::form(),
        nemotron::form(),
        action::form(),
    ];
    all.extend(mistral::forms());
    all
}

/// Marks around a JSON object of the arguments.
fn json(section: (&str, &str), open: &str, name_end: &str, close: &str) -> Marks {
    Marks {
        section: (section.0.into(), section.1.into()),
        open: open.into(),
        name_end: name_end.into(),
        close: close.into(),
        ..Marks::default()
    }
}

/// Marks around a list of JSON objects with these keys for name and arguments.
fn list(section: (&str, &str), name: &str, arguments: &str) -> Marks {
    let keys = vec![Key::Name(name.into()), Key::Arguments(arguments.into())];
    Marks {
        section: (section.0.into(), section.1.into()),
        between: ", ".into(),
        arguments: Arguments::Whole(Keys::Named(keys)),
        ..Marks::default()
    }
}

/// Marks around tagged arguments.
fn tagged(section: (&str, &str), open: &str, name_end: &str, close: &str, tags: Tags) -> Marks {
    Marks { arguments: Arguments::Tags(tags), ..json(section, open, name_end, close) }
}

/// Tags around an argument, each of which may end with the white space that belongs to the form.
fn tags(open: &str, key_end: &str, close: &str) -> Tags {
    let split = |mark: &str, text: &str| mark[text.len()..].to_owned();
    let (end, begin) = (key_end.trim_end(), close.trim_start());
    let bare = begin.trim_end();
    Tags {
        open: open.into(),
        key_end: end.into(),
        close: bare.into(),
        pad: (split(key_end, end), close[..close.len() - begin.len()].to_owned()),
        between: split(begin, bare),
        ..Tags::default()
    }
}
