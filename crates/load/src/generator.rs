//! What the generator measures of itself: whether it was what was slow.

use std::time::{Duration, Instant};

use serde::Serialize;

use crate::measured::Latency;

/// How the generator did.
#[derive(Debug, Clone, Default, Serialize)]
pub struct Generator {
    /// From when a request was to be sent to when it was given to the users.
    pub lateness: Latency,
    /// CPU time of the thread that sends, as a share of the time that passed; `None` where the system does not tell.
    pub busy: Option<f64>,
    /// The share of the time in which a thread that wanted to run was kept from it for longer than [`HELD_UP`].
    pub held_up: f64,
    seconds: f64,
}

/// Longer than a system that has a core to spare lets anybody wait.
const HELD_UP: Duration = Duration::from_millis(5);
const MOST_BUSY: f64 = 0.95;
const MOST_HELD_UP: f64 = 0.05;
/// What lateness may be of a p99, and below which it is nothing.
const MOST_LATE: f64 = 0.25;
const LATE_MS: f64 = 1.0;

impl Generator {
    pub(crate) fn new(
        lateness: Latency,
        (busy, held_up): (Option<Duration>, Duration),
        seconds: f64,
    ) -> Self {
        let share = |part: Duration| part.as_secs_f64() / seconds.max(f64::MIN_POSITIVE);
        Self { lateness, busy: busy.map(share), held_up: share(held_up), seconds }
    }

    pub(crate) fn merge(&mut self, other: &Self) {
        let seconds = self.seconds + other.seconds;
        let mean = |one: f64, two: f64| (one * self.seconds + two * other.seconds) / seconds;
        self.lateness.merge(&other.lateness);
        if seconds > 0.0 {
            self.busy = self.busy.zip(other.busy).map(|(one, two)| mean(one, two)).or(other.busy);
            self.held_up = mean(self.held_up, other.held_up);
        }
        self.seconds = seconds;
    }

    pub(crate) fn doubts(&self, latency: &Latency) -> Vec<String> {
        let mut doubts = vec![];
        let percent = |share: f64| share * 100.0;
        if let Some(busy) = self.busy.filter(|busy| *busy > MOST_BUSY) {
            doubts.push(format!(
                "the generator was busy {:.0} % of the time: the service may be faster than it asked",
                percent(busy)
            ));
        }
        if self.held_up > MOST_HELD_UP {
            doubts.push(format!(
                "the generator was kept from running {:.0} % of the time",
                percent(self.held_up)
            ));
        }
        let (late, p99) = (self.lateness.quantile_ms(0.99), latency.quantile_ms(0.99));
        if let (Some(late), Some(p99)) = (late, p99)
            && late > LATE_MS
            && late > p99 * MOST_LATE
        {
            doubts.push(format!(
                "requests were sent up to {late:.1} ms late (p99), which is much of the p99 of {p99:.1} ms"
            ));
        }
        doubts
    }
}

/// CPU time of this thread.
#[cfg(target_os = "linux")]
pub(crate) fn thread_cpu() -> Option<Duration> {
    let schedstat = std::fs::read_to_string("/proc/thread-self/schedstat").ok()?;
    schedstat.split(' ').next()?.parse().ok().map(Duration::from_nanos)
}

#[cfg(not(target_os = "linux"))]
pub(crate) fn thread_cpu() -> Option<Duration> {
    None
}

/// Wants to run every millisecond until `ends`, and adds up how long it was kept from it.
pub(crate) fn watch_the_clock(ends: impl Fn() -> bool) -> Duration {
    const TICK: Duration = Duration::from_millis(1);
    let mut held_up = Duration::ZERO;
    while !ends() {
        let began = Instant::now();
        std::thread::sleep(TICK);
        let over = began.elapsed().saturating_sub(TICK);
        if over > HELD_UP {
            held_up += over;
        }
    }
    held_up
}

#[cfg(test)]
mod tests {
    use super::*;

    fn latency(ms: &[u64]) -> Latency {
        let mut latency = Latency::default();
        ms.iter().for_each(|ms| latency.record(Duration::from_millis(*ms)));
        latency
    }

    fn doubts(late_ms: u64, busy_ms: u64, held_up_ms: u64, p99_ms: u64) -> usize {
        let cpu = (Some(Duration::from_millis(busy_ms)), Duration::from_millis(held_up_ms));
        Generator::new(latency(&[late_ms]), cpu, 1.0).doubts(&latency(&[p99_ms])).len()
    }

    #[test]
    fn a_run_is_doubted_for_each_way_in_which_the_generator_was_slow() {
        assert_eq!(doubts(0, 500, 10, 5), 0);
        assert_eq!(doubts(0, 990, 0, 5), 1, "busy");
        assert_eq!(doubts(0, 500, 100, 5), 1, "held up");
        assert_eq!(doubts(3, 500, 0, 5), 1, "late");
        assert_eq!(doubts(3, 500, 0, 50), 0, "late, which does not show");
        assert_eq!(doubts(40, 990, 900, 50), 3);
    }

    #[test]
    fn runs_are_merged_by_their_length() {
        let of = |busy_ms, seconds| {
            let cpu = (Some(Duration::from_millis(busy_ms)), Duration::ZERO);
            Generator::new(latency(&[1]), cpu, seconds)
        };
        let mut merged = Generator::default();
        merged.merge(&of(500, 1.0));
        merged.merge(&of(300, 3.0));
        let busy = merged.busy.unwrap();
        assert!((busy - 0.2).abs() < 1e-9, "{busy}");
        assert_eq!(merged.lateness.count(), 2);
    }
}
