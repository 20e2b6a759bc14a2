//! A folder, and a language server for it that behaves as a test wants.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;
use std::time::{Duration, Instant};

use moru::lsp::{Allowed, Installed, Rules, Servers, installed};
use moru::sandbox::Sandbox;
use tempfile::TempDir;
use tokio_util::sync::CancellationToken;

pub struct Stage {
    temp: TempDir,
    pub root: PathBuf,
    pub servers: Servers,
}

impl Stage {
    /// With the server of `server.py` that behaves as `how` says.
    pub fn new(how: &str) -> Self {
        let script = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/lsp/server.py");
        Self::with_program(&format!("#!/bin/sh\nexec python3 {script} {how}\n"))
    }

    /// With a server for Python that is this script.
    pub fn with_program(script: &str) -> Self {
        let temp = tempfile::tempdir().unwrap();
        let (root, bin) = (temp.path().join("work"), temp.path().join("bin"));
        fs::create_dir_all(&root).unwrap();
        fs::create_dir_all(&bin).unwrap();
        let program = bin.join("pylsp");
        fs::write(&program, script).unwrap();
        fs::set_permissions(&program, fs::Permissions::from_mode(0o755)).unwrap();
        let root = root.canonicalize().unwrap();
        let rules = Rules { allowed: &Allowed::All, root: &root, confined: true, trusted: true };
        let found: Vec<Installed> = installed(bin.as_os_str(), &rules);
        assert_eq!(found.len(), 1);
        let servers = Servers::new(&root, &Sandbox::off(), &found);
        Self { temp, root, servers }
    }

    /// Lines and messages of what is new in `a.py`, and how long it took to hear.
    pub async fn changed(&self, before: Option<&str>, after: &str) -> (Vec<(usize, String)>, Duration) {
        fs::write(self.root.join("a.py"), after).unwrap();
        let start = Instant::now();
        let found = self.servers.changed("a.py", before, after, &CancellationToken::new()).await;
        let errors = found.map(|found| found.errors).unwrap_or_default();
        (errors.into_iter().map(|error| (error.line, error.message)).collect(), start.elapsed())
    }

    /// The lines alone.
    pub async fn lines(&self, before: Option<&str>, after: &str) -> Vec<usize> {
        self.changed(before, after).await.0.into_iter().map(|(line, _)| line).collect()
    }

    /// Tells of `a.py`, and lets the server say what is wrong with it.
    pub async fn open(&self, text: &str) {
        fs::write(self.root.join("a.py"), text).unwrap();
        self.servers.open("a.py", text);
        // Whoever has answered of another file has dealt with this one.
        self.ready().await;
    }

    /// Waits until the server answers.
    pub async fn ready(&self) {
        fs::write(self.root.join("b.py"), "wrong").unwrap();
        let start = Instant::now();
        while self.servers.changed("b.py", None, "wrong", &CancellationToken::new()).await.is_none() {
            assert!(start.elapsed() < Duration::from_secs(30), "the server does not start");
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }

    pub fn server_runs(&self) -> bool {
        let id = fs::read_to_string(self.root.join("server.pid")).unwrap_or_default();
        let stat = fs::read_to_string(format!("/proc/{id}/stat")).unwrap_or_default();
        !id.is_empty() && !stat.is_empty() && !stat.contains(") Z ")
    }

    pub async fn wait_for_the_end(&self) {
        let start = Instant::now();
        while self.server_runs() {
            assert!(start.elapsed() < Duration::from_secs(10), "the server outlives its session");
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }

    /// The servers, and the rest without them.
    pub fn part(self) -> (Servers, Self) {
        (self.servers, Self { servers: Servers::default(), temp: self.temp, root: self.root })
    }
}
