//! What the engine gains, and what it takes for that.

use std::cell::Cell;
use std::time::Duration;

use allocation_counter::measure;
use futures::{StreamExt as _, stream};
use jebi_batch::{AccountConfig, Batch, BatchConfig, Effect, Failure, Strategy};
use jebi_domain::Wholesaler;
use jebi_simulator::{Fault, FaultRule, Settings, SimRequest};

use crate::outside::{HOUR, Outside};
use crate::seller::Seller;

fn reads() -> BatchConfig {
    BatchConfig { effect: Effect::Read, ..BatchConfig::default() }
}

#[test]
fn ten_at_once_are_nine_times_as_fast_as_one_after_another() {
    let took = |strategy| {
        let outside = Outside::new(Settings { enforce_limits: false, ..Settings::default() });
        let seller = Seller::new(&outside.transport, Wholesaler::Domeggook, 1);
        outside.simulator.add_fault(FaultRule::new(Fault::Latency { ms: 200, jitter_ms: 0 }));
        let account = outside.accounts.open(&seller.name, AccountConfig::default());
        let config = BatchConfig { strategy, ..reads() };
        let run = Batch::new(config, &outside.clock)
            .on(account.api("items"))
            .run(stream::iter(0..500), async |number| {
                outside.call(&seller, seller.read(number)).await
            });
        let good = run.filter(|outcome| futures::future::ready(outcome.result.is_ok()));
        assert_eq!(outside.clock.run(good.count()), 500);
        outside.clock.now()
    };
    let (one, ten) = (took(Strategy::Sequential), took(Strategy::Parallel));
    let times = one.as_secs_f64() / ten.as_secs_f64();
    println!("500 calls: {one:?} one after another, {ten:?} ten at once: {times:.2} times");
    assert!(times >= 9.0, "{times}");
}

#[test]
fn what_a_wholesaler_allows_is_used_and_it_has_nothing_to_refuse() {
    for (wholesaler, allowed) in [
        (Wholesaler::Ownerclan, 150 * 60),
        (Wholesaler::Zentrade, 30 * 60),
        (Wholesaler::Domeggook, 4_500 + 10_000 / 24),
    ] {
        let outside = Outside::new(Settings::default());
        let seller = Seller::new(&outside.transport, wholesaler, 1);
        let account = outside.accounts.open(&seller.name, AccountConfig::of(wholesaler));
        let config = BatchConfig { deadline: Some(HOUR), ..reads() };
        let run = Batch::new(config, &outside.clock)
            .on(account.api("items"))
            .run(stream::iter(0..), async |number| {
                outside.call(&seller, seller.read(number)).await
            });
        let good = run.filter(|outcome| futures::future::ready(outcome.result.is_ok()));
        let done = outside.clock.run(good.count());
        let counters = outside.simulator.counters(wholesaler);
        println!("{}: {done} of {allowed} calls in an hour", seller.name);
        assert!(done * 100 >= allowed * 98, "{done} of {allowed}");
        assert_eq!((counters.refused, outside.simulator.blocks().len()), (0, 0));
    }
}

const PAGE: u64 = 1_000;

/// The most bytes that the engine held at once while all items of Ownerclan went through it, as they
/// came page by page.
fn most_bytes(items: u64) -> u64 {
    let settings = Settings { enforce_limits: false, ..Settings::default() };
    let outside = Outside::new(settings.with_items(items));
    let seller = Seller::new(&outside.transport, Wholesaler::Ownerclan, 1);
    let account = outside.accounts.open(&seller.name, AccountConfig::default());
    let pages = stream::unfold(Some(String::new()), |after| {
        let (outside, seller) = (&outside, &seller);
        async move {
            let page = outside.call(seller, page(seller, &after?)).await.unwrap();
            // What it remembers is not ours.
            outside.simulator.clear_log();
            let text = String::from_utf8(page.body).unwrap();
            let next =
                text.contains("\"hasNextPage\":true").then(|| between(&text, "endCursor\":\""));
            let keys = text.split("\"key\":\"").skip(1);
            let keys: Vec<Box<str>> = keys.map(|rest| between(rest, "").into()).collect();
            Some((stream::iter(keys), next))
        }
    });
    let count = Cell::new(0_u64);
    let work = async |key: Box<str>| {
        count.set(count.get() + 1);
        outside.clock.wait(Duration::from_millis(count.get() % 3)).await;
        Ok::<_, Failure>(key.len())
    };
    let batch = Batch::new(reads(), &outside.clock).on(account.api("items"));
    let measured = measure(|| {
        let run = batch.run(pages.flatten(), work);
        let outcomes = outside.clock.run(run.fold(0, async |count, _| count + 1));
        assert_eq!(outcomes, items);
    });
    measured.bytes_max
}

fn page(seller: &Seller, after: &str) -> SimRequest {
    let after = if after.is_empty() { String::new() } else { format!(", after: \\\"{after}\\\"") };
    seller.graphql(&format!(
        "{{ allItems(first: {PAGE}{after}) {{ pageInfo {{ hasNextPage endCursor }} \
         edges {{ node {{ key }} }} }} }}"
    ))
}

fn between(text: &str, begin: &str) -> String {
    let rest = text.split_once(begin).map_or("", |(_, rest)| rest);
    rest.split('"').next().unwrap_or_default().to_owned()
}

#[test]
fn a_million_items_of_ownerclan_take_as_much_memory_as_ten_thousand() {
    let (few, many) = (most_bytes(10_000), most_bytes(1_000_000));
    println!("at most {few} bytes for 10,000 items, {many} for 1,000,000");
    assert!(many <= few + few / 10, "{few} and {many}");
}
