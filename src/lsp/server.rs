//! The language servers that are known: one row each.

use std::ffi::OsStr;
use std::path::{Path, PathBuf};
use std::str::FromStr;

use crate::code::Language;

/// A language server.
#[derive(Debug, PartialEq, Eq)]
pub struct Server {
    /// The program, which is also what settings call it.
    pub name: &'static str,
    pub(super) args: &'static [&'static str],
    /// By what stands behind the fence of a code block in them.
    languages: &'static [&'static str],
    pub reach: Reach,
    /// `initializationOptions`, in JSON; empty for none.
    pub(super) options: &'static str,
    /// What it may ask for as `workspace/configuration`, by section, in JSON; empty for none.
    pub(super) settings: &'static str,
    /// Codes of errors behind which it does not see what it needs: while a file has one, none of its errors count.
    pub(super) blind: &'static [&'static str],
}

/// What a server does with the folder under work.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Reach {
    /// It reads it.
    Reads,
    /// It runs code of it as well (build scripts, macros, a compiler that the folder brings along) and writes what that makes.
    Runs,
}

/// All of them; of those for one language, the first that is installed and allowed. To add one: its row here, and a
/// case in `tests/lsp/real.rs`.
pub static SERVERS: [Server; 8] = [
    Server { languages: &["python"], settings: PYRIGHT, ..stdio("pyright-langserver") },
    Server { languages: &["python"], settings: BASEDPYRIGHT, ..stdio("basedpyright-langserver") },
    Server { languages: &["python"], args: &[], ..stdio("pylsp") },
    // Finds syntax errors only.
    Server { languages: &["python"], args: &[], ..stdio("jedi-language-server") },
    Server {
        languages: &["c", "cpp"],
        // Its index and what clang-tidy finds do not tell whether a file compiles.
        args: &["--background-index=false", "--clang-tidy=false", "--log=error"],
        // Without the compiler's flags, which only some projects write down, it takes everything that follows for wrong.
        blind: &["pp_file_not_found"],
        ..stdio("clangd")
    },
    Server { languages: &["go"], args: &[], ..stdio("gopls") },
    Server {
        languages: &["rust"],
        args: &[],
        reach: Reach::Runs,
        // A target folder of its own keeps it from holding up the check. `cargo check` takes longer than it is waited for.
        options: r#"{"cargo": {"targetDir": true}, "checkOnSave": false, "cachePriming": {"enable": false}}"#,
        ..stdio("rust-analyzer")
    },
    Server {
        languages: &["javascript", "typescript", "tsx"],
        // It loads the folder's own TypeScript where that has one.
        reach: Reach::Runs,
        options: r#"{"disableAutomaticTypingAcquisition": true}"#,
        ..stdio("typescript-language-server")
    },
];

/// Which environment a project runs in is not known here, so that an import may be right though it is not found; and of what may
/// be `None`, projects without types are full. A project's own settings come before these.
const PYRIGHT: &str = r#"{"python": {"analysis": {"typeCheckingMode": "basic", "diagnosticSeverityOverrides": {
    "reportMissingImports": "warning", "reportOptionalMemberAccess": "warning", "reportOptionalSubscript": "warning"}}}}"#;
const BASEDPYRIGHT: &str = r#"{"basedpyright": {"analysis": {"typeCheckingMode": "basic", "diagnosticSeverityOverrides": {
    "reportMissingImports": "warning", "reportOptionalMemberAccess": "warning", "reportOptionalSubscript": "warning"}}}}"#;

/// A row to fill in: a server that reads, and is told to speak over standard input and output.
const fn stdio(name: &'static str) -> Server {
    let none: &[&str] = &[];
    Server { name, args: &["--stdio"], languages: none, reach: Reach::Reads, options: "", settings: "", blind: none }
}

impl Server {
    pub(super) fn knows(&self, language: &Language) -> bool {
        self.languages.contains(&language.fence)
    }

    /// Its languages, as people write them.
    pub fn languages(&self) -> String {
        let named = self.languages.iter().map(|&fence| Language::named(fence).map_or(fence, |language| language.name));
        named.collect::<Vec<_>>().join(", ")
    }
}

/// What LSP calls a language.
pub(super) fn language_id(language: &Language) -> &'static str {
    match language.fence {
        "tsx" => "typescriptreact",
        fence => fence,
    }
}

/// Which servers the user allows.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Allowed {
    /// Those that run none of the folder's code, where the sandbox holds them; where the user allows commands, the others too.
    Safe,
    All,
    None,
    /// These, wherever.
    Only(Vec<&'static str>),
}

/// A name that stands in no row.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "`language-servers` names `{0}`, which Moru does not know; set it to `safe`, `all`, `none`, or some of {known}",
    known = names()
)]
pub struct UnknownServer(String);

fn names() -> String {
    SERVERS.each_ref().map(|server| server.name).join(", ")
}

impl FromStr for Allowed {
    type Err = UnknownServer;

    fn from_str(text: &str) -> Result<Self, UnknownServer> {
        let known = |name: &str| {
            let server = SERVERS.iter().find(|server| server.name == name);
            server.map(|server| server.name).ok_or_else(|| UnknownServer(name.to_owned()))
        };
        match text.trim() {
            "safe" => Ok(Self::Safe),
            "all" => Ok(Self::All),
            "none" => Ok(Self::None),
            names => Ok(Self::Only(names.split(',').map(|name| known(name.trim())).collect::<Result<_, _>>()?)),
        }
    }
}

/// What decides whether an installed server may run.
#[derive(Debug)]
pub struct Rules<'a> {
    pub allowed: &'a Allowed,
    /// The folder under work.
    pub root: &'a Path,
    /// This machine enforces the sandbox.
    pub confined: bool,
    /// The user lets commands run without being asked.
    pub trusted: bool,
}

impl Rules<'_> {
    /// The folder under work and the repository that it is a part of, by their real paths.
    fn work(&self) -> [PathBuf; 2] {
        let repository = git2::Repository::discover(self.root).ok();
        let work = repository.as_ref().and_then(git2::Repository::workdir).unwrap_or(self.root);
        [real(self.root), real(work)]
    }

    /// Why a server may not run; `None` where it may. `brought`: its program lies in the folder.
    fn refuse(&self, server: &Server, brought: bool) -> Option<&'static str> {
        // One that the folder brings along is itself code of the folder.
        let runs = server.reach == Reach::Runs || brought;
        match self.allowed {
            Allowed::All => None,
            Allowed::Only(names) if names.contains(&server.name) => None,
            Allowed::None | Allowed::Only(_) => Some("`language-servers` leaves it out"),
            Allowed::Safe if !self.confined => {
                Some("there is no sandbox for it here; name it in `language-servers` to use it")
            }
            Allowed::Safe if runs && !self.trusted => {
                Some("it runs code of the folder; name it in `language-servers`, or set `mode` to `yes`, to use it")
            }
            Allowed::Safe => None,
        }
    }
}

/// A server that is installed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Installed {
    pub server: &'static Server,
    /// Absolute.
    pub program: PathBuf,
    /// Why it does not run; `None` where it may.
    pub refused: Option<&'static str>,
}

fn real(path: &Path) -> PathBuf {
    path.canonicalize().unwrap_or_else(|_| path.to_owned())
}

/// The servers that are found in the folders of `path` (as in the variable `PATH`), in the order of the rows.
pub fn installed(path: &OsStr, rules: &Rules<'_>) -> Vec<Installed> {
    let work = rules.work();
    let mut served: Vec<&str> = Vec::new();
    let mut found = Vec::new();
    for server in &SERVERS {
        let Ok(program) = which::which_in(server.name, Some(path), rules.root) else { continue };
        // It may be known by another name than that of the place where it lies.
        let places = [real(&program), program.parent().map(real).unwrap_or_default()];
        let brought = places.iter().any(|place| work.iter().any(|work| place.starts_with(work)));
        let mut refused = rules.refuse(server, brought);
        if refused.is_none() && server.languages.iter().all(|language| served.contains(language)) {
            refused = Some("another one is used for the same language");
        }
        if refused.is_none() {
            served.extend(server.languages);
        }
        found.push(Installed { server, program, refused });
    }
    found
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    #[test]
    fn the_rows_are_sound() {
        for server in &SERVERS {
            for json in [server.options, server.settings] {
                assert!(json.is_empty() || super::super::client::json_of(json).is_object(), "{}", server.name);
            }
            let known = |fence: &&str| Language::named(fence).is_some_and(|language| server.knows(language));
            assert!(!server.languages.is_empty() && server.languages.iter().all(known), "{}", server.name);
        }
        let id = |path: &str| language_id(Language::of(Path::new(path)).unwrap());
        assert_eq!([id("a.py"), id("a.cc"), id("a.tsx")], ["python", "cpp", "typescriptreact"]);
    }

    #[test]
    fn what_may_run_is_said_by_the_settings_and_the_sandbox() {
        let folder = tempfile::tempdir().unwrap();
        for name in ["pylsp", "jedi-language-server", "rust-analyzer"] {
            let file = folder.path().join(name);
            fs::write(&file, "").unwrap();
            fs::set_permissions(&file, fs::Permissions::from_mode(0o755)).unwrap();
        }
        let used = |allowed: &str, root: &str, confined: bool, trusted: bool| -> Vec<&str> {
            let rules = Rules { allowed: &allowed.parse().unwrap(), root: Path::new(root), confined, trusted };
            let found = installed(folder.path().as_os_str(), &rules);
            assert_eq!(found.len(), 3);
            found.iter().filter(|found| found.refused.is_none()).map(|found| found.server.name).collect()
        };
        let none: [&str; 0] = [];
        assert_eq!(used("safe", "/w", true, false), ["pylsp"]);
        assert_eq!(used("safe", "/w", true, true), ["pylsp", "rust-analyzer"]);
        assert_eq!(used("safe", "/w", false, true), none);
        assert_eq!(used("safe", folder.path().to_str().unwrap(), true, false), none);
        assert_eq!(used("all", "/w", false, false), ["pylsp", "rust-analyzer"]);
        let named = used("jedi-language-server, rust-analyzer", "/w", false, false);
        assert_eq!(named, ["jedi-language-server", "rust-analyzer"]);
        assert_eq!(used("none", "/w", true, true), none);
        assert!("pylps".parse::<Allowed>().unwrap_err().to_string().contains("pylsp"));
        let rules = Rules { allowed: &Allowed::All, root: Path::new("/w"), confined: true, trusted: true };
        assert!(installed(OsStr::new(""), &rules).is_empty());
    }
}
