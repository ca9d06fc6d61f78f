//! Runs that were: a list of them, and taking one back.

use std::time::Duration;

use chrono::{DateTime, Utc};
use serde::Serialize;
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

use super::build::Builder;
use super::catalogue::{qualified, quoted};
use super::failure::{Failure, said};
use super::record::{self, Action, Change};
use super::session::Session;
use super::steps::spare_name;
use super::{Options, Watcher};

/// Takes back what a run changed: drops what it built, and builds again what it replaced. Answers what was done.
///
/// # Errors
/// [`Failure`], where there is no such run, where it was taken back already, and where a step could not be done; then the run
/// can be taken back once more.
pub async fn roll_back(
    url: &str,
    run: Uuid,
    options: &Options,
    watcher: &Watcher,
    stop: &CancellationToken,
) -> Result<Vec<String>, Failure> {
    let mut session = Session::open(url, options.lock_timeout).await?;
    session.version().await?;
    session.may_write().await?;
    session.lock(options.turn, watcher, stop).await?;
    let changes = record::changes_of(&session, run).await?;
    let mut builder = Builder { session: &mut session, options, watcher, stop, run: None };
    let mut done = Vec::new();
    for change in &changes {
        builder.stay_connected("take a run back").await?;
        done.extend(builder.undo(change).await?);
    }
    record::taken_back(builder.session, run).await?;
    Ok(done)
}

impl Builder<'_> {
    async fn undo(&mut self, change: &Change) -> Result<Option<String>, Failure> {
        let Change { action, schema, table, name, definition, before } = change;
        match action {
            Action::Set => {
                let now = self.session.parameter(schema, table, name).await.map_err(lost)?;
                // Somebody has set something else since.
                if now.as_deref() != Some(definition) {
                    return Ok(None);
                }
                let table = qualified(schema, table);
                let sql = format!("ALTER TABLE {table} RESET ({})", quoted(name));
                self.shortly(&format!("reset {name}"), "it is as the run set it", &sql).await?;
                Ok(Some(sql))
            }
            Action::Build | Action::Replace => {
                let there = self.session.definition(schema, name).await.map_err(lost)?;
                let of = (schema.as_str(), table.as_str());
                match (there, before) {
                    (Some((now, _)), Some(before)) if now == *before => Ok(None),
                    (Some((now, _)), _) if now != *definition => Err(Failure::NameTaken {
                        name: name.clone(),
                        what: format!("another index by now ({now})"),
                    }),
                    (there, Some(before)) => {
                        let spare = self.session.definition(schema, &spare_name(name)).await;
                        if spare.map_err(lost)?.is_none_or(|(spare, _)| spare != *before) {
                            self.build_spare(name, of, before).await?;
                        }
                        if there.is_some() {
                            self.drop_index(of, name).await?;
                        }
                        self.rename(schema, &spare_name(name), name).await?;
                        Ok(Some(format!("built {name} again as it was: {before}")))
                    }
                    (None, None) => Ok(None),
                    (Some((_, true)), None) if *action == Action::Build => {
                        self.drop_partitioned(schema, name).await?;
                        Ok(Some(format!("dropped {name}")))
                    }
                    (Some((_, false)), None) if *action == Action::Build => {
                        self.drop_index(of, name).await?;
                        Ok(Some(format!("dropped {name}")))
                    }
                    // A killed run had replaced it; what was there before is known to that run alone.
                    (Some(_), None) => Ok(None),
                }
            }
        }
    }
}

#[expect(clippy::needless_pass_by_value, reason = "the shape that `map_err` takes")]
fn lost(error: tokio_postgres::Error) -> Failure {
    Failure::Refused {
        doing: "look at what a run changed".to_owned(),
        said: said(&error),
        left: "the run can be taken back once more".to_owned(),
    }
}

/// A run as it is listed.
#[derive(Debug, Clone, Serialize)]
pub struct PastRun {
    /// To take it back by.
    pub id: Uuid,
    /// What was wanted.
    pub level: String,
    /// Who asked.
    pub actor: String,
    /// When it began.
    pub began_at: DateTime<Utc>,
    /// When it ended; absent where it was killed, or still runs.
    pub ended_at: Option<DateTime<Utc>>,
    /// When it was taken back.
    pub taken_back_at: Option<DateTime<Utc>>,
    /// How many changes of it are there.
    pub changes: i64,
}

/// The last hundred runs that changed something, newest first. Statements: 1.
///
/// # Errors
/// [`Failure`].
pub async fn runs(url: &str) -> Result<Vec<PastRun>, Failure> {
    let session = Session::open(url, Duration::from_secs(1)).await?;
    record::runs(&session).await
}
