//! Stops calls of a Redis that fails, so that each costs nothing, and begins again carefully.

use crate::sync::{Mutex, lock};

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
    now: Mutex<Now>,
}

#[derive(Debug)]
struct Now {
    phase: Phase,
    /// In a row.
    failures: u64,
    /// The next one, in milliseconds.
    pause: u64,
    openings: u64,
}

#[derive(Debug, Clone, Copy)]
enum Phase {
    /// All calls are made.
    Closed,
    /// None is.
    Stopped { until: u64 },
    /// One is under way, to try.
    Trying,
    /// A share that rises with time.
    Ramp { from: u64, asked: u64 },
}

impl State {
    pub(crate) fn new(config: Breaker) -> Self {
        let now = Now { phase: Phase::Closed, failures: 0, pause: config.pause_ms, openings: 0 };
        Self { config, now: Mutex::new(now) }
    }

    /// Leave to make one call now.
    pub(crate) fn permit(&self, now: u64) -> Option<Permit<'_>> {
        let is_try = lock(&self.now).allows(&self.config, now)?;
        Some(Permit { state: self, now, is_try, is_settled: false })
    }

    pub(crate) fn is_stopped(&self) -> bool {
        matches!(lock(&self.now).phase, Phase::Stopped { .. } | Phase::Trying)
    }

    pub(crate) fn openings(&self) -> u64 {
        lock(&self.now).openings
    }
}

impl Now {
    /// Whether a call may be made: `Some(true)` for the one that tries.
    fn allows(&mut self, config: &Breaker, now: u64) -> Option<bool> {
        const PARTS: u64 = 16;
        match &mut self.phase {
            Phase::Closed => Some(false),
            Phase::Stopped { until } if now >= *until => {
                self.phase = Phase::Trying;
                Some(true)
            }
            Phase::Stopped { .. } | Phase::Trying => None,
            Phase::Ramp { from, .. } if now.saturating_sub(*from) >= config.ramp_ms => {
                self.phase = Phase::Closed;
                Some(false)
            }
            Phase::Ramp { from, asked } => {
                let part = *asked % PARTS;
                *asked += 1;
                let passed = now.saturating_sub(*from);
                (part * config.ramp_ms <= passed * PARTS).then_some(false)
            }
        }
    }

    fn succeeded(&mut self, config: &Breaker, now: u64, is_try: bool) {
        self.failures = 0;
        if is_try {
            self.pause = config.pause_ms;
            self.phase = Phase::Ramp { from: now, asked: 0 };
        }
    }

    fn failed(&mut self, config: &Breaker, now: u64, is_try: bool) {
        self.failures += 1;
        let is_enough = match self.phase {
            Phase::Closed | Phase::Ramp { .. } => self.failures >= config.failures,
            // Calls from before it stopped say nothing new.
            Phase::Stopped { .. } | Phase::Trying => is_try,
        };
        if is_enough {
            if is_try {
                self.pause = (self.pause * 2).min(config.pause_ms * 16);
            }
            self.openings += 1;
            self.phase = Phase::Stopped { until: now + self.pause };
        }
    }
}

/// Leave to make one call. A call that is given up counts as failed.
#[derive(Debug)]
pub(crate) struct Permit<'a> {
    state: &'a State,
    now: u64,
    is_try: bool,
    is_settled: bool,
}

impl Permit<'_> {
    pub(crate) fn succeeded(mut self) {
        self.is_settled = true;
        lock(&self.state.now).succeeded(&self.state.config, self.now, self.is_try);
    }
}

impl Drop for Permit<'_> {
    fn drop(&mut self) {
        if !self.is_settled {
            lock(&self.state.now).failed(&self.state.config, self.now, self.is_try);
        }
    }
}

#[cfg(all(test, not(feature = "shuttle")))]
mod tests {
    use super::*;

    /// A breaker that five calls have stopped at 5 ms.
    fn stopped() -> State {
        let state = State::new(Breaker::default());
        for now in 1..=5 {
            drop(state.permit(now).expect("they are not too many yet"));
        }
        state
    }

    #[test]
    fn p17_after_failures_calls_stop_and_one_tries() {
        let state = stopped();
        assert!(state.permit(6).is_none() && state.permit(504).is_none());
        let tries = state.permit(505).expect("one tries");
        assert!(state.permit(505).is_none() && state.permit(9_000).is_none(), "and nobody else");
        drop(tries);
        assert!(state.permit(1_504).is_none(), "twice as long");
        assert!(state.permit(1_505).is_some());
        assert_eq!(state.openings(), 3);
    }

    #[test]
    fn p18_after_a_try_that_succeeds_the_others_follow_little_by_little() {
        let state = stopped();
        state.permit(505).expect("one tries").succeeded();
        let allowed = |now: u64| {
            let permits = (0..1_600).filter_map(|_| state.permit(now));
            permits.map(Permit::succeeded).count()
        };
        assert_eq!(allowed(505), 100);
        assert_eq!(allowed(1_005), 900);
        assert_eq!(allowed(1_505), 1_600);
        assert_eq!(state.openings(), 1);
    }

    #[test]
    fn p18_a_call_from_before_the_stop_does_not_end_the_try() {
        let state = State::new(Breaker::default());
        let slow = [state.permit(0), state.permit(0)];
        for now in 1..=5 {
            drop(state.permit(now));
        }
        let tries = state.permit(505).expect("one tries");
        drop(slow);
        assert!(state.permit(505).is_none() && state.is_stopped(), "the try is under way");
        tries.succeeded();
        assert!(!state.is_stopped());
    }

    #[test]
    fn only_failures_in_a_row_stop_calls() {
        let state = State::new(Breaker::default());
        for now in 1..100 {
            let permit = state.permit(now).expect("four in a row are not too many");
            if now % 5 == 0 { permit.succeeded() } else { drop(permit) }
        }
        assert_eq!((state.is_stopped(), state.openings()), (false, 0));
        (100..101).for_each(|now| drop(state.permit(now)));
        assert_eq!((state.is_stopped(), state.openings()), (true, 1));
    }

    #[test]
    fn each_try_that_fails_doubles_the_pause_up_to_sixteen_times() {
        let (state, mut at) = (stopped(), 505);
        for pause in [1_000, 2_000, 4_000, 8_000, 8_000] {
            drop(state.permit(at).expect("one tries"));
            assert!(state.is_stopped() && state.permit(at + pause - 1).is_none(), "{pause}");
            at += pause;
        }
        state.permit(at).expect("one tries").succeeded();
        // Calls that fail while others begin again stop them for the first pause.
        at += 1_000;
        (0..5).for_each(|_| drop(state.permit(at)));
        assert!(state.permit(at + 499).is_none() && state.permit(at + 500).is_some());
    }

    #[test]
    fn failures_among_the_calls_that_begin_again_stop_them() {
        let state = stopped();
        state.permit(505).expect("one tries").succeeded();
        (0..5).for_each(|_| drop(state.permit(1_400).expect("most are allowed")));
        assert!(state.is_stopped() && state.permit(1_899).is_none());
        assert_eq!(state.openings(), 2);
    }

    #[test]
    fn a_try_that_is_given_up_is_followed_by_another() {
        let state = stopped();
        drop(state.permit(505));
        assert!(state.permit(1_505).is_some());
    }
}
