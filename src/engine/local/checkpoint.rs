//! Going back with a memory that cannot be cut: the state of a recurrent or hybrid model speaks of all tokens so far, and of
//! none of them alone. So it is kept at the borders of messages, where the next prompt is likely to part from this one.

use std::sync::Arc;

use llama_cpp_2::context::LlamaContext;
use llama_cpp_2::context::session::{LlamaStateSeqFlags, SeqState};

/// Checkpoints of one conversation.
const MOST: usize = 8;
/// Bytes that they may take together; the newest stays in any case.
const BYTES: usize = 512 << 20;

/// The checkpoints of one conversation, oldest first.
#[derive(Debug, Default, Clone)]
pub struct Checkpoints(Vec<Checkpoint>);

#[derive(Debug, Clone)]
struct Checkpoint {
    /// Tokens of the conversation up to here.
    len: usize,
    state: Arc<SeqState>,
}

impl Checkpoints {
    /// Notes the state of sequence `id`, which holds `len` tokens. Of a hybrid model only what cannot be cut is noted: the
    /// attention's part is cut by its positions.
    pub fn take(&mut self, context: &LlamaContext<'_>, id: i32, len: usize) {
        self.truncate(len);
        if self.0.last().is_some_and(|last| last.len == len) {
            return;
        }
        match context.state_seq_get(id, LlamaStateSeqFlags::PARTIAL_ONLY) {
            Ok(state) => self.0.push(Checkpoint { len, state: Arc::new(state) }),
            Err(error) => tracing::warn!(%error, len, "no checkpoint could be made"),
        }
        // The first one, behind the system prompt, serves every conversation.
        while self.0.len() > MOST || self.0.len() > 1 && self.bytes() > BYTES {
            self.0.remove(usize::from(self.0.len() > 2));
        }
    }

    /// Whether there is one within the first `most` tokens.
    pub fn reach(&self, most: usize) -> bool {
        self.0.first().is_some_and(|first| first.len <= most)
    }

    /// Brings sequence `id` back to the last checkpoint within its first `most` tokens. Returns how many tokens it holds then;
    /// `None` where there is no checkpoint or llama.cpp refuses it, and the state of the sequence is unknown.
    pub fn restore(&mut self, context: &mut LlamaContext<'_>, id: i32, most: usize) -> Option<usize> {
        self.truncate(most);
        let Checkpoint { len, state } = self.0.last()?;
        let restored = context.state_seq_set(state, id).is_ok();
        if restored && context.kv_cache_seq_rm(id, u32::try_from(*len).ok(), None).is_ok() {
            return Some(*len);
        }
        tracing::warn!(len, "a checkpoint could not be restored");
        None
    }

    /// Forgets what is beyond the first `len` tokens.
    pub fn truncate(&mut self, len: usize) {
        self.0.retain(|checkpoint| checkpoint.len <= len);
    }

    fn bytes(&self) -> usize {
        self.0.iter().map(|checkpoint| checkpoint.state.byte_len()).sum()
    }
}
