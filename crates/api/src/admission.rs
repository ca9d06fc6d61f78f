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
    began: Instant,
}

/// A request that is under way, until it is dropped.
pub(crate) struct Place(Arc<Admission>);

/// As many for each core are a crowd. A page that is in no cache takes 0.5 to 1 ms of a core, PostgreSQL's part among it: who joins a crowd
/// waits for a tenth of a second. With fewer of them fewer were answered (`docs/performance.md`, "Overload").
const PER_CORE: usize = 128;
/// On a small machine, too: two hundred users may all ask at the same time, for ever.
const LEAST: usize = 256;
/// For so long there may be more of them; and again, once fewer than half of a crowd were left.
const BURST: Duration = Duration::from_millis(250);
/// But not more than so many times as many.
const BURST_TIMES: usize = 4;
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
        let (under_way, since) = (self.under_way.load(Relaxed), self.crowded_since.load(Relaxed));
        let is_burst = milliseconds(now).saturating_sub(since) <= milliseconds(BURST);
        under_way >= if is_burst { self.crowd * BURST_TIMES } else { self.crowd }
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let Self(admission) = self;
        let left = admission.under_way.fetch_sub(1, Relaxed) - 1;
        // Where others are refused, one less than a crowd for a moment is no end of it, and the next no burst.
        if left < admission.crowd / 2 && admission.is_crowded() {
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
    fn a_burst_is_waited_out_and_a_crowd_that_stays_is_not_joined() {
        let admission = Arc::new(Admission::new(16));
        let mut places = enter(&admission, 63, 5);
        assert!(!admission.is_full_at(at(5)) && !admission.is_full_at(at(255)));
        assert!(admission.is_full_at(at(256)), "for too long");
        places.extend(enter(&admission, 1, 6));
        assert!(admission.is_full_at(at(6)), "too many, however short");
        places.truncate(16);
        assert!(admission.is_full_at(at(9_000)));
        places.truncate(15);
        assert!(!admission.is_full_at(at(9_000)), "fewer than a crowd");
        places.extend(enter(&admission, 1, 9_000));
        assert!(
            admission.is_full_at(at(9_000)),
            "who takes the place of one that went makes no new burst"
        );
    }

    #[test]
    fn it_is_over_once_there_are_few() {
        let admission = Arc::new(Admission::new(16));
        let mut places = enter(&admission, 16, 0);
        places.truncate(8);
        assert!(admission.is_crowded());
        places.truncate(7);
        assert!(!admission.is_crowded());
        places.extend(enter(&admission, 8, 1_000));
        assert!(!admission.is_full_at(at(9_000)), "fewer than a crowd, however long");
        places.extend(enter(&admission, 1, 2_000));
        assert!(!admission.is_full_at(at(2_250)), "a burst of its own");
        assert!(admission.is_full_at(at(2_251)));
        drop(places);
        assert_eq!(admission.under_way.load(Relaxed), 0);
    }

    #[test]
    fn two_hundred_users_are_never_too_many() {
        assert!(Admission::default().crowd >= LEAST);
        let admission = Arc::new(Admission::new(LEAST));
        let mut places = enter(&admission, 200, 0);
        assert!(!admission.is_full_at(at(3_600_000)));
        places.extend(enter(&admission, LEAST * BURST_TIMES - 200, 3_600_000));
        assert!(admission.is_full_at(at(3_600_000)));
        places.truncate(200);
        assert!(admission.is_crowded() && !admission.is_full_at(at(3_600_001)), "nor then");
    }
}
