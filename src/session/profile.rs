//! What a model of a given family and size gets: tools, wire form, way of working, limits. Data in `profiles.toml`, first match
//! wins; the reasons stand beside the entries. Entries of the settings change single fields of it.

use serde::{Deserialize, Serialize};
use toml::Table;

use crate::engine::{ModelInfo, Sampling};

/// One way of driving a model.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct Profile {
    pub name: String,
    /// Architectures (`general.architecture`) that it is for; all where empty.
    #[serde(default)]
    architectures: Vec<String>,
    /// Largest number of parameters, in billions.
    #[serde(default)]
    up_to: Option<f64>,
    /// The tools that the model is told of, in this order.
    pub tools: Vec<String>,
    pub workflow: Workflow,
    /// The wire form of calls; the template's own where absent.
    #[serde(default)]
    pub dialect: Option<String>,
    /// Model calls in one turn.
    pub max_steps: usize,
    #[serde(default)]
    pub sampling: Sampling,
    /// How whoever is led writes a change.
    #[serde(default)]
    pub form: Form,
    /// Whether single lines are drawn where its changes fail.
    #[serde(default = "yes")]
    pub lines: bool,
    /// How many answers are drawn side by side where its changes fail; as suits the device where absent, none with 1.
    #[serde(default)]
    pub candidates: Option<u32>,
    /// Whether its versions are weighed by made-up tests where nothing else can tell.
    #[serde(default = "yes")]
    pub versions: bool,
    /// Whether it is shown tests that an earlier session wrote and the user kept, as an example for new ones.
    #[serde(default = "yes")]
    pub examples: bool,
}

fn yes() -> bool {
    true
}

/// How a change to a file that is there is written.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Form {
    /// The file anew, where it is short enough; else a part.
    #[default]
    Whole,
    /// Lines that stand in it, and what takes their place.
    Part,
}

/// Why an entry of the settings changes no profile.
#[derive(Debug, thiserror::Error)]
#[error("a [[profile]] of the settings is not right: {0}")]
pub struct ProfileError(String);

/// Who decides what comes next.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Workflow {
    /// The model.
    Free,
    /// The session: what is asked for is settled first, then one focused call at a time is demanded.
    Guided,
}

impl Profile {
    /// The profile for a model.
    pub fn of(info: &ModelInfo) -> Self {
        let mut profile = Self::built_in(info);
        profile.take_sampling(info);
        profile
    }

    /// The same with the fields that `changes` name: entries as in `profiles.toml` of which none but those that change must be
    /// there. Each that fits the model counts, later ones more.
    ///
    /// # Errors
    /// An entry has a field or a value that a profile has not.
    pub fn changed(info: &ModelInfo, changes: &[Table]) -> Result<Self, ProfileError> {
        let mut profile = Self::built_in(info);
        let mut is_sampled = false;
        for change in changes {
            let changed = profile.with(change)?;
            if changed.fits(info) {
                profile = changed;
                is_sampled |= change.contains_key("sampling");
            }
        }
        if !is_sampled {
            profile.take_sampling(info);
        }
        Ok(profile)
    }

    fn built_in(info: &ModelInfo) -> Self {
        all().into_iter().find(|profile| profile.fits(info)).unwrap_or_else(Self::plain)
    }

    fn fits(&self, info: &ModelInfo) -> bool {
        let billions = info.parameters as f64 / 1e9;
        let family = self.architectures.is_empty() || self.architectures.contains(&info.architecture);
        family && self.up_to.is_none_or(|limit| billions <= limit)
    }

    /// This with other fields, for those models that `change` names.
    fn with(&self, change: &Table) -> Result<Self, ProfileError> {
        let own = Self { architectures: Vec::new(), up_to: None, ..self.clone() };
        let mut table = Table::try_from(own).map_err(|error| ProfileError(error.to_string()))?;
        table.extend(change.clone());
        table.try_into().map_err(|error: toml::de::Error| ProfileError(error.message().to_owned()))
    }

    /// Samples as the model's authors do, unless it is led: it then writes what is likeliest, since what it may write is bound,
    /// and a try that failed is drawn anew.
    fn take_sampling(&mut self, info: &ModelInfo) {
        if self.workflow == Workflow::Free
            && let Some(sampling) = &info.sampling
        {
            self.sampling = sampling.clone();
        }
    }

    /// The same for a model that must be led. How its authors sample from it counts no more; what the settings say does.
    pub fn guided(self, info: &ModelInfo) -> Self {
        let is_authors = info.sampling.as_ref() == Some(&self.sampling);
        let sampling = if is_authors { Sampling::default() } else { self.sampling };
        Self { workflow: Workflow::Guided, sampling, ..self }
    }

    /// The wire form that the profile of a model of this architecture and size asks for, changed as the settings say; what is
    /// wrong with these is told where the profile is taken.
    pub fn dialect_of(architecture: &str, parameters: u64, changes: &[Table]) -> Option<String> {
        let info = ModelInfo { architecture: architecture.to_owned(), parameters, ..ModelInfo::default() };
        Self::changed(&info, changes).ok()?.dialect
    }

    fn plain() -> Self {
        let tools = ["read", "list", "search", "edit", "write", "run"].map(str::to_owned).to_vec();
        Self {
            name: "plain".into(),
            architectures: Vec::new(),
            up_to: None,
            tools,
            workflow: Workflow::Free,
            dialect: None,
            max_steps: 40,
            sampling: Sampling::default(),
            form: Form::default(),
            lines: true,
            candidates: None,
            versions: true,
            examples: true,
        }
    }
}

fn all() -> Vec<Profile> {
    #[derive(Deserialize)]
    struct File {
        profile: Vec<Profile>,
    }
    match toml::from_str::<File>(include_str!("profiles.toml")) {
        Ok(file) => file.profile,
        Err(error) => {
            tracing::error!(%error, "profiles.toml");
            Vec::new()
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_table_is_sound_and_ends_with_a_profile_for_all() {
        let profiles = all();
        let last = profiles.last().expect("profiles.toml has entries");
        assert!(last.up_to.is_none() && last.architectures.is_empty());
    }

    #[test]
    fn small_models_are_guided_and_large_ones_free() {
        let info = |parameters| ModelInfo { parameters, architecture: "qwen2".into(), ..ModelInfo::default() };
        assert_eq!(Profile::of(&info(1_543_714_304)).workflow, Workflow::Guided);
        assert_eq!(Profile::of(&info(32_000_000_000)).workflow, Workflow::Free);
    }

    #[test]
    fn free_models_are_sampled_as_their_authors_do() {
        let sampling = Some(Sampling { temperature: 0.6, ..Sampling::default() });
        let temperature = |parameters| {
            let info = ModelInfo { parameters, sampling: sampling.clone(), ..ModelInfo::default() };
            Profile::of(&info).sampling.temperature
        };
        assert_eq!((temperature(1_500_000_000), temperature(32_000_000_000)), (0.0, 0.6));
        let info = ModelInfo { parameters: 32_000_000_000, sampling: sampling.clone(), ..ModelInfo::default() };
        assert_eq!(Profile::of(&info).guided(&info).sampling, Sampling::default());
        let own = Profile::changed(&info, &["sampling = { temperature = 0.3 }".parse().unwrap()]).unwrap();
        assert_eq!(own.guided(&info).sampling.temperature, 0.3);
    }

    #[test]
    fn the_settings_change_what_they_name_for_the_models_that_they_name() {
        let info = |parameters| ModelInfo { parameters, architecture: "qwen2".into(), ..ModelInfo::default() };
        let changed = |parameters, text: &str| {
            let entries: Vec<Table> = text.split("---").map(|entry| entry.parse().unwrap()).collect();
            Profile::changed(&info(parameters), &entries)
        };
        let text = "lines = false\nmax-steps = 5\n---\nup-to = 1.0\nmax-steps = 6\nform = \"part\"\n---\narchitectures = [\"olmo2\"]\nlines = true";
        let (small, large) = (changed(500_000_000, text).unwrap(), changed(1_500_000_000, text).unwrap());
        assert_eq!((small.lines, small.max_steps, small.form), (false, 6, Form::Part));
        assert_eq!((large.lines, large.max_steps, large.form), (false, 5, Form::Whole));
        assert_eq!((large.name, large.dialect), (Profile::of(&info(1_500_000_000)).name, Some("fenced".into())));
        let guided = changed(32_000_000_000, "workflow = \"guided\"\n---\nsampling = { temperature = 0.3 }").unwrap();
        assert_eq!((guided.workflow, guided.sampling.temperature), (Workflow::Guided, 0.3));
        for (wrong, named) in
            [("linse = true", "linse"), ("max-steps = \"x\"", "string"), ("workflow = \"x\"", "guided")]
        {
            let message = changed(1, wrong).unwrap_err().to_string();
            assert!(message.contains(named), "{message}");
        }
    }
}
