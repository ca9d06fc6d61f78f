//! What a seller's orders and products come to, from the totals: no order is read.

use chrono::{DateTime, NaiveDate, Utc};
use diesel::sql_types::{BigInt, Date, Text};
use jebi_domain::{Currency, OrderStatus, Platform, ProductStatus, SellerId};

use crate::{Bind, Error, Pool, Statement};

/// So many orders of one day, platform, status and currency, and what they are worth together.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Cell {
    /// The business day.
    pub day: NaiveDate,
    /// Where they were placed.
    pub platform: Platform,
    /// How far they have come by now.
    pub status: OrderStatus,
    /// Of the amount.
    pub currency: Currency,
    /// How many.
    pub orders: i64,
    /// The sum of their totals, in minor units. Wider than one amount may be.
    pub amount: i128,
}

/// A seller's last days.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Analytics {
    /// The first business day that counts.
    pub first: NaiveDate,
    /// The last: today.
    pub last: NaiveDate,
    /// By day; a combination without orders has no cell.
    pub cells: Vec<Cell>,
    /// How many products there are of each status.
    pub products: Vec<(ProductStatus, i64)>,
}

/// The last `days` business days up to `now`. Statements: 3, of one snapshot, whatever the number of orders.
///
/// # Errors
/// [`Error::NoConnection`], [`Error::Busy`], [`Error::Query`], [`Error::CorruptRow`].
pub async fn last_days(
    pool: &Pool,
    seller: SellerId,
    days: u16,
    now: DateTime<Utc>,
) -> Result<Analytics, Error> {
    const ACTION: &str = "add up the last days";
    let failed = Error::of(ACTION);
    let corrupt = |what| Error::CorruptRow { action: ACTION, what };
    let snapshot = pool.snapshot().await?;
    let (first, last): (NaiveDate, NaiveDate) =
        range_statement(days, now).one(&snapshot).await.map_err(&failed)?;
    type Row = (NaiveDate, String, String, String, i64, String);
    let rows: Vec<Row> =
        cells_statement(seller, first, last).all(&snapshot).await.map_err(&failed)?;
    let products: Vec<(String, i64)> =
        products_statement(seller).all(&snapshot).await.map_err(&failed)?;
    snapshot.commit().await?;

    let cell = |(day, platform, status, currency, orders, amount): Row| {
        Ok(Cell {
            day,
            platform: platform.parse().map_err(|_| corrupt("platform"))?,
            status: status.parse().map_err(|_| corrupt("status"))?,
            currency: currency.parse().map_err(|_| corrupt("currency"))?,
            orders,
            amount: amount.parse().map_err(|_| corrupt("amount"))?,
        })
    };
    let cells = rows.into_iter().map(cell).collect::<Result<_, Error>>()?;
    let count = |(status, count): (String, i64)| {
        status.parse().map(|status| (status, count)).map_err(|_| corrupt("status"))
    };
    let products = products.into_iter().map(count).collect::<Result<_, Error>>()?;
    Ok(Analytics { first, last, cells, products })
}

/// One definition of a business day: the database's.
fn range_statement(days: u16, now: DateTime<Utc>) -> Statement<(Date, Date)> {
    Statement::new(
        "SELECT jebi_day($1) - ($2 - 1), jebi_day($1)",
        vec![Bind::from(now), Bind::from(i32::from(days))],
    )
}

/// The orders of some days, from folded totals and from differences that are not folded yet.
#[must_use]
pub fn cells_statement(
    seller: SellerId,
    first: NaiveDate,
    last: NaiveDate,
) -> Statement<(Date, Text, Text, Text, BigInt, Text)> {
    Statement::new(
        "SELECT day, platform, status, currency, sum(orders)::bigint, sum(amount)::text
         FROM (
             SELECT bucket AS day, platform, status, currency, orders, amount FROM order_totals
             WHERE seller_id = $1 AND grain = 'day' AND bucket BETWEEN $2 AND $3
             UNION ALL
             SELECT day, platform, status, currency, orders, amount FROM order_total_deltas
             WHERE seller_id = $1 AND day BETWEEN $2 AND $3
         ) AS counted
         GROUP BY day, platform, status, currency
         HAVING sum(orders) <> 0
         ORDER BY day, platform, status, currency",
        vec![Bind::from(seller), Bind::from(first), Bind::from(last)],
    )
}

pub(crate) fn products_statement(seller: SellerId) -> Statement<(Text, BigInt)> {
    Statement::new(
        "SELECT status, sum(products)::bigint
         FROM (
             SELECT status, products FROM product_totals
             WHERE seller_id = $1 AND grain = 'all' AND brand = ''
             UNION ALL
             SELECT status, products FROM product_total_deltas WHERE seller_id = $1
         ) AS counted
         GROUP BY status
         HAVING sum(products) <> 0
         ORDER BY status",
        vec![Bind::from(seller)],
    )
}
