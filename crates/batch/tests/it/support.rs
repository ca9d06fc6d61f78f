use std::sync::Arc;
use std::time::Duration;

use futures::{Stream, StreamExt as _, stream};
use jebi_batch::{Accounts, Clock, Outcome};
use jebi_monitor::{Config, Monitor};

pub(crate) const LATENCY: Duration = Duration::from_millis(200);
pub(crate) const MINUTE: Duration = Duration::from_mins(1);

/// Accounts on a clock that is moved by hand.
pub(crate) fn accounts() -> (Accounts, Clock) {
    let clock = Clock::manual();
    let monitor = Monitor::new(Config { clock: clock.monitor(), ..Config::default() });
    (Accounts::new(&clock, Arc::new(monitor)), clock)
}

/// Numbers from 0, one each `interval`, for ever.
pub(crate) fn paced(clock: &Clock, interval: Duration) -> impl Stream<Item = u64> {
    let clock = clock.clone();
    stream::unfold(0, move |number| {
        let clock = clock.clone();
        async move {
            clock.wait_until(interval * u32::try_from(number).unwrap()).await;
            Some((number, number + 1))
        }
    })
}

/// All outcomes of a run.
pub(crate) fn all<I, T>(
    clock: &Clock,
    run: impl Stream<Item = Outcome<I, T>>,
) -> Vec<Outcome<I, T>> {
    clock.run(run.collect())
}

/// Numbers that are the same for the same seed.
pub(crate) struct Random(pub(crate) u64);

impl Random {
    pub(crate) fn below(&mut self, end: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (mixed ^ (mixed >> 31)) % end
    }

    /// From 0 to 1, without 1.
    pub(crate) fn share(&mut self) -> f64 {
        self.below(1 << 53) as f64 / (1_u64 << 53) as f64
    }
}
