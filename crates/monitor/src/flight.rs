//! What has begun and not ended, and since when.

use std::sync::atomic::AtomicU64;
use std::sync::atomic::Ordering::{Acquire, Relaxed, Release};

/// Of how many at a time the begin is known.
const PLACES: usize = 64;

/// A place for each of the first 64, a bit for each place taken, and a count of the others.
#[derive(Debug)]
pub(crate) struct Flights {
    taken: AtomicU64,
    /// Nanoseconds, one too many: 0 is a place whose begin is not written yet.
    began: [AtomicU64; PLACES],
    others: AtomicU64,
}

impl Default for Flights {
    fn default() -> Self {
        let began = std::array::from_fn(|_| AtomicU64::new(0));
        Self { taken: AtomicU64::new(0), began, others: AtomicU64::new(0) }
    }
}

/// A place, or `None` for one of the others.
pub(crate) type Place = Option<u32>;

impl Flights {
    #[inline]
    pub(crate) fn begin(&self, now: u64) -> Place {
        let mut taken = self.taken.load(Relaxed);
        loop {
            let place = taken.trailing_ones();
            if place as usize == PLACES {
                self.others.fetch_add(1, Relaxed);
                return None;
            }
            let more = taken | 1 << place;
            match self.taken.compare_exchange_weak(taken, more, Acquire, Relaxed) {
                Ok(_) => {
                    self.began[place as usize].store(now.saturating_add(1), Relaxed);
                    return Some(place);
                }
                Err(now) => taken = now,
            }
        }
    }

    #[inline]
    pub(crate) fn end(&self, place: Place) {
        let Some(place) = place else {
            self.others.fetch_sub(1, Relaxed);
            return;
        };
        self.began[place as usize].store(0, Relaxed);
        // After the 0, which the next one in this place may not find behind its own begin.
        self.taken.fetch_and(!(1 << place), Release);
    }

    pub(crate) fn count(&self) -> u64 {
        u64::from(self.taken.load(Relaxed).count_ones()) + self.others.load(Relaxed)
    }

    /// When the oldest of those began whose begin is known.
    pub(crate) fn oldest(&self) -> Option<u64> {
        let began = self.began.iter().map(|began| began.load(Relaxed));
        began.filter(|began| *began > 0).min().map(|began| began - 1)
    }
}
