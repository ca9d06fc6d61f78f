use std::collections::HashMap;

use diesel::sql_types::{BigInt, Nullable};
use jebi_domain::{EventId, ProductId, ProductStatus, SellerId, StockChange};
use serde_json::json;
use uuid::Uuid;

use super::row::UuidSql;
use super::whole::{Lock, PriceEntry, Whole, read};
use crate::random::random;
use crate::trail::{Author, audit, event, events, send};
use crate::{Bind, Error, Statement, Transaction};

/// What is to change about a product; `None` leaves it as it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Change {
    /// The price, in minor units of the product's currency.
    pub price: Option<i64>,
    /// The stock that it comes to.
    pub stock: Option<i64>,
    /// What the seller decides.
    pub status: Option<ProductStatus>,
}

/// A product whole, kept from other writers until the transaction ends; `None` where the seller has no
/// product of this id. Statements: 4.
///
/// # Errors
/// [`Error::Busy`] where another writer holds it too long, [`Error::Query`], [`Error::CorruptRow`].
pub async fn lock(
    transaction: &Transaction<'_>,
    seller: SellerId,
    id: ProductId,
) -> Result<Option<Whole>, Error> {
    read(transaction, seller, id, Lock::ForUpdate).await
}

/// Writes a change of a product that [`lock`] read: its rows, its price history, its event and its audit
/// entry. Statements: 3 to 5, in one round trip once prepared; none where nothing differs.
///
/// # Errors
/// [`Error::Query`].
pub async fn update(
    transaction: &Transaction<'_>,
    seller: SellerId,
    mut whole: Whole,
    change: Change,
    author: &Author,
) -> Result<Whole, Error> {
    let product = &mut whole.product;
    let id = product.id;
    let (price, stock) = (change.price.or(product.price), change.stock.or(product.stock));
    let status = change.status.unwrap_or(product.status);
    let mut changed = Vec::new();
    changed.extend((price != product.price).then_some("price"));
    changed.extend((stock != product.stock).then_some("stock"));
    changed.extend((status != product.status).then_some("status"));
    if changed.is_empty() {
        return Ok(whole);
    }
    let mut statements = Vec::new();
    if status != product.status {
        statements.push(Statement::new(
            "UPDATE products SET status = $1 WHERE id = $2 AND seller_id = $3",
            vec![Bind::from(status.as_str()), Bind::from(id), Bind::from(seller)],
        ));
    }
    if let Some(price) = price.filter(|price| Some(*price) != product.price) {
        let currency = product.currency.to_string();
        statements.push(Statement::new(
            "INSERT INTO price_history (product_id, seller_id, changed_at, id, currency, price)
             VALUES ($1, $2, $3, $4, $5, $6)",
            vec![
                Bind::from(id),
                Bind::from(seller),
                Bind::from(author.at),
                Bind::from(EventId::new(author.at, random())),
                Bind::from(currency.as_str()),
                Bind::from(price),
            ],
        ));
        whole.prices.insert(0, PriceEntry { changed_at: author.at, price, currency });
        whole.prices.truncate(100);
    }
    product.version += 1;
    (product.price, product.stock, product.status) = (price, stock, status);
    product.updated_at = author.at;
    statements.push(Statement::new(
        "UPDATE product_offers SET price = $1, stock = $2, version = $3, updated_at = $4
         WHERE product_id = $5 AND seller_id = $6",
        vec![
            Bind::OptionalBigInt(price),
            Bind::OptionalBigInt(stock),
            Bind::from(product.version),
            Bind::from(author.at),
            Bind::from(id),
            Bind::from(seller),
        ],
    ));
    let payload = json!({ "changed": changed });
    let (version, at) = (product.version, author.at);
    let subject = (id.as_uuid(), version);
    statements.push(event(transaction, seller, "products:updated", subject, payload, at));
    let changes = json!({ "version": version, "changed": changed });
    statements.push(audit(seller, "products.update", id.as_uuid(), author, changes));
    send(transaction, statements).await.map_err(Error::of("change a product"))?;
    Ok(whole)
}

/// One row of a bulk change of stocks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct StockRow {
    /// Of this product.
    pub product: ProductId,
    /// To or by so many.
    pub change: StockChange,
}

/// What became of one row.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum StockOutcome {
    /// The product has this stock now.
    Changed(i64),
    /// The seller has no such product.
    NotFound,
    /// Why it could not be done.
    Refused(&'static str),
}

/// Changes many stocks, each row for itself: one that cannot be done stops none of the others. Of several
/// rows for one product the first counts and the others are refused. Statements: 4, whatever their number; 1
/// where none can be done.
///
/// # Errors
/// [`Error::Busy`] where another writer holds one of them too long, [`Error::Query`].
pub async fn change_stocks(
    transaction: &Transaction<'_>,
    seller: SellerId,
    rows: &[StockRow],
    may_be_negative: bool,
    author: &Author,
) -> Result<Vec<StockOutcome>, Error> {
    let failed = Error::of("change stocks");
    // In the order of their ids, so that two bulk changes at once do not wait for each other in a circle.
    let locked = Statement::<(UuidSql, Nullable<BigInt>, BigInt)>::new(
        "SELECT product_id, stock, version FROM product_offers
         WHERE product_id = ANY($1) AND seller_id = $2
         ORDER BY product_id FOR NO KEY UPDATE",
        vec![
            Bind::from(rows.iter().map(|row| row.product.as_uuid()).collect::<Vec<Uuid>>()),
            Bind::from(seller),
        ],
    );
    let locked: Vec<(Uuid, Option<i64>, i64)> = locked.all(transaction).await.map_err(&failed)?;
    let mut known: HashMap<Uuid, Option<(Option<i64>, i64)>> =
        locked.into_iter().map(|(id, stock, version)| (id, Some((stock, version)))).collect();

    let mut outcomes = Vec::with_capacity(rows.len());
    let (mut ids, mut stocks, mut versions) = (vec![], vec![], vec![]);
    for StockRow { product, change } in rows {
        let outcome = match known.get_mut(&product.as_uuid()).map(Option::take) {
            None => StockOutcome::NotFound,
            Some(None) => StockOutcome::Refused("stands more than once; the first row counts"),
            Some(Some((stock, version))) => match change.of(stock, may_be_negative) {
                Ok(next) => {
                    ids.push(product.as_uuid());
                    stocks.push(next);
                    versions.push(version + 1);
                    StockOutcome::Changed(next)
                }
                Err(why) => StockOutcome::Refused(why),
            },
        };
        outcomes.push(outcome);
    }
    if ids.is_empty() {
        return Ok(outcomes);
    }
    let changes = json!({ "products": ids.len() });
    let changed: Vec<(Uuid, i64)> = ids.iter().copied().zip(versions.iter().copied()).collect();
    let payload = json!({ "changed": ["stock"] });
    let update = Statement::new(
        "UPDATE product_offers AS o
         SET stock = next.stock, version = next.version, updated_at = $1
         FROM unnest($2, $3, $4) AS next (id, stock, version)
         WHERE o.product_id = next.id AND o.seller_id = $5",
        vec![
            Bind::from(author.at),
            Bind::from(ids),
            Bind::from(stocks),
            Bind::from(versions),
            Bind::from(seller),
        ],
    );
    send(
        transaction,
        vec![
            update,
            events(transaction, seller, "products:updated", &changed, &payload, author.at),
            audit(seller, "products.bulk_stock", seller.as_uuid(), author, changes),
        ],
    )
    .await
    .map_err(failed)?;
    Ok(outcomes)
}
