//! Moments, the days of Korea, and where the time comes from.

use std::ops::{Add, Sub};
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering::Relaxed};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use chrono::{DateTime, FixedOffset};
use serde::{Deserialize, Serialize};

const KOREA_MS: i64 = 9 * 60 * 60 * 1_000;
/// Milliseconds of a day.
pub(crate) const DAY_MS: i64 = 24 * 60 * 60 * 1_000;

/// A moment, in milliseconds since 1970.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Time(i64);

impl Time {
    /// Milliseconds since 1970.
    #[must_use]
    pub const fn from_unix_ms(unix_ms: i64) -> Self {
        Self(unix_ms)
    }

    /// Milliseconds since 1970.
    #[must_use]
    pub const fn unix_ms(self) -> i64 {
        self.0
    }

    /// Whole seconds since 1970.
    #[must_use]
    pub const fn unix_seconds(self) -> i64 {
        self.0.div_euclid(1_000)
    }

    /// What has passed since an earlier moment; nothing where it is later.
    #[must_use]
    pub fn since(self, earlier: Self) -> Duration {
        Duration::from_millis(u64::try_from(self.0.saturating_sub(earlier.0)).unwrap_or(0))
    }

    /// The number of the day in Korea, counted from 1970.
    #[must_use]
    pub const fn korean_day(self) -> i64 {
        self.0.saturating_add(KOREA_MS).div_euclid(DAY_MS)
    }

    /// The first moment of a day in Korea, counted from 1970.
    #[must_use]
    pub const fn start_of_korean_day(day: i64) -> Self {
        Self(day.saturating_mul(DAY_MS).saturating_sub(KOREA_MS))
    }

    /// `2026-11-23 09:00:01`, as the clocks in Korea show it.
    #[must_use]
    pub fn korean_text(self) -> String {
        self.in_korea().format("%Y-%m-%d %H:%M:%S").to_string()
    }

    /// `2026-11-23`, the day in Korea.
    #[must_use]
    pub fn korean_date(self) -> String {
        self.in_korea().format("%Y-%m-%d").to_string()
    }

    fn in_korea(self) -> DateTime<FixedOffset> {
        let offset = FixedOffset::east_opt(9 * 60 * 60).expect("nine hours are less than a day");
        DateTime::from_timestamp_millis(self.0).unwrap_or_default().with_timezone(&offset)
    }
}

impl Add<Duration> for Time {
    type Output = Self;

    fn add(self, by: Duration) -> Self {
        Self(self.0.saturating_add(milliseconds(by)))
    }
}

impl Sub<Duration> for Time {
    type Output = Self;

    fn sub(self, by: Duration) -> Self {
        Self(self.0.saturating_sub(milliseconds(by)))
    }
}

fn milliseconds(duration: Duration) -> i64 {
    i64::try_from(duration.as_millis()).unwrap_or(i64::MAX)
}

/// Where the time comes from. Clones show the same time.
#[derive(Debug, Clone)]
pub struct Clock(Arc<Source>);

#[derive(Debug)]
enum Source {
    /// That of the machine, put forward or back by so much.
    Machine(AtomicI64),
    Manual(AtomicI64),
}

impl Clock {
    /// Where [`Clock::manual`] begins: 09:00 in Korea on 2026-11-23.
    pub const BEGINNING: Time = Time::from_unix_ms(1_795_392_000_000);

    /// The time of the machine.
    #[must_use]
    pub fn system() -> Self {
        Self(Arc::new(Source::Machine(AtomicI64::new(0))))
    }

    /// A time that stands still until it is moved, from [`Clock::BEGINNING`].
    #[must_use]
    pub fn manual() -> Self {
        Self(Arc::new(Source::Manual(AtomicI64::new(Self::BEGINNING.unix_ms()))))
    }

    /// What it shows now.
    #[must_use]
    pub fn now(&self) -> Time {
        match &*self.0 {
            Source::Machine(ahead) => Time(machine().saturating_add(ahead.load(Relaxed))),
            Source::Manual(unix_ms) => Time(unix_ms.load(Relaxed)),
        }
    }

    /// Puts it forward. The machine's goes on from there by itself.
    pub fn advance(&self, by: Duration) {
        let (Source::Machine(moved) | Source::Manual(moved)) = &*self.0;
        moved.fetch_add(milliseconds(by), Relaxed);
    }

    /// Sets it, backwards as well.
    pub fn set(&self, to: Time) {
        match &*self.0 {
            Source::Machine(ahead) => ahead.store(to.0.saturating_sub(machine()), Relaxed),
            Source::Manual(unix_ms) => unix_ms.store(to.0, Relaxed),
        }
    }
}

fn machine() -> i64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, milliseconds)
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::{Clock, Time};

    #[test]
    fn a_day_begins_at_midnight_in_korea() {
        let last = Time::from_unix_ms(1_795_359_599_999);
        assert_eq!(last.korean_text(), "2026-11-22 23:59:59");
        let next = last + Duration::from_millis(1);
        assert_eq!(next.korean_date(), "2026-11-23");
        assert_eq!(next.korean_day(), last.korean_day() + 1);
        assert_eq!(Time::start_of_korean_day(next.korean_day()), next);
    }

    #[test]
    fn a_clock_of_the_machine_goes_on_from_where_it_is_set() {
        let clock = Clock::system();
        clock.set(Clock::BEGINNING);
        clock.advance(Duration::from_hours(24));
        let passed = clock.now().since(Clock::BEGINNING);
        assert!((Duration::from_hours(24)..Duration::from_hours(25)).contains(&passed));
    }
}
