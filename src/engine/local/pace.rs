//! What batches of different sizes take, learned while writing, and how long a draft pays by that. Pure: times in, numbers out.

use std::time::Duration;

/// A draft must promise to be so many times as fast as going token by token.
const GAIN: f64 = 1.08;
/// The sizes of batches that are told apart, as powers of two.
const SIZES: usize = 8;
/// How much one batch counts for the time that its size takes.
const WEIGHT_OF_TIME: f64 = 0.15;

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
        let gpu_ratios = [1.0, 1.05, 1.1, 1.2, 1.4, 1.8, 2.6, 4.2];
        let expected = if gpu { gpu_ratios } else { [1.0, 1.6, 2.6, 5.5, 7.5, 12.5, 22.0, 40.0] };
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

    /// Seconds that a single token takes; `None` before one was measured.
    pub fn token(&self) -> Option<f64> {
        self.measured[0]
    }

    /// Seconds by which a batch of `tokens` takes longer with one token more. In what [`Self::token`] is in.
    pub fn one_more(&self, tokens: usize) -> f64 {
        let below = size(tokens).min(SIZES - 2);
        (self.cost(below + 1) - self.cost(below)).max(0.0) / f64::from(1_u32 << below)
    }

    /// How many of `available` drafted tokens to verify, where each is right with probability `rate` if those before it are.
    pub fn best(&self, rate: f64, available: usize) -> usize {
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
