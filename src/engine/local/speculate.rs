//! Drafts what will likely come next, for the model to verify many tokens at the price of a few: no second model, but the
//! texts under edit and the conversation itself, of which code is copied most of the time (prompt lookup decoding; compare
//! SuffixDecoding, arXiv 2411.04975). Pure: tokens in, tokens out. What is drafted never changes what is written, only how fast.

use std::collections::HashMap;
use std::time::Duration;

use super::kv::Token;

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
/// A draft must promise to be so many times as fast as going token by token.
const GAIN: f64 = 1.08;
/// The sizes of batches that are told apart, as powers of two.
const SIZES: usize = 7;
/// How much one batch counts for the time that its size takes.
const WEIGHT_OF_TIME: f64 = 0.15;

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

/// What batches of different sizes take, learned while writing.
#[derive(Debug, Clone)]
pub struct Pace {
    /// What to expect, as ratios to a single token.
    expected: [f64; SIZES],
    /// What was measured, in seconds.
    measured: [Option<f64>; SIZES],
}

impl Pace {
    /// What to expect before any batch was measured. On a CPU the work soon outweighs the reading of the weights (measured with
    /// a 1.5B of 4 bits on two cores, whose kernels take 4 and 16 rows at a time: 1.7, 2.8, 6.6, 8.1, 13.4, 22); on a GPU it
    /// hardly does.
    pub fn expected(gpu: bool) -> Self {
        let gpu_ratios = [1.0, 1.05, 1.1, 1.2, 1.4, 1.8, 2.6];
        let expected = if gpu { gpu_ratios } else { [1.0, 1.6, 2.6, 5.5, 7.5, 12.5, 22.0] };
        Self { expected, measured: [None; SIZES] }
    }

    /// Tokens of the longest batch.
    pub const LONGEST: usize = 1 << (SIZES - 1);

    /// Notes that a batch of `tokens` took `time`.
    pub fn note(&mut self, tokens: usize, time: Duration) {
        let size = size(tokens);
        if size >= SIZES || tokens != 1 << size {
            return;
        }
        let seconds = time.as_secs_f64();
        // A pause of the whole machine must not count for long.
        let known = self.measured.iter().any(Option::is_some);
        let seconds = if known { seconds.min(self.cost(size) * 3.0) } else { seconds };
        self.measured[size] = Some(match self.measured[size] {
            None => seconds,
            Some(usual) => usual + WEIGHT_OF_TIME * (seconds - usual),
        });
    }

    /// What a batch takes: as measured, or by what is expected of it and the measured size that is nearest. In seconds, or in
    /// single tokens before anything was measured.
    fn cost(&self, size: usize) -> f64 {
        let nearest =
            (0..SIZES).filter(|&other| self.measured[other].is_some()).min_by_key(|other| other.abs_diff(size));
        let unit = nearest.and_then(|near| Some(self.measured[near]? / self.expected[near])).unwrap_or(1.0);
        self.measured[size].unwrap_or(self.expected[size] * unit)
    }

    /// How many of `available` drafted tokens to verify, where each is right with probability `rate` if those before it are.
    fn best(&self, rate: f64, available: usize) -> usize {
        let speed = |size: usize| {
            let drafted = (1_u32 << size) - 1;
            let expected: f64 = (1..=drafted).map(|i| rate.powi(i.cast_signed())).sum();
            (1.0 + expected) / self.cost(size)
        };
        let sizes = (1..SIZES).filter(|&size| (1 << size) - 1 <= available);
        let best = sizes.max_by(|&a, &b| speed(a).total_cmp(&speed(b)));
        best.filter(|&size| speed(size) > speed(0) * GAIN).map_or(0, |size| (1 << size) - 1)
    }
}

fn size(tokens: usize) -> usize {
    tokens.max(1).ilog2() as usize
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

    #[test]
    fn what_one_size_takes_tells_of_the_others_whichever_came_first() {
        for first in 0..SIZES {
            let mut pace = Pace::expected(false);
            let before = pace.best(0.99, 63);
            pace.note(1 << first, Duration::from_secs_f64(0.04 * pace.expected[first]));
            assert_eq!(pace.best(0.99, 63), before, "{first}");
        }
    }

    #[test]
    fn pace_is_learned() {
        let mut pace = Pace::expected(true);
        assert!(pace.best(0.95, 31) >= 15);
        // A machine on which a long batch costs as much as its tokens one by one.
        for _ in 0..100 {
            for size in 0..SIZES {
                pace.note(1 << size, Duration::from_millis(10 << size));
            }
        }
        assert_eq!(pace.best(0.95, 31), 0);
    }
}
