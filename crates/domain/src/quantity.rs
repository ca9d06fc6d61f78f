use std::num::NonZeroU32;

/// Units of one product on an order line: 1 to 1,000,000.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, serde::Serialize)]
#[serde(transparent)]
pub struct Quantity(NonZeroU32);

impl Quantity {
    /// The largest quantity of one line; the real orders' largest is 80,995.
    pub const MAX: u32 = 1_000_000;

    /// One unit.
    pub const ONE: Self = Self(NonZeroU32::MIN);

    /// `None` outside 1 ..= [`Quantity::MAX`].
    #[must_use]
    pub fn new(units: i64) -> Option<Self> {
        let units = u32::try_from(units).ok().filter(|units| *units <= Self::MAX)?;
        NonZeroU32::new(units).map(Self)
    }

    /// The number of units.
    #[must_use]
    pub const fn units(self) -> u32 {
        self.0.get()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_quantity_is_between_one_and_a_million() {
        assert_eq!(Quantity::new(0), None);
        assert_eq!(Quantity::new(-1), None);
        assert_eq!(Quantity::new(1).unwrap().units(), 1);
        assert_eq!(Quantity::new(1_000_000).unwrap().units(), 1_000_000);
        assert_eq!(Quantity::new(1_000_001), None);
        assert_eq!(Quantity::new(1 << 32), None);
    }
}
