//! Qwen3-Coder, Qwen3.5 and their relatives (Nemotron 3, Step 3.5):
//!
//! ```text
//! <tool_call>
//! <function=read>
//! <parameter=path>
//! src/main.rs
//! </parameter>
//! </function>
//! </tool_call>
//! ```

use super::{Known, tagged, tags};

pub(super) fn form() -> Known {
    let tags = tags("<parameter=", ">\n", "\n</parameter>\n");
    Known::new("qwen-xml", tagged(("", ""), "<tool_call>\n<function=", ">\n", "</function>\n</tool_call>", tags))
}
