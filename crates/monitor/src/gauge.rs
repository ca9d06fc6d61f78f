//! Measurements that others feed: levels, such as a wait or an age, and shares, such as a hit rate.

use std::sync::{Arc, Mutex, PoisonError};

use crate::window::{Payload, Resolution, Series};

/// Bytes of a gauge or a ratio with its windows at most.
pub(crate) const BYTES: usize = 4096 * size_of::<(u64, Level)>() + 512;

/// What was fed in a span: of a gauge its values, of a ratio one part of a whole.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct Level {
    /// How many values were set, or how large the whole was.
    pub count: u64,
    /// The sum of the values, or the part.
    pub sum: f64,
    /// The least value; 0 for a ratio.
    pub min: f64,
    /// The largest value; 0 for a ratio.
    pub max: f64,
    /// The latest value; 0 for a ratio.
    pub last: f64,
}

impl Level {
    /// The mean of the values, or the share of the part; `None` where there was nothing.
    #[must_use]
    pub fn mean(&self) -> Option<f64> {
        (self.count > 0).then(|| self.sum / self.count as f64)
    }

    pub(crate) fn merge(&mut self, later: &Self) {
        let (min, max) = match (self.count, later.count) {
            (_, 0) => return,
            (0, _) => (later.min, later.max),
            (_, _) => (self.min.min(later.min), self.max.max(later.max)),
        };
        let (count, sum) = (self.count + later.count, self.sum + later.sum);
        *self = Self { count, sum, min, max, last: later.last };
    }
}

impl Payload for Level {
    fn bytes(&self) -> usize {
        0
    }
}

/// What was fed since it was read last. `None` for one too many, which is forgotten.
pub(crate) type Fed = Option<Arc<Mutex<Level>>>;

fn feed(fed: &Fed, level: &Level) {
    if let Some(fed) = fed {
        fed.lock().unwrap_or_else(PoisonError::into_inner).merge(level);
    }
}

/// A handle to set a level.
#[derive(Debug, Clone)]
pub struct Gauge(pub(crate) Fed);

impl Gauge {
    /// What it is now. A value that is no number is left out.
    pub fn set(&self, value: f64) {
        if value.is_finite() {
            feed(&self.0, &Level { count: 1, sum: value, min: value, max: value, last: value });
        }
    }
}

/// A handle to feed a share.
#[derive(Debug, Clone)]
pub struct Ratio(pub(crate) Fed);

impl Ratio {
    /// Adds what came since the last call, such as hits and questions.
    pub fn add(&self, part: u64, whole: u64) {
        let sum = part.min(whole) as f64;
        feed(&self.0, &Level { count: whole, sum, ..Level::default() });
    }
}

/// A gauge or ratio as the monitor keeps it.
#[derive(Debug)]
pub(crate) struct Kept {
    pub(crate) fed: Arc<Mutex<Level>>,
    pub(crate) seconds: Series<Level>,
    pub(crate) minutes: Series<Level>,
}

impl Kept {
    pub(crate) fn new() -> Self {
        Self {
            fed: Arc::default(),
            seconds: Series::new(Resolution::Second),
            minutes: Series::new(Resolution::Minute),
        }
    }

    pub(crate) fn series(&self, resolution: Resolution) -> &Series<Level> {
        match resolution {
            Resolution::Second => &self.seconds,
            Resolution::Minute => &self.minutes,
        }
    }

    pub(crate) fn collect(&mut self, now: u64) {
        let fed = std::mem::take(&mut *self.fed.lock().unwrap_or_else(PoisonError::into_inner));
        for series in [&mut self.seconds, &mut self.minutes] {
            series.age(now);
            if fed.count > 0 {
                series.add(now, |level| level.merge(&fed));
            }
        }
    }
}
