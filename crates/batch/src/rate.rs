//! How often may be called: token buckets.

use std::num::NonZeroU32;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use governor::middleware::StateInformationMiddleware;
use governor::state::{InMemoryState, NotKeyed};
use governor::{Quota, RateLimiter};
use tokio::sync::MutexGuard;

use crate::clock::Clock;

/// So many calls in so long. In any time `t` there are at most `burst + t × count / per`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Rate {
    /// How many. 0 counts as 1.
    pub count: u32,
    /// In how long.
    pub per: Duration,
    /// How many at once, after a time without calls. 0 counts as 1.
    pub burst: u32,
}

impl Rate {
    /// So many in a second, one by one.
    #[must_use]
    pub const fn per_second(count: u32) -> Self {
        Self { count, per: Duration::from_secs(1), burst: 1 }
    }

    /// So many in a minute, one by one.
    #[must_use]
    pub const fn per_minute(count: u32) -> Self {
        Self { count, per: Duration::from_mins(1), burst: 1 }
    }

    /// So many in an hour, one by one.
    #[must_use]
    pub const fn per_hour(count: u32) -> Self {
        Self { count, per: Duration::from_hours(1), burst: 1 }
    }

    /// So many in a day, one by one.
    #[must_use]
    pub const fn per_day(count: u32) -> Self {
        Self { count, per: Duration::from_hours(24), burst: 1 }
    }

    /// How many at once, after a time without calls.
    #[must_use]
    pub const fn burst(self, burst: u32) -> Self {
        Self { burst, ..self }
    }

    /// The time between two calls.
    fn interval(&self) -> Duration {
        // Rounded up: a bucket that fills too fast is the one that gets us banned.
        let nanoseconds = self.per.as_nanos().div_ceil(u128::from(self.count.max(1)));
        Duration::from_nanos(u64::try_from(nanoseconds).unwrap_or(u64::MAX).max(1))
    }
}

type Limiter = RateLimiter<NotKeyed, InMemoryState, Clock, StateInformationMiddleware>;

/// A bucket, and the queue before it.
#[derive(Debug)]
pub(crate) struct Bucket {
    rate: Rate,
    limiter: Limiter,
    clock: Clock,
    /// Who comes first is served first, and one alone has a timer.
    queue: tokio::sync::Mutex<()>,
    /// Tokens that were left, and when.
    left: Mutex<(u32, Duration)>,
}

impl Bucket {
    pub(crate) fn new(rate: Rate, clock: &Clock) -> Self {
        let burst = NonZeroU32::new(rate.burst).unwrap_or(NonZeroU32::MIN);
        let quota = Quota::with_period(rate.interval())
            .expect("an interval is never zero")
            .allow_burst(burst);
        let limiter = RateLimiter::direct_with_clock(quota, clock.clone());
        Self {
            rate,
            limiter: limiter.with_middleware(),
            clock: clock.clone(),
            queue: tokio::sync::Mutex::default(),
            left: Mutex::new((burst.get(), clock.now())),
        }
    }

    /// Waits for a token and takes it. Nobody else gets one before the turn is dropped.
    pub(crate) async fn take(&self) -> MutexGuard<'_, ()> {
        let turn = self.queue.lock().await;
        loop {
            match self.limiter.check() {
                Ok(snapshot) => {
                    let left = (snapshot.remaining_burst_capacity(), self.clock.now());
                    *self.left.lock().unwrap_or_else(PoisonError::into_inner) = left;
                    return turn;
                }
                Err(refused) => self.clock.wait(refused.wait_time_from(self.clock.now())).await,
            }
        }
    }

    /// How many tokens there are.
    pub(crate) fn left(&self) -> u32 {
        let (left, at) = *self.left.lock().unwrap_or_else(PoisonError::into_inner);
        let since = self.clock.now().saturating_sub(at).as_nanos();
        let grown = since / self.rate.interval().as_nanos();
        left.saturating_add(u32::try_from(grown).unwrap_or(u32::MAX)).min(self.rate.burst.max(1))
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::{Bucket, Rate};
    use crate::clock::Clock;

    #[test]
    fn a_burst_is_there_at_once_and_then_one_by_one() {
        let clock = Clock::manual();
        let bucket = Bucket::new(Rate::per_minute(60).burst(3), &clock);
        let mut moments = Vec::new();
        clock.run(async {
            for _ in 0..6 {
                drop(bucket.take().await);
                moments.push(clock.now().as_secs());
            }
        });
        assert_eq!(moments, [0, 0, 0, 1, 2, 3]);
        assert_eq!(bucket.left(), 0);
        clock.advance(Duration::from_millis(2_500));
        assert_eq!(bucket.left(), 2);
        clock.advance(Duration::from_hours(1));
        assert_eq!(bucket.left(), 3);
    }

    #[test]
    fn a_rate_is_so_many_in_so_long() {
        let seconds = Duration::from_secs;
        for (rate, interval) in [
            (Rate::per_second(4), Duration::from_millis(250)),
            (Rate::per_minute(4), seconds(15)),
            (Rate::per_hour(4), seconds(900)),
            (Rate::per_day(4), seconds(21_600)),
        ] {
            assert_eq!((rate.interval(), rate.burst, rate.burst(9).burst), (interval, 1, 9));
        }
    }

    #[test]
    fn a_rate_that_does_not_divide_is_rounded_to_the_safe_side() {
        let rate = Rate::per_second(3);
        assert!(rate.interval() * 3 > Duration::from_secs(1));
        assert_eq!(Rate { count: 0, per: Duration::ZERO, burst: 0 }.interval().as_nanos(), 1);
    }
}
