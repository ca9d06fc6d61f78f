//! How events leave the outbox, and how processes follow them.

use std::time::Duration;

use diesel::Queryable;
use diesel::sql_types::{BigInt, Bool, Jsonb, Nullable, Text};
use jebi_domain::{EventId, SellerId};
use serde_json::Value;
use uuid::Uuid;

use crate::repeats::{Reason, expected};
use crate::{Admin, Bind, Error, Pool, Statement};

type UuidSql = diesel::sql_types::Uuid;

/// Something that was committed.
#[derive(Debug, Clone, PartialEq)]
pub struct Happened {
    /// The same however often it is reported.
    pub id: EventId,
    /// Whose it is.
    pub seller: SellerId,
    /// Like `orders:updated`.
    pub event: String,
    /// The order, or the product, that it happened to.
    pub aggregate: Uuid,
    /// What else is told of it; no personal data.
    pub payload: Value,
}

/// What was moved since a process last looked.
#[derive(Debug, Clone, PartialEq)]
pub struct News {
    /// In their order. Where there are more than 1,000, the next look brings the others.
    pub events: Vec<Happened>,
    /// Where the next look begins.
    pub upto: i64,
    /// Whether events are missing: they were thrown away before this look.
    pub is_broken: bool,
    /// The last event that Redis has heard of.
    pub announced: i64,
    /// All that was committed so long ago, or longer, is in `events` or came before; `None` where there is more
    /// to come, or where nobody has moved events yet.
    pub complete_until: Option<Duration>,
}

/// As many events as are moved or read at once.
const AT_ONCE: i32 = 1_000;

/// Moves what was committed from the outbox to `events`, where `mover` holds the lease or can take it; holds it for a
/// second. Gives whether it does. Statements: 1 for 1,000 events, and 1 more.
///
/// # Errors
/// [`Error::NoConnection`], [`Error::Busy`], [`Error::Query`].
pub async fn move_events(pool: &Pool, mover: Uuid) -> Result<bool, Error> {
    loop {
        let statement = Statement::<Nullable<BigInt>>::new(
            "SELECT jebi_move_events($1, $2)",
            vec![Bind::from(mover), Bind::from(AT_ONCE)],
        );
        let connection = pool.get().await?;
        let moved = expected(Reason::Chunks, statement.one(&connection)).await;
        let moved: Option<i64> = moved.map_err(Error::of("move events"))?;
        match moved {
            None => return Ok(false),
            Some(moved) if moved < i64::from(AT_ONCE) => return Ok(true),
            Some(_) => {}
        }
    }
}

/// The last event that was moved. Statements: 1.
///
/// # Errors
/// [`Error::NoConnection`], [`Error::Busy`], [`Error::Query`].
pub async fn last(pool: &Pool) -> Result<i64, Error> {
    let statement = Statement::<BigInt>::new("SELECT sequence FROM relay", vec![]);
    let connection = pool.get().await?;
    statement.one(&connection).await.map_err(Error::of("find the last event"))
}

/// What was moved after event `after`, of all sellers. Statements: 1.
///
/// # Errors
/// [`Error::NoConnection`], [`Error::Busy`], [`Error::Query`].
pub async fn news(pool: &Pool, after: i64) -> Result<News, Error> {
    let connection = pool.get().await?;
    let rows: Vec<Row> =
        news_statement(after).all(&connection).await.map_err(Error::of("read events"))?;
    let first = rows.first();
    let (last, announced) = first.map_or((after, after), |row| (row.last, row.announced));
    let drained_ago = first.filter(|row| row.is_drained).map(|row| row.drained_ago_ms);
    let numbers: Vec<i64> = rows.iter().filter_map(|row| row.sequence).collect();
    let upto = numbers.last().copied().unwrap_or(after);
    // Numbers run without gaps, and the last one stays as long as no later one came.
    let is_broken = numbers.first().map_or(last != after, |first| *first != after + 1);
    let complete_until = drained_ago
        .filter(|_| upto == last)
        .map(|ago| Duration::from_millis(u64::try_from(ago).unwrap_or(0)));
    Ok(News {
        events: rows.into_iter().filter_map(Row::into_event).collect(),
        upto: if is_broken { last } else { upto },
        is_broken,
        announced,
        complete_until,
    })
}

/// Notes that Redis has heard of all events up to `upto`. Statements: 1.
///
/// # Errors
/// [`Error::NoConnection`], [`Error::Busy`], [`Error::Query`].
pub async fn announced(pool: &Pool, upto: i64) -> Result<(), Error> {
    let statement = Statement::<()>::new(
        "UPDATE relay SET announced = $1 WHERE announced < $1",
        vec![Bind::from(upto)],
    );
    let connection = pool.get().await?;
    statement.run(&connection).await.map(|_| ()).map_err(Error::of("note what was announced"))
}

/// The names of the events that this program writes.
pub const NAMES: &[&str] = &[
    "orders:created",
    "orders:updated",
    "orders:imported",
    "products:created",
    "products:updated",
    "products:imported",
];

/// The names of the last 10,000 events, whichever program wrote them. Statements: 1.
///
/// # Errors
/// [`Error::NoConnection`], [`Error::Query`].
pub async fn names(admin: &Admin) -> Result<Vec<String>, Error> {
    let statement = Statement::<Text>::new(
        "SELECT event FROM (SELECT event FROM outbox LIMIT 10000) AS waiting
         UNION SELECT event FROM (
             SELECT event FROM events ORDER BY sequence DESC LIMIT 10000
         ) AS moved
         ORDER BY 1",
        vec![],
    );
    statement.all(admin).await.map_err(Error::of("read the names of events"))
}

/// Makes room for the events of the coming days, and throws those away that are older than a week.
/// Statements: 1.
///
/// # Errors
/// [`Error::NoConnection`], [`Error::Busy`], [`Error::Query`].
pub async fn rotate(pool: &Pool) -> Result<(), Error> {
    const DAYS: i32 = 7;
    let statement = Statement::<()>::new("SELECT jebi_rotate_events($1)", vec![Bind::from(DAYS)]);
    let connection = pool.get().await?;
    statement.run(&connection).await.map(|_| ()).map_err(Error::of("rotate the events"))
}

pub(crate) type RowSql = (
    BigInt,
    BigInt,
    BigInt,
    Bool,
    Nullable<BigInt>,
    Nullable<UuidSql>,
    Nullable<UuidSql>,
    Nullable<Text>,
    Nullable<UuidSql>,
    Nullable<Jsonb>,
);

#[derive(Queryable)]
struct Row {
    last: i64,
    announced: i64,
    drained_ago_ms: i64,
    is_drained: bool,
    sequence: Option<i64>,
    id: Option<Uuid>,
    seller: Option<Uuid>,
    event: Option<String>,
    aggregate: Option<Uuid>,
    payload: Option<Value>,
}

impl Row {
    fn into_event(self) -> Option<Happened> {
        Some(Happened {
            id: self.id?.into(),
            seller: self.seller?.into(),
            event: self.event?,
            aggregate: self.aggregate?,
            payload: self.payload?,
        })
    }
}

/// Of all sellers: it says to every process what happened to any of them.
pub(crate) fn news_statement(after: i64) -> Statement<RowSql> {
    Statement::new(
        "SELECT relay.sequence, relay.announced,
             CASE WHEN isfinite(drained_at) THEN
                 ceil(extract(epoch FROM clock_timestamp() - drained_at) * 1000)::bigint
             ELSE 0 END,
             isfinite(drained_at), e.sequence, e.event_id, e.seller_id, e.event, e.aggregate_id,
             e.payload
         FROM relay LEFT JOIN LATERAL (
             SELECT * FROM events WHERE events.sequence > $1 ORDER BY events.sequence LIMIT 1000
         ) AS e ON true
         ORDER BY e.sequence",
        vec![Bind::from(after)],
    )
}
