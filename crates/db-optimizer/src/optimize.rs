//! `optimize`: brings the indexes of a database to what the catalogue wants, and proves by execution that they help.
//!
//! Planner costs recommend indexes that make queries read twenty times more. So every index that is built is measured on the
//! whole workload, and dropped again where no query that it serves reads less for it, or where any query reads more than
//! before. What was found out is remembered.
//!
//! A run may be killed at any point, and several may be started at once: one works, and one more run brings the database to
//! where it should be.

mod back;
mod build;
mod capture;
mod catalogue;
mod failure;
mod inventory;
mod measure;
mod record;
mod report;
mod session;
mod settings;
mod steps;
mod verify;
mod workload;

use std::sync::Arc;
use std::time::Duration;

use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

pub use back::{PastRun, roll_back, runs};
pub use catalogue::{Because, Catalogue, Index, Kind, LeftOut, Level, NamedQuery, Owner, Writes};
pub use failure::Failure;
pub use report::{
    Endpoint, IndexReport, LeftOutReport, Outcome, QueryReport, Report, SetBy, SettingReport,
    StepReport, Unmeasured,
};

use build::Builder;
use failure::said;
use inventory::Inventory;
use record::{Action, Change, Record, Run};
use session::Session;
use steps::{Step, Steps, steps};
use verify::Verifier;

/// How a run goes about it.
#[derive(Debug, Clone)]
pub struct Options {
    /// What is wanted.
    pub level: Level,
    /// Nothing is changed, only said.
    pub is_dry_run: bool,
    /// Statements are measured also where nothing is to be changed.
    pub is_measured: bool,
    /// Who asked: `cli`, or `key:<id>`.
    pub actor: String,
    /// PostgreSQL gives up a lock that is not free by then, and the build starts anew.
    pub lock_timeout: Duration,
    /// How long others, who hold a lock or an old snapshot, and a server that went away, are waited for.
    pub patience: Duration,
    /// How long another run is waited for.
    pub turn: Duration,
    /// How often a build is tried.
    pub attempts: u32,
    /// The pause after the first failure; it doubles.
    pub back_off: Duration,
}

impl Options {
    /// What suits a database that is in use.
    #[must_use]
    pub fn new(level: Level) -> Self {
        Self {
            level,
            is_dry_run: false,
            is_measured: false,
            actor: "cli".to_owned(),
            lock_timeout: Duration::from_secs(10),
            patience: Duration::from_secs(60),
            turn: Duration::from_secs(3600),
            attempts: 5,
            back_off: Duration::from_secs(1),
        }
    }
}

/// What a run is doing.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Progress {
    /// Another run works, or somebody holds a lock.
    Waiting {
        /// Who is waited for.
        holder: String,
    },
    /// A step begins.
    Step {
        /// Its number, from 1.
        number: usize,
        /// Of so many.
        of: usize,
        /// In words.
        doing: String,
    },
    /// PostgreSQL builds.
    Building {
        /// The index.
        index: String,
        /// PostgreSQL's name of what it does.
        phase: String,
        /// Blocks or rows.
        done: u64,
        /// Of so many.
        total: u64,
    },
    /// The workload is run.
    Measuring {
        /// Statements.
        done: usize,
        /// Of so many.
        total: usize,
    },
}

/// In words.
impl std::fmt::Display for Progress {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Waiting { holder } => write!(f, "waiting: {holder}"),
            Self::Step { number, of, doing } => write!(f, "step {number} of {of}: {doing}"),
            Self::Building { index, phase, total: 0, .. } => write!(f, "{index}: {phase}"),
            Self::Building { index, phase, done, total } => {
                write!(f, "{index}: {phase}, {done} of {total}")
            }
            Self::Measuring { done, total } => write!(f, "measuring statement {done} of {total}"),
        }
    }
}

/// Told what a run is doing; it must not block.
pub type Watcher = Arc<dyn Fn(Progress) + Send + Sync>;

/// Compares the database at `url` with the catalogue and makes it so. What cannot be done stands in the report's failures;
/// the rest is done all the same.
///
/// # Errors
/// [`Failure`], where nothing could be done at all.
pub async fn optimize(
    url: &str,
    catalogue: &Catalogue,
    options: &Options,
    watcher: &Watcher,
    stop: &CancellationToken,
) -> Result<Report, Failure> {
    let mut session = Session::open(url, options.lock_timeout).await?;
    let version = session.version().await?;
    let mut report = Report::new(catalogue, options.level, options.is_dry_run, &version);
    report.advice = advice(catalogue, options);
    let begun = Instant::now();
    if !options.is_dry_run {
        session.may_write().await?;
        session.lock(options.turn, watcher, stop).await?;
    }
    let mut builder = Builder { session: &mut session, options, watcher, stop, run: None };
    let done = builder.converge(catalogue, &mut report).await;
    report.seconds = begun.elapsed().as_secs_f64();
    done?;
    Ok(report)
}

impl Builder<'_> {
    async fn converge(
        &mut self,
        catalogue: &Catalogue,
        report: &mut Report,
    ) -> Result<(), Failure> {
        let (begun, level) = (Instant::now(), self.options.level);
        if !self.options.is_dry_run {
            self.know_sizes(catalogue).await?;
        }
        let record = Record::read(self.session).await?;
        let inventory = Inventory::read(self.session, catalogue).await?;
        let Steps { steps, failures, notes } = steps(catalogue, level, &inventory, &record);
        report.failures.extend(failures.iter().map(ToString::to_string));
        report.notes = notes;
        if self.options.is_dry_run {
            report.steps = steps.iter().map(StepReport::planned).collect();
            report.settings = self.settings(catalogue, level, &mut None).await?;
            return Ok(());
        }
        let mut run = None;
        report.settings = self.settings(catalogue, level, &mut None).await?;
        if !steps.is_empty() || report.settings.iter().any(|setting| setting.by == SetBy::Run) {
            may_build(&steps, &inventory, self.session).await?;
            let id = Uuid::from_bytes(crate::random());
            let actor = &self.options.actor;
            run = Some(Run::begin(self.session, id, level, actor).await?);
            self.run = Some(id);
            match self.settings(catalogue, level, &mut run).await {
                Ok(settings) => report.settings = settings,
                Err(failure) => report.failures.push(failure.to_string()),
            }
        }
        self.drop_unproven(&steps, &inventory).await?;
        let mut verifier = None;
        if steps.iter().any(Step::is_judged) || self.options.is_measured {
            verifier =
                Some(Verifier::begin(self.session, catalogue, self.watcher, self.stop).await?);
        }
        if let Some(run) = &mut run {
            self.take_all(&steps, run, &mut verifier, &inventory, report).await;
        }
        if let Some(mut verifier) = verifier {
            verifier.catch_up(self.session).await?;
            report.queries = verifier.reports();
            report.unmeasured = verifier.unmeasured();
            report.capture = verifier.capture();
        }
        if let Some(run) = run {
            report.run = run.has_changed().then_some(run.id);
            report.seconds = begun.elapsed().as_secs_f64();
            let kept = serde_json::to_value(&*report).unwrap_or_default();
            self.stay_connected("write down how the run ended").await?;
            run.end(self.session, &kept).await?;
        }
        Ok(())
    }

    /// Drops what killed runs left unproven, before anything is measured: else what it is worth would be measured against
    /// itself.
    async fn drop_unproven(
        &mut self,
        steps: &[Step],
        inventory: &Inventory,
    ) -> Result<(), Failure> {
        let unproven = steps.iter().filter(|step| matches!(step, Step::BuildAgain(_)));
        for index in unproven.filter_map(Step::wanted) {
            if inventory.is_partitioned(index) {
                self.drop_partitioned(index.schema, index.name).await?;
            } else {
                self.drop_index((index.schema, index.table), index.name).await?;
            }
        }
        Ok(())
    }

    /// Does one step after the other; one that fails keeps none of the others from being done, but a stop does.
    async fn take_all(
        &mut self,
        steps: &[Step],
        run: &mut Run,
        verifier: &mut Option<Verifier>,
        inventory: &Inventory,
        report: &mut Report,
    ) {
        for (at, step) in steps.iter().enumerate() {
            let (number, of) = (at + 1, steps.len());
            (self.watcher)(Progress::Step { number, of, doing: step.doing() });
            let step_begun = Instant::now();
            let done = self.take(step, run, verifier, inventory).await;
            let mut one = StepReport::planned(step);
            one.seconds = Some(step_begun.elapsed().as_secs_f64());
            match done {
                Ok(None) => one.outcome = Outcome::Done,
                Ok(Some(because)) => {
                    (one.outcome, one.because) = (Outcome::Rejected, Some(because));
                }
                Err(failure) => {
                    one.outcome = Outcome::Failed;
                    report.failures.push(failure.to_string());
                }
            }
            one.bytes = self.session.bytes_of(step).await;
            report.steps.push(one);
            if self.stop.is_cancelled() {
                report.failures.extend(unbegun(&steps[number..]));
                break;
            }
        }
    }

    /// Does a step. Answers why it was taken back, where it was.
    async fn take(
        &mut self,
        step: &Step,
        run: &mut Run,
        verifier: &mut Option<Verifier>,
        inventory: &Inventory,
    ) -> Result<Option<String>, Failure> {
        self.stay_connected(&step.doing()).await?;
        let is_to_be_judged = step.wanted().is_some_and(|index| index.owner == Owner::Catalogue);
        if let (Some(verifier), true) = (verifier.as_mut(), is_to_be_judged) {
            verifier.catch_up(self.session).await?;
        }
        match step {
            Step::DropInvalid(there) => {
                self.drop_leftover(&there.schema, &there.name).await?;
                Ok(None)
            }
            Step::DropSpare { index, there } => {
                self.drop_index((index.schema, index.table), &there.name).await?;
                run.settle(self.session, &change(index, Action::Replace, None), true).await?;
                Ok(None)
            }
            Step::Rename { index, there } => {
                let change = change(index, Action::Replace, None);
                run.note(self.session, &change).await?;
                self.rename(&there.schema, &there.name, index.name).await?;
                run.settle(self.session, &change, true).await?;
                Ok(None)
            }
            Step::BuildAgain(index) | Step::Complete(index) if inventory.is_partitioned(index) => {
                let change = change(index, Action::Build, None);
                run.note(self.session, &change).await?;
                self.complete(index).await?;
                self.prove(index, &change, run, verifier, inventory).await
            }
            Step::Build(index) | Step::BuildAgain(index) | Step::Complete(index) => {
                let change = change(index, Action::Build, None);
                run.note(self.session, &change).await?;
                let built =
                    self.build(index.name, index.schema, index.table, index.definition).await;
                if let Err(failure) = built {
                    return self.give_up(failure, &change, run).await;
                }
                self.prove(index, &change, run, verifier, inventory).await
            }
            Step::Replace { index, there } => {
                let change = change(index, Action::Replace, Some(there.definition.clone()));
                run.note(self.session, &change).await?;
                let of = (index.schema, index.table);
                let spare = inventory.index(index.schema, &steps::spare_name(index.name));
                let is_built = spare
                    .is_some_and(|spare| spare.is_valid && spare.definition == index.definition);
                if !is_built
                    && let Err(failure) = self.build_spare(index.name, of, index.definition).await
                {
                    return self.give_up(failure, &change, run).await;
                }
                // From here on the change is under way, whatever happens: it can be taken back.
                self.swap(index.name, of).await?;
                self.prove(index, &change, run, verifier, inventory).await
            }
        }
    }

    /// Notes that nothing came of a change. Where that cannot be noted either, the next run finds it begun.
    async fn give_up<T>(
        &mut self,
        failure: Failure,
        change: &Change,
        run: &Run,
    ) -> Result<T, Failure> {
        if let Err(error) = run.settle(self.session, change, false).await {
            tracing::warn!("{error}");
        }
        Err(failure)
    }

    /// Measures what an index does, and drops it again where that is nothing good. What the migrations made stays.
    async fn prove(
        &mut self,
        index: &Index,
        change: &Change,
        run: &Run,
        verifier: &mut Option<Verifier>,
        inventory: &Inventory,
    ) -> Result<Option<String>, Failure> {
        // An index of an expression has statistics of its own.
        let analyze = format!("ANALYZE {}", catalogue::qualified(index.schema, index.table));
        if let Err(error) = self.session.run(&analyze).await {
            tracing::debug!("could not analyze {}: {}", index.table, said(&error));
        }
        self.check_definition(index).await?;
        let Some(verifier) = verifier else {
            run.settle(self.session, change, true).await?;
            return Ok(None);
        };
        if index.owner == Owner::Migrations {
            verifier.has_changed();
            run.settle(self.session, change, true).await?;
            return Ok(None);
        }
        let verdict = verifier.judge(self.session, index, self.watcher, self.stop).await?;
        let verdict = match verdict {
            None if !verifier.knows(index) => {
                Some("no value could be found to run the queries with that it serves".to_owned())
            }
            verdict => verdict,
        };
        // Measuring may have taken long.
        self.stay_connected(&format!("judge {}", index.name)).await?;
        let Some(because) = verdict else {
            run.settle(self.session, change, true).await?;
            return Ok(None);
        };
        let of = (index.schema, index.table);
        match &change.before {
            // It was in the place of another, which was no worse.
            Some(before) => {
                self.build_spare(index.name, of, before).await?;
                self.swap(index.name, of).await?;
            }
            None if inventory.is_partitioned(index) => {
                self.drop_partitioned(index.schema, index.name).await?;
            }
            None => self.drop_index(of, index.name).await?,
        }
        let rows = inventory.table(index.schema, index.table).map_or(0.0, |table| table.rows);
        run.reject(self.session, index, &because, rows).await?;
        run.settle(self.session, change, false).await?;
        Ok(Some(because))
    }

    /// What was built has to read back as the catalogue has it: else the next run would find another definition.
    async fn check_definition(&mut self, index: &Index) -> Result<(), Failure> {
        let refused = |said: String| Failure::Refused {
            doing: format!("find {} again", index.name),
            said,
            left: "it is there and is used".to_owned(),
        };
        let sql = "SELECT pg_get_indexdef(i.oid) FROM pg_class AS i
                   JOIN pg_namespace AS n ON n.oid = i.relnamespace
                   WHERE n.nspname = $1 AND i.relname = $2";
        let found = self.session.rows(sql, &[&index.schema, &index.name]).await;
        let found = found.map_err(|error| refused(said(&error)))?;
        let built: Option<String> = found.first().map(|row| row.get(0));
        match built {
            Some(built) if built.ends_with(&format!(" {}", index.definition)) => Ok(()),
            Some(built) => Err(refused(format!(
                "the catalogue says `{}`, which PostgreSQL writes as `{built}`",
                index.definition
            ))),
            None => Err(refused("it is not there".to_owned())),
        }
    }

    /// Has tables counted that nobody has counted yet: what is wanted of a table hangs on its size.
    async fn know_sizes(&mut self, catalogue: &Catalogue) -> Result<(), Failure> {
        let mut tables: Vec<_> =
            catalogue.indexes.iter().map(|index| (index.schema, index.table)).collect();
        tables.sort_unstable();
        tables.dedup();
        for (schema, table) in tables {
            let uncounted = "SELECT EXISTS (
                    SELECT FROM pg_class AS t JOIN pg_namespace AS n ON n.oid = t.relnamespace
                    WHERE n.nspname = $1 AND t.relname = $2 AND t.relkind = 'r'
                      AND t.reltuples <= 0 AND pg_relation_size(t.oid) > 0)";
            let uncounted = self.session.row(uncounted, &[&schema, &table]).await;
            if uncounted.is_ok_and(|row| row.get(0)) {
                let analyze = format!("ANALYZE {}", catalogue::qualified(schema, table));
                if let Err(error) = self.session.run(&analyze).await {
                    tracing::debug!("could not analyze {table}: {}", said(&error));
                }
            }
        }
        Ok(())
    }
}

fn change(index: &Index, action: Action, before: Option<String>) -> Change {
    Change {
        action,
        schema: index.schema.to_owned(),
        table: index.table.to_owned(),
        name: index.name.to_owned(),
        definition: index.definition.to_owned(),
        before,
    }
}

/// Before anything is begun: whether the role may.
async fn may_build(
    steps: &[Step],
    inventory: &Inventory,
    session: &Session,
) -> Result<(), Failure> {
    for step in steps {
        let (schema, table) = step.table();
        if let Some(there) = inventory.table(schema, table).filter(|table| !table.is_ours) {
            return Err(Failure::NoRight {
                role: session.role().await,
                what: step.doing(),
                owner: there.owner.clone(),
            });
        }
    }
    Ok(())
}

/// What the guide asks for before indexes are changed.
fn advice(catalogue: &Catalogue, options: &Options) -> Vec<String> {
    if !options.is_dry_run {
        return vec![];
    }
    let heavy = catalogue.wanted(options.level).any(|index| index.level == Level::Aggressive);
    let mut advice = vec![
        "take a backup first, and try the run on a copy of the data: `pg_dump`, `pg_restore`, \
         `jebi optimize` with the copy's DATABASE_URL"
            .to_owned(),
    ];
    if heavy {
        advice.push(
            "aggressive copies whole rows into indexes: see that the disk has room for as much again as the \
             tables order_items and price_history"
                .to_owned(),
        );
    }
    advice
}

/// What a stop kept from being begun.
fn unbegun(steps: &[Step]) -> impl Iterator<Item = String> {
    steps.iter().map(|step| {
        let (doing, left) = (step.doing(), "it was not begun".to_owned());
        Failure::Stopped { doing, left }.to_string()
    })
}

impl StepReport {
    fn planned(step: &Step) -> Self {
        Self {
            doing: step.doing(),
            sql: step.sql(),
            index: step.wanted().map(IndexReport::from),
            outcome: Outcome::Planned,
            because: None,
            bytes: None,
            seconds: None,
        }
    }
}
