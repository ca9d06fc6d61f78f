use chrono::{DateTime, Utc};
use diesel::sql_types::{BigInt, Text};
use jebi_domain::{AccountId, Wholesaler};

use super::seen::Walk;
use crate::{Bind, Error, Pool, Statement};

/// Items of an account that are believed to be for sale.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Believed {
    /// All that were, before the walk began.
    pub all: u64,
    /// Those of them that it did not come by.
    pub unseen: u64,
}

/// Whose items, of which walk, and when that began: what was read since is there.
#[derive(Debug, Clone, Copy)]
pub struct Unseen {
    /// Whose.
    pub account: AccountId,
    /// With whom the account is.
    pub wholesaler: Wholesaler,
    /// What came by them.
    pub walk: Walk,
    /// Its begin.
    pub began_at: DateTime<Utc>,
}

/// How many items that are believed to be for sale a walk of everything has come by. Statements: 1, which reads all items of
/// the seller's with the wholesaler.
///
/// # Errors
/// [`Error::NoConnection`], [`Error::Busy`], [`Error::Query`].
pub async fn believed(pool: &Pool, of: &Unseen) -> Result<Believed, Error> {
    let statement = Statement::<(BigInt, BigInt)>::new(
        format!(
            "SELECT count(*), count(*) FILTER (WHERE {UNSEEN}) FROM wholesale_items AS i {BELIEVED}"
        ),
        of.binds(),
    );
    let connection = pool.get().await?;
    let counted: (i64, i64) =
        statement.one(&connection).await.map_err(Error::of("count what a walk came by"))?;
    let count = |count: i64| u64::try_from(count).unwrap_or(0);
    Ok(Believed { all: count(counted.0), unseen: count(counted.1) })
}

/// The keys of those that it did not come by, up to `most` after the key `after`, in their order. Statements: 1, which reads
/// the seller's items with the wholesaler from there on.
///
/// # Errors
/// [`Error::NoConnection`], [`Error::Busy`], [`Error::Query`].
pub async fn unseen(
    pool: &Pool,
    of: &Unseen,
    after: &str,
    most: i64,
) -> Result<Vec<String>, Error> {
    let statement = Statement::<Text>::new(
        format!(
            "SELECT i.key FROM wholesale_items AS i {BELIEVED} AND i.key > $7 AND {UNSEEN}
             ORDER BY i.key LIMIT $8"
        ),
        [of.binds(), vec![Bind::from(after), Bind::from(most)]].concat(),
    );
    let connection = pool.get().await?;
    statement.all(&connection).await.map_err(Error::of("find what a walk did not come by"))
}

impl Unseen {
    fn binds(&self) -> Vec<Bind> {
        let (seller, job, number) = self.walk;
        vec![
            Bind::from(seller),
            Bind::from(self.wholesaler.as_str()),
            Bind::from(self.account),
            Bind::from(self.began_at),
            Bind::from(job),
            Bind::from(number),
        ]
    }
}

const BELIEVED: &str = "WHERE i.seller_id = $1 AND i.wholesaler = $2 AND i.account_id = $3
    AND i.read_at < $4 AND i.availability IN ('on_sale', 'unknown')";

/// Hashed once, whatever the number of pages.
const UNSEEN: &str = "hashtextextended(i.key, 0) NOT IN (
    SELECT unnest(s.keys) FROM collection_seen AS s
    WHERE s.seller_id = $1 AND s.job_id = $5 AND s.number = $6)";
