//! What is in the database.

use std::collections::{BTreeMap, BTreeSet};

use super::catalogue::{Catalogue, Index};
use super::failure::{Failure, said};
use super::session::Session;
use crate::watch::is_built_on;

/// An index as it is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct There {
    pub(super) schema: String,
    pub(super) table: String,
    pub(super) name: String,
    /// What follows the table's name in its SQL.
    pub(super) definition: String,
    /// Queries may use it.
    pub(super) is_valid: bool,
    /// Of a primary key, a unique key or an exclusion.
    pub(super) is_constraint: bool,
    pub(super) is_unique: bool,
    /// Of a partitioned table: made of the indexes of its partitions.
    pub(super) is_partitioned: bool,
    /// Part of a partitioned index.
    pub(super) is_attached: bool,
    /// Somebody is building it at this moment.
    pub(super) is_being_built: bool,
    pub(super) bytes: i64,
    /// How often it was used since the statistics were reset.
    pub(super) scans: i64,
}

/// A table of the catalogue.
#[derive(Debug, Clone)]
pub(super) struct Table {
    pub(super) owner: String,
    /// The connected role may build indexes on it.
    pub(super) is_ours: bool,
    pub(super) is_partitioned: bool,
    /// About so many.
    pub(super) rows: f64,
}

/// What is in the database of the catalogue's tables.
#[derive(Debug, Clone, Default)]
pub(super) struct Inventory {
    /// By schema and name.
    pub(super) tables: BTreeMap<(String, String), Table>,
    pub(super) indexes: Vec<There>,
    /// What else has a name that the catalogue wants: by schema and name, what it is.
    pub(super) taken: BTreeMap<(String, String), String>,
}

impl Inventory {
    /// Statements: 3.
    pub(super) async fn read(session: &Session, catalogue: &Catalogue) -> Result<Self, Failure> {
        let refused = |error: tokio_postgres::Error| Failure::Refused {
            doing: "look at the indexes that are there".to_owned(),
            said: said(&error),
            left: "nothing was changed".to_owned(),
        };
        let tables: BTreeSet<_> =
            catalogue.indexes.iter().map(|index| (index.schema, index.table)).collect();
        let (schemas, names): (Vec<&str>, Vec<&str>) = tables.into_iter().unzip();
        let found = session.rows(TABLES, &[&schemas, &names]).await.map_err(refused)?;
        let tables = found
            .iter()
            .map(|row| {
                let table = Table {
                    owner: row.get(2),
                    is_ours: row.get(3),
                    is_partitioned: row.get(4),
                    rows: row.get(5),
                };
                ((row.get(0), row.get(1)), table)
            })
            .collect();
        let found = session.rows(&indexes(), &[&schemas, &names]).await.map_err(refused)?;
        let indexes = found
            .iter()
            .map(|row| There {
                schema: row.get(0),
                table: row.get(1),
                name: row.get(2),
                definition: row.get(3),
                is_valid: row.get(4),
                is_constraint: row.get(5),
                is_unique: row.get(6),
                is_partitioned: row.get(7),
                is_attached: row.get(8),
                is_being_built: row.get(9),
                bytes: row.get(10),
                scans: row.get(11),
            })
            .collect();
        let wanted = catalogue.indexes.iter();
        let (schemas, names): (Vec<&str>, Vec<&str>) =
            wanted.map(|index| (index.schema, index.name)).unzip();
        let found = session.rows(TAKEN, &[&schemas, &names]).await.map_err(refused)?;
        let taken = found.iter().map(|row| ((row.get(0), row.get(1)), row.get(2))).collect();
        Ok(Self { tables, indexes, taken })
    }

    pub(super) fn table(&self, schema: &str, name: &str) -> Option<&Table> {
        self.tables.get(&(schema.to_owned(), name.to_owned()))
    }

    pub(super) fn is_partitioned(&self, index: &Index) -> bool {
        self.table(index.schema, index.table).is_some_and(|table| table.is_partitioned)
    }

    /// The index of this name.
    pub(super) fn index(&self, schema: &str, name: &str) -> Option<&There> {
        self.indexes.iter().find(|index| index.schema == schema && index.name == name)
    }
}

const TABLES: &str = "
    SELECT n.nspname::text, t.relname::text, pg_get_userbyid(t.relowner)::text,
           pg_has_role(t.relowner, 'USAGE') AND has_schema_privilege(n.oid, 'CREATE'),
           t.relkind = 'p',
           CASE WHEN t.relkind = 'p' THEN (
               SELECT coalesce(sum(greatest(p.reltuples, 0)), 0)::float8
               FROM pg_partition_tree(t.oid) AS tree JOIN pg_class AS p ON p.oid = tree.relid
               WHERE tree.isleaf
           ) WHEN t.reltuples > 0 THEN t.reltuples::float8
           -- Never counted: about fifty to a page.
           ELSE pg_relation_size(t.oid)::float8 / 8192 * 50 END
    FROM unnest($1::text[], $2::text[]) AS wanted (schema, name)
    JOIN pg_namespace AS n ON n.nspname = wanted.schema
    JOIN pg_class AS t ON t.relnamespace = n.oid AND t.relname = wanted.name AND t.relkind IN ('r', 'p')";

/// Also of the tables' partitions. What `pg_get_indexdef` says is cut behind the table's name, so that definitions can be
/// compared whatever the index is called.
fn indexes() -> String {
    let built = is_built_on("t.oid");
    format!(
        "
    WITH wanted AS (
        SELECT t.oid FROM unnest($1::text[], $2::text[]) AS wanted (schema, name)
        JOIN pg_namespace AS n ON n.nspname = wanted.schema
        JOIN pg_class AS t ON t.relnamespace = n.oid AND t.relname = wanted.name
                          AND t.relkind IN ('r', 'p')
    ), every AS (
        SELECT oid FROM wanted
        UNION
        SELECT tree.relid FROM wanted CROSS JOIN LATERAL pg_partition_tree(wanted.oid) AS tree
    )
    SELECT n.nspname::text, t.relname::text, i.relname::text,
           substr(pg_get_indexdef(i.oid), length(format('CREATE %sINDEX %I ON %s%I.%I ',
               CASE WHEN x.indisunique THEN 'UNIQUE ' ELSE '' END, i.relname,
               CASE WHEN i.relkind = 'I' THEN 'ONLY ' ELSE '' END, n.nspname, t.relname)) + 1),
           x.indisvalid AND x.indisready AND x.indislive,
           EXISTS (SELECT FROM pg_constraint AS c WHERE c.conindid = i.oid),
           x.indisunique, i.relkind = 'I', i.relispartition,
           NOT (x.indisvalid AND x.indisready) AND {built},
           pg_relation_size(i.oid), coalesce(pg_stat_get_numscans(i.oid), 0)
    FROM every
    JOIN pg_index AS x ON x.indrelid = every.oid
    JOIN pg_class AS i ON i.oid = x.indexrelid
    JOIN pg_class AS t ON t.oid = x.indrelid
    JOIN pg_namespace AS n ON n.oid = t.relnamespace
    ORDER BY 1, 2, 3"
    )
}

const TAKEN: &str = "
    SELECT n.nspname::text, c.relname::text, CASE c.relkind
        WHEN 'r' THEN 'a table' WHEN 'p' THEN 'a table' WHEN 'v' THEN 'a view'
        WHEN 'm' THEN 'a materialized view' WHEN 'S' THEN 'a sequence'
        WHEN 'i' THEN 'an index of ' || x.indrelid::regclass
        WHEN 'I' THEN 'an index of ' || x.indrelid::regclass
        ELSE 'another object' END
    FROM unnest($1::text[], $2::text[]) AS wanted (schema, name)
    JOIN pg_namespace AS n ON n.nspname = wanted.schema
    JOIN pg_class AS c ON c.relnamespace = n.oid AND c.relname = wanted.name
    LEFT JOIN pg_index AS x ON x.indexrelid = c.oid";
