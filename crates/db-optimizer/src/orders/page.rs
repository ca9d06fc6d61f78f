use chrono::{DateTime, Utc};
use diesel::Queryable;
use diesel::sql_types::{BigInt, Binary, Nullable, Text, Timestamptz};
use jebi_domain::{
    At, Currency, Customer, OrderFilter, OrderId, OrderStatus, Page, PageSize, Platform, Position,
    SellerId, SellerKeys, TotalIs,
};
use uuid::Uuid;

use super::row::{LineRow, OrderLine, Reading, UuidSql, lines_by_order, lines_statement};
use crate::listing::{List, Listed};
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

const ORDERS: Listed = Listed {
    rows: "orders",
    totals: "order_totals",
    deltas: "order_total_deltas",
    count: "orders",
    every_total: "",
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
    let mut list = List::new(&ORDERS, seller, &mut binds);
    if let Some(status) = filter.status {
        list.only("status", &binds.add(status.as_str()));
    }
    if let Some(platform) = filter.platform {
        list.only("platform", &binds.add(platform.as_str()));
    }
    list.from = filter.created.from().map(|from| binds.add(from));
    list.to = filter.created.to().map(|to| binds.add(to));
    let (total, page) = (list.count(), list.at(at, size, &mut binds));
    let text = format!(
        "WITH total AS (SELECT {total} AS orders), {page}
         SELECT total.orders, {COLUMNS}
         FROM total LEFT JOIN page AS o ON true
         ORDER BY o.created_at DESC, o.id DESC"
    );
    Statement::with(text, binds)
}
