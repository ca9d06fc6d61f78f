use chrono::{DateTime, Utc};

use crate::money::{Currency, Money, MoneyError};
use crate::page::Bounds;
use crate::personal::Customer;
use crate::platform::Platform;
use crate::quantity::Quantity;
use crate::search::Search;
use crate::word::words;
use crate::{AccountId, OrderId, ProductId};

words! {
    /// How far an order has come.
    pub enum OrderStatus ("status") {
        /// Taken in, not yet looked at.
        Pending = "pending",
        /// Accepted by the seller.
        Confirmed = "confirmed",
        /// Paid: it may be placed with the wholesalers. Platform orders enter here.
        Paid = "paid",
        /// Placed with the wholesalers.
        Processing = "processing",
        /// On its way.
        Shipped = "shipped",
        /// At the buyer's. Imported history enters here.
        Delivered = "delivered",
        /// Called off before it was shipped.
        Cancelled = "cancelled",
        /// The money went back.
        Refunded = "refunded",
        /// The goods came back.
        Returned = "returned",
        /// It could not be fulfilled.
        Failed = "failed",
    }
}

/// A change of status that trade does not know.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("an order that is {from} cannot become {to}")]
pub struct Forbidden {
    /// The status it has.
    pub from: OrderStatus,
    /// The status it was to get.
    pub to: OrderStatus,
}

impl OrderStatus {
    /// The statuses that may follow this one.
    #[must_use]
    pub const fn next(self) -> &'static [Self] {
        match self {
            Self::Pending => &[Self::Confirmed, Self::Cancelled, Self::Failed],
            Self::Confirmed => &[Self::Paid, Self::Cancelled, Self::Failed],
            Self::Paid => &[Self::Processing, Self::Cancelled, Self::Refunded, Self::Failed],
            Self::Processing => &[Self::Shipped, Self::Cancelled, Self::Refunded, Self::Failed],
            Self::Shipped => &[Self::Delivered, Self::Returned, Self::Failed],
            Self::Delivered => &[Self::Returned, Self::Refunded],
            Self::Returned | Self::Cancelled | Self::Failed => &[Self::Refunded],
            Self::Refunded => &[],
        }
    }

    /// The status after a change to `to`. To stay as it is is always allowed, so that a client may
    /// repeat itself.
    ///
    /// # Errors
    /// [`Forbidden`] where no arrow leads from here to `to`.
    pub fn change_to(self, to: Self) -> Result<Self, Forbidden> {
        if self == to || self.next().contains(&to) {
            Ok(to)
        } else {
            Err(Forbidden { from: self, to })
        }
    }
}

words! {
    /// Why money or goods go back.
    pub enum ClaimKind ("claim kind") {
        /// Called off.
        Cancel = "cancel",
        /// Goods sent back.
        Return = "return",
        /// Goods sent back for others.
        Exchange = "exchange",
        /// A correction of the books.
        Adjustment = "adjustment",
        /// Goods lost or damaged.
        WriteOff = "write_off",
    }
}

/// Which orders a list shows.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct OrderFilter {
    /// Of this status only.
    pub status: Option<OrderStatus>,
    /// From this platform only.
    pub platform: Option<Platform>,
    /// Placed by the buyer in this range.
    pub created: Bounds,
    /// Of this number, or with a number that begins so; of a buyer of this name or telephone, or with a
    /// telephone that ends in these four digits.
    pub search: Option<Search>,
}

impl OrderFilter {
    /// The same text for the same filter: what a cursor is bound to.
    #[must_use]
    pub fn canonical(&self) -> String {
        let instant = |at: Option<DateTime<Utc>>| at.map(|at| at.timestamp_micros());
        format!(
            "orders|{:?}|{:?}|{:?}|{:?}|{:?}",
            self.status.map(OrderStatus::as_str),
            self.platform.map(Platform::as_str),
            instant(self.created.from()),
            instant(self.created.to()),
            self.search.as_ref().map(Search::as_str),
        )
    }
}

/// An order that is to be stored.
#[derive(Debug, Clone)]
pub struct NewOrder {
    /// Its id.
    pub id: OrderId,
    /// Where it was placed.
    pub platform: Platform,
    /// With which of the seller's accounts.
    pub account: AccountId,
    /// How the platform calls it; unique within the account.
    pub platform_order_id: String,
    /// How people call it.
    pub order_number: String,
    /// The status it enters with.
    pub status: OrderStatus,
    /// What was ordered; the first line is number 1.
    pub lines: Vec<NewOrderLine>,
    /// What it costs.
    pub amounts: Amounts,
    /// Who ordered it, if anybody is known.
    pub customer: Customer,
    /// The seller's note.
    pub memo: Option<String>,
    /// When the buyer ordered.
    pub created_at: DateTime<Utc>,
}

/// One line of an order that is to be stored.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewOrderLine {
    /// The product in the seller's catalogue.
    pub product_id: ProductId,
    /// The seller's code for it.
    pub sku: String,
    /// Its name when it was ordered.
    pub product_name: String,
    /// How many.
    pub quantity: Quantity,
    /// What one of them cost, in the order's currency.
    pub price: Money,
}

/// The amounts of an order, which add up: lines + shipping − discount = total ≥ 0.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Amounts {
    items: Money,
    shipping: Money,
    discount: Money,
    total: Money,
}

impl Amounts {
    /// Adds the amounts of `lines` up.
    ///
    /// # Errors
    /// [`MoneyError`] where two currencies meet, a sum is too large, or the total is negative.
    pub fn of(
        currency: Currency,
        lines: impl IntoIterator<Item = (Quantity, Money)>,
        shipping: Money,
        discount: Money,
    ) -> Result<Self, MoneyError> {
        let mut items = Money::zero(currency);
        for (quantity, price) in lines {
            items = items.plus(price.of(quantity)?)?;
        }
        let total = items.plus(shipping)?.plus(discount.negated())?;
        if total.amount() < 0 {
            return Err(MoneyError::OutOfBounds);
        }
        Ok(Self { items, shipping, discount, total })
    }

    /// The sum of the lines.
    #[must_use]
    pub const fn items(self) -> Money {
        self.items
    }

    /// What shipping costs the buyer.
    #[must_use]
    pub const fn shipping(self) -> Money {
        self.shipping
    }

    /// What is taken off.
    #[must_use]
    pub const fn discount(self) -> Money {
        self.discount
    }

    /// What the buyer pays.
    #[must_use]
    pub const fn total(self) -> Money {
        self.total
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn the_main_road_leads_from_pending_to_delivered() {
        use OrderStatus::{Confirmed, Delivered, Paid, Pending, Processing, Shipped};
        let road = [Pending, Confirmed, Paid, Processing, Shipped, Delivered];
        for step in road.windows(2) {
            assert_eq!(step[0].change_to(step[1]), Ok(step[1]));
            assert!(step[1].change_to(step[0]).is_err(), "no way back from {}", step[1]);
        }
        assert!(Pending.change_to(Delivered).is_err());
    }

    #[test]
    fn an_order_that_was_shipped_is_not_cancelled_but_returned() {
        let error = OrderStatus::Shipped.change_to(OrderStatus::Cancelled).unwrap_err();
        assert_eq!(error.to_string(), "an order that is shipped cannot become cancelled");
        assert!(OrderStatus::Shipped.change_to(OrderStatus::Returned).is_ok());
    }

    #[test]
    fn every_walk_ends() {
        for start in OrderStatus::ALL {
            let mut reached = vec![*start];
            let mut steps = 0;
            while let Some(next) = reached.last().and_then(|status| status.next().first()) {
                reached.push(*next);
                steps += 1;
                assert!(steps <= OrderStatus::ALL.len(), "a circle from {start}");
            }
        }
    }

    #[test]
    fn two_filters_that_differ_are_told_apart() {
        let status = OrderFilter { status: Some(OrderStatus::Paid), ..OrderFilter::default() };
        let platform = OrderFilter { platform: Some(Platform::Naver), ..OrderFilter::default() };
        assert_ne!(status.canonical(), platform.canonical());
        assert_ne!(status.canonical(), OrderFilter::default().canonical());
    }

    #[test]
    fn an_order_may_cost_nothing_and_never_less() {
        let won = |amount| Money::new(amount, Currency::Krw).unwrap();
        let of = |discount| Amounts::of(Currency::Krw, [], won(3_000), won(discount));
        assert_eq!(of(3_000).map(Amounts::total), Ok(won(0)));
        assert_eq!(of(3_001), Err(MoneyError::OutOfBounds));
        assert_eq!(of(2_999).map(Amounts::total), Ok(won(1)));
    }

    proptest! {
        #[test]
        fn amounts_add_up(
            lines in proptest::collection::vec((1_i64..=1_000_000, 0_i64..=1_000_000_000), 1..50),
            shipping in 0_i64..=1_000_000,
            discount in 0_i64..=1_000_000_000_000,
        ) {
            let won = |amount| Money::new(amount, Currency::Krw).unwrap();
            let sum: i64 = lines.iter().map(|(quantity, price)| quantity * price).sum();
            let typed = lines.iter().map(|(quantity, price)| (Quantity::new(*quantity).unwrap(), won(*price)));
            let amounts = Amounts::of(Currency::Krw, typed, won(shipping), won(discount));
            let expected = sum + shipping - discount;
            match amounts {
                Ok(amounts) => {
                    prop_assert_eq!(amounts.total().amount(), expected);
                    prop_assert_eq!(
                        amounts.items().amount() + amounts.shipping().amount() - amounts.discount().amount(),
                        amounts.total().amount()
                    );
                }
                Err(_) => prop_assert!(expected < 0 || sum > Money::MAX || expected > Money::MAX),
            }
        }
    }
}
