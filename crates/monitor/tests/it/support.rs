use std::time::Duration;

use jebi_monitor::{Clock, Config, Monitor};

pub(crate) const MINUTE: Duration = Duration::from_mins(1);

pub(crate) fn monitor() -> (Monitor, Clock) {
    let clock = Clock::manual();
    (Monitor::new(Config { clock: clock.clone(), ..Config::default() }), clock)
}

/// Numbers that are the same for the same seed.
pub(crate) struct Random(pub(crate) u64);

impl Random {
    /// From 0 to 1, without 0.
    pub(crate) fn next(&mut self) -> f64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        ((mixed >> 11) + 1) as f64 / (1_u64 << 53) as f64
    }

    pub(crate) fn normal(&mut self) -> f64 {
        (-2.0 * self.next().ln()).sqrt() * (std::f64::consts::TAU * self.next()).cos()
    }
}
