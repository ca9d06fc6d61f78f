use chrono::{DateTime, Utc};
use jebi_domain::{EventId, Money, NewOrder, ProductId};
use tokio_postgres::types::Type;

use super::batch::{Load, line_columns};
use super::copy::Copy;
use crate::Error;
use crate::random::random;

/// An order, and the prices that it showed to have changed.
#[derive(Debug, Clone)]
pub struct LoadedOrder {
    /// The order.
    pub order: NewOrder,
    /// In the order in which they were seen.
    pub prices: Vec<PriceChange>,
}

/// A price that differs from the one before it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PriceChange {
    /// Of this product.
    pub product: ProductId,
    /// From now on.
    pub price: Money,
    /// Now.
    pub at: DateTime<Utc>,
}

impl Load<'_> {
    pub(super) async fn new_orders<'b>(
        &self,
        orders: &'b [LoadedOrder],
    ) -> Result<Vec<&'b LoadedOrder>, Error> {
        let name = |new: &LoadedOrder| (new.order.account, new.order.platform_order_id.clone());
        let known = self.known("orders", "platform_order_id", orders.iter().map(name)).await?;
        Ok(orders.iter().filter(|new| !known.contains(&name(new))).collect())
    }

    pub(super) async fn orders(&self, orders: &[&LoadedOrder]) -> Result<(), Error> {
        const COLUMNS: &[(&str, Type)] = &[
            ("id", Type::UUID),
            ("seller_id", Type::UUID),
            ("platform", Type::TEXT),
            ("platform_account_id", Type::UUID),
            ("platform_order_id", Type::TEXT),
            ("order_number", Type::TEXT),
            ("status", Type::TEXT),
            ("currency", Type::TEXT),
            ("items_count", Type::INT4),
            ("items_amount", Type::INT8),
            ("shipping_amount", Type::INT8),
            ("discount_amount", Type::INT8),
            ("total_amount", Type::INT8),
            ("customer", Type::BYTEA),
            ("memo", Type::TEXT),
            ("created_at", Type::TIMESTAMPTZ),
        ];
        let mut copy = Copy::start(self.transaction, "orders", COLUMNS).await?;
        for LoadedOrder { order, .. } in orders {
            let amounts = &order.amounts;
            copy.row(&[
                &order.id.as_uuid(),
                &self.seller(),
                &order.platform.as_str(),
                &order.account.as_uuid(),
                &order.platform_order_id,
                &order.order_number,
                &order.status.as_str(),
                &amounts.total().currency().as_str(),
                &number(order.lines.len()),
                &amounts.items().amount(),
                &amounts.shipping().amount(),
                &amounts.discount().amount(),
                &amounts.total().amount(),
                &self.keys.seal_customer(order.id.as_uuid(), &order.customer, random()),
                &order.memo,
                &order.created_at,
            ])
            .await?;
        }
        copy.finish().await
    }

    pub(super) async fn lines(&self, orders: &[&LoadedOrder]) -> Result<(), Error> {
        let mut copy =
            Copy::start(self.transaction, "order_items", &line_columns("order_id")).await?;
        for LoadedOrder { order, .. } in orders {
            for (line, line_no) in order.lines.iter().zip(1_i32..) {
                copy.row(&[
                    &order.id.as_uuid(),
                    &line_no,
                    &self.seller(),
                    &line.product_id.as_uuid(),
                    &line.sku,
                    &line.product_name,
                    &line.quantity.units().cast_signed(),
                    &line.price.amount(),
                ])
                .await?;
            }
        }
        copy.finish().await
    }

    pub(super) async fn tokens(&self, orders: &[&LoadedOrder]) -> Result<(), Error> {
        const COLUMNS: &[(&str, Type)] = &[
            ("seller_id", Type::UUID),
            ("token", Type::INT8),
            ("created_at", Type::TIMESTAMPTZ),
            ("order_id", Type::UUID),
        ];
        let mut copy = Copy::start(self.transaction, "order_search", COLUMNS).await?;
        for LoadedOrder { order, .. } in orders {
            for token in self.keys.search_tokens_of(&order.order_number, &order.customer) {
                let id = order.id.as_uuid();
                copy.row(&[&self.seller(), &token, &order.created_at, &id]).await?;
            }
        }
        copy.finish().await
    }

    pub(super) async fn history(&self, orders: &[&LoadedOrder]) -> Result<(), Error> {
        const COLUMNS: &[(&str, Type)] = &[
            ("order_id", Type::UUID),
            ("version", Type::INT8),
            ("seller_id", Type::UUID),
            ("status", Type::TEXT),
            ("actor", Type::TEXT),
            ("reason", Type::TEXT),
        ];
        let mut copy = Copy::start(self.transaction, "order_history", COLUMNS).await?;
        for LoadedOrder { order, .. } in orders {
            copy.row(&[
                &order.id.as_uuid(),
                &1_i64,
                &self.seller(),
                &order.status.as_str(),
                &"import",
                &"order imported",
            ])
            .await?;
        }
        copy.finish().await
    }

    pub(super) async fn prices(&self, orders: &[&LoadedOrder]) -> Result<(), Error> {
        const COLUMNS: &[(&str, Type)] = &[
            ("product_id", Type::UUID),
            ("seller_id", Type::UUID),
            ("changed_at", Type::TIMESTAMPTZ),
            ("id", Type::UUID),
            ("currency", Type::TEXT),
            ("price", Type::INT8),
        ];
        let mut copy = Copy::start(self.transaction, "price_history", COLUMNS).await?;
        let changes = orders.iter().flat_map(|loaded| &loaded.prices);
        for (sequence, change) in (0_u32..).zip(changes) {
            // Changes of one millisecond sort in the order in which they were seen.
            let mut tail: [u8; 10] = random();
            tail[..6].copy_from_slice(&u64::from(sequence).to_be_bytes()[2..]);
            copy.row(&[
                &change.product.as_uuid(),
                &self.seller(),
                &change.at,
                &EventId::new(change.at, tail).as_uuid(),
                &change.price.currency().as_str(),
                &change.price.amount(),
            ])
            .await?;
        }
        copy.finish().await
    }
}

fn number(lines: usize) -> i32 {
    i32::try_from(lines).unwrap_or(i32::MAX)
}
