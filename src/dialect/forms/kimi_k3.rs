//! Kimi K3. Everything stands between marks, the answer too; an argument's tag tells its type:
//!
//! ```text
//! <|open|>response<|sep|>Reading it.<|close|>response<|sep|><|open|>tools<|sep|><|open|>call tool="read" index="1"<|sep|><|open|>argument key="path" type="string"<|sep|>src/main.rs<|close|>argument<|sep|><|close|>call<|sep|><|close|>tools<|sep|>
//! ```

use super::super::marks::{Tags, Types};
use super::super::reasoning::Thoughts;
use super::{Known, tagged, tags};

pub(super) fn form() -> Known {
    let section = ("<|open|>tools<|sep|>", "<|close|>tools<|sep|>");
    let typed = Some((Types::Names, "\"<|sep|>".into()));
    let tags = Tags { typed, ..tags("<|open|>argument key=\"", "\" type=\"", "<|close|>argument<|sep|>") };
    let marks = tagged(section, "<|open|>call tool=\"", "\" index=\"1\"<|sep|>", "<|close|>call<|sep|>", tags);
    Known {
        thoughts: Some(Thoughts::new("<|open|>think<|sep|>", "<|close|>think<|sep|>")),
        noise: &["<|open|>response<|sep|>", "<|close|>response<|sep|>", "<|close|>message<|sep|>", "<|end_of_msg|>"],
        ..Known::new("kimi-k3", marks)
    }
}
