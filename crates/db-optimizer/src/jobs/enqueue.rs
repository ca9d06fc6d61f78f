use diesel::OptionalExtension as _;
use diesel::sql_types::BigInt;
use jebi_domain::{AccountId, JobId, SellerId};
use serde_json::{Value, json};
use uuid::Uuid;

use crate::random::random;
use crate::{Author, Bind, Error, Statement, Transaction, trail};

type UuidSql = diesel::sql_types::Uuid;

/// A job to be done.
#[derive(Debug, Clone, PartialEq)]
pub struct NewJob<'a> {
    /// What there is to do: the name under which workers know it.
    pub kind: &'a str,
    /// The account that it is done for, if it is for one: each has its own alive job of a kind.
    pub account: Option<AccountId>,
    /// What every item is done by. No personal data.
    pub parameters: Value,
    /// After so many failed attempts an item is given up. Above 0.
    pub max_attempts: i32,
}

/// A piece of a job's work.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewItem {
    /// What it is about, as failures call it: an order's id, a product's code. No personal data.
    pub name: String,
    /// What a worker needs to know. No personal data.
    pub payload: Value,
}

/// What became of a job that was to be enqueued.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Enqueued {
    /// The job: the new one, or the one that was alive already.
    pub job: JobId,
    /// Whether it is new; the items of one that is not were not looked at.
    pub is_new: bool,
    /// How many items it has.
    pub items: u64,
}

/// So many items go into one statement.
const AT_ONCE: usize = 1_000;
const ACTION: &str = "enqueue a job";

/// Enqueues a job in a transaction of its seller: it is there if and only if what is done beside it is. While the
/// same job (seller, kind, account) is alive, gives that one and changes nothing. A job without items is done.
/// Statements: 3, and 1 for each 1,000 items; 2 where the job is alive already.
///
/// Until the transaction ends, no items of the seller's jobs of this kind are claimed, and others who enqueue the same job
/// wait: it should be the last thing that a transaction does.
///
/// # Errors
/// [`Error::NoConnection`], [`Error::Busy`], [`Error::Query`].
pub async fn enqueue(
    transaction: &Transaction<'_>,
    seller: SellerId,
    new: &NewJob<'_>,
    items: &[NewItem],
    author: &Author,
) -> Result<Enqueued, Error> {
    let failed = Error::of(ACTION);
    let job = JobId::new(author.at, random());
    // The one that is in the way may end before it is found: then there is room for the new one.
    loop {
        let inserted = insert_job(job, seller, new, items.len(), author);
        let is_new = inserted.run(transaction).await.map_err(&failed)? == 1;
        if is_new {
            break;
        }
        let alive: Option<(Uuid, i64)> =
            alive_job(seller, new).one(transaction).await.optional().map_err(&failed)?;
        if let Some((job, total)) = alive {
            let items = u64::try_from(total).unwrap_or(0);
            return Ok(Enqueued { job: job.into(), is_new: false, items });
        }
    }
    let mut rest = insert_items(job, seller, items, 0);
    if !items.is_empty() {
        rest.push(wake_lane(seller, new.kind));
    }
    let shown = json!({ "kind": new.kind, "items": items.len() });
    rest.push(trail::audit(seller, "jobs:created", job.as_uuid(), author, shown));
    trail::send(transaction, rest).await.map_err(failed)?;
    Ok(Enqueued { job, is_new: true, items: items.len() as u64 })
}

/// Gives an alive job more items, in a transaction of its seller; false where it is not alive any more, or is to be
/// stopped. For work that is found on the way: while an item of the job is at work, the job does not end.
/// Statements: 2, and 1 for each 1,000 items.
///
/// # Errors
/// [`Error::NoConnection`], [`Error::Busy`], [`Error::Query`].
pub async fn add_items(
    transaction: &Transaction<'_>,
    seller: SellerId,
    (job, kind): (JobId, &str),
    items: &[NewItem],
) -> Result<bool, Error> {
    let failed = Error::of("give a job more items");
    wake_lane(seller, kind).run(transaction).await.map_err(&failed)?;
    let grown = Statement::<BigInt>::new(
        "UPDATE jobs SET total = total + $1, changed_at = clock_timestamp()
         WHERE seller_id = $2 AND id = $3 AND state IN ('queued', 'running') AND NOT cancel_requested
         RETURNING total - $1",
        vec![Bind::from(length(items.len())), Bind::from(seller), Bind::from(job)],
    );
    let before: Option<i64> = grown.one(transaction).await.optional().map_err(&failed)?;
    let Some(before) = before else { return Ok(false) };
    let before = usize::try_from(before).unwrap_or(0);
    trail::send(transaction, insert_items(job, seller, items, before)).await.map_err(failed)?;
    Ok(true)
}

fn insert_job(
    job: JobId,
    seller: SellerId,
    new: &NewJob<'_>,
    items: usize,
    author: &Author,
) -> Statement {
    Statement::new(
        "INSERT INTO jobs (id, seller_id, kind, account_id, state, parameters, total, max_attempts,
             actor, created_at, changed_at, finished_at)
         VALUES ($1, $2, $3, $4, CASE WHEN $6 = 0 THEN 'done' ELSE 'queued' END, $5, $6, $7,
             $8, $9, $9, CASE WHEN $6 = 0 THEN $9 END)
         ON CONFLICT (seller_id, kind, account_id) WHERE state IN ('queued', 'running') DO NOTHING",
        vec![
            Bind::from(job),
            Bind::from(seller),
            Bind::from(new.kind),
            Bind::from(new.account.map(AccountId::as_uuid)),
            Bind::from(new.parameters.clone()),
            Bind::from(length(items)),
            Bind::from(new.max_attempts),
            Bind::from(author.actor.as_str()),
            Bind::from(author.at),
        ],
    )
}

fn alive_job(seller: SellerId, new: &NewJob<'_>) -> Statement<(UuidSql, BigInt)> {
    Statement::new(
        "SELECT id, total FROM jobs
         WHERE seller_id = $1 AND kind = $2 AND account_id IS NOT DISTINCT FROM $3
           AND state IN ('queued', 'running')",
        vec![
            Bind::from(seller),
            Bind::from(new.kind),
            Bind::from(new.account.map(AccountId::as_uuid)),
        ],
    )
}

/// Items of a job, numbered after the `before` that it has already.
fn insert_items(job: JobId, seller: SellerId, items: &[NewItem], before: usize) -> Vec<Statement> {
    let chunk = |(at, chunk): (usize, &[NewItem])| {
        let payloads = chunk.iter().map(|item| item.payload.clone()).collect();
        Statement::new(
            "INSERT INTO job_items (job_id, number, seller_id, name, payload, due_at)
             SELECT $1, $2 + item.number, $3, item.name, item.payload, now()
             FROM ROWS FROM (unnest($4), jsonb_array_elements($5)) WITH ORDINALITY
                 AS item (name, payload, number)",
            vec![
                Bind::from(job),
                Bind::from(length(before + at * AT_ONCE)),
                Bind::from(seller),
                Bind::from(chunk.iter().map(|item| item.name.clone()).collect::<Vec<_>>()),
                Bind::from(Value::Array(payloads)),
            ],
        )
    };
    items.chunks(AT_ONCE).enumerate().map(chunk).collect()
}

/// Lets workers look at a lane from now on.
fn wake_lane(seller: SellerId, kind: &str) -> Statement {
    Statement::new(
        "INSERT INTO job_lanes AS l (seller_id, kind, ready_at) VALUES ($1, $2, now())
         ON CONFLICT (seller_id, kind) DO UPDATE SET ready_at = least(l.ready_at, now())",
        vec![Bind::from(seller), Bind::from(kind)],
    )
}

/// A number of items that are in memory fits.
fn length(items: usize) -> i64 {
    i64::try_from(items).unwrap_or(i64::MAX)
}
