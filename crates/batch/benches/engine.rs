//! What the engine costs: nanoseconds of CPU of this process for each item, whatever waits left out.
#![expect(clippy::print_stdout, reason = "its output is its purpose")]

use std::sync::Arc;

use futures::{StreamExt as _, stream};
use jebi_batch::{
    AccountConfig, Accounts, Batch, BatchConfig, Clock, Failure, Order, Rate, Strategy,
};
use jebi_monitor::{Config, Monitor};
use rustix::time::{ClockId, clock_gettime};

const ITEMS: u32 = 1_000_000;

fn cpu_ns() -> i64 {
    let time = clock_gettime(ClockId::ProcessCPUTime);
    time.tv_sec * 1_000_000_000 + time.tv_nsec
}

/// Items that wait for one turn of the runtime, so that each timer of the engine is set and dropped.
async fn measure(name: &str, batch: Batch) {
    let began = cpu_ns();
    let run = batch.run(stream::iter(0..ITEMS), |_| async {
        tokio::task::yield_now().await;
        Ok::<_, Failure>(())
    });
    let done = run.fold(0, async |done, outcome| done + u32::from(outcome.result.is_ok())).await;
    assert_eq!(done, ITEMS, "{name}");
    println!("{name}: {} ns of CPU per item", (cpu_ns() - began) / i64::from(ITEMS));
}

#[tokio::main(flavor = "current_thread")]
async fn main() {
    let clock = Clock::system();
    let monitor = Arc::new(Monitor::new(Config::default()));
    let accounts = Accounts::new(&clock, monitor);
    let rates = vec![Rate::per_second(u32::MAX).burst(u32::MAX)];
    let account = accounts.open("bench", AccountConfig { rates, ..AccountConfig::default() });
    let config = |strategy, order| BatchConfig { strategy, order, ..BatchConfig::default() };
    let batch = |strategy, order| Batch::new(config(strategy, order), &clock);
    measure("parallel", batch(Strategy::Parallel, Order::Ended)).await;
    measure("parallel, in order", batch(Strategy::Parallel, Order::Items)).await;
    measure("adaptive", batch(Strategy::Adaptive, Order::Ended)).await;
    let on_account = batch(Strategy::Parallel, Order::Ended).on(account.api("items"));
    measure("on an account with a rate, in full", on_account).await;
}
