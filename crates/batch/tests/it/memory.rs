//! A million items take as much memory as a thousand.

use std::cell::Cell;
use std::time::Duration;

use allocation_counter::measure;
use futures::{StreamExt as _, stream};
use jebi_batch::{AccountConfig, Batch, BatchConfig, Class, Effect, Failure, Order};

use crate::support::accounts;

/// The most bytes that were there at once while so many items ran, some of them twice.
fn most_bytes(items: u32, order: Order) -> u64 {
    let (accounts, clock) = accounts();
    let account = accounts.open("seller", AccountConfig::default());
    let config = BatchConfig { effect: Effect::Read, order, ..BatchConfig::default() };
    let batch = Batch::new(config, &clock).on(account.api("items"));
    let counter = Cell::new(0_u32);
    let work = |_| {
        counter.set(counter.get() + 1);
        let number = counter.get();
        let clock = &clock;
        async move {
            clock.wait(Duration::from_millis(u64::from(number % 7))).await;
            if number.is_multiple_of(100) {
                Err(Failure::new(Class::Unavailable))
            } else {
                Ok(number)
            }
        }
    };
    let measured = measure(|| {
        let run = batch.run(stream::iter(0..items), work);
        let outcomes = clock.run(run.fold(0, async |count, _| count + 1));
        assert_eq!(outcomes, items);
    });
    measured.bytes_max
}

#[test]
fn a_million_items_take_as_much_memory_as_ten_thousand() {
    for (order, items) in [(Order::Ended, 1_000_000), (Order::Items, 100_000)] {
        let (few, many) = (most_bytes(10_000, order), most_bytes(items, order));
        println!("{order:?}: {few} bytes for 10,000 items, {many} for {items}");
        assert!(many <= few + few / 10 && many < 64 << 10, "{few} and {many}");
    }
}
