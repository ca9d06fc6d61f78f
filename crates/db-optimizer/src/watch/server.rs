//! How the server is set up.

use chrono::{DateTime, Utc};
use diesel::Queryable;
use diesel::sql_types::{BigInt, Bool, Double, Text, Timestamptz};

use super::statistics::{NoStatistics, find};
use crate::{Admin, Error, Statement};

/// What the server says of itself and of this database.
#[derive(Debug, Clone, PartialEq, Queryable)]
pub struct Server {
    /// Like 150004.
    pub version: i64,
    /// Which characters are letters.
    pub lc_ctype: String,
    /// `c` where that is the library's of C; others have their own rules and know every letter.
    pub locale_provider: String,
    /// How texts are stored.
    pub encoding: String,
    /// How much dearer the planner takes a page read out of order to be.
    pub random_page_cost: f64,
    /// Whether tables are cleaned up by themselves.
    pub is_autovacuum_on: bool,
    /// Whether waiting for the disk is measured.
    pub is_track_io_timing_on: bool,
    /// Connections that it takes.
    pub max_connections: i64,
    /// Those of them that are kept for superusers.
    pub reserved_connections: i64,
    /// Connections that are open now.
    pub open_connections: i64,
    /// Whether it is on this machine, as far as the connection tells.
    pub is_local: bool,
    /// Its time.
    pub now: DateTime<Utc>,
}

/// Asks the server how it is set up, and whether the statistics of statements can be read. Statements: 2.
///
/// # Errors
/// [`Error::NoConnection`], [`Error::Query`].
pub async fn server(admin: &Admin) -> Result<(Server, Result<(), NoStatistics>), Error> {
    type Sql =
        (BigInt, Text, Text, Text, Double, Bool, Bool, BigInt, BigInt, BigInt, Bool, Timestamptz);
    let statement = Statement::<Sql>::new(
        "SELECT current_setting('server_version_num')::bigint, d.datctype::text,
                d.datlocprovider::text, pg_encoding_to_char(d.encoding)::text,
                current_setting('random_page_cost')::float8, current_setting('autovacuum')::bool,
                current_setting('track_io_timing')::bool,
                current_setting('max_connections')::bigint,
                current_setting('superuser_reserved_connections')::bigint,
                (SELECT sum(numbackends)::bigint FROM pg_stat_database),
                coalesce(inet_server_addr() <<= inet '127.0.0.0/8'
                         OR inet_server_addr() = inet '::1', true),
                clock_timestamp()
         FROM pg_database AS d WHERE d.datname = current_database()",
        vec![],
    );
    let server =
        statement.one(admin).await.map_err(Error::of("ask PostgreSQL for its settings"))?;
    Ok((server, find(admin).await?.map(|_| ())))
}
