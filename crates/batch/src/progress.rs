//! How far a run is.

use std::sync::Arc;
use std::sync::atomic::{AtomicU8, AtomicU64, AtomicUsize, Ordering::Relaxed};
use std::time::Duration;

use crate::clock::Clock;

/// Why a run takes in no more items.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub enum End {
    /// There are no more.
    Complete = 1,
    /// Its token was cancelled.
    Cancelled,
    /// Its deadline passed.
    DeadlinePassed,
    /// The account, or the API, is stopped until somebody releases it.
    Stopped,
    /// The account is to be left alone for longer than an item may wait.
    Paused,
}

/// How far a run is. A clone watches the same run, from wherever.
#[derive(Debug, Clone)]
pub struct Progress(Arc<Counters>);

#[derive(Debug)]
pub(crate) struct Counters {
    clock: Clock,
    began: Duration,
    pub(crate) taken: AtomicU64,
    pub(crate) done: AtomicU64,
    pub(crate) failed: AtomicU64,
    pub(crate) calls: AtomicU64,
    pub(crate) retries: AtomicU64,
    pub(crate) snoozes: AtomicU64,
    pub(crate) concurrency: AtomicUsize,
    end: AtomicU8,
}

/// What a run has come to at a moment.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ProgressSnapshot {
    /// Items taken in.
    pub taken: u64,
    /// Items with a result.
    pub done: u64,
    /// Items without one.
    pub failed: u64,
    /// Items under way.
    pub in_flight: u64,
    /// How often the work was begun.
    pub calls: u64,
    /// How often an attempt was repeated.
    pub retries: u64,
    /// How often an item was told to wait.
    pub snoozes: u64,
    /// Items that may be under way at once.
    pub concurrency: usize,
    /// Since the run was made.
    pub elapsed: Duration,
    /// Why it takes in no more items; `None` while it does.
    pub end: Option<End>,
}

impl Progress {
    pub(crate) fn new(clock: &Clock) -> Self {
        Self(Arc::new(Counters {
            clock: clock.clone(),
            began: clock.now(),
            taken: AtomicU64::new(0),
            done: AtomicU64::new(0),
            failed: AtomicU64::new(0),
            calls: AtomicU64::new(0),
            retries: AtomicU64::new(0),
            snoozes: AtomicU64::new(0),
            concurrency: AtomicUsize::new(0),
            end: AtomicU8::new(0),
        }))
    }

    pub(crate) fn counters(&self) -> &Counters {
        &self.0
    }

    /// What it has come to. Takes no lock.
    #[must_use]
    pub fn snapshot(&self) -> ProgressSnapshot {
        let counters = &*self.0;
        let ended = (counters.done.load(Relaxed), counters.failed.load(Relaxed));
        let taken = counters.taken.load(Relaxed);
        ProgressSnapshot {
            taken,
            done: ended.0,
            failed: ended.1,
            in_flight: taken.saturating_sub(ended.0 + ended.1),
            calls: counters.calls.load(Relaxed),
            retries: counters.retries.load(Relaxed),
            snoozes: counters.snoozes.load(Relaxed),
            concurrency: counters.concurrency.load(Relaxed),
            elapsed: counters.clock.now().saturating_sub(counters.began),
            end: counters.end(),
        }
    }
}

impl Counters {
    fn end(&self) -> Option<End> {
        let ends = [End::Complete, End::Cancelled, End::DeadlinePassed, End::Stopped, End::Paused];
        ends.into_iter().find(|end| *end as u8 == self.end.load(Relaxed))
    }

    pub(crate) fn ended(&self, end: End) {
        // The first reason is the reason.
        _ = self.end.compare_exchange(0, end as u8, Relaxed, Relaxed);
    }
}

/// One more.
pub(crate) fn count(counter: &AtomicU64) {
    counter.fetch_add(1, Relaxed);
}
