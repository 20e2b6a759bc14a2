//! The screen, through real keys and real events on a terminal of fixed size.

mod keys;
mod random;
mod screens;

use std::sync::Arc;
use std::time::Duration;

use crossterm::event::{KeyCode, KeyEvent, KeyModifiers};
use ratatui::Terminal;
use ratatui::backend::TestBackend;
use serde_json::json;

use super::app::App;
use super::update::{self, Effect};
use super::{Opening, fold, view};
use crate::dialect::{Call, Message, Role};
use crate::engine::Usage;
use crate::permission::{Class, Mode, Permission};
use crate::session::{Change, Channel, Event, Input, Outcome, Part};
use crate::tool::Detail;
use crate::tui::theme::Colour;
use crate::workspace::CheckpointId;

const DIFF: &str = "diff --git a/src/stats.py b/src/stats.py\nindex 1f..2e 100644\n--- a/src/stats.py\n+++ b/src/stats.py\n@@ -10,4 +10,5 @@ import math\n def mean(values):\n+    if not values:\n+        raise ValueError(\"no values\")\n-    return sum(values) / (len(values) - 1)\n     return sum(values) / len(values)\n \n";

/// A user at a terminal.
struct User {
    app: App,
    terminal: Terminal<TestBackend>,
    now: Duration,
    /// What the loop would have done.
    effects: Vec<Effect>,
}

impl User {
    fn at(width: u16, height: u16) -> Self {
        Self::resuming(width, height, Vec::new())
    }

    fn resuming(width: u16, height: u16, past: Vec<Event>) -> Self {
        let mut opening = Opening {
            model: "qwen2.5-coder-1.5b".into(),
            context: 32_768,
            workspace: "~/work/stats".into(),
            branch: Arc::new(|| Some("main".into())),
            mode: Mode::Ask,
            past,
            files: Arc::new(|_| {}),
            history: None,
            colour: Colour::On,
        };
        let terminal = Terminal::new(TestBackend::new(width, height)).expect("a test terminal cannot fail");
        let app = App::new(&mut opening, vec!["an earlier message".into()]);
        Self { app, terminal, now: Duration::from_secs(60), effects: Vec::new() }
    }

    fn wait(&mut self, milliseconds: u64) -> &mut Self {
        self.now += Duration::from_millis(milliseconds);
        self
    }

    fn types(&mut self, text: &str) -> &mut Self {
        for c in text.chars() {
            self.key(KeyCode::Char(c), KeyModifiers::NONE);
        }
        self
    }

    fn press(&mut self, code: KeyCode) -> &mut Self {
        self.key(code, KeyModifiers::NONE)
    }

    fn ctrl(&mut self, c: char) -> &mut Self {
        self.key(KeyCode::Char(c), KeyModifiers::CONTROL)
    }

    fn key(&mut self, code: KeyCode, modifiers: KeyModifiers) -> &mut Self {
        self.effects.extend(update::key(&mut self.app, KeyEvent::new(code, modifiers), self.now));
        self
    }

    fn paste(&mut self, text: &str) -> &mut Self {
        self.effects.extend(update::paste(&mut self.app, text, self.now));
        self
    }

    fn hears(&mut self, events: impl IntoIterator<Item = Event>) -> &mut Self {
        for event in events {
            self.app.tick(self.now);
            fold::event(&mut self.app, event);
        }
        self
    }

    fn resize(&mut self, width: u16, height: u16) -> &mut Self {
        self.terminal.backend_mut().resize(width, height);
        self
    }

    /// What stands on the screen.
    fn sees(&mut self) -> String {
        self.app.tick(self.now);
        self.terminal.draw(|frame| view::draw(&mut self.app, frame)).expect("a test terminal cannot fail");
        let screen = self.terminal.backend().to_string();
        // The backend quotes its lines; what is inside is what a user sees.
        screen.lines().map(|line| line.trim_matches('"').trim_end().to_owned() + "\n").collect()
    }

    /// What was asked of the loop since the last call, but for reading ahead.
    fn asked(&mut self) -> Vec<Effect> {
        self.effects.retain(|effect| !matches!(effect, Effect::Send(Input::Draft(_))));
        std::mem::take(&mut self.effects)
    }

    /// The texts under way that the session was told of since the last call.
    fn drafts(&mut self) -> Vec<String> {
        let draft = |effect| if let Effect::Send(Input::Draft(text)) = effect { Some(text) } else { None };
        std::mem::take(&mut self.effects).into_iter().filter_map(draft).collect()
    }
}

fn started(prompt: &str) -> Event {
    Event::TurnStarted {
        version: 1,
        session: "s".into(),
        turn: 1,
        prompt: prompt.into(),
        model: "qwen2.5-coder-1.5b".into(),
        context: 32_768,
        system_prompt_tokens: 800,
        time: 0,
    }
}

fn text(text: &str) -> Event {
    Event::Delta { channel: Channel::Text, text: text.into() }
}

fn reasoning(text: &str) -> Event {
    Event::Delta { channel: Channel::Reasoning, text: text.into() }
}

fn generated() -> Event {
    let usage = Usage {
        prompt: 3_100,
        cached: 800,
        generated: 180,
        prefill_seconds: 13.5,
        decode_seconds: 5.0,
        ..Usage::default()
    };
    Event::Generated { usage }
}

fn said(content: &str) -> Event {
    Event::Message { message: Message::new(Role::Assistant, content) }
}

fn proposed(id: &str, summary: &str) -> Event {
    let name = summary.split(' ').next().unwrap_or_default().to_owned();
    let arguments = json!({}).as_object().cloned().unwrap_or_default();
    Event::CallProposed { call: Call { id: id.into(), name, arguments }, summary: summary.into() }
}

fn finished(id: &str, ok: bool, output: &str, detail: Detail) -> Event {
    Event::CallFinished { id: id.into(), tool: "tool".into(), ok, output: output.into(), detail, seconds: 0.1 }
}

fn asked(id: &str, class: Class, summary: &str, diff: Option<&str>) -> Event {
    let permission = Permission { class, summary: summary.into(), diff: diff.map(str::to_owned) };
    Event::PermissionAsked { id: id.into(), permission }
}

fn edited(change: Change) -> Event {
    let files = vec!["src/stats.py".into()];
    Event::Edited { change, checkpoint: CheckpointId(1), files, diff: DIFF.into(), merged: false }
}

fn ended(outcome: Outcome, report: &str) -> Event {
    Event::TurnEnded { outcome, report: report.into(), answer: String::new(), files: Vec::new(), seconds: 14.2 }
}

/// A whole turn: reasoning, an answer, a read, an edit, a failed and a passed check.
fn a_turn() -> Vec<Event> {
    vec![
        started("mean() is wrong for one value, see @src/stats.py"),
        Event::Reading { done: 1_200, total: 2_300 },
        reasoning("The divisor is off by one.\nI look at it first."),
        text("I look at `mean` first.\n"),
        generated(),
        said("I look at `mean` first."),
        proposed("1", "read src/stats.py"),
        finished("1", true, "1 import math", Detail::Count { count: 120, unit: "lines".into() }),
        proposed("2", "search 'mean('"),
        finished("2", true, "a\nb", Detail::Count { count: 1, unit: "matches".into() }),
        proposed("3", "edit src/stats.py"),
        edited(Change::Edit),
        finished("3", true, "applied", Detail::None),
        proposed("4", "run pytest -q"),
        finished(
            "4",
            false,
            "\u{1b}[31mFAILED\u{1b}[0m",
            Detail::Exit { code: Some(1), timed_out: false, seconds: 2.3 },
        ),
        Event::Checked {
            command: "pytest -q".into(),
            passed: false,
            output: "E  assert 2 == 3\n1 failed\n".into(),
            seconds: 1.2,
            attempt: 1,
        },
        Event::Checked {
            command: "pytest -q".into(),
            passed: true,
            output: "12 passed\n".into(),
            seconds: 1.2,
            attempt: 2,
        },
        text("Fixed: the divisor is now **the number of values**, and an empty list is an error."),
        generated(),
        ended(Outcome::Done, "1 file was changed, the check passes"),
    ]
}
