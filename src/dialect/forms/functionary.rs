//! Functionary 3.1, and Llama fine-tunes after it:
//!
//! ```text
//! <function=read>{"path": "src/main.rs"}</function>
//! ```

use super::{Known, json};

pub(super) fn form() -> Known {
    Known::new("functionary", json(("", ""), "<function=", ">", "</function>"))
}
