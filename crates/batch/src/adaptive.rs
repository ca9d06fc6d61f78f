//! How many at once: as many as come back without waiting for each other.

use std::time::Duration;

/// Rounds after which latency without a queue is measured anew: what was fast once may never be so
/// again, and a queue of our own must not pass for the other side's speed.
const REMEASURE: u32 = 50;
/// A round that is longer than the shortest by this is still no queue.
const TOLERANCE: f64 = 1.2;

/// A limit that follows latency by its gradient: calls are taken in rounds, each as long as the
/// limit; where a round was slower than the fastest one the limit shrinks in proportion, and each
/// round adds the root of it to see whether more goes. Failures of overload cut it by a third.
#[derive(Debug)]
pub(crate) struct Adaptive {
    max: f64,
    limit: f64,
    /// Mean latency of a round without a queue, in seconds.
    shortest: Option<f64>,
    rounds: u32,
    /// The limit to go on with after latency was measured anew.
    resume_at: Option<f64>,
    round: Round,
}

#[derive(Debug, Default)]
struct Round {
    calls: usize,
    measured: u32,
    seconds: f64,
    is_overload: bool,
}

impl Adaptive {
    pub(crate) fn new(max: usize) -> Self {
        let max = max.max(1) as f64;
        Self {
            max,
            limit: max.min(2.0),
            shortest: None,
            rounds: 0,
            resume_at: None,
            round: Round::default(),
        }
    }

    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "1 to max")]
    pub(crate) fn limit(&self) -> usize {
        self.limit as usize
    }

    /// A call has ended: what it took where it was answered, and whether it failed of overload.
    pub(crate) fn record(&mut self, latency: Option<Duration>, is_overload: bool) {
        self.round.calls += 1;
        self.round.is_overload |= is_overload;
        if let Some(latency) = latency {
            self.round.measured += 1;
            self.round.seconds += latency.as_secs_f64();
        }
        if self.round.calls >= self.limit() {
            let round = std::mem::take(&mut self.round);
            self.end(&round);
        }
    }

    fn end(&mut self, round: &Round) {
        self.rounds += 1;
        let mean = (round.measured > 0).then(|| round.seconds / f64::from(round.measured));
        let next = match (self.resume_at.take(), mean) {
            (Some(resume_at), _) => {
                // First those have to end that were begun under the limit before it.
                if self.rounds < 6 {
                    self.resume_at = Some(resume_at);
                    return;
                }
                self.shortest = mean;
                resume_at
            }
            (None, _) if round.is_overload => self.limit * 0.67,
            (None, None) => self.limit,
            (None, Some(mean)) => {
                let shortest = self.shortest.map_or(mean, |shortest| shortest.min(mean));
                self.shortest = Some(shortest);
                let gradient = (TOLERANCE * shortest / mean.max(f64::MIN_POSITIVE)).clamp(0.5, 1.0);
                self.limit * gradient + self.limit.sqrt()
            }
        };
        self.limit = next.clamp(1.0, self.max);
        if self.rounds >= REMEASURE {
            self.rounds = 0;
            self.resume_at = Some(self.limit);
            self.limit = (self.limit / 4.0).max(1.0);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::Adaptive;

    /// The limit after so many calls to a side that serves `capacity` at once in 100 ms.
    fn after(adaptive: &mut Adaptive, calls: usize, capacity: usize) -> usize {
        let mut highest = 0;
        for _ in 0..calls {
            let queued = adaptive.limit() as f64 / capacity as f64;
            adaptive.record(Some(Duration::from_millis(100).mul_f64(queued.max(1.0))), false);
            highest = adaptive.limit().max(highest);
        }
        highest
    }

    #[test]
    fn it_is_free_where_latency_does_not_grow_and_falls_where_calls_fail_of_overload() {
        let mut adaptive = Adaptive::new(64);
        assert_eq!(after(&mut adaptive, 1_000, 1_000), 64);
        (0..400).for_each(|_| adaptive.record(None, true));
        assert_eq!(adaptive.limit(), 1);
    }

    /// A round of as many calls as the limit is, which fail of overload or take so many milliseconds.
    fn round(adaptive: &mut Adaptive, took_ms: Option<u64>, is_overload: bool) {
        for _ in 0..adaptive.limit() {
            adaptive.record(took_ms.map(Duration::from_millis), is_overload);
        }
    }

    #[test]
    fn each_round_moves_the_limit_by_what_it_took() {
        let mut adaptive = Adaptive::new(64);
        assert_eq!(adaptive.limit(), 2);
        for (took_ms, is_overload, limit) in [
            // Without a queue it grows by its root.
            (Some(100), false, 3.414),
            (Some(120), false, 5.262),
            // Twice as long as the shortest is 0.6 of it and its root, and nothing is below the half.
            (Some(200), false, 5.451),
            (Some(4_000), false, 5.060),
            // Nothing is known of a round without an answer, but where it failed of overload.
            (None, false, 5.060),
            (None, true, 3.390),
            (Some(100), true, 2.271),
            // A shorter one is the shortest from now on.
            (Some(50), false, 3.779),
            (Some(100), false, 4.211),
        ] {
            round(&mut adaptive, took_ms, is_overload);
            assert!((adaptive.limit - limit).abs() < 0.001, "{took_ms:?}: {}", adaptive.limit);
        }
    }

    #[test]
    fn a_round_takes_its_mean_and_one_that_fails_of_overload_is_enough() {
        let mut adaptive = Adaptive::new(64);
        round(&mut adaptive, Some(100), false);
        let millis = |ms| Some(Duration::from_millis(ms));
        [millis(100), millis(300), None].into_iter().for_each(|took| adaptive.record(took, false));
        assert!((adaptive.limit - 3.896).abs() < 0.001, "{}", adaptive.limit);
        let record = |is_overload| adaptive.record(millis(100), is_overload);
        [true, false, false].into_iter().for_each(record);
        assert!((adaptive.limit - 2.610).abs() < 0.001, "{}", adaptive.limit);
    }

    #[test]
    fn after_fifty_rounds_six_at_a_quarter_tell_what_a_call_takes_now() {
        let mut adaptive = Adaptive::new(64);
        (0..49).for_each(|_| round(&mut adaptive, Some(100), false));
        assert_eq!(adaptive.limit(), 64);
        round(&mut adaptive, Some(100), false);
        (0..5).for_each(|_| {
            assert_eq!(adaptive.limit(), 16);
            round(&mut adaptive, Some(100), true);
        });
        assert_eq!(adaptive.limit(), 16);
        round(&mut adaptive, Some(300), false);
        assert_eq!(adaptive.limit(), 64);
        round(&mut adaptive, Some(300), false);
        assert_eq!(adaptive.limit(), 64);
    }

    #[test]
    fn a_side_that_gets_slower_whatever_we_do_is_measured_anew() {
        let mut adaptive = Adaptive::new(64);
        after(&mut adaptive, 1_000, 1_000);
        (0..5_000).for_each(|_| adaptive.record(Some(Duration::from_secs(1)), false));
        assert!(adaptive.limit() >= 16, "{}", adaptive.limit());
    }
}
