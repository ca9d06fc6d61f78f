/// Numbers that look random and are the same for the same seed on every machine: `SplitMix64`.
#[derive(Debug, Clone)]
pub(super) struct Random(u64);

impl Random {
    /// A stream of its own for each thing that is made, so that one more number drawn for one changes no
    /// other.
    pub(super) fn of(seed: u64, kind: u64, index: u64) -> Self {
        let mut mixed = Self(seed ^ kind.rotate_left(48) ^ index.rotate_left(16));
        mixed.next();
        mixed
    }

    pub(super) const fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    /// A number below `bound`, which is not 0.
    pub(super) const fn below(&mut self, bound: u64) -> u64 {
        // The bias is below 2⁻³² for the small bounds here.
        ((self.next() >> 32) * bound) >> 32
    }

    pub(super) fn one_of<T: Copy>(&mut self, values: &[T]) -> T {
        let at = usize::try_from(self.below(values.len() as u64)).unwrap_or(0);
        values[at]
    }

    /// Whether something happens that happens in `per_mille` of 1,000 cases.
    pub(super) const fn in_thousand(&mut self, per_mille: u64) -> bool {
        self.below(1_000) < per_mille
    }

    pub(super) fn bytes(&mut self) -> [u8; 10] {
        let (first, second) = (self.next().to_be_bytes(), self.next().to_be_bytes());
        let mut bytes = [0; 10];
        bytes[..8].copy_from_slice(&first);
        bytes[8..].copy_from_slice(&second[..2]);
        bytes
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_seed_gives_the_same_numbers_everywhere() {
        let mut random = Random::of(1, 2, 3);
        let first: Vec<u64> = (0..3).map(|_| random.below(1_000)).collect();
        let mut again = Random::of(1, 2, 3);
        assert_eq!(first, (0..3).map(|_| again.below(1_000)).collect::<Vec<_>>());
        assert!(first.iter().all(|number| *number < 1_000));
    }

    #[test]
    fn every_value_comes_about_equally_often() {
        let mut random = Random::of(7, 7, 7);
        let mut counts = [0_u32; 10];
        for _ in 0..100_000 {
            counts[usize::try_from(random.below(10)).unwrap()] += 1;
        }
        assert!(counts.iter().all(|count| (9_500..10_500).contains(count)), "{counts:?}");
    }
}
