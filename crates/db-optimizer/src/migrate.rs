use std::collections::HashSet;
use std::time::Duration;

use diesel::migration::{Migration, MigrationSource as _};
use diesel::pg::Pg;
use diesel::sql_types::{Bool, Text};
use diesel_async::{AsyncMigrationHarness, AsyncPgConnection};
use diesel_migrations::{EmbeddedMigrations, MigrationHarness as _, embed_migrations};

use crate::{Admin, Bind, Error, Pool, Statement};

const MIGRATIONS: EmbeddedMigrations = embed_migrations!("../../migrations");

/// "jebi" in ASCII: the advisory lock that lets one migration run work.
const LOCK: i64 = 0x6a65_6269;

/// Brings the schema up to date and names what was applied. Needs a runtime with several threads. Two
/// runs at once are one after the other.
///
/// # Errors
/// [`Error::Query`], [`Error::Migrate`]; each migration is applied whole or not at all.
pub async fn migrate(admin: Admin) -> Result<Vec<String>, Error> {
    let action = Error::of("take the migration lock");
    let take = || Statement::<Bool>::new("SELECT pg_try_advisory_lock($1)", vec![Bind::from(LOCK)]);
    // Polled: a session that blocks in pg_advisory_lock holds a snapshot that a concurrent index build
    // would wait for.
    while !take().one::<bool>(&admin).await.map_err(&action)? {
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    // The lock ends with the connection.
    let mut harness = AsyncMigrationHarness::new(admin.into_inner());
    let applied = harness.run_pending_migrations(MIGRATIONS).map_err(Error::Migrate)?;
    Ok(applied.iter().map(ToString::to_string).collect())
}

/// The migrations that the database lacks. Statements: 1.
///
/// # Errors
/// [`Error::NoConnection`], [`Error::Query`].
pub async fn pending(pool: &Pool) -> Result<Vec<String>, Error> {
    lacking(&*pool.get().await?).await
}

/// The same as the owner sees it. Statements: 2; 1 where the database has none at all.
///
/// # Errors
/// [`Error::NoConnection`], [`Error::Query`].
pub async fn pending_for_owner(admin: &Admin) -> Result<Vec<String>, Error> {
    let table = "SELECT to_regclass('__diesel_schema_migrations') IS NOT NULL";
    let is_there = Statement::<Bool>::new(table, vec![]).one(admin).await;
    if is_there.map_err(Error::of("look for the applied migrations"))? {
        lacking(admin).await
    } else {
        known()
    }
}

async fn lacking(connection: &AsyncPgConnection) -> Result<Vec<String>, Error> {
    let applied =
        Statement::<Text>::new("SELECT version::text FROM __diesel_schema_migrations", vec![]);
    let applied: HashSet<String> = applied
        .all(connection)
        .await
        .map_err(Error::of("read the applied migrations"))?
        .into_iter()
        .collect();
    Ok(known()?.into_iter().filter(|version| !applied.contains(version)).collect())
}

/// The versions of the migrations in this program.
pub(crate) fn known() -> Result<Vec<String>, Error> {
    let known: Vec<Box<dyn Migration<Pg>>> = MIGRATIONS.migrations().map_err(Error::Migrate)?;
    Ok(known.iter().map(|migration| migration.name().version().to_string()).collect())
}
