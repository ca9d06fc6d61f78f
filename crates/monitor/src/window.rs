//! Series of windows: 1 s for 15 minutes and 1 min for 24 hours. A time without records has none.

use std::collections::VecDeque;
use std::time::Duration;

use crate::histogram::{BUCKETS, Histogram};
use crate::sparse::Sparse;

/// How long a window is, and with it how far back they go.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Resolution {
    /// 1 s, kept for 15 minutes.
    Second,
    /// 1 min, kept for 24 hours.
    Minute,
}

impl Resolution {
    /// The finest one that reaches back so far.
    #[must_use]
    pub fn reaching(span: Duration) -> Self {
        if span <= Duration::from_mins(15) { Self::Second } else { Self::Minute }
    }

    /// The length of a window in seconds.
    #[must_use]
    pub const fn seconds(self) -> u64 {
        match self {
            Self::Second => 1,
            Self::Minute => 60,
        }
    }

    pub(crate) const fn kept(self) -> u64 {
        match self {
            Self::Second => 15 * 60,
            Self::Minute => 24 * 60,
        }
    }

    /// Which window of this length a moment in nanoseconds is in.
    pub(crate) const fn index(self, now: u64) -> u64 {
        now / (self.seconds() * 1_000_000_000)
    }

    /// The oldest window that is still of interest.
    pub(crate) fn first(self, now: u64, span: Duration) -> u64 {
        let windows = span.as_secs().div_ceil(self.seconds()).clamp(1, self.kept());
        (self.index(now) + 1).saturating_sub(windows)
    }

    /// When a window began, in milliseconds since 1970 by what the clock of the day says now.
    pub(crate) fn began_unix_ms(self, index: u64, now: u64, unix_ms: u64) -> u64 {
        let age_ms = (now / 1_000_000).saturating_sub(index * self.seconds() * 1_000);
        unix_ms.saturating_sub(age_ms)
    }
}

/// What a window keeps outside of itself.
pub(crate) trait Payload {
    fn bytes(&self) -> usize;
}

/// What windows of one kind hold, by time.
#[derive(Debug)]
pub(crate) struct Series<T> {
    pub(crate) resolution: Resolution,
    pub(crate) slots: VecDeque<(u64, T)>,
    /// Of all slots together.
    payload: usize,
}

impl<T: Payload> Series<T> {
    pub(crate) fn new(resolution: Resolution) -> Self {
        Self { resolution, slots: VecDeque::new(), payload: 0 }
    }

    /// Lets go of what is too old.
    pub(crate) fn age(&mut self, now: u64) {
        let first = self.resolution.first(now, Duration::MAX);
        while self.slots.front().is_some_and(|(index, _)| *index < first) {
            self.pop();
        }
    }

    /// Lets go of the oldest window; false where there is none.
    pub(crate) fn pop(&mut self) -> bool {
        let Some((_, oldest)) = self.slots.pop_front() else { return false };
        self.payload -= oldest.bytes();
        // Room that a busier time has left.
        if self.slots.capacity() > 4 * self.slots.len().max(4) {
            self.slots.shrink_to(2 * self.slots.len());
        }
        true
    }

    pub(crate) fn add(&mut self, now: u64, merge: impl FnOnce(&mut T))
    where
        T: Default,
    {
        let index = self.resolution.index(now);
        if self.slots.back().is_none_or(|(last, _)| *last < index) {
            self.slots.push_back((index, T::default()));
        }
        if let Some((_, slot)) = self.slots.back_mut() {
            let before = slot.bytes();
            merge(slot);
            self.payload = self.payload + slot.bytes() - before;
        }
    }

    /// The window of this index; one of the latest.
    pub(crate) fn at(&self, index: u64) -> Option<&(u64, T)> {
        self.slots.iter().rev().take(4).find(|(known, _)| *known == index)
    }

    pub(crate) fn within(&self, now: u64, span: Duration) -> impl Iterator<Item = &(u64, T)> {
        let first = self.resolution.first(now, span);
        self.slots.iter().filter(move |(index, _)| *index >= first)
    }

    pub(crate) fn bytes(&self) -> usize {
        self.slots.capacity() * size_of::<(u64, T)>() + self.payload
    }
}

/// What came to an operation in one window.
#[derive(Debug, Default)]
pub(crate) struct Slot {
    pub(crate) counts: Sparse,
    pub(crate) refused: u64,
    pub(crate) errors: u64,
    pub(crate) cancelled: u64,
    pub(crate) total: u64,
    pub(crate) max: u64,
}

/// The longest queue of windows, in bytes, with the room it keeps for growth.
pub(crate) const QUEUE_BYTES: usize = 4096 * size_of::<(u64, Slot)>();
/// What collecting and reading take and give back.
pub(crate) const SCRATCH_BYTES: usize = 32 * BUCKETS * size_of::<u64>();

impl Payload for Slot {
    fn bytes(&self) -> usize {
        self.counts.bytes()
    }
}

impl Slot {
    pub(crate) fn merge(&mut self, other: &Self) {
        self.counts.merge(&other.counts);
        self.refused += other.refused;
        self.errors += other.errors;
        self.cancelled += other.cancelled;
        self.total = self.total.saturating_add(other.total);
        self.max = self.max.max(other.max);
    }
}

/// Windows merged.
#[derive(Debug, Default)]
pub(crate) struct Sum {
    pub(crate) histogram: Histogram,
    pub(crate) refused: u64,
    pub(crate) errors: u64,
    pub(crate) cancelled: u64,
    pub(crate) total: u64,
}

impl Sum {
    pub(crate) fn add(&mut self, slot: &Slot) {
        for (bucket, count) in slot.counts.pairs() {
            self.histogram.add(usize::from(bucket), count);
        }
        self.histogram.saw(slot.max);
        self.refused += slot.refused;
        self.errors += slot.errors;
        self.cancelled += slot.cancelled;
        self.total = self.total.saturating_add(slot.total);
    }

    pub(crate) fn summary(&self) -> Summary {
        let at = |share| self.histogram.quantile(share).unwrap_or_default();
        let count = self.histogram.count();
        Summary {
            count,
            refused: self.refused,
            errors: self.errors,
            cancelled: self.cancelled,
            total: Duration::from_nanos(self.total),
            mean: Duration::from_nanos(self.total.checked_div(count).unwrap_or_default()),
            p50: at(0.5),
            p95: at(0.95),
            p99: at(0.99),
            max: self.histogram.max(),
        }
    }
}

/// What came to an operation. Percentiles are within 0.78 % of the exact ones; they are of all
/// that ended, failed and cancelled work as well, because what is given up is as a rule what was
/// slow. All durations are 0 where `count` is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Summary {
    /// How many ended, however they did.
    pub count: u64,
    /// How many of them were mistakes of who asked.
    pub refused: u64,
    /// How many of them failed.
    pub errors: u64,
    /// How many of them were cancelled.
    pub cancelled: u64,
    /// The sum of what they took.
    pub total: Duration,
    /// The sum by the count.
    pub mean: Duration,
    /// Half of them took no longer.
    pub p50: Duration,
    /// 95 of 100 took no longer.
    pub p95: Duration,
    /// 99 of 100 took no longer.
    pub p99: Duration,
    /// The longest.
    pub max: Duration,
}

/// One window of a series.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Window<T> {
    /// When it began, in milliseconds since 1970.
    pub began_unix_ms: u64,
    /// What came in it.
    pub value: T,
}
