//! How many threads decode. llama.cpp's threads wait for each other at every node of the graph: where another program takes a
//! core from one of them, all stand still, and fewer threads can be faster than more.

use std::time::Duration;

/// Tokens over which a time is taken, and over which another number of threads is tried.
const WINDOW: usize = 8;
const TRIAL: usize = 4;
/// A token that takes so many times as long as was usual tells that something else is running.
const DISTURBED: f64 = 1.25;
/// The same for something else that has ended.
const RELIEVED: f64 = 0.8;
/// Another number of threads must be faster by so much.
const BETTER: f64 = 0.95;
/// How much a window changes what is usual, so that a growing context is no disturbance.
const WEIGHT: f64 = 0.2;
/// Windows between two tries to go back to more threads while no core is free: at first, and at most. Beside a busy program
/// one token with too many threads was seen to take seconds.
const PATIENCE: (usize, usize) = (64, 512);
/// Threads that were ready to run for so much of a time and had no core: others run then. Where they had one and were slow all
/// the same, as on a machine that shares its memory or is itself a guest, fewer would be slower still.
const STARVED: f64 = 0.1;
/// Seconds of tokens between two looks at how long this process has waited, which takes some microseconds for each of its
/// threads: tokens of small models on a GPU must not feel it.
const LOOK: f64 = 0.1;
/// A program that runs for a moment is not made way for: it must be seen so often, with so much time between.
const LOOKS: usize = 4;
const BETWEEN: Duration = Duration::from_millis(5);

/// Finds the number of threads with which single tokens are fastest now. Where nothing disturbs it keeps to the most, and no
/// token is spent on trying.
#[derive(Debug)]
pub struct Threads {
    most: usize,
    now: usize,
    /// Seconds a token with that many; 0 before any was measured.
    usual: f64,
    sum: f64,
    count: usize,
    trial: Option<Trial>,
    /// Windows until the next try.
    rest: usize,
    patience: usize,
    /// How long this process had waited for cores when that was last looked up, and the seconds of the tokens since then.
    waited: Option<Duration>,
    since: f64,
}

/// Who else uses the cores.
pub trait Crowd {
    /// How many threads of other programs want one.
    fn others(&self) -> usize;
    /// How long the threads of this process have been ready to run without a core, all together. `None` where nobody tells.
    fn waited(&self) -> Option<Duration>;
}

/// What Linux tells of them; elsewhere nothing.
#[derive(Debug, Clone, Copy)]
pub struct System {
    /// Threads of this process that run now, and are not to be made way for.
    pub own: usize,
}

impl Crowd for System {
    fn others(&self) -> usize {
        let load = std::fs::read_to_string("/proc/loadavg").unwrap_or_default();
        let ready = load.split(' ').nth(3).and_then(|field| field.split('/').next()?.parse::<usize>().ok());
        ready.unwrap_or(0).saturating_sub(self.own)
    }

    fn waited(&self) -> Option<Duration> {
        let waited = |task: std::fs::DirEntry| {
            let told = std::fs::read_to_string(task.path().join("schedstat")).ok()?;
            told.split(' ').nth(1)?.parse().ok().map(Duration::from_nanos)
        };
        // Some may end while they are asked.
        let waited = std::fs::read_dir("/proc/self/task").ok()?.flatten().filter_map(waited);
        waited.fold(None, |sum: Option<Duration>, one| Some(sum.unwrap_or_default() + one))
    }
}

/// When a token is better stopped and begun again with fewer threads.
#[derive(Debug, Clone, Copy)]
pub struct Limit {
    after: Duration,
    /// Seconds of the tokens since the last look, and what had been waited for cores then; `None` where it does not matter.
    before: f64,
    waited: Option<Duration>,
}

impl Limit {
    /// Whether a token that has taken so long is over it.
    pub fn is_over(&self, elapsed: Duration, crowd: &impl Crowd) -> bool {
        elapsed > self.after && starved(self.waited, self.before + elapsed.as_secs_f64(), crowd)
    }
}

/// Whether the process has waited for cores for much of the last `seconds`, before which it had waited for so long.
fn starved(before: Option<Duration>, seconds: f64, crowd: &impl Crowd) -> bool {
    match (before, crowd.waited()) {
        (Some(before), Some(now)) => now.saturating_sub(before).as_secs_f64() > STARVED * seconds,
        _ => true,
    }
}

/// Other numbers of threads are being tried.
#[derive(Debug)]
struct Trial {
    from: usize,
    /// The fastest so far, with its seconds a token.
    best: (usize, f64),
    left: Vec<usize>,
}

impl Threads {
    pub fn new(most: usize) -> Self {
        let most = most.max(1);
        let (rest, patience) = (0, PATIENCE.0);
        let (waited, since) = (None, 0.0);
        Self { most, now: most, usual: 0.0, sum: 0.0, count: 0, trial: None, rest, patience, waited, since }
    }

    /// How many threads to use now. What is found with single tokens holds for reading too (1.5B on two cores beside one busy
    /// program: 54 tokens a second with one thread, 36 with two).
    pub fn now(&self) -> usize {
        self.now
    }

    /// Something else was made way for.
    pub fn is_crowded(&self) -> bool {
        self.now < self.most
    }

    /// Settles what to begin a generation with.
    pub fn begin(&mut self, crowd: &impl Crowd) {
        let mut others = crowd.others();
        for _ in 1..LOOKS {
            if others > 0 {
                std::thread::sleep(BETWEEN);
                others = others.min(crowd.others());
            }
        }
        let fitting = self.most.saturating_sub(others).max(1);
        if fitting < self.now || others == 0 && fitting > self.now {
            *self = Self { now: fitting, ..Self::new(self.most) };
        }
        self.look(crowd);
    }

    fn look(&mut self, crowd: &impl Crowd) {
        (self.waited, self.since) = (crowd.waited(), 0.0);
    }

    /// Takes in what one token took, in seconds.
    pub fn note(&mut self, seconds: f64, crowd: &impl Crowd) {
        self.sum += seconds;
        self.since += seconds;
        self.count += 1;
        let mean = self.sum / self.count as f64;
        match self.trial.take() {
            // It ends as soon as it cannot be won any more.
            Some(trial) if self.count == TRIAL || self.sum >= Self::lost(&trial) => self.judge(trial, mean),
            Some(trial) => {
                self.trial = Some(trial);
                return;
            }
            // Neither may a disturbance go on for a whole window: it can make a token a hundred times as slow.
            None if self.count == WINDOW || (self.usual > 0.0 && self.sum >= self.disturbed()) => {
                self.watch(mean, crowd)
            }
            None => return,
        }
        (self.sum, self.count) = (0.0, 0);
        if self.since >= LOOK {
            self.look(crowd);
        }
    }

    /// How long the next token may take. One that takes longer shows already that there are too many threads; it is better
    /// stopped, noted and decoded with fewer. `None` where there can be no fewer, or nothing to compare with.
    pub fn limit(&self) -> Option<Limit> {
        // What a trial has lost is lost whoever is to blame.
        let (most, waited) = self.trial.as_ref().map_or((self.disturbed(), self.waited), |t| (Self::lost(t), None));
        let after = || Duration::from_secs_f64((most - self.sum).max(0.0)) + Duration::from_micros(1);
        (self.now > 1 && most > 0.0).then(|| Limit { after: after(), before: self.since, waited })
    }

    /// Seconds that all tokens of a trial may take together, or it is lost.
    fn lost(trial: &Trial) -> f64 {
        trial.best.1 * BETTER * TRIAL as f64
    }

    /// Seconds that all tokens of a window may take together, or something else is running.
    fn disturbed(&self) -> f64 {
        self.usual * DISTURBED * WINDOW as f64
    }

    fn judge(&mut self, mut trial: Trial, mean: f64) {
        if mean < trial.best.1 * BETTER {
            trial.best = (self.now, mean);
        }
        if let Some(next) = trial.left.pop() {
            self.now = next;
            self.trial = Some(trial);
            return;
        }
        (self.now, self.usual) = trial.best;
        if self.now == trial.from {
            self.rest = self.patience;
            self.patience = (self.patience * 2).min(PATIENCE.1);
        } else {
            // Perhaps one more is better still.
            (self.rest, self.patience) = (1, PATIENCE.0);
        }
    }

    fn watch(&mut self, mean: f64, crowd: &impl Crowd) {
        let relieved = mean < self.usual * RELIEVED;
        if self.usual == 0.0 {
            (self.usual, self.rest) = (mean, self.patience);
        } else if mean > self.usual * DISTURBED && starved(self.waited, self.since, crowd) {
            return self.fewer(mean);
        } else if relieved {
            self.usual = mean;
        }
        self.usual += WEIGHT * (mean - self.usual);
        if self.now < self.most {
            // Tokens that grow faster mean little while no core is free: the first ones after a pause are slow.
            let free = crowd.others() + self.now < self.most;
            if free && relieved {
                (self.rest, self.patience) = (1, PATIENCE.0);
            }
            // One look is not enough: a program may have been between two of its tasks.
            let rest = if free { self.rest.min(2) } else { self.rest };
            self.rest = rest.saturating_sub(1);
            if self.rest == 0 {
                self.attempt(vec![(self.now + (self.now / 4).max(1)).min(self.most)]);
            }
        }
    }

    /// Tries halves of the threads in use, the largest first.
    fn fewer(&mut self, mean: f64) {
        self.usual = mean;
        (self.rest, self.patience) = (PATIENCE.0, PATIENCE.0);
        let halves = std::iter::successors(Some(self.now / 2), |n| Some(n / 2)).take_while(|&n| n > 0);
        let mut left: Vec<usize> = halves.collect();
        left.reverse();
        self.attempt(left);
    }

    fn attempt(&mut self, mut left: Vec<usize>) {
        let Some(next) = left.pop() else { return };
        self.trial = Some(Trial { from: self.now, best: (self.now, self.usual), left });
        self.now = next;
    }
}

#[cfg(test)]
mod tests {
    use std::cell::Cell;

    use super::*;

    /// So many others, beside whom this process waits for cores half of the time.
    struct Busy {
        others: usize,
        clock: Cell<f64>,
    }

    impl Busy {
        fn with(others: usize) -> Self {
            Self { others, clock: Cell::new(0.0) }
        }
    }

    impl Crowd for Busy {
        fn others(&self) -> usize {
            self.others
        }

        fn waited(&self) -> Option<Duration> {
            let share = if self.others > 0 { 0.5 } else { 0.0 };
            Some(Duration::from_secs_f64(share * self.clock.get()))
        }
    }

    /// Decodes `tokens`, each taking what `cost` says for the number of threads; returns how many were used for each.
    fn decode(threads: &mut Threads, tokens: usize, cost: impl Fn(usize) -> f64, others: usize) -> Vec<usize> {
        let crowd = Busy::with(others);
        threads.look(&crowd);
        let spend = |threads: &mut Threads, seconds: f64| {
            crowd.clock.set(crowd.clock.get() + seconds);
            threads.note(seconds, &crowd);
        };
        let one = |_| {
            while let Some(limit) = threads.limit()
                && cost(threads.now()) > limit.after.as_secs_f64()
                && (limit.waited.is_none() || others > 0)
            {
                spend(threads, limit.after.as_secs_f64());
            }
            let now = threads.now();
            spend(threads, cost(now));
            now
        };
        (0..tokens).map(one).collect()
    }

    /// As measured on two cores with the 1.5B: idle, and with two busy programs beside it.
    fn idle(threads: usize) -> f64 {
        [0.050, 0.029][threads - 1]
    }
    fn busy(threads: usize) -> f64 {
        [0.050, 0.125][threads - 1]
    }

    /// How fast that was, of the fastest fixed number.
    fn of_best(used: &[usize], most: usize, cost: impl Fn(usize) -> f64) -> f64 {
        let best = (1..=most).map(&cost).fold(f64::INFINITY, f64::min);
        best * used.len() as f64 / used.iter().map(|&n| cost(n)).sum::<f64>()
    }

    #[test]
    fn nothing_is_tried_where_nothing_disturbs() {
        let used = decode(&mut Threads::new(2), 1000, |n| idle(n) * 1.0, 0);
        assert!(used.iter().all(|&n| n == 2));
    }

    #[test]
    fn a_growing_context_is_no_disturbance() {
        let mut threads = Threads::new(2);
        for depth in 0..200 {
            let used = decode(&mut threads, 50, |n| idle(n) * (1.0 + f64::from(depth) / 50.0), 0);
            assert!(used.iter().all(|&n| n == 2), "at {depth}");
        }
    }

    #[test]
    fn threads_go_and_come_back_with_other_programs() {
        let mut threads = Threads::new(2);
        decode(&mut threads, 100, idle, 0);
        let used = decode(&mut threads, 400, busy, 2);
        assert!(of_best(&used, 2, busy) > 0.9, "{used:?}");
        let used = decode(&mut threads, 400, idle, 0);
        assert!(of_best(&used, 2, idle) > 0.9, "{used:?}");
    }

    #[test]
    fn a_busy_machine_is_noticed_at_the_start() {
        let mut threads = Threads::new(2);
        threads.begin(&Busy::with(1));
        assert!(of_best(&decode(&mut threads, 400, busy, 1), 2, busy) > 0.95);
        threads.begin(&Busy::with(0));
        assert_eq!(threads.now(), 2);
    }

    #[test]
    fn a_token_that_hangs_is_not_waited_for() {
        let stuck = |n| if n == 1 { 0.055 } else { 3.0 };
        let mut threads = Threads::new(2);
        decode(&mut threads, 20, idle, 0);
        assert!(threads.limit().is_some_and(|limit| limit.after < Duration::from_millis(400)));
        assert!(decode(&mut threads, 200, stuck, 1).iter().all(|&n| n == 1));
        assert!(threads.limit().is_none());
    }

    #[test]
    fn a_slow_start_is_no_relief_while_no_core_is_free() {
        let mut threads = Threads::new(2);
        threads.begin(&Busy::with(1));
        decode(&mut threads, 8, |_| 0.080, 1);
        assert!(decode(&mut threads, 400, busy, 1).iter().all(|&n| n == 1));
    }

    #[test]
    fn a_slower_machine_with_which_fewer_threads_do_not_help_keeps_them() {
        let mut threads = Threads::new(2);
        decode(&mut threads, 100, idle, 0);
        let slow = |n| idle(n) * 2.0;
        // Nobody waits for a core: not even a try.
        assert!(decode(&mut threads, 1000, slow, 0).iter().all(|&n| n == 2));
        decode(&mut threads, 100, idle, 0);
        let used = decode(&mut threads, 1000, slow, 1);
        assert!(of_best(&used, 2, slow) > 0.98, "{used:?}");
    }

    #[test]
    fn many_cores_are_left_in_few_steps() {
        let mut threads = Threads::new(16);
        decode(&mut threads, 64, |n| 1.0 / n as f64, 0);
        // Of 16 cores others take 10.
        let crowd = |n| if n <= 6 { 1.0 / n as f64 } else { 1.0 };
        decode(&mut threads, 100, crowd, 10);
        let used = decode(&mut threads, 400, crowd, 10);
        assert!(of_best(&used, 16, crowd) > 0.8, "{used:?}");
    }
}
