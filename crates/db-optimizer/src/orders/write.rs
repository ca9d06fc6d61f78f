use diesel::OptionalExtension as _;
use diesel::sql_types::Text;

use jebi_domain::{
    AccountId, Forbidden, NewOrder, OrderId, OrderStatus, ProductId, SellerId, SellerKeys,
};
use serde_json::json;
use uuid::Uuid;

use super::row::{OrderLine, UuidSql};
use super::whole::{HistoryEntry, Lock, Order, read};
use crate::random::random;
use crate::trail::{Author, audit, event, send};
use crate::{Bind, Error, Statement, Transaction};

/// A product that a new order asks for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CatalogueEntry {
    /// Its id.
    pub id: ProductId,
    /// The seller's code for it.
    pub sku: String,
    /// Its name today.
    pub name: String,
}

/// The account of the seller's own shop. Statements: 1.
///
/// # Errors
/// [`Error::Query`]; [`Error::CorruptRow`] where the seller has no shop, which `add` gave them.
pub async fn own_shop(transaction: &Transaction<'_>, seller: SellerId) -> Result<AccountId, Error> {
    const ACTION: &str = "find the seller's own shop";
    let statement = own_shop_statement(seller);
    let id: Option<Uuid> =
        statement.one(transaction).await.optional().map_err(Error::of(ACTION))?;
    id.map(AccountId::from).ok_or(Error::CorruptRow { action: ACTION, what: "account" })
}

pub(crate) fn own_shop_statement(seller: SellerId) -> Statement<UuidSql> {
    Statement::new(
        "SELECT id FROM platform_accounts WHERE seller_id = $1 AND kind = 'direct'",
        vec![Bind::from(seller)],
    )
}

/// The seller's products with one of these ids or codes. Statements: 1.
///
/// # Errors
/// [`Error::Query`].
pub async fn find_products(
    transaction: &Transaction<'_>,
    seller: SellerId,
    ids: Vec<Uuid>,
    skus: Vec<String>,
) -> Result<Vec<CatalogueEntry>, Error> {
    let statement = Statement::<(UuidSql, Text, Text)>::new(
        "SELECT id, sku, name FROM products WHERE id = ANY($2) AND seller_id = $1
         UNION
         SELECT id, sku, name FROM products WHERE seller_id = $1 AND sku = ANY($3)",
        vec![Bind::from(seller), Bind::from(ids), Bind::from(skus)],
    );
    let rows: Vec<(Uuid, String, String)> =
        statement.all(transaction).await.map_err(Error::of("look products up"))?;
    Ok(rows
        .into_iter()
        .map(|(id, sku, name)| CatalogueEntry { id: id.into(), sku, name })
        .collect())
}

/// Stores an order with its lines, its first history entry, its event and its audit entry.
/// Statements: 6, in one round trip once prepared.
///
/// # Errors
/// [`Error::Exists`] where the account has an order of this number, [`Error::Query`].
pub async fn create(
    transaction: &Transaction<'_>,
    keys: &SellerKeys,
    new: NewOrder,
    author: &Author,
) -> Result<Order, Error> {
    let seller = keys.seller();
    let entry = HistoryEntry {
        version: 1,
        status: new.status,
        actor: author.actor.clone(),
        reason: "order created".to_owned(),
        at: author.at,
    };
    let changes = json!({ "status": new.status, "items": new.lines.len() });
    let insert = insert_order(keys, &new, author);
    let lines = insert_lines(seller, &new);
    send(
        transaction,
        vec![
            insert,
            lines,
            insert_tokens(keys, &new),
            insert_history(seller, new.id, &entry),
            happened(transaction, seller, "orders:created", (new.id, &entry), &[]),
            audit(seller, "orders.create", new.id.as_uuid(), author, changes),
        ],
    )
    .await
    .map_err(Error::of("store an order"))?;
    Ok(stored(new, entry))
}

/// The order as [`super::find`] would read it now.
fn stored(new: NewOrder, entry: HistoryEntry) -> Order {
    let line = |line: jebi_domain::NewOrderLine| OrderLine {
        product_id: line.product_id,
        sku: line.sku,
        product_name: line.product_name,
        quantity: line.quantity.units(),
        price: line.price.amount(),
    };
    Order {
        id: new.id,
        order_number: new.order_number,
        platform: new.platform,
        platform_order_id: new.platform_order_id,
        status: new.status,
        customer: new.customer,
        currency: new.amounts.total().currency(),
        items_amount: new.amounts.items().amount(),
        shipping_amount: new.amounts.shipping().amount(),
        discount_amount: new.amounts.discount().amount(),
        total_amount: new.amounts.total().amount(),
        tracking_number: None,
        memo: new.memo,
        version: entry.version,
        created_at: new.created_at,
        updated_at: entry.at,
        lines: new.lines.into_iter().map(line).collect(),
        history: vec![entry],
        purchase_orders: vec![],
    }
}

/// What is to change; `None` leaves a field as it is, `Some(None)` empties it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Change {
    /// The next status.
    pub status: Option<OrderStatus>,
    /// Where the parcel can be followed.
    pub tracking_number: Option<Option<String>>,
    /// The seller's note.
    pub memo: Option<Option<String>>,
}

impl Order {
    /// What `change` would make different, as words for the history; nothing where all is so already.
    ///
    /// # Errors
    /// [`Forbidden`] where trade does not know the change of status.
    pub fn differences(&self, change: &Change) -> Result<Vec<String>, Forbidden> {
        let mut differences = Vec::new();
        if let Some(status) = change.status {
            let next = self.status.change_to(status)?;
            if next != self.status {
                differences.push(format!("status {} → {next}", self.status));
            }
        }
        if change.tracking_number.as_ref().is_some_and(|number| *number != self.tracking_number) {
            differences.push("tracking number".to_owned());
        }
        if change.memo.as_ref().is_some_and(|memo| *memo != self.memo) {
            differences.push("memo".to_owned());
        }
        Ok(differences)
    }
}

/// An order whole, kept from other writers until the transaction ends; `None` where the seller has no
/// order of this id. Statements: 4, in one round trip once prepared.
///
/// # Errors
/// [`Error::Busy`] where another writer holds it too long, [`Error::Query`], [`Error::CorruptRow`].
pub async fn lock(
    transaction: &Transaction<'_>,
    keys: &SellerKeys,
    id: OrderId,
) -> Result<Option<Order>, Error> {
    read(transaction, keys, id, Lock::ForUpdate).await
}

/// Writes a change of an order that [`lock`] read, with `differences` from [`Order::differences`]: the
/// row, its history entry, its event and its audit entry. Statements: 4, in one round trip once
/// prepared; none where nothing differs.
///
/// # Errors
/// [`Error::Query`].
pub async fn update(
    transaction: &Transaction<'_>,
    keys: &SellerKeys,
    mut order: Order,
    change: Change,
    differences: &[String],
    author: &Author,
) -> Result<Order, Error> {
    if differences.is_empty() {
        return Ok(order);
    }
    let seller = keys.seller();
    let before = order.version;
    let mut changed = Vec::new();
    changed.extend(change.status.filter(|status| *status != order.status).map(|_| "status"));
    let number = change.tracking_number.as_ref();
    changed.extend(number.filter(|new| **new != order.tracking_number).map(|_| "tracking_number"));
    changed.extend(change.memo.as_ref().filter(|new| **new != order.memo).map(|_| "memo"));
    order.status = change.status.unwrap_or(order.status);
    order.tracking_number = change.tracking_number.unwrap_or(order.tracking_number);
    order.memo = change.memo.unwrap_or(order.memo);
    order.updated_at = author.at;
    order.version += 1;
    let entry = HistoryEntry {
        version: order.version,
        status: order.status,
        actor: author.actor.clone(),
        reason: differences.join(", "),
        at: author.at,
    };
    let changes = json!({ "version": order.version, "changed": differences });
    send(
        transaction,
        vec![
            update_order(seller, &order, before),
            // Fails on its foreign key or its primary key where the version was not `before`.
            insert_history(seller, order.id, &entry),
            happened(transaction, seller, "orders:updated", (order.id, &entry), &changed),
            audit(seller, "orders.update", order.id.as_uuid(), author, changes),
        ],
    )
    .await
    .map_err(Error::of("change an order"))?;
    order.history.push(entry);
    Ok(order)
}

fn insert_order(keys: &SellerKeys, new: &NewOrder, author: &Author) -> Statement {
    let amounts = &new.amounts;
    Statement::new(
        "INSERT INTO orders (
             id, seller_id, platform, platform_account_id, platform_order_id, order_number, status,
             currency, items_count, items_amount, shipping_amount, discount_amount, total_amount,
             customer, memo, created_at, updated_at)
         VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $17)",
        vec![
            Bind::from(new.id),
            Bind::from(keys.seller()),
            Bind::from(new.platform.as_str()),
            Bind::from(new.account),
            Bind::from(new.platform_order_id.as_str()),
            Bind::from(new.order_number.as_str()),
            Bind::from(new.status.as_str()),
            Bind::from(amounts.total().currency().as_str()),
            Bind::from(number(new.lines.len())),
            Bind::from(amounts.items().amount()),
            Bind::from(amounts.shipping().amount()),
            Bind::from(amounts.discount().amount()),
            Bind::from(amounts.total().amount()),
            Bind::from(keys.seal_customer(new.id.as_uuid(), &new.customer, random())),
            Bind::from(new.memo.clone()),
            Bind::from(new.created_at),
            Bind::from(author.at),
        ],
    )
}

fn insert_lines(seller: SellerId, new: &NewOrder) -> Statement {
    let lines = &new.lines;
    Statement::new(
        "INSERT INTO order_items
             (order_id, line_no, seller_id, product_id, sku, product_name, quantity, price)
         SELECT $1, line_no, $2, product_id, sku, product_name, quantity, price
         FROM unnest($3, $4, $5, $6, $7, $8)
             AS line (line_no, product_id, sku, product_name, quantity, price)",
        vec![
            Bind::from(new.id),
            Bind::from(seller),
            Bind::from((1..=lines.len()).map(number).collect::<Vec<i32>>()),
            Bind::from(lines.iter().map(|line| line.product_id.as_uuid()).collect::<Vec<Uuid>>()),
            Bind::from(lines.iter().map(|line| line.sku.clone()).collect::<Vec<String>>()),
            Bind::from(lines.iter().map(|line| line.product_name.clone()).collect::<Vec<String>>()),
            Bind::from(
                lines.iter().map(|l| l.quantity.units().cast_signed()).collect::<Vec<i32>>(),
            ),
            Bind::from(lines.iter().map(|line| line.price.amount()).collect::<Vec<i64>>()),
        ],
    )
}

fn insert_tokens(keys: &SellerKeys, new: &NewOrder) -> Statement {
    Statement::new(
        "INSERT INTO order_search (seller_id, token, created_at, order_id)
         SELECT $1, token, $2, $3 FROM unnest($4) AS token
         ON CONFLICT DO NOTHING",
        vec![
            Bind::from(keys.seller()),
            Bind::from(new.created_at),
            Bind::from(new.id),
            Bind::from(keys.search_tokens_of(&new.order_number, &new.customer)),
        ],
    )
}

fn update_order(seller: SellerId, order: &Order, before: i64) -> Statement {
    Statement::new(
        "UPDATE orders
         SET status = $1, tracking_number = $2, memo = $3, version = $4, updated_at = $5
         WHERE id = $6 AND seller_id = $7 AND version = $8",
        vec![
            Bind::from(order.status.as_str()),
            Bind::from(order.tracking_number.clone()),
            Bind::from(order.memo.clone()),
            Bind::from(order.version),
            Bind::from(order.updated_at),
            Bind::from(order.id),
            Bind::from(seller),
            Bind::from(before),
        ],
    )
}

fn insert_history(seller: SellerId, order: OrderId, entry: &HistoryEntry) -> Statement {
    Statement::new(
        "INSERT INTO order_history (order_id, version, seller_id, status, actor, reason, at)
         VALUES ($1, $2, $3, $4, $5, $6, $7)",
        vec![
            Bind::from(order),
            Bind::from(entry.version),
            Bind::from(seller),
            Bind::from(entry.status.as_str()),
            Bind::from(entry.actor.as_str()),
            Bind::from(entry.reason.as_str()),
            Bind::from(entry.at),
        ],
    )
}

fn happened(
    transaction: &Transaction<'_>,
    seller: SellerId,
    name: &str,
    (order, entry): (OrderId, &HistoryEntry),
    changed: &[&str],
) -> Statement {
    let payload = json!({ "order_id": order, "status": entry.status, "changed": changed });
    event(transaction, seller, name, (order.as_uuid(), entry.version), payload, entry.at)
}

/// Orders have far fewer lines than an `i32` counts.
fn number(lines: usize) -> i32 {
    i32::try_from(lines).unwrap_or(i32::MAX)
}
