use jebi_domain::{JobId, SellerId};
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

/// How far one of several long items got since it said so last. What all of them say is added up.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Gain {
    /// Steps that are done.
    pub done: i64,
    /// Steps that there are.
    pub total: i64,
    /// What has come of the item so far, under its name in the job's result. No personal data.
    pub result: Option<(String, Value)>,
}

/// Adds a gain to a job's figures, in the transaction that settles the item, and after that: it locks the job.
/// Statements: 1.
///
/// # Errors
/// [`Error::Busy`], [`Error::Query`].
pub async fn gain(
    transaction: &Transaction<'_>,
    seller: SellerId,
    job: JobId,
    gain: &Gain,
) -> Result<(), Error> {
    let result = gain.result.iter().map(|(name, value)| (name.clone(), value.clone()));
    let statement = Statement::<()>::new(
        "UPDATE jobs SET progress_done = coalesce(progress_done, 0) + $3,
             progress_total = coalesce(progress_total, 0) + $4,
             result = coalesce(result, '{}'::jsonb) || $5, changed_at = clock_timestamp()
         WHERE seller_id = $1 AND id = $2",
        vec![
            Bind::from(seller),
            Bind::from(job),
            Bind::from(gain.done),
            Bind::from(gain.total),
            Bind::from(Value::Object(result.collect())),
        ],
    );
    statement.run(transaction).await.map_err(Error::of("note how far work is"))?;
    Ok(())
}
