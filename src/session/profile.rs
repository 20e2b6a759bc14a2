//! What a model of a given family and size gets: tools, wire form, way of working, limits. Data in `profiles.toml`, first match
//! wins; the reasons stand beside the entries.

use serde::{Deserialize, Serialize};

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
}

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
        let billions = info.parameters as f64 / 1e9;
        let fits = |profile: &Profile| {
            let family = profile.architectures.is_empty() || profile.architectures.contains(&info.architecture);
            family && profile.up_to.is_none_or(|limit| billions <= limit)
        };
        let mut profile = all().into_iter().find(fits).unwrap_or_else(Self::plain);
        // Whoever is led writes what is likeliest: what it may write is bound, and a try that failed is drawn anew.
        if profile.workflow == Workflow::Free
            && let Some(sampling) = &info.sampling
        {
            profile.sampling = sampling.clone();
        }
        profile
    }

    /// The same for a model that must be led.
    pub fn guided(self) -> Self {
        Self { workflow: Workflow::Guided, sampling: Sampling::default(), ..self }
    }

    /// The wire form that the profile of a model of this architecture and size asks for.
    pub fn dialect_of(architecture: &str, parameters: u64) -> Option<String> {
        let info = ModelInfo { architecture: architecture.to_owned(), parameters, ..ModelInfo::default() };
        Self::of(&info).dialect
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
        assert_eq!(Profile::of(&info).guided().sampling, Sampling::default());
    }
}
