//! What statements read, found out by running them.

use std::time::Duration;

use serde_json::Value;
use tokio_postgres::Client;
use tokio_postgres::types::{Format, IsNull, ToSql, Type, to_sql_checked};

use super::workload::{Query, Values};
use crate::{Bind, Plan};

/// A replayed statement may take so long.
const TIMEOUT: Duration = Duration::from_secs(5);

/// What a statement read, or why that is not known.
#[derive(Debug, Clone)]
pub(super) enum Measured {
    Read(Box<Plan>),
    TimedOut,
    /// Nobody waited for it.
    NoTime,
    Failed(String),
}

impl Measured {
    pub(super) fn buffers(&self) -> Option<u64> {
        self.plan().map(Plan::buffers)
    }

    pub(super) fn plan(&self) -> Option<&Plan> {
        match self {
            Self::Read(plan) => Some(plan),
            Self::TimedOut | Self::NoTime | Self::Failed(_) => None,
        }
    }
}

/// Runs a statement in a transaction that cannot write, and says what it read. Twice: the first time may also mark rows as
/// visible, and the less of both is what it takes.
pub(super) async fn measure(client: &Client, query: &Query) -> Measured {
    match (once(client, query).await, once(client, query).await) {
        (Measured::Read(first), Measured::Read(second)) => {
            Measured::Read(if second.buffers() <= first.buffers() { second } else { first })
        }
        (Measured::Read(one), _) | (_, Measured::Read(one)) => Measured::Read(one),
        (_, other) => other,
    }
}

async fn once(client: &Client, query: &Query) -> Measured {
    let begin = format!(
        "BEGIN READ ONLY; SET LOCAL statement_timeout = {}; SET LOCAL lock_timeout = '1s'; {}",
        TIMEOUT.as_millis(),
        query.settings
    );
    let explain = format!("EXPLAIN (ANALYZE, BUFFERS, TIMING OFF, FORMAT JSON) {}", query.text);
    let measured = async {
        client.batch_execute(&begin).await?;
        ask(client, &explain, query).await
    }
    .await;
    // What a statement may have locked for its session goes with the transaction's end.
    let ended = client.batch_execute("ROLLBACK; SELECT pg_advisory_unlock_all()").await;
    match (measured, ended) {
        (Ok(plan), Ok(())) => Measured::Read(Box::new(Plan::new(plan))),
        (Err(error), _)
            if error.code() == Some(&tokio_postgres::error::SqlState::QUERY_CANCELED) =>
        {
            Measured::TimedOut
        }
        (Err(error), _) | (_, Err(error)) => Measured::Failed(refusal(&error)),
    }
}

/// Why a statement could not be run, without what PostgreSQL says: that may show values.
fn refusal(error: &tokio_postgres::Error) -> String {
    match error.code() {
        Some(code) => format!("PostgreSQL refused it with SQLSTATE {}", code.code()),
        None => "the connection was lost".to_owned(),
    }
}

/// What an `EXPLAIN` of a statement says. The types of its values are said, not guessed: else it would be another statement.
pub(super) async fn ask(
    client: &Client,
    explain: &str,
    query: &Query,
) -> Result<Value, tokio_postgres::Error> {
    let (types, values): (Vec<Type>, Vec<_>) = match &query.values {
        Values::Ours(values) => values.iter().map(typed).unzip(),
        Values::Sampled(values) => (vec![], values.iter().map(|value| sampled(value)).collect()),
    };
    let values: Vec<&(dyn ToSql + Sync)> =
        values.iter().map(|value| &**value as &(dyn ToSql + Sync)).collect();
    let statement = client.prepare_typed(explain, &types).await?;
    Ok(client.query_one(&statement, &values).await?.get(0))
}

fn typed(bind: &Bind) -> (Type, Box<dyn ToSql + Sync + Send>) {
    match bind.clone() {
        Bind::Uuid(value) => (Type::UUID, Box::new(value)),
        Bind::OptionalUuid(value) => (Type::UUID, Box::new(value)),
        Bind::Uuids(value) => (Type::UUID_ARRAY, Box::new(value)),
        Bind::BigInt(value) => (Type::INT8, Box::new(value)),
        Bind::OptionalBigInt(value) => (Type::INT8, Box::new(value)),
        Bind::BigInts(value) => (Type::INT8_ARRAY, Box::new(value)),
        Bind::Integer(value) => (Type::INT4, Box::new(value)),
        Bind::Integers(value) => (Type::INT4_ARRAY, Box::new(value)),
        Bind::Text(value) => (Type::TEXT, Box::new(value)),
        Bind::OptionalText(value) => (Type::TEXT, Box::new(value)),
        Bind::Texts(value) => (Type::TEXT_ARRAY, Box::new(value)),
        Bind::Bool(value) => (Type::BOOL, Box::new(value)),
        Bind::Bytes(value) => (Type::BYTEA, Box::new(value)),
        Bind::ManyBytes(value) => (Type::BYTEA_ARRAY, Box::new(value)),
        Bind::Time(value) => (Type::TIMESTAMPTZ, Box::new(value)),
        Bind::OptionalTime(value) => (Type::TIMESTAMPTZ, Box::new(value)),
        Bind::Day(value) => (Type::DATE, Box::new(value)),
        Bind::Json(value) => (Type::JSONB, Box::new(value)),
    }
}

fn sampled(value: &str) -> Box<dyn ToSql + Sync + Send> {
    Box::new(AsText(value.to_owned()))
}

/// A value as PostgreSQL would print it, of whatever type it takes there.
#[derive(Debug)]
struct AsText(String);

impl ToSql for AsText {
    fn to_sql(
        &self,
        _: &Type,
        out: &mut bytes::BytesMut,
    ) -> Result<IsNull, Box<dyn std::error::Error + Sync + Send>> {
        out.extend_from_slice(self.0.as_bytes());
        Ok(IsNull::No)
    }

    fn accepts(_: &Type) -> bool {
        true
    }

    fn encode_format(&self, _: &Type) -> Format {
        Format::Text
    }

    to_sql_checked!();
}
