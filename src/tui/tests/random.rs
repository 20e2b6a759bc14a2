//! Whatever comes, in whatever order, on whatever size: no panic, nothing on the screen that drives a terminal.

use proptest::prelude::*;

use super::*;
use crate::permission::Decision;
use crate::tui::keymap::BINDINGS;

#[derive(Debug, Clone)]
enum Act {
    Key(KeyCode, KeyModifiers),
    Type(String),
    Paste(String),
    Hear(Vec<Event>),
    Wheel(isize),
    Resize(u16, u16),
    Wait(u64),
}

/// Text with all that is difficult in it.
fn nasty() -> impl Strategy<Value = String> {
    let piece = prop_oneof![
        "[a-z ]{0,12}",
        Just("\u{1b}[31m".to_owned()),
        Just("\u{1b}]0;".to_owned()),
        Just("漢字🙂👩‍👩‍👧".to_owned()),
        Just("e\u{301}\u{200b}\u{202e}\u{fe0f}".to_owned()),
        Just("\t\r\n\n".to_owned()),
        Just("```rust\n- [x] **".to_owned()),
        Just("| a | b |\n|---|--:|\n| 1 |\n> 1. # *_`".to_owned()),
        Just("@/\u{0}\u{9b}<b>\\".to_owned()),
        Just("x".repeat(300)),
        any::<String>(),
    ];
    proptest::collection::vec(piece, 0..6).prop_map(|pieces| pieces.concat())
}

fn diff() -> impl Strategy<Value = String> {
    (nasty(), 0..u64::MAX, nasty()).prop_map(|(a, n, b)| {
        format!("diff --git a/{a} b/{a}\n@@ -{n},3 +{} @@\n-{b}\n+{a}\n {b}\n@@ -1 +1 @@\n\\ {a}", n / 3)
    })
}

fn event() -> impl Strategy<Value = Event> {
    let id = || "[12]";
    prop_oneof![
        nasty().prop_map(|t| started(&t)),
        nasty().prop_map(|t| text(&t)),
        nasty().prop_map(|t| reasoning(&t)),
        nasty().prop_map(|t| said(&t)),
        (0..5_000usize, 0..5_000usize).prop_map(|(done, total)| Event::Reading { done, total }),
        Just(generated()),
        (id(), nasty()).prop_map(|(i, t)| proposed(&i, &t)),
        (id(), nasty(), proptest::option::of(diff())).prop_map(|(i, t, d)| asked(
            &i,
            if d.is_some() { Class::Edit } else { Class::Run },
            &t,
            d.as_deref()
        )),
        (id(), nasty()).prop_map(|(id, t)| Event::PermissionAnswered { id, decision: Decision::No(t) }),
        (id(), any::<bool>(), nasty()).prop_map(|(i, ok, t)| finished(&i, ok, &t, Detail::None)),
        (id(), nasty()).prop_map(|(i, unit)| finished(&i, true, "", Detail::Count { count: 2, unit })),
        (diff(), nasty()).prop_map(|(diff, file)| Event::Edited {
            change: Change::Edit,
            checkpoint: CheckpointId(1),
            files: vec![file],
            diff,
            merged: true
        }),
        (nasty(), nasty(), any::<bool>()).prop_map(|(command, output, passed)| Event::Checked {
            command,
            passed,
            output,
            seconds: 1.0,
            attempt: 1
        }),
        nasty().prop_map(|text| Event::Notice { text }),
        nasty().prop_map(|message| Event::Failed { message }),
        nasty().prop_map(|t| ended(Outcome::NotDone, &t)),
    ]
}

fn act() -> impl Strategy<Value = Act> {
    let keys: Vec<(KeyCode, KeyModifiers)> =
        BINDINGS.iter().flat_map(|b| b.keys).map(|key| (key.code(), key.modifiers())).collect();
    prop_oneof![
        3 => proptest::sample::select(keys).prop_map(|(code, held)| Act::Key(code, held)),
        2 => "[yan/@ux 漢]{0,4}".prop_map(Act::Type),
        1 => nasty().prop_map(Act::Paste),
        4 => proptest::collection::vec(event(), 1..4).prop_map(Act::Hear),
        1 => (-9..9isize).prop_map(Act::Wheel),
        1 => (1..100u16, 1..40u16).prop_map(|(w, h)| Act::Resize(w, h)),
        1 => (1..6u16, 1..6u16).prop_map(|(w, h)| Act::Resize(w, h)),
        1 => (0..1_500u64).prop_map(Act::Wait),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 300, ..ProptestConfig::default() })]

    #[test]
    fn nothing_breaks_the_screen(acts in proptest::collection::vec(act(), 1..25)) {
        let mut user = User::at(40, 12);
        for act in acts {
            match act {
                Act::Key(code, held) => {
                    user.key(code, held);
                }
                Act::Type(text) => {
                    user.types(&text);
                }
                Act::Paste(text) => {
                    user.paste(&text);
                }
                Act::Hear(events) => {
                    user.hears(events);
                }
                Act::Wheel(lines) => update::wheel(&mut user.app, lines, user.now),
                Act::Resize(width, height) => {
                    user.resize(width, height);
                }
                Act::Wait(time) => {
                    user.wait(time);
                }
            }
            user.sees();
            for cell in user.terminal.backend().buffer().content() {
                let bad = |c: char| c.is_control() || ('\u{202a}'..='\u{202e}').contains(&c);
                prop_assert!(!cell.symbol().contains(bad), "{:?} is on the screen", cell.symbol());
            }
        }
    }
}
