//! What servers are sent, by their kind.

use moru::dialect::{Call, Message, Role};
use moru::engine::remote::{Api, Options, RemoteEngine, Suits};
use moru::engine::{Constraint, Engine, Request, Sampling};
use serde_json::{Value, json};

use crate::fake::{Fake, Play, asking, hear, options, says, shown, tools};

/// The template of Qwen2.5 in short.
const TEMPLATE: &str = "{% if tools %}<|im_start|>system\n{% for t in tools %}{{ t | tojson }}\n{% endfor %}<|im_end|>\n{% endif %}{% for m in messages %}<|im_start|>{{ m.role }}\n{{ m.content }}{% for c in m.tool_calls or [] %}\n<tool_call>\n{\"name\": \"{{ c.function.name }}\", \"arguments\": {{ c.function.arguments | tojson }}}\n</tool_call>{% endfor %}<|im_end|>\n{% endfor %}{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}";

/// A llama-server, which tells its template.
pub async fn llama_server(plays: Vec<Play>) -> Fake {
    llama_server_with(TEMPLATE, plays).await
}

/// One whose model thinks.
pub async fn thinking_llama_server(plays: Vec<Play>) -> Fake {
    llama_server_with(&thinking_template(), plays).await
}

/// A template that begins the reasoning.
pub fn thinking_template() -> String {
    let template = TEMPLATE.replace("assistant\n{% endif %}", "assistant\n<think>\n{% endif %}");
    assert_ne!(template, TEMPLATE);
    template
}

async fn llama_server_with(template: &str, plays: Vec<Play>) -> Fake {
    let props = json!({
        "default_generation_settings": {"n_ctx": 4096}, "total_slots": 1, "chat_template": template,
        "bos_token": "", "eos_token": "<|im_end|>", "build_info": "b1-test",
    });
    let fake = Fake::new("llamacpp", plays).await;
    fake.fact("/props", props).fact("/tokenize", json!({"tokens": []}))
}

/// An engine that renders and reads by itself.
pub async fn completing(fake: &Fake) -> RemoteEngine {
    let options = Options { api: Some(Api::Completions), dialect: Some("hermes".into()), ..options(&fake.address) };
    RemoteEngine::connect(&options).await.unwrap()
}

pub fn native(text: &str) -> Play {
    Play::Stream(crate::fake::events(&[
        json!({"content": text, "stop": false}),
        json!({"content": "", "stop": true, "stop_type": "eos", "stopping_word": ""}),
    ]))
}

/// The body that a server of this kind gets for a request.
async fn sent(owner: &str, request: Request) -> Value {
    let fake = Fake::new(owner, vec![Play::Stream(says("a"))]).await;
    hear(&fake.engine().await, request).await.unwrap();
    fake.asked()[0].body.clone()
}

#[tokio::test]
async fn the_servers_facts_become_the_models() {
    let fake = llama_server(Vec::new()).await;
    let engine = fake.engine().await;
    let info = engine.info();
    assert_eq!((info.name.as_str(), info.context, info.parameters), ("test-32b", 4096, 32_000_000_000));
    let fewer = Options { context: 1000, ..options(&fake.address) };
    assert_eq!(RemoteEngine::connect(&fewer).await.unwrap().info().context, 1000);
}

#[tokio::test]
async fn a_chat_has_the_conversation_in_the_apis_form() {
    let call = Call {
        id: "c1".into(),
        name: "read".into(),
        arguments: [("path".to_owned(), json!("x"))].into_iter().collect(),
    };
    let mut request = asking("one");
    request.messages.push(Message::new(Role::User, "two <|im_end|>"));
    request.messages.push(Message { calls: vec![call.clone()], ..Message::new(Role::Assistant, "") });
    request.messages.push(Message::tool(&call, "text"));
    let body = sent("vllm", request).await;
    let expected = json!([
        {"role": "system", "content": "You are a test."},
        {"role": "user", "content": "one\n\ntwo <\u{200b}|im_end|>"},
        {"role": "assistant", "content": "", "tool_calls": [
            {"id": "c1", "type": "function", "function": {"name": "read", "arguments": "{\"path\":\"x\"}"}}]},
        {"role": "tool", "content": "text", "tool_call_id": "c1"},
    ]);
    assert_eq!(body["messages"], expected);
    assert_eq!((&body["stream_options"], &body["temperature"]), (&json!({"include_usage": true}), &json!(0.0)));
}

#[tokio::test]
async fn the_prefix_stays_the_same_whatever_may_be_called_next() {
    let narrow = vec![tools()[0].clone()];
    let constraints = [
        Constraint::Free,
        Constraint::Call(narrow.clone()),
        Constraint::MustCall(narrow),
        Constraint::OneOf(vec!["a".into()]),
    ];
    let mut bodies = Vec::new();
    for constraint in constraints {
        bodies.push(sent("vllm", Request { constraint, ..asking("go") }).await);
    }
    for body in &bodies {
        assert_eq!((&body["tools"], &body["messages"]), (&bodies[0]["tools"], &bodies[0]["messages"]));
    }
}

#[tokio::test]
async fn a_demanded_call_is_demanded_in_the_servers_words() {
    let must = |specs| Request { constraint: Constraint::MustCall(specs), ..asking("go") };
    let one = || must(vec![tools()[0].clone()]);
    let named = json!({"type": "function", "function": {"name": "read"}});
    assert_eq!(sent("vllm", one()).await["tool_choice"], named);
    assert_eq!(sent("vllm", must(tools())).await["tool_choice"], "required");
    assert_eq!(sent("library", one()).await["tool_choice"], "required");
}

#[tokio::test]
async fn one_of_a_few_texts_is_constrained_in_the_servers_words() {
    let request = || Request { constraint: Constraint::OneOf(vec!["a".into(), "b".into()]), ..asking("go") };
    assert_eq!(sent("vllm", request()).await["structured_outputs"], json!({"choice": ["a", "b"]}));
    assert_eq!(sent("sglang", request()).await["ebnf"], "root ::= \"a\" | \"b\"");
    assert_eq!(sent("llamacpp", request()).await["grammar"], "root ::= \"a\" | \"b\"");
    let schema = &sent("library", request()).await["response_format"]["json_schema"]["schema"];
    assert_eq!(schema["properties"]["choice"]["enum"], json!(["a", "b"]));
}

#[tokio::test]
async fn a_beginning_is_put_into_the_models_mouth_or_asked_for() {
    let request = || Request { prefix: "```py\n".into(), stop: vec!["\n```".into()], ..asking("go") };
    let vllm = sent("vllm", request()).await;
    let last = |body: &Value| body["messages"].as_array().unwrap().last().unwrap().clone();
    assert_eq!(last(&vllm), json!({"role": "assistant", "content": "```py\n"}));
    assert_eq!((&vllm["continue_final_message"], &vllm["include_stop_str_in_output"]), (&json!(true), &json!(true)));
    let other = sent("somebody", request()).await;
    assert!(last(&other)["content"].as_str().unwrap().ends_with(":\n```py\n"));
    assert!(other.get("stop").is_none(), "a server that swallows the stop text is not told of it");
}

#[tokio::test]
async fn sampling_is_said_in_the_servers_words() {
    let sampling = Sampling { temperature: 0.8, repeat_penalty: 1.1, ..Sampling::default() };
    let request = || Request { sampling: sampling.clone(), ..asking("go") };
    let vllm = sent("vllm", request()).await;
    assert_eq!((&vllm["top_k"], vllm["repetition_penalty"].is_number()), (&json!(40), true));
    let other = sent("somebody", request()).await;
    assert!(other.get("top_k").is_none() && other["top_p"].is_number());
}

#[tokio::test]
async fn special_tokens_are_written_out_where_they_may_be_marks() {
    for owner in ["vllm", "sglang"] {
        assert_eq!(sent(owner, asking("go")).await["skip_special_tokens"], false, "{owner}");
        let stopping = Request { stop: vec!["\n```".into()], ..asking("go") };
        assert!(sent(owner, stopping).await.get("skip_special_tokens").is_none(), "{owner}");
    }
    assert!(sent("somebody", asking("go")).await.get("skip_special_tokens").is_none());
}

#[tokio::test]
async fn a_prompt_begins_with_one_token_for_that_whoever_writes_it() {
    let folder = tempfile::tempdir().unwrap();
    let text = json!({"choices": [{"text": "a", "finish_reason": "stop"}]});
    for (beginning, added) in [("", true), ("{{ bos_token }}", true), ("<s>", false), ("[gMASK]<sop>", false)] {
        let path = folder.path().join("chat_template.jinja");
        std::fs::write(&path, format!("{beginning}{TEMPLATE}")).unwrap();
        let fake = Fake::new("vllm", vec![Play::Stream(crate::fake::events(std::slice::from_ref(&text)))]).await;
        let api = Some(Api::Completions);
        let engine = RemoteEngine::connect(&Options { api, template: Some(path), ..options(&fake.address) }).await;
        hear(&engine.unwrap(), Request { max_tokens: Some(8), ..asking("go") }).await.unwrap();
        let asked = &fake.asked()[0];
        assert_eq!((asked.path.as_str(), &asked.body["add_special_tokens"]), ("/v1/completions", &json!(added)));
    }
}

#[tokio::test]
async fn a_template_with_a_form_that_no_file_knows_is_read_by_its_marks() {
    let template = TEMPLATE.replace("<tool_call>\n{\"name\": \"{{ c.function.name }}\", \"arguments\": {{ c.function.arguments | tojson }}}\n</tool_call>", "<|do|>{{ c.function.name }}<|with|>{{ c.function.arguments | tojson }}<|done|>");
    let call = "<|do|>read<|with|>{\"path\": \"x\"}<|done|>";
    let fake = llama_server_with(&template, vec![Play::Stream(says(call))]).await;
    assert_eq!(shown(&hear(&fake.engine().await, asking("go")).await.unwrap()), ["read x"]);
}

#[tokio::test]
async fn a_completion_is_rendered_and_read_here() {
    let call = "<tool_call>\n{\"name\": \"read\", \"arguments\": {\"path\": \"x\"}}\n</tool_call>";
    let fake = llama_server(vec![native(call)]).await;
    let heard = hear(&completing(&fake).await, asking("go")).await.unwrap();
    assert_eq!(shown(&heard), ["read x"]);
    let asked = &fake.asked()[0];
    assert_eq!(asked.path, "/completion");
    let prompt = asked.body["prompt"].as_str().unwrap();
    assert!(prompt.ends_with("<|im_start|>user\ngo<|im_end|>\n<|im_start|>assistant\n"), "{prompt}");
    assert_eq!(asked.body["cache_prompt"], true);
}

#[tokio::test]
async fn a_demanded_call_is_begun_and_held_to_its_schema() {
    let fake = llama_server(vec![native("{\"name\": \"read\", \"arguments\": {\"path\": \"x\"}}")]).await;
    let request = Request { constraint: Constraint::MustCall(tools()), ..asking("go") };
    let heard = hear(&completing(&fake).await, request).await.unwrap();
    assert_eq!(shown(&heard), ["read x"]);
    let body = &fake.asked()[0].body;
    assert!(body["prompt"].as_str().unwrap().ends_with("assistant\n<tool_call>\n"));
    assert_eq!(body["json_schema"]["anyOf"].as_array().map(Vec::len), Some(2));
}

#[tokio::test]
async fn a_call_that_the_model_begins_is_held_to_its_schema_as_long_as_the_server_takes_that() {
    let no = json!({"error": {"message": "unknown field: grammar_lazy"}}).to_string();
    let call = "I read it. <tool_call>\n{\"name\": \"read\", \"arguments\": {\"path\": \"x\"}}";
    let demanded = native("{\"name\": \"read\", \"arguments\": {\"path\": \"x\"}}");
    let fake = llama_server(vec![native(call), Play::Status(400, "", no), native(call), demanded]).await;
    let engine = completing(&fake).await;
    let request = || Request { constraint: Constraint::Call(tools()), ..asking("go") };
    // A grammar that begins with a call ends with it, in front of its closer.
    assert_eq!(shown(&hear(&engine, request()).await.unwrap()), ["read x"]);
    assert_eq!(shown(&hear(&engine, request()).await.unwrap()), ["read x"]);
    let demand = Request { constraint: Constraint::MustCall(tools()), ..asking("go") };
    assert_eq!(shown(&hear(&engine, demand).await.unwrap()), ["read x"]);
    let bodies: Vec<_> = fake.asked().into_iter().map(|asked| asked.body).collect();
    assert_eq!(bodies[0]["json_schema"]["anyOf"].as_array().map(Vec::len), Some(2));
    assert_eq!(bodies[0]["grammar_lazy"], true);
    assert!(bodies[2].get("json_schema").is_none());
    // What is demanded is held all the same.
    assert!(bodies[3].get("json_schema").is_some() && bodies[3].get("grammar_lazy").is_none());
}

#[tokio::test]
async fn so_is_one_of_a_form_that_the_prompt_teaches() {
    let no = json!({"error": {"message": "json_schema is not supported"}}).to_string();
    let plays = vec![
        native("{\"name\": \"read\", \"arguments\": {\"path\": \"x\"}}"),
        Play::Status(400, "", no),
        native(" read path=x\n```\n"),
    ];
    let fake = llama_server(plays).await;
    let options = Options { dialect: Some("fenced".into()), ..options(&fake.address) };
    let engine = RemoteEngine::connect(&options).await.unwrap();
    let request = || Request { constraint: Constraint::MustCall(tools()), ..asking("go") };
    assert_eq!(shown(&hear(&engine, request()).await.unwrap()), ["read x"]);
    assert!(fake.asked()[0].body["prompt"].as_str().unwrap().ends_with("assistant\n```json\n"));
    // Without a schema the model is begun in the form that it was taught.
    assert_eq!(shown(&hear(&engine, request()).await.unwrap()), ["read x"]);
    assert!(fake.asked()[2].body["prompt"].as_str().unwrap().ends_with("assistant\n```tool"));
}

#[tokio::test]
async fn a_beginning_goes_raw_where_the_template_is_known() {
    let plays = vec![Play::Stream(crate::fake::events(&[
        json!({"content": "x = 1", "stop": false}),
        json!({"content": "", "stop": true, "stop_type": "word", "stopping_word": "\n```"}),
    ]))];
    let fake = llama_server(plays).await;
    let request =
        Request { prefix: "```py\n".into(), stop: vec!["\n```".into()], constraint: Constraint::Free, ..asking("go") };
    let heard = hear(&fake.engine().await, request).await.unwrap();
    assert_eq!(heard.text, "x = 1\n```");
    let body = &fake.asked()[0].body;
    assert!(body["prompt"].as_str().unwrap().ends_with("assistant\n```py\n"));
    assert_eq!(body["stop"], json!(["\n```"]));
}

#[tokio::test]
async fn so_does_a_demand() {
    let fake = llama_server(vec![native("{\"name\": \"read\", \"arguments\": {\"path\": \"x\"}}")]).await;
    let engine = fake.engine().await;
    assert_eq!(engine.api(), Api::Chat);
    let request = Request { constraint: Constraint::MustCall(tools()), ..asking("go") };
    assert_eq!(shown(&hear(&engine, request).await.unwrap()), ["read x"]);
    assert_eq!(fake.asked()[0].path, "/completion");
}

#[tokio::test]
async fn a_small_model_whose_template_is_known_gets_the_form_that_suits_it() {
    let fake = llama_server(Vec::new()).await;
    let suits = |_: &str, parameters: u64| (parameters > 0).then(|| "fenced".to_owned());
    let engine = RemoteEngine::connect(&Options { suits: Suits::new(suits), ..options(&fake.address) }).await.unwrap();
    assert_eq!((engine.api(), engine.info().dialect.as_str()), (Api::Completions, "fenced"));
    let chat = Options { suits: Suits::new(suits), api: Some(Api::Chat), ..options(&fake.address) };
    assert_eq!(RemoteEngine::connect(&chat).await.unwrap().api(), Api::Chat);
}

#[tokio::test]
async fn tokens_are_counted_by_the_server_or_estimated() {
    let text = "words enough to be worth a question";
    let fake = Fake::new("vllm", Vec::new()).await.fact("/tokenize", json!({"count": 11, "tokens": []}));
    let engine = fake.engine().await;
    let counted = tokio::task::spawn_blocking(move || (engine.count(text), engine.count(text))).await.unwrap();
    assert_eq!(counted, (11, 11));
    let other = Fake::new("somebody", Vec::new()).await.engine().await;
    let estimated = other.count(text);
    assert!((8..=14).contains(&estimated), "{estimated}");
}
