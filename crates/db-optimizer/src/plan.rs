use diesel::QueryResult;
use diesel_async::AsyncPgConnection;

use crate::{Error, Pool, Statement};

/// What PostgreSQL did for a statement, from `EXPLAIN (ANALYZE, BUFFERS)`. Buffers are pages of 8 kB
/// and repeat from run to run, which times do not.
#[derive(Debug, Clone)]
pub struct Plan(serde_json::Value);

/// Runs a statement under `EXPLAIN (ANALYZE, BUFFERS)`. Statements: 1. A statement that writes, writes.
///
/// # Errors
/// [`Error::Query`] where the statement fails.
pub async fn explain<Row>(pool: &Pool, statement: &Statement<Row>) -> Result<Plan, Error> {
    const ACTION: &str = "explain a statement";
    let connection = pool.get().await?;
    let explained = statement.explained::<diesel::sql_types::Json>("ANALYZE, BUFFERS, FORMAT JSON");
    let plan: serde_json::Value = explained.one(&connection).await.map_err(Error::of(ACTION))?;
    Ok(Plan(plan))
}

/// How many rows the planner thinks a statement gives, from its statistics; nothing is read. Statements: 1.
pub(crate) async fn estimated_rows<Row>(
    connection: &AsyncPgConnection,
    statement: &Statement<Row>,
) -> QueryResult<u64> {
    let explained = statement.explained::<diesel::sql_types::Json>("FORMAT JSON");
    let plan: serde_json::Value = explained.one(connection).await?;
    Ok(plan[0]["Plan"]["Plan Rows"].as_u64().unwrap_or(0))
}

impl Plan {
    /// Pages read from the cache of PostgreSQL or from disk, planning left out.
    #[must_use]
    pub fn buffers(&self) -> u64 {
        let top = &self.0[0]["Plan"];
        let pages = |key: &str| top[key].as_u64().unwrap_or(0);
        pages("Shared Hit Blocks") + pages("Shared Read Blocks")
    }

    /// The tables that were read from end to end.
    #[must_use]
    pub fn sequential_scans(&self) -> Vec<String> {
        self.names("Seq Scan", "Relation Name")
    }

    /// The indexes that were used.
    #[must_use]
    pub fn indexes(&self) -> Vec<String> {
        self.names("Index", "Index Name")
    }

    /// What the nodes whose type contains `node` have under `key`.
    fn names(&self, node: &str, key: &str) -> Vec<String> {
        let mut found = Vec::new();
        let mut open = vec![&self.0[0]["Plan"]];
        while let Some(plan) = open.pop() {
            if plan["Node Type"].as_str().is_some_and(|kind| kind.contains(node)) {
                found.extend(plan[key].as_str().map(str::to_owned));
            }
            open.extend(plan["Plans"].as_array().into_iter().flatten());
        }
        found.sort();
        found.dedup();
        found
    }
}

impl std::fmt::Display for Plan {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{:#}", self.0)
    }
}
