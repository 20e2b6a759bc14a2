//! The project's own tests: where nobody names a check, they tell a good change from a bad one.

use crate::workspace::{RelPath, Workspace};

/// Files beyond this many are not looked through for tests.
const MAX_FILES: usize = 20_000;

/// The command that tests what a file holds, where the project has one and what it needs is installed.
pub(super) fn command(workspace: &Workspace, path: &RelPath) -> Option<String> {
    Place { workspace, path, installed: |program| which::which(program).is_ok() }.command()
}

/// The command that runs a file of tests and nothing else, where there is one and what it needs is installed.
pub(super) fn alone(path: &RelPath) -> Option<String> {
    let stem = path.file_name().strip_suffix(".py")?;
    let is_tests = stem.starts_with("test_") || stem.ends_with("_test") || stem.ends_with("_tests");
    let command = pytest(path);
    (is_tests && which::which("pytest").is_ok() && is_plain(&command)).then_some(command)
}

/// The command that runs a file of tests with pytest.
fn pytest(file: &RelPath) -> String {
    format!("python3 -m pytest -q {file}")
}

/// Whether a command holds nothing that a shell would take for more than words: file names may.
fn is_plain(command: &str) -> bool {
    command.chars().all(|c| c.is_ascii_alphanumeric() || " ._-/=".contains(c))
}

struct Place<'a> {
    workspace: &'a Workspace,
    path: &'a RelPath,
    installed: fn(&str) -> bool,
}

impl Place<'_> {
    fn command(&self) -> Option<String> {
        let of_language = match self.path.as_str().rsplit_once('.')?.1 {
            "py" => self.python(),
            "rs" => self.cargo(),
            "go" => self.go(),
            "js" | "jsx" | "mjs" | "cjs" | "ts" | "tsx" | "mts" => self.npm(),
            "java" | "kt" | "scala" => self.maven().or_else(|| self.gradle()),
            _ => None,
        };
        of_language.or_else(|| self.make()).or_else(|| self.ctest()).filter(|command| is_plain(command))
    }

    /// The test file that is named after this one, run alone.
    fn python(&self) -> Option<String> {
        let stem = self.path.file_name().strip_suffix(".py")?;
        let names = [format!("test_{stem}.py"), format!("{stem}_test.py"), format!("{stem}_tests.py")];
        let files = self.workspace.files(MAX_FILES);
        let tests = files.iter().filter(|file| names.iter().any(|name| file.file_name() == name));
        // Of several the one in the nearest folder.
        let test = tests.max_by_key(|file| common_folders(file, self.path))?;
        let text = self.workspace.read(test).ok()?.text;
        if (self.installed)("pytest") {
            Some(pytest(test))
        } else if text.contains("unittest") {
            Some(format!("python3 -m unittest {test}"))
        } else {
            None
        }
    }

    fn cargo(&self) -> Option<String> {
        let folder = self.above("Cargo.toml").filter(|_| (self.installed)("cargo"))?;
        Some(match folder.as_str() {
            "" => "cargo test -q".to_owned(),
            folder => format!("cargo test -q --manifest-path {folder}/Cargo.toml"),
        })
    }

    fn go(&self) -> Option<String> {
        // A module below the root would need another working folder.
        self.above("go.mod").filter(|folder| folder.is_empty() && (self.installed)("go"))?;
        let folder = self.path.as_str().rsplit_once('/').map_or("", |(folder, _)| folder);
        Some(format!("go test ./{folder}"))
    }

    /// The project's script, unless it is the one that `npm init` writes.
    fn npm(&self) -> Option<String> {
        let folder = self.above("package.json").filter(|_| (self.installed)("npm"))?;
        let text = self.text(&join(&folder, "package.json"))?;
        let manifest: serde_json::Value = serde_json::from_str(&text).ok()?;
        let script = manifest["scripts"]["test"].as_str()?;
        if script.contains("no test specified") {
            return None;
        }
        Some(if folder.is_empty() {
            "npm test --silent".into()
        } else {
            format!("npm test --silent --prefix {folder}")
        })
    }

    fn maven(&self) -> Option<String> {
        let folder = self.above("pom.xml").filter(|_| (self.installed)("mvn"))?;
        Some(if folder.is_empty() { "mvn -q test".into() } else { format!("mvn -q -f {folder} test") })
    }

    fn gradle(&self) -> Option<String> {
        let has = |name: &str| self.above(name).is_some_and(|folder| folder.is_empty());
        if has("gradlew") {
            return Some("./gradlew -q test".into());
        }
        let is_project = has("build.gradle") || has("build.gradle.kts");
        (is_project && (self.installed)("gradle")).then(|| "gradle -q test".into())
    }

    fn make(&self) -> Option<String> {
        let text = self.text("Makefile").filter(|_| (self.installed)("make"))?;
        let target = ["test", "check"].into_iter().find(|t| text.lines().any(|l| l.starts_with(&format!("{t}:"))))?;
        Some(format!("make -s {target}"))
    }

    /// CTest, where the project is built.
    fn ctest(&self) -> Option<String> {
        let folder = ["build", "."].into_iter().find(|f| self.has(&format!("{f}/CTestTestfile.cmake")))?;
        (self.installed)("ctest").then(|| format!("ctest --test-dir {folder} --output-on-failure"))
    }

    /// The nearest folder above the file that holds `name`; the root is "".
    fn above(&self, name: &str) -> Option<String> {
        let mut folder = self.path.as_str();
        while !folder.is_empty() {
            folder = folder.rsplit_once('/').map_or("", |(above, _)| above);
            if self.has(&join(folder, name)) {
                return Some(folder.to_owned());
            }
        }
        None
    }

    fn has(&self, path: &str) -> bool {
        self.workspace.resolve(path).is_ok_and(|path| self.workspace.is_file(&path))
    }

    fn text(&self, path: &str) -> Option<String> {
        Some(self.workspace.read(&self.workspace.resolve(path).ok()?).ok()?.text)
    }
}

fn join(folder: &str, name: &str) -> String {
    if folder.is_empty() { name.to_owned() } else { format!("{folder}/{name}") }
}

/// How many folders two paths share from the root on.
fn common_folders(a: &RelPath, b: &RelPath) -> usize {
    a.as_str().split('/').zip(b.as_str().split('/')).take_while(|(a, b)| a == b).count()
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;
    use crate::workspace::Options;

    /// What is found for `path` among these files, where everything is installed.
    fn found(files: &[(&str, &str)], path: &str) -> Option<String> {
        let (folder, state) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        for (name, text) in files {
            let file = folder.path().join(name);
            fs::create_dir_all(file.parent().unwrap()).unwrap();
            fs::write(file, text).unwrap();
        }
        let options = Options { state: state.path().to_owned(), dry_run: false };
        let workspace = Workspace::open(folder.path(), options).unwrap();
        let path = workspace.resolve(path).unwrap();
        Place { workspace: &workspace, path: &path, installed: |_| true }.command()
    }

    #[test]
    fn each_kind_of_project_has_its_command() {
        let check = |files: &[(&str, &str)], path, expected: Option<&str>| {
            assert_eq!(found(files, path).as_deref(), expected, "{files:?}");
        };
        check(
            &[("a/mean.py", ""), ("tests/test_mean.py", "")],
            "a/mean.py",
            Some("python3 -m pytest -q tests/test_mean.py"),
        );
        check(
            &[("a/x.py", ""), ("a/x_test.py", ""), ("b/test_x.py", "")],
            "a/x.py",
            Some("python3 -m pytest -q a/x_test.py"),
        );
        check(&[("a.py", ""), ("test_b.py", "")], "a.py", None);
        check(&[("Cargo.toml", ""), ("src/lib.rs", "")], "src/lib.rs", Some("cargo test -q"));
        check(
            &[("x/Cargo.toml", ""), ("x/src/lib.rs", "")],
            "x/src/lib.rs",
            Some("cargo test -q --manifest-path x/Cargo.toml"),
        );
        check(&[("go.mod", ""), ("p/a.go", "")], "p/a.go", Some("go test ./p"));
        check(&[("package.json", r#"{"scripts":{"test":"jest"}}"#), ("a.js", "")], "a.js", Some("npm test --silent"));
        check(
            &[("package.json", r#"{"scripts":{"test":"echo \"Error: no test specified\""}}"#), ("a.js", "")],
            "a.js",
            None,
        );
        check(&[("pom.xml", ""), ("src/A.java", "")], "src/A.java", Some("mvn -q test"));
        check(&[("build.gradle", ""), ("A.java", "")], "A.java", Some("gradle -q test"));
        check(&[("Makefile", "all:\n\ntest: all\n"), ("a.c", "")], "a.c", Some("make -s test"));
        check(
            &[("build/CTestTestfile.cmake", ""), ("a.c", "")],
            "a.c",
            Some("ctest --test-dir build --output-on-failure"),
        );
        check(&[("a.c", "")], "a.c", None);
        check(&[("a;b.py", ""), ("test_a;b.py", "")], "a;b.py", None);
    }
}
