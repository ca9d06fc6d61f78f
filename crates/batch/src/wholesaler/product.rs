//! An item of a wholesaler, whoever it is.

use chrono::{DateTime, Utc};
use jebi_domain::{Money, Text};
use serde_json::{Map, Value};

use crate::wholesaler::key::Key;
use crate::wholesaler::text;

/// An item as its wholesaler tells of it. What is not known is `None` or `Unknown`, never 0.
#[derive(Debug, Clone, PartialEq)]
pub struct WholesaleProduct {
    /// What the wholesaler knows it by.
    pub key: Key,
    /// What it is called. Discontinued items may have lost their names.
    pub name: Option<Text<300>>,
    /// What the seller pays for one, without options, in won: 1 to [`WholesaleProduct::MAX_PRICE`].
    pub price: Option<Money>,
    /// What one costs in quantities, the smallest first; empty where quantity makes no difference.
    pub tiers: Vec<Tier>,
    /// What a buyer chooses from; empty where there is nothing to choose.
    pub options: Vec<ProductOption>,
    /// How much there is of all options together.
    pub stock: Stock,
    /// Whether it can be had.
    pub availability: Availability,
    /// Where it stands.
    pub category: Option<Category>,
    /// Addresses of its images.
    pub images: Vec<String>,
    /// What it is, in HTML that is not to be trusted.
    pub description: Option<String>,
    /// When it was last changed, where the wholesaler says so.
    pub changed_at: Option<DateTime<Utc>>,
    /// What the wholesaler says besides and has no place above, as it was said.
    pub raw: Map<String, Value>,
}

impl WholesaleProduct {
    /// A billion won: whoever asks for more has made a mistake.
    pub const MAX_PRICE: i64 = 1_000_000_000;
    /// More units are a mistake as well.
    pub const MAX_UNITS: u32 = 100_000_000;
    /// More options are not read.
    pub const MAX_OPTIONS: usize = 500;
    /// More prices by quantity are not read.
    pub const MAX_TIERS: usize = 50;
    /// More images are not read.
    pub const MAX_IMAGES: usize = 50;
    /// Bytes of a description; the longest known have some hundred thousand.
    pub const MAX_DESCRIPTION_BYTES: usize = 1 << 20;
    /// Bytes of what has no place, written as JSON.
    pub const MAX_RAW_BYTES: usize = 64 << 10;

    /// An item of which nothing is known but its key.
    #[cfg(test)]
    pub(crate) fn nameless(key: Key) -> Self {
        Self {
            key,
            name: None,
            price: None,
            tiers: Vec::new(),
            options: Vec::new(),
            stock: Stock::Unknown,
            availability: Availability::OnSale,
            category: None,
            images: Vec::new(),
            description: None,
            changed_at: None,
            raw: Map::new(),
        }
    }
}

/// A price from a quantity on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Tier {
    /// From so many units on.
    pub min_quantity: u32,
    /// What one costs then.
    pub price: Money,
}

/// Something to choose.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ProductOption {
    /// What the wholesaler knows it by, which is what an order names: a number, a code, or its name.
    pub key: String,
    /// What it is called, such as `화이트 / L`.
    pub name: Text<300>,
    /// What is added to the product's price, or taken off; `None` where it is not known.
    pub difference: Option<Money>,
    /// How much there is of it.
    pub stock: Stock,
    /// Whether it can be had.
    pub availability: Availability,
}

/// How much there is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Stock {
    /// So many.
    Units(u32),
    /// Enough, says the wholesaler, who does not count.
    NotTracked,
    /// The wholesaler does not say.
    Unknown,
}

impl Stock {
    /// Of both together: not known where one of them is not, not counted where one of them is not.
    #[must_use]
    pub fn plus(self, other: Self) -> Self {
        match (self, other) {
            (Self::Unknown, _) | (_, Self::Unknown) => Self::Unknown,
            (Self::NotTracked, _) | (_, Self::NotTracked) => Self::NotTracked,
            (Self::Units(one), Self::Units(other)) => Self::Units(one.saturating_add(other)),
        }
    }
}

/// Whether it can be had.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Availability {
    /// Yes.
    OnSale,
    /// Not now.
    SoldOut,
    /// Not by us, or not yet: in another market, waiting for approval, under a penalty.
    Unavailable,
    /// Never again.
    Discontinued,
    /// The wholesaler says something else; the word is in the raw fields.
    Unknown,
}

/// Where an item stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Category {
    /// Its code, leading zeros included.
    pub code: String,
    /// Its name, with those above it where they are told: `생활/주방 > 컵 > 텀블러`.
    pub name: String,
}

impl Category {
    pub(super) fn new(code: String, name: String) -> Result<Self, Reason> {
        text::legible(&code, "category")?;
        text::legible(&name, "category")?;
        Ok(Self { code, name })
    }
}

/// An item that cannot be used. What was known of it stays true for as long as nothing else is heard.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{key:?}: {reason}")]
pub struct Rejected {
    /// Which, where that can be told.
    pub key: Option<Key>,
    /// Why.
    pub reason: Reason,
}

/// Why an item cannot be used.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, thiserror::Error)]
pub enum Reason {
    /// It is no JSON or XML, or not in the shape that was agreed on.
    #[error("it cannot be read")]
    Unreadable,
    /// What it takes is not there.
    #[error("{0} is missing")]
    Missing(&'static str),
    /// It is no number, no text, no word of those that are known.
    #[error("{0} is not what it should be")]
    Malformed(&'static str),
    /// It is a number beyond any sense: below 0, above a billion.
    #[error("{0} is out of range")]
    OutOfRange(&'static str),
    /// There is more of it than is read.
    #[error("{0} is too large")]
    TooLarge(&'static str),
    /// Two things are said about it that cannot both be true.
    #[error("{0} contradicts itself")]
    Contradictory(&'static str),
    /// The wholesaler itself says that something about it went wrong.
    #[error("the wholesaler could not tell")]
    Failed,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn stocks_add_up_where_all_are_counted() {
        let (units, uncounted, unknown) = (Stock::Units, Stock::NotTracked, Stock::Unknown);
        for (one, other, both) in [
            (units(3), units(4), units(7)),
            (units(u32::MAX), units(1), units(u32::MAX)),
            (units(3), uncounted, uncounted),
            (uncounted, uncounted, uncounted),
            (units(3), unknown, unknown),
            (uncounted, unknown, unknown),
        ] {
            assert_eq!((one.plus(other), other.plus(one)), (both, both), "{one:?} {other:?}");
        }
    }

    #[test]
    fn what_is_read_is_bounded_in_bytes() {
        assert_eq!(WholesaleProduct::MAX_DESCRIPTION_BYTES, 1_048_576);
        assert_eq!(WholesaleProduct::MAX_RAW_BYTES, 65_536);
    }
}
