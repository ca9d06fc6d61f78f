//! How it is measured: contestants take turns, each turn is timed by the CPU time of its thread, and a
//! figure is the median of the ratios of turns that stood next to each other. A machine that is busy with
//! something else slows both sides of a ratio, and takes no CPU time from either.

use std::time::Duration;

use rustix::time::{ClockId, clock_gettime};

/// CPU time that this thread has used.
pub(crate) fn cpu_time() -> Duration {
    let now = clock_gettime(ClockId::ThreadCPUTime);
    let seconds = u64::try_from(now.tv_sec).expect("CPU time is not negative");
    let nanoseconds = u32::try_from(now.tv_nsec).expect("less than a second");
    Duration::new(seconds, nanoseconds)
}

/// What `turn` costs its thread.
pub(crate) fn cpu_time_of(turn: impl FnOnce()) -> f64 {
    let began = cpu_time();
    turn();
    (cpu_time() - began).as_secs_f64()
}

/// A middle value, and how far the values around it lie apart.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Spread {
    pub(crate) low: f64,
    pub(crate) median: f64,
    pub(crate) high: f64,
}

impl Spread {
    /// The median and the quartiles.
    pub(crate) fn of(mut values: Vec<f64>) -> Self {
        values.sort_by(f64::total_cmp);
        let at = |quarter: usize| values[(values.len() - 1) * quarter / 4];
        Self { low: at(1), median: at(2), high: at(3) }
    }

    /// Of `a / b`, turn by turn.
    pub(crate) fn of_ratios(a: &[f64], b: &[f64]) -> Self {
        Self::of(a.iter().zip(b).map(|(a, b)| a / b).collect())
    }

    pub(crate) fn exactly(value: f64) -> Self {
        Self { low: value, median: value, high: value }
    }
}

/// Random numbers, the same in every run (`SplitMix64`).
#[derive(Debug)]
pub(crate) struct Random(pub(crate) u64);

impl Random {
    pub(crate) fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        z ^ (z >> 31)
    }

    pub(crate) fn below(&mut self, end: u64) -> u64 {
        self.next() % end
    }

    /// From 0 to 1.
    pub(crate) fn share(&mut self) -> f64 {
        #[expect(clippy::cast_precision_loss, reason = "53 bits fit")]
        let share = (self.next() >> 11) as f64 / (1_u64 << 53) as f64;
        share
    }
}

/// Ranks by Zipf's law (J. Gray et al., "Quickly generating billion-record synthetic databases").
pub(crate) struct Zipf {
    keys: f64,
    theta: f64,
    alpha: f64,
    zeta: f64,
    eta: f64,
}

impl Zipf {
    pub(crate) fn new(keys: u64, theta: f64) -> Self {
        #[expect(clippy::cast_precision_loss, reason = "a few million")]
        let zeta = |keys: u64| (1..=keys).map(|rank| (rank as f64).powf(-theta)).sum::<f64>();
        let all = zeta(keys);
        #[expect(clippy::cast_precision_loss, reason = "a few million")]
        let keys = keys as f64;
        let eta = (1.0 - (2.0 / keys).powf(1.0 - theta)) / (1.0 - zeta(2) / all);
        Self { keys, theta, alpha: 1.0 / (1.0 - theta), zeta: all, eta }
    }

    /// From 0, the most popular one.
    pub(crate) fn rank(&self, random: &mut Random) -> u64 {
        let share = random.share();
        let at = share * self.zeta;
        if at < 1.0 {
            return 0;
        }
        if at < 1.0 + 0.5_f64.powf(self.theta) {
            return 1;
        }
        let rank = self.keys * (self.eta * share - self.eta + 1.0).powf(self.alpha);
        #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "0 to keys")]
        let rank = rank.min(self.keys - 1.0) as u64;
        rank
    }
}
