//! One named operation: what is recorded of it, and how it is tracked.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::Duration;

use crate::clock::{Clock, nanoseconds};
use crate::flight::{Flights, Place};
use crate::histogram::{BUCKETS, Live};

/// Bytes of an operation without its windows: the live counts, what was read of them, the rest.
pub(crate) const BYTES: usize = BUCKETS * (8 + 4) + size_of::<Recorded>() + 512;

/// How a piece of work ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Outcome {
    /// As it should.
    Ok,
    /// Nothing failed: who asked made a mistake.
    Refused,
    /// With a failure.
    Error,
    /// Nobody waited for its end.
    Cancelled,
}

/// What is recorded of an operation.
#[derive(Debug)]
pub(crate) struct Recorded {
    pub(crate) name: Arc<str>,
    clock: Clock,
    pub(crate) live: Live,
    pub(crate) refused: AtomicU64,
    pub(crate) errors: AtomicU64,
    pub(crate) cancelled: AtomicU64,
    pub(crate) flights: Flights,
}

/// A handle to record under one name. To be kept: a clone is cheap, looking the name up is not.
#[derive(Debug, Clone)]
pub struct Operation(pub(crate) Arc<Recorded>);

impl Operation {
    pub(crate) fn new(name: Arc<str>, clock: Clock) -> Self {
        Self(Arc::new(Recorded {
            name,
            clock,
            live: Live::default(),
            refused: AtomicU64::new(0),
            errors: AtomicU64::new(0),
            cancelled: AtomicU64::new(0),
            flights: Flights::default(),
        }))
    }

    /// Under which name it records; `other` where there were too many.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.0.name
    }

    /// Tracks a future that ends in a `Result`, from its first poll on. Dropped before its end,
    /// it is cancelled. Allocates nothing.
    ///
    /// # Errors
    /// Those of the future.
    pub async fn track<T, E>(&self, future: impl Future<Output = Result<T, E>>) -> Result<T, E> {
        let outcome = |result: &Result<T, E>| match result {
            Ok(_) => Outcome::Ok,
            Err(_) => Outcome::Error,
        };
        self.track_by(future, outcome).await
    }

    /// Tracks a future whose outcome the caller tells.
    pub async fn track_by<T>(
        &self,
        future: impl Future<Output = T>,
        outcome: impl FnOnce(&T) -> Outcome,
    ) -> T {
        let scope = self.scope();
        let output = future.await;
        scope.end(outcome(&output));
        output
    }

    /// Tracks what happens until the guard ends. Allocates nothing.
    #[inline]
    #[must_use = "a guard that is dropped at once is cancelled at once"]
    pub fn scope(&self) -> Scope<'_> {
        let began = self.0.clock.now();
        Scope { operation: self, began, place: self.0.flights.begin(began), outcome: None }
    }

    /// Records what somebody else has timed.
    #[inline]
    pub fn record(&self, took: Duration, outcome: Outcome) {
        self.record_nanoseconds(nanoseconds(took), outcome);
    }

    #[inline]
    fn record_nanoseconds(&self, took: u64, outcome: Outcome) {
        // The total of `live` comes last: collecting looks at the rest only where that has changed.
        match outcome {
            Outcome::Ok => {}
            Outcome::Refused => _ = self.0.refused.fetch_add(1, Relaxed),
            Outcome::Error => _ = self.0.errors.fetch_add(1, Relaxed),
            Outcome::Cancelled => _ = self.0.cancelled.fetch_add(1, Relaxed),
        }
        self.0.live.record(took);
    }
}

/// A piece of work that is under way. Dropped without an outcome, as by `?`, a panic or a future
/// that nobody polls on, it is cancelled.
#[derive(Debug)]
pub struct Scope<'a> {
    operation: &'a Operation,
    began: u64,
    place: Place,
    outcome: Option<Outcome>,
}

impl Scope<'_> {
    /// It went as it should.
    #[inline]
    pub fn ok(self) {
        self.end(Outcome::Ok);
    }

    /// It failed.
    #[inline]
    pub fn error(self) {
        self.end(Outcome::Error);
    }

    /// It ended so.
    #[inline]
    pub fn end(mut self, outcome: Outcome) {
        self.outcome = Some(outcome);
    }
}

impl Drop for Scope<'_> {
    #[inline]
    fn drop(&mut self) {
        let recorded = &self.operation.0;
        recorded.flights.end(self.place);
        // A clock that was set back makes it last no time, not all time.
        let took = recorded.clock.now().saturating_sub(self.began);
        self.operation.record_nanoseconds(took, self.outcome.unwrap_or(Outcome::Cancelled));
    }
}
