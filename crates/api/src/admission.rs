//! Admission control: where a process has had too many of sellers' requests under way for a while, others are refused at once.
//!
//! What waits, waits inside: for a thread, for a connection, for another's load. So all that is under way is counted, and not who
//! waits for one of these. A burst is waited out; a crowd that stays is not, as every one of it would wait for all the others.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering::Relaxed};
use std::thread::available_parallelism;
use std::time::{Duration, Instant};

/// Sellers' requests that are under way in this process.
pub(crate) struct Admission {
    /// Fewer may be under way for as long as they like.
    crowd: usize,
    under_way: AtomicUsize,
    /// Since when there has been a crowd, in milliseconds since `began`; `NEVER` where there is none.
    crowded_since: AtomicU64,
    /// Until when all but a few are refused, likewise; 0 where nobody is.
    refuses_until: AtomicU64,
    began: Instant,
}

/// A request that is under way, until it is dropped.
pub(crate) struct Place(Arc<Admission>);

/// As many for each core are a crowd.
const PER_CORE: usize = 128;
/// On a small machine, too: two hundred users may all ask at the same time, for ever.
const LEAST: usize = 256;
/// For so long there may be more of them.
const BURST: Duration = Duration::from_millis(250);
/// But not more than so many times as many.
const BURST_TIMES: usize = 4;
/// Once one was refused, only this part of a crowd may be under way for [`REFUSES`]: who is let in then is answered soon. A page that is
/// in no cache takes 0.5 to 1 ms of a core.
const CROWDED_PART: usize = 4;
/// A load that stays would be let in for a burst each time that few are left. Nor is it for ever: who asks again at once would keep those
/// few places taken, also where all of them could be served.
const REFUSES: Duration = Duration::from_secs(5);
const NEVER: u64 = u64::MAX;

impl Default for Admission {
    fn default() -> Self {
        let cores = available_parallelism().map_or(1, usize::from);
        Self::new(LEAST.max(PER_CORE * cores))
    }
}

impl Admission {
    fn new(crowd: usize) -> Self {
        Self {
            crowd,
            under_way: AtomicUsize::new(0),
            crowded_since: AtomicU64::new(NEVER),
            refuses_until: AtomicU64::new(0),
            began: Instant::now(),
        }
    }

    /// Notes that a request is under way. It is for the caller to have asked [`Admission::is_full`].
    pub(crate) fn enter(self: &Arc<Self>) -> Place {
        self.enter_at(self.began.elapsed())
    }

    /// Whether one more is to be refused.
    pub(crate) fn is_full(&self) -> bool {
        // Most of the time there is nothing to look at a clock for.
        self.is_crowded() && self.is_full_at(self.began.elapsed())
    }

    fn is_crowded(&self) -> bool {
        self.crowded_since.load(Relaxed) != NEVER
    }

    fn enter_at(self: &Arc<Self>, now: Duration) -> Place {
        let before = self.under_way.fetch_add(1, Relaxed);
        if before + 1 >= self.crowd && !self.is_crowded() {
            self.crowded_since.store(milliseconds(now), Relaxed);
        }
        Place(Arc::clone(self))
    }

    fn is_full_at(&self, now: Duration) -> bool {
        let (now, under_way) = (milliseconds(now), self.under_way.load(Relaxed));
        let has_few = under_way < self.crowd / CROWDED_PART;
        match self.refuses_until.load(Relaxed) {
            0 => {}
            until if now < until => return !has_few,
            _ => {
                self.refuses_until.store(0, Relaxed);
                self.crowded_since.store(NEVER, Relaxed);
                return false;
            }
        }
        let crowded_for = now.saturating_sub(self.crowded_since.load(Relaxed));
        let is_too_long = crowded_for > milliseconds(BURST) && !has_few;
        let is_full = is_too_long || under_way >= self.crowd * BURST_TIMES;
        if is_full {
            self.refuses_until.store(now + milliseconds(REFUSES), Relaxed);
        }
        is_full
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let Self(admission) = self;
        let left = admission.under_way.fetch_sub(1, Relaxed) - 1;
        if left < admission.crowd / CROWDED_PART
            && admission.is_crowded()
            && admission.refuses_until.load(Relaxed) == 0
        {
            admission.crowded_since.store(NEVER, Relaxed);
        }
    }
}

fn milliseconds(time: Duration) -> u64 {
    u64::try_from(time.as_millis()).unwrap_or(NEVER)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(ms: u64) -> Duration {
        Duration::from_millis(ms)
    }

    fn enter(admission: &Arc<Admission>, count: usize, ms: u64) -> Vec<Place> {
        (0..count).map(|_| admission.enter_at(at(ms))).collect()
    }

    #[test]
    fn a_burst_is_waited_out() {
        let admission = Arc::new(Admission::new(16));
        let mut places = enter(&admission, 63, 5);
        assert!(!admission.is_full_at(at(255)));
        places.truncate(4);
        assert!(!admission.is_full_at(at(255)));
        places.truncate(3);
        assert!(!admission.is_crowded(), "a quarter of a crowd is none");
        places.extend(enter(&admission, 60, 9_000));
        assert!(!admission.is_full_at(at(9_250)), "the next one");
    }

    #[test]
    fn a_crowd_that_stays_is_not_joined_by_more_than_a_few_and_not_for_ever() {
        let admission = Arc::new(Admission::new(16));
        let mut places = enter(&admission, 63, 5);
        assert!(admission.is_full_at(at(256)), "for too long");
        places.truncate(4);
        assert!(admission.is_full_at(at(257)));
        places.truncate(3);
        assert!(!admission.is_full_at(at(257)), "a quarter of as many");
        places.clear();
        places.extend(enter(&admission, 4, 300));
        assert!(
            admission.is_full_at(at(5_255)),
            "there were few for a moment: that is no end of it"
        );
        assert!(!admission.is_full_at(at(5_256)));
        places.extend(enter(&admission, 11, 5_256));
        assert!(!admission.is_full_at(at(9_000)), "who is no crowd stays as long as he likes");
        places.extend(enter(&admission, 1, 9_000));
        assert!(!admission.is_full_at(at(9_250)) && admission.is_full_at(at(9_251)));
        drop(places);
        assert_eq!(admission.under_way.load(Relaxed), 0);
    }

    #[test]
    fn a_burst_may_be_too_large_however_short() {
        let admission = Arc::new(Admission::new(16));
        let mut places = enter(&admission, 64, 5);
        assert!(admission.is_full_at(at(6)));
        places.truncate(4);
        assert!(admission.is_full_at(at(7)), "others are refused now");
    }

    #[test]
    fn two_hundred_users_are_never_too_many() {
        let admission = Arc::new(Admission::default());
        let mut places = enter(&admission, 200, 0);
        assert!(!admission.is_full_at(at(3_600_000)));
        places.extend(enter(&admission, 9_000, 3_600_000));
        assert!(admission.is_full_at(at(3_600_000)));
        places.truncate(200);
        assert!(!admission.is_full_at(at(3_605_000)), "nor after others were");
    }
}
