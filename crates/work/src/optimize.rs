//! The job that brings the indexes of the database to what the catalogue wants.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use futures::future::BoxFuture;
use jebi_db_optimizer::jobs::{NewItem, NewJob, Report as JobReport};
use jebi_db_optimizer::optimize::{self, Catalogue, Level, Options, Progress, Watcher};
use serde_json::{Value, json};

use crate::error::{Error, Failure};
use crate::kind::{Ended, Outcome};
use crate::work::Work;

/// The kind of these jobs.
pub const OPTIMIZE: &str = "optimize";

/// Loads what readers ask for into the cache, and says in words what it did.
pub type WarmUp = Arc<dyn Fn() -> BoxFuture<'static, String> + Send + Sync>;

/// The database, and what is done once its indexes are right.
pub struct Optimizer {
    /// Where the database is, as its owner.
    pub url: String,
    /// Where this process answers readers, their cache.
    pub warm_up: Option<WarmUp>,
}

/// A job for the installation, of one item. There is one alive at a time, whoever asks.
#[must_use]
pub fn optimize_job(level: Level, is_dry_run: bool) -> (NewJob<'static>, NewItem) {
    let parameters = json!({ "level": level, "is_dry_run": is_dry_run });
    let job = NewJob { kind: OPTIMIZE, account: None, parameters, max_attempts: 3 };
    (job, NewItem { name: "indexes".to_owned(), payload: Value::Null })
}

impl Optimizer {
    /// Does such a job. What could not be done fails the item, with the report beside it.
    ///
    /// # Errors
    /// [`Failure`], where the attempt came to nothing.
    pub async fn run(&self, work: &Work) -> Result<Ended, Failure> {
        let parameters = &work.claim.parameters;
        let level = serde_json::from_value(parameters["level"].clone());
        let level: Level = level.map_err(|error| Failure::Because(error.to_string()))?;
        let options = Options {
            is_dry_run: parameters["is_dry_run"] == true,
            is_measured: true,
            actor: format!("job:{}", work.claim.job),
            ..Options::new(level)
        };
        let latest = Arc::new(Mutex::new(None));
        let watcher: Watcher = {
            let latest = Arc::clone(&latest);
            Arc::new(move |progress| {
                *latest.lock().unwrap_or_else(PoisonError::into_inner) = Some(progress);
            })
        };
        let catalogue = Catalogue::of_jebi();
        let run = optimize::optimize(&self.url, &catalogue, &options, &watcher, work.stop());
        let mut report = tokio::select! {
            done = run => match done {
                Ok(report) => report,
                Err(_) if work.stop().is_cancelled() => return Ok(vec![]),
                Err(failure) => return Err(Failure::Because(failure.to_string())),
            },
            lost = tell(work, &options, &latest) => return Err(lost.into()),
        };
        if work.stop().is_cancelled() {
            // What was done stays; another attempt goes on from there.
            return Ok(vec![]);
        }
        report.warm_up = match &self.warm_up {
            Some(warm_up) if !options.is_dry_run => Some(warm_up().await),
            Some(_) => None,
            None => Some("this process answers no readers".to_owned()),
        };
        let steps = report.steps.len().max(1) as u64;
        work.report(&JobReport::Progress(steps, steps)).await?;
        work.report(&JobReport::Result(report.summary())).await?;
        let outcome = match &report.failures[..] {
            [] => Outcome::Done,
            failures => Outcome::Failed(failures.join("; ")),
        };
        Ok(work.open().into_iter().map(|number| (number, outcome.clone())).collect())
    }
}

/// Tells the job once a second what goes on, until the job is somebody else's.
async fn tell(work: &Work, options: &Options, latest: &Mutex<Option<Progress>>) -> Error {
    const EVERY: Duration = Duration::from_secs(1);
    let mut tick = tokio::time::interval(EVERY);
    let mut told = None;
    loop {
        tick.tick().await;
        let now = latest.lock().unwrap_or_else(PoisonError::into_inner).clone();
        let Some(now) = now.filter(|now| told.as_ref() != Some(now)) else { continue };
        let Options { level, is_dry_run, .. } = options;
        let doing = json!({ "doing": now.to_string(), "level": level, "is_dry_run": is_dry_run });
        let doing = JobReport::Result(doing);
        let mut reports = vec![doing];
        if let Progress::Step { number, of, .. } = now {
            reports.push(JobReport::Progress(number as u64 - 1, of as u64));
        }
        for report in reports {
            match work.report(&report).await {
                Ok(()) => {}
                Err(Error::Lost) => return Error::Lost,
                // It is told the next time; the run goes on.
                Err(Error::Db(error)) => {
                    tracing::debug!("could not tell how far a run is: {error}")
                }
            }
        }
        told = Some(now);
    }
}
