//! Calls to a side that is down cost nothing: the circuit breaker.

use std::time::Duration;

use crate::recent::Recent;

/// When a breaker opens, and how it closes again.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct BreakerConfig {
    /// How many of the latest calls are looked at, at most 64. Default 20.
    pub window: u32,
    /// Of fewer nothing is concluded. Default 5.
    pub min_calls: u32,
    /// It opens when this share of them failed. Default 0.5.
    pub failed_share: f64,
    /// How long it stays open before one call is let through. Default 10 s.
    pub open_for: Duration,
    /// How long that call may take. Default 5 s.
    pub probe_timeout: Duration,
}

impl Default for BreakerConfig {
    fn default() -> Self {
        Self {
            window: 20,
            min_calls: 5,
            failed_share: 0.5,
            open_for: Duration::from_secs(10),
            probe_timeout: Duration::from_secs(5),
        }
    }
}

/// How a breaker stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum BreakerState {
    /// Calls go through.
    Closed,
    /// None goes through before this moment of the clock.
    Open(Duration),
    /// One call is under way, and decides.
    HalfOpen,
}

/// What a call may do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Pass {
    /// Go through.
    Normal,
    /// Go through as the one that decides, for so long.
    Probe(Duration),
    /// Come back after this.
    Refused(Duration),
}

#[derive(Debug)]
pub(crate) struct Breaker {
    config: BreakerConfig,
    state: BreakerState,
    recent: Recent,
    opened: u64,
}

impl Breaker {
    pub(crate) fn new(config: BreakerConfig) -> Self {
        Self { config, state: BreakerState::Closed, recent: Recent::default(), opened: 0 }
    }

    pub(crate) fn state(&self) -> BreakerState {
        self.state
    }

    /// How often it has opened, after it was closed.
    pub(crate) fn opened(&self) -> u64 {
        self.opened
    }

    /// Whether a call would be refused now, without letting one through.
    pub(crate) fn refuses(&self, now: Duration) -> Option<Duration> {
        match self.state {
            BreakerState::Open(until) if now < until => Some(until - now),
            BreakerState::HalfOpen => Some(self.config.probe_timeout),
            BreakerState::Closed | BreakerState::Open(_) => None,
        }
    }

    pub(crate) fn admit(&mut self, now: Duration) -> Pass {
        match (self.refuses(now), self.state) {
            (Some(wait), _) => Pass::Refused(wait),
            (None, BreakerState::Open(_) | BreakerState::HalfOpen) => {
                self.state = BreakerState::HalfOpen;
                Pass::Probe(self.config.probe_timeout)
            }
            (None, BreakerState::Closed) => Pass::Normal,
        }
    }

    /// How a call ended that was admitted. True where that has opened the breaker, which it does not
    /// where it was open but for this call.
    pub(crate) fn record(&mut self, pass: Pass, is_outage: bool, now: Duration) -> bool {
        let opens = match (pass, self.state) {
            (Pass::Probe(_), _) => {
                self.recent = Recent::default();
                self.state = BreakerState::Closed;
                is_outage
            }
            (Pass::Normal | Pass::Refused(_), BreakerState::Closed) => {
                self.recent.push(is_outage);
                let share = self.recent.bad_share(self.config.window, self.config.min_calls);
                is_outage && share.is_some_and(|share| share >= self.config.failed_share)
            }
            // What was under way when it opened changes nothing any more.
            (Pass::Normal | Pass::Refused(_), BreakerState::Open(_) | BreakerState::HalfOpen) => {
                false
            }
        };
        if opens {
            self.state = BreakerState::Open(now.saturating_add(self.config.open_for));
        }
        let is_news = opens && pass == Pass::Normal;
        self.opened += u64::from(is_news);
        is_news
    }

    /// The deciding call was given up before it ended: another one may decide, at once.
    pub(crate) fn forget_probe(&mut self, now: Duration) {
        self.state = BreakerState::Open(now);
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::{Breaker, BreakerConfig, BreakerState, Pass};

    const NOW: Duration = Duration::from_secs(1);

    fn call(breaker: &mut Breaker, is_outage: bool, now: Duration) -> Pass {
        let pass = breaker.admit(now);
        breaker.record(pass, is_outage, now);
        pass
    }

    #[test]
    fn five_failures_open_it_cold_and_ten_open_it_warm() {
        let mut cold = Breaker::new(BreakerConfig::default());
        (0..4).for_each(|_| _ = call(&mut cold, true, NOW));
        assert_eq!(cold.state(), BreakerState::Closed);
        call(&mut cold, true, NOW);
        assert_eq!(cold.state(), BreakerState::Open(NOW * 11));
        let mut warm = Breaker::new(BreakerConfig::default());
        (0..1_000).for_each(|_| _ = call(&mut warm, false, NOW));
        (0..9).for_each(|_| _ = call(&mut warm, true, NOW));
        assert_eq!(warm.state(), BreakerState::Closed);
        call(&mut warm, true, NOW);
        assert_eq!((warm.state(), warm.opened()), (BreakerState::Open(NOW * 11), 1));
    }

    #[test]
    fn one_call_decides_for_a_shorter_time_and_the_others_wait() {
        let mut breaker = Breaker::new(BreakerConfig::default());
        (0..5).for_each(|_| _ = call(&mut breaker, true, NOW));
        assert_eq!(breaker.admit(NOW * 2), Pass::Refused(NOW * 9));
        let probe = breaker.admit(NOW * 11);
        assert_eq!(probe, Pass::Probe(NOW * 5));
        assert_eq!(breaker.admit(NOW * 12), Pass::Refused(NOW * 5));
        assert!(!breaker.record(probe, true, NOW * 16));
        assert_eq!((breaker.state(), breaker.opened()), (BreakerState::Open(NOW * 26), 1));
        let probe = breaker.admit(NOW * 26);
        assert!(!breaker.record(probe, false, NOW * 27));
        assert_eq!(breaker.admit(NOW * 27), Pass::Normal);
    }

    #[test]
    fn it_opens_with_a_failure_and_what_was_under_way_changes_nothing_any_more() {
        let mut breaker = Breaker::new(BreakerConfig::default());
        (0..4).for_each(|_| _ = call(&mut breaker, true, NOW));
        call(&mut breaker, false, NOW);
        let closed = (breaker.state(), breaker.opened());
        assert_eq!(closed, (BreakerState::Closed, 0), "five calls, four of them failed");
        assert!(breaker.record(Pass::Normal, true, NOW));
        let open = BreakerState::Open(NOW * 11);
        assert_eq!((breaker.state(), breaker.opened()), (open, 1));
        assert!(!breaker.record(Pass::Normal, true, NOW * 5));
        assert!(!breaker.record(Pass::Normal, false, NOW * 5));
        assert_eq!((breaker.state(), breaker.opened()), (open, 1));
        assert_eq!(breaker.refuses(NOW * 10), Some(NOW));
        assert_eq!(breaker.refuses(NOW * 11), None);
    }

    #[test]
    fn a_deciding_call_that_was_given_up_is_followed_by_another() {
        let mut breaker = Breaker::new(BreakerConfig::default());
        (0..5).for_each(|_| _ = call(&mut breaker, true, NOW));
        breaker.admit(NOW * 11);
        breaker.forget_probe(NOW * 12);
        assert_eq!(breaker.admit(NOW * 12), Pass::Probe(NOW * 5));
    }
}
