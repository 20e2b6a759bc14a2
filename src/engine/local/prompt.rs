//! What the model reads: messages in its own template, gaps in the marks that it was trained with, and nothing in either that
//! speaks for someone else.

use std::sync::Arc;

use jiff::tz::TimeZone;
use llama_cpp_2::model::LlamaModel;
use llama_cpp_2::token::LlamaToken;

use super::Options;
use crate::dialect::{self, Dialect, Message, Prompt, RenderOptions, Role, Thinking, ToolSpec};
use crate::engine::thinking::{self, Allowance};
use crate::engine::{EngineError, Infill};

/// Words prompts for a model.
pub struct Prompts {
    model: Arc<LlamaModel>,
    pub dialect: Box<dyn Dialect>,
    render: RenderOptions,
    /// The control tokens of the vocabulary, as text.
    controls: Vec<String>,
    /// Text to begin every prompt with, where the template leaves it out.
    bos: Option<String>,
    /// What stands before, behind and in a gap, where the model fills gaps.
    gap: Option<[String; 3]>,
}

impl Prompts {
    /// # Errors
    /// The wire form that was asked for does not exist.
    pub fn new(model: Arc<LlamaModel>, options: &Options) -> Result<Self, EngineError> {
        let template = model.meta_val_str("tokenizer.chat_template").unwrap_or_default();
        let dialect = dialect::for_template(&template, options.dialect.as_deref())
            .map_err(|error| EngineError::Load(format!("{}: {error}", options.name)))?;
        let vocab = model.vocab();
        let text = |token| String::from_utf8_lossy(&vocab.token_to_piece(token, true, None)).into_owned();
        let render = RenderOptions {
            bos_token: text(vocab.bos()),
            eos_token: text(vocab.eos()),
            now: Some(jiff::Timestamp::now().to_zoned_datetime(TimeZone::system()).datetime()),
            ..Thinking::options(options.thinking)
        };
        let tokens = (0..model.n_vocab()).map(LlamaToken).filter(|&token| vocab.is_control(token));
        let controls = tokens.map(text).collect();
        let bos = vocab.should_add_bos().then(|| render.bos_token.clone());
        let marks = [vocab.fim_pre(), vocab.fim_suf(), vocab.fim_mid()];
        let gap = marks.iter().all(|mark| mark.0 >= 0).then(|| marks.map(text));
        Ok(Self { model, dialect, render, controls, bos, gap })
    }

    /// Whether the model was trained to fill gaps.
    pub fn fills_gaps(&self) -> bool {
        self.gap.is_some()
    }

    /// Whether llama.cpp would put a token in front of a text.
    pub fn adds_bos(&self) -> bool {
        self.bos.is_some()
    }

    /// How long the model may reason before an answer, at most `budget` tokens; `None` where its form has no marks for that.
    pub fn allowance(&self, budget: usize) -> Option<Allowance<LlamaToken>> {
        let close = thinking::close(&*self.dialect)?;
        Some(Allowance::new(budget, self.model.vocab().tokenize(close.as_bytes(), false, true)))
    }

    /// A conversation in the model's template.
    ///
    /// # Errors
    /// The template refuses it.
    pub fn chat(&self, messages: &[Message], tools: &[ToolSpec]) -> Result<Prompt, EngineError> {
        let messages: Vec<Message> = messages.iter().map(|message| self.harmless(message)).collect();
        let rendered = self.dialect.render(&messages, tools, &self.render);
        let prompt = rendered.map_err(|e| EngineError::Prompt(e.to_string()))?;
        Ok(match &self.bos {
            Some(bos) if !prompt.text.starts_with(bos.as_str()) => Prompt { text: format!("{bos}{}", prompt.text) },
            _ => prompt,
        })
    }

    /// The message without control tokens in what users, files and commands said: written out, they would end the message
    /// and speak for someone else.
    fn harmless(&self, message: &Message) -> Message {
        let mut message = message.clone();
        if matches!(message.role, Role::User | Role::Tool) {
            message.content = self.without_controls(message.content);
        }
        message
    }

    fn without_controls(&self, mut text: String) -> String {
        for control in self.controls.iter().filter(|control| control.len() > 1) {
            if text.contains(control.as_str()) {
                let mut chars = control.chars();
                let first = chars.next().unwrap_or_default();
                text = text.replace(control.as_str(), &format!("{first}\u{200b}{}", chars.as_str()));
            }
        }
        text
    }

    /// The prompt for a gap, in the order prefix, suffix, middle.
    ///
    /// # Errors
    /// The model was not trained for that.
    pub fn gap(&self, infill: &Infill) -> Result<String, EngineError> {
        let [pre, suf, mid] =
            self.gap.as_ref().ok_or_else(|| EngineError::Prompt("this model was not trained to fill gaps".into()))?;
        let [before, after] = [&infill.before, &infill.after].map(|text| self.without_controls(text.clone()));
        let bos = self.bos.as_deref().filter(|bos| !pre.starts_with(bos)).unwrap_or_default();
        Ok(format!("{bos}{pre}{before}{suf}{after}{mid}"))
    }

    /// The first control token between an answer and the next request that does not end the answer itself, nor stands in it:
    /// Harmony's channels, and the marks of Kimi K3, are of the same tokens within and between messages.
    pub fn opener(&self) -> Option<LlamaToken> {
        let (answer, next) = ("An answer.", "The next request.");
        let said = [(Role::User, "A request."), (Role::Assistant, answer), (Role::User, next)];
        let prompt = self.chat(&said.map(|(role, text)| Message::new(role, text)), &[]).ok()?.text;
        let between = prompt.split(answer).nth(1)?.split(next).next()?;
        let vocab = self.model.vocab();
        let (open, close) = self.dialect.reasoning().unwrap_or_default();
        let within = [open, close, self.dialect.between_parts()].concat();
        let within = vocab.tokenize(within.as_bytes(), false, true);
        let mut tokens = vocab.tokenize(between.as_bytes(), false, true).into_iter();
        tokens.find(|token| vocab.is_control(*token) && !vocab.is_eog(*token) && !within.contains(token))
    }

    /// How many bytes of the prompt come before anything that was said in this conversation, up to a control token: the system
    /// prompt and the tools.
    pub fn stable(&self, messages: &[Message], tools: &[ToolSpec], prompt: &str) -> usize {
        let Ok(opening) = self.chat(&Message::opening(messages), tools) else { return 0 };
        let common = opening.text.bytes().zip(prompt.bytes()).take_while(|(a, b)| a == b).count();
        let head = &prompt[..prompt.floor_char_boundary(common)];
        let end = |control: &String| head.rfind(control.as_str()).map(|at| at + control.len());
        self.controls.iter().filter(|control| !control.is_empty()).filter_map(end).max().unwrap_or(0)
    }
}
