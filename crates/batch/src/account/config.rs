//! What an account may do.

use std::collections::BTreeMap;
use std::time::Duration;

use jebi_domain::Wholesaler;

use crate::breaker::BreakerConfig;
use crate::budget::BudgetConfig;
use crate::kill_switch::KillSwitchConfig;
use crate::mistakes::MistakesConfig;
use crate::rate::Rate;

/// What an account may do.
#[derive(Debug, Clone, PartialEq)]
pub struct AccountConfig {
    /// Calls under way at once. Default 10.
    pub limit: usize,
    /// Calls that may wait for their turn at one API; more are refused. Default 1,000; 0 counts as 1.
    pub queue: usize,
    /// What all calls together are held to, each of them. Default none.
    pub rates: Vec<Rate>,
    /// What the calls of one API are held to besides, by its name. Default none.
    pub api_rates: BTreeMap<String, Vec<Rate>>,
    /// When the other side counts as down.
    pub breaker: BreakerConfig,
    /// When we count as misbehaving, at each API.
    pub kill_switch: KillSwitchConfig,
    /// How many calls of an hour may be refused as wrong.
    pub mistakes: MistakesConfig,
    /// How much retries may add to the load.
    pub budget: BudgetConfig,
    /// How long nothing is called after a 408, 425 or 429 without a `Retry-After`; doubles each time
    /// until something succeeds. Default 60 s.
    pub pause: Duration,
    /// A pause is never longer, whatever the other side asks. Default 1 h.
    pub max_pause: Duration,
}

impl Default for AccountConfig {
    fn default() -> Self {
        Self {
            limit: 10,
            queue: 1_000,
            rates: Vec::new(),
            api_rates: BTreeMap::new(),
            breaker: BreakerConfig::default(),
            kill_switch: KillSwitchConfig::default(),
            mistakes: MistakesConfig::default(),
            budget: BudgetConfig::default(),
            pause: Duration::from_mins(1),
            max_pause: Duration::from_hours(1),
        }
    }
}

impl AccountConfig {
    /// The API at which tokens and sessions are asked for.
    pub const LOGIN: &str = "login";

    /// What is known to be safe with a wholesaler: 20, 15 or 25 calls at once, less than the rate at
    /// which each was seen to block, and at [`AccountConfig::LOGIN`] as few as tokens that are good
    /// for a month need: three, and then one in ten minutes; two in an hour may be refused.
    #[must_use]
    pub fn of(wholesaler: Wholesaler) -> Self {
        let (limit, rates, pause) = match wholesaler {
            // 180/min was seen to fail now and then, 150 not.
            Wholesaler::Ownerclan => (20, vec![Rate::per_minute(150).burst(5)], 60),
            // Its limit is unknown; clients make a call every 2 s.
            Wholesaler::Zentrade => (15, vec![Rate::per_minute(30).burst(2)], 60),
            // 180/min block for 3 minutes, 15,000 in a day until midnight.
            Wholesaler::Domeggook => {
                let rates =
                    vec![Rate::per_minute(150).burst(5), Rate::per_day(10_000).burst(4_500)];
                (25, rates, 180)
            }
        };
        let login = Self::LOGIN.to_owned();
        let by_api = BTreeMap::from([(login.clone(), 2)]);
        Self {
            limit,
            rates,
            api_rates: BTreeMap::from([(login, vec![Rate::per_hour(6).burst(3)])]),
            mistakes: MistakesConfig { by_api, ..MistakesConfig::default() },
            pause: Duration::from_secs(pause),
            ..Self::default()
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_safe_differs_by_wholesaler() {
        let usual = AccountConfig::default();
        for (wholesaler, limit, rates, pause) in [
            (Wholesaler::Ownerclan, 20, vec![Rate::per_minute(150).burst(5)], 60),
            (Wholesaler::Zentrade, 15, vec![Rate::per_minute(30).burst(2)], 60),
            (
                Wholesaler::Domeggook,
                25,
                vec![Rate::per_minute(150).burst(5), Rate::per_day(10_000).burst(4_500)],
                180,
            ),
        ] {
            let config = AccountConfig::of(wholesaler);
            assert_eq!((config.limit, config.rates), (limit, rates), "{wholesaler}");
            assert_eq!(config.pause, Duration::from_secs(pause), "{wholesaler}");
            assert_eq!((config.queue, config.max_pause), (usual.queue, usual.max_pause));
        }
    }

    #[test]
    fn a_login_is_tried_rarely_and_hardly_ever_wrongly() {
        for wholesaler in Wholesaler::ALL {
            let config = AccountConfig::of(*wholesaler);
            let rates = &config.api_rates[AccountConfig::LOGIN];
            assert_eq!(rates[..], [Rate::per_hour(6).burst(3)]);
            assert_eq!(config.mistakes.by_api, BTreeMap::from([("login".to_owned(), 2)]));
            assert_eq!(config.mistakes.per_api, 20);
        }
    }
}
