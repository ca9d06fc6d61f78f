//! Until when the two levels may be used without asking the source.
//!
//! No wall clock is compared with another. A process asks Redis what time it is *there*, and up to which
//! time *there* everything was reported; between two answers it counts on with its own monotonic clock.

use std::sync::atomic::Ordering::{Acquire, SeqCst};
use std::time::Duration;

use crate::clock::milliseconds;
use crate::sync::AtomicU64;

/// A moment to vouch for: what was written before it has been reported.
#[derive(Debug, Clone, Copy)]
pub struct Moment {
    /// On this process's clock, in milliseconds.
    pub(crate) here: u64,
    /// On Redis's clock, in milliseconds.
    pub(crate) shared: Option<u64>,
}

impl Moment {
    /// So much earlier.
    #[must_use]
    pub fn earlier(self, by: Duration) -> Self {
        let by = milliseconds(by);
        let shared = self.shared.map(|shared| shared.saturating_sub(by));
        Self { here: self.here.saturating_sub(by), shared }
    }
}

/// Until when, in milliseconds of this process's clock.
#[derive(Debug)]
pub(crate) struct Trust {
    l1_until: AtomicU64,
    l2_until: AtomicU64,
    /// How far Redis's clock is ahead of this process's, at most; 0 where that is not known.
    ahead: AtomicU64,
    max_staleness: u64,
}

/// What one answer of Redis tells about how far this process has heard.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Coverage {
    /// When it was asked, on this process's clock.
    pub(crate) asked: u64,
    /// What time it was there when it answered.
    pub(crate) answered: u64,
    /// Up to when, there, everything was reported; and all that was reported has been followed here.
    pub(crate) covered: u64,
}

impl Trust {
    pub(crate) fn always() -> Self {
        Self {
            l1_until: AtomicU64::new(u64::MAX),
            l2_until: AtomicU64::new(0),
            ahead: AtomicU64::new(0),
            max_staleness: u64::MAX,
        }
    }

    pub(crate) fn until_vouched(max_staleness: u64) -> Self {
        let never = || AtomicU64::new(0);
        Self { l1_until: never(), l2_until: never(), ahead: never(), max_staleness }
    }

    /// To be asked before what is held is looked at: the trust may come back at any moment, by word that what
    /// was looked at is wrong.
    #[inline]
    pub(crate) fn is_l1_trusted(&self, now: u64) -> bool {
        now < self.l1_until.load(Acquire)
    }

    /// Whether what was begun then is, for whoever asks now, no older than it may be.
    pub(crate) fn is_recent(&self, began: u64, now: u64) -> bool {
        now.saturating_sub(began) <= self.max_staleness || self.is_l1_trusted(now)
    }

    pub(crate) fn is_l2_trusted(&self, now: u64) -> bool {
        now < self.l2_until.load(SeqCst)
    }

    pub(crate) fn vouch_l1(&self, here: u64) {
        self.l1_until.fetch_max(here.saturating_add(self.max_staleness), SeqCst);
    }

    /// At any later moment `x` of this process, it is at most `answered + (x − asked)` there, because it was
    /// not yet answered when it was asked.
    pub(crate) fn cover(&self, coverage: Coverage) {
        // What is said of the future was said by another clock, or before this one was set back.
        let Some(behind) = coverage.answered.checked_sub(coverage.covered) else { return };
        let until = coverage.asked.saturating_add(self.max_staleness).saturating_sub(behind);
        self.l1_until.fetch_max(until, SeqCst);
        self.l2_until.fetch_max(until, SeqCst);
    }

    /// Notes an answer of Redis's clock.
    pub(crate) fn knows_time(&self, asked: u64, answered: u64) {
        self.ahead.store(answered.saturating_sub(asked), SeqCst);
    }

    /// What time it is in Redis, at the latest.
    pub(crate) fn shared_now(&self, here: u64) -> Option<u64> {
        match self.ahead.load(SeqCst) {
            0 => None,
            ahead => Some(here + ahead),
        }
    }
}

#[cfg(all(test, not(feature = "shuttle")))]
mod tests {
    use super::*;

    #[test]
    fn a_late_answer_and_a_late_report_both_shorten_the_trust() {
        let trust = Trust::until_vouched(2_000);
        trust.cover(Coverage { asked: 10_000, answered: 500_000, covered: 499_700 });
        assert!(trust.is_l1_trusted(11_699) && trust.is_l2_trusted(11_699));
        assert!(!trust.is_l1_trusted(11_700));
        trust.cover(Coverage { asked: 11_000, answered: 501_900, covered: 499_900 });
        assert!(!trust.is_l1_trusted(11_700), "the report is as old as the bound");
        trust.vouch_l1(11_000);
        assert!(trust.is_l1_trusted(12_999) && !trust.is_l2_trusted(12_999));
    }

    #[test]
    fn what_was_vouched_for_by_a_clock_that_was_set_back_since_is_not_believed() {
        let trust = Trust::until_vouched(2_000);
        trust.cover(Coverage { asked: 10_000, answered: 500_000, covered: 4_100_000 });
        assert!(!trust.is_l1_trusted(10_001) && !trust.is_l2_trusted(10_001));
    }

    #[test]
    fn a_process_alone_trusts_itself_and_no_redis() {
        let trust = Trust::always();
        assert!(trust.is_l1_trusted(u64::MAX - 1) && !trust.is_l2_trusted(0));
        assert!(trust.is_recent(0, u64::MAX));
    }

    #[test]
    fn what_was_begun_within_the_bound_is_recent_and_whatever_is_trusted() {
        let trust = Trust::until_vouched(2_000);
        assert!(trust.is_recent(10_000, 12_000) && !trust.is_recent(10_000, 12_001));
        trust.vouch_l1(12_000);
        assert!(trust.is_recent(10_000, 12_001) && trust.is_recent(0, 13_999));
        assert!(!trust.is_recent(0, 14_000));
    }

    #[test]
    fn time_in_redis_is_known_once_it_was_told() {
        let trust = Trust::until_vouched(2_000);
        assert_eq!(trust.shared_now(500), None);
        trust.knows_time(100, 5_100);
        assert_eq!(trust.shared_now(500), Some(5_500));
        trust.knows_time(100, 50);
        assert_eq!(trust.shared_now(500), None);
    }

    #[test]
    fn a_moment_may_be_put_earlier_on_both_clocks() {
        let moment = |here, shared| Moment { here, shared };
        let earlier = |of: Moment, by| {
            let Moment { here, shared } = of.earlier(Duration::from_millis(by));
            (here, shared)
        };
        assert_eq!(earlier(moment(1_000, Some(5_000)), 300), (700, Some(4_700)));
        assert_eq!(earlier(moment(1_000, Some(5_000)), 2_000), (0, Some(3_000)));
        assert_eq!(earlier(moment(1_000, None), 300), (700, None));
    }

    #[test]
    fn a_bound_of_forever_is_a_bound() {
        let trust = Trust::until_vouched(u64::MAX);
        trust.cover(Coverage { asked: 10_000, answered: 500_000, covered: 499_000 });
        assert!(trust.is_l1_trusted(1 << 60) && trust.is_l2_trusted(1 << 60));
    }
}
