//! Real commands, on this machine's kernel.

use std::fs;
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::time::Duration;

use tokio_util::sync::CancellationToken;

use super::*;

/// A folder to work in and one that is none of the command's business.
struct Fixture {
    // Not below /tmp, where commands may write.
    _base: tempfile::TempDir,
    work: PathBuf,
    elsewhere: PathBuf,
    sandbox: Sandbox,
}

fn fixture() -> Fixture {
    let base = tempfile::Builder::new().prefix(".sandbox-test-").tempdir_in(env!("CARGO_MANIFEST_DIR")).unwrap();
    let root = fs::canonicalize(base.path()).unwrap();
    let (work, elsewhere, scratch) = (root.join("work"), root.join("home"), root.join("scratch"));
    for folder in [&work, &elsewhere, &elsewhere.join(".ssh"), &scratch] {
        fs::create_dir(folder).unwrap();
    }
    fs::write(elsewhere.join("notes"), "readable").unwrap();
    fs::write(elsewhere.join(".ssh/id"), "secret").unwrap();
    let home = elsewhere.clone();
    let var = |name: &str| match name {
        "HOME" => Some(home.clone().into_os_string()),
        name => std::env::var_os(name),
    };
    let mut places = Places::new(var, &[]);
    places.temp.retain(|path| !root.starts_with(path));
    places.temp.push(scratch);
    let sandbox = Sandbox::new(&work, &places, false);
    Fixture { _base: base, work, elsewhere, sandbox }
}

fn spec<'a>(command: &'a str, dir: &'a Path, sandbox: &'a Sandbox) -> CommandSpec<'a> {
    CommandSpec {
        command,
        dir,
        timeout: Duration::from_secs(60),
        sandbox,
        cancel: CancellationToken::new(),
        output_limit: 4000,
    }
}

async fn run(command: &str, fixture: &Fixture) -> CommandEnd {
    run_command(spec(command, &fixture.work, &fixture.sandbox)).await.unwrap()
}

/// Whether the process whose number stands in `file` runs.
fn runs(file: &Path) -> bool {
    let text = fs::read_to_string(file).unwrap_or_else(|error| panic!("{}: {error}", file.display()));
    let stat = fs::read_to_string(format!("/proc/{}/stat", text.trim())).unwrap_or_default();
    !stat.is_empty() && !stat.contains(") Z ")
}

#[tokio::test]
async fn output_stays_in_order_and_the_exit_code_is_told() {
    let fixture = fixture();
    for (command, end, output) in [
        ("echo one; echo two >&2; echo three; exit 3", End::Exited(3), "one\ntwo\nthree"),
        ("true", End::Exited(0), ""),
        ("cat; echo read", End::Exited(0), "read"),
        ("kill -TERM $$", End::Signalled(15), ""),
        ("echo said > /dev/stderr", End::Exited(0), "said"),
        ("pwd -P | xargs basename", End::Exited(0), "work"),
    ] {
        let done = run(command, &fixture).await;
        assert_eq!((done.end, done.output.as_str()), (end, output), "{command}");
        assert_eq!((done.left, done.survivors), (0, 0), "{command}");
    }
}

#[tokio::test]
async fn commands_come_after_the_model() {
    let own = rustix::process::getpriority_process(None).unwrap();
    let done = run("nice", &fixture()).await;
    assert_eq!(done.output, (own + 10).min(19).to_string());
    // Kernels without autogroups have no such file.
    let done = run("cat /proc/self/autogroup 2>/dev/null || echo 'nice 10'", &fixture()).await;
    assert!(done.output.trim_end().ends_with("nice 10"), "{}", done.output);
}

#[tokio::test]
async fn a_missing_folder_is_said() {
    let fixture = fixture();
    let gone = fixture.work.join("gone");
    let error = run_command(spec("true", &gone, &fixture.sandbox)).await.unwrap_err();
    assert!(matches!(error, CommandError::NoFolder(path) if path == gone));
}

#[tokio::test]
async fn gigabytes_of_output_are_bounded() {
    let fixture = fixture();
    let done = run("yes 'some text that goes on and on' | head -c 300000000; echo end", &fixture).await;
    assert_eq!(done.end, End::Exited(0));
    assert!(done.output.len() < 4100 && done.output.ends_with("end"), "{}", done.output.len());
}

/// Ways to outlive a shell. Each writes the number of the process that tries.
#[cfg(target_os = "linux")]
const FUGITIVES: &[(&str, &str)] = &[
    ("background", "sleep 300 & echo $! > pid"),
    ("ignores signals", "(trap '' TERM HUP INT; echo $BASHPID > pid; while :; do sleep 1; done) & sleep 0.3"),
    ("own session", "setsid sh -c 'echo $$ > pid; exec sleep 300' & sleep 0.3"),
    ("daemon", "(setsid sh -c '(echo $$ > pid0; sleep 300 & echo $! > pid) ' >/dev/null 2>&1 &) ; sleep 0.5"),
    ("no output", "setsid sh -c 'exec >&- 2>&- <&-; echo $$ > pid; sleep 300' & sleep 0.5"),
    ("no environment", "env -i setsid sh -c 'echo $$ > pid; exec sleep 300' >/dev/null 2>&1 & sleep 0.3"),
    ("stopped", "sleep 300 & echo $! > pid; kill -STOP $!"),
];

#[cfg(target_os = "linux")]
#[tokio::test]
async fn nothing_outlives_a_command_that_ends() {
    futures_util::future::join_all(FUGITIVES.iter().map(async |(way, command)| {
        let fixture = fixture();
        let done = run(command, &fixture).await;
        assert_eq!(done.end, End::Exited(0), "{way}: {}", done.output);
        assert!(done.left >= 1, "{way}");
        assert_eq!(done.survivors, 0, "{way}");
        assert!(!runs(&fixture.work.join("pid")), "{way}");
    }))
    .await;
}

#[cfg(target_os = "linux")]
#[tokio::test]
async fn nothing_outlives_a_time_limit() {
    outrun(End::TimedOut).await;
}

#[cfg(target_os = "linux")]
#[tokio::test]
async fn nothing_outlives_a_cancellation() {
    outrun(End::Cancelled).await;
}

#[cfg(target_os = "linux")]
async fn outrun(expected: End) {
    futures_util::future::join_all(FUGITIVES.iter().map(async |(way, command)| {
        let fixture = fixture();
        let command = format!("{command}; echo so far; touch ready; sleep 300");
        let mut spec = spec(&command, &fixture.work, &fixture.sandbox);
        if expected == End::TimedOut {
            spec.timeout = Duration::from_secs(3);
        } else {
            let (cancel, ready) = (spec.cancel.clone(), fixture.work.join("ready"));
            tokio::spawn(async move {
                wait_until(|| ready.exists()).await;
                cancel.cancel();
            });
        }
        let done = run_command(spec).await.unwrap();
        assert_eq!((done.end, done.survivors), (expected, 0), "{way}");
        assert!(done.output.contains("so far"), "{way}: {}", done.output);
        assert!(!runs(&fixture.work.join("pid")), "{way}");
    }))
    .await;
}

#[cfg(target_os = "linux")]
#[tokio::test]
async fn nothing_outlives_a_dropped_future() {
    let fixture = fixture();
    let command = "setsid sh -c 'echo $$ > pid; exec sleep 300' & wait";
    let run = run_command(spec(command, &fixture.work, &fixture.sandbox));
    assert!(tokio::time::timeout(Duration::from_millis(1000), run).await.is_err());
    wait_until(|| !runs(&fixture.work.join("pid"))).await;
}

#[cfg(target_os = "linux")]
#[tokio::test]
async fn nothing_outlives_a_killed_supervisor() {
    let fixture = fixture();
    // Without the sandbox, whose newest form would not let the supervisor be killed.
    let command = "setsid sh -c 'echo $$ > pid; exec sleep 300' & sleep 0.3; kill -9 $PPID; sleep 300";
    let done = run_command(spec(command, &fixture.work, &Sandbox::off())).await.unwrap();
    assert_eq!((done.end, done.survivors), (End::Signalled(9), 0));
    assert!(!runs(&fixture.work.join("pid")));
}

#[tokio::test]
async fn a_service_answers_and_ends_with_its_lease() {
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    let fixture = fixture();
    let script =
        "read word; echo $$ > ../scratch/pid; echo x > new; echo got $word; trap '' TERM; while :; do sleep 1; done";
    let sandbox = fixture.sandbox.reading(&fixture.work);
    let (program, args) = (Path::new("/bin/sh"), ["-c", script]);
    let spec = ServiceSpec { program, args: &args, dir: &fixture.work, sandbox: &sandbox };
    let mut service = start_service(spec).await.unwrap();
    service.input.write_all(b"it\n").await.unwrap();
    let mut answer = [0; 7];
    service.output.read_exact(&mut answer).await.unwrap();
    assert_eq!(&answer, b"got it\n");
    assert_eq!(fixture.work.join("new").exists(), !ability().files.enforced, "it only looks at its folder");
    let pid = fixture.work.join("../scratch/pid");
    assert!(runs(&pid));
    drop(service);
    wait_until(|| !runs(&pid)).await;
}

#[tokio::test]
async fn what_nobody_knows_writes_nowhere() {
    let fixture = fixture();
    let command = "echo x > new; echo x > ../scratch/new; echo x > /dev/null && echo ran";
    let done = run_command(spec(command, &fixture.work, &fixture.sandbox.sealed())).await.unwrap();
    assert!(done.output.contains("ran"), "{}", done.output);
    for place in ["new", "../scratch/new"] {
        assert_eq!(fixture.work.join(place).exists(), !ability().files.enforced, "{place}");
    }
}

async fn wait_until(mut holds: impl FnMut() -> bool) {
    for _ in 0..500 {
        if holds() {
            return;
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    panic!("it did not come about within 10 s");
}

#[tokio::test]
async fn the_moru_that_dies_takes_its_commands_along() {
    const ROLE: &str = "MORU_TEST_DIES_IN";
    if let Some(folder) = std::env::var_os(ROLE) {
        // The process to be killed: this test again, started below.
        let folder = PathBuf::from(folder);
        let command = "setsid sh -c 'echo $$ > pid; exec sleep 300' & (trap '' TERM; sleep 300)";
        let _ = run_command(spec(command, &folder, &Sandbox::off())).await;
        return;
    }
    let fixture = fixture();
    let mut moru = std::process::Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "sandbox::tests::the_moru_that_dies_takes_its_commands_along"])
        .env(ROLE, &fixture.work)
        .stdout(std::process::Stdio::null())
        .spawn()
        .unwrap();
    let pid = fixture.work.join("pid");
    wait_until(|| fs::read_to_string(&pid).is_ok_and(|text| text.ends_with('\n'))).await;
    assert!(runs(&pid));
    moru.kill().unwrap();
    moru.wait().unwrap();
    wait_until(|| !runs(&pid)).await;
}

#[tokio::test]
async fn writes_stay_inside() {
    if !ability().files.enforced {
        return;
    }
    let fixture = fixture();
    let outside = fixture.elsewhere.display();
    for (command, allowed) in [
        ("echo x > inside && mkdir -p a/b && mv inside a/b/ && rm -r a".to_owned(), true),
        ("f=$(mktemp -p ../scratch) && echo x > $f && rm $f".to_owned(), true),
        ("echo x > /dev/null".to_owned(), true),
        (format!("cat {outside}/notes"), true),
        (format!("echo x > {outside}/new"), false),
        (format!("echo x >> {outside}/notes"), false),
        (format!("truncate -s 0 {outside}/notes"), false),
        (format!("rm {outside}/notes"), false),
        (format!("mkdir {outside}/folder"), false),
        (format!("ln -s {outside} door && echo x > door/new"), false),
        (format!("ln {outside}/notes linked && echo x > linked"), false),
        (format!("mv {outside}/notes ."), false),
        (format!("cat {outside}/.ssh/id"), false),
        (format!("cp -r {outside}/.ssh ."), false),
        (format!("(cd {outside}/.ssh && cat id)"), false),
    ] {
        let done = run(&command, &fixture).await;
        assert_eq!(done.end == End::Exited(0), allowed, "{command}: {}", done.output);
        assert!(!done.output.contains("secret"), "{command}");
    }
    assert_eq!(fs::read_to_string(fixture.elsewhere.join("notes")).unwrap(), "readable");
    assert!(!fixture.elsewhere.join("new").exists());
}

#[tokio::test]
async fn git_works_in_a_linked_worktree() {
    let fixture = fixture();
    let identity = "-c user.name=a -c user.email=a@b -c commit.gpgsign=false";
    let prepare = format!(
        "git init -q repo && cd repo && git {identity} commit -q --allow-empty -m one && git worktree add -q ../linked"
    );
    let done = run_command(spec(&prepare, &fixture.work, &Sandbox::off())).await.unwrap();
    assert_eq!(done.end, End::Exited(0), "{}", done.output);
    let linked = fixture.work.join("linked");
    let sandbox = Sandbox::new(&linked, &Places::default(), false);
    for (command, allowed) in [
        (format!("echo x > a && git add a && git {identity} commit -qm two"), true),
        ("echo x > ../repo/a".to_owned(), false),
    ] {
        let done = run_command(spec(&command, &linked, &sandbox)).await.unwrap();
        let enforced = ability().files.enforced;
        assert_eq!(done.end == End::Exited(0), allowed || !enforced, "{command}: {}", done.output);
    }
}

#[tokio::test]
async fn a_secret_inside_the_workspace_stays_hidden() {
    if !ability().files.enforced {
        return;
    }
    let fixture = fixture();
    let places = Places { secrets: vec![fixture.elsewhere.join(".ssh")], ..Places::default() };
    // Someone works on their whole home folder.
    let sandbox = Sandbox::new(&fixture.elsewhere, &places, false);
    for (command, allowed) in
        [("echo x >> notes", true), ("cat .ssh/id", false), ("echo x > .ssh/authorized_keys", false)]
    {
        let done = run_command(spec(command, &fixture.elsewhere, &sandbox)).await.unwrap();
        assert_eq!(done.end == End::Exited(0), allowed, "{command}: {}", done.output);
    }
}

#[tokio::test]
async fn there_is_no_network_unless_allowed() {
    if !ability().network.enforced {
        return;
    }
    let fixture = fixture();
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    let connect = format!("exec 3<>/dev/tcp/127.0.0.1/{port}");
    let udp = "exec 3<>/dev/udp/127.0.0.1/9";
    let local = "python3 -c 'import socket; a, b = socket.socketpair(); a.send(b\"x\"); print(b.recv(1))'";
    // io_uring_setup has this number everywhere. It is refused before its arguments are looked at.
    let ring = "python3 -c 'import ctypes, sys; libc = ctypes.CDLL(None, use_errno=True); \
                libc.syscall(425, 1, 0); sys.exit(ctypes.get_errno() == 1)'";
    for (command, network, works) in [
        (connect.as_str(), false, false),
        (udp, false, false),
        (ring, false, false),
        (local, false, true),
        (connect.as_str(), true, true),
    ] {
        let sandbox = Sandbox { network, ..fixture.sandbox.clone() };
        let done = run_command(spec(command, &fixture.work, &sandbox)).await.unwrap();
        assert_eq!(done.end == End::Exited(0), works, "{command}, network {network}: {}", done.output);
    }
}

#[tokio::test]
async fn the_tools_of_the_trade_work_inside() {
    let mut fixture = fixture();
    // With this machine's own home, where its toolchains lie.
    fixture.sandbox = Sandbox::new(&fixture.work, &Places::new(|name| std::env::var_os(name), &[]), false);
    fs::write(fixture.work.join("test_sum.py"), "def test_sum():\n    assert 1 + 1 == 2\n").unwrap();
    fs::write(
        fixture.work.join("Cargo.toml"),
        "[package]\nname = \"sum\"\nversion = \"0.1.0\"\nedition = \"2021\"\n[lib]\npath = \"lib.rs\"\n[workspace]\n",
    )
    .unwrap();
    fs::write(fixture.work.join("lib.rs"), "#[test]\nfn sums() { assert_eq!(1 + 1, 2); }\n").unwrap();
    let git = "git -c init.defaultBranch=main init -q . && git add test_sum.py && \
               git -c user.name=a -c user.email=a@b commit -qm one && git log --oneline";
    for (program, command) in [
        (
            "python3",
            "python3 -c 'import tempfile, subprocess; tempfile.TemporaryFile(); subprocess.run([\"true\"], check=True)'",
        ),
        ("python3", "python3 -m pytest --version >/dev/null 2>&1 || exit 0; python3 -m pytest -q"),
        ("git", git),
        ("cargo", "unset CARGO_TARGET_DIR RUSTC_WRAPPER; cargo test --offline -q"),
    ] {
        if run(&format!("command -v {program}"), &fixture).await.end != End::Exited(0) {
            continue;
        }
        let done = run(command, &fixture).await;
        assert_eq!(done.end, End::Exited(0), "{command}: {}", done.output);
    }
}
