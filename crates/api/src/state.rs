//! What the handlers share.

use std::net::SocketAddr;
use std::sync::{Arc, Weak};

use jebi_batch::Accounts;
use jebi_cache::L1;
use jebi_db_optimizer::repeats::Found;
use jebi_db_optimizer::timings::Timings;
use jebi_db_optimizer::watch::{Explanations, Plans};
use jebi_db_optimizer::{Pool, Transaction};
use jebi_domain::{CursorKey, MasterKey, SessionKey};
use jebi_work::{Wake, WarmUp};
use tokio::sync::Notify;
use tokio_util::sync::CancellationToken;

use crate::admission::Admission;
use crate::auth::KnownKeys;
use crate::benchmark::OwnKeys;
use crate::cached::Caches;
use crate::door::Door;
use crate::jobs::Streams;
use crate::limits::Limits;
use crate::monitoring::Monitoring;
use crate::performance::Live;
use crate::problem::Problem;
use crate::settings::Settings;
use crate::telemetry::{Metrics, Traces};
use crate::work::accounts_outside;

/// Built once at the start and handed to every worker.
#[derive(Clone)]
pub(crate) struct State(Arc<Shared>);

pub(crate) struct Shared {
    /// Where this process listens.
    pub(crate) address: SocketAddr,
    pub(crate) db: Pool,
    /// Connections to watch by, which no request waits for.
    pub(crate) watching: Pool,
    pub(crate) caches: Caches,
    /// What the caches may hold in this process.
    pub(crate) l1: L1,
    pub(crate) is_compressing: bool,
    /// Whether processes share what they cache.
    pub(crate) has_redis: bool,
    pub(crate) monitoring: Monitoring,
    /// The accounts outside that this process calls.
    pub(crate) outside: Arc<Accounts>,
    pub(crate) traces: Traces,
    pub(crate) metrics: Metrics,
    /// Whom what is measured is told.
    pub(crate) live: Live,
    /// Statements that requests and what runs beside them were found to repeat.
    pub(crate) repeats: Arc<Found>,
    /// The plans of the database's statements.
    pub(crate) plans: Plans,
    /// Those of the slow ones, explained.
    pub(crate) explanations: Explanations,
    /// Wakes this process's relay.
    pub(crate) committed: Notify,
    /// Wakes this process's workers.
    pub(crate) jobs: Wake,
    pub(crate) streams: Streams,
    /// Is cancelled when the process is to end.
    pub(crate) stop: CancellationToken,
    pub(crate) cursors: CursorKey,
    pub(crate) sessions: SessionKey,
    pub(crate) known_keys: KnownKeys,
    pub(crate) door: Door,
    pub(crate) admission: Arc<Admission>,
    /// Those that this process asks itself with.
    pub(crate) own_keys: Arc<OwnKeys>,
    pub(crate) limits: Limits,
    pub(crate) master_key: Arc<MasterKey>,
}

/// How a process is told from others: by its address, and by its machine's name where that is every address.
fn instance(address: SocketAddr) -> String {
    let host = sysinfo::System::host_name().ok().filter(|_| address.ip().is_unspecified());
    host.map_or_else(|| address.to_string(), |host| format!("{host}:{}", address.port()))
}

impl State {
    /// Of a process that listens at `address`. Inside a runtime.
    ///
    /// # Errors
    /// Where the address of Redis or of a collector cannot be read.
    pub(crate) fn new(
        (db, watching): (Pool, Pool),
        settings: Settings,
        address: SocketAddr,
    ) -> anyhow::Result<Self> {
        let log = settings.performance_log.as_deref();
        let (instance, otlp) = (instance(address), settings.otlp.as_ref());
        let traces = Traces::new(otlp, &instance)?;
        let metrics = Metrics::new(otlp, &instance)?;
        let monitoring = Monitoring::new(instance, log, &settings.schedules);
        let timings = Timings::new(Arc::clone(&monitoring.monitor));
        let state = Self(Arc::new(Shared {
            address,
            db,
            watching,
            caches: Caches::new(settings.cache())?,
            l1: settings.l1,
            has_redis: settings.redis_url.is_some(),
            is_compressing: settings.compression.level > 0,
            live: Live::default(),
            repeats: Arc::new(Found::with_timings(timings)),
            monitoring,
            plans: Plans::default(),
            explanations: Explanations::default(),
            committed: Notify::new(),
            jobs: Wake::default(),
            streams: Streams::default(),
            stop: CancellationToken::new(),
            cursors: settings.master_key.cursor_key(),
            sessions: settings.master_key.session_key(),
            known_keys: KnownKeys::default(),
            door: Door::default(),
            admission: Arc::default(),
            own_keys: Arc::default(),
            limits: Limits::new(settings.rate_limit_per_minute),
            master_key: Arc::new(settings.master_key),
            outside: accounts_outside(),
            traces,
            metrics,
        }));
        state.metrics.follow(&state);
        Ok(state)
    }
}

impl State {
    /// A handle that does not keep it.
    pub(crate) fn downgrade(&self) -> Weak<Shared> {
        Arc::downgrade(&self.0)
    }

    /// Loads into the cache what was asked for lately and is not held any more.
    pub(crate) fn warm_up(&self) -> WarmUp {
        let state = self.clone();
        Arc::new(move || {
            let state = state.clone();
            Box::pin(async move {
                let (asked, well) = state.caches.recent.warm_up().await;
                format!("{well} of the {asked} answers that were loaded last are held again")
            })
        })
    }
}

impl Shared {
    /// Ends a transaction as [`Transaction::settle`] does; once it is committed, returns when no reader of this process
    /// is answered from before it.
    pub(crate) async fn settle<T>(
        &self,
        transaction: Transaction<'_>,
        done: Result<T, Problem>,
    ) -> Result<T, Problem> {
        let happened = transaction.happened();
        let value = transaction.settle(done).await?;
        if !happened.is_empty() {
            self.caches.report(&happened).await;
            self.committed.notify_one();
        }
        Ok(value)
    }
}

impl std::ops::Deref for State {
    type Target = Shared;

    fn deref(&self) -> &Shared {
        &self.0
    }
}
