//! Counts by size of the value: exact below 128, then 64 buckets for each doubling. A bucket's
//! middle is at most 1/128 (0.78 %) from each value in it.

use std::sync::atomic::AtomicU64;
use std::sync::atomic::Ordering::{Acquire, Relaxed, Release};
use std::time::Duration;

/// Bits of a value that a bucket tells apart after the leading one.
const BITS: u32 = 6;
const PER_DOUBLING: usize = 1 << BITS;
/// Nanoseconds from which on all values share the last bucket: 73 minutes.
const LIMIT_BITS: u32 = 42;
/// How many buckets there are.
pub(crate) const BUCKETS: usize = (LIMIT_BITS - BITS + 1) as usize * PER_DOUBLING;

/// The bucket of a value.
#[inline]
pub(crate) fn bucket(value: u64) -> usize {
    let value = value.min((1 << LIMIT_BITS) - 1);
    let shift = (value | PER_DOUBLING as u64).ilog2() - BITS;
    shift as usize * PER_DOUBLING + (value >> shift) as usize
}

/// The least value of a bucket, and how many values it holds.
fn bounds(bucket: usize) -> (u64, u64) {
    let shift = (bucket / PER_DOUBLING).saturating_sub(1);
    (((bucket - shift * PER_DOUBLING) as u64) << shift, 1 << shift)
}

/// How values are distributed, each known to 0.78 % of itself. 18,944 bytes of counts.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Histogram {
    counts: Box<[u64]>,
    count: u64,
    max: u64,
}

impl Default for Histogram {
    fn default() -> Self {
        Self { counts: vec![0; BUCKETS].into(), count: 0, max: 0 }
    }
}

impl Histogram {
    /// Counts one value.
    pub fn record(&mut self, value: Duration) {
        let value = crate::clock::nanoseconds(value);
        self.add(bucket(value), 1);
        self.saw(value);
    }

    /// Adds what another has counted. Nothing of the precision is lost.
    pub fn merge(&mut self, other: &Self) {
        for (at, count) in other.counts.iter().enumerate() {
            self.add(at, *count);
        }
        self.saw(other.max);
    }

    pub(crate) fn add(&mut self, bucket: usize, count: u64) {
        self.counts[bucket] += count;
        self.count += count;
        if count > 0 {
            self.saw(bounds(bucket).0);
        }
    }

    pub(crate) fn saw(&mut self, value: u64) {
        self.max = self.max.max(value);
    }

    /// What was counted since this was as `before`: the middle of each bucket, and how many.
    pub fn since<'a>(&'a self, before: &'a Self) -> impl Iterator<Item = (Duration, u64)> + 'a {
        let buckets = self.counts.iter().zip(&before.counts).enumerate();
        buckets.filter(|(_, (now, before))| now > before).map(|(at, (now, before))| {
            let (least, width) = bounds(at);
            (Duration::from_nanos(least + (width - 1) / 2), now - before)
        })
    }

    /// How many values were counted.
    #[must_use]
    pub fn count(&self) -> u64 {
        self.count
    }

    /// The largest value.
    #[must_use]
    pub fn max(&self) -> Duration {
        Duration::from_nanos(self.max)
    }

    /// How many values are not above `limit`. One that is within 0.78 % of it may be counted on
    /// the other side.
    #[must_use]
    pub fn count_within(&self, limit: Duration) -> u64 {
        let last = bucket(crate::clock::nanoseconds(limit));
        self.counts[..=last].iter().sum()
    }

    /// The value that a share of all is not above: `0.99` gives the p99, by the nearest rank.
    /// `None` where nothing was counted.
    #[must_use]
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a rank")]
    pub fn quantile(&self, share: f64) -> Option<Duration> {
        let rank = ((share * self.count as f64).ceil() as u64).clamp(1, self.count.max(1));
        let mut seen = 0;
        let at = self.counts.iter().position(|count| {
            seen += count;
            seen >= rank
        })?;
        let (least, width) = bounds(at);
        // All that is longer than the histogram reaches is known by its maximum alone.
        let value = if at == BUCKETS - 1 { self.max } else { least + (width - 1) / 2 };
        Some(Duration::from_nanos(value.min(self.max)))
    }
}

/// A histogram that threads count in without waiting for each other. It only grows, so that who
/// reads it, however often, neither loses a value nor counts one twice.
#[derive(Debug)]
pub(crate) struct Live {
    counts: Box<[AtomicU64]>,
    total: AtomicU64,
    /// Since it was read last.
    max: AtomicU64,
}

impl Default for Live {
    fn default() -> Self {
        let counts = (0..BUCKETS).map(|_| AtomicU64::new(0)).collect();
        Self { counts, total: AtomicU64::new(0), max: AtomicU64::new(0) }
    }
}

impl Live {
    /// A value of 0 is counted as 1, so that the total tells whether anything came.
    #[inline]
    pub(crate) fn record(&self, value: u64) {
        let value = value.max(1);
        self.counts[bucket(value)].fetch_add(1, Relaxed);
        // Most values are no maximum, and a look is cheaper than a write.
        if value > self.max.load(Relaxed) {
            self.max.fetch_max(value, Relaxed);
        }
        // Who sees the total sees the count, and so may pass over what has the same total.
        self.total.fetch_add(value, Release);
    }

    /// The sum of all values.
    pub(crate) fn total(&self) -> u64 {
        self.total.load(Acquire)
    }

    /// The largest value since the last call.
    pub(crate) fn take_max(&self) -> u64 {
        self.max.swap(0, Relaxed)
    }

    /// What came to each bucket since `seen`, which is moved on. Right while no bucket gets 2^32
    /// values between two calls.
    pub(crate) fn since<'a>(
        &'a self,
        seen: &'a mut [u32],
    ) -> impl Iterator<Item = (u16, u64)> + 'a {
        let buckets = self.counts.iter().zip(seen).zip(0..);
        buckets.filter_map(|((count, seen), bucket)| {
            #[expect(clippy::cast_possible_truncation, reason = "a difference modulo 2^32")]
            let now = count.load(Relaxed) as u32;
            let more = now.wrapping_sub(std::mem::replace(seen, now));
            (more > 0).then_some((bucket, u64::from(more)))
        })
    }

    /// All since the beginning, with the largest value that the caller knows of.
    pub(crate) fn snapshot(&self, max: u64) -> Histogram {
        let mut all = Histogram::default();
        for (bucket, count) in self.counts.iter().enumerate() {
            all.add(bucket, count.load(Relaxed));
        }
        all.saw(max);
        all
    }
}

#[cfg(test)]
mod tests {
    use super::{BUCKETS, bounds, bucket};

    #[test]
    fn buckets_follow_each_other_without_a_gap() {
        let mut next = 0;
        for at in 0..BUCKETS {
            let (least, width) = bounds(at);
            assert_eq!(least, next);
            assert_eq!((bucket(least), bucket(least + width - 1)), (at, at));
            assert!(width / 2 * 128 <= least, "a middle is within 1/128");
            next = least + width;
        }
        assert_eq!((next, bucket(u64::MAX)), (1 << 42, BUCKETS - 1));
    }
}
