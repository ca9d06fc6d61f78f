use jebi_domain::SellerId;

use crate::housekeeping::sellers_in;
use crate::repeats::{Reason, expected};
use crate::{Bind, Error, Pool, Statement};

/// Throws away what collections that died have left: rows that were staged more than an hour ago, and the pages of walks
/// whose jobs have ended. Statements: 2, and 1 for each seller who has any.
///
/// # Errors
/// [`Error::NoConnection`], [`Error::Busy`], [`Error::Query`].
pub async fn tidy(pool: &Pool) -> Result<(), Error> {
    for rows in [OLD_BATCHES, OLD_PAGES] {
        for seller in sellers_in(pool, rows).await? {
            expected(Reason::Chunks, throw_away(pool, seller, rows)).await?;
        }
    }
    Ok(())
}

async fn throw_away(pool: &Pool, seller: SellerId, rows: &str) -> Result<(), Error> {
    let statement = Statement::<()>::new(
        format!("DELETE FROM {rows} AND seller_id = $1"),
        vec![Bind::from(seller)],
    );
    let transaction = pool.begin(seller).await?;
    statement.run(&transaction).await.map_err(Error::of("tidy behind collections"))?;
    transaction.commit().await
}

/// A batch's id begins with the milliseconds since 1970.
const OLD_BATCHES: &str = "collection_staging WHERE batch < (lpad(to_hex(
    (extract(epoch FROM clock_timestamp() - interval '1 hour') * 1000)::bigint), 12, '0')
    || repeat('0', 20))::uuid";

const OLD_PAGES: &str = "collection_seen WHERE NOT EXISTS (
    SELECT FROM jobs AS j WHERE j.seller_id = collection_seen.seller_id
      AND j.id = collection_seen.job_id AND j.state IN ('queued', 'running'))";
