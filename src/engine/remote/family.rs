//! What a model's name tells where its template does not: the form in which it writes calls, and whether its prompt begins
//! reasoning. vLLM, SGLang and Ollama name their model and tell no template; without a parser of theirs for the model's form,
//! calls and reasoning stand in the text.
//!
//! A wrong guess costs little: JSON without any marks, and Hermes' tags around it, are read in every form; and whether answers
//! begin inside of reasoning is learnt from them ([`super::thought`]).

use super::server::Server;

/// What a word of a name begins with, and the form of the models that have such a word. The first that fits counts.
const FORMS: [(&str, &str); 42] = [
    ("hermes", "hermes"),
    ("qwen3-coder", "qwen-xml"),
    ("qwen3.5", "qwen-xml"),
    ("qwen3.6", "qwen-xml"),
    ("nemotron-3", "qwen-xml"),
    ("step-3.5", "qwen-xml"),
    ("seed-oss", "seed"),
    ("glm-4.5", "glm"),
    ("glm-4.6", "glm"),
    ("glm-4.7", "glm"),
    ("glm-5", "glm"),
    ("glm4moe", "glm"),
    ("minimax-m2", "minimax"),
    ("deepseek-v4", "dsml-v4"),
    ("deepseek-v3.2-exp", "deepseek-v3.1"),
    ("deepseek-v3.2", "dsml"),
    ("deepseek-v3.1", "deepseek-v3.1"),
    ("deepseek-v3", "deepseek-r1"),
    ("deepseek-r1", "deepseek-r1"),
    ("kimi-k3", "kimi-k3"),
    ("kimi-k2", "kimi"),
    ("olmo-3", "olmo"),
    ("lfm2", "lfm"),
    ("gemma-4", "gemma"),
    ("gemma4", "gemma"),
    ("granite-3", "granite"),
    ("granite3", "granite"),
    ("command-a", "action"),
    ("command-r7b", "action"),
    ("functionary", "functionary"),
    ("nemotron", "nemotron"),
    ("llama-3", "llama"),
    ("llama3", "llama"),
    ("devstral", "mistral"),
    ("magistral", "mistral"),
    ("ministral-3", "mistral"),
    ("mistral-large-3", "mistral"),
    ("mistral-small-3.2", "mistral"),
    ("mistral-small3.2", "mistral"),
    ("mistral", "mistral-list"),
    ("mixtral", "mistral-list"),
    ("ministral", "mistral-list"),
];

/// The same of models whose prompt begins reasoning; they have all of a row.
const THINKERS: [&[&str]; 12] = [
    &["deepseek-r1"],
    &["qwq"],
    &["qwen3", "thinking"],
    &["qwen3.5"],
    &["qwen3.6"],
    &["glm-4.7"],
    &["glm-5"],
    &["minimax-m2"],
    &["olmo-3", "think"],
    &["nemotron-3"],
    &["step-3.5"],
    &["glm-z1"],
];

/// The form of the server's model, where a name of it tells one.
pub(super) fn form(server: &Server) -> Option<&'static str> {
    let of = |name: String| FORMS.iter().find(|(word, _)| has(&name, word)).map(|(_, form)| *form);
    names(server).find_map(of)
}

/// Whether the prompt of the server's model begins reasoning, by its name.
pub(super) fn thinks(server: &Server) -> bool {
    names(server).any(|name| THINKERS.iter().any(|words| words.iter().all(|word| has(&name, word))))
}

/// What the server calls its model, the surest name first, each with its words between hyphens.
fn names(server: &Server) -> impl Iterator<Item = String> {
    let names = [Some(&server.model), server.root.as_ref(), server.architecture.as_ref()];
    let plain = |c: char| if c.is_ascii_alphanumeric() || c == '.' { c.to_ascii_lowercase() } else { '-' };
    names.into_iter().flatten().map(move |name| format!("-{}", name.chars().map(plain).collect::<String>()))
}

/// Whether a word of a name begins so.
fn has(name: &str, word: &str) -> bool {
    name.contains(&format!("-{word}"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::dialect;

    fn named(model: &str) -> Server {
        Server { model: model.into(), ..Server::default() }
    }

    #[test]
    fn names_tell_forms() {
        for (name, form) in [
            ("zai-org/GLM-4.6-FP8", Some("glm")),
            ("Qwen/Qwen3-Coder-30B-A3B-Instruct", Some("qwen-xml")),
            ("qwen3-coder:30b", Some("qwen-xml")),
            ("Qwen/Qwen3-32B", None),
            ("MiniMaxAI/MiniMax-M2.1", Some("minimax")),
            ("moonshotai/Kimi-K2-Instruct-0905", Some("kimi")),
            ("deepseek-ai/DeepSeek-V3.2-Exp", Some("deepseek-v3.1")),
            ("deepseek-ai/DeepSeek-V3.2", Some("dsml")),
            ("deepseek-ai/DeepSeek-R1-Distill-Llama-70B", Some("deepseek-r1")),
            ("NousResearch/Hermes-3-Llama-3.1-8B", Some("hermes")),
            ("mistralai/Mistral-Small-3.2-24B-Instruct-2506", Some("mistral")),
            ("mistralai/Mistral-7B-Instruct-v0.3", Some("mistral-list")),
            ("coder", None),
        ] {
            assert_eq!(self::form(&named(name)), form, "{name}");
        }
    }

    #[test]
    fn a_name_of_the_users_own_is_looked_behind() {
        let root = Some("/models/GLM-4.7".to_owned());
        let server = Server { root, ..named("coder") };
        assert_eq!((form(&server), thinks(&server)), (Some("glm"), true));
        let server = Server { architecture: Some("seed_oss".into()), ..named("coder") };
        assert_eq!(form(&server), Some("seed"));
    }

    #[test]
    fn names_tell_whose_prompts_begin_reasoning() {
        for name in ["deepseek-r1:7b", "Qwen/QwQ-32B", "Qwen/Qwen3-4B-Thinking-2507", "GLM-4.7-Flash"] {
            assert!(thinks(&named(name)), "{name}");
        }
        for name in ["Qwen/Qwen3-4B-Instruct-2507", "zai-org/GLM-4.6", "moonshotai/Kimi-K2-Thinking", "coder"] {
            assert!(!thinks(&named(name)), "{name}");
        }
    }

    #[test]
    fn forms_exist() {
        for (_, form) in FORMS {
            assert!(dialect::names().contains(&form), "{form}");
        }
    }
}
