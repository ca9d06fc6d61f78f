//! Numbers that spread what would otherwise come at once. Nobody needs to be kept from guessing them.

use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

#[derive(Debug)]
pub(crate) struct Random(AtomicU64);

impl Random {
    /// Numbers that are the same for the same seed.
    pub(crate) fn new(seed: u64) -> Self {
        Self(AtomicU64::new(seed))
    }

    /// A number from 0 to 1, without 1 (splitmix64).
    pub(crate) fn share(&self) -> f64 {
        let seed = self.0.fetch_add(0x9e37_79b9_7f4a_7c15, Relaxed);
        let mut mixed = (seed ^ (seed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        ((mixed ^ (mixed >> 31)) >> 11) as f64 / (1_u64 << 53) as f64
    }
}
