use std::fmt::Write as _;

use diesel::sql_types::{BigInt, Nullable};
use jebi_domain::{
    At, Page, PageSize, ProductFilter, ProductStatus, SellerId, StockLevel, TotalIs, Wholesaler,
};

use super::row::{COLUMNS, Product, ProductRow, ProductSql, Reading, add_extras};
use super::search;
use crate::listing::{List, Listed, limit};
use crate::plan::estimated_rows;
use crate::statement::Binds;
use crate::{Error, Pool, Statement};

/// What a page shows beside the products.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Extras {
    /// Their variants.
    pub variants: bool,
    /// Where they are offered.
    pub listings: bool,
}

/// One page of a seller's products, newest first. Statements: 1; with a price or a stock level 2; with a
/// search 2 or 3; and 1 more for each of the `extras`, whatever the page's length.
///
/// `total` is exact where neither price, stock nor search is asked for. A price or a stock level, which no
/// index knows, makes it the planner's estimate; a search is counted up to 1,000.
///
/// # Errors
/// [`Error::NoConnection`], [`Error::Busy`], [`Error::Query`], [`Error::CorruptRow`].
pub async fn page(
    pool: &Pool,
    seller: SellerId,
    filter: &ProductFilter,
    at: At,
    size: PageSize,
    extras: Extras,
) -> Result<Page<Product>, Error> {
    let reading = Reading { action: "list products", seller };
    let failed = Error::of(reading.action);
    let (rows, total, total_is, connection);
    if let Some(search) = &filter.search {
        connection = pool.snapshot_with(search::SETTINGS).await?;
        (rows, total, total_is) =
            search::rows(&connection, reading, filter, search, at, size).await?;
    } else {
        connection = pool.snapshot().await?;
        let found: Vec<(i64, Option<ProductRow>)> =
            page_statement(seller, filter, at, size).all(&connection).await.map_err(&failed)?;
        let exact = found.first().map_or(0, |(total, _)| u64::try_from(*total).unwrap_or(0));
        rows = found.into_iter().filter_map(|(_, row)| row).collect::<Vec<_>>();
        (total, total_is) = if filter.asks_for_offers() {
            let estimate = estimated_rows(&connection, &matching_statement(seller, filter)).await;
            (estimate.map_err(&failed)?, TotalIs::Estimated)
        } else {
            (exact, TotalIs::Exact)
        };
    }
    let shown = usize::from(size.items());
    let next = rows.get(shown).and_then(|_| rows.get(shown - 1)).map(ProductRow::position);
    let rows = rows.into_iter().take(shown).map(|row| row.assemble(reading));
    let mut items = rows.collect::<Result<Vec<_>, _>>()?;
    add_extras(&connection, reading, &mut items, extras).await?;
    connection.commit().await?;
    Ok(Page { items, total, total_is, next })
}

const PRODUCTS: Listed = Listed {
    rows: "products",
    totals: "product_totals",
    deltas: "product_total_deltas",
    count: "products",
    every_total: " AND brand = ''",
};

/// The first statement of [`page`] without a search: the total where it can be exact, and beside it each
/// product of the page and at least one more where there is a next page.
#[must_use]
pub fn page_statement(
    seller: SellerId,
    filter: &ProductFilter,
    at: At,
    size: PageSize,
) -> Statement<(BigInt, Nullable<ProductSql>)> {
    let mut binds = Binds::default();
    let (total, page);
    if filter.asks_for_offers() {
        let seller = binds.add(seller);
        let conditions = conditions(filter, &mut binds);
        let (after, offset) = place(at, &mut binds);
        total = "total AS (SELECT 0::bigint AS n)".to_owned();
        page = format!(
            "page AS (
                 SELECT p.* FROM products AS p
                 JOIN product_offers AS o ON o.product_id = p.id AND o.seller_id = p.seller_id
                 WHERE p.seller_id = {seller}{conditions}{after}
                 ORDER BY p.created_at DESC, p.id DESC{offset} LIMIT {}
             )",
            limit(size)
        );
    } else {
        let mut list = List::new(&PRODUCTS, seller, &mut binds);
        for (column, value) in kinds(filter) {
            list.only(column, &binds.add(value));
        }
        total = list.total();
        page = list.at(at, size, &mut binds);
    }
    let text = format!(
        "WITH {total}, {page}
         SELECT total.n, {COLUMNS}
         FROM total LEFT JOIN (
             page AS p
             JOIN product_offers AS o ON o.product_id = p.id AND o.seller_id = p.seller_id
         ) ON true
         ORDER BY p.created_at DESC, p.id DESC"
    );
    Statement::with(text, binds)
}

/// Every product that matches, for the planner to guess how many there are.
fn matching_statement(seller: SellerId, filter: &ProductFilter) -> Statement<BigInt> {
    let mut binds = Binds::default();
    let seller = binds.add(seller);
    let conditions = conditions(filter, &mut binds);
    let text = format!(
        "SELECT 1 FROM products AS p
         JOIN product_offers AS o ON o.product_id = p.id AND o.seller_id = p.seller_id
         WHERE p.seller_id = {seller}{conditions}"
    );
    Statement::with(text, binds)
}

/// The columns that a filter asks for and that the totals know.
fn kinds(filter: &ProductFilter) -> impl Iterator<Item = (&'static str, &str)> {
    let kinds = [
        ("status", filter.status.map(ProductStatus::as_str)),
        ("brand", filter.brand.as_deref()),
        ("wholesaler", filter.wholesaler.map(Wholesaler::as_str)),
    ];
    kinds.into_iter().filter_map(|(column, value)| Some((column, value?)))
}

/// All that a filter asks for but the search, of a product `p` and its offer `o`.
pub(super) fn conditions(filter: &ProductFilter, binds: &mut Binds) -> String {
    let mut conditions = String::new();
    for (column, value) in kinds(filter) {
        let _ = write!(conditions, " AND p.{column} = {}", binds.add(value));
    }
    if let Some(min) = filter.price.min() {
        let _ = write!(conditions, " AND o.price >= {}", binds.add(min));
    }
    if let Some(max) = filter.price.max() {
        let _ = write!(conditions, " AND o.price <= {}", binds.add(max));
    }
    match filter.stock {
        Some(StockLevel::Low) => {
            let _ = write!(conditions, " AND o.stock BETWEEN 1 AND {}", StockLevel::LOW);
        }
        Some(StockLevel::Out) => conditions.push_str(" AND o.stock <= 0"),
        None => {}
    }
    conditions
}

/// Where a page begins: a condition on `p`, and how many rows to skip.
pub(super) fn place(at: At, binds: &mut Binds) -> (String, String) {
    match at {
        At::After(position) => {
            let (created_at, id) = (binds.add(position.created_at), binds.add(position.id));
            (format!(" AND (p.created_at, p.id) < ({created_at}, {id})"), String::new())
        }
        At::Page(page) if page.skip() == 0 => (String::new(), String::new()),
        At::Page(page) => {
            let skip = binds.add(i64::try_from(page.skip()).unwrap_or(i64::MAX));
            (String::new(), format!(" OFFSET {skip}"))
        }
    }
}
