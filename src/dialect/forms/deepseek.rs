//! DeepSeek V3, R1 and the distilled models put the arguments into a fence, V3.1 does not:
//!
//! ````text
//! <｜tool▁calls▁begin｜><｜tool▁call▁begin｜>function<｜tool▁sep｜>read
//! ```json
//! {"path": "src/main.rs"}
//! ```<｜tool▁call▁end｜><｜tool▁calls▁end｜>
//!
//! <｜tool▁calls▁begin｜><｜tool▁call▁begin｜>read<｜tool▁sep｜>{"path": "src/main.rs"}<｜tool▁call▁end｜><｜tool▁calls▁end｜>
//! ````

use super::{Known, json};

const SECTION: (&str, &str) = ("<｜tool▁calls▁begin｜>", "<｜tool▁calls▁end｜>");
const END: &str = "<｜tool▁call▁end｜>";

pub(super) fn v31() -> Known {
    Known::new("deepseek-v3.1", json(SECTION, "<｜tool▁call▁begin｜>", "<｜tool▁sep｜>", END))
}

pub(super) fn r1() -> Known {
    let open = "<｜tool▁call▁begin｜>function<｜tool▁sep｜>";
    Known::new("deepseek-r1", json(SECTION, open, "\n```json\n", &format!("\n```{END}")))
}
