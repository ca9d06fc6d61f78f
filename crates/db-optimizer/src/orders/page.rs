use std::fmt::Write as _;

use chrono::{DateTime, Utc};
use diesel::Queryable;
use diesel::sql_types::{BigInt, Binary, Nullable, Text, Timestamptz};
use jebi_domain::{
    At, Currency, Customer, OrderFilter, OrderId, OrderStatus, Page, PageSize, Platform, Position,
    SellerId, SellerKeys, TotalIs,
};
use uuid::Uuid;

use super::row::{LineRow, OrderLine, Reading, UuidSql, lines_by_order, lines_statement};
use crate::statement::Binds;
use crate::{Error, Pool, Statement};

/// An order as a list shows it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OrderSummary {
    /// Its id.
    pub id: OrderId,
    /// How people call it.
    pub order_number: String,
    /// Where it was placed.
    pub platform: Platform,
    /// How far it has come.
    pub status: OrderStatus,
    /// Who ordered, in full.
    pub customer: Customer,
    /// What the buyer pays, in minor units.
    pub total_amount: i64,
    /// Of all its amounts.
    pub currency: Currency,
    /// Where the parcel can be followed.
    pub tracking_number: Option<String>,
    /// When the buyer ordered.
    pub created_at: DateTime<Utc>,
    /// Its lines, by number.
    pub lines: Vec<OrderLine>,
}

/// One page of a seller's orders, newest first, with their lines and the exact total. Statements: 2,
/// whatever the page's length and depth; the page and its total come from one snapshot.
///
/// A page by cursor costs the same at any depth. A page by number is found through the totals: the
/// business day in which it begins, then a skip inside that day.
///
/// # Errors
/// [`Error::NoConnection`], [`Error::Busy`], [`Error::Query`], [`Error::CorruptRow`].
pub async fn page(
    pool: &Pool,
    keys: &SellerKeys,
    filter: &OrderFilter,
    at: At,
    size: PageSize,
) -> Result<Page<OrderSummary>, Error> {
    let reading = Reading { action: "list orders", keys };
    let failed = Error::of(reading.action);
    let connection = pool.get().await?;
    let rows: Vec<(i64, Option<SummaryRow>)> =
        page_statement(keys.seller(), filter, at, size).all(&connection).await.map_err(&failed)?;
    let total = rows.first().map_or(0, |(total, _)| u64::try_from(*total).unwrap_or(0));
    let mut orders: Vec<SummaryRow> = rows.into_iter().filter_map(|(_, order)| order).collect();
    let shown = usize::from(size.items());
    let is_last = orders.len() <= shown;
    orders.truncate(shown);
    let next = orders.last().filter(|_| !is_last).map(SummaryRow::position);

    let ids = orders.iter().map(|order| order.id).collect();
    let lines: Vec<LineRow> =
        lines_statement(keys.seller(), ids).all(&connection).await.map_err(&failed)?;
    drop(connection);

    let mut lines = lines_by_order(reading, lines)?;
    let items = orders
        .into_iter()
        .map(|order| {
            let lines = lines.remove(&order.id).unwrap_or_default();
            order.assemble(reading, lines)
        })
        .collect::<Result<_, _>>()?;
    Ok(Page { items, total, total_is: TotalIs::Exact, next })
}

const COLUMNS: &str = "o.id, o.seller_id, o.order_number, o.platform, o.status, o.customer, \
                       o.total_amount, o.currency, o.tracking_number, o.created_at";

type SummarySql =
    (UuidSql, UuidSql, Text, Text, Text, Binary, BigInt, Text, Nullable<Text>, Timestamptz);

#[derive(Queryable)]
pub(crate) struct SummaryRow {
    id: Uuid,
    seller_id: Uuid,
    order_number: String,
    platform: String,
    status: String,
    customer: Vec<u8>,
    total_amount: i64,
    currency: String,
    tracking_number: Option<String>,
    created_at: DateTime<Utc>,
}

impl SummaryRow {
    fn position(&self) -> Position {
        Position { created_at: self.created_at, id: self.id }
    }

    fn assemble(self, reading: Reading<'_>, lines: Vec<OrderLine>) -> Result<OrderSummary, Error> {
        reading.check_seller(self.seller_id)?;
        Ok(OrderSummary {
            id: self.id.into(),
            platform: reading.word("platform", &self.platform)?,
            status: reading.word("status", &self.status)?,
            customer: reading.customer(self.id, &self.customer)?,
            currency: reading.word("currency", &self.currency)?,
            order_number: self.order_number,
            total_amount: self.total_amount,
            tracking_number: self.tracking_number,
            created_at: self.created_at,
            lines,
        })
    }
}

/// The first statement of [`page`]: the total, and beside it each order of the page and at least one
/// more where there is a next page.
#[must_use]
pub fn page_statement(
    seller: SellerId,
    filter: &OrderFilter,
    at: At,
    size: PageSize,
) -> Statement<(BigInt, Nullable<SummarySql>)> {
    let mut binds = Binds::default();
    let list = List::new(seller, filter, &mut binds);
    let total = list.count();
    let page = match at {
        At::After(position) => list.after(position, size, &mut binds),
        At::Page(page) if page.skip() == 0 => list.first(size),
        At::Page(page) => list.skip(page.skip(), size, &mut binds),
    };
    let text = format!(
        "WITH total AS (SELECT {total} AS orders), {page}
         SELECT total.orders, {COLUMNS}
         FROM total LEFT JOIN page AS o ON true
         ORDER BY o.created_at DESC, o.id DESC"
    );
    Statement::with(text, binds)
}

/// The orders that a list shows, as pieces of SQL. Each shape of a filter gives a text of its own, so
/// that each has its own plan: `($2 IS NULL OR …)` in one text for all reads 52,635 buffers.
struct List {
    seller: String,
    /// ` AND status = $2 AND platform = $3`: right for orders, totals and deltas alike.
    kind: String,
    from: Option<String>,
    to: Option<String>,
}

impl List {
    fn new(seller: SellerId, filter: &OrderFilter, binds: &mut Binds) -> Self {
        let seller = binds.add(seller);
        let mut kind = String::new();
        let status = filter.status.map(OrderStatus::as_str);
        let platform = filter.platform.map(Platform::as_str);
        for (column, word) in [("status", status), ("platform", platform)] {
            if let Some(word) = word {
                let value = binds.add(word);
                let _ = write!(kind, " AND {column} = {value}");
            }
        }
        let from = filter.created.from().map(|from| binds.add(from));
        let to = filter.created.to().map(|to| binds.add(to));
        Self { seller, kind, from, to }
    }

    /// How many orders there are, exactly: the sum of folded totals and of differences not folded yet.
    fn count(&self) -> String {
        let Self { seller, kind, from, to } = self;
        let since_from = match from {
            Some(from) => self.count_since(from),
            None => format!(
                "(SELECT coalesce(sum(orders), 0)::bigint FROM (
                      SELECT orders FROM order_totals
                      WHERE seller_id = {seller} AND grain = 'all'{kind}
                      UNION ALL
                      SELECT orders FROM order_total_deltas WHERE seller_id = {seller}{kind}
                  ) AS counted)"
            ),
        };
        match to {
            Some(to) => format!("{since_from} - {}", self.count_since(to)),
            None => since_from,
        }
    }

    /// How many orders there are at `instant` and later: whole months, the whole days of its month,
    /// and by index what is left of its day.
    fn count_since(&self, instant: &str) -> String {
        let Self { seller, kind, .. } = self;
        let day = format!("jebi_day({instant})");
        format!(
            "(SELECT coalesce(sum(orders), 0)::bigint FROM (
                  SELECT orders FROM order_totals
                  WHERE seller_id = {seller} AND grain = 'month' AND bucket > jebi_month({day}){kind}
                  UNION ALL
                  SELECT orders FROM order_totals
                  WHERE seller_id = {seller} AND grain = 'day' AND bucket > {day}
                    AND bucket < (jebi_month({day}) + interval '1 month')::date{kind}
                  UNION ALL
                  SELECT orders FROM order_total_deltas
                  WHERE seller_id = {seller} AND day > {day}{kind}
                  UNION ALL
                  SELECT count(*) FROM orders
                  WHERE seller_id = {seller}{kind} AND created_at >= {instant}
                    AND created_at < jebi_day_start({day} + 1)
              ) AS counted)"
        )
    }

    fn first(&self, size: PageSize) -> String {
        let before_to = match &self.to {
            Some(to) => format!(" AND created_at < {to}"),
            None => String::new(),
        };
        self.page(&before_to, "", size)
    }

    /// The rows after `position`. A comparison of rows is one descent of the index; spelled out as
    /// `a < x OR (a = x AND b < y)` it reads as much as OFFSET.
    fn after(&self, position: Position, size: PageSize, binds: &mut Binds) -> String {
        let (created_at, id) = (binds.add(position.created_at), binds.add(position.id));
        self.page(&format!(" AND (created_at, id) < ({created_at}, {id})"), "", size)
    }

    /// The rows after `skip` others. Counting from the newest order, the page's rows are number `first`
    /// to `last`; totals by month, then by day, say in which days those lie, and only the days' own rows
    /// are skipped. (Row 900,000: 289 buffers.)
    fn skip(&self, skip: u64, size: PageSize, binds: &mut Binds) -> String {
        // The rows that are newer than the range are skipped as well.
        let newer = self.to.as_ref().map_or_else(|| "0".to_owned(), |to| self.count_since(to));
        let skip = binds.add(i64::try_from(skip).unwrap_or(i64::MAX));
        let limit = limit(size);
        let months = self.overlap("month", "jebi_month(day)", "", "0");
        let days = self.overlap(
            "day",
            "day",
            " AND bucket >= (SELECT oldest FROM months)
              AND bucket < ((SELECT newest FROM months) + interval '1 month')::date",
            "(SELECT before FROM months)",
        );
        let page = self.page(
            " AND created_at >= jebi_day_start((SELECT oldest FROM days))
              AND created_at < jebi_day_start((SELECT newest FROM days) + 1)",
            " OFFSET (SELECT first - before FROM wanted, days)",
            size,
        );
        format!(
            "wanted AS (
                 SELECT newer.n + {skip} AS first, newer.n + {skip} + {limit} AS last
                 FROM (SELECT {newer} AS n) AS newer
             ), months AS ({months}), days AS ({days}), {page}"
        )
    }

    /// The oldest and newest bucket of a grain that hold a wanted row, and how many rows are newer than
    /// both. `before` rows are newer than all that is looked at.
    fn overlap(&self, grain: &str, bucket_of_delta: &str, within: &str, before: &str) -> String {
        let Self { seller, kind, .. } = self;
        format!(
            "SELECT min(bucket) AS oldest, max(bucket) AS newest, min(upto - n) AS before
             FROM (
                 SELECT bucket, n, {before} + sum(n) OVER (ORDER BY bucket DESC) AS upto
                 FROM (
                     SELECT bucket, sum(orders) AS n
                     FROM (
                         SELECT bucket, orders FROM order_totals
                         WHERE seller_id = {seller} AND grain = '{grain}'{kind}{within}
                         UNION ALL
                         SELECT {bucket_of_delta}, orders FROM order_total_deltas
                         WHERE seller_id = {seller}{kind}
                     ) AS counted
                     WHERE true{within}
                     GROUP BY bucket
                 ) AS buckets
             ) AS runs, wanted
             WHERE upto > wanted.first AND upto - n < wanted.last"
        )
    }

    fn page(&self, within: &str, offset: &str, size: PageSize) -> String {
        let Self { seller, kind, from, .. } = self;
        let limit = limit(size);
        let from_on = match from {
            Some(from) => format!(" AND created_at >= {from}"),
            None => String::new(),
        };
        format!(
            "page AS (
                 SELECT * FROM orders WHERE seller_id = {seller}{kind}{from_on}{within}
                 ORDER BY created_at DESC, id DESC{offset} LIMIT {limit}
             )"
        )
    }
}

/// One row more than the page shows. Written into the text, not bound: with an unknown limit the
/// planner assumes a tenth of the table and never settles on one plan. Sizes share four texts.
fn limit(size: PageSize) -> u16 {
    let wanted = size.items() + 1;
    [11, 21, 51, 101].into_iter().find(|limit| *limit >= wanted).unwrap_or(wanted)
}
