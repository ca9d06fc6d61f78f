use std::str::FromStr as _;
use std::time::Duration;

use tokio::time::Instant;
use tokio_postgres::error::SqlState;
use tokio_postgres::types::ToSql;
use tokio_postgres::{Client, NoTls, Row};
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

use super::catalogue::Index;
use super::failure::{Cause, Failure, said};
use super::steps::Step;
use super::{Progress, Watcher};

/// "optimize" in ASCII: the advisory lock that lets one run work in a database.
const LOCK: i64 = 0x6f70_7469_6d69_7a65;

/// Begins every question of a run: what the server remembers of them is no part of its workload.
pub(super) const OURS: &str = "/* jebi optimize */";

/// A connection as the database's owner, kept for a whole run. What it holds of locks ends with it.
pub(super) struct Session {
    target: tokio_postgres::Config,
    client: Client,
    pub(super) pid: i32,
    lock_timeout: Duration,
    is_locked: bool,
}

type Answer<T> = Result<T, tokio_postgres::Error>;

impl Session {
    pub(super) async fn open(url: &str, lock_timeout: Duration) -> Result<Self, Failure> {
        let unreachable = |error: tokio_postgres::Error| Failure::Unreachable(said(&error));
        let mut target = tokio_postgres::Config::from_str(url).map_err(unreachable)?;
        target.application_name("jebi optimize");
        target.connect_timeout(Duration::from_secs(10));
        // A server that is gone without a word is noticed within a minute or so.
        target
            .keepalives_idle(Duration::from_secs(30))
            .keepalives_interval(Duration::from_secs(10));
        let (client, pid) = connect(&target, lock_timeout).await.map_err(unreachable)?;
        Ok(Self { target, client, pid, lock_timeout, is_locked: false })
    }

    /// A second connection, to look at the first from.
    pub(super) async fn beside(&self) -> Answer<Client> {
        connect(&self.target, self.lock_timeout).await.map(|(client, _)| client)
    }

    /// One statement, sent as it stands: it may be one that runs in no transaction.
    pub(super) async fn run(&self, sql: &str) -> Answer<()> {
        self.client.batch_execute(sql).await
    }

    /// What a question is answered with. Looking at tables and indexes takes locks, for a moment: where somebody makes a
    /// partition at that moment it is asked again.
    pub(super) async fn rows(&self, sql: &str, values: &[&(dyn ToSql + Sync)]) -> Answer<Vec<Row>> {
        const TIMES: u32 = 5;
        let sql = format!("{OURS} {sql}");
        for _ in 1..TIMES {
            match self.client.query(&sql, values).await {
                Err(error) if error.code() == Some(&SqlState::T_R_DEADLOCK_DETECTED) => {}
                answer => return answer,
            }
        }
        self.client.query(&sql, values).await
    }

    /// The only row of an answer; PostgreSQL gives it to these questions whatever there is.
    pub(super) async fn row(&self, sql: &str, values: &[&(dyn ToSql + Sync)]) -> Answer<Row> {
        self.client.query_one(&format!("{OURS} {sql}"), values).await
    }

    pub(super) async fn execute(&self, sql: &str, values: &[&(dyn ToSql + Sync)]) -> Answer<u64> {
        self.client.execute(sql, values).await
    }

    /// Takes the lock that lets one run work. Polled: a session that blocks in `pg_advisory_lock` holds a snapshot
    /// that the concurrent build of the lock's holder would wait for, which is a deadlock.
    pub(super) async fn lock(
        &mut self,
        patience: Duration,
        watcher: &Watcher,
        stop: &CancellationToken,
    ) -> Result<(), Failure> {
        const POLL: Duration = Duration::from_millis(100);
        let begun = Instant::now();
        loop {
            if stop.is_cancelled() {
                let (doing, left) = ("wait for another run", "nothing was changed");
                return Err(Failure::Stopped { doing: doing.to_owned(), left: left.to_owned() });
            }
            let taken = self.row("SELECT pg_try_advisory_lock($1)", &[&LOCK]).await;
            let taken: bool = taken.map_err(|error| Failure::Unreachable(said(&error)))?.get(0);
            if taken {
                self.is_locked = true;
                return Ok(());
            }
            if begun.elapsed() >= patience {
                return Err(Failure::Busy(begun.elapsed().as_secs()));
            }
            watcher(Progress::Waiting { holder: "another run is at work".to_owned() });
            tokio::time::sleep(POLL).await;
        }
    }

    /// The server's version, as it says it; 15 or newer.
    pub(super) async fn version(&self) -> Result<String, Failure> {
        const OLDEST: i32 = 150_000;
        let sql = "SELECT current_setting('server_version'),
                          current_setting('server_version_num')::integer";
        let row = self.row(sql, &[]).await;
        let row = row.map_err(|error| Failure::Unreachable(said(&error)))?;
        let version: String = row.get(0);
        if row.get::<_, i32>(1) < OLDEST { Err(Failure::TooOld(version)) } else { Ok(version) }
    }

    /// Whether anything can be written here at all.
    pub(super) async fn may_write(&self) -> Result<(), Failure> {
        let sql = "SELECT pg_is_in_recovery(), current_setting('transaction_read_only')::boolean";
        let row = self.row(sql, &[]).await;
        let row = row.map_err(|error| Failure::Unreachable(said(&error)))?;
        match (row.get(0), row.get(1)) {
            (true, _) => Err(Failure::ReadOnly("a standby")),
            (false, true) => Err(Failure::ReadOnly("default_transaction_read_only is on")),
            (false, false) => Ok(()),
        }
    }

    pub(super) async fn role(&self) -> String {
        let role = self.row("SELECT current_user::text", &[]).await;
        role.map_or_else(|_| "this role".to_owned(), |row| row.get(0))
    }

    /// What an index is, cut behind its table's name, and whether it is partitioned; none where it is not there.
    pub(super) async fn definition(
        &self,
        schema: &str,
        name: &str,
    ) -> Answer<Option<(String, bool)>> {
        let sql = "SELECT substr(pg_get_indexdef(i.oid), length(format('CREATE %sINDEX %I ON %s%I.%I ',
                       CASE WHEN x.indisunique THEN 'UNIQUE ' ELSE '' END, i.relname,
                       CASE WHEN i.relkind = 'I' THEN 'ONLY ' ELSE '' END, n.nspname, t.relname)) + 1),
                       i.relkind = 'I'
                   FROM pg_index AS x JOIN pg_class AS i ON i.oid = x.indexrelid
                   JOIN pg_class AS t ON t.oid = x.indrelid
                   JOIN pg_namespace AS n ON n.oid = t.relnamespace
                   WHERE n.nspname = $1 AND i.relname = $2";
        let rows = self.rows(sql, &[&schema, &name]).await?;
        Ok(rows.first().map(|row| (row.get(0), row.get(1))))
    }

    /// The bytes of what a step is about, with those of its partitions.
    pub(super) async fn bytes_of(&self, step: &Step) -> Option<i64> {
        let index = step.wanted()?;
        let sql = "SELECT sum(pg_relation_size(tree.relid))::bigint
                   FROM pg_class AS i JOIN pg_namespace AS n ON n.oid = i.relnamespace
                   CROSS JOIN LATERAL (
                       SELECT relid FROM pg_partition_tree(i.oid) UNION SELECT i.oid
                   ) AS tree
                   WHERE n.nspname = $1 AND i.relname = $2";
        let rows = self.rows(sql, &[&index.schema, &index.name]).await.ok()?;
        rows.first().and_then(|row| row.get(0))
    }

    /// Asks PostgreSQL to stop what runs here.
    pub(super) async fn cancel(&self) {
        if let Err(error) = self.client.cancel_token().cancel_query(NoTls).await {
            tracing::debug!("could not cancel a statement: {}", said(&error));
        }
    }

    /// Connects again after the server went away, and takes the lock again where it was held; `false` where that does not come
    /// about within the patience.
    pub(super) async fn reconnect(&mut self, patience: Duration) -> bool {
        const POLL: Duration = Duration::from_millis(250);
        let begun = Instant::now();
        loop {
            if let Ok((client, pid)) = connect(&self.target, self.lock_timeout).await {
                (self.client, self.pid) = (client, pid);
                // Not at once, where the server has not noticed yet that the old connection is gone, or another run came first.
                let take = "SELECT NOT $2 OR pg_try_advisory_lock($1)";
                let taken = self.row(take, &[&LOCK, &self.is_locked]).await;
                if taken.is_ok_and(|row| row.get(0)) {
                    return true;
                }
            }
            if begun.elapsed() >= patience {
                return false;
            }
            tokio::time::sleep(POLL).await;
        }
    }

    /// The value of a storage parameter of a table; none where it was never set.
    pub(super) async fn parameter(
        &self,
        schema: &str,
        table: &str,
        name: &str,
    ) -> Answer<Option<String>> {
        let sql = "SELECT o.option_value FROM pg_class AS t
                   JOIN pg_namespace AS n ON n.oid = t.relnamespace
                   CROSS JOIN LATERAL pg_options_to_table(t.reloptions) AS o
                   WHERE n.nspname = $1 AND t.relname = $2 AND o.option_name = $3";
        let rows = self.rows(sql, &[&schema, &table, &name]).await?;
        Ok(rows.first().map(|row| row.get(0)))
    }

    /// Whether another run began after this one: the lock was lost meanwhile.
    pub(super) async fn is_overtaken(&self, run: Option<Uuid>) -> bool {
        let Some(run) = run else { return false };
        let later = "SELECT EXISTS (SELECT FROM optimizer_runs WHERE began_at >
                         (SELECT began_at FROM optimizer_runs WHERE id = $1))";
        self.row(later, &[&run]).await.is_ok_and(|row| row.get(0))
    }

    /// The names of the parts of a partitioned index, and its own.
    pub(super) async fn parts_of(&self, index: &Index) -> Answer<Vec<String>> {
        let sql = "SELECT DISTINCT p.relname::text
                   FROM pg_class AS i JOIN pg_namespace AS n ON n.oid = i.relnamespace
                   CROSS JOIN LATERAL (
                       SELECT relid FROM pg_partition_tree(i.oid) UNION SELECT i.oid
                   ) AS tree
                   JOIN pg_class AS p ON p.oid = tree.relid
                   WHERE n.nspname = $1 AND i.relname = $2";
        let rows = self.rows(sql, &[&index.schema, &index.name]).await?;
        Ok(rows.iter().map(|row| row.get(0)).collect())
    }

    pub(super) fn is_closed(&self) -> bool {
        self.client.is_closed()
    }

    /// What an error means, where it is not clear that the connection is still there.
    pub(super) fn cause(&self, error: &tokio_postgres::Error) -> Cause {
        if self.client.is_closed() { Cause::Gone } else { Cause::of(error) }
    }
}

async fn connect(target: &tokio_postgres::Config, lock_timeout: Duration) -> Answer<(Client, i32)> {
    let (client, driver) = target.connect(NoTls).await?;
    tokio::spawn(async move {
        if let Err(error) = driver.await {
            tracing::debug!("connection lost: {}", said(&error));
        }
    });
    // A build takes as long as it takes; waiting for others has its limit.
    let set_up = format!(
        "SET statement_timeout = 0; SET idle_in_transaction_session_timeout = '60s'; \
         SET lock_timeout = {}; SET TIME ZONE 'UTC'; SET client_min_messages = warning",
        lock_timeout.as_millis()
    );
    client.batch_execute(&set_up).await?;
    // From 17 on a transaction has a limit of its own.
    let unlimited =
        "SELECT set_config(name, '0', false) FROM pg_settings WHERE name = 'transaction_timeout'";
    client.batch_execute(unlimited).await?;
    let pid = client.query_one("SELECT pg_backend_pid()", &[]).await?.get(0);
    Ok((client, pid))
}
