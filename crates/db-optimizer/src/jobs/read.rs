use chrono::{DateTime, Utc};
use diesel::sql_types::{BigInt, Jsonb, Nullable, Text, Timestamptz};
use diesel::{OptionalExtension as _, Queryable};
use jebi_domain::{AccountId, At, JobId, JobState, Page, PageSize, Position, SellerId, TotalIs};
use serde::Deserialize;
use serde_json::Value;
use uuid::Uuid;

use crate::statement::Binds;
use crate::{Bind, Error, Pool, Statement};

type UuidSql = diesel::sql_types::Uuid;

/// A job as it stands.
#[derive(Debug, Clone, PartialEq)]
pub struct Job {
    /// The job.
    pub id: JobId,
    /// What there is to do.
    pub kind: String,
    /// The account that it is done for.
    pub account: Option<AccountId>,
    /// Where it stands.
    pub state: JobState,
    /// What came of it, where its kind says so.
    pub result: Option<Value>,
    /// Of the items, or of the steps that a job of one item counts.
    pub total: u64,
    /// Those that are done.
    pub done: u64,
    /// The items that failed for good.
    pub failed: u64,
    /// Some of them with the reason: the first 100, or the first 10 in a list.
    pub failures: Vec<Failure>,
    /// Why a job was given up.
    pub error: Option<String>,
    /// How often a worker took items of it.
    pub attempts: u64,
    /// When it was asked for.
    pub created_at: DateTime<Utc>,
    /// When a worker first took items of it.
    pub started_at: Option<DateTime<Utc>>,
    /// When its figures changed last.
    pub changed_at: DateTime<Utc>,
    /// When it ended.
    pub finished_at: Option<DateTime<Utc>>,
}

/// An item that failed for good.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct Failure {
    /// What it was about.
    pub item: String,
    /// What went wrong.
    pub reason: Option<String>,
}

impl Job {
    /// Items or steps in a second, from the beginning to the last change; `None` before anything was done.
    #[must_use]
    pub fn rate_per_second(&self) -> Option<f64> {
        let span = (self.changed_at - self.started_at?).num_microseconds()?;
        let through = self.done + self.failed;
        #[expect(clippy::cast_precision_loss, reason = "for people to read; 53 bits are enough")]
        (span > 0 && through > 0).then(|| through as f64 * 1e6 / span as f64)
    }

    /// At that rate, how many seconds were left at the last change; `None` where that is not known, and where the job has
    /// ended.
    #[must_use]
    pub fn eta_seconds(&self) -> Option<u64> {
        if self.state.is_ended() {
            return None;
        }
        let left = self.total.saturating_sub(self.done + self.failed);
        #[expect(
            clippy::cast_precision_loss,
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "for people to read; a cast saturates"
        )]
        self.rate_per_second().map(|rate| (left as f64 / rate).ceil() as u64)
    }
}

/// The job of this id, where it is the seller's. Statements: 1.
///
/// # Errors
/// [`Error::NoConnection`], [`Error::Busy`], [`Error::Query`], [`Error::CorruptRow`].
pub async fn find(pool: &Pool, seller: SellerId, job: JobId) -> Result<Option<Job>, Error> {
    const ACTION: &str = "read a job";
    let statement = Statement::<RowSql>::new(
        format!("SELECT {} FROM jobs AS j WHERE j.seller_id = $1 AND j.id = $2", columns(100)),
        vec![Bind::from(seller), Bind::from(job)],
    );
    let connection = pool.get().await?;
    let row: Option<Row> =
        statement.one(&connection).await.optional().map_err(Error::of(ACTION))?;
    row.map(|row| row.assemble(ACTION, seller)).transpose()
}

/// Jobs of a seller are counted, and skipped, up to so many.
const COUNTED: u64 = 10_001;

/// One page of a seller's jobs, newest first. Counted up to 10,000; no page by number lies deeper. Statements: 1.
///
/// # Errors
/// [`Error::NoConnection`], [`Error::Busy`], [`Error::Query`], [`Error::CorruptRow`].
pub async fn page(
    pool: &Pool,
    seller: SellerId,
    at: At,
    size: PageSize,
) -> Result<Page<Job>, Error> {
    const ACTION: &str = "list jobs";
    let connection = pool.get().await?;
    let rows: Vec<(i64, Option<Row>)> =
        page_statement(seller, at, size).all(&connection).await.map_err(Error::of(ACTION))?;
    let total = rows.first().map_or(0, |(total, _)| u64::try_from(*total).unwrap_or(0));
    let shown = usize::from(size.items());
    let rows: Vec<Row> = rows.into_iter().filter_map(|(_, row)| row).collect();
    let next = rows.get(shown).and_then(|_| rows.get(shown - 1)).map(Row::position);
    let items = rows.into_iter().take(shown).map(|row| row.assemble(ACTION, seller));
    let is_capped = total >= COUNTED;
    Ok(Page {
        items: items.collect::<Result<_, _>>()?,
        total: total.min(COUNTED - 1),
        total_is: if is_capped { TotalIs::Capped } else { TotalIs::Exact },
        next,
    })
}

pub(crate) fn page_statement(
    seller: SellerId,
    at: At,
    size: PageSize,
) -> Statement<(BigInt, Nullable<RowSql>)> {
    let mut binds = Binds::default();
    let seller = binds.add(seller);
    let place = match at {
        At::After(Position { created_at, id }) => {
            let (created_at, id) = (binds.add(created_at), binds.add(id));
            format!(" AND (o.created_at, o.id) < ({created_at}, {id})")
        }
        At::Page(_) => String::new(),
    };
    let skip = match at {
        // Beyond what is counted there is no page.
        At::Page(page) if page.skip() >= COUNTED - 1 => " LIMIT 0".to_owned(),
        At::Page(page) => {
            let skip = binds.add(i64::try_from(page.skip()).unwrap_or(i64::MAX));
            format!(" OFFSET {skip} LIMIT {}", size.items() + 1)
        }
        At::After(_) => format!(" LIMIT {}", size.items() + 1),
    };
    let text = format!(
        "WITH page AS MATERIALIZED (
             SELECT o.* FROM jobs AS o WHERE o.seller_id = {seller}{place}
             ORDER BY o.created_at DESC, o.id DESC{skip}
         ), total AS MATERIALIZED (
             SELECT count(*) AS n
             FROM (SELECT FROM jobs AS o WHERE o.seller_id = {seller} LIMIT {COUNTED}) AS counted
         )
         SELECT total.n, {} FROM total LEFT JOIN page AS j ON true
         ORDER BY j.created_at DESC, j.id DESC",
        columns(10)
    );
    Statement::with(text, binds)
}

/// What is read of a job `j`.
fn columns(failures: u16) -> String {
    format!(
        "j.id, j.seller_id, j.kind, j.account_id, j.state, j.result,
         coalesce(j.progress_total, j.total), coalesce(j.progress_done, j.done), j.failed,
         j.error, j.attempts, j.created_at, j.started_at, j.changed_at, j.finished_at,
         (SELECT coalesce(jsonb_agg(jsonb_build_object('item', f.name, 'reason', f.reason)
                                    ORDER BY f.number), '[]')
          FROM (
              SELECT e.number, e.name, e.reason FROM job_items_ended AS e
              WHERE j.failed > 0 AND e.seller_id = j.seller_id AND e.job_id = j.id
                AND e.state IN ('failed', 'dead')
              ORDER BY e.number LIMIT {failures}
          ) AS f)"
    )
}

pub(crate) type RowSql = (
    UuidSql,
    UuidSql,
    Text,
    Nullable<UuidSql>,
    Text,
    Nullable<Jsonb>,
    BigInt,
    BigInt,
    BigInt,
    Nullable<Text>,
    BigInt,
    Timestamptz,
    Nullable<Timestamptz>,
    Timestamptz,
    Nullable<Timestamptz>,
    Jsonb,
);

#[derive(Queryable)]
struct Row {
    id: Uuid,
    seller: Uuid,
    kind: String,
    account: Option<Uuid>,
    state: String,
    result: Option<Value>,
    total: i64,
    done: i64,
    failed: i64,
    error: Option<String>,
    attempts: i64,
    created_at: DateTime<Utc>,
    started_at: Option<DateTime<Utc>>,
    changed_at: DateTime<Utc>,
    finished_at: Option<DateTime<Utc>>,
    failures: Value,
}

impl Row {
    fn position(&self) -> Position {
        Position { created_at: self.created_at, id: self.id }
    }

    fn assemble(self, action: &'static str, seller: SellerId) -> Result<Job, Error> {
        let corrupt = |what| Error::CorruptRow { action, what };
        if SellerId::from(self.seller) != seller {
            return Err(corrupt("seller_id"));
        }
        let count = |count: i64| u64::try_from(count).unwrap_or(0);
        Ok(Job {
            id: self.id.into(),
            state: self.state.parse().map_err(|_| corrupt("state"))?,
            account: self.account.map(AccountId::from),
            kind: self.kind,
            result: self.result,
            total: count(self.total),
            done: count(self.done),
            failed: count(self.failed),
            failures: serde_json::from_value(self.failures).map_err(|_| corrupt("failures"))?,
            error: self.error,
            attempts: count(self.attempts),
            created_at: self.created_at,
            started_at: self.started_at,
            changed_at: self.changed_at,
            finished_at: self.finished_at,
        })
    }
}
