//! What a server is told of the form of an answer, in its own words.

use serde_json::{Map, Value, json};

use super::server::Structure;
use crate::dialect::{ToolSpec, schema};

/// `COMMON_GRAMMAR_TRIGGER_TYPE_PATTERN` of llama.cpp.
const LLAMA_CPP_PATTERN: u8 = 2;

/// Puts "one of these texts" into a request.
pub(super) fn one_of(structure: Structure, texts: &[String], body: &mut Map<String, Value>) {
    match structure {
        Structure::LlamaCpp => body.insert("grammar".into(), gbnf(texts).into()),
        Structure::SgLang => body.insert("ebnf".into(), gbnf(texts).into()),
        Structure::Vllm => body.insert("structured_outputs".into(), json!({"choice": texts})),
        Structure::VllmGuided => body.insert("guided_choice".into(), json!(texts)),
        Structure::ResponseFormat => {
            let choice = json!({"type": "string", "enum": texts});
            let schema = json!({
                "type": "object", "properties": {"choice": choice}, "required": ["choice"], "additionalProperties": false,
            });
            json_schema(structure, schema, body);
            None
        }
    };
}

/// Puts "JSON of this schema" into a request.
pub(super) fn json_schema(structure: Structure, schema: Value, body: &mut Map<String, Value>) {
    match structure {
        Structure::LlamaCpp => body.insert("json_schema".into(), schema),
        // SGLang takes the schema as a text.
        Structure::SgLang => body.insert("json_schema".into(), schema.to_string().into()),
        Structure::Vllm => body.insert("structured_outputs".into(), json!({"json": schema})),
        Structure::VllmGuided => body.insert("guided_json".into(), schema),
        Structure::ResponseFormat => {
            let named = json!({"name": "answer", "strict": true, "schema": schema});
            body.insert("response_format".into(), json!({"type": "json_schema", "json_schema": named}))
        }
    };
}

/// Puts "text, and where a call begins in it, one of `specs`" into a request. Returns whether the server has words for that; calls
/// are those of [`super::COMMON`].
pub(super) fn begun_call(structure: Structure, specs: &[ToolSpec], body: &mut Map<String, Value>) -> bool {
    match structure {
        Structure::LlamaCpp => {
            json_schema(structure, call(specs), body);
            body.insert("grammar_lazy".into(), true.into());
            // The grammar begins where the group does.
            let trigger = json!({"type": LLAMA_CPP_PATTERN, "value": r"<tool_call>\s*(\{)"});
            body.insert("grammar_triggers".into(), json!([trigger]));
        }
        // vLLM takes it as a text.
        Structure::Vllm => {
            body.insert("structured_outputs".into(), json!({"structural_tag": structural_tag(specs).to_string()}));
        }
        Structure::SgLang => {
            body.insert("response_format".into(), structural_tag(specs));
        }
        Structure::VllmGuided | Structure::ResponseFormat => return false,
    }
    true
}

/// The same as a structural tag of XGrammar.
fn structural_tag(specs: &[ToolSpec]) -> Value {
    let tag = json!({"begin": "<tool_call>\n", "schema": call(specs), "end": "\n</tool_call>"});
    json!({"type": "structural_tag", "structures": [tag], "triggers": ["<tool_call>"]})
}

/// The schema of a call of one of `specs`, as `{"name": …, "arguments": {…}}`.
pub(super) fn call(specs: &[ToolSpec]) -> Value {
    let calls: Vec<Value> = specs.iter().map(one_call).collect();
    match <[Value; 1]>::try_from(calls) {
        Ok([only]) => only,
        Err(calls) => json!({"anyOf": calls}),
    }
}

fn one_call(spec: &ToolSpec) -> Value {
    let mut arguments = schema::for_prompt(&spec.parameters);
    if let Some(map) = arguments.as_object_mut() {
        map.insert("additionalProperties".into(), false.into());
    }
    json!({
        "type": "object",
        "properties": {"name": {"type": "string", "enum": [spec.name]}, "arguments": arguments},
        "required": ["name", "arguments"],
        "additionalProperties": false,
    })
}

/// A grammar of whole texts, in the form of llama.cpp that XGrammar reads too.
fn gbnf(texts: &[String]) -> String {
    let quoted: Vec<String> = texts.iter().map(|text| quote(text)).collect();
    format!("root ::= {}", quoted.join(" | "))
}

fn quote(text: &str) -> String {
    let mut out = String::from("\"");
    for c in text.chars() {
        match c {
            '"' | '\\' => out.extend(['\\', c]),
            '\n' => out.push_str("\\n"),
            '\r' => out.push_str("\\r"),
            '\t' => out.push_str("\\t"),
            c => out.push(c),
        }
    }
    out.push('"');
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    fn keys(structure: Structure) -> Vec<String> {
        let mut body = Map::new();
        one_of(structure, &["a".into(), "b".into()], &mut body);
        body.keys().cloned().collect()
    }

    #[test]
    fn each_kind_has_its_own_words() {
        assert_eq!(keys(Structure::LlamaCpp), ["grammar"]);
        assert_eq!(keys(Structure::SgLang), ["ebnf"]);
        assert_eq!(keys(Structure::Vllm), ["structured_outputs"]);
        assert_eq!(keys(Structure::VllmGuided), ["guided_choice"]);
        assert_eq!(keys(Structure::ResponseFormat), ["response_format"]);
    }

    #[test]
    fn a_call_that_begins_is_held_where_a_server_can() {
        let spec = ToolSpec { name: "read".into(), description: String::new(), parameters: json!({"type": "object"}) };
        let held = |structure| {
            let mut body = Map::new();
            begun_call(structure, std::slice::from_ref(&spec), &mut body).then_some(body)
        };
        let body = held(Structure::LlamaCpp).unwrap();
        assert_eq!(body["json_schema"]["properties"]["name"]["enum"], json!(["read"]));
        assert_eq!(body["grammar_lazy"], true);
        let tag = held(Structure::Vllm).unwrap()["structured_outputs"]["structural_tag"].clone();
        let tag: Value = serde_json::from_str(tag.as_str().unwrap()).unwrap();
        assert_eq!(held(Structure::SgLang).unwrap()["response_format"], tag);
        assert_eq!(tag["structures"][0]["schema"]["properties"]["name"]["enum"], json!(["read"]));
        assert!(held(Structure::VllmGuided).is_none() && held(Structure::ResponseFormat).is_none());
    }

    #[test]
    fn a_grammar_quotes_what_it_must() {
        assert_eq!(gbnf(&["a\"b\\c\n".into(), "d".into()]), r#"root ::= "a\"b\\c\n" | "d""#);
    }

    #[test]
    fn a_call_names_its_tool_and_keeps_its_arguments() {
        let parameters =
            json!({"type": "object", "properties": {"path": {"type": "string", "enum": ["a.py"], "x-text": true}}});
        let spec = ToolSpec { name: "read".into(), description: String::new(), parameters };
        let schema = call(std::slice::from_ref(&spec));
        assert_eq!(schema["properties"]["name"]["enum"], json!(["read"]));
        assert_eq!(
            schema["properties"]["arguments"]["properties"]["path"],
            json!({"type": "string", "enum": ["a.py"]})
        );
        assert_eq!(call(&[spec.clone(), spec])["anyOf"].as_array().map(Vec::len), Some(2));
    }
}
