//! The tools of a session, by name.

use std::sync::Arc;

use super::{Tool, ToolError, edit, list, outline, read, references, run, search, symbol, write};
use crate::dialect::ToolSpec;

/// The tools that come with Moru, in the order in which prompts name them.
pub fn builtin() -> Vec<Arc<dyn Tool>> {
    vec![
        Arc::new(read::tool()),
        Arc::new(list::tool()),
        Arc::new(search::tool()),
        Arc::new(outline::tool()),
        Arc::new(symbol::tool()),
        Arc::new(references::tool()),
        Arc::new(edit::tool()),
        Arc::new(write::tool()),
        Arc::new(run::Run::new()),
    ]
}

/// Tools by name.
#[derive(Clone)]
pub struct Registry {
    tools: Vec<Arc<dyn Tool>>,
}

impl Registry {
    /// Keeps the order. Of two tools with the same name the later one wins, so that a user's can stand in for a built-in.
    pub fn new(tools: Vec<Arc<dyn Tool>>) -> Self {
        let mut kept: Vec<Arc<dyn Tool>> = Vec::with_capacity(tools.len());
        for tool in tools {
            match kept.iter_mut().find(|other| same(&other.spec().name, &tool.spec().name)) {
                Some(other) => *other = tool,
                None => kept.push(tool),
            }
        }
        Self { tools: kept }
    }

    /// The tool of this name, in any case.
    ///
    /// # Errors
    /// There is none; the error names those that exist.
    pub fn get(&self, name: &str) -> Result<&Arc<dyn Tool>, ToolError> {
        self.tools.iter().find(|tool| same(&tool.spec().name, name.trim())).ok_or_else(|| {
            let names: Vec<&str> = self.iter().map(|tool| tool.spec().name.as_str()).collect();
            ToolError(format!("There is no tool `{name}`. The tools are: {}.", names.join(", ")))
        })
    }

    pub fn iter(&self) -> impl Iterator<Item = &Arc<dyn Tool>> {
        self.tools.iter()
    }

    /// All of them, as dialects take them.
    pub fn specs(&self) -> Vec<ToolSpec> {
        self.iter().map(|tool| tool.spec().to_spec()).collect()
    }
}

fn same(a: &str, b: &str) -> bool {
    a.eq_ignore_ascii_case(b)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tools_are_found_in_any_case() {
        let registry = Registry::new(builtin());
        for name in ["read", "Read", " RUN "] {
            assert!(registry.get(name).is_ok(), "{name}");
        }
        let error = registry.get("grep").map(|_| ()).unwrap_err();
        assert_eq!(
            error.0,
            "There is no tool `grep`. The tools are: read, list, search, outline, symbol, references, edit, write, run."
        );
    }

    #[test]
    fn a_later_tool_stands_in_for_an_earlier_one() {
        let mut tools = builtin();
        tools.push(Arc::new(read::tool()));
        assert_eq!(Registry::new(tools).iter().count(), 9);
    }

    /// Each token of it is paid for in every session; a token of such JSON has between three and four bytes. Annotations count
    /// here, though they stay out of prompts.
    #[test]
    fn the_prompt_stays_small() {
        let specs = Registry::new(builtin()).specs();
        let size = |names: &[&str]| -> usize {
            let chosen = specs.iter().filter(|spec| names.is_empty() || names.contains(&spec.name.as_str()));
            chosen.map(|spec| serde_json::json!({ "type": "function", "function": spec }).to_string().len()).sum()
        };
        let small = size(&["read", "list", "search", "edit", "write", "run"]);
        assert!(small <= 1800, "{small} bytes for small models");
        assert!(size(&[]) <= 3000, "{} bytes for all", size(&[]));
        assert!(specs.iter().all(|spec| spec.description.lines().count() <= 2));
    }
}
