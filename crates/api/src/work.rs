//! What this program does beside requests: the kinds of its jobs, and the process that does nothing else.

use std::sync::Arc;

use anyhow::ensure;
use jebi_batch::{Accounts, Clock};
use jebi_db_optimizer::Pool;
use jebi_domain::MasterKey;
use jebi_monitor::{Config as MonitorConfig, Monitor};
use jebi_work::{
    Addresses, CHECK_ACCOUNT, Collector, Config, Kinds, OPTIMIZE, Optimizer, Outside, Policy,
    Runner, Scheduler, Schedules, Wake, Work,
};
use secrecy::ExposeSecret as _;
use tokio_util::sync::CancellationToken;

use crate::benchmark::{BENCHMARK, Benchmark};
use crate::serve::{keep_house, stop_signal};
use crate::settings::Settings;

/// The jobs that this machine does.
fn kinds(optimizer: Optimizer) -> Kinds {
    let optimizer = Arc::new(optimizer);
    Kinds::default().with(OPTIMIZE, Policy::ONE, move |work: Arc<Work>| {
        let optimizer = Arc::clone(&optimizer);
        async move { optimizer.run(&work).await }
    })
}

/// The jobs that only a process does that answers requests.
fn kinds_of_requests(benchmark: Benchmark) -> Kinds {
    let benchmark = Arc::new(benchmark);
    Kinds::default().with(BENCHMARK, Policy::ONE, move |work: Arc<Work>| {
        let benchmark = Arc::clone(&benchmark);
        async move { benchmark.run(&work).await }
    })
}

/// Measures this process when it is asked to, whoever does its other jobs, until `stop` is done.
pub(crate) async fn measure(benchmark: Benchmark, wake: Wake, stop: impl Future<Output = ()>) {
    let config = Config { workers: 1, ..Config::default() };
    let db = benchmark.db.clone();
    Runner::new(db, kinds_of_requests(benchmark), config, &wake).run(stop).await;
}

/// The jobs that wait for wholesalers most of the time.
fn kinds_outside(outside: Outside, url: String) -> Kinds {
    let outside = Arc::new(outside);
    let collector = Arc::new(Collector::new(Arc::clone(&outside), url));
    let kinds = Kinds::default().with(CHECK_ACCOUNT, Policy::ONE, move |work: Arc<Work>| {
        let outside = Arc::clone(&outside);
        async move { outside.check(&work).await }
    });
    collector.among(kinds)
}

/// The accounts that this process calls.
pub(crate) fn accounts_outside() -> Arc<Accounts> {
    // A monitor of its own: there may be many accounts, and they must not take the names of endpoints.
    let monitor =
        Monitor::new(MonitorConfig { max_window_bytes: 8 << 20, ..MonitorConfig::default() });
    Arc::new(Accounts::new(&Clock::system(), Arc::new(monitor)))
}

/// The ways to the wholesalers by these accounts.
pub(crate) fn outside(
    accounts: Arc<Accounts>,
    master_key: Arc<MasterKey>,
    addresses: Addresses,
) -> Outside {
    Outside::new(accounts, &Clock::system(), master_key, addresses)
}

/// What a process does jobs with.
pub(crate) struct Hands {
    pub(crate) workers: usize,
    pub(crate) collectors: usize,
    pub(crate) optimizer: Optimizer,
    pub(crate) outside: Outside,
    pub(crate) schedules: Schedules,
}

impl Hands {
    /// Does jobs until `stop` is done, through a pool of its own, and enqueues what is scheduled. Jobs that wait for wholesalers
    /// have hands of their own.
    pub(crate) async fn work(self, db: Pool, wake: Wake, stop: impl Future<Output = ()>) {
        let Self { workers, collectors, optimizer, outside, schedules } = self;
        let stopping = CancellationToken::new();
        let url = optimizer.url.clone();
        let runner = |kinds, workers| {
            let config = Config { workers, ..Config::default() };
            Runner::new(db.clone(), kinds, config, &wake).run(stopping.clone().cancelled_owned())
        };
        let machine = runner(kinds(optimizer), workers);
        let outside = runner(kinds_outside(outside, url), collectors);
        let scheduling = tokio::spawn(Scheduler::new(db.clone(), schedules, wake.clone()).run());
        let stopped = async {
            stop.await;
            stopping.cancel();
        };
        futures::join!(machine, outside, stopped);
        scheduling.abort();
    }
}

/// Does jobs until SIGTERM or Ctrl-C, then hands back what is not done.
///
/// # Errors
/// Where the settings leave it nothing to do.
pub async fn work(settings: Settings) -> anyhow::Result<()> {
    let (workers, collectors) = (settings.workers, settings.collectors);
    ensure!(
        workers > 0,
        "JEBI_WORKERS is 0, which leaves `jebi worker` nothing to do; set it to 1 or more"
    );
    let stop = stop_signal()?;
    let db = settings.connect_for_work()?;
    let house = tokio::spawn(keep_house(db.clone(), Arc::default()));
    tracing::info!("Working on {workers} claims at once");
    let url = settings.database_url.expose_secret().to_owned();
    let optimizer = Optimizer { url, warm_up: None };
    let outside = outside(accounts_outside(), Arc::new(settings.master_key), settings.addresses);
    let schedules = settings.schedules;
    let hands = Hands { workers, collectors, optimizer, outside, schedules };
    hands.work(db, Wake::default(), stop).await;
    house.abort();
    tracing::info!("Stopped");
    Ok(())
}
