//! What to do about what was seen: nothing is advised without its evidence.

use chrono::{DateTime, Utc};

use super::{Seen, Table};
use crate::pool::PoolWaits;
use crate::repeats::Finding;
use crate::watch::Regression;

/// Something to do.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Advice {
    /// What it is about, as in `invalid_index`.
    pub kind: &'static str,
    /// What was seen.
    pub evidence: String,
    /// What to do about it.
    pub action: String,
}

/// What a running service knows beside what it sees in the database.
#[derive(Debug, Clone, Default)]
pub struct Known {
    /// Statements that are repeated.
    pub repeats: Vec<Finding>,
    /// Statements that read more than they used to, with their texts.
    pub regressions: Vec<(Regression, String)>,
    /// How callers waited for a connection.
    pub waits: PoolWaits,
}

/// An index that takes less room is not worth a thought.
const WORTH_BYTES: i64 = 1 << 20;
/// Fewer scans may be a backup and an index being made.
const MANY_SCANS: i64 = 10;
/// With more dead rows than this share autovacuum is behind: it begins at a fifth.
const MANY_DEAD: f64 = 0.25;
/// With a smaller share an index-only scan is none.
const MANY_VISIBLE: f64 = 0.5;

/// What to do, the most urgent first.
#[must_use]
pub fn advise(seen: &Seen, known: &Known) -> Vec<Advice> {
    let mut found = Vec::new();
    let mut advise = |kind, evidence: String, action: String| {
        found.push(Advice { kind, evidence, action });
    };
    for finding in &known.repeats {
        advise(
            "n_plus_one",
            format!(
                "{} ran one statement {} times, in {} requests: {}",
                finding.work, finding.count, finding.times, finding.statement
            ),
            "read all its rows by one statement, with = ANY($1)".to_owned(),
        );
    }
    for (regression, text) in &known.regressions {
        let (before, now) = (regression.before, regression.now);
        advise(
            "plan_regression",
            format!("a call reads {now:.0} pages, before it were {before:.0}: {text}"),
            "run ANALYZE on its tables; where that does not help, compare its plan by EXPLAIN \
             (ANALYZE, BUFFERS)"
                .to_owned(),
        );
    }
    if let Some(indexes) = &seen.indexes {
        for index in indexes.invalid() {
            advise(
                "invalid_index",
                format!(
                    "{} is not valid and takes {}: a concurrent build of it broke off; no \
                     statement uses it, and every write keeps it up",
                    index.name,
                    size(index.bytes)
                ),
                format!(
                    "DROP INDEX CONCURRENTLY {}; then build it again: {}",
                    index.name, index.definition
                ),
            );
        }
        for key in &indexes.missing {
            let columns = key.columns.join(", ");
            advise(
                "missing_foreign_key_index",
                format!(
                    "{} ({columns}) refers to {}, and no index begins with it: a row deleted there \
                     reads {} rows here",
                    key.table, key.refers_to, key.rows
                ),
                format!("CREATE INDEX CONCURRENTLY ON {} ({columns})", key.table),
            );
        }
        for (index, other) in indexes.duplicates() {
            let size = size(index.bytes);
            advise(
                "duplicate_index",
                format!("{} takes {size} and does what {other} does", index.name),
                format!("DROP INDEX CONCURRENTLY {}", index.name),
            );
        }
        for index in indexes.unused().filter(|index| index.bytes >= WORTH_BYTES) {
            advise(
                "unused_index",
                format!(
                    "{} takes {} and was not used once since {}",
                    index.name,
                    size(index.bytes),
                    since(indexes.since)
                ),
                format!(
                    "once that is as long as your business takes to do everything it does, on \
                     replicas too: DROP INDEX CONCURRENTLY {}",
                    index.name
                ),
            );
        }
    }
    seen.tables.iter().for_each(|table| about_table(table, &mut advise));
    if let Some(Ok(slow)) = &seen.slow {
        for statement in &slow.statements {
            advise(
                "slow_statement",
                format!(
                    "{:.0} ms in the mean and {:.0} ms at most, in {} calls that read {:.0} pages \
                     each: {}",
                    statement.mean_ms,
                    statement.max_ms,
                    statement.calls,
                    statement.buffers_per_call,
                    statement.text
                ),
                "look at its plan by EXPLAIN (ANALYZE, BUFFERS)".to_owned(),
            );
        }
    }
    let waits = &known.waits;
    if waits.refused > 0 {
        advise(
            "pool_waits",
            format!(
                "{} of {} callers who waited for a connection got none; the longest wait was {} ms",
                waits.refused,
                waits.callers,
                waits.longest.as_millis()
            ),
            "see which statements hold connections long; raise DATABASE_POOL_SIZE only up to \
             about four times the cores of the database"
                .to_owned(),
        );
    }
    found
}

fn about_table(table: &Table, advise: &mut impl FnMut(&'static str, String, String)) {
    if !table.is_large() {
        return;
    }
    let Table { name, rows, sequential_scans: scans, .. } = table;
    if *scans >= MANY_SCANS && table.sequential_rows / scans >= rows / 2 {
        advise(
            "sequential_scans",
            format!("{name} has {rows} rows and was read from end to end {scans} times"),
            "find the statement among the slow ones, or by EXPLAIN, and give it an index"
                .to_owned(),
        );
    }
    if table.dead_share() > MANY_DEAD {
        advise(
            "dead_rows",
            format!(
                "{} % of the rows of {name} are dead; it was last vacuumed {}",
                percent(table.dead_share()),
                when(table.vacuumed_at)
            ),
            format!("VACUUM {name}; then see that autovacuum is on and keeps up"),
        );
    }
    if table.analyzed_at.is_none() {
        advise(
            "no_statistics",
            format!("{name} has {rows} rows and was never analyzed: the planner guesses"),
            format!("ANALYZE {name}"),
        );
    }
    if table.vacuumed_at.is_some() && table.visible_share() < MANY_VISIBLE {
        advise(
            "visibility",
            format!(
                "{} % of the pages of {name} are known to be visible: index-only scans read the \
                 others; it was last vacuumed {}",
                percent(table.visible_share()),
                when(table.vacuumed_at)
            ),
            format!("VACUUM {name}; where it comes back, lower autovacuum_vacuum_scale_factor"),
        );
    }
}

fn size(bytes: i64) -> String {
    match bytes {
        ..1_048_576 => format!("{} kB", bytes / 1_024),
        _ => format!("{} MB", bytes / 1_048_576),
    }
}

#[expect(clippy::cast_possible_truncation, reason = "0 to 100")]
fn percent(share: f64) -> i64 {
    (share * 100.0).round() as i64
}

fn when(at: Option<DateTime<Utc>>) -> String {
    at.map_or_else(|| "never".to_owned(), |at| at.format("on %F at %R UTC").to_string())
}

fn since(at: Option<DateTime<Utc>>) -> String {
    let never = "the database was made, or the server crashed";
    at.map_or_else(|| never.to_owned(), |at| at.format("%F %R UTC").to_string())
}
