//! A folder to work on, a home of its own, and the program.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::sync::{Mutex, MutexGuard, PoisonError};

use serde_json::Value;
use sha2::{Digest, Sha256};
use tempfile::TempDir;

/// A bug that a small model finds, and what tells that it is gone.
pub const BUGGY: &str = "def average(numbers):
    \"\"\"Return the arithmetic mean of a list of numbers.\"\"\"
    return sum(numbers) / (len(numbers) + 1)
";
pub const HIDDEN_TEST: &str = "from calc import average


def test_average():
    assert average([1, 2, 3]) == 2
    assert average([10]) == 10
";
pub const REQUEST: &str = "average in calc.py gives wrong results. Find the bug and fix it.";

/// One model at a time: two of them on the same cores take far more than twice as long.
static MODEL: Mutex<()> = Mutex::new(());

pub struct World {
    _model: Option<MutexGuard<'static, ()>>,
    _home: TempDir,
    home: PathBuf,
    pub folder: PathBuf,
}

impl World {
    /// An empty home and a git repository with `calc.py`; `None` (with a reason on stderr) where there is no model.
    pub fn with_model() -> Option<Self> {
        let models = std::env::var_os("MORU_TEST_MODELS").map(PathBuf::from);
        let Some(models) = models.filter(|m| m.join("qwen2.5-coder-1.5b.gguf").is_file()) else {
            eprintln!("skipped: MORU_TEST_MODELS names no folder with qwen2.5-coder-1.5b.gguf; `./dev test` sets it");
            return None;
        };
        let model = MODEL.lock().unwrap_or_else(PoisonError::into_inner);
        let world = Self { _model: Some(model), ..Self::without_model() };
        let data = world.home.join("data/moru");
        fs::create_dir_all(&data).unwrap();
        std::os::unix::fs::symlink(models, data.join("models")).unwrap();
        Some(world)
    }

    /// The same where no model is to be had.
    pub fn without_model() -> Self {
        let temp = tempfile::tempdir().unwrap();
        let home = temp.path().canonicalize().unwrap();
        let folder = home.join("work");
        fs::create_dir(&folder).unwrap();
        fs::write(folder.join("calc.py"), BUGGY).unwrap();
        let world = Self { _model: None, _home: temp, home, folder };
        for args in [&["init", "-q", "-b", "main"][..], &["add", "-A"], &["commit", "-qm", "start"]] {
            world.git(args);
        }
        world
    }

    pub fn git(&self, args: &[&str]) -> Output {
        let identity = ["-c", "user.email=test@localhost", "-c", "user.name=test"];
        let out = Command::new("git").args(identity).args(args).current_dir(&self.folder).output().unwrap();
        assert!(out.status.success(), "git {args:?}: {}", String::from_utf8_lossy(&out.stderr));
        out
    }

    /// `moru ARGS` in the folder, in this world's home.
    pub fn command(&self, args: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_moru"));
        command
            .args(args)
            .current_dir(&self.folder)
            .env("HOME", &self.home)
            .env("XDG_DATA_HOME", self.home.join("data"))
            .env("XDG_STATE_HOME", self.home.join("state"))
            .env("XDG_CONFIG_HOME", self.home.join("config"))
            .env("XDG_CACHE_HOME", self.home.join("cache"))
            .env("HF_HUB_OFFLINE", "1")
            .stdin(Stdio::null());
        for (name, _) in std::env::vars_os() {
            if name.to_string_lossy().starts_with("MORU_") {
                command.env_remove(name);
            }
        }
        command
    }

    pub fn moru(&self, args: &[&str]) -> Ran {
        Ran::from(self.command(args).output().unwrap())
    }

    /// The events of `moru exec --json ARGS`.
    pub fn exec(&self, args: &[&str]) -> (Ran, Vec<Value>) {
        let ran = self.moru(&[&["exec", "--json"], args].concat());
        let events = ran.stdout.lines().map(|line| serde_json::from_str(line).expect(line)).collect();
        (ran, events)
    }

    /// A hash over all files of the folder, names and modes and bytes, `.git` left out.
    pub fn hash(&self) -> String {
        let mut hasher = Sha256::new();
        hash_folder(&self.folder, &mut hasher);
        hasher.finalize().iter().map(|byte| format!("{byte:02x}")).collect()
    }

    pub fn write(&self, path: &str, text: impl AsRef<[u8]>) {
        fs::write(self.folder.join(path), text).unwrap();
    }

    pub fn read(&self, path: &str) -> String {
        fs::read_to_string(self.folder.join(path)).unwrap()
    }

    /// Whether the hidden test passes on what is in the folder now.
    pub fn is_fixed(&self) -> bool {
        self.write("test_hidden.py", HIDDEN_TEST);
        let mut pytest = Command::new("python3");
        pytest.args(["-m", "pytest", "-q", "-p", "no:cacheprovider", "test_hidden.py"]).current_dir(&self.folder);
        let out = pytest.env("PYTHONDONTWRITEBYTECODE", "1").output().unwrap();
        fs::remove_file(self.folder.join("test_hidden.py")).unwrap();
        out.status.success()
    }
}

fn hash_folder(folder: &Path, hasher: &mut Sha256) {
    use std::os::unix::fs::PermissionsExt;
    let mut entries: Vec<PathBuf> = fs::read_dir(folder).unwrap().map(|e| e.unwrap().path()).collect();
    entries.sort();
    for path in entries {
        if path.file_name().is_some_and(|name| name == ".git") {
            continue;
        }
        let meta = path.symlink_metadata().unwrap();
        hasher.update(format!("{}\0{:o}\0", path.display(), meta.permissions().mode()));
        if meta.is_dir() {
            hash_folder(&path, hasher);
        } else if meta.is_symlink() {
            hasher.update(fs::read_link(&path).unwrap().as_os_str().as_encoded_bytes());
        } else {
            hasher.update(fs::read(&path).unwrap());
        }
    }
}

/// How a run of the program ended.
#[derive(Debug)]
pub struct Ran {
    pub code: Option<i32>,
    pub stdout: String,
    pub stderr: String,
}

impl From<Output> for Ran {
    fn from(output: Output) -> Self {
        Self {
            code: output.status.code(),
            stdout: String::from_utf8_lossy(&output.stdout).into_owned(),
            stderr: String::from_utf8_lossy(&output.stderr).into_owned(),
        }
    }
}

impl Ran {
    /// One sentence on stderr, and this exit code.
    pub fn refused(&self, code: i32, words: &[&str]) {
        assert_eq!(self.code, Some(code), "{self:?}");
        for word in words {
            assert!(self.stderr.contains(word), "no {word:?} in {self:?}");
        }
        assert!(!self.stderr.contains("panicked"), "{self:?}");
    }
}

/// The events of one type.
pub fn of_type<'e>(events: &'e [Value], name: &str) -> Vec<&'e Value> {
    events.iter().filter(|event| event["type"] == name).collect()
}
