//! Counters that cost a hit next to nothing, and what they come to.

use std::sync::atomic::AtomicU64;
use std::sync::atomic::Ordering::Relaxed;
use std::time::{Duration, Instant};

/// Threads with a counter of their own; the others share one.
const SLOTS: usize = 32;
/// One hit in this many is timed.
const SAMPLE: u64 = 256;

/// Alone on its cache lines, so that threads do not take them from each other.
#[derive(Debug, Default)]
#[repr(align(128))]
struct Slot(AtomicU64);

static THREADS: AtomicU64 = AtomicU64::new(0);

thread_local! {
    static SLOT: usize = usize::try_from(THREADS.fetch_add(1, Relaxed))
        .map_or(SLOTS - 1, |thread| thread.min(SLOTS - 1));
}

/// Counts what happens all the time.
#[derive(Debug, Default)]
struct Often([Slot; SLOTS]);

impl Often {
    #[inline]
    fn own(&self) -> Own<'_> {
        let slot = SLOT.with(|slot| *slot);
        Own { count: &self.0[slot].0, is_shared: slot == SLOTS - 1 }
    }

    fn sum(&self) -> u64 {
        self.0.iter().map(|slot| slot.0.load(Relaxed)).sum()
    }
}

/// A thread's counter.
struct Own<'a> {
    count: &'a AtomicU64,
    is_shared: bool,
}

impl Own<'_> {
    #[inline]
    fn is_sample(&self) -> bool {
        self.count.load(Relaxed).is_multiple_of(SAMPLE)
    }

    #[inline]
    fn add(&self) {
        if self.is_shared {
            self.count.fetch_add(1, Relaxed);
        } else {
            // Nobody else writes here.
            self.count.store(self.count.load(Relaxed) + 1, Relaxed);
        }
    }
}

/// Durations in classes that each are twice as long as the one before, from 1 ns.
#[derive(Debug)]
struct Histogram([AtomicU64; 48]);

impl Default for Histogram {
    fn default() -> Self {
        Self(std::array::from_fn(|_| AtomicU64::new(0)))
    }
}

impl Histogram {
    fn record(&self, took: Duration) {
        let nanoseconds = u64::try_from(took.as_nanos()).unwrap_or(u64::MAX).max(1);
        let class = (nanoseconds.ilog2() as usize).min(self.0.len() - 1);
        self.0[class].fetch_add(1, Relaxed);
    }

    fn latency(&self) -> Option<Latency> {
        let counts: Vec<u64> = self.0.iter().map(|count| count.load(Relaxed)).collect();
        let samples: u64 = counts.iter().sum();
        let at = |share: u64| {
            let (mut seen, wanted) = (0, (samples * share).div_ceil(1_000));
            let class = counts.iter().position(|count| {
                seen += count;
                seen >= wanted
            });
            Duration::from_nanos(2 << class.unwrap_or(0))
        };
        (samples > 0).then(|| Latency { samples, p50: at(500), p99: at(990) })
    }
}

/// How long something took. Each figure is the upper end of its class, at most twice the true one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Latency {
    /// How many were timed.
    pub samples: u64,
    /// Half of them were quicker.
    pub p50: Duration,
    /// All but one in a hundred were quicker.
    pub p99: Duration,
}

/// What happened in one namespace.
#[derive(Debug, Default)]
pub(crate) struct Counters {
    l1_hits: Often,
    l1_latency: Histogram,
    l2_latency: Histogram,
    load_latency: Histogram,
    pub(crate) l1_misses: AtomicU64,
    pub(crate) refreshing: AtomicU64,
    pub(crate) stale: AtomicU64,
    pub(crate) l2_hits: AtomicU64,
    pub(crate) l2_misses: AtomicU64,
    pub(crate) l2_rejected: AtomicU64,
    pub(crate) l2_errors: AtomicU64,
    pub(crate) loads: AtomicU64,
    pub(crate) load_errors: AtomicU64,
    pub(crate) joined: AtomicU64,
    pub(crate) discarded: AtomicU64,
    pub(crate) invalidations: AtomicU64,
    pub(crate) bytes_before: AtomicU64,
    pub(crate) bytes_after: AtomicU64,
}

/// One more.
pub(crate) fn count(counter: &AtomicU64) {
    counter.fetch_add(1, Relaxed);
}

impl Counters {
    /// Counts what `get` finds, and times one in a few.
    #[inline]
    pub(crate) fn hit<T>(&self, get: impl FnOnce() -> Option<T>) -> Option<T> {
        let own = self.l1_hits.own();
        let began = own.is_sample().then(Instant::now);
        let hit = get()?;
        own.add();
        if let Some(began) = began {
            self.l1_latency.record(began.elapsed());
        }
        Some(hit)
    }

    pub(crate) fn l2_took(&self, began: Instant) {
        self.l2_latency.record(began.elapsed());
    }

    pub(crate) fn load_took(&self, began: Instant) {
        self.load_latency.record(began.elapsed());
    }

    pub(crate) fn stored(&self, before: usize, after: usize) {
        self.bytes_before.fetch_add(before as u64, Relaxed);
        self.bytes_after.fetch_add(after as u64, Relaxed);
    }

    pub(crate) fn read(&self, name: &str, (entries, bytes): (u64, u64)) -> NamespaceStats {
        let now = |counter: &AtomicU64| counter.load(Relaxed);
        NamespaceStats {
            name: name.to_owned(),
            l1_hits: self.l1_hits.sum(),
            l1_misses: now(&self.l1_misses),
            l2_hits: now(&self.l2_hits),
            l2_misses: now(&self.l2_misses),
            l2_rejected: now(&self.l2_rejected),
            l2_errors: now(&self.l2_errors),
            loads: now(&self.loads),
            load_errors: now(&self.load_errors),
            joined: now(&self.joined),
            refreshing: now(&self.refreshing),
            stale: now(&self.stale),
            discarded: now(&self.discarded),
            invalidations: now(&self.invalidations),
            bytes_before_compression: now(&self.bytes_before),
            bytes_after_compression: now(&self.bytes_after),
            entries,
            bytes,
            l1_latency: self.l1_latency.latency(),
            l2_latency: self.l2_latency.latency(),
            load_latency: self.load_latency.latency(),
        }
    }
}

/// What happened in one namespace since the cache was built.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct NamespaceStats {
    /// Its name.
    pub name: String,
    /// Answers from this process, fresh or refreshing.
    pub l1_hits: u64,
    /// Questions that this process could not answer.
    pub l1_misses: u64,
    /// Answers from Redis.
    pub l2_hits: u64,
    /// Questions that Redis could not answer.
    pub l2_misses: u64,
    /// Bytes in Redis that were not ours, or broken; each was a miss.
    pub l2_rejected: u64,
    /// Calls of Redis that failed, or were not made because it was failing.
    pub l2_errors: u64,
    /// Runs of a loader.
    pub loads: u64,
    /// Those of them that failed.
    pub load_errors: u64,
    /// Callers who waited for a load that was under way.
    pub joined: u64,
    /// Answers past their soft TTL.
    pub refreshing: u64,
    /// Answers marked [`crate::Freshness::Stale`].
    pub stale: u64,
    /// Values that were invalidated before they were loaded to the end: returned, and not kept.
    pub discarded: u64,
    /// Invalidations that reached the namespace, of whatever size.
    pub invalidations: u64,
    /// Bytes of values that were written to Redis.
    pub bytes_before_compression: u64,
    /// Bytes that were written for them.
    pub bytes_after_compression: u64,
    /// Entries in this process, valid or not yet thrown away.
    pub entries: u64,
    /// Their bytes.
    pub bytes: u64,
    /// One hit in 256 is timed.
    pub l1_latency: Option<Latency>,
    /// Reading from Redis.
    pub l2_latency: Option<Latency>,
    /// Runs of a loader.
    pub load_latency: Option<Latency>,
}

impl NamespaceStats {
    /// Answers without a load, as a share of all; `None` before the first question.
    #[must_use]
    pub fn hit_rate(&self) -> Option<f64> {
        let asked = self.l1_hits + self.l1_misses;
        #[expect(clippy::cast_precision_loss, reason = "a share needs no 53 bits")]
        (asked > 0).then(|| (self.l1_hits + self.l2_hits) as f64 / asked as f64)
    }
}

/// How a cache stands.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Stats {
    /// One for each namespace, in the order of their declaration.
    pub namespaces: Vec<NamespaceStats>,
    /// Redis; `None` where none is configured.
    pub l2: Option<L2Stats>,
    /// Whether what this process holds may be used without asking anybody.
    pub is_l1_trusted: bool,
    /// Generations that are watched.
    pub generations: u64,
    /// Loads under way, and failures that are kept.
    pub flights: u64,
}

/// How Redis stands.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct L2Stats {
    /// Whether what it holds may be used.
    pub is_trusted: bool,
    /// Whether calls are made at all; not while it is failing.
    pub is_called: bool,
    /// How often calls were stopped because it was failing.
    pub breaker_openings: u64,
    /// Invalidations that wait until it can be reached.
    pub queued_invalidations: u64,
    /// Messages of other processes that were followed.
    pub messages: u64,
    /// How often messages were lost and everything in this process was given up for it.
    pub gaps: u64,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_latency_is_the_upper_end_of_its_class() {
        let histogram = Histogram::default();
        assert_eq!(histogram.latency(), None);
        (0..99).for_each(|_| histogram.record(Duration::from_nanos(100)));
        histogram.record(Duration::from_millis(1));
        let (fast, slow) = (Duration::from_nanos(128), Duration::from_nanos(1 << 20));
        assert_eq!(histogram.latency(), Some(Latency { samples: 100, p50: fast, p99: fast }));
        histogram.record(Duration::from_millis(1));
        assert_eq!(histogram.latency(), Some(Latency { samples: 101, p50: fast, p99: slow }));
        (0..98).for_each(|_| histogram.record(Duration::from_millis(1)));
        assert_eq!(histogram.latency(), Some(Latency { samples: 199, p50: slow, p99: slow }));
    }

    #[test]
    fn what_takes_no_time_or_a_lifetime_has_a_class() {
        for (took, upper) in [
            (Duration::ZERO, Duration::from_nanos(2)),
            (Duration::from_nanos(1), Duration::from_nanos(2)),
            (Duration::MAX, Duration::from_nanos(1 << 48)),
        ] {
            let histogram = Histogram::default();
            histogram.record(took);
            assert_eq!(histogram.latency().map(|latency| latency.p50), Some(upper), "{took:?}");
        }
    }

    #[test]
    fn one_hit_in_256_is_timed_and_a_miss_is_no_hit() {
        let counters = Counters::default();
        for n in 0..257 {
            assert_eq!(counters.hit(|| None::<u32>), None);
            assert_eq!(counters.hit(|| Some(n)), Some(n));
        }
        let stats = counters.read("orders", (0, 0));
        assert_eq!((stats.l1_hits, stats.l1_latency.map(|l1| l1.samples)), (257, Some(2)));
    }

    #[test]
    fn hits_of_more_threads_than_have_a_counter_are_all_counted() {
        let counters = Counters::default();
        let hits = || (0..20_000).for_each(|_| _ = counters.hit(|| Some(())));
        std::thread::scope(|scope| {
            (0..SLOTS + 8).for_each(|_| _ = scope.spawn(hits));
        });
        let hits = counters.read("orders", (0, 0)).l1_hits;
        assert_eq!(hits, 20_000 * (SLOTS as u64 + 8));
    }

    #[test]
    fn each_figure_is_that_of_its_counter() {
        let counters = Counters::default();
        let all = [
            &counters.l1_misses,
            &counters.l2_hits,
            &counters.l2_misses,
            &counters.l2_rejected,
            &counters.l2_errors,
            &counters.loads,
            &counters.load_errors,
            &counters.joined,
            &counters.refreshing,
            &counters.stale,
            &counters.discarded,
            &counters.invalidations,
        ];
        for (at, counter) in all.iter().enumerate() {
            (0..=at).for_each(|_| count(counter));
        }
        counters.stored(1_000, 100);
        counters.stored(50, 50);
        counters.l2_took(Instant::now());
        (0..2).for_each(|_| counters.load_took(Instant::now()));
        let stats = counters.read("orders", (3, 4));
        let told = [
            stats.l1_misses,
            stats.l2_hits,
            stats.l2_misses,
            stats.l2_rejected,
            stats.l2_errors,
            stats.loads,
            stats.load_errors,
            stats.joined,
            stats.refreshing,
            stats.stale,
            stats.discarded,
            stats.invalidations,
        ];
        assert_eq!(told, [1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12]);
        assert_eq!((stats.bytes_before_compression, stats.bytes_after_compression), (1_050, 150));
        assert_eq!((&*stats.name, stats.entries, stats.bytes), ("orders", 3, 4));
        let samples = |latency: Option<Latency>| latency.map(|latency| latency.samples);
        assert_eq!((samples(stats.l2_latency), samples(stats.load_latency)), (Some(1), Some(2)));
    }

    #[test]
    fn the_hit_rate_is_a_share_of_all_questions() {
        let counters = Counters::default();
        assert_eq!(counters.read("orders", (0, 0)).hit_rate(), None);
        (0..5).for_each(|_| _ = counters.hit(|| Some(())));
        (0..3).for_each(|_| count(&counters.l1_misses));
        count(&counters.l2_hits);
        assert_eq!(counters.read("orders", (0, 0)).hit_rate(), Some(0.75));
    }
}
