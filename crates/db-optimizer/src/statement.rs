use std::borrow::Cow;
use std::fmt;
use std::marker::PhantomData;

use chrono::{DateTime, NaiveDate, Utc};
use diesel::QueryResult;
use diesel::pg::Pg;
use diesel::query_builder::{AstPass, Query, QueryFragment, QueryId};
use diesel::sql_types;
use diesel_async::methods::LoadQuery;
use diesel_async::{AsyncConnectionCore as _, AsyncPgConnection, RunQueryDsl};
use futures::future::BoxFuture;
use uuid::Uuid;

use crate::repeats;

/// A value that a statement sends beside its text.
#[derive(Clone, PartialEq)]
pub enum Bind {
    /// `uuid`
    Uuid(Uuid),
    /// `uuid`, which may be absent
    OptionalUuid(Option<Uuid>),
    /// `uuid[]`
    Uuids(Vec<Uuid>),
    /// `bigint`
    BigInt(i64),
    /// `bigint`, which may be absent
    OptionalBigInt(Option<i64>),
    /// `integer`
    Integer(i32),
    /// `integer[]`
    Integers(Vec<i32>),
    /// `bigint[]`
    BigInts(Vec<i64>),
    /// `text`
    Text(String),
    /// `text`, which may be absent
    OptionalText(Option<String>),
    /// `text[]`
    Texts(Vec<String>),
    /// `boolean`
    Bool(bool),
    /// `bytea`
    Bytes(Vec<u8>),
    /// `bytea[]`
    ManyBytes(Vec<Vec<u8>>),
    /// `timestamptz`
    Time(DateTime<Utc>),
    /// `timestamptz`, which may be absent
    OptionalTime(Option<DateTime<Utc>>),
    /// `date`
    Day(NaiveDate),
    /// `jsonb`
    Json(serde_json::Value),
}

/// Lets `T` be bound without naming the variant.
macro_rules! bind_from {
    ($($from:ty => $variant:ident),+ $(,)?) => {$(
        impl From<$from> for Bind {
            fn from(value: $from) -> Self {
                Self::$variant(value.into())
            }
        }
    )+};
}

bind_from!(
    Uuid => Uuid,
    Option<Uuid> => OptionalUuid,
    Vec<Uuid> => Uuids,
    i64 => BigInt,
    Option<i64> => OptionalBigInt,
    i32 => Integer,
    Vec<i32> => Integers,
    Vec<i64> => BigInts,
    &str => Text,
    String => Text,
    Option<String> => OptionalText,
    Vec<String> => Texts,
    bool => Bool,
    Vec<u8> => Bytes,
    Vec<Vec<u8>> => ManyBytes,
    DateTime<Utc> => Time,
    Option<DateTime<Utc>> => OptionalTime,
    NaiveDate => Day,
    serde_json::Value => Json,
);

/// Binds typed ids as the UUIDs they are.
macro_rules! bind_ids {
    ($($id:ident),+ $(,)?) => {$(
        impl From<jebi_domain::$id> for Bind {
            fn from(id: jebi_domain::$id) -> Self {
                Self::Uuid(id.as_uuid())
            }
        }
    )+};
}

bind_ids!(AccountId, ApiKeyId, EventId, JobId, OrderId, ProductId, SellerId);

/// The values of a statement in the making: [`Binds::add`] answers with the placeholder to write.
#[derive(Default)]
pub(crate) struct Binds(Vec<Bind>);

impl Binds {
    /// Adds a value and gives its placeholder, `$1` for the first.
    pub(crate) fn add(&mut self, value: impl Into<Bind>) -> String {
        self.0.push(value.into());
        format!("${}", self.0.len())
    }
}

/// One SQL statement with its values, not yet run: it can be printed, explained, counted and run.
/// `Row` is the tuple of SQL types that it answers with.
///
/// The text is prepared once per connection and found again by its text, so that each shape of a
/// filter has a text and a plan of its own.
pub struct Statement<Row = ()> {
    text: String,
    /// The text cut at its placeholders.
    pieces: Vec<Piece>,
    binds: Vec<Bind>,
    row: PhantomData<fn() -> Row>,
}

enum Piece {
    /// Bytes `.0 .. .1` of the text.
    Text(usize, usize),
    /// The first mention of a value; diesel numbers values in the order in which they come.
    Value(usize),
    /// A later mention of the value that diesel knows by this number.
    Again(String),
}

impl<Row> Statement<Row> {
    /// A statement whose placeholders `$1`, `$2`, … stand for `binds`; each may stand more than once.
    /// A `$` that no digit follows, and one inside quotes, must not be in the text.
    ///
    /// # Panics
    /// Where the text names a value that is not there: a bug, and found by the first test.
    #[must_use]
    pub fn new(text: impl Into<Cow<'static, str>>, binds: Vec<Bind>) -> Self {
        let text = text.into().into_owned();
        let mut pieces = Vec::new();
        let mut order: Vec<usize> = Vec::with_capacity(binds.len());
        let mut from = 0;
        while let Some(at) = text[from..].find('$').map(|at| from + at) {
            let digits = text[at + 1..].bytes().take_while(u8::is_ascii_digit).count();
            let end = at + 1 + digits;
            let value = text[at + 1..end].parse::<usize>().ok().and_then(|n| n.checked_sub(1));
            let value = value.filter(|value| *value < binds.len());
            let value = value.expect("every placeholder of a statement has its value");
            pieces.push(Piece::Text(from, at));
            match order.iter().position(|known| *known == value) {
                Some(position) => pieces.push(Piece::Again(format!("${}", position + 1))),
                None => {
                    order.push(value);
                    pieces.push(Piece::Value(value));
                }
            }
            from = end;
        }
        pieces.push(Piece::Text(from, text.len()));
        assert_eq!(order.len(), binds.len(), "a value that no placeholder names: {text}");
        Self { text, pieces, binds, row: PhantomData }
    }

    pub(crate) fn with(text: String, binds: Binds) -> Self {
        Self::new(text, binds.0)
    }

    /// The text, with `$1`, `$2`, … for the values.
    #[must_use]
    pub fn text(&self) -> &str {
        &self.text
    }

    /// The text and the values, to be sent by other means.
    pub(crate) fn into_parts(self) -> (String, Vec<Bind>) {
        (self.text, self.binds)
    }

    /// The same under `EXPLAIN` with these options.
    pub(crate) fn explained<Explained>(&self, options: &str) -> Statement<Explained> {
        let text = format!("EXPLAIN ({options}) {}", self.text);
        Statement::new(text, self.binds.clone())
    }
}

/// Running it. A connection is shared: statements that are run on it at once are sent one behind the
/// other, in the order in which they are first polled, without waiting in between.
///
/// The futures are boxed, because diesel's own tie their lifetime to a trait in a way that the compiler
/// cannot prove `Send` of, once they are inside another `async fn`.
impl<Row> Statement<Row> {
    /// Every row.
    pub(crate) fn all<'c, T>(self, connection: &'c AsyncPgConnection) -> Answer<'c, Vec<T>>
    where
        T: Send + 'c,
        Self: LoadQuery<'c, &'c AsyncPgConnection, T> + Send + 'c,
    {
        Box::pin(async move {
            let timing = repeats::note(&self.text);
            let mut connection = connection;
            timing.run(RunQueryDsl::load(self, &mut connection)).await
        })
    }

    /// The only row; an answer without rows is an error.
    pub(crate) fn one<'c, T>(self, connection: &'c AsyncPgConnection) -> Answer<'c, T>
    where
        T: Send + 'c,
        Self: LoadQuery<'c, &'c AsyncPgConnection, T> + Send + 'c,
    {
        Box::pin(async move {
            let timing = repeats::note(&self.text);
            let mut connection = connection;
            timing.run(RunQueryDsl::get_result(self, &mut connection)).await
        })
    }

    /// The number of rows that were written.
    pub(crate) fn run<'c>(self, connection: &'c AsyncPgConnection) -> Answer<'c, usize>
    where
        Row: 'c,
    {
        Box::pin(async move {
            let timing = repeats::note(&self.text);
            let mut connection = connection;
            timing.run(connection.execute_returning_count(self)).await
        })
    }
}

type Answer<'c, T> = BoxFuture<'c, QueryResult<T>>;

/// The text alone: values may be personal.
impl<Row> fmt::Debug for Statement<Row> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Statement").field(&self.text).finish()
    }
}

impl<Row> Query for Statement<Row> {
    type SqlType = Row;
}

/// No static id: diesel's cache of prepared statements then goes by the text.
impl<Row> QueryId for Statement<Row> {
    type QueryId = ();
    const HAS_STATIC_QUERY_ID: bool = false;
}

impl<Row> QueryFragment<Pg> for Statement<Row> {
    fn walk_ast<'b>(&'b self, mut out: AstPass<'_, 'b, Pg>) -> QueryResult<()> {
        for piece in &self.pieces {
            match piece {
                Piece::Text(from, to) => out.push_sql(&self.text[*from..*to]),
                Piece::Again(placeholder) => out.push_sql(placeholder),
                Piece::Value(value) => push(&mut out, &self.binds[*value])?,
            }
        }
        Ok(())
    }
}

fn push<'b>(out: &mut AstPass<'_, 'b, Pg>, bind: &'b Bind) -> QueryResult<()> {
    use sql_types::{
        Array, BigInt, Binary, Bool, Date, Integer, Jsonb, Nullable, Text, Timestamptz,
    };
    match bind {
        Bind::Uuid(value) => out.push_bind_param::<sql_types::Uuid, _>(value),
        Bind::OptionalUuid(value) => out.push_bind_param::<Nullable<sql_types::Uuid>, _>(value),
        Bind::Uuids(value) => out.push_bind_param::<Array<sql_types::Uuid>, _>(value),
        Bind::BigInt(value) => out.push_bind_param::<BigInt, _>(value),
        Bind::OptionalBigInt(value) => out.push_bind_param::<Nullable<BigInt>, _>(value),
        Bind::BigInts(value) => out.push_bind_param::<Array<BigInt>, _>(value),
        Bind::Integer(value) => out.push_bind_param::<Integer, _>(value),
        Bind::Integers(value) => out.push_bind_param::<Array<Integer>, _>(value),
        Bind::Text(value) => out.push_bind_param::<Text, _>(value),
        Bind::OptionalText(value) => out.push_bind_param::<Nullable<Text>, _>(value),
        Bind::Texts(value) => out.push_bind_param::<Array<Text>, _>(value),
        Bind::Bool(value) => out.push_bind_param::<Bool, _>(value),
        Bind::Bytes(value) => out.push_bind_param::<Binary, _>(value),
        Bind::ManyBytes(value) => out.push_bind_param::<Array<Binary>, _>(value),
        Bind::Time(value) => out.push_bind_param::<Timestamptz, _>(value),
        Bind::OptionalTime(value) => out.push_bind_param::<Nullable<Timestamptz>, _>(value),
        Bind::Day(value) => out.push_bind_param::<Date, _>(value),
        Bind::Json(value) => out.push_bind_param::<Jsonb, _>(value),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use diesel::debug_query;

    fn shown(statement: &Statement) -> String {
        debug_query::<Pg, _>(statement).to_string()
    }

    #[test]
    fn a_value_may_stand_more_than_once_and_in_any_order() {
        let statement = Statement::<()>::new(
            "SELECT $2, $1, $2, '한글'",
            vec![Bind::from(1_i64), Bind::from(2_i64)],
        );
        assert_eq!(shown(&statement), "SELECT $1, $2, $1, '한글' -- binds: [2, 1]");
    }

    #[test]
    fn debug_shows_no_values() {
        let statement = Statement::<()>::new("SELECT $1", vec![Bind::from("010-1234-5678")]);
        assert_eq!(format!("{statement:?}"), r#"Statement("SELECT $1")"#);
    }

    #[test]
    #[should_panic(expected = "every placeholder")]
    fn a_placeholder_without_a_value_is_a_bug() {
        let _ = Statement::<()>::new("SELECT $2", vec![Bind::from(1_i64)]);
    }
}
