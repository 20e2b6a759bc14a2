//! Seatbelt, through the system's own `sandbox-exec`.

use std::fmt::Write;
use std::path::{Path, PathBuf};
use std::process::Command;

use super::{Ability, Guard, Sandbox, group};

const PROGRAM: &str = "/usr/bin/sandbox-exec";

/// A command that runs `program` with its arguments to come, confined to `sandbox`.
pub(super) fn confined(program: &Path, sandbox: &Sandbox) -> Command {
    if sandbox.off || !Path::new(PROGRAM).exists() {
        return Command::new(program);
    }
    let mut command = Command::new(PROGRAM);
    command.arg("-p").arg(profile(sandbox)).arg(program);
    command
}

/// A Seatbelt profile. Later rules win over earlier ones.
fn profile(sandbox: &Sandbox) -> String {
    let mut profile = String::from("(version 1)\n(allow default)\n(deny file-write*)\n");
    let mut rule = |verb: &str, paths: &[PathBuf]| {
        for path in paths {
            let path = path.canonicalize().unwrap_or_else(|_| path.clone());
            let quoted = path.to_string_lossy().replace('\\', "\\\\").replace('"', "\\\"");
            let _ = writeln!(profile, "({verb} (subpath \"{quoted}\"))");
        }
    };
    rule("allow file-write*", &sandbox.writable);
    rule("deny file-read-data file-write*", &sandbox.hidden);
    if !sandbox.network {
        profile.push_str("(deny network*)\n(allow network* (local unix))\n(allow network* (remote unix))\n");
    }
    profile
}

pub(super) fn ability() -> Ability {
    let enforced = Path::new(PROGRAM).exists();
    let (files, network) = if enforced {
        (
            "Commands write only in the workspace, temporary folders and build caches, and read no secrets: Seatbelt.",
            "Commands have no network unless you allow it: Seatbelt.",
        )
    } else {
        (
            "Commands can write wherever you can: /usr/bin/sandbox-exec is missing; it belongs to macOS.",
            "Commands can use the network: /usr/bin/sandbox-exec is missing; it belongs to macOS.",
        )
    };
    Ability { files: Guard::new(enforced, files), network: Guard::new(enforced, network), processes: group::guard() }
}
