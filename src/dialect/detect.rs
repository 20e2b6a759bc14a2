//! Finds the wire form of a model from what its template does, not from its name: probes are rendered, and what appears
//! around a call's name and arguments tells. A form that no file knows is read by the marks that the probe found.

use super::fenced::Fenced;
use super::forms::{self, Known};
use super::harmony::{self, Harmony};
use super::hermes::{self, Hermes};
use super::marked::{History, Marked, Parts};
use super::marks::{Arguments, Key, Keys, Marks};
use super::probe::{self, Finding};
use super::template::Template;
use super::{Dialect, DialectError, taught};

/// The template for a model file that has none: ChatML, which most models without one were trained on.
pub const CHATML: &str = "{% for message in messages %}{{ '<|im_start|>' + message.role + '\\n' + message.content + '<|im_end|>\\n' }}{% endfor %}{% if add_generation_prompt %}{{ '<|im_start|>assistant\\n' }}{% endif %}";

/// The name of forms that no file knows.
const PROBED: &str = "probed";

/// The names of all wire forms that can be chosen.
pub fn names() -> Vec<&'static str> {
    let mut names = vec!["hermes", "fenced", "harmony"];
    names.extend(forms::all().iter().map(|form| form.name));
    names
}

/// What a template was found to do.
#[derive(Debug, Clone)]
pub struct Detection {
    /// The wire form's name.
    pub name: &'static str,
    /// Why it is this one: a sentence.
    pub why: String,
    /// What the template wrote for a probe's calls; empty where it writes none.
    pub sample: String,
}

/// The dialect of a model with this template ([`CHATML`] where it is empty): `choice`, or what the template shows.
///
/// # Errors
/// The template does not compile, or there is no form called `choice`.
pub fn for_template(template: &str, choice: Option<&str>) -> Result<Box<dyn Dialect>, DialectError> {
    explain(template, choice).map(|(dialect, _)| dialect)
}

/// [`for_template`], with the reason.
///
/// # Errors
/// As [`for_template`].
pub fn explain(template: &str, choice: Option<&str>) -> Result<(Box<dyn Dialect>, Detection), DialectError> {
    let template = Template::new(if template.trim().is_empty() { CHATML } else { template })?;
    let finding = probe::look(&template);
    let (name, why) = match choice {
        Some(choice) => {
            let unknown = || DialectError::Unknown { name: choice.to_owned(), known: names().join(", ") };
            let name = names().into_iter().find(|name| *name == choice).ok_or_else(unknown)?;
            (name, "it was chosen".to_owned())
        }
        None => detect(&finding),
    };
    tracing::info!(dialect = name, why, "wire form");
    let detection = Detection { name, why, sample: finding.sample.clone() };
    Ok((build(name, template, finding), detection))
}

/// The name of the form that the template writes calls in, and why.
fn detect(finding: &Finding) -> (&'static str, String) {
    let Some(marks) = &finding.marks else {
        let announced = |form: &&Known| form.announced_by.is_some_and(|text| finding.instructions.contains(text));
        return match forms::all().iter().find(announced) {
            Some(form) => (form.name, "the template shows no calls, but lists the tools as this family does".into()),
            None if finding.sample.is_empty() => {
                ("fenced", "the template shows no calls, so the prompt teaches them".into())
            }
            None => (
                "fenced",
                "nothing tells the calls that the template shows from text, so the prompt teaches them".into(),
            ),
        };
    };
    if harmony::is(marks) {
        return ("harmony", "the call goes to a recipient on a channel".into());
    }
    if is_hermes(marks) {
        return ("hermes", format!("the call is JSON behind `{}`", hermes::OPEN));
    }
    match forms::all().iter().find(|form| form.marks.same(marks)) {
        Some(form) => (form.name, format!("the call begins with {:?}", marks.trigger())),
        None => (PROBED, format!("the call begins with {:?}, which no known form does", marks.trigger())),
    }
}

fn is_hermes(marks: &Marks) -> bool {
    let Arguments::Whole(Keys::Named(keys)) = &marks.arguments else { return false };
    let named = matches!(keys.as_slice(), [Key::Name(name), Key::Arguments(arguments)] if name == "name" && arguments == "arguments");
    let begin = format!("{}{}", marks.section.0, marks.open);
    named && begin.trim() == hermes::OPEN
}

fn build(name: &'static str, template: Template, finding: Finding) -> Box<dyn Dialect> {
    match name {
        "fenced" => return Box::new(Fenced::new(template)),
        "hermes" => return Box::new(Hermes::new(template.with_shape(finding.shape))),
        "harmony" => return Box::new(Harmony::new(template.with_shape(finding.shape))),
        _ => {}
    }
    let thoughts = probe::thoughts(&template);
    let known = forms::all().into_iter().find(|form| form.name == name);
    let shown = match (&known, &finding.marks) {
        (Some(known), Some(found)) => known.marks.same(found),
        (None, Some(_)) => true,
        (_, None) => false,
    };
    let marks = match (&known, finding.marks) {
        (Some(known), Some(found)) if shown => known.marks.adopt(&found),
        (Some(known), _) => known.marks.clone(),
        (None, found) => found.unwrap_or_default(),
    };
    let announced = known.as_ref().and_then(|form| form.announced_by);
    let history = match announced {
        _ if shown => History::Shown,
        Some(text) if finding.instructions.contains(text) => History::Written,
        _ => History::Taught { has_system: taught::has_system(&template) },
    };
    let mut noise = finding.noise;
    let mut of_family = None;
    if let Some(known) = known {
        noise = known.noise.iter().map(|mark| (*mark).to_owned()).collect();
        of_family = known.thoughts;
    }
    Box::new(Marked::new(Parts {
        name,
        template: template.with_shape(finding.shape),
        marks,
        thoughts: of_family.unwrap_or(thoughts),
        noise,
        stops: finding.stops,
        history,
    }))
}
