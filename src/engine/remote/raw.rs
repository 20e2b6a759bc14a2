//! Raw completions: the prompt is rendered and the answer read by our own dialects, as for a model in this process.

use serde_json::{Map, Value, json};

use super::COMMON;
use super::output::{Output, Plain};
use super::plan::{Extra, Plan, Planner};
use super::server::{Kind, Raw};
use super::structure;
use crate::dialect::Dialect;
use crate::engine::thinking::{self, Allowance};
use crate::engine::{Constraint, EngineError, Request};

/// What prompts begin with, in the vocabularies that have a token for it.
const BEGINS: [&str; 10] = [
    "<s>",
    "<bos>",
    "<|begin_of_text|>",
    "<|startoftext|>",
    "<|endoftext|>",
    "<\u{ff5c}begin\u{2581}of\u{2581}sentence\u{ff5c}>",
    "<BOS_TOKEN>",
    "<seed:bos>",
    "[gMASK]",
    "]~!b[",
];

/// The plan for a raw completion.
///
/// # Errors
/// The conversation cannot be rendered.
pub(super) fn plan(
    planner: &Planner,
    dialect: &dyn Dialect,
    way: Raw,
    request: &Request,
    left: impl Fn(&str) -> usize,
) -> Result<Plan, EngineError> {
    let mut prompt = planner.render(dialect, request)?;
    if request.is_bound() {
        prompt.text.push_str(&dialect.end_of_thought(&prompt.text));
    }
    let plain = !request.prefix.is_empty() || matches!(request.constraint, Constraint::OneOf(_));
    let output = match plain {
        true => Output::new(Box::new(Plain), &[]),
        false => Output::new(dialect.parser_after(&request.tools, &prompt), &request.tools)
            .allowing(thinking::close(dialect).map(|close| Allowance::new(planner.budget, vec![close]))),
    };
    let (mut body, mut uses) = (Map::new(), Vec::new());
    let mut text = prompt.text + &request.prefix;
    let output = constrain(planner, dialect, request, output, (&mut text, &mut body, &mut uses));
    let limit = match (request.max_tokens, way) {
        (Some(limit), _) => Some(limit),
        (None, Raw::Native) => None,
        (None, Raw::OpenAi) => Some(left(&text)),
    };
    let path = fields(planner, way, request, &text, &mut body, &mut uses, limit);
    let bytes = text.len();
    body.insert("prompt".into(), text.into());
    planner.sampling(request, &mut body);
    planner.stop(request, &mut body);
    let output = output.stop(&request.stop);
    Ok(Plan { path, body: Value::Object(body), uses, bytes, output, one_call: !plain })
}

/// Puts the request's constraint into the prompt and into what the server is told; returns what reads the answer then.
fn constrain(
    planner: &Planner,
    dialect: &dyn Dialect,
    request: &Request,
    output: Output,
    (text, body, uses): (&mut String, &mut Map<String, Value>, &mut Vec<Extra>),
) -> Output {
    let structure = planner.server.structure();
    let structured = !planner.refused.has(Extra::Structure);
    match &request.constraint {
        Constraint::OneOf(texts) => {
            if structured {
                structure::one_of(structure, texts, body);
                uses.push(Extra::Structure);
            }
            output.one_of(texts)
        }
        Constraint::MustCall(specs) if request.prefix.is_empty() => {
            // Begun, a call is finished by any model. What it may be is told best by a JSON schema, whatever the dialect's own
            // form: a small model that is begun in a form taught by the prompt copies the placeholders of its manual.
            let opening = opening(dialect, structured);
            text.push_str(opening);
            if !structured {
                return output.opened_by(opening).only(specs);
            }
            structure::json_schema(structure, structure::call(specs), body);
            uses.push(Extra::Structure);
            Output::new(planner.json.parser(&request.tools), &request.tools).opened_by(opening).only(specs)
        }
        Constraint::Call(specs) if request.prefix.is_empty() && dialect.name() == COMMON => {
            if !planner.refused.has(Extra::Lazy) && structure::begun_call(structure, specs, body) {
                uses.push(Extra::Lazy);
            }
            output
        }
        Constraint::Free | Constraint::Call(_) | Constraint::MustCall(_) => output,
    }
}

/// What a demanded call begins with. Where no schema holds it, the white space behind the opening is the model's: tokens begin
/// with it.
fn opening(dialect: &dyn Dialect, structured: bool) -> &str {
    match structured {
        true if dialect.name() == COMMON => "<tool_call>\n",
        true => "```json\n",
        false => dialect.call_opening().trim_end(),
    }
}

/// Whether the server is to begin the prompt with what its tokenizer begins texts with, if anything: the template could not
/// where that was not known.
fn lacks_beginning(planner: &Planner, prompt: &str) -> bool {
    planner.server.bos_token.is_empty() && !BEGINS.iter().any(|begin| prompt.starts_with(begin))
}

/// What else the two forms of the request have; returns its path.
fn fields(
    planner: &Planner,
    way: Raw,
    request: &Request,
    prompt: &str,
    body: &mut Map<String, Value>,
    uses: &mut Vec<Extra>,
    limit: Option<usize>,
) -> &'static str {
    let logprobs = request.logprobs && !planner.refused.has(Extra::Logprobs);
    if logprobs {
        uses.push(Extra::Logprobs);
    }
    let mut set = |name: &str, value: Value| body.insert(name.into(), value);
    set("stream", true.into());
    match way {
        Raw::Native => {
            set("cache_prompt", true.into());
            set("return_progress", true.into());
            if let Some(limit) = limit {
                set("n_predict", limit.into());
            }
            if logprobs {
                set("n_probs", 1.into());
            }
            "/completion"
        }
        Raw::OpenAi => {
            set("model", planner.server.model.as_str().into());
            set("stream_options", json!({"include_usage": true}));
            if let Some(limit) = limit {
                set("max_tokens", limit.into());
            }
            if logprobs {
                set("logprobs", 1.into());
            }
            // Some wire forms are made of special tokens.
            if planner.server.kind == Kind::Vllm {
                set("add_special_tokens", lacks_beginning(planner, prompt).into());
                set("spaces_between_special_tokens", false.into());
            }
            if matches!(planner.server.kind, Kind::Vllm | Kind::SgLang) {
                set("skip_special_tokens", (!request.stop.is_empty()).into());
            }
            "/v1/completions"
        }
    }
}
