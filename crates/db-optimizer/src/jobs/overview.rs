use std::time::Duration;

use chrono::{DateTime, Utc};
use diesel::Queryable;
use diesel::sql_types::{BigInt, Double, Nullable, Text, Timestamptz};
use jebi_domain::AccountId;
use uuid::Uuid;

use super::Job;
use crate::{Error, Pool, Statement};

type UuidSql = diesel::sql_types::Uuid;

/// The queue of the whole installation, for its operators: how far everybody's jobs are, and of none whose it is or what
/// it is about.
#[derive(Debug, Clone, PartialEq)]
pub struct Overview {
    /// Those that are alive, at most 50, and the last 20 that ended; the newest first. Without failures and results.
    pub jobs: Vec<Job>,
    /// Items of the jobs that are alive, which have not ended.
    pub open_items: u64,
    /// For how long the oldest item has been due that no worker has taken; `None` where none is due.
    pub oldest_due: Option<Duration>,
}

const ACTION: &str = "look at the queue of jobs";
/// So many lanes that wait are looked into.
const LANES: u32 = 1_000;

/// Looks at the queue. Statements: 2.
///
/// # Errors
/// [`Error::NoConnection`], [`Error::Busy`], [`Error::Query`], [`Error::CorruptRow`].
pub async fn overview(pool: &Pool) -> Result<Overview, Error> {
    let connection = pool.get().await?;
    let rows: Vec<Row> = jobs_statement().all(&connection).await.map_err(Error::of(ACTION))?;
    let (open, oldest): (i64, Option<f64>) =
        queue_statement().one(&connection).await.map_err(Error::of(ACTION))?;
    Ok(Overview {
        jobs: rows.into_iter().map(Row::assemble).collect::<Result<_, _>>()?,
        open_items: open.cast_unsigned(),
        oldest_due: oldest.and_then(|seconds| Duration::try_from_secs_f64(seconds).ok()),
    })
}

fn jobs_statement() -> Statement<RowSql> {
    let columns = "id, kind, account_id, state, coalesce(progress_total, total) AS total,
                   coalesce(progress_done, done) AS done, failed, attempts,
                   created_at, started_at, changed_at, finished_at";
    Statement::new(
        format!(
            "SELECT * FROM (
                 (SELECT {columns} FROM jobs WHERE state IN ('queued', 'running')
                  ORDER BY created_at DESC LIMIT 50)
                 UNION ALL
                 (SELECT {columns} FROM jobs WHERE finished_at IS NOT NULL
                  ORDER BY finished_at DESC LIMIT 20)
             ) AS shown
             ORDER BY created_at DESC, id DESC"
        ),
        vec![],
    )
}

fn queue_statement() -> Statement<(BigInt, Nullable<Double>)> {
    Statement::new(
        format!(
            "SELECT (SELECT coalesce(sum(total - done - failed), 0)::bigint FROM jobs
                     WHERE state IN ('queued', 'running')),
                    (SELECT extract(epoch FROM clock_timestamp() - min(due.at))::float8
                     FROM (
                         SELECT jebi_lane_due_at(l.seller_id, l.kind) AS at FROM job_lanes AS l
                         WHERE l.ready_at <> 'infinity' AND l.ready_at <= clock_timestamp()
                         ORDER BY l.served_at LIMIT {LANES}
                     ) AS due
                     WHERE due.at <= clock_timestamp())"
        ),
        vec![],
    )
}

type RowSql = (
    UuidSql,
    Text,
    Nullable<UuidSql>,
    Text,
    BigInt,
    BigInt,
    BigInt,
    BigInt,
    Timestamptz,
    Nullable<Timestamptz>,
    Timestamptz,
    Nullable<Timestamptz>,
);

#[derive(Queryable)]
struct Row {
    id: Uuid,
    kind: String,
    account: Option<Uuid>,
    state: String,
    total: i64,
    done: i64,
    failed: i64,
    attempts: i64,
    created_at: DateTime<Utc>,
    started_at: Option<DateTime<Utc>>,
    changed_at: DateTime<Utc>,
    finished_at: Option<DateTime<Utc>>,
}

impl Row {
    fn assemble(self) -> Result<Job, Error> {
        let state = self.state.parse();
        Ok(Job {
            id: self.id.into(),
            kind: self.kind,
            account: self.account.map(AccountId::from),
            state: state.map_err(|_| Error::CorruptRow { action: ACTION, what: "state" })?,
            result: None,
            total: self.total.cast_unsigned(),
            done: self.done.cast_unsigned(),
            failed: self.failed.cast_unsigned(),
            failures: Vec::new(),
            error: None,
            attempts: self.attempts.cast_unsigned(),
            created_at: self.created_at,
            started_at: self.started_at,
            changed_at: self.changed_at,
            finished_at: self.finished_at,
        })
    }
}
