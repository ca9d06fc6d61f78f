//! What runs did, written down before they do it.

use std::collections::BTreeMap;

use uuid::Uuid;

use super::back::PastRun;
use super::catalogue::{Index, Level};
use super::failure::{Failure, said};
use super::session::Session;

/// What earlier runs left behind.
#[derive(Debug, Clone, Default)]
pub(super) struct Record {
    /// By schema, table and definition: why, and the rows of the table then.
    rejections: BTreeMap<(String, String, String), (String, f64)>,
    /// By schema and name: begun by a run that ended without saying what came of it.
    unproven: Vec<(String, String)>,
}

/// A table with so many times the rows of then is another table: what it rejected is tried again.
const GROWN: f64 = 4.0;
/// Below so many rows a table's growth says nothing.
const FEW: f64 = 1_000.0;

impl Record {
    /// Statements: 2.
    pub(super) async fn read(session: &Session) -> Result<Self, Failure> {
        let rejections = session
            .rows(
                "SELECT schema_name, table_name, definition, because, table_rows
                 FROM optimizer_rejections",
                &[],
            )
            .await
            .map_err(not_there)?;
        let unproven = session
            .rows("SELECT schema_name, name FROM optimizer_changes WHERE state = 'begun'", &[])
            .await
            .map_err(not_there)?;
        Ok(Self {
            rejections: rejections
                .iter()
                .map(|row| ((row.get(0), row.get(1), row.get(2)), (row.get(3), row.get(4))))
                .collect(),
            unproven: unproven.iter().map(|row| (row.get(0), row.get(1))).collect(),
        })
    }

    /// Why this index is not to be built, where that was found out on a table of about this size.
    pub(super) fn rejection(&self, index: &Index, rows: f64) -> Option<&str> {
        let key = (index.schema.to_owned(), index.table.to_owned(), index.definition.to_owned());
        let (because, then) = self.rejections.get(&key)?;
        (rows < then.max(FEW) * GROWN).then_some(because)
    }

    pub(super) fn rejects(&self, index: &Index, rows: f64) -> bool {
        self.rejection(index, rows).is_some()
    }

    /// Whether it was begun and never proven.
    pub(super) fn is_unproven(&self, index: &Index) -> bool {
        self.unproven.iter().any(|(schema, name)| schema == index.schema && name == index.name)
    }
}

fn not_there(error: tokio_postgres::Error) -> Failure {
    match error.code() {
        Some(&tokio_postgres::error::SqlState::UNDEFINED_TABLE) => {
            Failure::NoTable("optimizer_runs".to_owned())
        }
        _ => refused("read what earlier runs did")(error),
    }
}

fn refused(doing: &str) -> impl Fn(tokio_postgres::Error) -> Failure {
    let doing = doing.to_owned();
    move |error| Failure::Refused {
        doing: doing.clone(),
        said: said(&error),
        left: "the indexes are as they were before that".to_owned(),
    }
}

/// What a change is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Action {
    Build,
    Replace,
    Set,
}

impl Action {
    const fn as_str(self) -> &'static str {
        match self {
            Self::Build => "build",
            Self::Replace => "replace",
            Self::Set => "set",
        }
    }
}

/// A change as it is written down.
#[derive(Debug, Clone)]
pub(super) struct Change {
    pub(super) action: Action,
    pub(super) schema: String,
    pub(super) table: String,
    /// Of the index, or of the storage parameter.
    pub(super) name: String,
    pub(super) definition: String,
    pub(super) before: Option<String>,
}

/// The run that is under way.
#[derive(Debug)]
pub(super) struct Run {
    pub(super) id: Uuid,
    changes: i32,
}

impl Run {
    pub(super) async fn begin(
        session: &Session,
        id: Uuid,
        level: Level,
        actor: &str,
    ) -> Result<Self, Failure> {
        let sql = "INSERT INTO optimizer_runs (id, level, actor) VALUES ($1, $2, $3)";
        session
            .execute(sql, &[&id, &level.as_str(), &actor])
            .await
            .map_err(refused("write down that a run begins"))?;
        Ok(Self { id, changes: 0 })
    }

    /// Whether anything was begun in it.
    pub(super) fn has_changed(&self) -> bool {
        self.changes > 0
    }

    /// Before it is done.
    pub(super) async fn note(&mut self, session: &Session, change: &Change) -> Result<(), Failure> {
        self.changes += 1;
        let sql = "INSERT INTO optimizer_changes
                       (run_id, number, action, schema_name, table_name, name, definition, before, state)
                   VALUES ($1, $2, $3, $4, $5, $6, $7, $8, 'begun')";
        let Change { action, schema, table, name, definition, before } = change;
        session
            .execute(
                sql,
                &[
                    &self.id,
                    &self.changes,
                    &action.as_str(),
                    schema,
                    table,
                    name,
                    definition,
                    before,
                ],
            )
            .await
            .map(|_| ())
            .map_err(refused("write down what is to be done"))
    }

    /// What came of the change, and of what killed runs began under this name.
    pub(super) async fn settle(
        &self,
        session: &Session,
        change: &Change,
        is_kept: bool,
    ) -> Result<(), Failure> {
        let sql = "UPDATE optimizer_changes SET state = $3
                   WHERE schema_name = $1 AND name = $2 AND state = 'begun'";
        let state = if is_kept { "proven" } else { "dropped" };
        session
            .execute(sql, &[&change.schema, &change.name, &state])
            .await
            .map(|_| ())
            .map_err(refused("write down what was done"))
    }

    /// Remembers that an index is of no use.
    pub(super) async fn reject(
        &self,
        session: &Session,
        index: &Index,
        because: &str,
        rows: f64,
    ) -> Result<(), Failure> {
        let sql = "INSERT INTO optimizer_rejections
                       (schema_name, table_name, definition, name, because, table_rows, run_id)
                   VALUES ($1, $2, $3, $4, $5, $6, $7)
                   ON CONFLICT (schema_name, table_name, definition) DO UPDATE
                   SET name = excluded.name, because = excluded.because, run_id = excluded.run_id,
                       table_rows = excluded.table_rows, rejected_at = now()";
        let Index { schema, table, definition, name, .. } = index;
        session
            .execute(sql, &[schema, table, definition, name, &because, &rows, &self.id])
            .await
            .map(|_| ())
            .map_err(refused("write down what was rejected"))
    }

    pub(super) async fn end(
        &self,
        session: &Session,
        report: &serde_json::Value,
    ) -> Result<(), Failure> {
        let sql =
            "UPDATE optimizer_runs SET ended_at = clock_timestamp(), report = $2 WHERE id = $1";
        session
            .execute(sql, &[&self.id, report])
            .await
            .map(|_| ())
            .map_err(refused("write down how the run ended"))
    }
}

/// What a run changed and is still so, the last first.
pub(super) async fn changes_of(session: &Session, run: Uuid) -> Result<Vec<Change>, Failure> {
    let found = session
        .rows("SELECT taken_back_at IS NOT NULL FROM optimizer_runs WHERE id = $1", &[&run])
        .await
        .map_err(not_there)?;
    let Some(found) = found.first() else { return Err(Failure::NoRun(run.to_string())) };
    if found.get(0) {
        return Err(Failure::TakenBack(run.to_string()));
    }
    let rows = session
        .rows(
            "SELECT action, schema_name, table_name, name, definition, before FROM optimizer_changes
             WHERE run_id = $1 AND state IN ('begun', 'proven') ORDER BY number DESC",
            &[&run],
        )
        .await
        .map_err(not_there)?;
    let change = |row: &tokio_postgres::Row| Change {
        action: match row.get::<_, &str>(0) {
            "build" => Action::Build,
            "replace" => Action::Replace,
            _ => Action::Set,
        },
        schema: row.get(1),
        table: row.get(2),
        name: row.get(3),
        definition: row.get(4),
        before: row.get(5),
    };
    Ok(rows.iter().map(change).collect())
}

/// The last runs.
pub(super) async fn runs(session: &Session) -> Result<Vec<PastRun>, Failure> {
    let sql = "SELECT id, level, actor, began_at, ended_at, taken_back_at, (
                   SELECT count(*) FROM optimizer_changes AS c
                   WHERE c.run_id = r.id AND c.state IN ('begun', 'proven'))
               FROM optimizer_runs AS r
               WHERE EXISTS (SELECT FROM optimizer_changes AS c WHERE c.run_id = r.id)
               ORDER BY began_at DESC LIMIT 100";
    let rows = session.rows(sql, &[]).await.map_err(not_there)?;
    let run = |row: &tokio_postgres::Row| PastRun {
        id: row.get(0),
        level: row.get(1),
        actor: row.get(2),
        began_at: row.get(3),
        ended_at: row.get(4),
        taken_back_at: row.get(5),
        changes: row.get(6),
    };
    Ok(rows.iter().map(run).collect())
}

/// Notes that a run was taken back whole.
pub(super) async fn taken_back(session: &Session, run: Uuid) -> Result<(), Failure> {
    let sql = "WITH undone AS (
                   UPDATE optimizer_changes SET state = 'taken back'
                   WHERE run_id = $1 AND state IN ('begun', 'proven')
               )
               UPDATE optimizer_runs SET taken_back_at = clock_timestamp() WHERE id = $1";
    session
        .execute(sql, &[&run])
        .await
        .map(|_| ())
        .map_err(refused("write down that the run was taken back"))
}
