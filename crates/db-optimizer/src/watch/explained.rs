//! How PostgreSQL would run a statement of `pg_stat_statements`, which has no values.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use diesel::result::Error as Diesel;
use diesel::sql_types::{Json, Text};
use diesel::{QueryResult, sql_query};
use diesel_async::{AsyncPgConnection, RunQueryDsl as _, SimpleAsyncConnection as _};
use serde_json::Value;
use tokio::time::Instant;

use super::SlowStatement;
use super::masked::without_values;
use super::statistics::{find, readable};
use crate::text::{Token, tokens};
use crate::{Bind, Error, Plan, Pool, Statement};

/// A plan is asked for again after so long: statistics and indexes change.
const TRUSTED_FOR: Duration = Duration::from_mins(10);
/// So many are kept.
const MOST: usize = 200;
/// So many are asked for at once, each by a few statements.
const AT_ONCE: usize = 5;
const ACTION: &str = "explain a slow statement";

/// The plan, or in one sentence why there is none.
pub type Explained = Result<String, String>;

/// The plans of slow statements, as they were seen last.
#[derive(Debug, Default)]
pub struct Explanations(Mutex<HashMap<i64, (Instant, Explained)>>);

impl Explanations {
    /// The plan of a statement, where it was asked for.
    #[must_use]
    pub fn of(&self, query_id: i64) -> Option<Explained> {
        let known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        known.get(&query_id).map(|(_, plan)| plan.clone())
    }

    /// Asks for the plans of those of the statements that were not asked for lately, 5 at once. Statements: 6 for each,
    /// in a transaction of its own that cannot write, and runs none of them.
    ///
    /// # Errors
    /// [`Error::NoConnection`], [`Error::Busy`], [`Error::Query`].
    pub async fn follow(&self, pool: &Pool, slow: &[SlowStatement]) -> Result<(), Error> {
        let unknown: Vec<i64> = {
            let mut known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
            known.retain(|id, (at, _)| {
                at.elapsed() < TRUSTED_FOR || slow.iter().any(|statement| statement.query_id == *id)
            });
            let is_due = |id: &i64| {
                known.get(id).is_none_or(|(at, _)| at.elapsed() >= TRUSTED_FOR)
                    && (known.len() < MOST || known.contains_key(id))
            };
            slow.iter().map(|slow| slow.query_id).filter(is_due).take(AT_ONCE).collect()
        };
        for query_id in unknown {
            let plan = plan_of(pool, query_id).await?;
            let mut known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
            known.insert(query_id, (Instant::now(), plan));
        }
        Ok(())
    }
}

/// How PostgreSQL would run a statement whatever its values: the plan that it also takes for a prepared one after some
/// runs. `EXPLAIN (GENERIC_PLAN)` came with PostgreSQL 16; this works before as well.
async fn plan_of(pool: &Pool, query_id: i64) -> Result<Explained, Error> {
    let settings = "SET LOCAL statement_timeout = '2s'; SET LOCAL lock_timeout = '500ms'; \
                    SET LOCAL plan_cache_mode = force_generic_plan";
    let mut transaction = pool.snapshot_with(settings).await?;
    let Ok(extension) = find(&transaction).await? else {
        transaction.rollback().await?;
        return Ok(Err("pg_stat_statements is missing".to_owned()));
    };
    let text = Statement::<Text>::new(
        format!(
            "SELECT s.query FROM {}.pg_stat_statements AS s
             JOIN pg_database AS d ON d.oid = s.dbid
             WHERE d.datname = current_database() AND s.queryid = $1 AND s.query IS NOT NULL
             LIMIT 1",
            extension.schema
        ),
        vec![Bind::from(query_id)],
    );
    let texts: Vec<String> = readable(text.all(&transaction).await)?.unwrap_or_default();
    let Some(text) = texts.into_iter().next() else {
        transaction.rollback().await?;
        return Ok(Err("it is not in pg_stat_statements any more".to_owned()));
    };
    let explained = explain(&mut transaction, &text).await;
    transaction.rollback().await?;
    match explained {
        Ok(plan) => Ok(Ok(Plan::new(plan).expected())),
        Err(Diesel::DatabaseError(_, info)) => {
            let said = without_values(info.message());
            Ok(Err(format!("PostgreSQL does not plan it without its values: {said}")))
        }
        Err(error) => Err(Error::of(ACTION)(error)),
    }
}

async fn explain(connection: &mut AsyncPgConnection, text: &str) -> QueryResult<Value> {
    let values = tokens(text).into_iter().filter_map(|token| match token {
        Token::Value(value) => Some(value),
        _ => None,
    });
    let nulls = vec!["NULL"; values.max().unwrap_or(0)].join(", ");
    let given = if nulls.is_empty() { String::new() } else { format!("({nulls})") };
    // By a protocol that takes one statement, whatever the text holds.
    sql_query(format!("PREPARE jebi_explained AS {text}")).execute(connection).await?;
    connection.batch_execute("SAVEPOINT prepared").await?;
    let explain = format!("EXPLAIN (FORMAT JSON) EXECUTE jebi_explained{given}");
    let plan = Statement::<Json>::new(explain, vec![]).one(connection).await;
    // A prepared statement outlives its transaction.
    connection.batch_execute("ROLLBACK TO prepared; DEALLOCATE jebi_explained").await?;
    plan
}
