//! Strategies: how many at once, in which order, how fast.

use std::cell::Cell;
use std::collections::BTreeSet;
use std::time::Duration;

use futures::{StreamExt as _, stream};
use jebi_batch::{Batch, BatchConfig, Clock, Failure, Order, Rate, Strategy};

use crate::support::{LATENCY, all, paced};

/// Runs 1,000 items that take 200 ms each; the time of it, and the most at once.
fn run(config: BatchConfig) -> (Duration, usize) {
    let (clock, under_way, most) = (Clock::manual(), Cell::new(0), Cell::new(0));
    let work = async |item: u64| {
        under_way.set(under_way.get() + 1);
        most.set(most.get().max(under_way.get()));
        clock.wait(LATENCY).await;
        under_way.set(under_way.get() - 1);
        Ok::<_, Failure>(item * 2)
    };
    let batch = Batch::new(config, &clock);
    let run = batch.run(stream::iter(0..1_000), work);
    let progress = run.progress();
    let outcomes = all(&clock, run);
    let indices: BTreeSet<u64> = outcomes.iter().map(|outcome| outcome.index).collect();
    assert_eq!(indices, (0..1_000).collect(), "each item has one outcome");
    for outcome in outcomes {
        assert_eq!((outcome.item, outcome.attempts, outcome.snoozes), (outcome.index, 1, 0));
        assert_eq!(outcome.result.unwrap(), outcome.item * 2);
    }
    (progress.snapshot().elapsed, most.get())
}

fn strategy(strategy: Strategy) -> BatchConfig {
    BatchConfig { strategy, ..BatchConfig::default() }
}

#[test]
fn ten_at_once_are_ten_times_as_fast_as_one_after_another() {
    let (sequential, one) = run(strategy(Strategy::Sequential));
    let (parallel, ten) = run(strategy(Strategy::Parallel));
    assert_eq!((one, ten), (1, 10));
    assert_eq!((sequential, parallel), (LATENCY * 1_000, LATENCY * 100));
    assert!(sequential >= 9 * parallel);
}

#[test]
fn a_chunk_ends_before_the_next_one_begins() {
    let config = BatchConfig { batch_size: 25, ..strategy(Strategy::Chunked) };
    // 10, 10 and 5 at once, 40 times.
    assert_eq!(run(config), (LATENCY * 3 * 40, 10));
}

#[test]
fn a_rate_is_kept_and_used() {
    let rate = Rate::per_second(20);
    let (took, _) = run(BatchConfig { rate, ..strategy(Strategy::RateLimited) });
    let least = Duration::from_millis(50) * 999 + LATENCY;
    assert!(took >= least && took < least.mul_f64(1.02), "{took:?}");
}

#[test]
fn zeros_in_the_configuration_count_as_one() {
    let config = BatchConfig { batch_size: 0, max_concurrent: 0, ..BatchConfig::default() };
    for strategy in [Strategy::Parallel, Strategy::Chunked, Strategy::Adaptive] {
        assert_eq!(run(BatchConfig { strategy, ..config.clone() }), (LATENCY * 1_000, 1));
    }
}

#[test]
fn outcomes_come_in_the_order_of_the_items_where_that_is_asked_for() {
    let clock = Clock::manual();
    let in_flight = Cell::new(0_u64);
    let work = async |item: u64| {
        in_flight.set(in_flight.get().max(item));
        // The first ones take longest.
        let factor = if item.is_multiple_of(50) { 100 } else { 1 };
        clock.wait(Duration::from_millis(factor)).await;
        Ok::<_, Failure>(())
    };
    let config = BatchConfig { order: Order::Items, ..BatchConfig::default() };
    let batch = Batch::new(config, &clock);
    let mut run = batch.run(stream::iter(0..1_000), work);
    clock.run(async {
        for expected in 0..1_000 {
            let outcome = run.next().await.expect("as many as items");
            assert_eq!((outcome.index, outcome.item), (expected, expected));
            assert!(in_flight.get() <= expected + 50, "no more is kept than a batch");
        }
        assert!(run.next().await.is_none());
    });
}

#[test]
fn who_takes_no_outcomes_stops_the_source() {
    let (clock, read) = (Clock::manual(), Cell::new(0));
    let source = stream::iter(0..1_000_000).inspect(|item| read.set(*item + 1));
    let work = async |_| Ok::<_, Failure>(());
    let mut run = Batch::new(BatchConfig::default(), &clock).run(source, work);
    for taken in 1..100 {
        clock.run(run.next());
        assert!(read.get() <= taken + 10, "{} were read for {taken}", read.get());
    }
}

#[test]
fn a_slow_source_and_fast_work_meet_no_limit() {
    let clock = Clock::manual();
    let source = paced(&clock, Duration::from_secs(1)).take(100);
    let batch = Batch::new(BatchConfig::default(), &clock);
    let outcomes = all(&clock, batch.run(source, async |_| Ok::<_, Failure>(())));
    assert_eq!((outcomes.len(), clock.now()), (100, Duration::from_secs(99)));
}

/// A side that serves so many at once in 100 ms, and more of them as much slower; the mean limit over
/// the last quarter of so many items.
fn converged(capacity: impl Fn(usize) -> usize, items: usize) -> f64 {
    let (clock, under_way) = (Clock::manual(), Cell::new(0));
    let work = async |item| {
        under_way.set(under_way.get() + 1);
        let queued = under_way.get() as f64 / capacity(item) as f64;
        clock.wait(Duration::from_millis(100).mul_f64(queued.max(1.0))).await;
        under_way.set(under_way.get() - 1);
        Ok::<_, Failure>(())
    };
    let config = BatchConfig { max_concurrent: 64, ..strategy(Strategy::Adaptive) };
    let run = Batch::new(config, &clock).run(stream::iter(0..items), work);
    let progress = run.progress();
    let limits = clock.run(run.map(|_| progress.snapshot().concurrency).collect::<Vec<_>>());
    assert!(limits.iter().all(|limit| (1..=64).contains(limit)));
    let last = &limits[items - items / 4..];
    last.iter().sum::<usize>() as f64 / last.len() as f64
}

#[test]
fn adaptive_finds_what_the_other_side_serves_at_once_and_follows_it() {
    let within = |limit: f64, capacity: f64| {
        let most = 1.2 * capacity + 2.0 * capacity.sqrt() + 2.0;
        println!("{limit:.1} at once where {capacity} are served");
        assert!(limit >= 0.8 * capacity && limit <= most, "{limit} for {capacity}");
    };
    for (capacity, expected) in [(1, 1.0), (4, 4.0), (8, 8.0), (20, 20.0)] {
        within(converged(|_| capacity, 4_000), expected);
    }
    within(converged(|item| if item < 2_000 { 20 } else { 4 }, 8_000), 4.0);
    within(converged(|item| if item < 2_000 { 4 } else { 20 }, 8_000), 20.0);
    assert!(converged(|_| 1_000, 4_000) > 55.0, "nothing but the maximum limits it");
}
