//! Where the time comes from: one that only moves on, for durations and windows, and that of the
//! day, for labels alone.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

/// Where a monitor takes the time from.
#[derive(Debug, Clone)]
pub struct Clock(Source);

#[derive(Debug, Clone)]
enum Source {
    Machine(Instant),
    Manual(Arc<Manual>),
}

#[derive(Debug, Default)]
struct Manual {
    nanoseconds: AtomicU64,
    unix_ms: AtomicU64,
}

impl Clock {
    /// The time of the machine.
    #[must_use]
    pub fn system() -> Self {
        Self(Source::Machine(Instant::now()))
    }

    /// A time that stands still until [`Clock::advance`], for tests.
    #[must_use]
    pub fn manual() -> Self {
        Self(Source::Manual(Arc::default()))
    }

    /// Moves a manual clock on. The machine's moves by itself.
    pub fn advance(&self, by: Duration) {
        if let Source::Manual(manual) = &self.0 {
            manual.nanoseconds.fetch_add(nanoseconds(by), Relaxed);
            manual.unix_ms.fetch_add(milliseconds(by), Relaxed);
        }
    }

    /// Sets a manual clock, backwards as well: what a broken machine does.
    pub fn step_to(&self, since_build: Duration) {
        if let Source::Manual(manual) = &self.0 {
            manual.nanoseconds.store(nanoseconds(since_build), Relaxed);
        }
    }

    /// Sets the time of the day of a manual clock, as an operator does.
    pub fn set_unix_ms(&self, unix_ms: u64) {
        if let Source::Manual(manual) = &self.0 {
            manual.unix_ms.store(unix_ms, Relaxed);
        }
    }

    /// Nanoseconds since the clock was built.
    #[inline]
    pub(crate) fn now(&self) -> u64 {
        match &self.0 {
            Source::Machine(began) => nanoseconds(began.elapsed()),
            Source::Manual(manual) => manual.nanoseconds.load(Relaxed),
        }
    }

    /// Milliseconds since 1970.
    pub(crate) fn unix_ms(&self) -> u64 {
        match &self.0 {
            Source::Machine(_) => {
                SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, milliseconds)
            }
            Source::Manual(manual) => manual.unix_ms.load(Relaxed),
        }
    }
}

/// A duration in whole nanoseconds; more than 584 years are as many.
#[inline]
pub(crate) fn nanoseconds(duration: Duration) -> u64 {
    u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX)
}

fn milliseconds(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}

/// The readings of a clock, made to go forward only. A step backwards is left out: time goes on
/// from the latest reading.
#[derive(Debug, Default)]
pub(crate) struct Timeline {
    latest: u64,
    left_out: u64,
}

impl Timeline {
    pub(crate) fn at(&mut self, reading: u64) -> u64 {
        self.left_out = self.left_out.saturating_add(self.latest.saturating_sub(reading));
        self.latest = reading;
        reading.saturating_add(self.left_out)
    }
}

#[cfg(test)]
mod tests {
    use super::Timeline;

    #[test]
    fn a_step_backwards_is_left_out() {
        let mut timeline = Timeline::default();
        let seen: Vec<u64> = [5, 9, 2, 3, 10].map(|reading| timeline.at(reading)).into();
        assert_eq!(seen, [5, 9, 9, 10, 17]);
    }
}
