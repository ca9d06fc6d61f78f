//! Statements that take long.

use std::time::Duration;

use chrono::{DateTime, Utc};
use diesel::Queryable;
use diesel::sql_types::{BigInt, Double, Nullable, Text, Timestamptz};
use diesel_async::AsyncPgConnection;

use super::masked::masked;
use super::statistics::{Extension, NoStatistics, find, readable};
use crate::{Error, Statement};

/// A statement is slow that takes longer, in the mean or once.
const SLOW: Duration = Duration::from_millis(100);
/// So many are read.
const MOST: u32 = 50;

/// The slow statements of this database.
#[derive(Debug, Clone, PartialEq)]
pub struct Slow {
    /// What counting began with.
    pub since: Option<DateTime<Utc>>,
    /// Statements of other roles, which this one may not see.
    pub hidden: u64,
    /// Those that took longest in all first; at most 50.
    pub statements: Vec<SlowStatement>,
}

/// A statement that takes long.
#[derive(Debug, Clone, PartialEq)]
pub struct SlowStatement {
    /// As PostgreSQL calls it.
    pub query_id: i64,
    /// Its text without values.
    pub text: String,
    /// How often it ran.
    pub calls: u64,
    /// How long it took each time, in the mean.
    pub mean_ms: f64,
    /// How long it took at most.
    pub max_ms: f64,
    /// How long it took in all.
    pub total_ms: f64,
    /// The rows of all calls.
    pub rows: u64,
    /// Pages of 8 kB that a call reads, in the mean.
    pub buffers_per_call: f64,
    /// How long it waited for the disk in all; 0 also where `track_io_timing` is off.
    pub read_ms: f64,
}

/// The slowest statements. Statements: 2; 1 where the extension is missing.
pub(crate) async fn slowest(
    connection: &AsyncPgConnection,
) -> Result<Result<Slow, NoStatistics>, Error> {
    let extension = match find(connection).await? {
        Ok(extension) => extension,
        Err(missing) => return Ok(Err(missing)),
    };
    let rows: Vec<Row> = match readable(statement(&extension).all(connection).await)? {
        Ok(rows) => rows,
        Err(missing) => return Ok(Err(missing)),
    };
    let first = rows.first();
    Ok(Ok(Slow {
        since: first.and_then(|row| row.since),
        hidden: first.map_or(0, |row| row.hidden.cast_unsigned()),
        statements: rows.into_iter().filter_map(Row::into_slow).collect(),
    }))
}

type RowSql = (
    Nullable<Timestamptz>,
    BigInt,
    Nullable<BigInt>,
    Nullable<Text>,
    Nullable<BigInt>,
    Nullable<Double>,
    Nullable<Double>,
    Nullable<BigInt>,
    Nullable<BigInt>,
    Nullable<Double>,
);

#[derive(Queryable)]
struct Row {
    since: Option<DateTime<Utc>>,
    hidden: i64,
    query_id: Option<i64>,
    text: Option<String>,
    calls: Option<i64>,
    total_ms: Option<f64>,
    max_ms: Option<f64>,
    rows: Option<i64>,
    buffers: Option<i64>,
    read_ms: Option<f64>,
}

impl Row {
    #[expect(clippy::cast_precision_loss, reason = "for people to read; 53 bits are enough")]
    fn into_slow(self) -> Option<SlowStatement> {
        let calls = self.calls?.max(1).cast_unsigned();
        Some(SlowStatement {
            query_id: self.query_id?,
            text: masked(self.text.as_deref().unwrap_or_default()),
            calls,
            mean_ms: self.total_ms? / calls as f64,
            max_ms: self.max_ms?,
            total_ms: self.total_ms?,
            rows: self.rows?.cast_unsigned(),
            buffers_per_call: self.buffers? as f64 / calls as f64,
            read_ms: self.read_ms?,
        })
    }
}

/// One row at least, so that it tells what is hidden also where nothing is slow.
fn statement(Extension { schema, read_time }: &Extension) -> Statement<RowSql> {
    let slow_ms = SLOW.as_millis();
    Statement::new(
        format!(
            "WITH here AS MATERIALIZED (
                 SELECT s.* FROM {schema}.pg_stat_statements AS s
                 JOIN pg_database AS d ON d.oid = s.dbid WHERE d.datname = current_database()
             ), slow AS (
                 SELECT queryid, min(query) AS query, sum(calls)::bigint AS calls,
                        sum(total_exec_time) AS total_ms, max(max_exec_time) AS max_ms,
                        sum(rows)::bigint AS rows,
                        sum(shared_blks_hit + shared_blks_read)::bigint AS buffers,
                        sum({read_time}) AS read_ms
                 FROM here WHERE queryid IS NOT NULL
                 GROUP BY queryid
                 HAVING max(max_exec_time) > {slow_ms}
                     OR sum(total_exec_time) > {slow_ms} * sum(calls)
                 ORDER BY sum(total_exec_time) DESC
                 LIMIT {MOST}
             )
             SELECT info.stats_reset, (SELECT count(*) FROM here WHERE queryid IS NULL), slow.*
             FROM {schema}.pg_stat_statements_info AS info LEFT JOIN slow ON true
             ORDER BY slow.total_ms DESC"
        ),
        vec![],
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_are_called_as_the_extension_calls_them() {
        for read_time in ["blk_read_time", "shared_blk_read_time"] {
            let extension = Extension { schema: "\"My Stats\"".to_owned(), read_time };
            let statement = statement(&extension);
            assert!(statement.text().contains(&format!("sum({read_time})")));
            assert!(statement.text().contains("FROM \"My Stats\".pg_stat_statements AS s"));
        }
    }
}
