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

#[cfg(test)]
mod tests {
    use super::Random;

    #[test]
    fn numbers_are_those_of_splitmix64() {
        // The reference's first ones for seed 0, which it counts on before it mixes: its upper 53 bits.
        let random = Random::new(0x9e37_79b9_7f4a_7c15);
        for mixed in [0xe220_a839_7b1d_cdaf_u64, 0x6e78_9e6a_a1b9_65f4, 0x06c4_5d18_8009_454f] {
            assert_eq!(random.share(), (mixed >> 11) as f64 / 9_007_199_254_740_992.0);
        }
    }

    #[test]
    fn numbers_are_shares_spread_evenly() {
        let random = Random::new(7);
        let mut tenths = [0; 10];
        for _ in 0..10_000 {
            let share = random.share();
            assert!((0.0..1.0).contains(&share), "{share}");
            #[expect(
                clippy::cast_possible_truncation,
                clippy::cast_sign_loss,
                reason = "one of ten"
            )]
            let tenth = (share * 10.0) as usize;
            tenths[tenth] += 1;
        }
        assert!(tenths.iter().all(|count| (900..1_100).contains(count)), "{tenths:?}");
    }
}
