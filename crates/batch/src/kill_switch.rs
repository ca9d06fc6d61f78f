//! An API whose calls are refused as wrong, again and again, is stopped before the account is banned.

use crate::recent::Recent;

/// When an API is stopped.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct KillSwitchConfig {
    /// How many of the latest answers are looked at, at most 64. Default 50.
    pub window: u32,
    /// Of fewer nothing is concluded. Default 20.
    pub min_calls: u32,
    /// The API is stopped when this share of them said that the call was wrong. Default 0.4.
    pub bad_share: f64,
}

impl Default for KillSwitchConfig {
    fn default() -> Self {
        Self { window: 50, min_calls: 20, bad_share: 0.4 }
    }
}

#[derive(Debug)]
pub(crate) struct KillSwitch {
    config: KillSwitchConfig,
    recent: Recent,
    is_thrown: bool,
}

impl KillSwitch {
    pub(crate) fn new(config: KillSwitchConfig) -> Self {
        Self { config, recent: Recent::default(), is_thrown: false }
    }

    pub(crate) fn is_thrown(&self) -> bool {
        self.is_thrown
    }

    /// Counts an answer. True where that has stopped the API.
    pub(crate) fn record(&mut self, is_our_fault: bool) -> bool {
        self.recent.push(is_our_fault);
        let share = self.recent.bad_share(self.config.window, self.config.min_calls);
        let throws = !self.is_thrown && share.is_some_and(|share| share >= self.config.bad_share);
        self.is_thrown |= throws;
        throws
    }

    pub(crate) fn release(&mut self) {
        *self = Self::new(self.config);
    }
}

#[cfg(test)]
mod tests {
    use super::{KillSwitch, KillSwitchConfig};

    #[test]
    fn two_in_five_are_too_many_and_that_is_told_once() {
        let mut switch = KillSwitch::new(KillSwitchConfig::default());
        let throws: Vec<usize> = (0..60).filter(|at| switch.record(at % 5 < 2)).collect();
        assert_eq!((throws, switch.is_thrown()), (vec![19], true));
    }

    #[test]
    fn a_loop_of_400s_among_good_calls_stops_an_api_until_it_is_released() {
        let mut switch = KillSwitch::new(KillSwitchConfig::default());
        let answers = (0..).map(|at| at % 2 == 0);
        let stopped_after = answers.take(100).position(|is_bad| switch.record(is_bad));
        assert_eq!((stopped_after, switch.is_thrown()), (Some(19), true));
        switch.release();
        assert!(!switch.is_thrown());
        assert!((0..100).all(|at| !switch.record(at % 5 == 0)));
    }
}
