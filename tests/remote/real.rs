//! The real program against a real llama-server, with a real model. `MORU_TEST_LLAMA_SERVER` names the program (of llama.cpp,
//! `cmake --build … --target llama-server`), `MORU_TEST_MODELS` the folder of the models; where one is absent these tests say
//! so and pass.

use std::fs::File;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use moru::dialect::Thinking;
use moru::engine::remote::{Api, Options, RemoteEngine};
use serde_json::Value;

use crate::fake::{asking, hear, options};
use crate::requests::thinking_template;
use crate::world::{REQUEST, World, of_type};

/// One model at a time.
static MODEL: Mutex<()> = Mutex::new(());

struct Server {
    child: Child,
    port: u16,
    log: PathBuf,
    program: PathBuf,
    model: PathBuf,
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Where the program and a model are; with a reason on stderr where they are not.
fn program(model: &str) -> Option<(PathBuf, PathBuf, MutexGuard<'static, ()>)> {
    let path = |name| std::env::var_os(name).map(PathBuf::from);
    let program = path("MORU_TEST_LLAMA_SERVER").filter(|program| program.is_file());
    let model = path("MORU_TEST_MODELS").map(|folder| folder.join(model)).filter(|model| model.is_file());
    match program.zip(model) {
        Some((program, model)) => Some((program, model, MODEL.lock().unwrap_or_else(PoisonError::into_inner))),
        None => {
            eprintln!(
                "skipped: MORU_TEST_LLAMA_SERVER names no llama-server, or MORU_TEST_MODELS no folder with the models"
            );
            None
        }
    }
}

impl Server {
    fn start(program: PathBuf, model: PathBuf, log: PathBuf) -> Self {
        let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        let child = spawn(&program, &model, port, &log);
        let server = Self { child, port, log, program, model };
        server.wait();
        server
    }

    fn address(&self) -> String {
        format!("http://127.0.0.1:{}", self.port)
    }

    /// Until it has loaded its model.
    fn wait(&self) {
        while !healthy(self.port) {
            std::thread::sleep(Duration::from_millis(100));
        }
    }

    fn kill(&mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }

    /// At the same address, after [`Server::kill`].
    fn restart(&mut self) {
        self.child = spawn(&self.program, &self.model, self.port, &self.log);
        self.wait();
    }

    fn logged(&self) -> String {
        std::fs::read_to_string(&self.log).unwrap()
    }
}

fn spawn(program: &PathBuf, model: &PathBuf, port: u16, log: &PathBuf) -> Child {
    let log = File::options().create(true).append(true).open(log).unwrap();
    let mut command = Command::new(program);
    command.arg("-m").arg(model).args(["--port", &port.to_string(), "-c", "8192", "-np", "1", "-t", "2"]);
    command.args(["--jinja", "-fa", "on"]).stdout(log.try_clone().unwrap()).stderr(log).spawn().unwrap()
}

fn healthy(port: u16) -> bool {
    let Ok(mut stream) = TcpStream::connect(("127.0.0.1", port)) else { return false };
    let mut answer = String::new();
    let asked = stream.write_all(b"GET /health HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n\r\n");
    asked.and_then(|()| stream.read_to_string(&mut answer)).is_ok() && answer.starts_with("HTTP/1.1 200")
}

/// `moru exec --json` until the first line that contains `until`; the lines behind it follow.
fn begin(world: &World, args: &[&str], until: &str) -> (Child, impl Iterator<Item = String> + use<>) {
    let mut child = world
        .command(&[&["exec", "--json", "--yes"], args].concat())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let mut lines = BufReader::new(child.stdout.take().unwrap()).lines().map_while(Result::ok);
    assert!(lines.any(|line| line.contains(until)), "no {until}");
    (child, lines)
}

fn last(lines: impl Iterator<Item = String>) -> (Vec<Value>, Value) {
    let events: Vec<Value> = lines.map(|line| serde_json::from_str(&line).unwrap()).collect();
    let end = of_type(&events, "TurnEnded").first().map(|end| (*end).clone()).unwrap_or_default();
    (events, end)
}

const ESSAY: &str = "Write a long essay about the history of the arithmetic mean.";
const WRITES: &str = r#""type":"Delta""#;

#[test]
fn a_bug_is_fixed_whoever_reads_the_calls() {
    let Some((program, model, _lock)) = program("qwen2.5-coder-1.5b.gguf") else { return };
    let logs = tempfile::tempdir().unwrap();
    let server = Server::start(program, model, logs.path().join("log"));
    for api in ["chat", "completions"] {
        let world = World::without_model();
        let (ran, events) = world.exec(&["--yes", "--engine", &server.address(), "--api", api, REQUEST]);
        assert_eq!(ran.code, Some(0), "{api}: {ran:?}");
        assert_eq!(of_type(&events, "TurnEnded")[0]["files"], serde_json::json!(["calc.py"]), "{api}");
        assert!(world.is_fixed(), "{api}: {}", world.read("calc.py"));
        assert!(of_type(&events, "Generated").iter().any(|event| event["usage"]["cached"].as_u64() > Some(0)), "{api}");
    }
}

#[test]
fn the_server_is_told_of_an_interrupt_and_a_session_survives_its_death() {
    let Some((program, model, _lock)) = program("qwen2.5-coder-1.5b.gguf") else { return };
    let logs = tempfile::tempdir().unwrap();
    let mut server = Server::start(program, model, logs.path().join("log"));
    let world = World::without_model();
    let address = server.address();

    let (mut child, lines) = begin(&world, &["--engine", &address, ESSAY], WRITES);
    let id = rustix::process::Pid::from_child(&child);
    rustix::process::kill_process(id, rustix::process::Signal::INT).unwrap();
    let (_, end) = last(lines);
    assert_eq!((end["outcome"].as_str(), child.wait().unwrap().code()), (Some("interrupted"), Some(130)));
    while !server.logged().contains("cancel task") {
        std::thread::sleep(Duration::from_millis(50));
    }

    let (mut child, lines) = begin(&world, &["--engine", &address, "--resume", "last", ESSAY], WRITES);
    server.kill();
    let (events, end) = last(lines);
    let failed = of_type(&events, "Failed")[0]["message"].as_str().unwrap().to_owned();
    assert!(failed.contains("stopped in the middle of an answer"), "{failed}");
    assert_eq!((end["outcome"].as_str(), child.wait().unwrap().code()), (Some("not_done"), Some(1)));

    server.restart();
    let question = "What was my first request about? Answer in a few words.";
    let (ran, events) = world.exec(&["--engine", &address, "--resume", "last", question]);
    assert_eq!((ran.code, events[0]["turn"].as_u64()), (Some(0), Some(3)), "{ran:?}");
}

/// The model does not reason by itself: a template begins it.
#[test]
fn reasoning_is_ended_in_time_and_an_answer_follows() {
    let Some((program, model, _lock)) = program("qwen2.5-coder-0.5b.gguf") else { return };
    let folder = tempfile::tempdir().unwrap();
    let server = Server::start(program, model, folder.path().join("log"));
    let template = folder.path().join("template.jinja");
    std::fs::write(&template, thinking_template()).unwrap();
    let options = Options {
        api: Some(Api::Completions),
        dialect: Some("hermes".into()),
        template: Some(template),
        thinking: Some(Thinking::Off),
        ..options(&server.address())
    };
    tokio::runtime::Runtime::new().unwrap().block_on(async {
        let engine = RemoteEngine::connect(&options).await.unwrap();
        let request = moru::engine::Request { max_tokens: Some(24), ..asking("Say hello.") };
        let heard = hear(&engine, request).await.unwrap();
        assert!(heard.reasoning.contains("That is enough thought."), "{heard:?}");
        assert!(!heard.text.trim().is_empty() && heard.usage.generated > 1, "{heard:?}");
        assert!(heard.usage.cached > 0, "what was read and thought is not read again: {heard:?}");
    });
}

#[test]
fn of_two_servers_one_is_killed() {
    let Some((program, model, _lock)) = program("qwen2.5-coder-0.5b.gguf") else { return };
    let logs = tempfile::tempdir().unwrap();
    let mut first = Server::start(program.clone(), model.clone(), logs.path().join("first"));
    let second = Server::start(program, model, logs.path().join("second"));
    let both = options(&format!("{},{}", first.address(), second.address()));
    tokio::runtime::Runtime::new().unwrap().block_on(async {
        let engine = RemoteEngine::connect(&both).await.unwrap();
        let request = || moru::engine::Request { max_tokens: Some(8), ..asking("Say hello.") };
        hear(&engine, request()).await.unwrap();
        first.kill();
        assert!(hear(&engine, request()).await.unwrap().usage.generated > 0);
    });
    assert!(second.logged().contains("launch_slot_"), "{}", second.logged());
}
