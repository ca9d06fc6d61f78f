//! What an account may do, and what is shown of it.

use std::cell::{Cell, RefCell};
use std::collections::BTreeMap;
use std::time::Duration;

use futures::future::{join, join_all};
use futures::{FutureExt as _, StreamExt as _, stream};
use jebi_batch::http;
use jebi_batch::{AccountConfig, Batch, BatchConfig, Class, Effect, End, Failure, Rate, Verdict};
use jebi_domain::Wholesaler;

use crate::support::{LATENCY, MINUTE, accounts, all};

fn reads() -> BatchConfig {
    BatchConfig { effect: Effect::Read, ..BatchConfig::default() }
}

/// The most moments in any minute.
fn busiest_minute(moments: &[Duration]) -> usize {
    let within = |(at, begin): (usize, &Duration)| {
        moments[at..].iter().take_while(|moment| **moment - *begin < MINUTE).count()
    };
    moments.iter().enumerate().map(within).max().unwrap_or_default()
}

#[test]
fn a_legal_rate_is_used_to_98_percent_and_never_passed() {
    let (accounts, clock) = accounts();
    let rates = vec![Rate::per_minute(150).burst(5)];
    let account = accounts.open("ownerclan", AccountConfig { rates, ..AccountConfig::default() });
    let moments = RefCell::new(Vec::new());
    let work = async |_| {
        moments.borrow_mut().push(clock.now());
        clock.wait(LATENCY).await;
        Ok::<_, Failure>(())
    };
    let config = BatchConfig { deadline: Some(MINUTE * 10), ..reads() };
    let run = Batch::new(config, &clock).on(account.api("items"));
    all(&clock, run.run(stream::iter(0..), work));
    let moments = moments.take();
    println!("{} of 1500 calls in ten minutes", moments.len());
    assert!(moments.len() * 100 >= 1_500 * 98, "{}", moments.len());
    assert!(busiest_minute(&moments) <= 155, "{}", busiest_minute(&moments));
}

#[test]
fn no_wholesaler_is_called_more_often_than_it_allows_in_a_minute_or_a_day() {
    let known = [
        (Wholesaler::Ownerclan, 20, 180, usize::MAX),
        (Wholesaler::Zentrade, 15, 60, usize::MAX),
        (Wholesaler::Domeggook, 25, 180, 15_000),
    ];
    for (wholesaler, limit, in_a_minute, in_a_day) in known {
        let (accounts, clock) = accounts();
        let config = AccountConfig::of(wholesaler);
        assert_eq!((config.limit, http::Config::of(wholesaler).max_connections), (limit, limit));
        let account = accounts.open("all day", config);
        let moments = RefCell::new(Vec::new());
        let work = async |_| {
            moments.borrow_mut().push(clock.now());
            Ok::<_, Failure>(())
        };
        let config = BatchConfig { deadline: Some(MINUTE * 60 * 24), ..reads() };
        let run = Batch::new(config, &clock).on(account.api("items")).run(stream::iter(0..), work);
        clock.run(run.for_each(async |_| ()));
        let (minute, day) = (busiest_minute(&moments.borrow()), moments.borrow().len());
        assert!(minute < in_a_minute && day < in_a_day, "{minute} and {day}");
        assert!(day > 14_000, "{day} calls in a day");
    }
}

#[test]
fn an_api_has_a_rate_of_its_own_and_all_share_that_of_the_account() {
    let (accounts, clock) = accounts();
    let config = AccountConfig {
        limit: 100,
        rates: vec![Rate::per_second(10)],
        api_rates: BTreeMap::from([("orders".to_owned(), vec![Rate::per_second(2)])]),
        ..AccountConfig::default()
    };
    let account = accounts.open("naver", config);
    let count = |api: &str| {
        let config = BatchConfig { deadline: Some(MINUTE), ..reads() };
        let run = Batch::new(config, &clock).on(account.api(api));
        let run = run.run(stream::iter(0..), async |_| Ok::<_, Failure>(()));
        run.filter(|outcome| futures::future::ready(outcome.result.is_ok())).count()
    };
    let (orders, items) = clock.run(join(count("orders"), count("items")));
    // Of those who wait for the account it is one in eleven.
    assert!((54..=121).contains(&orders), "{orders}");
    assert!((597..=601).contains(&(orders + items)), "{}", orders + items);
    let stats = account.stats();
    assert_eq!((stats.calls_left, stats.api_calls_left.len()), (Some(0), 1));
}

#[test]
fn a_slow_api_takes_no_place_from_the_others_and_saves_up_no_burst() {
    let (accounts, clock) = accounts();
    let api_rates = BTreeMap::from([("orders".to_owned(), vec![Rate::per_second(1)])]);
    let config = AccountConfig { limit: 10, api_rates, ..AccountConfig::default() };
    let account = accounts.open("naver", config);
    let moments = RefCell::new(Vec::new());
    let orders = async |_| {
        moments.borrow_mut().push(clock.now());
        Ok::<_, Failure>(())
    };
    let items = async |_| {
        clock.wait(LATENCY).await;
        Ok::<_, Failure>(())
    };
    let config = BatchConfig { deadline: Some(MINUTE), max_concurrent: 100, ..reads() };
    let batch = |api| Batch::new(config.clone(), &clock).on(account.api(api));
    let orders = batch("orders").run(stream::iter(0..), orders).count();
    let items = batch("items").run(stream::iter(0..), items);
    let items = items.filter(|outcome| futures::future::ready(outcome.result.is_ok())).count();
    let (_, items) = clock.run(join(orders, items));
    assert!(items >= 2_900, "{items} of 3,000");
    let gap = moments.take().windows(2).map(|two| two[1] - two[0]).min();
    assert!(gap >= Some(Duration::from_secs(1) - LATENCY), "{gap:?}");
}

#[test]
fn no_more_are_under_way_than_the_limit_and_the_queue_before_it_is_bounded() {
    let (accounts, clock) = accounts();
    let config = AccountConfig { limit: 3, queue: 5, ..AccountConfig::default() };
    let account = accounts.open("seller", config);
    let api = account.api("items");
    let (under_way, most) = (Cell::new(0), Cell::new(0));
    let call = |_| {
        api.call(MINUTE, async {
            under_way.set(under_way.get() + 1);
            most.set(most.get().max(under_way.get()));
            clock.wait(LATENCY).await;
            under_way.set(under_way.get() - 1);
            Ok::<_, Failure>(())
        })
    };
    let watched = async {
        clock.wait(LATENCY / 2).await;
        account.stats()
    };
    let (results, stats) = clock.run(join(join_all((0..20).map(call)), watched));
    let refused = results.iter().filter_map(|result| result.as_ref().err());
    assert!(refused.map(|failure| failure.class).eq([Class::QueueFull; 12]));
    assert_eq!((most.get(), clock.now()), (3, LATENCY * 3));
    assert_eq!((stats.in_use, stats.idle, stats.limit, stats.waiting), (3, 0, 3, 5));
    // A batch of more than that waits for its turn.
    let config = BatchConfig { max_concurrent: 20, ..reads() };
    let run = Batch::new(config, &clock).on(account.api("items"));
    let outcomes = all(
        &clock,
        run.run(stream::iter(0..100), async |_| {
            clock.wait(LATENCY).await;
            Ok::<_, Failure>(())
        }),
    );
    assert!(outcomes.iter().all(|outcome| outcome.result.is_ok() && outcome.attempts == 1));
}

#[test]
fn many_that_wait_for_one_api_keep_nobody_from_another() {
    let (accounts, clock) = accounts();
    let api_rates = BTreeMap::from([("login".to_owned(), vec![Rate::per_hour(1)])]);
    let config = AccountConfig { queue: 5, api_rates, ..AccountConfig::default() };
    let account = accounts.open("seller", config);
    let (login, items) = (account.api("login"), account.api("items"));
    let good = async || Ok::<_, Failure>(());
    let storm = join_all((0..20).map(|_| login.call(MINUTE, good())));
    let work = async {
        clock.wait(LATENCY).await;
        assert_eq!(account.stats().waiting, 5);
        items.call(MINUTE, good()).await
    };
    let (log_ins, item) = clock.run(join(storm, work));
    assert!(item.is_ok(), "{item:?}");
    assert_eq!(log_ins.iter().filter(|result| result.is_ok()).count(), 6);
}

#[test]
fn what_one_api_does_wrong_stops_that_one_and_too_much_of_it_all_of_them() {
    let (accounts, clock) = accounts();
    let account = accounts.open("seller", AccountConfig::default());
    let call = |api: &str, class: Option<Class>| {
        let work = async move { class.map_or(Ok(()), |class| Err(Failure::new(class))) };
        clock.run(account.api(api).call(MINUTE, work)).map_err(|failure| failure.class)
    };
    let wrong = |api: &str| call(api, Some(Class::Rejected)).unwrap_err();
    assert!((0..20).all(|_| wrong("prices") == Class::Rejected));
    assert_eq!((wrong("prices"), call("items", None)), (Class::Stopped, Ok(())));
    let stats = account.stats();
    assert_eq!((stats.is_stopped, stats.stopped_apis), (true, vec!["prices".to_owned()]));
    // One in five is no reason to stop, but 20 in an hour are one to wait.
    for number in 0..100 {
        let class = (number % 5 == 4).then_some(Class::Rejected);
        _ = call("orders", class);
    }
    assert_eq!((wrong("orders"), call("items", None)), (Class::Paused, Ok(())));
    assert_eq!(account.stats().paused_apis, [("orders".to_owned(), MINUTE * 60)]);
    // Whoever releases it again and again does not get us blocked.
    account.release();
    assert!((0..20).all(|_| wrong("prices") == Class::Rejected));
    account.release();
    assert_eq!((wrong("prices"), call("items", None)), (Class::Paused, Err(Class::Paused)));
    assert_eq!(account.stats().paused_for, Some(MINUTE * 60));
    clock.advance(MINUTE * 60);
    assert_eq!(call("items", None), Ok(()));
}

#[test]
fn being_told_to_wait_is_no_attempt_and_nobody_calls_before_it_is_over() {
    let (accounts, clock) = accounts();
    let account = accounts.open("seller", AccountConfig::default());
    let moments = RefCell::new(Vec::new());
    let work = async |_| {
        moments.borrow_mut().push(clock.now());
        clock.wait(Duration::from_millis(10)).await;
        if clock.now() < MINUTE * 10 {
            return Err(Failure::new(Class::Busy).retry_after(Some(Duration::from_secs(90))));
        }
        Ok(())
    };
    let run = Batch::new(reads(), &clock).on(account.api("items"));
    let outcomes = all(&clock, run.run(stream::iter(0..30), work));
    assert_eq!(outcomes.len(), 30);
    for outcome in &outcomes {
        assert!(outcome.result.is_ok(), "{outcome:?}");
        assert_eq!(outcome.attempts, 1);
    }
    assert!(outcomes[0].snoozes >= 5);
    let moments = moments.take();
    // Calls that were under way together are told together.
    let apart = |two: &[Duration]| match two[1] - two[0] {
        gap if two[0] < MINUTE * 10 && gap > Duration::from_millis(10) => Some(gap),
        _ => None,
    };
    let gaps: Vec<_> = moments.windows(2).filter_map(apart).collect();
    assert!(gaps.len() >= 5 && gaps.iter().all(|gap| *gap >= Duration::from_secs(90)), "{gaps:?}");
}

#[test]
fn a_retry_after_of_ten_years_parks_the_items_and_pauses_the_account_for_an_hour() {
    let (accounts, clock) = accounts();
    let account = accounts.open("seller", AccountConfig::default());
    let ten_years = Duration::from_hours(24 * 3_650);
    let work = async |_| Err::<(), _>(Failure::new(Class::Busy).retry_after(Some(ten_years)));
    let run = Batch::new(reads(), &clock).on(account.api("items")).run(stream::iter(0..), work);
    let progress = run.progress();
    let outcomes = all(&clock, run);
    assert_eq!(progress.snapshot().end, Some(End::Paused));
    assert!(outcomes.len() <= 20, "an endless source is not drained");
    for outcome in outcomes {
        assert_eq!((outcome.attempts, outcome.snoozes), (0, 0));
        assert_eq!(outcome.result.unwrap_err().verdict, Verdict::Later);
    }
    assert_eq!(clock.now(), Duration::ZERO);
    assert_eq!(account.stats().paused_for, Some(Duration::from_hours(1)));
}

#[test]
fn a_block_without_a_retry_after_is_waited_out_longer_each_time() {
    let (accounts, clock) = accounts();
    let pause = Duration::from_mins(3);
    let account = accounts.open("domeggook", AccountConfig { pause, ..AccountConfig::default() });
    let api = account.api("items");
    for doubled in [1, 2, 4, 8, 16, 20, 20] {
        let busy = async { Err::<(), _>(Failure::new(Class::Busy)) };
        let failure = clock.run(api.call(MINUTE, busy)).unwrap_err();
        assert_eq!(failure.retry_after, Some(pause * doubled), "{doubled}");
        let early = clock.run(api.call(MINUTE, async { Ok::<_, Failure>(()) })).unwrap_err();
        assert_eq!((early.class, early.retry_after), (Class::Paused, Some(pause * doubled)));
        clock.advance(pause * doubled);
    }
}

#[test]
fn an_account_that_does_everything_wrong_is_stopped_and_so_is_its_run() {
    let (accounts, clock) = accounts();
    let account = accounts.open("seller", AccountConfig::default());
    let called = Cell::new(0);
    let wrong = async |_| {
        called.set(called.get() + 1);
        clock.wait(LATENCY).await;
        Err::<(), _>(Failure::new(Class::of_status(400)))
    };
    let batch = Batch::new(BatchConfig::default(), &clock).on(account.api("items"));
    let run = batch.run(stream::iter(0..), wrong);
    let progress = run.progress();
    let outcomes = all(&clock, run);
    assert!(called.get() <= 30, "{} calls", called.get());
    assert!(outcomes.len() <= 40, "an endless source is not drained");
    assert_eq!(progress.snapshot().end, Some(End::Stopped));
    let last = outcomes.into_iter().find_map(|outcome| {
        outcome.result.err().filter(|error| error.failure.class == Class::Stopped)
    });
    assert_eq!(last.unwrap().verdict, Verdict::Later);
    let stats = account.stats();
    assert!(stats.is_stopped && stats.refused >= 1);
    assert_eq!(stats.errors, [(Class::Rejected, called.get())]);
    account.release();
    let api = account.api("items");
    clock.run(api.call(MINUTE, async { Ok::<_, Failure>(()) })).unwrap();
}

#[test]
fn what_is_shown_of_an_account_is_what_was_done() {
    let (accounts, clock) = accounts();
    let account = accounts.open("seller", AccountConfig::default());
    let work = async |item: u64| {
        clock.wait(LATENCY).await;
        if item.is_multiple_of(10) { Err(Failure::new(Class::Unavailable)) } else { Ok(()) }
    };
    let run = Batch::new(reads(), &clock).on(account.api("items"));
    all(&clock, run.run(stream::iter(0..100), work));
    let all = accounts.stats();
    let [stats] = &all[..] else { panic!("one account") };
    let latency = stats.latency.unwrap();
    assert_eq!((stats.name.as_str(), stats.calls), ("seller", latency.count));
    let off = latency.p95.as_secs_f64() / LATENCY.as_secs_f64() - 1.0;
    assert!(off.abs() < 0.01, "{latency:?}");
    assert_eq!(stats.errors, [(Class::Unavailable, latency.errors)]);
    assert_eq!((stats.in_use, stats.idle, stats.is_stopped), (0, 10, false));
    assert!(stats.retries_left < 30 && stats.calls_left.is_none());
}

#[test]
fn a_call_that_nobody_waits_for_any_more_leaves_nothing_behind() {
    let (accounts, clock) = accounts();
    let account = accounts.open("seller", AccountConfig { limit: 1, ..AccountConfig::default() });
    let api = account.api("items");
    for _ in 0..100 {
        let call = api.call(MINUTE, std::future::pending::<Result<(), Failure>>());
        assert!(call.now_or_never().is_none());
    }
    assert_eq!(account.stats().in_use, 0);
    assert_eq!(account.stats().latency.unwrap().cancelled, 100);
    clock.run(api.call(MINUTE, async { Ok::<_, Failure>(()) })).unwrap();
}

#[test]
fn an_account_is_opened_once() {
    let (accounts, _) = accounts();
    let one = accounts.open("a", AccountConfig::default());
    one.stop();
    assert!(accounts.open("a", AccountConfig::default()).stats().is_stopped);
    accounts.close("a");
    assert!(accounts.find("a").is_none());
    assert!(!accounts.open("a", AccountConfig::default()).stats().is_stopped);
}
