//! What the database is told besides indexes: what is measured, and how tables are kept.

use super::build::Builder;
use super::catalogue::{Catalogue, Kind, Level, qualified, quoted};
use super::failure::{Failure, said};
use super::record::{Action, Change, Run};
use super::report::{SetBy, SettingReport};

/// A table that is read from its indexes alone has to be vacuumed after inserts, too: PostgreSQL reads the row itself as long
/// as it does not know that everybody may see it. After every twentieth row in place of every fifth.
const VACUUM_AFTER_INSERTS: (&str, &str) = ("autovacuum_vacuum_insert_scale_factor", "0.05");
/// A table of which less is known to be visible is vacuumed at once.
const VISIBLE: f64 = 0.9;

impl Builder<'_> {
    /// Sets what is missing. `run` is absent where nothing is to be changed: then it says what would be.
    pub(super) async fn settings(
        &mut self,
        catalogue: &Catalogue,
        level: Level,
        run: &mut Option<Run>,
    ) -> Result<Vec<SettingReport>, Failure> {
        let mut done = Vec::new();
        done.extend(self.statistics_of_statements(run.is_some()).await?);
        let mut tables: Vec<(&str, &str)> = catalogue
            .wanted(level)
            .filter(|index| index.kind == Kind::Covering)
            .map(|index| (index.schema, index.table))
            .collect();
        tables.dedup();
        for (schema, table) in tables {
            done.extend(self.vacuum_settings(schema, table, run).await?);
        }
        Ok(done)
    }

    async fn statistics_of_statements(
        &mut self,
        may_change: bool,
    ) -> Result<Option<SettingReport>, Failure> {
        let state = "SELECT EXISTS (SELECT FROM pg_extension WHERE extname = 'pg_stat_statements'),
                            EXISTS (SELECT FROM pg_available_extensions
                                    WHERE name = 'pg_stat_statements'),
                            current_setting('shared_preload_libraries') ~ '\\mpg_stat_statements\\M',
                            current_setting('is_superuser') = 'on' OR EXISTS (
                                SELECT FROM pg_available_extension_versions
                                WHERE name = 'pg_stat_statements' AND (trusted OR NOT superuser))";
        // Who may not see this setting is told below what to do.
        let Ok(row) = self.session.row(state, &[]).await else { return Ok(None) };
        let (is_there, is_installed, is_loaded, is_allowed): (bool, bool, bool, bool) =
            (row.get(0), row.get(1), row.get(2), row.get(3));
        if is_there && is_loaded {
            return Ok(None);
        }
        let sql = "CREATE EXTENSION IF NOT EXISTS pg_stat_statements";
        let because = "which statements the server has seen is known by it alone";
        let to_do = |sql: &str, because: String| {
            let (sql, by) = (sql.to_owned(), SetBy::Operator);
            Ok(Some(SettingReport { sql, because, by, is_done: false }))
        };
        if !is_loaded {
            let load = "ALTER SYSTEM SET shared_preload_libraries = 'pg_stat_statements'";
            return to_do(
                load,
                format!("{because}; it takes a restart, and keep what else is listed there"),
            );
        }
        if !is_installed {
            return to_do(sql, format!("{because}; install PostgreSQL's contrib package first"));
        }
        if !is_allowed {
            return to_do(sql, format!("{because}; have a superuser do it"));
        }
        let ours = |is_done| {
            let (sql, because) = (sql.to_owned(), because.to_owned());
            Ok(Some(SettingReport { sql, because, by: SetBy::Run, is_done }))
        };
        if !may_change {
            return ours(false);
        }
        match self.session.run(sql).await {
            Ok(()) => ours(true),
            Err(error) => {
                to_do(sql, format!("{because}; {}: have a superuser do it", said(&error)))
            }
        }
    }

    async fn vacuum_settings(
        &mut self,
        schema: &str,
        table: &str,
        run: &mut Option<Run>,
    ) -> Result<Option<SettingReport>, Failure> {
        let (name, value) = VACUUM_AFTER_INSERTS;
        let known = "SELECT (SELECT option_value FROM pg_options_to_table(t.reloptions)
                             WHERE option_name = $3),
                            t.relpages > 10 AND t.relallvisible < t.relpages * $4::float8,
                            t.relkind = 'r' AND t.reltuples > 0
                     FROM pg_class AS t JOIN pg_namespace AS n ON n.oid = t.relnamespace
                     WHERE n.nspname = $1 AND t.relname = $2";
        let found = self.session.rows(known, &[&schema, &table, &name, &VISIBLE]).await;
        // A table that is not there is told of where its indexes are.
        let Some(row) = found.ok().and_then(|rows| rows.into_iter().next()) else {
            return Ok(None);
        };
        let (before, is_dull, has_rows): (Option<String>, bool, bool) =
            (row.get(0), row.get(1), row.get(2));
        if !has_rows {
            return Ok(None);
        }
        let doing = format!("set {name} of {table}");
        if is_dull && run.is_some() {
            let vacuum = format!("VACUUM (ANALYZE) {}", qualified(schema, table));
            if let Err(error) = self.session.run(&vacuum).await {
                tracing::debug!("could not vacuum {table}: {}", said(&error));
            }
        }
        // What somebody chose is theirs.
        if before.is_some() {
            return Ok(None);
        }
        let sql =
            format!("ALTER TABLE {} SET ({} = {value})", qualified(schema, table), quoted(name));
        let because = format!(
            "{table} is read from an index alone, for which it has to be vacuumed after inserts"
        );
        let Some(run) = run else {
            return Ok(Some(SettingReport { sql, because, by: SetBy::Run, is_done: false }));
        };
        let change = Change {
            action: Action::Set,
            schema: schema.to_owned(),
            table: table.to_owned(),
            name: name.to_owned(),
            definition: value.to_owned(),
            before,
        };
        run.note(self.session, &change).await?;
        self.shortly(&doing, "it is as it was", &sql).await?;
        run.settle(self.session, &change, true).await?;
        Ok(Some(SettingReport { sql, because, by: SetBy::Run, is_done: true }))
    }
}
