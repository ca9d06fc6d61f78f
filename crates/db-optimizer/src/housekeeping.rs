//! What runs beside the requests: folding the totals, and throwing away answers that are too old.

use diesel::sql_types::BigInt;
use jebi_domain::SellerId;
use uuid::Uuid;

use crate::repeats::{Reason, expected};
use crate::{Bind, Error, Pool, Statement};

type UuidSql = diesel::sql_types::Uuid;

/// Folds every seller's differences into their totals and says how many differences there were.
/// Statements: 2, and 1 for each seller and kind that has any. Several processes may fold at once: a
/// difference is deleted by one of them only, and totals are locked in one order.
///
/// # Errors
/// [`Error::NoConnection`], [`Error::Busy`], [`Error::Query`].
pub async fn fold_totals(pool: &Pool) -> Result<u64, Error> {
    let (mut folded, mut failed) = (0, None);
    for (deltas, fold) in [
        ("order_total_deltas WHERE true", FOLD_ORDERS),
        ("product_total_deltas WHERE true", FOLD_PRODUCTS),
    ] {
        for seller in sellers_in(pool, deltas).await? {
            // One seller's trouble keeps nobody else waiting.
            match expected(Reason::Chunks, fold_one(pool, seller, fold)).await {
                Ok(count) => folded += count,
                Err(error) => failed = Some(error),
            }
        }
    }
    failed.map_or(Ok(folded), Err)
}

async fn fold_one(pool: &Pool, seller: SellerId, fold: &'static str) -> Result<u64, Error> {
    let statement = Statement::<BigInt>::new(fold, vec![Bind::from(seller)]);
    let transaction = pool.begin(seller).await?;
    let count: i64 = statement.one(&transaction).await.map_err(Error::of("fold the totals"))?;
    transaction.commit().await?;
    Ok(u64::try_from(count).unwrap_or(0))
}

// One statement each: no snapshot sees a difference both gone and not yet added.

pub(crate) const FOLD_ORDERS: &str = "
    WITH folded AS (
        DELETE FROM order_total_deltas WHERE seller_id = $1
        RETURNING day, platform, status, currency, orders, amount
    ), summed AS (
        SELECT grain, bucket, platform, status, currency,
               sum(orders) AS orders, sum(amount) AS amount
        FROM folded CROSS JOIN LATERAL (VALUES
            ('all', '-infinity'::date), ('month', jebi_month(day)), ('day', day)
        ) AS grains (grain, bucket)
        GROUP BY grain, bucket, platform, status, currency
    ), added AS (
        INSERT INTO order_totals AS t
            (seller_id, grain, bucket, platform, status, currency, orders, amount)
        SELECT $1, grain, bucket, platform, status, currency, orders, amount
        FROM summed
        ORDER BY grain, bucket, platform, status, currency
        ON CONFLICT (seller_id, grain, bucket, platform, status, currency) DO UPDATE
            SET orders = t.orders + excluded.orders, amount = t.amount + excluded.amount
    )
    SELECT count(*) FROM folded";

pub(crate) const FOLD_PRODUCTS: &str = "
    WITH folded AS (
        DELETE FROM product_total_deltas WHERE seller_id = $1
        RETURNING day, brand, status, wholesaler, products
    ), summed AS (
        SELECT grain, bucket, counted.brand, status, wholesaler, sum(products) AS products
        FROM folded CROSS JOIN LATERAL (VALUES
            ('all', '-infinity'::date), ('month', jebi_month(day)), ('day', day)
        ) AS grains (grain, bucket)
        -- Once for the brand and once for all brands.
        CROSS JOIN LATERAL (SELECT '' UNION SELECT folded.brand) AS counted (brand)
        GROUP BY grain, bucket, counted.brand, status, wholesaler
    ), added AS (
        INSERT INTO product_totals AS t
            (seller_id, grain, bucket, brand, status, wholesaler, products)
        SELECT $1, grain, bucket, brand, status, wholesaler, products
        FROM summed
        ORDER BY grain, brand, bucket, status, wholesaler
        ON CONFLICT (seller_id, grain, brand, bucket, status, wholesaler) DO UPDATE
            SET products = t.products + excluded.products
    )
    SELECT count(*) FROM folded";

/// Forgets the answers to idempotency keys that are older than 24 hours. Statements: 1, and 1 for each
/// seller that has any.
///
/// # Errors
/// [`Error::NoConnection`], [`Error::Busy`], [`Error::Query`].
pub async fn forget_answers(pool: &Pool) -> Result<(), Error> {
    for seller in sellers_in(pool, OLD_ANSWERS).await? {
        let statement = Statement::<()>::new(
            format!("DELETE FROM {OLD_ANSWERS} AND seller_id = $1"),
            vec![Bind::from(seller)],
        );
        let transaction = pool.begin(seller).await?;
        let forgotten = expected(Reason::Chunks, statement.run(&transaction)).await;
        forgotten.map_err(Error::of("forget old answers"))?;
        transaction.commit().await?;
    }
    Ok(())
}

const OLD_ANSWERS: &str = "idempotency_keys WHERE created_at < now() - interval '24 hours'";

/// Whose answers are to be forgotten.
pub(crate) fn old_answers_statement() -> Statement<UuidSql> {
    sellers_statement(OLD_ANSWERS)
}

fn sellers_statement(rows: &str) -> Statement<UuidSql> {
    Statement::new(format!("SELECT DISTINCT seller_id FROM {rows}"), vec![])
}

/// The sellers who have a row there. Reads across sellers: it finds whose turn it is.
pub(crate) async fn sellers_in(pool: &Pool, rows: &str) -> Result<Vec<SellerId>, Error> {
    let statement = sellers_statement(rows);
    let connection = pool.get().await?;
    let sellers: Vec<Uuid> =
        statement.all(&connection).await.map_err(Error::of("find work to do"))?;
    Ok(sellers.into_iter().map(SellerId::from).collect())
}
