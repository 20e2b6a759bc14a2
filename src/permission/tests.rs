//! What "always" means, case by case.

use super::*;

fn permission(class: Class, summary: &str) -> Permission {
    Permission { class, summary: summary.to_owned(), diff: None }
}

#[test]
fn modes_allow_what_they_say() {
    use Verdict::{Allow, Ask};
    for (mode, read, edit, run) in
        [(Mode::Ask, Allow, Ask, Ask), (Mode::Edits, Allow, Allow, Ask), (Mode::Yes, Allow, Allow, Allow)]
    {
        let policy = Policy::new(mode);
        let verdicts = [Class::Read, Class::Edit, Class::Run].map(|class| policy.judge(&permission(class, "ls")));
        assert_eq!(verdicts, [read, edit, run], "{mode:?}");
    }
}

#[test]
fn always_for_edits_holds_for_edits_alone() {
    let mut policy = Policy::new(Mode::Ask);
    policy.remember(&permission(Class::Edit, "edit a.py"));
    assert_eq!(policy.judge(&permission(Class::Edit, "write b.py")), Verdict::Allow);
    assert_eq!(policy.judge(&permission(Class::Run, "edit a.py")), Verdict::Ask);
}

#[test]
fn always_for_a_command_holds_for_its_first_words() {
    for (remembered, asked, allowed) in [
        ("cargo test", "cargo test", true),
        ("cargo test --lib a", "cargo test -p b -- --nocapture", true),
        ("cargo test", "cargo  'test' x", true),
        ("cargo test", "cargo publish", false),
        ("cargo test", "cargo testament", false),
        ("cargo test", "cargo", false),
        ("cargo test", "cargo test 2>&1 | cargo test", true),
        ("cargo test", "cargo test && rm -rf /", false),
        ("cargo test", "cargo test; cargo test", true),
        ("cargo test", "cargo test; curl x", false),
        ("cargo test", "cargo test | sh", false),
        ("cargo test", "cargo test & sh", false),
        ("cargo test", "cargo test\nsh", false),
        ("cargo test", "cargo test $(sh)", false),
        ("cargo test", "cargo test `sh`", false),
        ("cargo test", "cargo test > /etc/passwd", false),
        ("cargo test", "RUSTC_WRAPPER=./x cargo test", false),
        ("pytest -q tests", "pytest -x", true),
        ("pytest -q", "pytester", false),
        ("npm run build", "npm run build", true),
        ("npm run build", "npm run deploy", false),
        ("git status", "git status -s", true),
        ("git push", "git push --force", false),
        ("git push", "git push", true),
        // What takes programs as arguments is remembered to the letter.
        ("python3 a.py", "python3 a.py", true),
        ("python3 a.py", "python3 b.py", false),
        ("python3.12 -c x", "python3.12 -c y", false),
        ("/bin/rm a", "/bin/rm b", false),
        ("bash -c x", "bash -c y", false),
        // So is what is more than one simple command.
        ("cd a && make", "cd a && make", true),
        ("cd a && make", "make", false),
        ("echo $(date)", "echo $(date)", true),
        ("echo $(date)", "echo $(sh)", false),
        ("", "ls", false),
    ] {
        let mut policy = Policy::new(Mode::Edits);
        policy.remember(&permission(Class::Run, remembered));
        let verdict = policy.judge(&permission(Class::Run, asked));
        assert_eq!(verdict == Verdict::Allow, allowed, "after `{remembered}`: `{asked}`");
    }
}

#[test]
fn rules_add_up() {
    let mut policy = Policy::new(Mode::Ask);
    for command in ["cargo fmt", "cargo test", "cargo test --all"] {
        policy.remember(&permission(Class::Run, command));
    }
    assert_eq!(policy.commands.len(), 2);
    assert_eq!(policy.judge(&permission(Class::Run, "cargo fmt && cargo test -q")), Verdict::Allow);
}

#[test]
fn the_question_says_what_always_means() {
    assert_eq!(always(&permission(Class::Run, "cargo test -q")), "commands that begin with `cargo test`");
    assert_eq!(always(&permission(Class::Run, "rm -r build")), "exactly this command");
    assert_eq!(always(&permission(Class::Edit, "edit a.py")), "all edits of this session");
}
