//! Whether a failed attempt is repeated, and when: a pure function.

use std::time::Duration;

use crate::budget::BudgetConfig;
use crate::outcome::{Class, Verdict};

/// What the work does to the other side.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Effect {
    /// It changes something, such as placing an order: what may have been done is not repeated.
    #[default]
    Write,
    /// It can be repeated without harm.
    Read,
}

/// How failed attempts are repeated.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Retry {
    /// Attempts for each item, the first one included. Default 4.
    pub max_attempts: u32,
    /// The ceiling of the wait before the first repetition; it doubles with each. Default 200 ms.
    pub base: Duration,
    /// The ceiling never exceeds this. Default 30 s.
    pub cap: Duration,
    /// How long to wait on 408, 425 and 429 without a `Retry-After`; doubles with each. Default 60 s.
    pub busy_wait: Duration,
    /// What an item waits at most, all together, because it was told to. Beyond it is parked.
    /// Default 15 min.
    pub max_wait: Duration,
    /// How much retries may add to the load. An account has a budget of its own.
    pub budget: BudgetConfig,
}

impl Default for Retry {
    fn default() -> Self {
        Self {
            max_attempts: 4,
            base: Duration::from_millis(200),
            cap: Duration::from_secs(30),
            busy_wait: Duration::from_mins(1),
            max_wait: Duration::from_mins(15),
            budget: BudgetConfig::default(),
        }
    }
}

/// All that a decision is made of.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Situation {
    /// What kind of failure it was.
    pub class: Class,
    /// What the work does.
    pub effect: Effect,
    /// How often the item was tried, this time included where it is an attempt.
    pub attempts: u32,
    /// How often the item has waited because it was told to.
    pub snoozes: u32,
    /// How long that was.
    pub waited: Duration,
    /// Retries that are left of the budget.
    pub budget_left: u32,
    /// How long the other side asks to be left alone.
    pub retry_after: Option<Duration>,
    /// From 0 to 1, without 1.
    pub random: f64,
}

/// What to do about a failed attempt.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Decision {
    /// Try again after this, and take one from the budget.
    Repeat(Duration),
    /// Try again after this; it was no attempt.
    Snooze(Duration),
    /// Do not try again.
    GiveUp(Verdict),
}

impl Retry {
    /// Decides. The same situation gets the same decision.
    #[must_use]
    pub fn decide(&self, situation: &Situation) -> Decision {
        let is_write = situation.effect == Effect::Write;
        match situation.class {
            Class::Busy | Class::Paused | Class::BreakerOpen | Class::QueueFull => {
                self.snooze(situation)
            }
            Class::Unreached | Class::Unavailable => self.repeat(situation),
            // An answer that cannot be used, and a gateway's 5xx, leave open what was done.
            Class::Unanswered | Class::ServerError | Class::Unusable | Class::Panicked
                if is_write =>
            {
                Decision::GiveUp(Verdict::Ambiguous)
            }
            Class::Unanswered | Class::ServerError => self.repeat(situation),
            Class::Rejected | Class::Unusable | Class::Panicked => Decision::GiveUp(Verdict::Final),
            Class::Stopped => Decision::GiveUp(Verdict::Later),
            Class::Cancelled | Class::DeadlinePassed => Decision::GiveUp(Verdict::Unfinished),
        }
    }

    fn repeat(&self, situation: &Situation) -> Decision {
        if situation.attempts >= self.max_attempts || situation.budget_left == 0 {
            return Decision::GiveUp(Verdict::Exhausted);
        }
        let asked = situation.retry_after.unwrap_or_default();
        if asked > self.max_wait {
            return Decision::GiveUp(Verdict::Later);
        }
        // Full jitter: what failed at the same time must not come back at the same time.
        let ceiling = doubled(self.base, situation.attempts.saturating_sub(1)).min(self.cap);
        Decision::Repeat(asked.saturating_add(ceiling.mul_f64(situation.random.clamp(0.0, 1.0))))
    }

    fn snooze(&self, situation: &Situation) -> Decision {
        let unasked = || doubled(self.busy_wait, situation.snoozes).min(self.max_wait);
        // Whoever says 0 again and again is asked less and less often all the same.
        let least = doubled(self.base, situation.snoozes).min(self.cap);
        let asked = situation.retry_after.unwrap_or_else(unasked);
        let spread = asked.max(least).min(self.cap).mul_f64(situation.random.clamp(0.0, 1.0));
        let wait = asked.max(least).saturating_add(spread);
        if situation.waited.saturating_add(wait) > self.max_wait {
            return Decision::GiveUp(Verdict::Later);
        }
        Decision::Snooze(wait)
    }
}

fn doubled(base: Duration, times: u32) -> Duration {
    base.saturating_mul(1_u32.checked_shl(times).unwrap_or(u32::MAX))
}

#[cfg(test)]
mod tests {
    use super::*;

    const USUAL: Situation = Situation {
        class: Class::Unavailable,
        effect: Effect::Read,
        attempts: 1,
        snoozes: 0,
        waited: Duration::ZERO,
        budget_left: 1,
        retry_after: None,
        random: 0.5,
    };

    fn decide(situation: &Situation) -> Decision {
        Retry::default().decide(situation)
    }

    #[test]
    fn what_is_done_hangs_on_what_failed_and_on_what_the_work_does() {
        let repeat = Decision::Repeat(Duration::from_millis(100));
        // A minute, and half of what is spread at most.
        let snooze = Decision::Snooze(Duration::from_secs(75));
        let [last, ambiguous, later, unfinished] =
            [Verdict::Final, Verdict::Ambiguous, Verdict::Later, Verdict::Unfinished]
                .map(Decision::GiveUp);
        for (class, read, write) in [
            (Class::Unreached, repeat, repeat),
            (Class::Unanswered, repeat, ambiguous),
            (Class::Busy, snooze, snooze),
            (Class::Unavailable, repeat, repeat),
            (Class::ServerError, repeat, ambiguous),
            (Class::Rejected, last, last),
            (Class::Unusable, last, ambiguous),
            (Class::Panicked, last, ambiguous),
            (Class::Cancelled, unfinished, unfinished),
            (Class::DeadlinePassed, unfinished, unfinished),
            (Class::BreakerOpen, snooze, snooze),
            (Class::Stopped, later, later),
            (Class::QueueFull, snooze, snooze),
            (Class::Paused, snooze, snooze),
        ] {
            assert_eq!(decide(&Situation { class, ..USUAL }), read, "{class:?}");
            let effect = Effect::Write;
            assert_eq!(decide(&Situation { class, effect, ..USUAL }), write, "{class:?}");
        }
    }

    #[test]
    fn the_ceiling_of_a_wait_doubles_up_to_its_cap() {
        let retry = Retry { max_attempts: u32::MAX, ..Retry::default() };
        let wait = |attempts| retry.decide(&Situation { attempts, ..USUAL });
        for (attempts, half_ms) in [(0, 100), (1, 100), (2, 200), (3, 400), (8, 12_800)] {
            assert_eq!(wait(attempts), Decision::Repeat(Duration::from_millis(half_ms)));
        }
        for attempts in [9, 32, 33, 34, u32::MAX - 1] {
            assert_eq!(wait(attempts), Decision::Repeat(Duration::from_secs(15)), "{attempts}");
        }
    }

    #[test]
    fn attempts_budget_and_patience_come_to_an_end() {
        let exhausted = Decision::GiveUp(Verdict::Exhausted);
        let third = Decision::Repeat(Duration::from_millis(400));
        assert_eq!(decide(&Situation { attempts: 3, ..USUAL }), third);
        assert_eq!(decide(&Situation { attempts: 4, ..USUAL }), exhausted);
        assert_eq!(decide(&Situation { budget_left: 0, ..USUAL }), exhausted);
        let most = Duration::from_mins(15);
        let asked = |asked| decide(&Situation { retry_after: Some(asked), ..USUAL });
        assert_eq!(asked(most), Decision::Repeat(most + Duration::from_millis(100)));
        let beyond = most + Duration::from_nanos(1);
        assert_eq!(asked(beyond), Decision::GiveUp(Verdict::Later));
    }

    #[test]
    fn who_is_told_to_wait_waits_as_long_as_asked_and_a_share_more() {
        let busy = Situation { class: Class::Busy, ..USUAL };
        let seconds = Duration::from_secs_f64;
        for (retry_after, snoozes, wait) in [
            (Some(4.0), 0, 6.0),
            // Of what is asked at most half a minute is spread.
            (Some(400.0), 0, 415.0),
            // Whoever says 0 is asked after 200 ms, 400, 800, 1.6 s.
            (Some(0.0), 0, 0.3),
            (Some(0.0), 3, 2.4),
            (Some(0.0), 60, 45.0),
            (None, 2, 255.0),
        ] {
            let retry_after = retry_after.map(seconds);
            let decision = decide(&Situation { retry_after, snoozes, ..busy });
            assert_eq!(decision, Decision::Snooze(seconds(wait)), "{retry_after:?} {snoozes}");
        }
    }

    #[test]
    fn an_item_is_parked_that_would_wait_longer_than_it_may() {
        let busy = Situation { class: Class::Busy, ..USUAL };
        let wait = Duration::from_secs(75);
        let waited = Duration::from_mins(15) - wait;
        assert_eq!(decide(&Situation { waited, ..busy }), Decision::Snooze(wait));
        let waited = waited + Duration::from_nanos(1);
        assert_eq!(decide(&Situation { waited, ..busy }), Decision::GiveUp(Verdict::Later));
    }
}
