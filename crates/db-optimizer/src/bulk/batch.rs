//! Orders and claims of one transaction.

use std::collections::HashSet;

use chrono::Utc;
use jebi_domain::{AccountId, EventId, SellerId, SellerKeys};
use tokio_postgres::Transaction;
use tokio_postgres::types::Type;
use uuid::Uuid;

use super::claims::NewClaim;
use super::orders::LoadedOrder;
use super::{Loader, failed};
use crate::Error;
use crate::random::random;

/// Orders and claims that are stored together or not at all.
#[derive(Debug, Clone, Default)]
pub struct Batch {
    /// Orders.
    pub orders: Vec<LoadedOrder>,
    /// Claims.
    pub claims: Vec<NewClaim>,
}

/// What a batch came to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Stored {
    /// Orders that were new.
    pub orders: u64,
    /// Their lines.
    pub lines: u64,
    /// Claims that were new.
    pub claims: u64,
}

impl std::ops::Add for Stored {
    type Output = Self;

    fn add(self, other: Self) -> Self {
        Self {
            orders: self.orders + other.orders,
            lines: self.lines + other.lines,
            claims: self.claims + other.claims,
        }
    }
}

impl Loader {
    /// Stores those of a batch's orders and claims that their accounts do not have yet, with lines,
    /// history, price changes and one event, in one transaction. Where somebody else stores one of them at
    /// the same moment, the rest is done again.
    ///
    /// # Errors
    /// [`Error::Copy`]; nothing of the batch was stored then.
    pub async fn store(&mut self, keys: &SellerKeys, batch: &Batch) -> Result<Stored, Error> {
        const TRIES: usize = 10;
        for _ in 1..TRIES {
            match self.store_once(keys, batch).await {
                Err(Error::Copy { source, .. }) if source.is_a_race() => {}
                stored => return stored,
            }
        }
        self.store_once(keys, batch).await
    }

    async fn store_once(&mut self, keys: &SellerKeys, batch: &Batch) -> Result<Stored, Error> {
        let transaction = self.client.transaction().await.map_err(failed)?;
        let load = Load { transaction: &transaction, keys };
        let orders = load.new_orders(&batch.orders).await?;
        let claims = load.new_claims(&batch.claims).await?;
        let stored = Stored {
            orders: orders.len() as u64,
            lines: orders.iter().map(|new| new.order.lines.len() as u64).sum(),
            claims: claims.len() as u64,
        };
        if !orders.is_empty() {
            load.orders(&orders).await?;
            load.lines(&orders).await?;
            load.tokens(&orders).await?;
            load.history(&orders).await?;
            load.prices(&orders).await?;
            imported(&transaction, keys.seller(), "orders", orders.len() as u64).await?;
        }
        if !claims.is_empty() {
            load.claims(&claims).await?;
        }
        transaction.commit().await.map_err(failed)?;
        Ok(stored)
    }
}

/// One event for many rows: it tells listeners that `what` came, not which.
pub(super) async fn imported(
    transaction: &Transaction<'_>,
    seller: SellerId,
    what: &str,
    count: u64,
) -> Result<(), Error> {
    let payload = serde_json::json!({ what: count }).to_string();
    let sql = "INSERT INTO outbox (id, seller_id, event, aggregate_id, version, payload)
               VALUES ($1, $2, $3, $2, 1, $4::text::jsonb)";
    let id = EventId::new(Utc::now(), random()).as_uuid();
    let event = format!("{what}:imported");
    let sent = transaction.execute(sql, &[&id, &seller.as_uuid(), &event, &payload]).await;
    sent.map(|_| ()).map_err(failed)
}

/// One batch on its way into the tables.
pub(super) struct Load<'a> {
    pub(super) transaction: &'a Transaction<'a>,
    pub(super) keys: &'a SellerKeys,
}

impl Load<'_> {
    /// Which of some names, each of an account, are taken.
    pub(super) async fn known(
        &self,
        table: &str,
        column: &str,
        names: impl Iterator<Item = (AccountId, String)>,
    ) -> Result<HashSet<(AccountId, String)>, Error> {
        let sql = format!(
            "SELECT platform_account_id, {column}
             FROM unnest($2::uuid[], $3::text[]) AS wanted (account, name)
             JOIN {table} ON seller_id = $1 AND platform_account_id = account AND {column} = name"
        );
        let (accounts, names): (Vec<Uuid>, Vec<String>) =
            names.map(|(account, name)| (account.as_uuid(), name)).unzip();
        let rows = self.transaction.query(&sql, &[&self.seller(), &accounts, &names]).await;
        let name = |row: tokio_postgres::Row| (row.get::<_, Uuid>(0).into(), row.get(1));
        Ok(rows.map_err(failed)?.into_iter().map(name).collect())
    }

    pub(super) fn seller(&self) -> Uuid {
        self.keys.seller().as_uuid()
    }
}

/// The columns of an order's or a claim's lines.
pub(super) fn line_columns(parent: &'static str) -> [(&'static str, Type); 8] {
    [
        (parent, Type::UUID),
        ("line_no", Type::INT4),
        ("seller_id", Type::UUID),
        ("product_id", Type::UUID),
        ("sku", Type::TEXT),
        ("product_name", Type::TEXT),
        ("quantity", Type::INT4),
        ("price", Type::INT8),
    ]
}
