//! One event of an answer that streams, whichever server it is from.
//!
//! The shapes differ by kind and version: reasoning is `reasoning_content` or `reasoning`, log-probabilities stand in three
//! places, numbers are missing or `null`. So an event is read field by field from its JSON, and what is not there is nothing.

use serde_json::Value;

use crate::engine::Stop;

/// What one event says.
#[derive(Debug, Clone, Default, PartialEq)]
pub(super) struct Chunk {
    pub text: String,
    pub reasoning: String,
    pub calls: Vec<CallPart>,
    /// Log-probabilities of the tokens in it.
    pub logprobs: Vec<f64>,
    /// How far the prompt is read: tokens done, tokens in all, both without what was cached.
    pub progress: Option<(usize, usize)>,
    pub counts: Counts,
    /// The answer ends here.
    pub end: Option<End>,
    /// The server failed, in its words.
    pub error: Option<String>,
}

/// A piece of a tool call.
#[derive(Debug, Clone, Default, PartialEq)]
pub(super) struct CallPart {
    /// Which call of the answer it belongs to; some servers leave it out.
    pub index: Option<u64>,
    pub id: String,
    pub name: String,
    pub arguments: String,
}

/// What a server counted and timed; later events replace what they name.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub(super) struct Counts {
    pub prompt: Option<usize>,
    pub cached: Option<usize>,
    pub generated: Option<usize>,
    pub prefill_seconds: Option<f64>,
    pub decode_seconds: Option<f64>,
}

/// How an answer ended.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct End {
    pub stop: Stop,
    /// The stop text that ended it and that the server left out.
    pub word: Option<String>,
}

/// Reads one event.
pub(super) fn read(event: &Value) -> Chunk {
    let choice = &event["choices"][0];
    let mut chunk = Chunk { error: error(event), counts: counts(event), progress: progress(event), ..Chunk::default() };
    // Whoever ignores `stream` sends one `message` in place of many `delta`s.
    let delta = if choice["delta"].is_object() { &choice["delta"] } else { &choice["message"] };
    chunk.text = [&delta["content"], &choice["text"], &event["content"]].into_iter().map(text).collect();
    chunk.reasoning = [&delta["reasoning_content"], &delta["reasoning"]]
        .into_iter()
        .map(text)
        .find(|t| !t.is_empty())
        .unwrap_or_default();
    chunk.calls = delta["tool_calls"].as_array().into_iter().flatten().map(call).collect();
    chunk.logprobs = logprobs(event, choice);
    match choice["finish_reason"].as_str() {
        // SGLang gives up a request this way, vLLM that way.
        Some(reason @ ("abort" | "error")) => {
            chunk.error = chunk.error.or(Some(format!("it gave the request up: {reason}")))
        }
        Some(reason) => chunk.end = Some(End { stop: stop(reason), word: None }),
        None => chunk.end = native_end(event),
    }
    chunk
}

/// Text, or the texts of the parts that some servers make of it.
fn text(value: &Value) -> String {
    match value {
        Value::String(text) => text.clone(),
        Value::Array(parts) => parts.iter().filter_map(|part| part["text"].as_str()).collect(),
        _ => String::new(),
    }
}

fn call(part: &Value) -> CallPart {
    let function = &part["function"];
    let arguments = match &function["arguments"] {
        Value::Null => String::new(),
        Value::String(text) => text.clone(),
        object => object.to_string(),
    };
    CallPart { index: part["index"].as_u64(), id: text(&part["id"]), name: text(&function["name"]), arguments }
}

fn logprobs(event: &Value, choice: &Value) -> Vec<f64> {
    // Chat, and llama-server's /v1/completions; llama-server's /completion.
    for tokens in [&choice["logprobs"]["content"], &event["completion_probabilities"]] {
        if let Some(tokens) = tokens.as_array() {
            return tokens.iter().filter_map(|token| token["logprob"].as_f64()).collect();
        }
    }
    // /v1/completions of the others.
    choice["logprobs"]["token_logprobs"].as_array().into_iter().flatten().filter_map(Value::as_f64).collect()
}

fn error(event: &Value) -> Option<String> {
    let error = &event["error"];
    let is_error = event["object"] == "error";
    let words = [&error["message"], error, &event["message"]].into_iter().find_map(Value::as_str);
    match error {
        Value::Null if !is_error => None,
        _ => Some(words.unwrap_or("it does not say why").to_owned()),
    }
}

fn counts(event: &Value) -> Counts {
    let usage = &event["usage"];
    let timings = &event["timings"];
    let number = |value: &Value| value.as_u64().map(|n| n as usize);
    let seconds = |value: &Value| value.as_f64().map(|ms| ms / 1e3);
    let of_timings = number(&timings["prompt_n"]).zip(number(&timings["cache_n"])).map(|(read, cached)| read + cached);
    Counts {
        prompt: number(&usage["prompt_tokens"]).or(of_timings),
        cached: number(&usage["prompt_tokens_details"]["cached_tokens"]).or_else(|| number(&timings["cache_n"])),
        generated: number(&usage["completion_tokens"]).or_else(|| number(&timings["predicted_n"])),
        prefill_seconds: seconds(&timings["prompt_ms"]),
        decode_seconds: seconds(&timings["predicted_ms"]),
    }
}

impl Counts {
    /// Takes over what `later` names.
    pub fn update(&mut self, later: Self) {
        self.prompt = later.prompt.or(self.prompt);
        self.cached = later.cached.or(self.cached);
        self.generated = later.generated.or(self.generated);
        self.prefill_seconds = later.prefill_seconds.or(self.prefill_seconds);
        self.decode_seconds = later.decode_seconds.or(self.decode_seconds);
    }
}

fn progress(event: &Value) -> Option<(usize, usize)> {
    let progress = &event["prompt_progress"];
    let number = |name: &str| progress[name].as_u64().map(|n| n as usize);
    let cached = number("cache").unwrap_or(0);
    Some((number("processed")?.saturating_sub(cached), number("total")?.saturating_sub(cached)))
}

fn stop(reason: &str) -> Stop {
    match reason {
        "length" => Stop::Length,
        "tool_calls" | "function_call" => Stop::Call,
        _ => Stop::End,
    }
}

/// The end of llama-server's `/completion`.
fn native_end(event: &Value) -> Option<End> {
    if event["stop"] != true {
        return None;
    }
    let stop = if event["stop_type"] == "limit" { Stop::Length } else { Stop::End };
    let word = event["stopping_word"].as_str().filter(|word| !word.is_empty()).map(str::to_owned);
    Some(End { stop, word })
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn an_event_without_choices_tells_the_usage() {
        let usage = json!({"prompt_tokens": 10, "completion_tokens": 3, "prompt_tokens_details": {"cached_tokens": 8}});
        let chunk = read(&json!({"choices": [], "usage": usage}));
        let counts = Counts { prompt: Some(10), cached: Some(8), generated: Some(3), ..Counts::default() };
        assert_eq!(chunk, Chunk { counts, ..Chunk::default() });
        assert_eq!(read(&json!({"choices": [], "usage": null})), Chunk::default());
    }

    #[test]
    fn reasoning_has_two_names() {
        for name in ["reasoning_content", "reasoning"] {
            let chunk = read(&json!({"choices": [{"delta": {name: "so", "content": null}}]}));
            assert_eq!((chunk.reasoning.as_str(), chunk.text.as_str()), ("so", ""), "{name}");
        }
    }

    #[test]
    fn logprobs_stand_in_three_places() {
        let places = [
            json!({"choices": [{"delta": {}, "logprobs": {"content": [{"token": "a", "logprob": -0.5}]}}]}),
            json!({"choices": [{"text": "a", "logprobs": {"token_logprobs": [-0.5], "tokens": ["a"]}}]}),
            json!({"content": "a", "completion_probabilities": [{"token": "a", "logprob": -0.5}]}),
        ];
        for place in places {
            assert_eq!(read(&place).logprobs, [-0.5], "{place}");
        }
    }

    #[test]
    fn an_error_may_come_in_any_shape() {
        for event in [
            json!({"error": {"message": "out of memory", "code": 500}}),
            json!({"error": "out of memory"}),
            json!({"object": "error", "message": "out of memory"}),
        ] {
            assert_eq!(read(&event).error.as_deref(), Some("out of memory"), "{event}");
        }
        let aborted = read(&json!({"choices": [{"delta": {}, "finish_reason": "abort"}]}));
        assert!(aborted.error.is_some() && aborted.end.is_none());
    }

    #[test]
    fn llama_servers_own_form_tells_the_stop_text_and_the_times() {
        let chunk = read(&json!({
            "content": "", "stop": true, "stop_type": "word", "stopping_word": "\n```",
            "timings": {"cache_n": 5, "prompt_n": 7, "prompt_ms": 500.0, "predicted_n": 9, "predicted_ms": 250.0},
        }));
        assert_eq!(chunk.end, Some(End { stop: Stop::End, word: Some("\n```".into()) }));
        assert_eq!((chunk.counts.prompt, chunk.counts.cached, chunk.counts.generated), (Some(12), Some(5), Some(9)));
        assert_eq!((chunk.counts.prefill_seconds, chunk.counts.decode_seconds), (Some(0.5), Some(0.25)));
        let reading = read(&json!({"content": "", "prompt_progress": {"total": 90, "cache": 10, "processed": 50}}));
        assert_eq!(reading.progress, Some((40, 80)));
    }

    #[test]
    fn an_answer_in_one_piece_is_read_too() {
        let chunk = read(&json!({"choices": [{"message": {"content": "hi"}, "finish_reason": "stop"}]}));
        assert_eq!((chunk.text.as_str(), chunk.end.map(|end| end.stop)), ("hi", Some(Stop::End)));
    }

    #[test]
    fn nonsense_is_nothing() {
        for event in [
            json!(null),
            json!([]),
            json!({"choices": 7}),
            json!({"choices": [null]}),
            json!({"choices": [{"delta": {"tool_calls": [1]}}]}),
        ] {
            let chunk = read(&event);
            assert!(chunk.text.is_empty() && chunk.error.is_none(), "{event}");
        }
    }
}
