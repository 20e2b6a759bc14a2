//! Drafts what will likely come next, for the model to verify many tokens at the price of a few: no second model, but the
//! texts under edit and the conversation itself, of which code is copied most of the time (prompt lookup decoding; compare
//! SuffixDecoding, arXiv 2411.04975). Pure: tokens in, tokens out. What is drafted never changes what is written, only how fast.

use std::collections::HashMap;

use super::kv::Token;
use super::pace::Pace;

/// Tokens of the output by which a place to copy from is found.
const NGRAM: usize = 3;
/// Places that are compared, newest first.
const PLACES: usize = 16;
/// How far back two places are compared.
const REACH: usize = 24;
/// Stands between texts: no draft runs across it.
const BORDER: Token = -1;
/// How much one token counts for the rate of hits.
const WEIGHT: f64 = 0.06;

/// Finds what to copy.
#[derive(Debug)]
pub struct Drafter {
    /// The texts to copy from, then the conversation as it grows.
    source: Vec<Token>,
    /// Where each n-gram of the source goes on.
    places: HashMap<[Token; NGRAM], Vec<usize>>,
    guess: Option<Guess>,
    /// Where the last guess went wrong: what was changed is likely followed by what comes after it there.
    left: usize,
    hits: [f64; 5],
}

/// A place in the source where the output seems to go on.
#[derive(Debug, Clone, Copy)]
struct Guess {
    at: usize,
    /// Tokens before it that are the same.
    matched: usize,
}

impl Drafter {
    /// `copy_from` are texts that the output will likely repeat, the first from its very beginning on; `context` is what the
    /// model has read.
    pub fn new(copy_from: &[Vec<Token>], context: &[Token]) -> Self {
        let mut drafter = Self {
            source: Vec::new(),
            places: HashMap::new(),
            guess: None,
            left: 0,
            // By how much matches: what a first guess of them is worth is soon replaced by what they turn out to be.
            hits: [0.4, 0.6, 0.8, 0.95, 0.98],
        };
        for text in copy_from {
            text.iter().for_each(|&token| drafter.append(token));
            drafter.append(BORDER);
        }
        context.iter().for_each(|&token| drafter.append(token));
        drafter.guess = drafter.find();
        if copy_from.iter().any(|text| !text.is_empty()) && drafter.guess.is_none_or(|guess| guess.matched < REACH) {
            drafter.guess = Some(Guess { at: 0, matched: REACH });
        }
        drafter
    }

    /// Takes in a token of the output, and learns from it whether a draft would have been right, drafted or not.
    pub fn push(&mut self, token: Token) {
        if let Some(guess) = &mut self.guess {
            let right = self.source[guess.at] == token;
            let rate = &mut self.hits[class(guess.matched)];
            *rate += WEIGHT * (f64::from(u8::from(right)) - *rate);
            if right {
                *guess = Guess { at: guess.at + 1, matched: guess.matched + 1 };
            } else {
                self.left = guess.at;
                self.guess = None;
            }
        }
        self.append(token);
        if self.guess.is_none_or(|guess| self.source[guess.at] == BORDER) {
            self.guess = self.find();
        }
    }

    /// What will likely come, at most `most` tokens of it, as many as promise to save time.
    pub fn draft(&self, most: usize, pace: &Pace) -> &[Token] {
        let Some(guess) = self.guess else { return &[] };
        let rest = &self.source[guess.at..];
        let length = rest.iter().take(most).take_while(|&&token| token != BORDER).count();
        &rest[..pace.best(self.hits[class(guess.matched)], length)]
    }

    fn append(&mut self, token: Token) {
        self.source.push(token);
        if let Some(key) = self.source.last_chunk::<NGRAM>()
            && !key.contains(&BORDER)
        {
            self.places.entry(*key).or_default().push(self.source.len());
        }
    }

    /// The place whose past is most like the end of the output; among equals the nearest behind where the last guess was
    /// left, then the newest.
    fn find(&self) -> Option<Guess> {
        let end = self.source.len();
        let places = self.places.get(self.source.last_chunk::<NGRAM>()?)?;
        let guesses = places.iter().rev().filter(|&&at| at < end).take(PLACES).map(|&at| {
            let same = (0..REACH.min(at)).take_while(|i| self.source[at - 1 - i] == self.source[end - 1 - i]).count();
            Guess { at, matched: same }
        });
        let nearness = |guess: &Guess| (guess.at >= self.left).then(|| usize::MAX - (guess.at - self.left));
        guesses.filter(|guess| self.source[guess.at] != BORDER).max_by_key(|guess| (guess.matched, nearness(guess)))
    }
}

fn class(matched: usize) -> usize {
    match matched {
        0..=3 => 0,
        4..=6 => 1,
        7..=12 => 2,
        13..=24 => 3,
        _ => 4,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Writes `output` with perfect verification; returns in how many batches.
    fn batches(copy_from: &[Vec<Token>], context: &[Token], output: &[Token]) -> usize {
        let pace = Pace::expected(true);
        let mut drafter = Drafter::new(copy_from, context);
        let (mut done, mut batches) = (0, 0);
        while done < output.len() {
            let draft = drafter.draft(output.len() - done, &pace).to_vec();
            let right = draft.iter().zip(&output[done..]).take_while(|(a, b)| a == b).count();
            // One token more comes from the model itself.
            let taken = (right + 1).min(output.len() - done);
            output[done..done + taken].iter().for_each(|&token| drafter.push(token));
            done += taken;
            batches += 1;
        }
        batches
    }

    #[test]
    fn a_copy_with_a_change_takes_few_batches() {
        let file: Vec<Token> = (0..400).map(|i| i * 7 % 331).collect();
        let mut changed = file.clone();
        changed.splice(200..203, [1000, 1001, 1002, 1003]);
        let count = batches(std::slice::from_ref(&file), &[], &changed);
        assert!(count < 40, "{count}");
        // The same where the file stands in the conversation only.
        let count = batches(&[], &file, &changed);
        assert!(count < 40, "{count}");
    }

    #[test]
    fn nothing_is_drafted_where_nothing_repeats() {
        let output: Vec<Token> = (0..300).collect();
        assert_eq!(batches(&[], &[], &output), 300);
    }

    #[test]
    fn guesses_that_fail_are_no_longer_drafted() {
        // The same three tokens over and over, followed by something else each time.
        let output: Vec<Token> = (0..400).flat_map(|i| [1, 2, 3, 100 + i]).collect();
        let mut drafter = Drafter::new(&[], &[]);
        let pace = Pace::expected(true);
        output.iter().for_each(|&token| drafter.push(token));
        [1, 2, 3].into_iter().for_each(|token| drafter.push(token));
        assert!(drafter.draft(8, &pace).is_empty());
    }

    #[test]
    fn a_draft_stops_at_the_end_of_its_text() {
        let drafter = Drafter::new(&[vec![1, 2, 3, 4], vec![9; 40]], &[]);
        assert_eq!(drafter.draft(32, &Pace::expected(true)), [1, 2, 3]);
    }
}
