//! What this process measures of itself, and whom it tells.
//!
//! Requests and statements are timed as they happen ([`Monitoring::endpoint`], `db_optimizer::timings`); all else is
//! looked at once a second ([`sample`]), which also judges the rules of `rules.rs`. What is told is kept in
//! `performance_optimization.log`, from which the next start takes it up.

mod endpoints;
mod log;
mod rules;
mod sample;
mod score;
mod system;

use std::path::Path;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use chrono::Utc;
use jebi_db_optimizer::collection::{Age, Trouble};
use jebi_db_optimizer::jobs::Overview;
use jebi_domain::Wholesaler;
use jebi_monitor::{Alert, Alerter, Config, Monitor};
use jebi_work::Schedules;

pub(crate) use self::endpoints::{Endpoint, HTTP};
pub(crate) use self::sample::{
    CACHE, CPU, L1, L2, POOL_IN_USE, POOL_WAIT_MS, POOL_WAITS, sample, sample_queue,
};
pub(crate) use self::score::Status;
pub(crate) use self::system::System;

use self::endpoints::Endpoints;
use self::log::PerformanceLog;

/// What figures "of the last minute" are of.
pub(crate) const MINUTE: Duration = Duration::from_mins(1);
/// What scores and bottlenecks are of.
pub(crate) const LATELY: Duration = Duration::from_mins(5);

/// What is measured, judged and told.
pub(crate) struct Monitoring {
    pub(crate) monitor: Arc<Monitor>,
    endpoints: Endpoints,
    /// Which process this is, where several tell of themselves.
    pub(crate) instance: String,
    alerter: Mutex<Alerter>,
    log: PerformanceLog,
    seen: Mutex<Seen>,
    /// How old prices are at most, by wholesaler.
    promises: Vec<(Wholesaler, Duration)>,
}

/// What was looked at last.
#[derive(Clone)]
pub(crate) struct Seen {
    pub(crate) system: System,
    /// The queue of jobs, or why it is not known.
    pub(crate) queue: Result<Arc<Overview>, &'static str>,
    /// How collections stand, or why that is not known.
    pub(crate) collected: Result<Arc<Collected>, &'static str>,
}

/// How collections stand.
pub(crate) struct Collected {
    pub(crate) ages: Vec<Age>,
    pub(crate) troubles: Vec<Trouble>,
}

impl Monitoring {
    /// Takes up the alerts that the log at `path` holds of `instance`.
    pub(crate) fn new(instance: String, path: Option<&Path>, schedules: &Schedules) -> Self {
        let now = Utc::now();
        let promise =
            |wholesaler: &Wholesaler| Some((*wholesaler, schedules.promise(*wholesaler, now)?));
        // Some 80 endpoints and 100 kinds of statements, with room for more.
        let monitor = Arc::new(Monitor::new(Config { max_operations: 512, ..Config::default() }));
        let mut alerter =
            Alerter::new(rules::all()).expect("our own rules can be followed: a test builds them");
        alerter.restore(path.map(|path| log::alerts(path, &instance)).unwrap_or_default());
        Self {
            endpoints: Endpoints::new(Arc::clone(&monitor)),
            monitor,
            log: PerformanceLog::new(path, &instance),
            instance,
            alerter: Mutex::new(alerter),
            seen: Mutex::new(Seen {
                system: System::default(),
                queue: Err("it was not looked at yet"),
                collected: Err("it was not looked at yet"),
            }),
            promises: Wholesaler::ALL.iter().filter_map(promise).collect(),
        }
    }

    /// Which methods a route has, for all of them to be told apart.
    pub(crate) fn describe(&self, pattern: &str, methods: Vec<&'static str>) {
        self.endpoints.describe(pattern, methods);
    }

    /// Under what requests of a method to the pattern of a route are recorded.
    pub(crate) fn endpoint(&self, method: &str, pattern: Option<&str>) -> Arc<Endpoint> {
        self.endpoints.of(method, pattern)
    }

    /// The latest alerts, the newest first.
    pub(crate) fn alerts(&self) -> Vec<Alert> {
        let mut alerts: Vec<Alert> = self.alerter().recent().cloned().collect();
        alerts.reverse();
        alerts
    }

    /// How old the prices of a wholesaler are at most, where that is promised.
    pub(crate) fn promise(&self, of: Wholesaler) -> Option<Duration> {
        self.promises.iter().find(|(wholesaler, _)| *wholesaler == of).map(|(_, promise)| *promise)
    }

    /// What was looked at last.
    pub(crate) fn seen(&self) -> Seen {
        self.seen.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Writes what was said and not written yet. Waits for the disk: not within a task.
    pub(crate) fn stop(&self) {
        self.log.close();
    }

    fn alerter(&self) -> MutexGuard<'_, Alerter> {
        self.alerter.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
