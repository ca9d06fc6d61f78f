//! How many retries there may be: a share of the calls, and a few more.

use std::time::Duration;

/// In how many steps deposits expire.
const SLOTS: usize = 10;
/// A retry, in the unit that deposits are counted in.
const RETRY: u64 = 1_000;

/// How much retries may add to the load, as Finagle does it: 20 % of the calls of the last 10 s, and
/// one per second besides.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct BudgetConfig {
    /// Retries for each call, 0 to 1. Default 0.2.
    pub share: f64,
    /// Retries per second whatever the calls are. Default 1.
    pub floor_per_second: f64,
    /// For how long what was not used can be used. Default 10 s.
    pub ttl: Duration,
}

impl Default for BudgetConfig {
    fn default() -> Self {
        Self { share: 0.2, floor_per_second: 1.0, ttl: Duration::from_secs(10) }
    }
}

/// What is left of a budget. Of `n` calls in a time `t` there are never more than
/// `share × n + floor × (t + ttl)` retries.
#[derive(Debug)]
pub struct Budget {
    share: u64,
    floor_per_second: f64,
    ttl: Duration,
    slots: [Slot; SLOTS],
    /// Of the floor, and when that was.
    floor: u64,
    floor_at: Duration,
}

/// Deposits of a tenth of the time they live.
#[derive(Debug, Clone, Copy, Default)]
struct Slot {
    number: u128,
    left: u64,
}

impl Budget {
    /// A budget of which nothing was used. Moments are those of one clock.
    #[must_use]
    pub fn new(config: &BudgetConfig, now: Duration) -> Self {
        let ttl = config.ttl.max(Duration::from_millis(SLOTS as u64));
        let floor_per_second = config.floor_per_second.max(0.0);
        Self {
            share: whole(config.share.clamp(0.0, 1.0) * RETRY as f64),
            floor_per_second,
            ttl,
            slots: [Slot::default(); SLOTS],
            floor: whole(floor_per_second * RETRY as f64 * ttl.as_secs_f64()),
            floor_at: now,
        }
    }

    /// A call is made that is no retry.
    pub fn deposit(&mut self, now: Duration) {
        let number = self.slot(now);
        let slot = &mut self.slots[(number % SLOTS as u128) as usize];
        if slot.number != number {
            *slot = Slot { number, left: 0 };
        }
        slot.left += self.share;
    }

    /// How many retries are left.
    pub fn left(&mut self, now: Duration) -> u32 {
        self.refill(now);
        let deposits: u64 = self.living(now).map(|slot| slot.left).sum();
        u32::try_from((deposits + self.floor) / RETRY).unwrap_or(u32::MAX)
    }

    /// Takes one retry, of what expires first; false where there is none.
    pub fn withdraw(&mut self, now: Duration) -> bool {
        if self.left(now) == 0 {
            return false;
        }
        let mut owed = RETRY;
        let mut living: Vec<&mut Slot> = self.living(now).collect();
        living.sort_unstable_by_key(|slot| slot.number);
        for slot in living {
            let taken = slot.left.min(owed);
            slot.left -= taken;
            owed -= taken;
        }
        self.floor -= owed;
        true
    }

    fn slot(&self, now: Duration) -> u128 {
        now.as_nanos() * SLOTS as u128 / self.ttl.as_nanos()
    }

    fn living(&mut self, now: Duration) -> impl Iterator<Item = &mut Slot> {
        let number = self.slot(now);
        self.slots.iter_mut().filter(move |slot| slot.number + SLOTS as u128 > number)
    }

    fn refill(&mut self, now: Duration) {
        let per_second = self.floor_per_second * RETRY as f64;
        let grown = whole(per_second * now.saturating_sub(self.floor_at).as_secs_f64());
        // What is less than a unit is not lost: it is counted next time.
        if grown > 0 {
            let full = whole(per_second * self.ttl.as_secs_f64());
            self.floor = self.floor.saturating_add(grown).min(full);
            self.floor_at = now;
        }
    }
}

#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "not negative")]
fn whole(number: f64) -> u64 {
    number as u64
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::{Budget, BudgetConfig};

    #[test]
    fn a_fifth_of_the_calls_may_be_repeated_for_ten_seconds() {
        let config = BudgetConfig { floor_per_second: 0.0, ..BudgetConfig::default() };
        let at = Duration::from_secs;
        let mut budget = Budget::new(&config, at(0));
        (0..100).for_each(|_| budget.deposit(at(1)));
        assert_eq!(budget.left(at(1)), 20);
        assert!((0..20).all(|_| budget.withdraw(at(5))));
        assert!(!budget.withdraw(at(5)));
        (0..100).for_each(|_| budget.deposit(at(6)));
        assert_eq!((budget.left(at(15)), budget.left(at(16))), (20, 0));
    }

    #[test]
    fn the_floor_is_there_without_calls_and_grows_to_its_limit_only() {
        let at = Duration::from_secs;
        let mut budget = Budget::new(&BudgetConfig::default(), at(0));
        assert_eq!(budget.left(at(100)), 10);
        assert!((0..10).all(|_| budget.withdraw(at(100))));
        assert_eq!((budget.left(at(100)), budget.left(at(103))), (0, 3));
    }
}
