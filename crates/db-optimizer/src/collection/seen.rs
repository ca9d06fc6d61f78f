use diesel::sql_types::BigInt;
use jebi_domain::{JobId, SellerId};

use crate::{Bind, Error, Pool, Statement, Transaction};

/// A walk: an item of a job.
pub type Walk = (SellerId, JobId, i32);

/// Remembers what a page of a walk held, in a transaction of its seller: again for a page that is read again. Statements: 1.
///
/// # Errors
/// [`Error::Query`].
pub async fn note_seen(
    transaction: &Transaction<'_>,
    walk: Walk,
    page: i32,
    keys: Vec<String>,
) -> Result<(), Error> {
    let statement = Statement::<()>::new(
        "INSERT INTO collection_seen (job_id, number, page, seller_id, keys)
         SELECT $1, $2, $3, $4, coalesce(array_agg(hashtextextended(key, 0)), '{}')
         FROM unnest($5) AS seen (key)
         ON CONFLICT (job_id, number, page, seller_id) DO UPDATE SET keys = excluded.keys",
        [of(walk), vec![Bind::from(page), Bind::from(walk.0), Bind::from(keys)]].concat(),
    );
    statement.run(transaction).await.map_err(Error::of("remember a page"))?;
    Ok(())
}

/// How many pages of a walk are remembered. Statements: 1.
///
/// # Errors
/// [`Error::NoConnection`], [`Error::Busy`], [`Error::Query`].
pub async fn pages_seen(pool: &Pool, walk: Walk) -> Result<i64, Error> {
    let statement = Statement::<BigInt>::new(
        "SELECT count(*) FROM collection_seen WHERE job_id = $1 AND number = $2 AND seller_id = $3",
        [of(walk), vec![Bind::from(walk.0)]].concat(),
    );
    let connection = pool.get().await?;
    statement.one(&connection).await.map_err(Error::of("count the pages of a walk"))
}

/// Forgets the pages of a walk, in a transaction of its seller. Statements: 1.
///
/// # Errors
/// [`Error::Query`].
pub async fn forget_seen(transaction: &Transaction<'_>, walk: Walk) -> Result<(), Error> {
    forget_seen_after(transaction, walk, 0).await
}

/// Forgets those behind a page: another attempt reads them again, and may have fewer. Statements: 1.
///
/// # Errors
/// [`Error::Query`].
pub async fn forget_seen_after(
    transaction: &Transaction<'_>,
    walk: Walk,
    page: i32,
) -> Result<(), Error> {
    let statement = Statement::<()>::new(
        "DELETE FROM collection_seen
         WHERE job_id = $1 AND number = $2 AND seller_id = $3 AND page > $4",
        [of(walk), vec![Bind::from(walk.0), Bind::from(page)]].concat(),
    );
    statement.run(transaction).await.map_err(Error::of("forget a walk"))?;
    Ok(())
}

fn of((_, job, number): Walk) -> Vec<Bind> {
    vec![Bind::from(job), Bind::from(number)]
}
