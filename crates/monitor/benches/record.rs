//! What recording costs: nanoseconds of each call, as the mean of a batch of 64.
#![expect(clippy::print_stdout, reason = "its output is its purpose")]

use std::hint::black_box;
use std::time::{Duration, Instant};

use jebi_monitor::{Config, Monitor, Outcome};

const BATCH: u32 = 64;

fn measure(name: &str, mut call: impl FnMut(u64)) {
    let batch = |round: u64| {
        let began = Instant::now();
        (0..u64::from(BATCH)).for_each(|one| call(black_box(round * 7_919 + one * 104_729)));
        began.elapsed().as_nanos() / u128::from(BATCH)
    };
    let mut all: Vec<u128> = (0..100_000).map(batch).collect();
    all.sort_unstable();
    println!("{name}: p50 {} ns, p99 {} ns", all[all.len() / 2], all[all.len() * 99 / 100]);
}

fn main() {
    let monitor = Monitor::new(Config::default());
    let operation = monitor.track_operation("bench");
    measure("record", |at| operation.record(Duration::from_nanos(at % 10_000_000), Outcome::Ok));
    measure("scope", |_| operation.scope().ok());
}
