//! Stops calls of a Redis that fails, so that each costs nothing, and begins again carefully.

use std::sync::atomic::AtomicBool;
use std::sync::atomic::AtomicU64;
use std::sync::atomic::Ordering::{AcqRel, Acquire, Relaxed, Release};

/// When calls stop, and how they begin again.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Breaker {
    /// Failures in a row after which calls stop. Default 5.
    pub failures: u64,
    /// How long they stop before one call tries again, in milliseconds; doubled with each failed try up to
    /// sixteen times as long. Default 500.
    pub pause_ms: u64,
    /// How long it takes, once a try succeeded, until all calls are made again, in milliseconds. Default 1,000.
    pub ramp_ms: u64,
}

impl Default for Breaker {
    fn default() -> Self {
        Self { failures: 5, pause_ms: 500, ramp_ms: 1_000 }
    }
}

#[derive(Debug)]
pub(crate) struct State {
    config: Breaker,
    failures: AtomicU64,
    /// 0 while calls are made.
    stopped_until: AtomicU64,
    pause: AtomicU64,
    is_trying: AtomicBool,
    /// 0 once all calls are made.
    ramp_from: AtomicU64,
    asked: AtomicU64,
    openings: AtomicU64,
}

impl State {
    pub(crate) fn new(config: Breaker) -> Self {
        Self {
            config,
            failures: AtomicU64::new(0),
            stopped_until: AtomicU64::new(0),
            pause: AtomicU64::new(config.pause_ms),
            is_trying: AtomicBool::new(false),
            ramp_from: AtomicU64::new(0),
            asked: AtomicU64::new(0),
            openings: AtomicU64::new(0),
        }
    }

    /// Leave to make one call now.
    pub(crate) fn permit(&self, now: u64) -> Option<Permit<'_>> {
        self.allows(now).then_some(Permit { state: self, now, is_settled: false })
    }

    fn allows(&self, now: u64) -> bool {
        match self.stopped_until.load(Acquire) {
            0 => self.is_within_ramp(now),
            until if now < until => false,
            _ => !self.is_trying.swap(true, AcqRel),
        }
    }

    /// A share of the calls that rises with time.
    fn is_within_ramp(&self, now: u64) -> bool {
        const PARTS: u64 = 16;
        let from = self.ramp_from.load(Relaxed);
        if from == 0 {
            return true;
        }
        let passed = now.saturating_sub(from);
        if passed >= self.config.ramp_ms {
            self.ramp_from.store(0, Relaxed);
            return true;
        }
        let part = self.asked.fetch_add(1, Relaxed) % PARTS;
        part * self.config.ramp_ms <= passed * PARTS
    }

    fn succeeded(&self, now: u64) {
        self.failures.store(0, Relaxed);
        if self.is_trying.load(Acquire) && self.stopped_until.swap(0, AcqRel) != 0 {
            self.pause.store(self.config.pause_ms, Relaxed);
            self.ramp_from.store(now.max(1), Relaxed);
            self.is_trying.store(false, Release);
        }
    }

    fn failed(&self, now: u64) {
        let failures = self.failures.fetch_add(1, Relaxed) + 1;
        if self.is_trying.load(Acquire) {
            let pause = self.pause.load(Relaxed);
            self.pause.store((pause * 2).min(self.config.pause_ms * 16), Relaxed);
            self.stop(now);
            self.is_trying.store(false, Release);
        } else if failures >= self.config.failures && self.stopped_until.load(Acquire) == 0 {
            self.stop(now);
        }
    }

    fn stop(&self, now: u64) {
        self.openings.fetch_add(1, Relaxed);
        self.stopped_until.store((now + self.pause.load(Relaxed)).max(1), Release);
    }

    pub(crate) fn is_stopped(&self) -> bool {
        self.stopped_until.load(Acquire) != 0
    }

    pub(crate) fn openings(&self) -> u64 {
        self.openings.load(Relaxed)
    }
}

/// Leave to make one call. A call that is given up counts as failed.
#[derive(Debug)]
pub(crate) struct Permit<'a> {
    state: &'a State,
    now: u64,
    is_settled: bool,
}

impl Permit<'_> {
    pub(crate) fn succeeded(mut self) {
        self.is_settled = true;
        self.state.succeeded(self.now);
    }
}

impl Drop for Permit<'_> {
    fn drop(&mut self) {
        if !self.is_settled {
            self.state.failed(self.now);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn after_failures_one_call_tries_and_then_the_others_follow_little_by_little() {
        let state = State::new(Breaker::default());
        for now in 1..=5 {
            assert!(state.allows(now));
            state.failed(now);
        }
        assert!(!state.allows(6) && !state.allows(504));
        assert!(state.allows(505), "one tries");
        assert!(!state.allows(505), "and nobody else");
        state.failed(505);
        assert!(!state.allows(1_504), "twice as long");
        assert!(state.allows(1_505));
        state.succeeded(1_505);
        let allowed = |now: u64| (0..1_600).filter(|_| state.allows(now)).count();
        assert_eq!(allowed(1_505), 100);
        assert_eq!(allowed(2_005), 900);
        assert_eq!(allowed(2_505), 1_600);
        assert_eq!(state.openings(), 2);
    }
}
