//! The vocabulary as grammars see it.

use std::sync::Arc;

use llama_cpp_2::model::LlamaModel;
use llama_cpp_2::token::LlamaToken;
use toktrie::{TokEnv, TokRxInfo, TokTrie, TokenId, TokenizerEnv};

/// Marks a token that no text in a grammar matches.
const MARKED: u8 = 0xff;

/// The vocabulary as a trie. Unlike in llama.cpp's own, control tokens are the texts that they stand for, since many
/// families write calls with them and a grammar names them by these texts; only those that end a turn stay apart.
pub fn env(model: &Arc<LlamaModel>) -> TokEnv {
    let vocab = model.vocab();
    let size = model.n_vocab();
    let end = if vocab.eot().0 == -1 { vocab.eos() } else { vocab.eot() };
    let words: Vec<Vec<u8>> = (0..size)
        .map(LlamaToken)
        .map(|token| {
            let text = vocab.token_to_piece(token, false, None);
            if !text.is_empty() {
                return text;
            }
            let control = vocab.token_to_piece(token, true, None);
            match vocab.is_eog(token) {
                true if !control.is_empty() => [&[MARKED], control.as_slice()].concat(),
                _ => control,
            }
        })
        .collect();
    let others = (0..size).map(LlamaToken).filter(|&token| token != end && vocab.is_eog(token));
    let ends: Vec<u32> = std::iter::once(end).chain(others).map(|token| token.0.cast_unsigned()).collect();
    let info = TokRxInfo::new(size.cast_unsigned(), end.0.cast_unsigned());
    Arc::new(Vocabulary { trie: TokTrie::from(&info, &words).with_eos_tokens(&ends), model: model.clone() })
}

/// The trie with the model's own way of splitting text: what a grammar forces is then known in tokens, which can be drafted,
/// and is not split as the model never saw it.
struct Vocabulary {
    trie: TokTrie,
    model: Arc<LlamaModel>,
}

impl TokenizerEnv for Vocabulary {
    fn tok_trie(&self) -> &TokTrie {
        &self.trie
    }

    fn tokenize_bytes(&self, text: &[u8]) -> Vec<TokenId> {
        let tokens = self.model.vocab().tokenize(text, false, true);
        let tokens: Vec<TokenId> = tokens.iter().map(|token| token.0.cast_unsigned()).collect();
        // Some tokenisers begin every text with a space of their own.
        if self.trie.decode_raw(&tokens) == text { tokens } else { self.trie.greedy_tokenize(text) }
    }

    fn tokenize_is_canonical(&self) -> bool {
        true
    }
}
