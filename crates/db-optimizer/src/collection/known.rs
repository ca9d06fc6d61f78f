use std::collections::{HashMap, HashSet};

use chrono::{DateTime, Utc};
use diesel::sql_types::{BigInt, Bool, Text, Timestamptz};
use jebi_domain::{AccountId, ProductId, SellerId, Wholesaler};
use uuid::Uuid;

use crate::{Bind, Error, Pool, Statement};

type UuidSql = diesel::sql_types::Uuid;

/// What is known of an item already.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Known {
    /// What it became.
    pub product: ProductId,
    /// The account that sees to it.
    pub account: AccountId,
    /// Of what collection writes into the catalogue.
    pub offer_hash: i64,
    /// Of all the rest.
    pub detail_hash: i64,
    /// Whether the product has variants.
    pub has_variants: bool,
    /// The moment from which all of it is.
    pub read_at: DateTime<Utc>,
}

/// Those of some items of a wholesaler that a seller has, by their keys. Statements: 1.
///
/// # Errors
/// [`Error::NoConnection`], [`Error::Busy`], [`Error::Query`], [`Error::CorruptRow`].
pub async fn known(
    pool: &Pool,
    seller: SellerId,
    wholesaler: Wholesaler,
    keys: Vec<String>,
) -> Result<HashMap<String, Known>, Error> {
    const ACTION: &str = "read items of a wholesaler";
    type Row = (Uuid, String, Uuid, Uuid, i64, i64, bool, DateTime<Utc>);
    let connection = pool.get().await?;
    let rows = known_statement(seller, wholesaler, keys).all(&connection).await;
    let rows: Vec<Row> = rows.map_err(Error::of(ACTION))?;
    let known = |row: Row| {
        let (whose, key, product, account, offer_hash, detail_hash, has_variants, read_at) = row;
        if SellerId::from(whose) != seller {
            return Err(Error::CorruptRow { action: ACTION, what: "seller_id" });
        }
        let (product, account) = (ProductId::from(product), AccountId::from(account));
        Ok((key, Known { product, account, offer_hash, detail_hash, has_variants, read_at }))
    };
    rows.into_iter().map(known).collect()
}

pub(crate) type KnownSql = (UuidSql, Text, UuidSql, UuidSql, BigInt, BigInt, Bool, Timestamptz);

pub(crate) fn known_statement(
    seller: SellerId,
    wholesaler: Wholesaler,
    keys: Vec<String>,
) -> Statement<KnownSql> {
    Statement::new(
        "SELECT seller_id, key, product_id, account_id, offer_hash, detail_hash,
             has_variants, read_at
         FROM wholesale_items WHERE seller_id = $1 AND wholesaler = $2 AND key = ANY($3)",
        vec![Bind::from(seller), Bind::from(wholesaler.as_str()), Bind::from(keys)],
    )
}

/// Which of some codes products of the seller have that came in another way. Statements: 1.
///
/// # Errors
/// [`Error::NoConnection`], [`Error::Busy`], [`Error::Query`].
pub async fn taken(
    pool: &Pool,
    seller: SellerId,
    skus: Vec<String>,
) -> Result<HashSet<String>, Error> {
    let statement = Statement::<Text>::new(
        "SELECT p.sku FROM products AS p
         WHERE p.seller_id = $1 AND p.sku = ANY($2) AND NOT EXISTS (
             SELECT FROM wholesale_items AS i
             WHERE i.product_id = p.id AND i.seller_id = p.seller_id)",
        vec![Bind::from(seller), Bind::from(skus)],
    );
    let connection = pool.get().await?;
    let taken: Vec<String> =
        statement.all(&connection).await.map_err(Error::of("read products by their codes"))?;
    Ok(taken.into_iter().collect())
}
