//! What this program does beside requests: the kinds of its jobs, and the process that does nothing else.

use std::sync::Arc;

use anyhow::ensure;
use jebi_db_optimizer::Pool;
use jebi_work::{Config, Kinds, OPTIMIZE, Optimizer, Policy, Runner, Wake, Work};
use secrecy::ExposeSecret as _;

use crate::serve::{keep_house, stop_signal};
use crate::settings::Settings;

/// Every kind of job, and what does it.
fn kinds(optimizer: Optimizer) -> Kinds {
    let optimizer = Arc::new(optimizer);
    Kinds::default().with(OPTIMIZE, Policy::ONE, move |work: Arc<Work>| {
        let optimizer = Arc::clone(&optimizer);
        async move { optimizer.run(&work).await }
    })
}

/// A runner of `workers`, through a pool of its own.
pub(crate) fn runner(db: Pool, workers: usize, optimizer: Optimizer, wake: Wake) -> Runner {
    Runner::new(db, kinds(optimizer), Config { workers, ..Config::default() }, wake)
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
    runner(db, workers, optimizer, Wake::default()).run(stop).await;
    house.abort();
    tracing::info!("Stopped");
    Ok(())
}
