use crate::money::{Money, MoneyError};
use crate::product::ProductStatus;

/// How what a wholesaler has becomes what a seller sells.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Pricing {
    margin_percent: u32,
    minimum_price: i64,
    status: ProductStatus,
}

impl Pricing {
    /// The largest margin, in percent of the cost.
    pub const MOST_MARGIN: u32 = 1_000;
    /// The largest minimum price, in won.
    pub const MOST_MINIMUM: i64 = 1_000_000_000;
    /// Prices are whole tens of won: nobody pays with less.
    const STEP: i64 = 10;

    /// A rule: a margin of 0 to [`Pricing::MOST_MARGIN`] percent on top of the cost, a price of at least `minimum_price`
    /// won, 0 to [`Pricing::MOST_MINIMUM`], and what a product begins as. `None` beyond these bounds, and for products
    /// that would begin as discontinued.
    #[must_use]
    pub fn new(margin_percent: u32, minimum_price: i64, status: ProductStatus) -> Option<Self> {
        let is_fine = margin_percent <= Self::MOST_MARGIN
            && (0..=Self::MOST_MINIMUM).contains(&minimum_price)
            && status != ProductStatus::Discontinued;
        is_fine.then_some(Self { margin_percent, minimum_price, status })
    }

    /// On top of the cost, in percent of it.
    #[must_use]
    pub const fn margin_percent(self) -> u32 {
        self.margin_percent
    }

    /// In won.
    #[must_use]
    pub const fn minimum_price(self) -> i64 {
        self.minimum_price
    }

    /// What a product begins as.
    #[must_use]
    pub const fn status(self) -> ProductStatus {
        self.status
    }

    /// What something is sold for that costs so much: never below what the rule says, and so rounded up to tens of won.
    ///
    /// # Errors
    /// [`MoneyError::OutOfBounds`].
    pub fn price(self, cost: Money) -> Result<Money, MoneyError> {
        let with_margin = cost.times(100 + i64::from(self.margin_percent))?;
        // Of hundredths, so that nothing is lost before the one rounding.
        let tens = divided_up(with_margin.amount(), 100 * Self::STEP);
        let least = divided_up(self.minimum_price, Self::STEP);
        Money::new(tens.max(least), cost.currency())?.times(Self::STEP)
    }

    /// What is added to the price for an option that adds `difference` to the cost; taken off where that is negative. In tens
    /// of won, rounded up.
    ///
    /// # Errors
    /// [`MoneyError::OutOfBounds`].
    pub fn difference(self, difference: Money) -> Result<Money, MoneyError> {
        let with_margin = difference.times(100 + i64::from(self.margin_percent))?;
        let tens = divided_up(with_margin.amount(), 100 * Self::STEP);
        Money::new(tens, difference.currency())?.times(Self::STEP)
    }
}

impl Default for Pricing {
    /// 30 percent, no minimum, and the seller looks at a product before it is for sale.
    fn default() -> Self {
        Self { margin_percent: 30, minimum_price: 0, status: ProductStatus::Draft }
    }
}

fn divided_up(amount: i64, by: i64) -> i64 {
    amount.div_euclid(by) + i64::from(amount.rem_euclid(by) > 0)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::money::Currency;

    fn won(amount: i64) -> Money {
        Money::new(amount, Currency::Krw).unwrap()
    }

    fn rule(margin_percent: u32, minimum_price: i64) -> Pricing {
        Pricing::new(margin_percent, minimum_price, ProductStatus::Draft).unwrap()
    }

    #[test]
    fn prices_are_rounded_up_to_tens_of_won() {
        assert_eq!(rule(30, 0).price(won(1_000)), Ok(won(1_300)));
        assert_eq!(rule(30, 0).price(won(1_001)), Ok(won(1_310)));
        assert_eq!(rule(0, 0).price(won(1)), Ok(won(10)));
        assert_eq!(rule(7, 0).price(won(12_345)), Ok(won(13_210)));
        assert_eq!(rule(30, 4_995).price(won(100)), Ok(won(5_000)));
        assert_eq!(rule(30, 4_995).price(won(9_000)), Ok(won(11_700)));
        assert_eq!(rule(30, 0).difference(won(-500)), Ok(won(-650)));
        assert_eq!(rule(30, 0).difference(won(-501)), Ok(won(-650)));
        assert!(rule(1_000, 0).price(won(Money::MAX)).is_err());
    }

    #[test]
    fn a_rule_is_what_it_was_made_of() {
        let rule = Pricing::new(45, 9_900, ProductStatus::Active).unwrap();
        assert_eq!((rule.margin_percent(), rule.minimum_price()), (45, 9_900));
        assert_eq!(rule.status(), ProductStatus::Active);
        let usual = Pricing::new(30, 0, ProductStatus::Draft);
        assert_eq!(usual, Some(Pricing::default()));
    }

    #[test]
    fn a_rule_has_bounds() {
        let most = Pricing::new(Pricing::MOST_MARGIN, Pricing::MOST_MINIMUM, ProductStatus::Draft);
        assert!(most.is_some());
        assert_eq!(Pricing::new(0, Pricing::MOST_MINIMUM + 1, ProductStatus::Draft), None);
        assert_eq!(Pricing::new(1_001, 0, ProductStatus::Draft), None);
        assert_eq!(Pricing::new(30, -1, ProductStatus::Draft), None);
        assert_eq!(Pricing::new(30, 0, ProductStatus::Discontinued), None);
    }

    proptest! {
        #[test]
        fn nothing_is_sold_below_the_rule(
            cost in 1_i64..1_000_000_000,
            margin in 0_u32..=1_000,
            minimum in 0_i64..=1_000_000_000,
        ) {
            let price = rule(margin, minimum).price(won(cost)).unwrap().amount();
            prop_assert_eq!(price % 10, 0);
            prop_assert!(price >= minimum && price * 100 >= cost * (100 + i64::from(margin)));
            let less = price - 10;
            prop_assert!(less < minimum || less * 100 < cost * (100 + i64::from(margin)));
        }
    }
}
