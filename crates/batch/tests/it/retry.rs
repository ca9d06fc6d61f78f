//! The retry function, by properties.

use std::time::Duration;

use jebi_batch::{
    Budget, BudgetConfig, Class, Decision, Effect, Retry, Situation, Verdict, parse_retry_after,
};

use crate::support::Random;

/// What an attempt may end in: a status, or no whole answer.
fn class(random: &mut Random) -> (Class, Option<u16>) {
    let statuses = [400, 401, 403, 404, 408, 409, 422, 425, 429, 499, 500, 502, 503, 504, 302];
    match random.below(20) {
        0 => (Class::Unreached, None),
        1 | 2 => (Class::Unanswered, None),
        3 => (Class::BreakerOpen, None),
        _ => {
            let status = statuses[usize::try_from(random.below(15)).unwrap()];
            (Class::of_status(status), Some(status))
        }
    }
}

fn retry_after(random: &mut Random) -> Option<Duration> {
    let values = ["0", "1", "30", "600", "315360000", "-3", "soon", "", "99999999999999999999"];
    let at = usize::try_from(random.below(18)).unwrap();
    parse_retry_after(values.get(at)?, None, std::time::SystemTime::UNIX_EPOCH)
}

#[test]
fn a_hundred_thousand_random_histories_keep_every_promise() {
    let (random, retry) = (&mut Random(7), Retry::default());
    let mut budget = Budget::new(&retry.budget, Duration::ZERO);
    let (mut now, mut requests, mut retries, mut snoozes) = (Duration::ZERO, 0_u32, 0_u32, 0_u32);
    for _ in 0..100_000 {
        now += Duration::from_millis(random.below(100));
        budget.deposit(now);
        requests += 1;
        let effect = if random.below(2) == 0 { Effect::Read } else { Effect::Write };
        let mut situation = Situation {
            class: Class::Busy,
            effect,
            attempts: 0,
            snoozes: 0,
            waited: Duration::ZERO,
            budget_left: 0,
            retry_after: None,
            random: 0.0,
        };
        loop {
            let (class, status) = class(random);
            situation.class = class;
            situation.retry_after = retry_after(random);
            situation.random = random.share();
            situation.budget_left = budget.left(now);
            situation.attempts += u32::from(!matches!(class, Class::Busy | Class::BreakerOpen));
            let decision = retry.decide(&situation);
            assert_eq!(retry.decide(&situation), decision, "pure");
            let asked = situation.retry_after.unwrap_or_default();
            let is_told_to_wait = matches!(status, Some(408 | 425 | 429) | None if class == Class::Busy || class == Class::BreakerOpen);
            match decision {
                Decision::Repeat(wait) => {
                    let is_4xx = status.is_some_and(|status| (400..500).contains(&status));
                    assert!(!is_4xx && status != Some(302), "{status:?} was repeated");
                    let may_be_done = matches!(class, Class::Unanswered | Class::ServerError);
                    assert!(effect == Effect::Read || !may_be_done, "{class:?} was repeated");
                    assert!(wait >= asked && wait <= asked + retry.cap);
                    assert!(situation.attempts < retry.max_attempts);
                    assert!(budget.withdraw(now));
                    retries += 1;
                    now += Duration::from_micros(random.below(1_000));
                }
                Decision::Snooze(wait) => {
                    assert!(is_told_to_wait && wait >= asked);
                    situation.waited += wait;
                    situation.snoozes += 1;
                    snoozes += 1;
                    assert!(situation.waited <= retry.max_wait);
                }
                Decision::GiveUp(Verdict::Ambiguous) => {
                    assert_eq!(effect, Effect::Write);
                    break;
                }
                Decision::GiveUp(_) => break,
            }
        }
    }
    let BudgetConfig { share, floor_per_second, ttl } = retry.budget;
    let floor = floor_per_second * (now + ttl).as_secs_f64();
    let most = share * f64::from(requests) + floor;
    assert!(f64::from(retries) <= most, "{retries} retries of {requests}, {most} allowed");
    assert!(retries > 10_000 && snoozes > 10_000, "{retries} and {snoozes} are no test");
}

#[test]
fn waits_are_spread_evenly_and_grow_to_their_cap() {
    let (random, retry) = (&mut Random(11), Retry::default());
    for attempts in 1..4 {
        let mut bins = [0_u32; 100];
        let ceiling = retry.base * 2_u32.pow(attempts - 1);
        for _ in 0..100_000 {
            let situation = Situation {
                class: Class::Unavailable,
                effect: Effect::Write,
                attempts,
                snoozes: 0,
                waited: Duration::ZERO,
                budget_left: 1,
                retry_after: None,
                random: random.share(),
            };
            let Decision::Repeat(wait) = retry.decide(&situation) else { panic!("repeated") };
            let bin = wait.as_nanos() * 100 / ceiling.as_nanos();
            bins[usize::try_from(bin).unwrap()] += 1;
        }
        assert!(bins.iter().all(|count| *count < 3 * 1_000 && *count > 1_000 / 3), "{bins:?}");
    }
}

#[test]
fn whoever_is_told_to_come_back_at_once_is_parked_in_the_end() {
    let retry = Retry::default();
    for retry_after in [Some(Duration::ZERO), None, Some(Duration::from_secs(5))] {
        let (mut waited, mut snoozes) = (Duration::ZERO, 0);
        let verdict = loop {
            let situation = Situation {
                class: Class::Busy,
                effect: Effect::Read,
                attempts: 0,
                snoozes,
                waited,
                budget_left: 0,
                retry_after,
                random: 0.0,
            };
            match retry.decide(&situation) {
                Decision::Snooze(wait) => (waited, snoozes) = (waited + wait, snoozes + 1),
                decision => break decision,
            }
        };
        assert_eq!(verdict, Decision::GiveUp(Verdict::Later));
        assert!(snoozes < 60, "{snoozes} times");
    }
}
