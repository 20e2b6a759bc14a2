//! What keys ask of the session.

use super::*;
use crate::permission::Decision;
use crate::tui::{Step, steps};

fn answer(id: &str, decision: Decision) -> Effect {
    Effect::Send(Input::Answer { id: id.into(), decision })
}

fn a_question() -> [Event; 3] {
    [started("fix"), proposed("1", "edit a"), asked("1", Class::Edit, "edit a", Some(DIFF))]
}

#[test]
fn enter_sends_and_a_new_line_does_not() {
    let mut user = User::at(80, 24);
    user.types("one").key(KeyCode::Enter, KeyModifiers::ALT).types("two").ctrl('j').types("three");
    assert_eq!(user.asked(), []);
    user.press(KeyCode::Enter);
    let sent = "one\ntwo\nthree".to_owned();
    assert_eq!(user.asked(), [Effect::Remember(sent.clone()), Effect::Send(Input::Prompt(sent))]);
    user.press(KeyCode::Enter);
    assert_eq!(user.asked(), [], "an empty message is none");
}

#[test]
fn what_was_typed_ahead_answers_no_question() {
    let mut user = User::at(80, 24);
    user.types("oka").hears(a_question());
    // The user goes on typing, with pauses, and ends with Enter.
    user.wait(200).types("y").wait(900).types("a").wait(900).types("n").press(KeyCode::Enter);
    let typed = "okayan".to_owned();
    assert_eq!(user.asked(), [Effect::Remember(typed.clone()), Effect::Send(Input::Prompt(typed))]);
    user.wait(1_001).press(KeyCode::Enter).types("y");
    assert_eq!(user.asked(), [answer("1", Decision::Once)]);
}

#[test]
fn a_question_takes_three_answers_and_a_reason() {
    let decide = |keys: fn(&mut User) -> &mut User| {
        let mut user = User::at(80, 24);
        user.hears(a_question()).wait(301);
        keys(&mut user);
        user.asked()
    };
    assert_eq!(decide(|u| u.types("y")), [answer("1", Decision::Once)]);
    assert_eq!(decide(|u| u.types("a")), [answer("1", Decision::Always)]);
    assert_eq!(decide(|u| u.press(KeyCode::Esc)), [answer("1", Decision::No(String::new()))]);
    let reasoned = decide(|u| u.types("nyes but later").press(KeyCode::Enter));
    assert_eq!(reasoned, [answer("1", Decision::No("yes but later".into()))]);
    assert_eq!(decide(|u| u.types("n").press(KeyCode::Enter)), [answer("1", Decision::No(String::new()))]);
    assert_eq!(decide(|u| u.types("xq").paste("y").press(KeyCode::Enter)), []);
}

#[test]
fn an_answer_closes_the_question_and_one_from_elsewhere_too() {
    let mut user = User::at(80, 24);
    user.hears(a_question()).wait(301).types("y");
    user.types("y");
    assert_eq!(user.asked().len(), 1);
    user.hears(a_question()).hears([Event::PermissionAnswered { id: "1".into(), decision: Decision::Once }]);
    assert!(user.app.question.is_none());
}

#[test]
fn escape_closes_then_interrupts() {
    let mut user = User::at(80, 24);
    user.press(KeyCode::Esc);
    assert_eq!(user.asked(), []);
    user.hears([started("go")]).types("/").press(KeyCode::Esc);
    assert_eq!(user.asked(), []);
    user.press(KeyCode::Esc);
    assert_eq!(user.asked(), [Effect::Send(Input::Interrupt)]);
}

#[test]
fn control_c_interrupts_or_clears_and_quits_only_when_it_comes_twice() {
    let mut user = User::at(80, 24);
    user.hears([started("go")]).ctrl('c');
    assert_eq!(user.asked(), [Effect::Send(Input::Interrupt)]);
    assert!(user.sees().contains("Ctrl+C again quits"));
    user.hears([ended(Outcome::Interrupted, "no file was changed")]).wait(2_001).types("draft").ctrl('c');
    assert_eq!((user.asked(), user.app.editor.text().as_str()), (vec![], ""));
    user.press(KeyCode::Up);
    assert_eq!(user.app.editor.text(), "draft", "what was cleared can be had back");
    user.wait(500).ctrl('c');
    assert_eq!(user.asked(), [Effect::Quit]);
}

#[test]
fn control_d_quits_only_when_nothing_is_typed() {
    let mut user = User::at(80, 24);
    user.types("ab").press(KeyCode::Home).ctrl('d');
    assert_eq!((user.asked(), user.app.editor.text().as_str()), (vec![], "b"));
    user.ctrl('d').ctrl('d');
    assert_eq!(user.asked(), [Effect::Quit]);
}

#[test]
fn one_key_undoes_and_one_redoes() {
    let mut user = User::at(80, 24);
    user.ctrl('g').ctrl('r').types("/undo 3").press(KeyCode::Enter);
    let sent = [Input::Undo(1), Input::Redo(1), Input::Undo(3)].map(Effect::Send);
    assert_eq!(user.asked(), sent);
}

#[test]
fn the_mode_key_never_allows_commands() {
    let mut user = User::at(80, 24);
    for _ in 0..3 {
        user.press(KeyCode::BackTab);
    }
    let modes = [Mode::Edits, Mode::Ask, Mode::Edits].map(|mode| Effect::Send(Input::Mode(mode)));
    assert_eq!(user.asked(), modes);
    user.types("/mode yes").press(KeyCode::Enter);
    assert_eq!(user.asked(), [Effect::Send(Input::Mode(Mode::Yes))]);
}

#[test]
fn a_command_is_completed_and_run_with_one_enter() {
    let mut user = User::at(80, 24);
    user.types("/und").press(KeyCode::Enter);
    assert_eq!(user.asked(), [Effect::Send(Input::Undo(1))]);
    user.types("/mo").press(KeyCode::Enter);
    assert_eq!((user.asked(), user.app.editor.text().as_str()), (vec![], "/mode "));
}

#[test]
fn a_message_is_queued_until_its_turn_starts() {
    let mut user = User::at(80, 24);
    user.types("one").press(KeyCode::Enter).types("two").press(KeyCode::Enter);
    assert_eq!(user.app.queued, ["one", "two"]);
    user.hears([started("one")]);
    assert_eq!(user.app.queued, ["two"]);
    user.hears([ended(Outcome::Done, "")]);
    assert!(user.app.busy(), "the next turn is about to start");
    user.hears([started("two"), ended(Outcome::Done, "")]);
    assert!(!user.app.busy());
}

#[test]
fn nothing_is_sent_to_a_session_that_has_ended() {
    let mut user = User::at(80, 24);
    fold::session_ended(&mut user.app);
    user.types("hello").press(KeyCode::Enter);
    assert_eq!((user.asked(), user.app.editor.text().as_str()), (vec![], "hello"));
}

#[test]
fn suspending_works_whatever_is_open() {
    let mut user = User::at(80, 24);
    user.hears(a_question()).wait(500).ctrl('z').press(KeyCode::F(1)).ctrl('z');
    assert_eq!(user.asked(), [Effect::Suspend, Effect::Suspend]);
}

#[test]
fn the_wheel_is_told_from_arrow_keys() {
    use crossterm::event::Event as Term;
    let key = |code| Term::Key(KeyEvent::new(code, KeyModifiers::NONE));
    let events = [KeyCode::Up, KeyCode::Up, KeyCode::Up, KeyCode::Down, KeyCode::Char('x'), KeyCode::Char('x')];
    let x = || Step::Event(key(KeyCode::Char('x')));
    let expected = [Step::Wheel(-3), Step::Event(key(KeyCode::Down)), x(), x()];
    assert_eq!(steps(events.map(key).into()), expected);
}

#[test]
fn the_session_is_told_of_files_that_a_text_names_while_it_is_typed() {
    let mut user = User::at(80, 24);
    let files = ["src/stats.py", "README.md"].map(str::to_owned).to_vec();
    user.effects.extend(update::files(&mut user.app, files));
    assert_eq!(user.types("fix").drafts(), ["f"], "a request begins");
    assert!(user.types(" @src/st").drafts().is_empty(), "a name is no file yet");
    assert_eq!(user.press(KeyCode::Tab).drafts(), ["fix @src/stats.py "]);
    assert!(user.types("please").drafts().is_empty());
    user.press(KeyCode::Enter).hears([started("fix @src/stats.py please")]);
    assert!(user.types("and").drafts().is_empty(), "a turn runs");
    user.hears([ended(Outcome::Done, "1 file was changed")]);
    assert_eq!(user.types(" then").drafts(), ["and "]);
}
