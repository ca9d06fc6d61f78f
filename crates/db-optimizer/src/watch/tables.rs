//! Tables: how large they are, how they are read, and how well they are kept.

use chrono::{DateTime, Utc};
use diesel::Queryable;
use diesel::sql_types::{BigInt, Nullable, Text, Timestamptz};
use diesel_async::AsyncPgConnection;

use super::NOT_OURS;
use crate::{Error, Statement};

/// With so many rows, reading a table from end to end shows.
pub(super) const LARGE_ROWS: u64 = 10_000;

/// A table, or a materialized view. Rows are estimates, as PostgreSQL keeps them.
#[derive(Debug, Clone, PartialEq, Eq, Queryable)]
pub struct Table {
    /// Its name with its schema, quoted where it has to be.
    pub name: String,
    /// Its rows.
    pub rows: i64,
    /// Rows that were deleted or replaced and still take room.
    pub dead_rows: i64,
    /// On disk, without its indexes.
    pub bytes: i64,
    /// On disk, its indexes.
    pub index_bytes: i64,
    /// How often it was read from end to end.
    pub sequential_scans: i64,
    /// How many rows that read.
    pub sequential_rows: i64,
    /// Its pages of 8 kB.
    pub pages: i64,
    /// Those of them that an index-only scan need not look at.
    pub visible_pages: i64,
    /// When it was last cleaned up, by hand or by itself.
    pub vacuumed_at: Option<DateTime<Utc>>,
    /// When its statistics were last made, by hand or by itself.
    pub analyzed_at: Option<DateTime<Utc>>,
}

impl Table {
    /// Whether it is large.
    #[must_use]
    pub const fn is_large(&self) -> bool {
        self.rows >= LARGE_ROWS.cast_signed()
    }

    /// The share of its rows that are dead; 0 where it has none.
    #[must_use]
    #[expect(clippy::cast_precision_loss, reason = "for people to read; 53 bits are enough")]
    pub fn dead_share(&self) -> f64 {
        let all = self.rows + self.dead_rows;
        if all > 0 { self.dead_rows as f64 / all as f64 } else { 0.0 }
    }

    /// The share of its pages that an index-only scan need not look at; 1 where it has none.
    #[must_use]
    #[expect(clippy::cast_precision_loss, reason = "for people to read; 53 bits are enough")]
    pub fn visible_share(&self) -> f64 {
        if self.pages > 0 { self.visible_pages as f64 / self.pages as f64 } else { 1.0 }
    }
}

/// Every table, the largest first. Statements: 1.
pub(crate) async fn all(connection: &AsyncPgConnection) -> Result<Vec<Table>, Error> {
    type Sql = (
        Text,
        BigInt,
        BigInt,
        BigInt,
        BigInt,
        BigInt,
        BigInt,
        BigInt,
        BigInt,
        Nullable<Timestamptz>,
        Nullable<Timestamptz>,
    );
    let statement = Statement::<Sql>::new(
        format!(
            "SELECT format('%I.%I', n.nspname, c.relname),
                    -- Before the first ANALYZE `reltuples` is -1.
                    greatest(c.reltuples::bigint, s.n_live_tup, 0), coalesce(s.n_dead_tup, 0),
                    -- It may have been dropped a moment ago.
                    coalesce(pg_table_size(c.oid), 0), coalesce(pg_indexes_size(c.oid), 0),
                    coalesce(s.seq_scan, 0), coalesce(s.seq_tup_read, 0),
                    c.relpages::bigint, c.relallvisible::bigint,
                    greatest(s.last_vacuum, s.last_autovacuum),
                    greatest(s.last_analyze, s.last_autoanalyze)
             FROM pg_class AS c
             JOIN pg_namespace AS n ON n.oid = c.relnamespace
             LEFT JOIN pg_stat_all_tables AS s ON s.relid = c.oid
             WHERE c.relkind IN ('r', 'm') AND {NOT_OURS}
             ORDER BY 4 DESC, 1"
        ),
        vec![],
    );
    statement.all(connection).await.map_err(Error::of("look at the tables"))
}
