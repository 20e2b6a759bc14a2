//! MiniMax M2:
//!
//! ```text
//! <minimax:tool_call>
//! <invoke name="read">
//! <parameter name="path">src/main.rs</parameter>
//! </invoke>
//! </minimax:tool_call>
//! ```

use super::{Known, tagged, tags};

pub(super) fn form() -> Known {
    let section = ("<minimax:tool_call>\n", "</minimax:tool_call>");
    let tags = tags("<parameter name=\"", "\">", "</parameter>\n");
    Known::new("minimax", tagged(section, "<invoke name=\"", "\">\n", "</invoke>\n", tags))
}
