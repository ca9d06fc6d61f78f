//! Indexes, and what is wrong with them.

use chrono::{DateTime, Utc};
use diesel::Queryable;
use diesel::sql_types::{BigInt, Bool, Nullable, Text, Timestamptz};
use diesel_async::AsyncPgConnection;

use super::NOT_OURS;
use super::foreign_keys::{ForeignKey, without_index};
use super::tables::LARGE_ROWS;
use crate::{Error, Statement};

/// The indexes of the database, and what is missing among them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Indexes {
    /// Since when their uses are counted; absent where that was never reset: since the database was made, or the server
    /// crashed last.
    pub since: Option<DateTime<Utc>>,
    /// The largest first.
    pub all: Vec<Index>,
    /// Foreign keys without any.
    pub missing: Vec<ForeignKey>,
}

/// An index.
#[derive(Debug, Clone, PartialEq, Eq, Queryable)]
pub struct Index {
    /// Its name with its schema, quoted where it has to be.
    pub name: String,
    /// Its table with its schema, quoted where it has to be.
    pub table: String,
    /// How PostgreSQL would make it again.
    pub definition: String,
    /// How often it was used.
    pub scans: i64,
    /// On disk.
    pub bytes: i64,
    /// Keeps rows unique, or otherwise belongs to a constraint or to replication: it is needed also where no statement
    /// uses it.
    pub is_needed: bool,
    /// The table's partitions have their own; or it is such a part.
    pub is_partitioned: bool,
    /// Statements may use it, or will: somebody builds on its table. One whose concurrent build broke off is not valid, and slows every write down.
    pub is_valid: bool,
    /// The index that does the same and should stay in its place.
    pub duplicate_of: Option<String>,
}

impl Indexes {
    /// Those that no statement may use.
    pub fn invalid(&self) -> impl Iterator<Item = &Index> {
        self.all.iter().filter(|index| !index.is_valid)
    }

    /// Those that another one makes needless.
    pub fn duplicates(&self) -> impl Iterator<Item = (&Index, &str)> {
        self.all.iter().filter_map(|index| Some((index, index.duplicate_of.as_deref()?)))
    }

    /// Whether a large table has a foreign key without an index.
    #[must_use]
    pub fn lacks_large(&self) -> bool {
        self.missing.iter().any(|key| key.rows >= LARGE_ROWS.cast_signed())
    }

    /// Those that no statement has used, and that are needed for nothing else.
    pub fn unused(&self) -> impl Iterator<Item = &Index> {
        let is_unused = |index: &&Index| {
            let is_needed = index.is_needed || index.is_partitioned;
            index.scans == 0 && index.is_valid && !is_needed && index.duplicate_of.is_none()
        };
        self.all.iter().filter(is_unused)
    }
}

/// SQL: whether another session builds on the table of this oid. What it builds is told to its own role alone; that it holds
/// this lock, to everybody.
pub(crate) fn is_built_on(table: &str) -> String {
    format!(
        "EXISTS (SELECT FROM pg_locks AS l LEFT JOIN pg_stat_activity AS a ON a.pid = l.pid
                 WHERE l.relation = {table} AND l.mode = 'ShareUpdateExclusiveLock' AND l.granted
                   AND l.database = (SELECT oid FROM pg_database WHERE datname = current_database())
                   AND l.pid <> pg_backend_pid()
                   AND a.backend_type IS DISTINCT FROM 'autovacuum worker')"
    )
}

/// Every index, and every foreign key without one. Statements: 2.
pub(crate) async fn all(connection: &AsyncPgConnection) -> Result<Indexes, Error> {
    type Sql = (Text, Text, Text, BigInt, BigInt, Bool, Bool, Bool, Nullable<Text>);
    let built = is_built_on("x.indrelid");
    let statement = Statement::<(Nullable<Timestamptz>, Sql)>::new(
        format!(
            "WITH indexes AS (
                 SELECT x.*, format('%I.%I', n.nspname, i.relname) AS name, i.relkind, i.relispartition,
                        format('%I.%I', n.nspname, t.relname) AS of_table,
                        x.indisunique OR x.indisexclusion OR x.indisreplident OR EXISTS (
                            SELECT FROM pg_constraint AS k WHERE k.conindid = x.indexrelid
                        ) AS is_needed,
                        ARRAY[i.relam::text, x.indkey::text, x.indnkeyatts::text, x.indclass::text,
                              x.indcollation::text, x.indoption::text,
                              pg_get_expr(x.indexprs, x.indrelid), pg_get_expr(x.indpred, x.indrelid)
                        ] AS does
                 FROM pg_index AS x
                 JOIN pg_class AS i ON i.oid = x.indexrelid
                 JOIN pg_class AS t ON t.oid = x.indrelid
                 JOIN pg_namespace AS n ON n.oid = t.relnamespace
                 WHERE {NOT_OURS}
             )
             SELECT pg_stat_get_db_stat_reset_time(d.oid), x.name, x.of_table,
                    pg_get_indexdef(x.indexrelid), pg_stat_get_numscans(x.indexrelid),
                    -- It may have been dropped a moment ago.
                    coalesce(pg_relation_size(x.indexrelid), 0), x.is_needed,
                    x.relkind = 'I' OR x.relispartition, x.indisvalid AND x.indisready OR {built}, (
                        SELECT other.name FROM indexes AS other
                        WHERE other.indrelid = x.indrelid AND other.does = x.does
                          AND other.indexrelid <> x.indexrelid AND NOT x.is_needed
                          AND other.indisvalid AND other.indisready AND x.indisvalid
                          AND NOT x.relispartition
                          AND (other.is_needed OR other.indexrelid < x.indexrelid)
                        ORDER BY other.is_needed DESC, other.indexrelid LIMIT 1)
             FROM indexes AS x CROSS JOIN pg_database AS d
             WHERE d.datname = current_database()
             ORDER BY 6 DESC, 2"
        ),
        vec![],
    );
    let rows: Vec<(Option<DateTime<Utc>>, Index)> =
        statement.all(connection).await.map_err(Error::of("look at the indexes"))?;
    Ok(Indexes {
        since: rows.first().and_then(|(since, _)| *since),
        all: rows.into_iter().map(|(_, index)| index).collect(),
        missing: without_index(connection).await?,
    })
}
