//! A named part of a file.

use serde::{Deserialize, Serialize};

/// What a definition is of.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Kind {
    Function,
    Method,
    Class,
    Struct,
    Enum,
    /// Traits and protocols too.
    Interface,
    Type,
    Module,
    Constant,
    Macro,
    /// Of a text or a settings file.
    Section,
    /// Of a style sheet.
    Selector,
}

impl Kind {
    pub(super) fn named(name: &str) -> Option<Self> {
        Some(match name {
            "function" => Self::Function,
            "method" => Self::Method,
            "class" => Self::Class,
            "struct" => Self::Struct,
            "enum" => Self::Enum,
            "interface" => Self::Interface,
            "type" => Self::Type,
            "module" => Self::Module,
            "constant" => Self::Constant,
            "macro" => Self::Macro,
            "section" => Self::Section,
            "selector" => Self::Selector,
            _ => return None,
        })
    }

    /// As it is shown.
    pub fn name(self) -> &'static str {
        match self {
            Self::Function => "function",
            Self::Method => "method",
            Self::Class => "class",
            Self::Struct => "struct",
            Self::Enum => "enum",
            Self::Interface => "interface",
            Self::Type => "type",
            Self::Module => "module",
            Self::Constant => "constant",
            Self::Macro => "macro",
            Self::Section => "section",
            Self::Selector => "selector",
        }
    }

    /// Whether functions in it are its methods.
    pub fn has_methods(self) -> bool {
        matches!(self, Self::Class | Self::Struct | Self::Enum | Self::Interface | Self::Type)
    }
}

/// A named part of a file.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Definition {
    pub name: String,
    pub kind: Kind,
    /// Names of what it stands in, joined with dots; empty at the top.
    pub scope: String,
    /// Up to its body, on one line.
    pub signature: String,
    /// First line of its documentation; empty where it has none.
    pub doc: String,
    /// Of its name. Lines count from 1.
    pub line: u32,
    /// First line, with its comment and decorators.
    pub start: u32,
    /// Last line.
    pub end: u32,
    /// Index of the definition that it stands in.
    pub parent: Option<u32>,
}

impl Definition {
    /// With the names of what it stands in.
    pub fn qualified(&self) -> String {
        if self.scope.is_empty() { self.name.clone() } else { format!("{}.{}", self.scope, self.name) }
    }
}

/// A definition as it lies in the index, for whoever looks at many and wants few of them.
#[derive(Debug, Clone, Copy, Deserialize)]
pub(super) struct Glimpse<'b> {
    pub name: &'b str,
    pub kind: Kind,
    scope: &'b str,
    signature: &'b str,
    doc: &'b str,
    line: u32,
    start: u32,
    end: u32,
    parent: Option<u32>,
}

impl Glimpse<'_> {
    /// Whether it is the one with this name and scope, as [`Definition::qualified`] gives them.
    pub fn is_called(&self, qualified: &str) -> bool {
        let scope = qualified.strip_suffix(self.name).unwrap_or(".");
        if self.scope.is_empty() { scope.is_empty() } else { scope.strip_suffix('.') == Some(self.scope) }
    }
}

impl From<Glimpse<'_>> for Definition {
    fn from(glimpse: Glimpse<'_>) -> Self {
        let Glimpse { name, kind, scope, signature, doc, line, start, end, parent } = glimpse;
        let [name, scope, signature, doc] = [name, scope, signature, doc].map(str::to_owned);
        Self { name, kind, scope, signature, doc, line, start, end, parent }
    }
}
