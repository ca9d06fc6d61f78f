//! Statements that read far more pages than they used to: their plan has changed, or what they read has.
//!
//! Pages, not time: a page read is a page read on a busy machine as well. All here is arithmetic on samples, so that a
//! day can be replayed in a test.

use std::collections::HashMap;

use chrono::{DateTime, Utc};

/// What a statement has done since PostgreSQL began to count.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Counter {
    /// As PostgreSQL calls the statement.
    pub(super) query_id: i64,
    /// How often it ran.
    pub(super) calls: i64,
    /// Pages of 8 kB that it read, from memory or from disk.
    pub(super) buffers: i64,
}

/// A statement that reads at least three times what it read before.
#[derive(Debug, Clone, PartialEq)]
pub struct Regression {
    /// As PostgreSQL calls it.
    pub query_id: i64,
    /// Pages that a call read before, in the mean.
    pub before: f64,
    /// Pages that a call reads now, in the mean.
    pub now: f64,
    /// The calls that show it.
    pub calls: u64,
    /// When it was found.
    pub since: DateTime<Utc>,
}

/// Fewer calls say nothing about their mean.
const ENOUGH_CALLS: f64 = 20.0;
/// Windows that are remembered before any is judged.
const LEARNED: u32 = 20;
/// How many windows the memory is long: an hour of samples every 15 seconds.
const MEMORY: f64 = 240.0;
/// A threefold rise, less what the mean of a window may be off.
const RISE: f64 = 2.5;
/// A rise by fewer pages is in the nature of an index-only scan: after 1,000 updates a page that took 4 takes 44.
const WORTH_PAGES: f64 = 100.0;
/// A window so far above that is not learned before the next one has been seen.
const DOUBTFUL: f64 = 1.5;
/// Standard errors above the baseline from which one window is proof, and from which two are.
const CERTAIN: f64 = 10.0;
const SUSPICIOUS: f64 = 4.0;
/// How far single calls are taken to lie apart at least, in means: dear ones may be too rare to have been seen.
const NEVER_ALIKE: f64 = 1.5;
/// A level that stayed for so many windows is the usual one from then on: a day.
const USUAL_AFTER: u32 = 5_760;
/// Statements that are followed; what has not been seen for the longest time makes room.
const MOST: usize = 1_000;

/// Follows statements by samples of their counters.
#[derive(Debug, Default)]
pub(super) struct Regressions {
    sample: u64,
    tracks: HashMap<i64, Track>,
}

#[derive(Debug)]
struct Track {
    seen: u64,
    last: Counter,
    /// Calls and pages since the last window that had enough calls.
    pending: Window,
    baseline: Baseline,
    held: Option<Window>,
    is_suspected: bool,
    /// With the window that showed it, and how many came since.
    regression: Option<(Regression, Window, u32)>,
}

#[derive(Debug, Clone, Copy, Default)]
struct Window {
    calls: f64,
    buffers: f64,
}

impl Window {
    fn mean(self) -> f64 {
        self.buffers / self.calls
    }
}

/// The usual pages of a call.
#[derive(Debug, Clone, Copy, Default)]
struct Baseline {
    windows: u32,
    mean: f64,
    /// Of a single call, as the means of windows show it.
    variance: f64,
}

impl Baseline {
    fn learn(&mut self, window: Window) {
        self.windows = self.windows.saturating_add(1);
        let weight = (1.0 / f64::from(self.windows)).max(1.0 / MEMORY);
        let off = window.mean() - self.mean;
        if self.windows > 1 {
            self.variance += weight * (window.calls * off * off - self.variance);
        }
        self.mean += weight * off;
    }

    /// How many standard errors a window lies above.
    fn distance(&self, window: Window) -> f64 {
        let apart = self.variance.sqrt().max(self.mean * NEVER_ALIKE);
        (window.mean() - self.mean) / (apart / window.calls.sqrt())
    }

    fn is_high(&self, window: Window) -> bool {
        let rise = window.mean() - self.mean;
        window.mean() >= RISE * self.mean && rise >= WORTH_PAGES
    }
}

impl Regressions {
    /// Adds a sample of all statements and gives the regressions that it shows for the first time. A counter that went
    /// down was reset.
    pub(super) fn add(&mut self, at: DateTime<Utc>, counters: &[Counter]) -> Vec<Regression> {
        self.sample += 1;
        let mut news = Vec::new();
        for counter in counters {
            if !self.tracks.contains_key(&counter.query_id) {
                self.make_room();
                self.tracks.insert(counter.query_id, Track::new(*counter, self.sample));
            } else if let Some(track) = self.tracks.get_mut(&counter.query_id) {
                track.seen = self.sample;
                news.extend(track.add(at, *counter));
            }
        }
        news
    }

    /// The statements that read more than they used to, those that read most first.
    pub(super) fn current(&self) -> Vec<Regression> {
        let tracks = self.tracks.values();
        let mut current: Vec<Regression> = tracks
            .filter_map(|track| track.regression.as_ref().map(|(found, ..)| found.clone()))
            .collect();
        current.sort_by(|a, b| b.now.total_cmp(&a.now));
        current
    }

    fn make_room(&mut self) {
        if self.tracks.len() == MOST {
            let oldest = self.tracks.iter().min_by_key(|(_, track)| track.seen);
            if let Some(oldest) = oldest.map(|(id, _)| *id) {
                self.tracks.remove(&oldest);
            }
        }
    }
}

impl Track {
    fn new(first: Counter, sample: u64) -> Self {
        Self {
            seen: sample,
            last: first,
            pending: Window::default(),
            baseline: Baseline::default(),
            held: None,
            is_suspected: false,
            regression: None,
        }
    }

    #[expect(clippy::cast_precision_loss, reason = "differences of counters; 53 bits are enough")]
    fn add(&mut self, at: DateTime<Utc>, counter: Counter) -> Option<Regression> {
        let (calls, buffers) =
            (counter.calls - self.last.calls, counter.buffers - self.last.buffers);
        self.last = counter;
        if calls < 0 || buffers < 0 {
            self.pending = Window::default();
            return None;
        }
        self.pending.calls += calls as f64;
        self.pending.buffers += buffers as f64;
        if self.pending.calls < ENOUGH_CALLS {
            return None;
        }
        let window = std::mem::take(&mut self.pending);
        if self.regression.is_some() {
            self.follow(window);
            return None;
        }
        self.judge(at, window)
    }

    fn judge(&mut self, at: DateTime<Utc>, window: Window) -> Option<Regression> {
        let baseline = &mut self.baseline;
        if baseline.windows < LEARNED {
            baseline.learn(window);
            return None;
        }
        let is_high = baseline.is_high(window);
        let distance = baseline.distance(window);
        let is_suspected = is_high && distance >= SUSPICIOUS;
        if is_high && distance >= CERTAIN || is_suspected && self.is_suspected {
            let (before, now) = (baseline.mean, window.mean());
            #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a count")]
            let calls = window.calls as u64;
            let found = Regression { query_id: self.last.query_id, before, now, calls, since: at };
            self.regression = Some((found.clone(), window, 0));
            self.held = None;
            self.is_suspected = false;
            return Some(found);
        }
        self.is_suspected = is_suspected;
        // Half of a window may lie before a change of plan: then it belongs to neither side.
        let held = self.held.take();
        if !is_suspected && let Some(held) = held {
            baseline.learn(held);
        }
        if window.mean() >= DOUBTFUL * baseline.mean {
            self.held = Some(window);
        } else {
            baseline.learn(window);
        }
        None
    }

    /// Sees whether a regression is over.
    fn follow(&mut self, window: Window) {
        let Some((found, first, windows)) = &mut self.regression else { return };
        found.now = window.mean();
        *windows += 1;
        if *windows == USUAL_AFTER {
            self.baseline = Baseline::default();
            self.regression = None;
        } else if window.mean() < DOUBTFUL * self.baseline.mean {
            // One window and no more: such windows come by chance.
            if *windows == 1 {
                self.baseline.learn(*first);
            }
            self.regression = None;
        }
    }
}

#[cfg(test)]
mod tests;
