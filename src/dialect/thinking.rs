//! How much a reasoning model is to think, in the words of templates and servers.

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use super::RenderOptions;

/// How much a reasoning model thinks before it answers.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, clap::ValueEnum)]
#[serde(rename_all = "kebab-case")]
pub enum Thinking {
    /// Not at all, where it can be kept from that.
    Off,
    Low,
    Medium,
    High,
}

impl Thinking {
    /// Tokens of reasoning before an answer, at most.
    pub fn budget(self) -> usize {
        match self {
            Self::Off => 0,
            Self::Low => 512,
            Self::Medium => 2048,
            Self::High => 8192,
        }
    }

    /// The `reasoning_effort` of gpt-oss's template and of OpenAI's API; `None` for no thinking at all.
    pub fn effort(self) -> Option<&'static str> {
        match self {
            Self::Off => None,
            Self::Low => Some("low"),
            Self::Medium => Some("medium"),
            Self::High => Some("high"),
        }
    }

    /// The variables by which templates know how much to think: `enable_thinking` (Qwen3, GLM, SmolLM3), `thinking`
    /// (DeepSeek V3.1, Granite, Kimi K3), `reasoning_effort` (gpt-oss), `thinking_effort` (Kimi K3), `thinking_budget`
    /// (Seed-OSS).
    pub fn variables(self) -> Map<String, Value> {
        let on = self != Self::Off;
        let mut variables = Map::from_iter([
            ("enable_thinking".to_owned(), on.into()),
            ("thinking".to_owned(), on.into()),
            ("thinking_budget".to_owned(), self.budget().into()),
        ]);
        // Kimi K3 knows no middle, and refuses other words.
        let of_kimi = self.effort().map(|_| match self {
            Self::Off | Self::Low => "low",
            Self::Medium => "high",
            Self::High => "max",
        });
        for (name, effort) in [("reasoning_effort", self.effort()), ("thinking_effort", of_kimi)] {
            variables.extend(effort.map(|effort| (name.to_owned(), effort.into())));
        }
        variables
    }

    /// The same for rendering here.
    pub fn options(thinking: Option<Self>) -> RenderOptions {
        let mut extra = thinking.map(Self::variables).unwrap_or_default();
        let enable_thinking = extra.remove("enable_thinking").and_then(|on| on.as_bool());
        RenderOptions { enable_thinking, extra, ..RenderOptions::default() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn templates_hear_it_in_their_own_words() {
        let said = |thinking: Thinking, name: &str| thinking.variables().get(name).cloned();
        assert_eq!(said(Thinking::Off, "thinking_budget"), Some(0.into()));
        assert_eq!((said(Thinking::Off, "reasoning_effort"), said(Thinking::Off, "thinking_effort")), (None, None));
        assert_eq!(said(Thinking::Medium, "reasoning_effort"), Some("medium".into()));
        assert_eq!(said(Thinking::Medium, "thinking_effort"), Some("high".into()));
        let options = Thinking::options(Some(Thinking::Off));
        assert_eq!((options.enable_thinking, options.extra.get("thinking")), (Some(false), Some(&false.into())));
        assert!(Thinking::options(None).extra.is_empty());
    }
}
