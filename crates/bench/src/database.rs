//! The databases of a run: one that is filled, and a copy of it for each variant, so that none sees what another writes.

use std::collections::BTreeMap;
use std::time::Duration;

use anyhow::{Context as _, Result};
use tokio_postgres::{Client, NoTls};

use crate::process;

/// The server on which the run has its databases.
pub(crate) struct Server {
    url: String,
    client: Client,
    /// Its first process, where it runs on this machine.
    postmaster: Option<u32>,
    /// Whether it waits for the generator where both want a core, as the service does.
    pub(crate) is_behind: bool,
}

/// One connection, in the background.
pub(crate) async fn connect(url: &str) -> Result<Client> {
    let (client, connection) =
        tokio_postgres::connect(url, NoTls).await.context("cannot connect to DATABASE_URL")?;
    tokio::spawn(connection);
    Ok(client)
}

/// `url` with the database `name`.
fn renamed(url: &str, name: &str) -> String {
    let (head, options) =
        url.split_once('?').map_or((url, None), |(head, rest)| (head, Some(rest)));
    let scheme = head.find("://").map_or(0, |at| at + 3);
    let end = head[scheme..].find('/').map_or(head.len(), |at| scheme + at);
    let options = options.map(|options| format!("?{options}")).unwrap_or_default();
    format!("{}/{name}{options}", &head[..end])
}

impl Server {
    /// # Errors
    /// Where there is none.
    pub(crate) async fn connect(url: &str) -> Result<Self> {
        let client = connect(url).await?;
        let row = client.query_one("SELECT pg_backend_pid()", &[]).await?;
        let backend = u32::try_from(row.get::<_, i32>(0)).ok();
        let postmaster = backend.and_then(process::parent);
        // A server elsewhere may have a process of the same number as one here.
        let is_here = postmaster.is_some_and(|pid| {
            let name = std::fs::read_to_string(format!("/proc/{pid}/comm")).unwrap_or_default();
            name.trim_end().starts_with("postgres")
        });
        let postmaster = postmaster.filter(|_| is_here);
        let is_behind = postmaster.is_some_and(process::move_behind_this_one);
        Ok(Self { url: url.to_owned(), client, postmaster, is_behind })
    }

    pub(crate) fn url(&self) -> &str {
        &self.url
    }

    pub(crate) fn url_of(&self, name: &str) -> String {
        renamed(&self.url, name)
    }

    /// An empty database, in place of one of this name.
    pub(crate) async fn create(&self, name: &str) -> Result<String> {
        self.make(name, "").await
    }

    /// A copy of a database that nobody is connected to.
    pub(crate) async fn copy(&self, of: &str, name: &str) -> Result<String> {
        self.make(name, &format!("TEMPLATE {of} STRATEGY FILE_COPY")).await
    }

    async fn make(&self, name: &str, how: &str) -> Result<String> {
        self.drop(name).await?;
        let make = format!("CREATE DATABASE {name} {how}");
        self.client.batch_execute(&make).await.with_context(|| format!("cannot make {name}"))?;
        Ok(self.url_of(name))
    }

    pub(crate) async fn drop(&self, name: &str) -> Result<()> {
        let drop = format!("DROP DATABASE IF EXISTS {name} WITH (FORCE)");
        self.client.batch_execute(&drop).await.with_context(|| format!("cannot drop {name}"))
    }

    /// CPU time of all its processes; `None` where it runs elsewhere.
    pub(crate) fn cpu(&self) -> Option<Duration> {
        process::cpu_of_family(self.postmaster?)
    }

    /// Statements that were run in a database so far; `None` where `pg_stat_statements` is not there.
    pub(crate) async fn statements(&self, database: &str) -> Option<u64> {
        const CALLS: &str = "SELECT coalesce(sum(calls), 0)::bigint FROM pg_stat_statements \
                             WHERE dbid = (SELECT oid FROM pg_database WHERE datname = $1)";
        let row = self.client.query_one(CALLS, &[&database]).await.ok()?;
        u64::try_from(row.get::<_, i64>(0)).ok()
    }

    /// What it is and how it is set up.
    pub(crate) async fn settings(&self) -> Result<BTreeMap<String, String>> {
        const SETTINGS: &str = "SELECT name, current_setting(name) FROM pg_settings WHERE name IN \
            ('server_version', 'shared_buffers', 'work_mem', 'fsync', 'synchronous_commit', 'max_connections', \
             'random_page_cost', 'jit', 'autovacuum', 'lc_collate', 'max_wal_size')";
        let rows = self.client.query(SETTINGS, &[]).await?;
        Ok(rows.iter().map(|row| (row.get(0), row.get(1))).collect())
    }
}

/// Takes away what makes Jebi's database fast and is not needed to be right: indexes that back no constraint, triggers, and the second wall
/// between sellers.
///
/// # Errors
/// Where the user does not own the tables.
pub(crate) async fn strip(url: &str) -> Result<usize> {
    const INDEXES: &str = "SELECT format('DROP INDEX IF EXISTS %s', indexrelid::regclass) FROM pg_index \
        JOIN pg_class c ON c.oid = indrelid WHERE c.relnamespace = 'public'::regnamespace AND NOT indisunique \
        AND NOT EXISTS (SELECT FROM pg_inherits WHERE inhrelid = indexrelid)";
    const TRIGGERS: &str = "SELECT DISTINCT format('ALTER TABLE %s DISABLE TRIGGER USER', tgrelid::regclass) FROM pg_trigger \
        JOIN pg_class c ON c.oid = tgrelid WHERE c.relnamespace = 'public'::regnamespace AND NOT tgisinternal AND c.relkind = 'r'";
    const POLICIES: &str = "SELECT format('ALTER TABLE %s DISABLE ROW LEVEL SECURITY', oid::regclass) FROM pg_class \
        WHERE relnamespace = 'public'::regnamespace AND relrowsecurity";
    let client = connect(url).await?;
    let indexes = client.query(INDEXES, &[]).await?;
    let triggers = client.query(TRIGGERS, &[]).await?;
    let policies = client.query(POLICIES, &[]).await?;
    for row in indexes.iter().chain(&triggers).chain(&policies) {
        client.batch_execute(row.get(0)).await?;
    }
    client.batch_execute("ANALYZE").await?;
    Ok(indexes.len())
}

#[cfg(test)]
mod tests {
    use super::renamed;

    #[test]
    fn a_url_gets_another_database() {
        let of = |url| renamed(url, "x");
        assert_eq!(of("postgres://a:b@c:1/jebi"), "postgres://a:b@c:1/x");
        assert_eq!(of("postgres://c/jebi?options=-c%20a%3Db"), "postgres://c/x?options=-c%20a%3Db");
        assert_eq!(of("postgres://c"), "postgres://c/x");
    }
}
