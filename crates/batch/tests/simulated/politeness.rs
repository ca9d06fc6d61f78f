//! A day with bugs of our own against limits that are enforced: nobody blocks us, and what is allowed
//! is used.

use std::cell::Cell;
use std::collections::BTreeMap;
use std::time::Duration;

use futures::future::{Either, select};
use futures::stream::{FuturesOrdered, FuturesUnordered};
use futures::{FutureExt as _, StreamExt as _, stream};
use jebi_batch::{
    Account, AccountConfig, Batch, BatchConfig, Class, KillSwitchConfig, MistakesConfig, Rate,
};
use jebi_domain::Wholesaler;
use jebi_simulator::{Fault, FaultRule, Rule, Settings};

use crate::bugs::{Bug, are_told_to_wait, has_a_wrong_clock, works};
use crate::outside::{DAY, HOUR, MINUTE, Outside};
use crate::seller::Seller;

/// Sellers with endless work, each with these bugs: their accounts, and the share of what is allowed
/// that was done.
fn live(
    outside: &Outside,
    wholesaler: Wholesaler,
    configs: &[(AccountConfig, &'static [Bug])],
    until: Duration,
) -> Vec<(Account, f64)> {
    let open = |(number, (config, bugs)): (u32, &(AccountConfig, &'static [Bug]))| {
        let seller = Seller::new(&outside.transport, wholesaler, number);
        let account = outside.accounts.open(&seller.name, config.clone());
        (seller, account, *bugs)
    };
    let all: Vec<_> = (1..).zip(configs).map(open).collect();
    let mut bugs = FuturesUnordered::new();
    for (seller, account, its) in &all {
        bugs.extend(its.iter().map(|bug| bug.go_on(outside, seller, account).boxed_local()));
    }
    bugs.push(has_a_wrong_clock(outside).boxed_local());
    bugs.push(are_told_to_wait(outside, all.iter().map(|(seller, ..)| seller)).boxed_local());
    let work = all.iter().map(|(seller, account, _)| works(outside, seller, account, until));
    let work: FuturesOrdered<_> = work.collect();
    let both = select(work.collect::<Vec<u64>>(), bugs.count());
    let Either::Left((done, _)) = outside.clock.run(both) else { panic!("bugs have no end") };
    let mut days = Vec::new();
    for (((seller, account, _), (config, _)), done) in all.into_iter().zip(configs).zip(done) {
        let told = outside.told(&seller);
        assert_eq!(told.early, 0, "calls of {} before the time was over", seller.name);
        let share = done as f64 / allowed(config, outside.passed(), told.time);
        println!("{}: {done} calls done, {:.2} % of what is allowed", seller.name, share * 100.0);
        days.push((account, share));
    }
    days
}

/// How much may be done in a time of which there was some to be left alone. What is not used then is
/// saved up, as far as the burst goes.
fn allowed(config: &AccountConfig, time: Duration, told: Duration) -> f64 {
    let by = |rate: &Rate| {
        let in_ =
            |time: Duration| f64::from(rate.count) * time.as_secs_f64() / rate.per.as_secs_f64();
        let burst = f64::from(rate.burst);
        burst + in_(time - told) + in_(told).min(burst)
    };
    config.rates.iter().map(by).fold(f64::MAX, f64::min)
}

/// So many a minute, and all else as with the wholesaler.
fn slower(wholesaler: Wholesaler, count: u32) -> AccountConfig {
    let rates = vec![Rate::per_minute(count).burst(2)];
    AccountConfig { rates, ..AccountConfig::of(wholesaler) }
}

fn a_day_without_a_block(wholesaler: Wholesaler, configs: Vec<AccountConfig>) {
    let outside = Outside::new(Settings::default());
    let with_bugs = |(number, config)| (config, if number % 2 == 0 { SOME } else { OTHERS });
    let configs: Vec<_> = (0..).zip(configs).map(with_bugs).collect();
    let days = live(&outside, wholesaler, &configs, DAY);
    let counters = outside.simulator.counters(wholesaler);
    println!("{} calls: {:?}", counters.calls, counters.statuses);
    assert_eq!(outside.simulator.blocks(), []);
    assert_eq!((counters.refused, counters.blocked), (0, 0));
    assert!(counters.faulty >= 20 * configs.len() as u64, "{}", counters.faulty);
    for (account, share) in days {
        let stats = account.stats();
        assert!(share >= 0.98, "{}: {share}", stats.name);
        assert!(stats.stopped_apis.iter().any(|api| api == "prices"), "{stats:?}");
        assert!(stats.refused > 1_000, "{stats:?}");
    }
}

const SOME: &[Bug] = &[Bug::WrongCalls, Bug::WrongLogIns, Bug::IgnoresBeingTold];
const OTHERS: &[Bug] = &[Bug::WrongCalls, Bug::StormsOfLogIns, Bug::IgnoresBeingTold];

#[test]
fn ownerclan_blocks_nobody_in_a_day_of_bugs_and_its_limit_is_used() {
    let mut configs = vec![AccountConfig::of(Wholesaler::Ownerclan)];
    configs.extend((0..2).map(|_| slower(Wholesaler::Ownerclan, 20)));
    a_day_without_a_block(Wholesaler::Ownerclan, configs);
}

#[test]
fn zentrade_blocks_nobody_in_a_day_of_bugs_and_its_limit_is_used() {
    a_day_without_a_block(Wholesaler::Zentrade, vec![AccountConfig::of(Wholesaler::Zentrade); 3]);
}

#[test]
fn domeggook_blocks_nobody_in_a_day_of_bugs_and_its_limit_is_used() {
    a_day_without_a_block(
        Wholesaler::Domeggook,
        vec![AccountConfig::of(Wholesaler::Domeggook); 10],
    );
}

/// What share of the calls is wrong does not say how many are; and a log-in is worth more than other
/// calls.
#[test]
fn without_bounds_on_mistakes_and_log_ins_the_same_bugs_get_us_blocked() {
    for (wholesaler, bugs, rule) in [
        (Wholesaler::Ownerclan, &[Bug::WrongCalls], Rule::Mistakes),
        (Wholesaler::Zentrade, &[Bug::WrongCalls], Rule::Mistakes),
        (Wholesaler::Domeggook, &[Bug::WrongCalls], Rule::Mistakes),
        (Wholesaler::Ownerclan, &[Bug::WrongLogIns], Rule::Tokens),
        (Wholesaler::Ownerclan, &[Bug::StormsOfLogIns], Rule::Tokens),
        (Wholesaler::Domeggook, &[Bug::StormsOfLogIns], Rule::Tokens),
    ] {
        let outside = Outside::new(Settings::default());
        let config = AccountConfig {
            kill_switch: KillSwitchConfig { bad_share: 2.0, ..KillSwitchConfig::default() },
            mistakes: MistakesConfig { per_hour: 1_000, per_api: 1_000, by_api: BTreeMap::new() },
            api_rates: BTreeMap::new(),
            ..AccountConfig::of(wholesaler)
        };
        live(&outside, wholesaler, &[(config, bugs)], HOUR);
        let blocks = outside.simulator.blocks();
        assert!(blocks.iter().any(|block| block.rule == rule), "{bugs:?}: {blocks:?}");
    }
}

/// Two hours of endless work and of prices of which one in twenty is wrong: how many of those were
/// sent.
fn one_in_twenty_is_wrong(outside: &Outside, mistakes: MistakesConfig) -> (u64, Account) {
    let seller = Seller::new(&outside.transport, Wholesaler::Ownerclan, 1);
    let config = AccountConfig { mistakes, ..AccountConfig::of(seller.wholesaler) };
    let account = outside.accounts.open(&seller.name, config);
    let wrong = Cell::new(0);
    let request = |number: u64| {
        if !number.is_multiple_of(20) {
            return seller.read(number);
        }
        wrong.set(wrong.get() + 1);
        seller.wrong()
    };
    let api = account.api("prices");
    let price = async |number| {
        let called = api.call(MINUTE, async { outside.call(&seller, request(number)).await });
        if let Err(failure) = called.await
            && failure.class == Class::Paused
        {
            outside.clock.wait(failure.retry_after.unwrap()).await;
        }
    };
    let prices = stream::iter(0..).for_each_concurrent(10, price);
    let work = works(outside, &seller, &account, HOUR * 2);
    let both = select(work.boxed_local(), prices.boxed_local());
    let Either::Left(_) = outside.clock.run(both) else { panic!("prices have no end") };
    (wrong.get(), account.clone())
}

/// Too few for the share that stops an API, and far too many in an hour.
#[test]
fn work_of_which_one_in_twenty_is_wrong_is_slowed_down_and_nothing_else_is() {
    let outside = Outside::new(Settings::default());
    let none = MistakesConfig { per_hour: 1_000, per_api: 1_000, by_api: BTreeMap::new() };
    let (_, account) = one_in_twenty_is_wrong(&outside, none);
    assert!(!account.stats().is_stopped);
    let rules: Vec<Rule> = outside.simulator.blocks().iter().map(|block| block.rule).collect();
    assert!(rules.contains(&Rule::Mistakes), "{rules:?}");

    let outside = Outside::new(Settings::default());
    let (wrong, account) = one_in_twenty_is_wrong(&outside, MistakesConfig::default());
    let stats = account.stats();
    println!("{} calls, of which {wrong} wrong", stats.calls);
    assert_eq!(outside.simulator.blocks(), []);
    assert!((40..=60).contains(&wrong), "{wrong}");
    assert!(stats.calls as f64 >= 0.98 * 150.0 * 120.0, "{}", stats.calls);
    assert!(!stats.is_stopped && stats.paused_for.is_none(), "{stats:?}");
    assert_eq!(stats.paused_apis.len(), 1, "{stats:?}");
}

/// A caller that calls again at once, and another side that always says to wait for no time at all.
#[test]
fn who_says_429_and_0_seconds_is_left_alone_all_the_same() {
    let outside = Outside::new(Settings::default());
    let seller = Seller::new(&outside.transport, Wholesaler::Domeggook, 1);
    let headers = [("Retry-After".to_owned(), "0".to_owned())].into();
    let fault = Fault::Answer { status: 429, headers, body: String::new() };
    outside.simulator.add_fault(FaultRule::new(fault));
    let account = outside.accounts.open(&seller.name, AccountConfig::of(seller.wholesaler));
    let batch = Batch::new(BatchConfig::default(), &outside.clock).on(account.api("items"));
    let hour = outside.clock.before(HOUR, async {
        loop {
            let items = stream::iter(0..10);
            let run = batch.run(items, async |item| outside.call(&seller, seller.read(item)).await);
            run.for_each(async |_| ()).await;
        }
    });
    assert_eq!(outside.clock.run(hour), None::<()>);
    let calls = account.stats().calls;
    println!("{calls} calls in an hour");
    assert!(calls <= 60, "{calls}");
}
