//! A tool's manifest: what the model is told of it. The built-in ones are embedded from `tools/`; users write the same form.

use serde::Deserialize;
use serde_json::Value;

use crate::dialect::ToolSpec;
use crate::permission::Class;

/// A tool as described in TOML.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Manifest {
    pub name: String,
    /// Two lines at most: it costs tokens in every prompt.
    pub description: String,
    pub permission: Class,
    /// JSON Schema of the arguments. Keys that begin with `x-` are for dialects and cost no tokens: `x-text = true` marks an
    /// argument that holds a text of many lines (code), which models write badly inside JSON.
    pub parameters: Value,
}

impl Manifest {
    /// Reads a manifest.
    ///
    /// # Errors
    /// It is not TOML, or has not the fields of one.
    pub fn parse(toml: &str) -> Result<Self, toml::de::Error> {
        toml::from_str(toml)
    }

    /// As dialects take it. They keep the annotations (`x-…`) out of prompts.
    pub fn to_spec(&self) -> ToolSpec {
        ToolSpec { name: self.name.clone(), description: self.description.clone(), parameters: self.parameters.clone() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn arguments_keep_their_order() {
        let manifest = Manifest::parse(
            "name = 'n'\ndescription = 'd'\npermission = 'edit'\n[parameters]\ntype = 'object'\n\
             [parameters.properties]\nzebra = { type = 'string', x-text = true }\nant = { type = 'integer' }\n",
        )
        .unwrap();
        assert_eq!(
            manifest.to_spec().parameters.to_string(),
            r#"{"type":"object","properties":{"zebra":{"type":"string","x-text":true},"ant":{"type":"integer"}}}"#
        );
    }

    #[test]
    fn unknown_fields_are_refused() {
        let error = Manifest::parse("name = 'n'\ncolour = 'red'").unwrap_err();
        assert!(error.message().contains("colour"), "{error}");
    }
}
