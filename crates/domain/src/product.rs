use crate::platform::Wholesaler;
use crate::search::Search;
use crate::word::words;

words! {
    /// What the seller decided about a product.
    pub enum ProductStatus ("status") {
        /// Being prepared.
        Draft = "draft",
        /// For sale.
        Active = "active",
        /// Not for sale for a while.
        Paused = "paused",
        /// Not for sale any more.
        Discontinued = "discontinued",
    }
}

/// Which products a list shows, by how many there are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum StockLevel {
    /// 1 to [`StockLevel::LOW`].
    Low,
    /// None, or fewer.
    Out,
}

impl StockLevel {
    /// The largest stock that is low.
    pub const LOW: i64 = 10;
}

/// Prices in minor units, both ends included.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct PriceRange {
    min: Option<i64>,
    max: Option<i64>,
}

impl PriceRange {
    /// `None` where the range ends before it begins.
    #[must_use]
    pub fn new(min: Option<i64>, max: Option<i64>) -> Option<Self> {
        let is_backwards = min.zip(max).is_some_and(|(min, max)| min > max);
        (!is_backwards).then_some(Self { min, max })
    }

    /// The lowest price inside.
    #[must_use]
    pub const fn min(self) -> Option<i64> {
        self.min
    }

    /// The highest price inside.
    #[must_use]
    pub const fn max(self) -> Option<i64> {
        self.max
    }
}

/// Which products a list shows.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct ProductFilter {
    /// Of this status only.
    pub status: Option<ProductStatus>,
    /// Of this brand only.
    pub brand: Option<String>,
    /// From this wholesaler only.
    pub wholesaler: Option<Wholesaler>,
    /// Of this price only.
    pub price: PriceRange,
    /// With so many left only.
    pub stock: Option<StockLevel>,
    /// With this in its name, code or brand.
    pub search: Option<Search>,
}

impl ProductFilter {
    /// The same text for the same filter: what a cursor is bound to.
    #[must_use]
    pub fn canonical(&self) -> String {
        format!("products|{self:?}")
    }

    /// Whether it asks for what changes often and is in no index.
    #[must_use]
    pub fn asks_for_offers(&self) -> bool {
        self.price != PriceRange::default() || self.stock.is_some()
    }
}

/// A change of a product's stock.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum StockChange {
    /// To so many.
    To(i64),
    /// By so many, up or down.
    By(i64),
}

impl StockChange {
    /// The most units of one product, and of one change.
    pub const MAX: i64 = 1_000_000_000;

    /// The stock after the change.
    ///
    /// # Errors
    /// In words, where the stock is not tracked yet and cannot be changed by a difference, where it would be
    /// beyond ±[`StockChange::MAX`], and where it would fall below 0 although `may_be_negative` is not set.
    pub fn of(self, stock: Option<i64>, may_be_negative: bool) -> Result<i64, &'static str> {
        let next = match (self, stock) {
            (Self::To(units), _) => units,
            (Self::By(units), Some(stock)) => {
                stock.checked_add(units).ok_or("leads to more units than are counted")?
            }
            (Self::By(_), None) => return Err("needs a stock to change; set one first"),
        };
        if !(-Self::MAX..=Self::MAX).contains(&next) {
            Err("leads to more units than are counted")
        } else if next < 0 && !may_be_negative {
            Err("leads to a stock below 0; set allow_negative where that is meant")
        } else {
            Ok(next)
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;
    use proptest::prelude::*;

    #[test]
    fn a_stock_falls_below_nothing_only_on_demand() {
        assert_eq!(StockChange::By(-3).of(Some(3), false), Ok(0));
        assert!(StockChange::By(-4).of(Some(3), false).is_err());
        assert_eq!(StockChange::By(-4).of(Some(3), true), Ok(-1));
        assert!(StockChange::By(1).of(None, true).is_err());
        assert_eq!(StockChange::To(5).of(None, false), Ok(5));
    }

    #[test]
    fn a_range_of_prices_does_not_run_backwards() {
        let range = PriceRange::new(Some(5), Some(7)).unwrap();
        assert_eq!((range.min(), range.max()), (Some(5), Some(7)));
        assert!(PriceRange::new(Some(5), Some(5)).is_some());
        assert_eq!(PriceRange::new(Some(6), Some(5)), None);
        assert_eq!(PriceRange::new(None, None), Some(PriceRange::default()));
    }

    #[test]
    fn two_filters_that_differ_are_told_apart() {
        let filters = [
            ProductFilter::default(),
            ProductFilter { status: Some(ProductStatus::Active), ..ProductFilter::default() },
            ProductFilter { brand: Some("한빛".to_owned()), ..ProductFilter::default() },
            ProductFilter { wholesaler: Some(Wholesaler::Zentrade), ..ProductFilter::default() },
            ProductFilter { stock: Some(StockLevel::Out), ..ProductFilter::default() },
            ProductFilter { price: PriceRange { min: Some(1), max: None }, ..Default::default() },
            ProductFilter { search: Search::new("컵").ok(), ..ProductFilter::default() },
        ];
        let texts: BTreeSet<String> = filters.iter().map(ProductFilter::canonical).collect();
        assert_eq!(texts.len(), filters.len(), "{texts:?}");
    }

    #[test]
    fn price_and_stock_are_asked_of_offers_and_nothing_else_is() {
        let price = PriceRange::new(None, Some(9_900)).unwrap();
        assert!(ProductFilter { price, ..ProductFilter::default() }.asks_for_offers());
        let stock = Some(StockLevel::Low);
        assert!(ProductFilter { stock, ..ProductFilter::default() }.asks_for_offers());
        let brand = Some("한빛".to_owned());
        assert!(!ProductFilter { brand, ..ProductFilter::default() }.asks_for_offers());
    }

    #[test]
    fn a_stock_is_counted_up_to_a_billion_either_way() {
        let most = StockChange::MAX;
        assert_eq!(StockChange::To(most).of(None, false), Ok(most));
        assert_eq!(StockChange::To(-most).of(None, true), Ok(-most));
        for beyond in [most + 1, -most - 1] {
            let refused = StockChange::To(beyond).of(None, true);
            assert_eq!(refused, Err("leads to more units than are counted"), "{beyond}");
        }
    }

    proptest! {
        #[test]
        fn no_change_overflows(stock: i64, units: i64, negative: bool) {
            for change in [StockChange::By(units), StockChange::To(units)] {
                if let Ok(next) = change.of(Some(stock), negative) {
                    prop_assert!(next.abs() <= StockChange::MAX && (negative || next >= 0));
                }
            }
        }
    }
}
