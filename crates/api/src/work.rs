//! What this program does beside requests: the kinds of its jobs, and the process that does nothing else.

use std::sync::Arc;

use anyhow::ensure;
use jebi_batch::{Accounts, Clock};
use jebi_db_optimizer::Pool;
use jebi_domain::MasterKey;
use jebi_monitor::{Config as MonitorConfig, Monitor};
use jebi_work::{
    Addresses, CHECK_ACCOUNT, Config, Kinds, OPTIMIZE, Optimizer, Outside, Policy, Runner, Wake,
    Work,
};
use secrecy::ExposeSecret as _;

use crate::serve::{keep_house, stop_signal};
use crate::settings::Settings;

/// Every kind of job, and what does it.
fn kinds(optimizer: Optimizer, outside: Outside) -> Kinds {
    let (optimizer, outside) = (Arc::new(optimizer), Arc::new(outside));
    Kinds::default()
        .with(OPTIMIZE, Policy::ONE, move |work: Arc<Work>| {
            let optimizer = Arc::clone(&optimizer);
            async move { optimizer.run(&work).await }
        })
        .with(CHECK_ACCOUNT, Policy::ONE, move |work: Arc<Work>| {
            let outside = Arc::clone(&outside);
            async move { outside.check(&work).await }
        })
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

/// A runner of `workers`, through a pool of its own.
pub(crate) fn runner(
    db: Pool,
    workers: usize,
    optimizer: Optimizer,
    outside: Outside,
    wake: Wake,
) -> Runner {
    Runner::new(db, kinds(optimizer, outside), Config { workers, ..Config::default() }, wake)
}

/// Does jobs until SIGTERM or Ctrl-C, then hands back what is not done.
///
/// # Errors
/// Where the settings leave it nothing to do.
pub async fn work(settings: Settings) -> anyhow::Result<()> {
    let workers = settings.workers;
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
    let accounts = accounts_outside();
    let outside = outside(accounts, Arc::new(settings.master_key), settings.addresses);
    runner(db, workers, optimizer, outside, Wake::default()).run(stop).await;
    house.abort();
    tracing::info!("Stopped");
    Ok(())
}
