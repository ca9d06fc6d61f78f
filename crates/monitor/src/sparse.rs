//! Counts of the buckets that have any, in as few bytes as that takes.

/// Pairs of bucket and count, ascending; each as distance and count in groups of seven bits.
#[derive(Debug, Default)]
pub(crate) struct Sparse(Box<[u8]>);

impl Sparse {
    pub(crate) fn new(pairs: impl Iterator<Item = (u16, u64)>) -> Self {
        let (mut bytes, mut before) = (Vec::new(), 0);
        for (bucket, count) in pairs {
            write(&mut bytes, u64::from(bucket - before));
            write(&mut bytes, count);
            before = bucket;
        }
        Self(bytes.into())
    }

    pub(crate) fn pairs(&self) -> impl Iterator<Item = (u16, u64)> + '_ {
        let (mut rest, mut bucket) = (&self.0[..], 0);
        std::iter::from_fn(move || {
            bucket += u16::try_from(read(&mut rest)?).ok()?;
            Some((bucket, read(&mut rest)?))
        })
    }

    pub(crate) fn merge(&mut self, other: &Self) {
        *self = self.merged(other);
    }

    fn merged(&self, other: &Self) -> Self {
        let (mut mine, mut theirs) = (self.pairs().peekable(), other.pairs().peekable());
        let both = std::iter::from_fn(|| match (mine.peek().copied(), theirs.peek().copied()) {
            (Some((ours, one)), Some((their, two))) if ours == their => {
                mine.next();
                theirs.next();
                Some((ours, one + two))
            }
            (Some((ours, _)), Some((their, _))) if their < ours => theirs.next(),
            (Some(_), _) => mine.next(),
            (None, _) => theirs.next(),
        });
        Self::new(both)
    }

    pub(crate) fn bytes(&self) -> usize {
        self.0.len()
    }
}

fn write(bytes: &mut Vec<u8>, mut value: u64) {
    while value >= 0x80 {
        bytes.push(0x80 | u8::try_from(value & 0x7f).unwrap_or_default());
        value >>= 7;
    }
    bytes.push(u8::try_from(value).unwrap_or_default());
}

fn read(rest: &mut &[u8]) -> Option<u64> {
    let (mut value, mut shift) = (0, 0);
    loop {
        let (byte, after) = rest.split_first()?;
        *rest = after;
        value |= u64::from(byte & 0x7f) << shift;
        if *byte < 0x80 {
            return Some(value);
        }
        shift += 7;
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use proptest::collection::btree_map;
    use proptest::prelude::{any, proptest};

    use super::Sparse;

    proptest! {
        #[test]
        fn merging_adds_bucket_by_bucket(
            one in btree_map(0..2_368_u16, any::<u32>(), 0..50),
            two in btree_map(0..2_368_u16, any::<u32>(), 0..50),
        ) {
            let of = |map: &BTreeMap<u16, u32>| {
                Sparse::new(map.iter().map(|(at, count)| (*at, u64::from(*count))))
            };
            let mut merged = of(&one);
            merged.merge(&of(&two));
            let mut expected: BTreeMap<u16, u64> = BTreeMap::new();
            for (at, count) in one.iter().chain(&two) {
                *expected.entry(*at).or_default() += u64::from(*count);
            }
            assert!(merged.pairs().eq(expected));
        }
    }
}
