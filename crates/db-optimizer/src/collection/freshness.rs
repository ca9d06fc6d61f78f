use std::time::Duration;

use chrono::{DateTime, Utc};
use diesel::Queryable;
use diesel::sql_types::{BigInt, Double, Nullable, Text, Timestamptz};
use jebi_domain::{AccountId, Wholesaler};
use uuid::Uuid;

use crate::{Bind, Error, Pool, Statement};

type UuidSql = diesel::sql_types::Uuid;

/// How old what is known of a wholesaler's prices and stocks is, over all items of all accounts that are in use.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Age {
    /// Whose.
    pub wholesaler: Wholesaler,
    /// Accounts whose items are known.
    pub accounts: u64,
    /// Their items.
    pub items: u64,
    /// Half of the items are known as they were so long ago, or later.
    pub p50: Duration,
    /// 99 of a hundred.
    pub p99: Duration,
    /// All of them.
    pub most: Duration,
}

/// How old what is known is at a moment, of each wholesaler that anything is known of. Statements: 1. Reads across sellers, and
/// nothing of theirs.
///
/// # Errors
/// [`Error::NoConnection`], [`Error::Busy`], [`Error::Query`], [`Error::CorruptRow`].
pub async fn freshness(pool: &Pool, now: DateTime<Utc>) -> Result<Vec<Age>, Error> {
    const ACTION: &str = "read how old prices are";
    let statement = Statement::<(Text, BigInt, BigInt, Double, Double, Double)>::new(
        "SELECT wholesaler, count(*), sum(items)::bigint,
             min(age) FILTER (WHERE share >= 0.5), min(age) FILTER (WHERE share >= 0.99), max(age)
         FROM (
             SELECT wholesaler, items, age, sum(items) OVER (PARTITION BY wholesaler ORDER BY age)
                 / sum(items) OVER (PARTITION BY wholesaler) AS share
             FROM (
                 SELECT c.wholesaler, c.items,
                     extract(epoch FROM $1 - c.current_as_of)::float8 AS age
                 FROM collections AS c
                 JOIN wholesaler_accounts AS a ON a.id = c.account_id AND a.seller_id = c.seller_id
                 WHERE a.is_active AND a.deleted_at IS NULL AND c.items > 0
                   AND c.current_as_of IS NOT NULL
             ) AS known
         ) AS shared
         GROUP BY wholesaler ORDER BY wholesaler",
        vec![Bind::from(now)],
    );
    let connection = pool.get().await?;
    let rows: Vec<(String, i64, i64, f64, f64, f64)> =
        statement.all(&connection).await.map_err(Error::of(ACTION))?;
    let seconds = |seconds: f64| Duration::try_from_secs_f64(seconds.max(0.0)).unwrap_or_default();
    let count = |count: i64| u64::try_from(count).unwrap_or(0);
    let age = |(wholesaler, accounts, items, p50, p99, most): (String, i64, i64, f64, f64, f64)| {
        let wholesaler = wholesaler.parse();
        let wholesaler =
            wholesaler.map_err(|_| Error::CorruptRow { action: ACTION, what: "wholesaler" })?;
        Ok(Age {
            wholesaler,
            accounts: count(accounts),
            items: count(items),
            p50: seconds(p50),
            p99: seconds(p99),
            most: seconds(most),
        })
    };
    rows.into_iter().map(age).collect()
}

/// An account whose last collection came to nothing, or did less than all.
#[derive(Debug, Clone, PartialEq, Eq, Queryable)]
pub struct Trouble {
    account: Uuid,
    wholesaler: String,
    /// Why.
    pub why: String,
    /// Since when.
    pub at: DateTime<Utc>,
    items: i64,
    /// Every price and stock that is known is of then, or of later.
    pub current_as_of: Option<DateTime<Utc>>,
}

impl Trouble {
    /// Which account.
    #[must_use]
    pub fn account(&self) -> AccountId {
        self.account.into()
    }

    /// With whom it is.
    #[must_use]
    pub fn wholesaler(&self) -> &str {
        &self.wholesaler
    }

    /// How many items it sees to.
    #[must_use]
    pub fn items(&self) -> u64 {
        u64::try_from(self.items).unwrap_or(0)
    }
}

/// Accounts in use whose last walk, or last attempt to follow, went wrong, each once, the latest first; at most 100. Statements: 1.
/// Reads across sellers, and nothing of theirs.
///
/// # Errors
/// [`Error::NoConnection`], [`Error::Busy`], [`Error::Query`].
pub async fn troubles(pool: &Pool) -> Result<Vec<Trouble>, Error> {
    let statement =
        Statement::<(UuidSql, Text, Text, Timestamptz, BigInt, Nullable<Timestamptz>)>::new(
            "SELECT c.account_id, c.wholesaler, t.why, t.at, c.items, c.current_as_of
             FROM collections AS c
             JOIN wholesaler_accounts AS a ON a.id = c.account_id AND a.seller_id = c.seller_id
             CROSS JOIN LATERAL (
                 SELECT why, at FROM (VALUES (c.walk_trouble, c.walk_troubled_at),
                     (c.follow_trouble, c.follow_troubled_at)) AS noted (why, at)
                 WHERE why IS NOT NULL ORDER BY at DESC LIMIT 1
             ) AS t
             WHERE a.is_active AND a.deleted_at IS NULL
             ORDER BY t.at DESC LIMIT 100",
            vec![],
        );
    let connection = pool.get().await?;
    statement.all(&connection).await.map_err(Error::of("read what went wrong"))
}
