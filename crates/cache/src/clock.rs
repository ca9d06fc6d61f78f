//! Time since the cache was built, coarse and cheap: a hit reads one number.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::{Duration, Instant};

/// How often the time moves on. Every age below is right to within this.
const TICK: Duration = Duration::from_millis(5);

/// Where a cache takes the time from.
#[derive(Debug, Clone)]
pub struct Clock {
    milliseconds: Arc<AtomicU64>,
    began: Option<Instant>,
}

impl Clock {
    /// The time of the machine, monotonic. A thread of its own moves it on until the last clone is
    /// dropped, so that a busy runtime does not stop it.
    ///
    /// # Panics
    /// Where the machine starts no more threads.
    #[must_use]
    pub fn system() -> Self {
        let milliseconds = Arc::new(AtomicU64::new(0));
        let (shown, began) = (Arc::downgrade(&milliseconds), Instant::now());
        let tick = move || {
            while let Some(shown) = shown.upgrade() {
                shown.store(since(began), Relaxed);
                drop(shown);
                std::thread::sleep(TICK);
            }
        };
        std::thread::Builder::new()
            .name("jebi-cache-clock".to_owned())
            .spawn(tick)
            .expect("a machine that runs this process starts one more thread");
        Self { milliseconds, began: Some(began) }
    }

    /// A time that stands still until [`Clock::advance`], for tests.
    #[must_use]
    pub fn manual() -> Self {
        Self { milliseconds: Arc::new(AtomicU64::new(0)), began: None }
    }

    /// Moves a manual clock on. The system's clock moves by itself.
    pub fn advance(&self, by: Duration) {
        if self.began.is_none() {
            self.milliseconds.fetch_add(milliseconds(by), Relaxed);
        }
    }

    /// Milliseconds, at most one tick behind.
    #[inline]
    pub(crate) fn now(&self) -> u64 {
        self.milliseconds.load(Relaxed)
    }

    /// Milliseconds, exactly: for what decides how old something may be.
    pub(crate) fn exactly(&self) -> u64 {
        self.began.map_or_else(|| self.now(), since)
    }
}

fn since(began: Instant) -> u64 {
    milliseconds(began.elapsed())
}

/// A duration in whole milliseconds; more than 584 million years are as many.
pub(crate) fn milliseconds(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}
