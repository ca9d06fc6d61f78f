//! What is registered, and what is read of it.

use std::collections::{BTreeMap, HashMap};
use std::sync::atomic::Ordering::Relaxed;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use crate::bottleneck::{Bottleneck, rank};
use crate::clock::Timeline;
use crate::config::{Config, NAME_BYTES};
use crate::flight::Flights;
use crate::gauge::{Gauge, Kept, Level, Ratio};
use crate::histogram::BUCKETS;
use crate::operation::Operation;
use crate::sparse::Sparse;
use crate::window::{Resolution, Series, Slot, Sum, Summary, Window};

/// Under which name operations are recorded that are one too many.
const OTHER: &str = "other";

/// Times operations and keeps series of them. To be shared by [`Arc`].
///
/// Where a name is read, one that ends in `*` stands for all operations that begin so, together.
///
/// What was recorded goes into the window in which it is collected: call [`Monitor::collect`]
/// once a second. Each reading collects first, so that it misses nothing.
#[derive(Debug)]
pub struct Monitor {
    config: Config,
    kept: Mutex<State>,
}

#[derive(Debug)]
struct State {
    timeline: Timeline,
    operations: Vec<Tracked>,
    operation_names: HashMap<Arc<str>, usize>,
    gauges: HashMap<Arc<str>, Kept>,
    ratios: HashMap<Arc<str>, Kept>,
    window_bytes: usize,
    stats: Stats,
}

#[derive(Debug)]
struct Tracked {
    operation: Operation,
    seen: Box<[u32]>,
    seen_total: u64,
    seen_refused: u64,
    seen_errors: u64,
    seen_cancelled: u64,
    max: u64,
    seconds: Series<Slot>,
    minutes: Series<Slot>,
}

/// How the monitor itself stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Stats {
    /// Calls that asked for an operation beyond the maximum and got `other`.
    pub operations_refused: u64,
    /// Calls that asked for a gauge or ratio beyond the maximum.
    pub gauges_refused: u64,
    /// Windows that went before their time because their bytes were spent.
    pub windows_evicted: u64,
    /// Bytes of the windows of operations.
    pub window_bytes: usize,
}

/// What of an operation has begun and not ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct InFlight {
    /// How many.
    pub count: u64,
    /// How long the oldest has been under way; of those 64 at most whose begin is known.
    pub oldest: Option<Duration>,
}

impl Tracked {
    fn new(operation: Operation) -> Self {
        Self {
            operation,
            seen: vec![0; BUCKETS].into(),
            seen_total: 0,
            seen_refused: 0,
            seen_errors: 0,
            seen_cancelled: 0,
            max: 0,
            seconds: Series::new(Resolution::Second),
            minutes: Series::new(Resolution::Minute),
        }
    }

    fn collect(&mut self, now: u64) {
        self.seconds.age(now);
        self.minutes.age(now);
        let recorded = &self.operation.0;
        let total = recorded.live.total();
        if total == self.seen_total {
            return;
        }
        let since = |seen: &mut u64, now: u64| now.wrapping_sub(std::mem::replace(seen, now));
        let delta = Slot {
            refused: since(&mut self.seen_refused, recorded.refused.load(Relaxed)),
            errors: since(&mut self.seen_errors, recorded.errors.load(Relaxed)),
            cancelled: since(&mut self.seen_cancelled, recorded.cancelled.load(Relaxed)),
            total: since(&mut self.seen_total, total),
            max: recorded.live.take_max(),
            counts: Sparse::new(recorded.live.since(&mut self.seen)),
        };
        self.max = self.max.max(delta.max);
        self.seconds.add(now, |slot| slot.merge(&delta));
        self.minutes.add(now, |slot| slot.merge(&delta));
    }

    fn series(&self, resolution: Resolution) -> &Series<Slot> {
        match resolution {
            Resolution::Second => &self.seconds,
            Resolution::Minute => &self.minutes,
        }
    }

    fn series_mut(&mut self, resolution: Resolution) -> &mut Series<Slot> {
        match resolution {
            Resolution::Second => &mut self.seconds,
            Resolution::Minute => &mut self.minutes,
        }
    }

    fn bytes(&self) -> usize {
        self.seconds.bytes() + self.minutes.bytes()
    }

    /// The windows of a span.
    fn within(&self, now: u64, span: Duration) -> impl Iterator<Item = &(u64, Slot)> {
        self.series(Resolution::reaching(span)).within(now, span)
    }
}

impl State {
    fn find(&self, name: &str) -> Option<&Tracked> {
        self.operation_names.get(cut(name)).and_then(|at| self.operations.get(*at))
    }

    /// The operation of a name, or all that begin as a pattern says.
    fn matching(&self, pattern: &str) -> Vec<&Tracked> {
        match pattern.strip_suffix('*') {
            None => self.find(pattern).into_iter().collect(),
            Some(beginning) => {
                let begins = |tracked: &&Tracked| tracked.operation.name().starts_with(beginning);
                self.operations.iter().filter(begins).collect()
            }
        }
    }

    /// What came to all of these in the last `span`; `None` where there are none.
    fn sum(&self, pattern: &str, now: u64, span: Duration) -> Option<Sum> {
        let all = self.matching(pattern);
        let mut sum = Sum::default();
        let windows = all.iter().flat_map(|tracked| tracked.within(now, span));
        windows.for_each(|(_, slot)| sum.add(slot));
        (!all.is_empty()).then_some(sum)
    }

    /// Lets the oldest windows go until the rest is within bounds.
    fn evict(&mut self, max_bytes: usize) {
        let mut bytes: usize = self.operations.iter().map(Tracked::bytes).sum();
        for resolution in [Resolution::Second, Resolution::Minute] {
            while bytes > max_bytes {
                let oldest = |tracked: &&mut Tracked| {
                    tracked.series(resolution).slots.front().map_or(u64::MAX, |(at, _)| *at)
                };
                let series = self.operations.iter_mut().min_by_key(oldest);
                let Some(series) = series.map(|tracked| tracked.series_mut(resolution)) else {
                    break;
                };
                let before = series.bytes();
                if !series.pop() {
                    break;
                }
                bytes = bytes + series.bytes() - before;
                self.stats.windows_evicted += 1;
            }
        }
        self.window_bytes = bytes;
    }
}

/// A name as far as it is kept.
fn cut(name: &str) -> &str {
    &name[..name.floor_char_boundary(NAME_BYTES)]
}

impl Monitor {
    /// A monitor without a thread of its own.
    #[must_use]
    pub fn new(config: Config) -> Self {
        let other = Tracked::new(Operation::new(OTHER.into(), config.clock.clone()));
        let state = State {
            timeline: Timeline::default(),
            operations: vec![other],
            operation_names: HashMap::from([(OTHER.into(), 0)]),
            gauges: HashMap::new(),
            ratios: HashMap::new(),
            window_bytes: 0,
            stats: Stats::default(),
        };
        Self { config, kept: Mutex::new(state) }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.kept.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The handle to record under a name, which is registered by the first call. Beyond
    /// [`Config::max_operations`] it is that of `other`, which is counted. Names are cut after
    /// 128 bytes.
    #[must_use]
    pub fn track_operation(&self, name: &str) -> Operation {
        let name = cut(name);
        let state = &mut *self.state();
        if let Some(known) = state.find(name) {
            return known.operation.clone();
        }
        if state.operations.len() > self.config.max_operations {
            state.stats.operations_refused += 1;
            return state.operations[0].operation.clone();
        }
        let name: Arc<str> = name.into();
        let operation = Operation::new(name.clone(), self.config.clock.clone());
        state.operation_names.insert(name, state.operations.len());
        state.operations.push(Tracked::new(operation.clone()));
        operation
    }

    /// The handle of a level. Beyond [`Config::max_gauges`] what is set is forgotten.
    #[must_use]
    pub fn gauge(&self, name: &str) -> Gauge {
        let state = &mut *self.state();
        Gauge(fed(&mut state.gauges, &mut state.stats, name, self.config.max_gauges))
    }

    /// The handle of a share. Beyond [`Config::max_gauges`] what is added is forgotten.
    #[must_use]
    pub fn ratio(&self, name: &str) -> Ratio {
        let state = &mut *self.state();
        Ratio(fed(&mut state.ratios, &mut state.stats, name, self.config.max_gauges))
    }

    /// Moves what was recorded into the windows of now. To be called once a second.
    pub fn collect(&self) {
        drop(self.collected());
    }

    fn collected(&self) -> (MutexGuard<'_, State>, u64) {
        let mut guard = self.state();
        let state = &mut *guard;
        let now = state.timeline.at(self.config.clock.now());
        state.operations.iter_mut().for_each(|tracked| tracked.collect(now));
        let gauges = state.gauges.values_mut().chain(state.ratios.values_mut());
        gauges.for_each(|kept| kept.collect(now));
        state.evict(self.config.max_window_bytes);
        (guard, now)
    }

    /// Milliseconds since 1970, by the clock of the monitor.
    #[must_use]
    pub fn unix_ms(&self) -> u64 {
        self.config.clock.unix_ms()
    }

    /// How long the monitor has been there; goes forward only.
    #[must_use]
    pub fn elapsed(&self) -> Duration {
        Duration::from_nanos(self.state().timeline.at(self.config.clock.now()))
    }

    /// The names of all operations, `other` first, then as they were registered.
    #[must_use]
    pub fn operations(&self) -> Vec<String> {
        self.state().operations.iter().map(|one| one.operation.name().to_owned()).collect()
    }

    /// What came to an operation in the last `span`, now included: up to 15 minutes to the second,
    /// up to 24 hours to the minute. `None` for a name that nobody registered.
    #[must_use]
    pub fn summary(&self, name: &str, span: Duration) -> Option<Summary> {
        let (state, now) = self.collected();
        Some(state.sum(name, now, span)?.summary())
    }

    /// What was collected of an operation in the last whole window, which is over.
    #[must_use]
    pub fn latest(&self, name: &str, resolution: Resolution) -> Option<Summary> {
        let (state, now) = self.collected();
        let all = state.matching(name);
        let wanted = resolution.index(now).checked_sub(1);
        let mut sum = Sum::default();
        for (_, slot) in all.iter().filter_map(|tracked| tracked.series(resolution).at(wanted?)) {
            sum.add(slot);
        }
        (!all.is_empty()).then(|| sum.summary())
    }

    /// The same of a gauge, or of a ratio where no gauge has the name.
    #[must_use]
    pub fn latest_level(&self, name: &str, resolution: Resolution) -> Option<Level> {
        let (state, now) = self.collected();
        let kept = state.gauges.get(cut(name)).or_else(|| state.ratios.get(cut(name)))?;
        let wanted = resolution.index(now).checked_sub(1)?;
        let level = kept.series(resolution).at(wanted).map(|(_, level)| *level);
        Some(level.unwrap_or_default())
    }

    /// All that came to an operation since it was registered.
    #[must_use]
    pub fn since_start(&self, name: &str) -> Option<Summary> {
        Some(self.all_of(name)?.summary())
    }

    /// How all durations since an operation was registered are distributed.
    #[must_use]
    pub fn histogram_since_start(&self, name: &str) -> Option<crate::Histogram> {
        Some(self.all_of(name)?.histogram)
    }

    fn all_of(&self, name: &str) -> Option<Sum> {
        let (state, _) = self.collected();
        let all = state.matching(name);
        let mut sum = Sum::default();
        for tracked in &all {
            let recorded = &tracked.operation.0;
            sum.histogram.merge(&recorded.live.snapshot(tracked.max));
            sum.refused += recorded.refused.load(Relaxed);
            sum.errors += recorded.errors.load(Relaxed);
            sum.cancelled += recorded.cancelled.load(Relaxed);
            sum.total = sum.total.saturating_add(recorded.live.total());
        }
        (!all.is_empty()).then_some(sum)
    }

    /// How the durations of the last `span` are distributed, for other percentiles.
    #[must_use]
    pub fn histogram(&self, name: &str, span: Duration) -> Option<crate::Histogram> {
        let (state, now) = self.collected();
        Some(state.sum(name, now, span)?.histogram)
    }

    /// The windows of an operation in which anything came, the oldest first.
    #[must_use]
    pub fn series(&self, name: &str, resolution: Resolution) -> Option<Vec<Window<Summary>>> {
        let (state, now) = self.collected();
        let unix_ms = self.config.clock.unix_ms();
        let all = state.matching(name);
        let mut windows: BTreeMap<u64, Vec<&Slot>> = BTreeMap::new();
        for (index, slot) in all.iter().flat_map(|tracked| &tracked.series(resolution).slots) {
            windows.entry(*index).or_default().push(slot);
        }
        let windows = windows.into_iter().map(|(index, slots)| {
            let mut sum = Sum::default();
            slots.into_iter().for_each(|slot| sum.add(slot));
            let began_unix_ms = resolution.began_unix_ms(index, now, unix_ms);
            Window { began_unix_ms, value: sum.summary() }
        });
        (!all.is_empty()).then(|| windows.collect())
    }

    /// The names of all gauges and then of all ratios, each in the order of the alphabet.
    #[must_use]
    pub fn levels(&self) -> (Vec<String>, Vec<String>) {
        let state = self.state();
        let names = |kept: &HashMap<Arc<str>, Kept>| {
            let mut names: Vec<String> = kept.keys().map(|name| (**name).to_owned()).collect();
            names.sort_unstable();
            names
        };
        (names(&state.gauges), names(&state.ratios))
    }

    /// What was set of a gauge in the last `span`.
    #[must_use]
    pub fn gauge_level(&self, name: &str, span: Duration) -> Option<Level> {
        let (state, now) = self.collected();
        state.gauges.get(cut(name)).map(|kept| level(kept, now, span))
    }

    /// What was added to a ratio in the last `span`.
    #[must_use]
    pub fn ratio_level(&self, name: &str, span: Duration) -> Option<Level> {
        let (state, now) = self.collected();
        state.ratios.get(cut(name)).map(|kept| level(kept, now, span))
    }

    /// The windows of a gauge, or of a ratio where no gauge has the name.
    #[must_use]
    pub fn level_series(&self, name: &str, resolution: Resolution) -> Option<Vec<Window<Level>>> {
        let (state, now) = self.collected();
        let unix_ms = self.config.clock.unix_ms();
        let kept = state.gauges.get(cut(name)).or_else(|| state.ratios.get(cut(name)))?;
        let windows = kept.series(resolution).slots.iter().map(|(index, level)| Window {
            began_unix_ms: resolution.began_unix_ms(*index, now, unix_ms),
            value: *level,
        });
        Some(windows.collect())
    }

    /// What of an operation is under way.
    #[must_use]
    pub fn in_flight(&self, name: &str) -> Option<InFlight> {
        let state = self.state();
        let all = state.matching(name);
        let flights = || all.iter().map(|tracked| &tracked.operation.0.flights);
        let now = self.config.clock.now();
        let oldest = flights().filter_map(Flights::oldest).min();
        let age = |began: u64| Duration::from_nanos(now.saturating_sub(began));
        let count = flights().map(Flights::count).sum();
        (!all.is_empty()).then(|| InFlight { count, oldest: oldest.map(age) })
    }

    /// The operations of a pattern in the last `span` by the time they took, the most first.
    #[must_use]
    pub fn bottlenecks(&self, pattern: &str, span: Duration) -> Vec<Bottleneck> {
        let (state, now) = self.collected();
        let summary = |tracked: &&Tracked| {
            let mut sum = Sum::default();
            tracked.within(now, span).for_each(|(_, slot)| sum.add(slot));
            let summary = sum.summary();
            (summary.count > 0).then(|| (tracked.operation.name().to_owned(), summary))
        };
        let all = state.matching(pattern);
        rank(all.iter().filter_map(summary).collect(), &self.config.thresholds)
    }

    /// How the monitor itself stands.
    #[must_use]
    pub fn stats(&self) -> Stats {
        let (state, _) = self.collected();
        Stats { window_bytes: state.window_bytes, ..state.stats }
    }
}

fn fed(
    kept: &mut HashMap<Arc<str>, Kept>,
    stats: &mut Stats,
    name: &str,
    max: usize,
) -> crate::gauge::Fed {
    let name = cut(name);
    if !kept.contains_key(name) && kept.len() >= max {
        stats.gauges_refused += 1;
        return None;
    }
    Some(kept.entry(name.into()).or_insert_with(Kept::new).fed.clone())
}

fn level(kept: &Kept, now: u64, span: Duration) -> Level {
    let mut sum = Level::default();
    kept.series(Resolution::reaching(span))
        .within(now, span)
        .for_each(|(_, level)| sum.merge(level));
    sum
}
