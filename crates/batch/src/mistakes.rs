//! Answers that say that a call was wrong: so many in an hour, whatever else goes well.

use std::collections::{BTreeMap, VecDeque};
use std::time::Duration;

/// A share among good calls is not seen by a [`crate::KillSwitchConfig`], but counted by the other
/// side: 100 in an hour is what is known to get clients blocked.
const WINDOW: Duration = Duration::from_hours(1);
/// More are not remembered.
const MOST: u32 = 1_000;

/// How many calls of an hour may be refused as wrong. Who is beyond it is not called until enough of
/// them are an hour old; those under way may come on top.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MistakesConfig {
    /// Of the account. Default 60; 0 counts as 1.
    pub per_hour: u32,
    /// Of each API, so that one does not use up what all have. Default 20.
    pub per_api: u32,
    /// Of single APIs, by name, in place of `per_api`. Default none.
    pub by_api: BTreeMap<String, u32>,
}

impl Default for MistakesConfig {
    fn default() -> Self {
        Self { per_hour: 60, per_api: 20, by_api: BTreeMap::new() }
    }
}

impl MistakesConfig {
    pub(crate) fn of(&self, api: &str) -> Mistakes {
        Mistakes::new(self.by_api.get(api).copied().unwrap_or(self.per_api))
    }
}

#[derive(Debug)]
pub(crate) struct Mistakes {
    most: usize,
    /// The latest, as many as there may be.
    moments: VecDeque<Duration>,
}

impl Mistakes {
    pub(crate) fn new(most: u32) -> Self {
        Self { most: most.clamp(1, MOST) as usize, moments: VecDeque::new() }
    }

    /// How long nothing may be called.
    pub(crate) fn refuses(&self, now: Duration) -> Option<Duration> {
        let first = self.moments.front().filter(|_| self.moments.len() >= self.most)?;
        (*first + WINDOW).checked_sub(now).filter(|left| !left.is_zero())
    }

    /// Counts one. True where it was the last that there may be.
    pub(crate) fn record(&mut self, now: Duration) -> bool {
        let was_free = self.refuses(now).is_none();
        if self.moments.len() >= self.most {
            self.moments.pop_front();
        }
        self.moments.push_back(now);
        was_free && self.refuses(now).is_some()
    }

    pub(crate) fn forget(&mut self) {
        self.moments.clear();
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;
    use std::time::Duration;

    use super::{Mistakes, MistakesConfig, WINDOW};

    #[test]
    fn an_api_may_be_told_apart_and_at_least_one_is_allowed() {
        let by_api = BTreeMap::from([("login".to_owned(), 2), ("none".to_owned(), 0)]);
        let config = MistakesConfig { per_hour: 9, per_api: 3, by_api };
        for (api, most) in [("login", 2), ("items", 3), ("none", 1)] {
            let mut mistakes = config.of(api);
            let full = (1..=9).find(|_| mistakes.record(Duration::ZERO));
            assert_eq!(full, Some(most), "{api}");
        }
    }

    #[test]
    fn so_many_in_any_hour_and_the_next_when_the_first_is_an_hour_old() {
        let minute = |number: u32| Duration::from_mins(1) * number;
        let mut mistakes = Mistakes::new(3);
        assert_eq!([0, 10, 20].map(|at| mistakes.record(minute(at))), [false, false, true]);
        assert_eq!(mistakes.refuses(minute(20)), Some(minute(40)));
        // One that was under way.
        assert!(!mistakes.record(minute(21)));
        assert_eq!(mistakes.refuses(minute(30)), Some(minute(40)));
        assert_eq!(mistakes.refuses(minute(10) + WINDOW), None);
        assert!(mistakes.record(minute(70)));
        assert_eq!(mistakes.refuses(minute(70)), Some(minute(10)));
        mistakes.forget();
        assert_eq!(mistakes.refuses(minute(70)), None);
    }
}
