//! Building and dropping beside reads and writes, so that nothing half-built is left whatever happens in between.

use std::collections::HashSet;
use std::hash::{DefaultHasher, Hash as _, Hasher as _};
use std::time::Duration;

use tokio::time::Instant;
use tokio_postgres::Client;
use tokio_postgres::error::SqlState;
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

use super::catalogue::{Index, create, qualified, quoted};
use super::failure::{Cause, Failure, said};
use super::session::Session;
use super::steps::spare_name;
use super::{Options, Progress, Watcher};
use crate::watch::is_built_on;

/// How often what a build has done is looked at.
const LOOK: Duration = Duration::from_millis(500);
/// How often those are looked for who have to end first.
const SOON: Duration = Duration::from_millis(50);

/// What builds: the connection that works, and what it is told.
pub(super) struct Builder<'a> {
    pub(super) session: &'a mut Session,
    pub(super) options: &'a Options,
    pub(super) watcher: &'a Watcher,
    pub(super) stop: &'a CancellationToken,
    /// This run, once it is written down.
    pub(super) run: Option<Uuid>,
}

/// The name of what is there, in sentences.
fn left_invalid(name: &str) -> String {
    format!("{name} is left INVALID, which no query reads, and the next run removes it")
}

const NOTHING_LEFT: &str = "nothing is left of it";

impl Builder<'_> {
    /// Builds an index under `name`. However it ends, what is not whole is removed.
    pub(super) async fn build(
        &mut self,
        name: &str,
        schema: &str,
        table: &str,
        definition: &str,
    ) -> Result<(), Failure> {
        let doing = format!("build {name}");
        let sql = create(name, schema, table, definition);
        let mut attempt = 1;
        loop {
            self.wait_for_others(&doing, NOTHING_LEFT, (schema, table), Waiting::ForWriters)
                .await?;
            if self.stop.is_cancelled() {
                return Err(Failure::Stopped { doing, left: NOTHING_LEFT.to_owned() });
            }
            let failed = match self.watched(name, &sql).await {
                Ok(()) => return Ok(()),
                Err(error) => error,
            };
            let cause = self.session.cause(&failed);
            if cause == Cause::Gone {
                self.come_back(&doing, &left_invalid(name)).await?;
            }
            if is_taken(&failed) {
                let what = "another index".to_owned();
                return Err(Failure::NameTaken { name: name.to_owned(), what });
            }
            let left = match self.drop_leftover(schema, name).await {
                Ok(()) => NOTHING_LEFT.to_owned(),
                // What the drop says stands for both.
                Err(failure @ Failure::WentAway { .. }) => return Err(failure),
                Err(_) => left_invalid(name),
            };
            let may_go_better = matches!(cause, Cause::Gone | Cause::Locked)
                || cause == Cause::Cancelled && !self.stop.is_cancelled();
            if may_go_better && left == NOTHING_LEFT && attempt < self.options.attempts {
                self.back_off(attempt).await;
                attempt += 1;
                continue;
            }
            return Err(match cause {
                _ if self.stop.is_cancelled() => Failure::Stopped { doing, left },
                Cause::DiskFull => Failure::DiskFull { doing, said: said(&failed), left },
                Cause::Gone | Cause::Locked => Failure::Locked {
                    doing,
                    holder: format!("{} ({attempt} times)", said(&failed)),
                    left,
                },
                Cause::Cancelled | Cause::Refused => {
                    Failure::Refused { doing, said: said(&failed), left }
                }
            });
        }
    }

    /// Where the server went away meanwhile, waits until it is back.
    pub(super) async fn stay_connected(&mut self, doing: &str) -> Result<(), Failure> {
        if self.session.is_closed() {
            self.come_back(doing, "the indexes are as they were before that").await?;
        }
        Ok(())
    }

    /// Brings the server back into sight. Where another run came first meanwhile, what this one knows is of yesterday.
    async fn come_back(&mut self, doing: &str, left: &str) -> Result<(), Failure> {
        let patience = self.options.patience;
        if self.session.reconnect(patience).await {
            return if self.session.is_overtaken(self.run).await {
                Err(Failure::Overtaken { doing: doing.to_owned(), left: left.to_owned() })
            } else {
                Ok(())
            };
        }
        Err(Failure::WentAway {
            doing: doing.to_owned(),
            waited_seconds: patience.as_secs(),
            left: left.to_owned(),
        })
    }

    /// Waits until all are done who hold at this moment what a build would wait for: begun beside somebody who does not end, a
    /// build would leave an INVALID index, and dropping that would wait for them, too.
    async fn wait_for_others(
        &mut self,
        doing: &str,
        left: &str,
        (schema, table): (&str, &str),
        waiting: Waiting,
    ) -> Result<(), Failure> {
        let begun = Instant::now();
        let with_readers = waiting == Waiting::ForReadersToo;
        // Who comes later is not waited for: else a busy table would never be built on.
        let mut first: Option<HashSet<String>> = None;
        loop {
            let holders = match self.session.rows(HOLDERS, &[&schema, &table, &with_readers]).await
            {
                Ok(holders) => holders.iter().map(|row| (row.get(0), row.get(1))).collect(),
                Err(error) if self.session.cause(&error) == Cause::Gone => {
                    self.come_back(doing, left).await?;
                    continue;
                }
                Err(error) => {
                    let (doing, left) = (doing.to_owned(), left.to_owned());
                    return Err(Failure::Refused { doing, said: said(&error), left });
                }
            };
            let holders: Vec<(String, String)> = holders;
            let first =
                first.get_or_insert_with(|| holders.iter().map(|(who, _)| who.clone()).collect());
            let Some((_, holder)) = holders.into_iter().find(|(who, _)| first.contains(who)) else {
                return Ok(());
            };
            if self.stop.is_cancelled() {
                return Ok(());
            }
            if begun.elapsed() >= self.options.patience {
                let (doing, left) = (doing.to_owned(), left.to_owned());
                return Err(Failure::Locked { doing, holder, left });
            }
            (self.watcher)(Progress::Waiting { holder: holder.clone() });
            self.pause(SOON).await;
        }
    }

    async fn pause(&self, time: Duration) {
        tokio::select! {
            () = tokio::time::sleep(time) => {}
            () = self.stop.cancelled() => {}
        }
    }

    async fn back_off(&self, attempt: u32) {
        self.pause(self.options.back_off * 2_u32.saturating_pow(attempt - 1)).await;
    }

    /// Runs a build, tells how far it has come, and asks PostgreSQL to stop it where that is wished.
    async fn watched(&self, name: &str, sql: &str) -> Result<(), tokio_postgres::Error> {
        let beside = self.session.beside().await.ok();
        let building = self.session.run(sql);
        tokio::pin!(building);
        loop {
            // A stop is noticed at once, and asked for again as long as it takes: it may have come before the build.
            let is_to_stop = self.stop.is_cancelled();
            tokio::select! {
                done = &mut building => return done,
                () = self.stop.cancelled(), if !is_to_stop => self.session.cancel().await,
                () = tokio::time::sleep(LOOK) => {
                    if is_to_stop {
                        self.session.cancel().await;
                    } else if let Some(beside) = &beside {
                        self.look(beside, name).await;
                    }
                }
            }
        }
    }

    async fn look(&self, beside: &Client, name: &str) {
        let Ok(found) = beside.query_opt(PROGRESS, &[&self.session.pid]).await else { return };
        let Some(found) = found else { return };
        (self.watcher)(Progress::Building {
            index: name.to_owned(),
            phase: found.get(0),
            done: u64::try_from(found.get::<_, i64>(1)).unwrap_or(0),
            total: u64::try_from(found.get::<_, i64>(2)).unwrap_or(0),
        });
    }

    /// Drops an index that queries may use, where it is there. A drop marks it INVALID before it waits for all who read or write
    /// the table: so those are waited for before.
    pub(super) async fn drop_index(
        &mut self,
        (schema, table): (&str, &str),
        name: &str,
    ) -> Result<(), Failure> {
        let doing = format!("drop {name}");
        let as_it_was = format!("{name} is there as it was");
        let is_stopped = self.stop.is_cancelled();
        if !is_stopped {
            let of = (schema, table);
            self.wait_for_others(&doing, &as_it_was, of, Waiting::ForReadersToo).await?;
        }
        let sql = format!("DROP INDEX CONCURRENTLY IF EXISTS {}", qualified(schema, name));
        self.patiently(&doing, &left_invalid(name), &sql).await
    }

    /// Drops what a build left that failed, where it left anything, and nothing that queries may use or somebody builds. Nobody
    /// waits for it; it waits for everybody who reads or writes the table, also after a stop was asked for: what is not
    /// whole must not stay.
    pub(super) async fn drop_leftover(&mut self, schema: &str, name: &str) -> Result<(), Failure> {
        let doing = format!("drop the rest of {name}");
        let refused = |error: tokio_postgres::Error| Failure::Refused {
            doing: doing.clone(),
            said: said(&error),
            left: left_invalid(name),
        };
        let leftover = self.session.rows(&leftover(), &[&schema, &name]).await.map_err(refused)?;
        if leftover.is_empty() {
            return Ok(());
        }
        let sql = format!("DROP INDEX CONCURRENTLY IF EXISTS {}", qualified(schema, name));
        self.patiently(&doing, &left_invalid(name), &sql).await
    }

    /// Gives an index another name. Nobody waits for it for long.
    pub(super) async fn rename(
        &mut self,
        schema: &str,
        from: &str,
        to: &str,
    ) -> Result<(), Failure> {
        let doing = format!("rename {from} to {to}");
        let sql = format!("ALTER INDEX {} RENAME TO {}", qualified(schema, from), quoted(to));
        self.shortly(&doing, &format!("it is still called {from}"), &sql).await
    }

    /// Puts the index that was built beside another in its place: drops the other, and takes its name.
    pub(super) async fn swap(&mut self, name: &str, of: (&str, &str)) -> Result<(), Failure> {
        self.drop_index(of, name).await?;
        self.rename(of.0, &spare_name(name), name).await
    }

    /// Builds what is to take the place of an index.
    pub(super) async fn build_spare(
        &mut self,
        name: &str,
        (schema, table): (&str, &str),
        definition: &str,
    ) -> Result<(), Failure> {
        let spare = spare_name(name);
        self.drop_leftover(schema, &spare).await?;
        self.build(&spare, schema, table, definition).await
    }

    /// Gives every partition its part, each concurrently, and the whole its name.
    pub(super) async fn complete(&mut self, index: &Index) -> Result<(), Failure> {
        let doing = format!("build {}", index.name);
        let left = "the partitions that have their part keep it; the next run goes on";
        // Takes no time, for the table itself is empty; what it waits for, writers wait for.
        let whole = format!(
            "CREATE INDEX IF NOT EXISTS {} ON ONLY {} {}",
            quoted(index.name),
            qualified(index.schema, index.table),
            index.definition
        );
        self.shortly(&doing, left, &whole).await?;
        let missing = self
            .session
            .rows(PARTITIONS, &[&index.schema, &index.table, &index.name, &index.definition])
            .await
            .map_err(|error| Failure::Refused {
                doing: doing.clone(),
                said: said(&error),
                left: left.to_owned(),
            })?;
        for row in missing {
            let (schema, partition): (String, String) = (row.get(0), row.get(1));
            let part = match row.get::<_, Option<String>>(2) {
                Some(part) => part,
                None => {
                    let part = part_name(&partition, index.name);
                    self.build(&part, &schema, &partition, index.definition).await?;
                    part
                }
            };
            let attach = format!(
                "ALTER INDEX {} ATTACH PARTITION {}",
                qualified(index.schema, index.name),
                qualified(&schema, &part)
            );
            self.shortly(&doing, left, &attach).await?;
        }
        Ok(())
    }

    /// Drops what `complete` made. Readers and writers wait for it, a moment at a time.
    pub(super) async fn drop_partitioned(
        &mut self,
        schema: &str,
        name: &str,
    ) -> Result<(), Failure> {
        let sql = format!("DROP INDEX IF EXISTS {}", qualified(schema, name));
        self.shortly(&format!("drop {name}"), &format!("{name} is left"), &sql).await
    }

    /// A statement for which others wait as long as it waits: it waits for moments only, again and again.
    pub(super) async fn shortly(
        &mut self,
        doing: &str,
        left: &str,
        sql: &str,
    ) -> Result<(), Failure> {
        let sql = format!("BEGIN; SET LOCAL lock_timeout = '300ms'; {sql}; COMMIT");
        self.patiently(doing, left, &sql).await
    }

    /// A statement that is tried until it succeeds or the patience ends.
    async fn patiently(&mut self, doing: &str, left: &str, sql: &str) -> Result<(), Failure> {
        let begun = Instant::now();
        let mut attempt = 1;
        loop {
            let Err(error) = self.session.run(sql).await else { return Ok(()) };
            let cause = self.session.cause(&error);
            if cause != Cause::Gone
                && let Err(error) = self.session.run("ROLLBACK").await
            {
                tracing::debug!("could not roll back: {}", said(&error));
            }
            let (doing, left) = (doing.to_owned(), left.to_owned());
            match cause {
                Cause::Gone if begun.elapsed() < self.options.patience * 2 => {
                    self.come_back(&doing, &left).await?;
                }
                Cause::Gone => {
                    let waited_seconds = begun.elapsed().as_secs();
                    return Err(Failure::WentAway { doing, waited_seconds, left });
                }
                Cause::Locked | Cause::Cancelled if begun.elapsed() < self.options.patience => {}
                Cause::Locked | Cause::Cancelled => {
                    return Err(Failure::Locked { doing, holder: said(&error), left });
                }
                Cause::DiskFull => {
                    return Err(Failure::DiskFull { doing, said: said(&error), left });
                }
                Cause::Refused => {
                    return Err(Failure::Refused { doing, said: said(&error), left });
                }
            }
            tokio::time::sleep(self.options.back_off * attempt.min(5)).await;
            attempt += 1;
        }
    }
}

/// The name of a partition's part, within the 63 bytes of a name: the beginnings of both names, and what tells it from others
/// that begin alike.
fn part_name(partition: &str, index: &str) -> String {
    let cut = |text: &str, most: usize| text[..text.floor_char_boundary(most)].to_owned();
    let mut hash = DefaultHasher::new();
    (partition, index).hash(&mut hash);
    format!("{}_{}_{:08x}", cut(partition, 26), cut(index, 26), hash.finish() >> 32)
}

/// Whom a statement would wait for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Waiting {
    /// A build: who writes the table, and who has an old snapshot.
    ForWriters,
    /// A drop: who reads it as well.
    ForReadersToo,
}

/// Whether the name of an index belongs to something else by now.
fn is_taken(error: &tokio_postgres::Error) -> bool {
    let taken = [SqlState::DUPLICATE_TABLE, SqlState::DUPLICATE_OBJECT];
    error.code().is_some_and(|code| taken.contains(code))
}

/// An index that no query may use, and on whose table nobody builds.
fn leftover() -> String {
    format!(
        "SELECT 1 FROM pg_index AS x JOIN pg_class AS i ON i.oid = x.indexrelid
         JOIN pg_namespace AS n ON n.oid = i.relnamespace
         WHERE n.nspname = $1 AND i.relname = $2
           AND NOT (x.indisvalid AND x.indisready AND x.indislive) AND NOT {}",
        is_built_on("x.indrelid")
    )
}

/// Those for whom a build would wait: who has written to the table, or has a snapshot; each transaction with its name in a
/// sentence.
const HOLDERS: &str = "
    WITH wanted AS (
        SELECT t.oid FROM pg_class AS t JOIN pg_namespace AS n ON n.oid = t.relnamespace
        WHERE n.nspname = $1 AND t.relname = $2
    ), locked AS (
        SELECT l.pid, l.virtualtransaction FROM pg_locks AS l JOIN wanted ON l.relation = wanted.oid
        WHERE l.granted AND l.locktype = 'relation'
          AND l.database = (SELECT oid FROM pg_database WHERE datname = current_database())
          AND ($3 OR l.mode IN ('RowExclusiveLock', 'ShareUpdateExclusiveLock',
                                'ShareRowExclusiveLock', 'ExclusiveLock', 'AccessExclusiveLock'))
    )
    -- Of other roles' sessions only the process, the transaction and the snapshot can be seen.
    SELECT a.pid || ' ' || coalesce(a.xact_start::text, a.backend_xid::text, ''),
           format('%s (process %s) has been %s for %s s',
                  coalesce(nullif(a.application_name, ''), 'somebody'), a.pid,
                  coalesce(a.state, a.backend_type, 'at work'),
                  coalesce(extract(epoch FROM clock_timestamp() - a.xact_start)::bigint::text, 'some'))
    FROM pg_stat_activity AS a
    WHERE a.datname = current_database() AND a.pid <> pg_backend_pid()
      -- Not this: PostgreSQL takes it away from who needs the table.
      AND a.backend_type IS DISTINCT FROM 'autovacuum worker'
      AND (a.backend_xmin IS NOT NULL OR a.pid IN (SELECT pid FROM locked))
    UNION ALL
    SELECT p.gid, format('the prepared transaction %L has been open since %s', p.gid, p.prepared)
    FROM pg_prepared_xacts AS p WHERE p.database = current_database()
      AND '-1/' || p.transaction::text IN (SELECT virtualtransaction FROM locked)";

const PROGRESS: &str = "
    SELECT phase, greatest(blocks_done, tuples_done), greatest(blocks_total, tuples_total)
    FROM pg_stat_progress_create_index WHERE pid = $1";

/// The partitions that lack their part of an index, and what each has that would do.
const PARTITIONS: &str = "
    WITH whole AS (
        SELECT i.oid, x.indrelid FROM pg_class AS i
        JOIN pg_namespace AS n ON n.oid = i.relnamespace
        JOIN pg_index AS x ON x.indexrelid = i.oid
        JOIN pg_class AS t ON t.oid = x.indrelid
        WHERE n.nspname = $1 AND t.relname = $2 AND i.relname = $3
    )
    SELECT n.nspname::text, p.relname::text, (
        SELECT i.relname::text FROM pg_index AS x JOIN pg_class AS i ON i.oid = x.indexrelid
        WHERE x.indrelid = p.oid AND x.indisvalid AND NOT i.relispartition
          AND substr(pg_get_indexdef(i.oid),
                     length(format('CREATE INDEX %I ON %I.%I ', i.relname, n.nspname, p.relname)) + 1) = $4
        LIMIT 1
    )
    FROM whole JOIN pg_inherits AS h ON h.inhparent = whole.indrelid
    JOIN pg_class AS p ON p.oid = h.inhrelid
    JOIN pg_namespace AS n ON n.oid = p.relnamespace
    WHERE NOT EXISTS (
        SELECT FROM pg_inherits AS part JOIN pg_index AS x ON x.indexrelid = part.inhrelid
        WHERE part.inhparent = whole.oid AND x.indrelid = p.oid)
    ORDER BY 1, 2";
