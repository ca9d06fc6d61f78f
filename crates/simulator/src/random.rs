//! Numbers that look like chance and are the same for the same words.

/// One number out of a seed and what it is wanted for. The finalizer is that of `SplitMix64`.
#[must_use]
pub(crate) fn mix(seed: u64, words: &[u64]) -> u64 {
    words.iter().fold(finish(seed), |state, word| finish(state ^ finish(*word)))
}

fn finish(state: u64) -> u64 {
    let mut mixed = state.wrapping_add(0x9e37_79b9_7f4a_7c15);
    mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    mixed ^ (mixed >> 31)
}

/// One of a list.
#[must_use]
pub(crate) fn pick<T: Copy>(list: &[T], chance: u64) -> T {
    list[place(list.len(), chance)]
}

/// A place in a list of this length.
#[must_use]
pub(crate) fn place(length: usize, chance: u64) -> usize {
    usize::try_from(chance % length as u64).expect("it is below a length")
}

/// Whether it happens, with a share from 0 to 1.
#[must_use]
pub(crate) fn happens(share: f64, chance: u64) -> bool {
    ((chance >> 11) as f64) < share * (1_u64 << 53) as f64
}

#[cfg(test)]
mod tests {
    use super::{happens, mix};

    #[test]
    fn a_share_is_kept_and_its_ends_are_never_and_always() {
        let times = |share| (0..10_000).filter(|n| happens(share, mix(7, &[*n]))).count();
        assert_eq!(times(0.0), 0);
        assert_eq!(times(1.0), 10_000);
        assert!((2_300..2_700).contains(&times(0.25)));
    }
}
