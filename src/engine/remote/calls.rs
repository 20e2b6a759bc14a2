//! Puts the tool calls of a stream together. Names and arguments come in pieces, and servers disagree on how the pieces of
//! several calls are told apart: by `index`, by `id`, or by nothing but a new name.

use serde_json::{Map, Value};

use super::chunk::CallPart;
use crate::dialect::{Call, Parsed, ToolSpec, for_template};

/// The calls of one answer.
#[derive(Debug, Default)]
pub(super) struct Calls(Vec<CallPart>);

impl Calls {
    /// Takes in a piece.
    pub fn push(&mut self, part: CallPart) {
        let Some(call) = self.belongs_to(&part) else {
            self.0.push(part);
            return;
        };
        if call.id.is_empty() {
            call.id = part.id;
        }
        // A name that is repeated with each piece is no longer name.
        if call.name != part.name {
            call.name.push_str(&part.name);
        }
        call.arguments.push_str(&part.arguments);
    }

    /// The call that a piece goes on with.
    fn belongs_to(&mut self, part: &CallPart) -> Option<&mut CallPart> {
        let other_id = |call: &CallPart| !part.id.is_empty() && !call.id.is_empty() && part.id != call.id;
        let call = match part.index {
            // Ollama gave every call the index 0 for a while, with ids of their own.
            Some(_) => self.0.iter_mut().rev().find(|call| call.index == part.index)?,
            None => self.0.last_mut()?,
        };
        let begins = part.index.is_none() && !part.name.is_empty() && !call.arguments.is_empty();
        (!other_id(call) && !begins).then_some(call)
    }

    /// The calls as they are whole, in their order. Arguments that are no JSON are repaired as those of local models are.
    pub fn finish(&mut self, tools: &[ToolSpec]) -> Vec<Parsed> {
        std::mem::take(&mut self.0).into_iter().flat_map(|part| whole(part, tools)).collect()
    }
}

fn whole(part: CallPart, tools: &[ToolSpec]) -> Vec<Parsed> {
    let arguments = match part.arguments.trim() {
        "" => Some(Map::new()),
        text => serde_json::from_str(text).ok(),
    };
    match arguments {
        Some(arguments) if tools.iter().any(|tool| tool.name == part.name) => {
            vec![Parsed::Call(Call { id: part.id, name: part.name, arguments })]
        }
        arguments => repaired(&part, arguments, tools),
    }
}

/// What the dialect of Hermes, which is JSON as the API's is, makes of a call that is not quite right.
fn repaired(part: &CallPart, arguments: Option<Map<String, Value>>, tools: &[ToolSpec]) -> Vec<Parsed> {
    let name = Value::from(part.name.as_str());
    let arguments = arguments.map_or_else(|| part.arguments.clone(), |arguments| Value::Object(arguments).to_string());
    let text = format!("<tool_call>\n{{\"name\": {name}, \"arguments\": {arguments}}}\n</tool_call>");
    let malformed =
        |text: String| Parsed::Malformed { text, error: "The call is no valid JSON; write it again.".into() };
    let Ok(dialect) = for_template("", Some("hermes")) else { return vec![malformed(text)] };
    let mut parser = dialect.parser(tools);
    let mut parsed = parser.push(&text);
    parsed.extend(parser.finish());
    // Text around a call that was mended is what the mending left over.
    parsed.retain(|item| matches!(item, Parsed::Call(_) | Parsed::Malformed { .. }));
    if parsed.is_empty() { vec![malformed(text)] } else { parsed }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn tools() -> Vec<ToolSpec> {
        let parameters = json!({"type": "object", "properties": {"path": {"type": "string"}}, "required": ["path"]});
        let tool =
            |name: &str| ToolSpec { name: name.into(), description: String::new(), parameters: parameters.clone() };
        vec![tool("read"), tool("list")]
    }

    fn part(index: Option<u64>, id: &str, name: &str, arguments: &str) -> CallPart {
        CallPart { index, id: id.into(), name: name.into(), arguments: arguments.into() }
    }

    /// What the pieces make, as `name path`.
    fn made(parts: &[CallPart]) -> Vec<String> {
        let mut calls = Calls::default();
        parts.iter().cloned().for_each(|part| calls.push(part));
        let show = |parsed| match parsed {
            Parsed::Call(call) => format!("{} {}", call.name, call.arguments["path"].as_str().unwrap_or("?")),
            other => format!("{other:?}"),
        };
        calls.finish(&tools()).into_iter().map(show).collect()
    }

    #[test]
    fn pieces_are_told_apart_by_index() {
        let parts = [
            part(Some(0), "a", "read", ""),
            part(Some(0), "", "", r#"{"pa"#),
            part(Some(1), "b", "list", r#"{"path":"#),
            part(Some(0), "", "", r#"th":"x"}"#),
            part(Some(1), "", "", r#""y"}"#),
        ];
        assert_eq!(made(&parts), ["read x", "list y"]);
    }

    #[test]
    fn or_by_id_where_the_index_says_nothing() {
        for index in [None, Some(0)] {
            let parts = [part(index, "a", "read", r#"{"path":"x"}"#), part(index, "b", "read", r#"{"path":"y"}"#)];
            assert_eq!(made(&parts), ["read x", "read y"], "{index:?}");
        }
    }

    #[test]
    fn or_by_a_new_name_alone() {
        let parts = [
            part(None, "", "read", ""),
            part(None, "", "", r#"{"path":"x"}"#),
            part(None, "", "list", r#"{"path":"#),
            part(None, "", "", r#""y"}"#),
        ];
        assert_eq!(made(&parts), ["read x", "list y"]);
    }

    #[test]
    fn a_name_may_come_in_pieces_or_again_and_again() {
        let arguments = part(Some(0), "", "", r#"{"path":"x"}"#);
        assert_eq!(made(&[part(Some(0), "a", "re", ""), part(Some(0), "", "ad", ""), arguments.clone()]), ["read x"]);
        let again = part(Some(0), "a", "read", r#":"x"}"#);
        assert_eq!(made(&[part(Some(0), "a", "read", r#"{"path""#), again]), ["read x"]);
    }

    #[test]
    fn what_is_not_quite_right_is_repaired_and_what_is_wrong_is_said() {
        assert_eq!(made(&[part(Some(0), "a", "read", "{'path': 'x',}")]), ["read x"]);
        assert_eq!(made(&[part(Some(0), "a", "Read", r#"{"path":"x"}"#)]), ["read x"]);
        let wrong = made(&[part(Some(0), "a", "fly", r#"{"path":"x"}"#)]);
        assert!(wrong.len() == 1 && wrong[0].starts_with("Malformed"), "{wrong:?}");
    }
}
