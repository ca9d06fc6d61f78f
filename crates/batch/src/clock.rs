//! Where the time comes from, and how it is waited for.

mod manual;

use std::hash::{BuildHasher as _, RandomState};
use std::pin::pin;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use futures::future::{Either, select};
use tokio::time::Instant;

use manual::Manual;

/// The one clock of an engine: everything that looks at the time or waits does it here.
///
/// The machine's clock waits by tokio, and so follows a paused runtime as well. A manual clock stands
/// still until somebody moves it: a simulated day takes as long as its work.
#[derive(Debug, Clone)]
pub struct Clock(Source);

#[derive(Debug, Clone)]
enum Source {
    Machine(Instant),
    Manual(Arc<Manual>),
}

impl Clock {
    /// The time of the machine.
    #[must_use]
    pub fn system() -> Self {
        Self(Source::Machine(Instant::now()))
    }

    /// A time that stands still until [`Clock::advance`] or [`Clock::run`]. The day begins in 1970.
    #[must_use]
    pub fn manual() -> Self {
        Self(Source::Manual(Arc::default()))
    }

    /// How long the clock has been there.
    #[must_use]
    pub fn now(&self) -> Duration {
        match &self.0 {
            Source::Machine(began) => began.elapsed(),
            Source::Manual(manual) => manual.now(),
        }
    }

    /// The time of the day, as dates in answers are compared with.
    #[must_use]
    pub fn today(&self) -> SystemTime {
        match &self.0 {
            Source::Machine(_) => SystemTime::now(),
            Source::Manual(manual) => manual.today(),
        }
    }

    /// Puts the day of a manual clock forward or back, as somebody does with that of a machine: who
    /// waits does not notice. The machine's is set by others.
    pub fn set_today(&self, today: SystemTime) {
        if let Source::Manual(manual) = &self.0 {
            manual.set_today(today);
        }
    }

    /// What random numbers begin with: the same on each manual clock, another one each time.
    pub(crate) fn seed(&self) -> u64 {
        match &self.0 {
            Source::Machine(_) => RandomState::new().hash_one("seed"),
            Source::Manual(manual) => manual.seed(),
        }
    }

    /// A clock for a [`jebi_monitor::Monitor`] that goes as this one does.
    #[must_use]
    pub fn monitor(&self) -> jebi_monitor::Clock {
        match &self.0 {
            Source::Machine(_) => jebi_monitor::Clock::system(),
            Source::Manual(manual) => manual.monitor().clone(),
        }
    }

    /// Waits. What is dropped waits no longer.
    pub async fn wait(&self, duration: Duration) {
        self.wait_until(self.now().saturating_add(duration)).await;
    }

    /// Waits until a moment of this clock. Moments of the past are there at once.
    pub async fn wait_until(&self, at: Duration) {
        match &self.0 {
            Source::Machine(began) => match began.checked_add(at) {
                Some(at) => tokio::time::sleep_until(at).await,
                None => std::future::pending().await,
            },
            Source::Manual(manual) => manual.wait_until(at).await,
        }
    }

    /// The future's output, or `None` where the moment comes first. A future that is ready at that
    /// moment has made it.
    pub async fn before<T>(&self, at: Duration, future: impl Future<Output = T>) -> Option<T> {
        match select(pin!(future), pin!(self.wait_until(at))).await {
            Either::Left((output, _)) => Some(output),
            Either::Right(_) => None,
        }
    }

    /// Moves a manual clock on and wakes who waited for less. The machine's moves by itself.
    pub fn advance(&self, by: Duration) {
        if let Source::Manual(manual) = &self.0 {
            manual.advance(by);
        }
    }

    /// Moves a manual clock on to the next moment that is waited for, where that is so near; whether it did. For those who drive
    /// what also waits for other things than this clock: what is far away may be a time-out of what is under way there. The
    /// machine's moves by itself.
    pub fn skip(&self, near: Duration) -> bool {
        match &self.0 {
            Source::Manual(manual) => manual.skip(near),
            Source::Machine(_) => false,
        }
    }

    /// Drives a future to its end on this thread, moving a manual clock on to the next moment that
    /// is waited for whenever nothing else is left to do: the same run, each time, in no time.
    ///
    /// The future may wait for this clock and for what is done inside of it, not for other threads.
    ///
    /// # Panics
    /// Where the future waits for something that cannot come any more, or the clock is the machine's.
    pub fn run<T>(&self, future: impl Future<Output = T>) -> T {
        match &self.0 {
            Source::Manual(manual) => manual.run(future),
            Source::Machine(_) => panic!("the machine's time cannot be moved on"),
        }
    }
}

/// The rate limiter looks at the same clock.
impl governor::clock::Clock for Clock {
    type Instant = Duration;

    fn now(&self) -> Duration {
        self.now()
    }
}
