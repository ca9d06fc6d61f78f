use chrono::{DateTime, Utc};
use diesel::sql_types::{BigInt, Binary, Nullable, Text, Timestamptz};
use diesel::{OptionalExtension as _, Queryable};
use diesel_async::AsyncPgConnection;
use futures::try_join;
use jebi_domain::{
    Currency, Customer, OrderId, OrderStatus, Platform, SellerId, SellerKeys, Wholesaler,
};
use uuid::Uuid;

use super::row::{OrderLine, Reading, UuidSql, lines_by_order, lines_statement};
use crate::{Bind, Error, Pool, Statement};

/// An order with everything that belongs to it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Order {
    /// Its id.
    pub id: OrderId,
    /// How people call it.
    pub order_number: String,
    /// Where it was placed.
    pub platform: Platform,
    /// How the platform calls it.
    pub platform_order_id: String,
    /// How far it has come.
    pub status: OrderStatus,
    /// Who ordered, in full.
    pub customer: Customer,
    /// Of all its amounts.
    pub currency: Currency,
    /// The sum of its lines, in minor units.
    pub items_amount: i64,
    /// What shipping costs the buyer.
    pub shipping_amount: i64,
    /// What is taken off.
    pub discount_amount: i64,
    /// What the buyer pays: items + shipping − discount.
    pub total_amount: i64,
    /// Where the parcel can be followed.
    pub tracking_number: Option<String>,
    /// The seller's note.
    pub memo: Option<String>,
    /// Rises with every visible change.
    pub version: i64,
    /// When the buyer ordered.
    pub created_at: DateTime<Utc>,
    /// When it last changed here.
    pub updated_at: DateTime<Utc>,
    /// Its lines, by number.
    pub lines: Vec<OrderLine>,
    /// What happened to it, oldest first.
    pub history: Vec<HistoryEntry>,
    /// What was placed with wholesalers for it, oldest first.
    pub purchase_orders: Vec<PurchaseOrder>,
}

/// One change of an order.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HistoryEntry {
    /// The version that the order came to.
    pub version: i64,
    /// The status that it came to.
    pub status: OrderStatus,
    /// Who did it: `key:<id>`, `import`.
    pub actor: String,
    /// What was done, and why.
    pub reason: String,
    /// When.
    pub at: DateTime<Utc>,
}

/// What was placed with a wholesaler for an order's lines.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PurchaseOrder {
    /// Its id.
    pub id: Uuid,
    /// With whom.
    pub wholesaler: Wholesaler,
    /// How far it has come.
    pub status: String,
    /// Where the parcel can be followed.
    pub tracking_number: Option<String>,
    /// When it was placed.
    pub created_at: DateTime<Utc>,
}

/// An order whole, or `None` where the seller has no order of this id. Statements: 4, of one snapshot;
/// round trips: 3, for the beginning and the end of the snapshot are one each.
///
/// # Errors
/// [`Error::NoConnection`], [`Error::Busy`], [`Error::Query`], [`Error::CorruptRow`].
pub async fn find(pool: &Pool, keys: &SellerKeys, id: OrderId) -> Result<Option<Order>, Error> {
    let snapshot = pool.snapshot().await?;
    let order = read(&snapshot, keys, id, Lock::None).await?;
    snapshot.commit().await?;
    Ok(order)
}

/// Whether the order's row is kept from other writers until the transaction ends.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Lock {
    None,
    ForUpdate,
}

/// Reads an order inside the caller's transaction. Statements: 4, in one round trip once prepared.
pub(super) async fn read(
    connection: &AsyncPgConnection,
    keys: &SellerKeys,
    id: OrderId,
    lock: Lock,
) -> Result<Option<Order>, Error> {
    let reading = Reading { action: "read an order", keys };
    let seller = keys.seller();
    let (order, lines, history, purchase_orders) = (
        order_statement(seller, id, lock),
        lines_statement(seller, vec![id.as_uuid()]),
        history_statement(seller, id),
        purchase_orders_statement(seller, id),
    );
    // Sent in this order: the lock comes before the rest.
    let (order, lines, history, purchase_orders) = try_join!(
        async { order.one::<OrderRow>(connection).await.optional() },
        lines.all(connection),
        history.all::<HistoryRow>(connection),
        purchase_orders.all::<PurchaseOrderRow>(connection),
    )
    .map_err(Error::of(reading.action))?;

    let Some(order) = order else { return Ok(None) };
    let mut order = order.assemble(reading)?;
    order.lines = lines_by_order(reading, lines)?.remove(&id.as_uuid()).unwrap_or_default();
    for entry in history {
        order.history.push(entry.assemble(reading)?);
    }
    for entry in purchase_orders {
        order.purchase_orders.push(entry.assemble(reading)?);
    }
    Ok(Some(order))
}

pub(crate) type OrderSql = (
    UuidSql,
    UuidSql,
    Text,
    Text,
    Text,
    Text,
    Binary,
    Text,
    BigInt,
    BigInt,
    BigInt,
    BigInt,
    Nullable<Text>,
    Nullable<Text>,
    BigInt,
    Timestamptz,
    Timestamptz,
);

#[derive(Queryable)]
struct OrderRow {
    id: Uuid,
    seller_id: Uuid,
    order_number: String,
    platform: String,
    platform_order_id: String,
    status: String,
    customer: Vec<u8>,
    currency: String,
    items_amount: i64,
    shipping_amount: i64,
    discount_amount: i64,
    total_amount: i64,
    tracking_number: Option<String>,
    memo: Option<String>,
    version: i64,
    created_at: DateTime<Utc>,
    updated_at: DateTime<Utc>,
}

pub(crate) fn order_statement(seller: SellerId, id: OrderId, lock: Lock) -> Statement<OrderSql> {
    let lock = match lock {
        Lock::None => "",
        Lock::ForUpdate => " FOR NO KEY UPDATE",
    };
    Statement::new(
        format!(
            "SELECT id, seller_id, order_number, platform, platform_order_id, status, customer,
                    currency, items_amount, shipping_amount, discount_amount, total_amount,
                    tracking_number, memo, version, created_at, updated_at
             FROM orders WHERE id = $1 AND seller_id = $2{lock}"
        ),
        vec![Bind::from(id), Bind::from(seller)],
    )
}

impl OrderRow {
    fn assemble(self, reading: Reading<'_>) -> Result<Order, Error> {
        reading.check_seller(self.seller_id)?;
        Ok(Order {
            id: self.id.into(),
            platform: reading.word("platform", &self.platform)?,
            status: reading.word("status", &self.status)?,
            customer: reading.customer(self.id, &self.customer)?,
            currency: reading.word("currency", &self.currency)?,
            order_number: self.order_number,
            platform_order_id: self.platform_order_id,
            items_amount: self.items_amount,
            shipping_amount: self.shipping_amount,
            discount_amount: self.discount_amount,
            total_amount: self.total_amount,
            tracking_number: self.tracking_number,
            memo: self.memo,
            version: self.version,
            created_at: self.created_at,
            updated_at: self.updated_at,
            lines: vec![],
            history: vec![],
            purchase_orders: vec![],
        })
    }
}

pub(crate) type HistorySql = (UuidSql, BigInt, Text, Text, Text, Timestamptz);

#[derive(Queryable)]
struct HistoryRow {
    seller_id: Uuid,
    version: i64,
    status: String,
    actor: String,
    reason: String,
    at: DateTime<Utc>,
}

pub(crate) fn history_statement(seller: SellerId, id: OrderId) -> Statement<HistorySql> {
    Statement::new(
        "SELECT seller_id, version, status, actor, reason, at
         FROM order_history WHERE order_id = $1 AND seller_id = $2
         ORDER BY version",
        vec![Bind::from(id), Bind::from(seller)],
    )
}

impl HistoryRow {
    fn assemble(self, reading: Reading<'_>) -> Result<HistoryEntry, Error> {
        reading.check_seller(self.seller_id)?;
        Ok(HistoryEntry {
            version: self.version,
            status: reading.word("status", &self.status)?,
            actor: self.actor,
            reason: self.reason,
            at: self.at,
        })
    }
}

pub(crate) type PurchaseOrderSql = (UuidSql, UuidSql, Text, Text, Nullable<Text>, Timestamptz);

#[derive(Queryable)]
struct PurchaseOrderRow {
    id: Uuid,
    seller_id: Uuid,
    wholesaler: String,
    status: String,
    tracking_number: Option<String>,
    created_at: DateTime<Utc>,
}

pub(crate) fn purchase_orders_statement(
    seller: SellerId,
    id: OrderId,
) -> Statement<PurchaseOrderSql> {
    Statement::new(
        "SELECT id, seller_id, wholesaler, status, tracking_number, created_at
         FROM purchase_orders WHERE order_id = $1 AND seller_id = $2
         ORDER BY created_at, id",
        vec![Bind::from(id), Bind::from(seller)],
    )
}

impl PurchaseOrderRow {
    fn assemble(self, reading: Reading<'_>) -> Result<PurchaseOrder, Error> {
        reading.check_seller(self.seller_id)?;
        Ok(PurchaseOrder {
            id: self.id,
            wholesaler: reading.word("wholesaler", &self.wholesaler)?,
            status: self.status,
            tracking_number: self.tracking_number,
            created_at: self.created_at,
        })
    }
}
