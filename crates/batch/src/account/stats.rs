//! How an account stands.

use std::sync::atomic::Ordering::Relaxed;
use std::time::Duration;

use jebi_monitor::Summary;

use crate::account::Account;
use crate::account::lane::Halt;
use crate::breaker::BreakerState;
use crate::outcome::Class;
use crate::rate::Bucket;

/// How an account stands.
#[derive(Debug, Clone, PartialEq)]
pub struct AccountStats {
    /// Its name.
    pub name: String,
    /// Calls under way.
    pub in_use: usize,
    /// Calls that could begin besides.
    pub idle: usize,
    /// Calls that may be under way at once.
    pub limit: usize,
    /// Calls that wait for their turn.
    pub waiting: usize,
    /// Calls that could be made at this moment by the account's rates; `None` without a rate.
    pub calls_left: Option<u32>,
    /// The same for each API that has rates of its own, by its name.
    pub api_calls_left: Vec<(String, u32)>,
    /// Retries left of the budget.
    pub retries_left: u32,
    /// What the calls of the last minute took; `None` where the monitor tells too many names apart.
    pub latency: Option<Summary>,
    /// Calls since it was opened.
    pub calls: u64,
    /// What was refused without a call.
    pub refused: u64,
    /// Failed calls by class, those that there were.
    pub errors: Vec<(Class, u64)>,
    /// How its breaker stands.
    pub breaker: BreakerState,
    /// How often the breaker has opened after it was closed.
    pub breaker_opened: u64,
    /// How long it is still to be left alone, because it was told to or because too many of its
    /// calls were wrong.
    pub paused_for: Option<Duration>,
    /// The same for single APIs, by name: too many of their calls were wrong.
    pub paused_apis: Vec<(String, Duration)>,
    /// Whether it, or one of its APIs, is stopped until somebody releases it.
    pub is_stopped: bool,
    /// The APIs that are stopped, by name.
    pub stopped_apis: Vec<String>,
}

impl Account {
    /// How it stands. Takes a lock for a moment, and reads one minute of the monitor.
    #[must_use]
    pub fn stats(&self) -> AccountStats {
        let inner = &*self.0;
        let now = inner.clock.now();
        let latency = inner.monitor.summary(&inner.name, Duration::from_mins(1));
        let in_use = inner.in_use.load(Relaxed);
        let limit = inner.config.limit.max(1);
        let least = |buckets: &[Bucket]| buckets.iter().map(Bucket::left).min();
        let lanes: Vec<_> = inner.lanes().values().cloned().collect();
        let api_calls_left =
            lanes.iter().filter_map(|lane| Some((lane.name.clone(), least(&lane.buckets)?)));
        let (mut paused_apis, mut stopped_apis) = (Vec::new(), Vec::new());
        for lane in &lanes {
            match lane.halt(now) {
                Some(Halt::UntilReleased) => stopped_apis.push(lane.name.clone()),
                Some(Halt::For(wait)) => paused_apis.push((lane.name.clone(), wait)),
                None => {}
            }
        }
        let state = &mut *inner.state();
        let errors = Class::ALL.into_iter().zip(state.errors);
        AccountStats {
            name: inner.name.clone(),
            in_use,
            idle: limit.saturating_sub(in_use),
            limit,
            waiting: lanes.iter().map(|lane| lane.waiting.load(Relaxed)).sum(),
            calls_left: least(&inner.buckets),
            api_calls_left: api_calls_left.collect(),
            retries_left: state.budget.left(now),
            latency,
            calls: state.calls,
            refused: state.refused,
            errors: errors.filter(|(_, count)| *count > 0).collect(),
            breaker: state.breaker.state(),
            breaker_opened: state.breaker.opened(),
            paused_for: state.paused_for(now),
            paused_apis,
            is_stopped: state.is_stopped || !stopped_apis.is_empty(),
            stopped_apis,
        }
    }
}
