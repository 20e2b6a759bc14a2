//! DeepSeek V3.2 and V4, which differ in the name of the section:
//!
//! ```text
//! <｜DSML｜function_calls>
//! <｜DSML｜invoke name="read">
//! <｜DSML｜parameter name="path" string="true">src/main.rs</｜DSML｜parameter>
//! </｜DSML｜invoke>
//! </｜DSML｜function_calls>
//! ```
//!
//! The attribute `string` says whether a value is text or JSON.

use super::super::marks::{Tags, Types};
use super::{Known, tagged, tags};

pub(super) fn v32() -> Known {
    form("dsml", ("<｜DSML｜function_calls>\n", "</｜DSML｜function_calls>"))
}

pub(super) fn v4() -> Known {
    form("dsml-v4", ("<｜DSML｜tool_calls>\n", "</｜DSML｜tool_calls>"))
}

fn form(name: &'static str, section: (&str, &str)) -> Known {
    let typed = Some((Types::IsString, "\">".into()));
    let tags = Tags { typed, ..tags("<｜DSML｜parameter name=\"", "\" string=\"", "</｜DSML｜parameter>\n") };
    Known::new(name, tagged(section, "<｜DSML｜invoke name=\"", "\">\n", "</｜DSML｜invoke>\n", tags))
}
