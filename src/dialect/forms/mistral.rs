//! Mistral. Since Small 3.2, Devstral and Ministral 3, a mark for each call, some with an identifier; before, one list.
//!
//! ```text
//! [TOOL_CALLS]read[ARGS]{"path": "src/main.rs"}
//! [TOOL_CALLS]read[CALL_ID]0aB3dE6gH[ARGS]{"path": "src/main.rs"}
//! [TOOL_CALLS][{"name": "read", "arguments": {"path": "src/main.rs"}, "id": "0aB3dE6gH"}]
//! ```
//!
//! Reasoning may speak of calls that are not meant.

use super::super::mark::ANY;
use super::super::marks::{Arguments, Key, Keys, Marks};
use super::super::reasoning::{Thoughts, UntilCall};
use super::{Known, json, list};

const ARGS: &str = "[ARGS]";

pub(super) fn forms() -> [Known; 3] {
    let with_id = format!("[CALL_ID]{ANY}{ARGS}");
    let marked = |name_end: &str, other: &str| {
        let marks = json(("", ""), "[TOOL_CALLS]", name_end, "");
        Marks { name_end_too: vec![other.into()], ..marks }
    };
    let keys = ["name", "arguments", "id"].map(str::to_owned);
    let [name, arguments, id] = keys;
    let keys = vec![Key::Name(name), Key::Arguments(arguments), Key::Id(id)];
    let listed =
        Marks { arguments: Arguments::Whole(Keys::Named(keys)), ..list(("[TOOL_CALLS][", "]"), "name", "arguments") };
    let thoughts = || Some(Thoughts { until_call: UntilCall::Never, ..Thoughts::new("[THINK]", "[/THINK]") });
    [
        Known { thoughts: thoughts(), ..Known::new("mistral", marked(ARGS, &with_id)) },
        Known { thoughts: thoughts(), ..Known::new("mistral-id", marked(&with_id, ARGS)) },
        Known { thoughts: thoughts(), ..Known::new("mistral-list", listed) },
    ]
}
