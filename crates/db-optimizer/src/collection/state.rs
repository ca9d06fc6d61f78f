use chrono::{DateTime, Utc};
use diesel::sql_types::{BigInt, Nullable, Text, Timestamptz};
use diesel::{OptionalExtension as _, Queryable};
use jebi_domain::{AccountId, JobId, SellerId, Wholesaler};
use uuid::Uuid;

use crate::{Bind, Error, Pool, Statement, Transaction};

type UuidSql = diesel::sql_types::Uuid;

/// An account with a wholesaler, and whose it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Collection {
    /// Whose.
    pub seller: SellerId,
    /// The account.
    pub account: AccountId,
    /// With whom.
    pub wholesaler: Wholesaler,
}

/// How far collection has come with an account.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Standing {
    /// The begin of the last walk that came to the end of everything.
    pub walked_at: Option<DateTime<Utc>>,
    /// All that changed up to then is known.
    pub followed_until: Option<DateTime<Utc>>,
    /// Every price and stock that is known is of then, or of later.
    pub current_as_of: Option<DateTime<Utc>>,
    /// How many items were asked for; all of them where absent.
    pub most: Option<u64>,
    /// How many items it sees to.
    pub items: u64,
}

/// What was tried with an account.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Attempt {
    /// To walk its catalogue.
    Walk,
    /// To follow its changes.
    Follow,
}

/// How far collection has come with an account; nothing where it has not begun. Statements: 1.
///
/// # Errors
/// [`Error::NoConnection`], [`Error::Busy`], [`Error::Query`].
pub async fn find(pool: &Pool, seller: SellerId, account: AccountId) -> Result<Standing, Error> {
    type Row =
        (Option<DateTime<Utc>>, Option<DateTime<Utc>>, Option<DateTime<Utc>>, Option<i64>, i64);
    let statement = Statement::<(
        Nullable<Timestamptz>,
        Nullable<Timestamptz>,
        Nullable<Timestamptz>,
        Nullable<BigInt>,
        BigInt,
    )>::new(
        "SELECT walked_at, followed_until, current_as_of, most, items FROM collections
         WHERE account_id = $1 AND seller_id = $2",
        vec![Bind::from(account), Bind::from(seller)],
    );
    let connection = pool.get().await?;
    let row: Option<Row> = statement
        .one(&connection)
        .await
        .optional()
        .map_err(Error::of("read how far a collection is"))?;
    Ok(row.map_or_else(Standing::default, |row| Standing {
        walked_at: row.0,
        followed_until: row.1,
        current_as_of: row.2,
        most: row.3.and_then(|most| u64::try_from(most).ok()),
        items: u64::try_from(row.4).unwrap_or(0),
    }))
}

/// Notes that a job walks an account, and how many items it was asked for, in a transaction of its seller; false where another job
/// that is alive does. Who asks for a part does not take back what was asked for before. While nothing is known of an account, all
/// that is known is as it is `at` this moment. Statements: 1.
///
/// # Errors
/// [`Error::Query`].
pub async fn begin_walk(
    transaction: &Transaction<'_>,
    of: &Collection,
    job: JobId,
    most: Option<u64>,
    at: DateTime<Utc>,
) -> Result<bool, Error> {
    let statement = Statement::<()>::new(
        "INSERT INTO collections AS c
             (account_id, seller_id, wholesaler, walker, most, followed_until, current_as_of)
         VALUES ($1, $2, $3, $4, $5, $6, $6)
         ON CONFLICT (account_id, seller_id) DO UPDATE
             SET walker = excluded.walker,
                 most = CASE WHEN excluded.most IS NULL
                     OR c.most IS NULL AND c.followed_until IS NOT NULL THEN NULL
                     ELSE greatest(c.most, excluded.most) END,
                 followed_until = coalesce(c.followed_until, excluded.followed_until),
                 current_as_of = coalesce(c.current_as_of, excluded.current_as_of)
         WHERE c.walker IS NULL OR c.walker = excluded.walker OR NOT EXISTS (
             SELECT FROM jobs AS j WHERE j.seller_id = c.seller_id AND j.id = c.walker
               AND j.state IN ('queued', 'running'))",
        [of.binds(), vec![Bind::from(job), Bind::from(written(most)), Bind::from(at)]].concat(),
    );
    let begun = statement.run(transaction).await.map_err(Error::of("begin a walk"))?;
    Ok(begun == 1)
}

fn written(most: Option<u64>) -> Option<i64> {
    most.map(|most| i64::try_from(most).unwrap_or(i64::MAX))
}

/// How a walk ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EndOfWalk {
    /// When it began.
    pub began_at: DateTime<Utc>,
    /// Whether it came to the end of everything.
    pub is_whole: bool,
    /// Whether every item that is known was read.
    pub is_current: bool,
    /// Why it did less than all.
    pub trouble: Option<String>,
}

/// Notes that a walk has ended, in a transaction of its seller, and counts the items that the account sees to. Statements: 1.
///
/// # Errors
/// [`Error::Query`].
pub async fn end_walk(
    transaction: &Transaction<'_>,
    of: &Collection,
    end: &EndOfWalk,
    at: DateTime<Utc>,
) -> Result<(), Error> {
    let statement = Statement::<()>::new(
        "UPDATE collections AS c SET walker = NULL,
             walked_at = CASE WHEN $4 THEN greatest(walked_at, $3) ELSE walked_at END,
             followed_until = CASE WHEN $5 THEN greatest(followed_until, $3)
                 ELSE followed_until END,
             current_as_of = CASE WHEN $5 THEN greatest(current_as_of, $3) ELSE current_as_of END,
             items = (SELECT count(*) FROM wholesale_items AS i
                 WHERE i.seller_id = $2 AND i.wholesaler = c.wholesaler AND i.account_id = $1),
             walk_trouble = $6, walk_troubled_at = CASE WHEN $6 IS NOT NULL THEN $7 END,
             follow_trouble = CASE WHEN NOT $5 THEN follow_trouble END,
             follow_troubled_at = CASE WHEN NOT $5 THEN follow_troubled_at END
         WHERE account_id = $1 AND seller_id = $2",
        vec![
            Bind::from(of.account),
            Bind::from(of.seller),
            Bind::from(end.began_at),
            Bind::from(end.is_whole),
            Bind::from(end.is_current),
            Bind::from(end.trouble.clone()),
            Bind::from(at),
        ],
    );
    statement.run(transaction).await.map_err(Error::of("end a walk"))?;
    Ok(())
}

/// Notes that all that changed up to `until` is known, in a transaction of the seller; or why that is not so. Statements: 1.
///
/// # Errors
/// [`Error::Query`].
pub async fn end_follow(
    transaction: &Transaction<'_>,
    of: &Collection,
    until: DateTime<Utc>,
    trouble: Option<&str>,
) -> Result<(), Error> {
    let trouble = trouble.map(str::to_owned);
    let statement = Statement::<()>::new(
        "UPDATE collections SET
             followed_until = CASE WHEN $4 IS NULL THEN greatest(followed_until, $3)
                 ELSE followed_until END,
             current_as_of = CASE WHEN $4 IS NULL THEN greatest(current_as_of, $3)
                 ELSE current_as_of END,
             follow_trouble = $4, follow_troubled_at = CASE WHEN $4 IS NOT NULL THEN $3 END
         WHERE account_id = $1 AND seller_id = $2",
        vec![Bind::from(of.account), Bind::from(of.seller), Bind::from(until), Bind::from(trouble)],
    );
    statement.run(transaction).await.map_err(Error::of("note how far changes are followed"))?;
    Ok(())
}

/// Counts products that are new, in a transaction of the seller. Statements: 1; none where there are none.
///
/// # Errors
/// [`Error::Query`].
pub async fn add_items(
    transaction: &Transaction<'_>,
    of: &Collection,
    created: u64,
) -> Result<(), Error> {
    if created == 0 {
        return Ok(());
    }
    let statement = Statement::<()>::new(
        "INSERT INTO collections AS c (account_id, seller_id, wholesaler, items)
         VALUES ($1, $2, $3, $4)
         ON CONFLICT (account_id, seller_id) DO UPDATE SET items = c.items + excluded.items",
        [of.binds(), vec![Bind::from(i64::try_from(created).unwrap_or(i64::MAX))]].concat(),
    );
    statement.run(transaction).await.map_err(Error::of("count what was collected"))?;
    Ok(())
}

/// Notes why an attempt came to nothing, in a transaction of the seller. `given_up` is the job that does not walk the account any
/// more, where it did. Statements: 1.
///
/// # Errors
/// [`Error::Query`].
pub async fn trouble(
    transaction: &Transaction<'_>,
    of: &Collection,
    (attempt, why): (Attempt, &str),
    at: DateTime<Utc>,
    given_up: Option<JobId>,
) -> Result<(), Error> {
    let kind = match attempt {
        Attempt::Walk => "walk",
        Attempt::Follow => "follow",
    };
    let statement = Statement::<()>::new(
        format!(
            "INSERT INTO collections AS c
                 (account_id, seller_id, wholesaler, {kind}_trouble, {kind}_troubled_at)
             VALUES ($1, $2, $3, $4, $5)
             ON CONFLICT (account_id, seller_id) DO UPDATE
                 SET {kind}_trouble = excluded.{kind}_trouble,
                     {kind}_troubled_at = excluded.{kind}_troubled_at,
                     walker = nullif(c.walker, $6)"
        ),
        [
            of.binds(),
            vec![Bind::from(why), Bind::from(at), Bind::from(given_up.map(JobId::as_uuid))],
        ]
        .concat(),
    );
    statement.run(transaction).await.map_err(Error::of("note a collection's trouble"))?;
    Ok(())
}

impl Collection {
    fn binds(&self) -> Vec<Bind> {
        let wholesaler = Bind::from(self.wholesaler.as_str());
        vec![Bind::from(self.account), Bind::from(self.seller), wholesaler]
    }
}

/// Which schedules there are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Schedule {
    /// Whether catalogues are walked by one.
    pub walks: bool,
    /// Whether changes are followed by one.
    pub follows: bool,
}

/// An account that was collected from, and whose turn it is, or of which that is not known yet.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Due {
    /// Whose.
    pub of: Collection,
    /// What the seller calls the account.
    pub name: String,
    /// When it is to be walked.
    pub walk: Option<DateTime<Utc>>,
    /// When its changes are to be followed.
    pub follow: Option<DateTime<Utc>>,
    /// How many items were asked for; all of them where absent.
    pub most: Option<u64>,
}

/// Accounts whose turn it is by now, of all sellers; at most 1,000. Statements: 1. Reads across sellers: it finds whose turn it
/// is.
///
/// # Errors
/// [`Error::NoConnection`], [`Error::Busy`], [`Error::Query`], [`Error::CorruptRow`].
pub async fn due(pool: &Pool, schedule: Schedule, now: DateTime<Utc>) -> Result<Vec<Due>, Error> {
    const ACTION: &str = "find whose turn it is";
    let is_due = |column| format!("(c.{column} IS NULL OR c.{column} <= $1)");
    let is_due = match schedule {
        Schedule { walks: true, follows: true } => {
            format!("({} OR {})", is_due("walk_due_at"), is_due("follow_due_at"))
        }
        Schedule { walks: true, follows: false } => is_due("walk_due_at"),
        Schedule { walks: false, follows: true } => is_due("follow_due_at"),
        Schedule { walks: false, follows: false } => return Ok(Vec::new()),
    };
    let statement = Statement::<RowSql>::new(
        format!(
            "SELECT c.seller_id, c.account_id, c.wholesaler, a.name, c.walk_due_at, c.follow_due_at,
                 c.most
             FROM collections AS c
             JOIN wholesaler_accounts AS a ON a.id = c.account_id AND a.seller_id = c.seller_id
             WHERE a.is_active AND a.deleted_at IS NULL AND c.followed_until IS NOT NULL
               AND {is_due}
             ORDER BY least(c.walk_due_at, c.follow_due_at) NULLS FIRST LIMIT 1000"
        ),
        vec![Bind::from(now)],
    );
    let connection = pool.get().await?;
    let rows: Vec<Row> = statement.all(&connection).await.map_err(Error::of(ACTION))?;
    let due = |row: Row| {
        let wholesaler = row.wholesaler.parse();
        let wholesaler =
            wholesaler.map_err(|_| Error::CorruptRow { action: ACTION, what: "wholesaler" })?;
        let of = Collection { seller: row.seller.into(), account: row.account.into(), wholesaler };
        let most = row.most.and_then(|most| u64::try_from(most).ok());
        Ok(Due { of, name: row.name, walk: row.walk, follow: row.follow, most })
    };
    rows.into_iter().map(due).collect()
}

type RowSql =
    (UuidSql, UuidSql, Text, Text, Nullable<Timestamptz>, Nullable<Timestamptz>, Nullable<BigInt>);

#[derive(Queryable)]
struct Row {
    seller: Uuid,
    account: Uuid,
    wholesaler: String,
    name: String,
    walk: Option<DateTime<Utc>>,
    follow: Option<DateTime<Utc>>,
    most: Option<i64>,
}

/// Notes when an account's turn comes next, in a transaction of its seller; false where another process has done so.
/// Statements: 1.
///
/// # Errors
/// [`Error::Query`].
pub async fn postpone(
    transaction: &Transaction<'_>,
    due: &Due,
    walk: Option<DateTime<Utc>>,
    follow: Option<DateTime<Utc>>,
) -> Result<bool, Error> {
    let statement = Statement::<()>::new(
        "UPDATE collections SET walk_due_at = $3, follow_due_at = $4
         WHERE account_id = $1 AND seller_id = $2
           AND (walk_due_at, follow_due_at) IS NOT DISTINCT FROM ($5, $6)",
        vec![
            Bind::from(due.of.account),
            Bind::from(due.of.seller),
            Bind::from(walk),
            Bind::from(follow),
            Bind::from(due.walk),
            Bind::from(due.follow),
        ],
    );
    let noted = statement.run(transaction).await.map_err(Error::of("postpone a collection"))?;
    Ok(noted == 1)
}
