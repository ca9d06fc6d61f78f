//! One side that is down: the others do not notice, and it is left alone.

use std::cell::{Cell, RefCell};
use std::time::Duration;

use futures::future::join_all;
use futures::{StreamExt as _, stream};
use jebi_batch::{
    AccountConfig, AccountStats, Batch, BatchConfig, BreakerConfig, BreakerState, Class, Effect,
    Failure,
};

use crate::support::{LATENCY, MINUTE, accounts, paced};

#[derive(Clone, Copy, Debug, PartialEq)]
enum First {
    IsWell,
    IsBlackHole,
    Answers503,
}

/// A minute of ten accounts with endless work, of which the first one may be down: items done by the
/// other nine, items begun and calls made on the first, and how it stands then.
fn minute(first: First) -> (u64, u64, u64, AccountStats) {
    let (accounts, clock) = accounts();
    let config =
        BatchConfig { effect: Effect::Read, deadline: Some(MINUTE), ..BatchConfig::default() };
    let calls = Cell::new(0);
    let run = |number: usize| {
        let account = accounts.open(&format!("seller {number}"), AccountConfig::default());
        let behaves = if number == 0 { first } else { First::IsWell };
        let (calls, clock) = (&calls, &clock);
        let work = move |_| {
            calls.set(calls.get() + u64::from(number == 0));
            async move {
                match behaves {
                    First::IsWell => clock.wait(LATENCY).await,
                    First::IsBlackHole => std::future::pending().await,
                    First::Answers503 => return Err(Failure::new(Class::Unavailable)),
                }
                Ok(())
            }
        };
        let run = Batch::new(config.clone(), clock).on(account.api("items"));
        let run = run.run(stream::iter(0..), work);
        let progress = run.progress();
        async move {
            run.for_each(async |_| ()).await;
            progress.snapshot()
        }
    };
    let snapshots = clock.run(join_all((0..10).map(run)));
    let done = snapshots[1..].iter().map(|snapshot| snapshot.done).sum();
    let stats = accounts.find("seller 0").unwrap().stats();
    (done, snapshots[0].taken, calls.get(), stats)
}

#[test]
fn nine_of_ten_do_not_notice_that_one_is_down_and_that_one_is_left_alone() {
    let (well, ..) = minute(First::IsWell);
    assert_eq!(well, 9 * 10 * 300);
    for (first, class) in
        [(First::IsBlackHole, Class::Unanswered), (First::Answers503, Class::Unavailable)]
    {
        let (done, taken, calls, stats) = minute(first);
        println!("{first:?}: {done} of {well} by the others; {calls} calls for {taken} items");
        assert!(done * 100 >= well * 95, "{done} of {well}");
        let floor = 60 + 10;
        assert!(calls as f64 <= 1.2 * taken as f64 + f64::from(floor), "{calls} for {taken}");
        assert!(calls <= 20, "{calls} calls");
        assert!(stats.breaker_opened >= 1 && stats.breaker != BreakerState::Closed, "{stats:?}");
        assert_eq!((stats.calls, stats.in_use, stats.waiting), (calls, 0, 0));
        assert!(stats.errors.iter().any(|(seen, count)| *seen == class && *count >= 5));
        assert!(stats.refused > 0);
    }
}

#[test]
fn retries_add_a_fifth_to_the_load_and_are_spread() {
    let (accounts, clock) = accounts();
    // No breaker helps.
    let breaker = BreakerConfig { failed_share: 2.0, ..BreakerConfig::default() };
    let config = AccountConfig { limit: 2_000, breaker, ..AccountConfig::default() };
    let account = accounts.open("down", config);
    let moments = RefCell::new(Vec::new());
    let work = async |_| {
        moments.borrow_mut().push(clock.now());
        Err::<(), _>(Failure::new(Class::Unavailable))
    };
    let config = BatchConfig {
        effect: Effect::Read,
        max_concurrent: 2_000,
        deadline: Some(MINUTE),
        ..BatchConfig::default()
    };
    let batch = Batch::new(config, &clock).on(account.api("items"));
    let run = batch.run(paced(&clock, Duration::from_millis(1)), work);
    let progress = run.progress();
    clock.run(run.for_each(async |_| ()));
    let snapshot = progress.snapshot();
    let most = 1.2 * snapshot.taken as f64 + 70.0;
    println!("{} calls for {} items", snapshot.calls, snapshot.taken);
    assert!(snapshot.calls as f64 <= most, "{} calls, {most} allowed", snapshot.calls);
    assert!(snapshot.retries as f64 >= 0.19 * snapshot.taken as f64, "the budget is used");
    // Of each 100 ms: 100 first calls, and the retries.
    let mut bins = [0_u32; 600];
    for moment in moments.take() {
        bins[usize::try_from(moment.as_millis() / 100).unwrap().min(599)] += 1;
    }
    let mean = snapshot.retries as f64 / 600.0;
    let spikes = bins.iter().filter(|count| f64::from(**count) - 100.0 >= 3.0 * mean);
    // At the very start the floor of ten seconds is there at once.
    assert!(spikes.count() <= 1, "{bins:?}");
}

#[test]
fn a_side_that_comes_back_is_found_by_one_call_at_a_time() {
    let (accounts, clock) = accounts();
    let account = accounts.open("seller", AccountConfig::default());
    let (under_way, most) = (Cell::new(0), Cell::new(0));
    let work = async |_| {
        let is_down = clock.now() < Duration::from_secs(30);
        under_way.set(under_way.get() + 1);
        if clock.now() > Duration::from_secs(1) && is_down {
            most.set(most.get().max(under_way.get()));
        }
        clock.wait(Duration::from_millis(10)).await;
        under_way.set(under_way.get() - 1);
        if is_down { Err(Failure::new(Class::ServerError)) } else { Ok(()) }
    };
    let config = BatchConfig { effect: Effect::Read, ..BatchConfig::default() };
    let run = Batch::new(config, &clock).on(account.api("items")).run(stream::iter(0..5_000), work);
    let done = clock.run(
        run.filter(|outcome| {
            let is_done = outcome.result.is_ok();
            async move { is_done }
        })
        .count(),
    );
    assert!(done >= 4_950, "{done}");
    assert_eq!((most.get(), account.stats().breaker), (1, BreakerState::Closed));
}
