//! What a run found and did, as it is shown and kept.

use std::fmt;

use chrono::{DateTime, Utc};
use serde::Serialize;
use serde_json::{Value, json};
use uuid::Uuid;

use super::catalogue::{Because, Catalogue, Index, Kind, LeftOut, Level};

/// A run, from its beginning to its end. Every figure is measured.
#[derive(Debug, Clone, Serialize)]
pub struct Report {
    /// To take it back by; absent where nothing was to be changed.
    pub run: Option<Uuid>,
    /// What was wanted.
    pub level: Level,
    /// Nothing was changed, only looked at.
    pub is_dry_run: bool,
    /// As PostgreSQL says it.
    pub server_version: String,
    /// When it began.
    pub began_at: DateTime<Utc>,
    /// How long it took.
    pub seconds: f64,
    /// What was, or is, to be done about indexes, in that order.
    pub steps: Vec<StepReport>,
    /// What was set, in that order.
    pub settings: Vec<SettingReport>,
    /// What the statements of the workload read, before and after.
    pub queries: Vec<QueryReport>,
    /// Statements that the server has seen and that were not run again, and why.
    pub unmeasured: Vec<Unmeasured>,
    /// Why nothing is known of what the server has seen, where that is so.
    pub capture: Option<String>,
    /// What the cache was warmed with, or why it was not.
    pub warm_up: Option<String>,
    /// What is worth knowing, and was left as it is.
    pub notes: Vec<String>,
    /// What to do before a run on a database that matters.
    pub advice: Vec<String>,
    /// What the run could not do.
    pub failures: Vec<String>,
    /// What the catalogue does not want, and why.
    pub left_out: Vec<LeftOutReport>,
}

/// What became of a step.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Outcome {
    /// Nothing yet: a dry run.
    Planned,
    /// It was done, and the index proved itself.
    Done,
    /// The index was built, measured, dropped again, and is remembered.
    Rejected,
    /// It could not be done; the failures say why.
    Failed,
}

/// One step.
#[derive(Debug, Clone, Serialize)]
pub struct StepReport {
    /// In words: `build orders_by_time`.
    pub doing: String,
    /// The SQL.
    pub sql: Vec<String>,
    /// The index, where the catalogue wants it.
    pub index: Option<IndexReport>,
    /// What became of it.
    pub outcome: Outcome,
    /// Why, where it was rejected; what came of it, where it is worth saying.
    pub because: Option<String>,
    /// Bytes of the index.
    pub bytes: Option<i64>,
    /// How long it took.
    pub seconds: Option<f64>,
}

/// What the catalogue says of an index.
#[derive(Debug, Clone, Serialize)]
pub struct IndexReport {
    /// Its name.
    pub name: &'static str,
    /// Its table.
    pub table: &'static str,
    /// What kind it is.
    pub kind: Kind,
    /// The level that wants it.
    pub level: Level,
    /// The queries that it serves.
    pub serves: &'static [&'static str],
    /// What it costs to write.
    pub entries: &'static str,
}

impl From<&Index> for IndexReport {
    fn from(index: &Index) -> Self {
        let Index { name, table, kind, level, serves, writes, .. } = *index;
        Self { name, table, kind, level, serves, entries: writes.entries }
    }
}

/// A setting of the database or of a table.
#[derive(Debug, Clone, Serialize)]
pub struct SettingReport {
    /// The SQL, or what an operator has to do.
    pub sql: String,
    /// Why.
    pub because: String,
    /// Who does it, or has done it.
    pub by: SetBy,
    /// Whether it is done.
    pub is_done: bool,
}

/// Who sets something.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum SetBy {
    /// A run that is no dry one.
    Run,
    /// An operator: it takes more rights, or a restart.
    Operator,
}

/// What a statement read: pages of 8 kB, from the cache or from disk.
#[derive(Debug, Clone, Serialize)]
pub struct QueryReport {
    /// What it is for.
    pub name: String,
    /// Who sends it.
    pub endpoint: String,
    /// Its text, without values.
    pub text: String,
    /// How often the server has seen it, where that is known.
    pub calls: Option<i64>,
    /// Before the run; absent where it timed out or failed.
    pub before_buffers: Option<u64>,
    /// After it.
    pub after_buffers: Option<u64>,
    /// The plan before.
    pub before_plan: Option<String>,
    /// The plan after.
    pub after_plan: Option<String>,
    /// Why a figure is missing.
    pub because: Option<String>,
}

/// A statement that was not run again.
#[derive(Debug, Clone, Serialize)]
pub struct Unmeasured {
    /// Its beginning.
    pub text: String,
    /// Why.
    pub because: String,
}

/// An index that is not wanted.
#[derive(Debug, Clone, Serialize)]
pub struct LeftOutReport {
    /// What it would be on.
    pub index: &'static str,
    /// Why it is not wanted.
    pub because: Because,
    /// More of that.
    pub detail: &'static str,
}

impl Report {
    pub(super) fn new(
        catalogue: &Catalogue,
        level: Level,
        is_dry_run: bool,
        version: &str,
    ) -> Self {
        let left_out = |left: &LeftOut| LeftOutReport {
            index: left.index,
            because: left.because,
            detail: left.detail,
        };
        Self {
            run: None,
            level,
            is_dry_run,
            server_version: version.to_owned(),
            began_at: Utc::now(),
            seconds: 0.0,
            steps: vec![],
            settings: vec![],
            queries: vec![],
            unmeasured: vec![],
            capture: None,
            warm_up: None,
            notes: vec![],
            advice: vec![],
            failures: vec![],
            left_out: catalogue.left_out.iter().map(left_out).collect(),
        }
    }

    /// What the statements of each endpoint read together, as far as both figures are known.
    #[must_use]
    pub fn endpoints(&self) -> Vec<Endpoint<'_>> {
        let mut endpoints: Vec<Endpoint<'_>> = Vec::new();
        for query in &self.queries {
            let (Some(before), Some(after)) = (query.before_buffers, query.after_buffers) else {
                continue;
            };
            let name = if query.is_captured() { "seen by the server" } else { &query.endpoint };
            let known = endpoints.iter_mut().find(|endpoint| endpoint.name == name);
            match known {
                Some(known) => {
                    known.before += before;
                    known.after += after;
                    known.statements += 1;
                }
                None => endpoints.push(Endpoint { name, statements: 1, before, after }),
            }
        }
        endpoints
    }

    /// What is shown over HTTP: without plans and texts, and of the statements only those that changed.
    #[must_use]
    pub fn summary(&self) -> Value {
        let mut summary = serde_json::to_value(self).unwrap_or_default();
        let endpoints: Vec<Value> =
            self.endpoints().iter().map(|endpoint| json!(endpoint)).collect();
        let changed = self.queries.iter().filter(|query| query.is_changed());
        let changed = changed.map(|query| {
            json!({
                "name": query.name,
                "endpoint": query.endpoint,
                "before_buffers": query.before_buffers,
                "after_buffers": query.after_buffers,
            })
        });
        summary["queries"] = changed.collect();
        summary["endpoints"] = endpoints.into();
        summary["is_up_to_date"] = self.is_up_to_date().into();
        summary
    }

    /// Whether the database is as the catalogue wants it, and nothing was or is to be changed.
    #[must_use]
    pub fn is_up_to_date(&self) -> bool {
        let set = self.settings.iter().any(|setting| setting.by == SetBy::Run);
        self.steps.is_empty() && self.failures.is_empty() && !set
    }
}

/// What an endpoint reads: pages of 8 kB, of all its statements together.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct Endpoint<'a> {
    /// The route, or what else sends them.
    pub name: &'a str,
    /// How many were measured.
    pub statements: usize,
    /// Before the run.
    pub before: u64,
    /// After it.
    pub after: u64,
}

/// For a terminal.
impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for line in &self.advice {
            writeln!(f, "advice: {line}")?;
        }
        for step in &self.steps {
            step.fmt(f)?;
        }
        for setting in &self.settings {
            let (sql, because) = (&setting.sql, &setting.because);
            match (setting.by, setting.is_done) {
                (SetBy::Run, true) => writeln!(f, "done: {sql} -- {because}")?,
                (SetBy::Run, false) => writeln!(f, "{sql}; -- {because}")?,
                (SetBy::Operator, _) => writeln!(f, "advice: {sql} -- {because}")?,
            }
        }
        for endpoint in self.endpoints().iter().filter(|endpoint| endpoint.before != endpoint.after)
        {
            let Endpoint { name, statements, before, after } = endpoint;
            writeln!(f, "{name}: {after} buffers in {statements} statements, before {before}")?;
        }
        if let Some(because) = &self.capture {
            writeln!(f, "note: statements seen by the server are not known: {because}")?;
        }
        for note in &self.notes {
            writeln!(f, "note: {note}")?;
        }
        if let Some(warm_up) = &self.warm_up {
            writeln!(f, "warm-up: {warm_up}")?;
        }
        if self.is_up_to_date() {
            writeln!(f, "up to date")?;
        }
        if let Some(run) = self.run {
            writeln!(f, "run {run}; take it back with `jebi optimize --rollback {run}`")?;
        }
        Ok(())
    }
}

impl fmt::Display for StepReport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.outcome == Outcome::Planned {
            return self.sql.iter().try_for_each(|sql| writeln!(f, "{sql};"));
        }
        let outcome = match self.outcome {
            Outcome::Planned | Outcome::Done => "done",
            Outcome::Rejected => "rejected",
            Outcome::Failed => "failed",
        };
        write!(f, "{outcome}: {}", self.doing)?;
        if let Some(bytes) = self.bytes {
            write!(f, ", {} kB", bytes / 1024)?;
        }
        if let Some(seconds) = self.seconds {
            write!(f, ", {seconds:.1} s")?;
        }
        match &self.because {
            Some(because) => writeln!(f, ": {because}"),
            None => writeln!(f),
        }
    }
}

impl QueryReport {
    /// One of those that only the server has seen.
    fn is_captured(&self) -> bool {
        self.name.starts_with("captured.")
    }

    /// Whether it reads a page more or less than before.
    #[must_use]
    pub fn is_changed(&self) -> bool {
        self.before_buffers != self.after_buffers
    }
}
