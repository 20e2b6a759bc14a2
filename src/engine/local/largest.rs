//! The largest logits of a vocabulary of a hundred thousand and more, without touching each of them twice: a GPU gives a token in
//! a millisecond, of which a plain search takes a tenth, and a list of all candidates most. Pure: numbers in, positions out.

/// Numbers that are compared together, so that the compiler can use vectors.
const BLOCK: usize = 256;
const LANES: usize = 16;
/// How many of the likeliest tokens stand for all.
const LIKELIEST: usize = 16;

/// Where the first of the largest stands; 0 where none is a number.
pub fn argmax(logits: &[f32]) -> usize {
    let (mut best, mut at) = (f32::NEG_INFINITY, 0);
    for (i, block) in logits.chunks(BLOCK).enumerate() {
        let largest = largest(block);
        if largest > best {
            (best, at) = (largest, i);
        }
    }
    let first = at * BLOCK;
    first + logits.iter().skip(first).position(|&logit| logit == best).unwrap_or(0)
}

/// The `n` largest with where they stand, and some of about the same size; in the order in which they stand. All where there are
/// not many more.
pub fn top(logits: &[f32], n: usize) -> Vec<(usize, f32)> {
    let maxima: Vec<f32> = logits.chunks(BLOCK).map(largest).collect();
    let all = || logits.iter().copied().enumerate();
    if n == 0 || n >= maxima.len() {
        return all().collect();
    }
    let mut sorted = maxima.clone();
    // So many blocks have something as large as this or larger.
    let (_, &mut least, _) = sorted.select_nth_unstable_by(n - 1, |a, b| b.total_cmp(a));
    let blocks = maxima.iter().enumerate().filter(|(_, max)| **max >= least).map(|(i, _)| i * BLOCK);
    blocks.flat_map(|at| all().skip(at).take(BLOCK)).filter(|(_, logit)| *logit >= least).collect()
}

/// Where the largest stands, and its probability among the likeliest: a little more than among all, at a fraction of the cost.
pub fn likeliest(logits: &[f32]) -> (usize, f32) {
    let at = argmax(logits);
    let Some(&max) = logits.get(at) else { return (at, 0.0) };
    let sum: f32 = top(logits, LIKELIEST).into_iter().map(|(_, logit)| (logit - max).exp()).sum();
    (at, 1.0 / sum.max(1.0))
}

fn largest(logits: &[f32]) -> f32 {
    let larger = |a: f32, b: f32| if b > a { b } else { a };
    let mut lanes = [f32::NEG_INFINITY; LANES];
    let (groups, rest) = logits.as_chunks::<LANES>();
    for group in groups {
        for (lane, &logit) in lanes.iter_mut().zip(group) {
            *lane = larger(*lane, logit);
        }
    }
    lanes.iter().chain(rest).copied().fold(f32::NEG_INFINITY, larger)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Numbers without order.
    fn numbers(n: usize) -> Vec<f32> {
        (0..n).map(|i| ((i * 7919 + 13) % 10_007) as f32 / 100.0 - 50.0).collect()
    }

    #[test]
    fn the_first_of_the_largest_counts() {
        assert_eq!(argmax(&[0.5, 2.0, 2.0, f32::NAN]), 1);
        assert_eq!((argmax(&[]), argmax(&[f32::NAN])), (0, 0));
        for at in [0, 17, 255, 256, 700, 999] {
            let mut logits = numbers(1000);
            logits[at] = 97.0;
            logits[999] = 97.0;
            assert_eq!(argmax(&logits), at);
        }
    }

    #[test]
    fn its_share_is_about_the_probability() {
        let mut logits = vec![0.0; 1000];
        (logits[3], logits[700]) = (20.0, 20.0 + 3_f32.ln());
        let (at, sure) = likeliest(&logits);
        assert_eq!(at, 700);
        assert!((sure - 0.75).abs() < 0.01, "{sure}");
        assert_eq!(likeliest(&[]), (0, 0.0));
    }

    #[test]
    fn the_top_is_that_of_a_sorted_list() {
        let logits = numbers(9_000);
        let mut sorted = logits.clone();
        sorted.sort_by(|a, b| b.total_cmp(a));
        for n in [1, 5, 30, 35, 36, 9_000] {
            let mut found: Vec<f32> = top(&logits, n).into_iter().map(|(_, logit)| logit).collect();
            found.sort_by(|a, b| b.total_cmp(a));
            assert!(found.starts_with(&sorted[..n]), "{n}");
            assert!(n > 35 || found.len() < 2_000, "{n}: {}", found.len());
        }
        assert!(top(&logits, 5).iter().all(|&(at, logit)| logits[at] == logit));
    }
}
