//! Foreign keys that no index serves.

use diesel::Queryable;
use diesel::sql_types::{Array, BigInt, Text};
use diesel_async::AsyncPgConnection;

use super::NOT_OURS;
use crate::{Error, Statement};

/// A foreign key whose table has no index that begins with the key's columns: each row that is deleted from the
/// other table reads this one from end to end.
#[derive(Debug, Clone, PartialEq, Eq, Queryable)]
pub struct ForeignKey {
    /// Its name.
    pub name: String,
    /// The table that has it, with its schema, quoted where it has to be.
    pub table: String,
    /// Its columns, quoted where they have to be.
    pub columns: Vec<String>,
    /// The table that it refers to.
    pub refers_to: String,
    /// How many rows its table has, about.
    pub rows: i64,
}

/// The foreign keys without an index that begins with their columns, in whatever order, and without a unique one that
/// begins with one of them and has the others. Statements: 1.
pub(crate) async fn without_index(
    connection: &AsyncPgConnection,
) -> Result<Vec<ForeignKey>, Error> {
    // Of a partitioned table only its own constraint: those of its partitions come from it. A unique key such as
    // (order_id, line_no, seller_id) serves (order_id, seller_id) as well: few rows share its first column. An index
    // of some rows serves where the others have no key.
    let statement = Statement::<(Text, Text, Array<Text>, Text, BigInt)>::new(
        format!(
            "SELECT quote_ident(f.conname), format('%I.%I', n.nspname, c.relname), keys.names,
                    format('%I.%I', rn.nspname, r.relname), greatest(c.reltuples, 0)::bigint
             FROM pg_constraint AS f
             JOIN pg_class AS c ON c.oid = f.conrelid
             JOIN pg_namespace AS n ON n.oid = c.relnamespace
             JOIN pg_class AS r ON r.oid = f.confrelid
             JOIN pg_namespace AS rn ON rn.oid = r.relnamespace
             CROSS JOIN LATERAL (
                 SELECT array_agg(quote_ident(a.attname) ORDER BY k.at) AS names
                 FROM unnest(f.conkey) WITH ORDINALITY AS k (number, at)
                 JOIN pg_attribute AS a ON a.attrelid = f.conrelid AND a.attnum = k.number
             ) AS keys
             WHERE f.contype = 'f' AND f.conparentid = 0 AND {NOT_OURS} AND NOT EXISTS (
                 SELECT FROM pg_index AS i
                 JOIN pg_class AS ic ON ic.oid = i.indexrelid
                 JOIN pg_am AS am ON am.oid = ic.relam
                 CROSS JOIN LATERAL (
                     SELECT array_agg(number) AS keys,
                            array_agg(number) FILTER (WHERE at <= cardinality(f.conkey)) AS leading
                     FROM unnest(i.indkey::int2[]) WITH ORDINALITY AS k (number, at)
                     WHERE k.at <= i.indnkeyatts
                 ) AS x
                 WHERE i.indrelid = f.conrelid AND i.indisvalid AND i.indisready
                   AND am.amname IN ('btree', 'hash')
                   AND (x.leading @> f.conkey
                        OR i.indisunique AND x.keys @> f.conkey AND x.keys[1] = ANY(f.conkey))
                   AND (i.indpred IS NULL OR pg_get_expr(i.indpred, i.indrelid) = ANY(
                       SELECT format('(%s IS NOT NULL)', name) FROM unnest(keys.names) AS name))
             )
             ORDER BY c.reltuples DESC, 2, 1"
        ),
        vec![],
    );
    statement.all(connection).await.map_err(Error::of("look for foreign keys without an index"))
}
