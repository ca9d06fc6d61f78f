//! Search in names, codes and brands: any two neighbouring characters, anywhere in a word.
//!
//! A frequent word is found among the newest products at once; a rare one through the index of pairs. Which
//! of the two a word is shows itself: the planner, which multiplies pairs that come together, does not know.
//! (200,115 matches among a million: a page costs 17 buffers by walking, 87,678 through the index.)

use diesel::sql_types::{BigInt, Nullable};
use diesel_async::AsyncPgConnection;
use jebi_domain::{At, PageSize, ProductFilter, Search, SellerId, TotalIs};

use super::page::{conditions, place};
use super::row::{COLUMNS, ProductRow, ProductSql, Reading};
use crate::listing::limit;
use crate::statement::Binds;
use crate::{Error, Statement};

/// For the transaction of a search: fewer rows may be wanted than the planner thinks there are, and it must not read
/// them all.
pub(crate) const SETTINGS: &str = "SET LOCAL enable_seqscan = off";

/// So many of the newest products are looked through first.
const WALK: u32 = 5_000;

/// Matches are counted up to this one.
const COUNTED: i64 = 1_001;

/// The rows of a page and at least one more where there is one, and the total. Statements: 2; 3 where a word
/// is too frequent to sort all its matches and too rare among the newest products to fill the page.
pub(super) async fn rows(
    connection: &AsyncPgConnection,
    reading: Reading,
    filter: &ProductFilter,
    search: &Search,
    at: At,
    size: PageSize,
) -> Result<(Vec<ProductRow>, u64, TotalIs), Error> {
    let failed = Error::of(reading.action);
    let seller = reading.seller;
    let walk = Depth::Newest;
    let newest: Vec<ProductRow> =
        newest_statement(seller, filter, at, size, walk).all(connection).await.map_err(&failed)?;
    if search.is_one_character() {
        let walked: (i64, i64) =
            walked_statement(seller, filter).one(connection).await.map_err(&failed)?;
        let (matches, seen) = walked;
        let is_all = seen < i64::from(WALK);
        let total_is = if is_all { TotalIs::Exact } else { TotalIs::Capped };
        return Ok((newest, u64::try_from(matches).unwrap_or(0), total_is));
    }
    let found: Vec<(i64, Option<ProductRow>)> =
        found_statement(seller, filter, at, size).all(connection).await.map_err(&failed)?;
    let counted = found.first().map_or(0, |(counted, _)| *counted);
    let total = u64::try_from(counted).unwrap_or(0);
    let is_full = newest.len() > usize::from(size.items());
    if counted < COUNTED {
        let all = found.into_iter().filter_map(|(_, row)| row).collect();
        Ok((all, total, TotalIs::Exact))
    } else if is_full {
        Ok((newest, total, TotalIs::Capped))
    } else {
        let deep = newest_statement(seller, filter, at, size, Depth::All).all(connection).await;
        Ok((deep.map_err(&failed)?, total, TotalIs::Capped))
    }
}

/// How far a walk goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Depth {
    /// Through the newest products only.
    Newest,
    /// Until the page is full.
    All,
}

fn matches(search: &Search, binds: &mut Binds) -> String {
    let typed = binds.add(search.as_str());
    // No pattern: `%` and `_` are letters.
    format!("strpos(p.search_text, lower({typed})) > 0")
}

/// A page of matches, by walking from the newest product backwards.
///
/// # Panics
/// Where the filter has no search: a bug.
#[must_use]
pub fn newest_statement(
    seller: SellerId,
    filter: &ProductFilter,
    at: At,
    size: PageSize,
    depth: Depth,
) -> Statement<ProductSql> {
    let search = filter.search.as_ref().expect("a search is looked for");
    let mut binds = Binds::default();
    let seller = binds.add(seller);
    let (after, offset) = place(at, &mut binds);
    let walk = match depth {
        Depth::Newest => format!(" LIMIT {WALK}"),
        Depth::All => String::new(),
    };
    let (matches, conditions) = (matches(search, &mut binds), conditions(filter, &mut binds));
    let limit = limit(size);
    let walked = format!(
        "(
             SELECT * FROM products AS p WHERE p.seller_id = {seller}{after}
             ORDER BY p.created_at DESC, p.id DESC{walk}
         ) AS p"
    );
    let offers = "JOIN product_offers AS o ON o.product_id = p.id AND o.seller_id = p.seller_id";
    let newest = "ORDER BY p.created_at DESC, p.id DESC";
    let text = if filter.asks_for_offers() {
        format!(
            "SELECT {COLUMNS} FROM {walked} {offers}
             WHERE {matches}{conditions} {newest}{offset} LIMIT {limit}"
        )
    } else {
        // The page is full before its offers are looked at: the walk ends there.
        format!(
            "SELECT {COLUMNS} FROM (
                 SELECT * FROM {walked} WHERE {matches}{conditions} {newest}{offset} LIMIT {limit}
             ) AS p {offers} {newest}"
        )
    };
    Statement::with(text, binds)
}

/// How many of the newest products match, and how many of them there are.
fn walked_statement(seller: SellerId, filter: &ProductFilter) -> Statement<(BigInt, BigInt)> {
    let search = filter.search.as_ref().expect("a search is looked for");
    let mut binds = Binds::default();
    let seller = binds.add(seller);
    let (matches, conditions) = (matches(search, &mut binds), conditions(filter, &mut binds));
    let text = format!(
        "SELECT count(*) FILTER (WHERE {matches}{conditions}), count(*) FROM (
             SELECT * FROM products AS p WHERE p.seller_id = {seller}
             ORDER BY p.created_at DESC, p.id DESC LIMIT {WALK}
         ) AS p
         JOIN product_offers AS o ON o.product_id = p.id AND o.seller_id = p.seller_id"
    );
    Statement::with(text, binds)
}

/// Through the index of pairs: how many products match, counted to 1,001, and beside it a page of
/// them. The page is right where all matches were counted.
///
/// # Panics
/// Where the filter has no search: a bug.
#[must_use]
pub fn found_statement(
    seller: SellerId,
    filter: &ProductFilter,
    at: At,
    size: PageSize,
) -> Statement<(BigInt, Nullable<ProductSql>)> {
    let search = filter.search.as_ref().expect("a search is looked for");
    let mut binds = Binds::default();
    let seller = binds.add(seller);
    let typed = binds.add(search.as_str());
    let (matches, conditions) = (matches(search, &mut binds), conditions(filter, &mut binds));
    let (after, offset) = place(at, &mut binds);
    let limit = limit(size);
    let offers = if filter.asks_for_offers() {
        "JOIN product_offers AS o ON o.product_id = p.id AND o.seller_id = p.seller_id"
    } else {
        ""
    };
    // Materialized, so that the limit outside does not talk the planner into another way of finding them.
    let text = format!(
        "WITH found AS MATERIALIZED (
             SELECT p.id, p.created_at FROM products AS p {offers}
             WHERE p.search_tokens @> jebi_search_tokens({seller}, lower({typed}))
               AND p.seller_id = {seller} AND {matches}{conditions}
         ), counted AS MATERIALIZED (
             SELECT id, created_at FROM found LIMIT {COUNTED}
         ), page AS (
             SELECT * FROM counted AS p WHERE true{after}
             ORDER BY p.created_at DESC, p.id DESC{offset} LIMIT {limit}
         )
         SELECT total.products, {COLUMNS}
         FROM (SELECT count(*) AS products FROM counted) AS total LEFT JOIN (
             page
             JOIN products AS p ON p.id = page.id AND p.seller_id = {seller}
             JOIN product_offers AS o ON o.product_id = p.id AND o.seller_id = p.seller_id
         ) ON true
         ORDER BY p.created_at DESC, p.id DESC"
    );
    Statement::with(text, binds)
}
