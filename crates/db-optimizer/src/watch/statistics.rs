//! `pg_stat_statements`, which may be missing.

use diesel::QueryResult;
use diesel::result::Error as Diesel;
use diesel::sql_types::{Bool, Text};
use diesel_async::AsyncPgConnection;

use crate::{Error, Statement};

const ACTION: &str = "read the statistics of statements";

/// Why nothing is known about statements.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum NoStatistics {
    /// The extension was not created in this database.
    #[error("the extension pg_stat_statements is not in this database")]
    NotInstalled,
    /// The server does not count.
    #[error("pg_stat_statements is not in shared_preload_libraries")]
    NotLoaded,
    /// It may not be read.
    #[error("this role may not read pg_stat_statements")]
    NotAllowed,
}

impl NoStatistics {
    /// What to do about it.
    #[must_use]
    pub const fn next_step(self) -> &'static str {
        match self {
            Self::NotInstalled => "run CREATE EXTENSION pg_stat_statements as a superuser",
            Self::NotLoaded => {
                "add pg_stat_statements to shared_preload_libraries and restart PostgreSQL"
            }
            Self::NotAllowed => {
                "grant jebi_service USAGE on the schema of pg_stat_statements and SELECT on its views"
            }
        }
    }
}

/// Where the extension is and what its columns are called.
pub(super) struct Extension {
    /// Quoted where it has to be.
    pub(super) schema: String,
    /// Milliseconds spent on reading pages. Its name goes by the version of the extension, which after an upgrade
    /// may be older than the server: 1.11, of PostgreSQL 17, renamed it.
    pub(super) read_time: &'static str,
}

/// Finds the extension. Statements: 1.
pub(super) async fn find(
    connection: &AsyncPgConnection,
) -> Result<Result<Extension, NoStatistics>, Error> {
    let statement = Statement::<(Text, Bool, Bool)>::new(
        "SELECT quote_ident(n.nspname), has_schema_privilege(n.oid, 'USAGE'), EXISTS (
             SELECT FROM pg_class AS c JOIN pg_attribute AS a ON a.attrelid = c.oid
             WHERE c.relnamespace = n.oid AND c.relname = 'pg_stat_statements'
               AND a.attname = 'shared_blk_read_time')
         FROM pg_extension AS e JOIN pg_namespace AS n ON n.oid = e.extnamespace
         WHERE e.extname = 'pg_stat_statements'",
        vec![],
    );
    let found: Vec<(String, bool, bool)> =
        statement.all(connection).await.map_err(Error::of(ACTION))?;
    Ok(match found.into_iter().next() {
        None => Err(NoStatistics::NotInstalled),
        Some((_, false, _)) => Err(NoStatistics::NotAllowed),
        Some((schema, true, is_renamed)) => {
            let read_time = if is_renamed { "shared_blk_read_time" } else { "blk_read_time" };
            Ok(Extension { schema, read_time })
        }
    })
}

/// What a statement on the extension's views came to. PostgreSQL has no other way to say these two.
pub(super) fn readable<T>(rows: QueryResult<T>) -> Result<Result<T, NoStatistics>, Error> {
    match rows {
        Ok(rows) => Ok(Ok(rows)),
        Err(Diesel::DatabaseError(_, info)) if info.message().contains("must be loaded via") => {
            Ok(Err(NoStatistics::NotLoaded))
        }
        Err(Diesel::DatabaseError(_, info)) if info.message().contains("permission denied") => {
            Ok(Err(NoStatistics::NotAllowed))
        }
        Err(error) => Err(Error::of(ACTION)(error)),
    }
}
