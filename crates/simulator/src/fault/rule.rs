//! Which calls a fault meets.

use std::sync::{Mutex, PoisonError};

use jebi_domain::Wholesaler;
use serde::{Deserialize, Serialize};

use super::Fault;
use crate::random::{happens, mix};

/// Which of the calls that a rule is for are met.
#[derive(Debug, Clone, Copy, PartialEq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum When {
    /// All.
    #[default]
    Always,
    /// Only this one, counted from 1.
    Nth(u64),
    /// Every so many.
    Every(u64),
    /// This share, from 0 to 1, chosen by the seed.
    Share(f64),
}

/// A fault and the calls that it meets.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct FaultRule {
    /// Those of this wholesaler, or all.
    #[serde(default)]
    pub wholesaler: Option<Wholesaler>,
    /// Those of this route, or all: `auth`, `allItems`, `product_api`, `getItemList` …
    #[serde(default)]
    pub route: Option<String>,
    /// Those of this account, or all.
    #[serde(default)]
    pub account: Option<String>,
    /// Which of these.
    #[serde(default)]
    pub when: When,
    /// How often at most.
    #[serde(default)]
    pub times: Option<u64>,
    /// What goes wrong.
    pub fault: Fault,
}

impl FaultRule {
    /// For every call.
    #[must_use]
    pub fn new(fault: Fault) -> Self {
        let (wholesaler, route, account) = (None, None, None);
        Self { wholesaler, route, account, when: When::Always, times: None, fault }
    }

    /// Only those of a wholesaler.
    #[must_use]
    pub fn on(self, wholesaler: Wholesaler) -> Self {
        Self { wholesaler: Some(wholesaler), ..self }
    }

    /// Only those of a route.
    #[must_use]
    pub fn route(self, route: &str) -> Self {
        Self { route: Some(route.to_owned()), ..self }
    }

    /// Only those of an account.
    #[must_use]
    pub fn account(self, account: &str) -> Self {
        Self { account: Some(account.to_owned()), ..self }
    }

    /// Only some of them.
    #[must_use]
    pub fn when(self, when: When) -> Self {
        Self { when, ..self }
    }

    /// At most so often.
    #[must_use]
    pub fn times(self, times: u64) -> Self {
        Self { times: Some(times), ..self }
    }

    fn is_for(&self, met: Met<'_>) -> bool {
        self.wholesaler.is_none_or(|wholesaler| wholesaler == met.wholesaler)
            && self.route.as_ref().is_none_or(|route| route == met.route)
            && self.account.as_ref().is_none_or(|account| account == met.account)
    }
}

/// How a rule stands.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct FaultStatus {
    /// Its number.
    pub id: u64,
    /// The rule.
    pub rule: FaultRule,
    /// Calls that it was for.
    pub seen: u64,
    /// Calls that it met.
    pub met: u64,
}

/// What a rule looks at of a call.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Met<'a> {
    pub(crate) wholesaler: Wholesaler,
    pub(crate) route: &'a str,
    pub(crate) account: &'a str,
}

#[derive(Debug, Default)]
pub(crate) struct Faults {
    rules: Mutex<Rules>,
}

#[derive(Debug, Default)]
struct Rules {
    next: u64,
    rules: Vec<FaultStatus>,
}

impl Faults {
    pub(crate) fn add(&self, rule: FaultRule) -> u64 {
        let mut rules = self.rules.lock().unwrap_or_else(PoisonError::into_inner);
        rules.next += 1;
        let id = rules.next;
        rules.rules.push(FaultStatus { id, rule, seen: 0, met: 0 });
        id
    }

    pub(crate) fn remove(&self, id: u64) -> bool {
        let mut rules = self.rules.lock().unwrap_or_else(PoisonError::into_inner);
        let before = rules.rules.len();
        rules.rules.retain(|status| status.id != id);
        rules.rules.len() < before
    }

    pub(crate) fn clear(&self) {
        self.rules.lock().unwrap_or_else(PoisonError::into_inner).rules.clear();
    }

    pub(crate) fn list(&self) -> Vec<FaultStatus> {
        self.rules.lock().unwrap_or_else(PoisonError::into_inner).rules.clone()
    }

    /// What goes wrong with a call, in the order in which it was ordered.
    pub(crate) fn meet(&self, seed: u64, met: Met<'_>) -> Vec<Fault> {
        let mut rules = self.rules.lock().unwrap_or_else(PoisonError::into_inner);
        let for_it = rules.rules.iter_mut().filter(|status| status.rule.is_for(met));
        for_it.filter_map(|status| status.meets(seed).then(|| status.rule.fault.clone())).collect()
    }
}

impl FaultStatus {
    fn meets(&mut self, seed: u64) -> bool {
        self.seen += 1;
        let is_left = self.rule.times.is_none_or(|times| self.met < times);
        let is_it = match self.rule.when {
            When::Always => true,
            When::Nth(nth) => self.seen == nth,
            When::Every(every) => every > 0 && self.seen.is_multiple_of(every),
            When::Share(share) => happens(share, mix(seed, &[self.id, self.seen])),
        };
        self.met += u64::from(is_left && is_it);
        is_left && is_it
    }
}

#[cfg(test)]
mod tests {
    use jebi_domain::Wholesaler;

    use super::{FaultRule, Faults, Met, When};
    use crate::fault::Fault;

    const MET: Met<'_> =
        Met { wholesaler: Wholesaler::Zentrade, route: "product_api", account: "demo" };

    /// Which of ten calls a rule meets.
    fn meets(rule: FaultRule) -> Vec<usize> {
        let faults = Faults::default();
        faults.add(rule);
        (1..=10).filter(|_| !faults.meet(7, MET).is_empty()).collect()
    }

    fn rule() -> FaultRule {
        FaultRule::new(Fault::Empty)
    }

    #[test]
    fn a_rule_meets_the_calls_that_it_is_for() {
        let (all, none): (Vec<usize>, Vec<usize>) = ((1..=10).collect(), Vec::new());
        assert_eq!(meets(rule()), all);
        assert_eq!(
            meets(rule().on(Wholesaler::Zentrade).account("demo").route("product_api")),
            all
        );
        assert_eq!(meets(rule().on(Wholesaler::Domeggook)), none);
        assert_eq!(meets(rule().account("other")), none);
        assert_eq!(meets(rule().route("order_api")), none);
    }

    #[test]
    fn a_rule_meets_the_nth_every_nth_and_not_more_than_it_may() {
        let none: Vec<usize> = Vec::new();
        assert_eq!(meets(rule().when(When::Nth(3))), [3]);
        assert_eq!(meets(rule().when(When::Every(4))), [4, 8]);
        assert_eq!(meets(rule().times(2)), [1, 2]);
        assert_eq!(meets(rule().when(When::Every(4)).times(1)), [4]);
        assert_eq!(meets(rule().when(When::Share(0.0))), none);
    }

    #[test]
    fn a_rule_reads_from_json() {
        let json = r#"{"wholesaler":"domeggook","when":{"nth":2},"fault":{"latency":{"ms":5}}}"#;
        let expected = FaultRule::new(Fault::Latency { ms: 5, jitter_ms: 0 })
            .on(Wholesaler::Domeggook)
            .when(When::Nth(2));
        assert_eq!(serde_json::from_str::<FaultRule>(json).unwrap(), expected);
        let json = r#"{"fault":"stuck_cursor"}"#;
        let read: FaultRule = serde_json::from_str(json).unwrap();
        assert_eq!(read, FaultRule::new(Fault::StuckCursor));
    }
}
