//! `moru doctor`: looks at everything that Moru needs, and says what to do about what is bad.

pub mod plan;

use std::fmt;
use std::io::{self, Write};

use indicatif::HumanBytes;
use serde::Serialize;

use super::ServerOptions;
use crate::config::{Config, Dirs};
use crate::engine::remote::{Can, Finding};
use crate::lsp::Installed;
use crate::model::device::{self, Device, Machine};
use crate::model::{self, ModelError, ResolvedModel, fit, hash};

/// Check this machine, the model and the build.
#[derive(Debug, Clone, clap::Args)]
pub struct Args {
    #[command(flatten)]
    pub server: ServerOptions,
    /// Say how this model, a name or a file, would be loaded, and nothing else.
    #[arg(long, value_name = "MODEL")]
    pub plan: Option<String>,
    /// With --plan: for the machine that this TOML file describes, in place of this one.
    #[arg(long, value_name = "FILE", requires = "plan")]
    pub machine: Option<std::path::PathBuf>,
    /// Print JSON.
    #[arg(long)]
    json: bool,
}

/// What a speed test measured.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct SpeedTest {
    /// Prompt tokens read in a second.
    pub prefill: f64,
    /// Tokens written in a second.
    pub decode: f64,
}

/// What the parts above the model find out.
pub struct Probes<'a> {
    /// What holds commands of the model back here; an error says why nothing does, and what to do.
    pub sandbox: Result<String, String>,
    /// The language servers that are installed; an error says what is wrong with the settings.
    pub servers: Result<Vec<Installed>, String>,
    /// Loads the configured model and runs it for some three seconds.
    pub speed: Box<dyn FnOnce() -> Result<SpeedTest, String> + 'a>,
}

/// One line of the report.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Check {
    pub status: Status,
    pub what: &'static str,
    pub found: String,
    /// What to do; `None` where all is well.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub advice: Option<String>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Status {
    Ok,
    /// Moru works, but not as well as it could.
    Warn,
    /// Moru does not work.
    Bad,
}

impl fmt::Display for Status {
    fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
        f.pad(match self {
            Self::Ok => "ok",
            Self::Warn => "warn",
            Self::Bad => "BAD",
        })
    }
}

/// Below this many tokens a second, an answer takes longer than most people wait.
const SLOW_DECODE: f64 = 5.0;

/// Looks, prints each line as soon as it is known, and returns whether Moru can work here.
///
/// # Errors
/// The report cannot be written.
pub fn run(args: &Args, config: &Config, dirs: &Dirs, probes: Probes) -> io::Result<bool> {
    let mut report = Report { json: args.json, checks: Vec::new() };
    let machine = Machine::detect();
    let devices = device::devices();
    report.add(version())?;
    report.add(processor(&machine, config))?;
    report.add(instructions(&device::instructions()))?;
    report.add(backend(&devices))?;
    report.add(memory(&machine))?;
    report.add(folders(dirs))?;
    report.add(sandbox(probes.sandbox))?;
    report.add(servers(probes.servers))?;
    let resolved = model::resolve(&config.model, dirs);
    report.add(model_file(&config.model, &resolved))?;
    if let Ok(resolved) = &resolved {
        let room = device::room_on(&machine, &devices, config.context, config.gpu_layers);
        report.add(room_for(resolved, &room))?;
    }
    if report.worst() < Status::Bad {
        report.add(speed((probes.speed)()))?;
    }
    report.end()
}

/// The same where a server runs the model: what it can do takes the place of what this machine could.
///
/// # Errors
/// The report cannot be written.
pub fn run_server(args: &Args, dirs: &Dirs, probes: Probes, findings: &[Finding]) -> io::Result<bool> {
    let mut report = Report { json: args.json, checks: Vec::new() };
    report.add(version())?;
    report.add(folders(dirs))?;
    report.add(sandbox(probes.sandbox))?;
    report.add(servers(probes.servers))?;
    for finding in findings {
        report.add(of_server(finding))?;
    }
    report.end()
}

fn of_server(finding: &Finding) -> Check {
    let status = match finding.can {
        Can::Yes => Status::Ok,
        Can::No => Status::Warn,
        Can::Broken => Status::Bad,
    };
    Check { status, what: finding.what, found: finding.found.clone(), advice: finding.advice.clone() }
}

struct Report {
    json: bool,
    checks: Vec<Check>,
}

impl Report {
    fn add(&mut self, check: Check) -> io::Result<()> {
        if !self.json {
            let mut out = io::stdout().lock();
            writeln!(out, "{:<5}{:<16}{}", check.status, check.what, check.found)?;
            if let Some(advice) = &check.advice {
                writeln!(out, "{:<21}-> {advice}", "")?;
            }
            out.flush()?;
        }
        self.checks.push(check);
        Ok(())
    }

    fn worst(&self) -> Status {
        self.checks.iter().map(|c| c.status).max().unwrap_or(Status::Ok)
    }

    fn end(self) -> io::Result<bool> {
        let works = self.worst() < Status::Bad;
        let mut out = io::stdout().lock();
        if self.json {
            serde_json::to_writer_pretty(&mut out, &self.checks)?;
            writeln!(out)?;
        } else {
            let summary =
                if works { "Moru can work here." } else { "Moru cannot work here yet: see the lines marked BAD." };
            writeln!(out, "\n{summary}")?;
        }
        Ok(works)
    }
}

fn good(what: &'static str, found: impl Into<String>) -> Check {
    Check { status: Status::Ok, what, found: found.into(), advice: None }
}

fn fault(status: Status, what: &'static str, found: impl Into<String>, advice: impl Into<String>) -> Check {
    Check { status, what, found: found.into(), advice: Some(advice.into()) }
}

fn version() -> Check {
    let (version, os, arch) = (env!("CARGO_PKG_VERSION"), std::env::consts::OS, std::env::consts::ARCH);
    good("moru", format!("{version}, {os} on {arch}"))
}

fn processor(machine: &Machine, config: &Config) -> Check {
    let name = if machine.processor.is_empty() { "unknown" } else { &machine.processor };
    let found = format!("{name}, {} physical cores", machine.physical_cores);
    if config.threads > machine.physical_cores {
        let advice =
            format!("{} threads are configured: more than cores makes it slower; remove `threads`", config.threads);
        return fault(Status::Warn, "processor", found, advice);
    }
    good("processor", found)
}

fn instructions(list: &[device::Instructions]) -> Check {
    let names = |wanted: fn(&device::Instructions) -> bool| {
        list.iter().filter(|i| wanted(i)).map(|i| i.name).collect::<Vec<_>>().join(" ")
    };
    let (in_use, unused) = (names(|i| i.compiled), names(|i| i.present && !i.compiled));
    let found = if in_use.is_empty() { "none".to_owned() } else { in_use };
    if unused.is_empty() {
        return good("instructions", found);
    }
    let advice = format!("this processor also has {unused}: build from source on this machine, with `./dev build`");
    fault(Status::Warn, "instructions", found, advice)
}

fn backend(devices: &[Device]) -> Check {
    let gpus: Vec<_> = devices.iter().filter(|d| d.gpu).collect();
    if !gpus.is_empty() {
        let describe =
            |d: &&Device| format!("{} ({}, {}, {} free)", d.name, d.backend, d.description, HumanBytes(d.memory_free));
        return good("devices", gpus.iter().map(describe).collect::<Vec<_>>().join("; "));
    }
    let found = "CPU; no GPU is in use";
    match unused_gpu() {
        Some(advice) => fault(Status::Warn, "devices", found, advice),
        None => good("devices", found),
    }
}

/// A GPU whose driver is there, but which this build cannot use.
fn unused_gpu() -> Option<&'static str> {
    let there = |path: &str| std::path::Path::new(path).exists();
    if there("/dev/nvidiactl") && !cfg!(feature = "cuda") {
        return Some("there is an NVIDIA GPU: install the CUDA toolkit (nvcc) and build again with `./dev build`");
    }
    if there("/dev/kfd") && !cfg!(feature = "rocm") {
        return Some("there is an AMD GPU: install ROCm (hipcc) and build again with `./dev build`");
    }
    None
}

fn memory(machine: &Machine) -> Check {
    let (available, total) = (HumanBytes(machine.memory_available), HumanBytes(machine.memory_total));
    good("memory", format!("{available} available of {total}"))
}

fn folders(dirs: &Dirs) -> Check {
    for folder in [&dirs.data, &dirs.state, &dirs.cache] {
        let writable = std::fs::create_dir_all(folder).and_then(|()| tempfile::tempfile_in(folder));
        if let Err(error) = writable {
            let advice =
                "make it writable, or set XDG_DATA_HOME, XDG_STATE_HOME and XDG_CACHE_HOME to folders that are";
            return fault(Status::Bad, "folders", format!("{} cannot be written: {error}", folder.display()), advice);
        }
    }
    good("folders", format!("{} and {} are writable", dirs.data.display(), dirs.state.display()))
}

fn sandbox(ability: Result<String, String>) -> Check {
    match ability {
        Ok(found) => good("sandbox", found),
        Err(reason) => fault(
            Status::Warn,
            "sandbox",
            reason,
            "commands of the model are not held back here: read them before you allow them",
        ),
    }
}

fn servers(installed: Result<Vec<Installed>, String>) -> Check {
    const WHAT: &str = "code servers";
    let installed = match installed {
        Ok(installed) => installed,
        Err(reason) => return fault(Status::Bad, WHAT, reason, "correct it in your config.toml or environment"),
    };
    let describe = |one: &Installed| match one.refused {
        None => format!("{} for {}", one.server.name, one.server.languages()),
        Some(reason) => format!("{} is not used: {reason}", one.server.name),
    };
    let found: Vec<String> = installed.iter().map(describe).collect();
    good(WHAT, if found.is_empty() { "no language server is installed".to_owned() } else { found.join("; ") })
}

fn model_file(value: &str, resolved: &Result<ResolvedModel, ModelError>) -> Check {
    let resolved = match resolved {
        Ok(resolved) => resolved,
        Err(error) => {
            let text = error.to_string();
            let (found, advice) = text.split_once("; ").unwrap_or((&text, "choose another with `--model`"));
            return fault(Status::Bad, "model", found, advice);
        }
    };
    let path = resolved.path.display();
    let found = format!("{} ({}, {})", resolved.name, resolved.gguf.quantisation, HumanBytes(resolved.gguf.size));
    let Some(expected) = resolved.entry.as_ref().and_then(|e| e.sha256.as_ref()) else {
        return good("model", format!("{found}, {path}: header and size are sound, there is no hash to compare with"));
    };
    match hash::sha256(&resolved.path, |_| ()) {
        Ok(found_hash) if found_hash == *expected => good("model", format!("{found}, SHA-256 as the catalog says")),
        Ok(_) => fault(
            Status::Bad,
            "model",
            format!("{path} is damaged: its SHA-256 is not the catalog's"),
            format!("`moru model rm {value}`, then `moru model pull {value}`"),
        ),
        Err(error) => {
            fault(Status::Bad, "model", format!("{path} cannot be read: {error}"), "check the file and its disk")
        }
    }
}

fn room_for(resolved: &ResolvedModel, room: &fit::Room) -> Check {
    match fit::fit(&resolved.gguf, room) {
        Ok(fit) => good("plan", fit.to_string()),
        Err(error) => {
            let text = error.to_string();
            let (found, advice) = text.split_once("; ").unwrap_or((&text, "choose a smaller model"));
            fault(Status::Bad, "plan", found, advice)
        }
    }
}

fn speed(measured: Result<SpeedTest, String>) -> Check {
    match measured {
        Ok(SpeedTest { prefill, decode }) => {
            let found = format!("reads {prefill:.0} and writes {decode:.1} tokens a second");
            if decode >= SLOW_DECODE {
                return good("speed", found);
            }
            fault(Status::Warn, "speed", found, "close busy programs, or choose a smaller model (`moru model list`)")
        }
        Err(reason) => fault(Status::Bad, "speed", reason, "choose another model with `--model`, or look into the log"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn status(check: &Check) -> (Status, bool) {
        (check.status, check.advice.is_some())
    }

    #[test]
    fn whatever_is_bad_says_what_to_do() {
        let slow = speed(Ok(SpeedTest { prefill: 10.0, decode: 1.0 }));
        assert_eq!(status(&slow), (Status::Warn, true));
        assert_eq!(status(&speed(Err("it broke".into()))), (Status::Bad, true));
        assert_eq!(status(&speed(Ok(SpeedTest { prefill: 100.0, decode: 30.0 }))), (Status::Ok, false));
        assert_eq!(status(&sandbox(Err("no Landlock".into()))), (Status::Warn, true));
        let missing = Err(ModelError::NotPulled { name: "x".into() });
        let check = model_file("x", &missing);
        assert_eq!(status(&check), (Status::Bad, true));
        assert_eq!(check.advice.as_deref(), Some("get it with `moru model pull x`"));
    }

    #[test]
    fn unused_instructions_are_named() {
        let sets = |compiled| [device::Instructions { name: "AVX2", present: true, compiled }];
        assert_eq!(instructions(&sets(true)).status, Status::Ok);
        let check = instructions(&sets(false));
        assert!(check.status == Status::Warn && check.advice.unwrap().contains("AVX2"));
    }

    #[test]
    fn an_unwritable_folder_prevents_work() {
        let file = tempfile::NamedTempFile::new().unwrap();
        let inside = file.path().join("x");
        let dirs = Dirs { config: inside.clone(), data: inside.clone(), state: inside.clone(), cache: inside };
        assert_eq!(folders(&dirs).status, Status::Bad);
    }
}
