//! What the model expects at each place of a text that is there already.

use std::ops::Range;

use llama_cpp_2::token::LlamaToken;
use tokio_util::sync::CancellationToken;

use super::largest::top;
use super::sample::logprob;
use super::worker::{Row, SLOTS, Worker};
use crate::engine::{EngineError, Scored};

/// The slot that texts are read in.
const SLOT: usize = SLOTS - 1;
/// Places that are computed at a time: each takes as much memory as the vocabulary has words.
const PLACES: usize = 32;
/// Tokens that are told of each place.
const OTHERS: usize = 8;

/// What is to be scored.
pub struct Asked<'a> {
    /// The tokens in front of the text, at least one.
    pub before: &'a [LlamaToken],
    pub text: &'a str,
    /// Its tokens.
    pub tokens: &'a [LlamaToken],
    pub cancel: &'a CancellationToken,
}

impl Worker<'_> {
    /// Scores each token of a text. `None` where the tokens do not give the text, or it was cancelled.
    pub fn score(&mut self, asked: &Asked<'_>) -> Result<Option<Vec<Scored>>, EngineError> {
        self.empty(SLOT);
        let mut scored = self.score_behind(asked);
        if matches!(scored, Err(EngineError::TooLong { .. })) {
            // What other slots hold is to be had again; the first is the conversation's.
            (1..SLOTS).for_each(|slot| self.empty(slot));
            scored = self.score_behind(asked);
        }
        self.empty(SLOT);
        scored
    }

    fn score_behind(&mut self, asked: &Asked<'_>) -> Result<Option<Vec<Scored>>, EngineError> {
        let Asked { before, text, tokens, cancel } = asked;
        let Some((last, head)) = before.split_last() else { return Ok(None) };
        let row = |at: usize, token: LlamaToken, logits: bool| Row { token, slot: SLOT, position: at, logits };
        let rows: Vec<Row> = head.iter().enumerate().map(|(at, &token)| row(at, token, false)).collect();
        rows.chunks(self.chunk).try_for_each(|chunk| self.decode_alone(chunk))?;
        // What stands behind each of these is to be judged.
        let read: Vec<LlamaToken> = std::iter::once(last).chain(*tokens).copied().take(tokens.len()).collect();
        let (mut scored, mut begin) = (Vec::with_capacity(tokens.len()), 0);
        for (number, chunk) in read.chunks(PLACES).enumerate() {
            if cancel.is_cancelled() {
                return Ok(None);
            }
            let first = number * PLACES;
            let rows: Vec<Row> =
                chunk.iter().enumerate().map(|(i, &token)| row(head.len() + first + i, token, true)).collect();
            self.decode_alone(&rows)?;
            for (place, &token) in tokens[first..].iter().take(chunk.len()).enumerate() {
                let end = begin + self.piece(token).len();
                if text.as_bytes().get(begin..end) != Some(&self.piece(token)) {
                    return Ok(None);
                }
                scored.push(self.scored(begin..end, token, self.logits(place)));
                begin = end;
            }
        }
        Ok(Some(scored))
    }

    fn scored(&self, range: Range<usize>, token: LlamaToken, logits: &[f32]) -> Scored {
        let own = logprob(logits, token);
        let logit = |token: LlamaToken| usize::try_from(token.0).ok().and_then(|at| logits.get(at)).copied();
        let logit = f64::from(logit(token).unwrap_or(f32::NEG_INFINITY));
        let mut others = top(logits, OTHERS + 1);
        others.sort_by(|a, b| b.1.total_cmp(&a.1));
        let text = |at: usize| String::from_utf8(self.piece(LlamaToken(i32::try_from(at).unwrap_or(-1)))).ok();
        let other = |(at, other): (usize, f32)| Some((text(at)?, own + f64::from(other) - logit));
        let vocab = self.model.vocab();
        // Nor what speaks to the template and is no text.
        let is_other = |(at, _): &(usize, f32)| {
            i32::try_from(*at).map(LlamaToken).is_ok_and(|t| t != token && !vocab.is_control(t) && !vocab.is_eog(t))
        };
        Scored {
            range,
            logprob: own,
            others: others.into_iter().filter(is_other).take(OTHERS).filter_map(other).collect(),
        }
    }
}
