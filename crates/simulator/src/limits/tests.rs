use std::time::Duration;

use jebi_domain::Wholesaler;

use super::{Caller, Limits, Rule, Verdict};
use crate::time::{Clock, Time};

/// Calls of one account.
struct Account {
    limits: Limits,
    wholesaler: Wholesaler,
    now: Time,
    scale: u32,
}

impl Account {
    fn of(wholesaler: Wholesaler) -> Self {
        Self { limits: Limits::default(), wholesaler, now: Clock::BEGINNING, scale: 1 }
    }

    fn caller(&self) -> Caller<'_> {
        let Self { wholesaler, now, scale, .. } = *self;
        Caller { wholesaler, account: "demo", now, scale }
    }

    fn call(&self) -> Verdict {
        self.limits.admit(self.caller(), false)
    }

    fn calls(&self, number: usize) -> usize {
        (0..number).filter(|_| self.call() == Verdict::Admitted).count()
    }

    fn pass(&mut self, milliseconds: u64) {
        self.now = self.now + Duration::from_millis(milliseconds);
    }

    fn rules(&self) -> Vec<Rule> {
        self.limits.blocks().iter().map(|block| block.rule).collect()
    }
}

#[test]
fn domeggook_serves_180_in_a_minute_and_blocks_for_three_at_the_next() {
    let mut account = Account::of(Wholesaler::Domeggook);
    assert_eq!(account.calls(180), 180);
    account.pass(59_999);
    let until = account.now + Duration::from_mins(3);
    assert_eq!(account.call(), Verdict::Blocked { until });
    account.pass(179_999);
    assert_eq!(account.call(), Verdict::Blocked { until });
    account.pass(1);
    assert_eq!(account.calls(180), 180);
    assert_eq!(account.rules(), [Rule::PerMinute]);
}

#[test]
fn a_call_a_minute_after_the_first_takes_its_place() {
    let mut account = Account::of(Wholesaler::Domeggook);
    assert_eq!(account.calls(180), 180);
    account.pass(60_000);
    assert_eq!(account.calls(180), 180);
    assert_eq!(account.rules(), []);
}

#[test]
fn domeggook_serves_15_000_in_a_day_and_is_closed_until_midnight_in_korea() {
    let mut account = Account::of(Wholesaler::Domeggook);
    for _ in 0..15_000 {
        assert_eq!(account.call(), Verdict::Admitted);
        account.pass(400);
    }
    let midnight = Time::start_of_korean_day(account.now.korean_day() + 1);
    assert_eq!(account.call(), Verdict::Blocked { until: midnight });
    account.now = midnight - Duration::from_millis(1);
    assert_eq!(account.call(), Verdict::Blocked { until: midnight });
    account.now = midnight;
    assert_eq!(account.call(), Verdict::Admitted);
    assert_eq!(account.rules(), [Rule::PerDay]);
}

#[test]
fn ownerclan_refuses_above_180_in_a_minute_and_blocks_above_240() {
    let mut account = Account::of(Wholesaler::Ownerclan);
    assert_eq!(account.calls(180), 180);
    for _ in 180..240 {
        assert_eq!(account.call(), Verdict::Refused);
    }
    assert_eq!(account.rules(), []);
    let until = account.now + Duration::from_mins(1);
    assert_eq!(account.call(), Verdict::Blocked { until });
    account.pass(60_000);
    assert_eq!(account.call(), Verdict::Admitted);
}

#[test]
fn fifty_times_as_fast_a_minute_has_1200_milliseconds() {
    let mut account = Account { scale: 50, ..Account::of(Wholesaler::Domeggook) };
    assert_eq!(account.calls(180), 180);
    account.pass(1_200);
    assert_eq!(account.calls(180), 180);
    account.pass(1_199);
    let until = account.now + Duration::from_millis(3_600);
    assert_eq!(account.call(), Verdict::Blocked { until });
    account.pass(3_600);
    assert_eq!(account.call(), Verdict::Admitted);
}

#[test]
fn a_client_that_repeats_its_mistake_is_blocked_for_an_hour() {
    let mut account = Account::of(Wholesaler::Zentrade);
    (0..100).for_each(|_| account.limits.mistake(account.caller()));
    assert_eq!(account.call(), Verdict::Admitted);
    account.limits.mistake(account.caller());
    let until = account.now + Duration::from_hours(1);
    assert_eq!(account.call(), Verdict::Blocked { until });
    account.now = until;
    assert_eq!(account.call(), Verdict::Admitted);
    assert_eq!(account.rules(), [Rule::Mistakes]);
}

#[test]
fn a_client_that_asks_for_a_token_each_time_is_blocked() {
    let account = Account::of(Wholesaler::Ownerclan);
    for _ in 0..30 {
        assert_eq!(account.limits.admit(account.caller(), true), Verdict::Admitted);
    }
    let verdict = account.limits.admit(account.caller(), true);
    assert!(matches!(verdict, Verdict::Blocked { .. }));
    assert_eq!(account.rules(), [Rule::Tokens]);
}

#[test]
fn one_account_does_not_count_for_another() {
    let account = Account::of(Wholesaler::Domeggook);
    account.calls(181);
    let other = Caller { account: "other", ..account.caller() };
    assert_eq!(account.limits.admit(other, false), Verdict::Admitted);
}
