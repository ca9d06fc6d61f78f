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

use jebi_db_optimizer::jobs::Overview;
use jebi_monitor::{Alert, Alerter, Config, Monitor};

pub(crate) use self::endpoints::{Endpoint, HTTP};
pub(crate) use self::sample::{CACHE, CPU, L1, L2, POOL_IN_USE, POOL_WAIT_MS, POOL_WAITS, sample};
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
}

/// What was looked at last.
#[derive(Clone)]
pub(crate) struct Seen {
    pub(crate) system: System,
    /// The queue of jobs, or why it is not known.
    pub(crate) queue: Result<Arc<Overview>, &'static str>,
}

impl Monitoring {
    /// Takes up the alerts that the log at `path` holds of `instance`.
    pub(crate) fn new(instance: String, path: Option<&Path>) -> Self {
        let monitor = Arc::new(Monitor::new(Config::default()));
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
            }),
        }
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

    /// What was looked at last.
    pub(crate) fn seen(&self) -> Seen {
        self.seen.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    fn alerter(&self) -> MutexGuard<'_, Alerter> {
        self.alerter.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
