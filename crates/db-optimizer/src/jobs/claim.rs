use std::time::Duration;

use diesel::Queryable;
use diesel::sql_types::{Bool, Integer, Jsonb, Nullable, Text};
use jebi_domain::{AccountId, JobId, SellerId};
use serde_json::{Value, json};
use uuid::Uuid;

use crate::{Bind, Error, Pool, Statement};

type UuidSql = diesel::sql_types::Uuid;

/// What a worker offers to do.
#[derive(Debug, Clone)]
pub struct Offer {
    /// The kinds of jobs that it knows.
    pub kinds: Vec<String>,
    /// How many items of each of them it takes at once.
    pub sizes: Vec<i32>,
    /// How long they are its own, unless it extends that.
    pub lease: Duration,
    /// A seller who has so many items under lease gets no more. Claims that are made in the same moment, of lanes of one
    /// seller, do not see each other: it can be exceeded by one batch for each kind.
    pub cap: i32,
    /// Whether it takes an item that may have killed its worker before.
    pub takes_suspects: bool,
}

/// Items of one job, under lease.
#[derive(Debug, Clone, PartialEq)]
pub struct Claim {
    /// Whose job it is.
    pub seller: SellerId,
    /// The job.
    pub job: JobId,
    /// What there is to do.
    pub kind: String,
    /// The account that it is done for.
    pub account: Option<AccountId>,
    /// What every item is done by.
    pub parameters: Value,
    /// One at least, in their order.
    pub items: Vec<ClaimedItem>,
}

/// A piece of work, under lease.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ClaimedItem {
    /// Its number in the job.
    pub number: i32,
    /// What it is about.
    pub name: String,
    /// What a worker needs to know.
    pub payload: Value,
    /// Which attempt this is: nobody else can end it.
    pub attempt: i32,
    /// How many attempts failed before.
    pub failures: i32,
    /// It may have killed its worker before, and was given alone.
    pub is_suspect: bool,
}

/// Takes items of the lane that was served least recently, among those with work that the offer is for; `None` where
/// there is none. Reads across sellers: it finds whose turn it is. Statements: 1.
///
/// # Errors
/// [`Error::NoConnection`], [`Error::Busy`], [`Error::Query`].
pub async fn claim(pool: &Pool, worker: Uuid, offer: &Offer) -> Result<Option<Claim>, Error> {
    let statement = Statement::<RowSql>::new(
        "SELECT c.seller_id, c.job_id, c.kind, c.account_id, c.parameters, c.number, c.name,
             c.payload, c.attempt, c.failures, c.is_suspect
         FROM jebi_claim_job_items($1, $2, $3, $4 * interval '1 millisecond', $5, $6::text = 'yes')
             AS c
         ORDER BY c.number",
        vec![
            Bind::from(worker),
            Bind::from(offer.kinds.clone()),
            Bind::from(offer.sizes.clone()),
            Bind::from(millis(offer.lease)),
            Bind::from(offer.cap),
            Bind::from(if offer.takes_suspects { "yes" } else { "no" }),
        ],
    );
    let connection = pool.get().await?;
    let rows: Vec<Row> = statement.all(&connection).await.map_err(Error::of("claim work"))?;
    let Some(Row { seller, job, kind, account, parameters, .. }) = rows.first().cloned() else {
        return Ok(None);
    };
    Ok(Some(Claim {
        seller: seller.into(),
        job: job.into(),
        kind,
        account: account.map(AccountId::from),
        parameters,
        items: rows.into_iter().map(Row::into_item).collect(),
    }))
}

/// An item that a worker thinks it has.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Held {
    /// Whose job it is.
    pub seller: SellerId,
    /// The job.
    pub job: JobId,
    /// The item.
    pub number: i32,
    /// The attempt.
    pub attempt: i32,
}

/// An item that a worker has still.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct StillHeld {
    /// Which.
    pub held: Held,
    /// Whether its job is to be stopped.
    pub is_to_stop: bool,
}

/// Extends the leases of a worker, and says which of them it has still. One that somebody writes of at this moment is named as it was
/// before, and not extended. Statements: 1.
///
/// # Errors
/// [`Error::NoConnection`], [`Error::Busy`], [`Error::Query`].
pub async fn extend(
    pool: &Pool,
    worker: Uuid,
    held: &[Held],
    lease: Duration,
) -> Result<Vec<StillHeld>, Error> {
    let held = held.iter().map(|held| {
        json!({
            "seller_id": held.seller, "job_id": held.job,
            "number": held.number, "attempt": held.attempt,
        })
    });
    let statement = Statement::<(UuidSql, UuidSql, Integer, Integer, Bool)>::new(
        "SELECT e.seller_id, e.job_id, e.number, e.attempt, e.is_to_stop
         FROM jebi_extend_job_leases($1, $2, $3 * interval '1 millisecond') AS e",
        vec![Bind::from(worker), Bind::from(Value::from_iter(held)), Bind::from(millis(lease))],
    );
    let connection = pool.get().await?;
    let rows: Vec<(Uuid, Uuid, i32, i32, bool)> =
        statement.all(&connection).await.map_err(Error::of("extend leases"))?;
    let still = |(seller, job, number, attempt, is_to_stop): (Uuid, Uuid, i32, i32, bool)| {
        let held = Held { seller: seller.into(), job: job.into(), number, attempt };
        StillHeld { held, is_to_stop }
    };
    Ok(rows.into_iter().map(still).collect())
}

pub(super) fn millis(duration: Duration) -> i64 {
    i64::try_from(duration.as_millis()).unwrap_or(i64::MAX)
}

type RowSql = (
    UuidSql,
    UuidSql,
    Text,
    Nullable<UuidSql>,
    Jsonb,
    Integer,
    Text,
    Jsonb,
    Integer,
    Integer,
    Bool,
);

#[derive(Clone, Queryable)]
struct Row {
    seller: Uuid,
    job: Uuid,
    kind: String,
    account: Option<Uuid>,
    parameters: Value,
    number: i32,
    name: String,
    payload: Value,
    attempt: i32,
    failures: i32,
    is_suspect: bool,
}

impl Row {
    fn into_item(self) -> ClaimedItem {
        let Self { number, name, payload, attempt, failures, is_suspect, .. } = self;
        ClaimedItem { number, name, payload, attempt, failures, is_suspect }
    }
}
