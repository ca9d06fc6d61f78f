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
        let full = whole(per_second * self.ttl.as_secs_f64());
        self.floor = self.floor.saturating_add(grown).min(full);
        // Over is the time that whole units took: what is less than a unit is not lost, but counted
        // next time. Rounded up, so that nothing is gained.
        let took = Duration::from_nanos(whole((grown as f64 / per_second * 1e9).ceil()));
        self.floor_at = self.floor_at.saturating_add(took);
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

    /// A budget of this share and floor, for ten seconds.
    fn budget(share: f64, floor_per_second: f64) -> Budget {
        let config = BudgetConfig { share, floor_per_second, ..BudgetConfig::default() };
        Budget::new(&config, Duration::ZERO)
    }

    #[test]
    fn shares_of_a_retry_add_up() {
        let (mut budget, at) = (budget(0.15, 0.0), Duration::from_secs(1_000));
        (0..6).for_each(|_| budget.deposit(at));
        assert_eq!(budget.left(at), 0);
        budget.deposit(at);
        assert_eq!(budget.left(at), 1);
        (0..7).for_each(|_| budget.deposit(at + Duration::from_secs(3)));
        assert_eq!(budget.left(at + Duration::from_secs(3)), 2);
    }

    #[test]
    fn what_expires_first_is_taken_first_and_of_the_floor_last() {
        let (mut budget, at) = (budget(0.5, 0.25), Duration::from_secs);
        (0..2).for_each(|_| budget.deposit(at(1)));
        (0..4).for_each(|_| budget.deposit(at(9)));
        // One of the first second, two of the ninth, and two and a half of the floor.
        assert_eq!(budget.left(at(9)), 5);
        assert!(budget.withdraw(at(9)));
        assert_eq!((budget.left(at(9)), budget.left(at(10))), (4, 4));
        assert!(budget.withdraw(at(10)) && budget.withdraw(at(10)) && budget.withdraw(at(10)));
        assert_eq!(budget.left(at(10)), 1);
        // Half of a retry is left of the floor, and half comes of a call.
        assert!(budget.withdraw(at(10)) && !budget.withdraw(at(10)));
        budget.deposit(at(10));
        assert!(budget.withdraw(at(10)) && !budget.withdraw(at(10)));
    }

    #[test]
    fn a_deposit_lives_as_long_as_was_said_whatever_came_at_its_place_before() {
        let ttl = Duration::from_secs(5);
        let config = BudgetConfig { share: 1.0, floor_per_second: 0.0, ttl };
        let at = Duration::from_millis;
        let mut budget = Budget::new(&config, at(0));
        (0..7).for_each(|_| budget.deposit(at(1_000)));
        assert_eq!((budget.left(at(5_999)), budget.left(at(6_000))), (7, 0));
        budget.deposit(at(6_000));
        assert_eq!((budget.left(at(6_000)), budget.left(at(10_999))), (1, 1));
        assert_eq!(budget.left(at(11_000)), 0);
    }

    #[test]
    fn what_makes_no_sense_is_bounded() {
        let mut greedy = budget(7.0, -3.0);
        greedy.deposit(Duration::ZERO);
        assert_eq!(greedy.left(Duration::ZERO), 1);
        let config = BudgetConfig { ttl: Duration::ZERO, floor_per_second: 0.0, share: 1.0 };
        let (mut short, at) = (Budget::new(&config, Duration::ZERO), Duration::from_millis);
        short.deposit(at(5));
        assert_eq!((short.left(at(14)), short.left(at(15))), (1, 0));
    }

    #[test]
    fn what_is_less_than_a_unit_of_the_floor_is_not_lost() {
        let mut budget = budget(0.0, 1.0);
        assert!((0..10).all(|_| budget.withdraw(Duration::ZERO)));
        // Each time a unit and nine tenths of one have grown.
        let mut at = Duration::ZERO;
        while at < Duration::from_millis(2_001) {
            at += Duration::from_micros(1_900);
            budget.left(at);
        }
        assert_eq!(budget.left(at), 2);
        assert_eq!(budget.left(at - Duration::from_secs(1)), 2);
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
