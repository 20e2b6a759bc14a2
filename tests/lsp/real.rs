//! The servers that are installed here, each in the sandbox; those that are not are left out, with a word on stderr.

use std::fs;
use std::path::Path;
use std::time::{Duration, Instant};

use moru::lsp::{Allowed, DEADLINE, Rules, Servers, installed};
use moru::sandbox::{Places, Sandbox};
use tokio_util::sync::CancellationToken;

/// How long a server may take to get ready.
const READY: Duration = Duration::from_secs(60);

struct Case {
    server: &'static str,
    path: &'static str,
    right: &'static str,
    wrong: &'static str,
    /// Where the error is.
    line: usize,
}

const PYTHON: Case = Case {
    server: "",
    path: "a.py",
    right: "import os\n\n\ndef f():\n    return os.getcwd()\n",
    wrong: "import os\n\n\ndef f():\n    return oss.getcwd()\n",
    line: 5,
};

const CASES: &[Case] = &[
    Case { server: "pyright-langserver", ..PYTHON },
    Case { server: "basedpyright-langserver", ..PYTHON },
    Case { server: "pylsp", ..PYTHON },
    Case { server: "jedi-language-server", wrong: "import os\n\n\ndef f(:\n    return os\n", line: 4, ..PYTHON },
    Case {
        server: "clangd",
        path: "a.c",
        right: "int f(int x) {\n    return x;\n}\n",
        wrong: "int f(int x) {\n    return y;\n}\n",
        line: 2,
    },
    Case {
        server: "typescript-language-server",
        path: "a.ts",
        right: "export const x: number = 1;\n",
        wrong: "export const x: number = \"1\";\n",
        line: 1,
    },
];

#[tokio::test]
async fn a_real_server_tells_what_is_wrong() {
    for case in CASES {
        let folder = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).unwrap();
        let root = folder.path().canonicalize().unwrap();
        let allowed: Allowed = case.server.parse().unwrap();
        let rules = Rules { allowed: &allowed, root: &root, confined: true, trusted: false };
        let found = installed(&std::env::var_os("PATH").unwrap_or_default(), &rules);
        if found.iter().all(|found| found.refused.is_some()) {
            eprintln!("skipped: {} is not installed", case.server);
            continue;
        }
        fs::write(root.join(case.path), case.right).unwrap();
        let sandbox = Sandbox::new(&root, &Places::new(|name| std::env::var_os(name), &[]), false);
        let servers = Servers::new(&root, &sandbox, &found);
        check(case, &root, &servers).await;
        servers.close().await;
        assert_eq!(fs::read_dir(&root).unwrap().count(), 1, "{} has left something behind", case.server);
    }
}

async fn check(case: &Case, root: &Path, servers: &Servers) {
    let change = async |from: &str, to: &str| {
        fs::write(root.join(case.path), to).unwrap();
        let start = Instant::now();
        let found = servers.changed(case.path, Some(from), to, &CancellationToken::new()).await;
        assert!(start.elapsed() < DEADLINE + Duration::from_millis(1500), "{}", case.server);
        (found, start.elapsed())
    };
    servers.open(case.path, case.right);
    let start = Instant::now();
    let (found, took) = loop {
        // As far apart as changes of a model: servers wait whether more is typed.
        tokio::time::sleep(Duration::from_secs(1)).await;
        let (found, took) = change(case.right, case.wrong).await;
        match found {
            Some(found) => break (found, took),
            None => assert!(start.elapsed() < READY, "{} finds nothing", case.server),
        }
        change(case.wrong, case.right).await;
        tokio::time::sleep(Duration::from_secs(1)).await;
    };
    eprintln!("{}: ready after {:?}, then {took:?}: {found:?}", case.server, start.elapsed());
    assert_eq!((found.server, found.errors[0].line), (case.server, case.line));
    assert_eq!(change(case.wrong, case.right).await.0, None, "{}", case.server);
    let again = change(case.right, case.wrong).await;
    eprintln!("{}: again after {:?}", case.server, again.1);
    assert!(again.0.is_some(), "{}", case.server);
}
