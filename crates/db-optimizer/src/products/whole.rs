use chrono::{DateTime, Utc};
use diesel::OptionalExtension as _;
use diesel::sql_types::{BigInt, Text, Timestamptz};
use diesel_async::AsyncPgConnection;
use jebi_domain::{ProductId, SellerId};
use uuid::Uuid;

use super::page::Extras;
use super::row::{COLUMNS, Product, ProductRow, ProductSql, Reading, UuidSql, add_extras};
use crate::{Bind, Error, Pool, Statement};

/// A product with everything that belongs to it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Whole {
    /// The product, with its variants and listings.
    pub product: Product,
    /// Its last 100 prices, newest first.
    pub prices: Vec<PriceEntry>,
}

/// A price that a product once had.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PriceEntry {
    /// From then on.
    pub changed_at: DateTime<Utc>,
    /// In minor units.
    pub price: i64,
    /// Of the price.
    pub currency: String,
}

/// A product whole, or `None` where the seller has no product of this id. Statements: 4, of one snapshot.
///
/// # Errors
/// [`Error::NoConnection`], [`Error::Busy`], [`Error::Query`], [`Error::CorruptRow`].
pub async fn find(pool: &Pool, seller: SellerId, id: ProductId) -> Result<Option<Whole>, Error> {
    let snapshot = pool.snapshot().await?;
    let whole = read(&snapshot, seller, id, Lock::None).await?;
    snapshot.commit().await?;
    Ok(whole)
}

/// Whether the product is kept from other writers until the transaction ends.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Lock {
    None,
    ForUpdate,
}

/// Reads a product inside the caller's transaction. Statements: 4.
pub(super) async fn read(
    connection: &AsyncPgConnection,
    seller: SellerId,
    id: ProductId,
    lock: Lock,
) -> Result<Option<Whole>, Error> {
    let reading = Reading { action: "read a product", seller };
    let row = product_statement(seller, id, lock).one::<ProductRow>(connection).await;
    let Some(row) = row.optional().map_err(Error::of(reading.action))? else { return Ok(None) };
    let mut products = [row.assemble(reading)?];
    add_extras(connection, reading, &mut products, Extras { variants: true, listings: true })
        .await?;
    let prices = prices_statement(seller, id).all(connection).await;
    let prices: Vec<(Uuid, DateTime<Utc>, i64, String)> =
        prices.map_err(Error::of(reading.action))?;
    let entry = |(of, changed_at, price, currency)| {
        reading.check_seller(of)?;
        Ok(PriceEntry { changed_at, price, currency })
    };
    let prices = prices.into_iter().map(entry).collect::<Result<_, Error>>()?;
    let [product] = products;
    Ok(Some(Whole { product, prices }))
}

pub(crate) fn product_statement(
    seller: SellerId,
    id: ProductId,
    lock: Lock,
) -> Statement<ProductSql> {
    let lock = match lock {
        Lock::None => "",
        Lock::ForUpdate => " FOR NO KEY UPDATE",
    };
    Statement::new(
        format!(
            "SELECT {COLUMNS} FROM products AS p
             JOIN product_offers AS o ON o.product_id = p.id AND o.seller_id = p.seller_id
             WHERE p.id = $1 AND p.seller_id = $2{lock}"
        ),
        vec![Bind::from(id), Bind::from(seller)],
    )
}

pub(crate) fn prices_statement(
    seller: SellerId,
    id: ProductId,
) -> Statement<(UuidSql, Timestamptz, BigInt, Text)> {
    Statement::new(
        "SELECT seller_id, changed_at, price, currency FROM price_history
         WHERE product_id = $1 AND seller_id = $2 ORDER BY changed_at DESC, id DESC LIMIT 100",
        vec![Bind::from(id), Bind::from(seller)],
    )
}
