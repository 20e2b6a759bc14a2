//! Olmo 3: calls as in Python, one a line, with values in JSON's words or in Python's.
//!
//! ```text
//! <function_calls>read(path="src/main.rs")
//! list()</function_calls>
//! ```

use super::super::marks::{Arguments, Marks};
use super::Known;

pub(super) fn form() -> Known {
    let marks = Marks {
        section: ("<function_calls>".into(), "</function_calls>".into()),
        name_end: "(".into(),
        close: ")".into(),
        between: "\n".into(),
        arguments: Arguments::Python,
        ..Marks::default()
    };
    Known::new("olmo", marks)
}
