//! What PostgreSQL tells of its tables, indexes and statements, and what to do about it.
//!
//! All of it is read from the catalogue and the statistics, never from rows, so that it costs the same on a database of
//! any size, shows nobody's data, and works under the role of the service.

mod advice;
mod explained;
mod foreign_keys;
mod indexes;
mod masked;
mod plans;
mod regressions;
mod server;
mod slow;
mod statistics;
mod tables;

use diesel_async::AsyncPgConnection;

use crate::{Admin, Error, Pool};

pub use advice::{Advice, Known, advise};
pub use explained::{Explained, Explanations};
pub use foreign_keys::ForeignKey;
pub(crate) use indexes::is_built_on;
pub use indexes::{Index, Indexes};
pub(crate) use masked::{masked, without_values};
pub use plans::Plans;
pub use regressions::Regression;
pub use server::{Server, server};
pub use slow::{Slow, SlowStatement};
pub use statistics::NoStatistics;
pub use tables::Table;

/// What is looked at beside the tables.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Wanted {
    /// Slow statements. Statements: 2; 1 where `pg_stat_statements` is missing.
    pub slow: bool,
    /// Indexes, and foreign keys without any. Statements: 2.
    pub indexes: bool,
}

/// What was seen.
#[derive(Debug, Clone)]
pub struct Seen {
    /// Every table, the largest first.
    pub tables: Vec<Table>,
    /// Where it was wanted.
    pub indexes: Option<Indexes>,
    /// Where it was wanted; why not where it cannot be had.
    pub slow: Option<Result<Slow, NoStatistics>>,
}

/// Looks at the database as the service sees it. Statements: 1, and those of what is wanted.
///
/// # Errors
/// [`Error::NoConnection`], [`Error::Busy`], [`Error::Query`].
pub async fn look(pool: &Pool, wanted: Wanted) -> Result<Seen, Error> {
    see(&*pool.get().await?, wanted).await
}

/// Looks at all of it as the owner of the database sees it. Statements: 5; 4 where `pg_stat_statements` is missing.
///
/// # Errors
/// [`Error::NoConnection`], [`Error::Busy`], [`Error::Query`].
pub async fn look_as_owner(admin: &Admin) -> Result<Seen, Error> {
    see(admin, Wanted { slow: true, indexes: true }).await
}

async fn see(connection: &AsyncPgConnection, wanted: Wanted) -> Result<Seen, Error> {
    Ok(Seen {
        tables: tables::all(connection).await?,
        indexes: match wanted.indexes {
            true => Some(indexes::all(connection).await?),
            false => None,
        },
        slow: match wanted.slow {
            true => Some(slow::slowest(connection).await?),
            false => None,
        },
    })
}

/// Schemas that hold no tables of ours or of anybody who works beside us.
const NOT_OURS: &str = "n.nspname <> 'information_schema' AND n.nspname NOT LIKE 'pg\\_%'";
