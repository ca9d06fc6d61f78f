use std::sync::atomic::{AtomicU32, AtomicU64, Ordering::Relaxed};
use std::time::Duration;

/// Who waits for a connection, and whether one more may.
///
/// A queue that is short, or long and gets on, lets in everybody: a burst is waited out. One that is long and in which the last who
/// left had waited too long does not: whoever came then would wait for nothing but their own time-out, and keep those behind
/// from an answer as well. (What a queue is judged by is how long it takes, not how long it is: RFC 8289.)
#[derive(Debug, Default)]
pub(super) struct Queue {
    waiting: AtomicU32,
    /// How long the last who was served had waited.
    delay_us: AtomicU64,
}

/// A place in it, until it is dropped.
#[derive(Debug)]
pub(super) struct Place<'a>(&'a Queue);

impl Queue {
    /// A place, unless `short` or more wait already and the last one waited longer than `longest`.
    pub(super) fn enter(&self, short: u32, longest: Duration) -> Option<Place<'_>> {
        let before = self.waiting.fetch_add(1, Relaxed);
        let place = Place(self);
        (!self.is_stuck(before, short, longest)).then_some(place)
    }

    /// Whether [`Queue::enter`] would refuse.
    pub(super) fn refuses(&self, short: u32, longest: Duration) -> bool {
        self.is_stuck(self.waiting.load(Relaxed), short, longest)
    }

    fn is_stuck(&self, waiting: u32, short: u32, longest: Duration) -> bool {
        waiting >= short && Duration::from_micros(self.delay_us.load(Relaxed)) > longest
    }

    /// Somebody was served without waiting.
    pub(super) fn note_at_once(&self) {
        // Written only where it says something else: it is every request's.
        if self.delay_us.load(Relaxed) != 0 {
            self.delay_us.store(0, Relaxed);
        }
    }
}

impl Place<'_> {
    /// Its holder is served.
    pub(super) fn note(&self, waited: Duration) {
        let us = u64::try_from(waited.as_micros()).unwrap_or(u64::MAX);
        self.0.delay_us.store(us, Relaxed);
    }
}

impl Drop for Place<'_> {
    fn drop(&mut self) {
        self.0.waiting.fetch_sub(1, Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LONGEST: Duration = Duration::from_millis(50);

    #[test]
    fn only_a_long_queue_that_does_not_get_on_refuses() {
        let queue = Queue::default();
        let mut places: Vec<Place<'_>> =
            (0..10).map(|_| queue.enter(2, LONGEST).expect("a burst is waited out")).collect();
        places[0].note(Duration::from_millis(51));
        assert!(queue.refuses(2, LONGEST));
        assert!(queue.enter(2, LONGEST).is_none(), "long and slow");
        places.truncate(1);
        assert!(queue.enter(2, LONGEST).is_some(), "slow and short");
        places.extend((0..5).filter_map(|_| queue.enter(20, LONGEST)));
        places[0].note(Duration::from_millis(50));
        assert!(queue.enter(2, LONGEST).is_some(), "long and fast enough");
        places[0].note(Duration::from_secs(1));
        assert!(queue.enter(2, LONGEST).is_none());
        queue.note_at_once();
        assert!(!queue.refuses(2, LONGEST), "nobody has to wait any more");
    }

    #[test]
    fn who_is_refused_and_who_goes_leaves_no_place_behind() {
        let queue = Queue::default();
        queue.enter(0, LONGEST).expect("nobody has waited long").note(Duration::from_secs(1));
        assert!(queue.enter(0, LONGEST).is_none());
        assert_eq!(queue.waiting.load(Relaxed), 0);
    }
}
