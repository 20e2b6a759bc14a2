//! What cannot work ends with one clear sentence and a non-zero exit.

use std::fs;
use std::io::{BufRead, BufReader};
use std::process::{Command, Stdio};

use crate::world::{BUGGY, REQUEST, Ran, World, of_type};

#[test]
fn no_model() {
    let world = World::without_model();
    world.moru(&["exec", REQUEST]).refused(1, &["qwen2.5-coder-1.5b", "moru model pull"]);
    world.moru(&["exec", "--model", "qwen2.5-codr-1.5b", REQUEST]).refused(1, &["qwen2.5-coder-1.5b"]);
    world.moru(&["exec", "--model", "./none.gguf", REQUEST]).refused(1, &["none.gguf"]);
}

#[test]
fn a_file_that_is_no_model() {
    let world = World::without_model();
    world.write("text.gguf", "hello");
    world.moru(&["exec", "--model", "./text.gguf", REQUEST]).refused(1, &["text.gguf"]);
}

#[test]
fn a_model_that_is_cut_short() {
    let Some(world) = World::with_model() else { return };
    let models = std::env::var_os("MORU_TEST_MODELS").map(std::path::PathBuf::from).unwrap();
    let whole = fs::File::open(models.join("qwen2.5-coder-0.5b.gguf")).unwrap();
    let mut part = fs::File::create(world.folder.join("cut.gguf")).unwrap();
    std::io::copy(&mut std::io::Read::take(whole, 50_000_000), &mut part).unwrap();
    world.moru(&["exec", "--model", "./cut.gguf", REQUEST]).refused(1, &["cut.gguf"]);
}

#[test]
fn a_prompt_that_is_empty() {
    let world = World::without_model();
    world.moru(&["exec", "  \n"]).refused(2, &["the prompt is empty"]);
    world.moru(&["exec", "-"]).refused(2, &["the prompt is empty"]);
}

#[test]
fn a_prompt_longer_than_the_context() {
    let Some(world) = World::with_model() else { return };
    world.write("long.txt", "one two three four five six seven\n".repeat(4000));
    let prompt = world.read("long.txt");
    world.moru(&["exec", "--context", "4096", &prompt[..100_000]]).refused(1, &["tokens", "4096"]);
}

#[test]
fn a_binary_file_named_in_the_request() {
    let Some(world) = World::with_model() else { return };
    world.write("data.bin", [0_u8, 1, 2, 0, 255]);
    world.moru(&["exec", "What does data.bin hold?"]).refused(1, &["data.bin"]);
}

#[test]
fn a_folder_that_is_not_there() {
    let world = World::without_model();
    world.moru(&["exec", "--cwd", "nowhere", REQUEST]).refused(1, &["nowhere"]);
}

#[test]
fn a_context_that_memory_cannot_hold() {
    let Some(world) = World::with_model() else { return };
    // A file whose header is that of a model, and which claims to be larger than any memory: sparse, so it costs nothing.
    let models = std::env::var_os("MORU_TEST_MODELS").map(std::path::PathBuf::from).unwrap();
    let path = world.folder.join("huge.gguf");
    fs::copy(models.join("qwen2.5-coder-0.5b.gguf"), &path).unwrap();
    fs::OpenOptions::new().write(true).open(&path).unwrap().set_len(1 << 42).unwrap();
    world.moru(&["exec", "--model", "./huge.gguf", REQUEST]).refused(1, &["memory"]);
}

/// Runs `moru exec` with something mounted over the folder, which needs no more than a user namespace. `None` (with a reason on
/// stderr) where this system gives none.
fn exec_on_mount(world: &World, mount: &str) -> Option<Ran> {
    let in_namespace = |script: &str| {
        let moru = world.command(&["exec", "--json", "--yes", REQUEST]);
        let mut command = Command::new("unshare");
        command.args(["--map-root-user", "--mount", "sh", "-c", script, "sh"]);
        command.arg(moru.get_program()).args(moru.get_args()).current_dir(&world.folder);
        for (name, value) in moru.get_envs() {
            match value {
                Some(value) => command.env(name, value),
                None => command.env_remove(name),
            };
        }
        command.stdin(Stdio::null()).output().ok()
    };
    if !in_namespace(&format!("{mount} && cd . && true")).is_some_and(|out| out.status.success()) {
        eprintln!("skipped: nothing can be mounted in a namespace here");
        return None;
    }
    in_namespace(&format!("{mount} && cd \"$PWD\" && exec \"$@\"")).map(Ran::from)
}

fn events(ran: &Ran) -> Vec<serde_json::Value> {
    ran.stdout.lines().map(|line| serde_json::from_str(line).expect(line)).collect()
}

#[test]
fn a_folder_that_is_read_only() {
    let Some(world) = World::with_model() else { return };
    let Some(ran) = exec_on_mount(&world, "mount --bind . . && mount -o remount,bind,ro .") else { return };
    assert_eq!(ran.code, Some(1), "{ran:?}");
    let events = events(&ran);
    let failed = of_type(&events, "CallFinished").into_iter().find(|event| event["ok"] == false);
    assert!(failed.unwrap()["output"].as_str().unwrap().to_lowercase().contains("read-only"), "{ran:?}");
    assert!(of_type(&events, "TurnEnded")[0]["report"].as_str().unwrap().starts_with("no file was changed"));
    assert_eq!(world.read("calc.py"), BUGGY);
}

#[test]
fn a_disk_that_is_full() {
    let Some(world) = World::with_model() else { return };
    let full = "cp calc.py /tmp/moru-calc-$$ && mount -t tmpfs -o size=16k none . && cp /tmp/moru-calc-$$ \"$PWD/calc.py\" \
        && rm /tmp/moru-calc-$$ && { head -c 20000 /dev/zero > \"$PWD/fill\" 2>/dev/null; true; }";
    let Some(ran) = exec_on_mount(&world, full) else { return };
    assert_eq!(ran.code, Some(1), "{ran:?}");
    let events = events(&ran);
    let failed = of_type(&events, "CallFinished").into_iter().find(|event| event["ok"] == false);
    assert!(failed.unwrap()["output"].as_str().unwrap().contains("space"), "{ran:?}");
    assert!(of_type(&events, "TurnEnded")[0]["report"].as_str().unwrap().starts_with("no file was changed"));
}

#[test]
fn a_folder_that_vanishes_during_a_turn() {
    let Some(world) = World::with_model() else { return };
    let mut child = world
        .command(&["exec", "--json", "--yes", REQUEST])
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut lines = BufReader::new(child.stdout.take().unwrap()).lines().map_while(Result::ok);
    assert!(lines.any(|line| line.contains(r#""type":"Reading""#)));
    fs::rename(&world.folder, world.folder.with_extension("moved")).unwrap();
    let rest: Vec<String> = lines.collect();
    assert!(rest.iter().any(|line| line.contains(r#""type":"Failed""#) && line.contains("is gone")), "{rest:?}");
    assert_eq!(child.wait().unwrap().code(), Some(1));
}
