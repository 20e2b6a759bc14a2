//! Where things lie on this machine that commands must write, or must not read.

use std::ffi::OsString;
use std::path::{Path, PathBuf};

/// Devices that are written without harm.
pub(super) const DEVICES: &[&str] = &[
    "/dev/null",
    "/dev/zero",
    "/dev/full",
    "/dev/random",
    "/dev/urandom",
    "/dev/tty",
    "/dev/ptmx",
    "/dev/pts",
    "/dev/shm",
    "/dev/dri",
    "/dev/kfd",
    "/dev/nvidia0",
    "/dev/nvidiactl",
    "/dev/nvidia-uvm",
];

/// What tools keep below HOME and have to write in order to build and test. Never a folder of programs or settings: a
/// command that could write those would run outside the sandbox the next time its user starts something.
const HOME_CACHES: &[&str] =
    &[".cache", ".npm", ".gradle/caches", ".m2/repository", ".ivy2/cache", ".nuget/packages", "Library/Caches"];

/// The same below Cargo's own folder.
const CARGO_CACHES: &[&str] =
    &["registry", "git", ".package-cache", ".package-cache-mutate", ".global-cache", ".global-cache-journal"];

/// Secrets below HOME.
const HOME_SECRETS: &[&str] = &[
    ".ssh",
    ".gnupg",
    ".aws",
    ".azure",
    ".kube",
    ".docker/config.json",
    ".netrc",
    ".git-credentials",
    ".config/git/credentials",
    ".config/gcloud",
    ".config/gh",
    ".config/hub",
    ".config/op",
    ".config/google-chrome",
    ".config/chromium",
    ".config/BraveSoftware",
    ".mozilla",
    ".password-store",
    ".local/share/keyrings",
    ".pypirc",
    ".vault-token",
    ".terraform.d/credentials.tfrc.json",
    ".cargo/credentials.toml",
    ".cargo/credentials",
    ".cache/huggingface/token",
    ".huggingface",
    ".bash_history",
    ".zsh_history",
    ".local/share/fish/fish_history",
    "Library/Keychains",
    "Library/Cookies",
];

/// Folders and files, absolute, whether they exist or not.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Places {
    /// For temporary files; commands write there.
    pub temp: Vec<PathBuf>,
    /// What build tools keep between runs; commands write there.
    pub caches: Vec<PathBuf>,
    /// Commands do not read these.
    pub secrets: Vec<PathBuf>,
}

impl Places {
    /// Derives them from environment variables (`HOME`, `TMPDIR`, `XDG_CACHE_HOME`, `CARGO_HOME`, `CARGO_TARGET_DIR`,
    /// `GOCACHE`, `GOMODCACHE`, `GOPATH`), which `var` looks up. `private` are Moru's own folders that hold what users said
    /// and what their files were.
    pub fn new(var: impl Fn(&str) -> Option<OsString>, private: &[&Path]) -> Self {
        let folder = |name: &str| var(name).map(PathBuf::from).filter(|path| path.is_absolute());
        let home = folder("HOME");
        let below_home = |parts: &[&str]| -> Vec<PathBuf> {
            home.iter().flat_map(|home| parts.iter().map(move |part| home.join(part))).collect()
        };

        let mut temp = vec![PathBuf::from("/tmp"), PathBuf::from("/var/tmp")];
        temp.extend(folder("TMPDIR"));

        let mut caches = below_home(HOME_CACHES);
        caches.extend(["XDG_CACHE_HOME", "CARGO_TARGET_DIR", "GOCACHE", "GOMODCACHE"].into_iter().filter_map(folder));
        if let Some(cargo) = folder("CARGO_HOME").or_else(|| home.as_ref().map(|home| home.join(".cargo"))) {
            caches.extend(CARGO_CACHES.iter().map(|part| cargo.join(part)));
        }
        if let Some(go) = folder("GOPATH").or_else(|| home.as_ref().map(|home| home.join("go"))) {
            caches.push(go.join("pkg"));
        }

        let mut secrets = below_home(HOME_SECRETS);
        secrets.extend(private.iter().map(|path| path.to_path_buf()));
        secrets.push(PathBuf::from("/etc/shadow"));
        Self { temp, caches, secrets }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn are_derived_from_the_environment() {
        let var = |name: &str| match name {
            "HOME" => Some("/home/ada".into()),
            "TMPDIR" => Some("/scratch".into()),
            "GOPATH" => Some("relative".into()),
            _ => None,
        };
        let places = Places::new(var, &[Path::new("/home/ada/.local/state/moru")]);
        assert!(places.temp.contains(&"/scratch".into()));
        assert!(places.caches.contains(&"/home/ada/.cargo/registry".into()));
        assert!(places.caches.contains(&"/home/ada/go/pkg".into()), "a relative GOPATH is no GOPATH");
        assert!(!places.caches.contains(&"/home/ada/.cargo".into()), "programs lie there");
        assert!(places.secrets.contains(&"/home/ada/.ssh".into()));
        assert!(places.secrets.contains(&"/home/ada/.local/state/moru".into()));
    }

    #[test]
    fn without_a_home_nothing_below_it_is_named() {
        let places = Places::new(|_| None, &[]);
        assert!(places.caches.is_empty());
        assert_eq!(places.secrets, [PathBuf::from("/etc/shadow")]);
    }
}
