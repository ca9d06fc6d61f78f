use serde_json::Value;
use uuid::Uuid;

use super::claim::Held;
use crate::{Bind, Error, Statement, Transaction};

/// What a long item says of its job while it is at work.
#[derive(Debug, Clone, PartialEq)]
pub enum Report {
    /// How far it is: so many of so many steps, shown in place of the items. For jobs of one item.
    Progress(u64, u64),
    /// What came of it: kept with the job, also after its end. No personal data.
    Result(Value),
}

/// Notes a report, in a transaction of the seller's; false where the worker does not have the item any more, and nothing
/// was noted. Statements: 1.
///
/// # Errors
/// [`Error::NoConnection`], [`Error::Busy`], [`Error::Query`].
pub async fn report(
    transaction: &Transaction<'_>,
    worker: Uuid,
    held: Held,
    report: &Report,
) -> Result<bool, Error> {
    let mut binds = vec![
        Bind::from(held.seller),
        Bind::from(held.job),
        Bind::from(held.number),
        Bind::from(held.attempt),
        Bind::from(worker),
    ];
    let change = match report {
        Report::Progress(done, total) => {
            let count = |count: &u64| i64::try_from(*count).unwrap_or(i64::MAX);
            binds.extend([Bind::from(count(done)), Bind::from(count(total))]);
            "progress_done = $6, progress_total = $7"
        }
        Report::Result(result) => {
            binds.push(Bind::from(result.clone()));
            "result = $6"
        }
    };
    // The item is locked first: nobody can claim it until this is committed.
    let text = format!(
        "WITH item AS MATERIALIZED (
             SELECT 1 FROM job_items
             WHERE seller_id = $1 AND job_id = $2 AND number = $3 AND attempt = $4 AND holder = $5
             FOR UPDATE
         )
         UPDATE jobs SET {change}, changed_at = clock_timestamp()
         WHERE seller_id = $1 AND id = $2 AND state = 'running' AND EXISTS (SELECT FROM item)"
    );
    let noted = Statement::<()>::new(text, binds).run(transaction).await;
    Ok(noted.map_err(Error::of("note how far work is"))? == 1)
}
