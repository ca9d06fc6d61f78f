use std::fmt::Write as _;

use chrono::{DateTime, Utc};
use diesel::Queryable;
use diesel::sql_types::{BigInt, Binary, Bool, Nullable, Text, Timestamptz};
use diesel_async::AsyncPgConnection;
use jebi_domain::{
    At, Currency, Customer, OrderFilter, OrderId, OrderStatus, Page, PageSize, Platform, Position,
    Search, SellerId, SellerKeys, TotalIs,
};
use uuid::Uuid;

use super::row::{LineRow, OrderLine, Reading, UuidSql, lines_by_order, lines_statement};
use crate::listing::{List, Listed, limit};
use crate::statement::Binds;
use crate::{Bind, Error, Pool, Statement};

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

/// One page of a seller's orders, newest first, with their lines and the total. Statements: 2, whatever the
/// page's length and depth; the page and its total come from one snapshot.
///
/// The total is exact, but for two cases: a search is counted up to 1,000, and where a date cuts a day in two
/// of which more than 1,500 orders match, their number is estimated from the hour. A date at midnight in
/// Seoul cuts none.
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
    let statement = match &filter.search {
        Some(search) => {
            let tokens = keys.search_tokens_for(search);
            found_statement(keys.seller(), filter, search, tokens, at, size)
        }
        None => page_statement(keys.seller(), filter, at, size),
    };
    let rows: Vec<(i64, bool, Option<SummaryRow>)> =
        statement.all(&connection).await.map_err(&failed)?;
    let (total, is_exact) = rows.first().map_or((0, true), |(total, exact, _)| (*total, *exact));
    let mut orders: Vec<SummaryRow> = rows.into_iter().filter_map(|(_, _, order)| order).collect();
    let shown = usize::from(size.items());
    let is_last = orders.len() <= shown;
    orders.truncate(shown);
    let next = orders.last().filter(|_| !is_last).map(SummaryRow::position);

    let items = with_lines(&connection, reading, orders).await?;
    let total_is = match filter.search {
        _ if is_exact => TotalIs::Exact,
        Some(_) => TotalIs::Capped,
        None => TotalIs::Estimated,
    };
    Ok(Page { items, total: u64::try_from(total).unwrap_or(0), total_is, next })
}

/// Those of some orders that are there, as [`page`] shows them. Statements: 2.
///
/// # Errors
/// [`Error::NoConnection`], [`Error::Busy`], [`Error::Query`], [`Error::CorruptRow`].
pub async fn some(
    pool: &Pool,
    keys: &SellerKeys,
    ids: Vec<OrderId>,
) -> Result<Vec<OrderSummary>, Error> {
    let reading = Reading { action: "read orders", keys };
    let connection = pool.get().await?;
    let ids: Vec<Uuid> = ids.into_iter().map(OrderId::as_uuid).collect();
    let statement = Statement::<SummarySql>::new(
        format!("SELECT {COLUMNS} FROM orders AS o WHERE o.id = ANY($1) AND o.seller_id = $2"),
        vec![Bind::from(ids), Bind::from(keys.seller())],
    );
    let rows = statement.all(&connection).await.map_err(Error::of(reading.action))?;
    with_lines(&connection, reading, rows).await
}

async fn with_lines(
    connection: &AsyncPgConnection,
    reading: Reading<'_>,
    orders: Vec<SummaryRow>,
) -> Result<Vec<OrderSummary>, Error> {
    let ids = orders.iter().map(|order| order.id).collect();
    let lines = lines_statement(reading.keys.seller(), ids).all(connection).await;
    let lines: Vec<LineRow> = lines.map_err(Error::of(reading.action))?;
    let mut lines = lines_by_order(reading, lines)?;
    orders
        .into_iter()
        .map(|order| {
            let lines = lines.remove(&order.id).unwrap_or_default();
            order.assemble(reading, lines)
        })
        .collect()
}

const ORDERS: Listed = Listed {
    rows: "orders",
    totals: "order_counts",
    deltas: "order_total_deltas",
    count: "orders",
    every_total: " AND platform = '' AND status = ''",
};

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

/// Matches of a search are counted up to this one.
const COUNTED: u64 = 1_001;

/// The first statement of [`page`] with a search: the newest orders of each hash by index, and those whose
/// number begins as typed; counted to 1,001, and beside it the orders of the page.
#[must_use]
pub fn found_statement(
    seller: SellerId,
    filter: &OrderFilter,
    search: &Search,
    tokens: Vec<i64>,
    at: At,
    size: PageSize,
) -> Statement<(BigInt, Bool, Nullable<SummarySql>)> {
    let mut binds = Binds::default();
    let (seller, tokens) = (binds.add(seller), binds.add(tokens));
    let typed = binds.add(search.as_str());
    let mut only = String::new();
    if let Some(status) = filter.status {
        let _ = write!(only, " AND o.status = {}", binds.add(status.as_str()));
    }
    if let Some(platform) = filter.platform {
        let _ = write!(only, " AND o.platform = {}", binds.add(platform.as_str()));
    }
    if let Some(from) = filter.created.from() {
        let _ = write!(only, " AND o.created_at >= {}", binds.add(from));
    }
    if let Some(to) = filter.created.to() {
        let _ = write!(only, " AND o.created_at < {}", binds.add(to));
    }
    let (after_token, after_order, offset) = match at {
        At::After(position) => {
            let (created_at, id) = (binds.add(position.created_at), binds.add(position.id));
            (
                format!(" AND (s.created_at, s.order_id) < ({created_at}, {id})"),
                format!(" AND (o.created_at, o.id) < ({created_at}, {id})"),
                String::new(),
            )
        }
        At::Page(page) if page.skip() == 0 => Default::default(),
        At::Page(page) => {
            let skip = binds.add(i64::try_from(page.skip()).unwrap_or(i64::MAX));
            (String::new(), String::new(), format!(" OFFSET {skip}"))
        }
    };
    // A prefix is written as bounds: in C.UTF-8 no index serves LIKE 'x%'. Case plays no part, as in the hash of a whole
    // number.
    let candidates = |after_token: &str, after_order: &str| {
        format!(
            "SELECT hit.id, hit.created_at
             FROM unnest({tokens}) AS wanted (token) CROSS JOIN LATERAL (
                 SELECT s.order_id AS id, s.created_at FROM order_search AS s
                 JOIN orders AS o ON o.id = s.order_id AND o.seller_id = s.seller_id
                 WHERE s.seller_id = {seller} AND s.token = wanted.token{after_token}{only}
                 ORDER BY s.created_at DESC, s.order_id DESC LIMIT {COUNTED}
             ) AS hit
             UNION
             SELECT o.id, o.created_at FROM orders AS o
             WHERE o.seller_id = {seller} AND length({typed}) > 1
               AND lower(o.order_number) >= lower({typed} COLLATE \"C\")
               AND lower(o.order_number) < lower({typed} COLLATE \"C\") || chr(1114111){after_order}{only}"
        )
    };
    let (all, wanted) = (candidates("", ""), candidates(&after_token, &after_order));
    let limit = limit(size);
    let text = format!(
        "WITH total AS (
             SELECT count(*) AS n FROM (SELECT FROM ({all}) AS found LIMIT {COUNTED}) AS counted
         ), page AS (
             SELECT id, created_at FROM ({wanted}) AS found
             ORDER BY created_at DESC, id DESC{offset} LIMIT {limit}
         )
         SELECT total.n, total.n < {COUNTED}, {COLUMNS}
         FROM total LEFT JOIN (
             page JOIN orders AS o ON o.id = page.id AND o.seller_id = {seller}
         ) ON true
         ORDER BY o.created_at DESC, o.id DESC"
    );
    Statement::with(text, binds)
}

/// The first statement of [`page`] without a search: the total, and beside it each order of the page and at least one
/// more where there is a next page.
#[must_use]
pub fn page_statement(
    seller: SellerId,
    filter: &OrderFilter,
    at: At,
    size: PageSize,
) -> Statement<(BigInt, Bool, Nullable<SummarySql>)> {
    let mut binds = Binds::default();
    let mut list = List::new(&ORDERS, seller, &mut binds);
    if let Some(status) = filter.status {
        list.only("status", &binds.add(status.as_str()));
    }
    if let Some(platform) = filter.platform {
        list.only("platform", &binds.add(platform.as_str()));
    }
    list.from = filter.created.from().map(|from| binds.add(from));
    list.to = filter.created.to().map(|to| binds.add(to));
    let (total, page) = (list.total(), list.at(at, size, &mut binds));
    let text = format!(
        "WITH {total}, {page}
         SELECT total.n, total.is_exact, {COLUMNS}
         FROM total LEFT JOIN page AS o ON true
         ORDER BY o.created_at DESC, o.id DESC"
    );
    Statement::with(text, binds)
}
