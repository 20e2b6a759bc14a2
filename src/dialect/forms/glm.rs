//! GLM 4.5 to 4.7; the older ones have line ends between the tags, the newer ones none.
//!
//! ```text
//! <tool_call>read
//! <arg_key>path</arg_key>
//! <arg_value>src/main.rs</arg_value>
//! </tool_call>
//! ```

use super::{Known, tagged, tags};

pub(super) fn form() -> Known {
    let tags = tags("<arg_key>", "</arg_key>\n<arg_value>", "</arg_value>\n");
    Known::new("glm", tagged(("", ""), "<tool_call>", "\n", "</tool_call>", tags))
}
