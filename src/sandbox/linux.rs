//! Landlock for files, seccomp for sockets: both need no privilege, hold for every descendant and cannot be taken off again.
//! Each is applied as far as the kernel knows it.

use std::collections::BTreeMap;
use std::fs;
use std::io;
use std::os::fd::{AsRawFd, OwnedFd};
use std::path::{Path, PathBuf};

use landlock::{
    ABI, Access, AccessFs, AccessNet, BitFlags, CompatLevel, Compatible, PathBeneath, PathFd, Ruleset, RulesetAttr,
    RulesetCreated, RulesetCreatedAttr, Scope,
};
use seccompiler::{
    BpfProgram, SeccompAction, SeccompCmpArgLen, SeccompCmpOp, SeccompCondition, SeccompFilter, SeccompRule, TargetArch,
};

use super::{Ability, Guard, Sandbox};

/// The newest Landlock whose restrictions are asked for; older kernels give what they have.
const NEWEST: ABI = ABI::V6;

/// A sandbox made ready: what is left to do in the new process needs neither memory nor locks.
pub(super) struct Confinement {
    ruleset: Option<OwnedFd>,
    filter: Option<BpfProgram>,
}

impl Confinement {
    /// Makes `sandbox` ready. Rules name what exists now: what comes into being later below a folder that is named is
    /// covered, what comes into being beside a secret is not.
    ///
    /// # Errors
    /// The kernel refuses a restriction that it knows.
    pub fn new(sandbox: &Sandbox) -> io::Result<Self> {
        if sandbox.off {
            return Ok(Self { ruleset: None, filter: None });
        }
        let ruleset = ruleset(sandbox).map_err(io::Error::other)?;
        let filter = match (sandbox.network, arch()) {
            (false, Some(arch)) => Some(filter(arch).map_err(io::Error::other)?),
            _ => None,
        };
        Ok(Self { ruleset, filter })
    }

    /// Restricts this process and all that it will start, for good.
    ///
    /// Async-signal-safe: it may be called between fork and exec.
    ///
    /// # Errors
    /// The kernel refuses; nothing must be started then.
    pub fn enter(&self) -> io::Result<()> {
        if let Some(ruleset) = &self.ruleset {
            // SAFETY: plain system calls on integers and on a descriptor that `self` keeps open.
            let result = unsafe {
                libc::prctl(libc::PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0);
                libc::syscall(libc::SYS_landlock_restrict_self, ruleset.as_raw_fd(), 0)
            };
            if result != 0 {
                return Err(io::Error::last_os_error());
            }
        }
        match &self.filter {
            // Errors are turned into a bare number: anything richer would allocate.
            Some(filter) => seccompiler::apply_filter(filter).map_err(|_| io::Error::from_raw_os_error(libc::EPERM)),
            None => Ok(()),
        }
    }
}

fn ruleset(sandbox: &Sandbox) -> Result<Option<OwnedFd>, landlock::RulesetError> {
    let all = AccessFs::from_all(NEWEST);
    let look = AccessFs::ReadFile | AccessFs::ReadDir | AccessFs::Execute;
    let mut ruleset = Ruleset::default()
        .set_compatibility(CompatLevel::BestEffort)
        .handle_access(all)?
        .scope(Scope::from_all(NEWEST))?;
    if !sandbox.network {
        ruleset = ruleset.handle_access(AccessNet::from_all(NEWEST))?;
    }
    let mut created = ruleset.create()?;
    let hidden = existing(&sandbox.hidden);
    // Names may be seen everywhere; the walk below decides whose content.
    allow(&mut created, &[PathBuf::from("/")], AccessFs::ReadDir.into());
    allow(&mut created, &without(Path::new("/"), &hidden), look);
    for folder in existing(&sandbox.writable) {
        // A secret that itself contains the workspace does not hide it: the user has put Moru to work there.
        let inside: Vec<PathBuf> =
            hidden.iter().filter(|path| **path != folder && path.starts_with(&folder)).cloned().collect();
        allow(&mut created, &without(&folder, &inside), all);
    }
    Ok(created.into())
}

/// Adds rules for the paths that can be opened. Where that fails the path stays forbidden, which is the safe way to err.
fn allow(ruleset: &mut RulesetCreated, paths: &[PathBuf], access: BitFlags<AccessFs>) {
    for path in paths {
        // The kernel refuses rights for a file that only folders have.
        let access = if path.is_dir() { access } else { access & AccessFs::from_file(NEWEST) };
        if let Ok(fd) = PathFd::new(path) {
            let _ = ruleset.add_rule(PathBeneath::new(fd, access));
        }
    }
}

/// The paths that exist, symlinks resolved.
fn existing(paths: &[PathBuf]) -> Vec<PathBuf> {
    paths.iter().filter_map(|path| fs::canonicalize(path).ok()).collect()
}

/// The largest folders below `from` that contain none of `hidden`, and the files beside them. Landlock can only allow: what
/// is to be left out has to be walked around.
fn without(from: &Path, hidden: &[PathBuf]) -> Vec<PathBuf> {
    let mut found = Vec::new();
    let mut open = vec![from.to_path_buf()];
    while let Some(path) = open.pop() {
        if hidden.contains(&path) {
            continue;
        }
        if !hidden.iter().any(|secret| secret.starts_with(&path)) {
            found.push(path);
            continue;
        }
        let Ok(entries) = fs::read_dir(&path) else { continue };
        for entry in entries.flatten() {
            // A symlink is allowed or not where it leads to; a rule for it could open what is being walked around.
            if entry.file_type().is_ok_and(|kind| !kind.is_symlink()) {
                open.push(entry.path());
            }
        }
    }
    found
}

fn arch() -> Option<TargetArch> {
    TargetArch::try_from(std::env::consts::ARCH).ok()
}

/// Lets a process have local sockets only. `io_uring` goes too: it opens sockets without the system call that is watched.
fn filter(arch: TargetArch) -> Result<BpfProgram, seccompiler::BackendError> {
    let other_than_local = || -> Result<Vec<SeccompRule>, seccompiler::BackendError> {
        let domain = SeccompCondition::new(0, SeccompCmpArgLen::Dword, SeccompCmpOp::Ne, libc::AF_UNIX as u64)?;
        Ok(vec![SeccompRule::new(vec![domain])?])
    };
    let mut rules: BTreeMap<i64, Vec<SeccompRule>> = BTreeMap::new();
    // On x86-64 each call has a second number (x32) that reaches the same code.
    let aliases: &[i64] = if matches!(arch, TargetArch::x86_64) { &[0, 0x4000_0000] } else { &[0] };
    for alias in aliases {
        rules.insert(libc::SYS_socket | alias, other_than_local()?);
        rules.insert(libc::SYS_socketpair | alias, other_than_local()?);
        rules.insert(libc::SYS_io_uring_setup | alias, Vec::new());
    }
    SeccompFilter::new(rules, SeccompAction::Allow, SeccompAction::Errno(libc::EPERM as u32), arch)?.try_into()
}

/// The kernel's Landlock version; 0 where there is none.
fn landlock_version() -> i64 {
    const CREATE_RULESET_VERSION: u32 = 1;
    // SAFETY: with this flag the call reads nothing and returns a number.
    let version = unsafe {
        libc::syscall(libc::SYS_landlock_create_ruleset, std::ptr::null::<u8>(), 0_usize, CREATE_RULESET_VERSION)
    };
    version.max(0)
}

fn has_seccomp() -> bool {
    let action = libc::SECCOMP_RET_ERRNO;
    // SAFETY: the call reads one integer.
    let result = unsafe { libc::syscall(libc::SYS_seccomp, libc::SECCOMP_GET_ACTION_AVAIL, 0, &raw const action) };
    result == 0 && arch().is_some()
}

pub(super) fn ability() -> Ability {
    let version = landlock_version();
    let files = if version > 0 {
        let gaps = match version {
            1 | 2 => " (this kernel lets them truncate files elsewhere; Linux 6.2 or newer does not)",
            _ => "",
        };
        Guard::new(
            true,
            format!(
                "Commands write only in the workspace, temporary folders and build caches, and read no secrets: Landlock, version {version}{gaps}."
            ),
        )
    } else {
        Guard::new(
            false,
            "Commands can write wherever you can: this kernel has no Landlock; Linux 5.13 or newer with `landlock` among its security modules has.",
        )
    };
    let network = match (has_seccomp(), version >= 4) {
        (true, _) => Guard::new(true, "Commands have no network unless you allow it: seccomp."),
        (false, true) => Guard::new(
            true,
            "Commands have no TCP unless you allow it: Landlock; UDP is open, since this kernel has no seccomp.",
        ),
        (false, false) => Guard::new(
            false,
            "Commands can use the network: this kernel has no seccomp filters; a kernel with CONFIG_SECCOMP_FILTER has.",
        ),
    };
    let processes = if Path::new("/proc/self/stat").exists() {
        Guard::new(true, "A command ends with everything that it started, daemons included.")
    } else {
        Guard::new(false, "A command's daemons may outlive it: /proc is not mounted; mount it.")
    };
    Ability { files, network, processes }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn walks_around_secrets() {
        let home = tempfile::tempdir().unwrap();
        let home = fs::canonicalize(home.path()).unwrap();
        for folder in [".ssh", "src/deep", ".config/gh", ".config/git"] {
            fs::create_dir_all(home.join(folder)).unwrap();
        }
        fs::write(home.join("notes"), "").unwrap();
        std::os::unix::fs::symlink(&home, home.join("loop")).unwrap();
        let mut found = without(&home, &[home.join(".ssh"), home.join(".config/gh")]);
        found.sort();
        assert_eq!(found, [home.join(".config/git"), home.join("notes"), home.join("src")]);
    }

    #[test]
    fn a_folder_without_secrets_is_taken_whole() {
        assert_eq!(without(Path::new("/usr"), &[PathBuf::from("/home/ada/.ssh")]), [PathBuf::from("/usr")]);
        assert!(without(Path::new("/usr"), &[PathBuf::from("/usr")]).is_empty());
    }

    #[test]
    fn the_socket_filter_compiles() {
        assert!(!filter(TargetArch::x86_64).unwrap().is_empty());
        assert!(!filter(TargetArch::aarch64).unwrap().is_empty());
    }
}
