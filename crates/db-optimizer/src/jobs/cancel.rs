use diesel::sql_types::Bool;
use jebi_domain::{JobId, SellerId};
use serde_json::json;

use crate::{Author, Bind, Error, Pool, Statement, trail};

/// Asks a job to stop: one that no worker has begun is cancelled at once, another when its workers have let go of it. Gives
/// whether there was anything to stop; a job that has ended, or was asked before, is left as it is.
/// Statements: 3; 1 where nothing changes.
///
/// # Errors
/// [`Error::NoConnection`], [`Error::Busy`], [`Error::Query`].
pub async fn cancel(
    pool: &Pool,
    seller: SellerId,
    job: JobId,
    author: &Author,
) -> Result<bool, Error> {
    let transaction = pool.begin(seller).await?;
    let done = async {
        let failed = Error::of("cancel a job");
        let asked = Statement::<()>::new(
            "UPDATE jobs SET cancel_requested = true
             WHERE seller_id = $1 AND id = $2 AND state IN ('queued', 'running')
               AND NOT cancel_requested",
            vec![Bind::from(seller), Bind::from(job)],
        );
        if asked.run(&transaction).await.map_err(&failed)? == 0 {
            return Ok(false);
        }
        let stop = Statement::<Bool>::new(
            "SELECT jebi_stop_job($1, $2)",
            vec![Bind::from(seller), Bind::from(job)],
        );
        let is_stopped: bool = stop.one(&transaction).await.map_err(&failed)?;
        let shown = json!({ "stopped": is_stopped });
        let entry = trail::audit(seller, "jobs:cancelled", job.as_uuid(), author, shown);
        entry.run(&transaction).await.map_err(failed)?;
        Ok(true)
    };
    let done = done.await;
    transaction.settle(done).await
}
