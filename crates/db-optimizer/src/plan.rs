use std::fmt::Write as _;

use diesel::QueryResult;
use diesel_async::AsyncPgConnection;
use serde_json::Value;

use crate::watch::without_values;
use crate::{Error, Pool, Statement};

/// What PostgreSQL did for a statement, from `EXPLAIN (ANALYZE, BUFFERS)`. Buffers are pages of 8 kB
/// and repeat from run to run, which times do not.
#[derive(Debug, Clone)]
pub struct Plan(Value);

/// Runs a statement under `EXPLAIN (ANALYZE, BUFFERS)`. Statements: 1. A statement that writes, writes.
///
/// # Errors
/// [`Error::Query`] where the statement fails.
pub async fn explain<Row>(pool: &Pool, statement: &Statement<Row>) -> Result<Plan, Error> {
    const ACTION: &str = "explain a statement";
    let connection = pool.get().await?;
    let explained = statement.explained::<diesel::sql_types::Json>("ANALYZE, BUFFERS, FORMAT JSON");
    let plan: Value = explained.one(&connection).await.map_err(Error::of(ACTION))?;
    Ok(Plan(plan))
}

/// How many rows the planner thinks a statement gives, from its statistics; nothing is read. Statements: 1.
pub(crate) async fn estimated_rows<Row>(
    connection: &AsyncPgConnection,
    statement: &Statement<Row>,
) -> QueryResult<u64> {
    let explained = statement.explained::<diesel::sql_types::Json>("FORMAT JSON");
    let plan: Value = explained.one(connection).await?;
    Ok(plan[0]["Plan"]["Plan Rows"].as_u64().unwrap_or(0))
}

impl Plan {
    pub(crate) const fn new(plan: Value) -> Self {
        Self(plan)
    }

    /// Whether an index of one of these names was used.
    pub(crate) fn uses(&self, names: &[String]) -> bool {
        self.indexes().iter().any(|used| names.contains(used))
    }

    /// The plan in lines, with pages and rows and without any value: conditions hold values.
    pub(crate) fn outline(&self) -> String {
        let mut lines = String::new();
        outline(&self.0[0]["Plan"], 0, &mut lines);
        lines
    }

    /// The plan in lines as the planner expects it, where the statement was not run: without any value.
    pub(crate) fn expected(&self) -> String {
        let mut lines = String::new();
        expected(&self.0[0]["Plan"], 0, &mut lines);
        lines
    }

    /// Pages read from the cache of PostgreSQL or from disk, planning left out.
    #[must_use]
    pub fn buffers(&self) -> u64 {
        buffers(&self.0[0]["Plan"])
    }

    /// The part of them that a materialized common table expression takes, with all that it refers to.
    #[must_use]
    pub fn buffers_of(&self, expression: &str) -> u64 {
        let name = format!("CTE {expression}");
        self.nodes().into_iter().filter(|node| node["Subplan Name"] == name).map(buffers).sum()
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
        let is_one =
            |plan: &&Value| plan["Node Type"].as_str().is_some_and(|kind| kind.contains(node));
        let found = self.nodes().into_iter().filter(is_one).filter_map(|plan| plan[key].as_str());
        let mut found: Vec<String> = found.map(str::to_owned).collect();
        found.sort();
        found.dedup();
        found
    }

    fn nodes(&self) -> Vec<&Value> {
        let mut nodes = Vec::new();
        let mut open = vec![&self.0[0]["Plan"]];
        while let Some(plan) = open.pop() {
            nodes.push(plan);
            open.extend(plan["Plans"].as_array().into_iter().flatten());
        }
        nodes
    }
}

fn buffers(node: &Value) -> u64 {
    let pages = |key: &str| node[key].as_u64().unwrap_or(0);
    pages("Shared Hit Blocks") + pages("Shared Read Blocks")
}

/// What a node does, and on what.
fn head(node: &Value, depth: usize, lines: &mut String) {
    let text = |key: &str| node[key].as_str();
    let _ = write!(lines, "{:depth$}{}", "", text("Node Type").unwrap_or("?"), depth = depth * 2);
    if let Some(index) = text("Index Name") {
        let _ = write!(lines, " using {index}");
    }
    if let Some(table) = text("Relation Name").or_else(|| text("CTE Name")) {
        let _ = write!(lines, " on {table}");
    }
}

/// The conditions of a node that tell what it has to look at.
const CONDITIONS: [&str; 5] = ["Index Cond", "Recheck Cond", "Hash Cond", "Merge Cond", "Filter"];

fn expected(node: &Value, depth: usize, lines: &mut String) {
    head(node, depth, lines);
    let (rows, cost) = (&node["Plan Rows"], &node["Total Cost"]);
    let _ = writeln!(lines, ": {rows} rows expected, cost {cost}");
    for name in CONDITIONS {
        if let Some(condition) = node[name].as_str() {
            let condition = without_values(condition);
            let _ = writeln!(lines, "{:depth$}{name}: {condition}", "", depth = depth * 2 + 2);
        }
    }
    for child in node["Plans"].as_array().into_iter().flatten() {
        expected(child, depth + 1, lines);
    }
}

fn outline(node: &Value, depth: usize, lines: &mut String) {
    head(node, depth, lines);
    let (rows, loops) = (node["Actual Rows"].as_f64().unwrap_or(0.0), &node["Actual Loops"]);
    let _ = writeln!(lines, ": {rows} rows × {loops}, {} buffers", buffers(node));
    for child in node["Plans"].as_array().into_iter().flatten() {
        outline(child, depth + 1, lines);
    }
}

impl std::fmt::Display for Plan {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{:#}", self.0)
    }
}
