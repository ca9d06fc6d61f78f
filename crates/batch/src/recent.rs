//! The latest answers, good or bad, in one word.

/// The most that can be remembered.
pub(crate) const MOST: u32 = u64::BITS;

#[derive(Debug, Default)]
pub(crate) struct Recent {
    bad: u64,
    known: u32,
}

impl Recent {
    pub(crate) fn push(&mut self, is_bad: bool) {
        self.bad = self.bad << 1 | u64::from(is_bad);
        self.known = (self.known + 1).min(MOST);
    }

    /// The share of bad ones among the latest `window`, `None` of fewer than `least`.
    pub(crate) fn bad_share(&self, window: u32, least: u32) -> Option<f64> {
        let looked_at = self.known.min(window.clamp(1, MOST));
        let mask = u64::MAX >> (MOST - looked_at.max(1));
        (looked_at >= least.clamp(1, MOST))
            .then(|| f64::from((self.bad & mask).count_ones()) / f64::from(looked_at))
    }
}

#[cfg(test)]
mod tests {
    use super::Recent;

    #[test]
    fn only_the_latest_count() {
        let mut recent = Recent::default();
        assert_eq!(recent.bad_share(64, 1), None);
        (0..100).for_each(|_| recent.push(true));
        assert_eq!((recent.bad_share(64, 64), recent.bad_share(0, 0)), (Some(1.0), Some(1.0)));
        let mut few = Recent::default();
        [true, false, true, true].into_iter().for_each(|is_bad| few.push(is_bad));
        let shares = [1, 2, 3, 4, 5].map(|window| few.bad_share(window, 1));
        assert_eq!(shares, [Some(1.0), Some(1.0), Some(2.0 / 3.0), Some(0.75), Some(0.75)]);
        assert_eq!((few.bad_share(9, 4), few.bad_share(9, 5)), (Some(0.75), None));
        (0..10).for_each(|_| recent.push(false));
        assert_eq!((recent.bad_share(20, 5), recent.bad_share(10, 11)), (Some(0.5), None));
    }
}
