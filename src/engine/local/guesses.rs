//! What guesses of a small model are worth, learned while writing. Pure: times and hits in, decisions out.
//!
//! A guess costs a token of the small model and a longer batch of the large one, and saves a token of the large one as often as
//! it is right. All three are measured as it runs, the last by how sure the small model was, and each further token is guessed
//! only where it saves more than it costs.

use super::kv::Token;
use super::pace::Pace;

/// The most tokens that are guessed at a time.
pub const MOST: usize = 15;
/// How much one token counts for a rate of hits, and for the time that a token takes.
const WEIGHT: f64 = 0.06;
/// By how much guesses may seem too dear to be tried all the same: so many to learn what they are worth, and one now and then.
const HOPE: f64 = 1.25;
const TRIALS: usize = 8;
/// What the small model may read for these first, as tokens that the large one could have written in that time.
const TRIAL_READING: f64 = 16.0;
/// The share of the time that a try now and then may take.
const SLACK: f64 = 0.02;
/// Tokens that an answer has still to come at most, as far as the reading for it goes; and the seconds of reading that nobody
/// is kept waiting beyond.
const EXPECTED: usize = 100;
const LONGEST_READING: f64 = 3.0;

/// How often guesses were right and what they took.
#[derive(Debug)]
pub struct Guesses {
    /// How often one is right if those before it are, by how sure the model was.
    hits: [f64; 5],
    /// The same of a draft's first, before it is known how sure the model will be.
    first: f64,
    /// Seconds that a token takes to write and to read, as far as they were measured.
    write: Option<f64>,
    read: Option<f64>,
    /// What to expect before: writing beside a token of the large model, reading beside writing.
    expected: (f64, f64),
    /// Drafts that were verified.
    tried: usize,
    /// Tokens of the large model since the last guess.
    idle: f64,
    /// It guesses whether that pays or not.
    always: bool,
    /// The guess under way is a try.
    hopeful: bool,
    /// The draft under way, as classes of `hits`, and where in the conversation it begins.
    pending: Vec<usize>,
    behind: usize,
    declined: Option<Declined>,
}

/// A guess that was not worth a place in the batch.
#[derive(Debug)]
struct Declined {
    /// Where in the conversation.
    at: usize,
    guess: Token,
    class: usize,
}

impl Guesses {
    /// `size` is how large the small model is beside the large one; with `always` it guesses whether that pays or not.
    pub fn expected(size: f64, gpu: bool, always: bool) -> Self {
        // On a GPU the smallest model takes the time of starting its kernels.
        let expected = if gpu { (size.max(0.05), 0.05) } else { (size, 0.3) };
        Self {
            hits: [0.3, 0.5, 0.65, 0.8, 0.92],
            first: 0.92,
            write: None,
            read: None,
            expected,
            tried: 0,
            idle: 0.0,
            always,
            hopeful: false,
            pending: Vec::new(),
            declined: None,
            behind: 0,
        }
    }

    /// Whether to ask the small model for what comes behind a conversation and its next token, where it has to read `unread`
    /// tokens before and `left` are still to come.
    pub fn pays_to_begin(
        &mut self,
        (conversation, next): (&[Token], Token),
        unread: usize,
        left: usize,
        pace: &Pace,
    ) -> bool {
        self.score_declined(conversation, next);
        self.pending.clear();
        self.behind = conversation.len() + 1;
        if self.always {
            return true;
        }
        let Some(token) = pace.token() else { return false };
        self.idle += 1.0;
        let write = self.write.unwrap_or(self.expected.0 * token);
        let read = self.read.unwrap_or(self.expected.1 * write) * unread as f64;
        let (cost, saved) = (write + pace.one_more(1), self.first * token);
        self.hopeful = saved <= cost;
        let affordable = match () {
            () if saved > cost => (saved - cost) * left.min(EXPECTED) as f64,
            () if self.tried < TRIALS && saved * HOPE > cost => TRIAL_READING * token,
            // Whatever was measured may have changed.
            () => SLACK * self.idle * token - write,
        };
        let pays = read <= affordable.min(LONGEST_READING);
        if pays {
            self.idle = 0.0;
        }
        pays
    }

    /// Whether this guess, of which the model is so sure, is worth its place in the batch.
    pub fn take(&mut self, guess: Token, sure: f32, pace: &Pace) -> bool {
        let class = class(sure);
        if self.pending.is_empty() {
            self.first += WEIGHT * (self.hits[class] - self.first);
        }
        let taken = self.worth(self.hits[class], pace) > pace.one_more(self.pending.len() + 1);
        if taken {
            self.pending.push(class);
        } else if self.pending.is_empty() {
            self.declined = Some(Declined { at: self.behind, guess, class });
        }
        taken
    }

    /// Whether it pays to guess one more.
    pub fn pays(&self, pace: &Pace) -> bool {
        self.worth(self.first, pace) > self.write.unwrap_or_default() + pace.one_more(self.pending.len() + 1)
    }

    /// Seconds that a further guess saves, which is right so often.
    fn worth(&self, rate: f64, pace: &Pace) -> f64 {
        if self.always {
            return f64::INFINITY;
        }
        let so_far: f64 = self.pending.iter().map(|&class| self.hits[class]).product();
        so_far * rate * pace.token().unwrap_or_default() * if self.hopeful { HOPE } else { 1.0 }
    }

    /// Learns how many of the draft's tokens were right, and whether the one behind them was wrong.
    pub fn note(&mut self, right: usize, wrong: bool) {
        let pending = std::mem::take(&mut self.pending);
        self.tried += usize::from(!pending.is_empty());
        for (at, &class) in pending.iter().enumerate().take(right + usize::from(wrong)) {
            self.score(class, at < right);
        }
    }

    /// What was not drafted is scored as well, or a class that seems worthless could never show that it is not.
    fn score_declined(&mut self, conversation: &[Token], next: Token) {
        if let Some(Declined { at, guess, class }) = self.declined.take()
            && at <= conversation.len()
        {
            self.score(class, conversation.get(at).copied().unwrap_or(next) == guess);
        }
    }

    fn score(&mut self, class: usize, right: bool) {
        self.hits[class] += WEIGHT * (f64::from(u8::from(right)) - self.hits[class]);
    }

    /// Notes that `count` tokens took so many seconds.
    pub fn took(&mut self, count: usize, seconds: f64) {
        let known = match count {
            1 => &mut self.write,
            32.. => &mut self.read,
            _ => return,
        };
        let each = seconds / count as f64;
        *known = Some(match *known {
            None => each,
            // A pause of the whole machine must not count for long.
            Some(usual) => usual + WEIGHT * (each.min(usual * 3.0) - usual),
        });
    }
}

fn class(sure: f32) -> usize {
    [0.4, 0.6, 0.8, 0.95].iter().filter(|&&border| sure >= border).count()
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    /// A machine on which a token of the large model takes so many milliseconds, and a batch hardly longer if it has a GPU.
    fn pace(milliseconds: u64, gpu: bool) -> Pace {
        let mut pace = Pace::expected(gpu);
        pace.note(1, Duration::from_millis(milliseconds));
        pace
    }

    fn guesses(size: f64, gpu: bool) -> Guesses {
        Guesses::expected(size, gpu, false)
    }

    /// Writes so many tokens, all of them 1, with a small model that guesses `guess`, is so sure of it and takes so many seconds
    /// for each. Returns of the last hundred steps in how many it was asked, and how many tokens it drafted then.
    fn run(guesses: &mut Guesses, pace: &Pace, steps: usize, guess: Token, sure: f32, seconds: f64) -> (usize, f64) {
        let (mut asked, mut drafted) = (0, 0);
        let mut conversation = vec![1; 50];
        for step in 0..steps {
            if guesses.pays_to_begin((&conversation, 1), 1, 1000, pace) {
                let mut count = 0;
                loop {
                    guesses.took(1, seconds);
                    if !guesses.take(guess, sure, pace) {
                        break;
                    }
                    count += 1;
                    if count == MOST || !guesses.pays(pace) {
                        break;
                    }
                }
                let right = if guess == 1 { count } else { 0 };
                guesses.note(right, right < count);
                conversation.extend(vec![1; right]);
                if step + 100 >= steps {
                    asked += 1;
                    drafted += count;
                }
            }
            conversation.push(1);
        }
        (asked, drafted as f64 / asked.max(1) as f64)
    }

    #[test]
    fn a_small_model_on_a_gpu_guesses_many_tokens() {
        let (asked, drafted) = run(&mut guesses(0.02, true), &pace(25, true), 400, 1, 0.99, 0.002);
        assert_eq!(asked, 100);
        assert!(drafted > 8.0, "{drafted}");
    }

    #[test]
    fn guesses_that_fail_become_rare_and_come_back() {
        let (mut guesses, pace) = (guesses(0.1, false), pace(80, false));
        assert!(run(&mut guesses, &pace, 8, 2, 0.99, 0.008).0 > 0);
        let (asked, _) = run(&mut guesses, &pace, 600, 2, 0.99, 0.008);
        assert!(asked <= 15, "{asked}");
        // A tenth of the size: a try in about seven tokens costs what may be lost, and finds out.
        let (asked, drafted) = run(&mut guesses, &pace, 600, 1, 0.99, 0.008);
        assert!(asked == 100 && drafted >= 1.0, "{asked} {drafted}");
    }

    #[test]
    fn what_cannot_pay_is_given_up_after_a_few_tries() {
        // Half of the size, on a CPU: each guess would cost more than it saves, if it were always right.
        let (mut dear, pace_here) = (guesses(0.44, false), pace(80, false));
        run(&mut dear, &pace_here, 20, 1, 0.99, 0.04);
        assert!((1..=TRIALS + 1).contains(&dear.tried), "{}", dear.tried);
        let (asked, _) = run(&mut dear, &pace_here, 600, 1, 0.99, 0.04);
        assert!(asked <= 5, "{asked}");
        // Nor is a long conversation read for it, or for a short answer.
        let asks =
            |guesses: &mut Guesses, pace: &Pace, unread, left| guesses.pays_to_begin((&[], 1), unread, left, pace);
        assert!(!asks(&mut guesses(0.44, false), &pace_here, 2000, 1000));
        assert!(asks(&mut guesses(0.02, true), &pace(25, true), 8000, 1000));
        assert!(!asks(&mut guesses(0.02, true), &pace(25, true), 8000, 5));
    }

    #[test]
    fn what_the_model_is_unsure_of_is_not_drafted_until_it_turns_out_right() {
        let mut guesses = guesses(0.1, false);
        let (_, drafted) = run(&mut guesses, &pace(80, false), 50, 2, 0.2, 0.008);
        assert!(drafted < 0.1, "{drafted}");
        let (_, drafted) = run(&mut guesses, &pace(80, false), 1000, 1, 0.2, 0.008);
        assert!(drafted >= 1.0, "{drafted}");
    }

    #[test]
    fn only_what_was_looked_at_is_scored() {
        let mut guesses = guesses(0.02, true);
        let before = guesses.hits;
        guesses.pending = vec![4, 4, 3];
        guesses.note(1, false);
        assert!(guesses.hits[4] > before[4] && guesses.hits[3] == before[3]);
        let before = guesses.hits;
        guesses.pending = vec![4, 3];
        guesses.note(1, true);
        assert!(guesses.hits[4] > before[4] && guesses.hits[3] < before[3]);
    }
}
